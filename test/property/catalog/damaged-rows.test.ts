import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { CID } from 'multiformats/cid'
import type { Hlc } from '../../../src/base/index.js'
import { codeOf, seededRandom, silentLog } from '../../../src/base/index.js'
import { Garbage } from '../../../src/catalog/garbage.js'
import { openCatalog } from '../../../src/catalog/index.js'
import { folderRange, pathKey } from '../../../src/catalog/path.js'
import { signRecord } from '../../../src/catalog/record.js'
import { Records } from '../../../src/catalog/records.js'
import type { FileRecord } from '../../../src/catalog/types.js'
import { MemoryBlobs, rawCid } from '../../unit/catalog/memory-blobs.js'
import { MemoryKeyValue } from '../../unit/catalog/memory-key-value.js'
import { cidOf, signerOf, VirtualTime } from '../../unit/catalog/world.js'

/** Rows by their key, as latin1. */
type Rows = Map<string, Uint8Array>
const [self, friend] = [signerOf('a'), signerOf('b')]
const time = new VirtualTime()

/** What a bad sector or a wrong bit may do to a value. */
const harm = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat() }),
  fc.record({ kind: fc.constant('be' as const), bytes: fc.uint8Array({ maxLength: 60 }) }),
)
type Harm = typeof harm extends fc.Arbitrary<infer T> ? T : never

function harmed(value: Uint8Array, how: Harm): Uint8Array {
  if (how.kind === 'be') return how.bytes
  if (how.kind === 'cut') return value.subarray(0, how.at % (value.length + 1))
  const bytes = Uint8Array.from(value)
  for (const [at, byte] of how.changes) if (bytes.length > 0) bytes[at % bytes.length] = byte
  return bytes
}

const open = async (meta: MemoryKeyValue): Promise<Records> =>
  Records.open({ meta, signer: self, clock: time.clock(), log: silentLog, isMember: () => true }, { tombstoneLifetimeMs: 1e15 })

async function rowsOf(meta: MemoryKeyValue): Promise<Rows> {
  const rows: Rows = new Map()
  for await (const [key, value] of meta.entries()) rows.set(Buffer.from(key).toString('latin1'), value)
  return rows
}

async function diskOf(rows: Rows): Promise<MemoryKeyValue> {
  const meta = new MemoryKeyValue()
  await meta.write([...rows].map(([key, value]) => meta.put(Buffer.from(key, 'latin1'), value)))
  return meta
}

const content = (name: string): { cid: string; size: number } => ({ cid: cidOf(name), size: name.length })

/** Files, a removed one, one that two have written, and one whose content nobody has any more. */
async function catalogOnDisk(): Promise<Rows> {
  const disk = new MemoryKeyValue()
  const records = await open(disk)
  for (const name of ['one', 'two', 'three', 'four', 'five']) await records.apply([{ path: `/d/${name}`, content: content(name) }])
  await records.apply([{ path: '/d/two', content: content('two again') }])
  await records.apply([{ path: '/d/three', content: 'deleted' }])
  const theirs = (modified: Hlc): FileRecord => ({
    path: '/d/four', modified, writer: friend.nodeId, owner: friend.nodeId, token: 0n,
    content: { ...content('four of a friend'), priority: 'normal', replicas: 2, pinned: false },
    basis: { modified, writer: friend.nodeId }, lineage: [{ writer: friend.nodeId, from: modified, to: modified }],
  })
  const { accepted } = await records.ingest([signRecord(theirs((BigInt(time.now) << 16n) + 77n), friend).bytes])
  assert.equal(accepted, 1)
  assert.equal(records.counts.conflicts, 1)
  return rowsOf(disk)
}

/** As if there were no conflict copies: a wrong number that nobody can tell from a right one. */
function withoutCopies(rows: Rows): Rows {
  const spoilt = new Map(rows)
  for (const [row, value] of rows) {
    if (!row.startsWith('b/')) continue
    const wrong = Uint8Array.from(value)
    wrong.fill(0, 1, 3)
    spoilt.set(row, wrong)
  }
  return spoilt
}

async function listed(records: Records): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for await (const [, { path, content: of }] of records.table.visible(folderRange('/'))) found.set(path, of?.cid ?? '')
  return found
}

