import { invariant } from '../base/index.js'
import type { Content } from './append-content.js'
import { emptyContent, endOf, framesOf, memoryFor, pieceBytes, placeOf, placeRow, readDamaged, readEnd, rowBehind, scan } from './append-content.js'
import type { Put } from './append-frames.js'
import { decodeFrameHead, encodeEnd, encodeFrame, encodeHead, entryOf, frameHeadBytesMax, headBytes, nameOf, rowOf, tableBytes, unfinishedSuffix, unitOf, valueFor } from './append-frames.js'
import type { LogFolder } from './log-folder.js'
import { StoreError } from './types.js'

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
  #isClosed = false
  /** Reads under way, and whoever goes through it. */
  #uses = 0
  readonly #onUnused: (() => void)[] = []
  /** Replaced by another file while it was in use. */
  #retired: Content[] = []
  #mayClose = false
  #syncedTo = 0
  #syncFailed = false
  #syncs: Promise<unknown> = Promise.resolve()
  #sealing: Promise<void> | undefined
  #preparing: Promise<void> | undefined
  #preparedFrom = 0
  /** Where the rows end that are being written. */
  #writingTo = 0
  #cannotPrepare = false
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
    unit.#content = emptyContent(file, salt)
    unit.#hasBytes(headBytes)
    return unit
  }

  /** What a start finds. Undefined if there is no row in it. */
  static async find(folder: LogFolder, init: AppendUnitInit): Promise<AppendUnit | undefined> {
    const unit = new AppendUnit(folder, init)
    const content = await unit.#load()
    if (content === undefined || endOf(content) === headBytes) {
      unit.#hasBytes(0)
      await content?.file.close()
      return undefined
    }
    // The kernel may hold what is not on the disk for what is, if a sync failed before the process ended.
    if (!unit.#isSealed) unit.#syncFailed = true
    if (unit.#isSealed) await unit.unload()
    return unit
  }

  get isSealed(): boolean {
    return this.#isSealed
  }

  /** Nothing is in it that a sync has not covered. */
  get isSynced(): boolean {
    return this.#isSealed || this.#content === undefined || this.#syncedTo >= endOf(this.#content)
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
    try {
      return await this.#used((content) => Promise.resolve(content.rows))
    } catch (error) {
      if (this.#isRemoved) return 0
      throw error
    }
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
    this.#writingTo = ends.at(-1) ?? end
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
      const bytes = await readDamaged(content.file, target, from)
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
    for (let row = from, rows = row + 1; row < rows; row++) {
      const key = await this.#used(async (content) => {
        rows = content.rows
        const [at, until] = placeOf(content, row)
        if (at === until) return undefined
        const start = Buffer.alloc(Math.min(frameHeadBytesMax, until - at))
        await readDamaged(content.file, start, at)
        const head = decodeFrameHead(start, 0, content.saltSum)
        if (head !== undefined) return head.key
        const frame = Buffer.alloc(until - at)
        await readDamaged(content.file, frame, at)
        return entryOf(frame, content.saltSum)?.key
      })
      if (key !== undefined && rowOf(key) === row && unitOf(key) === this.number) yield key
    }
  }

  /** Rows with numbers from `from` on and below `to`, of those that are there now; without those whose key is damaged. */
  async *entries(from: number, to: number): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]> {
    for (let row = from; ; ) {
      // In pieces: whoever takes the rows may take any time over it, and the file is not kept open for that.
      const { found, next } = await this.#piece(row, to)
      yield* found
      if (next <= row) return
      row = next
    }
  }

  /** The first of these rows, and which comes behind them; none and the same row at the end. */
  async #piece(from: number, to: number): Promise<{ found: (readonly [key: Uint8Array, value: Uint8Array])[]; next: number }> {
    const found: (readonly [key: Uint8Array, value: Uint8Array])[] = []
    try {
      return await this.#used(async (content) => {
        const last = Math.min(to, content.rows)
        let end = Math.min(last, from + 1)
        const [start] = placeOf(content, from)
        while (end < last && placeOf(content, end)[1] - start <= pieceBytes) end++
        if (end <= from) return { found, next: from }
        const stop = content.offsets[end] ?? 0
        // New memory for each piece: whoever takes the rows may keep them.
        const piece = Buffer.allocUnsafeSlow(stop - start)
        if (stop > start && (await readDamaged(content.file, piece, start)) < piece.length) throw new StoreError('CORRUPT', 'a file of a log is shorter than it was', { unit: this.number })
        for (let row = from; row < end; row++) {
          const [at, until] = placeOf(content, row)
          const entry = until > at ? entryOf(piece.subarray(at - start, until - start), content.saltSum) : undefined
          if (entry !== undefined && rowOf(entry.key) === row && unitOf(entry.key) === this.number) found.push([entry.key, entry.value])
        }
        return { found, next: end }
      })
    } catch (error) {
      if (this.#isRemoved) return { found: [], next: from }
      throw error
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
    if (this.#cannotPrepare || this.#preparedTo - endOf(content) > preparedBytes / 4) return
    // Rows that come while it is admitted do not wait for that: it may be waiting for them.
    this.#preparedFrom = Number.POSITIVE_INFINITY
    this.#preparing = this.#prepare(content, admit).finally(() => {
      this.#preparing = undefined
    })
  }

  /** No more rows. Durable, whatever is in it. */
  async seal(): Promise<void> {
    this.#sealing ??= this.#seal().finally(() => {
      this.#sealing = undefined
    })
    await this.#sealing
  }

  async #seal(): Promise<void> {
    if (this.#isSealed || this.#isRemoved) return
    await this.#preparing
    await this.sync()
    await this.#used(async (content) => this.#end(content))
  }

  /** More rows come: what was sealed is open again. True if another file took its place: durable with the next sync of the folder. */
  async reopen(): Promise<boolean> {
    // What comes would be taken for the rest of a batch that was cut in its middle, and neither of them count after a crash.
    const isCut = this.#isSealed && (await this.#endsInBatch()) && (await this.rewrite(new Set()))
    await this.#used(async (content) => {
      this.#mayClose = false
      // It could not be completed, and may not be synced either.
      if (!this.#isSealed) return
      await this.#shorten(content, 0)
      this.#isSealed = false
      this.#syncedTo = endOf(content)
    })
    return isCut
  }

  /** Whether its last row was followed by others of the same batch. */
  async #endsInBatch(): Promise<boolean> {
    return this.#used(async (content) => {
      if (content.rows === 0) return false
      const [at, until] = placeOf(content, content.rows - 1)
      const start = Buffer.alloc(Math.min(frameHeadBytesMax, until - at))
      await readDamaged(content.file, start, at)
      return (decodeFrameHead(start, 0, content.saltSum)?.following ?? 0) > 0
    })
  }

  /**
   * Writes a file without these rows and puts it in the place of this one: durable with the next sync of the folder. Only
   * of a sealed one; false if no row is left, and nothing was done.
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
      const replacement = emptyContent(file, content.salt)
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
      return true
    })
  }

  /** As a batch of its own: others of its batch may not be there any more. One whose head is damaged is copied as it is. */
  async #copyRow(content: Content, replacement: Content, row: number): Promise<void> {
    const [from, to] = placeOf(content, row)
    const frame = Buffer.allocUnsafeSlow(to - from)
    if ((await readDamaged(content.file, frame, from)) < frame.length) throw new StoreError('CORRUPT', 'a file of a log is shorter than it was', { unit: this.number })
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
      this.#isSealed = false
      this.#preparedTo = 0
      content.rows = row
      // Not with the numbers of rows that failed: the last one is there.
      while (content.rows > 0 && content.offsets[content.rows - 1] === endOf(content)) content.rows--
      // Shorter first: that needs no room, and nothing of what goes can be taken for a row that is damaged.
      await this.#shorten(content, 0)
      await content.file.sync()
      this.#syncedTo = endOf(content)
      // Without the table the next start does not count what is left of a batch that was cut in its middle.
      await this.#end(content)
      await content.file.sync()
    })
  }

  /** Its space comes back when nobody reads it any more. */
  async remove(): Promise<void> {
    await this.#preparing
    await this.#syncs
    this.#isRemoved = true
    try {
      await this.#folder.remove(nameOf(this.number))
    } catch (error) {
      this.#isRemoved = false
      throw error
    }
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

  /** When nothing is under way any more; what comes then fails. A file that was closed under a read would be another one by then. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#preparing
    await this.#syncs
    while (this.#uses > 0) await new Promise<void>((resolve) => this.#onUnused.push(resolve))
    const content = this.#content
    this.#content = undefined
    await content?.file.close()
  }

  async #used<T>(work: (content: Content) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new StoreError('CLOSED', 'the store is closed')
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
    for (const wake of this.#onUnused.splice(0)) wake()
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
    // Whoever wants it closed from now on means this one.
    this.#mayClose = false
    const file = await this.#folder.open(nameOf(this.number))
    try {
      const fileBytes = await file.bytes()
      const complete = await readEnd(file, this.number, fileBytes)
      const content = complete ?? (await scan(file, this.#init, fileBytes))
      if (content === undefined) {
        await file.close()
        return undefined
      }
      if (complete !== undefined) this.#isSealed = true
      if (!this.#isRemoved) this.#hasBytes(fileBytes)
      this.#content = content
      return content
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async #end(content: Content): Promise<void> {
    await content.file.write(encodeEnd(this.number, content.salt, content.offsets, content.rows), endOf(content))
    await this.#shorten(content, tableBytes(content.rows))
    this.#preparedTo = 0
    content.offsets = content.offsets.slice(0, content.rows + 1)
    this.#isSealed = true
  }

  /** To its rows and so many bytes behind them. */
  async #shorten(content: Content, behind: number): Promise<void> {
    const bytes = endOf(content) + behind
    await content.file.truncate(bytes)
    this.#hasBytes(bytes)
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
    if (this.#syncFailed) await this.#writeAgain(content)
    try {
      await content.file.sync()
    } catch (error) {
      this.#syncFailed = true
      throw error
    }
    this.#syncFailed = false
    this.#syncedTo = end
  }

  /** What no sync has covered, if all of it can still be read as it was written: the kernel may have let go of it. */
  async #writeAgain(content: Content): Promise<void> {
    const { file } = content
    if (this.#syncedTo === 0) await file.write(encodeHead(this.number, content.salt), 0)
    let row = rowBehind(content, this.#syncedTo)
    for (const end = content.rows; row < end; ) {
      const from = row
      const [start] = placeOf(content, from)
      while (row < end && (row === from || placeOf(content, row)[1] - start <= pieceBytes)) row++
      const piece = Buffer.alloc((content.offsets[row] ?? 0) - start)
      const isThere = (await file.read(piece, start)) === piece.length
      for (let one = from; one < row; one++) {
        const [at, to] = placeOf(content, one)
        const entry = isThere && to > at ? entryOf(piece.subarray(at - start, to - start), content.saltSum) : undefined
        const isWhole = entry !== undefined && rowOf(entry.key) === one && this.#init.isWhole(entry.key, entry.value)
        if (to > at && !isWhole) throw new StoreError('DISK', 'what could not be synced cannot be read back either', { unit: this.number })
      }
      await file.write(piece, start)
    }
  }

  /** Never rejects: without it everything works, and takes longer. Once in a unit: it would hold up who needs the room. */
  async #prepare(content: Content, admit: (bytes: number) => Promise<() => void>): Promise<void> {
    try {
      const admitted = await admit(preparedBytes)
      try {
        const from = Math.max(this.#preparedTo, Math.max(endOf(content), this.#writingTo) + gapBytes)
        this.#preparedFrom = from
        for (let at = from; at < from + preparedBytes; at += zeroes.length) {
          await content.file.write(zeroes, at)
          this.#preparedTo = at + zeroes.length
          this.#hasBytes(Math.max(this.#fileBytes, this.#preparedTo))
        }
      } finally {
        admitted()
      }
    } catch {
      // No room: the next rows may find some, or say so.
      this.#cannotPrepare = true
    }
  }
}
