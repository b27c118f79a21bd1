import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { codeOf, seededRandom, silentLog, systemClock } from '../../../src/base/index.js'
import type { BlockData, ClosableReplicaDisk, LogEntry, SegmentId } from '../../../src/volumes/index.js'
import { blockBytes, createReplicaDisk } from '../../../src/volumes/index.js'
import { RecordReader } from '../../../src/volumes/disk/bytes.js'
import { decodeCuts, decodeOrigins, Head } from '../../../src/volumes/disk/head.js'
import { Page } from '../../../src/volumes/disk/page.js'
import { decodeRow, emptyRow, encodedBytes, encodeRow, rowKey, segmentKey } from '../../../src/volumes/disk/rows.js'
import type { Row } from '../../../src/volumes/disk/rows.js'
import { unframed } from '../../../src/volumes/disk/segments.js'
import { MemoryDatabase, MemorySlice, noSpace } from './disk-store.js'

const id: SegmentId = { volume: '0123456789abcdef0123456789abcdef', segment: 7 }

function entry(sequence: number, start: number, blocks = 1, more: Partial<LogEntry> = {}): LogEntry {
  return { token: 1, sequence, configuration: 1, start, blocks, content: 'data', bytes: new Uint8Array(blocks * blockBytes).fill(sequence), ...more }
}

