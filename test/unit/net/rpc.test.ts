import assert from 'node:assert/strict'
import { decode as lengthPrefixedDecode, encode as lengthPrefixed } from 'it-length-prefixed'
import fc from 'fast-check'
import type { Uint8ArrayList } from 'uint8arraylist'
import { codeOf, silentLog, systemClock } from '../../../src/base/index.js'
import type { NodeId } from '../../../src/base/index.js'
import { PeerCaller, isFraming } from '../../../src/net/rpc/caller.js'
import type { RpcInit, RpcStream } from '../../../src/net/rpc/caller.js'
import { decodeFrame, encodeFrame } from '../../../src/net/rpc/frames.js'
import type { Frame } from '../../../src/net/rpc/frames.js'
import { MethodTable } from '../../../src/net/rpc/methods.js'
import { heldBytesMax, respond } from '../../../src/net/rpc/responder.js'
import { idOf } from '../../simulation/net-twin.js'
import { FakeMesh, addressOf, startNode, stopAll, until } from './fixture.js'

const init: RpcInit = { bodyBytesMax: 10_000, requestsPerPeerMax: 8, answersHighWaterBytes: 20_000 }
const peer: NodeId = idOf(1)

/** A pipe whose far end is in the test's hands. */
function pipeEnds(): { near: RpcStream; far: RpcStream; aborted: () => Error | undefined } {
  let aborted: Error | undefined
  const wakes = new Set<() => void>()
  const wakeAll = (): void => wakes.forEach((wake) => wake())
  const half = (): { source: AsyncIterable<Uint8Array | Uint8ArrayList>; sink: RpcStream['sink'] } => {
    const queue: (Uint8Array | Uint8ArrayList)[] = []
    const state = { ended: false }
    return {
      source: (async function* () {
        for (;;) {
          const next = queue.shift()
          if (next !== undefined) yield next
          else if (aborted !== undefined) throw aborted
          else if (state.ended) return
          else {
            await new Promise<void>((resolve) => wakes.add(resolve))
            wakes.clear()
          }
        }
      })(),
      sink: async (source) => {
        for await (const chunk of source) {
          queue.push(chunk)
          wakeAll()
        }
        state.ended = true
        wakeAll()
      },
    }
  }
  const [ab, ba] = [half(), half()]
  const abort = (error: Error): void => {
    aborted ??= error
    wakeAll()
  }
  return { near: { source: ba.source, sink: ab.sink, abort }, far: { source: ab.source, sink: ba.sink, abort }, aborted: () => aborted }
}

const frame = fc.oneof<fc.Arbitrary<Frame>[]>(
  fc.record({ kind: fc.constant('request' as const), id: fc.nat(2 ** 31), method: fc.string({ minLength: 1, maxLength: 60 }), body: fc.uint8Array({ maxLength: 200 }), deadlineMs: fc.integer({ min: 1, max: 2 ** 31 }) }),
  fc.record({ kind: fc.constant('response' as const), id: fc.nat(2 ** 31), body: fc.uint8Array({ maxLength: 200 }) }),
  fc.record({ kind: fc.constant('error' as const), id: fc.nat(2 ** 31), code: fc.constantFrom('NO_SPACE', 'X'), message: fc.constant('a sentence'), facts: fc.constantFrom({}, { a: 1, b: 'x', c: null, d: ['y'], e: true }) }),
  fc.record({ kind: fc.constant('cancel' as const), id: fc.nat(2 ** 31) }),
)

describe('net: rpc frames', () => {
  const payloadOf = (bytes: Uint8ArrayList): Uint8Array => {
    const all = bytes.subarray()
    let at = 0
    while (((all[at] ?? 0) & 0x80) !== 0) at++
    return all.subarray(at + 1)
  }

  it('come out as they went in', () => {
    fc.assert(fc.property(frame, (one) => {
      assert.deepEqual(decodeFrame(payloadOf(encodeFrame(one))), { ...one })
    }))
  })

  it('any bytes give a frame or BAD_FRAME', () => {
    const mutated = fc.tuple(frame, fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { maxLength: 6 })).map(([one, changes]) => {
      const bytes = Uint8Array.from(payloadOf(encodeFrame(one)))
      for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte
      return bytes
    })
    fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 500 }), mutated), (bytes) => {
      try {
        const one = decodeFrame(bytes)
        assert.ok(Number.isInteger(one.id))
      } catch (error) {
        assert.equal(codeOf(error), 'BAD_FRAME')
      }
    }), { numRuns: 500 })
  })

  it('a body does not pin the buffer it came in', () => {
    const large = new Uint8Array(64 * 1024)
    const encoded = payloadOf(encodeFrame({ kind: 'response', id: 1, body: new Uint8Array(100) }))
    large.set(encoded)
    const decoded = decodeFrame(large.subarray(0, encoded.length))
    assert.ok(decoded.kind === 'response' && decoded.body.buffer.byteLength === 100)
  })
})

