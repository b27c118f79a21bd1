import { backoffMs, messageOf } from '../../base/index.js'
import type { NodeId } from '../../base/index.js'
import type { SegmentId } from '../replica-types.js'
import type { Session } from '../segment.js'
import { DeviceError } from '../types.js'
import { Outcome } from '../wire/volume.js'
import type * as wire from '../wire/volume.js'
import * as codec from './codec.js'
import type { EngineContext } from './context.js'
import type { Numbering } from './pending.js'
import type { Takeover } from './takeover.js'
import { ask, verbs } from './verbs.js'

/** Who is taken for the holder of a range, and under which token. */
interface Asked {
  readonly node: NodeId
  readonly session: Session
  readonly token: number
}

/** Longer than a hand-off freezes; a holder that takes longer is asked again, which does no harm. */
const accessDeadlineMs = 8_000
const retry = { minMs: 20, maxMs: 1_000 }

/** Requests of one segment to whoever holds a range of it on another node, and what follows where there is no answer. */
export class Asking {
  readonly #context: EngineContext
  readonly #takeover: Takeover
  readonly #id: SegmentId

  constructor(context: EngineContext, takeover: Takeover, id: SegmentId) {
    this.#context = context
    this.#takeover = takeover
    this.#id = id
  }

  /** Undefined: no answer, or not the holder; by then the register was looked at, and what a dead node held taken over. */
  async ask(place: Asked, operations: wire.Operation[], deadline: AbortSignal, numbering: Numbering): Promise<wire.AccessAnswer | undefined> {
    const { components, registers } = this.#context
    // News of a hand-off may overtake the holder's answer: then there is nobody to suspect, which would take two rounds.
    const before = registers.view(this.#id)?.version
    try {
      const answer = await ask(components.rpc, place.node, verbs.access, { segment: codec.encodeId(this.#id), client: codec.encodeClient(numbering.client), operations }, { deadlineMs: accessDeadlineMs, signal: deadline })
      const moved = answer.results.some((result) => result.outcome === Outcome.MOVED)
      if (!moved) return answer
      const theirs = answer.value === undefined ? undefined : codec.fromWire(answer.value)
      if (theirs !== undefined) registers.absorb(this.#id, theirs)
      const view = registers.view(this.#id)
      // It need not have heard what it was given: who handed it over may have died before the word, or the word was lost.
      if (view !== undefined && (theirs === undefined || theirs.version < view.version)) this.#context.tell(this.#id, view, [place.node])
      if (registers.view(this.#id)?.version === before) await this.#suspect(place, deadline)
      return answer
    } catch (error) {
      if (deadline.aborted) throw error
      components.log.debug('a holder did not answer', { node: place.node, error: messageOf(error) })
      await this.#suspect(place, deadline)
      return undefined
    }
  }

  async #suspect(place: Asked, deadline: AbortSignal): Promise<void> {
    await this.#takeover.suspect(place.session, place.token, deadline).catch((error: unknown) => {
      this.#context.components.log.debug('what a silent node held could not be taken yet', { error: messageOf(error) })
    })
  }

  async pause(deadline: AbortSignal, attempt: number): Promise<void> {
    const { clock, random } = this.#context.components
    await clock.sleep(1 + backoffMs(attempt, retry, random), deadline).catch(() => undefined)
    if (deadline.aborted) throw new DeviceError('IO', 'not done in time', { segment: this.#id.segment })
  }
}
