import assert from 'node:assert/strict'
import { RPC } from '@chainsafe/libp2p-gossipsub/message'
import fc from 'fast-check'
import type { GossipService } from '../../../src/net/gossip.js'
import { GossipTally } from '../../../src/net/gossip-tally.js'
import { FakeMesh, addressOf, startNode, stopAll, until } from './fixture.js'

const bytes = (max: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: 1, maxLength: max })
const text = fc.string({ unit: fc.constantFrom('a', '/'), minLength: 1, maxLength: 150 })

describe('the tally of gossip', () => {
  it('adds up to what is encoded', () => {
    const message = fc.record({ from: bytes(38), data: bytes(20_000), seqno: bytes(8), topic: fc.constantFrom('/quota', '/other'), signature: bytes(64), key: bytes(36) })
    const control = fc.record({
      ihave: fc.array(fc.record({ topicID: text, messageIDs: fc.array(bytes(40)) })),
      iwant: fc.array(fc.record({ messageIDs: fc.array(bytes(40), { minLength: 1 }) })),
      graft: fc.array(fc.record({ topicID: text })),
      prune: fc.array(fc.record({ topicID: text, peers: fc.constant<RPC.PeerInfo[]>([]), backoff: fc.integer({ min: 1, max: 127 }) })),
      idontwant: fc.array(fc.record({ messageIDs: fc.array(bytes(20), { minLength: 1 }) })),
    })
    const subscription = fc.record({ subscribe: fc.boolean(), topic: text })
    fc.assert(
      fc.property(fc.array(message), fc.array(subscription), fc.option(control, { nil: undefined }), fc.integer({ min: 0, max: 3 }), (messages, subscriptions, control, receivers) => {
        const rpc: RPC = { messages, subscriptions, ...(control === undefined ? {} : { control }) }
        const service = { handleReceivedRpc: () => undefined, sendRpc: () => receivers > 0, sendRpcInBatch: () => undefined }
        const tally = new GossipTally({ names: new Map([['/quota', 'quota']]) })
        tally.watch(service as Partial<GossipService> as GossipService)
        const call = (name: keyof typeof service, ...args: unknown[]): unknown => Reflect.apply(service[name], service, args)
        call('handleReceivedRpc', 'somebody', rpc)
        call('sendRpc', 'somebody', rpc)
        call('sendRpcInBatch', new Set(Array.from({ length: receivers }, (_, i) => String(i))), rpc)
        const { length } = RPC.encode(rpc)
        const sentBytes = length + (length < 128 ? 1 : length < 16_384 ? 2 : 3)
        const counts = Object.values(tally.counts())
        assert.equal(counts.reduce((sum, count) => sum + count.receivedBytes, 0), sentBytes)
        assert.equal(counts.reduce((sum, count) => sum + count.sentBytes, 0), sentBytes * (receivers + Number(receivers > 0)))
        assert.equal(tally.counts().quota?.receivedMessages, messages.filter(({ topic }) => topic === '/quota').length)
      }),
      { seed: 1, numRuns: 200 },
    )
  })

  it('counts what two nodes say to each other', async () => {
    const mesh = new FakeMesh('tally')
    try {
      const a = await startNode(mesh, 'tally a')
      const b = await startNode(mesh, 'tally b')
      await a.dial(addressOf(b))
      let heard = 0
      const topic = a.gossip.topic('quota', { messageBytesMax: 1000 })
      topic.subscribe(() => 'accept')
      b.gossip.topic('quota', { messageBytesMax: 1000 }).subscribe(() => {
        heard++
        return 'accept'
      })
      let said = 0
      await until(() => {
        if (heard < 3) void topic.publish(new Uint8Array(500).fill(++said)).catch(() => undefined)
        return heard >= 3
      }, 'b to hear')
      const { quota, control, catalog } = b.counters().gossip
      assert.ok((quota?.receivedBytes ?? 0) >= 3 * 500)
      assert.ok((quota?.receivedMessages ?? 0) >= 3)
      assert.ok((control?.receivedBytes ?? 0) > 0)
      assert.equal(catalog?.receivedBytes, 0)
      assert.ok((a.counters().gossip.quota?.sentBytes ?? 0) >= (quota?.receivedBytes ?? 0))
    } finally {
      await stopAll()
    }
  })
})
