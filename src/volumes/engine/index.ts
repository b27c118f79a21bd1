/**
 * The data path of volumes: writes are appended to this node's disk by whoever holds their blocks, streamed to replicas in
 * the background, and made durable everywhere by a flush; who holds what, and which replicas count, is in one consensus
 * register per segment. `holder.ts` is the path of a write, `takeover.ts` how blocks come to be held, `hand-off.ts` how
 * they move, `replica.ts` what replicas do, `access.ts` what clients of this node see.
 *
 * ```ts
 * const engine = createEngine({ disk, consensus, rpc, bulk, connections, heat, policy, places, settingsOf, regionOf, clock, random, log })
 * void engine.run(signal)
 * const device = await engine.open({ id, sizeBytes, durability: 'flush', replicas: 2, policy: 'adaptive' }, {})
 * await device.write(0, bytes)
 * await device.flush()
 * ```
 */
import { Engine } from './engine.js'
import type { EngineComponents, EngineInit } from './types.js'

export { engineDefaults } from './types.js'
export type { EngineComponents, EngineInit, MigrationAnswer, MigrationPolicy, Place, SegmentConsensus, SegmentPlaces, VolumeAccess } from './types.js'
export type { Engine } from './engine.js'

/** Registers its protocols at once; nothing else starts before `run`. */
export function createEngine(components: EngineComponents, init: Partial<EngineInit> = {}): Engine {
  return new Engine(components, init)
}
