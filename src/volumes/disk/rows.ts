import { crc32 } from 'node:zlib'
import { blockBytes, segmentBlocks } from '../geometry.js'
import type { Content, Origin, SegmentId } from '../replica-types.js'
import { DiskError } from '../replica-types.js'
import { damaged, readWhole, viewOf, volumeBytes, writeWhole } from './bytes.js'

/**
 * The rows of the log of volumes. All numbers are big-endian and unsigned.
 *
 * Key, 28 bytes: who a row is about stands in the key, so that a damaged row damages one segment only.
 *
 * | offset | size | what                                                                            |
 * |--------|------|---------------------------------------------------------------------------------|
 * | 0      | 8    | position: number of the unit · 65,536 + number of the row in it                 |
 * | 8      | 16   | volume                                                                          |
 * | 24     | 4    | segment                                                                         |
 *
 * Value:
 *
 * | offset | size | what                                                                            |
 * |--------|------|---------------------------------------------------------------------------------|
 * | 0      | 1    | version: 2; a row of version 1 ends with the blocks' bytes                      |
 * | 1      | 1    | kind, see `kinds`                                                               |
 * | 2      | 1    | content: 1 data, 2 zeroes, 3 hole; 0 if the kind has none                       |
 * | 3      | 1    | length of the client's name at the end of the header; 0: no origin              |
 * | 4      | 4    | CRC-32 of the bytes behind the header                                           |
 * | 8      | 8    | position of the row that was written before this one; 0 for the first           |
 * | 16     | 8    | token                                                                           |
 * | 24     | 8    | sequence                                                                        |
 * | 32     | 8    | configuration                                                                   |
 * | 40     | 2    | first block                                                                     |
 * | 42     | 2    | blocks                                                                          |
 * | 44     | 2    | which part of its entry this is, from 0                                         |
 * | 46     | 2    | parts of the entry                                                              |
 * | 48     | 2    | first block of the entry                                                        |
 * | 50     | 2    | blocks of the entry                                                             |
 * | 52     | 8    | the origin's sequence                                                           |
 * | 60     | 4    | CRC-32 of key, bytes 0–59 and the client's name                                 |
 * | 64     | n    | the client's name in UTF-8                                                      |
 * | 64 + n |      | the blocks' bytes; for a fence and for origins a record, see head.ts            |
 * |        | n    | the client's name once more                                                     |
 * |        | 64   | bytes 0–63 once more                                                            |
 *
 * Header and name stand at both ends, since they say what the row is about: damage in one place takes the bytes of a few
 * blocks at most, which another replica has, and not the knowledge which ones, which nobody has.
 *
 * The position before tells a row that counts from one whose write failed and left it behind all the same: nothing that
 * came later follows from it.
 */
export const kinds = { write: 1, install: 2, carry: 3, fence: 4, forget: 5, whole: 6, drop: 7, adopt: 8, discard: 9, origins: 10, complete: 11, replace: 12 } as const
export type Kind = keyof typeof kinds

export interface Row {
  readonly kind: Kind
  readonly content: Content | undefined
  readonly token: number
  readonly sequence: number
  readonly configuration: number
  readonly start: number
  readonly blocks: number
  readonly part: number
  readonly parts: number
  readonly entryStart: number
  readonly entryBlocks: number
  readonly origin: Origin | undefined
  /** Bytes of the blocks, or the record of a fence or of origins. */
  readonly bytes: Uint8Array
}

/** A row as it was read back. */
export interface StoredRow extends Row {
  readonly previous: number
  /** The bytes are what was written. The header always is: else decoding throws. */
  readonly intact: boolean
}

const headerBytes = 64
export const keyBytes = 28
const version = 2
/** Of before rows had their header at both ends. */
const versionWithoutEnd = 1
const clientBytesMax = 255
const kindOf = new Map<number, Kind>(Object.entries(kinds).map(([name, code]) => [code, name as Kind]))
const contents: readonly (Content | undefined)[] = [undefined, 'data', 'zeroes', 'hole']
const none = new Uint8Array(0)

export const rowsPerUnitMax = 65_536
export const emptyRow: Omit<Row, 'kind'> = {
  content: undefined, token: 0, sequence: 0, configuration: 0, start: 0, blocks: 0, part: 0, parts: 1, entryStart: 0, entryBlocks: 0, origin: undefined, bytes: none,
}

export function unitOf(position: number): number {
  return Math.floor(position / rowsPerUnitMax)
}

export function positionKey(position: number): Uint8Array {
  const key = new Uint8Array(8)
  writeWhole(viewOf(key), 0, position)
  return key
}

/** The last 20 bytes of a row's key. */
export function segmentKey(id: SegmentId): Uint8Array {
  const key = new Uint8Array(20)
  key.set(volumeBytes(id.volume))
  viewOf(key).setUint32(16, id.segment)
  return key
}

export function rowKey(position: number, segment: Uint8Array): Uint8Array {
  const key = new Uint8Array(keyBytes)
  writeWhole(viewOf(key), 0, position)
  key.set(segment, 8)
  return key
}

export interface RowKey {
  readonly position: number
  readonly segment: Uint8Array
  readonly id: SegmentId
}

/** Undefined if the bytes are no key of a row. */
export function decodeRowKey(key: Uint8Array): RowKey | undefined {
  if (key.length !== keyBytes) return undefined
  const view = viewOf(key)
  const position = readWhole(view, 0)
  if (!Number.isSafeInteger(position)) return undefined
  return { position, ...decodeSegmentKey(key.subarray(8)) }
}

