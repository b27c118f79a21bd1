import type { ChangeFunction } from '../round.js'
import type { SessionId } from '../types.js'
import type { Value } from '../value.js'
import { isHeldBy, noBytes } from '../value.js'

/**
 * Round 8, release: the scope is free, the token stays, so that the next holder's is higher. The node has stopped and
 * marked the token before it proposes, for the same reason as in a hand-off. Also what a node does with a value that
 * names it and that it does not hold: the orphan of somebody's failed round, adopted by another's.
 */
export interface ReleaseInit {
  readonly session: SessionId
  readonly token: number
  readonly op: string
  /** Nobody here knows how it was held, so what its payload says must reach whoever acquires it next. */
  readonly isOrphan?: boolean
}

export type ReleaseAnswer = { readonly kind: 'released'; readonly value: Value } | { readonly kind: 'gone'; readonly value: Value | undefined }

export function release(init: ReleaseInit): ChangeFunction<ReleaseAnswer> {
  return ({ value }) => {
    if (value !== undefined && isHeldBy(value, init.session, init.token)) {
      const free: Value = { holder: null, token: init.token, op: init.op, payload: init.isOrphan === true ? value.payload : noBytes }
      return { kind: 'set', value: free, answer: { kind: 'released', value: free } }
    }
    if (value !== undefined && value.holder === null && value.op === init.op) return { kind: 'keep', answer: { kind: 'released', value } }
    return { kind: 'keep', answer: { kind: 'gone', value } }
  }
}
