import type { AppendLog, Clock, KeyValue, Log } from '../../base/index.js'
import { messageOf } from '../../base/index.js'
import { blockBytes } from '../geometry.js'
import { pageBlocks } from './page.js'
import type { Checkpoint } from './checkpoint.js'
import { unitOperations } from './checkpoint.js'
import type { Row, StoredRow } from './rows.js'
import { decodeRow, decodeRowKey, decodeSegmentKey, emptyRow, positionKey, rowBytes, rowsPerUnitMax, unitOf } from './rows.js'
import type { Segment, Segments } from './segments.js'
import { pagesOf } from './segments.js'
import type { Units } from './units.js'

export interface CompactionComponents {
  log: AppendLog
  meta: KeyValue
  clock: Clock
  journal: Log
  segments: Segments
  units: Units
  checkpoint: Checkpoint
  /** Somebody writes, and there is room to wait for a quieter time. */
  mayWait: () => boolean
  /** Writes rows of one segment and applies them. */
  write: (segment: Segment, rows: readonly Row[]) => Promise<void>
}

export interface CompactionInit {
  /** Share of a unit that nobody needs from which on it is given back. */
  garbageShareMin: number
  /** Bytes read and written per second. */
  bytesPerSecond: number
}

/** A unit that could not be given back is looked at again after this: what held it is settled by then, or damaged for good. */
const lookAgainMs = 60_000
/**
 * Units of which nothing is needed are given back this often, all that there are together: each time LevelDB writes its
 * buffer out twice, and writers wait for that.
 */
const deadEveryMs = 1_000
/** Given back in one step: their keys are in memory meanwhile. */
const deadAtOnce = 8
/** While clients write, and there is room, it goes on at this share of its rate: the disk and two processors are theirs. */
const shareBesideClients = 1 / 4
/** What is needed of a unit is written again in pieces of this, and writers come in between. */
const pieceBytes = 256 * 1024

/**
 * Gives back units of the log of which little is needed: what is needed is written once more at the end of the log, as the
 * same versions, and when that is synced the whole unit is erased. Units are runs of the log, so that LevelDB drops whole
 * files and rewrites nothing.
 *
 * Needed is: a row that a page names, be it only as what a cut might bring back; and an entry that is not settled, which a
 * replica may ask for as it was. A unit with one of the latter waits. Where the counts say that nothing is, as behind who
 * writes in order over what was there, the unit goes unread: reading it cost as much as a third of writing it. The counts
 * of units.ts say whether all was found: a unit is not erased while a page needs anything of it, whatever the reason.
 */
export class Compaction {
  readonly #components: CompactionComponents
  readonly #init: CompactionInit
  /** Unit → when to look again. */
  readonly #waiting = new Map<number, number>()
  #deadAtMs = Number.NEGATIVE_INFINITY

  constructor(components: CompactionComponents, init: CompactionInit) {
    this.#components = components
    this.#init = init
  }

