import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'mocha'
import type { BlobService } from '../../../src/blobs/index.js'
import { createBlobs } from '../../../src/blobs/index.js'
import { seededRandom, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import type { KeyValue } from '../../../src/base/index.js'
import type { Store } from '../../../src/store/index.js'
import { openStore } from '../../../src/store/index.js'
import { MemoryNetwork, nodeId } from '../../simulation/blobs/twins.js'
import type { CID, TestNode } from '../../simulation/blobs/world.js'
import { all, bytesOf, collect, makeNode, pieces, quick } from '../../simulation/blobs/world.js'

interface Home {
  store: Store
  blobs: BlobService
  meta: KeyValue
}

/** A real store under real blobs. */
async function withHome(work: (open: () => Promise<Home>, folder: string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'mesh-blobs-'))
  const stores: Store[] = []
  const open = async (): Promise<Home> => {
    const store = await openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home, writeBufferBytes: 4 * 2 ** 20 })
    stores.push(store)
    const network = new MemoryNetwork()
    const id = nodeId(1)
    const blobs = createBlobs(
      { blocks: store.blocks, meta: store.meta('blobs'), bulk: network.bulk(id), routing: network.routing(id), connections: network.connections(id), clock: systemClock, random: seededRandom(1), log: silentLog },
      quick,
    )
    return { store, blobs, meta: store.meta('catalog') }
  }
  try {
    await work(open, home)
  } finally {
    await Promise.allSettled(stores.map(async (store) => store.close()))
    await rm(home, { recursive: true, force: true })
  }
}

const contents = (count: number, from = 1): Uint8Array[] => Array.from({ length: count }, (_, i) => bytesOf(100 + i, from + i))

describe('blobs: many small files at once', () => {
  it('have the names that they have one by one, in order, and are all there after a start, with what was written with them', async () => {
    await withHome(async (open) => {
      const { blobs, meta, store } = await open()
      const many = [...contents(40), new Uint8Array(0), ...contents(2)]
      const imported = await blobs.importMany(many, { operations: async (made) => made.map(({ cid, size }) => meta.put(cid.bytes, Buffer.from(String(size)))) })
      const alone = makeNode(new MemoryNetwork(), 1).blobs
      for (const [i, { cid, size, blobs: refs }] of imported.entries()) {
        assert.equal(cid.toString(), (await alone.import(pieces(many[i] ?? new Uint8Array(0)))).cid.toString())
        assert.deepEqual([size, refs.map((ref) => `${ref.kind} ${ref.cid.toString()}`)], [many[i]?.length, [`dag ${cid.toString()}`]])
      }
      await store.close()
      const again = await open()
      for (const [i, { cid }] of imported.entries()) {
        assert.ok((await collect(again.blobs.read(cid))).equals(many[i] ?? new Uint8Array(0)))
        assert.equal(Buffer.from((await again.meta.get(cid.bytes)) ?? []).toString(), String(many[i]?.length))
      }
      assert.equal((await all(again.blobs.list())).length, 41)
      assert.ok((await again.store.recount()).agrees)
      // Each is referred to once, however often it came.
      for (const { cid } of imported) await again.blobs.drop(cid)
      assert.deepEqual([(await again.store.usage()).blocks, (await again.store.usage()).draftBytes], [0, 0])
    })
  })

  it('go beside others that bring the same, one by one or many, in any order', async () => {
    await withHome(async (open) => {
      const { blobs, store } = await open()
      const many = contents(30)
      const reversed = [...many].reverse()
      const [first, second] = await Promise.all([
        blobs.importMany(many), blobs.importMany(reversed), blobs.importMany(many.slice(10, 20)), ...many.map(async (bytes) => blobs.import(pieces(bytes))),
      ])
      assert.deepEqual(first.map(({ cid }) => cid.toString()), second.map(({ cid }) => cid.toString()).reverse())
      // Held already: nothing is added but what is to be written with it.
      await blobs.importMany(many.slice(0, 5))
      assert.ok((await store.recount()).agrees)
      assert.equal((await store.usage()).blocks, 30)
      await Promise.all([...first.map(async ({ cid }) => blobs.drop(cid)), blobs.importMany(reversed)])
      for (const { cid } of first) if ((await blobs.held(cid)) !== undefined) assert.equal((await collect(blobs.read(cid))).length > 0, true)
      for (const { cid } of first) await blobs.drop(cid)
      assert.deepEqual([(await store.usage()).blocks, (await store.usage()).draftBytes], [0, 0])
    })
  })

  it('are there or not, all of them', async () => {
    await withHome(async (open) => {
      const { blobs, store } = await open()
      await assert.rejects(blobs.importMany(contents(5), { operations: async () => Promise.reject(new Error('no record')) }), /no record/)
      store.limit((await store.usage()).totalBytes)
      await assert.rejects(blobs.importMany([...contents(3), bytesOf(1024, 9)]), { code: 'NO_SPACE' })
      assert.equal((await all(blobs.list())).length, 0)
      const { blocks, liveBytes, draftBytes } = await store.usage()
      assert.deepEqual([blocks, liveBytes, draftBytes], [0, 0, 0])
      store.limit(Number.POSITIVE_INFINITY)
      assert.equal((await blobs.importMany(contents(5))).length, 5)
      assert.ok((await store.recount()).agrees)
      await assert.rejects(blobs.importMany([bytesOf(1025)]), { code: 'BAD_INPUT' })
      assert.deepEqual(await blobs.importMany([]), [])
      const gone = new AbortController()
      gone.abort()
      await assert.rejects(blobs.importMany(contents(2), { signal: gone.signal }), { code: 'ABORTED' })
    })
  })

  it('make damaged copies of them whole', async () => {
    await withHome(async (open, home) => {
      const bytes = bytesOf(900, 77)
      const first = await open()
      const { cid } = await first.blobs.import(pieces(bytes))
      await first.store.close()
      const folder = join(home, 'blocks')
      for (const name of await readdir(folder)) {
        const file = await readFile(join(folder, name))
        const at = file.indexOf(bytes.subarray(200, 260))
        if (at < 0) continue
        file[at + 10] = (file[at + 10] ?? 0) ^ 1
        await writeFile(join(folder, name), file)
      }
      const { store, blobs } = await open()
      await assert.rejects(collect(blobs.read(cid)))
      assert.equal((await store.usage()).quarantined, 1)
      await blobs.importMany([...contents(3), bytes])
      assert.ok((await collect(blobs.read(cid))).equals(bytes))
      assert.equal((await store.usage()).quarantined, 0)
      assert.ok((await store.recount()).agrees)
      for await (const held of blobs.list()) await blobs.drop(held.cid)
      assert.equal((await store.usage()).blocks, 0)
    })
  })
})

