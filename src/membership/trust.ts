import type { NodeId } from '../base/index.js'
import type { Admittance } from './record.js'
import { isConfirmed } from './record.js'
import { recordsMax } from './limits.js'

/**
 * Who is a member? All that is signed by an invite key could have been signed at any time by whoever kept the token, so
 * the dates in it prove nothing. What counts is that somebody who can be believed met the node *in time*. Hence a node is
 * a member, in the eyes of this one, if it is not removed and
 *
 *   1. the authority says so itself (an endorsement by the authority), or
 *   2. this node met it, by its own clock, while its invite was good (`metInTime`), or
 *   3. its invite is good now, or
 *   4. a member, by these same rules, says that it met it while its invite was good.
 *
 * Assumes that members are honest about when they met somebody; one that is not could as well relay for the stranger. A
 * removed member's word counts for nothing, whatever its date: it could be written today and dated back. That also takes
 * back members for whom nobody else spoke; so members go on collecting endorsements until the authority's (rule 1), which
 * depends on no one.
 *
 * The road not taken: short certificates renewed for ever. The authority is often a laptop in a bag, and a mesh must not
 * fall apart because one machine is away for longer than a certificate lives. See protocols/admission/README.md.
 */
export interface TrustView {
  readonly authority: NodeId
  record(peer: NodeId): Admittance | undefined
  isRevoked(peer: NodeId): boolean
  /** Rule 2, remembered. */
  metInTime(peer: NodeId): boolean
  /** Rule 3: undefined when this node's clock cannot be believed, and so no newcomer can be judged. */
  readonly nowMs: number | undefined
}

export type Trust = 'confirmed' | 'met' | 'invited' | 'endorsed'

/** By which rule a peer is a member, the lasting ones first; undefined if by none. Its record's signatures were checked. */
export function trustIn(peer: NodeId, view: TrustView): Trust | undefined {
  return trustThrough(peer, view, new Set())
}

function trustThrough(peer: NodeId, view: TrustView, path: Set<NodeId>): Trust | undefined {
  if (view.isRevoked(peer)) return undefined
  const record = view.record(peer)
  if (record === undefined) return undefined
  if (isConfirmed(view.authority, record)) return 'confirmed'
  if (view.metInTime(peer)) return 'met'
  const { grant } = record
  if (grant === undefined) return undefined
  if (isOpen(grant, view.nowMs)) return 'invited'
  // A chain longer than a certificate can show proves nothing to others; and the set ends circles of nodes that vouch
  // for each other. A node refused along one path is not written off: another path may reach it by fewer steps.
  if (path.size >= recordsMax - 1 || path.has(peer)) return undefined
  path.add(peer)
  const found = record.endorsements.some(
    ({ endorser, seenMs }) =>
      seenMs <= grant.expiresMs && !path.has(endorser) && trustThrough(endorser, view, path) !== undefined,
  )
  path.delete(peer)
  return found ? 'endorsed' : undefined
}

/**
 * How far apart two members' clocks may be before one of them is plainly wrong. Only used to notice that our own clock
 * is behind: an invite's end is compared without any tolerance, since nobody is hurt by knocking a minute earlier.
 */
export const clockSkewMsMax = 10 * 60_000

function isOpen(grant: { madeMs: number; expiresMs: number }, nowMs: number | undefined): boolean {
  // An invite from the future means that this clock (or the authority's) is wrong: then the end means nothing either.
  return nowMs !== undefined && nowMs <= grant.expiresMs && nowMs >= grant.madeMs - clockSkewMsMax
}

/**
 * Records that together convince anybody who knows the authority alone: the node's own, then those of its endorsers,
 * breadth first, as far as needed and as fit.
 */
export function chainOf(own: Admittance, view: TrustView): Admittance[] {
  const chain = [own]
  const inChain = new Set<NodeId>([own.peer])
  for (let i = 0; i < chain.length && chain.length < recordsMax; i++) {
    const record = chain[i]
    if (record === undefined || isConfirmed(view.authority, record)) continue
    // Those the authority confirmed come first: they end the chain.
    const endorsers = record.endorsements
      .flatMap(({ endorser }) => {
        const found = inChain.has(endorser) || view.isRevoked(endorser) ? undefined : view.record(endorser)
        return found === undefined ? [] : [found]
      })
      .sort((a, b) => Number(isConfirmed(view.authority, b)) - Number(isConfirmed(view.authority, a)))
    for (const endorser of endorsers) {
      if (chain.length === recordsMax || inChain.has(endorser.peer)) continue
      chain.push(endorser)
      inChain.add(endorser.peer)
    }
  }
  return chain
}
