import type { RecordReader, RecordWriter } from './bytes.js'
import { damaged } from './bytes.js'

/** One token's entries in one segment: how far they go, and where those are that are not settled. */
export class Stream {
  readonly token: number
  /** The last sequence number that is written. */
  end = 0
  /** The next one that is taken: `end` + 1, and more while writes are under way. */
  next = 1
  settled = 0
  /** Position of the first row of each entry, for the sequence numbers `#first` … `end`. */
  #positions = new Float64Array(16)
  #first = 1
  #count = 0

  constructor(token: number) {
    this.token = token
  }

  get positionsKept(): number {
    return this.#count
  }

  get oldestPosition(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : (this.#positions[0] ?? 0)
  }

  /** Of an entry's first row; undefined if the entry is settled, or not here. */
  positionOf(sequence: number): number | undefined {
    const at = sequence - this.#first
    return at >= 0 && at < this.#count ? this.#positions[at] : undefined
  }

  written(sequence: number, position: number): void {
    if (sequence <= this.end) return
    this.end = sequence
    this.next = Math.max(this.next, sequence + 1)
    if (sequence <= this.settled) {
      this.#first = sequence + 1
      return
    }
    if (this.#count === 0) this.#first = sequence
    if (this.#count === this.#positions.length) {
      const larger = new Float64Array(2 * this.#count)
      larger.set(this.#positions)
      this.#positions = larger
    }
    this.#positions[this.#count++] = position
  }

  /** The entries up to here came otherwise. */
  skipTo(sequence: number): void {
    if (sequence <= this.end) return
    this.end = sequence
    this.next = Math.max(this.next, sequence + 1)
    this.#first = sequence + 1
    this.#count = 0
  }

  settle(sequence: number): boolean {
    if (sequence <= this.settled) return false
    this.settled = sequence
    const gone = Math.min(this.#count, Math.max(0, sequence + 1 - this.#first))
    this.#positions.copyWithin(0, gone, this.#count)
    this.#first += gone
    this.#count -= gone
    return true
  }

  /** Entries past `after` never were. */
  cutBack(after: number): void {
    if (after >= this.end) return
    this.end = after
    this.next = after + 1
    this.#count = Math.max(0, Math.min(this.#count, after + 1 - this.#first))
  }

  /** The writes under way failed. */
  failed(): void {
    this.next = this.end + 1
  }

  encode(writer: RecordWriter): void {
    writer.number(this.token).number(this.end).number(this.settled).number(this.#first).number(this.#count)
    let last = 0
    for (let i = 0; i < this.#count; i++) {
      const position = this.#positions[i] ?? 0
      writer.number(position - last)
      last = position
    }
  }

  /** Throws CORRUPT. */
  static decode(reader: RecordReader): Stream {
    const stream = new Stream(reader.number())
    stream.end = reader.number()
    stream.next = stream.end + 1
    stream.settled = reader.number()
    stream.#first = reader.number()
    const count = reader.count(stream.end)
    if (count > 0 && stream.#first + count !== stream.end + 1) throw damaged('a stream')
    stream.#positions = new Float64Array(Math.max(16, count))
    for (let last = 0; stream.#count < count; stream.#count++) {
      last += reader.number()
      stream.#positions[stream.#count] = last
    }
    return stream
  }
}
