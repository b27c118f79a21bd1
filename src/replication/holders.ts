/**
 * Who holds the blobs that this node holds, kept up to date as inventories change: a plan over 3,000 blobs must not ask
 * a thousand inventories each time.
 *
 * Two sources: the inventories, and what an exchange has shown since (an acknowledgement with its proof, a "not held").
 * What was shown is believed until the inventory of that node is at least as new, and not for ever if none comes.
 */
import type { Clock, NodeId } from '../base/index.js'
import type { MeshView } from '../storage-policy/index.js'
import { hashName } from '../storage-policy/index.js'
import type { Claims } from './claims.js'
import type { Inventory } from './inventory.js'
import type { PeerBook } from './peer-book.js'

/** Three times the longest that vitals may take to come round. */
const shownMs = 15 * 60_000
/** One fact each, for blobs held here or asked about. */
const shownMax = 200_000

const nobody: ReadonlySet<NodeId> = new Set()

/** The version of the holder's inventory from which on the inventory knows better. */
export interface AsOf {
  readonly salt: bigint
  readonly version: number
}

interface Shown {
  readonly has: boolean
  readonly untilMs: number
  readonly asOf: AsOf
}

export class Holders {
  readonly #self: NodeId
  readonly #inventory: Inventory
  readonly #book: () => PeerBook
  readonly #clock: Clock
  readonly #claims: Claims
  /** Who says so of each blob that is held here. Most small files are one node's only: those share `nobody`. */
  readonly #claimed = new Map<string, ReadonlySet<NodeId>>()
  /** cid → node → whether it has it, and until when that is believed. */
  readonly #shown = new Map<string, Map<NodeId, Shown>>()
  #shownCount = 0

  constructor(components: { inventory: Inventory; book: () => PeerBook; clock: Clock; claims: Claims }, self: NodeId) {
    this.#self = self
    this.#inventory = components.inventory
    this.#book = components.book
    this.#clock = components.clock
    this.#claims = components.claims
  }

