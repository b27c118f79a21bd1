import { invariant } from '../../base/index.js'
import { ballotAbove, compareBallots, isOpening, sameBallot } from '../ballot.js'
import type { Readings } from '../clocks.js'
import type { Change } from '../durable.js'
import type { AcceptBody, OpenBody, PrepareBody, ReplyBody } from '../messages.js'
import { sameValue } from '../value.js'
import type { Register } from '../value.js'
import type { VoterRevocations } from './revocations.js'
import type { VoterSessions } from './sessions.js'
import type { RegisterTable } from './table.js'

/**
 * The acceptor of CASPaxos (Rystsov 2018, section 2.2), with two judgements that belong into the very batch of the
 * promise: whether the session to be stolen from is over (then it is evicted for good), and whether a revocation is
 * clear. Judged earlier, the old holder could renew in between; judged later, the promise would already have been used.
 */
export class VoterRegisters {
  /** Another one with every configuration that starts from a base. */
  table: RegisterTable
  readonly #sessions: VoterSessions
  readonly #revocations: VoterRevocations
  readonly #accepted: (scope: string) => void
  floor = 0

  /** `accepted`: told of every scope that gets a value. */
  constructor(components: { table: RegisterTable; sessions: VoterSessions; revocations: VoterRevocations; accepted: (scope: string) => void }) {
    this.table = components.table
    this.#accepted = components.accepted
    this.#sessions = components.sessions
    this.#revocations = components.revocations
  }

  prepare(body: PrepareBody, now: Readings, changes: Change[]): ReplyBody {
    const register = this.table.get(body.scope)
    if (register !== undefined && compareBallots(body.ballot, register.promised) <= 0) {
      return { kind: 'refused', why: { code: 'promised', ballot: register.promised } }
    }
    this.#put(body.scope, { ...register, promised: body.ballot }, changes)
    let evicted = false
    if (body.evict !== undefined && this.#sessions.isOver(body.evict, now)) {
      this.#sessions.evict(body.evict, changes)
      evicted = true
    }
    const clear = body.clear !== undefined && this.#revocations.isClear(body.clear, now)
    const { floor } = this
    const accepted = register?.accepted
    return accepted === undefined ? { kind: 'promise', floor, evicted, clear } : { kind: 'promise', floor, evicted, clear, accepted }
  }

  accept(body: AcceptBody, now: Readings, changes: Change[]): ReplyBody {
    const register = this.table.get(body.scope)
    if (register?.accepted !== undefined && sameBallot(register.accepted.ballot, body.ballot)) {
      invariant(sameValue(register.accepted.value, body.value), 'two values under one ballot')
      // The same accept again: it was accepted, and saying so once more is true whatever was promised since.
      return { kind: 'accepted', promisedNext: sameBallot(register.promised, body.next) }
    }
    if (register !== undefined && compareBallots(body.ballot, register.promised) < 0) {
      return { kind: 'refused', why: { code: 'promised', ballot: register.promised } }
    }
    if (body.changed && !this.#sessions.supports(body.ballot, now)) {
      return { kind: 'refused', why: { code: 'unsupported' } }
    }
    // One batch: were `promised` not raised with it, a voter that skipped the prepare could promise a lower ballot after.
    const promised = body.next !== undefined && ballotAbove(body.next, body.ballot) ? body.next : body.ballot
    this.#put(body.scope, { promised, accepted: { ballot: body.ballot, value: body.value } }, changes)
    return { kind: 'accepted', promisedNext: body.next !== undefined && sameBallot(promised, body.next) }
  }

  /**
   * A scope's first value, without a prepare: taken only where there is nothing at all, no promise either, so that no voter
   * ever takes two of them, and whoever prepared here before is not overtaken. Else it is a prepare: no round trip is lost.
   */
  open(body: OpenBody, now: Readings, changes: Change[]): ReplyBody {
    const register = this.table.get(body.scope)
    if (register?.accepted !== undefined && sameBallot(register.accepted.ballot, body.ballot)) {
      invariant(sameValue(register.accepted.value, body.value), 'two values under one ballot')
      return { kind: 'accepted', promisedNext: sameBallot(register.promised, body.next) }
    }
    const isFirst = register === undefined && isOpening(body.ballot) && ballotAbove(body.next, body.ballot) && body.value.token > this.floor
    if (!isFirst || !this.#sessions.supports(body.ballot, now)) return this.prepare({ kind: 'prepare', scope: body.scope, ballot: body.next }, now, changes)
    this.#put(body.scope, { promised: body.next, accepted: { ballot: body.ballot, value: body.value } }, changes)
    return { kind: 'accepted', promisedNext: true }
  }

  #put(scope: string, register: Register, changes: Change[]): void {
    const before = this.table.get(scope)
    invariant(!ballotAbove(before?.promised ?? register.promised, register.promised), 'I1: a promise went back')
    invariant(register.accepted === undefined || !ballotAbove(register.accepted.ballot, register.promised), 'I1: accepted above promised')
    this.table.set(scope, register)
    if (register.accepted !== undefined) this.#accepted(scope)
    changes.push({ kind: 'register', scope, register })
  }
}