  /** Gives back one unit, or all that are dead. False if there is none that is worth it. */
  async step(signal?: AbortSignal): Promise<boolean> {
    const { units, checkpoint, clock, journal } = this.#components
    const nowMs = clock.monotonicMs()
    for (const [unit, atMs] of this.#waiting) if (atMs <= nowMs) this.#waiting.delete(unit)
    const before = unitOf(checkpoint.mark)
    const dead = await this.#unneeded(before)
    if (dead.length > 0 && (signal === undefined || nowMs - this.#deadAtMs >= deadEveryMs)) {
      await this.#giveBackDead(dead)
      this.#deadAtMs = clock.monotonicMs()
      return true
    }
    const isLeft = new Set(dead)
    const unit = units.worst(before, this.#init.garbageShareMin, (number) => this.#waiting.has(number) || isLeft.has(number))
    if (unit === undefined) return false
    let isDone = false
    try {
      isDone = await this.#giveBack(unit, signal)
    } finally {
      // One that fails must not keep the others from their turn.
      if (!isDone) this.#waiting.set(unit, clock.monotonicMs() + lookAgainMs)
    }
    if (!isDone) {
      journal.debug('a unit of the log of volumes is still needed', { unit })
    }
    return true
  }

  /** Dead units without an entry that a replica may ask for. Of the others, and of those from before a start, a look at their rows tells. */
  async #unneeded(before: number): Promise<number[]> {
    const { segments, units } = this.#components
    const unneeded: number[] = []
    for (const { number, segments: keys } of units.dead(before)) {
      let isAsked = false
      for (const key of keys) {
        const segment = segments.get(decodeSegmentKey(key).id)
        segment.pins++
        try {
          await segments.load(segment, [])
          isAsked ||= segment.loaded.oldestPosition() < (number + 1) * rowsPerUnitMax
        } finally {
          segment.pins--
        }
      }
      // A page may have taken up something of it meanwhile.
      if (!isAsked && units.live(number) === 0) unneeded.push(number)
    }
    return unneeded
  }

  /** In runs of neighbours. */
  async #giveBackDead(dead: readonly number[]): Promise<void> {
    const { log, meta, units } = this.#components
    // What took the place of their rows is in the log, and is replayed if the pages on disk do not have it yet.
    await log.sync()
    // The first of them was looked at some turns ago.
    const numbers = dead.filter((number) => units.live(number) === 0)
    for (let i = 0; i < numbers.length; ) {
      const first = numbers[i] ?? 0
      let count = 1
      while (count < deadAtOnce && numbers[i + count] === first + count) count++
      const run = numbers.slice(i, i + count)
      i += count
      await log.erase(positionKey(first * rowsPerUnitMax), positionKey((first + count) * rowsPerUnitMax))
      for (const number of run) units.delete(number)
      await meta.write(unitOperations(meta, units, run), { durable: true })
    }
  }

  async #giveBack(unit: number, signal: AbortSignal | undefined): Promise<boolean> {
    const { log, meta, units } = this.#components
    const [from, to] = [positionKey(unit * rowsPerUnitMax), positionKey((unit + 1) * rowsPerUnitMax)]
    let bytes = 0
    for await (const [key, value] of log.entries({ gte: from, lt: to })) {
      signal?.throwIfAborted()
      const at = decodeRowKey(key)
      if (at === undefined) return false
      const row = readable(key, value)
      const moved = row === undefined ? 0 : await this.#keep(at.position, this.#components.segments.get(at.id), row)
      if (moved === undefined) return false
      bytes += value.length + moved
      if (bytes >= pieceBytes) {
        await this.#rest(bytes, signal)
        bytes = 0
      }
    }
    if (units.live(unit) > 0) return false
    await log.sync()
    await log.erase(from, to)
    units.delete(unit)
    await meta.write(unitOperations(meta, units, [unit]), { durable: true })
    return true
  }

  /** Bytes written again, or undefined if the row has to stay where it is. */
  async #keep(position: number, segment: Segment, row: StoredRow): Promise<number | undefined> {
    const { segments, write } = this.#components
    segment.pins++
    try {
      await segments.load(segment, row.content === 'data' ? pagesOf(row) : [])
      const head = segment.loaded
      if (row.kind === 'write' && head.stream(row.token)?.positionOf(row.sequence) === position - row.part) return undefined
      if (row.content !== 'data') return 0
      const runs = neededRuns(segment, position, row)
      if (runs.length === 0) return 0
      if (!row.intact) return undefined
      await write(segment, runs)
      return runs.reduce((sum, run) => sum + rowBytes(run), 0)
    } finally {
      segment.pins--
    }
  }

  async #rest(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, mayWait } = this.#components
    const perSecond = this.#init.bytesPerSecond * (mayWait() ? shareBesideClients : 1)
    await clock.sleep((bytes / perSecond) * 1000, signal)
  }
}

/** The blocks of the row that pages need, as rows of their own. */
function neededRuns(segment: Segment, position: number, row: StoredRow): Row[] {
  for (const number of pagesOf(row)) segment.prune(segment.page(number))
  const isNeeded = (block: number): boolean => segment.page(Math.floor(block / pageBlocks)).isAt(block % pageBlocks, position)
  const runs: Row[] = []
  for (let block = row.start; block < row.start + row.blocks; ) {
    if (!isNeeded(block)) {
      block++
      continue
    }
    const start = block
    while (block < row.start + row.blocks && isNeeded(block)) block++
    const bytes = row.bytes.subarray((start - row.start) * blockBytes, (block - row.start) * blockBytes)
    runs.push({ ...emptyRow, kind: 'carry', content: 'data', token: row.token, sequence: row.sequence, start, blocks: block - start, bytes })
  }
  return runs
}

function readable(key: Uint8Array, value: Uint8Array): StoredRow | undefined {
  try {
    return decodeRow(key, value)
  } catch {
    // Its header is damaged: if a page needs it, the count says so.
    return undefined
  }
}

/** `step` says whether there was something to do. */
export async function compactUntil(compaction: { step: (signal: AbortSignal) => Promise<boolean> }, { clock, journal, pauseMs }: { clock: Clock; journal: Log; pauseMs: number }, signal: AbortSignal): Promise<void> {
  const isOver = (): boolean => signal.aborted
  while (!isOver()) {
    try {
      if (await compaction.step(signal)) continue
    } catch (error) {
      if (isOver()) return
      journal.warn('giving back space of volumes failed; it will be tried again', { reason: messageOf(error) })
    }
    await clock.sleep(pauseMs, signal).catch(() => undefined)
  }
}
