import type { MeshId, NodeId } from '../base/index.js'
import { MembershipError } from './types.js'

/** What a person reads who was refused. One place, so that both ends of a handshake and the CLI say the same. */

const units: readonly (readonly [name: string, ms: number])[] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
]

/** `3 hours`, `1 day`: the largest unit that is not zero, since nobody asks how many minutes three days ago was. */
export function inWords(ms: number): string {
  for (const [name, size] of units) {
    const count = Math.floor(ms / size)
    if (count >= 1) return `${count} ${name}${count === 1 ? '' : 's'}`
  }
  return 'a moment'
}

/** `2026-11-21`, in UTC. */
export function dateOf(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? 'an unknown date' : date.toISOString().slice(0, 10)
}

export function expired(expiresAtMs: number, nowMs: number): MembershipError {
  return new MembershipError(
    'INVITE_EXPIRED',
    `this invite expired ${inWords(nowMs - expiresAtMs)} ago; ask for a new one with \`mesh-node invite\``,
    { expiresAtMs },
  )
}

export function removed(peer: NodeId, revokedMs: number): MembershipError {
  return new MembershipError(
    'REVOKED',
    `this node was removed from the mesh on ${dateOf(revokedMs)}; to come back it needs a new identity (a new home) and a new invite`,
    { peerId: peer, revokedMs },
  )
}

export function otherMesh(theirs: MeshId, ours: MeshId): MembershipError {
  return new MembershipError('WRONG_MESH', `that invite is for another mesh (${theirs}); this one is ${ours}`, { theirs, ours })
}

export function badCertificate(why: string, cause?: unknown): MembershipError {
  return new MembershipError('BAD_CERTIFICATE', `this is not a good membership certificate: ${why}`, {}, cause === undefined ? {} : { cause })
}

export function badInvite(why: string, cause?: unknown): MembershipError {
  return new MembershipError('BAD_INVITE', why, {}, cause === undefined ? {} : { cause })
}

export function notAdmin(what: string): MembershipError {
  return new MembershipError(
    'NOT_ADMIN',
    `only the node that holds the mesh's authority key (authority.key in its home) can ${what}; run this on that node`,
  )
}
