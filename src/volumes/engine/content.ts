import { blockBytes } from '../geometry.js'
import type { BlockRange } from '../geometry.js'
import type { BlockData, BlockRun, Content } from '../replica-types.js'
import type { Piece } from './stream.js'

/** A write of bytes of one segment, wherever they begin and end. */
export interface SegmentWrite {
  /** Bytes from the segment's start. */
  readonly offset: number
  readonly length: number
  readonly content: Content
  /** `length` bytes of data, else none. */
  readonly bytes: Uint8Array
}

/** The largest entry: what one message carries of content, so that an entry always fits one. */
export const pieceBlocksMax = 256

export const noBytes: Uint8Array = new Uint8Array(0)

/** The blocks that bytes touch. */
export function blocksOf(offset: number, length: number): BlockRange {
  const start = Math.floor(offset / blockBytes)
  return { start, blocks: Math.ceil((offset + length) / blockBytes) - start }
}

export function isAligned(write: { offset: number; length: number }): boolean {
  return write.offset % blockBytes === 0 && write.length % blockBytes === 0
}

/** Blocks that the write covers only in part: what they had must be read before. */
export function partialBlocks(write: { offset: number; length: number }): number[] {
  const { start, blocks } = blocksOf(write.offset, write.length)
  const partial = []
  if (write.offset % blockBytes !== 0) partial.push(start)
  const last = start + blocks - 1
  if ((write.offset + write.length) % blockBytes !== 0 && (partial.length === 0 || last !== start)) partial.push(last)
  return partial
}

/** The write as whole blocks; `before` has the partial ones' content. */
export function piecesOf(write: SegmentWrite, before: ReadonlyMap<number, Uint8Array>): Piece[] {
  const range = blocksOf(write.offset, write.length)
  if (write.content === 'data') {
    const bytes = before.size === 0 ? write.bytes : mergedBytes(write, range, before)
    return split({ ...range, content: 'data', bytes })
  }
  const pieces: Piece[] = []
  let { start } = range
  let end = range.start + range.blocks
  const patch = (block: number): Piece => ({ start: block, blocks: 1, content: 'data', bytes: patched(write, block, before.get(block)) })
  if (before.has(start)) pieces.push(patch(start++))
  const last = before.has(end - 1) && end > start ? patch(--end) : undefined
  if (end > start) pieces.push({ start, blocks: end - start, content: write.content, bytes: noBytes })
  if (last !== undefined) pieces.push(last)
  return pieces
}

function mergedBytes(write: SegmentWrite, range: BlockRange, before: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const bytes = new Uint8Array(range.blocks * blockBytes)
  for (const [block, old] of before) bytes.set(old, (block - range.start) * blockBytes)
  bytes.set(write.bytes, write.offset - range.start * blockBytes)
  return bytes
}

/** A block of which the write makes a part zeroes. */
function patched(write: SegmentWrite, block: number, old: Uint8Array | undefined): Uint8Array {
  const bytes = old?.slice() ?? new Uint8Array(blockBytes)
  const from = Math.max(0, write.offset - block * blockBytes)
  const to = Math.min(blockBytes, write.offset + write.length - block * blockBytes)
  return bytes.fill(0, from, to)
}

function split(piece: Piece): Piece[] {
  if (piece.blocks <= pieceBlocksMax) return [piece]
  const pieces: Piece[] = []
  for (let at = 0; at < piece.blocks; at += pieceBlocksMax) {
    const blocks = Math.min(pieceBlocksMax, piece.blocks - at)
    pieces.push({ ...piece, start: piece.start + at, blocks, bytes: piece.bytes.subarray(at * blockBytes, (at + blocks) * blockBytes) })
  }
  return pieces
}

/** The bytes of a range, from runs that cover it; what is no data reads as zeroes. */
export function bytesOfRuns(runs: readonly BlockData[], offset: number, length: number): Uint8Array {
  const only = runs[0]
  if (runs.length === 1 && only?.content === 'data') {
    const from = offset - only.start * blockBytes
    return only.bytes.subarray(from, from + length)
  }
  const bytes = new Uint8Array(length)
  for (const run of runs) {
    if (run.content !== 'data') continue
    const at = run.start * blockBytes
    const from = Math.max(at, offset)
    const to = Math.min(at + run.bytes.length, offset + length)
    if (to > from) bytes.set(run.bytes.subarray(from - at, to - at), from - offset)
  }
  return bytes
}

/** Parts that this disk does not have. */
export function unknownOf(runs: readonly BlockRun[]): BlockRange[] {
  return runs.filter((run) => run.content === 'unknown').map(({ start, blocks }) => ({ start, blocks }))
}
