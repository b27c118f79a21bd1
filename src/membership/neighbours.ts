import { createHash } from 'node:crypto'
import type { NodeId } from '../base/index.js'

/**
 * Whom to stay connected to. Up to `everybodyMax` members: all of them, since a connection costs some 100 KiB and makes
 * every request one hop. Above: a random but stable subset, by rendezvous hashing of (self, other), which changes by
 * about one peer when one joins or leaves; and the next node in the ring of names. Choices of both ends count, so a node
 * has some `2 × chosenMax` connections; random graphs with three choices per node are connected almost surely, and the
 * ring makes it certain as long as its members are up.
 */
export interface NeighboursInit {
  readonly everybodyMax: number
  readonly chosenMax: number
}

export function neighboursOf(self: NodeId, others: readonly NodeId[], init: NeighboursInit): NodeId[] {
  if (others.length <= init.everybodyMax) return [...others]
  const scored = others.map((peer) => ({ peer, score: score(self, peer) })).sort((a, b) => (a.score < b.score ? -1 : 1))
  const chosen = new Set(scored.slice(0, init.chosenMax).map(({ peer }) => peer))
  const ring = [...others].sort()
  const next = ring.find((peer) => peer > self) ?? ring[0]
  if (next !== undefined) chosen.add(next)
  return [...chosen]
}

function score(self: NodeId, other: NodeId): string {
  return createHash('sha256').update(self).update('\0').update(other).digest('hex')
}
