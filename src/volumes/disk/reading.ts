import type { AppendLog } from '../../base/index.js'
import { blockBytes } from '../geometry.js'
import type { BlockRange } from '../geometry.js'
import type { BlockData, BlockRun, Content, LogEntry, Version } from '../replica-types.js'
import { DiskError } from '../replica-types.js'
import { entryOfRows } from './entries.js'
import { contentCodes, pageBlocks } from './page.js'
import type { StoredRow } from './rows.js'
import { decodeRow, rowKey } from './rows.js'
import type { Segment } from './segments.js'

/** A row may be moved between the look into the index and the read; more often than this in one read it is not there. */
const looksMax = 4
/** Entries looked up at once; fewer where they are long, since each is read with its first 64 KiB. */
const entriesAtOnceMax = 64
const none = new Uint8Array(0)

interface Run extends BlockRun {
  /** Of the row that has the bytes, and blocks before the run in it. */
  readonly position: number
  readonly skip: number
}

export class Reading {
  readonly #log: AppendLog

  constructor(components: { log: AppendLog }) {
    this.#log = components.log
  }

  /** Throws CORRUPT. The pages of the range are in memory. */
  async read(segment: Segment, range: BlockRange): Promise<BlockData[]> {
    for (let look = 1; ; look++) {
      const runs = runsOf(segment, range)
      const positions = [...new Set(runs.filter(hasBytes).map((run) => run.position))]
      const rows = await this.#rows(segment, positions)
      if (look < looksMax && positions.some((position) => !rows.has(position))) continue
      return runs.map((run) => (hasBytes(run) ? dataOf(segment, run, rows.get(run.position)) : plain(run, none)))
    }
  }

  /** What `read` would answer, if all of it is in memory and intact; nobody else has had a turn when this returns. */
  readNow(segment: Segment, range: BlockRange): BlockData[] | undefined {
    const found: BlockData[] = []
    let row: StoredRow | undefined
    let position = -1
    for (const run of runsOf(segment, range)) {
      if (!hasBytes(run)) {
        found.push(plain(run, none))
        continue
      }
      if (run.position !== position) {
        const key = rowKey((position = run.position), segment.key)
        const value = this.#log.now(key)
        row = value === undefined ? undefined : rowOf(key, value)
      }
      if (row === undefined || !isRight(run, row)) return undefined
      found.push(plain(run, bytesOf(run, row)))
    }
    return found
  }

  versions(segment: Segment, range: BlockRange): BlockRun[] {
    const merged: BlockRun[] = []
    for (const run of runsOf(segment, range)) {
      const last = merged.at(-1)
      if (last?.content === run.content && last.version?.token === run.version?.token && last.version?.sequence === run.version?.sequence) {
        merged[merged.length - 1] = { ...last, blocks: last.blocks + run.blocks }
      } else merged.push({ start: run.start, blocks: run.blocks, version: run.version, content: run.content })
    }
    return merged
  }

  /** Throws COMPACTED, CORRUPT. */
  async entries(segment: Segment, token: number, after: number, bytesMax: number): Promise<LogEntry[]> {
    const stream = segment.loaded.stream(token)
    const found: LogEntry[] = []
    let bytes = 0
    // How long they are is not known before one was read.
    let atOnce = 1
    for (let sequence = after + 1; stream !== undefined && sequence <= stream.end; ) {
      const last = Math.min(stream.end, sequence + atOnce - 1)
      const wanted: number[] = []
      for (; sequence <= last; sequence++) {
        const position = stream.positionOf(sequence)
        if (position === undefined) throw compacted(token, sequence)
        wanted.push(position)
      }
      const firsts = await this.#rows(segment, wanted)
      for (const [i, position] of wanted.entries()) {
        const number = last - wanted.length + 1 + i
        const entry = await this.#entry(segment, position, firsts.get(position), token, number)
        if (segment.loaded.isCutWithin(entry, entry)) return found
        if (found.length > 0 && bytes + entry.bytes.length > bytesMax) return found
        bytes += entry.bytes.length
        found.push(entry)
      }
      if (bytes >= bytesMax) break
      atOnce = Math.max(1, Math.min(entriesAtOnceMax, Math.floor(((bytesMax - bytes) * found.length) / Math.max(1, bytes))))
    }
    return found
  }

