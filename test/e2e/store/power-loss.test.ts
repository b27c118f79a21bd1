import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, copyFileSync, fstatSync, linkSync, mkdirSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, open, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { seededRandom, systemRandom } from '../../../src/base/index.js'
import type { Store } from '../../../src/store/index.js'
import { block, blocks, collect, openHome, putAll } from '../../unit/store/support.js'
import type { Block } from '../../unit/store/support.js'
import { blobKey, blobOfKey } from './crash-world.js'

/**
 * What is left when the power goes: of each log, the part that was synced; of everything else LevelDB vouches by its own
 * syncs before it refers to it (tables, manifest). What was synced is seen by watching every `datasync` of this process
 * and every batch that was written with `sync`: a log that neither touched is taken to be empty.
 */
class SyncWitness {
  readonly #synced = new Map<string, number>()
  readonly #restore: (() => void)[] = []

  async begin(): Promise<void> {
    const synced = this.#synced
    const probe = await open('/dev/null', 'r')
    const handles = Object.getPrototypeOf(probe) as { datasync: (this: { fd: number }) => Promise<void> }
    await probe.close()
    const { datasync } = handles
    handles.datasync = async function (this: { fd: number }): Promise<void> {
      // Only what was there when the sync began; and only once it is done.
      const path = readlinkSync(`/proc/self/fd/${String(this.fd)}`)
      const { size } = fstatSync(this.fd)
      await datasync.call(this)
      synced.set(path, Math.max(synced.get(path) ?? 0, size))
    }
    this.#restore.push(() => (handles.datasync = datasync))

    const noteSync = (location: string, { sync }: { sync?: boolean }): void => {
      if (sync !== true) return
      const path = newestLog(location)
      synced.set(path, Math.max(synced.get(path) ?? 0, statSync(path).size))
    }
    const levels = (Level as { prototype: object }).prototype as {
      _batch: (this: { location: string }, operations: unknown, options: { sync?: boolean }) => Promise<void>
      _chainedBatch: (this: { location: string }) => { _write: (options: { sync?: boolean }) => Promise<void> }
    }
    const { _batch, _chainedBatch } = levels
    levels._batch = async function (this: { location: string }, operations, options): Promise<void> {
      await _batch.call(this, operations, options)
      noteSync(this.location, options)
    }
    levels._chainedBatch = function (this: { location: string }) {
      const batch = _chainedBatch.call(this)
      const write = batch._write.bind(batch)
      batch._write = async (options) => {
        await write(options)
        noteSync(this.location, options)
      }
      return batch
    }
    this.#restore.push(() => Object.assign(levels, { _batch, _chainedBatch }))
  }

  end(): void {
    for (const restore of this.#restore) restore()
  }

  /** The home as it would be found if the power went now. Synchronous, so that nothing of ours happens meanwhile. */
  snapshot(home: string, target: string, except: readonly string[] = []): void {
    const cuts: [string, number][] = []
    for (const name of ['blocks', 'meta']) {
      const from = join(home, name)
      const to = join(target, name)
      mkdirSync(to, { recursive: true })
      const linkTables = (): void => {
        for (const file of readdirSync(from)) {
          if (/\.(ldb|log)$/.test(file) && !except.includes(join(from, file))) link(join(from, file), join(to, file))
        }
      }
      // LevelDB's own thread goes on: what the manifest names was linked before it was read, or is linked after.
      linkTables()
      copyFileSync(join(from, 'CURRENT'), join(to, 'CURRENT'))
      const manifest = readFileSync(join(from, 'CURRENT'), 'utf8').trim()
      copyFileSync(join(from, manifest), join(to, manifest))
      linkTables()
      for (const file of readdirSync(to)) {
        if (file.endsWith('.log')) cuts.push([join(to, file), this.#synced.get(join(from, file)) ?? 0])
      }
    }
    for (const [path, size] of cuts) this.#cuts.set(path, size)
  }

  /**
   * Makes files of their own out of the links, logs as long as they were synced. Before any snapshot is opened: a table
   * that LevelDB writes may have the number of one that its manifest does not know, and would be written over all links.
   */
  develop(homes: readonly string[]): void {
    for (const home of homes) {
      for (const path of ['blocks', 'meta'].flatMap((name) => readdirSync(join(home, name)).map((file) => join(home, name, file)))) {
        const bytes = readFileSync(path)
        rmSync(path)
        writeFileSync(path, bytes.subarray(0, this.#cuts.get(path) ?? bytes.length))
      }
    }
  }

  /** Takes logs as they are. */
  forget(): void {
    this.#cuts.clear()
  }

  readonly #cuts = new Map<string, number>()
}

function link(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch (error) {
    if (!['EEXIST', 'ENOENT'].includes((error as { code: string }).code)) throw error
  }
}

function newestLog(folder: string): string {
  const logs = readdirSync(folder).filter((name) => name.endsWith('.log'))
  return join(folder, logs.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)).at(-1) ?? '')
}

/** Each is copied, opened and checked: about 100 ms. */
const momentsMax = 15

/** A ninth of a write buffer. */
const blocksOf = (blob: number): Block[] => blocks(4, 30_000, blob * 10)

interface Moment {
  home: string
  kept: number[]
  /** May be either: an operation on it was under way. */
  open: Set<number>
}

describe('store: power loss', function () {
  this.timeout(60_000)
  const seed = Number(process.env['MESH_TEST_SEED'] ?? systemRandom.below(2 ** 31))
  let folder = ''
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'mesh-power-'))))
  afterEach(async () => rm(folder, { recursive: true, force: true }))

