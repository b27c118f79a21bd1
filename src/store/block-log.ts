import type { Clock } from '../base/index.js'
import { GroupCommit } from '../base/index.js'
import type { Database, RawOperation } from './database.js'
import { blockKey, decodeBlockKey } from './records.js'
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
  database: Database
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

/**
 * From this size on a block is written by a put of its own: the binding copies a put's value on a worker thread, a
 * batch's on the main one.
 */
const ownPutBytes = 128 * 1024
/**
 * Large blocks that are put at once: while LevelDB writes one to its log, the binding copies the next. More would only
 * take worker threads away from hashing.
 */
const putsAtOnce = 2
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
 * The append-only log of block bytes: keys that only grow, so that LevelDB's compactions move files and do not rewrite
 * them (two bytes written per byte stored: its log, and its table). One write is under way at a time; what arrives
 * meanwhile is gathered into the next.
 *
 * Deleting would undo that if done naively: a tombstone for an old key in the same write buffer as new blocks makes a
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
    this.#syncs = new GroupCommit<never>({ write: async () => components.database.sync(), operationsMax: 1 })
  }

  get sequenceNext(): number {
    return this.#sequenceNext
  }

  /** Bytes appended since the log was opened. */
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
   * Everything up to here is in synced tables, and whatever of it is alive is in the index: an opening after a crash
   * has to look at what comes after it only.
   */
  get mark(): number {
    for (const first of this.#unindexed) return Math.min(this.#settled, first - 1)
    return this.#settled
  }

  /**
   * Takes the bytes; `written` resolves when they are in the log (not yet durable). Until `indexed` is called for the
   * sequence number, the mark stays below it.
   */
  append(codec: number, multihash: Uint8Array, bytes: Uint8Array): { place: BlockPlace; written: Promise<void> } {
    const sequence = this.#sequenceNext++
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
    const bytes = await this.#components.database.read(async (level) => level.get(keyOf(place), { fillCache: false }))
    if (bytes !== undefined) this.#noteMapped(bytes.length)
    return bytes
  }

  async getMany(places: readonly BlockPlace[]): Promise<(Uint8Array | undefined)[]> {
    if (places.length === 0) return []
    const all = await this.#components.database.read(async (level) => level.getMany(places.map(keyOf), { fillCache: false }))
    this.#noteMapped(all.reduce((sum, bytes) => sum + (bytes?.length ?? 0), 0))
    return all
  }

  async hasMany(places: readonly BlockPlace[]): Promise<boolean[]> {
    if (places.length === 0) return []
    return this.#components.database.read(async (level) => level.hasMany(places.map(keyOf)))
  }

  /** The places above `after`, in order, in pages. Reads keys only. */
  async *places(after: number, pageSize: number): AsyncIterable<BlockPlace[]> {
    let from = sequenceKey(after + 1)
    while (true) {
      const keys = await this.#components.database.read(async (level) =>
        level.keys({ gte: from, limit: pageSize, fillCache: false }).all(),
      )
      const page = keys.map(decodeBlockKey)
      const last = page.at(-1)
      if (last === undefined) return
      yield page
      from = sequenceKey(last.sequence + 1)
    }
  }

  /** What the files hold between two sequence numbers, both included, roughly; what is not yet in a table counts 0. */
  async spanBytes(first: number, last: number): Promise<number> {
    return this.#components.database.read(async (level) => level.approximateSize(sequenceKey(first), sequenceKey(last + 1)))
  }

  /**
   * Deletes these blocks, all of one narrow range, and compacts the range, so that the space comes back. Durable.
   * Appends wait for the first part, which takes as long as writing the write buffer out.
   */
  async erase(places: readonly BlockPlace[]): Promise<void> {
    const first = places[0]
    const last = places.at(-1)
    if (first === undefined || last === undefined) return
    const { database } = this.#components
    await this.#exclusive(async () => {
      await this.#flush()
      const operations = places.map((place): RawOperation => ({ type: 'del', key: keyOf(place) }))
      await database.write(async (level) => level.batch(operations))
      await database.flush()
    })
    await database.read(async (level) => level.compactRange(sequenceKey(first.sequence), sequenceKey(last.sequence + 1)))
    // A compaction reads what it rewrites through the same mapped tables.
    this.#noteMapped(await this.spanBytes(first.sequence, last.sequence))
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

  /** Either large blocks only, or small ones only. */
  #takeGroup(): Append[] {
    let bytes = 0
    let count = 0
    const large = (this.#queue[0]?.bytes.length ?? 0) >= ownPutBytes
    const bytesMax = large ? this.#init.groupBytesMax : batchBytesMax
    const countMax = large ? putsAtOnce : batchOperationsMax
    for (const append of this.#queue) {
      bytes += append.bytes.length
      if (count > 0 && (bytes > bytesMax || append.bytes.length >= ownPutBytes !== large || count >= countMax)) break
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #write(group: readonly Append[]): Promise<void> {
    const { clock, database } = this.#components
    const [first] = group
    const last = group.at(-1)
    if (first === undefined || last === undefined) return
    const groupBytes = group.reduce((sum, { bytes }) => sum + bytes.length, 0)
    const changedLog = await database.write(async (level) => {
      if (group.length === 1) await level.put(first.key, first.bytes)
      else if (first.bytes.length < ownPutBytes) await level.batch(group.map(({ key, bytes }): RawOperation => ({ type: 'put', key, value: bytes })))
      else await allOf(group.map(async ({ key, bytes }) => level.put(key, bytes)))
    }, groupBytes)
    if (changedLog) {
      // LevelDB changes logs only when the buffer before the last has become a table.
      this.#settled = Math.max(this.#settled, this.#writtenAtChange)
      this.#writtenAtChange = this.#written
    }
    this.#written = last.sequence
    for (const { bytes } of group) this.#appendedBytes += bytes.length
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

/** Like `Promise.all`, but nothing is under way any more when it rejects. */
async function allOf(works: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(works)) if (result.status === 'rejected') throw result.reason
}

function keyOf(place: BlockPlace): Uint8Array {
  return blockKey(place.sequence, place.codec, place.multihash)
}
