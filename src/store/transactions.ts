import type { WriteOperation } from '../base/index.js'
import { GroupCommit } from '../base/index.js'
import type { BlockLog } from './block-log.js'
import { bytesOfMapKey, joined, mapKey, sequenceKey, textBytes } from './bytes.js'
import type { Database, RawDatabase, RawOperation } from './database.js'
import { writeBatch } from './database.js'
import { keyspace } from './keyspace.js'
import type { LedgerRecord } from './ledger.js'
import type { Lookups } from './lookups.js'
import { account, decodeLedger, encodeLedger } from './ledger.js'
import type { Garbage, IndexEntry, TailBlock } from './records.js'
import { decodeEntry, encodeEntry, encodeGarbage, encodeTail } from './records.js'
import type { BlockPlace } from './block-log.js'

/** Rows of this room, ready to be put in front of keys. */
export const rows = {
  index: textBytes(keyspace['block-index']),
  drafts: textBytes(keyspace.drafts),
  quarantine: textBytes(keyspace.quarantine),
  garbage: textBytes(keyspace.garbage),
  tail: textBytes(keyspace.tail),
  ledger: textBytes(keyspace.ledger),
} as const

/** One caller's change of `meta`: all of it or nothing, in one batch with those of others. */
export interface Change {
  readonly durable: boolean
  readonly operations: readonly WriteOperation[]
  /** Called in the change's turn, when all changes before it are done: whatever has to be read first. */
  prepare?(): Promise<void>
  /** True if it will name new places in the block log: these are synced first. */
  places?(): boolean
  /** Called after `prepare`: which index entries `check` and `apply` will ask for, by map key. */
  touches?(): Iterable<string>
  /** Refuses this change, and no other, by throwing. */
  check?(work: Workspace): void
  /** Must not throw: the others of the group depend on it. */
  apply?(work: Workspace): void
  /** The batch is written: memory follows. Must not throw. */
  done?(): void
}

interface Turn {
  readonly change: Change
  refused?: { error: unknown }
}

/** What one batch is going to be: the index as it will stand, and the operations beside it. */
export class Workspace {
  readonly operations: RawOperation[] = []
  readonly totals: LedgerRecord
  readonly tail: TailBlock[] = []
  /** Sequence numbers that this batch makes known to the index or to the list of garbage. */
  readonly known: number[] = []
  /** Markers of drafts that this very batch puts, as `draft id, 0x00, map key`: changes behind it must know. */
  readonly markers = new Set<string>()
  /** The totals were changed by hand: the ledger has to be written. */
  countsChanged = false
  readonly #before: ReadonlyMap<string, IndexEntry>
  readonly #after = new Map<string, IndexEntry | undefined>()

  constructor(before: ReadonlyMap<string, IndexEntry>, ledger: LedgerRecord) {
    this.#before = before
    this.totals = { ...ledger }
  }

  entry(key: string): IndexEntry | undefined {
    return this.#after.has(key) ? this.#after.get(key) : this.#before.get(key)
  }

  set(key: string, entry: IndexEntry | undefined): void {
    this.#after.set(key, entry)
  }

  changes(key: string): boolean {
    return this.#after.has(key)
  }

  /** The bytes at this place are in the index from now on. */
  placed(place: BlockPlace): void {
    this.tail.push({ sequence: place.sequence, multihash: place.multihash })
    this.known.push(place.sequence)
  }

  garbage(garbage: Garbage): void {
    const { key, value } = encodeGarbage(garbage)
    this.operations.push({ type: 'put', key: joined(rows.garbage, key), value })
    this.totals.reclaimableBytes += garbage.size
    this.known.push(garbage.sequence)
  }

  /**
   * The index has these very bytes. A batch whose sync failed may have reached the disk all the same: what its caller
   * takes for rubbish since then is a block of something that is there.
   */
  refersTo({ sequence, multihash }: Pick<Garbage, 'sequence' | 'multihash'>): boolean {
    const entry = this.entry(mapKey(multihash))
    return entry !== undefined && !entry.missing && entry.sequence === sequence
  }

  /** The old bytes of an entry that goes, or gets others. */
  discard(key: string, entry: IndexEntry): void {
    if (entry.missing) return
    this.garbage({ sequence: entry.sequence, size: entry.size, codec: entry.codec, multihash: bytesOfMapKey(key) })
  }

  /** Turns what changed in the index into operations, and counts it. */
  finish(): RawOperation[] {
    for (const [key, after] of this.#after) {
      const before = this.#before.get(key)
      const bytes = bytesOfMapKey(key)
      const indexKey = joined(rows.index, bytes)
      account(this.totals, before, after)
      if (after !== undefined) this.operations.push({ type: 'put', key: indexKey, value: encodeEntry(after) })
      else if (before !== undefined) this.operations.push({ type: 'del', key: indexKey })
      if ((before?.quarantined ?? false) === (after?.quarantined ?? false)) continue
      const quarantineKey = joined(rows.quarantine, bytes)
      if (after?.quarantined === true) this.operations.push({ type: 'put', key: quarantineKey, value: new Uint8Array(0) })
      else this.operations.push({ type: 'del', key: quarantineKey })
    }
    return this.operations
  }

