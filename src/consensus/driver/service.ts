import type { NodeId, Signer } from '../../base/index.js'
import { Emitter, backoffMs, messageOf } from '../../base/index.js'
import { hashOfChunk, hashOfSnapshot } from '../seals.js'
import type { Readings, Timing } from '../clocks.js'
import { timingDefaults } from '../clocks.js'
import type { BaseChunk } from '../base.js'
import type { ConfigRecord } from '../config.js'
import type { HandOffWish, Reply, ReplyBody, Request, RequestBody } from '../messages.js'
import { Node } from '../node.js'
import type { NodeEffect } from '../node.js'
import type { WishOptions } from '../asking.js'
import type { OperationEnd, Running } from '../operations.js'
import { Operations } from '../operations.js'
import type { ChangeFunction } from '../round.js'
import type { AcquireInit } from '../rounds/acquire.js'
import type { ReconfigureEnd } from '../rounds/reconfigure.js'
import type { SessionId, VoterId } from '../types.js'
import { ConsensusError } from '../types.js'
import type { Value } from '../value.js'
import { noBytes } from '../value.js'
import { CompactTable } from '../voter/compact-table.js'
import { Voter } from '../voter/voter.js'
import { checkScope, errorOf, granted, noSession, notRunning, storeFailed } from './outcomes.js'
import type { RecoveryReport } from './recovery.js'
import { encodeTokenMax, recover, tokenMaxBytes } from './recovery.js'
import type { ConsensusComponents, ConsensusEvents, ConsensusInit } from './parts.js'
import { openStore } from './opening.js'
import { Transport } from './transport.js'
import { VoterDisk } from './voter-disk.js'
import { VoterWriter } from './voter-writer.js'

/** Together some seconds: as long as it takes to begin a session or to change voters. */
const listTriesMax = 6
/** Nothing waits for it. */
const sweepEveryMs = 1000
const listBackoff = { minMs: 200, maxMs: 2_000 }

export interface CallLimits {
  readonly signal?: AbortSignal
}

/**
 * This node in the consensus: its voter (if it is one), its session, and operations on scopes as promises. Runs the pure
 * core: writes its batches, releases its replies, sets its one timer.
 */
export class Consensus {
  readonly #components: ConsensusComponents
  readonly #init: ConsensusInit
  readonly #timing: Timing
  readonly #disk: VoterDisk
  readonly #writer: VoterWriter
  readonly #transport: Transport
  readonly #events = new Emitter<ConsensusEvents>()
  #node: Node | undefined
  #operations: Operations | undefined
  #voter: Voter | undefined
  #startingAnew = false
  #stopped = false
  readonly #storing = new Set<Promise<void>>()
  #cancelWake: (() => void) | undefined
  #failed: unknown
  /** Ends whoever waits here when the disk fails: operations under way, and `run` itself. */
  readonly #failing = new AbortController()
  /** Calls under way: one list of our own, since a signal with thousands of listeners complains. */
  readonly #waiting = new Set<(error: Error) => void>()
  #lastSession: SessionId | undefined
  readonly counters = { operations: 0, granted: 0, lost: 0, contended: 0, noQuorum: 0, batches: 0, batchChanges: 0 }

  constructor(components: ConsensusComponents, init: ConsensusInit) {
    this.#components = components
    this.#init = init
    this.#timing = { ...timingDefaults, ...init.timing }
    this.#disk = new VoterDisk({ store: components.store })
    this.#writer = new VoterWriter({ disk: this.#disk, memoryFile: components.memoryFile, clock: components.clock }, {
      counters: this.counters, failed: (error) => { this.#fail(error) },
    })
    this.#transport = new Transport(components, {
      self: components.connections.self,
      handlers: {
        requests: async (requests) => this.#serve(requests),
        replies: (replies) => { this.#input((node, now) => { for (const reply of replies) node.receive(reply, now) }) },
        peer: (from, message) => { this.#input((_node, now) => { this.#operations?.receivePeer(from, message, now) }) },
      },
    })
    components.rpc.register({
      name: 'lease.token-max', requestBytesMax: 0, responseBytesMax: tokenMaxBytes, inFlightMax: 1,
      handle: async () => encodeTokenMax(this.#node?.holdings.tokenMax() ?? 0),
    })
  }

