import type { Cancel, Clock, Log } from '../base/index.js'
import { messageOf } from '../base/index.js'
import type { BlockLog } from './block-log.js'
import { joined, sequenceKey } from './bytes.js'
import type { Database } from './database.js'
import type { Footprint } from './footprint.js'
import { within } from './recovery.js'
import type { Garbage } from './records.js'
import { garbageOrNone } from './records.js'
import type { Transactions } from './transactions.js'
import { rows } from './transactions.js'
import type { BackgroundStatus } from './types.js'
import { StoreError } from './types.js'

export interface ReclaimerComponents {
  clock: Clock
  log: Log
  meta: Database
  blockLog: BlockLog
  transactions: Transactions
  footprint: Footprint
}

export interface ReclaimerInit {
  /** Quiet time after the last append or read before the background work does anything. */
  quietMs: number
  /** Garbage makes up at least this share of a range before the background work compacts it. */
  garbageShareMin: number
  /** Bytes the background work may move per second. */
  movedBytesPerSecond: number
  /** The files of one unit of work, roughly. */
  unitBytesMax: number
}

/** Rows of garbage in one unit: bounds the batch of tombstones, and what a crash makes the next start do again. */
const unitRowsMax = 4096
/** Buffered blocks below this are not worth a table of their own when the store falls quiet. */
const flushBytesMin = 4 * 1024 * 1024
/** Mapped pages below this are not worth opening the database anew when the store falls quiet. */
const unmapBytesMin = 16 * 1024 * 1024

interface Unit {
  garbage: Garbage[]
  /** Bytes in files of the whole range, what lives in it included. */
  spanBytes: number
}

/**
 * Gives the space of deleted blocks back, one unit at a time: a narrow range of the log with its garbage. The garbage is
 * erased, the range compacted, and when that is done and durable its rows go; dying in between means doing it again.
 *
 * In the background only when nobody has used the log for a moment, not faster than `movedBytesPerSecond`, and only where
 * garbage is a fair share of what has to be moved; `reclaim` does all of it, now. When the store falls quiet, buffered
 * blocks are written out and read pages unmapped as well, so that an idle node is small.
 */
export class Reclaimer {
  readonly #components: ReclaimerComponents
  readonly #init: ReclaimerInit
  #paused = false
  #stopped = false
  #cancel: Cancel | undefined
  #working: Promise<void> | undefined
  /** One unit at a time, whoever asks. */
  #turn: Promise<unknown> = Promise.resolve()
  #reclaimedBytes = 0
  #lastError: string | undefined
  /** The background work has seen all garbage below; it begins again when there is more. */
  #cursor = 0
  /** There was more garbage while the background worked. */
  #again = false

  constructor(components: ReclaimerComponents, init: ReclaimerInit) {
    this.#components = components
    this.#init = init
  }

