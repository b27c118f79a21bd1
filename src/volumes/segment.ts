import { invariant } from '../base/index.js'
import type { NodeId } from '../base/index.js'
import { segmentBlocks } from './geometry.js'
import type { BlockRange } from './geometry.js'
import { RangeMap } from './range-map.js'
import type { RangeEntry } from './range-map.js'

/**
 * What a segment's consensus register holds, and every change that a round may make of it. All pure: a change is a
 * function of the value read in this very round, conditional on the exact (holder, incarnation, epoch, token) it means to
 * replace, and says "unchanged" with a reason where that is no longer so. (Primary-backup in the manner of PacificA, Lin
 * et al. 2008, with the register as configuration manager.)
 *
 * Road not taken: a register per range. Splits and merges would then be changes of several registers at once, and a
 * replica set would have to be agreed on range by range.
 */
export interface Session {
  readonly node: NodeId
  readonly incarnation: string
  readonly epoch: number
}

/** Where the stream of a dead holder ends for good: its entries with a sequence past it never count. */
export interface Cut {
  readonly token: number
  readonly sequence: number
}

export interface Holding {
  readonly session: Session
  /** The segment's token when this range last changed hands. */
  readonly token: number
  /**
   * Streams of dead holders that nobody has recovered yet, this range's last one first: until they are settled the range
   * is not served. Empty for what was free or handed over, since a hand-off flushes first.
   */
  readonly unsettled: readonly number[]
}

export interface Segment {
  /** Grows by one at every change of anything: of two values of one register the newer is the one with more. */
  readonly version: number
  /** Grows by one at every change of holder of any range, never reset. */
  readonly token: number
  /** Grows by one at every change of the replica sets. */
  readonly configuration: number
  /** In sync: each has every flushed write of the segment. Sorted. */
  readonly replicas: readonly NodeId[]
  /** Being brought up to date: they count in flushes, but not as copies. Sorted; none of them in `replicas`. */
  readonly joining: readonly NodeId[]
  readonly ranges: RangeMap<Holding>
  /** Where streams of dead holders were cut, by token; the latest `cutsMax`. A token's stream dies as a whole. */
  readonly cuts: readonly Cut[]
  /** The highest token whose cut was dropped from `cuts`: of streams up to it nobody knows any more. */
  readonly cutsForgotten: number
}

export type Change =
  | { readonly type: 'changed'; readonly segment: Segment; readonly taken: readonly RangeEntry<Holding>[] }
  | { readonly type: 'unchanged'; readonly reason: 'HELD' | 'NOT_HOLDER' | 'STALE_TOKEN' | 'STALE_CONFIGURATION' | 'LAST_REPLICA' | 'UNSETTLED' | 'NOT_NEEDED' }

/** A round copies the whole value, so the map must stay small: beyond this, ranges are taken whole and not split. */
export const rangesMax = 64
/** Who asks for an older cut than these has not spoken to the mesh for as many deaths of holders of one segment. */
export const cutsMax = 32

export function sameHolding(a: Holding, b: Holding): boolean {
  return a.token === b.token && sameSession(a.session, b.session) && a.unsettled.length === b.unsettled.length && a.unsettled.every((token, i) => token === b.unsettled[i])
}

export function sameSession(a: Session, b: Session): boolean {
  return a.epoch === b.epoch && a.node === b.node && a.incarnation === b.incarnation
}

/** What "nothing was ever written here" means for a segment whose first replicas placement has chosen. */
export function emptySegment(replicas: readonly NodeId[]): Segment {
  return { version: 0, token: 0, configuration: 0, replicas: sorted(replicas), joining: [], ranges: new RangeMap(sameHolding), cuts: [], cutsForgotten: 0 }
}

/**
 * Takes what is free of `range`: the whole gap around it, so that the first writer has the whole free segment in one
 * round. HELD if any of it is somebody else's; NOT_NEEDED if all of it is the asker's already.
 */
export function claim(segment: Segment, range: BlockRange, by: Session): Change {
  const parts = segment.ranges.within(range)
  if (parts.some((part) => part.value !== undefined && !sameSession(part.value.session, by))) return { type: 'unchanged', reason: 'HELD' }
  const free = parts.filter((part) => part.value === undefined)
  if (free.length === 0) return { type: 'unchanged', reason: 'NOT_NEEDED' }
  return take(segment, free.map((part) => gapAround(segment, part)), by, [])
}

/**
 * Moves what `from` holds of `range` at `token` to `to`: a hand-off by the holder itself, which has flushed it. Other
 * parts of `range` (free ones, the taker's own) do not stand in the way; a third party's do.
 */
