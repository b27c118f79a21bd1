import { codeOf, messageOf } from '../base/index.js'
import { ConsensusError } from '../consensus/index.js'
import { LeaseError } from './types.js'

/** A year: longer is a typing error, or should be no lease. */
const ttlMsMax = 365 * 86_400_000
const waitMsMax = 86_400_000
export const scopeBytesMax = 1024
export const agentBytesMax = 256

/** Registers that are not leases of agents, by the beginning of their names. */
export const reservedScopes: Readonly<Record<string, string>> = {
  'mesh:': 'the mesh\'s own settings', 'volume:': 'volumes', 'segment:': 'segments of volumes',
}

export function isReserved(scope: string): boolean {
  return Object.keys(reservedScopes).some((prefix) => scope.startsWith(prefix))
}

export function checkScope(scope: string): void {
  const size = Buffer.byteLength(scope)
  if (size === 0 || size > scopeBytesMax) throw new LeaseError('BAD_INPUT', `a scope has 1 to ${String(scopeBytesMax)} bytes, and this has ${String(size)}`, { bytes: size })
  // A lone surrogate has no UTF-8: two different scopes would be one on the wire.
  if (Buffer.from(scope).toString() !== scope) throw new LeaseError('BAD_INPUT', 'a scope is Unicode text, and this has half a character in it', { bytes: size })
  for (const [prefix, whose] of Object.entries(reservedScopes)) {
    if (scope.startsWith(prefix)) throw new LeaseError('BAD_INPUT', `scopes that begin with ${prefix} are kept for ${whose}: choose another name`, { scope, prefix })
  }
}

export function checkAgent(agent: string): void {
  const size = Buffer.byteLength(agent)
  if (size === 0 || size > agentBytesMax) throw new LeaseError('BAD_INPUT', `an agent's name has 1 to ${String(agentBytesMax)} bytes`, { bytes: size })
}

export function checkTtl(ttlMs: number): void {
  if (!(ttlMs >= 1 && ttlMs <= ttlMsMax)) throw new LeaseError('BAD_INPUT', 'a TTL is 1 ms to 365 days', { ttlMs: Number.isFinite(ttlMs) ? ttlMs : String(ttlMs) })
}

export function checkAcquire(scope: string, options: { agent: string; ttlMs: number; maxRenewals: number; waitMs: number; priority: number }): void {
  checkScope(scope)
  checkAgent(options.agent)
  checkTtl(options.ttlMs)
  if (!Number.isInteger(options.maxRenewals) || options.maxRenewals < -1) throw new LeaseError('BAD_INPUT', 'renewals are -1 (unlimited), 0 or more', { maxRenewals: options.maxRenewals })
  if (!(options.waitMs >= 0 && options.waitMs <= waitMsMax)) throw new LeaseError('BAD_INPUT', 'a wait is 0 to 24 hours', { waitMs: options.waitMs })
  if (!Number.isSafeInteger(options.priority)) throw new LeaseError('BAD_INPUT', 'a priority is a whole number', { priority: options.priority })
}

/** Whatever went wrong below, as this room says it. */
export function asLeaseError(error: unknown, scope: string): LeaseError {
  if (error instanceof LeaseError) return error
  const facts = error instanceof ConsensusError ? error.facts : { scope }
  switch (codeOf(error)) {
    case 'HELD':
    case 'HOLDER_ALIVE':
    case 'NOT_HOLDER':
      return new LeaseError('HELD', messageOf(error), facts, { cause: error })
    case 'HAND_OFF_REFUSED': return new LeaseError('REFUSED', messageOf(error), facts, { cause: error })
    case 'ABORTED':
    case 'ABORT_ERR':
      return new LeaseError('CANCELLED', 'the wait was interrupted', facts, { cause: error })
    case 'CANCELLED': return new LeaseError('TIMED_OUT', `${scope} was not to be had in time`, facts, { cause: error })
    case 'BAD_INPUT': return new LeaseError('BAD_INPUT', messageOf(error), facts, { cause: error })
    default: return new LeaseError((error as { name?: string } | undefined)?.name === 'AbortError' ? 'CANCELLED' : 'UNAVAILABLE', messageOf(error), facts, { cause: error })
  }
}
