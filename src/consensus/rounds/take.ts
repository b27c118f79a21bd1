import type { ChangeFunction } from '../round.js'
import type { SessionId } from '../types.js'
import { sameSession } from '../types.js'
import type { Value } from '../value.js'
import { isHeldBy } from '../value.js'

/**
 * Rounds 6 and 7: taking from somebody who did not hand over. Both replace exactly (holder, incarnation, epoch, token),
 * and only if a majority said, in the batch of its promise, what makes it right: *dead*: the session is over and its
 * epoch will never be supported again; *revoked*: the holder has acknowledged that it stopped, or cannot be valid any
 * more and is kept from becoming so. The token alone would not do as a condition, nor the holder alone: between the look
 * and the round the holder may have released and acquired again.
 */
export interface TakeInit {
  readonly session: SessionId
  readonly from: SessionId
  readonly token: number
  readonly op: string
  readonly why: 'dead' | 'revoked' | 'unsafe'
  /** Null: the scope is freed (force-release) instead of taken. */
  readonly to: SessionId | null
}

export type TakeAnswer =
  | { readonly kind: 'taken'; readonly value: Value }
  /** Not dead, or not clear, at a majority. */
  | { readonly kind: 'not-yet'; readonly value: Value | undefined }
  | { readonly kind: 'gone'; readonly value: Value | undefined }

export function take(init: TakeInit): ChangeFunction<TakeAnswer> {
  return ({ value, token, evicted, clear }) => {
    const { to, op } = init
    if (value !== undefined && isHeldBy(value, init.from, init.token)) {
      const allowed = init.why === 'unsafe' || (init.why === 'dead' ? evicted : clear)
      if (!allowed) return { kind: 'keep', answer: { kind: 'not-yet', value } }
      const taken: Value = { holder: to, token: token + 1, op, payload: value.payload }
      return { kind: 'set', value: taken, answer: { kind: 'taken', value: taken } }
    }
    const mine = value !== undefined && value.op === op && (to === null ? value.holder === null : value.holder !== null && sameSession(value.holder, to))
    return { kind: 'keep', answer: mine ? { kind: 'taken', value } : { kind: 'gone', value } }
  }
}
