import { invariant } from '../base/index.js'
import type { NodeId, Random } from '../base/index.js'
import type { Appointment } from './agenda.js'
import { Agenda } from './agenda.js'
import type { Ballot } from './ballot.js'
import type { HashOfChunk } from './base.js'
import { openingRoundsEnd } from './ballot.js'
import type { ClockKind, Readings, Timing } from './clocks.js'
import type { ConfigRecord, ConfigSeals } from './config.js'
import { extendChain } from './config.js'
import type { Asked, Context } from './context.js'
import { Holdings } from './holdings.js'
import type { HandOffWish, PeerMessage, Refusal, Reply, ReplyBody, Request, RequestBody, Seen } from './messages.js'
import { majorityOf } from './quorum.js'
import type { NextPromise } from './round.js'
import { HolderSession } from './rounds/renew.js'
import { StartRound } from './rounds/start.js'
import type { SessionId, VoterId } from './types.js'
import { sameSession, sameVoter, storeKey } from './types.js'
import type { Accepted, Value } from './value.js'
import type { Snapshot } from './snapshot.js'
import { BaseCopy } from './rounds/copy-base.js'
import { Reconfiguration } from './rounds/reconfigure.js'
import type { ReconfigureEnd, ReconfigureInit } from './rounds/reconfigure.js'

/** What is to be done for the node by whoever runs it, in this order. */
export type NodeEffect =
  | { readonly kind: 'request'; readonly to: NodeId; readonly request: Request }
  | { readonly kind: 'peer'; readonly to: NodeId; readonly message: PeerMessage }
  /** Make it durable, then call `epochPersisted`: nothing is sent under an epoch before. */
  | { readonly kind: 'persist-epoch'; readonly epoch: number }
  | { readonly kind: 'persist-chain'; readonly chain: readonly ConfigRecord[] }
  /** No majority answers under the configuration known here: put `chain-wish` to some peers, whoever they are. */
  | { readonly kind: 'lost-touch'; readonly known: number }
  | { readonly kind: 'ready'; readonly session: SessionId }
  /** The session is over: everything held is lost, a new epoch follows. */
  | { readonly kind: 'evicted' }
  | { readonly kind: 'granted'; readonly scope: string; readonly value: Value }
  | { readonly kind: 'lost'; readonly scope: string; readonly token: number; readonly why: LossReason }
  /** Somebody would like a scope that this node holds. Answer with `handOff` or `refuseWish`. */
  | { readonly kind: 'wish'; readonly wish: HandOffWish }
  | { readonly kind: 'wish-refused'; readonly scope: string; readonly token: number; readonly reason: string }

export type LossReason = 'relinquished' | 'revoked' | 'evicted' | 'overtaken'

export interface NodeInit {
  readonly node: NodeId
  readonly incarnation: string
  /** 32 hex digits, random, of this process start. */
  readonly start: string
  /** The highest epoch this store has made durable; 0 if none. */
  readonly epoch: number
  readonly chain: readonly ConfigRecord[]
  readonly timing: Timing
  readonly clockKind: ClockKind
  readonly now: Readings
}

export interface NodeComponents {
  readonly random: Random
  readonly seals: ConfigSeals
  readonly hashOf: (snapshot: Snapshot) => string
  readonly hashOfChunk: HashOfChunk
}

interface Pending {
  readonly voter: VoterId
  readonly config: number
  readonly heard: (voter: VoterId, reply: ReplyBody) => void
}

const nothingSeen: Seen = { start: '', sequence: 0 }

/** Renewals in flight that may still be answered; older ones could prove nothing any more. */
const renewalsMax = 5

/** Whoever meets a sealed voter finishes the job after a random wait up to this: usually whoever sealed is faster. */
const finishWaitMsMax = 2000

type Phase = 'starting' | 'persisting' | 'joining' | 'ready'

/**
 * A node as proposer and holder: its epoch, its one session with the voters, what it holds, and the requests that are
 * under way. Input in, effects out; it waits for nothing, reads no clock, sets no timer. Operations on scopes are in
 * `Operations`, which is built on the `Context` that this class gives to all rounds.
 */
