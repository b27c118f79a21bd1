import type { LivenessInit } from './liveness.js'

export interface MembershipInit extends LivenessInit {
  /** Between two signs of life through gossip. Grows with the mesh, see `scaled`. */
  heartbeatMs: number
  /** Between two announcements of an unchanged description. Also how fresh a relayed last sign of life is. */
  announceMs: number
  /** Between two exchanges with a random connected member, besides the one on every new connection. */
  syncMs: number
  /** Up to so many members everybody is connected to everybody. */
  everybodyMax: number
  /** Members that a node of a larger mesh chooses to be connected to; as many again choose it. */
  chosenMax: number
}

/**
 * Settings that fit a grace: the one number that people set (24 h by default; seconds in tests and on servers). The rest
 * follows, so that suspicion comes well before the grace ends and several beats fit before suspicion.
 */
export function membershipSettings(graceMs: number): MembershipInit {
  // Four lost beats in a row are no accident; a minute hides a restart or a Wi-Fi change.
  const suspectMs = Math.min(60_000, graceMs / 3)
  const heartbeatMs = Math.min(15_000, suspectMs / 4)
  return {
    graceMs,
    suspectMs,
    heartbeatMs,
    // A redial of everybody with its backoff takes seconds; three quarters of a minute is generous.
    settleMs: Math.min(45_000, graceMs / 2),
    announceMs: Math.max(heartbeatMs, Math.min(600_000, graceMs / 10)),
    syncMs: Math.max(1000, Math.min(300_000, graceMs / 10)),
    everybodyMax: 50,
    chosenMax: 16,
  }
}

/** Members for which the intervals above are made; traffic per node stays the same in larger meshes. */
const membersPlain = 50

/** How much longer all intervals are in a mesh of `members`: everybody hears everybody, so the rate must fall as it grows. */
export function scaled(members: number): number {
  return Math.max(1, members / membersPlain)
}

export function livenessIn(init: MembershipInit, members: number): LivenessInit {
  const suspectMs = Math.max(init.suspectMs, init.heartbeatMs * scaled(members) * 4)
  return { suspectMs, graceMs: Math.max(init.graceMs, suspectMs * 2), settleMs: init.settleMs }
}
