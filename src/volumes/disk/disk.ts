import type { AppendLog, Clock, KeyValue, Log } from '../../base/index.js'
import { messageOf } from '../../base/index.js'
import type { BlockRange } from '../geometry.js'
import { segmentBlocks } from '../geometry.js'
import type {
  AppendRefusal, AppliedOrigin, BlockData, BlockRun, Fence, LogEntry, ReplicaDisk, SegmentId, StreamEnd,
} from '../replica-types.js'
import { DiskError } from '../replica-types.js'
import { applyRow } from './apply.js'
import { readWhole, RecordWriter, viewOf } from './bytes.js'
import { Checkpoint, markKey } from './checkpoint.js'
import { Compaction, compactUntil } from './compaction.js'
import { checkEntry, checkRange, isCount, rowsOfCopy, rowsOfEntry } from './entries.js'
import { encodeCuts, encodeOrigins } from './head.js'
import type { Head } from './head.js'
import { contentCodes, isNewer, pageBlocks } from './page.js'
import { Reading } from './reading.js'
import { replay } from './replay.js'
import type { Row } from './rows.js'
import { decodeSegmentKey, emptyRow, fitsClient, rowBytes } from './rows.js'
import type { Segment } from './segments.js'
import { allPages, pagesOf, Segments, unframed } from './segments.js'
import { Units } from './units.js'
import { Witness } from './witness.js'
import { LogWriter } from './writer.js'
import type { DiskSettings } from './settings.js'
import { diskSettings } from './settings.js'

export interface ReplicaDiskComponents {
  /** The row `volume-log` of the store. */
  log: AppendLog
  /** The row `volumes` of the store. */
  meta: KeyValue
  clock: Clock
  journal: Log
  /** Called when the first entries are appended. */
  onUsed?: () => void
}

export interface ClosableReplicaDisk extends ReplicaDisk {
  /** Writes the index out, so that the next start has nothing to replay. What was not synced is synced. */
  close(): Promise<void>
  /** Gives back one unit of the log now, if one is worth it: what `run` does by itself. */
  compact(): Promise<boolean>
  /** Writes the index out: what happens by itself every so many bytes. */
  checkpoint(): Promise<void>
  /** Tells in the other database, durably, what was synced: what `run` does by itself. */
  witness(): Promise<void>
}

/** Opens what is there and replays what the index does not have yet. Throws CORRUPT and what the store throws. */
export async function createReplicaDisk(components: ReplicaDiskComponents, init: Partial<DiskSettings> = {}): Promise<ClosableReplicaDisk> {
  const settings = diskSettings(init)
  const { meta, log } = components
  const journal = components.journal.child('volumes')
  const units = new Units()
  const segments = new Segments({ meta, units }, settings)
  for await (const [key, value] of meta.slice('u').entries()) units.decode(readWhole(viewOf(key), 0), unframed(value, 'a unit').reader)
  const markValue = await meta.get(markKey)
  const mark = markValue === undefined ? 0 : Checkpoint.markOf(markValue)
  const at = { position: mark }
  const witness = new Witness({ log, meta })
  await witness.load()
  const checkpoint = new Checkpoint({ log, meta, segments, units, witness, position: () => at.position }, { mark })
  const found = await replay(
    {
      log, journal, segments, units, witness,
      onApplied: async (position) => {
        at.position = position
        if (segments.isFull) await checkpoint.run()
      },
    },
    mark,
  )
  // Places of rows that are lost are not used again: they would seem to be found at the next start.
  const lastPosition = Math.max(found.lastPosition, mark, witness.lastPosition, (units.last() + 1) * unitPositions - 1)
  for (const key of witness.missing(mark)) {
    const { id } = decodeSegmentKey(key)
    journal.error('writes that were synced are gone from the log of volumes: their segment has to be fetched again', { volume: id.volume, segment: id.segment })
    await markDamaged(segments, id)
  }
  const writer = new LogWriter(log, { lastPosition, previous: found.previous, unitBytesMax: settings.unitBytesMax })
  return new LogDisk({ ...components, journal, units, segments, checkpoint, witness, writer, at }, settings)
}

const unitPositions = 65_536

