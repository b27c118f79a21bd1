import type { Ballot } from './ballot.js'
import { compareBallots, openingOf } from './ballot.js'
import type { ConfigRecord } from './config.js'
import type { AcceptBody, OpenBody, PrepareBody, PromiseBody, Refusal, ReplyBody } from './messages.js'
import { majorityOf } from './quorum.js'
import type { Revocation } from './revocation.js'
import type { SessionId, VoterId } from './types.js'
import { storeKey } from './types.js'
import type { Accepted, Value } from './value.js'
import { emptyValue } from './value.js'

/** What a round read from a majority: the only ground on which a change may stand. */
export interface Reading {
  readonly value: Value | undefined
  /** New tokens are this + 1: the value's own, or what compaction dropped if that is higher. */
  readonly token: number
  /** A majority evicted the session that the prepare named. */
  readonly evicted: boolean
  /** A majority called the revocation that the prepare named clear. */
  readonly clear: boolean
}

export type Proposal<Answer> =
  | { readonly kind: 'set'; readonly value: Value; readonly answer: Answer }
  | { readonly kind: 'keep'; readonly answer: Answer }

/**
 * Pure. Called with what this very round read: a value from an earlier round is never proposed. A round that opens calls it
 * for a scope without a value first, and again with what it then read.
 */
export type ChangeFunction<Answer> = (reading: Reading) => Proposal<Answer>

/** What lets the next round of this proposer on this scope skip its prepare. Good for one try. */
export interface NextPromise {
  readonly ballot: Ballot
  readonly accepted: Accepted
  readonly floor: number
}

export interface RoundInit<Answer> {
  readonly config: ConfigRecord
  readonly scope: string
  readonly ballot: Ballot
  readonly change: ChangeFunction<Answer>
  readonly evict?: SessionId
  readonly clear?: Revocation
  /** The proposer's ballot after this one, to be promised along with the accept. */
  readonly next?: Ballot
  /** A majority promised `ballot` already, all of them with `accepted` as the highest they accepted. */
  readonly promised?: NextPromise
  /**
   * Try the first value of the scope without a prepare, with a token above this floor. Only where every voter is thought to
   * answer, and where the change sets a value if there is none.
   */
  readonly open?: { readonly floor: number }
}

export type RoundStep<Answer> =
  | { readonly kind: 'wait' }
  /** A majority has answered, but some of it with no; only those who are still silent could help. */
  | { readonly kind: 'doubt' }
  /** A majority has taken the first value; the rest is worth a moment's wait, then \`goOn\`. */
  | { readonly kind: 'nearly' }
  | { readonly kind: 'ask'; readonly body: AcceptBody }
  | { readonly kind: 'chosen'; readonly accepted: Accepted; readonly answer: Answer; readonly changed: boolean; readonly next?: NextPromise }
  | { readonly kind: 'lost'; readonly why: Refusal }

/**
 * One try of one operation under one ballot (CASPaxos). Prepare at all, read the value of the highest accepted ballot
 * from a majority, apply the change, have it accepted by a majority. A change that does not apply still has the value
 * committed as it was read: what this round saw at one voter only might otherwise be overtaken by a value that never saw
 * it, and two readers would have been told two different pasts.
 *
 * A scope that was never written needs no prepare: there is nothing to read. With \`open\` the first value goes out at once,
 * under an opening ballot, below all ordinary ones; a voter takes it where it has nothing for the scope, and treats it as the
 * prepare of \`ballot\` where it has. Taken by *all* it is chosen, in one round trip. That is the fast round of Fast Paxos
 * (Lamport 2006) with all voters as its quorum: a voter takes one opening value at most, so of two that are proposed at the
 * same time never both are chosen, and one that is chosen is shown by every voter of any majority, whoever prepares later.
 * Taken by some only it is not, and this round goes on as if it had prepared: all answers promise \`ballot\`. So it costs no
 * round trip more than a prepare would have.
 *
 * Road not taken: a majority as the quorum of opening ballots. Where a voter is silent, those who read could not tell which of
 * two values had one.
 */
