import type { Clock } from '../base/index.js'
import { GroupCommit } from '../base/index.js'
import { rowsMax } from './append-frames.js'
import type { AppendFiles } from './append-log.js'
import type { Database, RawOperation } from './database.js'
import { blockKey } from './records.js'
import { sequenceKey } from './bytes.js'
import { StoreError } from './types.js'

export interface BlockLogInit {
  /** The first sequence number to give out. */
  sequenceNext: number
  /** Bytes read from mapped tables before they are unmapped. */
  mappedBytesMax: number
  /** Bytes waiting to be written before further appends wait themselves. */
  queuedBytesMax: number
  /** Less than LevelDB's write buffer: LevelDB then changes its log file once within a group of puts, at most. */
  groupBytesMax: number
  /** Called after appends and reads. */
  onActive: () => void
}

export interface BlockLogComponents {
  clock: Clock
  /** For small blocks. */
  database: Database
  /** For large ones. */
  files: AppendFiles
}

/** A place in the log: what is needed to find the bytes again. */
export interface BlockPlace {
  readonly sequence: number
  readonly codec: number
  readonly multihash: Uint8Array
}

interface Append {
  readonly key: Uint8Array
  readonly bytes: Uint8Array
  readonly sequence: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** From this size on a block goes to the files: below it what LevelDB does with each byte is less than its work for each row. */
const largeBytes = 128 * 1024
/** Large blocks of one write, which the kernel takes in one call. */
const largeAtOnce = 4
/** A file of large blocks: what is deleted in it takes rewriting the rest to come back. */
const unitBytesMax = 16 * 1024 * 1024
/** One batch of small blocks: large enough to share the cost of a write, small enough not to hold up the main thread. */
const batchBytesMax = 1024 * 1024
const batchOperationsMax = 512
/** A resting store keeps fewer read bytes mapped than this. */
const restMappedBytesMin = 1024 * 1024
/** And fewer written ones in memory, if they come slowly: opening anew makes a table of them, however small it is. */
const restBufferedBytesMin = 4 * 1024 * 1024
const restPauseMs = 5 * 60_000
/** Opening anew to unmap pages may cost reads this share of the time at most. */
const remapShareMax = 0.1

/**
 * The append-only log of block bytes: keys that only grow. One write is under way at a time; what arrives meanwhile is
 * gathered into the next.
 *
 * Large blocks stand in files of their own (append-log.ts), small ones in a LevelDB, and the index in `meta` names both by
 * their number; what is not in a file is in the LevelDB, where all blocks were at first. LevelDB writes each byte twice,
 * into its log and a table, sums it twice, and copies it on the way: of a large file that comes in, that was a fifth of all
 * the processor did. (WiscKey, Lu et al. 2016, is the same thought.) For small blocks its cost is that of the row.
 *
 * What follows is about the LevelDB. As keys only grow, its compactions move files and do not rewrite them. Deleting would undo that if done naively: a tombstone for an old key in the same write buffer as new blocks makes a
 * table that spans everything between them, and compacting that table rewrites all of it. So deletions get write buffers
 * of their own (`erase`): the buffer is flushed, the tombstones of one narrow range are written and flushed while
 * appends wait, and then only the files of that range are compacted.
 *
 * Memory: LevelDB maps its tables and keeps 64 of them open, of 64 MiB each; pages that were read count as resident
 * until they are unmapped. There is no option against it, so after `mappedBytesMax` of reads the database is opened
 * anew, which takes milliseconds and unmaps all.
 */
export class BlockLog {
  readonly #components: BlockLogComponents
  readonly #init: BlockLogInit
  readonly #queue: Append[] = []
  #queuedBytes = 0
  readonly #waitingForRoom = new Set<() => void>()
  #draining = false
  #exclusiveTail: Promise<void> = Promise.resolve()
  #turnsWaiting = 0
  #sequenceNext: number
  /** The highest sequence number of which the write is done; all below are done or failed too. */
  #written: number
  /** The same of those in the LevelDB. */
  #levelWritten: number
  /** The unit that large blocks go to, and what was given to it. */
  #unit = -1
  #unitBytes = 0
  /** `#written` at the last change of log files: what came before is in a table at the next change. */
  #writtenAtChange: number
  #settled: number
  readonly #unindexed = new Set<number>()
  readonly #syncs: GroupCommit<never>
  #appendedBytes = 0
  #mappedBytes = 0
  #remapping: Promise<void> | undefined
  #remapNotBeforeMs = 0
  #restNotBeforeMs = 0
  #lastActiveMs = 0

