import { abortReason, backoffMs, messageOf } from '../../base/index.js'
import type { Clock, Log, NodeId, Random } from '../../base/index.js'
import { closestPeers } from './closest.js'
import type { Due, ProvideSchedule } from './schedule.js'

export interface AnnouncerInit {
  /** A record is announced again this long after; see `protocols/kad/README.md` for the reckoning. */
  againMs: number
  /** Records of one round. */
  batchRecords: number
  /** Holders of a record: kad's k. */
  copies: number
  /** Streams at once. */
  peersAtOnce: number
  /** Share of the time spent announcing, 0…1: the rest is left to people's work. */
  dutyRatio: number
}

export interface AnnouncerComponents {
  schedule: Pick<ProvideSchedule, 'due' | 'nextDueMs' | 'announced'>
  clock: Clock
  random: Random
  log: Log
  /** All nodes that take records now. */
  servers: () => readonly NodeId[]
  /** Hands records to one node; resolves when it has taken them. */
  send: (peer: NodeId, multihashes: readonly Uint8Array[], signal: AbortSignal) => Promise<void>
}

/** After a round at least so long: what waits takes no time of ours, but of those who take it, while people are at work. */
const restMs = 250

/**
 * Tells the mesh who holds what, in batches.
 *
 * Intuition: the library announces one CID at a time: a walk through the DHT, then a new stream to each of 20 nodes, a
 * dozen milliseconds of CPU and more. But a node of this mesh is connected to the nodes that take its records, so who is
 * closest to a key is a sort of names in memory, and a batch of records for a node is one request. Ten thousand
 * blobs are 40 rounds.
 *
 * Assumes: most nodes are connected to most others (membership sees to it). Where they are not, a record is held by the
 * closest of those that we know, and a search, which walks towards the key, finds those as long as views overlap in the
 * 20 closest.
 *
 * Road not taken: asking the DHT for the closest nodes of each region of keys first (the "sweep" of the big public
 * network): it pays from thousands of nodes on, more than a private mesh has.
 */
export class Announcer {
  readonly #components: AnnouncerComponents
  readonly #init: AnnouncerInit
  #wake: (() => void) | undefined
  /** Since the last look at the schedule: what came in between looking and going to sleep must not be slept over. */
  #notified = false
  #oldestDueMs: number | undefined
  #announced = 0

  constructor(components: AnnouncerComponents, init: AnnouncerInit) {
    this.#components = components
    this.#init = init
  }

  /** How late the longest due record is, ms. 0 when none is, and when there is nobody to tell. */
  get lagMs(): number {
    if (this.#oldestDueMs === undefined || this.#components.servers().length === 0) return 0
    return Math.max(0, this.#components.clock.wallMs() - this.#oldestDueMs)
  }

  /** Records announced since the start. */
  get announced(): number {
    return this.#announced
  }

  /** Something became due, or somebody came to whom it can be told. */
  notify(): void {
    this.#notified = true
    this.#wake?.()
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, random, servers } = this.#components
    let failures = 0
    while (!signal.aborted) {
      try {
        this.#notified = false
        const batch = servers().length === 0 ? [] : await this.#batch()
        if (batch.length === 0) {
          await this.#idle(signal)
          continue
        }
        const busyMs = await this.#announce(batch, signal)
        failures = 0
        await clock.sleep(Math.max(restMs, busyMs / this.#init.dutyRatio - busyMs), signal)
      } catch (error) {
        if (isAborted(signal)) return
        log.debug('announcing failed', { error: messageOf(error) })
        // Nobody took the batch: the same again at once would fail again.
        await clock.sleep(1000 + backoffMs(failures++, { minMs: 1000, maxMs: 60_000 }, random), signal).catch(() => undefined)
      }
    }
  }

  /** New ones first, but a quarter of each round is for those that must not lapse. */
  async #batch(): Promise<Due[]> {
    const { schedule } = this.#components
    const again = await schedule.due('again', this.#init.batchRecords)
    const fresh = await schedule.due('new', this.#init.batchRecords)
    this.#oldestDueMs = Math.min(again[0]?.dueMs ?? Number.POSITIVE_INFINITY, fresh[0]?.dueMs ?? Number.POSITIVE_INFINITY)
    if (this.#oldestDueMs === Number.POSITIVE_INFINITY) this.#oldestDueMs = undefined
    const reserved = Math.min(again.length, Math.ceil(this.#init.batchRecords / 4))
    const takeFresh = fresh.slice(0, this.#init.batchRecords - reserved)
    return [...takeFresh, ...again.slice(0, this.#init.batchRecords - takeFresh.length)]
  }

  /** Resolves to how long it was at work: waiting for a node that does not answer is no work, and earns no rest. */
  async #announce(batch: readonly Due[], signal: AbortSignal): Promise<number> {
    const { schedule, clock, random, servers, send, log } = this.#components
    const known = servers()
    const perPeer = new Map<NodeId, Due[]>()
    for (const entry of batch) {
      for (const peer of closestPeers(entry.cid.multihash.bytes, known, this.#init.copies)) {
        const list = perPeer.get(peer)
        if (list === undefined) perPeer.set(peer, [entry])
        else list.push(entry)
      }
    }
    const taken = new Set<Due>()
    const queue = [...perPeer]
    const workers = Array.from({ length: Math.min(this.#init.peersAtOnce, queue.length) }, async () => {
      let busyMs = 0
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        const [peer, entries] = next
        if (signal.aborted) throw abortReason(signal)
        const startMs = clock.monotonicMs()
        try {
          await send(peer, entries.map((entry) => entry.cid.multihash.bytes), signal)
          for (const entry of entries) taken.add(entry)
          busyMs += clock.monotonicMs() - startMs
        } catch (error) {
          if (isAborted(signal)) throw abortReason(signal)
          log.debug('a node did not take provider records', { peer, error: messageOf(error) })
        }
      }
      return busyMs
    })
    const busyMs = Math.max(...(await Promise.all(workers)))
    if (taken.size === 0) throw new Error('no node took any record')
    this.#announced += taken.size
    // A tenth of jitter, so that what was announced in one burst does not come due in one.
    await schedule.announced([...taken], () => clock.wallMs() + this.#init.againMs * (0.9 + 0.1 * random.float()))
    return busyMs
  }

  /** Until notified, or the next record is due. */
  async #idle(signal: AbortSignal): Promise<void> {
    const { schedule, clock, servers } = this.#components
    const waits: number[] = []
    const notified = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    if (servers().length > 0) {
      for (const line of ['new', 'again'] as const) {
        const dueMs = await schedule.nextDueMs(line)
        if (dueMs !== undefined) waits.push(dueMs - clock.wallMs())
      }
      this.#oldestDueMs = undefined
    }
    if (this.#notified) {
      this.#wake = undefined
      return
    }
    const controller = new AbortController()
    const onAbort = (): void => controller.abort()
    signal.addEventListener('abort', onAbort, { once: true })
    // It may have aborted while the schedule was read, and calls no listener twice.
    if (signal.aborted) onAbort()
    // An hour at most: wall clocks are set, and due times are in wall time.
    const ms = Math.min(3_600_000, ...waits.map((wait) => Math.max(10, wait)))
    try {
      await Promise.race([notified, clock.sleep(ms, controller.signal).catch(() => undefined)])
    } finally {
      signal.removeEventListener('abort', onAbort)
      controller.abort()
      this.#wake = undefined
    }
  }
}


/** A function, since the compiler takes a property that was false once for false ever after. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted
}