  it(`what was acknowledged is in the synced part, and the index never runs ahead of the bytes (MESH_TEST_SEED=${String(seed)})`, async () => {
    const home = join(folder, 'home')
    const witness = new SyncWitness()
    await witness.begin()
    // Small enough that logs change often, which is when things go wrong; large enough that the table that is made of a
    // log is not written yet when the first commit after it is acknowledged.
    const store = await openHome(home, { writeBufferBytes: 1024 * 1024, quietMs: 1, draftBlocksInMemoryMax: 8 })
    const moments: Moment[] = []
    const kept = new Set<number>()
    const underWay = new Set<number>()
    let nextBlob = 1
    let logSeen = ''
    try {
      const random = seededRandom(seed)
      await Promise.all(Array.from({ length: 5 }, async () => {
        while (nextBlob < 120) {
          const blob = nextBlob++
          await change(underWay, blob, async () => {
            await commit(store, blob)
            kept.add(blob)
          })
          // Above all just after LevelDB changed logs, when the old one may not be in a table yet.
          const log = newestLog(join(home, 'blocks'))
          if (moments.length < momentsMax && (log !== logSeen || random.below(30) === 0)) {
            logSeen = log
            const target = join(folder, `moment-${String(moments.length)}`)
            witness.snapshot(home, target)
            moments.push({ home: target, kept: [...kept].filter((one) => !underWay.has(one)), open: new Set(underWay) })
          }
          const victim = [...kept].filter((one) => !underWay.has(one))[random.below(40)]
          if (victim === undefined) continue
          await change(underWay, victim, async () => {
            await store.blocks.release(blocksOf(victim).map(({ cid }) => cid), [store.meta('blobs').del(blobKey(victim))])
            kept.delete(victim)
          })
        }
      }))
    } finally {
      witness.end()
      await store.close()
    }
    assert.ok(moments.length > 10)
    witness.develop(moments.map((moment) => moment.home))
    for (const moment of moments) await check(moment)
  })

