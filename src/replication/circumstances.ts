/**
 * What a plan depends on besides the blobs that it is made for: which nodes are there, are believed, and have room. At rest
 * a blob is looked at again when something of it changes, so it has to be said when the nodes have changed, and for whom.
 *
 * Intuition. How a blob *stands* depends on its holders alone: whether each is up or for how long it has been silent, is
 * believed, and repairs. Where one of those changes, what that node holds is looked at. A blob that stands short has then
 * been offered to all others, and waits because none of them could take it; so nothing changes for it before one of them
 * can. Of each node the least is remembered that would be enough for any that wait: a full node whose free space goes up
 * and down by a few bytes wakes nobody.
 *
 * A node may say that it has room and refuse, again and again. Who was looked to in vain is looked to later each time.
 *
 * Assumes that a blob is looked at when its own facts change (its file, its holders, its copies under way), and all of them
 * now and then: figures that only make one place a little better than another (how full, how reliable) wake nobody.
 *
 * Road not taken: to look at everything when any figure of any node has changed. Free space changes with every write
 * anywhere, and with 10,000 blobs short of a copy that nobody could take, the looks alone took two percent of a core.
 */
import type { NodeId } from '../base/index.js'
import type { BlobView, MeshView, NodeView, Priority, RebalanceSettings } from '../storage-policy/index.js'
import { priorities, roomOf, storageCost } from '../storage-policy/index.js'

/** Between two looks to the same node in vain: longer than a refusal takes to come back… */
const againMs = 2_000
/** …and never longer than a sweep is away. */
const againMsMax = 5 * 60_000

const states = { up: 0, suspect: 1, gone: 2 } as const

/** Bytes of room that would be enough for one more of the blobs that wait, by their priority; and for the node's own files. */
interface Need {
  readonly others: Map<Priority, number>
  ownBytes: number
}

export class Circumstances {
  /** What makes a holder count, at the last look. */
  #standings = new Map<NodeId, number>()
  readonly #needs = new Map<NodeId, Need>()
  /** Of a node that was not there when that was noted: whatever would be enough for any. */
  #least: Need = noNeed()
  /** Nodes that were looked to: not again before then (elapsed time), and how long that was. */
  readonly #lookedTo = new Map<NodeId, { untilMs: number; waitMs: number; copied: number }>()

  /** Nodes that count otherwise as holders than at the last call: what they hold may be short now, or be so no more. */
  standingOtherwise(nodes: readonly NodeView[], rebalance: Pick<RebalanceSettings, 'graceMs' | 'urgentAfterMs'>): Set<NodeId> {
    const before = this.#standings
    const now = new Map<NodeId, number>()
    const others = new Set<NodeId>()
    for (const view of nodes) {
      const standing = standingOfNode(view, rebalance)
      now.set(view.node, standing)
      if (before.get(view.node) !== standing) others.add(view.node)
      if (!before.has(view.node) && isAny(this.#least)) this.#needs.set(view.node, { others: new Map(this.#least.others), ownBytes: this.#least.ownBytes })
    }
    for (const node of before.keys()) if (!now.has(node)) others.add(node)
    this.#standings = now
    return others
  }

  /** All that wait are about to be looked at anew. */
  forgetNeeds(): void {
    this.#needs.clear()
    this.#least = noNeed()
  }

  /**
   * A plan was made for `blob`, and nothing in it that would help: what each of the other nodes would have to have for it.
   * `isShort`: of copies; otherwise only its owner's own is missing.
   */
  waits(blob: BlobView, isShort: boolean, mesh: MeshView): void {
    const cost = storageCost(blob.bytes)
    const isOwnersMissing = priorities[blob.priority].ownerMustHold && blob.owner !== undefined && !blob.holders.includes(blob.owner)
    if (isShort) lower(this.#least, blob.priority, cost)
    if (isOwnersMissing) this.#least.ownBytes = Math.min(cost, this.#least.ownBytes)
    for (const node of mesh.nodes) {
      const { view } = node
      if (blob.holders.includes(view.node)) continue
      if (isShort && (!mayTake(view) || roomOf(node, blob.priority) < cost)) lower(this.#needOf(view.node), blob.priority, cost)
      if (isOwnersMissing && view.node === blob.owner && (view.state !== 'up' || view.ownFreeBytes - node.planned < cost)) {
        const need = this.#needOf(view.node)
        need.ownBytes = Math.min(cost, need.ownBytes)
      }
    }
  }

  /**
   * Whether one of the nodes could take now what it could not when it was noted, and it is worth a look. `copied`: how many
   * copies were made so far; a look that came to some was not in vain.
   */
  isPlaceFound(nodes: readonly NodeView[], nowMs: number, copied: number): boolean {
    let isFound = false
    for (const view of nodes) {
      const need = this.#needs.get(view.node)
      if (need === undefined || !isEnough(view, need)) continue
      const last = this.#lookedTo.get(view.node)
      if (last !== undefined && nowMs < last.untilMs) continue
      const isInVain = last !== undefined && last.copied === copied
      const waitMs = isInVain ? Math.min(againMsMax, 2 * last.waitMs) : againMs
      this.#lookedTo.set(view.node, { untilMs: nowMs + waitMs, waitMs, copied })
      isFound = true
    }
    if (isFound) for (const node of this.#lookedTo.keys()) if (!this.#standings.has(node)) this.#lookedTo.delete(node)
    return isFound
  }

  /** Whether anything that waits could go to this node if it had room, or were known. */
  isAwaited(node: NodeId): boolean {
    return this.#needs.has(node) || !this.#standings.has(node)
  }

  #needOf(node: NodeId): Need {
    let need = this.#needs.get(node)
    if (need === undefined) this.#needs.set(node, (need = noNeed()))
    return need
  }
}

function noNeed(): Need {
  return { others: new Map(), ownBytes: Number.POSITIVE_INFINITY }
}

function isAny({ others, ownBytes }: Need): boolean {
  return others.size > 0 || ownBytes < Number.POSITIVE_INFINITY
}

function lower({ others }: Need, priority: Priority, bytes: number): void {
  others.set(priority, Math.min(bytes, others.get(priority) ?? bytes))
}

function standingOfNode({ state, silentMs, trusted, repairing }: NodeView, { graceMs, urgentAfterMs }: Pick<RebalanceSettings, 'graceMs' | 'urgentAfterMs'>): number {
  const silence = state === 'up' ? 0 : silentMs > graceMs ? 2 : silentMs >= Math.min(urgentAfterMs, graceMs) ? 1 : 0
  return states[state] + 4 * silence + (trusted ? 16 : 0) + (repairing ? 32 : 0)
}

function mayTake({ state, trusted, accepting }: NodeView): boolean {
  return state === 'up' && trusted && accepting
}

function isEnough(view: NodeView, { others, ownBytes }: Need): boolean {
  if (view.state === 'up' && view.ownFreeBytes >= ownBytes) return true
  if (!mayTake(view)) return false
  for (const [priority, bytes] of others) if (view.freeBytes + (view.evictableBytes?.[priority] ?? 0) >= bytes) return true
  return false
}