describe('catalog: rows that are damaged on the disk', function () {
  this.timeout(20_000)

  it('cost no other path: the catalog opens, lists the rest, and takes changes', async () => {
    const sound = await catalogOnDisk()
    const before = await listed(await open(await diskOf(sound)))
    assert.equal(before.size, 5)
    const rows = [...sound.keys()].sort()
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...rows), harm, async (row, how) => {
        const disk = await diskOf(new Map(sound).set(row, harmed(sound.get(row)!, how)))
        const records = await open(disk)
        const after = await listed(records)
        /** Paths that this row is about: its own, and those of a conflict. */
        const touches = (path: string): boolean => /^[vc]\//.test(row) && (row.includes(Buffer.from(pathKey(path)).toString('latin1')) || /four/.test(row) === /four/.test(path))
        for (const [path, cid] of before) {
          if (touches(path)) continue
          assert.equal(after.get(path), cid, `${path} after damage to ${JSON.stringify(row)}`)
          assert.equal((await records.table.get(path))?.content?.cid, cid)
        }
        for (const path of before.keys()) {
          try {
            await records.table.get(path)
          } catch (error) {
            assert.equal(codeOf(error), 'BAD_RECORD')
          }
        }
        for (const name of ['one', 'two', 'five']) {
          try {
            await records.table.byCid(cidOf(name))
            for await (const { cid } of records.roots()) CID.parse(cid)
          } catch (error) {
            assert.equal(codeOf(error), 'BAD_RECORD')
          }
        }
        for await (const { cid } of records.table.unreferenced()) CID.parse(cid)
        // Whoever writes there again, puts it right; and so does whoever brings a version from elsewhere.
        for (const path of ['/d/one', '/d/four', '/d/six']) await records.apply([{ path, content: content('new') }])
        assert.equal((await records.table.get('/d/one'))?.content?.cid, cidOf('new'))
        await open(disk)
      }),
      { numRuns: 120 },
    )
  })

  it('an entry of the digests is made anew from the versions: nothing is counted twice or left out', async () => {
    const sound = await catalogOnDisk()
    const whole = await open(await diskOf(sound))
    const entries = [...sound.keys()].filter((key) => key.startsWith('b/'))
    assert.equal(entries.length, 5)
    for (const row of entries) {
      // Too short; a leaf count of 65,535; a time of the year 10889; and nothing at all.
      const value = sound.get(row)!
      const many = Uint8Array.from(value)
      many.fill(0xff, 11, 13)
      const late = Uint8Array.from(value)
      late.fill(0xff, 3, 11)
      for (const bad of [value.subarray(0, 12), many, late, new Uint8Array(0)]) {
        const disk = await diskOf(new Map(sound).set(row, bad))
        const records = await open(disk)
        assert.deepEqual(records.digests.root(), whole.digests.root())
        assert.deepEqual({ ...records.counts }, { ...whole.counts })
        assert.equal(records.isAhead(), false)
        assert.deepEqual((await rowsOf(disk)).get(row), value)
      }
    }
  })

  it('an entry that says nothing of a conflict copy keeps nobody from editing that, nor from seeing that it is in a folder', async () => {
    const sound = await catalogOnDisk()
    const disk = await diskOf(withoutCopies(sound))
    const records = await open(disk)
    assert.equal(records.counts.conflicts, 0)
    const copy = [...(await listed(records))].find(([path]) => path.startsWith('/d/four') && path !== '/d/four')
    assert.ok(copy !== undefined)
    await records.apply([{ path: copy[0], content: { priority: 'high' } }])
    const leaves = (await records.table.leaves(['/d/four', copy[0]])).map(({ length }) => length)
    assert.deepEqual(leaves, [1, 1])
    assert.equal((await records.table.get(copy[0]))?.content?.cid, copy[1])

    // Only the copy is left in the folder.
    const kept = await diskOf(sound)
    await (await open(kept)).apply(['one', 'two', 'four', 'five'].map((name) => ({ path: `/d/${name}`, content: 'deleted' as const })))
    const rest = withoutCopies(await rowsOf(kept))
    const catalog = await openCatalog({ meta: await diskOf(rest), signer: self, clock: time.clock(), random: seededRandom(1), log: silentLog, isMember: () => true })
    assert.equal(await catalog.isFolder('/d'), true)
    assert.equal(await catalog.isFolder('/e'), false)
  })

  it('the index of content is made anew from the versions, whatever became of it, and all content stays known', async () => {
    const sound = await catalogOnDisk()
    const rows = [...sound.keys()].filter((key) => key.startsWith('i/')).sort()
    assert.equal(rows.length, 5)
    const cids = ['one', 'two again', 'four', 'four of a friend', 'five'].map(cidOf)
    const rootsOf = async (records: Records): Promise<string[]> => {
      const found = new Set<string>()
      for await (const { cid } of records.roots()) found.add(cid)
      return [...found].sort()
    }
    const inKey = fc.record({ at: fc.nat(), byte: fc.nat(255) })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...rows), fc.oneof(harm, inKey), async (row, how) => {
        const disk = new Map(sound)
        const value = sound.get(row)!
        if ('at' in how && 'byte' in how) {
          const key = Buffer.from(row, 'latin1')
          key[2 + (how.at % (key.length - 2))] = how.byte
          disk.delete(row)
          disk.set(key.toString('latin1'), value)
        } else {
          const bad = harmed(value, how)
          // Eight bytes are what was written before there was a check: there is no telling.
          fc.pre(bad.length !== 8)
          disk.set(row, bad)
        }
        const meta = await diskOf(disk)
        const records = await open(meta)
        assert.deepEqual(await rootsOf(records), [...cids].sort())
        assert.deepEqual(await rowsOf(meta), sound)
        for (const cid of cids) assert.equal((await records.table.byCid(cid)).length, 1)
      }),
      { numRuns: 300 },
    )
    // As they were written once: with a size, and no check.
    const old = new Map(sound)
    for (const row of rows) old.set(row, sound.get(row)!.subarray(0, 8))
    const meta = await diskOf(old)
    assert.deepEqual(await rootsOf(await open(meta)), [...cids].sort())
    assert.deepEqual(await rowsOf(meta), old)
  })

  it('an index that is damaged, and a version too: nothing is said about what has a record, until that is written anew', async () => {
    const rows = await catalogOnDisk()
    const hex = Buffer.from(CID.parse(cidOf('one')).bytes).toString('latin1')
    const row = [...rows.keys()].find((key) => key.startsWith(`i/${hex}`))!
    rows.set(row, Uint8Array.of(1, 2, 3))
    rows.set([...rows.keys()].find((key) => key.startsWith('v/') && key.endsWith('one'))!, Uint8Array.of(1, 2, 3))
    const records = await open(await diskOf(rows))
    const ask = async (): Promise<number> => {
      let count = 0
      for await (const { cid } of records.roots()) count += CID.parse(cid).version
      return count
    }
    await assert.rejects(ask(), { code: 'BAD_RECORD' })
    await records.apply([{ path: '/d/one', content: content('one') }])
    await time.advance(20 * 60_000)
    assert.equal(await ask(), 5)
  })

  it('a version that cannot be read keeps what it is about: who asks hears BAD_RECORD, and not that there is no file', async () => {
    const rows = await catalogOnDisk()
    rows.set([...rows.keys()].find((key) => key.startsWith('v/') && key.endsWith('one'))!, Uint8Array.of(1, 2, 3))
    const records = await open(await diskOf(rows))
    await assert.rejects(records.table.get('/d/one'), { code: 'BAD_RECORD' })
    await assert.rejects(records.table.byCid(cidOf('one')), { code: 'BAD_RECORD' })
    assert.equal((await listed(records)).size, 4)
  })
})

