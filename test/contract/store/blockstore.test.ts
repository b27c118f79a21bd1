import assert from 'node:assert/strict'
import { MemoryBlockstore } from 'blockstore-core'
import { exporter } from 'ipfs-unixfs-exporter'
import { importer } from 'ipfs-unixfs-importer'
import type { Blockstore } from 'interface-blockstore'
import { asBlockstore } from '../../../src/store/index.js'
import { block, blocks, collect, Home } from '../../unit/store/support.js'

/** What code that takes an `interface-blockstore` relies on; run on the reference in memory too, to check the suite. */
const home = new Home()
const makers: Record<string, () => Promise<Blockstore>> = {
  'MemoryBlockstore (the reference)': async () => new MemoryBlockstore(),
  'asBlockstore(store)': async () => asBlockstore((await home.open()).blocks),
}

for (const [name, make] of Object.entries(makers)) {
  describe(`contract: blockstore: ${name}`, () => {
    let store: Blockstore
    beforeEach(async () => {
      await home.make()
      store = await make()
    })
    afterEach(async () => home.remove())

    it('put gives the CID, get the bytes, twice too', async () => {
      for (let round = 0; round < 2; round++) assert.equal(await store.put(block(1).cid, block(1).bytes), block(1).cid)
      assert.deepEqual(Buffer.from(await store.get(block(1).cid)), Buffer.from(block(1).bytes))
    })

    it('put of one block many times at once', async () => {
      await Promise.all(Array.from({ length: 20 }, async () => store.put(block(1).cid, block(1).bytes)))
      assert.deepEqual(Buffer.from(await store.get(block(1).cid)), Buffer.from(block(1).bytes))
      await store.delete(block(1).cid)
      assert.equal(await store.has(block(1).cid), false)
    })

    it('putMany and getMany are streams in order', async () => {
      const all = blocks(50)
      const cids = await collect(toAsync(store.putMany(all.map(({ cid, bytes }) => ({ cid, block: bytes })))))
      assert.deepEqual(cids, all.map(({ cid }) => cid))
      const pairs = await collect(toAsync(store.getMany(all.map(({ cid }) => cid))))
      assert.deepEqual(pairs.map((pair) => Buffer.from(pair.block)), all.map(({ bytes }) => Buffer.from(bytes)))
      assert.deepEqual(pairs.map(({ cid }) => cid), all.map(({ cid }) => cid))
    })

    it('get of what is not there is NotFoundError', async () => {
      await assert.rejects(async () => store.get(block(1).cid), { name: 'NotFoundError', code: 'ERR_NOT_FOUND' })
      await assert.rejects(async () => collect(toAsync(store.getMany([block(1).cid]))), { name: 'NotFoundError' })
    })

    it('has, delete and deleteMany', async () => {
      for (const { cid, bytes } of blocks(6)) await store.put(cid, bytes)
      assert.equal(await store.has(block(0).cid), true)
      assert.equal(await store.has(block(99).cid), false)
      await store.delete(block(0).cid)
      await store.delete(block(0).cid)
      assert.equal(await store.has(block(0).cid), false)
      const deleted = await collect(toAsync(store.deleteMany(blocks(3, 1000, 1).map(({ cid }) => cid))))
      assert.equal(deleted.length, 3)
      assert.equal((await collect(toAsync(store.getAll()))).length, 2)
    })

    it('getAll gives every block', async () => {
      for (const { cid, bytes } of blocks(20)) await store.put(cid, bytes)
      const all = await collect(toAsync(store.getAll()))
      const byHash = new Map(all.map((pair) => [Buffer.from(pair.cid.multihash.bytes).toString('hex'), pair.block]))
      for (const { cid, bytes } of blocks(20)) assert.deepEqual(Buffer.from(byHash.get(Buffer.from(cid.multihash.bytes).toString('hex')) ?? []), Buffer.from(bytes))
    })

    it('an empty block is a block', async () => {
      await store.put(block(1, 0).cid, block(1, 0).bytes)
      assert.equal(await store.has(block(1, 0).cid), true)
      assert.equal((await store.get(block(1, 0).cid)).length, 0)
    })

    it('the ecosystem imports into it and exports from it', async () => {
      const { bytes } = block(7, 300_000)
      const [file] = await collect(importer([{ content: [bytes] }], store, { cidVersion: 1, rawLeaves: true }))
      const entry = await exporter(file!.cid, store)
      assert.deepEqual(Buffer.concat(await collect(entry.content())), Buffer.from(bytes))
    })
  })
}

describe('contract: blockstore: asBlockstore(store, draft)', () => {
  beforeEach(async () => home.make())
  afterEach(async () => home.remove())

  it('puts into the draft, deletes nothing', async () => {
    const { blocks: blockStore } = await home.open()
    const draft = await blockStore.draft('import')
    const store = asBlockstore(blockStore, draft)
    await store.put(block(1).cid, block(1).bytes)
    assert.equal(await store.has(block(1).cid), true)
    await assert.rejects(async () => store.delete(block(1).cid))
    await draft.abort()
    assert.equal(await store.has(block(1).cid), false)
  })
})

async function* toAsync<T>(all: Iterable<T> | AsyncIterable<T>): AsyncIterable<T> {
  yield* all
}