  on<Name extends keyof ConsensusEvents>(name: Name, listener: (event: ConsensusEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  /** Runs until the signal aborts. Resolves when the last batch is on disk. Rejects if the disk fails: then nothing is promised any more. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#boot()
    signal.addEventListener('abort', () => { this.#giveUp(new ConsensusError('CLOSED', 'this node is stopping')) }, { once: true })
    this.#transport.start(signal)
    this.#input((node, now) => { node.start(now) })
    const sweeping = this.#sweep(AbortSignal.any([signal, this.#failing.signal]))
    await new Promise<void>((resolve) => {
      for (const end of [signal, this.#failing.signal]) {
        if (end.aborted) resolve()
        end.addEventListener('abort', () => { resolve() }, { once: true })
      }
    })
    // Nothing is taken in from here on: what is begun after the last batch would find the store closed.
    this.#stopped = true
    this.#cancelWake?.()
    await this.#writer.settled()
    while (this.#storing.size > 0) await Promise.all(this.#storing)
    await sweeping
    this.#node = undefined
    this.#operations = undefined
    await this.#components.memoryFile.close()
    if (this.#failed !== undefined) throw this.#failed
  }

  // ---- what it is ---------------------------------------------------------------------------------------------------

  get session(): SessionId | undefined {
    return this.#node?.isReady === true ? this.#node.session : undefined
  }

  get config(): ConfigRecord | undefined {
    return this.#node?.config
  }

  /** The configuration that this node's own voter votes in; -1 for none. */
  get votesIn(): number {
    return this.#voter?.config ?? -1
  }

  get registers(): number {
    return this.#voter?.registers ?? 0
  }

  /** Of `registers`, those that are free and carry nothing. */
  get freeRegisters(): number {
    return this.#voter?.freeRegisters ?? 0
  }

  get isReconfiguring(): boolean {
    return this.#node?.reconfiguring ?? false
  }

  /** The token under which this node may act on the scope now. Ask before the act, and again before telling of it. */
  mayAct(scope: string): number | undefined {
    return this.#node?.mayAct(scope, this.#init.readings())
  }

  holding(scope: string): Value | undefined {
    return this.#node?.holdings.get(scope)?.value
  }

  held(): string[] {
    return this.#node === undefined ? [] : [...this.#node.holdings.scopes()]
  }

  /** How long the session lasts if no voter answers any more; 0 without one. */
  sessionRemainingMs(): number {
    return this.#node?.sessionRemainingMs(this.#init.readings()) ?? 0
  }

  // ---- operations ---------------------------------------------------------------------------------------------------

  /** A name for an acquire, to be given again when it is tried again without an answer. */
  nextOp(): string {
    return this.#ops().nextOp()
  }

  /** Throws HELD (facts holder, token), NO_SESSION, NO_QUORUM, CONTENDED, CANCELLED. */
  async acquire(scope: string, options: CallLimits & { payload?: AcquireInit['payload']; op?: string; triesMax?: number } = {}): Promise<Value> {
    checkScope(scope)
    const { triesMax } = options
    const end = await this.#call(options, (operations, ended) => operations.acquire(
      scope, { op: options.op ?? operations.nextOp(), payload: options.payload ?? noBytes, ...(triesMax === undefined ? {} : { triesMax }) }, ended,
    ))
    return granted(end, scope)
  }

  /** Throws NOT_HOLDER if the register says so. Whatever comes of it, this node does not act under the token any more. */
  async release(scope: string, token: number, options: CallLimits = {}): Promise<void> {
    checkScope(scope)
    const end = await this.#call(options, (operations, ended) => operations.release(scope, token, ended))
    if (end.kind !== 'released') throw errorOf(end, scope)
  }

  /** The newest value, or undefined if the scope was never written. Linearizable. */
  async read(scope: string, options: CallLimits = {}): Promise<Value | undefined> {
    checkScope(scope)
    const end = await this.#call(options, (operations, ended) => operations.read(scope, ended))
    if (end.kind !== 'read') throw errorOf(end, scope)
    return end.accepted?.value
  }

  /** Whom to ask for it, probably. Not what is so: see `read`. */
  async peek(scope: string, options: CallLimits = {}): Promise<Value | undefined> {
    checkScope(scope)
    return this.#promise<Value | undefined>(options, (operations, settle) => operations.peek(scope, settle))
  }

