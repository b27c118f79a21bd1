import { checkPlacementSettings, checkQuotaSettings, checkRebalanceSettings, factorDefaults, placementDefaults, rebalanceDefaults } from '../storage-policy/index.js'
import type { ReplicationSettings } from './types.js'

export const replicationDefaults: ReplicationSettings = {
  quota: { maxBytes: 100e9, reservedBytes: 0, shareExcess: true, minFreeDiskBytes: 2 ** 30 },
  factors: factorDefaults,
  placement: placementDefaults,
  rebalance: rebalanceDefaults,
  evictionStrategy: 'hybrid',
  autoEvict: true,
  // Ten seconds: a sweep of 3,000 blobs takes milliseconds, and nodes that fell silent are noticed by it.
  sweepIntervalMs: 10_000,
  // A sweep takes 25 µs a blob, and collecting what it leaves behind half as much: that is a seventh of a percent of a core.
  sweepRestPerBlobMs: 25,
  // An hour: balance is worth little, and moving costs everybody's bandwidth.
  balanceIntervalMs: 3600_000,
  // 128 MiB/s: a gigabit line. It steps back for whoever works at this node, and whose line is narrower can say so.
  backgroundBytesPerSecond: 128 * 2 ** 20,
  // Small files are bound by round trips, not by bytes, so quite a few at once; each costs a queue entry.
  copiesMax: 24,
  storesMax: 16,
  // Long enough for an undo that races the removal through gossip, short enough that `rm` frees space while one watches.
  removedAfterMs: 10_000,
  // A day: the catalog of a node that was away is behind for minutes, not hours.
  orphanAfterMs: 24 * 3600_000,
  // One question of 64 KiB in five minutes: 288 a day, so that who has thrown away a tenth is caught within the hour.
  spotCheckIntervalMs: 5 * 60_000,
  // 300 ms a member: the whole mesh sends 3.3 messages a second however large it is, up to a thousand nodes.
  vitalsPerMemberMs: 300,
  vitalsMinMs: 10_000,
  vitalsMaxMs: 5 * 60_000,
}

/** Throws BAD_SETTING. */
export function checkSettings(settings: ReplicationSettings): void {
  checkQuotaSettings(settings.quota)
  checkPlacementSettings(settings.placement)
  checkRebalanceSettings(settings.rebalance)
}
