/**
 * Storage policy: what a node may take, where copies go, what is let go of when space is short, and what is copied when
 * nodes come and go. All of it pure: a snapshot goes in, a plan with reasons comes out, and somebody else (the room
 * `replication`) carries it out. Nothing here reads a clock, a disk or the network, so a year of a thousand nodes runs
 * through this very code in a test.
 *
 *     const mesh = new MeshView(nodes)
 *     const { chosen, warnings } = place({ cid, bytes, wanted: 3, owner, ownerMustHold: false, holders: [] }, mesh, placementDefaults)
 *     const plan = planRebalance(self, blobs, mesh, { placement, rebalance, factors }, nowMs)
 *
 * README.md says how the parts hang together and what was measured.
 */
export * from './eviction-confirm.js'
export * from './eviction.js'
export * from './hashing.js'
export * from './mesh-view.js'
export { explainPlacement, place } from './placement.js'
export type { NodeScore, Placement, PlacementExplanation, PlacementRequest } from './placement.js'
export * from './priorities.js'
export * from './quota.js'
export { planDrain, planRebalance, planRelief, standingOf, takesMove, victimOf } from './rebalance.js'
export type { RebalancePlan, RebalancePolicy, Standing } from './rebalance.js'
export * from './settings.js'
export { spreadOver } from './spread.js'
export type { SpreadFit, SpreadRoom } from './spread.js'
export { storageCost } from './storage-cost.js'
export * from './types.js'