export class Round<Answer> {
  readonly #init: RoundInit<Answer>
  readonly #majority: number
  readonly #promises = new Map<string, PromiseBody>()
  readonly #accepts = new Set<string>()
  readonly #refusals = new Map<string, Refusal>()
  #nextPromises = 0
  /** The first value that was sent; by whom it was taken, and by whom not. */
  #opening: { accepted: Accepted; answer: Answer } | undefined
  readonly #openedBy = new Set<string>()
  readonly #notTakenBy = new Set<string>()
  #proposal: { value: Value; answer: Answer; changed: boolean } | undefined
  #floor = 0

  constructor(init: RoundInit<Answer>) {
    this.#init = init
    this.#majority = majorityOf(init.config.members.length)
  }

  /** Whether a changed value may have reached a voter: from then on the outcome of a lost round is unknown. */
  get proposed(): boolean {
    // Who had something for the scope will never take a first value.
    return (this.#opening !== undefined && this.#notTakenBy.size < this.#init.config.members.length) || this.#proposal?.changed === true
  }

  /** What all voters are asked first. */
  begin(): PrepareBody | AcceptBody | OpenBody {
    const { promised, scope, ballot, evict, clear, open } = this.#init
    if (promised !== undefined) {
      return this.#propose({ value: promised.accepted.value, token: Math.max(promised.accepted.value.token, promised.floor), evicted: false, clear: false }, promised.floor)
    }
    if (open !== undefined) {
      const first = this.#init.change({ value: undefined, token: open.floor, evicted: false, clear: false })
      if (first.kind === 'set') {
        this.#opening = { accepted: { ballot: openingOf(ballot), value: first.value }, answer: first.answer }
        return { kind: 'open', scope, ballot: this.#opening.accepted.ballot, value: first.value, next: ballot }
      }
    }
    return { kind: 'prepare', scope, ballot, ...(evict === undefined ? {} : { evict }), ...(clear === undefined ? {} : { clear }) }
  }

  receive(voter: VoterId, reply: ReplyBody): RoundStep<Answer> {
    const key = storeKey(voter)
    if (reply.kind === 'refused') return this.#refused(key, reply.why)
    if (this.#opening !== undefined && this.#proposal === undefined && (reply.kind === 'promise' || reply.kind === 'accepted')) return this.#openedAt(key, reply, this.#opening)
    if (reply.kind === 'promise' && this.#proposal === undefined) return this.#promised(key, reply)
    if (reply.kind === 'accepted' && this.#proposal !== undefined) return this.#acceptedBy(key, reply.promisedNext, this.#proposal)
    return { kind: 'wait' }
  }

  /** Enough of waiting for those who have not answered: on with what a majority has promised. */
  goOn(): RoundStep<Answer> {
    return this.#opening !== undefined && this.#proposal === undefined && this.#promises.size >= this.#majority ? this.#read() : { kind: 'wait' }
  }

  #openedAt(voter: string, reply: Extract<ReplyBody, { kind: 'promise' | 'accepted' }>, opening: { accepted: Accepted; answer: Answer }): RoundStep<Answer> {
    const { ballot, config, open } = this.#init
    const floor = open?.floor ?? 0
    if (reply.kind === 'promise') {
      this.#promises.set(voter, reply)
      this.#notTakenBy.add(voter)
    } else {
      this.#openedBy.add(voter)
      // Its floor is below the token that it took.
      if (reply.promisedNext) this.#promises.set(voter, { kind: 'promise', accepted: opening.accepted, floor, evicted: false, clear: false })
    }
    if (this.#openedBy.size === config.members.length) {
      const chosen = { kind: 'chosen', accepted: opening.accepted, answer: opening.answer, changed: true } as const
      return this.#promises.size < this.#majority ? chosen : { ...chosen, next: { ballot, accepted: opening.accepted, floor } }
    }
    if (this.#promises.size < this.#majority) return this.#waitOrDoubt(this.#promises.size)
    const mayBeTakenByAll = reply.kind === 'accepted' && this.#openedBy.size === this.#promises.size && this.#refusals.size === 0
    return mayBeTakenByAll ? { kind: 'nearly' } : this.#read()
  }

  #promised(voter: string, promise: PromiseBody): RoundStep<Answer> {
    this.#promises.set(voter, promise)
    return this.#promises.size < this.#majority ? this.#waitOrDoubt(this.#promises.size) : this.#read()
  }

  /** What a majority's promises tell, and what follows from it. */
  #read(): RoundStep<Answer> {
    let highest: Accepted | undefined
    let floor = 0
    let evicted = 0
    let clear = 0
    for (const one of this.#promises.values()) {
      if (one.accepted !== undefined && (highest === undefined || compareBallots(one.accepted.ballot, highest.ballot) > 0)) highest = one.accepted
      floor = Math.max(floor, one.floor)
      if (one.evicted) evicted++
      if (one.clear) clear++
    }
    this.#refusals.clear()
    const token = Math.max(highest?.value.token ?? 0, floor)
    const reading = { value: highest?.value, token, evicted: evicted >= this.#majority, clear: clear >= this.#majority }
    return { kind: 'ask', body: this.#propose(reading, floor) }
  }

  #propose(reading: Reading, floor: number): AcceptBody {
    const proposal = this.#init.change(reading)
    const changed = proposal.kind === 'set'
    const value = changed ? proposal.value : reading.value ?? { ...emptyValue, token: reading.token }
    this.#proposal = { value, answer: proposal.answer, changed }
    this.#floor = floor
    const { scope, ballot, next } = this.#init
    return { kind: 'accept', scope, ballot, value, changed, ...(next === undefined ? {} : { next }) }
  }

  #acceptedBy(voter: string, promisedNext: boolean, proposal: { value: Value; answer: Answer; changed: boolean }): RoundStep<Answer> {
    if (this.#accepts.has(voter)) return { kind: 'wait' }
    this.#accepts.add(voter)
    if (promisedNext) this.#nextPromises++
    if (this.#accepts.size < this.#majority) return this.#waitOrDoubt(this.#accepts.size)
    const accepted = { ballot: this.#init.ballot, value: proposal.value }
    const chosen = { kind: 'chosen', accepted, answer: proposal.answer, changed: proposal.changed } as const
    const { next } = this.#init
    if (next === undefined || this.#nextPromises < this.#majority) return chosen
    return { ...chosen, next: { ballot: next, accepted, floor: this.#floor } }
  }

  #refused(voter: string, why: Refusal): RoundStep<Answer> {
    this.#refusals.set(voter, why)
    if (this.#opening !== undefined && this.#proposal === undefined && this.#promises.size >= this.#majority) return this.#read()
    const left = this.#init.config.members.length - this.#refusals.size
    if (left >= this.#majority) return this.#waitOrDoubt(this.#proposal === undefined ? this.#promises.size : this.#accepts.size)
    return { kind: 'lost', why: this.#worst() }
  }

  #waitOrDoubt(yes: number): RoundStep<Answer> {
    return { kind: this.#refusals.size > 0 && yes + this.#refusals.size >= this.#majority ? 'doubt' : 'wait' }
  }

  /** Of several reasons the one that says most about what to do next. */
  #worst(): Refusal {
    const order = ['config', 'sealed', 'superseded', 'cloned', 'promised']
    const all = [...this.#refusals.values()]
    for (const code of order) {
      let best: Refusal | undefined
      for (const why of all) {
        if (why.code !== code) continue
        if (best?.code === 'promised' && why.code === 'promised' && compareBallots(best.ballot, why.ballot) > 0) continue
        best = why
      }
      if (best !== undefined) return best
    }
    return all[0] ?? { code: 'unsupported' }
  }
}
