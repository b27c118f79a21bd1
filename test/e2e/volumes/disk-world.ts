import type { SegmentId } from '../../../src/volumes/index.js'

export const segmentsUsed = 3

export function idOf(segment: number): SegmentId {
  return { volume: 'ffeeddccbbaa99887766554433221100', segment }
}

/** Where the n-th write of a segment goes. A few hundred blocks only, so that much is overwritten. */
export function blockOf(segment: number, sequence: number): { start: number; blocks: number } {
  return { start: (sequence * 37 + segment * 11) % 300, blocks: 1 + (sequence % 3) }
}
