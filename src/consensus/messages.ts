import type { NodeId } from '../base/index.js'
import type { BaseChunk } from './base.js'
import type { Ballot } from './ballot.js'
import type { ConfigRecord, Decree } from './config.js'
import type { Revocation } from './revocation.js'
import type { SessionRecord, Snapshot } from './snapshot.js'
import type { Nonce, SessionId, VoterId } from './types.js'
import type { Accepted, Value } from './value.js'

/**
 * What proposers ask of voters and what these answer. Every request carries the configuration and the voter's incarnation
 * that it is meant for, so that a mismatch is refused and not guessed around; every reply carries the request's nonce.
 */
export interface Request {
  readonly config: number
  /** The voter store that is meant. Empty where the sender cannot know it yet (probe, activate, fetch). */
  readonly incarnation: string
  readonly nonce: Nonce
  readonly sender: SessionId
  /**
   * The highest durable sequence number that this voter store has told the sender, and in which process start of the
   * voter. A later start that began with less has forgotten.
   */
  readonly seen: Seen
  readonly body: RequestBody
}

export interface Seen {
  /** Empty: nothing yet. */
  readonly start: string
  readonly sequence: number
}

export type RequestBody =
  | { readonly kind: 'epoch' }
  | { readonly kind: 'renew'; readonly sequence: number }
  | PrepareBody
  | AcceptBody
  | OpenBody
  | { readonly kind: 'read'; readonly scope: string }
  | { readonly kind: 'list'; readonly after: string; readonly limit: number; readonly heldOnly: boolean }
  | { readonly kind: 'expired'; readonly session: SessionId }
  | { readonly kind: 'revoke'; readonly revocation: Revocation }
  | { readonly kind: 'cleared'; readonly revocation: Revocation }
  | { readonly kind: 'acknowledge'; readonly revocations: readonly Revocation[] }
  | { readonly kind: 'relay'; readonly wish: HandOffWish }
  | { readonly kind: 'probe' }
  /** Registers in scope order, for a base. `base`: only those that were accepted above what that base has. Also of a sealed voter. */
  | { readonly kind: 'rows'; readonly after: string; readonly limit: number; readonly base?: string }
  | BaseBody
  /** The base under this ballot comes to nothing. */
  | { readonly kind: 'base-end'; readonly ballot: Ballot }
  /** A chunk of a whole base. */
  | { readonly kind: 'base-chunk'; readonly hash: string; readonly index: number }
  /**
   * `base`: what was copied for it. `ballot`: this is `snapshot` and `decree-prepare`, too, one after the other in this order;
   * answered with `sealed`. Voters of before do not know it, and answer as if it were not there.
   */
  | { readonly kind: 'seal'; readonly members: readonly VoterId[]; readonly base?: string; readonly ballot?: Ballot }
  /** `base`: only what is above it, from who has it. */
  | { readonly kind: 'snapshot'; readonly base?: string }
  | { readonly kind: 'stage'; readonly hash: string; readonly snapshot: Snapshot }
  | { readonly kind: 'decree-prepare'; readonly ballot: Ballot }
  /** `snapshot`: the decree's own, to be staged first. Voters of before do not know it, and refuse what is not staged. */
  | { readonly kind: 'decree-accept'; readonly ballot: Ballot; readonly decree: Decree; readonly snapshot?: Snapshot }
  | { readonly kind: 'fetch'; readonly hash: string }
  | { readonly kind: 'activate'; readonly chain: readonly ConfigRecord[]; readonly snapshot?: Snapshot }

/** To old and new voters, one chunk after the other. The ballot tells one copy from all others; the highest goes on. */
export interface BaseBody {
  readonly kind: 'base'
  readonly ballot: Ballot
  readonly index: number
  readonly chunk: BaseChunk
}

export interface PrepareBody {
  readonly kind: 'prepare'
  readonly scope: string
  readonly ballot: Ballot
  /** Steal: the session that is to be evicted along with the promise, if the voter's clock allows. */
  readonly evict?: SessionId
  /** Take after a revocation: the record that must be clear when the promise is given. */
  readonly clear?: Revocation
}

export interface AcceptBody {
  readonly kind: 'accept'
  readonly scope: string
  readonly ballot: Ballot
  readonly value: Value
  /** False for a value that is committed as it was read: such a round grants nothing and needs no session. */
  readonly changed: boolean
  /** The proposer's next ballot for this scope, to be promised along with the accept. */
  readonly next?: Ballot
}

/**
 * The first value of a scope, to be accepted without a prepare where nothing was ever written or promised; anywhere else it
 * is a prepare with `next`. Answered with `accepted` or `promise`; in both cases `next` is promised.
 */
