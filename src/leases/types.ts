import type { Facts, NodeId } from '../base/index.js'
import { CodedError } from '../base/index.js'

export type LeaseCode =
  | 'BAD_INPUT'
  /** Somebody else has it: facts holder, agent, token. */
  | 'HELD'
  /** It was not to be had within the wait. */
  | 'TIMED_OUT'
  | 'NOT_FOUND'
  /** It is over: fact state. */
  | 'NOT_ACTIVE'
  | 'TOO_MANY_RENEWALS'
  /** The lease moved, or this node can no longer vouch for it. */
  | 'STALE_TOKEN'
  | 'REFUSED'
  | 'CANCELLED'
  | 'UNAVAILABLE'

export class LeaseError extends CodedError<LeaseCode> {
  constructor(code: LeaseCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

export type LeaseMode = 'exclusive' | 'shared'
export type LeaseState = 'pending' | 'active' | 'expired' | 'released' | 'revoked' | 'failed'

/** As shown to people. What only the granting node knows is null elsewhere. */
export interface LeaseView {
  readonly leaseId: string
  readonly scope: string
  readonly mode: LeaseMode
  readonly holder: NodeId
  readonly agent: string
  readonly token: number
  readonly state: LeaseState
  readonly renewals: number | null
  /** -1: unlimited. */
  readonly maxRenewals: number | null
  readonly ttlMs: number | null
  /** What is left of the TTL. A renewal makes it the whole TTL again. */
  readonly expiresInMs: number | null
  /**
   * How long the answer may be relied on, counted from when the request was *sent*: what is left of the TTL, or of what
   * this node can vouch for if that is less, which is seconds. Ask again before. 0: do not act under it now.
   */
  readonly validForMs: number | null
}

/**
 * How a node has accessed what a scope is about, for whoever decides whether the scope should move there: counts within
 * the window, and how long a write took it.
 */
export interface AccessReport {
  readonly region: string
  readonly windowMs: number
  readonly reads: number
  readonly writes: number
  readonly slowWrites: number
  readonly latencyMs: number
}

/** What a governor knows when somebody asks to take a scope that is in use. */
export interface StealWish {
  readonly scope: string
  readonly asker: NodeId
  readonly agent: string
  /** Since this node got the scope. */
  readonly heldForMs: number
  /** Since the asker asked for the first time, by this node's clock. */
  readonly waitedMs: number
  /** The asker's own words, and this node's; absent where nobody keeps count. */
  readonly theirs?: AccessReport
  readonly ours?: AccessReport
}

export type Verdict = { readonly give: true } | { readonly give: false; readonly reason: string }

/** Decides whether a scope in use is given up. Pure. */
export type Governor = (wish: StealWish) => Verdict

export interface AcquireOptions {
  readonly agent: string
  readonly mode?: LeaseMode
  /** 1 ms … 365 days. */
  readonly ttlMs?: number
  readonly maxRenewals?: number
  /** How long to wait for it; 0: not at all. */
  readonly waitMs?: number
  /** Without `waitMs`: wait for as long as the setting `acquisition_timeout_ms` says. */
  readonly wait?: boolean
  /** Higher goes first; equals in order of arrival. */
  readonly priority?: number
  /** Do not wait until it is free: take it from whoever has it, if the governor there agrees. */
  readonly steal?: boolean
  readonly signal?: AbortSignal
}

export interface LeaseTransition {
  readonly leaseId: string
  readonly scope: string
  readonly agent: string
  readonly from: LeaseState | null
  readonly to: LeaseState
  readonly token: number
  /** Unix ms of the HLC. */
  readonly at: number
  readonly hlc: bigint
  readonly reason: string
  readonly error: string | null
}

/** Mesh-wide, changed at run time. */
export interface LeaseSettings {
  readonly default_ttl_seconds: number
  readonly max_renewals: number
  readonly acquisition_timeout_ms: number
  readonly cleanup_interval_seconds: number
  readonly auto_expire_enabled: boolean
  readonly blocking_mode_enabled: boolean
  readonly keep_history: boolean
  readonly history_retention_days: number
}

export const leaseSettingsDefaults: LeaseSettings = {
  default_ttl_seconds: 3600, max_renewals: -1, acquisition_timeout_ms: 30_000, cleanup_interval_seconds: 300,
  auto_expire_enabled: true, blocking_mode_enabled: true, keep_history: true, history_retention_days: 30,
}

export interface LeaseCounters {
  acquired: number
  waits: number
  conflicts: number
  timeouts: number
  renewals: number
  expired: number
  revoked: number
  released: number
  handedOver: number
}
