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