  get changesIndex(): boolean {
    return this.countsChanged || this.#after.size > 0 || this.known.length > 0 || this.markers.size > 0
  }
}

export interface TransactionsInit {
  ledger: LedgerRecord
}

export interface TransactionsComponents {
  database: Database
  log: BlockLog
  lookups: Lookups
}

/** Changes in one batch. A change of a thousand blocks counts as one: drafts bound how many there are of those. */
const changesMax = 1024
/** Map keys read from the index at once. */
const readsMax = 4096

/**
 * All writes to `meta` pass here, one batch at a time: reference counts are read, changed and written without anybody
 * in between, and the ledger goes into the same batch. While one batch is being synced, the next gathers.
 *
 * Order on disk: before a batch that names new places in the block log is written, the log is synced. So an index entry
 * is never durable before its bytes are, not even when the power goes; what can be left over is bytes without an entry,
 * and the next opening finds those behind the mark.
 *
 * Every batch that touches the index or the ledger is synced, whatever the caller asked for: with LevelDB an unsynced
 * batch can be lost while a later, synced one stays (see log-watch.ts), and the sums would be wrong from then on.
 */
export class Transactions {
  readonly #components: TransactionsComponents
  readonly #group: GroupCommit<Turn>
  #ledger: LedgerRecord
  #working: Workspace | undefined
  #workingDone: Promise<void> = Promise.resolve()
  /** Rows of `tail` above the mark, oldest first. */
  readonly #tailRows: number[] = []
  /** The last batch failed: nobody knows whether it is on disk. */
  #inDoubt = false
  /** Places nobody will ever refer to, to be listed as garbage by the next batch. */
  readonly #orphans: Garbage[] = []

  constructor(components: TransactionsComponents, init: TransactionsInit) {
    this.#components = components
    this.#ledger = { ...init.ledger, clean: false }
    this.#group = new GroupCommit<Turn>({ write: async (turns) => this.#write(turns), operationsMax: changesMax })
  }

  get ledger(): Readonly<LedgerRecord> {
    return this.#ledger
  }

  async run(change: Change): Promise<void> {
    const turn: Turn = { change }
    await this.#group.commit([turn])
    if (turn.refused !== undefined) throw turn.refused.error
  }

  /** Resolves when no batch that is under way changes this entry: what is read then is what the index says. */
  async settled(key: string): Promise<void> {
    while (this.#working?.changes(key) === true) await this.#workingDone
  }

  /** The same of many, all at one time. */
  async allSettled(keys: readonly string[]): Promise<void> {
    while (keys.some((key) => this.#working?.changes(key) === true)) await this.#workingDone
  }

  /** Bytes that were appended and that nobody wants: garbage, as soon as a batch is written. */
  orphan(garbage: Garbage): void {
    this.#orphans.push(garbage)
  }

  async idle(): Promise<void> {
    await this.#group.idle()
  }

  /** The last thing before closing: if the log is settled to its end, the next opening has nothing to look for. */
  async seal(): Promise<void> {
    const { database, log } = this.#components
    await this.run({
      durable: true,
      operations: [],
      apply: (work) => {
        work.countsChanged = true
      },
    })
    const ledger = this.#ledger
    if (ledger.mark !== log.sequenceNext - 1) return
    await database.writeDurably(async (level) => level.put(rows.ledger, encodeLedger({ ...ledger, clean: true }), { sync: true }))
  }

  async #write(turns: readonly Turn[]): Promise<void> {
    let release = (): void => undefined
    this.#workingDone = new Promise<void>((resolve) => {
      release = resolve
    })
    try {
      await this.#writeGroup(turns)
    } finally {
      this.#working = undefined
      release()
    }
  }

