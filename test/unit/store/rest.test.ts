import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog, systemClock } from '../../../src/base/index.js'
import { openStore } from '../../../src/store/index.js'
import { Database } from '../../../src/store/database.js'
import { block, blocks, components, putAll } from './support.js'

describe('a store at rest', () => {
  let home: string
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'mesh-rest-'))
  })
  afterEach(async () => {
    await rm(home, { recursive: true, force: true })
  })

  it('opens a database anew only when nobody iterates over it', async () => {
    const database = new Database(
      { clock: systemClock, log: silentLog },
      { folder: join(home, 'db'), compression: false, writeBufferBytes: 4 * 2 ** 20, fileBytes: 4 * 2 ** 20, cacheBytes: 2 ** 20, reopenFreeBytes: 0 },
    )
    await database.open()
    const { generation } = database
    const letGo = database.holdOpen()
    assert.equal(await database.reopenIfSafe({ unused: true }), false)
    assert.equal(database.generation, generation)
    letGo()
    letGo()
    assert.equal(await database.reopenIfSafe({ unused: true }), true)
    assert.equal(database.generation, generation + 1)
    assert.equal(database.reads, 0)
    await database.close()
    assert.equal(await database.reopenIfSafe({ unused: true }), false)
  })

  it('does not close a database that a full disk would not let it open again', async () => {
    const database = new Database(
      { clock: systemClock, log: silentLog },
      { folder: join(home, 'db'), compression: false, writeBufferBytes: 4 * 2 ** 20, fileBytes: 4 * 2 ** 20, cacheBytes: 2 ** 20, reopenFreeBytes: Number.MAX_SAFE_INTEGER },
    )
    await database.open()
    const { generation } = database
    assert.equal(await database.reopenIfSafe(), false)
    assert.equal(database.generation, generation)
    await database.close()
  })

  it('keeps no blocks in memory that were written and not read', async () => {
    const store = await openStore(components, { home })
    const logBytes = (): number => readdirSync(join(home, 'blocks')).filter((name) => name.endsWith('.log')).reduce((sum, name) => sum + statSync(join(home, 'blocks', name)).size, 0)
    await putAll(store, blocks(300, 16_384), 'draft')
    assert.ok(logBytes() >= 300 * 16_384)
    await store.rest()
    assert.ok(logBytes() < 16_384, `${String(logBytes())} bytes are in a buffer yet`)
    assert.equal((await store.blocks.get(block(7, 16_384).cid)).length, 16_384)
    await store.close()
  })

  it('serves readers, writers and iterators meanwhile', async () => {
    const store = await openStore(components, { home })
    const meta = store.meta('catalog')
    const key = (number: number): Buffer => Buffer.from(String(number).padStart(6, '0'))
    await meta.write(Array.from({ length: 2000 }, (_, i) => meta.put(key(i), key(i))), { durable: true })
    await putAll(store, blocks(300, 16_384), 'draft')
    for (let i = 0; i < 300; i++) await store.blocks.get(block(i, 16_384).cid)
    for (let i = 0; i < 600; i++) await meta.get(key(i))
    let seen = 0
    for await (const [found] of meta.entries()) {
      // In the midst of a page and between pages.
      if (seen % 500 === 7) await store.rest()
      assert.deepEqual(Buffer.from(found), key(seen))
      seen++
    }
    assert.equal(seen, 2000)
    const [written] = await Promise.all([
      meta.write([meta.put(key(9999), key(1))], { durable: true }).then(() => true),
      store.rest(),
      ...Array.from({ length: 50 }, async (_, i) => {
        assert.deepEqual(Buffer.from((await meta.get(key(i))) ?? []), key(i))
        assert.ok(await store.blocks.has(block(i, 16_384).cid))
      }),
    ])
    assert.equal(written, true)
    assert.deepEqual(Buffer.from((await meta.get(key(9999))) ?? []), key(1))
    await store.close()
    await store.rest()
  })
})
