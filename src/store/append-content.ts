import { invariant } from '../base/index.js'
import type { Put } from './append-frames.js'
import {
  decodeEnd, decodeFrameHead, decodeHead, decodeTable, encodeFrame, encodeFrameHead, endBytesMax, frameHeadBytesMax, headBytes, rowOf, rowsMax, sumOfSalt, tableBytes,
  unitOf, valueFor,
} from './append-frames.js'
import type { LogFile } from './log-folder.js'
import { StoreError } from './types.js'

/** What is known of a unit's file while it is open. */
export interface Content {
  readonly file: LogFile
  readonly salt: Uint8Array
  readonly saltSum: number
  /** Where rows begin, and in the end where the last one ends; grows. */
  offsets: Uint32Array
  /** Numbers of rows that were given, those that failed included. */
  rows: number
}

export interface ScanInit {
  readonly number: number
  readonly isWhole: (key: Uint8Array, value: Uint8Array) => boolean
}

/** Read at once when rows are gone through. */
export const pieceBytes = 1024 * 1024
const firstRows = 512
/** What a disk reads or does not read at once. */
const sectorBytes = 4096
/** From this size on a value goes to the kernel from where it is. */
const ownPieceBytes = 64 * 1024
/** Small reads share memory: new memory for each costs as much as the read. */
const slabBytes = 64 * 1024
const sharedBytesMax = 8 * 1024

/** Of a file in which no row is yet. */
export function emptyContent(file: LogFile, salt: Uint8Array): Content {
  const offsets = new Uint32Array(firstRows)
  offsets[0] = headBytes
  return { file, salt, saltSum: sumOfSalt(salt), offsets, rows: 0 }
}

/** By the table at the file's end; undefined if there is no sound one. */
export async function readEnd(file: LogFile, unit: number, fileBytes: number): Promise<Content | undefined> {
  const last = Buffer.alloc(Math.min(endBytesMax, fileBytes))
  await file.read(last, fileBytes - last.length)
  const end = decodeEnd(last, unit)
  if (end === undefined) return undefined
  const table = Buffer.alloc(4 * (end.rows + 1))
  const from = fileBytes - tableBytes(end.rows)
  if (from < headBytes) return undefined
  await file.read(table, from)
  const offsets = decodeTable(table, end.rows, end.tableSum, from)
  if (offsets === undefined) return undefined
  return { file, salt: end.salt, saltSum: sumOfSalt(end.salt), offsets, rows: end.rows }
}

/** Row by row, up to the first batch that is not whole. Undefined if the head is damaged. */
export async function scan(file: LogFile, { number: unit, isWhole }: ScanInit, fileBytes: number): Promise<Content | undefined> {
  const head = Buffer.alloc(Math.min(headBytes, fileBytes))
  await file.read(head, 0)
  const salt = decodeHead(head, unit)
  if (salt === undefined) return undefined
  const content = emptyContent(file, salt)
  let piece = Buffer.alloc(0)
  let pieceFrom = headBytes
  let batch: { row: number; end: number }[] = []
  for (let at = headBytes, lastRow = -1, following = 0; ; ) {
    /** At least so many bytes from `at` on are in the piece, if the file has them. */
    const need = async (bytes: number): Promise<void> => {
      if (at + bytes <= pieceFrom + piece.length) return
      const size = Math.min(Math.max(bytes, pieceBytes), fileBytes - at)
      if (size <= 0) return
      piece = Buffer.allocUnsafeSlow(size)
      pieceFrom = at
      piece = piece.subarray(0, await file.read(piece, at))
    }
    await need(frameHeadBytesMax)
    const frame = decodeFrameHead(piece, at - pieceFrom, content.saltSum)
    if (frame === undefined || unitOf(frame.key) !== unit || rowOf(frame.key) <= lastRow || at + frame.bytes > fileBytes) break
    // Of another batch: what is left of one that failed may end where this one begins.
    if (batch.length > 0 && frame.following !== following - 1) break
    following = frame.following
    const row = rowOf(frame.key)
    const key = Buffer.from(frame.key)
    await need(frame.bytes)
    const whole = piece.subarray(at - pieceFrom, at - pieceFrom + frame.bytes)
    const value = whole.length === frame.bytes ? valueFor(whole, key, content.saltSum) : undefined
    if (value === undefined || !isWhole(key, value)) break
    at += frame.bytes
    lastRow = row
    batch.push({ row, end: at })
    if (frame.following > 0) continue
    for (const { row: number, end } of batch) placeRow(content, number, end)
    batch = []
  }
  return content
}

