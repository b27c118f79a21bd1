/**
 * Leases with a TTL for agents: who of this node's programs and people has which scope, for how long, who is next, and
 * what happened. Which node has a scope is the consensus's business.
 *
 * ```ts
 * const leases = createLeases({ consensus, store: store.meta('lease-history'), rpc, connections, hlc, clock, random, log }, { self, readings })
 * const lease = await leases.acquire('file:/a', { agent: 'backup', ttlMs: 60_000, waitMs: 30_000 })
 * leases.on('ended', ({ leaseId }) => …)   // stop: it was lost
 * ```
 */
import { LeaseService } from './service.js'
import type { LeaseComponents, LeaseServiceInit } from './service.js'

export * from './types.js'
export { LeaseService } from './service.js'
export type { LeaseComponents, LeaseServiceInit } from './service.js'
export type { LeaseEvents } from './book.js'
export { isReserved, reservedScopes } from './checks.js'
export { createGovernor, governorDefaults } from './governor.js'
export type { GovernorInit } from './governor.js'
export type { HistoryQuery } from './history.js'
export type { Settings } from './settings.js'

export function createLeases(components: LeaseComponents, init: LeaseServiceInit): LeaseService {
  return new LeaseService(components, init)
}
