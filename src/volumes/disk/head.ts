import type { BlockRange } from '../geometry.js'
import { segmentBlocks } from '../geometry.js'
import { RangeMap } from '../range-map.js'
import type { RangeEntry } from '../range-map.js'
import type { AppliedOrigin, Fence, Version } from '../replica-types.js'
import type { Cut } from '../segment.js'
import { damaged, RecordReader, RecordWriter } from './bytes.js'
import { Stream } from './stream.js'

/** Tokens `[from, to)`: nothing of them past `sequence` counts. */
export interface StreamLimit {
  readonly from: number
  readonly to: number
  readonly sequence: number
}

/** What a block is fenced for, and where the streams of its earlier holders end. */
export interface FenceValue {
  readonly token: number
  readonly configuration: number
  /** By token, without overlap. */
  readonly limits: readonly StreamLimit[]
}

/** Streams kept: those past it that are settled to their end are forgotten, oldest first. */
const streamsMax = 256
/** Clients whose writes are told apart from retries; the one that was silent longest goes first. */
const clientsMax = 4096
/**
 * Limits kept for one block. An older one matters only for a copy from a disk that never applied it, of a block that
 * nobody has written to since.
 */
const limitsMax = 64

const noLimits: readonly StreamLimit[] = []

/** What is known of a segment besides its blocks: fences, streams, what was applied for whom. */
export class Head {
  checkpoint = 0
  dirty = false
  /** Something was written here once, and it was not dropped since. */
  exists = false
  /** A row that was about this segment cannot be read: nobody knows what it said. Only `drop` helps. */
  isDamaged = false
  whole = false
  /** While it is not whole: what came up to this position may be out of date. Whole: copies up to it may hide more than they overwrote here. */
  doubt = 0
  /** Pages that are on disk: of others nothing has to be read to know that they are empty. */
  readonly storedPages = new Set<number>()
  #fences = new RangeMap<FenceValue>(sameFence)
  readonly #streams = new Map<number, Stream>()
  /** By client; each list in the order of the client's numbers. Map order is from the longest silent to the latest. */
  readonly #origins = new Map<string, AppliedOrigin[]>()

  get fences(): RangeMap<FenceValue> {
    return this.#fences
  }

  stream(token: number): Stream | undefined {
    return this.#streams.get(token)
  }

  streams(): IterableIterator<Stream> {
    return this.#streams.values()
  }

  openStream(token: number): Stream {
    let stream = this.#streams.get(token)
    if (stream === undefined) {
      stream = new Stream(token)
      this.#streams.set(token, stream)
      this.#forgetStreams()
    }
    return stream
  }

  isSettled(token: number, sequence: number): boolean {
    return sequence <= (this.#streams.get(token)?.settled ?? 0)
  }

  unsettledCount(): number {
    let count = 0
    for (const stream of this.#streams.values()) count += stream.positionsKept
    return count
  }

  /** What stands against an entry of this token and configuration, if anything. */
  refusal(range: BlockRange, token: number, configuration: number): FenceValue | undefined {
    const all = this.#fences.covering(range)
    if (all !== undefined) return token < all.token || configuration < all.configuration ? all : undefined
    for (const { value } of this.#fences.within(range)) {
      if (value !== undefined && (token < value.token || configuration < value.configuration)) return value
    }
    return undefined
  }

  raise(fence: Fence): void {
    const added = limitsOf(fence)
    for (const part of this.#fences.within(fence)) {
      this.#fences = this.#fences.with(part, {
        token: Math.max(fence.token, part.value?.token ?? 0),
        configuration: Math.max(fence.configuration, part.value?.configuration ?? 0),
        limits: merged(part.value?.limits ?? noLimits, added),
      })
    }
  }

