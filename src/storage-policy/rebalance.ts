/**
 * Which copies are made, moved and trimmed.
 *
 * Intuition. Every holder of a blob sees who else holds it. The holders that are up rank each other by rendezvous
 * hashing, and the first is the *actor*: the one that acts if anything is to be done. So no node is in charge, the work
 * spreads over all, and two that disagree about who is up at worst do the same thing twice, which the target notices.
 *
 * A silent node passes through three stages. *Suspect*: its copies count (it is a laptop that sleeps), unless so few
 * live ones are left that one more failure would lose the blob: those are copied at once. After the *grace*: it is gone,
 * its copies no longer count, and what is missing is made good, rarest first, within a budget of bytes. When it comes
 * back its copies count again: the surplus is trimmed only if it has lasted, without a break, for longer than a night.
 *
 * Assumes that whoever plans holds the blobs it plans for. Nobody repairs a blob with no live holder; it is
 * reported until somebody returns.
 */
import type { NodeId } from '../base/index.js'
import { hashName, rendezvous } from './hashing.js'
import type { MeshView, PlannedNode } from './mesh-view.js'
import { freeShareOf } from './mesh-view.js'
import { capacityTerm, place, reliabilityTerm } from './placement.js'
import { Used } from './placement-search.js'
import type { FactorSettings } from './priorities.js'
import { minimumReplicas, priorities } from './priorities.js'
import type { PlacementSettings, RebalanceSettings } from './settings.js'
import { storageCost } from './storage-cost.js'
import type { Action, BlobView, Plan } from './types.js'
import { planOf } from './types.js'

export interface RebalancePolicy {
  readonly placement: PlacementSettings
  readonly rebalance: RebalanceSettings
  readonly factors: FactorSettings
}

/** How one blob stands. */
export interface Standing {
  /** Copies on trusted nodes that are up. */
  readonly live: number
  /** Those, and the ones on nodes that are silent but within the grace. */
  readonly counted: number
  readonly minimum: number
  /** Copies to make now. */
  readonly missing: number
  /** Whether they are to be made at once, outside the budget. */
  readonly urgent: boolean
  /** Live copies beyond the wanted ones. */
  readonly surplus: number
  /** Who copies. Undefined when nobody who holds it is up. */
  readonly actor: NodeId | undefined
}

export function standingOf(blob: BlobView, mesh: MeshView, policy: RebalancePolicy): Standing {
  const hash = hashName(blob.cid)
  const urgentAfterMs = Math.min(policy.rebalance.urgentAfterMs, policy.rebalance.graceMs)
  let live = 0
  let counted = 0
  // Live, or so briefly silent that it is more likely to be restarting than dead.
  let present = 0
  let actor: PlannedNode | undefined
  let actorRank = -1
  for (const id of blob.holders) {
    const holder = mesh.get(id)
    if (holder?.view.trusted !== true || holder.view.state === 'gone' || holder.view.silentMs > policy.rebalance.graceMs) continue
    counted++
    if (holder.view.state === 'suspect') {
      if (holder.view.silentMs < urgentAfterMs) present++
      continue
    }
    live++
    present++
    // A node on battery acts only if no other holder does: 1 lifts every other above it.
    const rank = rendezvous(hash, holder.hash) + (holder.view.repairing ? 1 : 0)
    if (rank > actorRank) {
      actor = holder
      actorRank = rank
    }
  }
  const minimum = minimumReplicas(blob.wanted, policy.factors)
  const urgent = present < minimum
  const missing = Math.max(0, blob.wanted - counted, urgent ? minimum - present : 0)
  return { live, counted, minimum, missing, urgent: urgent && missing > 0, surplus: Math.max(0, live - blob.wanted), actor: actor?.view.node }
}

/** `left`: what this node has to repair, too, and the plan had no room for (actions, background bytes); rarest first. */
export interface RebalancePlan extends Plan {
  readonly left: readonly string[]
}

