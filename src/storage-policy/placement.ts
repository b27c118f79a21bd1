/**
 * Where the copies of a blob go.
 *
 * Intuition. The score of a node is the published one,
 *
 *     capacity_weight · free/max  +  diversity_weight · diversity  +  reliability_weight · reliability,
 *
 * where diversity is the share of {network segment, region, power source} in which the node differs from all that are
 * chosen already. The chosen set is the one with the highest sum of scores, each node scored after those before it; the
 * search is exact (see `placement-search.ts`), not merely greedy.
 *
 * Taken alone that formula has two faults. A node that joins empty is the best place for *every* blob of the mesh, so
 * all writers hit it at once; and it is so by a hair, on figures that are seconds to minutes old, so that two nodes with
 * slightly different news choose differently. Therefore:
 *
 * 1. Only a pool is compared: the `poolSize` eligible nodes that rank first for this blob by rendezvous hashing,
 *    weighted by quota. A mesh of at most `poolSize` nodes is compared whole. In a larger one an empty newcomer is in
 *    the pool of its fair share of blobs and no more. This is the "power of d choices" (Mitzenmacher, 1996): the best of
 *    a few random ones balances nearly as well as the best of all, and does so on stale figures (Mitzenmacher, "How
 *    useful is old information?", 2000), where the best of all herds.
 * 2. free/max and reliability are rounded to fiftieths before they are weighed, so that news that differs by a percent
 *    mostly gives the same score, and equals are settled by the pool's order, which is different for every blob.
 *
 * Assumes: the view is recent enough that most of the chosen accept. A target that is full says so when it is asked, and
 * the next placement leaves it out; no quota depends on the view being right.
 *
 * Road not taken: placement computed from the node list alone, as CRUSH does. It needs no memory of who holds what, but
 * moves data whenever a node's weight changes, and laptops change by the hour. Here a copy stays where it is until there
 * is a reason to move it; the price is the inventory gossip.
 */
import type { NodeId } from '../base/index.js'
import { hashName, weightedRendezvous } from './hashing.js'
import type { MeshView, PlannedNode } from './mesh-view.js'
import { freeBytesOf, freeShareOf } from './mesh-view.js'
import type { Candidate } from './placement-search.js'
import { bestSet, Used } from './placement-search.js'
import type { PlacementSettings } from './settings.js'
import { storageCost } from './storage-cost.js'

export interface PlacementRequest {
  readonly cid: string
  readonly bytes: number
  /** Copies in all, the existing ones included. */
  readonly wanted: number
  /** Its node comes first if its reserve allows. */
  readonly owner: NodeId | undefined
  readonly ownerMustHold: boolean
  /** Who has it already: counted, and never chosen again. */
  readonly holders: readonly NodeId[]
  /** Tried in vain a moment ago. */
  readonly excluded?: readonly NodeId[]
}

export interface NodeScore {
  readonly peerId: NodeId
  /** The sum of the terms: for a chosen node at its turn, for others after all the chosen ones. */
  readonly score: number
  /** Weighted. */
  readonly terms: { readonly capacity: number; readonly diversity: number; readonly reliability: number }
  /** Why it was not even compared; null if it was compared or is a holder. */
  readonly rejected: string | null
}

export interface Placement {
  readonly cid: string
  readonly size: number
  readonly wanted: number
  /** The new places, in the order of choice. */
  readonly chosen: readonly NodeId[]
  readonly warnings: readonly string[]
}

export interface PlacementExplanation extends Placement {
  readonly nodes: readonly NodeScore[]
}

/** Fiftieths: two percent is about what a busy node's free space moves by between two vitals messages. */
const steps = 50

/** The new places for a blob. Does not change `mesh`: call `assign` for what is going to be done. */
export function place(request: PlacementRequest, mesh: MeshView, settings: PlacementSettings): Placement {
  return choose(request, mesh, settings).placement
}

function choose(
  request: PlacementRequest,
  mesh: MeshView,
  settings: PlacementSettings,
): { placement: Placement; pool: readonly Candidate[] } {
  const used = new Used(mesh)
  let copies = 0
  for (const holder of request.holders) {
    const node = mesh.get(holder)
    if (node === undefined || node.view.state === 'gone' || !node.view.trusted) continue
    used.add(node)
    copies++
  }
  const chosen: NodeId[] = []
  const warnings: string[] = []
  const owner = request.owner === undefined ? undefined : mesh.get(request.owner)
  if (owner !== undefined && !request.holders.includes(owner.view.node) && copies < request.wanted) {
    if (ownerRejection(owner, request) === null) {
      chosen.push(owner.view.node)
      used.add(owner)
      copies++
    } else if (request.ownerMustHold) {
      warnings.push(`its owner's node must hold it and cannot: ${ownerRejection(owner, request) ?? ''}`)
    }
  }
  const missing = request.wanted - copies
  const pool = poolOf(request, mesh, settings, chosen, Math.max(1, missing))
  if (missing > 0) {
    for (const node of bestSet(pool, Math.min(missing, pool.length), used, settings.diversityWeight / 3)) {
      chosen.push(node.view.node)
      used.add(node)
      copies++
    }
  }
  if (copies < request.wanted) {
    warnings.push(`${String(copies)} of ${String(request.wanted)} copies have a place: no other node can take it`)
  }
  if (copies < 2) warnings.push('fewer than two copies: it is lost when that one node is')
  return { placement: { cid: request.cid, size: request.bytes, wanted: request.wanted, chosen, warnings }, pool }
}