export class Node implements Context {
  readonly random: Random
  readonly timing: Timing
  readonly holdings = new Holdings()
  readonly #init: NodeInit
  readonly #components: NodeComponents
  readonly #agenda = new Agenda()
  readonly #pending = new Map<number, Pending>()
  readonly #session: HolderSession
  readonly #nextPromises = new Map<string, NextPromise>()
  readonly #seen = new Map<string, Seen>()
  readonly #renewals: Asked[] = []
  /** Voters that refuse this epoch for good. */
  readonly #against = new Set<string>()
  #effects: NodeEffect[] = []
  #chain: readonly ConfigRecord[]
  #now: Readings
  #phase: Phase = 'starting'
  #epoch: number
  #sessionId: SessionId
  /** The highest that a voter has refused this node for. */
  #epochSeen = 0
  #counter = 0
  #round = openingRoundsEnd
  #floor = 0
  /** Of the last reply, by voter. */
  readonly #heardAtMs = new Map<string, number>()
  #sequence = 0
  #startRound: StartRound | undefined
  #renewTimer: Appointment | undefined
  #finishTimer: Appointment | undefined
  /** Wait for the next configuration. */
  readonly #movers = new Set<() => void>()
  readonly #helping = new Map<string, Appointment>()
  #reconfiguration: Reconfiguration | undefined
  /** Told of every chosen value that a round or a read came to see, and of the end of an epoch or configuration. */
  observer: { chosen(scope: string, accepted: Accepted): void; wishes(wishes: readonly HandOffWish[]): void; restarted(): void } | undefined

  constructor(components: NodeComponents, init: NodeInit) {
    this.#components = components
    this.#init = init
    this.random = components.random
    this.timing = init.timing
    this.#chain = init.chain
    this.#epoch = init.epoch
    this.#sessionId = { node: init.node, incarnation: init.incarnation, epoch: init.epoch }
    this.#now = init.now
    this.#session = new HolderSession(init)
  }

  get now(): Readings {
    return this.#now
  }