/** What `self` has to do about the blobs it holds. `mesh` is used up: its nodes remember what the plan gave them. */
export function planRebalance(self: NodeId, blobs: Iterable<BlobView>, mesh: MeshView, policy: RebalancePolicy, nowMs: number): RebalancePlan {
  const repairs: { blob: BlobView; standing: Standing }[] = []
  const actions: Action[] = []
  const movable: BlobView[] = []
  for (const blob of blobs) {
    const standing = standingOf(blob, mesh, policy)
    if (standing.missing > 0) {
      if (standing.actor === self || blob.begun === true) repairs.push({ blob, standing })
    } else if (ownerLacks(blob, mesh)) {
      if (standing.actor === self) repairs.push({ blob, standing })
    } else if (standing.surplus > 0) {
      const trim = trimOf(self, blob, standing, mesh, policy, nowMs)
      if (trim !== undefined) actions.push(trim)
    } else if (standing.live === standing.counted && blob.holders.includes(self)) {
      movable.push(blob)
    }
  }
  repairs.sort((a, b) => {
    return (
      Number(b.standing.urgent) - Number(a.standing.urgent) ||
      a.standing.live - b.standing.live ||
      priorities[b.blob.priority].value - priorities[a.blob.priority].value ||
      a.blob.bytes - b.blob.bytes ||
      (a.blob.cid < b.blob.cid ? -1 : 1)
    )
  })
  const budget = { bytes: policy.rebalance.backgroundBytesMax }
  const repairing = mesh.get(self)?.view.repairing ?? true
  const copies: Action[] = []
  const left: string[] = []
  for (const { blob, standing } of repairs) {
    const isBackground = !standing.urgent && blob.fresh !== true
    if (isBackground && !repairing) continue
    if (copies.length >= policy.rebalance.actionsMax || (isBackground && budget.bytes <= 0)) {
      left.push(blob.cid)
      continue
    }
    copies.push(...copiesOf(self, blob, standing, mesh, policy, budget))
  }
  actions.unshift(...copies)
  if (repairing && repairs.length === 0) actions.push(...movesOf(self, movable, mesh, policy, budget))
  return { ...planOf(actions.slice(0, policy.rebalance.actionsMax)), left }
}

/** The owner must hold it, is there, and does not: it was away when the file was put, or has lost it. */
function ownerLacks(blob: BlobView, mesh: MeshView): boolean {
  if (!priorities[blob.priority].ownerMustHold || blob.owner === undefined || blob.holders.includes(blob.owner)) return false
  const owner = mesh.get(blob.owner)
  return owner?.view.state === 'up' && owner.view.ownFreeBytes - owner.planned >= storageCost(blob.bytes)
}

function copiesOf(
  self: NodeId,
  blob: BlobView,
  standing: Standing,
  mesh: MeshView,
  policy: RebalancePolicy,
  budget: { bytes: number },
): Action[] {
  const actions: Action[] = []
  const counting = blob.holders.filter((id) => {
    const holder = mesh.get(id)
    return holder?.view.trusted === true && holder.view.state !== 'gone' && holder.view.silentMs <= policy.rebalance.graceMs
  })
  const placement = place(
    {
      cid: blob.cid,
      bytes: blob.bytes,
      priority: blob.priority,
      // Nothing is missing when only the owner's own copy is: then it is that one, whatever the count.
      wanted: counting.length + Math.max(1, standing.missing),
      owner: blob.owner,
      ownerMustHold: priorities[blob.priority].ownerMustHold,
      holders: counting,
    },
    mesh,
    policy.placement,
  )
  for (const to of placement.chosen) {
    if (!standing.urgent && blob.fresh !== true) {
      // Into debt by one blob at most: one that is larger than the whole budget must move some day too.
      if (budget.bytes <= 0) break
      budget.bytes -= blob.bytes
    }
    mesh.assign(to, storageCost(blob.bytes))
    const now = `${String(standing.live)} live of ${String(blob.wanted)} wanted`
    actions.push({
      kind: 'copy',
      cid: blob.cid,
      from: self,
      to,
      bytes: blob.bytes,
      reason: standing.urgent ? `${now}, below the minimum of ${String(standing.minimum)}` : now,
      urgent: standing.urgent || blob.fresh === true,
    })
  }
  return actions
}

