import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { block, blocks, Home, putAll } from './support.js'

describe('store: drafts', () => {
  const home = new Home()
  beforeEach(async () => home.make())
  afterEach(async () => home.remove())

  it('what was put is readable at once, and gone when the draft is given up', async () => {
    const store = await home.open()
    const draft = await store.blocks.draft('one')
    await draft.put(block(1).cid, block(1).bytes)
    assert.deepEqual(await store.blocks.get(block(1).cid), Buffer.from(block(1).bytes))
    assert.equal(await store.blocks.has(block(1).cid), true)
    assert.deepEqual(await store.blocks.getMany([block(1).cid]), [Buffer.from(block(1).bytes)])
    assert.deepEqual(await store.blocks.drafts(), ['one'])
    assert.equal((await store.usage()).draftBytes, 1000)
    await draft.abort()
    await draft.abort()
    assert.equal(await store.blocks.has(block(1).cid), false)
    assert.deepEqual(await store.blocks.drafts(), [])
    assert.equal((await store.usage()).draftBytes, 0)
    assert.equal((await store.usage()).reclaimableBytes, 1000)
    assert.ok((await store.recount()).agrees)
  })

  it('is found again after a restart, flushed or not, and goes on', async () => {
    let store = await home.open()
    const draft = await store.blocks.draft('one')
    await draft.put(block(1).cid, block(1).bytes)
    await draft.flush()
    await draft.put(block(2).cid, block(2).bytes)
    await store.close()
    store = await home.open()
    assert.deepEqual(await store.blocks.drafts(), ['one'])
    assert.equal((await store.usage()).draftBytes, 2000)
    const again = await store.blocks.draft('one')
    // Once more: it counts once.
    for (const n of [1, 2, 3]) await again.put(block(n).cid, block(n).bytes)
    await again.commit([])
    assert.deepEqual(await store.blocks.drafts(), [])
    const usage = await store.usage()
    assert.deepEqual([usage.liveBytes, usage.draftBytes, usage.reclaimableBytes], [3000, 0, 0])
    await store.blocks.release([1, 2, 3].map((n) => block(n).cid), [])
    assert.equal((await store.usage()).blocks, 0)
    assert.ok((await store.recount()).agrees)
  })

  it('a draft that was left behind can be given up', async () => {
    let store = await home.open()
    await putAll(store, [block(1)], 'kept')
    const draft = await store.blocks.draft('left')
    for (const n of [1, 2]) await draft.put(block(n).cid, block(n).bytes)
    await draft.flush()
    await store.close()
    store = await home.open()
    await (await store.blocks.draft('left')).abort()
    assert.equal(await store.blocks.has(block(1).cid), true)
    assert.equal(await store.blocks.has(block(2).cid), false)
    assert.deepEqual(await store.blocks.drafts(), [])
    await store.close()
    store = await home.open()
    assert.deepEqual(await store.blocks.drafts(), [])
    assert.ok((await store.recount()).agrees)
  })

  it('one block in several drafts is written once, and counted for each that commits', async () => {
    const store = await home.open()
    const drafts = await Promise.all(['a', 'b', 'c'].map(async (id) => store.blocks.draft(id)))
    await Promise.all(drafts.map(async (draft) => draft.put(block(1).cid, block(1).bytes)))
    assert.equal((await store.usage()).draftBytes, 1000)
    await Promise.all([drafts[0]!.commit([]), drafts[1]!.abort(), drafts[2]!.commit([])])
    assert.equal((await store.usage()).reclaimableBytes, 0)
    await store.blocks.release([block(1).cid], [])
    assert.equal(await store.blocks.has(block(1).cid), true)
    await store.blocks.release([block(1).cid], [])
    assert.equal(await store.blocks.has(block(1).cid), false)
    assert.ok((await store.recount()).agrees)
  })

  it('a draft keeps what others release, before and after it was flushed', async () => {
    const store = await home.open()
    await putAll(store, [block(1), block(2)], 'first')
    const draft = await store.blocks.draft('second')
    assert.equal(await draft.adopt(block(1).cid), true)
    assert.equal(await draft.adopt(block(9).cid), false)
    await store.blocks.release([block(1).cid, block(2).cid], [])
    assert.equal(await store.blocks.has(block(1).cid), true)
    assert.equal(await store.blocks.has(block(2).cid), false)
    assert.equal((await store.usage()).draftBytes, 1000)
    assert.ok((await store.recount()).agrees)
    await draft.commit([])
    assert.equal((await store.usage()).liveBytes, 1000)
    await store.blocks.release([block(1).cid], [])
    assert.equal((await store.usage()).blocks, 0)
    assert.ok((await store.recount()).agrees)
  })

  it('releases, commits and aborts in one batch see one another', async () => {
    const store = await home.open()
    for (let round = 0; round < 20; round++) {
      await putAll(store, [block(1)], 'first')
      const [a, b] = await Promise.all([store.blocks.draft('a'), store.blocks.draft('b')])
      await Promise.all([a.adopt(block(1).cid), b.adopt(block(1).cid)])
      await Promise.all([store.blocks.release([block(1).cid], []), a.commit([]), b.abort()])
      assert.equal(await store.blocks.has(block(1).cid), true)
      await store.blocks.release([block(1).cid], [])
      assert.equal(await store.blocks.has(block(1).cid), false)
      assert.deepEqual(await store.blocks.drafts(), [])
      assert.ok((await store.recount()).agrees)
    }
  })

  it('flushes itself when it has many blocks in memory, and commits all of them', async () => {
    const store = await home.open({ draftBlocksInMemoryMax: 10 })
    const all = blocks(137, 100)
    await putAll(store, all)
    assert.equal((await store.usage()).blocks, 137)
    await store.blocks.release(all.map(({ cid }) => cid), [])
    assert.equal((await store.usage()).blocks, 0)
    assert.ok((await store.recount()).agrees)
  })

  it('blocks that only memory knows are found after a crash, however long ago they were put', async () => {
    const store = await home.open()
    const draft = await store.blocks.draft('long')
    await draft.put(block(1).cid, block(1).bytes)
    // Others go on: logs change, tables are written, the mark moves as far as it may.
    for (let i = 0; i < 3; i++) {
      await putAll(store, blocks(60, 100_000, 100 * (i + 1)))
      await store.blocks.release(blocks(1, 100_000, 100 * (i + 1)).map(({ cid }) => cid), [])
      await store.reclaim()
    }
    const copy = `${home.path}/copy`
    await cp(`${home.path}/blocks`, `${copy}/blocks`, { recursive: true })
    await cp(`${home.path}/meta`, `${copy}/meta`, { recursive: true })
    const found = await home.openAt(copy)
    assert.deepEqual([found.recovery.orphans, found.recovery.orphanBytes, found.recovery.missing], [1, 1000, 0])
    assert.ok((await found.recount()).agrees)
    assert.equal((await found.usage()).reclaimableBytes, 1000)
  })

  it('refuses what makes no sense', async () => {
    const store = await home.open({ draftsOpenMax: 2 })
    for (const id of ['', 'a\0b', 'x'.repeat(257), '\ud800']) await assert.rejects(store.blocks.draft(id), { code: 'BAD_INPUT' })
    const draft = await store.blocks.draft('one')
    await assert.rejects(store.blocks.draft('one'), { code: 'FORBIDDEN' })
    await store.blocks.draft('two')
    await assert.rejects(store.blocks.draft('three'), { code: 'OVERLOADED' })
    await draft.commit([])
    await assert.rejects(draft.put(block(1).cid, block(1).bytes), { code: 'CLOSED' })
    await assert.rejects(draft.commit([]), { code: 'CLOSED' })
  })

  it('a limit refuses blocks before a byte of them is written, and lets go when space came back', async () => {
    const limitBytes = 80 * 1024 * 1024
    const store = await home.open({ limitBytes })
    const all = blocks(100, 1024 * 1024)
    const taken: typeof all = []
    let refused: unknown
    for (const one of all) {
      try {
        await putAll(store, [one])
        taken.push(one)
      } catch (error) {
        refused = error
        break
      }
      assert.ok(store.boundBytes() <= limitBytes)
    }
    assert.equal((refused as { code: string }).code, 'NO_SPACE')
    assert.ok(taken.length > 30, `only ${String(taken.length)} MiB of 80 were taken`)
    await (await store.blocks.draft('other')).abort()
    store.limit(limitBytes * 2)
    await putAll(store, [block(500, 1024 * 1024)], 'after')
    store.limit(limitBytes)
    await store.blocks.release(taken.map(({ cid }) => cid), [])
    await store.reclaim()
    await putAll(store, blocks(10, 1024 * 1024, 600), 'last')
    assert.ok((await store.recount()).agrees)
  })

  it('many puts at once never pass the limit', async () => {
    const limitBytes = 40 * 1024 * 1024
    const store = await home.open({ limitBytes })
    const draft = await store.blocks.draft('all')
    const outcomes = await Promise.allSettled(blocks(300, 200_000).map(async ({ cid, bytes }) => draft.put(cid, bytes)))
    assert.ok(outcomes.some(({ status }) => status === 'rejected'))
    assert.ok(outcomes.some(({ status }) => status === 'fulfilled'))
    assert.ok(store.boundBytes() <= limitBytes)
    await draft.abort()
  })
})
