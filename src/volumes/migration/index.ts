/**
 * When the right to write a range moves, and where to. `decideMigration` is pure: heat, distances, time and settings in, a
 * decision with its reasons out. A governor keeps what its guards must remember, at the node that holds the ranges.
 *
 * @example
 * const governor = createGovernor({ heat, clock, log })
 * const decision = governor.decide({ volume, segment: 0, start: 100, blocks: 4, policy: 'adaptive', holder, asker, held, bytesToMove })
 * if (decision.type === 'move') governor.ended(question, decision, await handOff(decision.range, decision.to))
 */
import { Governor } from './governor.js'
import type { GovernorComponents } from './governor.js'
import { defaultMigrationSettings } from './settings.js'
import type { MigrationSettings } from './settings.js'
import type { MigrationGovernor } from './types.js'

export * from './types.js'
export { decideMigration } from './policy.js'
export { defaultMigrationSettings } from './settings.js'
export type { MigrationSettings, Step } from './settings.js'
export type { GovernorComponents } from './governor.js'

export function createGovernor(components: GovernorComponents, settings: Partial<MigrationSettings> = {}): MigrationGovernor {
  return new Governor(components, { ...defaultMigrationSettings, ...settings })
}
