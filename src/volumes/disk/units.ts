import type { RecordReader, RecordWriter } from './bytes.js'
import { unitOf } from './rows.js'

interface Unit {
  /** Bytes of rows. */
  bytes: number
  /** The same for what the last checkpoint covers. */
  bytesSaved: number
  /** Bytes of blocks that pages need, and the same as the pages on disk say. */
  live: number
  liveSaved: number
  /** Keys of the segments whose rows are in it, where all of it was written by this process and they are few. */
  segments: Set<Uint8Array> | undefined
}

/** A unit of rows of more segments than this is looked through to know them. */
const segmentsKnownMax = 256

/**
 * How much of each unit of the log (a run of positions, given back as a whole) is still needed. Exact, crashes included:
 * what a page has added and taken since its last checkpoint goes into the counts on disk in the same write as the page.
 */
export class Units {
  readonly #units = new Map<number, Unit>()
  readonly #dirty = new Set<number>()
  #bytes = 0
  #live = 0

  get totalBytes(): number {
    return this.#bytes
  }

  get liveBytes(): number {
    return this.#live
  }

  last(): number {
    let last = 0
    for (const number of this.#units.keys()) last = Math.max(last, number)
    return last
  }

  /** `segment`: its key; left out where rows of others may stand in the unit of which nobody told. */
  written(position: number, bytes: number, segment?: Uint8Array): void {
    const unit = this.#open(unitOf(position))
    unit.bytes += bytes
    this.#bytes += bytes
    if (segment === undefined || (unit.segments?.size ?? 0) >= segmentsKnownMax) unit.segments = undefined
    else unit.segments?.add(segment)
  }

  /** The units below `before` of which no page needs anything, in order, each with the keys of its segments: of which these are known. */
  dead(before: number): { readonly number: number; readonly segments: ReadonlySet<Uint8Array> }[] {
    const dead: { number: number; segments: ReadonlySet<Uint8Array> }[] = []
    for (const [number, { live, segments }] of this.#units) if (number < before && live === 0 && segments !== undefined) dead.push({ number, segments })
    return dead.sort((a, b) => a.number - b.number)
  }

  /** A unit that was given back has no count any more, though pages on disk may still name it. */
  needs(number: number, bytes: number): void {
    const unit = this.#units.get(number)
    if (unit === undefined) return
    unit.live += bytes
    this.#live += bytes
  }

  live(number: number): number {
    return this.#units.get(number)?.live ?? 0
  }

  bytes(number: number): number {
    return this.#units.get(number)?.bytes ?? 0
  }

  /** The unit below `before` with the largest share of bytes that nobody needs, if that is at least `shareMin`. */
  worst(before: number, shareMin: number, isExcluded: (number: number) => boolean): number | undefined {
    let worst: number | undefined
    let worstShare = shareMin
    for (const [number, { bytes, live }] of this.#units) {
      const share = bytes === 0 ? 1 : 1 - live / bytes
      if (number >= before || share < worstShare || isExcluded(number)) continue
      worst = number
      worstShare = share
    }
    return worst
  }

  /** What a page that is being written has changed. */
  save(deltas: ReadonlyMap<number, number>): void {
    for (const [number, bytes] of deltas) {
      const unit = this.#units.get(number)
      if (unit === undefined) continue
      unit.liveSaved += bytes
      this.#dirty.add(number)
    }
  }

  /** That page could not be written. */
  unsave(deltas: ReadonlyMap<number, number>): void {
    for (const [number, bytes] of deltas) {
      const unit = this.#units.get(number)
      if (unit !== undefined) unit.liveSaved -= bytes
    }
  }

  /** A checkpoint that covers all rows written so far has begun: what to call when its mark is about to be written. */
  markBytes(): () => void {
    const now = [...this.#units].filter(([, unit]) => unit.bytes !== unit.bytesSaved).map(([number, unit]) => [number, unit.bytes] as const)
    return () => {
      for (const [number, bytes] of now) {
        const unit = this.#units.get(number)
        if (unit === undefined) continue
        unit.bytesSaved = bytes
        this.#dirty.add(number)
      }
    }
  }

  takeDirty(): number[] {
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    return dirty
  }

  touch(numbers: readonly number[]): void {
    for (const number of numbers) this.#dirty.add(number)
  }

  delete(number: number): void {
    const unit = this.#units.get(number)
    if (unit === undefined) return
    this.#bytes -= unit.bytes
    this.#live -= unit.live
    this.#units.delete(number)
    this.#dirty.delete(number)
  }

  /** Undefined for a unit that is gone. */
  encode(number: number, writer: RecordWriter): RecordWriter | undefined {
    const unit = this.#units.get(number)
    return unit === undefined ? undefined : writer.number(unit.bytesSaved).number(Math.max(0, unit.liveSaved))
  }

  decode(number: number, reader: RecordReader): void {
    const bytes = reader.number()
    const live = reader.number()
    this.#units.set(number, { bytes, bytesSaved: bytes, live, liveSaved: live, segments: undefined })
    this.#bytes += bytes
    this.#live += live
  }

  #open(number: number): Unit {
    let unit = this.#units.get(number)
    if (unit === undefined) {
      unit = { bytes: 0, bytesSaved: 0, live: 0, liveSaved: 0, segments: new Set() }
      this.#units.set(number, unit)
    }
    return unit
  }
}
