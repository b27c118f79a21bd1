import { messageOf } from '../../base/index.js'
import { scopeBytesMax } from '../codec.js'
import type { OperationEnd } from '../operations.js'
import { ConsensusError } from '../types.js'
import type { Value } from '../value.js'

/** HELD, with the value that says so: whoever goes on from there need not read it again. */
export class HeldError extends ConsensusError {
  readonly value: Value

  constructor(scope: string, value: Value) {
    super('HELD', `${scope} is held`, { scope, ...holderOf(value) })
    this.value = value
  }
}

// How operations end, as errors with codes.
export function storeFailed(error: unknown): ConsensusError {
  return new ConsensusError('CLOSED', `this node's lease store failed: ${messageOf(error)}`, {}, { cause: error })
}

export function noSession(): ConsensusError {
  return new ConsensusError('NO_SESSION', 'this node has no session with a majority of voters')
}

export function notRunning(): ConsensusError {
  return new ConsensusError('CLOSED', 'this node\'s voter is not running')
}

export function checkScope(scope: string): void {
  const size = Buffer.byteLength(scope)
  if (size === 0 || size > scopeBytesMax) throw new ConsensusError('BAD_INPUT', `a scope has 1 to ${String(scopeBytesMax)} bytes`, { bytes: size })
}

export function granted(end: OperationEnd, scope: string): Value {
  if (end.kind !== 'granted') throw errorOf(end, scope)
  return end.value
}

export function errorOf(end: OperationEnd | { kind: 'failed'; why: string; unknown: boolean }, scope: string): ConsensusError {
  switch (end.kind) {
    case 'held': return new HeldError(scope, end.value)
    case 'alive': return new ConsensusError('HOLDER_ALIVE', `the holder of ${scope} is alive`, { scope, ...holderOf(end.value) })
    case 'gone': return new ConsensusError('NOT_HOLDER', `${scope} is not held as was meant`, { scope, ...holderOf(end.value) })
    case 'lapsed': return new ConsensusError('STALE_TOKEN', `the grant of ${scope} was taken back before it was used`, { scope, token: end.value.token })
    case 'refused': return new ConsensusError('HAND_OFF_REFUSED', `the holder of ${scope} keeps it: ${end.reason}`, { scope, reason: end.reason })
    case 'failed': {
      const code = end.why === 'no-session' ? 'NO_SESSION' : end.why === 'cancelled' ? 'CANCELLED' : end.why === 'promised' ? 'CONTENDED' : 'NO_QUORUM'
      return new ConsensusError(code, `${scope}: ${end.why}${end.unknown ? ', and it is not known whether it happened' : ''}`, { scope, why: end.why, unknown: end.unknown })
    }
    default: return new ConsensusError('NO_QUORUM', `${scope}: unexpected end ${end.kind}`, { scope })
  }
}

function holderOf(value: Value | undefined): { holder: string | null; token: number } {
  return { holder: value?.holder?.node ?? null, token: value?.token ?? 0 }
}
