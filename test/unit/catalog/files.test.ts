import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { CID } from 'multiformats/cid'
import { silentLog } from '../../../src/base/index.js'
import type { FileEntry, Files, FolderItem } from '../../../src/catalog/index.js'
import { createFiles } from '../../../src/catalog/index.js'
import { bytesOf, MemoryBlobs, rawCid } from './memory-blobs.js'
import { pathKey } from '../../../src/catalog/path.js'
import { decodeVersions } from '../../../src/catalog/record.js'
import { CatalogNews } from '../../../src/catalog/wire/catalog.js'
import { cidOf, collect, signerOf, TestNode, World } from './world.js'

async function setUp(): Promise<{ world: World; node: TestNode; blobs: MemoryBlobs; files: Files }> {
  const world = new World()
  const node = await new TestNode(world, 'a').open()
  const blobs = new MemoryBlobs(node.meta)
  const files = createFiles({ catalog: node.catalog, blobs, meta: node.meta.slice('f/'), clock: world.time.clock(), log: silentLog })
  return { world, node, blobs, files }
}

const never = new AbortController().signal
const paths = async (entries: AsyncIterable<FileEntry>): Promise<string[]> => (await collect(entries)).map(({ type, path }) => (type === 'dir' ? `${path}/` : path))

describe('files', () => {
  it('puts content and its record in one write, and reads them back', async () => {
    const { files, node } = await setUp()
    const writes = node.meta.writes
    const put = await files.put('/d/x.txt', bytesOf('one'), { priority: 'high' })
    assert.equal(node.meta.writes, writes + 1)
    assert.deepEqual([put.cid, put.size, put.path, put.priority, put.replicas], [rawCid(Buffer.from('one')).toString(), 3, '/d/x.txt', 'high', 3])
    assert.equal((await files.resolve('/d/x.txt')).cid.toString(), put.cid)
    assert.equal((await files.resolve(put.cid)).record?.path, '/d/x.txt')
    assert.equal((await files.stat('/d')).type, 'dir')
    // What is not said stays.
    const again = await files.put('/d/x.txt', bytesOf('two'))
    assert.deepEqual([again.priority, again.replicas], ['high', 3])
    assert.equal((await files.put(undefined, bytesOf('three'))).record, undefined)
    assert.deepEqual(await paths(files.ls('/')), ['/d/'])
    assert.deepEqual(await paths(files.ls('/', { recursive: true })), ['/d/x.txt'])
    await assert.rejects(collect(files.ls('/no')), { code: 'NOT_FOUND' })
    await assert.rejects(files.resolve('/d'), { code: 'IS_FOLDER' })
    await assert.rejects(files.resolve('nonsense'), { code: 'BAD_RECORD' })
  })

  it('says what is in the way', async () => {
    const { files } = await setUp()
    await files.put('/d/x', bytesOf('one'))
    await assert.rejects(files.put('/d', bytesOf('two')), { code: 'IS_FOLDER' })
    await assert.rejects(files.put('/d/x/y', bytesOf('two')), { code: 'IS_FILE' })
    await assert.rejects(files.put('/d/x', bytesOf('two'), { ifAbsent: true }), { code: 'EXISTS' })
    await assert.rejects(files.put('/d/../x', bytesOf('two')), { code: 'BAD_PATH' })
    await assert.rejects(files.rm('/d'), { code: 'IS_FOLDER' })
    await assert.rejects(files.rm('/e'), { code: 'NOT_FOUND' })
    await files.put('/e', bytesOf('three'))
    await assert.rejects(files.mv('/e', '/d/x'), { code: 'EXISTS' })
    await assert.rejects(files.mv('/e', '/d'), { code: 'IS_FOLDER' })
    await assert.rejects(files.mv('/d', '/d/e'), { code: 'BAD_PATH' })
    for (const to of ['/yes', '/no']) await assert.rejects(files.mv('/no', to), { code: 'NOT_FOUND' })
    assert.deepEqual(await files.mv('/e', '/e'), { moved: 0 })
    assert.deepEqual(await files.mv('/e', '/d/x', { overwrite: true }), { moved: 1 })
    assert.deepEqual(await paths(files.ls('/', { recursive: true })), ['/d/x'])
  })

  it('sees what is in the way of a folder that was new when it began, its own files and those of others', async () => {
    const { files } = await setUp()
    const item = (relativePath: string): FolderItem => ({ relativePath, content: bytesOf(relativePath) })
    const outcomes = new Map<string, string | undefined>()
    async function* items(): AsyncGenerator<FolderItem> {
      yield item('a/b')
      while (!outcomes.has('a/b')) await new Promise((resolve) => setImmediate(resolve))
      yield item('a')
      yield item('a/b/c')
      await files.put('/new/theirs/x', bytesOf('x'))
      yield item('theirs')
      yield item('other')
    }
    for await (const { relativePath, error } of files.putFolder('/new', items())) outcomes.set(relativePath, error?.code)
    assert.deepEqual([...outcomes].sort(), [['a', 'IS_FOLDER'], ['a/b', undefined], ['a/b/c', 'IS_FILE'], ['other', undefined], ['theirs', 'IS_FOLDER']])
  })

  it('takes a folder with nothing but a conflict copy in it for one', async () => {
    const { node, world } = await setUp()
    const other = await new TestNode(world, 'b').start()
    await node.put('/d/x', 'one')
    await other.catalog.apply([{ path: '/d/x', content: { cid: cidOf('two'), size: 3 } }])
    await node.start()
    await world.time.advance(3000)
    const files = createFiles({ catalog: node.catalog, blobs: new MemoryBlobs(node.meta), meta: node.meta.slice('f/'), clock: world.time.clock(), log: silentLog })
    const [copy] = (await collect(node.catalog.list('/d'))).filter(({ conflictOf }) => conflictOf !== undefined)
    await files.rm('/d/x')
    assert.deepEqual(await paths(files.ls('/d')), [copy?.path])
    await assert.rejects(files.put('/d', bytesOf('three')), { code: 'IS_FOLDER' })
    await files.rm(copy?.path ?? '')
    assert.equal((await files.put('/d', bytesOf('three'))).path, '/d')
    await node.stop()
    await other.stop()
  })

  it('moves and removes folders', async () => {
    const { files, node } = await setUp()
    for (const name of ['a', 'b/c', 'b/d e', 'z']) await files.put(`/from/${name}`, bytesOf(name))
    await files.put('/from-else', bytesOf('else'))
    const writes = node.meta.writes
    assert.deepEqual(await files.mv('/from', '/to/here'), { moved: 4 })
    assert.equal(node.meta.writes, writes + 1)
    assert.deepEqual(await paths(files.ls('/', { recursive: true })), ['/from-else', '/to/here/a', '/to/here/b/c', '/to/here/b/d e', '/to/here/z'])
    assert.deepEqual(await files.setPriority('/to', 'critical'), { changed: 4 })
    const entry = await files.stat('/to/here/a')
    assert.ok(entry.type === 'file' && entry.priority === 'critical' && entry.replicas === 5)
    assert.deepEqual(await files.setReplicas('/to/here/a', 7), { changed: 1 })
    await files.setPriority('/to/here/a', 'low')
    const after = await files.stat('/to/here/a')
    assert.ok(after.type === 'file' && after.replicas === 7)
    for (const root of ['/', '//']) await assert.rejects(files.rm(root, { recursive: true }), { code: 'BAD_PATH' })
    assert.deepEqual(await files.rm('/to', { recursive: true }), { removed: 4 })
    assert.deepEqual(await paths(files.ls('/')), ['/from-else'])
  })

  it('moves a folder with a conflict in it, whole', async () => {
    const { files, node, world } = await setUp()
    const other = await new TestNode(world, 'b').start()
    await node.stop()
    await files.put('/d/x', bytesOf('mine'))
    await other.put('/d/x', 'theirs')
    const mine = (await collect(node.catalog.list('/')))[0]!
    await node.start()
    await world.time.advance(3000)
    assert.equal((await collect(node.catalog.list('/'))).length, 2)
    const moved = createFiles({ catalog: node.catalog, blobs: new MemoryBlobs(node.meta), meta: node.meta.slice('f/'), clock: world.time.clock(), log: silentLog })
    assert.deepEqual(await moved.mv('/d', '/e'), { moved: 2 })
    const now = await collect(node.catalog.list('/'))
    assert.equal(now.length, 2)
    assert.ok(now.every(({ path, conflictOf }) => path.startsWith('/e/x') && conflictOf === undefined))
    assert.ok(now.some(({ content }) => content?.cid === mine.content?.cid))
    await world.time.advance(3000)
    assert.deepEqual(await other.listing(), await node.listing())
    assert.equal(other.catalog.stats().conflicts, 0)
    await node.stop()
    await other.stop()
  })

  it('puts a folder, and one bad file keeps no other from being put', async () => {
    const { files } = await setUp()
    async function* items(): AsyncGenerator<FolderItem> {
      for (let i = 0; i < 40; i++) yield { relativePath: `${i % 4}/${i}`, content: bytesOf(`content ${i}`) }
      yield { relativePath: '../outside', content: bytesOf('no') }
      yield {
        relativePath: 'unreadable',
        content: (async function* () {
          yield Buffer.from('some')
          throw Object.assign(new Error('no permission'), { code: 'EACCES' })
        })(),
      }
    }
    const results = await collect(files.putFolder('/in', items()))
    assert.equal(results.length, 42)
    assert.deepEqual(results.flatMap(({ error }) => (error === undefined ? [] : [error.code])).sort(), ['BAD_PATH', 'EACCES'])
    assert.equal((await paths(files.ls('/in', { recursive: true }))).length, 40)
    // Whoever stops listening stops the work.
    for await (const { relativePath } of files.putFolder('/more', items())) if (relativePath !== '') break
    assert.ok((await collect(files.ls('/'))).length <= 2)
  })

  it('ends a folder that is cancelled at a large file, whose archive waits for somebody to have done with it', async () => {
    const { files } = await setUp()
    const stop = new AbortController()
    let isLeft = false
    async function* items(): AsyncGenerator<FolderItem> {
      yield { relativePath: 'first', content: bytesOf('first') }
      let leave = (): void => undefined
      const left = new Promise<void>((resolve) => {
        leave = resolve
      })
      const store: FolderItem['store'] = async (put) => put(bytesOf('large'), {}).finally(leave)
      stop.abort(new Error('enough'))
      yield { relativePath: 'large', content: bytesOf('large'), store }
      await left
      isLeft = true
      yield { relativePath: 'last', content: bytesOf('last') }
    }
    const late = new Promise<never>((_, reject) => setTimeout(() => { reject(new Error('it waits for ever')) }, 2000).unref())
    await assert.rejects(Promise.race([collect(files.putFolder('/d', items(), { signal: stop.signal })), late]), { message: 'enough' })
    assert.ok(isLeft)
    await assert.rejects(files.resolve('/d/large'), { code: 'NOT_FOUND' })
  })

  it('drops content once nobody catalogues it, and only then', async () => {
    const { files, blobs, world } = await setUp()
    const { cid } = await files.put('/x', bytesOf('shared'))
    await files.put('/y', bytesOf('shared'))
    await files.put('/pinned', bytesOf('pinned'))
    await files.pin(rawCid(Buffer.from('pinned')).toString(), true)
    await files.rm('/x')
    await files.rm('/pinned')
    await world.time.advance(120_000)
    assert.equal(await files.collectGarbage(never), 0)
    await files.mv('/y', '/z')
    await world.time.advance(120_000)
    assert.equal(await files.collectGarbage(never), 0)
    await files.rm('/z')
    assert.equal(await files.collectGarbage(never), 0)
    await world.time.advance(120_000)
    assert.equal(await files.collectGarbage(never), 1)
    assert.deepEqual(blobs.dropped, [cid])
    assert.equal(await files.collectGarbage(never), 0)
    // Put again while a look for garbage is under way: kept.
    await files.put('/x', bytesOf('again'))
    await files.rm('/x')
    await world.time.advance(120_000)
    let collected: Promise<number> | undefined
    blobs.beforeCommit = async () => {
      collected = files.collectGarbage(never)
      await collected
    }
    await files.put('/w', bytesOf('again'))
    assert.equal(await collected, 0)
    assert.notEqual(await blobs.held(rawCid(Buffer.from('again'))), undefined)
  })

  it('goes on letting go of content when the index by content is damaged, and keeps what files need', async () => {
    for (const how of ['value', 'key'] as const) {
      const { files, blobs, world, node } = await setUp()
      const { cid } = await files.put('/x', bytesOf('one'))
      const kept = await files.put('/y', bytesOf('two'))
      await files.put('/z', bytesOf('two'))
      // So that both contents are looked at: the second has lost one of its two files.
      await files.rm('/x')
      await files.rm('/z')
      const index = node.meta.slice('i/')
      for await (const [key, value] of index.entries({ gte: CID.parse(kept.cid).bytes })) {
        const wrong = Buffer.from(key)
        wrong[10] = (wrong[10] ?? 0) ^ 0xff
        await node.meta.write(how === 'value' ? [index.put(key, Uint8Array.of(1))] : [index.del(key), index.put(wrong, value)])
        break
      }
      await world.time.advance(120_000)
      assert.equal(await files.collectGarbage(never), 1, how)
      assert.deepEqual(blobs.dropped, [cid])
      assert.equal((await node.catalog.byCid(kept.cid)).length, 1)
    }
  })

  it('tells another room what it must not drop: pinned, waiting to be let go of here, part of a large file', async () => {
    const { files, blobs, world } = await setUp()
    const [p, q] = ['p', 'q'].map((name) => rawCid(Buffer.from(name))) as [ReturnType<typeof rawCid>, ReturnType<typeof rawCid>]
    blobs.several.set(rawCid(Buffer.from('disk')).toString(), { size: 2.5 * 2 ** 30, blobs: [p, q] })
    const { cid } = await files.put('/x', bytesOf('small'))
    const never = new AbortController().signal
    assert.equal(await files.mayBeWanted(rawCid(Buffer.from('stray')).toString(), never), false)
    await files.rm('/x')
    assert.equal(await files.mayBeWanted(cid, never), true)
    await world.time.advance(120_000)
    await files.collectGarbage(never)
    assert.equal(await files.mayBeWanted(cid, never), false)
    await files.put('/disk', bytesOf('disk'))
    assert.equal(await files.mayBeWanted(p.toString(), never), true)
    // Removed, and not let go of yet: its parts are waited for as it is.
    await files.rm('/disk')
    assert.equal(await files.mayBeWanted(q.toString(), never), true)
    await world.time.advance(120_000)
    await files.collectGarbage(never)
    assert.equal(await files.mayBeWanted(q.toString(), never), false)
  })

  it('knows the blobs of large files, and drops none while it cannot tell', async () => {
    const { files, blobs, world, node } = await setUp()
    const [p, q, r] = ['p', 'q', 'r'].map((name) => rawCid(Buffer.from(name))) as [ReturnType<typeof rawCid>, ReturnType<typeof rawCid>, ReturnType<typeof rawCid>]
    const [one, two] = [rawCid(Buffer.from('disk 1')), rawCid(Buffer.from('disk 2'))]
    blobs.several.set(one.toString(), { size: 2.5 * 2 ** 30, blobs: [p, q] })
    blobs.several.set(two.toString(), { size: 2.5 * 2 ** 30, blobs: [p, r] })
    await files.put('/disk', bytesOf('disk 1'))
    // The next version shares its first part, and was put elsewhere: its parts are not known here yet.
    await node.catalog.apply([{ path: '/disk', content: { cid: two.toString(), size: 2.5 * 2 ** 30 } }])
    await world.time.advance(120_000)
    blobs.blobsOfFails = true
    assert.equal(await files.collectGarbage(never), 0)
    // Many blobs may be in that list: it is looked for once, for all of them, and not again at once.
    const before = blobs.listed
    await Promise.all(Array.from({ length: 20 }, () => assert.rejects(files.mayBeWanted(r.toString(), never), { code: 'NO_HOLDERS' })))
    assert.equal(blobs.listed, before)
    await world.time.advance(30_000)
    await Promise.all(Array.from({ length: 20 }, () => assert.rejects(files.mayBeWanted(r.toString(), never), { code: 'NO_HOLDERS' })))
    assert.equal(blobs.listed, before + 1)
    blobs.blobsOfFails = false
    await world.time.advance(30_000)
    const dropped = await files.collectGarbage(never)
    assert.deepEqual(blobs.dropped, [q.toString(), one.toString()])
    assert.equal(dropped, 2)
    assert.deepEqual(blobs.dropped, [q.toString(), one.toString()])
  })

  it('looks for a large file\'s list for all who ask meanwhile: whoever leaves ends it for nobody else, and the last for all', async () => {
    const { files, blobs, world, node } = await setUp()
    const [p, disk] = [rawCid(Buffer.from('p')), rawCid(Buffer.from('disk'))]
    blobs.several.set(disk.toString(), { size: 2.5 * 2 ** 30, blobs: [p] })
    await node.catalog.apply([{ path: '/disk', content: { cid: disk.toString(), size: 2.5 * 2 ** 30 } }])
    let arrive = (): void => undefined
    blobs.beforeList = async () =>
      new Promise((resolve) => {
        arrive = resolve
      })
    const [first, second, last] = [new AbortController(), new AbortController(), new AbortController()]
    const left = { message: 'it left' }
    const asked = [first, second].map(async ({ signal }) => files.mayBeWanted(p.toString(), signal))
    const outcome = Promise.allSettled(asked)
    await world.time.advance(1)
    assert.equal(blobs.listed, 1)
    first.abort(new Error('it left'))
    await assert.rejects(asked[0] ?? Promise.resolve(), left)
    await world.time.advance(1)
    arrive()
    assert.equal((await outcome)[1]?.status, 'fulfilled')
    assert.equal(await asked[1], true)
    assert.equal(blobs.listed, 1)

    // A list that nobody waits for is given up, which says nothing about whether it can be had.
    const other = rawCid(Buffer.from('other disk'))
    blobs.several.set(other.toString(), { size: 2.5 * 2 ** 30, blobs: [p] })
    await node.catalog.apply([{ path: '/other', content: { cid: other.toString(), size: 2.5 * 2 ** 30 } }])
    const alone = assert.rejects(files.mayBeWanted(p.toString(), last.signal), left)
    await world.time.advance(1)
    assert.equal(blobs.listed, 2)
    last.abort(new Error('it left'))
    await alone
    await world.time.advance(1)
    const again = files.mayBeWanted(p.toString(), never)
    await world.time.advance(1)
    assert.equal(blobs.listed, 3)
    arrive()
    assert.equal(await again, true)
  })

  it('keeps the parts of a large file that is put while it looks for garbage', async () => {
    const { files, blobs, world } = await setUp()
    const [p, q] = [rawCid(Buffer.from('p')), rawCid(Buffer.from('q'))]
    const disk = rawCid(Buffer.from('disk'))
    blobs.several.set(disk.toString(), { size: 1.5 * 2 ** 30, blobs: [p, q] })
    await files.put('/disk', bytesOf('disk'))
    await files.rm('/disk')
    await world.time.advance(120_000)
    const drop = blobs.drop.bind(blobs)
    let again: Promise<unknown> | undefined
    blobs.drop = async (cid, options) => {
      again ??= files.put('/again', bytesOf('disk'))
      await again
      await drop(cid, options)
    }
    await files.collectGarbage(never)
    assert.ok(again, 'it was about to drop')
    assert.deepEqual(blobs.dropped, [])
    await world.time.advance(120_000)
    assert.equal(await files.collectGarbage(never), 0)
    await files.rm('/again')
    await world.time.advance(120_000)
    assert.equal(await files.collectGarbage(never), 3)
  })

  it('keeps the parts of a file that is being put, which nothing names yet but that', async () => {
    const { files, blobs, world } = await setUp()
    const [p, q, r] = ['p', 'q', 'r'].map((name) => rawCid(Buffer.from(name))) as [CID, CID, CID]
    const disks = ['disk 1', 'disk 2'].map((name) => rawCid(Buffer.from(name)))
    blobs.several.set(disks[0]?.toString() ?? '', { size: 2.5 * 2 ** 30, blobs: [p, q] })
    blobs.several.set(disks[1]?.toString() ?? '', { size: 2.5 * 2 ** 30, blobs: [p, r] })
    await files.put('/old', bytesOf('disk 1'))
    await files.rm('/old')
    await world.time.advance(120_000)
    let collected: Promise<number> | undefined
    blobs.beforeCommit = async () => {
      collected = files.collectGarbage(never)
      await collected
      for (const part of [p, r, disks[1]]) assert.equal(await files.isNeeded(part?.toString() ?? ''), true)
      assert.equal(await files.isNeeded(q.toString()), false)
    }
    await files.put('/new', bytesOf('disk 2'))
    assert.equal(await collected, 2)
    assert.deepEqual(blobs.dropped, [q.toString(), disks[0]?.toString()])
    // And no longer than that.
    assert.equal(await files.isNeeded(p.toString()), false)
  })

  it('keeps what was moved until it has heard where to', async () => {
    const { node: a, world } = await setUp()
    const b = await new TestNode(world, 'b').start()
    const blobs = new MemoryBlobs(b.meta)
    const files = createFiles({ catalog: b.catalog, blobs, meta: b.meta.slice('f/'), clock: world.time.clock(), log: silentLog })
    await a.start()
    // The mover has no content, and writes to the same path once more before anybody hears of it.
    const moving = createFiles({ catalog: a.catalog, blobs: new MemoryBlobs(a.meta), meta: a.meta.slice('f/'), clock: world.time.clock(), log: silentLog })
    const { cid } = await files.put('/log', bytesOf('old'))
    await world.time.advance(60_000)
    await a.stop()
    await moving.mv('/log', '/log.1')
    await moving.mv('/log.1', '/log.2')
    await moving.put('/log', bytesOf('new'))
    const tell = async (path: string): Promise<void> => {
      const stored = await a.meta.slice('v/').get(pathKey(path))
      const records = decodeVersions(stored ?? new Uint8Array(0)).map(({ bytes }) => bytes)
      const teller = signerOf('teller').nodeId
      world.setUp(teller, true)
      await world.network(teller).gossip.topic('catalog', { messageBytesMax: 65_536 }).publish(CatalogNews.encode({ records }))
      world.setUp(teller, false)
      await world.time.advance(120_000)
    }
    await tell('/log')
    assert.notEqual((await files.resolve('/log')).cid.toString(), cid)
    assert.equal(await files.collectGarbage(never), 0)
    await tell('/log.1')
    assert.equal(await files.collectGarbage(never), 0)
    await tell('/log.2')
    assert.equal(await files.collectGarbage(never), 0)
    assert.equal((await files.resolve('/log.2')).cid.toString(), cid)
    assert.notEqual(await blobs.held(rawCid(Buffer.from('old'))), undefined)
    await files.rm('/log.2')
    await world.time.advance(120_000)
    assert.equal(await files.collectGarbage(never), 1)
    await b.stop()
  })
})