/** The one copy that goes, if it is this node's, or undefined. One at a time: the next plan sees the new count. */
function trimOf(
  self: NodeId,
  blob: BlobView,
  standing: Standing,
  mesh: MeshView,
  policy: RebalancePolicy,
  nowMs: number,
): Action | undefined {
  if (blob.surplusSinceMs === undefined || nowMs - blob.surplusSinceMs < policy.rebalance.trimAfterMs) return undefined
  if (victimOf(blob, mesh, policy.placement)?.view.node !== self) return undefined
  const hours = Math.floor((nowMs - blob.surplusSinceMs) / 3600_000)
  return {
    kind: 'trim',
    cid: blob.cid,
    from: self,
    to: null,
    bytes: blob.bytes,
    reason: `${String(standing.live)} live copies for ${String(hours)} h, ${String(blob.wanted)} wanted; the others score better together`,
  }
}

/** The live holder without which the rest score highest: the fullest, the least reliable, or the one nearest another. */
export function victimOf(blob: BlobView, mesh: MeshView, settings: PlacementSettings): PlannedNode | undefined {
  const hash = hashName(blob.cid)
  const live = blob.holders.flatMap((id) => {
    const node = mesh.get(id)
    return node?.view.state === 'up' && node.view.trusted ? [node] : []
  })
  const used = new Used(mesh)
  for (const node of live) used.add(node)
  let victim: PlannedNode | undefined
  let lowest = Number.POSITIVE_INFINITY
  let lowestRank = 0
  for (const node of live) {
    if (priorities[blob.priority].ownerMustHold && node.view.node === blob.owner) continue
    used.remove(node)
    const worth = capacityTerm(node, settings) + reliabilityTerm(node, settings) + (settings.diversityWeight / 3) * used.newIn(node)
    used.add(node)
    const rank = rendezvous(hash, node.hash)
    if (worth < lowest - 1e-9 || (worth < lowest + 1e-9 && rank < lowestRank)) {
      victim = node
      lowest = worth
      lowestRank = rank
    }
  }
  return victim
}

/**
 * From full to empty. Only who is fuller than the mean gives, and only to a node that is emptier by `imbalanceStart`,
 * and stops when their difference is down to `imbalanceStop`: so a blob that has moved has no reason to move back. Each
 * blob is offered to its own pool of nodes, and an empty newcomer is in the pools of its fair share of them: a thousand
 * full nodes do not all push at it at once.
 */
function movesOf(self: NodeId, blobs: readonly BlobView[], mesh: MeshView, policy: RebalancePolicy, budget: { bytes: number }): Action[] {
  const me = mesh.get(self)
  if (me === undefined || me.view.maxBytes <= 0) return []
  const mean = mesh.freeShare()
  let freed = 0
  const myFree = (): number => Math.min(1, freeShareOf(me) + freed / me.view.maxBytes)
  if (myFree() >= mean) return []
  const actions: Action[] = []
  // Of each target by itself: else one newcomer would have all who are a little fuller than the mean move on to others, too.
  const begun = new Set<NodeId>()
  for (const blob of byLot(self, blobs)) {
    if (budget.bytes <= 0 || actions.length >= policy.rebalance.actionsMax || myFree() >= mean) break
    if (blob.owner === self) continue
    const others = blob.holders.filter((id) => id !== self)
    const to = place(
      { cid: blob.cid, bytes: blob.bytes, wanted: others.length + 1, owner: undefined, ownerMustHold: false, holders: others, excluded: [self] },
      mesh,
      policy.placement,
    ).chosen[0]
    const target = to === undefined ? undefined : mesh.get(to)
    if (to === undefined || target === undefined) continue
    const gap = freeShareOf(target) - myFree()
    if (gap < (begun.has(to) ? policy.rebalance.imbalanceStop : policy.rebalance.imbalanceStart)) continue
    begun.add(to)
    mesh.assign(to, storageCost(blob.bytes))
    freed += blob.bytes
    budget.bytes -= blob.bytes
    const percent = (share: number): string => `${String(Math.round(100 * (1 - share)))} %`
    actions.push({
      kind: 'move',
      cid: blob.cid,
      from: self,
      to,
      bytes: blob.bytes,
      reason: `this node is ${percent(freeShareOf(me))} full, the other ${percent(target.view.freeBytes / target.view.maxBytes)}, the mesh ${percent(mean)}`,
    })
  }
  return actions
}

