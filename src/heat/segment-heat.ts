import { invariant } from '../base/index.js'
import type { Hlc, NodeId } from '../base/index.js'
import type { HeatSettings } from './settings.js'
import { Tally } from './tally.js'
import type { Access, Place, PlaceHeat, RangeHeat } from './types.js'

interface Range {
  start: number
  end: number
  readonly places: Map<NodeId, { place: Place; tally: Tally }>
  lastWrite: Hlc | undefined
}

/**
 * Heat of one segment: ranges of blocks, sorted, that never overlap. They follow use: a write that touches blocks which
 * its writer has not written before cuts the range around them at just these blocks, and neighbours with the same writers
 * become one. So a document that Sydney edits stands apart from the system around it that New York runs, and a disk with
 * one user is one range.
 *
 * Assumes that accesses are spread evenly over a range: a part of it has its share of the counts. Reads cut nothing,
 * since leases move for writes.
 *
 * Road not taken: cells of a fixed size. Either they are small, and a disk has millions, or two writers share one and
 * pull at it.
 */
export class SegmentHeat {
  readonly #settings: HeatSettings
  #ranges: Range[] = []

  constructor(settings: HeatSettings) {
    this.#settings = settings
  }

  get size(): number {
    return this.#ranges.length
  }

  /** Returns by how much `size` grew. `hlc` stamps a write. */
  record(access: Access, nowMs: number, hlc: Hlc): number {
    invariant(access.blocks > 0 && access.start >= 0, 'an access has a block at least')
    const before = this.#ranges.length
    const end = access.start + access.blocks
    if (!this.#isShaped(access, end, nowMs) && !this.#stretch(access, end, nowMs)) {
      this.#shape(access, end, nowMs)
    }
    for (let i = this.#firstEndingAfter(access.start); i < this.#ranges.length; i++) {
      const range = this.#ranges[i] as Range
      if (range.start >= end) break
      this.#tally(range, access.place, nowMs).add(nowMs, this.#settings.windowMs, access)
      if (access.kind === 'write') range.lastWrite = hlc
    }
    // After the access is counted, or what it made would look unused.
    this.#tidy(nowMs)
    return this.#ranges.length - before
  }

  at(block: number, nowMs: number): RangeHeat | undefined {
    const range = this.#ranges[this.#firstEndingAfter(block)]
    return range === undefined || range.start > block ? undefined : this.#view(range, nowMs)
  }

  /** Blocks from `block` on that are in no range, up to `blocksMax`. */
  unused(block: number, blocksMax: number): number {
    const next = this.#ranges[this.#firstEndingAfter(block)]
    return next === undefined ? blocksMax : Math.min(blocksMax, Math.max(0, next.start - block))
  }

  all(nowMs: number): RangeHeat[] {
    this.#sweep(nowMs)
    return this.#ranges.map((range) => this.#view(range, nowMs))
  }

