import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { seededRandom } from '../../../src/base/index.js'
import type { Signer } from '../../../src/base/index.js'
import { ClockAgreement } from '../../../src/catalog/clock-agreement.js'
import type { Version } from '../../../src/catalog/merge.js'
import { decodeRecord, signRecord } from '../../../src/catalog/record.js'
import { redated } from '../../../src/catalog/redating.js'
import type { FileContent } from '../../../src/catalog/types.js'
import { cidOf, collect, signerOf, TestNode, VirtualTime, World } from './world.js'

const minute = 60_000
const hour = 60 * minute
const year = 365 * 24 * hour

async function mesh(...names: string[]): Promise<{ world: World; nodes: TestNode[] }> {
  const world = new World()
  return { world, nodes: await Promise.all(names.map(async (name) => new TestNode(world, name).start())) }
}

describe('catalog: a clock that is wrong', () => {
  it('says what a node wrote whose clock was years ahead, once the clock is right', async () => {
    const { world, nodes: [a, b, c] } = await mesh('a', 'b', 'c')
    assert.ok(a !== undefined && b !== undefined && c !== undefined)
    await b.put('/old', 'old')
    await b.put('/gone', 'gone')
    await world.time.advance(3 * minute)
    await a.stop()
    a.clockOffset = 3 * year
    await a.open()
    await a.put('/new', 'new')
    await a.put('/old', 'edited')
    await a.put('/old', 'edited again')
    await a.rm('/gone')
    await a.catalog.apply([{ path: '/there', content: { cid: cidOf('new'), size: 3 }, ifAbsent: true }, { path: '/new', content: 'deleted', movedTo: '/there' }])
    await a.start()
    await world.time.advance(3 * minute)
    assert.deepEqual(await b.listing(), [`/gone ${cidOf('gone')}`, `/old ${cidOf('old')}`])
    // Set right while it runs.
    a.clockOffset = 0
    await world.time.advance(5 * minute)
    const expected = [`/old ${cidOf('edited again')}`, `/there ${cidOf('new')}`]
    for (const node of [a, b, c]) assert.deepEqual(await node.listing(), expected, node.name)
    assert.equal(a.catalog.stats().conflicts, 0)
    // And is heard at once from then on.
    await a.put('/old', 'third')
    await a.put('/more', 'more')
    await world.time.advance(2000)
    assert.deepEqual(await b.listing(), [`/more ${cidOf('more')}`, `/old ${cidOf('third')}`, `/there ${cidOf('new')}`])
    for (const node of [a, b, c]) await node.stop()
  })

  it('lets everybody see the same in the end, whatever was written meanwhile', async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const random = seededRandom(seed)
      const world = new World(seed)
      const nodes = await Promise.all(['a', 'b', 'c'].map(async (name) => new TestNode(world, name, { antiEntropyIntervalMs: 20_000 }).start()))
      const [a] = nodes
      assert.ok(a !== undefined)
      for (let step = 0; step < 40; step++) {
        if (step === 10) a.clockOffset = random.below(2) === 0 ? 2 * year : 7 * hour
        if (step === 25) a.clockOffset = 0
        const node = nodes[random.below(3)] ?? a
        const path = `/${String(random.below(4))}`
        try {
          if (random.below(5) === 0) await node.rm(path)
          else await node.put(path, `${node.name} ${String(step)}`)
        } catch (error) {
          assert.ok(error instanceof Error && 'code' in error && ['NOT_FOUND', 'CLOCK_AHEAD'].includes(String(error.code)), String(error))
        }
        await world.time.advance(random.below(3) === 0 ? minute : 1000)
      }
      await world.time.advance(10 * minute)
      const seen = await a.listing()
      for (const node of nodes) {
        assert.deepEqual(await node.listing(), seen, `seed ${String(seed)}`)
        const records = await collect(node.catalog.list('/'))
        assert.ok(records.every(({ modified }) => Number(modified >> 16n) <= world.time.now), `seed ${String(seed)}: all are dated`)
      }
      // Whoever writes last, on a mesh at rest, wins everywhere.
      await a.put('/0', 'the last')
      await world.time.advance(minute)
      for (const node of nodes) assert.ok((await node.listing()).includes(`/0 ${cidOf('the last')}`), `seed ${String(seed)}`)
      for (const node of nodes) await node.stop()
    }
  }).timeout(60_000)

  it('keeps both of two versions that were not made of one another', async () => {
    const { world, nodes: [a, b] } = await mesh('a', 'b')
    assert.ok(a !== undefined && b !== undefined)
    a.clockOffset = year
    await a.put('/x', 'of a')
    await b.put('/x', 'of b')
    await world.time.advance(3 * minute)
    assert.equal(a.catalog.stats().conflicts, 1)
    assert.equal(b.catalog.stats().conflicts, 0)
    a.clockOffset = 0
    await world.time.advance(5 * minute)
    const cids = new Set((await collect(b.catalog.list('/'))).map(({ content }) => content?.cid))
    assert.deepEqual(cids, new Set([cidOf('of a'), cidOf('of b')]))
    assert.deepEqual(await a.listing(), await b.listing())
    await a.stop()
    await b.stop()
  })

  it('dates an edit of such a file before it is made, with nobody at hand', async () => {
    const { world, nodes: [a, b] } = await mesh('a', 'b')
    assert.ok(a !== undefined && b !== undefined)
    a.clockOffset = year
    await a.put('/x', 'one')
    await a.stop()
    a.clockOffset = 0
    await a.start()
    await a.put('/x', 'two')
    await world.time.advance(5 * minute)
    await a.put('/x', 'three')
    await world.time.advance(2000)
    assert.deepEqual(await b.listing(), [`/x ${cidOf('three')}`])
    await a.stop()
    await b.stop()
  })

  it('refuses edits where most others are behind, and says so; of two that differ, neither', async () => {
    const { world, nodes: [a, b, c] } = await mesh('a', 'b', 'c')
    assert.ok(a !== undefined && b !== undefined && c !== undefined)
    a.clockOffset = 3 * hour
    await world.time.advance(5 * minute)
    await assert.rejects(a.put('/x', 'one'), (error: Error & { code?: string }) => error.code === 'CLOCK_AHEAD' && /3h ahead of 2 of 2 other nodes/.test(error.message))
    assert.deepEqual([a, b].map(({ catalog }) => catalog.stats().clockAhead?.nodes), [2, undefined])
    await b.put('/y', 'two')
    a.clockOffset = 0
    await world.time.advance(5 * minute)
    await a.put('/x', 'one')
    await world.time.advance(2000)
    assert.deepEqual(await c.listing(), [`/x ${cidOf('one')}`, `/y ${cidOf('two')}`])
    await c.stop()
    a.clockOffset = 3 * hour
    await world.time.advance(2 * hour)
    await a.put('/z', 'three')
    await a.stop()
    await b.stop()
  })

  it('dates nothing anew because its own clock is behind, nor because all clocks are', async () => {
    const { world, nodes: [a, b] } = await mesh('a', 'b')
    assert.ok(a !== undefined && b !== undefined)
    await a.put('/x', 'one')
    await world.time.advance(minute)
    const [before] = await collect(a.catalog.list('/'))
    for (const offsets of [[-24 * hour, 0], [-world.time.now, -world.time.now]]) {
      for (const [i, node] of [a, b].entries()) node.clockOffset = offsets[i] ?? 0
      await world.time.advance(10 * minute)
      assert.deepEqual((await collect(a.catalog.list('/')))[0]?.modified, before?.modified)
    }
    await a.stop()
    await b.stop()
  })

  it('takes nodes for right only where they agree with one another', () => {
    const time = new VirtualTime()
    const agreement = new ClockAgreement(time.clock())
    const peers = ['p', 'q', 'r', 's'].map((name) => signerOf(name).nodeId)
    for (const [i, peer] of peers.entries()) agreement.heard(peer, time.now - (i + 1) * hour)
    assert.equal(agreement.aheadOf(), undefined)
    for (const peer of peers.slice(0, 2)) agreement.heard(peer, time.now - 2 * hour - minute)
    assert.deepEqual(agreement.aheadOf(), undefined)
    for (const peer of peers.slice(2)) agreement.heard(peer, time.now - 2 * hour)
    assert.deepEqual(agreement.aheadOf(), { nodes: 4, of: 4, aheadMs: 2 * hour })
    agreement.heard(peers[0]!, time.now)
    assert.deepEqual(agreement.aheadOf(), { nodes: 3, of: 4, aheadMs: 2 * hour })
    agreement.heard(peers[1]!, time.now)
    assert.equal(agreement.aheadOf(), undefined)
  })

  it('leaves what has a date of today alone, and both of two that are dated anew', () => {
    const [mine, theirs] = [signerOf('mine'), signerOf('theirs')]
    const content = (name: string): FileContent => ({ cid: cidOf(name), size: 1, priority: 'normal', replicas: 2, pinned: false })
    const version = (signer: Signer, modified: bigint, name: string): Version => {
      const dot = { writer: signer.nodeId, modified }
      return signRecord({ path: '/x', ...dot, content: content(name), owner: signer.nodeId, token: 0n, basis: dot, lineage: [{ writer: signer.nodeId, from: modified, to: modified }] }, signer)
    }
    const today = version(theirs, 100n, 'today')
    const [late, later] = [version(theirs, 2000n, 'late'), version(mine, 3000n, 'later')]
    let last = 200n
    const { after, written } = redated([later, late, today], { signer: mine, latest: 1000n, now: () => ++last, movedTo: () => undefined })
    assert.deepEqual(after.map(({ record }) => [record.content?.cid, record.modified, record.writer, record.owner]), [
      [cidOf('later'), 202n, mine.nodeId, mine.nodeId],
      [cidOf('late'), 201n, mine.nodeId, theirs.nodeId],
      [cidOf('today'), 100n, theirs.nodeId, theirs.nodeId],
    ])
    assert.ok(after[2] === today && written.length === 2)
    for (const { bytes } of written) decodeRecord(bytes)
  })

  it('believes no clock that it compared with before its own was set, or an hour ago', () => {
    const time = new VirtualTime()
    let offset = 0
    const agreement = new ClockAgreement(time.clock(() => offset))
    const peers = ['p', 'q', 'r'].map((name) => signerOf(name).nodeId)
    for (const peer of peers) agreement.heard(peer, time.now - hour)
    assert.deepEqual(agreement.aheadOf(), { nodes: 3, of: 3, aheadMs: hour })
    offset = -hour
    assert.equal(agreement.aheadOf(), undefined)
    assert.equal(agreement.isConfirmed(), false)
    for (const peer of peers) agreement.heard(peer, time.now - hour)
    assert.equal(agreement.isConfirmed(), true)
    time.now += 2 * hour
    assert.equal(agreement.isConfirmed(), false)
  })
})
