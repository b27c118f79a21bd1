import type { NodeId } from '../base/index.js'
import type { LeaseMode, LeaseState, LeaseView } from './types.js'
import { LeaseError } from './types.js'

const ends: Record<LeaseState, readonly LeaseState[]> = {
  pending: ['active', 'failed'],
  active: ['expired', 'released', 'revoked'],
  expired: [], released: [], revoked: [], failed: [],
}

export interface LeaseInit {
  readonly leaseId: string
  readonly scope: string
  readonly mode: LeaseMode
  readonly agent: string
  readonly ttlMs: number
  readonly maxRenewals: number
}

/**
 * One lease of one agent, as its own node sees it. TTL and renewals are this node's business alone and need no consensus:
 * the node's hold on the scope outlives them, or ends them. Time is an argument: elapsed ms that never understate.
 */
export class Lease {
  readonly init: LeaseInit
  #state: LeaseState = 'pending'
  #token = 0
  #renewals = 0
  #expiresAtMs = 0

  constructor(init: LeaseInit) {
    this.init = init
  }

  get state(): LeaseState {
    return this.#state
  }

  get token(): number {
    return this.#token
  }

  get expiresAtMs(): number {
    return this.#expiresAtMs
  }

  /** pending -> active. The TTL counts from when the request was sent. */
  activate(token: number, sentAtMs: number): void {
    this.#to('active')
    this.#token = token
    this.#expiresAtMs = sentAtMs + this.init.ttlMs
  }

  /** active -> active, with a fresh TTL. Throws NOT_ACTIVE, TOO_MANY_RENEWALS. */
  renew(sentAtMs: number, ttlMs: number): void {
    if (this.#state !== 'active') throw new LeaseError('NOT_ACTIVE', `the lease is ${this.#state}`, { leaseId: this.init.leaseId, state: this.#state })
    const { maxRenewals } = this.init
    if (maxRenewals >= 0 && this.#renewals >= maxRenewals) throw new LeaseError('TOO_MANY_RENEWALS', `it was renewed ${String(this.#renewals)} times, and that is all it may be`, { maxRenewals })
    this.#renewals++
    this.#expiresAtMs = Math.max(this.#expiresAtMs, sentAtMs + ttlMs)
  }

  /** active -> expired | released | revoked, pending -> failed. */
  end(state: 'expired' | 'released' | 'revoked' | 'failed'): void {
    this.#to(state)
  }

  isExpired(nowMs: number): boolean {
    return this.#state === 'active' && nowMs >= this.#expiresAtMs
  }

  /** `vouchedMs`: for how long the node can be sure that nobody else has the scope. */
  view(holder: NodeId, nowMs: number, vouchedMs: number): LeaseView {
    const { leaseId, scope, mode, agent, ttlMs, maxRenewals } = this.init
    const expiresInMs = this.#state === 'active' ? Math.max(0, this.#expiresAtMs - nowMs) : 0
    return {
      leaseId, scope, mode, holder, agent, token: this.#token, state: this.#state, renewals: this.#renewals, maxRenewals, ttlMs,
      expiresInMs, validForMs: Math.min(expiresInMs, Math.max(0, vouchedMs)),
    }
  }

  #to(state: LeaseState): void {
    if (!ends[this.#state].includes(state)) throw new LeaseError('NOT_ACTIVE', `a lease that is ${this.#state} cannot become ${state}`, { leaseId: this.init.leaseId, state: this.#state })
    this.#state = state
  }
}