describe('net: rpc caller', () => {
  const callerOn = (stream: RpcStream, onBadFrame: (error: unknown) => void = () => undefined): PeerCaller =>
    new PeerCaller({ peer, clock: systemClock, openStream: async () => stream, onBadFrame }, init)

  it('refuses its own excess before sending it', async () => {
    const caller = callerOn(pipeEnds().near)
    const asked = Array.from({ length: 9 }, () => caller.request('a.b', new Uint8Array(0), { deadlineMs: 60_000 }).catch((error: unknown) => codeOf(error)))
    assert.equal(await asked[8], 'OVERLOADED')
    caller.close(new Error('over'))
    assert.deepEqual(new Set(await Promise.all(asked.slice(0, 8))), new Set(['UNAVAILABLE']))
    assert.equal(caller.inFlight, 0)
  })

  it('opens a new stream after the loss of one', async () => {
    const streams = [pipeEnds(), pipeEnds()]
    let opened = 0
    const caller = new PeerCaller({ peer, clock: systemClock, openStream: async () => streams[opened++]!.near, onBadFrame: () => undefined }, init)
    const lost = caller.request('a.b', new Uint8Array(0), { deadlineMs: 60_000 }).catch((error: unknown) => codeOf(error))
    await until(() => opened === 1, 'opened')
    streams[0]!.far.abort(new Error('gone'))
    assert.equal(await lost, 'UNAVAILABLE')
    const methods = new MethodTable({ log: silentLog }, init)
    methods.register({ name: 'a.b', requestBytesMax: 10, responseBytesMax: 10, inFlightMax: 1, handle: async () => new Uint8Array([7]) })
    void respond(streams[1]!.far, peer, { methods, clock: systemClock, onBadFrame: () => undefined }, init)
    assert.deepEqual(await caller.request('a.b', new Uint8Array(0), { deadlineMs: 5000 }), new Uint8Array([7]))
    caller.close(new Error('over'))
  })

  it('a failing answer stream never leaves a request hanging, whatever it says', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
      const ends = pipeEnds()
      let bad = 0
      const caller = callerOn(ends.near, () => bad++)
      const asked = caller.request('a.b', new Uint8Array(0), { deadlineMs: 2000 }).then(() => 'answered', (error: unknown) => codeOf(error))
      void ends.far.sink([bytes] as unknown as AsyncIterable<Uint8Array>)
      assert.ok(['answered', 'UNAVAILABLE', 'DEADLINE'].includes((await asked) ?? ''))
      caller.close(new Error('over'))
    }), { numRuns: 60 })
  })
})

