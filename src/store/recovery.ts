import type { Log } from '../base/index.js'
import { afterPrefix, bytesOfMapKey, joined, mapKey, readSequence, sequenceKey } from './bytes.js'
import type { AppendFiles } from './append-log.js'
import type { Database, RawOperation } from './database.js'
import type { LedgerRecord } from './ledger.js'
import { account, decodeLedger, emptyLedger, encodeLedger } from './ledger.js'
import type { IndexEntry, TailBlock } from './records.js'
import { blockKey, decodeBlockKey, decodeEntry, decodeTail, encodeEntry, encodeGarbage } from './records.js'
import { rows } from './transactions.js'
import type { RecoveryReport } from './types.js'
import { StoreError } from './types.js'

export interface RecoveryComponents {
  /** Small blocks. */
  blocks: Database
  /** Large ones. */
  files: AppendFiles
  meta: Database
  log: Log
}

export interface Recovered {
  ledger: LedgerRecord
  report: RecoveryReport
}

/** Keys looked at in one go. */
const page = 512

/**
 * What the last user of this home may have left behind, and what becomes of it.
 *
 * After a crash of the process, bytes above the mark without an index entry: blocks of which nobody was told that they
 * are kept. They are listed as garbage. After a power cut there are the same, and nothing else, as long as the disk does
 * what fdatasync promises. If it does not (or somebody cut a file), there may be index entries above the mark without
 * bytes, since LevelDB drops the damaged end of a log without a word: they go to quarantine, from which they can be
 * fetched again. The `tail` rows name all entries above the mark, so that this does not take reading the whole index.
 *
 * Assumes that databases and files were just opened: then all that is in them is in synced tables and files, and the mark can
 * move to the end. Runs before anybody else sees the store.
 */
export async function recover(components: RecoveryComponents): Promise<Recovered> {
  const { meta, log } = components
  const stored = await meta.read(async (level) => level.get(rows.ledger))
  const ledger: LedgerRecord = stored === undefined ? { ...emptyLedger } : decodeLedger(stored)
  const last = await lastSequence(components)
  if (stored === undefined && last > 0) {
    // Taking every block for garbage would be the last thing to do to somebody whose index was lost.
    throw new StoreError('CORRUPT', 'there are blocks in this home, but no index of them: the folder "meta" is missing or was emptied', { folder: meta.folder })
  }
  const report: RecoveryReport = { clean: ledger.clean, orphans: 0, orphanBytes: 0, missing: 0 }
  const tail = await tailOf(meta)
  const lastGarbage = await lastGarbageSequence(meta)
  const lastTail = tail.blocks.reduce((max, { sequence }) => Math.max(max, sequence), 0)
  ledger.sequenceNext = Math.max(ledger.sequenceNext, ledger.mark + 1, last + 1, lastGarbage + 1, lastTail + 1)

  if (!ledger.clean || last > ledger.mark || tail.keys.length > 0) {
    await listOrphans(components, ledger, report)
    await quarantineMissing(components, ledger, tail.blocks, report)
  }
  // One batch: the tail rows go exactly when the mark passes them.
  ledger.mark = ledger.sequenceNext - 1
  ledger.clean = false
  const operations: RawOperation[] = tail.keys.map((key) => ({ type: 'del', key }))
  operations.push({ type: 'put', key: rows.ledger, value: encodeLedger(ledger) })
  await meta.writeDurably(async (level) => level.batch(operations, { sync: true }))
  if (report.orphans > 0 || report.missing > 0) log.warn('the store was not closed in order', { ...report })
  return { ledger, report }
}

async function listOrphans(components: RecoveryComponents, ledger: LedgerRecord, report: RecoveryReport): Promise<void> {
  const { blocks, files, meta } = components
  for await (const keys of keysAbove(components, ledger.mark)) {
    const places = keys.map(decodeBlockKey)
    const indexKeys = places.map(({ multihash }) => joined(rows.index, multihash))
    const garbageKeys = places.map(({ sequence }) => joined(rows.garbage, sequenceKey(sequence)))
    const [entries, listed] = await meta.read(async (level) => Promise.all([level.getMany(indexKeys), level.hasMany(garbageKeys)]))
    const operations: RawOperation[] = []
    for (const [i, place] of places.entries()) {
      const entry = entries[i]
      if (entry !== undefined && mayReferTo(entry, place.sequence)) continue
      if (listed[i] === true) continue
      const bytesKey = keys[i] ?? new Uint8Array(0)
      const bytes = (await files.get(bytesKey)) ?? (await blocks.read(async (level) => level.get(bytesKey, { fillCache: false })))
      const size = bytes?.length ?? 0
      const { key, value } = encodeGarbage({ ...place, size })
      operations.push({ type: 'put', key: joined(rows.garbage, key), value })
      ledger.reclaimableBytes += size
      report.orphans++
      report.orphanBytes += size
    }
    if (operations.length > 0) {
      // With the ledger, but without moving the mark: dying here means doing it again, and finding these listed.
      operations.push({ type: 'put', key: rows.ledger, value: encodeLedger({ ...ledger, clean: false }) })
      await meta.writeDurably(async (level) => level.batch(operations, { sync: true }))
    }
  }
}

