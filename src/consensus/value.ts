import type { Ballot } from './ballot.js'
import { isOpening, sameBallot } from './ballot.js'
import { majorityOf } from './quorum.js'
import type { SessionId } from './types.js'

/**
 * What a register holds. For a lease: who holds it. For a segment of a volume `holder` is null, and who holds which range
 * is in the payload; the token is the segment's own. The register does not look into the payload.
 */
export interface Value {
  /** Null: free. */
  readonly holder: SessionId | null
  /** Grows by at least 1 at every change of holder and every re-take; never reset, not even when free. */
  readonly token: number
  /** Names the operation that made this value, so that its retry knows its own work again. */
  readonly op: string
  readonly payload: Uint8Array
}

export interface Accepted {
  readonly ballot: Ballot
  readonly value: Value
}

/** A voter's durable part of one scope. */
export interface Register {
  /** I1: never lower than before, and never lower than `accepted.ballot`. */
  readonly promised: Ballot
  readonly accepted?: Accepted
}

export const noBytes: Uint8Array = new Uint8Array(0)

/** What "nothing was ever written here" commits as, where a round has to commit what it read. */
export const emptyValue: Value = { holder: null, token: 0, op: '', payload: noBytes }

export function sameValue(a: Value, b: Value): boolean {
  if (a === b) return true
  if (a.token !== b.token || a.op !== b.op || !sameHolder(a.holder, b.holder)) return false
  return a.payload.length === b.payload.length && a.payload.every((byte, i) => byte === b.payload[i])
}

function sameHolder(a: SessionId | null, b: SessionId | null): boolean {
  if (a === null || b === null) return a === b
  return a.node === b.node && a.incarnation === b.incarnation && a.epoch === b.epoch
}

/** Whether two voters tell of the same choice. One ballot has one value, so comparing ballots is enough. */
export function sameAccepted(a: Accepted | undefined, b: Accepted | undefined): boolean {
  return sameBallot(a?.ballot, b?.ballot)
}

/** How many of the voters must show it alike to prove that it is chosen: a majority, or all if it was a scope's first value. */
export function showsToProve(accepted: Accepted | undefined, voters: number): number {
  return accepted !== undefined && isOpening(accepted.ballot) ? voters : majorityOf(voters)
}

/** Whether the value is exactly (holder, incarnation, epoch, token): what every conditional change asks. */
export function isHeldBy(value: Value | undefined, session: SessionId, token: number): boolean {
  return value !== undefined && value.token === token && sameHolder(value.holder, session)
}