describe('blobs: many small files from holders', () => {
  const put = async (from: TestNode, many: readonly Uint8Array[]): Promise<CID[]> => (await from.blobs.importMany(many)).map(({ cid }) => cid)

  it('come together, are what they should be, and are held from then on', async () => {
    const network = new MemoryNetwork()
    const [from, to] = [makeNode(network, 1), makeNode(network, 2)]
    const many = [...contents(30), new Uint8Array(0)]
    const cids = await put(from, many)
    await put(to, many.slice(0, 3))
    const asked = [...cids, cids[7] ?? cids[0]!]
    const { contents: read, brought } = await to.blobs.readMany(asked, { holders: [from.id] })
    for (const [i, bytes] of read.entries()) assert.ok(Buffer.from(bytes ?? []).equals(many[i] ?? many[7]!), String(i))
    assert.equal(brought, 28)
    assert.deepEqual([network.streams, network.lookups], [1, 0])
    for (const cid of cids) assert.deepEqual({ ...(await to.blobs.held(cid)), heldSinceMs: 0 }, { ...(await from.blobs.held(cid)), heldSinceMs: 0 })
    assert.deepEqual([...to.blocks.references.values()], cids.map(() => 1))
    const again = await to.blobs.readMany(asked)
    assert.equal(again.brought, 0)
    assert.deepEqual(again.contents.map((bytes) => bytes?.length), read.map((bytes) => bytes?.length))
  })

  it('are left out where the holders that are known do not have them, or nobody answers', async () => {
    const network = new MemoryNetwork()
    const [from, other, to] = [makeNode(network, 1), makeNode(network, 2), makeNode(network, 3)]
    const cids = [...(await put(from, contents(5))), ...(await put(other, contents(5, 50)))]
    const { contents: read, brought } = await to.blobs.readMany(cids, { holders: [from.id] })
    assert.deepEqual(read.map((bytes) => bytes !== undefined), cids.map((_, i) => i < 5))
    assert.deepEqual([brought, network.lookups], [5, 0])
    assert.equal((await to.blobs.readMany(cids)).contents.filter((bytes) => bytes !== undefined).length, 5)
    network.cut(other.id)
    assert.equal((await to.blobs.readMany(cids.slice(5), { holders: [other.id] })).brought, 0)
    // Names of anything else than one plain block are for `read`.
    const { cid } = await from.blobs.import(pieces(bytesOf(3000)))
    assert.deepEqual((await to.blobs.readMany([cid], { holders: [from.id] })).contents, [undefined])
  })

  it('that are damaged at the holder or here are left out, and nothing of them is kept', async () => {
    const network = new MemoryNetwork()
    const [from, to] = [makeNode(network, 1), makeNode(network, 2)]
    const many = contents(12)
    const cids = await put(from, many)
    from.blocks.flip(cids[4]!)
    const { contents: read } = await to.blobs.readMany(cids, { holders: [from.id] })
    assert.deepEqual(read.map((bytes) => bytes !== undefined), cids.map((_, i) => i !== 4))
    assert.equal(await to.blobs.held(cids[4]!), undefined)
    assert.equal(await to.blocks.has(cids[4]!), false)
    to.blocks.flip(cids[5]!)
    assert.deepEqual((await to.blobs.readMany(cids.slice(5, 7), { holders: [from.id] })).contents.map((bytes) => bytes !== undefined), [false, true])
    assert.ok((await collect(to.blobs.read(cids[5]!, { holders: [from.id] }))).equals(many[5]!))
  })

  it('come though the disk is full, and none of them is held then', async () => {
    const network = new MemoryNetwork()
    const [from, to] = [makeNode(network, 1), makeNode(network, 2)]
    const many = contents(20)
    const cids = await put(from, many)
    to.blocks.bytesMax = 1000
    const { contents: read } = await to.blobs.readMany(cids, { holders: [from.id] })
    for (const [i, bytes] of read.entries()) assert.ok(Buffer.from(bytes ?? []).equals(many[i]!))
    assert.equal((await all(to.blobs.list())).length, 0)
    assert.deepEqual([to.blocks.bytes.size, to.blocks.references.size], [0, 0])
    const gone = new AbortController()
    gone.abort()
    await assert.rejects(to.blobs.readMany(cids, { holders: [from.id], signal: gone.signal }), { code: 'ABORTED' })
  })
})
