import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { silentLog } from '../../../src/base/index.js'
import { Records } from '../../../src/catalog/records.js'
import type { Edit } from '../../../src/catalog/types.js'
import { MemoryKeyValue } from './memory-key-value.js'
import { cidOf, collect, settle, signerOf, TestNode, VirtualTime, World } from './world.js'

describe('catalog, one node', () => {
  it('puts, lists, changes and deletes', async () => {
    const node = await new TestNode(new World(), 'a').open()
    await node.put('/b', 'one')
    await node.put('/a/b', 'two')
    await node.put('/a b', 'three')
    await node.put('/a-b', 'four')
    await node.put('/a/c/d', 'two')
    const names = async (): Promise<string[]> => (await node.listing()).map((line) => line.slice(0, line.lastIndexOf(' ')))
    assert.deepEqual(await names(), ['/a/b', '/a/c/d', '/a b', '/a-b', '/b'])
    assert.deepEqual(await node.listing('/a'), [`/a/b ${cidOf('two')}`, `/a/c/d ${cidOf('two')}`])
    assert.deepEqual((await node.catalog.byCid(cidOf('two'))).map(({ path }) => path), ['/a/b', '/a/c/d'])
    const children = (await collect(node.catalog.children('/'))).map((child) => ('folder' in child ? `${child.folder}/` : child.record.path))
    assert.deepEqual(children, ['/a/', '/a b', '/a-b', '/b'])
    assert.deepEqual((await collect(node.catalog.children('/a'))).length, 2)
    const first = await node.catalog.get('/a/b')
    const [changed] = await node.catalog.apply([{ path: '/a/b', content: { priority: 'critical', replicas: 5, pinned: true } }])
    assert.equal(changed?.content?.cid, cidOf('two'))
    assert.equal(changed.basis.modified, first?.modified)
    await node.rm('/a/b')
    assert.equal(await node.catalog.get('/a/b'), undefined)
    await assert.rejects(node.rm('/a/b'), { code: 'NOT_FOUND' })
    assert.deepEqual((await node.catalog.byCid(cidOf('two'))).map(({ path }) => path), ['/a/c/d'])
    assert.deepEqual(await collect(node.catalog.roots()).then((roots) => roots.length), 4)
    const { files, tombstones, conflicts } = node.catalog.stats()
    assert.deepEqual({ files, tombstones, conflicts }, { files: 4, tombstones: 1, conflicts: 0 })
    await node.open()
    const again = node.catalog.stats()
    assert.deepEqual([again.files, again.tombstones], [4, 1])
  })

  it('knows the size of each root, however large', async () => {
    const node = await new TestNode(new World(), 'a').open()
    const sizes = [0, 1, 2 ** 32 - 1, 2 ** 32, 5 * 2 ** 32 + 3, Number.MAX_SAFE_INTEGER]
    await node.catalog.apply(sizes.map((size) => ({ path: `/${String(size)}`, content: { cid: cidOf(String(size)), size } })))
    const found = new Map((await collect(node.catalog.roots())).map(({ cid, size }) => [cid, size]))
    for (const size of sizes) assert.equal(found.get(cidOf(String(size))), size)
  })

  it('tells others of what is there after several edits, and not of what was in between', async () => {
    const records = await Records.open({ meta: new MemoryKeyValue(), signer: signerOf('a'), clock: new VirtualTime().clock(), log: silentLog, isMember: () => true }, { tombstoneLifetimeMs: 1e15 })
    const told: string[] = []
    records.events.on('written', (versions) => told.push(...versions.map(({ record }) => `${record.path} ${record.content?.cid ?? 'deleted'}`)))
    const edit = (path: string, text: string): Edit => ({ path, content: { cid: cidOf(text), size: 1 } })
    await records.apply([edit('/x', 'one'), edit('/y', 'two'), edit('/x', 'three')])
    assert.deepEqual(told, [`/y ${cidOf('two')}`, `/x ${cidOf('three')}`])
  })

  it('refuses an older token, and inherits one that is not given', async () => {
    const node = await new TestNode(new World(), 'a').open()
    await node.put('/x', 'one', { token: 7n })
    await assert.rejects(node.put('/x', 'two', { token: 6n }), { code: 'STALE_TOKEN' })
    assert.equal((await node.put('/x', 'three')).token, 7n)
    await node.put('/x', 'four', { token: 8n })
    await node.rm('/x')
    await assert.rejects(node.put('/x', 'five', { token: 7n }), { code: 'STALE_TOKEN' })
  })

  it('orders two changes of one path that are prepared at once, and lets go after a failed write', async () => {
    const node = await new TestNode(new World(), 'a').open()
    await Promise.all(Array.from({ length: 20 }, async (_, i) => node.put('/x', `version ${i}`)))
    assert.equal((await node.listing()).length, 1)
    assert.equal(node.catalog.stats().conflicts, 0)
    const before = await node.listing()
    node.meta.failWrites = true
    await assert.rejects(node.put('/x', 'lost'), { code: 'NO_SPACE' })
    node.meta.failWrites = false
    assert.deepEqual(await node.listing(), before)
    await node.put('/x', 'kept')
    assert.deepEqual(await node.listing(), [`/x ${cidOf('kept')}`])
  })

  it('says with a change whether the file is the only one with its content, after a restart too', async () => {
    const node = new TestNode(new World(), 'a')
    const told: string[] = []
    const start = async (): Promise<void> => {
      await node.start()
      await settle()
      node.catalog.on('change', ({ path, only }) => told.push(`${path} ${String(only)}`))
    }
    await start()
    await node.put('/one', 'one')
    await node.put('/two', 'two')
    await node.catalog.apply([{ path: '/one', content: { replicas: 3 } }])
    await node.put('/one again', 'one')
    await node.stop()
    await start()
    await node.put('/two again', 'two')
    await node.catalog.apply([{ path: '/one', content: { replicas: 2 } }])
    await node.put('/three', 'three')
    await node.rm('/three')
    await node.stop()
    assert.deepEqual(told, ['/one true', '/two true', '/one true', '/one again false', '/two again false', '/one false', '/three true', '/three false'])
  })

  it('finds the files of many contents at once, as it finds those of one', async () => {
    const node = await new TestNode(new World(), 'a').open()
    const names = Array.from({ length: 400 }, (_, i) => `content ${String(i)}`)
    await node.catalog.apply(names.map((name, i) => ({ path: `/${String(i)}`, content: { cid: cidOf(name), size: 1 } })))
    await node.catalog.apply([{ path: '/again', content: { cid: cidOf('content 7'), size: 1 } }, { path: '/8', content: 'deleted' }])
    const cids = [...names.map(cidOf), cidOf('of no file')]
    const found = await node.catalog.byCids(cids)
    assert.equal(found.size, cids.length)
    for (const cid of cids) assert.deepEqual(found.get(cid), await node.catalog.byCid(cid))
    assert.deepEqual([cidOf('content 7'), cidOf('content 8')].map((cid) => found.get(cid)?.length), [2, 0])
    // Too few of those that there are: each is asked about by itself. What is said is right all the same.
    const few = names.filter((_, i) => i % 100 === 1).map(cidOf)
    for (const [cid, records] of await node.catalog.byCids(few)) assert.deepEqual(records, await node.catalog.byCid(cid))
    assert.equal((await node.catalog.byCids([])).size, 0)
  })

  it('keeps its own clock from going back, over a restart too', async () => {
    const world = new World()
    const node = await new TestNode(world, 'a').open()
    const first = await node.put('/x', 'one')
    node.clockOffset = -86_400_000
    const second = await node.put('/x', 'two')
    assert.ok(second.modified > first.modified)
    await node.open()
    const third = await node.put('/y', 'three')
    assert.ok(third.modified > second.modified)
  })
})

