import type { NodeId } from '../base/index.js'
import type { Admittance, Grant } from './record.js'
import { isConfirmed } from './record.js'
import { recordsMax } from './limits.js'

/**
 * Who is a member? All that is signed by an invite key could have been signed at any time by whoever kept the token, so
 * the dates in it prove nothing. What counts is that somebody who can be believed met the node *in time*. Hence a node is
 * a member, in the eyes of this one, if it is not removed and
 *
 *   1. the authority says so itself (an endorsement by the authority), or
 *   2. this node met it, by its own clock, while its invite was good (`metInTime`, see `endOf`), or
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
  /** When the authority took an invite back before its end, Unix ms. */
  voidedMs(inviteKey: NodeId): number | undefined
  /** Rule 2, remembered. */
  metInTime(peer: NodeId): boolean
  /** Rule 3: undefined when this node's clock cannot be believed, and so no newcomer can be judged. */
  readonly nowMs: number | undefined
}

export type Trust = 'confirmed' | 'met' | 'invited' | 'endorsed'

/**
 * By which rule a peer is a member, the lasting ones first; undefined if by none. Signatures were checked before.
 *
 * Rule 4 over and over is reachability: does following "endorsed by" from the peer lead to somebody of rules 1 to 3? Every
 * node is visited once, so circles of nodes that vouch for each other end, and a web of thousands spun to keep us busy
 * costs no more than reading it.
 */
export function trustIn(peer: NodeId, view: TrustView): Trust | undefined {
  const visited = new Set<NodeId>([peer])
  const open: NodeId[] = [peer]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const record = view.isRevoked(next) ? undefined : view.record(next)
    if (record === undefined) continue
    const trust = ownTrust(record, view)
    if (trust !== undefined) return next === peer ? trust : 'endorsed'
    for (const { endorser, seenMs } of record.endorsements) {
      if (record.grant === undefined || seenMs > endOf(record.grant, view) || visited.has(endorser)) continue
      visited.add(endorser)
      open.push(endorser)
    }
  }
  return undefined
}

/** Rules 1 to 3: those that need no other member. */
function ownTrust(record: Admittance, view: TrustView): Trust | undefined {
  if (isConfirmed(view.authority, record)) return 'confirmed'
  if (view.metInTime(record.peer)) return 'met'
  return record.grant !== undefined && isOpen(record.grant, view) ? 'invited' : undefined
}

/**
 * Until when it counts to have met somebody with this invite. Whoever is removed still has the token that it came by, and
 * would be back with a new name at once, so that token ends with it; those who were met before keep what they have.
 */
export function endOf(grant: Grant, view: Pick<TrustView, 'voidedMs'>): number {
  return Math.min(grant.expiresMs, view.voidedMs(grant.inviteKey) ?? Number.POSITIVE_INFINITY)
}

/**
 * How far apart two members' clocks may be before one of them is plainly wrong. Only used to notice that our own clock
 * is behind: an invite's end is compared without any tolerance, since nobody is hurt by knocking a minute earlier.
 */
export const clockSkewMsMax = 10 * 60_000

function isOpen(grant: Grant, view: TrustView): boolean {
  const { nowMs } = view
  // Once taken back an invite is closed, whatever the clock says: this one may be behind the authority's.
  if (view.voidedMs(grant.inviteKey) !== undefined) return false
  // An invite from the future means that this clock (or the authority's) is wrong: then the end means nothing either.
  return nowMs !== undefined && nowMs <= grant.expiresMs && nowMs >= grant.madeMs - clockSkewMsMax
}

/**
 * Records that together convince anybody who knows the authority alone, if there are such: the node's own and the shortest
 * way to one that the authority confirmed. Where there is room, and where there is no such way, other endorsers follow,
 * the nearest first: whoever is asked may have met one of them.
 */
export function chainOf(own: Admittance, view: TrustView): Admittance[] {
  const from = new Map<NodeId, Admittance | undefined>([[own.peer, undefined]])
  const found: Admittance[] = [own]
  let confirmed: Admittance | undefined
  for (let i = 0; i < found.length && confirmed === undefined; i++) {
    const record = found[i]
    if (record === undefined) break
    if (isConfirmed(view.authority, record)) confirmed = record
    for (const { endorser, seenMs } of record.endorsements) {
      const next = from.has(endorser) || view.isRevoked(endorser) ? undefined : view.record(endorser)
      if (next === undefined || record.grant === undefined || seenMs > endOf(record.grant, view)) continue
      from.set(endorser, record)
      found.push(next)
    }
  }
  const way: Admittance[] = []
  for (let at = confirmed; at !== undefined; at = from.get(at.peer)) way.unshift(at)
  // Alone it convinces everybody: nothing else needs to be shown.
  if (confirmed === own) return [own]
  return [...new Set([own, ...way, ...found])].slice(0, recordsMax)
}