/**
 * The other side of a move: several full nodes may have planned for the same empty one on the same news, so it says no as
 * soon as it is about as full as the mesh. `self` is its own view of itself, which is never stale.
 */
export function takesMove(self: NodeId, bytes: number, mesh: MeshView): boolean {
  const me = mesh.get(self)
  if (me === undefined || me.view.maxBytes <= 0) return false
  return freeShareOf(me) - bytes / me.view.maxBytes >= mesh.freeShare()
}

/** In an order of this node's own: two holders of the same blobs offer different ones first. */
function byLot(self: NodeId, blobs: readonly BlobView[]): BlobView[] {
  const mine = hashName(self)
  return blobs
    .map((blob) => ({ blob, rank: rendezvous(hashName(blob.cid), mine) }))
    .sort((a, b) => a.rank - b.rank)
    .map((one) => one.blob)
}

/**
 * Leaving: everything that would then be short of copies goes elsewhere first, rarest first; what others have enough of
 * is only let go. No budget: the node means to leave.
 */
export function planDrain(self: NodeId, blobs: Iterable<BlobView>, mesh: MeshView, policy: RebalancePolicy): Plan {
  const leaving = [...blobs].map((blob) => {
    const others = blob.holders.filter((id) => {
      const holder = mesh.get(id)
      return id !== self && holder?.view.state === 'up' && holder.view.trusted
    })
    return { blob, others }
  })
  leaving.sort((a, b) => a.others.length - b.others.length || (a.blob.cid < b.blob.cid ? -1 : 1))
  const actions: Action[] = []
  for (const { blob, others } of leaving) {
    if (others.length >= blob.wanted) {
      actions.push({ kind: 'evict', cid: blob.cid, from: self, to: null, bytes: blob.bytes, reason: `${String(others.length)} other live copies` })
      continue
    }
    const placement = place(
      { cid: blob.cid, bytes: blob.bytes, wanted: blob.wanted, owner: undefined, ownerMustHold: false, holders: others, excluded: [self] },
      mesh,
      policy.placement,
    )
    const reason = `this node leaves; ${String(others.length)} other live of ${String(blob.wanted)} wanted`
    if (placement.chosen.length === 0) {
      actions.push({ kind: 'move', cid: blob.cid, from: self, to: null, bytes: blob.bytes, reason: `${reason}, and no node has room for it` })
    }
    placement.chosen.forEach((to, i) => {
      mesh.assign(to, storageCost(blob.bytes))
      // The last of the copies to be made is the one after which this node's may go.
      actions.push({ kind: i === placement.chosen.length - 1 ? 'move' : 'copy', cid: blob.cid, from: self, to, bytes: blob.bytes, reason })
    })
  }
  return planOf(actions)
}

/**
 * The limit was lowered below what is used (or somebody else filled the disk): what may be evicted has been planned by
 * then, and this many bytes are still too many; or so many are needed. They move, least wanted first; what cannot move
 * stays, since a quota is never worth a last copy.
 */
export function planRelief(self: NodeId, blobs: Iterable<BlobView>, bytes: number, mesh: MeshView, policy: RebalancePolicy, reason = 'this node is over its limit'): Plan {
  const ordered = [...blobs].sort(
    (a, b) => priorities[a.priority].value - priorities[b.priority].value || b.bytes - a.bytes || (a.cid < b.cid ? -1 : 1),
  )
  const actions: Action[] = []
  let moved = 0
  for (const blob of ordered) {
    if (moved >= bytes || actions.length >= policy.rebalance.actionsMax) break
    if (priorities[blob.priority].ownerMustHold && blob.owner === self) continue
    const others = blob.holders.filter((id) => id !== self)
    const to = place(
      { cid: blob.cid, bytes: blob.bytes, wanted: others.length + 1, owner: undefined, ownerMustHold: false, holders: others, excluded: [self] },
      mesh,
      policy.placement,
    ).chosen[0]
    if (to === undefined) continue
    mesh.assign(to, storageCost(blob.bytes))
    moved += blob.bytes
    actions.push({ kind: 'move', cid: blob.cid, from: self, to, bytes: blob.bytes, reason })
  }
  return planOf(actions)
}