describe('catalog, several nodes', () => {
  it('tells others within a second', async () => {
    const world = new World()
    const [a, b] = [await new TestNode(world, 'a').start(), await new TestNode(world, 'b').start()]
    await world.time.advance(1000)
    await a.put('/x', 'one')
    await world.time.advance(1000)
    assert.deepEqual(await b.listing(), await a.listing())
    assert.equal((await b.listing()).length, 1)
    await b.put('/x', 'two')
    await a.rm('/x')
    await world.time.advance(1000)
    // b's edit and a's deletion did not know of each other: the edit stays.
    assert.deepEqual(await a.listing(), [`/x ${cidOf('two')}`])
    assert.deepEqual(await b.listing(), [`/x ${cidOf('two')}`])
    await a.stop()
    await b.stop()
  })

  it('keeps both of two edits that did not know of each other', async () => {
    const world = new World()
    const [a, b] = [await new TestNode(world, 'a').start(), await new TestNode(world, 'b').start()]
    await a.put('/d/name.txt', 'v1')
    await world.time.advance(2000)
    world.link(a.id, b.id, false)
    await a.put('/d/name.txt', 'v2')
    await a.put('/d/name.txt', 'v3')
    await world.time.advance(1000)
    await b.put('/d/name.txt', 'w')
    world.link(a.id, b.id, true)
    await world.time.advance(3000)
    const listing = await a.listing()
    assert.deepEqual(listing, await b.listing())
    assert.equal(listing.length, 2)
    const copy = listing.find((line) => line.includes('(conflict ')) ?? ''
    assert.match(copy, /^\/d\/name \(conflict 2026-11-21 12-34-58 [A-Za-z0-9]{8}-[0-9a-z]+\)\.txt /)
    assert.ok(copy.endsWith(cidOf('v3')))
    assert.ok(listing.includes(`/d/name.txt ${cidOf('w')}`))
    const path = copy.slice(0, copy.lastIndexOf(' '))
    const record = await a.catalog.get(path)
    assert.equal(record?.conflictOf, '/d/name.txt')
    assert.deepEqual((await b.catalog.byCid(cidOf('v3'))).map((one) => one.path), [path])
    // An edit of the file leaves the copy alone; deleting the copy settles it everywhere.
    await b.put('/d/name.txt', 'w2')
    await world.time.advance(1000)
    assert.equal((await a.listing()).length, 2)
    await b.rm(path)
    await world.time.advance(1000)
    assert.deepEqual(await a.listing(), [`/d/name.txt ${cidOf('w2')}`])
    assert.deepEqual(await b.listing(), [`/d/name.txt ${cidOf('w2')}`])
    await a.stop()
    await b.stop()
  })

  it('does not lose an edit that comes while a version from elsewhere is being written', async () => {
    const world = new World()
    const [a, b] = [await new TestNode(world, 'a').start(), await new TestNode(world, 'b').start()]
    const write = b.meta.write.bind(b.meta)
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    let isWriting = false
    b.meta.write = async (operations) => {
      b.meta.write = write
      isWriting = true
      await gate
      await write(operations)
    }
    await a.put('/x', 'theirs')
    await world.time.advance(200)
    assert.ok(isWriting)
    const putting = b.put('/x', 'ours')
    await world.time.advance(200)
    open()
    await putting
    await world.time.advance(2000)
    assert.deepEqual(await b.listing(), [`/x ${cidOf('ours')}`])
    assert.deepEqual(await a.listing(), await b.listing())
    await a.stop()
    await b.stop()
  })
})
