import { crc32 } from 'node:zlib'
import type { KeyValue, WriteOperation } from '../../base/index.js'
import type { BlockRange } from '../geometry.js'
import { segmentBlocks } from '../geometry.js'
import type { SegmentId } from '../replica-types.js'
import { damaged, readWhole, RecordReader, RecordWriter, viewOf, writeWhole } from './bytes.js'
import { Head } from './head.js'
import type { PageContext } from './page.js'
import { contentCodes, installedFlag, carriedFlag, Page, pageBlocks } from './page.js'
import { decodeSegmentKey, segmentKey } from './rows.js'
import type { Units } from './units.js'

/**
 * What is known of the segments, in memory as far as it is in use or not yet on disk, else in `meta`:
 *
 * | key                                | value                                        |
 * |------------------------------------|----------------------------------------------|
 * | `h`, volume (16), segment (4)      | CRC-32 (4), position (8), head, see head.ts  |
 * | `p`, volume, segment, page (1)     | CRC-32, position, page, see page.ts          |
 * | `u`, number (8)                    | CRC-32, 0, unit, see units.ts                |
 * | `m`                                | CRC-32, the mark, see checkpoint.ts          |
 * | `w`, volume, segment               | CRC-32, position, see witness.ts             |
 *
 * The position says which rows of the log are in the value already.
 */
const pagesPerSegment = segmentBlocks / pageBlocks
const sumBytes = 4
const frameBytes = 12

export class Segment implements PageContext {
  readonly id: SegmentId
  readonly key: Uint8Array
  head: Head | undefined
  readonly pages: (Page | undefined)[] = []
  /** What is under way and relies on the pages being in memory. */
  pins = 0
  /** Work that has to wait for its turn, since work before it waits for the disk. */
  turn: Promise<unknown> | undefined
  /** Calls of `settled` since shadowed blocks were last looked at. */
  settledSincePrune = 0
  readonly loads = new Map<number, Promise<void>>()

  constructor(id: SegmentId, key: Uint8Array) {
    this.id = id
    this.key = key
  }

  get loaded(): Head {
    if (this.head === undefined) throw damaged('a segment that is not loaded')
    return this.head
  }

  page(number: number): Page {
    const page = this.pages[number]
    if (page === undefined) throw damaged('a page that is not loaded')
    return page
  }

  /** Blocks with versions that a cut could bring back, in the pages that are in memory. */
  get shadowed(): number {
    let shadowed = 0
    for (const page of this.pages) shadowed += page?.shadowed ?? 0
    return shadowed
  }

  pruneAll(): void {
    this.settledSincePrune = 0
    for (const page of this.pages) if (page !== undefined && page.shadowed > 0) this.prune(page)
  }

  /** What it lets go of changes the counts of units, which go to disk with the page. */
  prune(page: Page): void {
    page.prune(this)
    if (page.deltas.size > 0) page.dirty = true
  }

  isSettled(token: number, sequence: number): boolean {
    return this.loaded.isSettled(token, sequence)
  }

  follows(removed: { info: number; token: number; sequence: number }, below: { info: number; token: number; position: number } | undefined): boolean {
    const head = this.loaded
    // That should never be cut, and what was under it is gone.
    if (head.isSettled(removed.token, removed.sequence)) return false
    const isLost = below !== undefined && (below.info & 7) === contentCodes.unknown
    if (isLost) return true
    // A copy may have come over versions that this disk never saw, unless the stream that it is of went past it here.
    if ((removed.info & installedFlag) !== 0) {
      if (below === undefined || (below.info & installedFlag) !== 0 || below.token !== removed.token) return false
      // Where the stream's end was only declared, what went past here is not known.
      if ((head.stream(removed.token)?.end ?? 0) < removed.sequence || below.position <= head.doubt) return false
    }
    if (head.whole) return true
    return below !== undefined && below.position > head.doubt && (below.info & carriedFlag) === 0
  }
}

