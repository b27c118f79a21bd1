import assert from 'node:assert/strict'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import type { Block } from './support.js'
import { block, blocks, collect, folderBytes, Home, putAll } from './support.js'

describe('store: quarantine', () => {
  const home = new Home()
  beforeEach(async () => home.make())
  afterEach(async () => home.remove())

  /** Flips a byte of the block where it lies on the disk. The store is closed. */
  async function damage({ bytes }: Block): Promise<void> {
    const folder = join(home.path, 'blocks')
    for (const name of await readdir(folder)) {
      const file = await readFile(join(folder, name))
      const at = file.indexOf(Buffer.from(bytes.buffer, bytes.byteOffset, 64))
      if (at < 0) continue
      file[at + 10] = (file[at + 10] ?? 0) ^ 1
      await writeFile(join(folder, name), file)
      return
    }
    assert.fail('the block is not on the disk')
  }

  interface Row {
    key: Uint8Array
    value: Uint8Array
  }

  /** Writes over rows of `meta`, whose prefix this is. The store is closed. */
  async function changeRows(prefix: string, change: (rows: Row[]) => Row[], path = home.path): Promise<number> {
    const level = new ClassicLevel<Uint8Array, Uint8Array>(join(path, 'meta'), { keyEncoding: 'view', valueEncoding: 'view' })
    const rows: Row[] = []
    for await (const [key, value] of level.iterator({ gte: Buffer.from(prefix), lt: Buffer.from(`${prefix.slice(0, -1)};`) })) rows.push({ key, value })
    const changed = change(rows)
    await level.batch(changed.map(({ key, value }) => ({ type: 'put', key, value })), { sync: true })
    await level.close()
    return changed.length
  }

  async function damaged(): Promise<Awaited<ReturnType<Home['open']>>> {
    const before = await home.open()
    await putAll(before, [block(1), block(2), block(3)])
    await before.close()
    await damage(block(2))
    return home.open()
  }

  it('verify finds a flipped byte; the block is gone from reading, counted, and healed', async () => {
    const store = await damaged()
    assert.equal(await store.blocks.verify(block(1).cid), true)
    assert.equal(await store.blocks.verify(block(2).cid), false)
    await assert.rejects(store.blocks.get(block(2).cid), { code: 'NOT_FOUND' })
    assert.equal(await store.blocks.has(block(2).cid), false)
    assert.deepEqual((await store.blocks.quarantined()).map(String), [block(2).cid.toString()])
    assert.equal((await collect(store.blocks.list())).length, 2)
    const usage = await store.usage()
    assert.deepEqual([usage.quarantined, usage.blocks, usage.liveBytes], [1, 2, 2000])
    assert.ok((await store.recount()).agrees)
    await assert.rejects(store.blocks.verify(block(2).cid), { code: 'NOT_FOUND' })

    await store.blocks.heal(block(2).cid, block(2).bytes)
    assert.deepEqual(await store.blocks.get(block(2).cid), Buffer.from(block(2).bytes))
    assert.equal(await store.blocks.verify(block(2).cid), true)
    assert.deepEqual(await store.blocks.quarantined(), [])
    assert.equal((await store.usage()).reclaimableBytes, 1000)
    await store.reclaim()
    assert.deepEqual(await store.blocks.get(block(2).cid), Buffer.from(block(2).bytes))
    assert.ok((await store.recount()).agrees)
    await store.blocks.release([block(2).cid], [])
    assert.equal(await store.blocks.has(block(2).cid), false)
  })

  it('stays in quarantine over a restart, and can be released there', async () => {
    let store = await damaged()
    await store.blocks.verify(block(2).cid)
    await store.close()
    store = await home.open()
    assert.equal((await store.blocks.quarantined()).length, 1)
    await store.blocks.release([block(2).cid], [])
    assert.deepEqual(await store.blocks.quarantined(), [])
    assert.equal((await store.usage()).quarantined, 0)
    await assert.rejects(store.blocks.heal(block(2).cid, block(2).bytes), { code: 'NOT_FOUND' })
    assert.ok((await store.recount()).agrees)
  })

  it('a draft that brings the block heals it for all', async () => {
    const store = await damaged()
    await store.blocks.verify(block(2).cid)
    const draft = await store.blocks.draft('again')
    assert.equal(await draft.adopt(block(2).cid), false)
    await draft.put(block(2).cid, block(2).bytes)
    await draft.commit([])
    assert.equal(await store.blocks.verify(block(2).cid), true)
    await store.blocks.release([block(2).cid], [])
    assert.equal(await store.blocks.has(block(2).cid), true)
    await store.blocks.release([block(2).cid], [])
    assert.equal(await store.blocks.has(block(2).cid), false)
    assert.ok((await store.recount()).agrees)
  })

  it('a draft that is gone on with brings again what was found wrong meanwhile, and counts it once', async () => {
    for (const flushes of [false, true]) {
      const store = await home.open()
      const draft = await store.blocks.draft('liar')
      await draft.put(block(1).cid, block(2).bytes)
      await draft.flush()
      assert.equal(await store.blocks.verify(block(1).cid), false)
      assert.equal(await draft.adopt(block(1).cid), false)
      await draft.put(block(1).cid, block(1).bytes)
      assert.deepEqual(await store.blocks.get(block(1).cid), Buffer.from(block(1).bytes))
      if (flushes) await draft.flush()
      await draft.commit([])
      assert.equal(await store.blocks.verify(block(1).cid), true)
      await store.blocks.release([block(1).cid], [])
      assert.equal(await store.blocks.has(block(1).cid), false)
      assert.deepEqual(await store.blocks.quarantined(), [])
      assert.ok((await store.recount()).agrees)
      await store.close()
    }
  })

  it('a wrong block of an open draft goes to quarantine in its name', async () => {
    const store = await home.open()
    const draft = await store.blocks.draft('liar')
    await draft.put(block(1).cid, block(2).bytes)
    assert.equal(await store.blocks.verify(block(1).cid), false)
    assert.equal(await store.blocks.has(block(1).cid), false)
    assert.equal((await store.usage()).quarantined, 1)
    await store.blocks.heal(block(1).cid, block(1).bytes)
    await draft.commit([])
    assert.deepEqual(await store.blocks.get(block(1).cid), Buffer.from(block(1).bytes))
    assert.ok((await store.recount()).agrees)
  })

  it('a damaged row of the list of garbage keeps no other space from coming back, and no block from staying', async () => {
    const before = await home.open()
    before.pause()
    await putAll(before, blocks(20, 100_000))
    await before.blocks.release(blocks(10, 100_000).map(({ cid }) => cid), [])
    await before.close()
    const harmed = await changeRows('g:', ([row]) => (row === undefined ? [] : [{ ...row, value: Uint8Array.of(1, 2) }]))
    assert.equal(harmed, 1)
    const store = await home.open()
    store.pause()
    await store.reclaim()
    const { reclaimableBytes } = await store.usage()
    assert.equal(reclaimableBytes, 100_000)
    assert.ok((await folderBytes(home.path)) < 1_300_000)
    for (const { cid, bytes } of blocks(10, 100_000, 10)) assert.deepEqual(await store.blocks.get(cid), Buffer.from(bytes))
    // Once more, with nothing left but that: it ends.
    await store.reclaim()
    await store.recount()
  })

  it('a damaged row of the index ends no list of the others', async () => {
    const before = await home.open()
    await putAll(before, blocks(20))
    await before.close()
    await changeRows('b:', (rows) => [{ ...rows[5]!, value: Uint8Array.of(9) }, { key: Buffer.concat([Buffer.from('b:'), Uint8Array.of(0x12, 0x20, 3)]), value: rows[6]!.value }])
    const store = await home.open()
    assert.equal((await collect(store.blocks.list())).length, 19)
  })

  it('a damaged row of the index refuses whoever asks for it, and nobody who is written with him', async () => {
    const before = await home.open()
    await putAll(before, blocks(3))
    await before.close()
    const bad = Buffer.concat([Buffer.from('b:'), block(1).cid.multihash.bytes])
    await changeRows('b:', () => [{ key: bad, value: Uint8Array.of(9) }])
    const store = await home.open()
    const outcomes = await Promise.allSettled([
      store.blocks.release([block(0).cid], []),
      store.blocks.release([block(1).cid], []),
      putAll(store, [block(7)], 'new'),
      store.blocks.release([block(2).cid, block(1).cid], []),
    ])
    assert.deepEqual(outcomes.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled', 'rejected'])
    assert.deepEqual(outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [(outcome.reason as { code: string }).code] : [])), ['CORRUPT', 'CORRUPT'])
    assert.deepEqual(await Promise.all([0, 2, 7].map(async (n) => store.blocks.has(block(n).cid))), [false, true, true])
  })

  it('damaged rows keep no store from opening that was not closed, and cost the bytes of nothing else', async () => {
    const running = await home.open()
    await putAll(running, blocks(4))
    const copy = `${home.path}/copy`
    for (const folder of ['blocks', 'meta', 'logs']) await cp(join(home.path, folder), join(copy, folder), { recursive: true })
    const bad = Buffer.concat([Buffer.from('b:'), block(1).cid.multihash.bytes])
    assert.equal(await changeRows('b:', (rows) => rows.filter(({ key }) => bad.equals(key)).map(({ key }) => ({ key, value: Uint8Array.of(9) })), copy), 1)
    assert.ok((await changeRows('t:', (rows) => rows.map(({ key }) => ({ key, value: Uint8Array.of(1, 2, 3) })), copy)) > 0)
    const store = await home.openAt(copy)
    assert.equal(store.recovery.clean, false)
    for (const n of [0, 2, 3]) assert.deepEqual(await store.blocks.get(block(n).cid), Buffer.from(block(n).bytes))
    // Should the row be mended, what it was about is there.
    assert.equal(store.recovery.orphans, 0)
  })

  it('an index that was lost does not make all blocks garbage', async () => {
    const store = await home.open()
    await putAll(store, [block(1)])
    await store.close()
    const { rm } = await import('node:fs/promises')
    await rm(join(home.path, 'meta'), { recursive: true })
    await assert.rejects(home.open(), { code: 'CORRUPT' })
  })
})
