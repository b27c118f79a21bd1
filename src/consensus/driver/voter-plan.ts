import type { NodeId } from '../../base/index.js'
import { voterTarget } from '../quorum.js'

/** A node that could vote, as membership sees it. */
export interface VoterCandidate {
  readonly node: NodeId
  readonly up: boolean
  /** How long it has been silent; 0 if it is up. */
  readonly silentMs: number
  /** Share of the last 30 days in which it was reachable, 0…1. */
  readonly reliability: number
  readonly region: string
  readonly segment: string
}

export interface VoterPlanInit {
  /** 1, 3 or 5 if somebody set it; else by the number of nodes. */
  readonly target: number | undefined
  /** A voter that is silent for longer is replaced. */
  readonly graceMs: number
}

/** How much a region or network segment that has no voter yet counts beside reliability. */
const diversityWeight = 0.3

/**
 * Who should vote: as few changes as possible. Voters stay as long as they answer, or have been silent for less than the
 * grace; free places go to the most reliable nodes that are up, spread over regions and network segments. Fewer than the
 * target only if there are not enough: then the largest odd number. Undefined: nothing to change.
 */
export function planVoters(current: readonly NodeId[], candidates: readonly VoterCandidate[], init: VoterPlanInit): NodeId[] | undefined {
  const byNode = new Map(candidates.map((candidate) => [candidate.node, candidate]))
  const kept = current.filter((node) => {
    const candidate = byNode.get(node)
    return candidate !== undefined && (candidate.up || candidate.silentMs < init.graceMs)
  })
  const up = candidates.filter((candidate) => candidate.up)
  const wanted = init.target ?? voterTarget(new Set([...kept, ...up.map(({ node }) => node)]).size)
  // Never fewer by itself: three voters of which one is away still decide, one alone is one failure from none.
  const size = init.target ?? Math.max(wanted, current.length)
  const chosen = kept.slice(0, size)
  while (chosen.length < size) {
    const next = best(up.filter(({ node }) => !chosen.includes(node)), chosen.flatMap((node) => byNode.get(node) ?? []))
    if (next === undefined) break
    chosen.push(next.node)
  }
  if (chosen.length % 2 === 0) {
    // No replacement: who was silent for too long keeps the place rather than leave an even number.
    const spare = current.find((node) => !chosen.includes(node))
    if (spare !== undefined && chosen.length < size) chosen.push(spare)
    else chosen.pop()
  }
  const changed = chosen.length !== current.length || chosen.some((node) => !current.includes(node))
  return changed && chosen.length > 0 ? chosen : undefined
}

function best(candidates: readonly VoterCandidate[], chosen: readonly VoterCandidate[]): VoterCandidate | undefined {
  const score = (candidate: VoterCandidate): number => {
    const newRegion = chosen.every((other) => other.region !== candidate.region)
    const newSegment = chosen.every((other) => other.segment !== candidate.segment)
    return candidate.reliability + diversityWeight * (Number(newRegion) + Number(newSegment))
  }
  return [...candidates].sort((a, b) => score(b) - score(a) || (a.node < b.node ? -1 : 1))[0]
}