  /** Everybody believed to hold it, this node included. */
  of(cid: string): NodeId[] {
    const claimed = this.#claimed.get(cid) ?? new Set(this.#book().claimants(hashName(cid)))
    const shown = this.#shown.get(cid)
    const isHere = this.#inventory.get(cid) !== undefined
    // So it is with most small files of a node.
    if (claimed === nobody && shown === undefined) return isHere ? [this.#self] : []
    const nowMs = this.#clock.monotonicMs()
    const found = new Set(claimed)
    for (const [node, fact] of shown ?? []) {
      if (fact.untilMs <= nowMs || this.#isOutdated(node, fact)) continue
      if (fact.has) found.add(node)
      else found.delete(node)
    }
    found.delete(this.#self)
    if (isHere) found.add(this.#self)
    return [...found]
  }

  /** Of those, the trusted ones that are up. */
  live(cid: string, mesh: MeshView): NodeId[] {
    return this.of(cid).filter((id) => {
      const node = mesh.get(id)
      return node?.view.state === 'up' && node.view.trusted
    })
  }

  /** Those, and the ones that are silent but within the grace. */
  counted(cid: string, mesh: MeshView, graceMs: number): NodeId[] {
    return this.of(cid).filter((id) => {
      const node = mesh.get(id)
      return node?.view.trusted === true && node.view.state !== 'gone' && node.view.silentMs <= graceMs
    })
  }

  /** Blobs held here that one of these may hold, too: all of them if this node is among these. */
  sharedWith(nodes: ReadonlySet<NodeId>): string[] {
    const isAny = (holders: Iterable<NodeId>): boolean => {
      for (const holder of holders) if (nodes.has(holder)) return true
      return false
    }
    const found: string[] = []
    for (const { cid } of this.#inventory.entries()) {
      if (nodes.has(this.#self) || isAny(this.#claimed.get(cid) ?? nobody) || isAny(this.#shown.get(cid)?.keys() ?? nobody)) found.push(cid)
    }
    return found
  }

  /** An exchange has shown it. Without `asOf`, any change of the inventory after the one known now knows better. */
  show(cid: string, node: NodeId, has: boolean, asOf?: AsOf): void {
    this.#claims.settled(cid, node)
    this.#note(cid, node, has, asOf)
  }

  /** It says so itself, with nothing to show for it. */
  say(cid: string, node: NodeId): void {
    if (this.#shown.get(cid)?.get(node)?.has !== true) this.#claims.note(cid, node)
    this.#note(cid, node, true, undefined)
  }

  /** It was asked twice to prove it, and did not answer: whatever it says of other blobs. */
  doubt(cid: string, node: NodeId): void {
    this.#note(cid, node, false, { salt: this.#book().inventoryOf(node)?.saltValue ?? 0n, version: Number.MAX_SAFE_INTEGER })
  }

  #note(cid: string, node: NodeId, has: boolean, asOf: AsOf | undefined): void {
    let facts = this.#shown.get(cid)
    if (facts === undefined) {
      if (this.#shownCount >= shownMax) this.#expire()
      this.#shown.set(cid, (facts = new Map<NodeId, Shown>()))
    }
    if (!facts.has(node)) this.#shownCount++
    const known = this.#book().inventoryOf(node)
    facts.set(node, {
      has,
      untilMs: this.#clock.monotonicMs() + shownMs,
      asOf: asOf ?? { salt: known?.saltValue ?? 0n, version: (known?.version ?? -1) + 1 },
    })
  }

  /** Another salt is another start of the process: nothing of before says anything about it. */
  #isOutdated(node: NodeId, fact: Shown): boolean {
    const known = this.#book().inventoryOf(node)
    if (known === undefined) return false
    return known.saltValue !== fact.asOf.salt ? this.#book().isCurrent(node) : known.version >= fact.asOf.version
  }

  held(cid: string): void {
    const claimants = this.#book().claimants(this.#inventory.get(cid)?.hash ?? hashName(cid))
    this.#claimed.set(cid, claimants.length === 0 ? nobody : new Set(claimants))
    for (const peer of claimants) this.#claimedBy(cid, peer)
  }

  dropped(cid: string): void {
    for (const peer of this.#claimed.get(cid) ?? nobody) this.#claims.settled(cid, peer)
    this.#claimed.delete(cid)
  }

  /** Read anew. Returns the blobs whose holders changed. */
  inventoryOf(peer: NodeId): string[] {
    const inventory = this.#book().inventoryOf(peer)
    const changed: string[] = []
    for (const entry of this.#inventory.entries()) {
      const claimed = this.#claimed.get(entry.cid)
      if (claimed === undefined) continue
      const has = inventory?.has(entry.hash) === true
      if (claimed.has(peer) === has) continue
      this.#claim(entry.cid, claimed, peer, has)
      changed.push(entry.cid)
    }
    return changed
  }

  delta(peer: NodeId, delta: { added: Set<number>; removed: Set<number> }): string[] {
    const inventory = this.#book().inventoryOf(peer)
    if (inventory === undefined) return []
    const changed: string[] = []
    for (const entry of this.#inventory.entries()) {
      const value = inventory.fingerprintOf(entry.hash)
      const claimed = this.#claimed.get(entry.cid)
      if (claimed === undefined) continue
      const isAdded = delta.added.has(value)
      if (!isAdded && !delta.removed.has(value)) continue
      this.#claim(entry.cid, claimed, peer, isAdded)
      changed.push(entry.cid)
    }
    return changed
  }

  /** The node is out of the mesh, or was caught. */
  gone(peer: NodeId): void {
    for (const [cid, claimed] of this.#claimed) this.#claim(cid, claimed, peer, false)
    for (const facts of this.#shown.values()) if (facts.delete(peer)) this.#shownCount--
    this.#claims.forget(peer)
  }

  /** Asked for later, unless it has just been proven. */
  #claimedBy(cid: string, peer: NodeId): void {
    if (this.#shown.get(cid)?.get(peer)?.has !== true) this.#claims.note(cid, peer)
  }

  #claim(cid: string, claimed: ReadonlySet<NodeId>, peer: NodeId, has: boolean): void {
    if (claimed.has(peer) === has) return
    const others = [...claimed].filter((node) => node !== peer)
    if (has) {
      others.push(peer)
      this.#claimedBy(cid, peer)
    } else this.#claims.settled(cid, peer)
    this.#claimed.set(cid, others.length === 0 ? nobody : new Set(others))
  }

  #expire(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#shownCount = 0
    for (const [cid, facts] of this.#shown) {
      for (const [node, fact] of facts) if (fact.untilMs <= nowMs) facts.delete(node)
      if (facts.size === 0) this.#shown.delete(cid)
      else this.#shownCount += facts.size
    }
    if (this.#shownCount >= shownMax) {
      this.#shown.clear()
      this.#shownCount = 0
    }
  }
}