export function decodeSegmentKey(key: Uint8Array): { segment: Uint8Array; id: SegmentId } {
  const segment = key.slice(0, 20)
  return { segment, id: { volume: Buffer.from(segment.subarray(0, 16)).toString('hex'), segment: viewOf(segment).getUint32(16) } }
}

/** Bytes that a client's name takes; more than 255 do not fit. */
export function fitsClient(client: string): boolean {
  const length = Buffer.byteLength(client, 'utf8')
  return length > 0 && length <= clientBytesMax
}

export function rowBytes(row: Row): number {
  return keyBytes + headerBytes + row.bytes.length
}

/** Bytes that `encodeRow` needs. */
export function encodedBytes(row: Row): number {
  return rowBytes(row) + headerBytes + (row.origin === undefined ? 0 : 2 * Buffer.byteLength(row.origin.client, 'utf8'))
}

/** Writes key and value of a row into `target` from `offset` on, one behind the other, and says where the value ends. */
export function encodeRow(target: Uint8Array, view: DataView, offset: number, place: { segment: Uint8Array; position: number; previous: number }, row: Row): number {
  const header = offset + keyBytes
  writeWhole(view, offset, place.position)
  target.set(place.segment, offset + 8)
  const client = row.origin === undefined ? none : Buffer.from(row.origin.client, 'utf8')
  const { bytes } = row
  target[header] = version
  target[header + 1] = kinds[row.kind]
  target[header + 2] = row.content === undefined ? 0 : contents.indexOf(row.content)
  target[header + 3] = client.length
  view.setUint32(header + 4, bytes.length === 0 ? 0 : crc32(bytes))
  writeWhole(view, header + 8, place.previous)
  writeWhole(view, header + 16, row.token)
  writeWhole(view, header + 24, row.sequence)
  writeWhole(view, header + 32, row.configuration)
  view.setUint16(header + 40, row.start)
  view.setUint16(header + 42, row.blocks)
  view.setUint16(header + 44, row.part)
  view.setUint16(header + 46, row.parts)
  view.setUint16(header + 48, row.entryStart)
  view.setUint16(header + 50, row.entryBlocks)
  writeWhole(view, header + 52, row.origin?.sequence ?? 0)
  // Key and header stand side by side, so that one pass sums both.
  const sum = crc32(target.subarray(offset, header + 60))
  const body = header + headerBytes
  if (client.length > 0) target.set(client, body)
  view.setUint32(header + 60, client.length === 0 ? sum : crc32(client, sum))
  target.set(bytes, body + client.length)
  const end = body + client.length + bytes.length
  if (client.length > 0) target.set(client, end)
  target.copyWithin(end + client.length, header, body)
  return end + client.length + headerBytes
}

/** Throws CORRUPT if the header is damaged at both ends, or is another row's; damage of the bytes is told by `intact`. */
export function decodeRow(key: Uint8Array, value: Uint8Array): StoredRow {
  const row = decodeAt(key, value, 0) ?? decodeAt(key, value, value.length - headerBytes)
  if (row === undefined) throw damaged('a row of the log', { position: key.length >= 8 ? readWhole(viewOf(key), 0) : 0 })
  return row
}

/** Whether what was written of a row is all there: what a loss of power left of one that was never synced is not. */
export function isWholeRow(key: Uint8Array, value: Uint8Array): boolean {
  try {
    return decodeRow(key, value).intact
  } catch (error) {
    if (error instanceof DiskError) return false
    throw error
  }
}

/** By the header that begins at `at`: the value's first bytes, or its last. Undefined if that is none. */
function decodeAt(key: Uint8Array, value: Uint8Array, at: number): StoredRow | undefined {
  const isFirst = at === 0
  if (at < 0 || value.length < headerBytes) return undefined
  const hasEnd = value[at] === version
  if (!hasEnd && !(isFirst && value[at] === versionWithoutEnd)) return undefined
  const header = value.subarray(at, at + headerBytes)
  const clientLength = header[3] ?? 0
  const from = headerBytes + clientLength
  const to = hasEnd ? value.length - from : value.length
  if (to < from) return undefined
  const client = isFirst ? value.subarray(headerBytes, from) : value.subarray(to, to + clientLength)
  const view = viewOf(header)
  if (view.getUint32(60) !== headerSum(key, header, client)) return undefined
  const kind = kindOf.get(header[1] ?? 0)
  const content = contents[header[2] ?? 0]
  if (kind === undefined || (content === undefined && header[2] !== 0)) return undefined
  const start = view.getUint16(40)
  const blocks = view.getUint16(42)
  const numbers = [readWhole(view, 8), readWhole(view, 16), readWhole(view, 24), readWhole(view, 32), readWhole(view, 52)] as const
  if (!numbers.every(Number.isSafeInteger) || start + blocks > segmentBlocks) return undefined
  const bytes = value.subarray(from, to)
  const sum = bytes.length === 0 ? 0 : crc32(bytes)
  return {
    kind, content, start, blocks,
    previous: numbers[0], token: numbers[1], sequence: numbers[2], configuration: numbers[3],
    part: view.getUint16(44), parts: view.getUint16(46), entryStart: view.getUint16(48), entryBlocks: view.getUint16(50),
    origin: clientLength === 0 ? undefined : { client: Buffer.from(client).toString('utf8'), sequence: numbers[4] },
    bytes,
    intact: sum === view.getUint32(4) && (content !== 'data' || bytes.length === blocks * blockBytes),
  }
}

function headerSum(key: Uint8Array, header: Uint8Array, client: Uint8Array): number {
  const sum = crc32(header.subarray(0, 60), crc32(key))
  return client.length === 0 ? sum : crc32(client, sum)
}
