/**
 * Tells the others of this node's storage: over gossip when something changed, but not more than once in a while, and
 * again after a while when nothing did; and straight to a peer that has just connected.
 */
import type { Clock, Connections, Gossip, GossipTopic, KeyValue, Log, NodeId, Rpc } from '../base/index.js'
import { messageOf } from '../base/index.js'
import type { QuotaReport } from '../storage-policy/index.js'
import { saltValue } from './fingerprint.js'
import type { Inventory } from './inventory.js'
import { decodeVitals } from './messages.js'
import { vitalsDeltaMax } from './methods.js'
import { isOver, Pauses } from './pausing.js'
import type { PeerBook } from './peer-book.js'
import type { ReplicationSettings } from './types.js'
import { Vitals } from './wire/replication.js'

export interface HeraldComponents {
  readonly gossip: Gossip
  readonly rpc: Rpc
  readonly clock: Clock
  readonly log: Log
  readonly connections: Connections
  readonly meta: KeyValue
  readonly inventory: Inventory
  readonly book: PeerBook
}

export interface HeraldInit {
  readonly settings: () => Pick<ReplicationSettings, 'vitalsPerMemberMs' | 'vitalsMinMs' | 'vitalsMaxMs'>
  readonly members: () => number
  readonly quota: () => QuotaReport | undefined
  readonly flags: () => number
  /** In the order of the message. */
  readonly evictable: () => number[]
}

/** Changes within this time share a message; below what receivers allow one node. */
const gatherMs = 1500
const swapDeadlineMs = 10_000
const bootKey = new TextEncoder().encode('boot')

export class Herald {
  readonly #components: HeraldComponents
  readonly #init: HeraldInit
  #boot = 0
  #sequence = 0
  #published = 0
  readonly #pauses: Pauses
  #due = false

  constructor(components: HeraldComponents, init: HeraldInit) {
    this.#components = components
    this.#init = init
    this.#pauses = new Pauses(components.clock)
  }

  /**
   * The number of this start, higher than any before. The wall clock is only there for the case that the number was lost
   * with the disk; that it may be wrong does no harm as long as the disk is not lost too.
   */
  async load(): Promise<void> {
    const { meta, clock } = this.#components
    const stored = await meta.get(bootKey)
    const before = stored === undefined ? 0 : Number(new TextDecoder().decode(stored))
    this.#boot = Math.max(Number.isSafeInteger(before + 1) ? before + 1 : 1, Math.floor(Math.max(0, clock.wallMs()) / 1000))
    await meta.write([meta.put(bootKey, new TextEncoder().encode(String(this.#boot)))], { durable: true })
  }

  /** Something changed that others should know. */
  soon(): void {
    this.#due = true
    this.#pauses.wake()
  }

  vitals(): Vitals {
    const { inventory } = this.#components
    const quota = this.#init.quota()
    return {
      boot: this.#boot,
      sequence: ++this.#sequence,
      maxBytes: quota?.maxBytes ?? 0,
      usedBytes: quota?.usedBytes ?? 0,
      freeForOthersBytes: quota?.roomForOthersBytes ?? 0,
      freeForOwnBytes: quota?.roomForOwnBytes ?? 0,
      flags: this.#init.flags(),
      inventorySalt: saltValue(inventory.salt),
      inventoryVersion: inventory.version,
      inventoryEntries: inventory.size,
      evictableBytes: this.#init.evictable(),
    }
  }

  async run(topic: GossipTopic, signal: AbortSignal): Promise<void> {
    const { clock, inventory, log } = this.#components
    while (!signal.aborted) {
      try {
        this.#due = false
        const delta = inventory.delta(this.#published, vitalsDeltaMax)
        const vitals = this.vitals()
        this.#published = vitals.inventoryVersion
        const changed = delta !== undefined && delta.added.length + delta.removed.length > 0
        await topic.publish(Vitals.encode(changed ? { ...vitals, delta } : vitals))
      } catch (error) {
        if (isOver(signal)) return
        log.debug('vitals could not be sent', { error: messageOf(error) })
      }
      try {
        await clock.sleep(gatherMs, signal)
      } catch {
        return
      }
      if (!this.#isDue()) await this.#pauses.wait(this.#intervalMs(), signal)
    }
  }

  /** Both sides know each other's state within a round trip. Never rejects. */
  async swap(peer: NodeId, signal: AbortSignal): Promise<void> {
    const { rpc, book, log } = this.#components
    try {
      const body = await rpc.request(peer, 'replication.vitals', Vitals.encode(this.vitals()), { deadlineMs: swapDeadlineMs, signal })
      book.hear(peer, decodeVitals(body))
      // Not waited for: others may be behind, too, and not answer.
      void book.catchUp(signal)
    } catch (error) {
      if (!signal.aborted) log.debug('vitals could not be swapped', { peer, error: messageOf(error) })
    }
  }

  #isDue(): boolean {
    return this.#due
  }

  #intervalMs(): number {
    const { vitalsPerMemberMs, vitalsMinMs, vitalsMaxMs } = this.#init.settings()
    return Math.min(vitalsMaxMs, Math.max(vitalsMinMs, this.#init.members() * vitalsPerMemberMs))
  }
}
