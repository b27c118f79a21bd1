import type { Clock, HlcClock, KeyValue, WriteOperation } from '../base/index.js'
import { hlcToMs } from '../base/index.js'
import type { LeaseState, LeaseTransition } from './types.js'

export interface HistoryQuery {
  readonly scope?: string
  readonly agent?: string
  readonly leaseId?: string
  /** Unix ms. */
  readonly sinceMs?: number
  readonly untilMs?: number
  /** The newest so many. */
  readonly limit?: number
}

const limitDefault = 1000
/**
 * What comes within this goes in one write: of a lease that is acquired and released all three transitions, where each had a
 * turn in a thread that a voter's sync waits for. Short, since it is what a crash may lose.
 */
const gatherMs = 100
/** So many are written at once. */
const gatherMax = 1000

/** Deleted at a time when the retention is over. */
const pruneBatch = 1000

/**
 * Every transition, in order of time: key = HLC as 16 hex digits, value = JSON. A record for people: it is written after
 * the fact and not synced, so a crash may lose the last ones.
 */
export class History {
  readonly #store: KeyValue
  readonly #hlc: HlcClock
  readonly #clock: Clock
  readonly #failed: (error: unknown, count: number) => void
  #waiting: { key: Uint8Array; entry: object }[] = []
  #writing: Promise<void> | undefined
  #cancelWrite: (() => void) | undefined
  #isClosed = false

  /** `failed`: so many transitions are not in the history. */
  constructor(components: { store: KeyValue; hlc: HlcClock; clock: Clock; failed: (error: unknown, count: number) => void }) {
    this.#store = components.store
    this.#hlc = components.hlc
    this.#clock = components.clock
    this.#failed = components.failed
  }

  add(entry: { leaseId: string; scope: string; agent: string; from: LeaseState | null; to: LeaseState; token: number; reason: string; error?: string }): void {
    const key = Buffer.from(this.#hlc.now().toString(16).padStart(16, '0'))
    this.#waiting.push({ key, entry })
    if (this.#isClosed || this.#waiting.length >= gatherMax) void this.flush()
    else this.#cancelWrite ??= this.#clock.setTimer(gatherMs, () => { void this.flush() })
  }

  /** Resolves when all that was told is in the store, or has failed. */
  async flush(): Promise<void> {
    this.#cancelWrite?.()
    this.#cancelWrite = undefined
    while (this.#waiting.length > 0 || this.#writing !== undefined) {
      this.#writing ??= this.#write()
      await this.#writing
    }
  }

  /** What is told from now on is written at once: nobody is there who would do it later. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.flush()
  }

  /** One write at a time, of all that came meanwhile. */
  async #write(): Promise<void> {
    const entries = this.#waiting
    this.#waiting = []
    try {
      await this.#store.write(entries.map(({ key, entry }) => this.#store.put(key, Buffer.from(JSON.stringify(entry)))), { durable: false })
    } catch (error) {
      this.#failed(error, entries.length)
    } finally {
      this.#writing = undefined
    }
  }

  async query(query: HistoryQuery = {}): Promise<LeaseTransition[]> {
    await this.flush()
    const found: LeaseTransition[] = []
    const range = { reverse: true, ...(query.sinceMs === undefined ? {} : { gte: keyAt(query.sinceMs) }), ...(query.untilMs === undefined ? {} : { lt: keyAt(query.untilMs) }) }
    for await (const [key, bytes] of this.#store.entries(range)) {
      const read = entryOf(key, bytes)
      // Damaged, or of another version: the others are still worth telling.
      if (read === undefined) continue
      const { hlc, entry } = read
      if (query.scope !== undefined && entry.scope !== query.scope) continue
      if (query.agent !== undefined && entry.agent !== query.agent) continue
      if (query.leaseId !== undefined && entry.leaseId !== query.leaseId) continue
      found.push({ ...entry, error: entry.error ?? null, hlc, at: hlcToMs(hlc) })
      if (found.length >= (query.limit ?? limitDefault)) break
    }
    return found.sort((a, b) => (a.hlc < b.hlc ? -1 : 1))
  }

  /** Forgets what is older; how many. */
  async prune(beforeMs: number): Promise<number> {
    let count = 0
    for (;;) {
      const operations: WriteOperation[] = []
      for await (const [key] of this.#store.entries({ lt: keyAt(beforeMs), limit: pruneBatch })) operations.push(this.#store.del(key))
      if (operations.length === 0) return count
      await this.#store.write(operations, { durable: false })
      count += operations.length
    }
  }
}

function entryOf(key: Uint8Array, bytes: Uint8Array): { hlc: bigint; entry: Omit<LeaseTransition, 'at' | 'hlc' | 'error'> & { error?: string } } | undefined {
  const time = Buffer.from(key).toString()
  if (!/^[0-9a-f]{16}$/.test(time)) return undefined
  try {
    const entry = JSON.parse(Buffer.from(bytes).toString()) as Partial<LeaseTransition> | null
    if (typeof entry?.leaseId !== 'string' || typeof entry.scope !== 'string' || typeof entry.agent !== 'string') return undefined
    return { hlc: BigInt(`0x${time}`), entry: entry as Omit<LeaseTransition, 'at' | 'hlc' | 'error'> & { error?: string } }
  } catch {
    return undefined
  }
}

function keyAt(ms: number): Uint8Array {
  return Buffer.from((BigInt(Math.max(0, Math.floor(ms))) << 16n).toString(16).padStart(16, '0'))
}
