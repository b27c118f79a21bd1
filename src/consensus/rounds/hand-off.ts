import type { ChangeFunction } from '../round.js'
import type { SessionId } from '../types.js'
import { sameSession } from '../types.js'
import type { Value } from '../value.js'
import { isHeldBy } from '../value.js'

/**
 * Round 5, hand-off: the holder itself proposes its successor, under the next token. By then it has stopped and marked
 * its own token as relinquished. It never goes back to it: if the outcome is unknown, its delayed accept may still land
 * an hour later, so not even a majority that shows the old value proves anything. To hold the scope again it must
 * acquire it, at a higher ballot, which takes a new token.
 */
export interface HandOffInit {
  readonly session: SessionId
  readonly token: number
  readonly to: SessionId
  readonly op: string
  readonly payload: Uint8Array
}

export type HandOffAnswer = { readonly kind: 'handed'; readonly value: Value } | { readonly kind: 'gone'; readonly value: Value | undefined }

export function handOff(init: HandOffInit): ChangeFunction<HandOffAnswer> {
  return ({ value, token }) => {
    if (isHeldBy(value, init.session, init.token)) {
      const next: Value = { holder: init.to, token: token + 1, op: init.op, payload: init.payload }
      return { kind: 'set', value: next, answer: { kind: 'handed', value: next } }
    }
    const mine = value !== undefined && value.holder !== null && value.op === init.op && sameSession(value.holder, init.to)
    return { kind: 'keep', answer: mine ? { kind: 'handed', value } : { kind: 'gone', value } }
  }
}
