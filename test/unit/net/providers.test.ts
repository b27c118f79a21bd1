import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { CodedError, systemClock, type NodeId } from '../../../src/base/index.js'
import type { Net } from '../../../src/net/index.js'
import { ProviderRecords } from '../../../src/net/routing/provider-records.js'
import { provideMethod } from '../../../src/net/routing/providing.js'
import { ProvideRequest } from '../../../src/net/wire/kad.js'
import { FakeMesh, MemoryMeta, addressOf, startNode, stopAll, until } from './fixture.js'

const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

async function find(net: Net): Promise<NodeId[]> {
  const found: NodeId[] = []
  for await (const holder of net.routing.findProviders(cid, { signal: AbortSignal.timeout(5000) })) found.push(holder)
  return found.sort()
}

describe('net: who provides', () => {
  const realNow = Date.now
  afterEach(async () => {
    Date.now = realNow
    await stopAll()
  })

  it('is found when nobody can dial it', async () => {
    const mesh = new FakeMesh('providers')
    const [a, b] = [await startNode(mesh, 'hidden a', { listen: [] }), await startNode(mesh, 'hidden b')]
    const c = await startNode(mesh, 'hidden c')
    for (const net of [a, c]) await net.dial(addressOf(b))
    await a.routing.provide([cid])
    await until(() => a.provideLagMs() === 0, 'announced')
    let found: NodeId[] = []
    await until(async () => (found = await find(c)).length > 0, 'c finds a')
    assert.deepEqual(found, [a.self])
  })

  it('is found eight hours later: connections last, and so do records', async () => {
    const mesh = new FakeMesh('providers')
    const [a, b, c] = [await startNode(mesh, 'late a'), await startNode(mesh, 'late b'), await startNode(mesh, 'late c')]
    for (const net of [a, c]) await net.dial(addressOf(b))
    await c.dial(addressOf(a))
    await a.routing.provide([cid])
    await until(async () => (await find(c)).length > 0, 'c finds a')
    // Only libp2p asks for the date in this way.
    Date.now = () => realNow() + 8 * 3_600_000
    assert.deepEqual(await find(c), [a.self])
    assert.deepEqual(await find(b), [a.self])
  })

  it('is found although one that asks has records of a node that it has not met since it started', async () => {
    const mesh = new FakeMesh('providers')
    const meta = new MemoryMeta()
    const first = await startNode(mesh, 'again b', { meta })
    const gone = await startNode(mesh, 'again gone')
    await gone.dial(addressOf(first))
    await gone.routing.provide([cid])
    await until(async () => (await find(first)).length > 0, 'the record is at b')
    await Promise.all([gone.stop(), first.stop()])
    const [a, b, c] = [await startNode(mesh, 'again a'), await startNode(mesh, 'again b', { meta }), await startNode(mesh, 'again c')]
    for (const net of [a, c]) await net.dial(addressOf(b))
    await a.routing.provide([cid])
    let found: NodeId[] = []
    await until(async () => (found = await find(c)).length > 0, 'c finds a by asking b')
    assert.deepEqual(found, [a.self])
  })

  it('is told by the batch, and over kad-dht to a node that knows no batches', async () => {
    const mesh = new FakeMesh('providers')
    const [a, b, c] = [await startNode(mesh, 'batch a'), await startNode(mesh, 'batch b'), await startNode(mesh, 'batch c')]
    const asked: string[] = []
    const ask = a.rpc.request.bind(a.rpc)
    let isOld = false
    a.rpc.request = async (peer, method, body, options) => {
      asked.push(method)
      if (isOld && method === 'kad.provide') throw new CodedError('UNKNOWN_METHOD', 'this node knows no method kad.provide')
      return ask(peer, method, body, options)
    }
    for (const net of [a, c]) await net.dial(addressOf(b))
    const cids = Array.from({ length: 300 }, (_, i) => CID.createV1(0x55, createDigest(0x12, createHash('sha256').update(String(i)).digest())).toString())
    await a.routing.provide(cids)
    // A round has 256.
    await until(() => asked.filter((method) => method === 'kad.provide').length === 2, 'announced')
    const all = async (net: Net, wanted: readonly string[]): Promise<boolean> => {
      for (const one of wanted) {
        let found = 0
        for await (const holder of net.routing.findProviders(one, { signal: AbortSignal.timeout(5000) })) found += holder === a.self ? 1 : 2
        if (found !== 1) return false
      }
      return true
    }
    await until(async () => all(b, [0, 255, 256, 299].map((i) => cids[i]!)), 'b has all')
    assert.deepEqual(await find(c), [])
    isOld = true
    await a.routing.provide([cid])
    await until(async () => (await find(c)).length > 0, 'c finds a by asking b, which took it over kad-dht')
  })

  it('is what the connection says, and garbage is refused', async () => {
    const taken: [multihashes: number, provider: string, addresses: string[]][] = []
    let addresses: string[] = []
    const method = provideMethod({
      records: {
        putAll: async (multihashes, provider) => {
          taken.push([multihashes.length, provider, addresses])
          return Promise.resolve()
        },
      },
      met: async (_peer, at) => {
        addresses = at.map(String)
        return Promise.resolve()
      },
    })
    const from = 'the asker' as NodeId
    const ask = async (request: Uint8Array): Promise<Uint8Array> => method.handle(request, { from, signal: AbortSignal.timeout(1000) })
    const multihash = CID.parse(cid).multihash.bytes
    const at = multiaddr('/ip4/127.0.0.1/tcp/1').bytes
    assert.equal((await ask(ProvideRequest.encode({ multihashes: [multihash, multihash], multiaddrs: [at] }))).length, 0)
    for (const bad of [
      Buffer.from('garbage'),
      ProvideRequest.encode({ multihashes: [multihash], multiaddrs: [] }),
      ProvideRequest.encode({ multihashes: [multihash.subarray(1)], multiaddrs: [at] }),
      ProvideRequest.encode({ multihashes: [multihash], multiaddrs: [Uint8Array.of(1, 2, 3)] }),
      ProvideRequest.encode({ multihashes: [multihash], multiaddrs: [new Uint8Array(0)] }),
      ProvideRequest.encode({ multihashes: [multihash], multiaddrs: [multiaddr('/tls'.repeat(600)).bytes] }),
      ProvideRequest.encode({ multihashes: Array.from({ length: 1025 }, () => multihash), multiaddrs: [at] }),
    ]) await assert.rejects(ask(bad), { code: 'BAD_INPUT' })
    assert.deepEqual(taken, [[2, from, ['/ip4/127.0.0.1/tcp/1']]])
  })

  it('counts once who says one thing again and again, and leaves room for others', async () => {
    const meta = new MemoryMeta()
    const records = new ProviderRecords({ meta, clock: systemClock }, { validityMs: 3_600_000, recordsMax: 3, memoryEntriesMax: 10 })
    const multihashes = [1, 2, 3, 4].map((n) => createDigest(0x12, createHash('sha256').update(String(n)).digest()).bytes)
    for (let n = 0; n < 5; n++) await records.putAll([...multihashes.slice(0, 2), ...multihashes.slice(0, 2)], 'one' as NodeId)
    assert.equal(records.count, 2)
    await records.putAll(multihashes, 'two' as NodeId)
    assert.equal(records.count, 3)
    await records.putAll(multihashes.slice(0, 2), 'one' as NodeId)
    assert.equal(records.count, 3)
  })
})
