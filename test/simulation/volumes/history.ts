/**
 * What clients saw of a volume, cell by cell (half a block is a cell, so that read-modify-writes are seen to keep the
 * other half), and what a disk with a write cache may and may not show.
 *
 * A write that was acknowledged may be lost until a flush of its own client covers it, and only by a cut: the place where
 * the register says that a dead holder's stream ends. Its client's node may send it again until then, as long as it lives.
 * What a flush covered, or what lies before a cut, is there for ever.
 *
 * Discards are writes of 0, and cannot be told apart: a zero that is read is wrong if no discard, nor the beginning, can
 * explain it.
 */
export interface CellWrite {
  /** Unique, or 0 for a discard. */
  readonly value: number
  readonly client: string
  readonly invokedMs: number
  /** Infinity: never acknowledged; it may have happened, or may yet. */
  ackedMs: number
  /** When a flush that covers it was acknowledged, or a cut found that it survived. */
  flushedMs: number
  /** When a cut left it out. It may be sent again. */
  lostMs: number
  /** From here on nobody sends it again. */
  endMs: number
}

interface CellRead {
  readonly value: number
  readonly invokedMs: number
  readonly endedMs: number
}

/** Something that must never be was seen. */
export class Violation extends Error {}

/** Something that must come about did not. */
export class Stalled extends Error {}

/** A request of a client that died may still be on its way, or wait for a lock at a holder that hands a range over. */
const stragglerMs = 30_000

export class History {
  readonly #writes: CellWrite[][]
  readonly #reads: CellRead[][]
  readonly #byValue = new Map<number, CellWrite>()
  /** Writes by the places of streams that carry them: by segment and token, then by sequence. */
  readonly #places = new Map<string, Map<number, number[]>>()
  /** Ends of dead streams, by segment and token. */
  readonly #cuts = new Map<string, number>()
  /** Moments at which one was set. */
  readonly #losses: number[] = []
  operations = 0

  constructor(cells: number) {
    this.#writes = Array.from({ length: cells }, () => [])
    this.#reads = Array.from({ length: cells }, () => [])
  }

  invoke(cell: number, value: number, client: string, nowMs: number): CellWrite {
    const write = { value, client, invokedMs: nowMs, ackedMs: Infinity, flushedMs: Infinity, lostMs: Infinity, endMs: Infinity }
    this.#writes[cell]?.push(write)
    if (value !== 0) this.#byValue.set(value, write)
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
    for (const write of writes) safe(write, nowMs)
  }

