import assert from 'node:assert/strict'
import { after, describe, it } from 'mocha'
import { systemClock } from '../../../src/base/index.js'
import type { ByteStream } from '../../../src/base/index.js'
import { lateBy } from '../../../src/net/transport/delay.js'
import { FakeMesh, startNode, stopAll } from './fixture.js'

const bytesOf = (...values: number[]): Uint8Array => Uint8Array.from(values)

describe('net: a long link for tests', function () {
  this.timeout(30_000)
  after(stopAll)

  it('a round trip takes twice the delay, and many bytes still go through at once', async () => {
    const mesh = new FakeMesh('delay')
    const delayMs = (): number => 100
    const a = await startNode(mesh, 1, { delayMs })
    const b = await startNode(mesh, 2, { delayMs })
    b.rpc.register({ name: 'test.echo', requestBytesMax: 100, responseBytesMax: 100, inFlightMax: 100, handle: async (body) => body })
    const received = new Promise<number>((resolve) => {
      b.bulk.register({
        id: '/test/sink/1', inboundMax: 1,
        handle: async (stream: ByteStream) => {
          let bytes = 0
          for await (const chunk of stream.received) bytes += chunk.length
          await stream.closeSend()
          resolve(bytes)
        },
      })
    })
    await a.dial(b.addresses()[0] ?? '')
    await a.rpc.request(b.self, 'test.echo', bytesOf(1), { deadlineMs: 5000 })
    const rounds: number[] = []
    for (let i = 0; i < 4; i++) {
      const startMs = performance.now()
      await a.rpc.request(b.self, 'test.echo', bytesOf(i), { deadlineMs: 5000 })
      rounds.push(performance.now() - startMs)
    }
    const least = Math.min(...rounds)
    assert.ok(least >= 200 && least < 300, `round trips of ${rounds.map((ms) => ms.toFixed(0)).join(', ')} ms`)
    const startMs = performance.now()
    await Promise.all(Array.from({ length: 50 }, async (_, i) => a.rpc.request(b.self, 'test.echo', bytesOf(i), { deadlineMs: 5000 })))
    assert.ok(performance.now() - startMs < 1000, 'fifty requests at once take one round trip, not fifty')

    const stream = await a.bulk.open(b.self, '/test/sink/1', {})
    const total = 48 * 2 ** 20
    const bulkStartMs = performance.now()
    for (let sent = 0; sent < total; sent += 2 ** 18) await stream.send(new Uint8Array(2 ** 18))
    await stream.closeSend()
    assert.equal(await received, total)
    const seconds = (performance.now() - bulkStartMs) / 1000
    console.log(`      round trip ${least.toFixed(0)} ms; 48 MiB in ${seconds.toFixed(1)} s, ${(48 / seconds).toFixed(0)} MiB/s`)
    // A window of 256 KiB, which does not grow, would carry 1.25 MiB/s.
    assert.ok(48 / seconds > 5, `${(48 / seconds).toFixed(1)} MiB/s`)
  })

  it('keeps the order when the delay shrinks, and the bound when nobody reads', async () => {
    let delayMs = 60
    let read = 0
    async function* source(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 10; i++) {
        read++
        yield bytesOf(i)
        delayMs = 0
      }
    }
    const startMs = performance.now()
    const late = lateBy(source(), systemClock, () => delayMs, 4)
    const first = await late.next()
    assert.deepEqual(first.value, bytesOf(0))
    assert.ok(performance.now() - startMs >= 59, 'the first one is late')
    assert.ok(read <= 6, `${String(read)} were read ahead, four bytes are allowed`)
    const rest: number[] = []
    for await (const chunk of late) rest.push(chunk.subarray()[0] ?? -1)
    assert.deepEqual(rest, [1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('passes on what failed, after what was sent before, and lets go of its source', async () => {
    let returned = false
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield bytesOf(1)
      throw new Error('broken')
    }
    const late = lateBy(failing(), systemClock, () => 5)
    assert.deepEqual((await late.next()).value, bytesOf(1))
    await assert.rejects(late.next(), /broken/)
    const endless = {
      next: () => new Promise<IteratorResult<Uint8Array>>(() => undefined),
      return: async (): Promise<IteratorResult<Uint8Array>> => {
        returned = true
        return { done: true, value: undefined }
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
    let served = false
    const one = { ...endless, next: async () => (served ? endless.next() : ((served = true), { done: false as const, value: bytesOf(7) })), [Symbol.asyncIterator]() { return this } }
    for await (const chunk of lateBy(one, systemClock, () => 0)) {
      assert.deepEqual(chunk, bytesOf(7))
      break
    }
    assert.ok(returned)
  })
})