  /** Any pure change of a register that is not a lease. */
  async change<Answer>(scope: string, change: ChangeFunction<Answer>, options: CallLimits & { evict?: SessionId; triesMax?: number } = {}): Promise<{ value: Value; answer: Answer }> {
    checkScope(scope)
    return this.#promise(options, (operations, settle, fail) => operations.change(scope, change, options, (end) => {
      if (end.kind === 'chosen') settle({ value: end.accepted.value, answer: end.answer })
      else fail(errorOf(end, scope))
    }))
  }

  /** Whether a majority of voters counts the session as over: what makes an eviction worth a try. Throws NO_QUORUM, NO_SESSION. */
  async isOver(session: SessionId, options: CallLimits = {}): Promise<boolean> {
    return this.#promise<boolean>(options, (operations, settle, fail) => operations.isOver(session, (over) => {
      if (over !== undefined) settle(over)
      else fail(new ConsensusError('NO_QUORUM', 'no majority of voters answered'))
    }))
  }

  /** Asks the holder for it; resolves when it is granted. Throws HAND_OFF_REFUSED, NOT_HOLDER (somebody else has it now). */
  async askFor(scope: string, held: Value, reason: Uint8Array, options: CallLimits & WishOptions = {}): Promise<Value> {
    const end = await this.#call(options, (operations, ended) => operations.wish(scope, held, reason, ended, options))
    return granted(end, scope)
  }

  /** Throws HOLDER_ALIVE if the voters do not count the holder as dead. */
  async stealDead(scope: string, held: Value, options: CallLimits = {}): Promise<Value> {
    const end = await this.#call(options, (operations, ended) => operations.stealDead(scope, held, ended))
    return granted(end, scope)
  }

  /** Revokes and takes, or frees. Waits until the holder has acknowledged or cannot be valid any more, unless `unsafe`. */
  async revoke(scope: string, held: Value, options: CallLimits & { to: 'me' | 'nobody'; unsafe?: boolean }): Promise<Value> {
    const end = await this.#call(options, (operations, ended) => operations.revoke(scope, held, options, ended))
    return end.kind === 'freed' ? end.value : granted(end, scope)
  }

  /** Admits no new write from now on. False: not held under this token. */
  freeze(scope: string, token: number): boolean {
    return this.#operations?.freeze(scope, token) ?? false
  }

  thaw(scope: string, token: number): void {
    this.#operations?.thaw(scope, token)
  }

  /** Those who store the data take nothing lower any more. */
  fenced(scope: string, token: number): void {
    this.#node?.holdings.fenced(scope, token)
  }

  /** Frozen and drained before. From here on this node never acts under the token again. */
  async handOff(wish: HandOffWish, payload: Uint8Array, options: CallLimits = {}): Promise<Value> {
    const end = await this.#call(options, (operations, ended) => operations.handOff(wish.scope, wish.token, wish.asker, payload, ended))
    if (end.kind !== 'handed') throw errorOf(end, wish.scope)
    return end.value
  }

  /** To nodes that wait for it: it was handed to whom `value` says. */
  tellMoved(scope: string, value: Value, waiting: Iterable<NodeId>): void {
    this.#input(() => { this.#operations?.tellMoved(scope, value, waiting) })
  }

  refuse(wish: HandOffWish, reason: string): void {
    this.#input(() => { this.#operations?.refuseWish(wish, reason) })
  }

  /**
   * Registers in scope order, from a majority's lists; those that voters disagree about are confirmed by a read.
   * `heldOnly`: what is free is not paged through (an answer may still be free, if it has just become so); `without`:
   * beginnings of scopes that are leapt over.
   */
  async list(prefix: string, limit: number, options: CallLimits & { heldOnly?: boolean; without?: readonly string[] } = {}): Promise<{ scope: string; value: Value }[]> {
    const { heldOnly = false, without = [] } = options
    for (let attempt = 0; ; attempt++) {
      const entries = await this.#promise<Map<string, Value> | undefined>(options, (operations, settle) => operations.list({ prefix, limit, heldOnly, without }, settle))
      if (entries !== undefined) return [...entries].map(([scope, value]) => ({ scope, value }))
      // A session that begins anew, or voters that just change, are no answer to give to people.
      if (attempt + 1 === listTriesMax) throw new ConsensusError('NO_QUORUM', 'no majority of voters answered')
      await this.#components.clock.sleep(backoffMs(attempt, listBackoff, this.#components.random), options.signal)
    }
  }

  /** Under which incarnations the stores of these nodes answer; those that do not answer within a try are left out. */
  async probe(nodes: readonly NodeId[], options: CallLimits = {}): Promise<VoterId[]> {
    return this.#poll(nodes.map((node) => ({ node, incarnation: '' })), { kind: 'probe' }, (_reply, voter) => voter, options)
  }

  /** The majority of the voters is lost for good: see `recovery.ts`. Throws NOT_RECONFIGURED if it is not. */
  async recover(authority: Signer, options: CallLimits & { force: boolean }): Promise<RecoveryReport> {
    const node = this.#node
    if (node === undefined) throw noSession()
    const { connections, rpc } = this.#components
    const self = { node: node.session.node, incarnation: node.session.incarnation }
    return recover({
      self, chain: node.chain, rpc, peers: connections.connected(), tokenMax: node.holdings.tokenMax(),
      poll: async (voters, body, pick) => this.#poll(voters, body, pick, options),
      learn: (record) => { this.#input((found) => { found.learn([record]) }) },
    }, authority, options)
  }

  /** Changes who votes. Throws NOT_RECONFIGURED (nothing was sealed) or SEALED (it was, and others will finish). */
  async reconfigure(nodes: readonly NodeId[], options: CallLimits & { mayDrop?: (scope: string, value: Value) => boolean } = {}): Promise<number> {
    if (nodes.length % 2 !== 1 || nodes.length > 5 || new Set(nodes).size !== nodes.length) throw new ConsensusError('BAD_INPUT', 'voters are 1, 3 or 5 different nodes', { count: nodes.length })
    return this.#promise<number>(options, (_operations, settle, fail) => {
      const node = this.#node
      if (node === undefined || !node.isReady) throw noSession()
      node.reconfigure({
        wanted: { nodes }, mayDrop: (scope, accepted) => options.mayDrop?.(scope, accepted.value) ?? false,
        ended: (end: ReconfigureEnd) => {
          if (end.kind === 'active') {
            this.#components.log.info('the voters were changed', { config: end.config, pausedMs: end.pausedMs, copied: end.copied })
            settle(end.config)
          }
          else fail(new ConsensusError(end.sealed ? 'SEALED' : 'NOT_RECONFIGURED', `the voters were not changed: ${end.why}`, { why: end.why }))
        },
      })
      return { cancel: () => undefined }
    })
  }

  // ---- running the core ---------------------------------------------------------------------------------------------

  async #boot(): Promise<void> {
    const { connections, random, memoryFile, seals, log } = this.#components
    const { incarnation, chain } = await openStore({ disk: this.#disk, memoryFile, seals, random, log }, this.#init.chain)
    const start = Buffer.from(random.bytes(16)).toString('hex')
    const backoffMs = (): number => this.#backoffMs()
    const timing: Timing = { ...this.#timing, get backoffMs() { return backoffMs() } }
    const common = { node: connections.self, incarnation, start, timing, clockKind: this.#init.clockKind, now: this.#init.readings() }
    const table = new CompactTable()
    const state = await this.#disk.load(table)
    if (state === undefined) {
      log.error('a part of this node\'s lease store is gone: it starts as a new one and will be configured in again', {})
      await this.#disk.reset(Buffer.from(random.bytes(16)).toString('hex'), chain)
      await memoryFile.put(0)
      await this.#boot()
      return
    }
    const components = { random, seals, hashOf: hashOfSnapshot, hashOfChunk, newTable: () => new CompactTable() }
    this.#voter = new Voter({ ...components, table }, { ...common, state })
    this.#writer.begin(this.#voter, state.sequence)
    this.#node = new Node(components, { ...common, epoch: await this.#disk.epoch(), chain })
    this.#operations = new Operations({ node: this.#node }, { needsFence: this.#init.needsFence ?? (() => false) })
    // Configuration 0 has no snapshot: whoever is in it begins at once.
    const head = chain[chain.length - 1]
    if (head !== undefined && state.record.config === -1) this.#voter.adopt(chain, this.#init.readings())
  }

  /** What a change of voters left behind is deleted bit by bit. */
  async #sweep(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await this.#components.clock.sleep(sweepEveryMs, signal)
        while (await this.#disk.sweep()) signal.throwIfAborted()
      }
    } catch (error) {
      if (!signal.aborted) this.#fail(error)
    }
  }

  /** What a duel's wait starts from: the slowest voter's round trip, or a sync if that is longer. */
  #backoffMs(): number {
    const { connections } = this.#components
    let longest = Math.max(this.#timing.backoffMs, this.#writer.syncMs)
    for (const { node } of this.#node?.config.members ?? []) longest = Math.max(longest, connections.rttMs(node) ?? 0)
    // A round trip longer than half a try is that of a voter which stood still: nobody should wait for it.
    return Math.min(longest, this.#timing.tryMs / 2)
  }

  /** Every input goes through here: what the core wants done is done, and its next wake-up is set. */
  #input(run: (node: Node, now: Readings) => void): void {
    const node = this.#node
    if (node === undefined || this.#stopped || this.#failed !== undefined) return
    const now = this.#init.readings()
    node.at(now)
    run(node, now)
    for (const effect of node.takeEffects()) this.#do(node, effect)
    this.#schedule(node)
  }

  #schedule(node: Node): void {
    this.#cancelWake?.()
    const next = node.nextWakeMs
    if (next === undefined) return
    // At least 1 ms, so that a clock that rounds never wakes it too early again and again.
    // From the time of the input, not a new one: what a reading costs (a file, for the uptime) is paid once an input.
    const delayMs = Math.max(1, next - node.now.hrtimeMs)
    this.#cancelWake = this.#components.clock.setTimer(delayMs, () => { this.#input((found, now) => { found.wake(now) }) })
  }

  #do(node: Node, effect: NodeEffect): void {
    switch (effect.kind) {
      case 'request': this.#transport.request(effect.to, effect.request); return
      case 'peer': this.#transport.peer(effect.to, effect.message); return
      case 'persist-epoch':
        this.#storeBeside(async () => {
          await this.#disk.putEpoch(effect.epoch)
          this.#input((found, now) => { found.epochPersisted(effect.epoch, now) })
        })
        return
      case 'persist-chain':
        this.#storeBeside(async () => this.#disk.putNodeChain(effect.chain))
        this.#events.emit('config', node.config)
        return
      case 'lost-touch': {
        const peers = this.#components.connections.connected()
        const peer = peers[this.#components.random.below(Math.max(1, peers.length))]
        if (peer !== undefined) this.#transport.peer(peer, { kind: 'chain-wish', known: effect.known })
        return
      }
      case 'ready':
        this.#lastSession = effect.session
        this.#events.emit('ready', effect.session)
        return
      case 'evicted':
        if (this.#lastSession !== undefined) this.#events.emit('evicted', this.#lastSession)
        return
      case 'granted':
        this.counters.granted++
        this.#events.emit('granted', effect)
        return
      case 'lost':
        this.counters.lost++
        this.#events.emit('lost', effect)
        return
      case 'wish': this.#events.emit('wish', effect.wish); return
      case 'wish-refused': return
    }
  }

  /** What goes to the disk past the writer; a stop waits for it. */
  #storeBeside(run: () => Promise<void>): void {
    const one = run().catch((error: unknown) => { this.#fail(error) }).finally(() => { this.#storing.delete(one) })
    this.#storing.add(one)
  }

  /** The voter's side: requests of one frame are one step, and share a batch with whatever else comes until it is written. */
  async #serve(requests: readonly Request[]): Promise<Reply[]> {
    const voter = this.#voter
    if (voter === undefined) throw notRunning()
    // On disk only. It never changes, so nothing is missed meanwhile.
    const chunks = new Map<Request, BaseChunk>()
    for (const request of requests) {
      const row = voter.rowOf(request)
      const chunk = row === undefined ? undefined : await this.#disk.chunk(row)
      if (chunk !== undefined) chunks.set(request, chunk)
    }
    if (this.#stopped || this.#failed !== undefined) throw notRunning()
    const now = this.#init.readings()
    const replies = requests.map((request) => voter.handle(request, now, chunks.get(request))).map(async (reply) => this.#writer.hold(reply))
    if (voter.forgot && !this.#startingAnew) {
      this.#startingAnew = true
      // Not awaited: the refusals still have to leave.
      this.#storeBeside(async () => this.#startAnew())
    }
    this.#shareChain(voter)
    this.#writer.write()
    return Promise.all(replies)
  }

  /** What the voter was told of the configurations its node knows, too: it may be cut off from all others who do. */
  #shareChain(voter: Voter): void {
    const head = voter.chain[voter.chain.length - 1]
    if (head !== undefined && head.number > (this.#node?.config.number ?? head.number)) this.#input((node) => { node.learn(voter.chain) })
  }

  /** A peer was told more by this store than it has: the disk went back in time. A new store under the old name. */
  async #startAnew(): Promise<void> {
    const { log, random, memoryFile } = this.#components
    log.error('a peer was told more by this node\'s lease store than it has: the disk went back in time. It starts as a new one and will be configured in again', {})
    const node = this.#node
    await this.#writer.settled()
    this.#input((old) => {
      for (const scope of [...old.holdings.scopes()]) this.#events.emit('lost', { scope, token: old.holdings.get(scope)?.value.token ?? 0, why: 'evicted' })
      old.observer?.restarted()
    })
    this.#node = undefined
    this.#cancelWake?.()
    await this.#disk.reset(Buffer.from(random.bytes(16)).toString('hex'), node?.chain ?? [])
    await memoryFile.put(0)
    await this.#boot()
    this.#startingAnew = false
    this.#input((fresh, now) => { fresh.start(now) })
  }

  /**
   * The disk does not do as it should: nothing is promised from here on. Whoever waits is told so at once; replies that
   * wait for the disk are never sent. What is held lapses with the session, which is not renewed any more.
   */
  #fail(error: unknown): void {
    if (this.#failed !== undefined) return
    this.#failed = error
    this.#components.log.error('the lease store failed', { error: messageOf(error) })
    this.#writer.fail(storeFailed(error))
    this.#giveUp(storeFailed(error))
    this.#failing.abort(storeFailed(error))
  }

  #giveUp(error: Error): void {
    for (const one of [...this.#waiting]) one(error)
  }

  /** Asks these stores once; what those answer that answer within a try. */
  async #poll<T>(voters: readonly VoterId[], body: RequestBody, pick: (reply: ReplyBody, voter: VoterId) => T | undefined, options: CallLimits = {}): Promise<T[]> {
    return this.#promise<T[]>(options, (_operations, settle) => {
      const node = this.#node
      if (node === undefined) throw noSession()
      const found: T[] = []
      let heard = 0
      const asked = node.ask(voters, body, (voter, reply) => {
        const picked = pick(reply, voter)
        if (picked !== undefined) found.push(picked)
        if (++heard === voters.length) end()
      })
      const timer = node.after(voters.length === 0 ? 0 : this.#timing.tryMs, () => { end() })
      const end = (): void => {
        asked.cancel()
        timer.cancel()
        settle(found)
      }
      return { cancel: end }
    })
  }

  #ops(): Operations {
    if (this.#operations === undefined) throw noSession()
    return this.#operations
  }

  async #call(options: CallLimits, begin: (operations: Operations, ended: (end: OperationEnd) => void) => Running): Promise<OperationEnd> {
    this.counters.operations++
    const end = await this.#promise<OperationEnd>(options, (operations, settle) => begin(operations, settle))
    if (end.kind === 'failed' && end.why === 'promised') this.counters.contended++
    if (end.kind === 'failed' && end.why === 'timeout') this.counters.noQuorum++
    return end
  }

  async #promise<T>({ signal }: CallLimits, begin: (operations: Operations, settle: (value: T) => void, fail: (error: Error) => void) => Running): Promise<T> {
    signal?.throwIfAborted()
    if (this.#failed !== undefined) throw storeFailed(this.#failed)
    const operations = this.#ops()
    return new Promise<T>((resolve, reject) => {
      let running: Running | undefined
      const onAbort = (): void => { this.#input(() => { running?.cancel() }) }
      const giveUp = (error: Error): void => { finish(); reject(error) }
      const finish = (): void => {
        signal?.removeEventListener('abort', onAbort)
        this.#waiting.delete(giveUp)
      }
      this.#waiting.add(giveUp)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#input(() => {
        try {
          running = begin(operations, (value) => { finish(); resolve(value) }, (error) => { finish(); reject(error) })
        } catch (error) {
          finish()
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      })
    })
  }
}