  it('an older log whose table LevelDB has not written yet is synced before a commit is acknowledged', async () => {
    const home = join(folder, 'home')
    const copy = join(folder, 'copy')
    const witness = new SyncWitness()
    await witness.begin()
    const store = await openHome(home, { writeBufferBytes: 1024 * 1024, quietMs: 60_000 })
    const folderOfBlocks = join(home, 'blocks')
    const first = newestLog(folderOfBlocks)
    // A pipe where the table is going to be holds up LevelDB's own thread: opening it waits for a reader.
    const number = Number.parseInt(first.slice(folderOfBlocks.length + 1), 10)
    const pipes = [1, 2, 3, 4].map((offset) => join(folderOfBlocks, `${String(number + offset).padStart(6, '0')}.ldb`))
    for (const pipe of pipes) execFileSync('mkfifo', [pipe])
    const all: Block[] = []
    try {
      const draft = await store.blocks.draft('all')
      while (newestLog(folderOfBlocks) === first) {
        const one = block(all.length, 30_000)
        await draft.put(one.cid, one.bytes)
        all.push(one)
        assert.ok(all.length < 100, 'the log was never changed')
      }
      await draft.commit([])
      assert.ok(readdirSync(folderOfBlocks).includes(first.slice(folderOfBlocks.length + 1)), 'LevelDB was not held up')
      witness.snapshot(home, copy, pipes)
    } finally {
      witness.end()
      // Let go of the thread; what it writes is lost, and this store with it.
      for (const pipe of pipes) closeSync(openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK))
      await store.close().catch(() => undefined)
    }
    witness.develop([copy])
    await check({ home: copy, kept: [], open: new Set() })
    const found = await openHome(copy)
    try {
      for (const { cid, bytes } of all) assert.deepEqual(await found.blocks.get(cid), Buffer.from(bytes))
    } finally {
      await found.close()
    }
  })

  it('a log that lost its end all the same is noticed: entries without bytes go to quarantine, and heal', async () => {
    const home = join(folder, 'home')
    const source = await openHome(home)
    const all = blocks(40, 5000)
    const draft = await source.blocks.draft('all')
    // One after the other: what is put at once shares a record of the log, and is lost together.
    for (const { cid, bytes } of all) await draft.put(cid, bytes)
    await draft.commit([])
    // The files as they are now, but for the end of the block log: as if the disk had lied about syncing it.
    const copy = join(folder, 'copy')
    const witness = new SyncWitness()
    witness.snapshot(home, copy)
    const { size } = statSync(newestLog(join(copy, 'blocks')))
    witness.forget()
    witness.develop([copy])
    await truncate(newestLog(join(copy, 'blocks')), Math.floor(size / 2))
    await source.close()
    const store = await openHome(copy)
    try {
      assert.equal(store.recovery.clean, false)
      assert.ok(store.recovery.missing > 10 && store.recovery.missing < 30, `${String(store.recovery.missing)} missing`)
      const lost = await store.blocks.quarantined()
      assert.equal(lost.length, store.recovery.missing)
      assert.equal((await store.usage()).quarantined, lost.length)
      assert.equal((await store.usage()).blocks, all.length - lost.length)
      for (const { cid, bytes } of all) {
        const isLost = lost.some((one) => one.equals(cid))
        assert.equal(await store.blocks.has(cid), !isLost)
        if (isLost) await assert.rejects(store.blocks.get(cid), { code: 'NOT_FOUND' })
        if (isLost) await store.blocks.heal(cid, bytes)
        assert.deepEqual(await store.blocks.get(cid), Buffer.from(bytes))
      }
      assert.equal((await store.blocks.quarantined()).length, 0)
      assert.ok((await store.recount()).agrees)
      await putAll(store, [block(777)])
    } finally {
      await store.close()
    }
  })

  async function commit(store: Store, blob: number): Promise<void> {
    const draft = await store.blocks.draft(`draft ${String(blob)}`)
    await Promise.all(blocksOf(blob).map(async ({ cid, bytes }) => draft.put(cid, bytes)))
    await draft.commit([store.meta('blobs').put(blobKey(blob), new Uint8Array(1))])
  }

  async function change(underWay: Set<number>, blob: number, work: () => Promise<void>): Promise<void> {
    underWay.add(blob)
    await work()
    underWay.delete(blob)
  }

  async function check(moment: Moment): Promise<void> {
    const store = await openHome(moment.home)
    try {
      assert.equal(store.recovery.missing, 0, 'the index ran ahead of the bytes')
      const there = new Set((await collect(store.meta('blobs').entries())).map(([key]) => blobOfKey(key)))
      for (const blob of moment.kept) assert.ok(there.has(blob), `blob ${String(blob)} was acknowledged and is gone`)
      for (const blob of there) {
        assert.ok(moment.kept.includes(blob) || moment.open.has(blob), `blob ${String(blob)} was released and is back`)
        for (const { cid } of blob > Math.max(...there) - 20 ? blocksOf(blob) : []) assert.ok(await store.blocks.verify(cid))
        assert.ok((await store.blocks.getMany(blocksOf(blob).map(({ cid }) => cid))).every((bytes) => bytes?.length === 30_000))
      }
      assert.ok((await store.recount()).agrees)
    } finally {
      await store.close()
    }
  }
})
