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
import { Limiter, messageOf } from '../base/index.js'
import type { Hash64 } from '../storage-policy/index.js'
import { decode } from './messages.js'
import type { PeerInventory } from './peer-inventory.js';
import { InventoryPull } from './peer-inventory.js'
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
}

interface Peer {
  vitals: Vitals
  heardAtMs: number
  inventory: PeerInventory | undefined
  pulling: boolean
  pullAgainAtMs: number
  pullFailures: number
}

/** A million blobs at one node is more than the biggest disk here holds in files of 1 MiB. 8 MB in memory. */
export const inventoryEntriesMax = 2 ** 20
/** Over all peers: 64 MB. A mesh of 10⁶ blobs with three copies each takes 24. */
const entriesTotalMax = 2 ** 23
/** Messages of one peer: a burst for many small changes, then one a second. */
const burstMax = 30
const refillMs = 1000
const pullDeadlineMs = 20_000
const pullsMax = 8
const pullBackoffMs = 15_000
/** More known peers than any mesh here has members. */
const peersMax = 10_000

export class PeerBook {
  readonly #components: PeerBookComponents
  readonly #init: PeerBookInit
  readonly #peers = new Map<NodeId, Peer>()
  readonly #tokens = new Map<NodeId, { left: number; atMs: number }>()
  readonly #pulls = new Limiter({ concurrency: pullsMax })
  #entries = 0

  constructor(components: PeerBookComponents, init: PeerBookInit) {
    this.#components = components
    this.#init = init
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
    return known !== undefined && !this.#isBehind(known)
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
    this.#tokens.delete(peer)
  }

  /** Whether to pass it on: not if it is older than what is known, or too many come. */
  hear(from: NodeId, vitals: Vitals): 'accept' | 'ignore' {
    if (from === this.#components.connections.self || !this.#allow(from)) return 'ignore'
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

  /** Pulls what is behind, a few peers at once. Called now and then, since pulls fail. */
  async catchUp(signal: AbortSignal): Promise<void> {
    const nowMs = this.#components.clock.monotonicMs()
    const due = [...this.#peers].filter(([id, peer]) => {
      return this.#isBehind(peer) && !peer.pulling && nowMs >= peer.pullAgainAtMs && this.#components.connections.isConnected(id)
    })
    await Promise.all(due.map(([id, peer]) => this.#pull(id, peer, signal)))
  }

  #isBehind(peer: Peer): boolean {
    const { inventory, vitals } = peer
    return inventory === undefined || inventory.saltValue !== vitals.inventorySalt || inventory.version < vitals.inventoryVersion
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
      await this.#pulls.run(() => this.#pullNow(id, peer, signal), signal)
      peer.pullFailures = 0
    } catch (error) {
      if (signal.aborted) return
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
    const pull = new InventoryPull(Math.min(inventoryEntriesMax, Math.max(0, entriesTotalMax - this.#entries)))
    try {
      pull.take(response)
      while (!pull.done) pull.take(await ask(pull.after))
    } catch (error) {
      this.#init.onOffence(id, messageOf(error))
      throw error
    }
    this.#drop(peer)
    peer.inventory = pull.inventory()
    this.#entries += peer.inventory.size
    this.#init.onInventory(id)
  }

  #drop(peer: Peer): void {
    this.#entries -= peer.inventory?.size ?? 0
    peer.inventory = undefined
  }

  #allow(from: NodeId): boolean {
    const nowMs = this.#components.clock.monotonicMs()
    let bucket = this.#tokens.get(from)
    if (bucket === undefined) {
      if (this.#tokens.size >= peersMax) this.#tokens.clear()
      this.#tokens.set(from, (bucket = { left: burstMax, atMs: nowMs }))
    }
    bucket.left = Math.min(burstMax, bucket.left + (nowMs - bucket.atMs) / refillMs)
    bucket.atMs = nowMs
    if (bucket.left < 1) return false
    bucket.left--
    return true
  }
}
