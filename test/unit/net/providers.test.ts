import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import type { Net } from '../../../src/net/index.js'
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
})
