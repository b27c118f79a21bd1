import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../base/index.js'
import { codeOf } from '../base/index.js'
import type { AppendFiles } from './append-log.js'
import type { BlockLog } from './block-log.js'
import type { Database } from './database.js'
import { StoreError } from './types.js'

export interface FootprintComponents {
  clock: Clock
  blocks: Database
  meta: Database
  log: BlockLog
  /** The logs that other rooms append to, as far as they are open. */
  appended: ReadonlyMap<string, AppendFiles>
}

export interface FootprintInit {
  limitBytes: number
  /** Of these logs: counted also when nobody has opened them. */
  logsFolder: string
  /** The name of that one among them which is the store's own. */
  ownLog: string
  /** Asked before each block; throws to refuse it. */
  admit?: (bytes: number) => void
  /** What giving space back writes at most before it deletes what it has moved. */
  moveBytesMax: number
  /** A measurement younger than this is good enough for `usage`; older ones are made again when asked for. */
  freshMs: number
}

/** LevelDB's frames, keys and table indexes beside each block: 100 bytes and one in a thousand, rounded up twice. */
const overheadBytes = 256
const overheadShare = 0.002
/**
 * What `meta` may take for a moment while LevelDB compacts it: as much as it has, but a compaction takes at most 25
 * files of 2 MiB (`ExpandedCompactionByteSizeLimit`); and a write buffer of 4 MiB, twice.
 */
const metaCompactionBytesMax = 50 * 1024 * 1024
const metaBufferBytes = 8 * 1024 * 1024
/** LevelDB writes a table in one go; one that has not grown for this long is whole, or the disk does nothing at all. */
const tableWrittenMs = 30_000

/**
 * How many bytes the store's files take, and how many they might take. Tables never change once they are written, so a
 * measurement reads the folder, and asks for the sizes of files it has not seen before and of logs only.
 */
export class Footprint {
  readonly #components: FootprintComponents
  readonly #init: FootprintInit
  #limitBytes: number
  readonly #tables = new Map<string, number>()
  readonly #sizesOnce = new Map<string, { size: number; sinceMs: number }>()
  #blocksBytes = 0
  /** Of logs that are not open. */
  #closedLogBytes = 0
  #metaBytes = 0
  #measuredAtMs = Number.NEGATIVE_INFINITY
  /** `appendedBytes` of the log when it was measured. */
  #appendedThen = 0
  #admittedBytes = 0
  #measuring: Promise<void> | undefined
  /** The last of those that did not fit at once. */
  #refusals: Promise<unknown> = Promise.resolve()
  readonly #released: (() => void)[] = []

  constructor(components: FootprintComponents, init: FootprintInit) {
    this.#components = components
    this.#init = init
    this.#limitBytes = init.limitBytes
  }

  get limitBytes(): number {
    return this.#limitBytes
  }

  setLimit(bytes: number): void {
    this.#limitBytes = bytes
  }