async function markDamaged(segments: Segments, id: SegmentId): Promise<void> {
  const segment = segments.get(id)
  segment.pins++
  try {
    await segments.load(segment, [])
    const head = segment.loaded
    head.isDamaged = true
    head.exists = true
    head.dirty = true
  } finally {
    segment.pins--
  }
}

interface LogDiskComponents extends ReplicaDiskComponents {
  units: Units
  segments: Segments
  checkpoint: Checkpoint
  witness: Witness
  writer: LogWriter
  at: { position: number }
}

interface TurnOptions {
  /** Nothing else begins on the segment before it has ended: for what changes streams and the head at once. */
  alone?: boolean
  evenDamaged?: boolean
}

type RowOf = Pick<Row, 'kind'> & Partial<Row>

/**
 * The disk of a replica over a log. A call checks what it may do and hands rows to the writer at one moment, without a
 * wait in between, so that calls take effect in the order they were made; what the rows do to the index happens when they
 * are written. Calls on a segment whose index is on its way from the disk wait in line.
 */
class LogDisk implements ClosableReplicaDisk {
  readonly #components: LogDiskComponents
  readonly #settings: DiskSettings
  readonly #compaction: Compaction
  readonly #reading: Reading
  #bytesSinceCheckpoint = 0
  /** The last entries of a client or of another replica, or the last read. */
  #usedAtMs = Number.NEGATIVE_INFINITY
  #compacting: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(components: LogDiskComponents, settings: DiskSettings) {
    this.#components = components
    this.#settings = settings
    const { log, meta, clock, journal, segments, units, checkpoint } = components
    this.#reading = new Reading({ log })
    this.#compaction = new Compaction(
      {
        log, meta, clock, journal, segments, units, checkpoint,
        mayWait: () => clock.monotonicMs() - this.#usedAtMs < busyMs && units.totalBytes < roomShare * units.liveBytes + roomBytes,
        write: async (segment, rows) => this.#write(segment, rows, { inSequence: false, freesSpace: true }),
      },
      settings,
    )
  }

  async append(id: SegmentId, entries: readonly LogEntry[], { fresh = false }: { fresh?: boolean } = {}): Promise<AppendRefusal | undefined> {
    for (const entry of entries) checkEntry(entry)
    const [first] = entries
    if (first === undefined) return undefined
    const pages = entries.length === 1 ? pagesOf(first) : [...new Set(entries.flatMap((entry) => [...pagesOf(entry)]))]
    const refusal = await this.#inTurn(id, pages, (segment, head) => this.#append(segment, head, entries, fresh))
    return refusal
  }

  async #append(segment: Segment, head: Head, entries: readonly LogEntry[], fresh: boolean): Promise<AppendRefusal | undefined> {
    const { rows, tokens, refusal } = this.#accept(head, entries, fresh)
    if (rows.length > 0) {
      if (this.#usedAtMs === Number.NEGATIVE_INFINITY) this.#components.onUsed?.()
      this.#usedAtMs = this.#components.clock.monotonicMs()
      await this.#write(segment, rows, {
        inSequence: true,
        freesSpace: rows.every((row) => row.content !== 'data'),
        failed: () => {
          for (const token of tokens) head.stream(token)?.failed()
        },
      })
    }
    return refusal
  }

  async sync(): Promise<void> {
    this.#checkOpen()
    await this.#components.witness.sync()
  }

  async fence(id: SegmentId, fence: Fence): Promise<readonly StreamEnd[] | AppendRefusal> {
    checkRange(fence)
    return this.#inTurn(id, fence.cuts.length > 0 ? pagesOf(fence) : [], async (segment, head) => {
      for (const { value } of head.fences.within(fence)) {
        if (value !== undefined && ((fence.token > 0 && fence.token < value.token) || fence.configuration < value.configuration)) {
          return { type: 'fenced', token: value.token, configuration: value.configuration }
        }
      }
      const { start, blocks, token, configuration } = fence
      // In force at once for what is appended behind it; and if it cannot be written, nothing is lost by refusing more.
      head.raise(fence)
      await this.#note(segment, { kind: 'fence', start, blocks, token, configuration, bytes: encodeCuts(fence.cuts) })
      await this.sync()
      const ends: StreamEnd[] = []
      for (const stream of segment.loaded.streams()) {
        const sequence = stream.token < token ? segment.loaded.endWithin(fence, stream) : 0
        if (sequence > 0) ends.push({ token: stream.token, sequence })
      }
      return ends.sort((a, b) => a.token - b.token)
    })
  }

  async read(id: SegmentId, range: BlockRange): Promise<BlockData[]> {
    checkRange(range)
    this.#usedAtMs = this.#components.clock.monotonicMs()
    return this.#withPages(id, pagesOf(range), async (segment) => this.#reading.read(segment, range))
  }

  readNow(id: SegmentId, range: BlockRange): BlockData[] | undefined {
    checkRange(range)
    if (this.#isClosed) return undefined
    const { segments, clock } = this.#components
    const segment = segments.get(id)
    if (segment.head === undefined || segment.head.isDamaged || !segments.isReady(segment, pagesOf(range))) return undefined
    this.#usedAtMs = clock.monotonicMs()
    return this.#reading.readNow(segment, range)
  }

  async versions(id: SegmentId, range: BlockRange): Promise<BlockRun[]> {
    checkRange(range)
    return this.#withPages(id, pagesOf(range), (segment) => Promise.resolve(this.#reading.versions(segment, range)))
  }

  async install(id: SegmentId, blocks: readonly BlockData[], { replace = false }: { replace?: boolean } = {}): Promise<void> {
    for (const data of blocks) if (data.version !== undefined && data.content !== 'unknown') checkEntry({ ...data, ...data.version, content: data.content, configuration: 0 })
    const pages = [...new Set(blocks.flatMap((data) => pagesOf(data)))]
    if (pages.length === 0) return
    await this.#inTurn(id, pages, async (segment, head) => {
      const rows = blocks.flatMap((data) => acceptedCopies(segment, head, data, replace))
      // Batches of a bounded size: a whole segment may come at once.
      const writes: Promise<void>[] = []
      for (let at = 0; at < rows.length; at += installRowsMax) {
        const some = rows.slice(at, at + installRowsMax)
        writes.push(this.#write(segment, some, { inSequence: false, freesSpace: some.every((row) => row.content !== 'data') }))
      }
      await Promise.all(writes)
    })
  }

  async settled(id: SegmentId, token: number, sequence: number): Promise<void> {
    await this.#inTurn(id, [], (segment, head) => {
      const stream = head.stream(token)
      if (stream?.settle(sequence) === true) {
        head.dirty = true
        segment.settledSincePrune++
        // Looking at all shadowed blocks at every call would make many small flushes slow; what is left is looked at later.
        if (segment.settledSincePrune * shadowedPerSettle >= segment.shadowed) segment.pruneAll()
      }
      return Promise.resolve()
    })
  }

  async unsettled(id: SegmentId): Promise<readonly StreamEnd[]> {
    return this.#withPages(id, [], ({ loaded }) => Promise.resolve([...loaded.streams()].filter((stream) => stream.settled < stream.end).map(({ token, end }) => ({ token, sequence: end }))))
  }

  async adopt(id: SegmentId, token: number, sequence: number, { complete = false }: { complete?: boolean } = {}): Promise<void> {
    if (!isCount(token) || !Number.isSafeInteger(sequence) || sequence < 0) throw new DiskError('BAD_INPUT', 'this is no place in a stream', { token, sequence })
    await this.#inTurn(id, [], async (segment, head) => {
      if ((head.stream(token)?.next ?? 1) > sequence) return
      await this.#note(segment, { kind: complete ? 'complete' : 'adopt', token, sequence })
      await this.sync()
    }, { alone: true })
  }

  async discard(id: SegmentId, token: number, after: number): Promise<void> {
    await this.#inTurn(id, allPages, async (segment, head) => {
      const stream = head.stream(token)
      if (stream === undefined || stream.next - 1 <= after) return
      // What is under way of it is written before this row.
      await this.#note(segment, { kind: 'discard', token, sequence: after })
      await this.sync()
    }, { alone: true })
  }

  async entries(id: SegmentId, token: number, after: number, bytesMax: number): Promise<LogEntry[]> {
    return this.#withPages(id, [], async (segment) => this.#reading.entries(segment, token, after, bytesMax))
  }

  streamEnd(id: SegmentId, token: number): number | Promise<number> {
    const segment = this.#components.segments.get(id)
    if (segment.head !== undefined && !segment.head.isDamaged) return segment.head.stream(token)?.end ?? 0
    return this.#withPages(id, [], (loaded) => Promise.resolve(loaded.loaded.stream(token)?.end ?? 0))
  }

  applied(id: SegmentId, client: string): number | Promise<number> {
    const segment = this.#components.segments.get(id)
    if (segment.head !== undefined && !segment.head.isDamaged) return segment.head.applied(client)
    return this.#withPages(id, [], (loaded) => Promise.resolve(loaded.loaded.applied(client)))
  }

  async origins(id: SegmentId): Promise<AppliedOrigin[]> {
    return this.#withPages(id, [], (segment) => Promise.resolve(segment.loaded.origins()))
  }

  async installOrigins(id: SegmentId, origins: readonly AppliedOrigin[]): Promise<void> {
    for (const applied of origins) {
      checkRange(applied)
      if (!fitsClient(applied.origin.client) || !isCount(applied.origin.sequence)) throw new DiskError('BAD_INPUT', 'this is no origin of a write', {})
    }
    if (origins.length === 0) return
    await this.#inTurn(id, [], async (segment) => this.#note(segment, { kind: 'origins', bytes: encodeOrigins(new RecordWriter(), origins).finish() }))
  }

  async forget(id: SegmentId, range: BlockRange): Promise<void> {
    checkRange(range)
    await this.#inTurn(id, pagesOf(range), async (segment) => this.#note(segment, { kind: 'forget', start: range.start, blocks: range.blocks }))
  }

  async setWhole(id: SegmentId, whole: boolean): Promise<void> {
    await this.#inTurn(id, allPages, async (segment, head) => {
      // What is damaged and not to count is of no use to anybody: it begins anew, and can be fetched from others.
      if (head.isDamaged) await this.#note(segment, { kind: 'drop' })
      else if (!whole || !head.whole) await this.#note(segment, { kind: 'whole', sequence: whole ? 1 : 0 })
      await this.sync()
    }, { alone: true, evenDamaged: !whole })
  }

  isWhole(id: SegmentId): boolean | Promise<boolean> {
    const segment = this.#components.segments.get(id)
    if (segment.head !== undefined && !segment.head.isDamaged) return segment.head.whole
    return this.#withPages(id, [], (loaded) => Promise.resolve(loaded.loaded.whole))
  }

  segments(volume?: string): AsyncIterable<SegmentId> {
    return this.#components.segments.ids(volume)
  }

  async drop(id: SegmentId): Promise<void> {
    await this.#inTurn(
      id,
      allPages,
      async (segment, head) => {
        if (head.exists) await this.#note(segment, { kind: 'drop' })
        await this.sync()
      },
      { alone: true, evenDamaged: true },
    )
  }

  usage(): Promise<{ contentBytes: number; diskBytes: number }> {
    const { units } = this.#components
    return Promise.resolve({ contentBytes: units.liveBytes, diskBytes: units.totalBytes })
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, journal } = this.#components
    const work = {
      step: async (stop?: AbortSignal): Promise<boolean> => {
        if (this.#bytesSinceCheckpoint >= this.#settings.quietCheckpointBytes) await this.checkpoint()
        return this.#compactOne(stop)
      },
    }
    await Promise.all([compactUntil(work, { clock, journal, pauseMs: this.#settings.pauseMs }, signal), this.#tellUntil(signal)])
  }

  async #tellUntil(signal: AbortSignal): Promise<void> {
    const { clock, journal, witness } = this.#components
    for (;;) {
      const isOver = await clock.sleep(this.#settings.witnessEveryMs, signal).then(() => false, () => true)
      if (isOver) return
      await witness.tell().catch((error: unknown) => { journal.warn('what was synced of volumes could not be told in its second place; it will be tried again', { reason: messageOf(error) }) })
    }
  }

  async compact(): Promise<boolean> {
    return this.#compactOne()
  }

  async witness(): Promise<void> {
    await this.#components.witness.tell()
  }

  async checkpoint(): Promise<void> {
    this.#bytesSinceCheckpoint = 0
    await this.#components.checkpoint.run()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const { writer, checkpoint, journal } = this.#components
    await this.#compacting.catch(() => undefined)
    await writer.close()
    try {
      // Twice: the one that is running may have begun before the last write.
      if (checkpoint.isRunning) await checkpoint.run().catch(() => undefined)
      await checkpoint.run()
    } catch (error) {
      journal.warn('the index of volumes could not be written out: the next start replays the log', { reason: messageOf(error) })
    }
  }

  /** One at a time, whoever asks. */
  async #compactOne(signal?: AbortSignal): Promise<boolean> {
    this.#checkOpen()
    const step = this.#compacting.then(async () => {
      await this.#prune(signal)
      return this.#compaction.step(signal)
    })
    this.#compacting = step.catch(() => undefined)
    return step
  }

  /**
   * Lets go of what lies under settled versions: before that nothing of it counts as garbage. A trim and one flush settle
   * more at once than the flush itself looks at.
   */
  async #prune(signal?: AbortSignal): Promise<void> {
    const { segments, clock } = this.#components
    let looked = 0
    for (const segment of [...segments.inMemory()]) {
      if (segment.head === undefined || segment.settledSincePrune === 0) continue
      looked += segment.shadowed
      segment.pruneAll()
      if (looked < prunedAtOnce) continue
      looked = 0
      await clock.sleep(1, signal)
    }
  }

  /** What of the entries can be taken now, in order; stream numbers are taken with it. */
  #accept(head: Head, entries: readonly LogEntry[], fresh: boolean): { rows: Row[]; tokens: Set<number>; refusal: AppendRefusal | undefined } {
    const rows: Row[] = []
    const tokens = new Set<number>()
    if (head.unsettledCount() + entries.length > this.#settings.unsettledMax) {
      throw new DiskError('BEHIND', 'too many writes of a segment are not on all its replicas', { unsettledMax: this.#settings.unsettledMax })
    }
    for (const entry of entries) {
      const fence = head.refusal(entry, entry.token, entry.configuration)
      if (fence !== undefined) return { rows, tokens, refusal: { type: 'fenced', token: fence.token, configuration: fence.configuration } }
      const stream = head.openStream(entry.token)
      if (entry.sequence < stream.next && !fresh) continue
      if (entry.sequence !== stream.next) return { rows, tokens, refusal: { type: 'gap', next: stream.next } }
      stream.next++
      tokens.add(entry.token)
      for (const row of rowsOfEntry(entry)) rows.push(row)
    }
    return { rows, tokens, refusal: undefined }
  }

  /** One row without blocks' bytes: taken although the store is full, since much of it is what frees space. */
  async #note(segment: Segment, row: RowOf): Promise<void> {
    await this.#write(segment, [{ ...emptyRow, ...row }], { inSequence: false, freesSpace: true })
  }

  async #write(segment: Segment, rows: readonly Row[], options: { inSequence: boolean; freesSpace: boolean; failed?: () => void }): Promise<void> {
    if (rows.length === 0) return
    const { writer, units, witness, at } = this.#components
    let bytes = 0
    for (const row of rows) bytes += rowBytes(row)
    await writer.write({
      segment: segment.key, rows, inSequence: options.inSequence, freesSpace: options.freesSpace,
      apply: (first) => {
        let position = first
        for (const row of rows) {
          units.written(position, rowBytes(row), segment.key)
          applyRow(segment, row, position++)
        }
        at.position = position - 1
        witness.written(segment.key, at.position)
      },
      failed: () => {
        options.failed?.()
      },
    })
    this.#bytesSinceCheckpoint += bytes
    if (this.#bytesSinceCheckpoint < this.#settings.checkpointBytes || this.#components.checkpoint.isRunning) return
    this.checkpoint().catch((error: unknown) => {
      this.#components.journal.warn('the index of volumes could not be written out; it will be tried again', { reason: messageOf(error) })
    })
  }

  /** Calls `work` when all calls before it on this segment have been called, with head and pages in memory until it ends. */
  async #inTurn<T>(
    id: SegmentId,
    pages: readonly number[],
    work: (segment: Segment, head: Head) => Promise<T>,
    { alone = false, evenDamaged = false }: TurnOptions = {},
  ): Promise<T> {
    this.#checkOpen()
    const { segments, writer } = this.#components
    const segment = segments.get(id)
    const begin = (): Promise<T> => {
      const head = segment.loaded
      if (head.isDamaged && !evenDamaged) throw damagedSegment(id)
      return work(segment, head)
    }
    segment.pins++
    try {
      const mayBegin = !alone && segment.turn === undefined && segments.isReady(segment, pages) && writer.queuedBytes < this.#settings.queuedBytesMax
      if (mayBegin) return await begin()
      const before = segment.turn
      const begun = (async () => {
        await before?.catch(() => undefined)
        await this.#load(segment, pages)
        while (writer.queuedBytes >= this.#settings.queuedBytesMax) await writer.oneWritten()
        const done = begin()
        if (alone) await done
        // In an object: whoever comes next waits for the beginning only.
        return { done }
      })()
      segment.turn = begun
      void begun.catch(() => undefined).finally(() => {
        if (segment.turn === begun) segment.turn = undefined
      })
      const { done } = await begun
      return await done
    } finally {
      segment.pins--
    }
  }

  /** Out of turn: what is there now. */
  async #withPages<T>(id: SegmentId, pages: readonly number[], work: (segment: Segment) => Promise<T>): Promise<T> {
    this.#checkOpen()
    const { segments } = this.#components
    const segment = segments.get(id)
    segment.pins++
    try {
      if (!segments.isReady(segment, pages)) await this.#load(segment, pages)
      if (segment.loaded.isDamaged) throw damagedSegment(id)
      return await work(segment)
    } finally {
      segment.pins--
    }
  }

  async #load(segment: Segment, pages: readonly number[]): Promise<void> {
    const { segments } = this.#components
    if (segments.isFull) segments.evict()
    // All that is in memory is newer than what is on disk.
    if (segments.isFull) await this.checkpoint()
    await segments.load(segment, pages)
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new DiskError('CLOSED', 'the disk of volumes is closed')
  }
}

