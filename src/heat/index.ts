/**
 * Heat: who writes and reads which blocks of which volume, from which region, how often and how slowly, within the last
 * minutes; and how far nodes are from each other. It is what lets the right to write follow the writer. Every node keeps
 * what passes through it, tells the others in short, and forgets.
 *
 * @example
 * const heat = createHeat({ gossip, connections, clock, random, log, regionOf }, { segmentBlocks: 16384 })
 * heat.record({ volume, segment: 0, start: 100, blocks: 4, kind: 'write', place: { node, region: 'sydney' }, latencyMs: 203, remote: true })
 * heat.at(volume, 0, 100) // → { start: 100, blocks: 4, writes: 1, places: [{ place: { region: 'sydney', … }, slowWrites: 1, … }], … }
 */
import { MeshHeat } from './heat.js'
import type { HeatComponents } from './heat.js'
import { defaultHeatSettings } from './settings.js'
import type { HeatSettings } from './settings.js'
import type { Heat } from './types.js'

export * from './types.js'
export type { HeatComponents } from './heat.js'
export { defaultHeatSettings } from './settings.js'
export type { HeatSettings } from './settings.js'

export function createHeat(components: HeatComponents, init: { segmentBlocks: number; settings?: Partial<HeatSettings> }): Heat {
  return new MeshHeat({ ...components, log: components.log.child('heat') }, { segmentBlocks: init.segmentBlocks, settings: { ...defaultHeatSettings, ...init.settings } })
}