export function move(segment: Segment, range: BlockRange, from: Session, token: number, to: Session): Change {
  const parts = segment.ranges.within(range)
  const theirs = parts.filter((part) => part.value !== undefined && sameSession(part.value.session, from))
  if (theirs.length === 0) return { type: 'unchanged', reason: 'NOT_HOLDER' }
  if (theirs.some((part) => part.value?.token !== token)) return { type: 'unchanged', reason: 'STALE_TOKEN' }
  if (parts.some((part) => part.value !== undefined && !sameSession(part.value.session, from) && !sameSession(part.value.session, to))) {
    return { type: 'unchanged', reason: 'HELD' }
  }
  const unsettled = [...new Set(theirs.flatMap((part) => part.value?.unsettled ?? []))]
  return take(segment, theirs, to, unsettled)
}

/**
 * Takes everything that the dead session `from` held at `token`, wherever it lies in the segment, so that the stream of
 * that token is over as a whole and has one end. What was being brought up to date has to begin again: it may have got
 * entries that will be cut. The taker serves nothing of it before it has settled it.
 */
export function inherit(segment: Segment, from: Session, token: number, to: Session): Change {
  const theirs = segment.ranges.entries.filter((entry) => entry.value.token === token && sameSession(entry.value.session, from))
  if (theirs.length === 0) return { type: 'unchanged', reason: 'NOT_HOLDER' }
  const unsettled = [...new Set([token, ...theirs.flatMap((entry) => entry.value.unsettled)])]
  const change = take(segment, theirs, to, unsettled)
  if (change.type === 'unchanged' || segment.joining.length === 0) return change
  return { ...change, segment: { ...change.segment, configuration: segment.configuration + 1, joining: [] } }
}

/** Gives up what `by` holds of `range` at `token`. Tokens are not reset. */
export function release(segment: Segment, range: BlockRange, by: Session, token: number): Change {
  const theirs = segment.ranges.within(range).filter((part) => part.value !== undefined && sameSession(part.value.session, by) && part.value.token === token)
  if (theirs.length === 0) return { type: 'unchanged', reason: 'NOT_HOLDER' }
  const grown = theirs.map((part) => wholeIfFull(segment, part))
  let { ranges } = segment
  for (const part of grown) ranges = ranges.with(part, undefined)
  return { type: 'changed', segment: { ...segment, version: segment.version + 1, ranges }, taken: [] }
}

/**
 * What `by` inherited at `token` is recovered: every replica in sync has the same of it, and the dead streams end at
 * these cuts. From here on it may be served.
 */
export function settle(segment: Segment, by: Session, token: number, cuts: readonly Cut[]): Change {
  if (!holds(segment, by, token)) return { type: 'unchanged', reason: 'NOT_HOLDER' }
  const mine = (holding: Holding): boolean => holding.token === token && sameSession(holding.session, by)
  if (!segment.ranges.entries.some((entry) => mine(entry.value) && entry.value.unsettled.length > 0)) return { type: 'unchanged', reason: 'NOT_NEEDED' }
  const ranges = segment.ranges.map((holding) => (mine(holding) ? { ...holding, unsettled: [] } : holding))
  const all = [...segment.cuts.filter((cut) => !cuts.some((other) => other.token === cut.token)), ...cuts].sort((a, b) => a.token - b.token)
  const dropped = all.slice(0, Math.max(0, all.length - cutsMax))
  const cutsForgotten = dropped.reduce((highest, cut) => Math.max(highest, cut.token), segment.cutsForgotten)
  return { type: 'changed', segment: { ...segment, version: segment.version + 1, ranges, cuts: all.slice(dropped.length), cutsForgotten }, taken: [] }
}

/**
 * `who` starts to be brought up to date. Only a holder of some range may say so, at its token. Not while a dead stream is
 * being recovered: the replica that `who` copies from may not have been brought up to the stream's end yet, and nobody
 * would bring `who` up to it.
 */
export function addJoining(segment: Segment, who: NodeId, by: Session, token: number): Change {
  if (!holds(segment, by, token)) return { type: 'unchanged', reason: 'NOT_HOLDER' }
  if (segment.replicas.includes(who) || segment.joining.includes(who)) return { type: 'unchanged', reason: 'NOT_NEEDED' }
  if (segment.ranges.entries.some((entry) => entry.value.unsettled.length > 0)) return { type: 'unchanged', reason: 'UNSETTLED' }
  return reconfigured(segment, segment.replicas, [...segment.joining, who])
}

