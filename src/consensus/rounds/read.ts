import type { Asked, Context } from '../context.js'
import { majorityOf } from '../quorum.js'
import type { Appointment } from '../agenda.js'
import type { TriesEnd } from '../tries.js'
import { Tries } from '../tries.js'
import type { Accepted } from '../value.js'
import { sameAccepted, showsToProve } from '../value.js'

/**
 * Round 9, read. If a majority shows the identical (ballot, value), that value is chosen and no later one was chosen
 * before the question was asked: a later one would have left its mark on a majority, and any two majorities meet. One
 * round trip. (A scope's very first value, accepted without a prepare, must be shown by all: see `Round`.) Whatever else the voters show may or may not become chosen, so the value is then committed unchanged under
 * a ballot of this reader's own: from then on nobody can be told of an older one.
 */
export type ReadEnd = { readonly kind: 'read'; readonly accepted: Accepted | undefined } | Extract<TriesEnd<never>, { kind: 'failed' }>

export class ReadRound {
  readonly #context: Context
  readonly #scope: string
  readonly #ended: (end: ReadEnd) => void
  readonly #heard: (Accepted | undefined)[] = []
  #silent = 0
  #asked: Asked | undefined
  #timer: Appointment | undefined
  #tries: Tries<null> | undefined

  constructor(context: Context, init: { scope: string; ended: (end: ReadEnd) => void }) {
    this.#context = context
    this.#scope = init.scope
    this.#ended = init.ended
  }

  begin(): void {
    const { members } = this.#context.config
    const majority = majorityOf(members.length)
    this.#timer = this.#context.after(this.#context.timing.tryMs, () => {
      this.#commit()
    })
    this.#asked = this.#context.ask(members, { kind: 'read', scope: this.#scope }, (_voter, reply) => {
      if (reply.kind !== 'value') this.#silent++
      else {
        this.#heard.push(reply.accepted)
        const same = this.#heard.filter((other) => sameAccepted(other, reply.accepted)).length
        if (same >= showsToProve(reply.accepted, members.length)) {
          this.#stop()
          this.#ended({ kind: 'read', accepted: reply.accepted })
          return
        }
      }
      if (this.#heard.length + this.#silent === members.length) this.#commit()
      else if (this.#heard.length === majority) this.#hurry()
    })
  }

  cancel(): void {
    this.#stop()
    if (this.#tries === undefined) this.#ended({ kind: 'failed', why: 'cancelled', unknown: false })
    else this.#tries.cancel()
  }

  /** A majority differs: the others get a moment to settle it, since to commit costs two round trips and a duel. */
  #hurry(): void {
    this.#timer?.cancel()
    this.#timer = this.#context.after(4 * this.#context.timing.backoffMs, () => {
      this.#commit()
    })
  }

  #commit(): void {
    this.#stop()
    this.#tries = new Tries<null>(this.#context, {
      scope: this.#scope,
      change: () => ({ kind: 'keep', answer: null }),
      triesMax: 8,
      wantsNext: false,
      ended: (end) => {
        this.#ended(end.kind === 'chosen' ? { kind: 'read', accepted: end.accepted } : end)
      },
    })
    this.#tries.begin()
  }

  #stop(): void {
    this.#asked?.cancel()
    this.#timer?.cancel()
  }
}
