import type { Clock, Connections, HlcClock, KeyValue, Log, NodeId, Random, Rpc } from '../base/index.js'
import { codeOf, Limiter, messageOf, withDeadline } from '../base/index.js'
import type { ClockKind, Consensus, HandOffWish, Readings, Timing, Value } from '../consensus/index.js'
import { quantumMsUsual, safeVoterMs, timingDefaults } from '../consensus/index.js'
import type { Scope } from './book.js'
import { Book } from './book.js'
import type { LeaseEvents } from './book.js'
import { Borrower } from './borrower.js'
import { asLeaseError, checkAcquire, checkAgent, checkScope, checkTtl, reservedScopes } from './checks.js'
import { createGovernor, governorDefaults } from './governor.js'
import type { History } from './history.js'
import { Lease } from './lease.js'
import { Lender } from './lender.js'
import { Obtaining } from './obtaining.js'
import { Passing, priorityOfTaking } from './passing.js'
import { decodePayload, encodePayload } from './payload.js'
import { Settings } from './settings.js'
import {
  decodeForceRelease, decodeForceReleased, decodeShareRequest, encodeForceRelease, encodeForceReleased, encodeShareReply, forceReleaseBytesMax, shareBytesMax,
} from './sharing-frames.js'
import type { AccessReport, AcquireOptions, Governor, LeaseCounters, LeaseSettings, LeaseView } from './types.js'
import { LeaseError } from './types.js'

export interface LeaseComponents {
  readonly consensus: Consensus
  /** A slice of `meta` for the history. */
  readonly store: KeyValue
  readonly rpc: Rpc
  readonly connections: Connections
  readonly hlc: HlcClock
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface LeaseServiceInit {
  readonly self: NodeId
  /** The same clocks that the consensus is given. */
  readonly readings: () => Readings
  readonly clockKind?: ClockKind
  readonly timing?: Partial<Timing>
  /** Scopes that are leases of agents; others (segments of volumes, settings) are somebody else's. */
  readonly isMine?: (scope: string) => boolean
  /** Whether to give up a lease in use to somebody who asks to take it. Default: `createGovernor` with its defaults. */
  readonly governor?: Governor
  /** Who starves gets a turn, whatever others' priorities: after so long in line, or so many turns of this node's agents. */
  readonly starvationMs?: number
  readonly turnsMax?: number
  /** How this node accesses what a scope is about: goes along when it asks for the scope, and to its own governor. */
  readonly heat?: (scope: string) => AccessReport | undefined
  /** This node's own defaults of the mesh-wide settings. */
  readonly defaults?: Partial<LeaseSettings>
}

const leasesMax = 100_000
/** For a holder's agents to hear that their lease is taken, and for the hand-off: D_v, and room for a slow answer. */
const stealWaitMs = 10_000
/** Turns in a row before another node gets one. */
const turnsMaxDefault = 100
/** At a stop, for giving back what is held: agents learn within half a second, and the parts below still have to stop. */
const giveBackMs = 4000
/** Registers given back at once: as many as share a batch well. */
const giveBackAtOnce = 64
/** Whether an agent has heard that its lease is over. */
const lookAtStopMs = 20
/** For an answer of a node that is asked to end an agent's leases. */
const forceReleaseMs = 3000
const entriesMax = 100_000
/** Volumes and their segments are registers, too, and may be many more. */
const leasesOnly = { heldOnly: true, without: Object.keys(reservedScopes) }

/** How often at most settings are read anew, and who waits without a word is forgotten. */
const lookEveryMs = 10_000

/**
 * Leases with a TTL for agents (programs, people) of this node. The mesh decides which *node* has a scope (consensus);
 * this decides which of the node's agents has it, for how long, and who is next. Every exclusive grant takes a token of
 * its own; readers share one, those of other nodes included.
 *
 * In line: local agents and other nodes' wishes together, by priority, then by since when they wait. When the lease ends
 * the scope goes to the first in line, to another node by hand-off, without a duel.
 */
export class LeaseService {
  readonly settings: Settings
  readonly #components: LeaseComponents
  readonly #init: LeaseServiceInit
  readonly #book: Book
  readonly #lender: Lender
  readonly #borrower: Borrower
  readonly #passing: Passing
  readonly #obtaining: Obtaining
  #cancelExpiry: (() => void) | undefined
  #expiryAtMs = Infinity
  #isStopping = false

