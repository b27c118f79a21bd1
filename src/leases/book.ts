import type { Clock, HlcClock, KeyValue, Log, NodeId } from '../base/index.js'
import { Emitter, messageOf } from '../base/index.js'
import type { ClockKind, HandOffWish, Readings, Value } from '../consensus/index.js'
import { elapsedAtLeastMs } from '../consensus/index.js'
import { History } from './history.js'
import type { Lease } from './lease.js'
import type { LeaseCounters, LeaseMode, LeaseState, LeaseTransition, LeaseView } from './types.js'
import { LeaseError } from './types.js'
import type { Waiter } from './waiters.js'
import { Waiters } from './waiters.js'

export interface LeaseEvents {
  transition: Omit<LeaseTransition, 'at' | 'hlc'>
  /** An agent must stop now: its lease is over and it did not end it. */
  ended: { leaseId: string; scope: string; state: LeaseState; reason: string }
}

/** A local agent in line, or another node's wish. */
export interface InLine extends Waiter {
  readonly mode: LeaseMode
  readonly wish: HandOffWish | undefined
  /** Local: wakes the acquire that waits. */
  readonly wake: (() => void) | undefined
}

/** What was told to an agent, and when: until then it acts on it, whatever became of the lease since. */
interface Promised {
  readonly at: Readings
  readonly forMs: number
}

export interface Scope {
  readonly name: string
  /** Active leases of this node: one exclusive, or any number of shared ones. */
  readonly leases: Set<Lease>
  readonly line: Waiters<InLine>
  /** Leases that were taken from their agents, while those may not know yet, by ID. */
  readonly draining: Map<string, Promised>
  /** Since when somebody asks to take it, by node and agent: for who starves. */
  readonly wanted: Map<string, number>
  /** A round for this scope by this node is under way. */
  busy: boolean
  /** Acquires that have not ended; they keep the scope from being forgotten. */
  pending: number
  heldSinceMs: number
  /** Grants in a row to agents of this node. */
  turns: number
  /** Who had it when this node last knew, and since when that is known: whom to ask first. A hint. */
  elsewhere: { readonly value: Value; readonly sinceMs: number } | undefined
  /** Looks again when what blocks it must be over. */
  cancelTidy: (() => void) | undefined
  /** The round that gives it up, while it is under way. */
  passing: Promise<void> | undefined
}

export interface BookComponents {
  readonly store: KeyValue
  readonly hlc: HlcClock
  readonly clock: Clock
  readonly log: Log
  /** For how long this node can be sure of having the scope under this token; 0 if it cannot. */
  readonly vouchedMs: (scope: string, token: number) => number
  readonly keepsHistory: () => boolean
}

export interface BookInit {
  readonly self: NodeId
  readonly readings: () => Readings
  readonly clockKind: ClockKind
  readonly starvationMs: number
}

/** In line for one scope; more are refused. */
export const lineMax = 10_000
/** Ended leases stay findable for a while by their id. */
const endedMax = 10_000

/** The leases of this node's agents: which there are, who waits, what time it is for them, and what is told of them. */
export class Book {
  readonly counters: LeaseCounters = { acquired: 0, waits: 0, conflicts: 0, timeouts: 0, renewals: 0, expired: 0, revoked: 0, released: 0, handedOver: 0 }
  readonly events = new Emitter<LeaseEvents>()
  readonly history: History
  readonly scopes = new Map<string, Scope>()
  readonly active = new Map<string, Lease>()
  readonly #ended = new Map<string, Lease>()
  readonly #promised = new Map<string, Promised>()
  readonly #components: BookComponents
  readonly #init: BookInit
  readonly #atStart: Readings
  #latestMs = 0

  constructor(components: BookComponents, init: BookInit) {
    this.#components = components
    this.#init = init
    this.#atStart = init.readings()
    const { store, hlc, clock, log } = components
    this.history = new History({ store, hlc, clock, failed: (error, count) => { log.warn('lease transitions are not in the history', { count, error: messageOf(error) }) } })
  }

  /**
   * Never slower than true time allows: uptime counts sleep where hrtime does not. Wall time has no say: a clock that is
   * set forward by a day must not end anybody's lease.
   */
  now(): number {
    const { hrtimeMs, uptimeMs } = this.#init.readings()
    this.#latestMs = Math.max(this.#latestMs, hrtimeMs - this.#atStart.hrtimeMs, uptimeMs - this.#atStart.uptimeMs)
    return this.#latestMs
  }