export interface OpenBody {
  readonly kind: 'open'
  readonly scope: string
  /** An opening ballot. */
  readonly ballot: Ballot
  readonly value: Value
  readonly next: Ballot
}

/** A node asks the holder of a scope to hand it over. Goes directly and through the voters. */
export interface HandOffWish {
  readonly scope: string
  readonly token: number
  readonly holder: SessionId
  readonly asker: SessionId
  /** The heat that justifies it, for the holder's governor: opaque here. */
  readonly reason: Uint8Array
}

export interface Reply {
  readonly nonce: Nonce
  readonly voter: VoterId
  /** 32 hex digits, of the voter's process start. */
  readonly start: string
  /** -1: this store votes in no configuration. */
  readonly config: number
  /** The voter's durable sequence number once this reply is out. */
  readonly sequence: number
  readonly body: ReplyBody
}

export type ReplyBody =
  | { readonly kind: 'refused'; readonly why: Refusal }
  | { readonly kind: 'epoch'; readonly epoch: number }
  | { readonly kind: 'renewed'; readonly wishes: readonly HandOffWish[] }
  | PromiseBody
  | { readonly kind: 'accepted'; readonly promisedNext: boolean }
  | { readonly kind: 'value'; readonly accepted?: Accepted }
  | { readonly kind: 'page'; readonly entries: readonly (readonly [scope: string, accepted: Accepted])[]; readonly next?: string }
  | { readonly kind: 'is-expired'; readonly expired: boolean }
  | { readonly kind: 'recorded' }
  | { readonly kind: 'is-clear'; readonly clear: boolean }
  | { readonly kind: 'done' }
  | { readonly kind: 'probed'; readonly sealed: boolean; readonly registers: number; readonly chain: readonly ConfigRecord[] }
  /** `behind`: how many registers it has that are above the base by now, about. */
  | { readonly kind: 'based'; readonly behind: number }
  | { readonly kind: 'base-chunk'; readonly chunk: BaseChunk; readonly more: boolean }
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
  | { readonly kind: 'decree-promise'; readonly accepted?: AcceptedDecree }
  /** Both of these at once. */
  | { readonly kind: 'sealed'; readonly snapshot: Snapshot; readonly accepted?: AcceptedDecree }
  | { readonly kind: 'decree-accepted'; readonly signature: Uint8Array }
  | { readonly kind: 'fetched'; readonly snapshot: Snapshot }
  | { readonly kind: 'activated'; readonly config: number }

export interface AcceptedDecree {
  readonly ballot: Ballot
  readonly decree: Decree
}

export interface PromiseBody {
  readonly kind: 'promise'
  readonly accepted?: Accepted
  /** The highest token of what compaction dropped: new tokens start above it. */
  readonly floor: number
  readonly evicted: boolean
  readonly clear: boolean
}

export type Refusal =
  /** A higher ballot is promised: go above it. */
  | { readonly code: 'promised'; readonly ballot: Ballot }
  | { readonly code: 'config'; readonly chain: readonly ConfigRecord[] }
  | { readonly code: 'incarnation' }
  | { readonly code: 'sealed'; readonly members: readonly VoterId[]; readonly base?: string }
  /** The voter supports or requires a higher epoch of the sender than the one it speaks under. */
  | { readonly code: 'superseded'; readonly epoch: number }
  /** Another process start has bound this epoch: a clone, or a disk that was restored. */
  | { readonly code: 'cloned' }
  /** Renewals wait until these are acknowledged. */
  | { readonly code: 'revoked'; readonly revocations: readonly Revocation[] }
  | { readonly code: 'old-sequence' }
  /** No live session of the proposer here. */
  | { readonly code: 'unsupported' }
  /** The scope has a higher token already; nothing to revoke. */
  | { readonly code: 'moot' }
  | { readonly code: 'not-sealed' }
  | { readonly code: 'unknown-snapshot' }
  /** It does not have that base, or not whole, or not from the configuration that it is for. */
  | { readonly code: 'unknown-base' }
  /** The voter found out that its store has gone back in time. */
  | { readonly code: 'forgot' }

/** Between holders, not to voters. */
export type PeerMessage =
  | { readonly kind: 'wish'; readonly wish: HandOffWish }
  | { readonly kind: 'refuse'; readonly scope: string; readonly token: number; readonly asker: SessionId; readonly reason: string }
  | { readonly kind: 'handed'; readonly scope: string; readonly value: Value }
  /** "I have lost touch with the voters; what comes after this configuration?" Anybody may answer: the chain is signed. */
  | { readonly kind: 'chain-wish'; readonly known: number }
  | { readonly kind: 'chain'; readonly records: readonly ConfigRecord[] }

/** Whom a message is for or from, on the way out of the core. */
export interface Envelope {
  readonly to: NodeId
  readonly request: Request
}

export type { SessionRecord }