  async #writeGroup(turns: readonly Turn[]): Promise<void> {
    const { database, log } = this.#components
    if (this.#inDoubt) await this.#reload()
    // What these changes name was written to the log before they came here, so that the sync can begin at once.
    const synced = turns.some(({ change }) => change.places?.() === true) ? log.sync() : undefined
    const orphans = [...this.#orphans]
    const [{ entries, damaged }] = await Promise.all([this.#read(turns, orphans), synced])
    const work = new Workspace(entries, this.#ledger)
    // What drafts hold cannot change unseen from here on: see `settled`.
    this.#working = work
    const accepted = turns.filter((turn) => apply(turn, work))
    // Nobody knows what a damaged row refers to.
    for (const garbage of orphans) if (!damaged.has(mapKey(garbage.multihash)) && !work.refersTo(garbage)) work.garbage(garbage)

    const operations = work.finish()
    const changesIndex = work.changesIndex
    if (changesIndex) this.#markAndLedger(work)
    if (operations.length === 0) {
      this.#orphans.splice(0, orphans.length)
      for (const { change } of accepted) change.done?.()
      return
    }
    try {
      const durable = changesIndex || accepted.some(({ change }) => change.durable)
      const write = async (level: RawDatabase): Promise<void> => writeBatch(level, operations, { sync: durable })
      if (durable) await database.writeDurably(write)
      else await database.write(write)
    } catch (error) {
      this.#inDoubt = true
      throw error
    }
    this.#orphans.splice(0, orphans.length)
    this.#ledger = work.totals
    this.#keepTailRows(work)
    for (const sequence of work.known) log.indexed(sequence)
    for (const { change } of accepted) change.done?.()
  }

  /**
   * A batch whose sync failed may be in the log all the same, and be there when the database is opened anew. The callers
   * were told that it failed; the ledger must not be told otherwise than the index, so both are taken from the disk.
   */
  async #reload(): Promise<void> {
    const { database } = this.#components
    await database.writable()
    const record = await database.read(async (level) => level.get(rows.ledger))
    if (record !== undefined) this.#ledger = { ...decodeLedger(record), clean: false }
    this.#inDoubt = false
  }

  async #read(turns: readonly Turn[], orphans: readonly Garbage[]): Promise<{ entries: Map<string, IndexEntry>; damaged: ReadonlyMap<string, unknown> }> {
    const wanted = new Set<string>(orphans.map(({ multihash }) => mapKey(multihash)))
    for (const turn of turns) {
      try {
        await turn.change.prepare?.()
      } catch (error) {
        turn.refused = { error }
      }
    }
    const touched = new Map<Turn, readonly string[]>()
    for (const turn of turns) {
      if (turn.refused !== undefined) continue
      const keys = [...(turn.change.touches?.() ?? [])]
      touched.set(turn, keys)
      for (const key of keys) wanted.add(key)
    }
    const damaged = new Map<string, unknown>()
    const entries = await this.readEntries([...wanted], (key, error) => damaged.set(key, error))
    // Whoever asks for a row that cannot be read is refused, and none of those who happen to be written with him.
    if (damaged.size > 0) {
      for (const [turn, keys] of touched) {
        const bad = keys.find((key) => damaged.has(key))
        if (bad !== undefined) turn.refused = { error: damaged.get(bad) }
      }
    }
    return { entries, damaged }
  }

  /** Index entries as they are on disk, by map key; absent ones are left out. Throws CORRUPT, or tells, of which one cannot be read. */
  async readEntries(keys: readonly string[], onDamaged?: (key: string, error: unknown) => void): Promise<Map<string, IndexEntry>> {
    const entries = new Map<string, IndexEntry>()
    for (let start = 0; start < keys.length; start += readsMax) {
      const some = keys.slice(start, start + readsMax)
      const indexKeys = some.map((key) => joined(rows.index, bytesOfMapKey(key)))
      const values = await this.#components.lookups.getMany(indexKeys)
      values.forEach((value, i) => {
        const key = some[i]
        if (value === undefined || key === undefined) return
        try {
          entries.set(key, decodeEntry(value))
        } catch (error) {
          if (onDamaged === undefined) throw error
          onDamaged(key, error)
        }
      })
    }
    return entries
  }

  /** Writes the ledger, the tail row of the new places, and forgets the tail rows that the mark has passed. */
  #markAndLedger(work: Workspace): void {
    const { log } = this.#components
    const { operations, tail, totals } = work
    if (tail.length > 0) operations.push({ type: 'put', key: tailKey(highestOf(tail)), value: encodeTail(tail) })
    totals.mark = Math.max(totals.mark, log.mark)
    totals.sequenceNext = log.sequenceNext
    totals.clean = false
    for (const row of this.#tailRows) {
      if (row > totals.mark) break
      operations.push({ type: 'del', key: tailKey(row) })
    }
    operations.push({ type: 'put', key: rows.ledger, value: encodeLedger(totals) })
  }

  /** The same in memory, once the batch is written. Rows come nearly in order: the place of a new one is near the end. */
  #keepTailRows({ tail, totals }: Workspace): void {
    const passed = this.#tailRows.findIndex((row) => row > totals.mark)
    this.#tailRows.splice(0, passed < 0 ? this.#tailRows.length : passed)
    if (tail.length === 0) return
    const highest = highestOf(tail)
    this.#tailRows.splice(this.#tailRows.findLastIndex((row) => row < highest) + 1, 0, highest)
  }
}

function tailKey(row: number): Uint8Array {
  return joined(rows.tail, sequenceKey(row))
}

function highestOf(tail: readonly TailBlock[]): number {
  return tail.reduce((highest, { sequence }) => Math.max(highest, sequence), 0)
}

function apply(turn: Turn, work: Workspace): boolean {
  if (turn.refused !== undefined) return false
  try {
    turn.change.check?.(work)
  } catch (error) {
    turn.refused = { error }
    return false
  }
  turn.change.apply?.(work)
  work.operations.push(...turn.change.operations)
  return true
}
