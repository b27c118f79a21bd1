import type { Appointment } from '../agenda.js'
import type { Asked, Context } from '../context.js'
import type { ReplyBody, RequestBody } from '../messages.js'
import { majorityOf } from '../quorum.js'

/**
 * Asks all voters one question and counts the yeses: what rounds 6 and 7 begin with (is that session over? is the
 * revocation recorded? is it clear?). The answer only tells whether a round is worth trying; what makes the round right
 * is judged again, by each voter, in the batch of its promise.
 */
export class Poll {
  readonly #context: Context
  #asked: Asked | undefined
  #timer: Appointment | undefined
  #over = false

  constructor(
    context: Context,
    init: { body: RequestBody; isYes: (reply: ReplyBody) => boolean; ended: (majority: boolean, answered: boolean) => void },
  ) {
    this.#context = context
    const { members } = context.config
    const majority = majorityOf(members.length)
    let yes = 0
    let no = 0
    const end = (result: boolean, answered: boolean): void => {
      if (this.#over) return
      this.cancel()
      init.ended(result, answered)
    }
    this.#timer = this.#context.after(context.timing.tryMs, () => {
      end(false, yes + no >= majority)
    })
    this.#asked = context.ask(members, init.body, (_voter, reply) => {
      if (init.isYes(reply)) yes++
      else no++
      if (yes >= majority) end(true, true)
      else if (no > members.length - majority) end(false, true)
    })
  }

  cancel(): void {
    this.#over = true
    this.#asked?.cancel()
    this.#timer?.cancel()
  }
}
