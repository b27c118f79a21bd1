import type { ChangeFunction } from '../round.js'
import type { SessionId } from '../types.js'
import { sameSession } from '../types.js'
import type { Value } from '../value.js'

/**
 * Round 3, acquire. A free scope is taken with the next token. One's own is taken *again*, with the next token too:
 * whoever asks does not act under it now, and may have given the old token up (released, handed off, acknowledged a
 * revocation) in a way that others rely on. The one exception is the retry of an operation whose caller never had an
 * answer: there the value carries this operation's id, nobody has acted under its token, and a second token would only
 * look like a second grant. Unless this node has promised in between not to act under that very token.
 */
export interface AcquireInit {
  readonly session: SessionId
  readonly op: string
  /** A function is pure and is given the value that the new one replaces: what it leaves behind may concern the next holder. */
  readonly payload: Uint8Array | ((before: Value | undefined) => Uint8Array)
  /** The highest token of the scope that this node gave up or acknowledged a revocation for. Asked when the value is read. */
  readonly relinquished: () => number
}

export type AcquireAnswer = { readonly kind: 'mine'; readonly value: Value } | { readonly kind: 'held'; readonly value: Value }

export function acquire(init: AcquireInit): ChangeFunction<AcquireAnswer> {
  return ({ value, token }) => {
    const { session, op, payload } = init
    const holder = value?.holder ?? null
    if (value !== undefined && holder !== null) {
      // A later start of this node is at work (or its clone): it knows better.
      const another = holder.node !== session.node || (holder.incarnation === session.incarnation && holder.epoch > session.epoch)
      if (another) return { kind: 'keep', answer: { kind: 'held', value } }
      const isRetry = value.op === op && sameSession(holder, session)
      if (isRetry && value.token > init.relinquished()) return { kind: 'keep', answer: { kind: 'mine', value } }
    }
    const taken: Value = { holder: session, token: token + 1, op, payload: typeof payload === 'function' ? payload(value) : payload }
    return { kind: 'set', value: taken, answer: { kind: 'mine', value: taken } }
  }
}