/** Who reads or writes every now and then is not in anybody's way. */
const busyMs = 500
/** As much as there would be if every unit had all the garbage that it may keep, and a few seconds' worth of writing more. */
const roomShare = 1.5
const roomBytes = 256 * 1024 * 1024
/** 4 MiB in one write at most. */
const installRowsMax = 64
/** Blocks looked at before others have a turn: a few milliseconds. */
const prunedAtOnce = 16_384
/** Blocks that a call of `settled` may look at. */
const shadowedPerSettle = 64

function damagedSegment(id: SegmentId): DiskError {
  return new DiskError('CORRUPT', 'what the disk has of a segment is damaged: it has to be dropped and fetched again', {
    volume: id.volume, segment: id.segment, start: 0, blocks: segmentBlocks,
  })
}

/** The blocks of a copy that are newer than what is here, or all of them that no cut forbids. */
function acceptedCopies(segment: Segment, head: Head, data: BlockData, replace: boolean): Row[] {
  const { version, content } = data
  if (version === undefined || content === 'unknown') return []
  const isWanted = (block: number): boolean => {
    const page = segment.page(Math.floor(block / pageBlocks))
    const here = page.newest(block % pageBlocks)
    if (head.isCut(block, version)) return false
    if (replace || here === undefined || (here.info & 7) === contentCodes.unknown || isNewer(version, here)) return true
    return page.isDamaged(block % pageBlocks) && here.token === version.token && here.sequence === version.sequence
  }
  const rows: Row[] = []
  const end = data.start + data.blocks
  for (let block = data.start; block < end; ) {
    const start = block
    const wanted = isWanted(block)
    while (block < end && isWanted(block) === wanted) block++
    if (!wanted) continue
    const copied = rowsOfCopy(data, content, version.token, version.sequence, { start, blocks: block - start })
    for (const row of copied) rows.push(replace ? { ...row, kind: 'replace' } : row)
  }
  return rows
}