/** Keys of blocks with numbers above the mark, in pages: first of the small ones, then of the large ones. */
async function* keysAbove({ blocks, files }: RecoveryComponents, mark: number): AsyncIterable<Uint8Array[]> {
  for (let from = sequenceKey(mark + 1); ; ) {
    const keys = await blocks.read(async (level) => level.keys({ gte: from, limit: page, fillCache: false }).all())
    const last = keys.at(-1)
    if (last === undefined) break
    yield keys
    from = sequenceKey(decodeBlockKey(last).sequence + 1)
  }
  let some: Uint8Array[] = []
  for await (const key of files.keys(sequenceKey(mark + 1))) {
    some.push(key)
    if (some.length < page) continue
    yield some
    some = []
  }
  if (some.length > 0) yield some
}

async function quarantineMissing(
  { blocks, files, meta }: RecoveryComponents,
  ledger: LedgerRecord,
  tail: readonly TailBlock[],
  report: RecoveryReport,
): Promise<void> {
  for (let start = 0; start < tail.length; start += page) {
    const some = tail.slice(start, start + page)
    const indexKeys = some.map(({ multihash }) => joined(rows.index, multihash))
    const values = await meta.read(async (level) => level.getMany(indexKeys))
    const promised: { key: string; entry: IndexEntry }[] = []
    some.forEach(({ sequence, multihash }, i) => {
      const value = values[i]
      const entry = value === undefined ? undefined : readable(() => decodeEntry(value))
      if (entry?.sequence === sequence && !entry.missing) promised.push({ key: mapKey(multihash), entry })
    })
    const keys = promised.map(({ key, entry }) => blockKey(entry.sequence, entry.codec, bytesOfMapKey(key)))
    const [small, large] = await Promise.all([blocks.read(async (level) => level.hasMany(keys)), Promise.all(keys.map(async (key) => files.has(key)))])
    const operations: RawOperation[] = []
    promised.forEach(({ key, entry }, i) => {
      if (small[i] === true || large[i] === true) return
      const after = { ...entry, quarantined: true, missing: true }
      account(ledger, entry, after)
      operations.push({ type: 'put', key: joined(rows.index, bytesOfMapKey(key)), value: encodeEntry(after) })
      operations.push({ type: 'put', key: joined(rows.quarantine, bytesOfMapKey(key)), value: new Uint8Array(0) })
      report.missing++
    })
    if (operations.length === 0) continue
    operations.push({ type: 'put', key: rows.ledger, value: encodeLedger({ ...ledger, clean: false }) })
    await meta.writeDurably(async (level) => level.batch(operations, { sync: true }))
  }
}

async function tailOf(meta: Database): Promise<{ keys: Uint8Array[]; blocks: TailBlock[] }> {
  const entries = await meta.read(async (level) => level.iterator({ ...within(rows.tail), fillCache: false }).all())
  return { keys: entries.map(([key]) => key), blocks: entries.flatMap(([, value]) => readable(() => decodeTail(value)) ?? []) }
}

/** A damaged row keeps the bytes: nobody knows which they are. */
function mayReferTo(entry: Uint8Array, sequence: number): boolean {
  const { sequence: known } = readable(() => decodeEntry(entry)) ?? { sequence }
  return known === sequence
}

/** Undefined for a row that is damaged: one such keeps no node from starting. */
function readable<T>(decode: () => T): T | undefined {
  try {
    return decode()
  } catch (error) {
    if (error instanceof StoreError && error.code === 'CORRUPT') return undefined
    throw error
  }
}

async function lastSequence({ blocks, files }: RecoveryComponents): Promise<number> {
  const [last] = await blocks.read(async (level) => level.keys({ reverse: true, limit: 1 }).all())
  return Math.max(last === undefined ? 0 : decodeBlockKey(last).sequence, await files.lastPosition())
}

async function lastGarbageSequence(meta: Database): Promise<number> {
  const [last] = await meta.read(async (level) => level.keys({ ...within(rows.garbage), reverse: true, limit: 1 }).all())
  return last === undefined ? 0 : readSequence(last, rows.garbage.length)
}

/** Ids of the drafts that have markers: one seek per draft, however many blocks it has. */
export async function draftsOnDisk(meta: Database): Promise<string[]> {
  const ids: string[] = []
  const end = afterPrefix(rows.drafts)
  let from = rows.drafts
  while (true) {
    const [key] = await meta.read(async (level) => level.keys({ gte: from, ...(end === undefined ? {} : { lt: end }), limit: 1 }).all())
    if (key === undefined) return ids
    const id = key.subarray(rows.drafts.length, key.indexOf(0, rows.drafts.length))
    ids.push(new TextDecoder().decode(id))
    from = joined(rows.drafts, id, new Uint8Array([1]))
  }
}

export function within(prefix: Uint8Array): { gte: Uint8Array; lt?: Uint8Array } {
  const end = afterPrefix(prefix)
  return end === undefined ? { gte: prefix } : { gte: prefix, lt: end }
}
