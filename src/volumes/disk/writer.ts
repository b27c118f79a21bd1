import type { AppendLog, WriteOperation } from '../../base/index.js'
import { DiskError } from '../replica-types.js'
import type { Row } from './rows.js'
import { viewOf } from './bytes.js'
import { encodedBytes, encodeRow, keyBytes, rowBytes, rowsPerUnitMax } from './rows.js'

export interface LogWrite {
  /** All of one segment; they are written in one batch, and stand in one unit. */
  readonly segment: Uint8Array
  readonly rows: readonly Row[]
  /** One of a sequence: if one before it fails, it must fail too. */
  readonly inSequence: boolean
  /** Taken although the store is full. */
  readonly freesSpace: boolean
  /** The rows are in the log, in this order, from this position on; all before them are applied. Must not throw. */
  apply(first: number): void
  /** Not written, and never will be. Must not throw. */
  failed(): void
}

export interface LogWriterInit {
  /** The last position that was ever used: a new unit begins. */
  lastPosition: number
  /** The last row that counts. */
  previous: number
  unitBytesMax: number
}

interface Waiting {
  readonly write: LogWrite
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** A batch as it goes to the log. */
interface Placed {
  readonly group: readonly Waiting[]
  /** Position of the first row of each write. */
  readonly firsts: readonly number[]
  readonly operations: readonly WriteOperation[]
  readonly last: number
}

/** One batch: large enough to share the cost of a write, small enough not to hold up the event loop while it is copied. */
const batchBytesMax = 1024 * 1024
const batchRowsMax = 512
/** Keys, headers and names of clients of a full batch, roughly; a larger one gets memory of its own. */
const bufferBytes = batchBytesMax + 128 * 1024

/**
 * Gives rows their places in the log and writes them, one batch at a time; what comes meanwhile is gathered into the next.
 * A failed batch may be on the disk all the same. Its positions are never used again, and the next row names the one
 * before it, so that a replay can tell.
 */
export class LogWriter {
  readonly #log: AppendLog
  readonly #unitBytesMax: number
  #queue: Waiting[] = []
  #running: Promise<void> | undefined
  readonly #onBatch: (() => void)[] = []
  #queuedBytes = 0
  #closed = false
  #next: number
  #previous: number
  #unitBytes = 0
  /**
   * Where batches are encoded, in turn, the next one while one is written: memory that was used before. What is new has to be mapped page by
   * page, which on virtual machines costs more than everything else that happens to a row.
   */
  readonly #buffers = [new Uint8Array(bufferBytes), new Uint8Array(bufferBytes)] as const
  #placed = 0

  constructor(log: AppendLog, init: LogWriterInit) {
    this.#log = log
    this.#unitBytesMax = init.unitBytesMax
    this.#next = (Math.floor(init.lastPosition / rowsPerUnitMax) + 1) * rowsPerUnitMax
    this.#previous = init.previous
  }

  /** Bytes that wait to be written. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** Everything up to here is applied. */
  get previous(): number {
    return this.#previous
  }

  /** The unit that the next row may go to. */
  get openUnit(): number {
    return Math.floor(this.#next / rowsPerUnitMax)
  }

  /** Resolves after `apply`. */
  async write(write: LogWrite): Promise<void> {
    if (this.#closed) {
      write.failed()
      throw new DiskError('CLOSED', 'the disk of volumes is closed')
    }
    let bytes = 0
    for (const row of write.rows) bytes += rowBytes(row)
    await new Promise<void>((resolve, reject) => {
      this.#queuedBytes += bytes
      this.#queue.push({ write, bytes, resolve, reject })
      this.#running ??= this.#drain()
    })
  }

  /** Resolves when a batch is done, whatever became of it; at once if none is under way. */
  async oneWritten(): Promise<void> {
    if (this.#running === undefined) return
    await new Promise<void>((resolve) => this.#onBatch.push(resolve))
  }

  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.idle()
  }

  async #drain(): Promise<void> {
    // What is written in the same turn of the event loop shares the first batch.
    await Promise.resolve()
    let ready: Placed | undefined
    while (ready !== undefined || this.#queue.length > 0) {
      const { group, firsts, operations, last }: Placed = ready ?? this.#place(this.#takeGroup(), this.#previous)
      ready = undefined
      const writing = this.#log.write(operations, { freesSpace: group[0]?.write.freesSpace === true })
      // What did not fit is encoded while it is written: of large writes that is a fifth of the time.
      if (this.#queue.length > 0) ready = this.#place(this.#takeGroup(), last)
      try {
        await writing
      } catch (error) {
        // What was encoded behind it names it as the one before: that is done anew, at other places.
        if (ready !== undefined) this.#queue.unshift(...ready.group)
        ready = undefined
        const failed = [...group, ...this.#queue.filter(({ write }) => write.inSequence)]
        this.#queue = this.#queue.filter(({ write }) => !write.inSequence)
        for (const { write, bytes, reject } of failed) {
          this.#queuedBytes -= bytes
          write.failed()
          reject(error)
        }
        this.#wake()
        continue
      }
      this.#previous = last
      for (let i = 0; i < group.length; i++) {
        const { write, bytes, resolve } = group[i] as Waiting
        this.#queuedBytes -= bytes
        write.apply(firsts[i] ?? 0)
        resolve()
      }
      this.#wake()
    }
    this.#running = undefined
  }

  #wake(): void {
    for (const wake of this.#onBatch.splice(0)) wake()
  }

  #takeGroup(): Waiting[] {
    let bytes = 0
    let rows = 0
    let count = 0
    for (const waiting of this.#queue) {
      bytes += waiting.bytes
      rows += waiting.write.rows.length
      if (count > 0 && (bytes > batchBytesMax || rows > batchRowsMax || waiting.write.freesSpace !== this.#queue[0]?.write.freesSpace)) break
      count++
    }
    if (count < this.#queue.length) return this.#queue.splice(0, count)
    const all = this.#queue
    this.#queue = []
    return all
  }

  #place(group: readonly Waiting[], after: number): Placed {
    const firsts: number[] = []
    const operations: WriteOperation[] = []
    let previous = after
    let needed = 0
    for (const { write } of group) for (const row of write.rows) needed += encodedBytes(row)
    const buffer = this.#buffers[this.#placed++ % 2 === 0 ? 0 : 1]
    const target = needed <= buffer.length ? buffer : new Uint8Array(needed)
    const view = viewOf(target)
    let at = 0
    for (const { write, bytes } of group) {
      if ((this.#next % rowsPerUnitMax) + write.rows.length > rowsPerUnitMax || this.#unitBytes >= this.#unitBytesMax) {
        this.#next = (this.openUnit + 1) * rowsPerUnitMax
        this.#unitBytes = 0
      }
      firsts.push(this.#next)
      for (const row of write.rows) {
        const end = encodeRow(target, view, at, { segment: write.segment, position: this.#next, previous }, row)
        operations.push(this.#log.put(target.subarray(at, at + keyBytes), target.subarray(at + keyBytes, end)))
        previous = this.#next++
        at = end
      }
      this.#unitBytes += bytes
    }
    return { group, firsts, operations, last: previous }
  }
}