  status(): BackgroundStatus {
    return {
      paused: this.#paused,
      state: this.#working !== undefined ? 'working' : this.#cancel !== undefined ? 'waiting' : 'idle',
      reclaimedBytes: this.#reclaimedBytes,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    }
  }

  /** There may be something to do: more garbage, or a store that has been used. */
  wake(garbage: boolean): void {
    if (garbage) {
      this.#cursor = 0
      // Work that is under way may have looked past it already.
      this.#again = this.#working !== undefined
    }
    if (this.#paused || this.#stopped || this.#cancel !== undefined || this.#working !== undefined) return
    this.#schedule(this.#init.quietMs)
  }

  pause(): void {
    this.#paused = true
    this.#cancel?.()
    this.#cancel = undefined
  }

  resume(): void {
    this.#paused = false
    this.wake(true)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    this.#cancel = undefined
    await this.#working
    await this.#turn
  }

  /** All garbage there is, to the end. */
  async reclaim(signal?: AbortSignal): Promise<void> {
    while (true) {
      signal?.throwIfAborted()
      if (this.#stopped) throw new StoreError('CLOSED', 'the store is closed')
      const more = await this.#inTurn(async () => {
        const unit = await this.#nextUnit(0)
        if (unit !== undefined) await this.#do(unit)
        return unit !== undefined
      })
      if (!more) break
    }
    await this.#components.footprint.measure()
  }

  #schedule(ms: number): void {
    this.#cancel = this.#components.clock.setTimer(ms, () => {
      this.#cancel = undefined
      this.#working = this.#background().finally(() => {
        this.#working = undefined
        if (!this.#again || this.#paused || this.#stopped || this.#cancel !== undefined) return
        this.#again = false
        this.#schedule(this.#init.quietMs)
      })
    })
  }

  /** One bounded piece of work, then a rest as long as the throttle asks for. */
  async #background(): Promise<void> {
    const { clock, blockLog, log } = this.#components
    const quietForMs = clock.monotonicMs() - blockLog.lastActiveMs
    if (quietForMs < this.#init.quietMs) {
      this.#schedule(this.#init.quietMs - quietForMs)
      return
    }
    try {
      const movedBytes = await this.#inTurn(async () => this.#backgroundUnit())
      this.#lastError = undefined
      if (movedBytes === undefined || this.#paused || this.#stopped) return
      this.#schedule((movedBytes / this.#init.movedBytesPerSecond) * 1000)
    } catch (error) {
      if (error instanceof StoreError && error.code === 'CLOSED') return
      this.#lastError = messageOf(error)
      log.warn('giving space back failed; it will be tried again', { reason: this.#lastError })
      if (!this.#paused && !this.#stopped) this.#schedule(retryMs)
    }
  }

  /** Bytes moved, or undefined if there was nothing left to do. */
  async #backgroundUnit(): Promise<number | undefined> {
    const { blockLog, transactions } = this.#components
    while (transactions.ledger.reclaimableBytes > 0) {
      const unit = await this.#nextUnit(this.#cursor)
      if (unit === undefined) break
      const last = unit.garbage.at(-1)?.sequence ?? this.#cursor
      this.#cursor = last + 1
      const bytes = bytesOf(unit.garbage)
      if (bytes < this.#init.garbageShareMin * Math.max(unit.spanBytes, bytes)) continue
      await this.#do(unit)
      return Math.max(unit.spanBytes, bytes)
    }
    if (blockLog.bufferedBytes >= flushBytesMin) await blockLog.flush()
    if (blockLog.mappedBytes >= unmapBytesMin) await blockLog.unmap()
    return undefined
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** The next garbage from `from` on: as many rows as lie in one range of about `unitBytesMax`. */
  async #nextUnit(from: number): Promise<Unit | undefined> {
    const { meta, blockLog } = this.#components
    let all: Garbage[] = []
    for (let gte = joined(rows.garbage, sequenceKey(from)); ; ) {
      const range = { ...within(rows.garbage), gte, limit: unitRowsMax, fillCache: false }
      const entries = await meta.read(async (level) => level.iterator(range).all())
      all = entries.flatMap(([key, value]) => garbageOrNone(key.slice(rows.garbage.length), value) ?? [])
      const last = entries.at(-1)?.[0]
      if (all.length > 0 || last === undefined || entries.length < unitRowsMax) break
      // The key right after it.
      gte = joined(last, new Uint8Array(1))
    }
    const first = all[0]
    if (first === undefined) return undefined
    // Spans only grow with the row they end at, so that the last row that fits is found by halving.
    let fits = 0
    let spanBytes = await blockLog.spanBytes(first.sequence, first.sequence)
    for (let low = 1, high = all.length - 1; low <= high; ) {
      const middle = (low + high) >>> 1
      const bytes = await blockLog.spanBytes(first.sequence, all[middle]?.sequence ?? first.sequence)
      if (bytes <= this.#init.unitBytesMax) {
        fits = middle
        spanBytes = bytes
        low = middle + 1
      } else high = middle - 1
    }
    return { garbage: all.slice(0, fits + 1), spanBytes }
  }

  async #do(unit: Unit): Promise<void> {
    const { blockLog, transactions, footprint } = this.#components
    const bytes = bytesOf(unit.garbage)
    await blockLog.erase(unit.garbage)
    await transactions.run({
      durable: true,
      operations: unit.garbage.map(({ sequence }) => ({ type: 'del', key: joined(rows.garbage, sequenceKey(sequence)) })),
      apply: (work) => {
        work.totals.reclaimableBytes = Math.max(0, work.totals.reclaimableBytes - bytes)
        work.countsChanged = true
      },
    })
    this.#reclaimedBytes += bytes
    await footprint.measure()
  }
}

/** After a failure in the background, most likely a full disk. */
const retryMs = 30_000

function bytesOf(garbage: readonly Garbage[]): number {
  return garbage.reduce((sum, { size }) => sum + size, 0)
}