  /** Bytes of all files now. */
  async totalBytes(): Promise<number> {
    const { clock } = this.#components
    if (clock.monotonicMs() - this.#measuredAtMs > this.#init.freshMs) await this.measure()
    return this.#blocksBytes + this.#metaBytes + this.#logFileBytes() + this.#sinceBytes()
  }

  /** Of these, the logs that other rooms append to. */
  roomLogBytes(): number {
    let bytes = this.#closedLogBytes
    for (const [name, files] of this.#components.appended) if (name !== this.#init.ownLog) bytes += files.fileBytes
    return bytes
  }

  /** What the files cannot pass if nothing more is accepted. */
  boundBytes(): number {
    const { blocks, log } = this.#components
    const logBytes = this.#logFileBytes()
    const queued = log.queuedBytes + this.#logQueuedBytes()
    // Buffered blocks are in a log and, for a moment, in the table that is made of it.
    const buffered = blocks.logBytes() + queued
    const grown = grownBytes(this.#sinceBytes() + queued, 0)
    const moved = Math.min(this.#init.moveBytesMax, this.#blocksBytes) + Math.min(this.#init.moveBytesMax, logBytes)
    const metaMoved = Math.min(this.#metaBytes, metaCompactionBytesMax) + metaBufferBytes
    return this.#blocksBytes + this.#metaBytes + logBytes + this.#admittedBytes + grown + buffered + moved + metaMoved
  }

  /**
   * Throws NO_SPACE if a block of this size could bring the files above the limit. What is admitted counts from then on,
   * and until the function that it resolves to is called: when the bytes were handed to the log.
   */
  async admit(bytes: number): Promise<() => void> {
    this.#init.admit?.(bytes)
    if (this.#limitBytes === Number.POSITIVE_INFINITY || this.#fits(bytes)) return this.#take(bytes)
    // One after the other, so that those who wait do not count against each other.
    const turn = this.#refusals.then(async () => this.#admitLate(bytes))
    this.#refusals = turn.catch(() => undefined)
    return turn
  }

  /**
   * What is buffered or on its way counts twice, and once when it is written out. A block is refused only if it would not
   * fit when nothing is on its way any more: else a burst of blocks would be refused that would have fitted one by one.
   */
  async #admitLate(bytes: number): Promise<() => void> {
    const { blocks, log } = this.#components
    for (;;) {
      const onItsWay = this.#isOnItsWay()
      if (log.queuedBytes > 0 || blocks.logBytes() > bytes) await log.flush()
      await this.measure()
      if (this.#fits(bytes)) return this.#take(bytes)
      if (!onItsWay) break
      await new Promise<void>((resolve) => {
        if (this.#admittedBytes === 0) resolve()
        else this.#released.push(resolve)
      })
    }
    throw new StoreError('NO_SPACE', 'the block would pass the storage limit', {
      bytes,
      boundBytes: this.boundBytes(),
      limitBytes: this.#limitBytes,
    })
  }

  #isOnItsWay(): boolean {
    return this.#admittedBytes > 0 || this.#components.log.queuedBytes > 0 || this.#logQueuedBytes() > 0
  }

  #take(bytes: number): () => void {
    const admitted = 2 * grownBytes(bytes, overheadBytes)
    this.#admittedBytes += admitted
    return () => {
      this.#admittedBytes -= admitted
      for (const wake of this.#released.splice(0)) wake()
    }
  }

  async measure(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined
    })
    await this.#measuring
  }

  #fits(bytes: number): boolean {
    // Twice: in its log, and in the table made of it.
    return this.boundBytes() + 2 * grownBytes(bytes, overheadBytes) <= this.#limitBytes
  }

  #sinceBytes(): number {
    return this.#components.log.appendedBytes - this.#appendedThen
  }

  #logFileBytes(): number {
    let bytes = this.#closedLogBytes
    for (const files of this.#components.appended.values()) bytes += files.fileBytes
    return bytes
  }

  #logQueuedBytes(): number {
    let bytes = 0
    for (const files of this.#components.appended.values()) bytes += files.queuedBytes
    return bytes
  }

  async #measure(): Promise<void> {
    const { clock, blocks, meta, log } = this.#components
    const appended = log.appendedBytes
    const seen = new Set<string>()
    const { logsFolder } = this.#init
    const closed = (await namesIn(logsFolder)).filter((name) => !this.#components.appended.has(name)).map((name) => join(logsFolder, name))
    const [blocksBytes, metaBytes, ...closedBytes] = await Promise.all([blocks.folder, meta.folder, ...closed].map(async (folder) => this.#folderBytes(folder, seen)))
    for (const known of [this.#tables, this.#sizesOnce]) {
      for (const path of known.keys()) if (!seen.has(path)) known.delete(path)
    }
    this.#blocksBytes = blocksBytes ?? 0
    this.#metaBytes = metaBytes ?? 0
    this.#closedLogBytes = closedBytes.reduce((sum, bytes) => sum + bytes, 0)
    this.#appendedThen = appended
    this.#measuredAtMs = clock.monotonicMs()
  }

  async #folderBytes(folder: string, seen: Set<string>): Promise<number> {
    let bytes = 0
    for (const name of await namesIn(folder)) {
      const path = join(folder, name)
      const known = this.#tables.get(path)
      const size = known ?? (await sizeIfThere(path))
      bytes += size
      if (!name.endsWith('.ldb')) continue
      seen.add(path)
      if (known === undefined) this.#noteSize(path, size)
    }
    return bytes
  }

  /** A table that is being written still grows: its size is known once it has been the same for a while. */
  #noteSize(path: string, size: number): void {
    const nowMs = this.#components.clock.monotonicMs()
    const once = this.#sizesOnce.get(path)
    if (once?.size !== size) this.#sizesOnce.set(path, { size, sinceMs: nowMs })
    else if (nowMs - once.sinceMs >= tableWrittenMs) {
      this.#tables.set(path, size)
      this.#sizesOnce.delete(path)
    }
  }
}

function grownBytes(bytes: number, fixed: number): number {
  return Math.ceil(bytes * (1 + overheadShare)) + fixed
}

/** None if there is no such folder: the database in it was never used. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

async function sizeIfThere(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0
    throw error
  }
}
