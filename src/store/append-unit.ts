import { invariant } from '../base/index.js'
import type { Put } from './append-frames.js'
import {
  decodeEnd, decodeFrameHead, decodeHead, decodeTable, encodeEnd, encodeFrame, encodeFrameHead, encodeHead, endBytesMax, entryOf, frameHeadBytesMax, headBytes,
  nameOf, rowOf, rowsMax, sumOfSalt, tableBytes, unfinishedSuffix, unitOf, valueFor,
} from './append-frames.js'
import type { LogFile, LogFolder } from './log-folder.js'
import { StoreError } from './types.js'

/** What is known of a unit's file while it is open. */
interface Content {
  readonly file: LogFile
  readonly salt: Uint8Array
  readonly saltSum: number
  /** Where rows begin, and in the end where the last one ends; grows. */
  offsets: Uint32Array
  /** Numbers of rows that were given, those that failed included. */
  rows: number
}

/** Read at once when rows are gone through. */
const pieceBytes = 1024 * 1024
/** Of what a failed sync was about, written once more. */
const again = 1024 * 1024
const firstRows = 512
/** From this size on a value goes to the kernel from where it is. */
const ownPieceBytes = 64 * 1024
/** Small reads share memory: new memory for each costs as much as the read. */
const slabBytes = 64 * 1024
const sharedBytesMax = 8 * 1024

/** Zeroes ahead of the rows; see `prepare`. */
const preparedBytes = 2 * 1024 * 1024
const zeroes = Buffer.alloc(256 * 1024)
/** Between the rows and what is being prepared: rows that come meanwhile go there. */
const gapBytes = 256 * 1024

export interface AppendUnitInit {
  readonly number: number
  /** Asked when what was not known to be synced is looked through: whether the value was written to its end. */
  readonly isWhole: (key: Uint8Array, value: Uint8Array) => boolean
  /** The file grew by so many bytes, or shrank. */
  readonly onBytes: (difference: number) => void
}

/**
 * One file of an append log. While rows come it is `open`; then it is `sealed`: synced, with a table of its rows at its
 * end, and not kept open longer than it is used. What a start finds without such an end may have been torn by a loss of
 * power: its rows count up to the first batch that is not all there.
 */
export class AppendUnit {
  readonly number: number
  readonly #folder: LogFolder
  readonly #init: AppendUnitInit
  #content: Content | undefined
  #loading: Promise<Content> | undefined
  #fileBytes = 0
  #isSealed = false
  #isRemoved = false
  /** Reads under way, and whoever goes through it. */
  #uses = 0
  /** Replaced by another file while it was in use. */
  #retired: Content[] = []
  #mayClose = false
  #syncedTo = 0
  #syncFailed = false
  #syncs: Promise<unknown> = Promise.resolve()
  #preparing: Promise<void> | undefined
  #preparedFrom = 0
  #preparedTo = 0

  private constructor(folder: LogFolder, init: AppendUnitInit) {
    this.number = init.number
    this.#folder = folder
    this.#init = init
  }

  static async create(folder: LogFolder, init: AppendUnitInit, salt: Uint8Array): Promise<AppendUnit> {
    const unit = new AppendUnit(folder, init)
    const name = nameOf(init.number)
    const file = await folder.open(name, { create: true })
    try {
      await file.write(encodeHead(init.number, salt), 0)
    } catch (error) {
      await file.close()
      await folder.remove(name)
      throw error
    }
    const offsets = new Uint32Array(firstRows)
    offsets[0] = headBytes
    unit.#content = { file, salt, saltSum: sumOfSalt(salt), offsets, rows: 0 }
    unit.#hasBytes(headBytes)
    return unit
  }