  scope(name: string): Scope {
    let entry = this.scopes.get(name)
    if (entry === undefined) {
      entry = {
        name, leases: new Set(), line: new Waiters<InLine>({ max: lineMax, starvationMs: this.#init.starvationMs }), draining: new Map(), wanted: new Map(),
        busy: false, pending: 0, heldSinceMs: 0, turns: 0, elsewhere: undefined, cancelTidy: undefined, passing: undefined,
      }
      this.scopes.set(name, entry)
    }
    return entry
  }

  forgetIfIdle(entry: Scope): void {
    const isIdle = entry.leases.size === 0 && entry.line.size === 0 && entry.draining.size === 0 && entry.pending === 0 && !entry.busy && entry.cancelTidy === undefined
    if (isIdle && this.scopes.get(entry.name) === entry) this.scopes.delete(entry.name)
  }

  /** Throws NOT_FOUND. */
  find(leaseId: string): Lease {
    const lease = this.active.get(leaseId) ?? this.#ended.get(leaseId)
    if (lease === undefined) throw new LeaseError('NOT_FOUND', `there is no lease ${leaseId} of this node`, { leaseId })
    return lease
  }

  activate(entry: Scope, lease: Lease, token: number, sentAtMs: number): void {
    if (entry.leases.size === 0) entry.heldSinceMs = this.now()
    lease.activate(token, sentAtMs)
    entry.leases.add(lease)
    entry.turns++
    this.active.set(lease.init.leaseId, lease)
  }

  /** The lease is over for this node. Its agent may believe in it for as long as it was last told: that is remembered, unless it ended it itself. */
  drop(lease: Lease, state: 'expired' | 'released' | 'revoked', reason: string): Scope | undefined {
    const { leaseId, scope } = lease.init
    lease.end(state)
    this.active.delete(leaseId)
    this.#ended.set(leaseId, lease)
    if (this.#ended.size > endedMax) for (const oldest of this.#ended.keys()) { this.#ended.delete(oldest); break }
    this.record(lease, 'active', state, reason)
    const entry = this.scopes.get(scope)
    entry?.leases.delete(lease)
    const promised = this.#promised.get(leaseId)
    this.#promised.delete(leaseId)
    if (state === 'revoked' && promised !== undefined && this.#leftMs(promised) > 0) entry?.draining.set(leaseId, promised)
    if (state !== 'released') this.events.emit('ended', { leaseId, scope, state, reason })
    if (state === 'expired') this.counters.expired++
    else if (state === 'revoked') this.counters.revoked++
    else this.counters.released++
    return entry
  }

  /** The agent knows that its lease is over. True if that was still awaited. */
  acknowledged(lease: Lease): boolean {
    return this.scopes.get(lease.init.scope)?.draining.delete(lease.init.leaseId) ?? false
  }

  /** How long an agent whose lease was taken may still act under it. */
  drainMs(entry: Scope): number {
    let longest = 0
    for (const [leaseId, promised] of entry.draining) {
      const leftMs = this.#leftMs(promised)
      if (leftMs <= 0) entry.draining.delete(leaseId)
      longest = Math.max(longest, leftMs)
    }
    return longest
  }

  /** `isAnswer`: told to the agent itself, which will rely on it. */
  view(lease: Lease, isAnswer: boolean): LeaseView {
    const { leaseId, scope } = lease.init
    const now = this.now()
    if (!isAnswer) {
      const before = this.#promised.get(leaseId)
      return lease.view(this.#init.self, now, Math.min(this.#components.vouchedMs(scope, lease.token), before === undefined ? 0 : this.#leftMs(before)))
    }
    const view = lease.view(this.#init.self, now, this.#components.vouchedMs(scope, lease.token))
    if ((view.validForMs ?? 0) > 0) this.#promised.set(leaseId, { at: this.#init.readings(), forMs: view.validForMs ?? 0 })
    return view
  }

  record(lease: Lease, from: LeaseState | null, to: LeaseState, reason: string, error?: string): void {
    const { leaseId, scope, agent } = lease.init
    const entry = { leaseId, scope, agent, from, to, token: lease.token, reason }
    this.events.emit('transition', { ...entry, error: error ?? null })
    if (!this.#components.keepsHistory()) return
    this.history.add(error === undefined ? entry : { ...entry, error })
  }

  /** Late is safe here: the agent counts on the same machine, from before it was told. */
  #leftMs({ at, forMs }: Promised): number {
    return forMs - elapsedAtLeastMs(at, this.#init.readings(), this.#init.clockKind)
  }
}
