import { crc32 } from 'node:zlib'
import type { WriteOperation } from '../base/index.js'
import { readSequence, writeSequence } from './bytes.js'

/**
 * The bytes of one file of an append log, which holds one unit of it. All numbers are big-endian and unsigned.
 *
 * | offset | size     | what                                                                                       |
 * |--------|----------|--------------------------------------------------------------------------------------------|
 * | 0      | 8        | "meshrows"                                                                                 |
 * | 8      | 8        | number of the unit                                                                         |
 * | 16     | 8        | salt, random: nothing that was in this place of the disk before can be taken for a row     |
 * | 24     | 4        | version: 1                                                                                 |
 * | 28     | 4        | CRC-32 of bytes 0–27                                                                       |
 * | 32     | 32       | bytes 0–31 once more                                                                       |
 * | 64     |          | rows, one behind the other                                                                 |
 * | e      | 4(n + 1) | once the unit is complete and synced: where the rows with numbers 0 to n − 1 begin, and e; |
 * |        |          | a row that is not there begins where the next one does                                     |
 * |        | 40       | "meshends", number of the unit, salt, n (4), CRC-32 of the table (4), CRC-32 of these      |
 * |        |          | 32 bytes (4), 4 zeroes                                                                     |
 *
 * A row:
 *
 * | offset | size   | what                                                                |
 * |--------|--------|---------------------------------------------------------------------|
 * | 0      | 4      | "row!"                                                              |
 * | 4      | 4      | CRC-32 of the salt and of bytes 8 to 16 + k − 1                     |
 * | 8      | 4      | v, length of the value                                              |
 * | 12     | 2      | rows of the same batch that follow: without them it does not count  |
 * | 14     | 2      | k, length of the key                                                |
 * | 16     | k      | key; bytes 6 and 7 of it are the number of the row in the unit      |
 * | 16 + k | v      | value                                                               |
 * |        | 16 + k | bytes 0 to 16 + k − 1 once more                                     |
 *
 * The value has no sum here: who writes it puts one into it (see `isWhole` in append-log.ts). The key stands at both ends,
 * since it says what a damaged value was about.
 */
export const headBytes = 64
const headCopyBytes = 32
const endBytes = 40
const rowHeadBytes = 16
const headText = Buffer.from('meshrows', 'latin1')
const endText = Buffer.from('meshends', 'latin1')
const rowMagic = 0x726f7721
const version = 1
export const saltBytes = 8
export const keyBytesMin = 8
export const keyBytesMax = 256
/** The number of a row has two bytes. */
export const rowsMax = 65_536

export type Put = Extract<WriteOperation, { type: 'put' }>

export function unitOf(key: Uint8Array): number {
  return Math.floor(readSequence(key, 0) / rowsMax)
}

export function rowOf(key: Uint8Array): number {
  return ((key[6] ?? 0) << 8) | (key[7] ?? 0)
}

/** The first file name is that of the lowest unit. */
export function nameOf(unit: number): string {
  return `${unit.toString(16).padStart(12, '0')}.rows`
}

/** Of a file that is being made to take the place of one; what is left of it after a crash is of no use. */
export const unfinishedSuffix = '.new'

/** Undefined if it is no name of a unit's file. */
export function unitOfName(name: string): number | undefined {
  return /^[0-9a-f]{12}\.rows$/.test(name) ? Number.parseInt(name.slice(0, 12), 16) : undefined
}

export function encodeHead(unit: number, salt: Uint8Array): Uint8Array {
  const head = Buffer.alloc(headBytes)
  headText.copy(head)
  writeSequence(head, 8, unit)
  head.set(salt, 16)
  head.writeUInt32BE(version, 24)
  head.writeUInt32BE(crc32(head.subarray(0, 28)), 28)
  head.copy(head, headCopyBytes, 0, headCopyBytes)
  return head
}

/** The salt; undefined if both copies are damaged or another unit's. */
export function decodeHead(bytes: Uint8Array, unit: number): Uint8Array | undefined {
  for (const at of [0, headCopyBytes]) {
    const head = Buffer.from(bytes.subarray(at, at + headCopyBytes))
    if (head.length < headCopyBytes || !head.subarray(0, 8).equals(headText) || head.readUInt32BE(24) !== version) continue
    if (head.readUInt32BE(28) === crc32(head.subarray(0, 28)) && readSequence(head, 8) === unit) return head.subarray(16, 16 + saltBytes)
  }
  return undefined
}

export function frameBytes(put: Put): number {
  return 2 * (rowHeadBytes + put.key.length) + put.value.length
}

/** What the sums of rows begin with. */
export function sumOfSalt(salt: Uint8Array): number {
  return crc32(salt)
}

/** The head of a row, to stand before its value and behind it. Says where it ends. `following`: rows of the same batch behind it. */
export function encodeFrameHead(target: Buffer, at: number, saltSum: number, { key, value }: Put, following: number): number {
  const head = rowHeadBytes + key.length
  target.writeUInt32BE(rowMagic, at)
  target.writeUInt32BE(value.length, at + 8)
  target.writeUInt16BE(following, at + 12)
  target.writeUInt16BE(key.length, at + 14)
  target.set(key, at + rowHeadBytes)
  target.writeUInt32BE(crc32(target.subarray(at + 8, at + head), saltSum), at + 4)
  return at + head
}

