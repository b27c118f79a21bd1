import assert from 'node:assert/strict'
import { VirtualClock } from '../../simulation/net-clock.js'
import { MemoryNetwork } from '../../simulation/blobs/twins.js'
import { bytesOf, collect, makeNode, pieces, quick } from '../../simulation/blobs/world.js'
import type { TestNode } from '../../simulation/blobs/world.js'

describe('blobs: withholding', () => {
  const get = async (node: TestNode, from: TestNode, put: Awaited<ReturnType<TestNode['blobs']['import']>>): Promise<void> => {
    for (const ref of put.blobs) await node.blobs.fetch(ref, { holders: [from.id] })
  }
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) await new Promise<void>((resolve) => setImmediate(resolve))
  }

  it('what is withheld goes to nobody, none of its blocks, and is read here all the same', async () => {
    const network = new MemoryNetwork()
    const [a, b, c] = [makeNode(network, 1), makeNode(network, 2), makeNode(network, 3)]
    const bytes = bytesOf(3000)
    const file = await a.blobs.import(pieces(bytes, 5000))
    const other = await a.blobs.import(pieces(bytesOf(2500, 9), 5000))
    const lifts = await Promise.all(file.blobs.map(({ cid }) => a.blobs.withhold(cid)))
    const { servedBlocks } = a.blobs.stats()
    const whole = get(b, a, file)
    const range = collect(c.blobs.read(file.cid, { offset: 10, length: 5, holders: [a.id] }))
    await turns()
    assert.equal(a.blobs.stats().servedBlocks, servedBlocks)
    assert.ok((await collect(a.blobs.read(file.cid))).equals(bytes))
    // Others' blobs are not kept waiting by it, on the same stream.
    await get(b, a, other)
    for (const lift of lifts) lift()
    await whole
    assert.ok((await collect(b.blobs.read(file.cid))).equals(bytes))
    assert.ok((await range).equals(bytes.subarray(10, 15)))
  })

  it('until the last who withholds it is done, each once; what is not held is nothing to withhold', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const file = await a.blobs.import(pieces(bytesOf(900), 5000))
    const [first, second] = [await a.blobs.withhold(file.cid), await a.blobs.withhold(file.cid)]
    first()
    first()
    const fetched = get(b, a, file)
    await turns()
    assert.equal(await b.blobs.held(file.cid), undefined)
    const notHere = await b.blobs.withhold(file.cid)
    second()
    await fetched
    notHere()
    assert.ok(await b.blobs.held(file.cid))
  })

  it('a copy elsewhere is read meanwhile; and where there is none, the reader is not told that nobody has it', async () => {
    const network = new MemoryNetwork()
    const [a, b, c, d] = [makeNode(network, 1), makeNode(network, 2), makeNode(network, 3), makeNode(network, 4)]
    const file = await a.blobs.import(pieces(bytesOf(900), 5000))
    await get(b, a, file)
    await a.blobs.withhold(file.cid)
    await c.blobs.fetch(file.blobs[0]!, { holders: [a.id, b.id] })
    const lift = await b.blobs.withhold(file.cid)
    await c.blobs.withhold(file.cid)
    await assert.rejects(d.blobs.fetch(file.blobs[0]!, { holders: [a.id, b.id, c.id] }), { code: 'HOLDERS_UNREACHABLE' })
    lift()
  })

  it('is over after two minutes, whoever forgets to lift it', async () => {
    const clock = new VirtualClock()
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1, quick, undefined, clock), makeNode(network, 2)]
    const file = await clock.outcome(a.blobs.import(pieces(bytesOf(900), 5000)))
    await clock.outcome(a.blobs.withhold(file.cid))
    await clock.advance(121_000)
    await get(b, a, file)
    assert.ok(await b.blobs.held(file.cid))
  })
})
