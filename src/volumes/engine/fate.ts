import type { BlockRange } from '../geometry.js'
import type { Version } from '../replica-types.js'
import type { Segment } from '../segment.js'

/** What became of a write that was acknowledged at a place of a stream. */
export type Fate = 'held' | 'survived' | 'lost' | 'pending'

/**
 * What a segment's register says about a write at (token, sequence). A stream that is over without a cut was handed over,
 * and flushed before. One that has not begun by this value of the register is not over: the value is older than the write.
 */
export function fateOf(segment: Segment, { token, sequence }: Version): Fate {
  if (token > segment.token) return 'pending'
  const cut = segment.cuts.find((one) => one.token === token)
  if (cut !== undefined) return sequence <= cut.sequence ? 'survived' : 'lost'
  // So many holders have died since that nobody knows any more.
  if (token <= segment.cutsForgotten) return 'lost'
  if (segment.ranges.entries.some((entry) => entry.value.unsettled.includes(token))) return 'pending'
  return segment.ranges.entries.some((entry) => entry.value.token === token) ? 'held' : 'survived'
}

/** A block of what the token holds, or of what inherited it. */
export function rangeOfToken(segment: Segment, token: number): BlockRange | undefined {
  const entry = segment.ranges.entries.find((one) => one.value.token === token || one.value.unsettled.includes(token))
  return entry === undefined ? undefined : { start: entry.start, blocks: 1 }
}

/**
 * Where a stream that is over ends for good: at its cut, or, where it was flushed and handed over, wherever it ends.
 * Undefined: it goes on, or is being recovered, or nobody knows any more.
 */
export function endOfOver(segment: Segment, token: number): number | undefined {
  if (token > segment.token || tokensOf(segment).has(token)) return undefined
  const cut = segment.cuts.find((one) => one.token === token)
  if (cut !== undefined) return cut.sequence
  return token <= segment.cutsForgotten ? undefined : Number.MAX_SAFE_INTEGER
}

/** Whether some stream of the older value is over in the newer one. */
export function hasEnded(before: Segment, now: Segment): boolean {
  const going = tokensOf(now)
  for (const token of tokensOf(before)) if (!going.has(token)) return true
  return false
}

/** Of streams that are written on, or that died and are not recovered. */
function tokensOf(segment: Segment): ReadonlySet<number> {
  return new Set(segment.ranges.entries.flatMap(({ value }) => [value.token, ...value.unsettled]))
}