/** A whole row. Says where it ends. */
export function encodeFrame(target: Buffer, at: number, saltSum: number, put: Put, following: number): number {
  const body = encodeFrameHead(target, at, saltSum, put, following)
  target.set(put.value, body)
  const end = body + put.value.length
  target.copyWithin(end, at, body)
  return end + body - at
}

export interface FrameHead {
  readonly key: Uint8Array
  readonly valueBytes: number
  readonly following: number
  /** Of the whole row. */
  readonly bytes: number
}

/** The head that begins here, or the copy of it at a row's end. Undefined if there is none. */
export function decodeFrameHead(bytes: Buffer, at: number, saltSum: number): FrameHead | undefined {
  if (at < 0 || at + rowHeadBytes > bytes.length || bytes.readUInt32BE(at) !== rowMagic) return undefined
  const keyLength = bytes.readUInt16BE(at + 14)
  const head = at + rowHeadBytes + keyLength
  if (keyLength < keyBytesMin || keyLength > keyBytesMax || head > bytes.length) return undefined
  if (crc32(bytes.subarray(at + 8, head), saltSum) !== bytes.readUInt32BE(at + 4)) return undefined
  const valueBytes = bytes.readUInt32BE(at + 8)
  return { key: bytes.subarray(at + rowHeadBytes, head), valueBytes, following: bytes.readUInt16BE(at + 12), bytes: 2 * (rowHeadBytes + keyLength) + valueBytes }
}

/** Bytes to read for a head. */
export const frameHeadBytesMax = rowHeadBytes + keyBytesMax

/** The value of a whole row, unless its key is another one: also where its head is damaged, which the value may not be. */
export function valueFor(frame: Buffer, key: Uint8Array, saltSum: number): Uint8Array | undefined {
  const from = rowHeadBytes + key.length
  const to = frame.length - from
  if (to < from) return undefined
  if (frame.compare(key, 0, key.length, rowHeadBytes, from) !== 0) {
    const entry = entryOf(frame, saltSum)
    if (entry !== undefined && Buffer.compare(entry.key, key) !== 0) return undefined
  }
  return frame.subarray(from, to)
}

/** Key and value of a whole row; undefined if its head is damaged at both ends. */
export function entryOf(frame: Buffer, saltSum: number): { readonly key: Uint8Array; readonly value: Uint8Array } | undefined {
  let head = decodeFrameHead(frame, 0, saltSum)
  if (head?.bytes !== frame.length) {
    // How long the key is stands in what is damaged; keys of one log are of one length mostly, but that is not relied on.
    head = undefined
    for (let keyLength = keyBytesMin; head === undefined && keyLength <= keyBytesMax; keyLength++) {
      const copy = decodeFrameHead(frame, frame.length - rowHeadBytes - keyLength, saltSum)
      if (copy?.key.length === keyLength && copy.bytes === frame.length) head = copy
    }
  }
  if (head === undefined) return undefined
  const from = rowHeadBytes + head.key.length
  return { key: head.key, value: frame.subarray(from, frame.length - from) }
}

export function tableBytes(rows: number): number {
  return 4 * (rows + 1) + endBytes
}

/** Table and end of a complete unit; `offsets` has `rows` + 1 numbers. */
export function encodeEnd(unit: number, salt: Uint8Array, offsets: Uint32Array, rows: number): Uint8Array {
  const bytes = Buffer.alloc(tableBytes(rows))
  for (let row = 0; row <= rows; row++) bytes.writeUInt32BE(offsets[row] ?? 0, 4 * row)
  const end = bytes.subarray(4 * (rows + 1))
  endText.copy(end)
  writeSequence(end, 8, unit)
  end.set(salt, 16)
  end.writeUInt32BE(rows, 24)
  end.writeUInt32BE(crc32(bytes.subarray(0, 4 * (rows + 1))), 28)
  end.writeUInt32BE(crc32(end.subarray(0, 32)), 32)
  return bytes
}

/** Rows and salt of a complete unit, by the last bytes of its file; undefined if it has no sound end. */
export function decodeEnd(last: Uint8Array, unit: number): { readonly rows: number; readonly salt: Uint8Array; readonly tableSum: number } | undefined {
  if (last.length < endBytes) return undefined
  const end = Buffer.from(last.subarray(last.length - endBytes))
  if (!end.subarray(0, 8).equals(endText) || end.readUInt32BE(32) !== crc32(end.subarray(0, 32)) || readSequence(end, 8) !== unit) return undefined
  const rows = end.readUInt32BE(24)
  return rows > rowsMax ? undefined : { rows, salt: end.subarray(16, 16 + saltBytes), tableSum: end.readUInt32BE(28) }
}

/** Undefined if the table is not what was summed, or makes no sense in a file of this length. */
export function decodeTable(bytes: Uint8Array, rows: number, tableSum: number, fileBytes: number): Uint32Array | undefined {
  if (bytes.length !== 4 * (rows + 1) || crc32(bytes) !== tableSum) return undefined
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const offsets = new Uint32Array(rows + 1)
  for (let row = 0; row <= rows; row++) offsets[row] = view.readUInt32BE(4 * row)
  for (let row = 0; row < rows; row++) if ((offsets[row] ?? 0) > (offsets[row + 1] ?? 0)) return undefined
  return (offsets[0] ?? 0) < headBytes || (offsets[rows] ?? 0) > fileBytes ? undefined : offsets
}

export const endBytesMax = endBytes
