/**
 * What is known of the other nodes' storage: their vitals and inventories, as gossiped and pulled.
 *
 * A vitals message says which version of its inventory a node has, and, if little changed since the last one, what; so
 * most changes reach everybody for a few bytes each. Who has missed one, or is new, pulls: the difference if the other
 * still remembers it, else all of it, page by page. Vitals are also swapped directly on every new connection, so a late
 * joiner knows all it is connected to within a round trip.
 *
 * A peer can make this node work only so much: messages beyond a rate are ignored, inventories beyond a size refused,
 * one pull of a peer runs at a time, and a message that says less than is known is not passed on.
 */
import type { Clock, Connections, Log, NodeId, Random, Rpc } from '../base/index.js'
import { Limiter, messageOf, withDeadline } from '../base/index.js'
import type { Hash64 } from '../storage-policy/index.js'
import { decode } from './messages.js'
import { inventoryEntriesMax } from './inventory.js'
import type { PeerInventory } from './peer-inventory.js';
import { InventoryPull } from './peer-inventory.js'
import { isOver } from './pausing.js'
import { Rate } from './rate.js'
import { ReplicationError } from './types.js'
import type { Vitals } from './wire/replication.js';
import { InventoryRequest, InventoryResponse } from './wire/replication.js'

export interface PeerBookComponents {
  readonly rpc: Rpc
  readonly connections: Connections
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface PeerBookInit {
  /** `peer`'s inventory was read anew: anything may have changed. */
  readonly onInventory: (peer: NodeId) => void
  /** Fingerprints in `peer`'s inventory changed. */
  readonly onDelta: (peer: NodeId, changed: { added: Set<number>; removed: Set<number> }) => void
  readonly onVitals: (peer: NodeId, before: Vitals | undefined) => void
  /** Broke the rules: a malformed page, too many entries. */
  readonly onOffence: (peer: NodeId, what: string) => void
  /** What a node that was caught lists is not even read. */
  readonly isTrusted: (peer: NodeId) => boolean
}

interface Peer {
  vitals: Vitals
  heardAtMs: number
  inventory: PeerInventory | undefined
  pulling: boolean
  pullAgainAtMs: number
  pullFailures: number
}

/** Over all peers: 64 MB, and 8 a pull under way. A mesh of 10⁶ blobs with three copies each takes 24. */
export const entriesTotalMax = 2 ** 23
/** Messages of one peer: a burst for many small changes, then one a second. */
const messageRate = { burst: 30, perSecond: 1 }
const pullDeadlineMs = 20_000
/** Of all pages together: the longest inventory over the slowest line. */
const pullTotalMs = 3 * 60_000
/** A peer that starts anew over and over has all of its list read once in this time an entry: a million, every 4 minutes. */
const restPerEntryMs = 0.25
const pullsMax = 8
/** Peers whose inventories are behind are looked for this often. */
const catchUpMs = 2_000
const pullBackoffMs = 15_000
/** More known peers than any mesh here has members. */
const peersMax = 10_000

export class PeerBook {
  readonly #components: PeerBookComponents
  readonly #init: PeerBookInit
  readonly #peers = new Map<NodeId, Peer>()
  readonly #rate: Rate
  readonly #pulls = new Limiter({ concurrency: pullsMax })
  #entries = 0

  constructor(components: PeerBookComponents, init: PeerBookInit) {
    this.#components = components
    this.#init = init
    this.#rate = new Rate(components, messageRate)
  }

  /** Entries kept, of all peers. */
  get entries(): number {
    return this.#entries
  }

  vitalsOf(peer: NodeId): Vitals | undefined {
    return this.#peers.get(peer)?.vitals
  }

  inventoryOf(peer: NodeId): PeerInventory | undefined {
    return this.#peers.get(peer)?.inventory
  }

  /** Whether its inventory here is the one that its last vitals name. */
  isCurrent(peer: NodeId): boolean {
    const known = this.#peers.get(peer)
    return known !== undefined && !isBehind(known)
  }

