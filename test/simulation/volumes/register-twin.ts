import type { NodeId, Random } from '../../../src/base/index.js'
import { Emitter } from '../../../src/base/index.js'
import { ConsensusError } from '../../../src/consensus/index.js'
import type { ConsensusEvents, SessionId, Value } from '../../../src/consensus/index.js'
import type { SegmentConsensus } from '../../../src/volumes/index.js'
import type { VirtualClock } from '../net-clock.js'

interface Register {
  value: Value | undefined
  /** Of the last prepare: an accept of an earlier one is refused. */
  ballot: number
}

interface SessionState {
  session: SessionId
  /** When the voters last heard of it. */
  heardMs: number
  minimum: number
}

/** As in the clocks of the real thing: the voters' patience, and the holder's. */
export const voterMs = 6_000
export const holderMs = 4_800
const renewMs = 1_200

/**
 * All voters as one: linearizable registers with the rounds' habits that matter to those who use them. A change is read
 * and accepted at two moments, and only if nobody prepared between; it may land after its proposer gave up; its answer
 * may be lost; a session that is over changes nothing.
 */
export class RegisterTwin {
  readonly registers = new Map<string, Register>()
  readonly sessions = new Map<NodeId, SessionState>()
  readonly clock: VirtualClock
  readonly random: Random
  readonly #delayMs: readonly [number, number]
  /** Nodes that the voters cannot hear. */
  readonly deaf = new Set<NodeId>()
  answersLostRatio = 0
  /** What these nodes read is on its way to them until this is over. */
  readonly lateReads = new Map<NodeId, Promise<void>>()
  /** Every value that was chosen, in order, by scope: for checks. */
  onChosen: (scope: string, value: Value) => void = () => undefined

  constructor(clock: VirtualClock, random: Random, delayMs: readonly [number, number]) {
    this.clock = clock
    this.random = random
    this.#delayMs = delayMs
  }

  get backoffMs(): number {
    return Math.max(20, 2 * this.#delayMs[1])
  }

  async delay(node: NodeId): Promise<void> {
    if (this.deaf.has(node)) await this.lost()
    const [min, max] = this.#delayMs
    await this.clock.sleep(min + this.random.float() * (max - min))
  }

  async lost(): Promise<never> {
    await this.clock.sleep(2_000)
    throw new ConsensusError('NO_QUORUM', 'timeout', { unknown: true })
  }

  isOver(session: SessionId): boolean {
    const state = this.sessions.get(session.node)
    if (state === undefined) return true
    return state.session.epoch > session.epoch || state.minimum > session.epoch || this.clock.monotonicMs() - state.heardMs >= voterMs
  }

  supports(session: SessionId): boolean {
    const state = this.sessions.get(session.node)
    return state !== undefined && state.session.epoch === session.epoch && state.minimum <= session.epoch && !this.isOver(session)
  }
}

/** One process's view of the voters. */
export class ConsensusTwin implements SegmentConsensus {
  session: SessionId | undefined
  readonly #twin: RegisterTwin
  readonly #node: NodeId
  readonly #events = new Emitter<ConsensusEvents>()
  #validUntilMs = 0
  readonly #life = { dead: false }
  /** A clock that is wrong by so much: the holder believes in its session longer than it may. */
  readonly #clockErrorMs: number

  constructor(twin: RegisterTwin, node: NodeId, clockErrorMs = 0) {
    this.#twin = twin
    this.#node = node
    this.#clockErrorMs = clockErrorMs
  }

  start(): void {
    this.#begin()
    void this.#renew()
  }

  /** The process is gone: nothing of it happens any more, except what is on its way. */
  die(): void {
    this.#life.dead = true
    this.session = undefined
  }

