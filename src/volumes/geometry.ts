/**
 * The fixed sizes of a volume, and what follows from them. A volume is divided into segments, a segment into blocks; all
 * positions inside a segment are block numbers from 0.
 */
import { CodedError } from '../base/index.js'
import type { Facts } from '../base/index.js'

/** What a page is on nearly every machine, and what file systems write: smaller blocks would only cost bookkeeping. */
export const blockBytes = 4096
/** 64 MiB: large enough that a disk has few registers, small enough that its map of ranges is copied whole in a round. */
export const segmentBlocks = 16_384
export const segmentBytes = blockBytes * segmentBlocks
/** 8 EiB would overflow what JavaScript counts exactly; 1 PiB is far above any disk and far below 2⁵³. */
export const volumeBytesMax = 2 ** 50

export type VolumeCode =
  | 'BAD_NAME'
  | 'BAD_SIZE'
  | 'BAD_SETTING'
  | 'OUT_OF_RANGE'
  | 'EXISTS'
  | 'NOT_FOUND'
  /** Somebody has it open: fact `nodes`. */
  | 'IN_USE'
  /** A record of a volume, or a message about one, that is none. */
  | 'DAMAGED'

export class VolumeError extends CodedError<VolumeCode> {
  constructor(code: VolumeCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

/** Blocks `[start, start + blocks)` of one segment. */
export interface BlockRange {
  readonly start: number
  readonly blocks: number
}

/** One segment's part of a byte range: whole blocks, that cover it. */
export interface SegmentPart extends BlockRange {
  readonly segment: number
}

/** Throws BAD_SIZE: 0, no whole number, larger than `volumeBytesMax`. Rounds up to a block. */
export function checkVolumeSize(sizeBytes: number): number {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes > volumeBytesMax) {
    throw new VolumeError('BAD_SIZE', `a volume has between 1 byte and 1 PiB, not ${sizeBytes}`, { sizeBytes })
  }
  return Math.ceil(sizeBytes / blockBytes) * blockBytes
}

/**
 * The name is the NBD export's and part of a URI: letters, digits, `.`, `_`, `-`; 64 at most; it starts with a letter or
 * a digit, so that it is never taken for a flag or a hidden file. Throws BAD_NAME.
 */
export function checkVolumeName(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new VolumeError('BAD_NAME', 'a volume\'s name has 1 to 64 letters, digits, ".", "_" or "-", and starts with a letter or a digit')
  }
  return name
}

export function segmentsOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / segmentBytes)
}

/** The blocks that `length` bytes from `offset` touch, segment by segment. */
export function partsOf(offset: number, length: number): SegmentPart[] {
  const parts: SegmentPart[] = []
  const first = Math.floor(offset / blockBytes)
  const end = Math.ceil((offset + length) / blockBytes)
  for (let block = first; block < end; ) {
    const segment = Math.floor(block / segmentBlocks)
    const stop = Math.min(end, (segment + 1) * segmentBlocks)
    parts.push({ segment, start: block - segment * segmentBlocks, blocks: stop - block })
    block = stop
  }
  return parts
}