/** `place`, and every term of every node. */
export function explainPlacement(request: PlacementRequest, mesh: MeshView, settings: PlacementSettings): PlacementExplanation {
  const { placement, pool } = choose(request, mesh, settings)
  const compared = new Set(pool.map((candidate) => candidate.node))
  const used = new Used(mesh)
  for (const holder of request.holders) {
    const node = mesh.get(holder)
    if (node !== undefined && node.view.state !== 'gone' && node.view.trusted) used.add(node)
  }
  const nodes: NodeScore[] = []
  const score = (node: PlannedNode, rejected: string | null): void => {
    const terms = {
      capacity: capacityTerm(node, settings),
      diversity: (settings.diversityWeight / 3) * used.newIn(node),
      reliability: reliabilityTerm(node, settings),
    }
    nodes.push({ peerId: node.view.node, score: terms.capacity + terms.diversity + terms.reliability, terms, rejected })
  }
  for (const id of placement.chosen) {
    const node = mesh.get(id)
    if (node === undefined) continue
    score(node, null)
    used.add(node)
  }
  for (const node of mesh.nodes) {
    if (placement.chosen.includes(node.view.node)) continue
    if (request.holders.includes(node.view.node)) {
      score(node, 'holds it already')
      continue
    }
    const rejected = rejection(node, request)
    const outside = `not among the ${String(compared.size)} nodes that are compared for this blob`
    score(node, rejected ?? (compared.has(node) ? null : outside))
  }
  return { ...placement, nodes }
}

/** Why a node cannot take a copy of somebody's blob, or null. */
export function rejection(node: PlannedNode, request: PlacementRequest): string | null {
  const { view } = node
  if (request.holders.includes(view.node)) return 'holds it already'
  if (request.excluded?.includes(view.node) === true) return 'was asked a moment ago and could not'
  if (view.state !== 'up') return view.state === 'gone' ? 'has been away longer than the grace' : 'does not answer'
  if (!view.trusted) return 'claimed to hold what it does not have'
  if (!view.accepting) return "does not take others' blobs now"
  if (freeBytesOf(node) < storageCost(request.bytes)) return 'not enough free space within its quota'
  return null
}

function ownerRejection(node: PlannedNode, request: PlacementRequest): string | null {
  const { view } = node
  if (request.excluded?.includes(view.node) === true) return 'it was asked a moment ago and could not'
  if (view.state !== 'up') return 'it does not answer'
  if (Math.max(0, view.ownFreeBytes - node.planned) < storageCost(request.bytes)) return 'not enough free space within its quota'
  return null
}

/** The candidates, best-ranked for this blob first. */
function poolOf(
  request: PlacementRequest,
  mesh: MeshView,
  settings: PlacementSettings,
  chosen: readonly NodeId[],
  missing: number,
): Candidate[] {
  const blob = hashName(request.cid)
  // Twice what is missing at least, or there would be nothing to choose from.
  const size = Math.max(settings.poolSize, 2 * missing)
  // Best rank first. Of a thousand nodes some ninety ever get in, so keeping it sorted is cheaper than sorting at the end.
  const pool: { node: PlannedNode; rank: number }[] = []
  for (const node of mesh.nodes) {
    const rank = weightedRendezvous(blob, node.hash, node.view.maxBytes)
    if (pool.length >= size && rank <= (pool[pool.length - 1]?.rank ?? 0)) continue
    if (rejection(node, request) !== null || chosen.includes(node.view.node)) continue
    let at = pool.length
    while (at > 0 && (pool[at - 1]?.rank ?? 0) < rank) at--
    pool.splice(at, 0, { node, rank })
    if (pool.length > size) pool.pop()
  }
  return pool.map(({ node }) => ({ node, base: capacityTerm(node, settings) + reliabilityTerm(node, settings) }))
}

export function capacityTerm(node: PlannedNode, settings: PlacementSettings): number {
  return (settings.capacityWeight * Math.round(freeShareOf(node) * steps)) / steps
}

export function reliabilityTerm(node: PlannedNode, settings: PlacementSettings): number {
  return (settings.reliabilityWeight * Math.round(Math.min(1, Math.max(0, node.view.reliability)) * steps)) / steps
}