export function pagesOf(range: BlockRange): readonly number[] {
  const first = Math.floor(range.start / pageBlocks)
  const last = Math.floor((range.start + range.blocks - 1) / pageBlocks)
  if (first === last) return onePage[first] ?? [first]
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

export const allPages: readonly number[] = Array.from({ length: pagesPerSegment }, (_, i) => i)
/** Lists of one page each: what nearly every write touches. */
const onePage: readonly (readonly number[])[] = allPages.map((number) => [number])

export interface SegmentsComponents {
  meta: KeyValue
  units: Units
}

export interface SegmentsInit {
  /** Pages in memory that are wanted at most, 7 KiB each. Those in use and those not yet on disk stay. */
  pagesMax: number
  headsMax: number
}

export class Segments {
  readonly #components: SegmentsComponents
  readonly #init: SegmentsInit
  /** In the order of their last use. */
  readonly #segments = new Map<string, Segment>()
  #last: Segment | undefined
  #pages = 0

  constructor(components: SegmentsComponents, init: SegmentsInit) {
    this.#components = components
    this.#init = init
  }

  get pagesInMemory(): number {
    return this.#pages
  }

  /** More is in memory than is wanted, and only a checkpoint can help. */
  get isFull(): boolean {
    return this.#pages > this.#init.pagesMax || this.#segments.size > this.#init.headsMax
  }

  inMemory(): IterableIterator<Segment> {
    return this.#segments.values()
  }

  get(id: SegmentId): Segment {
    const last = this.#last
    // The one that was used last is in its place already.
    if (last?.id.segment === id.segment && last.id.volume === id.volume) return last
    const name = `${id.volume}/${String(id.segment)}`
    let segment = this.#segments.get(name)
    if (segment === undefined) {
      segment = new Segment(id, segmentKey(id))
      if (this.#segments.size >= this.#init.headsMax) this.evict()
    } else this.#segments.delete(name)
    this.#segments.set(name, segment)
    this.#last = segment
    return segment
  }

  /** Head and pages are in memory; pages that were never written are made at once. */
  isReady(segment: Segment, pages: readonly number[]): boolean {
    const { head } = segment
    if (head === undefined) return false
    for (const number of pages) {
      if (segment.pages[number] !== undefined) continue
      if (head.storedPages.has(number) || segment.loads.has(number) || this.#pages >= this.#init.pagesMax) return false
      this.#keep(segment, this.#emptyPage(number))
    }
    return true
  }

  /** Head and pages are in memory after that, as long as the segment is pinned. Throws CORRUPT. */
  async load(segment: Segment, pages: readonly number[]): Promise<void> {
    const missing = pages.filter((number) => segment.pages[number] === undefined)
    if (missing.length > 0 && this.#pages + missing.length > this.#init.pagesMax) this.evict()
    await Promise.all([...(segment.head === undefined ? [-1] : []), ...missing].map(async (number) => this.#loadOnce(segment, number)))
  }

  /** Lets go of what has not been used for the longest time and is on disk. */
  evict(): void {
    for (const [name, segment] of this.#segments) {
      // A quarter at once, so that it is not looked for again at every load.
      if (this.#pages <= this.#init.pagesMax * 0.75 && this.#segments.size <= this.#init.headsMax * 0.75) return
      if (segment.pins > 0 || segment.turn !== undefined || segment.loads.size > 0) continue
      let kept = 0
      for (const [number, page] of segment.pages.entries()) {
        if (page === undefined) continue
        if (page.dirty) kept++
        else {
          segment.pages[number] = undefined
          this.#pages--
        }
      }
      if (kept > 0 || segment.head?.dirty === true) continue
      this.#segments.delete(name)
      if (segment === this.#last) this.#last = undefined
    }
  }

  /** The segments on disk and in memory that exist. */
  async *ids(volume?: string): AsyncIterable<SegmentId> {
    const seen = new Set<string>()
    const isWanted = (id: SegmentId): boolean => volume === undefined || id.volume === volume
    for (const [name, segment] of [...this.#segments]) {
      if (segment.head === undefined) continue
      seen.add(name)
      if (segment.head.exists && isWanted(segment.id)) yield segment.id
    }
    const from = volume === undefined ? new Uint8Array(0) : segmentKey({ volume, segment: 0 }).subarray(0, 16)
    for await (const [key] of this.#components.meta.slice('h').entries({ gte: from })) {
      if (key.length !== 20) continue
      const { id } = decodeSegmentKey(key)
      if (!isWanted(id)) return
      const name = `${id.volume}/${String(id.segment)}`
      if (seen.has(name)) continue
      // It may have been dropped since the view that is being read.
      if (this.#segments.get(name)?.head?.exists === false) continue
      yield id
    }
  }

  encodeHead(segment: Segment, position: number): WriteOperation {
    const rows = this.#components.meta.slice('h')
    const head = segment.loaded
    if (!head.exists) return rows.del(segment.key)
    const writer = new RecordWriter()
    head.encode(writer)
    return rows.put(segment.key, framed(position, writer))
  }

  encodePage(segment: Segment, page: Page, position: number): WriteOperation {
    const rows = this.#components.meta.slice('p')
    const { storedPages } = segment.loaded
    if (page.isEmpty()) {
      storedPages.delete(page.number)
      return rows.del(pageKey(segment, page.number))
    }
    storedPages.add(page.number)
    const writer = new RecordWriter()
    page.encode(writer)
    return rows.put(pageKey(segment, page.number), framed(position, writer))
  }

  async #loadOnce(segment: Segment, number: number): Promise<void> {
    let load = segment.loads.get(number)
    if (load === undefined) {
      load = (number < 0 ? this.#loadHead(segment) : this.#loadPage(segment, number)).finally(() => segment.loads.delete(number))
      segment.loads.set(number, load)
    }
    await load
  }

  async #loadHead(segment: Segment): Promise<void> {
    const head = new Head()
    const value = await this.#components.meta.slice('h').get(segment.key)
    if (value !== undefined) {
      const { position, reader } = unframed(value, 'the head of a segment')
      head.checkpoint = position
      head.decode(reader)
    }
    segment.head = head
  }

  async #loadPage(segment: Segment, number: number): Promise<void> {
    const page = this.#emptyPage(number)
    const value = await this.#components.meta.slice('p').get(pageKey(segment, number))
    if (value !== undefined) {
      const { position, reader } = unframed(value, 'a page of the index')
      page.checkpoint = position
      page.decode(reader)
    }
    this.#keep(segment, page)
  }

  #emptyPage(number: number): Page {
    return new Page(number, (unit, bytes) => {
      this.#components.units.needs(unit, bytes)
    })
  }

  #keep(segment: Segment, page: Page): void {
    segment.pages[page.number] = page
    this.#pages++
  }
}

function pageKey(segment: Segment, number: number): Uint8Array {
  const key = new Uint8Array(21)
  key.set(segment.key)
  key[20] = number
  return key
}

export function framed(position: number, writer: RecordWriter): Uint8Array {
  const record = writer.finish()
  const value = new Uint8Array(frameBytes + record.length)
  const view = viewOf(value)
  writeWhole(view, sumBytes, position)
  value.set(record, frameBytes)
  view.setUint32(0, crc32(value.subarray(sumBytes)))
  return value
}

/** Throws CORRUPT. */
export function unframed(value: Uint8Array, what: string): { position: number; reader: RecordReader } {
  const view = viewOf(value)
  if (value.length < frameBytes || view.getUint32(0) !== crc32(value.subarray(sumBytes))) throw damaged(what)
  return { position: readWhole(view, sumBytes), reader: new RecordReader(value.subarray(frameBytes), what) }
}
