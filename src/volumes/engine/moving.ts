import type { BlockRange } from '../geometry.js'
import { move, rangesMax } from '../segment.js'
import type { Change, Segment, Session } from '../segment.js'
import { covers } from './range-lock.js'

/** What must be frozen for the range to change hands: near the limit of ranges a round takes whole entries. */
export function movedWith(segment: Segment, range: BlockRange): BlockRange {
  // A move cuts at most two more entries out of one; another may have been divided meanwhile.
  if (segment.ranges.size + 4 <= rangesMax) return range
  const entry = segment.ranges.entries.find((candidate) => covers(candidate, range))
  return entry === undefined ? range : { start: entry.start, blocks: entry.blocks }
}

/** A move of the range that goes past nothing that is frozen; undefined where it would. */
export function moveOnly(segment: Segment, frozen: BlockRange, range: BlockRange, from: Session, token: number, to: Session): Change | undefined {
  const moved = move(segment, range, from, token, to)
  // Somebody divided other ranges meanwhile, and this one would go with more than is frozen.
  if (moved.type === 'changed' && !moved.taken.every((part) => covers(frozen, part))) return undefined
  return moved
}