  get session(): SessionId {
    if (this.#sessionId.epoch !== this.#epoch) this.#sessionId = { ...this.#sessionId, epoch: this.#epoch }
    return this.#sessionId
  }

  get config(): ConfigRecord {
    const last = this.#chain[this.#chain.length - 1]
    invariant(last, 'a node that knows no configuration was started')
    return last
  }

  get chain(): readonly ConfigRecord[] {
    return this.#chain
  }

  get isReady(): boolean {
    return this.#phase === 'ready'
  }

  get reconfiguring(): boolean {
    return this.#reconfiguration !== undefined
  }

  // ---- inputs -------------------------------------------------------------------------------------------------------

  start(now: Readings): void {
    this.#now = now
    this.#askEpoch()
  }

  epochPersisted(epoch: number, now: Readings): void {
    this.#now = now
    if (this.#phase !== 'persisting' || epoch !== this.#epoch) return
    this.#phase = 'joining'
    this.#renew()
  }

  receive(reply: Reply, now: Readings): void {
    this.#now = now
    const pending = reply.nonce.start === this.#init.start ? this.#pending.get(reply.nonce.counter) : undefined
    this.#saw(reply)
    if (pending === undefined || !this.#isFrom(pending, reply)) return
    this.#pending.delete(reply.nonce.counter)
    if (reply.body.kind === 'refused') this.#refused(pending, reply.voter, reply.config, reply.body.why)
    pending.heard(reply.voter, reply.body)
  }

  /** Also from replies that come too late to count: what a voter once told it must never have less than. */
  #saw(reply: Reply): void {
    const store = storeKey(reply.voter)
    this.#heardAtMs.set(store, this.#now.hrtimeMs)
    const seen = this.#seen.get(store)
    if (seen?.start !== reply.start || seen.sequence < reply.sequence) this.#seen.set(store, { start: reply.start, sequence: reply.sequence })
  }

  wake(now: Readings): void {
    this.#now = now
    while (this.#agenda.runOne(now.hrtimeMs));
  }

  /** When to call `wake`, on the clock of `hrtimeMs`. */
  get nextWakeMs(): number | undefined {
    return this.#agenda.nextMs
  }

  /** For inputs that come in through other classes. */
  at(now: Readings): void {
    this.#now = now
  }

  takeEffects(): NodeEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  effect(effect: NodeEffect): void {
    this.#effects.push(effect)
  }

  // ---- holding ------------------------------------------------------------------------------------------------------

  /** Whether the session cannot have been given up by the voters: asked before every use of a lease, and after it. */
  isSessionValid(now: Readings): boolean {
    return this.#phase === 'ready' && this.#session.isValid(now)
  }

  sessionRemainingMs(now: Readings): number {
    return this.#phase === 'ready' ? this.#session.remainingMs(now) : 0
  }

  /** The token under which this node may act on the scope now, or undefined. Ask again after the act, before telling. */
  mayAct(scope: string, now: Readings): number | undefined {
    const holding = this.holdings.get(scope)
    if (holding === undefined || holding.frozen || !holding.fenced || !this.isSessionValid(now)) return undefined
    return holding.value.token
  }

  // ---- context for the rounds ---------------------------------------------------------------------------------------

  ask(voters: readonly VoterId[], body: RequestBody | ((voter: VoterId) => RequestBody), heard: (voter: VoterId, reply: ReplyBody) => void, config = this.config.number): Asked {
    const counters: number[] = []
    for (const voter of voters) {
      const counter = ++this.#counter
      counters.push(counter)
      this.#pending.set(counter, { voter, config, heard })
      const request: Request = {
        config, incarnation: voter.incarnation,
        nonce: { start: this.#init.start, counter },
        sender: this.session,
        seen: this.#seen.get(storeKey(voter)) ?? nothingSeen,
        body: typeof body === 'function' ? body(voter) : body,
      }
      this.#effects.push({ kind: 'request', to: voter.node, request })
    }
    return { cancel: () => { for (const counter of counters) this.#pending.delete(counter) } }
  }

  after(delayMs: number, run: () => void): Appointment {
    return this.#agenda.at(this.#now.hrtimeMs + delayMs, run)
  }

  onceReconfigured(run: () => void): Appointment {
    const mover = (): void => { run() }
    this.#movers.add(mover)
    return { cancel: () => { this.#movers.delete(mover) } }
  }

  nextBallot(): Ballot {
    invariant(this.#phase !== 'persisting', 'a ballot under an epoch that is not on disk')
    this.#round++
    return { config: this.config.number, round: this.#round, ...this.session }
  }

  sawBallot(ballot: Ballot): void {
    // Only within the configuration: rounds of the one before say nothing here.
    if (ballot.config === this.config.number) this.#round = Math.max(this.#round, ballot.round)
  }

  get floor(): number {
    return this.#floor
  }

  sawFloor(floor: number): void {
    this.#floor = Math.max(this.#floor, floor)
  }

  doAllAnswer(): boolean {
    const sinceMs = this.#now.hrtimeMs - 2 * this.timing.renewMs
    return this.config.members.every((voter) => (this.#heardAtMs.get(storeKey(voter)) ?? -Infinity) >= sinceMs)
  }

  takeNextPromise(scope: string): NextPromise | undefined {
    const promise = this.#nextPromises.get(scope)
    this.#nextPromises.delete(scope)
    return promise
  }

  putNextPromise(scope: string, promise: NextPromise): void {
    // A cache: without it a round costs one more round trip. 10,000 scopes in hot use by one node are about 4 MiB.
    if (this.#nextPromises.size >= 10_000) for (const oldest of this.#nextPromises.keys()) { this.#nextPromises.delete(oldest); break }
    this.#nextPromises.set(scope, promise)
  }

  // ---- configuration ------------------------------------------------------------------------------------------------

  /** The signed chain, from anyone. Rounds under way in an older configuration come to their end by refusal or time. */
  learn(records: readonly ConfigRecord[]): void {
    const added = extendChain(this.#chain, records, this.#components.seals)
    if (added.length === 0) return
    this.#chain = [...this.#chain, ...added]
    this.#effects.push({ kind: 'persist-chain', chain: this.#chain })
    this.#nextPromises.clear()
    this.#against.clear()
    this.#finishTimer?.cancel()
    this.#finishTimer = undefined
    this.#round = openingRoundsEnd
    this.#floor = 0
    // The authority's word that a majority is lost: what was held by that one's word is over, for everybody.
    if (added.some(({ proof }) => proof.kind === 'authority') && this.#phase !== 'starting') this.#restart()
    else if (this.#phase === 'joining' || this.#phase === 'ready') this.#renew()
    // Not at once: who decided on it tells the voters first, in the same turn. Each can be cancelled until it runs.
    if (this.#movers.size > 0) {
      this.after(0, () => {
        const movers = [...this.#movers]
        for (const mover of movers) if (this.#movers.delete(mover)) mover()
      })
    }
  }

  reconfigure(init: Pick<ReconfigureInit, 'wanted' | 'mayDrop' | 'rowsAtOnce' | 'behindEnough' | 'ended'>): void {
    if (this.#reconfiguration !== undefined) {
      init.ended({ kind: 'given-up', why: 'cancelled', sealed: false })
      return
    }
    const ended = (end: ReconfigureEnd): void => {
      this.#reconfiguration = undefined
      init.ended(end)
    }
    this.#reconfiguration = new Reconfiguration(this, {
      ...init, ended,
      hashOf: this.#components.hashOf,
      hashOfChunk: this.#components.hashOfChunk,
      chain: () => this.#chain,
      decided: (record) => { this.learn([record]) },
    })
    this.#reconfiguration.begin()
  }

  // ---- sessions -----------------------------------------------------------------------------------------------------

  #askEpoch(): void {
    this.#startRound?.cancel()
    this.#phase = 'starting'
    this.#startRound = new StartRound(this, {
      unanswered: () => { this.#effects.push({ kind: 'lost-touch', known: this.config.number }) },
      ownEpoch: Math.max(this.#epoch, this.#epochSeen),
      chosen: (epoch) => {
        this.#epoch = epoch
        this.#phase = 'persisting'
        this.#effects.push({ kind: 'persist-epoch', epoch })
      },
    })
    this.#startRound.begin()
  }

  #renew(): void {
    this.#renewTimer?.cancel()
    this.#renewTimer = this.after(this.timing.renewMs, () => { this.#renew() })
    if (!this.isSessionValid(this.#now)) this.#effects.push({ kind: 'lost-touch', known: this.config.number })
    this.#renewAt(this.config.members)
  }

  #renewAt(voters: readonly VoterId[]): void {
    const { config, now: sent } = this
    const epoch = this.#epoch
    this.#sequence++
    const asked = this.ask(voters, { kind: 'renew', sequence: this.#sequence }, (voter, reply) => {
      if (reply.kind === 'renewed' && epoch === this.#epoch) this.#renewed(config, voter, sent, reply.wishes)
    })
    this.#renewals.push(asked)
    if (this.#renewals.length > renewalsMax) this.#renewals.shift()?.cancel()
  }

  #renewed(config: ConfigRecord, voter: VoterId, sent: Readings, wishes: readonly HandOffWish[]): void {
    this.#session.acknowledged(config, voter, sent)
    if (this.#phase === 'joining' && this.#session.isValid(this.#now)) {
      this.#phase = 'ready'
      this.#effects.push({ kind: 'ready', session: this.session })
    }
    if (wishes.length > 0) this.observer?.wishes(wishes)
  }

  /** An evicted node that lives drops all its tokens, raises its epoch, starts afresh. */
  #restart(): void {
    this.#phase = 'starting'
    for (const scope of [...this.holdings.scopes()]) {
      const token = this.holdings.get(scope)?.value.token ?? 0
      this.#effects.push({ kind: 'lost', scope, token, why: 'evicted' })
    }
    this.holdings.clear()
    this.#session.reset()
    this.#against.clear()
    this.#nextPromises.clear()
    this.#renewTimer?.cancel()
    for (const asked of this.#renewals.splice(0)) asked.cancel()
    this.#effects.push({ kind: 'evicted' })
    this.#reconfiguration?.cancel()
    this.observer?.restarted()
    this.#askEpoch()
  }

  // ---- replies ------------------------------------------------------------------------------------------------------

  #isFrom(pending: Pending, reply: Reply): boolean {
    if (pending.voter.node !== reply.voter.node) return false
    // Where the sender could not know the incarnation it learns it from the reply.
    if (pending.voter.incarnation === '') return true
    if (!sameVoter(pending.voter, reply.voter)) return reply.body.kind === 'refused' && reply.body.why.code === 'incarnation'
    const { kind } = reply.body
    if (reply.config === pending.config || kind === 'refused') return true
    // What stores answer that vote in another configuration, or in none.
    return kind === 'probed' || kind === 'fetched' || kind === 'activated' || kind === 'based' || kind === 'base-chunk'
  }

  #refused(pending: Pending, voter: VoterId, config: number, why: Refusal): void {
    switch (why.code) {
      case 'config':
        this.learn(why.chain)
        this.#reconfiguration?.overtaken(this.config.number)
        if (config < this.config.number) this.#help(voter)
        return
      case 'sealed':
        if (pending.config === this.config.number) this.#finish(why)
        return
      case 'superseded':
      case 'cloned':
        this.#refusedEpoch(pending, voter, why.code === 'superseded' ? why.epoch : this.#epoch)
        return
      case 'revoked':
        for (const { scope, token, target } of why.revocations) {
          if (!sameSession(target, this.session)) continue
          const ended = this.holdings.relinquish(scope, token)
          if (ended !== undefined) this.#effects.push({ kind: 'lost', scope, token: ended.token, why: 'revoked' })
        }
        // Only now that the tokens are marked may the voter hear so; it renews again right after.
        this.ask([voter], { kind: 'acknowledge', revocations: why.revocations }, (_voter, reply) => {
          if (reply.kind === 'done' && this.#phase !== 'starting') this.#renewAt([voter])
        })
        return
      default:
    }
  }

  #refusedEpoch(pending: Pending, voter: VoterId, epoch: number): void {
    this.#epochSeen = Math.max(this.#epochSeen, epoch)
    if (this.#phase === 'starting' || this.#phase === 'persisting' || pending.config !== this.config.number) return
    this.#against.add(storeKey(voter))
    const { members } = this.config
    const left = members.length - this.#against.size
    // With a majority that supports the epoch it goes on; but what has lapsed once and cannot be whole again starts anew.
    if (left >= majorityOf(members.length) && this.isSessionValid(this.#now)) return
    this.#restart()
  }

  #finish({ members, base }: { members: readonly VoterId[]; base?: string }): void {
    if (this.#reconfiguration !== undefined || this.#finishTimer !== undefined) return
    const { number } = this.config
    this.#finishTimer = this.after(this.random.float() * finishWaitMsMax, () => {
      this.#finishTimer = undefined
      if (this.config.number !== number || this.#phase === 'starting' || this.#phase === 'persisting') return
      this.reconfigure({ wanted: { members, ...(base === undefined ? {} : { base }) }, mayDrop: () => false, ended: () => undefined })
    })
  }

  /** A voter of the present configuration that has not begun to vote in it: bring it the chain and the snapshot. */
  #help(voter: VoterId): void {
    const { config } = this
    const key = storeKey(voter)
    if (this.#helping.has(key) || !config.members.some((member) => sameVoter(member, voter))) return
    const done = (): void => { this.#helping.delete(key) }
    this.#helping.set(key, this.after(this.random.float() * finishWaitMsMax, () => {
      this.#helping.set(key, this.after(this.timing.tryMs * 2, done))
      const sources = [...this.#chain.slice(-2).flatMap((record) => record.members)].filter((other) => !sameVoter(other, voter))
      const activate = (snapshot?: Snapshot, mayCopy = true): void => {
        this.ask([voter], { kind: 'activate', chain: this.#chain, ...(snapshot === undefined ? {} : { snapshot }) }, (_voter, reply) => {
          const lacksBase = reply.kind === 'refused' && reply.why.code === 'unknown-base'
          // Also while it starts: it may be that nobody can begin an epoch before this voter votes.
          if (!lacksBase || !mayCopy || snapshot?.base === undefined || this.#phase === 'persisting') return
          new BaseCopy(this, {
            config: config.number - 1, targets: [voter], source: { hash: snapshot.base, holders: sources }, hashOfChunk: this.#components.hashOfChunk,
            enough: (left) => left.length > 0, ended: (copied) => { if (copied !== undefined) activate(snapshot, false) },
          }).begin()
        })
      }
      if (config.hash === '') activate()
      else {
        let sent = false
        activate()
        const asked = this.ask(sources, { kind: 'fetch', hash: config.hash }, (_source, reply) => {
          if (sent || reply.kind !== 'fetched') return
          sent = true
          asked.cancel()
          activate(reply.snapshot)
        })
      }
    }))
  }
}