/** `who` has everything that adopters of `configuration` had: it is in sync, if the sets are still those. */
export function promote(segment: Segment, who: NodeId, by: Session, token: number, configuration: number): Change {
  if (!holds(segment, by, token)) return { type: 'unchanged', reason: 'NOT_HOLDER' }
  if (segment.configuration !== configuration) return { type: 'unchanged', reason: 'STALE_CONFIGURATION' }
  if (!segment.joining.includes(who)) return { type: 'unchanged', reason: 'NOT_NEEDED' }
  return reconfigured(segment, [...segment.replicas, who], segment.joining.filter((node) => node !== who))
}

/** `who` did not answer, or is to leave. The last replica in sync is never removed: with it the data would go. */
export function removeReplica(segment: Segment, who: NodeId, by: Session, token: number): Change {
  if (!holds(segment, by, token)) return { type: 'unchanged', reason: 'NOT_HOLDER' }
  if (!segment.replicas.includes(who) && !segment.joining.includes(who)) return { type: 'unchanged', reason: 'NOT_NEEDED' }
  const replicas = segment.replicas.filter((node) => node !== who)
  if (replicas.length === 0) return { type: 'unchanged', reason: 'LAST_REPLICA' }
  return reconfigured(segment, replicas, segment.joining.filter((node) => node !== who))
}

/** The volume is gone: nobody holds anything of it, and no replica counts. */
export function retire(segment: Segment): Change {
  if (isRetired(segment)) return { type: 'unchanged', reason: 'NOT_NEEDED' }
  const { version, token, configuration } = segment
  return { type: 'changed', segment: { ...segment, version: version + 1, token: token + 1, configuration: configuration + 1, replicas: [], joining: [], ranges: new RangeMap(sameHolding) }, taken: [] }
}

export function isRetired(segment: Segment): boolean {
  return segment.replicas.length === 0
}

function holds(segment: Segment, by: Session, token: number): boolean {
  return segment.ranges.entries.some((entry) => entry.value.token === token && sameSession(entry.value.session, by))
}

function reconfigured(segment: Segment, replicas: readonly NodeId[], joining: readonly NodeId[]): Change {
  return {
    type: 'changed',
    segment: { ...segment, version: segment.version + 1, configuration: segment.configuration + 1, replicas: sorted(replicas), joining: sorted(joining) },
    taken: [],
  }
}

/** One new token for all that changes hands in this round. */
function take(segment: Segment, parts: readonly BlockRange[], to: Session, unsettled: readonly number[]): Change {
  const holding: Holding = { session: to, token: segment.token + 1, unsettled }
  let whole = parts
  let ranges = setAll(segment.ranges, whole, holding)
  if (ranges.size > rangesMax) {
    // Splitting would pass the limit: take the entries that are touched whole. That never adds an entry.
    whole = parts.map((part) => wholeIfFull(segment, part))
    ranges = setAll(segment.ranges, whole, holding)
  }
  invariant(ranges.size <= rangesMax, 'a segment has at most 64 ranges')
  const taken = whole.map((part) => ({ start: part.start, blocks: part.blocks, value: holding }))
  return { type: 'changed', segment: { ...segment, version: segment.version + 1, token: holding.token, ranges }, taken }
}

function setAll(ranges: RangeMap<Holding>, parts: readonly BlockRange[], holding: Holding): RangeMap<Holding> {
  return parts.reduce((map, part) => map.with(part, holding), ranges)
}

/** The entry that `part` lies in, where cutting it could pass the limit; else `part`. */
function wholeIfFull(segment: Segment, part: BlockRange): BlockRange {
  // Cutting a piece out of the middle of an entry makes two more of it.
  if (segment.ranges.size + 2 <= rangesMax) return part
  const entry = segment.ranges.entries.find((candidate) => candidate.start <= part.start && candidate.start + candidate.blocks >= part.start + part.blocks)
  return entry ?? part
}

/** The free gap that `part` (all free) lies in. */
function gapAround(segment: Segment, part: BlockRange): BlockRange {
  let start = 0
  let end = segmentBlocks
  for (const entry of segment.ranges.entries) {
    if (entry.start + entry.blocks <= part.start) start = entry.start + entry.blocks
    else if (entry.start >= part.start + part.blocks) {
      end = entry.start
      break
    }
  }
  return { start, blocks: end - start }
}

function sorted(nodes: readonly NodeId[]): NodeId[] {
  return [...nodes].sort()
}
