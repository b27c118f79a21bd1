/**
 * The set of k nodes with the highest sum of scores.
 *
 * Intuition. Taking the best node k times is nearly always best, but not always: with power, region and segment counted
 * together, the first pick can use up what two later ones would each have brought. So the greedy answer is only where
 * the search starts: depth first over the candidates by falling gain, cut wherever even the best that could still come
 * does not beat what is in hand.
 *
 * Assumes the pool to be small (`poolSize`). Equal sums keep the greedy answer, whose ties fall to the pool's own order.
 * The number of steps is bounded; when it is used up the best so far stands, and it is the same at every node, since the
 * search has no other input than its arguments.
 */
import type { MeshView, PlannedNode } from './mesh-view.js'

export interface Candidate {
  readonly node: PlannedNode
  /** Capacity and reliability, weighted. */
  readonly base: number
}

/** Which segments, regions and power sources are taken. */
export class Used {
  readonly #segments: Uint16Array
  readonly #regions: Uint16Array
  readonly #powers: Uint16Array

  constructor(mesh: MeshView) {
    // Interned numbers are below the number of nodes.
    this.#segments = new Uint16Array(mesh.nodes.length)
    this.#regions = new Uint16Array(mesh.nodes.length)
    this.#powers = new Uint16Array(mesh.nodes.length)
  }

  add(node: PlannedNode): void {
    this.#count(node, 1)
  }

  remove(node: PlannedNode): void {
    this.#count(node, -1)
  }

  /** In how many of the three the node would be new: 0…3. */
  newIn(node: PlannedNode): number {
    return (
      (node.segment >= 0 && this.#segments[node.segment] === 0 ? 1 : 0) +
      (node.region >= 0 && this.#regions[node.region] === 0 ? 1 : 0) +
      (node.power >= 0 && this.#powers[node.power] === 0 ? 1 : 0)
    )
  }

  /** How many of the pool's own segments, regions and power sources are unused, each kind capped at `picks`. */
  potential(pool: readonly Candidate[], picks: number): number {
    const segments = new Set<number>()
    const regions = new Set<number>()
    const powers = new Set<number>()
    for (const { node } of pool) {
      if (node.segment >= 0 && this.#segments[node.segment] === 0) segments.add(node.segment)
      if (node.region >= 0 && this.#regions[node.region] === 0) regions.add(node.region)
      if (node.power >= 0 && this.#powers[node.power] === 0) powers.add(node.power)
    }
    return Math.min(picks, segments.size) + Math.min(picks, regions.size) + Math.min(picks, powers.size)
  }

  #count(node: PlannedNode, by: number): void {
    if (node.segment >= 0) this.#segments[node.segment] = (this.#segments[node.segment] ?? 0) + by
    if (node.region >= 0) this.#regions[node.region] = (this.#regions[node.region] ?? 0) + by
    if (node.power >= 0) this.#powers[node.power] = (this.#powers[node.power] ?? 0) + by
  }
}

/** Sums of weights that differ by less are the same sum, added up in another order. */
const epsilon = 1e-9
/** More than all 42,504 sets of 5 out of 24 and the partial ones before them need with any pruning at all. */
const stepsMax = 60_000

/** In the order in which a greedy choice within the set would take them. `used` is left as it was. */
export function bestSet(pool: readonly Candidate[], count: number, used: Used, perNovelty: number): PlannedNode[] {
  if (count <= 0) return []
  const greedy = greedyOrder(pool, count, used, perNovelty)
  // The most that any set could be worth: where greedy reaches it, as it mostly does, there is nothing to search.
  const ceiling = topBases(pool, count) + perNovelty * used.potential(pool, count)
  if (greedy.sum >= ceiling - epsilon || perNovelty === 0) return greedy.chosen.map((one) => one.node)
  const better = search(pool, count, used, perNovelty, greedy.sum)
  return (better === undefined ? greedy : greedyOrder(better, count, used, perNovelty)).chosen.map((one) => one.node)
}

function greedyOrder(
  pool: readonly Candidate[],
  count: number,
  used: Used,
  perNovelty: number,
): { chosen: Candidate[]; sum: number } {
  const left = new Set(pool)
  const chosen: Candidate[] = []
  let sum = 0
  while (chosen.length < count) {
    let best: Candidate | undefined
    let bestScore = Number.NEGATIVE_INFINITY
    for (const candidate of left) {
      const score = candidate.base + perNovelty * used.newIn(candidate.node)
      if (score > bestScore + epsilon) {
        best = candidate
        bestScore = score
      }
    }
    if (best === undefined) break
    chosen.push(best)
    left.delete(best)
    used.add(best.node)
    sum += bestScore
  }
  for (const candidate of chosen) used.remove(candidate.node)
  return { chosen, sum }
}

/** A set strictly better than `floor`, the best there is, or undefined. */
function search(
  pool: readonly Candidate[],
  count: number,
  used: Used,
  perNovelty: number,
  floor: number,
): Candidate[] | undefined {
  const current: Candidate[] = []
  let best: Candidate[] | undefined
  let bestSum = floor
  let stepsLeft = stepsMax
  const descend = (candidates: readonly Candidate[], sum: number): void => {
    const picks = count - current.length
    if (picks === 0) {
      if (sum > bestSum + epsilon) {
        bestSum = sum
        best = [...current]
      }
      return
    }
    // What a node brings only shrinks as others are added, so the highest gains of now bound all that follows…
    const gains = candidates
      .map((candidate) => ({ candidate, gain: candidate.base + perNovelty * used.newIn(candidate.node) }))
      .sort((a, b) => b.gain - a.gain)
    let bound = sum
    for (let i = 0; i < picks; i++) bound += gains[i]?.gain ?? 0
    if (bound <= bestSum + epsilon) return
    // …and so do the highest base scores with each unused kind counted once.
    if (sum + topBases(candidates, picks) + perNovelty * used.potential(candidates, picks) <= bestSum + epsilon) return
    for (let i = 0; i + picks <= gains.length; i++) {
      if (bound <= bestSum + epsilon || stepsLeft-- <= 0) return
      const { candidate, gain } = gains[i] ?? { candidate: undefined, gain: 0 }
      if (candidate === undefined) return
      current.push(candidate)
      used.add(candidate.node)
      descend(
        gains.slice(i + 1).map((one) => one.candidate),
        sum + gain,
      )
      used.remove(candidate.node)
      current.pop()
      // Without this one, the next of the list takes its place in the bound.
      bound += (gains[i + picks]?.gain ?? 0) - gain
    }
  }
  descend(pool, 0)
  return best
}

function topBases(candidates: readonly Candidate[], picks: number): number {
  const bases = candidates.map((one) => one.base).sort((a, b) => b - a)
  let sum = 0
  for (let i = 0; i < picks; i++) sum += bases[i] ?? 0
  return sum
}