describe('the disk of a replica', () => {
  let log: MemoryDatabase
  let meta: MemoryDatabase
  let disk: ClosableReplicaDisk

  async function open(): Promise<void> {
    disk = await createReplicaDisk({ log: new MemorySlice(log), meta: new MemorySlice(meta), clock: systemClock, journal: silentLog }, { unitBytesMax: 20_000, bytesPerSecond: 1e12 })
  }

  /** The memory database has every other row at hand. */
  function now(start: number, blocks = 1): BlockData[] | undefined {
    return disk.readNow(id, { start, blocks }) ?? disk.readNow(id, { start, blocks })
  }

  async function first(start: number): Promise<BlockData> {
    const [data] = await disk.read(id, { start, blocks: 1 })
    assert.ok(data !== undefined)
    return data
  }

  beforeEach(async () => {
    log = new MemoryDatabase()
    meta = new MemoryDatabase()
    await open()
  })

  it('takes a stream in order, passes over what it has, and says where a gap begins', async () => {
    assert.equal(await disk.append(id, [entry(1, 5), entry(2, 6)]), undefined)
    assert.equal(await disk.append(id, [entry(2, 6), entry(3, 7)]), undefined)
    assert.deepEqual(await disk.append(id, [entry(4, 8), entry(6, 9)]), { type: 'gap', next: 5 })
    assert.equal(await disk.streamEnd(id, 1), 4)
    assert.deepEqual((await disk.entries(id, 1, 1, 1)).map(({ sequence }) => sequence), [2])
    assert.deepEqual((await disk.entries(id, 1, 1, 1e9)).map(({ sequence, start }) => [sequence, start]), [[2, 6], [3, 7], [4, 8]])
  })

  it('writes calls that come together in one batch', async () => {
    await disk.isWhole(id)
    const before = log.writes
    await Promise.all(Array.from({ length: 16 }, async (_, i) => disk.append(id, [entry(i + 1, i)])))
    assert.ok(log.writes - before <= 2, `${String(log.writes - before)} batches`)
  })

  it('gives an entry of several pages back as it was', async () => {
    const bytes = new Uint8Array(600 * blockBytes)
    for (let i = 0; i < bytes.length; i += 512) bytes[i] = i / 512
    await disk.append(id, [entry(1, 100, 600, { bytes })])
    const [back] = await disk.entries(id, 1, 0, 1)
    assert.ok(back !== undefined && back.start === 100 && back.blocks === 600 && Buffer.compare(back.bytes, bytes) === 0)
    const read = await disk.read(id, { start: 100, blocks: 600 })
    assert.ok(Buffer.compare(Buffer.concat(read.map((data) => data.bytes)), bytes) === 0)
  })

  it('reads no more of long entries than it gives back', async () => {
    let bytesRead = 0
    const counted = new Proxy(new MemorySlice(log), {
      get: (target, name): unknown => {
        const found: unknown = Reflect.get(target, name)
        if (name !== 'get' && name !== 'getMany') return typeof found === 'function' ? (found.bind(target) as unknown) : found
        return async (asked: Uint8Array | readonly Uint8Array[]) => {
          const values = await target.getMany(asked instanceof Uint8Array ? [asked] : asked)
          for (const value of values) bytesRead += value?.length ?? 0
          return asked instanceof Uint8Array ? values[0] : values
        }
      },
    })
    disk = await createReplicaDisk({ log: counted, meta: new MemorySlice(meta), clock: systemClock, journal: silentLog }, { unitBytesMax: 1e9 })
    await disk.append(id, Array.from({ length: 40 }, (_, i) => entry(i + 1, 0, 128)))
    const found = await disk.entries(id, 1, 10, 1024 * 1024)
    assert.deepEqual(found.map(({ sequence }) => sequence), [11, 12])
    assert.ok(bytesRead < 2 * 1024 * 1024, `${String(bytesRead)} bytes read for 1 MiB`)
  })

  it('brings back what a cut uncovers, also after a new start, and refuses what is fenced', async () => {
    await disk.setWhole(id, true)
    await disk.append(id, [entry(1, 5), entry(2, 5), entry(3, 5, 1, { content: 'hole', bytes: new Uint8Array(0) })])
    await disk.append(id, [entry(4, 6, 1, { origin: { client: 'c', sequence: 9 } })])
    assert.equal(await disk.applied(id, 'c'), 9)
    assert.deepEqual(await disk.fence(id, { start: 0, blocks: 100, token: 2, configuration: 3, cuts: [{ token: 1, sequence: 2 }] }), [{ token: 1, sequence: 2 }])
    log.losePower({ float: () => 0, below: () => 0, bytes: (length) => new Uint8Array(length) })
    await open()
    assert.equal((await first(5)).bytes[0], 2)
    assert.equal((await first(6)).content, 'hole')
    assert.equal(await disk.applied(id, 'c'), 0, 'a retry of what was cut has to be applied')
    assert.deepEqual(await disk.append(id, [entry(5, 5)]), { type: 'fenced', token: 2, configuration: 3 })
    assert.deepEqual(await disk.append(id, [entry(1, 5, 1, { token: 2, configuration: 2 })]), { type: 'fenced', token: 2, configuration: 3 })
    await disk.install(id, [{ start: 5, blocks: 1, version: { token: 1, sequence: 3 }, content: 'zeroes', bytes: new Uint8Array(0) }])
    assert.equal((await first(5)).bytes[0], 2, 'a copy of what was cut')
    assert.deepEqual(await disk.entries(id, 1, 2, 1e9), [])
  })

  it('says nothing of a block of which a cut took a copy: what was under it may be out of date', async () => {
    await disk.setWhole(id, true)
    await disk.append(id, [entry(1, 5)])
    await disk.install(id, [{ start: 5, blocks: 1, version: { token: 1, sequence: 9 }, content: 'zeroes', bytes: new Uint8Array(0) }])
    await disk.fence(id, { start: 5, blocks: 1, token: 2, configuration: 1, cuts: [{ token: 1, sequence: 5 }] })
    assert.equal((await first(5)).content, 'unknown')
  })

  it('takes back a stream, that can then come again with other content', async () => {
    await disk.setWhole(id, true)
    await disk.append(id, [entry(1, 5)])
    await disk.append(id, [entry(1, 5, 1, { token: 2 }), entry(2, 6, 1, { token: 2 })])
    await disk.discard(id, 2, 0)
    assert.equal((await first(5)).version?.token, 1)
    assert.equal((await first(6)).content, 'hole')
    const other = new Uint8Array(blockBytes).fill(77)
    await disk.append(id, [entry(1, 5, 1, { token: 2, bytes: other })])
    assert.equal((await first(5)).bytes[0], 77)
  })

  it('a stream declared complete leaves the disk whole, also after a new start; one adopted does not', async () => {
    await disk.setWhole(id, true)
    await disk.append(id, [entry(1, 5)])
    await disk.install(id, [{ start: 6, blocks: 1, version: { token: 1, sequence: 3 }, content: 'data', bytes: new Uint8Array(blockBytes).fill(3) }])
    await disk.adopt(id, 1, 3, { complete: true })
    log.losePower({ float: () => 0, below: () => 0, bytes: (length) => new Uint8Array(length) })
    await open()
    assert.equal(await disk.isWhole(id), true)
    assert.equal(await disk.streamEnd(id, 1), 3)
    assert.deepEqual(await disk.append(id, [entry(5, 5)]), { type: 'gap', next: 4 })
    await disk.adopt(id, 1, 7)
    assert.equal(await disk.isWhole(id), false)
  })

  it('says nothing of a block under a copy of a stream whose end was only declared', async () => {
    await disk.setWhole(id, true)
    await disk.append(id, [entry(1, 5)])
    await disk.install(id, [{ start: 5, blocks: 1, version: { token: 1, sequence: 9 }, content: 'zeroes', bytes: new Uint8Array(0) }])
    await disk.adopt(id, 1, 9, { complete: true })
    await disk.fence(id, { start: 5, blocks: 1, token: 2, configuration: 1, cuts: [{ token: 1, sequence: 5 }] })
    assert.equal((await first(5)).content, 'unknown')
  })

  it('replaces what is newer in one step, and keeps nothing of it', async () => {
    await disk.setWhole(id, true)
    await disk.append(id, [entry(1, 5), entry(2, 5), entry(3, 5)])
    const older = { start: 5, blocks: 1, version: { token: 1, sequence: 2 }, content: 'data' as const, bytes: new Uint8Array(blockBytes).fill(2) }
    await disk.install(id, [older])
    assert.equal((await first(5)).version?.sequence, 3)
    const before = log.writes
    await disk.install(id, [older], { replace: true })
    assert.equal(log.writes, before + 1)
    assert.deepEqual([(await first(5)).version?.sequence, (await first(5)).bytes[0]], [2, 2])
    await open()
    assert.deepEqual([(await first(5)).version?.sequence, (await first(5)).bytes[0]], [2, 2])
  })

  it('loses nothing and names nothing that is lost, whenever in a checkpoint the power goes', async () => {
    const moments: { log: Map<string, Uint8Array>; meta: Map<string, Uint8Array> }[] = []
    await disk.setWhole(id, true)
    await disk.append(id, [entry(1, 5), entry(2, 6)])
    await disk.sync()
    await disk.checkpoint()
    await disk.append(id, [entry(3, 5), entry(4, 7)])
    // The worst that can be: the index keeps all that was written to it, synced or not, and the log nothing that was not.
    meta.onWrite = () => {
      queueMicrotask(() => moments.push({ log: new Map(log.synced), meta: new Map(meta.rows) }))
      return undefined
    }
    await disk.checkpoint()
    await disk.append(id, [entry(5, 6)])
    await disk.checkpoint()
    meta.onWrite = () => undefined
    assert.ok(moments.length >= 4, `${String(moments.length)} moments`)
    for (const moment of moments) {
      log = new MemoryDatabase()
      meta = new MemoryDatabase()
      for (const [database, rows] of [[log, moment.log], [meta, moment.meta]] as const) {
        database.rows = new Map(rows)
        database.synced = new Map(rows)
      }
      await open()
      const end = await disk.streamEnd(id, 1)
      assert.ok(end >= 2)
      assert.deepEqual((await disk.entries(id, 1, 0, 1e9)).map(({ sequence }) => sequence), Array.from({ length: end }, (_, i) => i + 1))
      const newest = [end >= 3 ? 3 : 1, end >= 5 ? 5 : 2, end >= 4 ? 4 : 0]
      assert.deepEqual((await disk.read(id, { start: 5, blocks: 3 })).map(({ content, bytes }) => (content === 'data' ? bytes[0] : 0)), newest)
    }
  })

  it('reads without a wait what is in memory and whole, and nothing else', async () => {
    assert.equal(now(5), undefined, 'nobody has used the segment')
    await disk.append(id, [entry(1, 5), entry(2, 6)])
    assert.deepEqual(now(5)?.map(({ start, version, bytes }) => [start, version?.sequence, bytes.length, bytes[4095]]), [[5, 1, blockBytes, 1]])
    assert.equal(disk.readNow(id, { start: 5, blocks: 2 }), undefined, 'one of two is not at hand')
    assert.deepEqual(now(100, 3)?.map(({ blocks, content }) => [blocks, content]), [[3, 'unknown']])
    await disk.setWhole(id, true)
    assert.deepEqual(now(100, 3)?.map(({ blocks, content }) => [blocks, content]), [[3, 'hole']])
    for (const value of log.rows.values()) value[value.length - 100] = (value[value.length - 100] ?? 0) ^ 4
    assert.equal(now(6), undefined, 'damaged')
    await assert.rejects(disk.read(id, { start: 6, blocks: 1 }), (error) => codeOf(error) === 'CORRUPT')
    await disk.close()
    assert.equal(now(5), undefined, 'closed')
  })

  it('names damaged blocks, keeps the others, and is healed by the same version', async () => {
    await disk.append(id, [entry(1, 5), entry(2, 6)])
    for (const [key, value] of log.rows) {
      const row = decodeRow(Buffer.from(key, 'hex'), value)
      if (row.sequence === 1) value[value.length - 100] = (value[value.length - 100] ?? 0) ^ 4
    }
    await assert.rejects(disk.read(id, { start: 5, blocks: 2 }), (error) => codeOf(error) === 'CORRUPT' && (error as { facts?: { start?: number } }).facts?.start === 5)
    await assert.rejects(disk.entries(id, 1, 0, 1), (error) => codeOf(error) === 'CORRUPT')
    assert.equal((await first(6)).bytes[0], 2)
    await disk.install(id, [{ start: 5, blocks: 1, version: { token: 1, sequence: 1 }, content: 'data', bytes: new Uint8Array(blockBytes).fill(1) }])
    assert.equal((await first(5)).bytes[0], 1)
  })

  it('refuses a segment of which a row is lost, and no other, until it is dropped', async () => {
    const other = { ...id, segment: 8 }
    await disk.append(id, [entry(1, 5)])
    await disk.append(other, [entry(1, 5)])
    const [key] = log.keys()
    const value = log.rows.get(key ?? '')
    assert.ok(value !== undefined)
    value[20] = (value[20] ?? 0) ^ 1
    await open()
    assert.equal((await first(5)).bytes[0], 1, 'the other end of the row says what it was about')
    value[value.length - 20] = (value[value.length - 20] ?? 0) ^ 1
    await open()
    await assert.rejects(disk.read(id, { start: 5, blocks: 1 }), (error) => codeOf(error) === 'CORRUPT')
    await disk.close()
    await open()
    await assert.rejects(disk.append(id, [entry(2, 5)]), (error) => codeOf(error) === 'CORRUPT')
    assert.equal((await disk.read(other, { start: 5, blocks: 1 }))[0]?.bytes[0], 1)
    await assert.rejects(disk.setWhole(id, true), (error) => codeOf(error) === 'CORRUPT')
    await disk.drop(id)
    await disk.append(id, [entry(1, 5)])
    assert.equal((await first(5)).bytes[0], 1)
  })

  it('refuses a segment whose synced rows are gone from the end of the log, and no other, until it is dropped', async () => {
    const other = { ...id, segment: 8 }
    await disk.append(other, [entry(1, 5)])
    await disk.append(id, [entry(1, 5), entry(2, 6)])
    await disk.sync()
    await disk.witness()
    // Not synced: nobody was told that it is there.
    await disk.append(other, [entry(2, 6)])
    const kept = new Map(log.rows)
    const keys = log.keys()
    assert.equal(keys.length, 4)
    for (const gone of [1, 2]) {
      log.rows = new Map(kept)
      for (const key of keys.slice(-gone)) log.rows.delete(key)
      await open()
      assert.equal((await disk.read(other, { start: 5, blocks: 1 }))[0]?.bytes[0], 1)
      if (gone === 1) assert.equal((await first(6)).bytes[0], 2)
      else await assert.rejects(disk.read(id, { start: 5, blocks: 1 }), (error) => codeOf(error) === 'CORRUPT')
    }
    // It stays so after any number of starts, whatever else is written meanwhile.
    for (let start = 0; start < 3; start++) {
      await disk.append(other, [entry(2 + start, 6)])
      if (start === 1) await disk.close()
      await open()
      await assert.rejects(disk.append(id, [entry(3, 5)]), (error) => codeOf(error) === 'CORRUPT')
    }
    await disk.drop(id)
    await disk.append(id, [entry(1, 5)])
    for (let start = 0; start < 2; start++) {
      await open()
      assert.equal((await first(5)).bytes[0], 1)
    }
  })

  it('keeps nothing in the second place of what the index has', async () => {
    await disk.append(id, [entry(1, 5)])
    await disk.sync()
    await disk.witness()
    const witnesses = (): number => meta.keys().filter((key) => key.startsWith(Buffer.from('w').toString('hex'))).length
    assert.equal(witnesses(), 1)
    await disk.witness()
    await disk.checkpoint()
    assert.equal(witnesses(), 0)
    // Of a failed write nothing is told.
    meta.onWrite = () => ({ error: noSpace(), kept: false })
    await disk.append(id, [entry(2, 6)])
    await disk.sync()
    await assert.rejects(disk.witness())
    meta.onWrite = () => undefined
    await disk.witness()
    assert.equal(witnesses(), 1)
  })

  it('takes nothing on a full disk, goes on behind it, and takes what frees space', async () => {
    await disk.append(id, [entry(1, 5)])
    log.onWrite = ({ freesSpace }) => (freesSpace ? undefined : { error: noSpace(), kept: true })
    const both = await Promise.all([entry(2, 5), entry(3, 5)].map(async (one) => disk.append(id, [one]).then(() => 'ok', codeOf)))
    assert.deepEqual(both, ['NO_SPACE', 'NO_SPACE'])
    assert.equal((await first(5)).bytes[0], 1)
    assert.equal(await disk.append(id, [entry(2, 9, 4, { content: 'hole', bytes: new Uint8Array(0) })]), undefined)
    assert.ok(Array.isArray(await disk.fence(id, { start: 0, blocks: 9, token: 1, configuration: 1, cuts: [] })))
    log.onWrite = () => undefined
    await disk.append(id, [entry(3, 6)])
    await open()
    assert.equal((await first(5)).bytes[0], 1, 'a write that failed is not there after a new start')
    assert.equal((await first(6)).bytes[0], 3)
  })

  it('a large batch fails: what was encoded behind it is written all the same, if it is none of its sequence', async () => {
    const other = { ...id, segment: 8 }
    const mebibyte = 256
    let writes = 0
    for (const kept of [true, false]) {
      const next = (await disk.streamEnd(id, 1)) + 1
      writes = 0
      log.onWrite = () => (++writes === 2 ? { error: noSpace(), kept } : undefined)
      const outcomes = await Promise.all([
        ...Array.from({ length: 4 }, async (_, i) => disk.append(id, [entry(next + i, i * mebibyte, mebibyte)]).then(() => 'ok', codeOf)),
        ...Array.from({ length: 3 }, async (_, i) => disk.install(other, [{ start: i * mebibyte, blocks: mebibyte, version: { token: 1, sequence: next + i }, content: 'data', bytes: new Uint8Array(mebibyte * blockBytes).fill(next + i) }]).then(() => 'ok', codeOf)),
      ])
      assert.deepEqual(outcomes, ['ok', 'NO_SPACE', 'NO_SPACE', 'NO_SPACE', 'ok', 'ok', 'ok'])
      log.onWrite = () => undefined
      assert.equal(await disk.append(id, [entry(next + 1, 900)]), undefined)
      await open()
      assert.equal(await disk.streamEnd(id, 1), next + 1)
      assert.equal((await first(900)).bytes[0], next + 1)
      assert.equal((await first(mebibyte)).version, undefined, 'what failed never was')
      for (let i = 0; i < 3; i++) assert.equal((await disk.read(other, { start: i * mebibyte, blocks: 1 }))[0]?.bytes[0], next + i)
    }
  })

  it('gives back the space of what was overwritten, once it is settled', async () => {
    for (let n = 1; n <= 100; n++) await disk.append(id, [entry(n, n % 4)])
    await disk.append(id, [entry(101, 500)])
    await disk.checkpoint()
    const compactAll = async (): Promise<void> => {
      for (let n = 0; n < 60 && (await disk.compact()); n++);
    }
    await compactAll()
    const before = await disk.usage()
    assert.ok(before.diskBytes > 100 * blockBytes, 'nothing is settled yet')
    await disk.settled(id, 1, 101)
    await disk.close()
    await open()
    await disk.settled(id, 1, 101)
    for (let n = 102; n <= 110; n++) await disk.append(id, [entry(n, n % 4)])
    await disk.settled(id, 1, 110)
    await disk.checkpoint()
    await compactAll()
    const after = await disk.usage()
    assert.ok(after.diskBytes < 20 * blockBytes, `${String(after.diskBytes)} bytes on disk`)
    assert.equal(after.contentBytes, 5 * blockBytes)
    assert.equal((await first(500)).bytes[0], 101)
    await assert.rejects(disk.entries(id, 1, 0, 1), (error) => codeOf(error) === 'COMPACTED')
  })

  it('gives back unread what nobody needs, all at once, and nothing that a replica may ask for', async () => {
    for (let n = 1; n <= 100; n++) await disk.append(id, [entry(n, n % 4)])
    await disk.settled(id, 1, 80)
    await disk.checkpoint()
    const before = await disk.usage()
    log.reads = 0
    assert.equal(await disk.compact(), true)
    assert.equal(log.reads, 0)
    const { diskBytes } = await disk.usage()
    assert.ok(before.diskBytes - diskBytes > 60 * blockBytes, `${String(before.diskBytes - diskBytes)} bytes given back`)
    // What is not settled is there as it was, overwritten or not.
    for (let n = 0; n < 60 && (await disk.compact()); n++);
    assert.deepEqual((await disk.entries(id, 1, 80, 1e9)).map(({ sequence }) => sequence), Array.from({ length: 20 }, (_, i) => i + 81))
    await disk.settled(id, 1, 100)
    for (let n = 101; n <= 110; n++) await disk.append(id, [entry(n, n % 4)])
    await disk.settled(id, 1, 110)
    // The process dies: the pages on disk still name what was given back.
    await disk.checkpoint()
    for (let n = 111; n <= 118; n++) await disk.append(id, [entry(n, n % 4)])
    await disk.settled(id, 1, 118)
    assert.equal(await disk.compact(), true)
    log.life++
    meta.life++
    log.losePower(seededRandom(1))
    meta.losePower(seededRandom(2))
    await open()
    for (let block = 0; block < 4; block++) assert.ok(((await first(block)).bytes[0] ?? 0) > 114)
  })

  it('gives back in its own time beside who writes, as long as there is room', async () => {
    let nowMs = 1_000_000
    let sleptMs = 0
    const clock = { ...systemClock, monotonicMs: () => nowMs, sleep: async (ms: number) => { sleptMs += ms } }
    const fresh = new MemoryDatabase()
    const paced = await createReplicaDisk({ log: new MemorySlice(fresh), meta: new MemorySlice(new MemoryDatabase()), clock, journal: silentLog }, { unitBytesMax: 2 ** 20, bytesPerSecond: 2 ** 20 })
    // Of each unit half is needed: it is looked through.
    for (let n = 1; n <= 64; n++) await paced.append(id, [entry(n, n % 2 === 0 ? 5 : n * 16, 16)])
    await paced.settled(id, 1, 64)
    await paced.checkpoint()
    const tookMs = async (): Promise<number> => {
      sleptMs = 0
      assert.equal(await paced.compact(), true)
      return sleptMs
    }
    const besideMs = await tookMs()
    nowMs += 10_000
    const aloneMs = await tookMs()
    assert.ok(aloneMs > 500 && besideMs > 3 * aloneMs, `${String(besideMs)} ms beside who writes, ${String(aloneMs)} ms alone`)
    await paced.close()
  })

  it('a segment that nothing was written to costs nothing', async () => {
    const before = log.rows.size + meta.rows.size
    await disk.read({ ...id, segment: 2 ** 24 }, { start: 0, blocks: 16_384 })
    await disk.close()
    assert.equal(log.rows.size + meta.rows.size, before + 1, 'the mark only')
  })

  it('refuses what is no entry', async () => {
    const bad: Partial<LogEntry>[] = [{ blocks: 0 }, { start: -1 }, { start: 16_384 }, { blocks: 2 }, { token: 0 }, { sequence: 0.5 }, { origin: { client: '', sequence: 1 } }, { origin: { client: 'x'.repeat(256), sequence: 1 } }]
    for (const more of bad) await assert.rejects(disk.append(id, [{ ...entry(1, 5), ...more }]), (error) => codeOf(error) === 'BAD_INPUT')
    await assert.rejects(disk.append({ volume: 'zz', segment: 0 }, [entry(1, 5)]), (error) => codeOf(error) === 'BAD_INPUT')
  })
})