  constructor(components: BlockLogComponents, init: BlockLogInit) {
    this.#components = components
    this.#init = init
    this.#sequenceNext = init.sequenceNext
    this.#written = init.sequenceNext - 1
    this.#writtenAtChange = this.#written
    this.#settled = this.#written
    this.#levelWritten = this.#written
    this.#syncs = new GroupCommit<never>({
      write: async () => {
        await Promise.all([components.database.sync(), components.files.sync()])
      },
      operationsMax: 1,
    })
  }

  get sequenceNext(): number {
    return this.#sequenceNext
  }

  /** Bytes appended to the LevelDB since the log was opened; files know their own. */
  get appendedBytes(): number {
    return this.#appendedBytes
  }

  /** Bytes accepted and not yet in a file. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  get lastActiveMs(): number {
    return this.#lastActiveMs
  }

  /** Bytes in LevelDB's logs: what a flush would write as a table. */
  get bufferedBytes(): number {
    return this.#settled === this.#written ? 0 : this.#components.database.logBytes()
  }

  /** Read bytes that may still be mapped. */
  get mappedBytes(): number {
    return this.#mappedBytes
  }

  /**
   * Everything up to here is in synced tables or complete files, and whatever of it is alive is in the index: an opening after a crash
   * has to look at what comes after it only.
   */
  get mark(): number {
    const { files } = this.#components
    let mark = this.#settled >= this.#levelWritten ? this.#written : this.#settled
    if (files.firstUnsealed !== undefined) mark = Math.min(mark, files.firstUnsealed - 1)
    for (const first of this.#unindexed) return Math.min(mark, first - 1)
    return mark
  }

  /**
   * Takes the bytes; `written` resolves when they are in the log (not yet durable). Until `indexed` is called for the
   * sequence number, the mark stays below it.
   */
  append(codec: number, multihash: Uint8Array, bytes: Uint8Array): { place: BlockPlace; written: Promise<void> } {
    const sequence = this.#place(bytes.length)
    this.#unindexed.add(sequence)
    this.#queuedBytes += bytes.length
    const written = new Promise<void>((resolve, reject) => {
      this.#queue.push({ key: blockKey(sequence, codec, multihash), bytes, sequence, resolve, reject })
    })
    if (!this.#draining) {
      this.#draining = true
      void this.#exclusive(async () => this.#drain())
    }
    return { place: { sequence, codec, multihash }, written }
  }

  /** Resolves when an append would not make the queue too long. */
  async room(): Promise<void> {
    while (this.#queuedBytes > this.#init.queuedBytesMax) {
      await new Promise<void>((resolve) => this.#waitingForRoom.add(resolve))
    }
  }

  /** The index, or the list of garbage, knows of this sequence number, durably. */
  indexed(sequence: number): void {
    this.#unindexed.delete(sequence)
  }

  /** What was written before the call survives a power cut. Callers share syncs. */
  async sync(): Promise<void> {
    await this.#syncs.commit([])
  }

  async get(place: BlockPlace): Promise<Uint8Array | undefined> {
    const { files } = this.#components
    const key = keyOf(place)
    const large = files.mayHave(key) ? await files.get(key) : undefined
    if (large !== undefined) {
      this.#noteMapped(0)
      return large
    }
    const bytes = await this.#components.database.read(async (level) => level.get(key, { fillCache: false }))
    if (bytes !== undefined) this.#noteMapped(bytes.length)
    return bytes
  }

  async getMany(places: readonly BlockPlace[]): Promise<(Uint8Array | undefined)[]> {
    if (places.length === 0) return []
    const { database, files } = this.#components
    const keys = places.map(keyOf)
    const all = await Promise.all(keys.map(async (key) => (files.mayHave(key) ? files.get(key) : undefined)))
    const absent = keys.filter((_, i) => all[i] === undefined)
    if (absent.length > 0) {
      const small = await database.read(async (level) => level.getMany(absent, { fillCache: false }))
      for (let i = 0, at = 0; i < all.length; i++) if (all[i] === undefined) all[i] = small[at++]
      this.#noteMapped(small.reduce((sum, bytes) => sum + (bytes?.length ?? 0), 0))
    } else this.#noteMapped(0)
    return all
  }

  /** What the files hold between two sequence numbers, both included, roughly; what is not yet in a table counts 0. */
  async spanBytes(first: number, last: number): Promise<number> {
    return (await this.#levelBytes(first, last)) + (await this.#components.files.bytesOf(sequenceKey(first), sequenceKey(last)))
  }

  async #levelBytes(first: number, last: number): Promise<number> {
    return this.#components.database.read(async (level) => level.approximateSize(sequenceKey(first), sequenceKey(last + 1)))
  }

  /**
   * Deletes these blocks, all of one narrow range, and compacts the range, so that the space comes back. Durable.
   * Appends wait for a part of it, which takes as long as writing the write buffer out. Large blocks' files are rewritten
   * without them.
   */
  async erase(places: readonly BlockPlace[]): Promise<void> {
    const { database, files } = this.#components
    const large: Uint8Array[] = []
    const small: BlockPlace[] = []
    for (const place of places) {
      const key = keyOf(place)
      if (await files.has(key)) large.push(key)
      else small.push(place)
    }
    if (large.length > 0) await files.drop(large)
    const first = small[0]
    const last = small.at(-1)
    if (first === undefined || last === undefined) return
    await this.#exclusive(async () => {
      await this.#flush()
      const operations = small.map((place): RawOperation => ({ type: 'del', key: keyOf(place) }))
      await database.write(async (level) => level.batch(operations))
      await database.flush()
    })
    await database.read(async (level) => level.compactRange(sequenceKey(first.sequence), sequenceKey(last.sequence + 1)))
    // A compaction reads what it rewrites through the same mapped tables.
    this.#noteMapped(await this.#levelBytes(first.sequence, last.sequence))
  }

  /** Writes what is buffered out as a table: gives its memory back and leaves nothing for the next opening to do. */
  async flush(): Promise<void> {
    await this.#exclusive(async () => this.#flush())
  }

  /** Nobody is reading or writing much: no reason to keep a page mapped, or written blocks in a buffer. */
  async rest(): Promise<void> {
    if (this.#remapping !== undefined) return
    const { clock } = this.#components
    const buffered = this.bufferedBytes >= restBufferedBytesMin && clock.monotonicMs() >= this.#restNotBeforeMs
    if (this.#mappedBytes < restMappedBytesMin && !buffered) return
    this.#restNotBeforeMs = clock.monotonicMs() + restPauseMs
    await this.unmap()
  }

  /** Opens the database anew, which unmaps every page that was read. */
  async unmap(): Promise<void> {
    await this.#exclusive(async () => {
      const { clock, database } = this.#components
      const startMs = clock.monotonicMs()
      this.#mappedBytes = 0
      if (await database.reopenIfSafe()) this.#settle(this.#written)
      const endMs = clock.monotonicMs()
      this.#remapNotBeforeMs = endMs + (endMs - startMs) / remapShareMax
    })
  }

  async idle(): Promise<void> {
    await this.#exclusiveTail
    await this.#syncs.idle()
    await this.#remapping
  }

  async #flush(): Promise<void> {
    const written = this.#written
    await this.#components.database.flush()
    await this.#components.files.seal()
    this.#settle(written)
  }

  #settle(sequence: number): void {
    this.#settled = Math.max(this.#settled, sequence)
    this.#writtenAtChange = Math.max(this.#writtenAtChange, sequence)
  }

  /** Appends, deletions and reopening take turns. */
  async #exclusive(work: () => Promise<void>): Promise<void> {
    this.#turnsWaiting++
    const turn = this.#exclusiveTail.then(async () => {
      this.#turnsWaiting--
      await work()
    })
    this.#exclusiveTail = turn.catch(() => undefined)
    return turn
  }

  async #drain(): Promise<void> {
    // What is appended in the same turn of the event loop shares the first write.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const group = this.#takeGroup()
      try {
        await this.#write(group)
        for (const append of group) append.resolve()
      } catch (error) {
        for (const append of group) append.reject(error)
      }
      for (const append of group) this.#queuedBytes -= append.bytes.length
      for (const wake of this.#waitingForRoom) {
        this.#waitingForRoom.delete(wake)
        wake()
      }
      // A turn of someone else's may be waiting: a deletion must not starve, nor hold up more than one group.
      if (this.#queue.length > 0 && this.#turnsWaiting > 0) {
        void this.#exclusive(async () => this.#drain())
        return
      }
    }
    this.#draining = false
  }

  /** Large blocks go to the file of their number's unit, which is left for the next when it is full: numbers in between are left out. */
  #place(bytes: number): number {
    if (bytes >= largeBytes) {
      const unit = Math.floor(this.#sequenceNext / rowsMax)
      if (unit !== this.#unit || this.#unitBytes >= unitBytesMax) {
        // One that was begun before this start, or by a small block, is let be: its file may be complete.
        this.#unit = unit + 1
        this.#unitBytes = 0
        this.#sequenceNext = this.#unit * rowsMax
      }
      this.#unitBytes += bytes
    }
    return this.#sequenceNext++
  }

  /** Either large blocks only, or small ones only. */
  #takeGroup(): Append[] {
    let bytes = 0
    let count = 0
    const large = (this.#queue[0]?.bytes.length ?? 0) >= largeBytes
    const bytesMax = large ? this.#init.groupBytesMax : batchBytesMax
    const countMax = large ? largeAtOnce : batchOperationsMax
    for (const append of this.#queue) {
      bytes += append.bytes.length
      if (count > 0 && (bytes > bytesMax || append.bytes.length >= largeBytes !== large || count >= countMax)) break
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #write(group: readonly Append[]): Promise<void> {
    const { clock, database, files } = this.#components
    const [first] = group
    const last = group.at(-1)
    if (first === undefined || last === undefined) return
    if (first.bytes.length >= largeBytes) {
      // They were admitted when they were accepted.
      await files.write(group.map(({ key, bytes }) => files.put(key, bytes)), { freesSpace: true })
    } else {
      const groupBytes = group.reduce((sum, { bytes }) => sum + bytes.length, 0)
      const changedLog = await database.write(async (level) => {
        if (group.length === 1) await level.put(first.key, first.bytes)
        else await level.batch(group.map(({ key, bytes }): RawOperation => ({ type: 'put', key, value: bytes })))
      }, groupBytes)
      if (changedLog) {
        // LevelDB changes logs only when the buffer before the last has become a table.
        this.#settled = Math.max(this.#settled, this.#writtenAtChange)
        this.#writtenAtChange = this.#written
      }
      this.#levelWritten = last.sequence
      this.#appendedBytes += groupBytes
    }
    this.#written = last.sequence
    this.#lastActiveMs = clock.monotonicMs()
    this.#init.onActive()
  }

  #noteMapped(bytes: number): void {
    this.#mappedBytes += bytes
    this.#lastActiveMs = this.#components.clock.monotonicMs()
    this.#init.onActive()
    if (this.#mappedBytes < this.#init.mappedBytesMax || this.#remapping !== undefined) return
    if (this.#lastActiveMs < this.#remapNotBeforeMs && this.#mappedBytes < 2 * this.#init.mappedBytesMax) return
    this.#remapping = this.unmap()
      .catch((error: unknown) => {
        // The database says so itself, and tries again when it is next used.
        if (!(error instanceof StoreError)) throw error
      })
      .finally(() => {
        this.#remapping = undefined
      })
  }
}

function keyOf(place: BlockPlace): Uint8Array {
  return blockKey(place.sequence, place.codec, place.multihash)
}
