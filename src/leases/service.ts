import type { Clock, HlcClock, KeyValue, Log, NodeId, Random } from '../base/index.js'
import { Emitter, backoffMs, codeOf, messageOf } from '../base/index.js'
import type { Consensus, HandOffWish, Readings, Value } from '../consensus/index.js'
import { ConsensusError } from '../consensus/index.js'
import { History } from './history.js'
import { Lease } from './lease.js'
import type { LeasePayload } from './payload.js'
import { decodePayload, encodePayload } from './payload.js'
import { Settings } from './settings.js'
import type { AcquireOptions, LeaseCounters, LeaseMode, LeaseState, LeaseTransition, LeaseView } from './types.js'
import { LeaseError } from './types.js'
import type { Waiter } from './waiters.js'
import { Waiters } from './waiters.js'

export interface LeaseComponents {
  readonly consensus: Consensus
  /** A slice of `meta` for the history. */
  readonly store: KeyValue
  readonly hlc: HlcClock
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface LeaseServiceInit {
  readonly self: NodeId
  /** The same clocks that the consensus is given. */
  readonly readings: () => Readings
  /** Scopes that are leases of agents; others (segments of volumes, settings) are somebody else's. */
  readonly isMine?: (scope: string) => boolean
  /** Whether to give up a lease in use to somebody who asks to take it. Default: after it was held for 30 s. */
  readonly governor?: (wish: HandOffWish, heldForMs: number) => boolean
}

export interface LeaseEvents {
  transition: Omit<LeaseTransition, 'at' | 'hlc'>
  /** An agent must stop now: its lease is over and it did not end it. */
  ended: { leaseId: string; scope: string; state: LeaseState; reason: string }
}

/** A local agent in line, or another node's wish. */
interface InLine extends Waiter {
  readonly wish: HandOffWish | undefined
  /** Local: wakes the acquire that waits. */
  readonly wake: (() => void) | undefined
}

interface Scope {
  /** Active leases of this node: one exclusive, or any number of shared ones. */
  readonly leases: Set<Lease>
  readonly line: Waiters<InLine>
  /** A round for this scope by this node is under way. */
  busy: boolean
  heldSinceMs: number
}

const ttlMsMax = 365 * 86_400_000
const agentBytesMax = 256
/** In line for one scope; more are refused. */
const lineMax = 10_000
const leasesMax = 100_000
/** Ended leases stay findable for a while by their id. */
const endedMax = 10_000
/** A remote waiter repeats its wish every 0.6 s; after five silences it has gone. */
const wishForgottenMs = 3000
/** How long a lease in use is safe from being taken, unless the governor says otherwise: the cooldown of moves. */
const cooldownMs = 30_000
/** A waiter looks again at least this often: a holder that died sends no word. */
const lookAgainMs = 1500

/**
 * Leases with a TTL for agents (programs, people) of this node. The mesh decides which *node* has a scope (consensus);
 * this decides which of the node's agents has it, for how long, and who is next. Every exclusive grant takes a token of
 * its own; readers on one node share one.
 *
 * In line: local agents and other nodes' wishes together, by priority, then by since when they wait. When the lease ends
 * the scope goes to the first in line, to another node by hand-off, without a duel.
 */
export class LeaseService {
  readonly counters: LeaseCounters = { acquired: 0, waits: 0, conflicts: 0, timeouts: 0, renewals: 0, expired: 0, revoked: 0, released: 0, handedOver: 0 }
  readonly settings: Settings
  /** What happened on this node: `history.query`, the eleventh operation. */
  readonly history: History
  readonly #components: LeaseComponents
  readonly #init: LeaseServiceInit
  readonly #events = new Emitter<LeaseEvents>()
  readonly #scopes = new Map<string, Scope>()
  readonly #leases = new Map<string, Lease>()
  readonly #ended = new Map<string, Lease>()
  readonly #atStart: Readings
  #latestMs = 0
  #cancelExpiry: (() => void) | undefined