  /** What a start finds. Undefined if there is no row in it. */
  static async find(folder: LogFolder, init: AppendUnitInit): Promise<AppendUnit | undefined> {
    const unit = new AppendUnit(folder, init)
    const content = await unit.#load()
    if (content === undefined || content.rows === 0) {
      await content?.file.close()
      return undefined
    }
    if (unit.#isSealed) await unit.unload()
    return unit
  }

  get isSealed(): boolean {
    return this.#isSealed
  }

  get isLoaded(): boolean {
    return this.#content !== undefined
  }

  /** On the disk. */
  get fileBytes(): number {
    return this.#fileBytes
  }

  /** One more than the highest number of a row that was ever given here. */
  async rows(): Promise<number> {
    return (await this.#loaded()).rows
  }

  /** `buffer`: memory for what has to be put together, as long as the rows are. Undefined: written already. */
  append(puts: readonly Put[], buffer: Buffer): Promise<void> | undefined {
    const content = this.#content
    invariant(content !== undefined && !this.#isSealed, 'rows are appended to the open unit')
    const end = endOf(content)
    const { bytes, ends } = framesOf(puts, buffer, content.saltSum, end)
    // What is being prepared would come over them.
    const isInTheWay = this.#preparing !== undefined && (ends.at(-1) ?? end) > this.#preparedFrom
    const writing = isInTheWay ? this.#preparing?.then(async () => content.file.write(bytes, end)) : content.file.write(bytes, end)
    if (writing === undefined) {
      this.#took(content, puts, ends)
      return undefined
    }
    return writing.then(() => {
      this.#took(content, puts, ends)
    })
  }

  /** The value, undefined if there is none, or if it would have to be waited for. */
  now(key: Uint8Array): Uint8Array | undefined {
    const content = this.#content
    if (content === undefined) return undefined
    const [from, to] = placeOf(content, rowOf(key))
    if (from === to) return undefined
    const target = memoryFor(to - from)
    return content.file.readNow(target, from) ? valueFor(target, key, content.saltSum) : undefined
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#used(async (content) => {
      const [from, to] = placeOf(content, rowOf(key))
      if (from === to) return undefined
      const target = memoryFor(to - from)
      const bytes = await content.file.read(target, from)
      return bytes < target.length ? undefined : valueFor(target, key, content.saltSum)
    }).catch((error: unknown) => {
      // It went before its file could be opened.
      if (this.#isRemoved) return undefined
      throw error
    })
  }

  async has(row: number): Promise<boolean> {
    return this.#used((content) => {
      const [from, to] = placeOf(content, row)
      return Promise.resolve(from < to)
    })
  }