  /** The common case: all blocks are known, and nothing is to be cut. */
  #isShaped(access: Access, end: number, nowMs: number): boolean {
    let at = access.start
    for (let i = this.#firstEndingAfter(access.start); at < end; i++) {
      const range = this.#ranges[i]
      if (range === undefined || range.start > at) return false
      if (access.kind === 'write' && range.places.get(access.place.node)?.tally.wrote(nowMs, this.#settings.windowMs) !== true) return false
      at = range.end
    }
    return true
  }

  /**
   * Of scattered writes each would make a range, only to be joined with the next one at the limit. So half-way there, what
   * falls between ranges becomes part of a neighbour that has this one writer.
   */
  #stretch(access: Access, end: number, nowMs: number): boolean {
    if (access.kind !== 'write' || this.#ranges.length < this.#settings.rangesPerSegmentMax / 2) return false
    const i = this.#firstEndingAfter(access.start)
    const [left, right] = [this.#ranges[i - 1], this.#ranges[i]]
    if (right !== undefined && right.start < end) return false
    const gaps = [left, right].map((range) => {
      const isOurs = range !== undefined && range.places.size === 1 && range.places.get(access.place.node)?.tally.wrote(nowMs, this.#settings.windowMs) === true
      return isOurs ? (range === left ? access.start - range.end : range.start - end) : Number.POSITIVE_INFINITY
    })
    const [before = Number.POSITIVE_INFINITY, after = Number.POSITIVE_INFINITY] = gaps
    if (before === Number.POSITIVE_INFINITY && after === Number.POSITIVE_INFINITY) return false
    if (left !== undefined && before <= after) left.end = end
    else if (right !== undefined) right.start = access.start
    if (left !== undefined && right !== undefined && left.end === right.start && before + after < Number.POSITIVE_INFINITY) this.#ranges.splice(i - 1, 2, joined(left, right))
    return true
  }

  #shape(access: Access, end: number, nowMs: number): void {
    const { windowMs } = this.#settings
    const shaped: Range[] = []
    let at = access.start
    const fill = (until: number): void => {
      if (at < until) shaped.push({ start: at, end: until, places: new Map(), lastWrite: undefined })
      at = Math.max(at, until)
    }
    for (const range of this.#ranges) {
      if (range.end <= access.start || range.start >= end) {
        if (range.start >= end) fill(end)
        shaped.push(range)
        continue
      }
      fill(range.start)
      const known = range.places.get(access.place.node)
      if (access.kind === 'read' || known?.tally.wrote(nowMs, windowMs) === true) {
        shaped.push(range)
      } else {
        for (const [from, to] of [[range.start, access.start], [Math.max(range.start, access.start), Math.min(range.end, end)], [end, range.end]] as const) {
          if (from < to) shaped.push(part(range, from, to))
        }
      }
      at = range.end
    }
    fill(end)
    // The writer is a writer of all that it touched before neighbours are compared.
    for (const range of shaped) if (range.start < end && range.end > access.start) this.#tally(range, access.place, nowMs)
    this.#ranges = shaped
    this.#join(access, end, nowMs)
  }

  /** Joins neighbours with the same writers, from the one before the access to the one after it. */
  #join(access: Access, end: number, nowMs: number): void {
    const { windowMs } = this.#settings
    const writers = (range: Range): string => {
      const inAccess = range.start < end && range.end > access.start
      const names: string[] = []
      for (const [node, { tally }] of range.places) {
        if (tally.wrote(nowMs, windowMs) || (inAccess && access.kind === 'write' && node === access.place.node)) names.push(node)
      }
      return names.sort().join(' ')
    }
    for (let i = Math.max(1, this.#firstEndingAfter(access.start) - 1); i < this.#ranges.length;) {
      const left = this.#ranges[i - 1] as Range
      const right = this.#ranges[i] as Range
      if (left.start > end) break
      if (left.end === right.start && writers(left) === writers(right)) this.#ranges.splice(i - 1, 2, joined(left, right))
      else i++
    }
  }

  /** Forgets what the window has left behind; past the limit, ranges that are nearest to each other become one. */
  #tidy(nowMs: number): void {
    if (this.#ranges.length <= this.#settings.rangesPerSegmentMax) return
    this.#sweep(nowMs)
    while (this.#ranges.length > this.#settings.rangesPerSegmentMax) {
      let best = 1
      let bestCost = Number.POSITIVE_INFINITY
      for (let i = 1; i < this.#ranges.length; i++) {
        const left = this.#ranges[i - 1] as Range
        const right = this.#ranges[i] as Range
        // Ranges of different writers are kept apart for as long as there are others to be joined.
        const cost = right.start - left.end + (sameNodes(left, right) ? 0 : mixedCost)
        if (cost < bestCost) {
          best = i
          bestCost = cost
        }
      }
      this.#ranges.splice(best - 1, 2, joined(this.#ranges[best - 1] as Range, this.#ranges[best] as Range))
    }
  }

  #sweep(nowMs: number): void {
    const { windowMs } = this.#settings
    this.#ranges = this.#ranges.filter((range) => [...range.places.values()].some(({ tally }) => !tally.isEmpty(nowMs, windowMs)))
  }

  /** The tally of a place in a range, made if there is none; the lightest gives way. */
  #tally(range: Range, place: Place, nowMs: number): Tally {
    const known = range.places.get(place.node)
    if (known !== undefined && known.place.region === place.region) return known.tally
    if (known === undefined && range.places.size >= this.#settings.placesPerRangeMax) {
      const { windowMs, decayMs } = this.#settings
      const weights = [...range.places].map(([node, { tally }]) => ({ node, weight: tally.sums(nowMs, windowMs, decayMs).weight }))
      const lightest = weights.reduce((a, b) => (b.weight < a.weight ? b : a))
      range.places.delete(lightest.node)
    }
    const tally = known?.tally ?? new Tally()
    range.places.set(place.node, { place, tally })
    return tally
  }

  #view(range: Range, nowMs: number): RangeHeat {
    const { windowMs, decayMs } = this.#settings
    const places: PlaceHeat[] = []
    for (const { place, tally } of range.places.values()) {
      const sums = tally.sums(nowMs, windowMs, decayMs)
      if (sums.writes === 0 && sums.reads === 0) continue
      places.push({
        place,
        writes: sums.writes,
        reads: sums.reads,
        weight: sums.weight,
        slowWrites: sums.slow,
        latencyMs: mean(sums.latency, sums.weight),
        slowLatencyMs: mean(sums.slowLatency, sums.slowWeight),
        localLatencyMs: mean(sums.latency - sums.slowLatency, sums.weight - sums.slowWeight),
      })
    }
    places.sort((a, b) => b.weight - a.weight)
    const sum = (of: (heat: PlaceHeat) => number): number => places.reduce((total, heat) => total + of(heat), 0)
    const writes = sum((heat) => heat.writes)
    return { start: range.start, blocks: range.end - range.start, writes, reads: sum((heat) => heat.reads), lastWrite: writes > 0 ? range.lastWrite : undefined, places }
  }

  /** Index of the first range that ends after `block` (binary search). */
  #firstEndingAfter(block: number): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#ranges[middle] as Range).end > block) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** More than any gap within a segment. */
const mixedCost = 2 ** 20

function mean(total: number, weight: number): number | undefined {
  return weight > 1e-9 ? Math.max(0, total / weight) : undefined
}

function part(range: Range, start: number, end: number): Range {
  const share = (end - start) / (range.end - range.start)
  return { start, end, places: new Map([...range.places].map(([node, { place, tally }]) => [node, { place, tally: tally.scaled(share) }])), lastWrite: range.lastWrite }
}

/** `left` with all that `right` has; what lies between them becomes part of it. */
function joined(left: Range, right: Range): Range {
  const places = new Map(left.places)
  for (const [node, theirs] of right.places) {
    const mine = places.get(node)
    if (mine === undefined) places.set(node, theirs)
    else mine.tally.absorb(theirs.tally)
  }
  const lastWrite = left.lastWrite === undefined || (right.lastWrite !== undefined && right.lastWrite > left.lastWrite) ? right.lastWrite : left.lastWrite
  return { start: left.start, end: right.end, places, lastWrite }
}

function sameNodes(left: Range, right: Range): boolean {
  if (left.places.size !== right.places.size) return false
  for (const node of left.places.keys()) if (!right.places.has(node)) return false
  return true
}