  constructor(components: LeaseComponents, init: LeaseServiceInit) {
    this.#components = components
    this.#init = init
    const { consensus, clock, random, log, rpc, store, hlc } = components
    const timing = { ...timingDefaults, ...init.timing }
    const { self, readings, clockKind = 'sleep-blind', starvationMs = governorDefaults.starvationMs } = init
    const heat = init.heat ?? ((): undefined => undefined)
    this.settings = new Settings({ consensus }, { defaults: init.defaults ?? {} })
    this.#book = new Book(
      { store, hlc, clock, log, vouchedMs: (scope, token) => this.#vouchedMs(scope, token), keepsHistory: () => this.settings.current.keep_history },
      { self, readings, clockKind, starvationMs },
    )
    const book = this.#book
    this.#borrower = new Borrower(
      { rpc, clock, random, log, lost: (scope, token, why) => { this.#lost(scope, token, why) } },
      { readings, clockKind, quantumMs: Math.max(timing.quantumMs, quantumMsUsual), renewMs: timing.renewMs },
    )
    this.#lender = new Lender(
      { consensus, book, gone: (scope) => { this.#tidy(scope) } },
      { readings, clockKind, keepMs: safeVoterMs(timing), validMsMin: 4 * quantumMsUsual },
    )
    const shared = { consensus, book, lender: this.#lender, borrower: this.#borrower, clock, log, random, heat }
    this.#passing = new Passing({ ...shared, governor: init.governor ?? createGovernor(governorDefaults) }, { self, turnsMax: init.turnsMax ?? turnsMaxDefault })
    this.#obtaining = new Obtaining({ ...shared, passing: this.#passing }, { self })
    consensus.on('lost', ({ scope, token, why }) => { if (why !== 'relinquished') this.#lost(scope, token, why) })
    consensus.on('wish', (wish) => { if (this.#isMine(wish.scope)) this.#wish(wish) })
    rpc.register({
      name: 'lease.share', requestBytesMax: shareBytesMax, responseBytesMax: shareBytesMax, inFlightMax: 16,
      handle: async (body, { from }) => encodeShareReply(this.#lender.handle(from, decodeShareRequest(body))),
    })
    rpc.register({
      name: 'lease.force-release', requestBytesMax: forceReleaseBytesMax, responseBytesMax: 64, inFlightMax: 1,
      handle: async (body) => encodeForceReleased(this.#forceReleaseHere(decodeForceRelease(body))),
    })
  }

  on<Name extends keyof LeaseEvents>(name: Name, listener: (event: LeaseEvents[Name]) => void): () => void {
    return this.#book.events.on(name, listener)
  }

  /** Expiry, clean-up, refreshed settings and renewals with other holders, until the signal aborts; then gives back what it can. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#components
    const borrowing = this.#borrower.run(signal)
    let cleanedMs = -Infinity
    while (!signal.aborted) {
      await this.settings.refresh(signal).catch((error: unknown) => { log.debug('lease settings are not refreshed', { error: messageOf(error) }) })
      this.#forgetIdle()
      const cleanEveryMs = this.settings.current.cleanup_interval_seconds * 1000
      if (clock.monotonicMs() - cleanedMs >= cleanEveryMs) {
        cleanedMs = clock.monotonicMs()
        await this.cleanUp().catch((error: unknown) => { log.warn('lease history is not pruned', { error: messageOf(error) }) })
      }
      await clock.sleep(Math.min(cleanEveryMs, lookEveryMs) * (0.75 + random.float() / 2), signal).catch(() => undefined)
    }
    await borrowing
    await this.giveAllBack()
    this.#cancelExpiry?.()
    await this.#book.history.close()
  }

  get counters(): Readonly<LeaseCounters> {
    return this.#book.counters
  }

  /** What happened on this node: `history.query`, the eleventh operation. */
  get history(): History {
    return this.#book.history
  }

  get heldCount(): number {
    return this.#book.active.size
  }

  // ---- the eleven operations ----------------------------------------------------------------------------------------

  /** Throws BAD_INPUT, HELD, TIMED_OUT, REFUSED, CANCELLED, UNAVAILABLE. A wait that is interrupted leaves nothing behind. */
  async acquire(scope: string, options: AcquireOptions): Promise<LeaseView> {
    const { current } = this.settings
    const book = this.#book
    const mode = options.mode ?? 'exclusive'
    const ttlMs = options.ttlMs ?? current.default_ttl_seconds * 1000
    const maxRenewals = options.maxRenewals ?? current.max_renewals
    const steal = options.steal === true
    const waitMs = this.waitMsOf(options)
    const priority = options.priority ?? 0
    checkAcquire(scope, { agent: options.agent, ttlMs, maxRenewals, waitMs, priority })
    if (this.#isStopping) throw new LeaseError('UNAVAILABLE', 'the node is stopping')
    if (book.active.size >= leasesMax) throw new LeaseError('UNAVAILABLE', 'this node holds as many leases as it may', { leasesMax })
    const leaseId = Buffer.from(this.#components.random.bytes(16)).toString('hex')
    const lease = new Lease({ leaseId, scope, mode, agent: options.agent, ttlMs, maxRenewals })
    book.record(lease, null, 'pending', 'asked for')
    try {
      await this.#obtaining.obtain(lease, { waitMs, priority: steal ? priorityOfTaking : priority, steal, signal: options.signal })
    } catch (error) {
      lease.end('failed')
      const failure = asLeaseError(error, scope)
      if (failure.code === 'HELD' || failure.code === 'REFUSED') book.counters.conflicts++
      if (failure.code === 'TIMED_OUT') book.counters.timeouts++
      book.record(lease, 'pending', 'failed', failure.message, failure.code)
      throw failure
    }
    book.counters.acquired++
    book.record(lease, 'pending', 'active', 'granted')
    this.#scheduleExpiry(lease.expiresAtMs)
    return book.view(lease, true)
  }

  /** How long an acquire with these options waits at most, as the mesh's settings are now. */
  waitMsOf({ steal = false, waitMs, wait = false }: Pick<AcquireOptions, 'steal' | 'wait' | 'waitMs'>): number {
    const { blocking_mode_enabled, acquisition_timeout_ms } = this.settings.current
    if (steal) return waitMs ?? (wait ? acquisition_timeout_ms : stealWaitMs)
    return blocking_mode_enabled ? waitMs ?? (wait ? acquisition_timeout_ms : 0) : 0
  }

  /** A fresh TTL, counted from now. Throws NOT_FOUND, NOT_ACTIVE, TOO_MANY_RENEWALS, STALE_TOKEN, BAD_INPUT. */
  renew(leaseId: string, ttlMs?: number): LeaseView {
    const lease = this.#find(leaseId)
    if (ttlMs !== undefined) checkTtl(ttlMs)
    if (lease.state === 'active') this.#demandVouched(lease)
    lease.renew(this.#book.now(), ttlMs ?? lease.init.ttlMs)
    this.#book.counters.renewals++
    this.#book.record(lease, 'active', 'active', 'renewed')
    this.#scheduleExpiry(lease.expiresAtMs)
    return this.#book.view(lease, true)
  }

  /** Throws NOT_FOUND, NOT_ACTIVE. By the agent itself: it has stopped. */
  async release(leaseId: string): Promise<void> {
    const lease = this.#find(leaseId)
    if (lease.state !== 'active') {
      // Whoever was waiting for its agent to hear of that need wait no longer.
      if (this.#book.acknowledged(lease)) this.#tidy(lease.init.scope)
      throw new LeaseError('NOT_ACTIVE', `the lease is ${lease.state}`, { leaseId, state: lease.state })
    }
    const entry = this.#book.drop(lease, 'released', 'released by its agent')
    if (entry === undefined) return
    this.#passing.tidy(entry)
    await entry.passing
  }

  /** Throws NOT_FOUND: of other nodes' leases only the scope is known (`isLocked`, `listByScope`). */
  get(leaseId: string): LeaseView {
    return this.#book.view(this.#find(leaseId), true)
  }

  /** Active leases in the mesh whose scope begins so. What only their own node knows is null; of other nodes' readers only the first is known. */
  async listByScope(prefix: string, options: { limit?: number; signal?: AbortSignal } = {}): Promise<LeaseView[]> {
    const own = [...this.#book.active.values()].filter((lease) => lease.init.scope.startsWith(prefix)).map((lease) => this.#book.view(lease, false))
    const entries = await this.#components.consensus.list(prefix, options.limit ?? 1000, { ...leasesOnly, ...(options.signal === undefined ? {} : { signal: options.signal }) })
    const others = entries.flatMap(({ scope, value }) => (value.holder === null || value.holder.node === this.#init.self ? [] : viewOf(scope, value) ?? []))
    return [...own, ...others].sort((a, b) => (a.scope < b.scope ? -1 : 1))
  }

  async listByAgent(agent: string, options: { signal?: AbortSignal } = {}): Promise<LeaseView[]> {
    return (await this.listByScope('', options)).filter((lease) => lease.agent === agent)
  }

  async isLocked(scope: string, signal?: AbortSignal): Promise<{ scope: string; locked: boolean; lease: LeaseView | null }> {
    checkScope(scope)
    const own = [...(this.#book.scopes.get(scope)?.leases ?? [])][0]
    if (own !== undefined) return { scope, locked: true, lease: this.#book.view(own, false) }
    const value = await this.#components.consensus.read(scope, signal === undefined ? {} : { signal })
    const lease = value === undefined || value.holder === null || value.holder.node === this.#init.self ? undefined : viewOf(scope, value)
    return { scope, locked: lease !== undefined, lease: lease ?? null }
  }

  async hasAgentLease(scope: string, agent: string, signal?: AbortSignal): Promise<boolean> {
    const own = [...(this.#book.scopes.get(scope)?.leases ?? [])].some((lease) => lease.init.agent === agent)
    return own || (await this.isLocked(scope, signal)).lease?.agent === agent
  }

  /** Ends what has run out, forgets old history. How many leases ended. */
  async cleanUp(): Promise<number> {
    const book = this.#book
    const now = book.now()
    const due = [...book.active.values()].filter((lease) => lease.isExpired(now))
    for (const lease of due) this.#tidy(lease.init.scope)
    this.#forgetIdle()
    const { keep_history, history_retention_days } = this.settings.current
    if (keep_history) await book.history.prune(this.#components.clock.wallMs() - history_retention_days * 86_400_000)
    return due.length
  }

  #forgetIdle(): void {
    const book = this.#book
    const now = book.now()
    for (const entry of [...book.scopes.values()]) {
      // Waiters of other nodes that went away without a word.
      entry.line.first(now)
      book.forgetIfIdle(entry)
    }
    this.#lender.prune()
  }

  /**
   * Ends all leases of an agent, on whatever node: nodes that answer end them themselves, those of others are revoked.
   * How many. An agent that still runs may act for as long as its last answer said; others wait for that, but where the
   * lease was revoked.
   */
  async forceRelease(agent: string, options: { signal?: AbortSignal } = {}): Promise<number> {
    checkAgent(agent)
    const { consensus, connections, rpc } = this.#components
    let count = this.#forceReleaseHere(agent)
    const asked = new Set<string>([this.#init.self])
    await Promise.all(connections.connected().map(async (peer) => {
      const limits = { deadlineMs: forceReleaseMs, ...(options.signal === undefined ? {} : { signal: options.signal }) }
      await rpc.request(peer, 'lease.force-release', encodeForceRelease(agent), limits).then((answer) => {
        count += decodeForceReleased(answer)
        asked.add(peer)
      }, () => undefined)
    }))
    for (const { scope, value } of await consensus.list('', entriesMax, { ...leasesOnly, ...options })) {
      if (value.holder === null || asked.has(value.holder.node) || decodePayload(value.payload)?.agent !== agent || !this.#isMine(scope)) continue
      await consensus.revoke(scope, value, { ...options, to: 'nobody' })
      count++
    }
    return count
  }

  // ---- beyond -------------------------------------------------------------------------------------------------------

  /** Takes a scope from whoever has it, if their governor agrees. Throws REFUSED. */
  async steal(scope: string, options: AcquireOptions): Promise<LeaseView> {
    return this.acquire(scope, { ...options, steal: true })
  }

  /** shared -> exclusive, when it is alone. Throws HELD if other readers are there. The token is a new one. */
  async upgrade(leaseId: string, options: { signal?: AbortSignal } = {}): Promise<LeaseView> {
    const book = this.#book
    const lease = this.#find(leaseId)
    const { scope, mode, agent, ttlMs, maxRenewals } = lease.init
    if (lease.state !== 'active' || mode !== 'shared') throw new LeaseError('NOT_ACTIVE', 'only an active shared lease can be upgraded', { leaseId, state: lease.state })
    const entry = book.scope(scope)
    const isLent = this.#borrower.has(scope)
    if (entry.leases.size > 1 || entry.busy || (!isLent && this.#passing.blockedMs(entry) > 0)) throw new LeaseError('HELD', 'other readers are there', { scope })
    entry.busy = true
    try {
      const sentAtMs = book.now()
      const next = new Lease({ leaseId, scope, mode: 'exclusive', agent, ttlMs, maxRenewals })
      const payload = { scope, leaseId, agent, mode: 'exclusive', priority: 0, sinceMs: this.#components.clock.wallMs() } as const
      const value = await (isLent ? this.#askToUpgrade(entry, payload, options) : this.#components.consensus.acquire(scope, { payload: this.#obtaining.payloadFor(payload), ...options }))
      // Lost, or run out, while this was under way: then there is nothing to upgrade.
      if (!entry.leases.delete(lease)) throw new LeaseError('NOT_ACTIVE', 'the lease ended while it was being upgraded', { leaseId })
      book.activate(entry, next, value.token, sentAtMs)
      book.record(next, 'active', 'active', 'upgraded')
      this.#scheduleExpiry(next.expiresAtMs)
      return book.view(next, true)
    } catch (error) {
      throw codeOf(error) === 'HAND_OFF_REFUSED' ? new LeaseError('HELD', 'other readers are there', { scope }, { cause: error }) : asLeaseError(error, scope)
    } finally {
      entry.busy = false
      this.#passing.tidy(entry)
    }
  }

  /** The token to write under, if this node can vouch for the lease now. Throws STALE_TOKEN, NOT_FOUND. Ask again after the write. */
  vouch(leaseId: string): { scope: string; token: number } {
    const lease = this.#find(leaseId)
    if (lease.state !== 'active') throw new LeaseError('STALE_TOKEN', `the lease is ${lease.state}`, { leaseId, state: lease.state })
    if (lease.init.mode !== 'exclusive') throw new LeaseError('STALE_TOKEN', 'a shared lease is for reading: nothing is written under it', { leaseId, mode: lease.init.mode })
    this.#demandVouched(lease)
    return { scope: lease.init.scope, token: lease.token }
  }

  /** What is held is given back, so that others need not wait until this node counts as dead; agents hear of it first. */
  async giveAllBack(): Promise<void> {
    const { clock, log } = this.#components
    this.#endAll()
    const limiter = new Limiter({ concurrency: giveBackAtOnce })
    const entries = [...this.#book.scopes.values()]
    await withDeadline(clock, giveBackMs, undefined, async (signal) => {
      await Promise.all([this.#borrower.giveAllBack(), ...entries.map(async (entry) => limiter.run(async () => this.#passedOn(entry, signal), signal))])
    }).catch((error: unknown) => { log.debug('not every lease was given back before the stop', { error: messageOf(error) }) })
    for (const entry of entries) entry.cancelTidy?.()
  }

  // ---- small things -------------------------------------------------------------------------------------------------

  #forceReleaseHere(agent: string): number {
    const doomed = [...this.#book.active.values()].filter((lease) => lease.init.agent === agent)
    for (const lease of doomed) {
      const entry = this.#book.drop(lease, 'revoked', 'force-released')
      if (entry !== undefined) this.#passing.tidy(entry)
    }
    return doomed.length
  }

  async #askToUpgrade(entry: Scope, payload: Parameters<Obtaining['payloadFor']>[0], options: { signal?: AbortSignal }): Promise<Value> {
    const { consensus, clock } = this.#components
    const held = await consensus.read(entry.name, options)
    if (held === undefined || held.holder?.node !== this.#borrower.lenderOf(entry.name) || !this.#borrower.suspend(entry.name, true)) {
      throw new LeaseError('HELD', 'the node that holds it has changed', { scope: entry.name })
    }
    try {
      const value = await withDeadline(clock, forceReleaseMs, options.signal, async (signal) =>
        consensus.askFor(entry.name, held, encodePayload({ ...payload, upgrade: true }), { signal }))
      this.#borrower.forget(entry.name)
      return value
    } finally {
      this.#borrower.suspend(entry.name, false)
    }
  }

  /** The node stops: no new leases, and the agents of those there are hear that they are over. */
  #endAll(): void {
    this.#isStopping = true
    for (const lease of [...this.#book.active.values()]) {
      const entry = this.#book.drop(lease, 'revoked', 'the node is stopping')
      if (entry !== undefined) this.#passing.tidy(entry)
    }
  }

  /** Until a scope has been passed on, its agents and readers included. */
  async #passedOn(entry: Scope, signal: AbortSignal): Promise<void> {
    const { clock, consensus } = this.#components
    while (consensus.holding(entry.name) !== undefined && !signal.aborted) {
      await entry.passing
      if (consensus.holding(entry.name) !== undefined) await clock.sleep(lookAtStopMs, signal)
    }
  }

  #tidy(scope: string): void {
    const entry = this.#book.scopes.get(scope)
    if (entry !== undefined) this.#passing.tidy(entry)
    else if (this.#components.consensus.holding(scope) !== undefined) this.#passing.tidy(this.#book.scope(scope))
  }

  #wish(wish: HandOffWish): void {
    this.#passing.wish(wish)
  }

  /** This node does not hold it any more, or may not read it any longer. */
  #lost(scope: string, token: number, why: string): void {
    const entry = this.#book.scopes.get(scope)
    if (entry === undefined) return
    for (const lease of [...entry.leases]) if (lease.token <= token) this.#book.drop(lease, 'revoked', why)
    this.#passing.tidy(entry)
  }

  /** One timer for the lease that runs out first; all are looked through only when it fires. */
  #scheduleExpiry(expiresAtMs: number): void {
    if (!this.settings.current.auto_expire_enabled || expiresAtMs >= this.#expiryAtMs) return
    this.#cancelExpiry?.()
    this.#expiryAtMs = expiresAtMs
    this.#cancelExpiry = this.#components.clock.setTimer(Math.max(1, expiresAtMs - this.#book.now()), () => {
      const now = this.#book.now()
      let first = Infinity
      for (const lease of [...this.#book.active.values()]) {
        if (lease.isExpired(now)) this.#tidy(lease.init.scope)
        else first = Math.min(first, lease.expiresAtMs)
      }
      this.#expiryAtMs = Infinity
      if (first < Infinity) this.#scheduleExpiry(first)
    })
  }

  /** With its state as of now. */
  #find(leaseId: string): Lease {
    const lease = this.#book.find(leaseId)
    if (lease.isExpired(this.#book.now())) this.#tidy(lease.init.scope)
    return lease
  }

  #vouchedMs(scope: string, token: number): number {
    const { consensus } = this.#components
    if (consensus.mayAct(scope) === token) return consensus.sessionRemainingMs()
    const lent = this.#borrower.standing(scope)
    return lent?.token === token ? lent.leftMs : 0
  }

  #demandVouched(lease: Lease): void {
    if (this.#vouchedMs(lease.init.scope, lease.token) > 0) return
    throw new LeaseError('STALE_TOKEN', 'this node cannot vouch for the lease now', { leaseId: lease.init.leaseId, token: lease.token })
  }

  #isMine(scope: string): boolean {
    return this.#init.isMine?.(scope) ?? true
  }
}

/** What another node's register says. */
function viewOf(scope: string, value: Value): LeaseView | undefined {
  const payload = decodePayload(value.payload)
  if (payload === undefined || value.holder === null) return undefined
  return {
    leaseId: payload.leaseId, scope, mode: payload.mode, holder: value.holder.node, agent: payload.agent, token: value.token, state: 'active',
    renewals: null, maxRenewals: null, ttlMs: null, expiresInMs: null, validForMs: null,
  }
}
