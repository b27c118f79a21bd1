import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { codeOf } from '../../../src/base/index.js'
import type { Clock } from '../../../src/base/index.js'
import { uploadOf } from '../../../src/gateways/http/body.js'

/** Timers that run when the test says so. */
class Timers {
  readonly waiting = new Set<() => void>()
  readonly clock = {
    setTimer: (_ms: number, run: () => void) => {
      this.waiting.add(run)
      return () => this.waiting.delete(run)
    },
  } as unknown as Clock
}

describe('HTTP door: uploads', () => {
  let request: IncomingMessage
  let timers: Timers
  let upload: AsyncIterator<Uint8Array>
  beforeEach(() => {
    request = new IncomingMessage(new Socket())
    timers = new Timers()
    upload = uploadOf(request, timers.clock)[Symbol.asyncIterator]()
  })

  it('come as they are sent, and end when they end', async () => {
    request.push(Buffer.from('one'))
    assert.equal(String((await upload.next()).value), 'one')
    const second = upload.next()
    await Promise.resolve()
    request.push(Buffer.from('two'))
    assert.equal(String((await second).value), 'two')
    request.push(null)
    assert.equal((await upload.next()).done, true)
    assert.equal(timers.waiting.size, 0)
  })

  it('are given up when nothing comes; the time that we take does not count', async () => {
    request.push(Buffer.from('one'))
    await upload.next()
    // Nobody asks for more: nobody waits for the client.
    assert.equal(timers.waiting.size, 0)
    request.push(Buffer.from('two'))
    assert.equal(String((await upload.next()).value), 'two')
    const third = upload.next()
    third.catch(() => undefined)
    await new Promise(setImmediate)
    assert.equal(timers.waiting.size, 1)
    for (const run of timers.waiting) run()
    await assert.rejects(third, (error) => codeOf(error) === 'TOO_SLOW')
    assert.equal(request.destroyed, false, 'the answer must get through')
  })

  it('that break off say so', async () => {
    const first = upload.next()
    first.catch(() => undefined)
    await new Promise(setImmediate)
    request.destroy(new Error('gone'))
    await assert.rejects(first, (error) => codeOf(error) === 'BAD_INPUT')
    assert.equal(timers.waiting.size, 0)
  })
})
