import type { Facts, NodeId } from '../base/index.js'
import { CodedError } from '../base/index.js'

export type ConsensusCode =
  /** No majority of voters answered in time. Whether a change happened may be unknown: see the fact `unknown`. */
  | 'NO_QUORUM'
  /** Others' ballots won every try. */
  | 'CONTENDED'
  /** Somebody else holds the scope: facts `holder`, `token`. */
  | 'HELD'
  /** The caller does not hold what it means to give up. */
  | 'NOT_HOLDER'
  /** The token named is not the current one. */
  | 'STALE_TOKEN'
  /** The node has no session with a majority of voters yet, or no more. */
  | 'NO_SESSION'
  /** The holder is alive to the voters: ask it, or revoke. */
  | 'HOLDER_ALIVE'
  /** The holder's governor said no. */
  | 'HAND_OFF_REFUSED'
  /** The configuration moved while this was under way; try again. */
  | 'SEALED'
  /** The voters could not be changed: says why. Nothing is sealed. */
  | 'NOT_RECONFIGURED'
  | 'BAD_INPUT'
  /** A message that is not one of ours, or too large. */
  | 'BAD_MESSAGE'
  | 'CANCELLED'
  | 'CLOSED'

export class ConsensusError extends CodedError<ConsensusCode> {
  constructor(code: ConsensusCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

/**
 * One life of one node's store: (node, incarnation) names the store, the epoch one start of it. A node that lost its
 * memory gets a new incarnation; a node that merely restarted, or was evicted, a new epoch.
 */
export interface SessionId {
  readonly node: NodeId
  /** 32 hex digits, random, made with the store. */
  readonly incarnation: string
  /** 1, 2, … ; 0 only before the start round has chosen one. */
  readonly epoch: number
}

/** A voter is a store that votes: its node and the incarnation it was configured with. */
export interface VoterId {
  readonly node: NodeId
  readonly incarnation: string
}

/** A reply counts only if its nonce is that of a request of this very process start which still waits. */
export interface Nonce {
  /** 32 hex digits, random per process start. */
  readonly start: string
  readonly counter: number
}

export function sameSession(a: SessionId, b: SessionId): boolean {
  return a.epoch === b.epoch && a.node === b.node && a.incarnation === b.incarnation
}

export function sameVoter(a: VoterId, b: VoterId): boolean {
  return a.node === b.node && a.incarnation === b.incarnation
}

/**
 * Names that were put together lately, by incarnation. Each is asked for several times in every message, and one that is made
 * anew has to be hashed anew by every map that it is looked up in.
 */
const storeKeys = new Map<string, { readonly node: string; readonly key: string }>()
/** More stores than speak to one node; with ids of real length some 300 KB. */
const storeKeysMax = 1000

/** The store's name as one string, for maps. Neither part has a slash in it. */
export function storeKey({ node, incarnation }: { node: string; incarnation: string }): string {
  const known = storeKeys.get(incarnation)
  if (known?.node === node) return known.key
  const key = `${node}/${incarnation}`
  if (storeKeys.size >= storeKeysMax) storeKeys.clear()
  storeKeys.set(incarnation, { node, key })
  return key
}
