import type { AppendLog, KeyValue, WriteOperation } from '../../base/index.js'
import { positionKey } from './rows.js'
import { RecordWriter } from './bytes.js'
import type { Page } from './page.js'
import type { Segment, Segments } from './segments.js'
import { framed, unframed } from './segments.js'
import type { Units } from './units.js'
import type { Witness } from './witness.js'

export interface CheckpointComponents {
  log: AppendLog
  meta: KeyValue
  segments: Segments
  units: Units
  witness: Pick<Witness, 'forget'>
  /** The last row that is applied. */
  position: () => number
}

/** Pages and heads from which on a write is full: a few hundred KiB, so that the event loop is not held up. */
const sliceMax = 64

/**
 * Writes what the log has changed in the index to `meta`, so that the log need not be replayed from its beginning. The
 * mark says from where: every head and page on disk has all rows up to it, and may have some that come later.
 *
 * A page must never be on disk before the rows that it names: so a slice is encoded, the log synced, and then the slice is
 * written. Writers are not held up: what they change in a page meanwhile makes it dirty again. Head and pages of one
 * segment go in one atomic write, since a replay of a row over a page has to find the head as it was then.
 */
export class Checkpoint {
  readonly #components: CheckpointComponents
  #running: Promise<void> | undefined
  #mark: number

  constructor(components: CheckpointComponents, init: { mark: number }) {
    this.#components = components
    this.#mark = init.mark
  }

  /** All rows up to here are in the index on disk. */
  get mark(): number {
    return this.#mark
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }

  /** One at a time: joins the one that is running. */
  async run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    await this.#running
  }

  static markOf(value: Uint8Array): number {
    return unframed(value, 'the mark').reader.number()
  }

  async #run(): Promise<void> {
    const { log, meta, segments, units, witness, position } = this.#components
    const mark = position()
    const countBytes = units.markBytes()
    let slice = new Slice(this.#components)
    const finish = async (): Promise<void> => {
      const full = slice
      slice = new Slice(this.#components)
      await full.write()
    }
    for (const segment of [...segments.inMemory()]) {
      if (segment.head === undefined) continue
      slice.add(segment)
      if (slice.size >= sliceMax) await finish()
    }
    await finish()
    await log.sync()
    countBytes()
    const dirty = units.takeDirty()
    try {
      await meta.write([...unitOperations(meta, units, dirty), ...witness.forget(mark), meta.put(markKey, framed(0, new RecordWriter().number(mark)))], { durable: true })
    } catch (error) {
      units.touch(dirty)
      throw error
    }
    this.#mark = Math.max(this.#mark, mark)
  }
}

export const markKey = new TextEncoder().encode('m')

export function unitOperations(meta: KeyValue, units: Units, numbers: readonly number[]): WriteOperation[] {
  const rows = meta.slice('u')
  return numbers.map((number) => {
    const record = units.encode(number, new RecordWriter())
    return record === undefined ? rows.del(positionKey(number)) : rows.put(positionKey(number), framed(0, record))
  })
}

/** Some heads and pages on their way to disk, with what they changed in the units. */
class Slice {
  readonly #components: CheckpointComponents
  readonly #operations: WriteOperation[] = []
  readonly #undo: (() => void)[] = []
  readonly #pinned: Segment[] = []

  constructor(components: CheckpointComponents) {
    this.#components = components
  }

  get size(): number {
    return this.#operations.length
  }

  /** All of the segment that is not on disk. It stays in memory until it is there. */
  add(segment: Segment): void {
    const pages = segment.pages.filter((page) => page?.dirty === true)
    if (pages.length === 0 && segment.head?.dirty !== true) return
    for (const page of pages) if (page !== undefined) this.#addPage(segment, page)
    this.#addHead(segment)
    segment.pins++
    this.#pinned.push(segment)
  }

  #addHead(segment: Segment): void {
    const { segments, position } = this.#components
    const head = segment.loaded
    const { checkpoint } = head
    this.#operations.push(segments.encodeHead(segment, position()))
    head.checkpoint = position()
    head.dirty = false
    this.#undo.push(() => {
      head.checkpoint = checkpoint
      head.dirty = true
    })
  }

  #addPage(segment: Segment, page: Page): void {
    const { segments, units, position } = this.#components
    const { checkpoint } = page
    const deltas = new Map(page.deltas)
    this.#operations.push(segments.encodePage(segment, page, position()))
    page.checkpoint = position()
    page.dirty = false
    page.deltas.clear()
    units.save(deltas)
    this.#undo.push(() => {
      page.checkpoint = checkpoint
      page.dirty = true
      units.unsave(deltas)
      for (const [unit, bytes] of deltas) page.deltas.set(unit, (page.deltas.get(unit) ?? 0) + bytes)
    })
  }

  async write(): Promise<void> {
    if (this.#operations.length === 0) return
    const { log, meta, units } = this.#components
    const dirty = units.takeDirty()
    try {
      // Encoded before the sync: the rows that these name are durable when they are.
      const counts = unitOperations(meta, units, dirty)
      await log.sync()
      await meta.write([...this.#operations, ...counts], { durable: false })
    } catch (error) {
      units.touch(dirty)
      for (const undo of this.#undo) undo()
      throw error
    } finally {
      for (const segment of this.#pinned) segment.pins--
    }
  }
}