describe('garbage: lists of blobs that are damaged on the disk', function () {
  this.timeout(20_000)
  const parts = ['part 1', 'part 2', 'part 3'].map((name) => rawCid(Buffer.from(name)))
  const root = rawCid(Buffer.from('root'))

  function garbageOn(meta: MemoryKeyValue, blobs: MemoryBlobs): Garbage {
    const catalog = { on: () => () => undefined }
    return new Garbage({ catalog, blobs, meta, clock: time.clock(), log: silentLog } as unknown as ConstructorParameters<typeof Garbage>[0], { garbageDelayMs: 0, garbageIntervalMs: 1000 })
  }

  it('keep what is on them: a list that is not what was written is made anew, or nothing is said', async () => {
    await fc.assert(
      fc.asyncProperty(harm, fc.boolean(), async (how, isReachable) => {
        const meta = new MemoryKeyValue()
        const blobs = new MemoryBlobs(meta)
        blobs.several.set(root.toString(), { size: 2 ** 31, blobs: parts })
        await garbageOn(meta, blobs).pin(root)
        const row = meta.slice('p/')
        const written = (await row.get(root.bytes))!
        const bad = harmed(written, how)
        await meta.write([row.put(root.bytes, bad)])
        blobs.blobsOfFails = !isReachable
        const again = garbageOn(meta, blobs)
        assert.deepEqual(await again.pins(), [root.toString()])
        for (const part of parts) {
          try {
            assert.equal(await again.isPinned(part.toString()), true)
          } catch (error) {
            assert.equal(isReachable, false)
            assert.equal(codeOf(error), 'NO_HOLDERS')
          }
        }
        if (isReachable) assert.deepEqual(Buffer.from((await row.get(root.bytes))!), Buffer.from(written))
        assert.equal(await again.isPinned(root.toString()), true)
        await again.unpin(root)
        assert.deepEqual(await again.pins(), [])
      }),
      { numRuns: 200 },
    )
  })

  it('are read as they were written before they had a check', async () => {
    const meta = new MemoryKeyValue()
    const blobs = new MemoryBlobs(meta)
    blobs.blobsOfFails = true
    const list = parts.map((part) => ['dag', part.toString()])
    await meta.write([meta.slice('p/').put(root.bytes, Buffer.from(JSON.stringify(list)))])
    assert.equal(await garbageOn(meta, blobs).isPinned(parts[1]!.toString()), true)
    assert.equal(await garbageOn(meta, blobs).isPinned(rawCid(Buffer.from('other')).toString()), false)
  })
})