describe('records of the disk of a replica', () => {
  it('a changed byte of a row harms its blocks at most, and is noticed', () => {
    const key = rowKey(65_537, segmentKey(id))
    const row: Row = { ...emptyRow, kind: 'write', content: 'data', token: 3, sequence: 4, configuration: 5, start: 6, blocks: 1, origin: { client: 'me', sequence: 8 }, bytes: new Uint8Array(blockBytes).fill(9) }
    // In the middle of memory that was used before: what is left of that must not show.
    const memory = new Uint8Array(2 * blockBytes).fill(0xee)
    const end = encodeRow(memory, new DataView(memory.buffer), 100, { segment: segmentKey(id), position: 65_537, previous: 65_536 }, row)
    assert.equal(end - 100, encodedBytes(row))
    assert.deepEqual(memory.subarray(100, 100 + key.length), key)
    const value = memory.slice(100 + key.length, end)
    const whole = decodeRow(key, value)
    assert.ok(whole.intact && whole.origin?.client === 'me' && whole.previous === 65_536)
    fc.assert(fc.property(fc.nat(value.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = value.slice()
      changed[at] = (changed[at] ?? 0) ^ flip
      const { bytes, intact, ...rest } = decodeRow(key, changed)
      const { bytes: bytesBefore, intact: intactBefore, ...restBefore } = whole
      assert.deepEqual(rest, restBefore)
      assert.equal(intact, intactBefore && Buffer.compare(bytes, bytesBefore) === 0)
    }), { numRuns: 300 })
    // At both ends: nothing is believed.
    fc.assert(fc.property(fc.nat(63), fc.nat(63), (first, second) => {
      const changed = value.slice()
      for (const at of [first, changed.length - 64 + second]) changed[at] = (changed[at] ?? 0) ^ 1
      assert.throws(() => decodeRow(key, changed), (error) => codeOf(error) === 'CORRUPT')
    }))
    // As it was written before rows had two ends.
    const old = value.slice(0, value.length - 64 - 2)
    old[0] = 1
    new DataView(old.buffer).setUint32(60, crc32(old.subarray(64, 66), crc32(old.subarray(0, 60), crc32(key))))
    const { previous, token, start, origin, intact, bytes } = decodeRow(key, old)
    assert.deepEqual({ previous, token, start, origin, intact, length: bytes.length }, { previous: 65_536, token: 3, start: 6, origin: { client: 'me', sequence: 8 }, intact: true, length: blockBytes })
  })

  it('any bytes are read, or are CORRUPT', () => {
    const readers: ((bytes: Uint8Array) => unknown)[] = [
      (bytes) => decodeRow(bytes.subarray(0, 28), bytes.subarray(28)),
      decodeCuts,
      (bytes) => decodeOrigins(new RecordReader(bytes, 'origins')),
      (bytes) => { new Head().decode(new RecordReader(bytes, 'a head')) },
      (bytes) => { new Page(0, () => undefined).decode(new RecordReader(bytes, 'a page')) },
      (bytes) => unframed(bytes, 'a record'),
    ]
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(readers.length - 1), (bytes, which) => {
      try {
        readers[which]?.(bytes)
      } catch (error) {
        assert.equal(codeOf(error), 'CORRUPT', String(error))
      }
    }), { numRuns: 2000 })
  })
})
