import type { Appointment } from './agenda.js'
import type { ConfigRecord } from './config.js'
import type { Asked, Context } from './context.js'
import type { Refusal } from './messages.js'
import type { Revocation } from './revocation.js'
import type { ChangeFunction, RoundStep } from './round.js'
import { Round } from './round.js'
import type { SessionId } from './types.js'
import type { Accepted } from './value.js'

export interface TriesInit<Answer> {
  readonly scope: string
  readonly change: ChangeFunction<Answer>
  readonly evict?: SessionId
  readonly clear?: Revocation
  readonly triesMax: number
  /** Whether the next ballot may be asked for along with the accept (not where a scope is given away). */
  readonly wantsNext: boolean
  /** Whether the scope may be new, and the change sets a value where there is none: then it is tried without a prepare. */
  readonly opens?: boolean
  readonly ended: (end: TriesEnd<Answer>) => void
}

export type TriesEnd<Answer> =
  | { readonly kind: 'chosen'; readonly accepted: Accepted; readonly answer: Answer; readonly changed: boolean }
  /** `unknown`: a try that changes the value may have been, or may still be, chosen. */
  | { readonly kind: 'failed'; readonly why: Refusal['code'] | 'timeout' | 'cancelled' | 'no-session'; readonly unknown: boolean }

/** Doubling stops here: 10 ms · 2⁸ = 2.6 s, longer than any round that is worth waiting for. */
const doublingsMax = 8
/**
 * And in ms, whatever it started from: a voter that was stopped for 7 s has a round trip of 7 s, by measure, for a while, and
 * 7 s · 2⁸ is half an hour, in which nobody else of this node gets at the scope either.
 */
const waitMsMax = 2_600

/**
 * Voters begin a configuration one after the other, within a few ms. Who was there too early looks again after this, doubled a
 * few times, before it takes them for out of reach: nobody is in its way, so that a round trip is no measure.
 */
const earlyMs = 4
const earlyTries = 3

/**
 * Those who took a first value are given as much time again for the rest, and this at least: a sync that stands in line. More
 * would be lost where a voter has just died; less, where one is merely a little slower than the others.
 */
const nearlyMsMin = 4

/**
 * Tries of one operation, each a round of its own under a fresh ballot and fresh nonces, so that nothing said to one try
 * can count for another. Between tries a wait uniform in [0, base·2^k]: two who duel fall out of step quickly.
 */
export class Tries<Answer> {
  readonly #context: Context
  readonly #init: TriesInit<Answer>
  #round: Round<Answer> | undefined
  /** A round belongs to the configuration it was begun in, to its end, even if the node learns of the next meanwhile. */
  #config: ConfigRecord
  #asked: Asked | undefined
  #timer: Appointment | undefined
  /** Runs the next try as soon as the voters have changed, if this one was refused for that. */
  #mover: Appointment | undefined
  #count = 0
  /** In this configuration: those before say nothing about who else is at work now. */
  #countHere = 0
  #begunMs = 0
  #unknown = false
  #over = false

  constructor(context: Context, init: TriesInit<Answer>) {
    this.#context = context
    this.#config = context.config
    this.#init = init
  }

  begin(): void {
    this.#try()
  }

  /** Gives up. What was proposed may still be chosen. */
  cancel(): void {
    if (this.#over) return
    this.#fail('cancelled')
  }

  #try(): void {
    const context = this.#context
    const { scope, change, evict, clear, wantsNext } = this.#init
    this.#stop()
    this.#count++
    this.#countHere = this.#config === context.config ? this.#countHere + 1 : 1
    this.#config = context.config
    const plain = evict === undefined && clear === undefined
    const promised = plain && this.#count === 1 ? context.takeNextPromise(scope) : undefined
    const ballot = promised?.ballot ?? context.nextBallot()
    const opens = plain && this.#count === 1 && promised === undefined && this.#init.opens === true && context.doAllAnswer()
    this.#begunMs = context.now.hrtimeMs
    const round = new Round<Answer>({
      config: this.#config, scope, ballot, change,
      ...(evict === undefined ? {} : { evict }),
      ...(clear === undefined ? {} : { clear }),
      ...(wantsNext ? { next: context.nextBallot() } : {}),
      ...(promised === undefined ? {} : { promised }),
      ...(opens ? { open: { floor: context.floor } } : {}),
    })
    this.#round = round
    this.#timer = context.after(context.timing.tryMs, () => {
      this.#again('timeout')
    })
    this.#ask(round, round.begin())
  }

  #ask(round: Round<Answer>, body: ReturnType<Round<Answer>['begin']>): void {
    this.#asked?.cancel()
    this.#asked = this.#context.ask(this.#config.members, body, (voter, reply) => {
      if (reply.kind === 'promise') this.#context.sawFloor(reply.floor)
      if (this.#round === round) this.#step(round, round.receive(voter, reply))
    }, this.#config.number)
  }

  #step(round: Round<Answer>, step: RoundStep<Answer>): void {
    if (step.kind === 'wait') return
    if (step.kind === 'doubt') {
      // A voter that is down must not cost every duel a whole try.
      this.#timer?.cancel()
      this.#timer = this.#context.after(4 * this.#context.timing.backoffMs, () => {
        this.#again('timeout')
      })
      return
    }
    if (step.kind === 'nearly') {
      this.#timer?.cancel()
      const waitMs = Math.max(nearlyMsMin, this.#context.now.hrtimeMs - this.#begunMs)
      this.#timer = this.#context.after(waitMs, () => {
        this.#timer = this.#context.after(this.#context.timing.tryMs, () => {
          this.#again('timeout')
        })
        this.#step(round, round.goOn())
      })
      return
    }
    if (step.kind === 'ask') {
      this.#ask(round, step.body)
      return
    }
    if (step.kind === 'lost') {
      if (step.why.code === 'promised') this.#context.sawBallot(step.why.ballot)
      this.#again(step.why.code)
      return
    }
    if (step.next !== undefined) this.#context.putNextPromise(this.#init.scope, step.next)
    this.#stop()
    this.#over = true
    this.#init.ended({ kind: 'chosen', accepted: step.accepted, answer: step.answer, changed: step.changed })
  }

  #again(why: Refusal['code'] | 'timeout'): void {
    if (this.#round?.proposed === true) this.#unknown = true
    this.#stop()
    if (this.#count >= this.#init.triesMax || why === 'superseded' || why === 'cloned') {
      this.#fail(why)
      return
    }
    const { random, timing } = this.#context
    const tries = Math.min(this.#countHere, doublingsMax)
    const longestMs = why === 'config' && this.#countHere <= earlyTries ? earlyMs * 2 ** (tries - 1) : Math.min(waitMsMax, timing.backoffMs * 2 ** tries)
    // At once where the voters have changed meanwhile.
    const waitMs = this.#context.config === this.#config ? random.float() * longestMs : 0
    this.#timer = this.#context.after(waitMs, () => {
      this.#try()
    })
    // A pause of the voters is over when there are new ones, and not some doublings later.
    if (why === 'sealed' || why === 'config') this.#mover = this.#context.onceReconfigured(() => { this.#try() })
  }

  #fail(why: Refusal['code'] | 'timeout' | 'cancelled'): void {
    if (this.#round?.proposed === true) this.#unknown = true
    this.#stop()
    this.#over = true
    this.#init.ended({ kind: 'failed', why, unknown: this.#unknown })
  }

  #stop(): void {
    this.#asked?.cancel()
    this.#asked = undefined
    this.#timer?.cancel()
    this.#timer = undefined
    this.#mover?.cancel()
    this.#mover = undefined
    this.#round = undefined
  }
}
