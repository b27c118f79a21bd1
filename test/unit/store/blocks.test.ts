import assert from 'node:assert/strict'
import type { StoreError } from '../../../src/store/index.js'
import { block, blocks, cidOf, collect, folderBytes, Home, putAll, until } from './support.js'

const text = new TextEncoder()

describe('store: blocks', () => {
  const home = new Home()
  beforeEach(async () => home.make())
  afterEach(async () => home.remove())

  it('keeps what was committed, over a restart', async () => {
    const all = [...blocks(50, 3000), block(1000, 0), block(1001, 1024 * 1024)]
    let store = await home.open()
    await putAll(store, all)
    for (let round = 0; round < 2; round++) {
      for (const { cid, bytes } of all) {
        assert.deepEqual(Buffer.from(await store.blocks.get(cid)), Buffer.from(bytes))
        assert.equal(await store.blocks.size(cid), bytes.length)
      }
      assert.equal((await store.usage()).blocks, all.length)
      assert.equal((await store.usage()).liveBytes, all.reduce((sum, { bytes }) => sum + bytes.length, 0))
      assert.equal((await collect(store.blocks.list())).length, all.length)
      assert.ok((await store.recount()).agrees)
      await store.close()
      store = await home.open()
      assert.equal(store.recovery.clean, true)
      assert.equal(store.recovery.orphans, 0)
    }
  })

  it('says NOT_FOUND, and undefined in getMany', async () => {
    const store = await home.open()
    await putAll(store, [block(1)])
    await assert.rejects(store.blocks.get(block(2).cid), { code: 'NOT_FOUND' })
    const many = await store.blocks.getMany([block(2).cid, block(1).cid])
    assert.equal(many[0], undefined)
    assert.deepEqual(many[1], Buffer.from(block(1).bytes))
    assert.equal(await store.blocks.has(block(2).cid), false)
    assert.equal(await store.blocks.size(block(2).cid), undefined)
  })

  it('reads as many of a list as a number of bytes allows, and one at least', async () => {
    const store = await home.open()
    const sized = [1000, 10, 2000, 3000, 10].map((size, i) => block(i, size))
    await putAll(store, sized.slice(0, 3))
    // What is only in a draft counts as well.
    const open = await store.blocks.draft('e')
    for (const { cid, bytes } of sized.slice(3)) await open.put(cid, bytes)
    const asked = [...sized.slice(0, 2), block(99), ...sized.slice(2)].map(({ cid }) => cid)
    const lengths = async (bytesMax: number): Promise<(number | undefined)[]> => (await store.blocks.getMany(asked, { bytesMax })).map((bytes) => bytes?.length)
    assert.deepEqual(await lengths(0), [1000])
    assert.deepEqual(await lengths(1009), [1000])
    assert.deepEqual(await lengths(1010), [1000, 10, undefined])
    assert.deepEqual(await lengths(6009), [1000, 10, undefined, 2000])
    assert.deepEqual(await lengths(6010), [1000, 10, undefined, 2000, 3000])
    assert.deepEqual(await lengths(6020), [1000, 10, undefined, 2000, 3000, 10])
    await open.abort()
  })

  it('writes operations in the batch of the commit, and none if the commit is refused', async () => {
    const store = await home.open()
    const slice = store.meta('blobs')
    await putAll(store, [block(1)], 'a', [slice.put(text.encode('k'), text.encode('v'))])
    assert.deepEqual(await slice.get(text.encode('k')), Buffer.from('v'))
    await assert.rejects(store.blocks.release([block(2).cid], [slice.del(text.encode('k'))]), { code: 'NOT_FOUND' })
    await assert.rejects(store.blocks.release([block(1).cid, block(1).cid], [slice.del(text.encode('k'))]), { code: 'NOT_FOUND' })
    assert.deepEqual(await slice.get(text.encode('k')), Buffer.from('v'))
    assert.ok((await store.recount()).agrees)
  })

  it('a refused change does not take others of its batch with it', async () => {
    const store = await home.open()
    await putAll(store, blocks(4))
    await putAll(store, [block(1)], 'again')
    const outcomes = await Promise.allSettled([
      store.blocks.release([block(0).cid], []),
      store.blocks.release([block(99).cid], []),
      store.blocks.release([block(1).cid, block(1).cid], []),
      store.blocks.release([block(2).cid, block(98).cid], []),
    ])
    assert.deepEqual(outcomes.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled', 'rejected'])
    assert.deepEqual(await Promise.all(blocks(4).map(async ({ cid }) => store.blocks.has(cid))), [false, false, true, true])
    assert.ok((await store.recount()).agrees)
  })

  it('a block stays as long as something refers to it', async () => {
    const store = await home.open()
    await putAll(store, [block(1), block(2)], 'a')
    await putAll(store, [block(2), block(3)], 'b')
    await putAll(store, [block(3)], 'c')
    await store.blocks.release([block(1).cid, block(2).cid], [])
    assert.deepEqual(await Promise.all([1, 2, 3].map(async (n) => store.blocks.has(block(n).cid))), [false, true, true])
    await store.blocks.release([block(2).cid, block(3).cid], [])
    assert.deepEqual(await Promise.all([1, 2, 3].map(async (n) => store.blocks.has(block(n).cid))), [false, false, true])
    await store.blocks.release([block(3).cid], [])
    const usage = await store.usage()
    assert.equal(usage.liveBytes, 0)
    assert.equal(usage.blocks, 0)
    assert.ok((await store.recount()).agrees)
  })

  it('gives space back: the folder shrinks', async () => {
    const store = await home.open()
    const kept = blocks(40, 100_000)
    const gone = blocks(200, 100_000, 1000)
    // In turns, so that what goes and what stays share tables.
    for (let i = 0; i < 40; i++) {
      await putAll(store, [...gone.slice(5 * i, 5 * i + 5), ...kept.slice(i, i + 1)], `draft ${String(i)}`)
    }
    assert.ok((await folderBytes(home.path)) > 24_000_000)
    await store.blocks.release(gone.map(({ cid }) => cid), [])
    assert.equal((await store.usage()).reclaimableBytes, 20_000_000)
    await store.reclaim()
    assert.ok((await folderBytes(home.path)) < 4_600_000, `${String(await folderBytes(home.path))} bytes left`)
    const usage = await store.usage()
    assert.equal(usage.reclaimableBytes, 0)
    assert.equal(usage.liveBytes, 4_000_000)
    assert.ok(Math.abs(usage.totalBytes - (await folderBytes(home.path))) < 10_000)
    for (const { cid, bytes } of kept) assert.deepEqual(await store.blocks.get(cid), Buffer.from(bytes))
    assert.ok((await store.recount()).agrees)
  })

  it('gives space back by itself when it is not used, not while it is paused', async () => {
    const store = await home.open({ quietMs: 20 })
    const all = blocks(100, 100_000)
    await putAll(store, all)
    store.pause()
    await store.blocks.release(all.map(({ cid }) => cid), [])
    assert.equal(store.background().paused, true)
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal((await store.usage()).reclaimableBytes, 10_000_000)
    store.resume()
    await until('the garbage is gone', () => store.background().reclaimedBytes === 10_000_000)
    assert.equal((await store.usage()).reclaimableBytes, 0)
    assert.ok((await folderBytes(home.path)) < 200_000)
  })

  it('blocks of one multihash under several codecs are one block', async () => {
    const store = await home.open()
    const { cid, bytes } = block(1)
    await putAll(store, [{ cid, bytes }])
    const other = cidOf(bytes, 0x70)
    assert.deepEqual(await store.blocks.get(other), Buffer.from(bytes))
    assert.deepEqual((await collect(store.blocks.list())).map((one) => one.cid.toString()), [cid.toString()])
  })

  it('lists in order, from any block on', async () => {
    const store = await home.open()
    await putAll(store, blocks(700, 10))
    const all = await collect(store.blocks.list())
    assert.equal(all.length, 700)
    const rest = await collect(store.blocks.list({ after: all[299]!.cid }))
    assert.deepEqual(rest.map(({ cid }) => cid.toString()), all.slice(300).map(({ cid }) => cid.toString()))
  })

  it('a second opener of the same home is told so', async () => {
    await home.open()
    await assert.rejects(home.open(), (error: StoreError) => error.code === 'LOCKED' && /one node at a time/.test(error.message))
  })

  it('says CLOSED after closing', async () => {
    const store = await home.open()
    await putAll(store, [block(1)])
    const draft = await store.blocks.draft('left')
    await store.close()
    await store.close()
    await assert.rejects(store.blocks.get(block(1).cid), { code: 'CLOSED' })
    await assert.rejects(draft.put(block(2).cid, block(2).bytes), { code: 'CLOSED' })
    await assert.rejects(store.meta('blobs').write([store.meta('blobs').put(new Uint8Array(1), new Uint8Array(1))], { durable: true }), { code: 'CLOSED' })
    await assert.rejects(store.reclaim(), { code: 'CLOSED' })
  })
})
