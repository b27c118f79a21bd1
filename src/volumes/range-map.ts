import { invariant } from '../base/index.js'
import type { BlockRange } from './geometry.js'

/**
 * An interval map over the blocks of a segment: a sorted list of entries that never overlap, gaps meaning "nothing".
 * Setting a range cuts what it overlaps; neighbours that are equal are joined, so that the map is as small as it can be
 * and equal maps have equal lists. Maps are small (64 entries at most in a register, a few hundred at a replica), so
 * lists and copies are simpler than a tree, and faster.
 */
export interface RangeEntry<T> extends BlockRange {
  readonly value: T
}

export class RangeMap<T> {
  readonly #equal: (a: T, b: T) => boolean
  /** Sorted by start; no overlap; no two adjacent entries with equal values. */
  readonly #entries: readonly RangeEntry<T>[]

  constructor(equal: (a: T, b: T) => boolean, entries: readonly RangeEntry<T>[] = []) {
    this.#equal = equal
    this.#entries = joined(equal, entries)
  }

  get entries(): readonly RangeEntry<T>[] {
    return this.#entries
  }

  get size(): number {
    return this.#entries.length
  }

  at(block: number): T | undefined {
    const entry = this.#entries[this.#firstEndingAfter(block)]
    return entry !== undefined && entry.start <= block ? entry.value : undefined
  }

  /** The value of the one entry that covers all of `range`; undefined if none does. */
  covering(range: BlockRange): T | undefined {
    const entry = this.#entries[this.#firstEndingAfter(range.start)]
    return entry !== undefined && entry.start <= range.start && entry.start + entry.blocks >= range.start + range.blocks ? entry.value : undefined
  }

  /** The parts of `range`, gaps included (`value` undefined), in order; together they are `range`. */
  within(range: BlockRange): RangeEntry<T | undefined>[] {
    const parts: RangeEntry<T | undefined>[] = []
    const end = range.start + range.blocks
    let at = range.start
    for (let i = this.#firstEndingAfter(range.start); at < end; i++) {
      const entry = this.#entries[i]
      if (entry === undefined || entry.start >= end) {
        parts.push({ start: at, blocks: end - at, value: undefined })
        break
      }
      if (entry.start > at) {
        parts.push({ start: at, blocks: entry.start - at, value: undefined })
        at = entry.start
      }
      const stop = Math.min(end, entry.start + entry.blocks)
      parts.push({ start: at, blocks: stop - at, value: entry.value })
      at = stop
    }
    return parts
  }

  /** A map in which `range` has `value`; undefined clears it. */
  with(range: BlockRange, value: T | undefined): RangeMap<T> {
    invariant(range.blocks > 0 && range.start >= 0, 'a range has a block at least')
    const end = range.start + range.blocks
    const before: RangeEntry<T>[] = []
    const after: RangeEntry<T>[] = []
    for (const entry of this.#entries) {
      const entryEnd = entry.start + entry.blocks
      if (entry.start < range.start) before.push({ ...entry, blocks: Math.min(entryEnd, range.start) - entry.start })
      if (entryEnd > end) {
        const start = Math.max(entry.start, end)
        after.push({ ...entry, start, blocks: entryEnd - start })
      }
    }
    const middle = value === undefined ? [] : [{ start: range.start, blocks: range.blocks, value }]
    return new RangeMap(this.#equal, [...before, ...middle, ...after])
  }

  /** A map in which every entry's value is what `change` makes of it. */
  map(change: (value: T, range: BlockRange) => T | undefined): RangeMap<T> {
    const entries: RangeEntry<T>[] = []
    for (const entry of this.#entries) {
      const value = change(entry.value, entry)
      if (value !== undefined) entries.push({ start: entry.start, blocks: entry.blocks, value })
    }
    return new RangeMap(this.#equal, entries)
  }

  /** Index of the first entry that ends after `block` (binary search). */
  #firstEndingAfter(block: number): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      const entry = this.#entries[middle] as RangeEntry<T>
      if (entry.start + entry.blocks > block) high = middle
      else low = middle + 1
    }
    return low
  }
}

function joined<T>(equal: (a: T, b: T) => boolean, entries: readonly RangeEntry<T>[]): RangeEntry<T>[] {
  const result: RangeEntry<T>[] = []
  for (const entry of entries) {
    const last = result.at(-1)
    if (last !== undefined) invariant(last.start + last.blocks <= entry.start, 'entries are sorted and do not overlap')
    if (last !== undefined && last.start + last.blocks === entry.start && equal(last.value, entry.value)) {
      result[result.length - 1] = { ...last, blocks: last.blocks + entry.blocks }
    } else result.push(entry)
  }
  return result
}