  /** The client is gone, or was told that it lost writes: nobody sends them again. */
  ended(client: string, nowMs: number): void {
    for (const write of this.#writes.flat()) if (write.client === client && write.endMs === Infinity) write.endMs = nowMs + stragglerMs
  }

  /**
   * What a flush covered, or was there from the beginning. Of a zero it is only known if every discard of the cell was
   * flushed: one that was not may be what is read, and need not be everywhere.
   */
  isFlushed(cell: number, value: number): boolean {
    if (value === 0) return (this.#writes[cell] ?? []).every((write) => write.value !== 0 || write.flushedMs < Infinity)
    return (this.#byValue.get(value)?.flushedMs ?? Infinity) < Infinity
  }

  /** An entry of a stream is on a disk, and has these values. */
  placed(segment: number, token: number, sequence: number, values: readonly number[], nowMs: number): void {
    const key = `${segment}/${token}`
    let places = this.#places.get(key)
    if (places === undefined) this.#places.set(key, (places = new Map<number, number[]>()))
    if (places.has(sequence)) return
    places.set(sequence, [...values])
    // A holder whose clock is wrong writes on where its stream is over.
    if (sequence > (this.#cuts.get(key) ?? Infinity)) this.#lost(values, nowMs)
  }

  /** The register says where a dead stream ends. */
  cut(segment: number, token: number, end: number, nowMs: number): void {
    const key = `${segment}/${token}`
    this.#losses.push(nowMs)
    this.#cuts.set(key, end)
    for (const [sequence, values] of this.#places.get(key) ?? []) {
      if (sequence > end) {
        this.#lost(values, nowMs)
        continue
      }
      // Its client counts on it from here on, as if it had been flushed.
      for (const value of values) {
        const write = this.#byValue.get(value)
        if (write !== undefined) safe(write, nowMs)
      }
    }
  }

  #lost(values: readonly number[], nowMs: number): void {
    for (const value of values) {
      const write = this.#byValue.get(value)
      if (write !== undefined) write.lostMs = Math.min(write.lostMs, nowMs)
    }
  }

  read(cell: number, value: number, invokedMs: number, endedMs: number): void {
    this.operations++
    const read = { value, invokedMs, endedMs }
    const from = this.#byValue.get(value)
    if (value !== 0 && from === undefined) throw new Violation(`cell ${cell} reads ${value}, which nobody wrote`)
    const discards = value === 0 ? (this.#writes[cell] ?? []).filter((write) => write.value === 0 && write.invokedMs <= endedMs) : []
    const explanations = value === 0 ? [undefined, ...discards] : [from]
    let problem: string | undefined
    for (const explanation of explanations.reverse()) {
      problem = this.#problem(cell, read, explanation)
      if (problem === undefined) break
    }
    if (problem !== undefined) throw new Violation(problem)
    if (from !== undefined) this.#noReturn(cell, read, from)
    this.#reads[cell]?.push(read)
  }

  /** What is wrong with the read if it saw this write; undefined: what was there in the beginning. */
  #problem(cell: number, { value, invokedMs, endedMs }: CellRead, from: CellWrite | undefined): string | undefined {
    if (from !== undefined && from.invokedMs > endedMs) return `cell ${cell} reads ${value} before it was written`
    // The last moment at which what was read can have been written, and the same if it was not sent again.
    const lastMs = from?.endMs ?? -1
    const onceMs = from === undefined ? -1 : from.ackedMs === Infinity || this.#isLost(from, endedMs) ? lastMs : from.ackedMs
    for (const other of this.#writes[cell] ?? []) {
      if (other === from) continue
      if (other.flushedMs <= invokedMs && lastMs < other.invokedMs) return `cell ${cell} reads ${value} at ${invokedMs.toFixed(0)}, after ${other.value} was flushed at ${other.flushedMs.toFixed(0)}`
      if (other.ackedMs <= invokedMs && onceMs < other.invokedMs && !this.#isLost(other, endedMs)) {
        return `cell ${cell} reads ${value} at ${invokedMs.toFixed(0)}, after ${other.value} was acknowledged at ${other.ackedMs.toFixed(0)}, and no cut left it out`
      }
    }
    return undefined
  }

  /** Whether a cut may have left the write out. Of a discard it is only known that there was a cut. */
  #isLost(write: CellWrite, nowMs: number): boolean {
    return write.value === 0 ? this.#losses.some((ms) => ms >= write.invokedMs && ms <= nowMs) : write.lostMs <= nowMs
  }

  /** What was seen, and then something older in its place, does not come back, unless its client may have sent it again. */
  #noReturn(cell: number, read: CellRead, from: CellWrite): void {
    const reads = this.#reads[cell] ?? []
    for (let i = reads.length - 1; i >= 0; i--) {
      const between = reads[i] as CellRead
      if (between.value === read.value || between.endedMs > read.invokedMs) continue
      if (from.endMs >= between.invokedMs) return
      // Something newer may have been lost itself.
      const isNewer = (write: CellWrite): boolean => write.value === between.value && write.endMs >= from.invokedMs && write.invokedMs <= between.endedMs
      if ((this.#writes[cell] ?? []).some(isNewer)) continue
      if (reads.slice(0, i).some((before) => before.value === read.value && before.endedMs < between.invokedMs)) {
        throw new Violation(`cell ${cell} reads ${read.value} at ${read.invokedMs.toFixed(0)} again, after it was gone at ${between.invokedMs.toFixed(0)}`)
      }
    }
  }
}

function safe(write: CellWrite, nowMs: number): void {
  write.flushedMs = Math.min(write.flushedMs, nowMs)
  write.endMs = Math.min(write.endMs, nowMs)
}
