import type { Appointment } from '../agenda.js'
import type { Asked, Context } from '../context.js'
import { majorityOf } from '../quorum.js'
import { storeKey } from '../types.js'

/**
 * Round 1, start. A process that starts must not be taken for the one before it: not by voters that still hold promises
 * to it, nor by itself, reading its own old name in a register. So it takes an epoch above every one that a majority
 * knows of it, and above what its own disk says. The majority, because the disk may be a restored one; the disk, because
 * the majority may never have heard of an epoch that was chosen and not used. Two copies of one disk that start together
 * choose the same epoch; the voters bind it to whichever they hear first.
 */
export class StartRound {
  readonly #context: Context
  readonly #chosen: (epoch: number) => void
  readonly #own: number
  readonly #unanswered: () => void
  #asked: Asked | undefined
  #timer: Appointment | undefined

  constructor(context: Context, init: { ownEpoch: number; chosen: (epoch: number) => void; unanswered: () => void }) {
    this.#context = context
    this.#own = init.ownEpoch
    this.#chosen = init.chosen
    this.#unanswered = init.unanswered
  }

  begin(): void {
    const { members } = this.#context.config
    const heard = new Map<string, number>()
    this.#asked = this.#context.ask(members, { kind: 'epoch' }, (voter, reply) => {
      if (reply.kind !== 'epoch') return
      heard.set(storeKey(voter), reply.epoch)
      if (heard.size < majorityOf(members.length)) return
      this.cancel()
      this.#chosen(Math.max(this.#own, ...heard.values()) + 1)
    })
    this.#timer = this.#context.after(this.#context.timing.tryMs, () => {
      this.#asked?.cancel()
      this.#unanswered()
      this.begin()
    })
  }

  cancel(): void {
    this.#asked?.cancel()
    this.#timer?.cancel()
  }
}
