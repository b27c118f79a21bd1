import type { AppendLog, KeyRange, Log, Random, WriteOperation } from '../base/index.js'
import { CommonError, GroupCommit, messageOf } from '../base/index.js'
import type { Put } from './append-frames.js'
import { frameBytes, keyBytesMax, keyBytesMin, nameOf, rowOf, rowsMax, saltBytes, unfinishedSuffix, unitOf, unitOfName } from './append-frames.js'
import type { AppendUnitInit } from './append-unit.js'
import { AppendUnit } from './append-unit.js'
import { readSequence } from './bytes.js'
import type { LogFolder } from './log-folder.js'
import type { AppendLogInit } from './types.js'
import { StoreError } from './types.js'

export interface AppendFilesComponents {
  folder: LogFolder
  random: Random
  log: Log
  /** Throws NO_SPACE; resolves to what to call when the bytes were handed over. */
  admit: (bytes: number) => Promise<() => void>
}

/** Files open at once besides those in use: 2 GiB of volumes that are read at random, and their tables, 16 KiB each where rows are small. */
const loadedMax = 128
/** Looked at together when the log is opened. */
const openedAtOnce = 8
/** Units that are full and not synced yet: more, and writers wait for the disk, here and not in the kernel, where everybody would. */
const sealingMax = 4
/** So many syncs, of so few bytes each, and the file is made longer ahead of the rows: see `prepare` in append-unit.ts. */
const smallSyncs = 8
const smallSyncBytes = 128 * 1024
/** What one batch has mostly; a larger one gets memory of its own. */
const bufferBytes = 1280 * 1024

/**
 * An append log in files of its own, one for each unit. Why not in LevelDB, as everything else: it writes and sums each
 * byte twice, in another thread; and its log grows with each write, so that a sync waits for the file system's journal.
 * What it gives, order and search, rows that are appended and found by their number do not need.
 *
 * Writes go one at a time; syncs are shared, and run beside them.
 */
export class AppendFiles implements AppendLog {
  readonly #components: AppendFilesComponents
  readonly #init: AppendLogInit
  /** In their order. */
  readonly #units = new Map<number, AppendUnit>()
  /** Those whose files are open, the least recently used first. */
  readonly #loaded = new Set<AppendUnit>()
  #lastUsed: AppendUnit | undefined
  #current: AppendUnit | undefined
  /** Which may have what is not synced. */
  readonly #unsynced = new Set<AppendUnit>()
  readonly #sealing = new Set<Promise<void>>()
  #folderChanged = false
  /** How many files were removed or replaced, and of how many of these it is durable. */
  #removed = 0
  #removedSynced = 0
  readonly #syncs: GroupCommit<never>
  #turn: Promise<unknown> | undefined
  readonly #buffer = Buffer.allocUnsafeSlow(bufferBytes)
  #queuedBytes = 0
  #fileBytes = 0
  #highest = -1
  #bytesSinceSync = 0
  #smallSyncs = 0
  #isClosed = false

  private constructor(components: AppendFilesComponents, init: AppendLogInit) {
    this.#components = components
    this.#init = init
    this.#syncs = new GroupCommit<never>({ write: async () => this.#sync(), operationsMax: 1 })
  }

  /** Looks at what is there, and makes durable what a crash of the process left behind. Throws NO_SPACE, DISK. */
  static async open(components: AppendFilesComponents, init: AppendLogInit): Promise<AppendFiles> {
    const files = new AppendFiles(components, init)
    await files.#open()
    return files
  }

  /** Bytes of all its files. */
  get fileBytes(): number {
    return this.#fileBytes
  }

  /** Bytes that were admitted and are not in a file yet. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  now(key: Uint8Array): Uint8Array | undefined {
    const unit = this.#units.get(unitOf(key))
    if (unit?.isLoaded !== true) return undefined
    this.#use(unit)
    return unit.now(key)
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const unit = this.#units.get(unitOf(key))
    if (unit === undefined) return undefined
    this.#use(unit)
    return unit.get(key)
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.all(keys.map(async (key) => this.now(key) ?? this.get(key)))
  }

  /** Of the last row; 0 if there is none. */
  async lastPosition(): Promise<number> {
    const unit = this.#units.get(this.#highest)
    return unit === undefined ? 0 : unit.number * rowsMax + (await unit.rows()) - 1
  }

  /** Whether there is a unit that may have it; which takes no look at its file. */
  mayHave(key: Uint8Array): boolean {
    return this.#units.has(unitOf(key))
  }

