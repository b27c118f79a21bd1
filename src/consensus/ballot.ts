import type { SessionId } from './types.js'

/**
 * A ballot = (config, round, node, incarnation, epoch), totally ordered in that order. Its uniqueness is the ground that
 * everything stands on: rounds only grow within one process start, every start has its own epoch (bound by the voters to
 * one start id), so no two tries in the life of the mesh have the same ballot. Every try of every operation takes a new
 * round. The configuration comes first, so that whatever is proposed in c+1 beats all of c.
 */
export interface Ballot extends SessionId {
  readonly config: number
  readonly round: number
}

/**
 * Rounds below this are *opening* ballots, under which a scope that was never written gets its first value without a
 * prepare; every ordinary ballot of a configuration is above all of them. See `Round`.
 */
export const openingRoundsEnd = 2 ** 32

/** A value under such a ballot is chosen when *all* voters have accepted it, not when a majority has. */
export function isOpening(ballot: Ballot): boolean {
  return ballot.round < openingRoundsEnd
}

/** The opening ballot that belongs to an ordinary one: as unique as that is. */
export function openingOf(ballot: Ballot): Ballot {
  return { ...ballot, round: ballot.round - openingRoundsEnd }
}

/** Negative, zero, positive as in `sort`. */
export function compareBallots(a: Ballot, b: Ballot): number {
  if (a.config !== b.config) return a.config - b.config
  if (a.round !== b.round) return a.round - b.round
  if (a.node !== b.node) return a.node < b.node ? -1 : 1
  if (a.incarnation !== b.incarnation) return a.incarnation < b.incarnation ? -1 : 1
  return a.epoch - b.epoch
}

/** No ballot is lower than none. */
export function ballotAbove(a: Ballot, b: Ballot | undefined): boolean {
  return b === undefined || compareBallots(a, b) > 0
}

export function sameBallot(a: Ballot | undefined, b: Ballot | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && compareBallots(a, b) === 0)
}
