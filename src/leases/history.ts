import type { HlcClock, KeyValue, WriteOperation } from '../base/index.js'
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
/** Deleted at a time when the retention is over. */
const pruneBatch = 1000

/**
 * Every transition, in order of time: key = HLC as 16 hex digits, value = JSON. A record for people: it is written after
 * the fact and not synced, so a crash may lose the last ones.
 */
export class History {
  readonly #store: KeyValue
  readonly #hlc: HlcClock
  #waiting: WriteOperation[] = []
  #writing: Promise<void> | undefined

  constructor(components: { store: KeyValue; hlc: HlcClock }) {
    this.#store = components.store
    this.#hlc = components.hlc
  }

  async add(entry: { leaseId: string; scope: string; agent: string; from: LeaseState | null; to: LeaseState; token: number; reason: string; error?: string }): Promise<void> {
    const key = Buffer.from(this.#hlc.now().toString(16).padStart(16, '0'))
    this.#waiting.push(this.#store.put(key, Buffer.from(JSON.stringify(entry))))
    this.#writing ??= this.#write()
    await this.#writing
  }

  /** One write at a time, of all that came meanwhile: each would hold a thread that a voter's sync waits for. */
  async #write(): Promise<void> {
    try {
      // What the same turn still tells goes along.
      await Promise.resolve()
      while (this.#waiting.length > 0) await this.#store.write(this.#waiting.splice(0), { durable: false })
    } finally {
      this.#writing = undefined
    }
  }

  async query(query: HistoryQuery = {}): Promise<LeaseTransition[]> {
    await this.#writing?.catch(() => undefined)
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