  async #entry(segment: Segment, position: number, first: StoredRow | undefined, token: number, sequence: number): Promise<LogEntry> {
    if (first === undefined) {
      // Settled and compacted since, or lost.
      if (segment.loaded.isSettled(token, sequence)) throw compacted(token, sequence)
      throw corrupt(segment, { start: 0, blocks: 0 }, { token, sequence })
    }
    const others = Array.from({ length: first.parts - 1 }, (_, i) => position + 1 + i)
    const rows = others.length === 0 ? undefined : await this.#rows(segment, others)
    const parts = [first, ...others.map((at) => rows?.get(at))]
    const intact = parts.filter((row) => row !== undefined).filter((row) => row.intact)
    const entry = intact.length === parts.length ? entryOfRows(intact) : undefined
    if (entry?.token !== token || entry.sequence !== sequence) throw corrupt(segment, { start: first.entryStart, blocks: first.entryBlocks }, { token, sequence })
    return entry
  }

  /** By position; those that are not there are left out, and so are those whose header is damaged. */
  async #rows(segment: Segment, positions: readonly number[]): Promise<Map<number, StoredRow>> {
    const rows = new Map<number, StoredRow>()
    const keys = positions.map((position) => rowKey(position, segment.key))
    const values = keys.map((key) => this.#log.now(key))
    const absent = keys.filter((_, i) => values[i] === undefined)
    if (absent.length > 0) {
      const late = await this.#log.getMany(absent)
      for (let i = 0, at = 0; i < keys.length; i++) if (values[i] === undefined) values[i] = late[at++]
    }
    for (const [i, position] of positions.entries()) {
      const [key, value] = [keys[i], values[i]]
      if (key === undefined || value === undefined) continue
      const row = rowOf(key, value)
      if (row !== undefined) rows.set(position, row)
    }
    return rows
  }
}

function hasBytes(run: Run): boolean {
  return run.content === 'data'
}

function plain({ start, blocks, version, content }: Run, bytes: Uint8Array): BlockData {
  return { start, blocks, version, content, bytes }
}

/** Undefined if its header is damaged. */
function rowOf(key: Uint8Array, value: Uint8Array): StoredRow | undefined {
  try {
    return decodeRow(key, value)
  } catch (error) {
    if (error instanceof DiskError) return undefined
    throw error
  }
}

/** Whether the row has what the index says of the run. */
function isRight(run: Run, row: StoredRow): boolean {
  return row.intact && row.token === run.version?.token && row.sequence === run.version.sequence &&
    row.start + run.skip === run.start && run.skip + run.blocks <= row.blocks && row.content === 'data'
}

function bytesOf(run: Run, row: StoredRow): Uint8Array {
  return row.bytes.subarray(run.skip * blockBytes, (run.skip + run.blocks) * blockBytes)
}

function dataOf(segment: Segment, run: Run, row: StoredRow | undefined): BlockData {
  if (row === undefined || !isRight(run, row)) {
    for (let block = run.start; block < run.start + run.blocks; block++) {
      segment.pages[Math.floor(block / pageBlocks)]?.markDamaged(block % pageBlocks, run.position)
    }
    throw corrupt(segment, run, run.version)
  }
  return plain(run, bytesOf(run, row))
}

/** Blocks of the range that stand side by side in one row, or are the same kind of nothing. */
function runsOf(segment: Segment, range: BlockRange): Run[] {
  const runs: Run[] = []
  const { whole } = segment.loaded
  const end = range.start + range.blocks
  for (let block = range.start; block < end; ) {
    const page = segment.page(Math.floor(block / pageBlocks))
    const from = block % pageBlocks
    let to = from + 1
    const last = Math.min(pageBlocks, from + end - block)
    while (to < last && page.continues(to)) to++
    const first = page.newest(from)
    const code = first === undefined ? contentCodes.none : first.info & 7
    const isKnown = first !== undefined && code !== contentCodes.unknown
    const version: Version | undefined = isKnown ? { token: first.token, sequence: first.sequence } : undefined
    const content: Content | 'unknown' = isKnown ? (page.content(from) ?? 'unknown') : code === contentCodes.none && whole ? 'hole' : 'unknown'
    runs.push({ start: block, blocks: to - from, version, content, position: first?.position ?? 0, skip: first?.skip ?? 0 })
    block += to - from
  }
  return runs
}

function compacted(token: number, sequence: number): DiskError {
  return new DiskError('COMPACTED', 'the entries asked for are settled, and gone', { token, sequence })
}

function corrupt(segment: Segment, { start, blocks }: BlockRange, version: Version | undefined): DiskError {
  return new DiskError('CORRUPT', 'blocks of a volume are damaged on this disk', {
    volume: segment.id.volume, segment: segment.id.segment, start, blocks, token: version?.token ?? 0, sequence: version?.sequence ?? 0,
  })
}