  /** The version is past a cut of this block. */
  isCut(block: number, version: Version): boolean {
    return isPast(this.#fences.at(block)?.limits ?? noLimits, version)
  }

  isCutWithin(range: BlockRange, version: Version): boolean {
    return this.#fences.within(range).some(({ value }) => value !== undefined && isPast(value.limits, version))
  }

  /** How far a stream goes that may be cut differently in different parts of the range: as far as it goes in any. */
  endWithin(range: BlockRange, stream: Stream): number {
    let furthest = 0
    for (const { value } of this.#fences.within(range)) {
      const limit = value?.limits.find(({ from, to }) => stream.token >= from && stream.token < to)
      furthest = Math.max(furthest, limit === undefined ? stream.end : Math.min(stream.end, limit.sequence))
    }
    return furthest
  }

  applied(client: string): number {
    return this.#origins.get(client)?.at(-1)?.origin.sequence ?? 0
  }

  origins(): AppliedOrigin[] {
    return [...this.#origins.values()].flat()
  }

  addOrigin(applied: AppliedOrigin): void {
    const { client, sequence } = applied.origin
    const list = this.#origins.get(client) ?? []
    this.#origins.delete(client)
    this.#origins.set(client, list)
    // One write may have become several entries, by its size or its edges: each part is remembered.
    const same = list.findIndex(({ origin, version }) => origin.sequence === sequence && version.token === applied.version.token && version.sequence === applied.version.sequence)
    if (same >= 0) list.splice(same, 1)
    const after = list.findIndex(({ origin }) => origin.sequence > sequence)
    list.splice(after < 0 ? list.length : after, 0, applied)
    this.#pruneOrigins(list)
    const [longestSilent] = this.#origins.keys()
    if (this.#origins.size > clientsMax && longestSilent !== undefined) this.#origins.delete(longestSilent)
  }

  /** A retry of a write of which the entry does not count any more has to be applied. */
  removeOrigins(isGone: (applied: AppliedOrigin) => boolean): void {
    for (const [client, list] of this.#origins) {
      const kept = list.filter((applied) => !isGone(applied))
      if (kept.length === 0) this.#origins.delete(client)
      else this.#origins.set(client, kept)
    }
  }

  /** The oldest row that a stream may still be asked for. */
  oldestPosition(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const stream of this.#streams.values()) oldest = Math.min(oldest, stream.oldestPosition)
    return oldest
  }

  encode(writer: RecordWriter): void {
    writer.number((this.whole ? 1 : 0) | (this.isDamaged ? 2 : 0)).number(this.doubt)
    writer.number(this.storedPages.size)
    for (const number of this.storedPages) writer.number(number)
    writer.number(this.#fences.size)
    for (const { start, blocks, value } of this.#fences.entries) {
      writer.number(start).number(blocks).number(value.token).number(value.configuration).number(value.limits.length)
      for (const { from, to, sequence } of value.limits) writer.number(from).number(to).number(sequence)
    }
    writer.number(this.#streams.size)
    for (const stream of this.#streams.values()) stream.encode(writer)
    encodeOrigins(writer, this.origins())
  }

  /** Throws CORRUPT. */
  decode(reader: RecordReader): void {
    this.exists = true
    const flags = reader.number(3)
    this.whole = (flags & 1) !== 0
    this.isDamaged = (flags & 2) !== 0
    this.doubt = reader.number()
    for (let count = reader.number(segmentBlocks); count > 0; count--) this.storedPages.add(reader.number(segmentBlocks))
    const entries: RangeEntry<FenceValue>[] = []
    let end = 0
    for (let count = reader.number(segmentBlocks); count > 0; count--) {
      const start = reader.number(segmentBlocks)
      const blocks = reader.number(segmentBlocks - start)
      if (start < end || blocks === 0) throw damaged('a fence')
      end = start + blocks
      const [token, configuration] = [reader.number(), reader.number()]
      const limits: StreamLimit[] = []
      for (let left = reader.number(limitsMax); left > 0; left--) limits.push({ from: reader.number(), to: reader.number(), sequence: reader.number() })
      entries.push({ start, blocks, value: { token, configuration, limits } })
    }
    this.#fences = new RangeMap(sameFence, entries)
    for (let count = reader.number(); count > 0; count--) {
      const stream = Stream.decode(reader)
      this.#streams.set(stream.token, stream)
    }
    for (const applied of decodeOrigins(reader)) this.addOrigin(applied)
  }

  /** Of a client's numbers that can be cut no more the highest is enough. */
  #pruneOrigins(list: AppliedOrigin[]): void {
    const settled = list.findLastIndex(({ version }) => this.isSettled(version.token, version.sequence))
    const number = list[settled]?.origin.sequence
    if (number !== undefined) list.splice(0, list.findIndex(({ origin }) => origin.sequence === number))
  }

  #forgetStreams(): void {
    if (this.#streams.size <= streamsMax) return
    const oldest = [...this.#streams.values()].sort((a, b) => a.token - b.token).find((stream) => stream.settled >= stream.end && stream.end === stream.next - 1)
    if (oldest !== undefined) this.#streams.delete(oldest.token)
  }
}

export function encodeCuts(cuts: readonly Cut[]): Uint8Array {
  const writer = new RecordWriter().number(cuts.length)
  for (const { token, sequence } of cuts) writer.number(token).number(sequence)
  return writer.finish()
}

export function decodeCuts(bytes: Uint8Array): Cut[] {
  const reader = new RecordReader(bytes, 'the cuts of a fence')
  const cuts: Cut[] = []
  for (let count = reader.number(bytes.length); count > 0; count--) cuts.push({ token: reader.number(), sequence: reader.number() })
  return cuts
}

export function encodeOrigins(writer: RecordWriter, origins: readonly AppliedOrigin[]): RecordWriter {
  writer.number(origins.length)
  for (const { origin, version, start, blocks } of origins) {
    writer.text(origin.client).number(origin.sequence).number(version.token).number(version.sequence).number(start).number(blocks)
  }
  return writer
}

/** Throws CORRUPT. */
export function decodeOrigins(reader: RecordReader): AppliedOrigin[] {
  const origins: AppliedOrigin[] = []
  for (let count = reader.number(); count > 0; count--) {
    const origin = { client: reader.text(), sequence: reader.number() }
    const version = { token: reader.number(), sequence: reader.number() }
    const start = reader.number(segmentBlocks)
    origins.push({ origin, version, start, blocks: reader.number(segmentBlocks - start) })
  }
  return origins
}

/** Between two cuts nothing goes, past the last one everything up to the fence's own token. */
export function limitsOf({ token, cuts }: Pick<Fence, 'token' | 'cuts'>): StreamLimit[] {
  const sorted = [...cuts].filter((cut) => cut.token < token).sort((a, b) => a.token - b.token)
  const limits = sorted.map((cut) => ({ from: cut.token, to: cut.token + 1, sequence: cut.sequence }))
  const last = sorted.at(-1)
  if (last !== undefined && last.token + 1 < token) limits.push({ from: last.token + 1, to: token, sequence: 0 })
  return limits
}

function merged(before: readonly StreamLimit[], added: readonly StreamLimit[]): readonly StreamLimit[] {
  if (added.length === 0) return before
  const edges = [...new Set([...before, ...added].flatMap(({ from, to }) => [from, to]))].sort((a, b) => a - b)
  const limits: StreamLimit[] = []
  for (const [i, from] of edges.slice(0, -1).entries()) {
    const to = edges[i + 1] as number
    const sequences = [...before, ...added].filter((limit) => limit.from <= from && limit.to >= to).map(({ sequence }) => sequence)
    if (sequences.length === 0) continue
    const sequence = Math.min(...sequences)
    const last = limits.at(-1)
    if (last !== undefined && last.to === from && last.sequence === sequence && sequence === 0) limits[limits.length - 1] = { ...last, to }
    else limits.push({ from, to, sequence })
  }
  return limits.slice(-limitsMax)
}

function isPast(limits: readonly StreamLimit[], version: Version): boolean {
  return limits.some(({ from, to, sequence }) => version.token >= from && version.token < to && version.sequence > sequence)
}

function sameFence(a: FenceValue, b: FenceValue): boolean {
  return (
    a.token === b.token &&
    a.configuration === b.configuration &&
    a.limits.length === b.limits.length &&
    a.limits.every((limit, i) => {
      const other = b.limits[i]
      return limit.from === other?.from && limit.to === other.to && limit.sequence === other.sequence
    })
  )
}