  /** Peers that say they hold it. */
  claimants(hash: Hash64): NodeId[] {
    const found: NodeId[] = []
    for (const [id, peer] of this.#peers) if (peer.inventory?.has(hash) === true) found.push(id)
    return found
  }

  forget(peer: NodeId): void {
    this.#entries -= this.#peers.get(peer)?.inventory?.size ?? 0
    this.#peers.delete(peer)
    this.#rate.forget(peer)
  }

  /** It was caught: what it lists says nothing any more. */
  distrust(peer: NodeId): void {
    const known = this.#peers.get(peer)
    if (known?.inventory === undefined) return
    this.#drop(known)
    this.#init.onInventory(peer)
  }

  /** Whether to pass it on: not if it is older than what is known, or too many come. */
  hear(from: NodeId, vitals: Vitals): 'accept' | 'ignore' {
    if (from === this.#components.connections.self || !this.#rate.allow(from)) return 'ignore'
    let peer = this.#peers.get(from)
    if (peer !== undefined) {
      const { boot, sequence } = peer.vitals
      if (vitals.boot < boot || (vitals.boot === boot && vitals.sequence <= sequence)) return 'ignore'
    } else if (this.#peers.size >= peersMax) return 'ignore'
    const before = peer?.vitals
    const nowMs = this.#components.clock.monotonicMs()
    if (peer === undefined) {
      peer = { vitals, heardAtMs: nowMs, inventory: undefined, pulling: false, pullAgainAtMs: 0, pullFailures: 0 }
      this.#peers.set(from, peer)
    }
    peer.vitals = vitals
    peer.heardAtMs = nowMs
    this.#follow(from, peer)
    this.#init.onVitals(from, before)
    return 'accept'
  }

  /** Pulls fail: what is behind is looked for now and then. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        // Not waited for: one that does not answer would keep the others from being looked at for as long as its pull may take.
        void this.catchUp(signal)
        await this.#components.clock.sleep(catchUpMs, signal)
      } catch {
        if (isOver(signal)) return
      }
    }
  }

  /** Pulls what is behind, a few peers at once. */
  async catchUp(signal: AbortSignal): Promise<void> {
    const nowMs = this.#components.clock.monotonicMs()
    const due = [...this.#peers].filter(([id, peer]) => {
      return isBehind(peer) && !peer.pulling && nowMs >= peer.pullAgainAtMs && this.#components.connections.isConnected(id) && this.#init.isTrusted(id)
    })
    await Promise.all(due.map(([id, peer]) => this.#pull(id, peer, signal)))
  }

  /** Applies the delta that came with the vitals, if it follows on what is known. */
  #follow(id: NodeId, peer: Peer): void {
    const { vitals, inventory } = peer
    if (inventory === undefined || vitals.delta === undefined || inventory.saltValue !== vitals.inventorySalt) return
    this.#apply(id, inventory, vitals.delta, vitals.inventoryVersion)
  }

  #apply(id: NodeId, inventory: PeerInventory, delta: NonNullable<Vitals['delta']>, version: number): boolean {
    const before = inventory.size
    try {
      const changed = inventory.apply(delta, version)
      this.#entries += inventory.size - before
      if (changed === undefined) return false
      this.#makeFit()
      this.#init.onDelta(id, changed)
      return true
    } catch (error) {
      this.#init.onOffence(id, messageOf(error))
      return false
    }
  }

  async #pull(id: NodeId, peer: Peer, signal: AbortSignal): Promise<void> {
    peer.pulling = true
    try {
      await this.#pulls.run(() => withDeadline(this.#components.clock, pullTotalMs, signal, (both) => this.#pullNow(id, peer, both)), signal)
      peer.pullFailures = 0
    } catch (error) {
      if (signal.aborted) return
      // Its own refusal of a request of ours is none.
      if (error instanceof ReplicationError && error.code === 'BAD_INPUT') this.#init.onOffence(id, error.message)
      peer.pullFailures++
      // Jittered, and slower for who keeps failing.
      const waitMs = pullBackoffMs * Math.min(20, peer.pullFailures) * (0.5 + this.#components.random.float())
      peer.pullAgainAtMs = this.#components.clock.monotonicMs() + waitMs
      this.#components.log.debug('an inventory could not be read', { peer: id, error: messageOf(error) })
    } finally {
      peer.pulling = false
    }
  }

  async #pullNow(id: NodeId, peer: Peer, signal: AbortSignal): Promise<void> {
    const ask = async (after: number): Promise<InventoryResponse> => {
      const request = { salt: peer.inventory?.saltValue ?? 0n, version: peer.inventory?.version ?? 0, after }
      const body = await this.#components.rpc.request(id, 'replication.inventory', InventoryRequest.encode(request), { deadlineMs: pullDeadlineMs, signal })
      return decode(InventoryResponse, body)
    }
    let response = await ask(0)
    if (response.delta !== undefined) {
      if (peer.inventory?.saltValue === response.salt && this.#apply(id, peer.inventory, response.delta, response.version)) return
      // It answers with what does not follow: begin anew, once.
      this.#drop(peer)
      response = await ask(0)
    }
    const pull = new InventoryPull(inventoryEntriesMax)
    for (;;) {
      pull.take(response)
      if (pull.done) break
      response = await ask(pull.after)
    }
    signal.throwIfAborted()
    this.#drop(peer)
    // Out of the mesh, or caught, while it was read.
    if (this.#peers.get(id) !== peer || !this.#init.isTrusted(id)) return
    peer.inventory = pull.inventory()
    this.#entries += peer.inventory.size
    peer.pullAgainAtMs = this.#components.clock.monotonicMs() + restPerEntryMs * peer.inventory.size
    this.#makeFit()
    this.#init.onInventory(id)
  }

  /** What is too much for all together goes from who has most: so no few peers can crowd the others out. */
  #makeFit(): void {
    while (this.#entries > entriesTotalMax) {
      let largest: { id: NodeId; peer: Peer; size: number } | undefined
      for (const [id, peer] of this.#peers) {
        const size = peer.inventory?.size ?? 0
        if (size > (largest?.size ?? 0)) largest = { id, peer, size }
      }
      if (largest === undefined) return
      largest.peer.pullAgainAtMs = this.#components.clock.monotonicMs() + restPerEntryMs * largest.size
      this.#drop(largest.peer)
      this.#init.onInventory(largest.id)
    }
  }

  #drop(peer: Peer): void {
    this.#entries -= peer.inventory?.size ?? 0
    peer.inventory = undefined
  }
}

function isBehind({ inventory, vitals }: Peer): boolean {
  return inventory === undefined || inventory.saltValue !== vitals.inventorySalt || inventory.version < vitals.inventoryVersion
}
