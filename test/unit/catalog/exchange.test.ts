import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import type { NodeId } from '../../../src/base/index.js'
import { collect, signerOf, TestNode, World } from './world.js'

const day = 86_400_000

async function pair(init: ConstructorParameters<typeof TestNode>[2] = {}): Promise<{ world: World; a: TestNode; b: TestNode }> {
  const world = new World()
  return { world, a: await new TestNode(world, 'a', init).start(), b: await new TestNode(world, 'b', init).start() }
}

describe('catalog: exchange', () => {
  it('asks once an interval, in few bytes, when nothing changed', async () => {
    const { world, a, b } = await pair()
    for (let i = 0; i < 50; i++) await a.put(`/f/${i}`, `content ${i}`)
    await world.time.advance(5000)
    assert.deepEqual(await b.listing(), await a.listing())
    world.requests = []
    const messages = world.gossipMessages
    await world.time.advance(10 * 60_000)
    assert.equal(world.gossipMessages, messages)
    assert.ok(world.requests.length >= 8 && world.requests.length <= 45, `${world.requests.length} requests`)
    assert.ok(world.requests.every(({ method, request, response }) => method === 'catalog.digest' && request + response < 40))
    await a.stop()
    await b.stop()
  })

  it('hears from who is awake within seconds, whoever else is connected and asleep', async () => {
    const world = new World()
    world.lossOfGossip = 1
    const awake = await new TestNode(world, 'awake').start()
    await awake.put('/news', 'x')
    const asleep = [await new TestNode(world, 'b').start(), await new TestNode(world, 'c').start()]
    for (const { id } of asleep) {
      world.silent.add(id)
      world.link(awake.id, id, false)
    }
    const newcomer = new TestNode(world, 'newcomer')
    world.link(newcomer.id, awake.id, false)
    await newcomer.start()
    await world.time.advance(1_000)
    // Both of those that are asked at once are asleep.
    world.link(newcomer.id, awake.id, true)
    await world.time.advance(6_000)
    assert.deepEqual((await newcomer.listing()).map((line) => line.split(' ')[0]), ['/news'])
    for (const node of [newcomer, awake, ...asleep]) await node.stop()
  })

  it('announces a burst instead of flooding, and everybody has it within seconds', async () => {
    const { world, a, b } = await pair()
    await world.time.advance(1000)
    for (let i = 0; i < 3000; i++) {
      await a.put(`/burst/${i % 30}/${i}`, `content ${i}`)
      if (i % 1000 === 999) await world.time.advance(1000)
    }
    await world.time.advance(4000)
    assert.equal(b.catalog.stats().files, 3000)
    assert.ok(world.gossipMessages < 60, `${world.gossipMessages} messages`)
    assert.ok(a.catalog.stats().sent.records <= 1400)
    await a.stop()
    await b.stop()
  })

  it('finds one difference in many by little traffic', async () => {
    const { world, a, b } = await pair({ antiEntropyIntervalMs: 10_000 })
    await a.catalog.apply(Array.from({ length: 3000 }, (_, i) => ({ path: `/many/${i}`, content: { cid: 'bafkreienrv4wurfegkzovjigjsy4k35lvhv6mglwdi6xfsom76yrnsl6de', size: i } })))
    await world.time.advance(5000)
    assert.equal(b.catalog.stats().files, 3000)
    world.lossOfGossip = 1
    world.requests = []
    await b.put('/many/1', 'changed')
    await world.time.advance(20_000)
    assert.deepEqual(await a.listing('/many'), await b.listing('/many'))
    assert.ok(world.requests.reduce((sum, { request, response }) => sum + request + response, 0) < 40_000)
    await a.stop()
    await b.stop()
  })

  it('takes what is from the future when its time has come, and counts it until then', async () => {
    const { world, a, b } = await pair()
    a.clockOffset = 3600_000
    await a.put('/early', 'bird')
    await world.time.advance(60_000)
    assert.deepEqual(await b.listing(), [])
    assert.ok(b.catalog.stats().received.future > 0)
    await world.time.advance(3600_000)
    assert.equal((await b.listing()).length, 1)
    await a.stop()
    await b.stop()
  })

  it('takes records of members only', async () => {
    const world = new World()
    const stranger = signerOf('stranger').nodeId
    let isKnown = false
    const check = (id: NodeId): boolean => id !== stranger || isKnown
    const a = await new TestNode(world, 'stranger').start()
    const b = await new TestNode(world, 'b', {}, check).start()
    await a.put('/x', 'one')
    await world.time.advance(5000)
    assert.deepEqual(await b.listing(), [])
    assert.ok(b.catalog.stats().received.notMember > 0)
    assert.deepEqual(world.verdicts, ['ignore'])
    // Its certificate arrives later: so do its records.
    isKnown = true
    await world.time.advance(12 * 60_000)
    assert.equal((await b.listing()).length, 1)
    await a.stop()
    await b.stop()
  })

  it('forgets deletions after their lifetime', async () => {
    const { world, a, b } = await pair({ antiEntropyIntervalMs: 600_000 })
    await a.put('/x', 'one')
    await a.rm('/x')
    await a.put('/y', 'two')
    await world.time.advance(60_000)
    assert.equal(b.catalog.stats().tombstones, 1)
    // Months pass, in steps, so that nobody takes it for an absence.
    for (let month = 0; month < 7; month++) {
      world.time.now += 30 * day
      await world.time.advance(3 * 3600_000)
    }
    for (const node of [a, b]) {
      assert.equal(node.catalog.stats().tombstones, 0)
      assert.equal(node.catalog.stats().files, 1)
      assert.equal(node.catalog.stats().returning, false)
    }
    await a.stop()
    await b.stop()
  })

  it('does not bring back what was deleted during an absence longer than deletions are remembered', async () => {
    const world = new World()
    const init = { antiEntropyIntervalMs: 600_000 }
    const [a, b, away] = [await new TestNode(world, 'a', init).start(), await new TestNode(world, 'b', init).start(), await new TestNode(world, 'away', init).start()]
    await a.put('/deleted', 'meanwhile')
    await a.put('/kept', 'all the time')
    await world.time.advance(3600_000)
    assert.equal(away.catalog.stats().files, 2)
    await away.stop()
    await a.rm('/deleted')
    for (let month = 0; month < 8; month++) {
      world.time.now += 30 * day
      await world.time.advance(3 * 3600_000)
    }
    assert.equal(a.catalog.stats().tombstones, 0)
    // Offline it shows what it had, and takes new files.
    await away.open()
    assert.equal(away.catalog.stats().returning, true)
    await away.put('/new', 'written offline')
    assert.equal((await away.listing()).length, 3)
    await away.start()
    await world.time.advance(3600_000)
    const expected = await a.listing()
    assert.deepEqual(expected.map((line) => line.split(' ')[0]), ['/kept', '/new'])
    assert.deepEqual(await b.listing(), expected)
    assert.deepEqual(await away.listing(), expected)
    assert.equal(away.catalog.stats().returning, false)
    for (const node of [a, b, away]) await node.stop()
  })

  it('loses nothing to a new member that it meets first after a long absence', async () => {
    const { world, a, b } = await pair()
    await a.put('/x', 'one')
    await a.put('/y', 'two')
    await world.time.advance(120_000)
    await a.stop()
    await b.stop()
    world.time.now += 300 * day
    const fresh = await new TestNode(world, 'fresh').start()
    await fresh.put('/new', 'three')
    await b.start()
    assert.equal(b.catalog.stats().returning, true)
    await world.time.advance(2 * 3600_000)
    for (const node of [b, fresh]) {
      assert.deepEqual((await node.listing()).map((line) => line.split(' ')[0]), ['/new', '/x', '/y'])
      assert.equal(node.catalog.stats().returning, false)
    }
    await fresh.stop()
    await b.stop()
  })

  it('keeps everything where all were away', async () => {
    const { world, a, b } = await pair()
    await a.put('/x', 'one')
    await a.put('/gone', 'two')
    await world.time.advance(120_000)
    await a.rm('/gone')
    await world.time.advance(120_000)
    await a.stop()
    await b.stop()
    world.time.now += 300 * day
    await a.start()
    await b.start()
    await world.time.advance(2 * 3600_000)
    for (const node of [a, b]) {
      assert.deepEqual((await node.listing()).length, 1)
      assert.equal(node.catalog.stats().returning, false)
    }
    await a.stop()
    await b.stop()
  })

  it('brings all tables up to date at a change, and tells who listens what is to be seen', async () => {
    const { world, a, b } = await pair()
    const seen: string[] = []
    b.catalog.on('change', ({ path, previous, current, local }) => {
      seen.push(`${path} ${previous === undefined ? 'new' : 'old'} ${current.content === undefined ? 'gone' : 'there'} ${local}`)
    })
    await a.put('/x', 'one')
    await world.time.advance(1000)
    await a.put('/x', 'two')
    await world.time.advance(1000)
    await b.rm('/x')
    await world.time.advance(1000)
    assert.deepEqual(seen, ['/x new there false', '/x old there false', '/x old gone true'])
    assert.deepEqual(await collect(a.catalog.roots()), [])
    assert.equal((await collect(a.catalog.unreferenced())).length, 2)
    await a.stop()
    await b.stop()
  })
})