  constructor(components: LeaseComponents, init: LeaseServiceInit) {
    this.#components = components
    this.#init = init
    this.#atStart = init.readings()
    this.settings = new Settings(components)
    this.history = new History({ store: components.store, hlc: components.hlc })
    components.consensus.on('lost', ({ scope, token, why }) => { if (why !== 'relinquished') this.#lost(scope, token, why) })
    components.consensus.on('wish', (wish) => { if (this.#isMine(wish.scope)) this.#wish(wish) })
  }

  on<Name extends keyof LeaseEvents>(name: Name, listener: (event: LeaseEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  /** Expiry, clean-up and refreshed settings, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#components
    while (!signal.aborted) {
      await this.settings.refresh(signal).catch((error: unknown) => { log.debug('lease settings are not refreshed', { error: messageOf(error) }) })
      await this.cleanUp().catch((error: unknown) => { log.warn('lease history is not pruned', { error: messageOf(error) }) })
      const everyMs = Math.min(this.settings.current.cleanup_interval_seconds * 1000, 10_000)
      await clock.sleep(everyMs * (0.75 + random.float() / 2), signal).catch(() => undefined)
    }
    this.#cancelExpiry?.()
  }

  get heldCount(): number {
    return this.#leases.size
  }

  // ---- the eleven operations ----------------------------------------------------------------------------------------

  /** Throws BAD_INPUT, HELD, TIMED_OUT, CANCELLED, UNAVAILABLE. A wait that is interrupted leaves nothing behind. */
  async acquire(scope: string, options: AcquireOptions): Promise<LeaseView> {
    const { current } = this.settings
    const mode = options.mode ?? 'exclusive'
    const ttlMs = options.ttlMs ?? current.default_ttl_seconds * 1000
    const maxRenewals = options.maxRenewals ?? current.max_renewals
    const waitMs = current.blocking_mode_enabled ? options.waitMs ?? 0 : 0
    check(scope, options.agent, ttlMs, maxRenewals, waitMs)
    if (this.#leases.size >= leasesMax) throw new LeaseError('UNAVAILABLE', 'this node holds as many leases as it may', { leasesMax })
    const leaseId = Buffer.from(this.#components.random.bytes(16)).toString('hex')
    const lease = new Lease({ leaseId, scope, mode, agent: options.agent, ttlMs, maxRenewals })
    this.#record(lease, null, 'pending', 'asked for')
    try {
      await this.#obtain(lease, { waitMs, priority: options.priority ?? 0, signal: options.signal })
    } catch (error) {
      lease.end('failed')
      const failure = asLeaseError(error, scope)
      if (failure.code === 'HELD') this.counters.conflicts++
      if (failure.code === 'TIMED_OUT') this.counters.timeouts++
      this.#record(lease, 'pending', 'failed', failure.message, failure.code)
      throw failure
    }
    this.counters.acquired++
    this.#record(lease, 'pending', 'active', 'granted')
    return this.#view(lease)
  }

  /** A fresh TTL, counted from now. Throws NOT_FOUND, NOT_ACTIVE, TOO_MANY_RENEWALS, STALE_TOKEN. */
  renew(leaseId: string, ttlMs?: number): LeaseView {
    const lease = this.#find(leaseId)
    if (ttlMs !== undefined) checkTtl(ttlMs)
    const now = this.#now()
    this.#expireIfDue(lease, now)
    if (lease.state === 'active') this.#demandVouched(lease)
    lease.renew(now, ttlMs ?? lease.init.ttlMs)
    this.counters.renewals++
    this.#record(lease, 'active', 'active', 'renewed')
    this.#scheduleExpiry()
    return this.#view(lease)
  }

  async release(leaseId: string): Promise<void> {
    const lease = this.#find(leaseId)
    this.#expireIfDue(lease, this.#now())
    if (lease.state !== 'active') throw new LeaseError('NOT_ACTIVE', `the lease is ${lease.state}`, { leaseId, state: lease.state })
    this.counters.released++
    await this.#end(lease, 'released', 'released by its agent')
  }

  /** Throws NOT_FOUND: of other nodes' leases only the scope is known (`lookup`). */
  get(leaseId: string): LeaseView {
    const lease = this.#find(leaseId)
    this.#expireIfDue(lease, this.#now())
    return this.#view(lease)
  }

  /** Active leases in the mesh whose scope begins so. What only their own node knows is null. */
  async listByScope(prefix: string, options: { limit?: number; signal?: AbortSignal } = {}): Promise<LeaseView[]> {
    const own = [...this.#leases.values()].filter((lease) => lease.init.scope.startsWith(prefix)).map((lease) => this.#view(lease))
    const entries = await this.#components.consensus.list(prefix, options.limit ?? 1000, options.signal === undefined ? {} : { signal: options.signal })
    const others = entries.flatMap(({ scope, value }) => (value.holder === null || value.holder.node === this.#init.self ? [] : viewOf(scope, value) ?? []))
    return [...own, ...others].sort((a, b) => (a.scope < b.scope ? -1 : 1))
  }

  async listByAgent(agent: string, options: { signal?: AbortSignal } = {}): Promise<LeaseView[]> {
    return (await this.listByScope('', options)).filter((lease) => lease.agent === agent)
  }

  async isLocked(scope: string, signal?: AbortSignal): Promise<{ scope: string; locked: boolean; lease: LeaseView | null }> {
    const own = [...(this.#scopes.get(scope)?.leases ?? [])][0]
    if (own !== undefined) return { scope, locked: true, lease: this.#view(own) }
    const value = await this.#components.consensus.read(scope, signal === undefined ? {} : { signal })
    const lease = value === undefined || value.holder === null || value.holder.node === this.#init.self ? undefined : viewOf(scope, value)
    return { scope, locked: lease !== undefined, lease: lease ?? null }
  }

  async hasAgentLease(scope: string, agent: string, signal?: AbortSignal): Promise<boolean> {
    const own = [...(this.#scopes.get(scope)?.leases ?? [])].some((lease) => lease.init.agent === agent)
    return own || (await this.isLocked(scope, signal)).lease?.agent === agent
  }

  /** Ends what has run out, forgets old history. How many leases ended. */
  async cleanUp(): Promise<number> {
    const now = this.#now()
    const due = [...this.#leases.values()].filter((lease) => lease.isExpired(now))
    for (const lease of due) this.#expireIfDue(lease, now)
    const { keep_history, history_retention_days } = this.settings.current
    if (keep_history) await this.history.prune(this.#components.clock.wallMs() - history_retention_days * 86_400_000)
    return due.length
  }

  /** Ends all leases of an agent, on whatever node: its own at once, others' by revocation. How many. */
  async forceRelease(agent: string, options: { signal?: AbortSignal } = {}): Promise<number> {
    let count = 0
    for (const lease of [...this.#leases.values()].filter((one) => one.init.agent === agent)) {
      this.counters.revoked++
      this.#events.emit('ended', { leaseId: lease.init.leaseId, scope: lease.init.scope, state: 'revoked', reason: 'force-released' })
      await this.#end(lease, 'revoked', 'force-released')
      count++
    }
    const entries = await this.#components.consensus.list('', 100_000, options)
    for (const { scope, value } of entries) {
      if (value.holder === null || value.holder.node === this.#init.self || decodePayload(value.payload)?.agent !== agent) continue
      await this.#components.consensus.revoke(scope, value, { ...options, to: 'nobody' })
      count++
    }
    return count
  }

  // ---- beyond -------------------------------------------------------------------------------------------------------

  /** Takes a scope from whoever has it, if their governor agrees. Throws REFUSED. */
  async steal(scope: string, options: AcquireOptions): Promise<LeaseView> {
    check(scope, options.agent, options.ttlMs ?? 1, options.maxRenewals ?? -1, options.waitMs ?? 0)
    return this.acquire(scope, { ...options, priority: Number.MAX_SAFE_INTEGER, waitMs: options.waitMs ?? 5000 })
  }

  /** shared -> exclusive, when it is alone. Throws HELD if other readers are there. The token is a new one. */
  async upgrade(leaseId: string): Promise<LeaseView> {
    const lease = this.#find(leaseId)
    this.#expireIfDue(lease, this.#now())
    const { scope, mode, agent, ttlMs, maxRenewals } = lease.init
    if (lease.state !== 'active' || mode !== 'shared') throw new LeaseError('NOT_ACTIVE', 'only an active shared lease can be upgraded', { leaseId, state: lease.state })
    const entry = this.#scope(scope)
    if (entry.leases.size > 1 || entry.busy) throw new LeaseError('HELD', 'other readers are there', { scope, readers: entry.leases.size - 1 })
    entry.busy = true
    try {
      const sentAtMs = this.#now()
      const next = new Lease({ leaseId, scope, mode: 'exclusive', agent, ttlMs, maxRenewals })
      const value = await this.#components.consensus.acquire(scope, { payload: encodePayload(this.#payload(next, 0, this.#components.clock.wallMs())) })
      entry.leases.delete(lease)
      this.#activate(entry, next, value.token, sentAtMs)
      this.#record(next, 'active', 'active', 'upgraded')
      return this.#view(next)
    } finally {
      entry.busy = false
    }
  }

  /** The token to write under, if this node can vouch for the lease now. Throws STALE_TOKEN, NOT_FOUND. Ask again after the write. */
  vouch(leaseId: string): { scope: string; token: number } {
    const lease = this.#find(leaseId)
    this.#expireIfDue(lease, this.#now())
    if (lease.state !== 'active') throw new LeaseError('STALE_TOKEN', `the lease is ${lease.state}`, { leaseId, state: lease.state })
    this.#demandVouched(lease)
    return { scope: lease.init.scope, token: lease.token }
  }

  // ---- obtaining ----------------------------------------------------------------------------------------------------

  async #obtain(lease: Lease, options: { waitMs: number; priority: number; signal: AbortSignal | undefined }): Promise<void> {
    const { scope, mode } = lease.init
    const { clock, random } = this.#components
    const untilMs = this.#now() + options.waitMs
    const sinceMs = clock.wallMs()
    const entry = this.#scope(scope)
    let waited = false
    let tries = 0
    try {
      for (;;) {
        options.signal?.throwIfAborted()
        if (entry.busy || !this.#fits(entry, mode)) {
          if (this.#now() >= untilMs) throw this.#heldHere(entry, scope, options.waitMs > 0)
          this.#countWait(waited)
          waited = true
          await this.#inLine(entry, lease, options.priority, sinceMs, Math.min(lookAgainMs, untilMs - this.#now()), options.signal)
          continue
        }
        const sentAtMs = this.#now()
        if (mode === 'shared' && entry.leases.size > 0) {
          const token = this.#components.consensus.mayAct(scope)
          const first = [...entry.leases][0]
          if (token !== undefined && first?.token === token) {
            this.#activate(entry, lease, token, sentAtMs)
            return
          }
        }
        entry.busy = true
        const payload = encodePayload(this.#payload(lease, options.priority, sinceMs))
        try {
          const value = await this.#take(scope, payload, waited, untilMs, options.signal)
          this.#activate(entry, lease, value.token, sentAtMs)
          return
        } catch (error) {
          const leftMs = untilMs - this.#now()
          const code = codeOf(error)
          const again = code === 'HELD' || code === 'NOT_HOLDER' || code === 'CANCELLED' || code === 'STALE_TOKEN' || code === 'CONTENDED' || code === 'HOLDER_ALIVE' || code === 'NO_QUORUM' || code === 'NO_SESSION'
          options.signal?.throwIfAborted()
          if (!again) throw error
          if (leftMs <= 0) throw options.waitMs > 0 ? new LeaseError('TIMED_OUT', `${scope} was not to be had in time`, { scope }, { cause: error }) : error
          this.#countWait(waited)
          waited = true
        } finally {
          entry.busy = false
          this.#wakeFirst(entry)
        }
        await clock.sleep(Math.min(Math.max(0, untilMs - this.#now()), backoffMs(tries++, { minMs: 5, maxMs: 500 }, random)), options.signal)
      }
    } finally {
      entry.line.remove(lease.init.leaseId)
      this.#forgetIfIdle(scope, entry)
    }
  }

  /** Acquire; held by another node: if it is dead, steal; else stand in its line. */
  async #take(scope: string, payload: Uint8Array, waited: boolean, untilMs: number, signal: AbortSignal | undefined): Promise<Value> {
    const { consensus, clock } = this.#components
    const limits = signal === undefined ? {} : { signal }
    try {
      return await consensus.acquire(scope, { payload, ...limits })
    } catch (error) {
      if (codeOf(error) !== 'HELD' || this.#now() >= untilMs) throw error
      this.#countWait(waited)
    }
    const held = await consensus.read(scope, limits)
    if (held === undefined || held.holder === null) throw new ConsensusError('NOT_HOLDER', 'it has just become free')
    try {
      const stolen = await consensus.stealDead(scope, held, limits)
      // The value still carries the dead holder's words; ours come with one more round, and the next token.
      return await consensus.acquire(scope, { payload, ...limits }).catch(() => stolen)
    } catch (error) {
      if (codeOf(error) !== 'HOLDER_ALIVE') throw error
    }
    const controller = new AbortController()
    const abort = (): void => { controller.abort() }
    signal?.addEventListener('abort', abort, { once: true })
    const cancel = clock.setTimer(Math.max(1, Math.min(lookAgainMs * 2, untilMs - this.#now())), abort)
    try {
      return await consensus.askFor(scope, held, payload, { signal: controller.signal })
    } finally {
      cancel()
      signal?.removeEventListener('abort', abort)
    }
  }

  #fits(entry: Scope, mode: LeaseMode): boolean {
    const now = this.#now()
    for (const lease of [...entry.leases]) this.#expireIfDue(lease, now)
    if (entry.leases.size === 0) return true
    // A reader joins readers, unless a writer waits: writers would starve.
    return mode === 'shared' && [...entry.leases].every((lease) => lease.init.mode === 'shared') && entry.line.first(now) === undefined
  }

  async #inLine(entry: Scope, lease: Lease, priority: number, sinceMs: number, forMs: number, signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        cancel()
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.#components.clock.setTimer(Math.max(1, forMs), done, { keepAlive: true })
      signal?.addEventListener('abort', done, { once: true })
      if (!entry.line.put({ key: lease.init.leaseId, priority, sinceMs, until: undefined, wish: undefined, wake: done })) {
        done()
        reject(new LeaseError('HELD', 'too many wait for it already', { scope: lease.init.scope, lineMax }))
      }
    })
  }

  #activate(entry: Scope, lease: Lease, token: number, sentAtMs: number): void {
    if (entry.leases.size === 0) entry.heldSinceMs = this.#now()
    lease.activate(token, sentAtMs)
    entry.leases.add(lease)
    this.#leases.set(lease.init.leaseId, lease)
    this.#scheduleExpiry()
  }

  // ---- ending -------------------------------------------------------------------------------------------------------

  async #end(lease: Lease, state: 'expired' | 'released' | 'revoked', reason: string): Promise<void> {
    const entry = this.#drop(lease, state, reason)
    if (entry !== undefined && entry.leases.size === 0 && !entry.busy) await this.#passOn(lease.init.scope, lease.token, entry)
  }

  #drop(lease: Lease, state: 'expired' | 'released' | 'revoked', reason: string): Scope | undefined {
    const { leaseId, scope } = lease.init
    lease.end(state)
    this.#leases.delete(leaseId)
    this.#ended.set(leaseId, lease)
    if (this.#ended.size > endedMax) for (const oldest of this.#ended.keys()) { this.#ended.delete(oldest); break }
    this.#record(lease, 'active', state, reason)
    const entry = this.#scopes.get(scope)
    entry?.leases.delete(lease)
    return entry
  }

  /** To the first in line: another node by hand-off, an agent here by waking it; nobody: the scope is free. */
  async #passOn(scope: string, token: number, entry: Scope): Promise<void> {
    const { consensus, log } = this.#components
    const next = entry.line.first(this.#now())
    entry.busy = true
    try {
      if (next?.wish !== undefined && next.wish.token === token && consensus.freeze(scope, token)) {
        entry.line.remove(next.key)
        await consensus.handOff(next.wish, next.wish.reason)
        this.counters.handedOver++
      } else if (next?.wake === undefined && consensus.holding(scope)?.token === token) await consensus.release(scope, token)
    } catch (error) {
      // The node has stopped acting under it in any case; the register follows, at the latest when somebody asks for it.
      log.debug('a lease was not passed on cleanly', { scope, error: messageOf(error) })
    } finally {
      entry.busy = false
      this.#wakeFirst(entry)
      this.#forgetIfIdle(scope, entry)
    }
  }

  #wish(wish: HandOffWish): void {
    const { consensus } = this.#components
    const entry = this.#scope(wish.scope)
    const asked = decodePayload(wish.reason)
    const now = this.#now()
    const key = `${wish.asker.node}/${wish.asker.epoch}/${asked?.leaseId ?? ''}`
    if (!entry.line.put({ key, priority: asked?.priority ?? 0, sinceMs: asked?.sinceMs ?? 0, until: now + wishForgottenMs, wish, wake: undefined })) {
      consensus.refuse(wish, 'too many wait for it already')
      return
    }
    for (const lease of [...entry.leases]) this.#expireIfDue(lease, now)
    const taking = (asked?.priority ?? 0) === Number.MAX_SAFE_INTEGER
    if (taking && entry.leases.size > 0) {
      const heldForMs = now - entry.heldSinceMs
      if (!(this.#init.governor?.(wish, heldForMs) ?? heldForMs >= cooldownMs)) {
        entry.line.remove(key)
        consensus.refuse(wish, 'it is in use')
        return
      }
      for (const lease of [...entry.leases]) {
        this.counters.revoked++
        this.#events.emit('ended', { leaseId: lease.init.leaseId, scope: wish.scope, state: 'revoked', reason: 'taken by another node' })
        this.#drop(lease, 'revoked', 'taken by another node')
      }
    }
    if (entry.leases.size === 0 && !entry.busy) void this.#passOn(wish.scope, wish.token, entry)
  }

  /** The consensus says that the node does not hold it any more. */
  #lost(scope: string, token: number, why: string): void {
    for (const lease of [...(this.#scopes.get(scope)?.leases ?? [])]) {
      if (lease.token > token) continue
      this.counters.revoked++
      this.#events.emit('ended', { leaseId: lease.init.leaseId, scope, state: 'revoked', reason: why })
      this.#drop(lease, 'revoked', why)
    }
  }

  #expireIfDue(lease: Lease, now: number): void {
    if (!lease.isExpired(now)) return
    this.counters.expired++
    this.#events.emit('ended', { leaseId: lease.init.leaseId, scope: lease.init.scope, state: 'expired', reason: 'its time was up' })
    void this.#end(lease, 'expired', 'its time was up')
  }

  /** One timer for the lease that runs out first. */
  #scheduleExpiry(): void {
    this.#cancelExpiry?.()
    if (!this.settings.current.auto_expire_enabled) return
    let first = Infinity
    for (const lease of this.#leases.values()) first = Math.min(first, lease.expiresAtMs)
    if (first === Infinity) return
    this.#cancelExpiry = this.#components.clock.setTimer(Math.max(1, first - this.#now()), () => {
      const now = this.#now()
      for (const lease of [...this.#leases.values()]) this.#expireIfDue(lease, now)
      this.#scheduleExpiry()
    })
  }

  // ---- small things -------------------------------------------------------------------------------------------------

  #scope(scope: string): Scope {
    let entry = this.#scopes.get(scope)
    if (entry === undefined) this.#scopes.set(scope, (entry = { leases: new Set(), line: new Waiters<InLine>({ max: lineMax }), busy: false, heldSinceMs: 0 }))
    return entry
  }

  #forgetIfIdle(scope: string, entry: Scope): void {
    if (entry.leases.size === 0 && entry.line.size === 0 && !entry.busy && this.#scopes.get(scope) === entry) this.#scopes.delete(scope)
  }

  #wakeFirst(entry: Scope): void {
    entry.line.first(this.#now())?.wake?.()
  }

  #payload(lease: Lease, priority: number, sinceMs: number): LeasePayload {
    const { leaseId, agent, mode } = lease.init
    return { leaseId, agent, mode, priority, sinceMs }
  }

  #find(leaseId: string): Lease {
    const lease = this.#leases.get(leaseId) ?? this.#ended.get(leaseId)
    if (lease === undefined) throw new LeaseError('NOT_FOUND', 'no such lease on this node', { leaseId })
    return lease
  }

  #demandVouched(lease: Lease): void {
    const token = this.#components.consensus.mayAct(lease.init.scope)
    if (token !== lease.token) throw new LeaseError('STALE_TOKEN', 'this node cannot vouch for the lease now', { leaseId: lease.init.leaseId, token: lease.token })
  }

  #heldHere(entry: Scope, scope: string, waited: boolean): LeaseError {
    const holder = [...entry.leases][0]
    const facts = { scope, holder: this.#init.self, agent: holder?.init.agent ?? null, token: holder?.token ?? 0 }
    return waited ? new LeaseError('TIMED_OUT', `${scope} was not to be had in time`, facts) : new LeaseError('HELD', `${scope} is held`, facts)
  }

  #countWait(waited: boolean): void {
    if (!waited) this.counters.waits++
  }

  #isMine(scope: string): boolean {
    return this.#init.isMine?.(scope) ?? true
  }

  #view(lease: Lease): LeaseView {
    return lease.view(this.#init.self, this.#now(), this.#components.consensus.sessionRemainingMs())
  }

  /** Never slower than true time allows: uptime counts sleep where hrtime does not. */
  #now(): number {
    const { hrtimeMs, uptimeMs } = this.#init.readings()
    this.#latestMs = Math.max(this.#latestMs, hrtimeMs - this.#atStart.hrtimeMs, uptimeMs - this.#atStart.uptimeMs)
    return this.#latestMs
  }

  #record(lease: Lease, from: LeaseState | null, to: LeaseState, reason: string, error?: string): void {
    const { leaseId, scope, agent } = lease.init
    const entry = { leaseId, scope, agent, from, to, token: lease.token, reason }
    this.#events.emit('transition', { ...entry, error: error ?? null })
    if (!this.settings.current.keep_history) return
    this.history.add(error === undefined ? entry : { ...entry, error }).catch((failure: unknown) => {
      this.#components.log.warn('a lease transition is not in the history', { leaseId, error: messageOf(failure) })
    })
  }
}

function check(scope: string, agent: string, ttlMs: number, maxRenewals: number, waitMs: number): void {
  const size = Buffer.byteLength(scope)
  if (size === 0 || size > 1024) throw new LeaseError('BAD_INPUT', 'a scope has 1 to 1024 bytes', { bytes: size })
  if (agent === '' || Buffer.byteLength(agent) > agentBytesMax) throw new LeaseError('BAD_INPUT', `an agent's name has 1 to ${String(agentBytesMax)} bytes`, {})
  checkTtl(ttlMs)
  if (!Number.isInteger(maxRenewals) || maxRenewals < -1) throw new LeaseError('BAD_INPUT', 'renewals are -1 (unlimited), 0 or more', { maxRenewals })
  if (!(waitMs >= 0 && waitMs <= 86_400_000)) throw new LeaseError('BAD_INPUT', 'a wait is 0 to 24 hours', { waitMs })
}

function checkTtl(ttlMs: number): void {
  if (!(ttlMs >= 1 && ttlMs <= ttlMsMax)) throw new LeaseError('BAD_INPUT', 'a TTL is 1 ms to 365 days', { ttlMs })
}

/** What another node's register says. */
function viewOf(scope: string, value: Value): LeaseView | undefined {
  const payload = decodePayload(value.payload)
  if (payload === undefined || value.holder === null) return undefined
  return {
    leaseId: payload.leaseId, scope, mode: payload.mode, holder: value.holder.node, agent: payload.agent, token: value.token, state: 'active',
    renewals: null, maxRenewals: null, ttlMs: null, expiresInMs: null,
  }
}

function asLeaseError(error: unknown, scope: string): LeaseError {
  if (error instanceof LeaseError) return error
  const facts = error instanceof ConsensusError ? error.facts : { scope }
  switch (codeOf(error)) {
    case 'HELD':
    case 'HOLDER_ALIVE':
    case 'NOT_HOLDER':
      return new LeaseError('HELD', messageOf(error), facts, { cause: error })
    case 'HAND_OFF_REFUSED': return new LeaseError('REFUSED', messageOf(error), facts, { cause: error })
    case 'ABORTED':
    case 'ABORT_ERR':
      return new LeaseError('CANCELLED', 'the wait was interrupted', facts, { cause: error })
    case 'CANCELLED': return new LeaseError('TIMED_OUT', `${scope} was not to be had in time`, facts, { cause: error })
    case 'BAD_INPUT': return new LeaseError('BAD_INPUT', messageOf(error), facts, { cause: error })
    default: return new LeaseError((error as { name?: string } | undefined)?.name === 'AbortError' ? 'CANCELLED' : 'UNAVAILABLE', messageOf(error), facts, { cause: error })
  }
}