  /** What these rows and those between them take. */
  async bytesOf(first: number, last: number): Promise<number> {
    return this.#used((content) => {
      if (first >= content.rows) return Promise.resolve(0)
      return Promise.resolve((content.offsets[Math.min(last + 1, content.rows)] ?? 0) - (content.offsets[first] ?? 0))
    })
  }

  /** Keys of the rows from this number on, without reading values; and without those that are damaged. */
  async *keys(from: number): AsyncIterable<Uint8Array> {
    this.#uses++
    try {
      const content = await this.#loaded()
      for (let row = from; row < content.rows; row++) {
        const [at, until] = placeOf(content, row)
        if (at === until) continue
        const start = Buffer.alloc(Math.min(frameHeadBytesMax, until - at))
        await content.file.read(start, at)
        let key = decodeFrameHead(start, 0, content.saltSum)?.key
        if (key === undefined) {
          const frame = Buffer.alloc(until - at)
          await content.file.read(frame, at)
          key = entryOf(frame, content.saltSum)?.key
        }
        if (key !== undefined && rowOf(key) === row && unitOf(key) === this.number) yield key
      }
    } finally {
      await this.#leave()
    }
  }

  /** Rows with numbers from `from` on and below `to`, of those that are there now; without those whose key is damaged. */
  async *entries(from: number, to: number): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]> {
    this.#uses++
    try {
      const content = await this.#loaded()
      const last = Math.min(to, content.rows)
      for (let row = from; row < last; ) {
        let end = row + 1
        const [start] = placeOf(content, row)
        while (end < last && placeOf(content, end)[1] - start <= pieceBytes) end++
        const [, stop] = placeOf(content, end - 1)
        // New memory for each piece: whoever takes the rows may keep them.
        const piece = Buffer.allocUnsafeSlow(stop - start)
        if (stop > start && (await content.file.read(piece, start)) < piece.length) throw new StoreError('CORRUPT', 'a file of a log is shorter than it was', { unit: this.number })
        for (; row < end; row++) {
          const [at, until] = placeOf(content, row)
          const entry = until > at ? entryOf(piece.subarray(at - start, until - start), content.saltSum) : undefined
          if (entry !== undefined && rowOf(entry.key) === row && unitOf(entry.key) === this.number) yield [entry.key, entry.value] as const
        }
      }
    } catch (error) {
      if (!this.#isRemoved) throw error
    } finally {
      await this.#leave()
    }
  }

  /** What was appended before the call is durable. One at a time: of two at once, one only hears of a failure. */
  async sync(): Promise<void> {
    const turn = this.#syncs.then(async () => this.#sync())
    this.#syncs = turn.catch(() => undefined)
    await turn
  }

  /**
   * Zeroes ahead of the rows, in the background. Rows that are written over them change neither the length of the file nor
   * where it lies on the disk, so that a sync writes their bytes and no journal of the file system: half the time.
   */
  prepare(admit: (bytes: number) => Promise<() => void>): void {
    const content = this.#content
    if (content === undefined || this.#isSealed || this.#preparing !== undefined) return
    const end = endOf(content)
    if (this.#preparedTo - end > preparedBytes / 4) return
    const from = Math.max(this.#preparedTo, end + gapBytes)
    this.#preparedFrom = from
    this.#preparing = this.#prepare(content, from, admit).finally(() => {
      this.#preparing = undefined
    })
  }

  /** No more rows. Durable, whatever is in it. */
  async seal(): Promise<void> {
    if (this.#isSealed || this.#isRemoved) return
    await this.#preparing
    await this.sync()
    await this.#used(async (content) => this.#writeEnd(content))
  }

  /** More rows come: what was sealed is open again. */
  async reopen(): Promise<void> {
    await this.#used(async (content) => {
      this.#isSealed = false
      this.#mayClose = false
      this.#syncedTo = endOf(content)
      await content.file.truncate(endOf(content))
      this.#hasBytes(endOf(content))
    })
  }

  /**
   * Writes a file without these rows and puts it in the place of this one. Durable. Only of a sealed one; false if no row
   * is left, and nothing was done.
   */
  async rewrite(without: ReadonlySet<number>): Promise<boolean> {
    invariant(this.#isSealed, 'only a sealed unit is rewritten')
    return this.#used(async (content) => {
      const kept: number[] = []
      for (let row = 0; row < content.rows; row++) {
        const [from, to] = placeOf(content, row)
        if (from < to && !without.has(row)) kept.push(row)
      }
      if (kept.length === 0) return false
      const name = nameOf(this.number)
      const unfinished = name + unfinishedSuffix
      await this.#folder.remove(unfinished)
      const file = await this.#folder.open(unfinished, { create: true })
      const replacement: Content = { ...content, file, offsets: new Uint32Array(firstRows), rows: 0 }
      replacement.offsets[0] = headBytes
      let bytes = 0
      try {
        await file.write(encodeHead(this.number, content.salt), 0)
        for (const row of kept) await this.#copyRow(content, replacement, row)
        const end = encodeEnd(this.number, content.salt, replacement.offsets, replacement.rows)
        await file.write(end, endOf(replacement))
        await file.sync()
        await this.#folder.rename(unfinished, name)
        bytes = endOf(replacement) + end.length
      } catch (error) {
        await file.close()
        await this.#folder.remove(unfinished)
        throw error
      }
      this.#retired.push(content)
      this.#content = replacement
      this.#hasBytes(bytes)
      await this.#folder.sync()
      return true
    })
  }

  /** As a batch of its own: others of its batch may not be there any more. One whose head is damaged is copied as it is. */
  async #copyRow(content: Content, replacement: Content, row: number): Promise<void> {
    const [from, to] = placeOf(content, row)
    const frame = Buffer.allocUnsafeSlow(to - from)
    if ((await content.file.read(frame, from)) < frame.length) throw new StoreError('CORRUPT', 'a file of a log is shorter than it was', { unit: this.number })
    const entry = entryOf(frame, content.saltSum)
    const at = endOf(replacement)
    if (entry === undefined) await replacement.file.write(frame, at)
    else {
      const copy = Buffer.allocUnsafeSlow(frame.length)
      encodeFrame(copy, 0, content.saltSum, { type: 'put', ...entry }, 0)
      await replacement.file.write(copy, at)
    }
    placeRow(replacement, row, at + frame.length)
  }

  /** Takes the rows from this number on away, and all that could come. Durable. */
  async cut(row: number): Promise<void> {
    await this.#preparing
    await this.#used(async (content) => {
      if (row >= content.rows) return
      // Shorter first: that needs no room. Without an end it is looked through at the next start.
      this.#isSealed = false
      content.rows = row
      await content.file.truncate(endOf(content))
      await content.file.sync()
      this.#syncedTo = endOf(content)
      this.#preparedTo = 0
      this.#hasBytes(endOf(content))
    })
  }

  /** Its space comes back when nobody reads it any more. */
  async remove(): Promise<void> {
    this.#isRemoved = true
    await this.#preparing
    await this.#syncs
    await this.#folder.remove(nameOf(this.number))
    this.#hasBytes(0)
    await this.unload()
  }

  /** Closes the file as soon as nobody uses it, unless it is still open for rows. */
  async unload(): Promise<void> {
    const content = this.#content
    this.#mayClose = true
    if (content === undefined || this.#uses > 0 || !(this.#isSealed || this.#isRemoved)) return
    this.#content = undefined
    await content.file.close()
  }

  /** For the end of the process: whatever is under way fails. */
  async close(): Promise<void> {
    await this.#preparing
    await this.#syncs
    const content = this.#content
    this.#content = undefined
    await content?.file.close()
  }

  async #used<T>(work: (content: Content) => Promise<T>): Promise<T> {
    this.#uses++
    try {
      return await work(await this.#loaded())
    } finally {
      await this.#leave()
    }
  }

  async #leave(): Promise<void> {
    this.#uses--
    if (this.#uses > 0) return
    const retired = this.#retired
    this.#retired = []
    for (const { file } of retired) await file.close()
    if (this.#mayClose) await this.unload()
  }

  async #loaded(): Promise<Content> {
    if (this.#content !== undefined) return this.#content
    this.#loading ??= this.#load()
      .then((content) => {
        if (content === undefined) throw new StoreError('CORRUPT', 'a file of a log has no sound head any more', { unit: this.number })
        return content
      })
      .finally(() => {
        this.#loading = undefined
      })
    return this.#loading
  }

  async #load(): Promise<Content | undefined> {
    const file = await this.#folder.open(nameOf(this.number))
    try {
      const fileBytes = await file.bytes()
      const content = (await this.#readEnd(file, fileBytes)) ?? (await this.#scan(file, fileBytes))
      if (content === undefined) {
        await file.close()
        return undefined
      }
      this.#hasBytes(fileBytes)
      this.#content = content
      this.#mayClose = false
      return content
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async #readEnd(file: LogFile, fileBytes: number): Promise<Content | undefined> {
    const last = Buffer.alloc(Math.min(endBytesMax, fileBytes))
    await file.read(last, fileBytes - last.length)
    const end = decodeEnd(last, this.number)
    if (end === undefined) return undefined
    const table = Buffer.alloc(4 * (end.rows + 1))
    const from = fileBytes - tableBytes(end.rows)
    if (from < headBytes) return undefined
    await file.read(table, from)
    const offsets = decodeTable(table, end.rows, end.tableSum, from)
    if (offsets === undefined) return undefined
    this.#isSealed = true
    return { file, salt: end.salt, saltSum: sumOfSalt(end.salt), offsets, rows: end.rows }
  }

  /** Row by row, up to the first batch that is not whole. Undefined if the head is damaged. */
  async #scan(file: LogFile, fileBytes: number): Promise<Content | undefined> {
    const head = Buffer.alloc(Math.min(headBytes, fileBytes))
    await file.read(head, 0)
    const salt = decodeHead(head, this.number)
    if (salt === undefined) return undefined
    const content: Content = { file, salt, saltSum: sumOfSalt(salt), offsets: new Uint32Array(firstRows), rows: 0 }
    content.offsets[0] = headBytes
    let piece = Buffer.alloc(0)
    let pieceFrom = headBytes
    let batch: { row: number; end: number }[] = []
    for (let at = headBytes, lastRow = -1; ; ) {
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
      if (frame === undefined || unitOf(frame.key) !== this.number || rowOf(frame.key) <= lastRow || at + frame.bytes > fileBytes) break
      const row = rowOf(frame.key)
      const key = Buffer.from(frame.key)
      await need(frame.bytes)
      const whole = piece.subarray(at - pieceFrom, at - pieceFrom + frame.bytes)
      const value = whole.length === frame.bytes ? valueFor(whole, key, content.saltSum) : undefined
      if (value === undefined || !this.#init.isWhole(key, value)) break
      at += frame.bytes
      lastRow = row
      batch.push({ row, end: at })
      if (frame.following > 0) continue
      for (const { row: number, end } of batch) placeRow(content, number, end)
      batch = []
    }
    return content
  }

  async #writeEnd(content: Content): Promise<void> {
    const end = endOf(content)
    const bytes = encodeEnd(this.number, content.salt, content.offsets, content.rows)
    await content.file.write(bytes, end)
    await content.file.truncate(end + bytes.length)
    this.#hasBytes(end + bytes.length)
    this.#preparedTo = 0
    content.offsets = content.offsets.slice(0, content.rows + 1)
    this.#isSealed = true
  }

  #took(content: Content, puts: readonly Put[], ends: readonly number[]): void {
    for (const [i, put] of puts.entries()) placeRow(content, rowOf(put.key), ends[i] ?? 0)
    this.#hasBytes(Math.max(this.#preparedTo, endOf(content)))
  }

  #hasBytes(bytes: number): void {
    this.#init.onBytes(bytes - this.#fileBytes)
    this.#fileBytes = bytes
  }

  async #sync(): Promise<void> {
    const content = this.#content
    if (content === undefined || this.#isSealed) return
    const end = endOf(content)
    if (this.#syncedTo >= end) return
    // After a failed sync the kernel may hold what is not on the disk for what is: it has to be told once more.
    if (this.#syncFailed) await this.#writeAgain(content, this.#syncedTo, end)
    try {
      await content.file.sync()
    } catch (error) {
      this.#syncFailed = true
      throw error
    }
    this.#syncFailed = false
    this.#syncedTo = end
  }

  async #writeAgain(content: Content, from: number, to: number): Promise<void> {
    for (let at = from; at < to; ) {
      const piece = Buffer.alloc(Math.min(again, to - at))
      if ((await content.file.read(piece, at)) < piece.length) throw new StoreError('DISK', 'what was written cannot be read back', { unit: this.number })
      await content.file.write(piece, at)
      at += piece.length
    }
  }

  /** Never rejects: without it everything works, and takes longer. */
  async #prepare(content: Content, from: number, admit: (bytes: number) => Promise<() => void>): Promise<void> {
    try {
      const admitted = await admit(preparedBytes)
      try {
        for (let at = from; at < from + preparedBytes; at += zeroes.length) await content.file.write(zeroes, at)
      } finally {
        admitted()
      }
      this.#preparedTo = from + preparedBytes
      this.#hasBytes(Math.max(this.#fileBytes, this.#preparedTo))
    } catch {
      // No room: the next rows may find some, or say so.
    }
  }
}

/** The bytes of rows, one behind the other, and where each ends in the file. Large values are not copied together. */
function framesOf(puts: readonly Put[], buffer: Buffer, saltSum: number, end: number): { bytes: Uint8Array | readonly Uint8Array[]; ends: readonly number[] } {
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

function endOf(content: Content): number {
  return content.offsets[content.rows] ?? headBytes
}

/** Where a row begins and ends; the same number twice for one that is not there. */
function placeOf({ offsets, rows }: Content, row: number): readonly [from: number, to: number] {
  return row >= rows ? [0, 0] : [offsets[row] ?? 0, offsets[row + 1] ?? 0]
}

/** Rows between the last one and this were given to a write that failed. */
function placeRow(content: Content, row: number, end: number): void {
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

function memoryFor(bytes: number): Buffer {
  if (bytes > sharedBytesMax) return Buffer.allocUnsafeSlow(bytes)
  if (slabUsed + bytes > slab.length) {
    slab = Buffer.allocUnsafeSlow(slabBytes)
    slabUsed = 0
  }
  const at = slabUsed
  slabUsed += bytes
  return slab.subarray(at, slabUsed)
}
