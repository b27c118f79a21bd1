import { blockBytes, segmentBlocks } from '../geometry.js'
import type { BlockData, Content, LogEntry } from '../replica-types.js'
import { DiskError } from '../replica-types.js'
import { pageBlocks } from './page.js'
import type { Row, StoredRow } from './rows.js'
import { emptyRow, fitsClient } from './rows.js'

/**
 * Blocks of one row. A read of one block reads its whole row, for the checksum: of what was written in long pieces, as an
 * image is, rows of 16 blocks let two thirds as many a second be read at random as rows of 8. A long write costs a tenth
 * more on the event loop with 8 than with 16, and a quarter more with 4.
 */
export const rowBlocksMax = 8

const none = new Uint8Array(0)

/** Throws BAD_INPUT. */
export function checkEntry(entry: LogEntry): void {
  checkRange(entry)
  const { token, sequence, configuration, content, bytes, blocks, origin } = entry
  const isFine =
    isCount(token) && isCount(sequence) && Number.isSafeInteger(configuration) && configuration >= 0 &&
    bytes.length === (content === 'data' ? blocks * blockBytes : 0) &&
    (origin === undefined || (fitsClient(origin.client) && isCount(origin.sequence)))
  if (!isFine) throw new DiskError('BAD_INPUT', 'this is no entry of a log of volumes', { token, sequence, blocks, bytes: bytes.length })
}

/** Throws BAD_INPUT. */
export function checkRange({ start, blocks }: { start: number; blocks: number }): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(blocks) || start < 0 || blocks < 1 || start + blocks > segmentBlocks) {
    throw new DiskError('BAD_INPUT', 'these blocks are not in a segment', { start, blocks })
  }
}

export function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1
}

/** Parts of a range that lie in one page each, and have bytes for one row. */
export function pieces(start: number, blocks: number, content: Content): { start: number; blocks: number }[] {
  const all: { start: number; blocks: number }[] = []
  const max = content === 'data' ? rowBlocksMax : pageBlocks
  for (let at = start; at < start + blocks; ) {
    const pageEnd = (Math.floor(at / pageBlocks) + 1) * pageBlocks
    const end = Math.min(start + blocks, pageEnd, at + max)
    all.push({ start: at, blocks: end - at })
    at = end
  }
  return all
}

export function rowsOfEntry(entry: LogEntry): Row[] {
  const { start, blocks, content } = entry
  // Most writes are of one row: no list of pieces for them.
  if (blocks <= rowBlocksMax && (start % pageBlocks) + blocks <= pageBlocks) return [rowOfEntry(entry, entry, 0, 1)]
  const parts = pieces(start, blocks, content)
  return parts.map((piece, part) => rowOfEntry(entry, piece, part, parts.length))
}

/** Field by field: spreading one object into another takes longer than all the rest of it. */
function rowOfEntry(entry: LogEntry, piece: { start: number; blocks: number }, part: number, parts: number): Row {
  return {
    kind: 'write', content: entry.content, token: entry.token, sequence: entry.sequence, configuration: entry.configuration,
    start: piece.start, blocks: piece.blocks, part, parts, entryStart: entry.start, entryBlocks: entry.blocks, origin: entry.origin,
    bytes: parts === 1 ? entry.bytes : bytesOf(entry.content, entry.bytes, entry.start, piece),
  }
}

export function rowsOfCopy(data: BlockData, content: Content, token: number, sequence: number, range: { start: number; blocks: number }): Row[] {
  return pieces(range.start, range.blocks, content).map((piece) => ({
    ...emptyRow, ...piece, kind: 'install', content, token, sequence, bytes: bytesOf(content, data.bytes, data.start, piece),
  }))
}

/** The entry that these rows, all of its parts, were made of. */
export function entryOfRows(rows: readonly StoredRow[]): LogEntry | undefined {
  const [first] = rows
  if (first?.content === undefined || first.kind !== 'write' || first.parts !== rows.length) return undefined
  const isWhole = rows.every((row, i) => row.part === i && row.sequence === first.sequence && row.token === first.token)
  if (!isWhole) return undefined
  return {
    start: first.entryStart, blocks: first.entryBlocks, token: first.token, sequence: first.sequence,
    configuration: first.configuration, content: first.content,
    bytes: rows.length === 1 ? first.bytes : Buffer.concat(rows.map((row) => row.bytes)),
    ...(first.origin === undefined ? {} : { origin: first.origin }),
  }
}

function bytesOf(content: Content, bytes: Uint8Array, start: number, piece: { start: number; blocks: number }): Uint8Array {
  if (content !== 'data') return none
  return bytes.subarray((piece.start - start) * blockBytes, (piece.start - start + piece.blocks) * blockBytes)
}