/** The first row that ends behind this place of the file. */
export function rowBehind(content: Content, place: number): number {
  let [low, high] = [0, content.rows]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((content.offsets[middle + 1] ?? 0) > place) high = middle
    else low = middle + 1
  }
  return low
}

/** The bytes of rows, one behind the other, and where each ends in the file. Large values are not copied together. */
export function framesOf(puts: readonly Put[], buffer: Buffer, saltSum: number, end: number): { bytes: Uint8Array | readonly Uint8Array[]; ends: readonly number[] } {
  const ends: number[] = []
  let at = 0
  if (!puts.some(({ value }) => value.length >= ownPieceBytes)) {
    for (const [i, put] of puts.entries()) {
      at = encodeFrame(buffer, at, saltSum, put, puts.length - 1 - i)
      ends.push(end + at)
    }
    return { bytes: buffer.subarray(0, at), ends }
  }
  const pieces: Uint8Array[] = []
  let total = end
  for (const [i, put] of puts.entries()) {
    const to = encodeFrameHead(buffer, at, saltSum, put, puts.length - 1 - i)
    const head = buffer.subarray(at, to)
    pieces.push(head, put.value, head)
    total += 2 * head.length + put.value.length
    ends.push(total)
    at = to
  }
  return { bytes: pieces, ends }
}

/**
 * Of rows that are known to be there. What the disk cannot read is damage like any other, and harms the rows it is in: it
 * is read as zeroes. A start does not do so: it would take a disk that does not answer for one on which nothing is.
 */
export async function readDamaged(file: LogFile, target: Uint8Array, position: number): Promise<number> {
  try {
    return await file.read(target, position)
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'DISK') throw error
  }
  let done = 0
  while (done < target.length) {
    const piece = target.subarray(done, done + sectorBytes - ((position + done) % sectorBytes))
    const bytes = await file.read(piece, position + done).catch(() => piece.fill(0).length)
    done += bytes
    if (bytes < piece.length) break
  }
  return done
}

export function endOf(content: Content): number {
  return content.offsets[content.rows] ?? headBytes
}

/** Where a row begins and ends; the same number twice for one that is not there. */
export function placeOf({ offsets, rows }: Content, row: number): readonly [from: number, to: number] {
  return row >= rows ? [0, 0] : [offsets[row] ?? 0, offsets[row + 1] ?? 0]
}

/** Rows between the last one and this were given to a write that failed. */
export function placeRow(content: Content, row: number, end: number): void {
  invariant(row >= content.rows && row < rowsMax, 'rows of a unit are numbered in their order')
  const before = endOf(content)
  if (row + 2 > content.offsets.length) {
    const larger = new Uint32Array(Math.max(2 * content.offsets.length, row + 2))
    larger.set(content.offsets)
    content.offsets = larger
  }
  for (let at = content.rows; at <= row; at++) content.offsets[at] = before
  content.offsets[row + 1] = end
  content.rows = row + 1
}

let slab = Buffer.alloc(0)
let slabUsed = 0

export function memoryFor(bytes: number): Buffer {
  if (bytes > sharedBytesMax) return Buffer.allocUnsafeSlow(bytes)
  if (slabUsed + bytes > slab.length) {
    slab = Buffer.allocUnsafeSlow(slabBytes)
    slabUsed = 0
  }
  const at = slabUsed
  slabUsed += bytes
  return slab.subarray(at, slabUsed)
}
