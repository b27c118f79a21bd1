import assert from 'node:assert/strict'
import { EventEmitter, getEventListeners } from 'node:events'
import type { NodeId, Rpc } from '../../../src/base/index.js'
import { CommonError, createSigner, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { Transport } from '../../../src/consensus/driver/transport.js'
import type { Request } from '../../../src/consensus/messages.js'
import { PeerCaller } from '../../../src/net/rpc/caller.js'
import { until } from './mesh.js'

const idOf = (number: number): NodeId => createSigner(new Uint8Array(32).fill(number)).nodeId

describe('lease frames to peers that stand still', () => {
  it('are many at once without a word of a leak, and leave nothing behind', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => { warnings.push(warning) }
    process.on('warning', onWarning)
    const [self, peer] = [idOf(1), idOf(2)]
    const signals = new Set<AbortSignal>()
    // The real caller, over a stream that takes everything and never answers.
    const never = new EventEmitter()
    const caller = new PeerCaller({
      peer, clock: systemClock, onBadFrame: () => undefined,
      openStream: async () => ({
        source: (async function* (): AsyncGenerator<Uint8Array> { await new Promise((resolve) => { never.once('over', resolve) }); yield* [] })(),
        sink: async (source) => { for await (const chunk of source) chunk.slice() },
        abort: () => undefined,
      }),
    }, { bodyBytesMax: 1_000_000, requestsPerPeerMax: 1000, answersHighWaterBytes: 1_000_000 })
    const rpc: Rpc = {
      register: () => undefined,
      request: async (_peer, method, body, options) => {
        if (options.signal !== undefined) signals.add(options.signal)
        return caller.request(method, body, options)
      },
    }
    const controller = new AbortController()
    try {
      const transport = new Transport({ rpc, clock: systemClock, random: systemRandom, log: silentLog }, { self, handlers: { requests: async () => [], replies: () => undefined, peer: () => undefined } })
      transport.start(controller.signal)
      const session = { node: self, incarnation: '00'.repeat(16), epoch: 1 }
      for (let counter = 1; counter <= 40; counter++) {
        const request: Request = { config: 0, incarnation: session.incarnation, nonce: { start: '11'.repeat(16), counter }, sender: session, seen: { start: '', sequence: 0 }, body: { kind: 'epoch' } }
        transport.request(peer, request)
        // Another turn, another frame.
        await new Promise((resolve) => { setImmediate(resolve) })
      }
      await until(() => caller.inFlight === 40)
      assert.equal(getEventListeners(controller.signal, 'abort').length, 1)
      caller.close(new CommonError('UNAVAILABLE', 'it is gone'))
      await until(() => caller.inFlight === 0)
      assert.deepEqual([...signals].map((signal) => getEventListeners(signal, 'abort').length), [0])
      // Warnings come a turn later.
      await new Promise((resolve) => { setImmediate(resolve) })
      assert.deepEqual(warnings, [])
    } finally {
      never.emit('over')
      controller.abort()
      process.off('warning', onWarning)
    }
  })
})