describe('net: rpc responder', () => {
  const serve = (bytes: AsyncIterable<Uint8Array | Uint8ArrayList>, methods = new MethodTable({ log: silentLog }, init)): { done: Promise<void>; bad: unknown[]; answers: AsyncIterable<Uint8Array | Uint8ArrayList> } => {
    const ends = pipeEnds()
    const bad: unknown[] = []
    const done = respond(ends.far, peer, { methods, clock: systemClock, onBadFrame: (error) => bad.push(error) }, init)
    void ends.near.sink(bytes).catch(() => undefined)
    return { done, bad, answers: ends.near.source }
  }
  const stream = async function* (...chunks: (Uint8Array | Uint8ArrayList)[]): AsyncGenerator<Uint8Array | Uint8ArrayList> {
    yield* chunks
  }

  it('counts what breaks the framing', async () => {
    const request: Frame = { kind: 'request', id: 1, method: 'x', body: new Uint8Array(0), deadlineMs: 1000 }
    const cases: (Uint8Array | Uint8ArrayList)[][] = [
      [lengthPrefixed.single(new Uint8Array([0xff, 0xff, 0xff]))],
      [lengthPrefixed.single(new Uint8Array(init.bodyBytesMax + 20_000))],
      [new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
      [encodeFrame({ kind: 'response', id: 1, body: new Uint8Array(0) })],
      [encodeFrame({ ...request, method: 'held' }), encodeFrame({ ...request, method: 'held' })],
    ]
    const methods = new MethodTable({ log: silentLog }, init)
    methods.register({ name: 'held', requestBytesMax: 10, responseBytesMax: 10, inFlightMax: 4, handle: () => new Promise(() => undefined) })
    for (const [i, chunks] of cases.entries()) {
      const { done, bad } = serve(stream(...chunks), methods)
      await done
      assert.equal(bad.length, 1, `case ${i}`)
      assert.ok(isFraming(bad[0]))
    }
  })

  it('any bytes end it calmly', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), async (chunks) => {
      const { done } = serve(stream(...chunks))
      await done
    }), { numRuns: 100 })
  })

  it('stops reading requests while its answers are not read', async () => {
    const methods = new MethodTable({ log: silentLog }, { ...init, requestsPerPeerMax: 1000 })
    let handled = 0
    methods.register({ name: 'big', requestBytesMax: 10, responseBytesMax: 10_000, inFlightMax: 1000, handle: async () => {
      handled++
      return new Uint8Array(10_000)
    } })
    let asked = 0
    serve((async function* () {
      for (; asked < 500; asked++) {
        yield encodeFrame({ kind: 'request', id: asked + 1, method: 'big', body: new Uint8Array(0), deadlineMs: 1000 })
        await new Promise((resolve) => setImmediate(resolve))
      }
    })(), methods).done.catch(() => undefined)
    await until(() => asked === 500, 'all asked')
    // This pipe takes whatever is written, so all of it was; with a stream that does not, what waits is bounded.
    assert.ok(handled <= 500)
  })

  /** Asks `count` times at once, lets the answers be made, and only then reads: code of each answer, or `ok`; and their bytes. */
  const hoard = async (count: number, requestBytes: number, answerBytes: number): Promise<{ outcomes: string[]; bytes: number }> => {
    const wide: RpcInit = { bodyBytesMax: 2 ** 21, requestsPerPeerMax: 1000, answersHighWaterBytes: 2 ** 22 }
    const methods = new MethodTable({ log: silentLog }, wide)
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (release = resolve))
    methods.register({ name: 'big', requestBytesMax: 2 ** 21, responseBytesMax: 2 ** 21, inFlightMax: 1000, handle: async () => {
      await gate
      return new Uint8Array(answerBytes)
    } })
    const outcomes: string[] = []
    let bytes = 0
    let asked = false
    let end: () => void = () => undefined
    const body = new Uint8Array(requestBytes)
    const done = respond({
      source: (async function* () {
        for (let id = 1; id <= count; id++) yield encodeFrame({ kind: 'request', id, method: 'big', body, deadlineMs: 60_000 })
        asked = true
        await new Promise<void>((resolve) => (end = resolve))
      })(),
      sink: async (source) => {
        await until(() => asked, 'all asked')
        release()
        await new Promise((resolve) => setTimeout(resolve, 50))
        for await (const chunk of lengthPrefixedDecode(source)) {
          bytes += chunk.byteLength
          const answer = decodeFrame(chunk)
          outcomes.push(answer.kind === 'error' ? answer.code : 'ok')
          if (outcomes.length === count) end()
        }
      },
      abort: () => end(),
    }, peer, { methods, clock: systemClock, onBadFrame: (error) => assert.fail(String(error)) }, wide)
    await until(() => outcomes.length === count, 'every request is answered')
    await done
    return { outcomes, bytes }
  }

  it('holds a bounded number of bytes for one who does not read', async () => {
    const { outcomes, bytes } = await hoard(60, 0, 2 ** 20)
    assert.ok(bytes < heldBytesMax + 2 ** 20, `${bytes} bytes waited`)
    assert.deepEqual([...new Set(outcomes)].sort(), ['OVERLOADED', 'ok'])
  })

  it('holds a bounded number of bytes of requests that wait', async () => {
    const { outcomes } = await hoard(60, 2 ** 20, 0)
    assert.equal(outcomes.filter((outcome) => outcome === 'ok').length, heldBytesMax / 2 ** 20)
  })
})

describe('net: a peer that breaks the framing', () => {
  afterEach(stopAll)

  it('is disconnected and counted', async () => {
    const mesh = new FakeMesh('framing')
    const [a, b] = [await startNode(mesh, 'a'), await startNode(mesh, 'b')]
    await a.dial(addressOf(b))
    await until(() => b.isConnected(a.self), 'connected')
    await a.rpc.request(b.self, 'net.ping', new Uint8Array(0), { deadlineMs: 5000 })
    const stream = await a.bulk.open(b.self, '/mesh/rpc/1', {})
    let gone = false
    b.on('disconnected', () => (gone = true))
    await stream.send(new Uint8Array(100).fill(0xff))
    await until(() => b.counters().framesBroken === 1 && gone, 'counted, and out')
  })
})