  sessionRemainingMs(): number {
    return this.session === undefined ? 0 : Math.max(0, this.#validUntilMs + this.#clockErrorMs - this.#twin.clock.monotonicMs())
  }

  on<Name extends 'ready' | 'evicted'>(name: Name, listener: (event: ConsensusEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  async read(scope: string): Promise<Value | undefined> {
    this.#must()
    await this.#twin.delay(this.#node)
    const value = this.#twin.registers.get(scope)?.value
    await this.#twin.lateReads.get(this.#node)
    await this.#twin.delay(this.#node)
    await this.#alive()
    return value
  }

  async change<Answer>(scope: string, change: Parameters<SegmentConsensus['change']>[1], options: { evict?: SessionId; signal?: AbortSignal } = {}): Promise<{ value: Value; answer: Answer }> {
    const twin = this.#twin
    for (let attempt = 0; attempt < 10; attempt++) {
      const session = this.#must()
      if (options.signal?.aborted === true) throw new ConsensusError('CANCELLED', 'cancelled', { unknown: attempt > 0 })
      await twin.delay(this.#node)
      let register = twin.registers.get(scope)
      if (register === undefined) twin.registers.set(scope, (register = { value: undefined, ballot: 0 }))
      const ballot = ++register.ballot
      let evicted = false
      if (options.evict !== undefined && twin.isOver(options.evict)) {
        evicted = true
        const state = twin.sessions.get(options.evict.node)
        if (state !== undefined) state.minimum = Math.max(state.minimum, options.evict.epoch + 1)
      }
      const before = register.value
      await twin.delay(this.#node)
      const proposal = change({ value: before, token: before?.token ?? 0, evicted, clear: false })
      const value = proposal.kind === 'set' ? proposal.value : before
      // From here on it may land whatever becomes of its proposer.
      await twin.delay(this.#node)
      if (proposal.kind === 'set' && !twin.supports(session)) throw new ConsensusError('NO_SESSION', 'not supported', { unknown: false })
      if (register.ballot === ballot) {
        if (proposal.kind === 'set' && value !== undefined) {
          register.value = value
          twin.onChosen(scope, value)
        }
        if (twin.random.float() < twin.answersLostRatio) await twin.lost()
        await twin.delay(this.#node)
        await this.#alive()
        return { value: value ?? { holder: null, token: 0, op: '', payload: new Uint8Array(0) }, answer: proposal.answer as Answer }
      }
      // From a round trip on, as the consensus does: proposers that wait less keep on overtaking each other.
      await twin.clock.sleep(twin.random.float() * twin.backoffMs * 2 ** Math.min(attempt, 6))
      await this.#alive()
    }
    throw new ConsensusError('CONTENDED', 'contended', { unknown: true })
  }

  async list(prefix: string, limit: number): Promise<{ scope: string; value: Value }[]> {
    await this.#twin.delay(this.#node)
    return [...this.#twin.registers].filter(([scope]) => scope.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, limit)
      .flatMap(([scope, { value }]) => (value === undefined ? [] : [{ scope, value }]))
  }

  async isOver(session: SessionId): Promise<boolean> {
    await this.#twin.delay(this.#node)
    const over = this.#twin.isOver(session)
    await this.#twin.delay(this.#node)
    await this.#alive()
    return over
  }

  #must(): SessionId {
    if (this.session === undefined || this.#life.dead) throw new ConsensusError('NO_SESSION', 'no session')
    return this.session
  }

  /** What a dead process waits for never comes. */
  async #alive(): Promise<void> {
    if (this.#life.dead) await new Promise(() => undefined)
  }

  #begin(): void {
    const twin = this.#twin
    const state = twin.sessions.get(this.#node)
    const epoch = Math.max(state?.session.epoch ?? 0, state?.minimum ?? 0) + 1
    const session = { node: this.#node, incarnation: '00112233445566778899aabbccddeeff', epoch }
    twin.sessions.set(this.#node, { session, heardMs: twin.clock.monotonicMs(), minimum: state?.minimum ?? 0 })
    this.session = session
    this.#validUntilMs = twin.clock.monotonicMs() + holderMs
    this.#events.emit('ready', session)
  }

  async #renew(): Promise<void> {
    const twin = this.#twin
    const isDead = (): boolean => this.#life.dead
    for (;;) {
      await twin.clock.sleep(renewMs)
      if (isDead()) return
      const sentMs = twin.clock.monotonicMs()
      const { session } = this
      if (session === undefined) continue
      try {
        await twin.delay(this.#node)
        const state = twin.sessions.get(this.#node)
        if (state === undefined || isDead()) return
        const over = state.minimum > session.epoch || state.session.epoch !== session.epoch
        if (!over) state.heardMs = twin.clock.monotonicMs()
        await twin.delay(this.#node)
        if (isDead()) return
        if (over) {
          this.session = undefined
          this.#events.emit('evicted', session)
          await twin.delay(this.#node)
          if (isDead()) return
          this.#begin()
        } else this.#validUntilMs = sentMs + holderMs
      } catch {
        // Not heard: tried again.
      }
    }
  }
}
