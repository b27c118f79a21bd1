import { mkdir, statfs } from 'node:fs/promises'
import type { Clock, Log } from '../base/index.js'
import { invariant, messageOf } from '../base/index.js'
import { Level } from 'level'
import { storeErrorOf } from './disk-errors.js'
import { LogWatch } from './log-watch.js'
import { StoreError } from './types.js'

/**
 * What `level` is on Node (classic-level): its own types leave out what browsers' databases lack, and that a value may
 * not be there. The constructor below checks that the methods are.
 */
export interface RawDatabase extends Omit<Level<Uint8Array, Uint8Array>, 'get' | 'getMany'> {
  get(key: Uint8Array, options?: { fillCache?: boolean }): Promise<Uint8Array | undefined>
  getMany(keys: readonly Uint8Array[], options?: { fillCache?: boolean }): Promise<(Uint8Array | undefined)[]>
  approximateSize(start: Uint8Array, end: Uint8Array): Promise<number>
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>
}
export type RawOperation = { type: 'put'; key: Uint8Array; value: Uint8Array } | { type: 'del'; key: Uint8Array }

/**
 * All of it in one batch. As an array with an option each operation would be copied into an object of a shape of its own: four
 * times the processor, on the event loop, and a small file comes with half a dozen. For small values: the batch keeps a copy of
 * them until it is collected.
 */
export async function writeBatch(level: RawDatabase, operations: readonly RawOperation[], options: { sync: boolean }): Promise<void> {
  const batch = level.batch()
  for (const operation of operations) {
    if (operation.type === 'put') batch.put(operation.key, operation.value)
    else batch.del(operation.key)
  }
  await batch.write(options)
}

export interface DatabaseInit {
  folder: string
  compression: boolean
  writeBufferBytes: number
  fileBytes: number
  cacheBytes: number
  /** Free bytes on the disk that LevelDB needs to begin again after a failed write, besides twice its logs. */
  reopenFreeBytes: number
}

export interface DatabaseComponents {
  clock: Clock
  log: Log
}

/** Tables kept open. LevelDB takes 74 at least, ten of them for other files. */
const openFilesMax = 74
/** Between two attempts to open again a database that could not be opened: long enough to cost nothing. */
const reopenPauseMs = 1000
/** Looks for the log that a flush should have deleted: half a second, which is what two full buffers take. */
const flushLooks = 50
const flushLookPauseMs = 10
/** No row is above these, so that a compaction of this range writes the write buffer out and touches nothing else. */
const aboveAllKeys: readonly [Uint8Array, Uint8Array] = [new Uint8Array(12).fill(0xff), new Uint8Array(13).fill(0xff)]

/**
 * One LevelDB, which can be closed and opened again under its users. Two things need that:
 *
 * - A failed write (a full disk) leaves a torn record in the log. What LevelDB appends after it may be dropped by the
 *   next recovery, and after a failed sync or table it refuses all writes until it is opened again. So from the first
 *   failed write on, nothing is written to this instance any more; reads go on; and when there is space again, the next
 *   write opens the database anew, which keeps the sound part of the log.
 * - LevelDB maps its tables into memory and never lets go of pages it has read; opening it anew does (see block-log.ts).
 *
 * Writes come one at a time: the callers are the two writers (block-log.ts, transactions.ts), and LogWatch needs it.
 */
export class Database {
  readonly #components: DatabaseComponents
  readonly #init: DatabaseInit
  readonly #level: RawDatabase
  readonly #watch: LogWatch
  #running = 0
  /** Iterators that somebody holds between reads: they would die with this instance. */
  #iterators = 0
  #reads = 0
  #onIdle: (() => void) | undefined
  #gate: Promise<void> | undefined
  #state: 'open' | 'failed' | 'down' | 'closed' = 'closed'
  #failure: StoreError | undefined
  #retryAtMs = 0
  /** How often it was opened. Whoever holds an iterator can tell that it died. */
  #generation = 0