  /** Whether there is a row at the key's position. */
  async has(key: Uint8Array): Promise<boolean> {
    const unit = this.#units.get(unitOf(key))
    if (unit === undefined) return false
    this.#use(unit)
    return unit.has(rowOf(key))
  }

  /** Keys from this one on, in order, without reading values. */
  async *keys(from: Uint8Array): AsyncIterable<Uint8Array> {
    for (const unit of [...this.#units.values()]) {
      if (unit.number < unitOf(from)) continue
      this.#use(unit)
      yield* unit.keys(unit.number === unitOf(from) ? rowOf(from) : 0)
    }
  }

  /** What the rows from one position to another take, both included. */
  async bytesOf(first: Uint8Array, last: Uint8Array): Promise<number> {
    let bytes = 0
    for (const unit of [...this.#units.values()]) {
      if (unit.number < unitOf(first) || unit.number > unitOf(last)) continue
      this.#use(unit)
      bytes += await unit.bytesOf(unit.number === unitOf(first) ? rowOf(first) : 0, unit.number === unitOf(last) ? rowOf(last) : rowsMax - 1)
    }
    return bytes
  }

  /** The first position that is not in a sealed file, of those that were given; undefined if all are. */
  get firstUnsealed(): number | undefined {
    for (const unit of this.#unsynced) if (!unit.isSealed) return unit.number * rowsMax
    return undefined
  }

  async *entries(range: KeyRange = {}): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]> {
    if (range.reverse === true) {
      yield* this.#backwards(range)
      return
    }
    let count = 0
    const first = range.gte ?? range.gt
    for (const unit of [...this.#units.values()]) {
      if (first !== undefined && unit.number < unitOf(first)) continue
      const from = first !== undefined && unit.number === unitOf(first) ? rowOf(first) : 0
      this.#use(unit)
      for await (const entry of unit.entries(from, rowsMax)) {
        if (isAbove(entry[0], range)) return
        if (isBelow(entry[0], range)) continue
        if (range.limit !== undefined && count >= range.limit) return
        count++
        yield entry
      }
    }
  }

  put(key: Uint8Array, value: Uint8Array): WriteOperation {
    return { type: 'put', key, value }
  }

  async write(operations: readonly WriteOperation[], { freesSpace = false }: { freesSpace?: boolean } = {}): Promise<void> {
    const puts = operations.map(putOf)
    if (puts.length === 0) return
    let bytes = 0
    for (const put of puts) bytes += frameBytes(put)
    const admitted = freesSpace ? undefined : await this.#components.admit(bytes)
    this.#queuedBytes += bytes
    try {
      await this.#inTurn(() => this.#write(puts, bytes))
    } finally {
      this.#queuedBytes -= bytes
      admitted?.()
    }
  }

  async sync(): Promise<void> {
    await this.#syncs.commit([])
  }

  /** Completes the open file: all of it is durable, and the next start has nothing to look through. */
  async seal(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#current !== undefined) await this.#seal(this.#current)
      this.#current = undefined
    })
    await Promise.all(this.#sealing)
  }

  /** Deletes single rows: their units are written anew without them. Durable. Keys of rows that are not there do not matter. */
  async drop(keys: readonly Uint8Array[]): Promise<void> {
    const rowsOf = new Map<AppendUnit, Set<number>>()
    for (const key of keys) {
      const unit = this.#units.get(unitOf(key))
      if (unit === undefined || !(await unit.has(rowOf(key)))) continue
      const rows = rowsOf.get(unit)
      if (rows === undefined) rowsOf.set(unit, new Set([rowOf(key)]))
      else rows.add(rowOf(key))
    }
    for (const [unit, rows] of rowsOf) {
      this.#use(unit)
      // The highest may be opened for more rows meanwhile.
      if (unit.number === this.#highest) await this.#inTurn(async () => this.#dropRows(unit, rows))
      else await this.#dropRows(unit, rows)
    }
    await this.#syncRemoved()
  }

  async erase(from: Uint8Array, to: Uint8Array): Promise<void> {
    const [first, last] = [readSequence(from, 0), readSequence(to, 0) - (to.length > keyBytesMin ? 0 : 1)]
    const gone: AppendUnit[] = []
    for (const unit of [...this.#units.values()]) {
      const firstRow = unit.number * rowsMax
      if (last < firstRow || first >= firstRow + rowsMax) continue
      const isToItsEnd = last >= firstRow + rowsMax - 1 || last >= firstRow + (await unit.rows()) - 1
      if (!isToItsEnd) throw new CommonError('BAD_INPUT', 'rows of a log are erased by the unit, or from one on')
      if (first <= firstRow) gone.push(unit)
      else await this.#cut(unit, first - firstRow)
    }
    for (const unit of gone) await this.#remove(unit)
    await this.#syncRemoved()
  }

  /** Also of what one before it has removed and could not sync. */
  async #syncRemoved(): Promise<void> {
    const removed = this.#removed
    if (removed <= this.#removedSynced) return
    await this.#components.folder.sync()
    this.#removedSynced = Math.max(this.#removedSynced, removed)
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#turn
    await this.#syncs.idle()
    await Promise.all(this.#sealing)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.idle()
    // The next start has nothing to look through then; if it fails it has.
    if (this.#current !== undefined) await this.#seal(this.#current)
    for (const unit of this.#units.values()) await unit.close()
  }

  async #open(): Promise<void> {
    const { folder, log } = this.#components
    const names = await folder.names()
    for (const name of names) if (name.endsWith(unfinishedSuffix)) await folder.remove(name)
    const numbers = names.map(unitOfName).filter((number) => number !== undefined).sort((a, b) => a - b)
    for (let at = 0; at < numbers.length; at += openedAtOnce) {
      const some = numbers.slice(at, at + openedAtOnce)
      const units = await Promise.all(some.map(async (number) => AppendUnit.find(folder, this.#unitInit(number))))
      for (const [i, unit] of units.entries()) {
        const number = some[i] ?? 0
        if (unit !== undefined) this.#units.set(number, unit)
        else await folder.remove(nameOf(number))
      }
    }
    // Not all at once: there may be more of them than a call takes arguments.
    for (const number of this.#units.keys()) this.#highest = number
    for (const unit of this.#units.values()) {
      if (unit.isSealed) continue
      try {
        await unit.seal()
        await unit.unload()
      } catch (error) {
        // A full disk: its rows can be read all the same, and the next start tries again. What cannot be synced is no base to build on.
        await unit.sync()
        log.warn('a file of the log could not be completed', { unit: unit.number, reason: messageOf(error) })
      }
    }
    // Also what is not there: it may have been removed just before the process died.
    await folder.sync()
  }

  async #write(puts: readonly Put[], bytes: number): Promise<void> {
    if (this.#isClosed) throw new StoreError('CLOSED', 'the store is closed')
    const buffer = bytes <= this.#buffer.length ? this.#buffer : Buffer.allocUnsafeSlow(bytes)
    for (let at = 0; at < puts.length; ) {
      const number = unitOf((puts[at] as Put).key)
      let end = at + 1
      while (end < puts.length && unitOf((puts[end] as Put).key) === number) end++
      const unit = this.#current?.number === number ? this.#current : await this.#begin(number)
      this.#unsynced.add(unit)
      const writing = unit.append(at === 0 && end === puts.length ? puts : puts.slice(at, end), buffer)
      if (writing !== undefined) await writing
      at = end
    }
    this.#bytesSinceSync += bytes
  }

  async #dropRows(unit: AppendUnit, rows: ReadonlySet<number>): Promise<void> {
    if (!unit.isSealed) await unit.seal()
    if (unit === this.#current) this.#current = undefined
    this.#unsynced.delete(unit)
    if (await unit.rewrite(rows)) this.#removed++
    else await this.#remove(unit)
  }

  async #begin(number: number): Promise<AppendUnit> {
    const { folder, random } = this.#components
    const before = this.#current
    if (before !== undefined) {
      this.#current = undefined
      const sealing = this.#seal(before).finally(() => this.#sealing.delete(sealing))
      this.#sealing.add(sealing)
    }
    while (this.#sealing.size >= sealingMax) await Promise.race(this.#sealing)
    const last = this.#units.get(number)
    if (last !== undefined && number === this.#highest) {
      if (await last.reopen()) this.#folderChanged = true
      this.#loaded.delete(last)
      if (this.#lastUsed === last) this.#lastUsed = undefined
      this.#current = last
      return last
    }
    // The last one may have gone with all its rows.
    if (number < this.#highest) throw new CommonError('BAD_INPUT', 'rows of a log are appended in their order')
    const unit = await AppendUnit.create(folder, this.#unitInit(number), random.bytes(saltBytes))
    this.#highest = number
    this.#folderChanged = true
    this.#units.set(number, unit)
    this.#current = unit
    return unit
  }

  /** Never rejects: what is not sealed is looked through at the next start. */
  async #seal(unit: AppendUnit): Promise<void> {
    try {
      await unit.seal()
      this.#unsynced.delete(unit)
      this.#use(unit)
    } catch (error) {
      this.#components.log.warn('a file of the log could not be completed', { unit: unit.number, reason: messageOf(error) })
    }
  }

  async #sync(): Promise<void> {
    const units = [...this.#unsynced]
    const bytes = this.#bytesSinceSync
    this.#bytesSinceSync = 0
    const folderChanged = this.#folderChanged
    this.#folderChanged = false
    if (bytes > 0) this.#smallSyncs = bytes > smallSyncBytes ? 0 : this.#smallSyncs + 1
    try {
      const work = units.map(async (unit) => unit.sync())
      if (folderChanged) work.push(this.#components.folder.sync())
      if (work.length === 1) await work[0]
      else await Promise.all(work)
    } catch (error) {
      this.#folderChanged ||= folderChanged
      throw error
    }
    // More may have come to one of them meanwhile, before the next one was begun.
    for (const unit of units) if (unit !== this.#current && unit.isSynced) this.#unsynced.delete(unit)
    if (this.#smallSyncs >= smallSyncs) this.#current?.prepare(this.#components.admit)
  }

  async #cut(unit: AppendUnit, row: number): Promise<void> {
    if (unit === this.#current) this.#current = undefined
    await unit.cut(row)
    this.#unsynced.delete(unit)
    this.#use(unit)
  }

  async #remove(unit: AppendUnit): Promise<void> {
    if (unit === this.#current) this.#current = undefined
    this.#unsynced.delete(unit)
    // First of all: what cannot be removed is there, and can be tried again.
    await unit.remove()
    this.#removed++
    this.#units.delete(unit.number)
    this.#loaded.delete(unit)
    if (this.#lastUsed === unit) this.#lastUsed = undefined
  }

  async *#backwards(range: KeyRange): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]> {
    let count = 0
    for (const unit of [...this.#units.values()].reverse()) {
      this.#use(unit)
      for (let row = (await unit.rows()) - 1; row >= 0; row--) {
        for await (const entry of unit.entries(row, row + 1)) {
          if (isBelow(entry[0], range)) return
          if (isAbove(entry[0], range)) continue
          if (range.limit !== undefined && count >= range.limit) return
          count++
          yield entry
        }
      }
    }
  }

  #unitInit(number: number): AppendUnitInit {
    return {
      number,
      isWhole: this.#init.isWhole,
      onBytes: (difference) => {
        this.#fileBytes += difference
      },
    }
  }

  #use(unit: AppendUnit): void {
    if (unit === this.#lastUsed || !unit.isSealed || !this.#units.has(unit.number)) return
    this.#lastUsed = unit
    this.#loaded.delete(unit)
    this.#loaded.add(unit)
    if (this.#loaded.size <= loadedMax) return
    for (const oldest of this.#loaded) {
      this.#loaded.delete(oldest)
      void oldest.unload().catch((error: unknown) => {
        this.#components.log.warn('a file of the log could not be closed', { unit: oldest.number, reason: messageOf(error) })
      })
      return
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    // At once where nothing is before it: of a block's write, turns of the microtask queue are a good part.
    const mine = this.#turn === undefined ? work() : this.#turn.then(work)
    const turn = mine.then(ended, ended)
    this.#turn = turn
    try {
      return await mine
    } finally {
      if (this.#turn === turn) this.#turn = undefined
    }
  }
}

function ended(): void {
  // However it ended: what comes behind it is a write of its own.
}

/** Throws BAD_INPUT. */
function putOf(operation: WriteOperation): Put {
  if (operation.type !== 'put' || operation.key.length < keyBytesMin || operation.key.length > keyBytesMax) {
    throw new CommonError('BAD_INPUT', 'rows of a log are put, with a key of 8 to 256 bytes, and erased by the unit')
  }
  return operation
}

function isBelow(key: Uint8Array, { gte, gt }: KeyRange): boolean {
  return (gte !== undefined && Buffer.compare(key, gte) < 0) || (gt !== undefined && Buffer.compare(key, gt) <= 0)
}

function isAbove(key: Uint8Array, { lt, lte }: KeyRange): boolean {
  return (lt !== undefined && Buffer.compare(key, lt) >= 0) || (lte !== undefined && Buffer.compare(key, lte) > 0)
}
