/**
 * What clients saw of a volume, cell by cell (half a block is a cell, so that read-modify-writes are seen to keep the
 * other half), and what a disk with a write cache may and may not show.
 *
 * A write that was acknowledged may be lost until a flush of its own client covers it, and only when a holder died; its
 * client's node may send it again until then, as long as it lives. What a flush covered is there for ever.
 */
export interface CellWrite {
  readonly value: number
  readonly client: string
  readonly invokedMs: number
  /** Infinity: never acknowledged; it may have happened, or may yet. */
  ackedMs: number
  /** When a flush that covers it was acknowledged. */
  flushedMs: number
  /** From here on nobody sends it again. */
  endMs: number
}

interface CellRead {
  readonly value: number
  readonly invokedMs: number
  readonly endedMs: number
}

export class Violation extends Error {}

/** A request of a client that died may still be on its way, or wait for a lock at a holder. */
const stragglerMs = 15_000

export class History {
  readonly #writes: CellWrite[][]
  readonly #reads: CellRead[][]
  readonly #byValue = new Map<number, CellWrite>()
  /** Moments at which a dead holder's stream was cut. */
  readonly #losses: number[] = []
  operations = 0

  constructor(cells: number) {
    this.#writes = Array.from({ length: cells }, () => [])
    this.#reads = Array.from({ length: cells }, () => [])
  }

  invoke(cell: number, value: number, client: string, nowMs: number): CellWrite {
    const write = { value, client, invokedMs: nowMs, ackedMs: Infinity, flushedMs: Infinity, endMs: Infinity }
    this.#writes[cell]?.push(write)
    this.#byValue.set(value, write)
    return write
  }

  acked(write: CellWrite, nowMs: number): void {
    this.operations++
    write.ackedMs = nowMs
  }

  /** Acknowledged and not covered, of one client. */
  unflushed(client: string): CellWrite[] {
    return this.#writes.flat().filter((write) => write.client === client && write.ackedMs < Infinity && write.flushedMs === Infinity && write.endMs === Infinity)
  }

  flushed(writes: readonly CellWrite[], nowMs: number): void {
    this.operations++
    for (const write of writes) {
      write.flushedMs = Math.min(write.flushedMs, nowMs)
      write.endMs = Math.min(write.endMs, nowMs)
    }
  }

  /** The client is gone, or was told that it lost writes: nobody sends them again. */
  ended(client: string, nowMs: number): void {
    for (const write of this.#writes.flat()) if (write.client === client && write.endMs === Infinity) write.endMs = nowMs + stragglerMs
  }

  /** What a flush covered, or was there from the beginning. */
  isFlushed(value: number): boolean {
    return value === 0 || (this.#byValue.get(value)?.flushedMs ?? Infinity) < Infinity
  }

  lost(nowMs: number): void {
    this.#losses.push(nowMs)
  }

  read(cell: number, value: number, invokedMs: number, endedMs: number): void {
    this.operations++
    const read = { value, invokedMs, endedMs }
    const from = value === 0 ? undefined : this.#byValue.get(value)
    if (value !== 0 && from === undefined) throw new Violation(`cell ${cell} reads ${value}, which nobody wrote`)
    if (from !== undefined && from.invokedMs > endedMs) throw new Violation(`cell ${cell} reads ${value} before it was written`)
    // The last moment at which what was read can have been written.
    const lastMs = from === undefined ? -1 : Math.max(from.endMs, from.ackedMs === Infinity ? Infinity : 0)
    const lastLossMs = this.#losses.filter((ms) => ms <= endedMs).at(-1) ?? -1
    for (const other of this.#writes[cell] ?? []) {
      if (other.value === value) continue
      if (other.flushedMs <= invokedMs && lastMs < other.invokedMs) throw new Violation(`cell ${cell} reads ${value} at ${invokedMs.toFixed(0)}, after ${other.value} was flushed at ${other.flushedMs.toFixed(0)}`)
      const ackedLast = from === undefined ? -1 : from.ackedMs
      const isCalm = other.invokedMs > lastLossMs && (from === undefined || from.invokedMs > lastLossMs || from.endMs <= lastLossMs)
      if (isCalm && other.ackedMs <= invokedMs && Math.min(lastMs, ackedLast === Infinity ? lastMs : ackedLast) < other.invokedMs) {
        throw new Violation(`cell ${cell} reads ${value} at ${invokedMs.toFixed(0)}, after ${other.value} was acknowledged at ${other.ackedMs.toFixed(0)} and nobody died`)
      }
    }
    this.#noReturn(cell, read, lastMs)
    this.#reads[cell]?.push(read)
  }

  /** What was seen, and then something older in its place, does not come back, unless its client may have sent it again. */
  #noReturn(cell: number, read: CellRead, lastMs: number): void {
    const reads = this.#reads[cell] ?? []
    const from = this.#byValue.get(read.value)
    if (from === undefined) return
    for (let i = reads.length - 1; i >= 0; i--) {
      const between = reads[i] as CellRead
      if (between.value === read.value || between.endedMs > read.invokedMs) continue
      if (lastMs >= between.invokedMs) return
      const older = this.#byValue.get(between.value)
      if (older !== undefined && older.endMs >= from.invokedMs) continue
      if (reads.slice(0, i).some((before) => before.value === read.value && before.endedMs < between.invokedMs)) {
        throw new Violation(`cell ${cell} reads ${read.value} at ${read.invokedMs.toFixed(0)} again, after it was gone at ${between.invokedMs.toFixed(0)}`)
      }
    }
  }
}
