import assert from 'node:assert/strict'
import fc from 'fast-check'
import { DirectReading } from '../../../src/net/direct-reading.js'
import { frameBytesMax } from '../../../src/net/transport/receive-buffers.js'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('net: bytes taken as they come', () => {
  it('all arrive in order, however often the reader makes them wait', async () => {
    await fc.assert(fc.asyncProperty(
      fc.array(fc.record({ length: fc.integer({ min: 1, max: 2 * frameBytesMax }), waits: fc.boolean(), pause: fc.boolean() }), { maxLength: 24 }),
      async (steps) => {
        const sent: Uint8Array[] = []
        const got: Uint8Array[] = []
        let call = 0
        let given = 0
        let readBytes = 0
        const reading = new DirectReading((chunk) => {
          got.push(Uint8Array.from(chunk))
          readBytes += chunk.length
          return steps[call++ % steps.length]?.waits === true ? turn() : undefined
        }, { onRead: () => { assert.equal(reading.waitingBytes, given - readBytes) }, onFailed: (error) => { throw error } })
        for (const [i, { length, pause }] of steps.entries()) {
          const lent = Buffer.alloc(length)
          for (let at = 0; at < length; at += 997) lent[at] = (i * 7 + at) & 0xff
          sent.push(Uint8Array.from(lent))
          given += length
          reading.push(lent)
          lent.fill(0xee)
          if (pause) await turn()
        }
        await reading.idle()
        assert.equal(reading.waitingBytes, 0)
        assert.equal(Buffer.compare(Buffer.concat(got), Buffer.concat(sent)), 0)
      },
    ), { numRuns: 40 })
  })

  it('end with what the reader throws, at once or late, and are told of it once', async () => {
    for (const late of [false, true]) {
      const failures: unknown[] = []
      let calls = 0
      const reading = new DirectReading(() => {
        calls++
        if (!late) throw new Error('no')
        return turn().then(() => { throw new Error('no') })
      }, { onRead: () => undefined, onFailed: (error) => failures.push(error) })
      reading.push(Buffer.from([1]))
      reading.push(Buffer.from([2]))
      await reading.idle()
      await turn()
      reading.push(Buffer.from([3]))
      assert.deepEqual(failures.map(String), ['Error: no'])
      assert.equal(calls, 1)
      assert.equal(reading.waitingBytes, 0)
    }
  })
})