  constructor(components: DatabaseComponents, init: DatabaseInit) {
    this.#components = components
    this.#init = init
    this.#level = new Level<Uint8Array, Uint8Array>(init.folder, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      compression: init.compression,
      writeBufferSize: init.writeBufferBytes,
      maxFileSize: init.fileBytes,
      cacheSize: init.cacheBytes,
      maxOpenFiles: openFilesMax,
    }) as RawDatabase
    invariant(this.#level.supports.additionalMethods['compactRange'], 'the database can compact ranges')
    this.#watch = new LogWatch(init.folder)
  }

  get folder(): string {
    return this.#init.folder
  }

  get generation(): number {
    return this.#generation
  }

  logBytes(): number {
    return this.#watch.logBytes()
  }

  /** Throws LOCKED, NO_SPACE, CORRUPT, DISK. */
  async open(): Promise<void> {
    try {
      await mkdir(this.#init.folder, { recursive: true })
      await this.#level.open()
      await this.#watch.begin()
    } catch (error) {
      await this.#watch.end()
      await this.#level.close().catch(() => undefined)
      throw storeErrorOf(error, this.#init.folder)
    }
    this.#state = 'open'
    this.#failure = undefined
    this.#reads = 0
    this.#generation++
  }

  async close(): Promise<void> {
    await this.#exclusive(async () => {
      this.#state = 'closed'
      await this.#watch.end()
      await this.#level.close()
    })
  }

  /** Reads since it was opened: what they touched is mapped into memory, or in LevelDB's cache. */
  get reads(): number {
    return this.#reads
  }

  /** To be called before an iterator is made that lives longer than one `read`, and what it returns when it is closed. */
  holdOpen(): () => void {
    this.#iterators++
    let held = true
    return () => {
      if (held) this.#iterators--
      held = false
    }
  }

  /** Runs `work` on the open database; it is not closed before `work` is done. */
  async read<T>(work: (level: RawDatabase) => Promise<T>): Promise<T> {
    const entering = this.#enter()
    if (entering !== undefined) await entering
    this.#reads++
    try {
      return await work(this.#level)
    } catch (error) {
      throw storeErrorOf(error, this.#init.folder)
    } finally {
      this.#leave()
    }
  }

  /**
   * One write at a time. True if LevelDB began a new log file with it, or within it: of several puts at once, all large,
   * say how many bytes their values have.
   */
  async write(work: (level: RawDatabase) => Promise<void>, valueBytes = 1): Promise<boolean> {
    if (this.#state === 'failed') await this.#recover()
    const entering = this.#enter()
    if (entering !== undefined) await entering
    try {
      await work(this.#level)
      return await this.#watch.wrote(valueBytes)
    } catch (error) {
      const failure = storeErrorOf(error, this.#init.folder)
      if (failure.code !== 'CLOSED') this.#fail(failure)
      throw failure
    } finally {
      this.#leave()
    }
  }

  /** After a failed write: opens anew if the disk has space again, else throws what the write threw. */
  async writable(): Promise<void> {
    if (this.#state === 'failed') await this.#recover()
  }

  /** Like `write`, and it resolves when that write is durable. */
  async writeDurably(work: (level: RawDatabase) => Promise<void>): Promise<void> {
    const changedLog = await this.write(work)
    if (changedLog) await this.#syncing(async () => this.#watch.syncOlder())
  }

  /** All writes that were done before the call are durable. May run beside writes, once at a time. */
  async sync(): Promise<void> {
    if (this.#state === 'failed') await this.#recover()
    await this.#syncing(() => this.#watch.sync())
  }

  /**
   * Writes the write buffer out as a table; durable. Does not run beside a write. LevelDB does not say whether it worked;
   * but it deletes the log only when it did, so that is looked for. Throws NO_SPACE if it did not.
   */
  async flush(): Promise<void> {
    await this.#enter()
    try {
      await this.#level.compactRange(...aboveAllKeys)
      // A compaction beside this may have changed logs once more just now, and be done in a moment.
      for (let look = 0; await this.#watch.hasOlder(); look++) {
        if (look === flushLooks) throw new StoreError('NO_SPACE', `the disk that holds ${this.#init.folder} is full: buffered bytes could not be written out`, { folder: this.#init.folder })
        await this.#components.clock.sleep(flushLookPauseMs)
      }
    } catch (error) {
      const failure = storeErrorOf(error, this.#init.folder)
      if (failure.code !== 'CLOSED') this.#fail(failure)
      throw failure
    } finally {
      this.#leave()
    }
  }

  /** Closes and opens; everything written so far is in tables after that. Waits for what is running, holds up the rest. */
  async reopen(): Promise<void> {
    await this.#exclusive(async () => {
      if (this.#state !== 'closed') await this.#closeAndOpen()
    })
  }

  /**
   * `reopen`, unless `unused` is asked for and somebody iterates, or something is wrong, or the disk has no room for the
   * table that opening writes: reading must go on there. Then nothing happens, and false is returned.
   */
  async reopenIfSafe({ unused = false } = {}): Promise<boolean> {
    let done = false
    await this.#exclusive(async () => {
      if (this.#state !== 'open' || (unused && this.#iterators > 0) || !(await this.#hasRoomToOpen().catch(() => false))) return
      await this.#closeAndOpen()
      done = true
    })
    return done
  }

  async #syncing(work: () => Promise<void>): Promise<void> {
    const entering = this.#enter()
    if (entering !== undefined) await entering
    try {
      await work()
    } catch (error) {
      const failure = storeErrorOf(error, this.#init.folder)
      this.#fail(failure)
      throw failure
    } finally {
      this.#leave()
    }
  }

  #fail(failure: StoreError): void {
    if (this.#state !== 'open') return
    this.#state = 'failed'
    this.#failure = failure
    this.#components.log.error('a write failed: no more are accepted until the database could be opened anew', {
      folder: this.#init.folder,
      reason: failure.message,
    })
  }

  #refusal(): StoreError {
    const failure = this.#failure
    if (failure === undefined) return new StoreError('CLOSED', 'the store is closed')
    return new StoreError(failure.code, failure.message, failure.facts, { cause: failure })
  }

  async #recover(): Promise<void> {
    if (!(await this.#hasRoomToOpen())) throw this.#refusal()
    await this.#exclusive(async () => {
      if (this.#state === 'failed') await this.#closeAndOpen()
    })
    this.#components.log.info('writes are accepted again', { folder: this.#init.folder })
  }

  async #hasRoomToOpen(): Promise<boolean> {
    const { bavail, bsize } = await statfs(this.#init.folder)
    return bavail * bsize >= 2 * this.#watch.logBytes() + this.#init.reopenFreeBytes
  }

  async #closeAndOpen(): Promise<void> {
    this.#state = 'down'
    await this.#watch.end()
    await this.#level.close()
    try {
      await this.open()
    } catch (error) {
      this.#failure = storeErrorOf(error, this.#init.folder)
      this.#retryAtMs = this.#components.clock.monotonicMs() + reopenPauseMs
      this.#components.log.error('the database could not be opened anew', { folder: this.#init.folder, reason: messageOf(error) })
      throw this.#failure
    }
  }

  /** Undefined: entered. Every read and write comes by here, and a wait for nothing is dear to one of a single block. */
  #enter(): Promise<void> | undefined {
    if (this.#gate !== undefined || this.#state === 'down' || this.#state === 'closed') return this.#enterLate()
    this.#running++
    return undefined
  }

  async #enterLate(): Promise<void> {
    // Looked at again after every wait, and with no wait between the last look and the count.
    for (let gate = this.#gateNow(); gate !== undefined; gate = this.#gateNow()) await gate
    if (this.#state === 'down') {
      if (this.#components.clock.monotonicMs() < this.#retryAtMs) throw this.#refusal()
      await this.reopen()
      for (let gate = this.#gateNow(); gate !== undefined; gate = this.#gateNow()) await gate
    }
    if (this.#state === 'closed') throw new StoreError('CLOSED', 'the store is closed')
    this.#running++
  }

  #leave(): void {
    this.#running--
    if (this.#running === 0) this.#onIdle?.()
  }

  #gateNow(): Promise<void> | undefined {
    return this.#gate
  }

  async #exclusive(work: () => Promise<void>): Promise<void> {
    for (let gate = this.#gateNow(); gate !== undefined; gate = this.#gateNow()) await gate
    let open = (): void => undefined
    this.#gate = new Promise<void>((resolve) => {
      open = resolve
    })
    try {
      if (this.#running > 0) {
        await new Promise<void>((resolve) => {
          this.#onIdle = resolve
        })
        this.#onIdle = undefined
      }
      await work()
    } finally {
      this.#gate = undefined
      open()
    }
  }
}
