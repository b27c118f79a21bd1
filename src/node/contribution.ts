import { readFileSync, existsSync } from 'node:fs'
import type { Log } from '../base/index.js'
import { CommonError, messageOf } from '../base/index.js'
import type { QuotaChange } from '../client/index.js'
import { replicationDefaults } from '../replication/index.js'
import type { Replication, ReplicationSettings } from '../replication/index.js'
import type { QuotaSettings } from '../storage-policy/index.js'
import { factorDefaults, placementDefaults, placementStrategies, rebalanceDefaults } from '../storage-policy/index.js'
import type { Store } from '../store/index.js'
import { aheadOfFile, configTemplate, editConfig } from './config/index.js'
import type { Config, LoadedConfig, SettingName } from './config/index.js'
import type { DiskSpace } from './disk.js'
import type { Home } from './home.js'
import { writePrivately } from './private-file.js'

const mebibyte = 2 ** 20
/** A sweep of everything costs milliseconds; ten seconds are soon enough unless the grace is about that long itself. */
const sweepMsMax = 10_000
const sweepMsMin = 500
const sweepsPerGrace = 8

/**
 * What the store keeps free below its limit, for LevelDB to move things: a write buffer of a 32nd of the limit (4…32 MiB)
 * four times over (buffered, written out; moved, written out), and what the index may take while it is compacted. Space is
 * promised to others only beyond that, or the store would refuse in the middle what had been admitted.
 */
export function headroomBytesOf(limitBytes: number): number {
  const buffer = Math.min(32 * mebibyte, Math.max(4 * mebibyte, Math.floor(limitBytes / 32)))
  return Math.min(limitBytes, 4 * buffer + 12 * mebibyte)
}

/** Looked for this often, so that an idle node does next to nothing; a shorter time to keep is looked at as often as it is long. */
const garbageIntervalMsMax = 10_000
const garbageIntervalMsMin = 500

/** When what no file needs goes, in the catalog's words. */
export function garbageTimes(config: Config): { garbageDelayMs: number; garbageIntervalMs: number } {
  const garbageDelayMs = config['storage.keep_removed']
  return { garbageDelayMs, garbageIntervalMs: Math.max(garbageIntervalMsMin, Math.min(garbageIntervalMsMax, garbageDelayMs / 2)) }
}

/** What the settings say, in the words of the rooms that act on it. */
export function replicationSettings(config: Config): Partial<ReplicationSettings> & Pick<ReplicationSettings, 'placement'> {
  const graceMs = config['storage.replication.grace']
  const { capacityWeight, diversityWeight, reliabilityWeight } =
    config['storage.placement.strategy'] === 'random'
      ? placementStrategies.random
      : {
          capacityWeight: config['storage.placement.capacity_weight'],
          diversityWeight: config['storage.placement.diversity_weight'],
          reliabilityWeight: config['storage.placement.reliability_weight'],
        }
  return {
    quota: quotaOf(config),
    factors: {
      ...factorDefaults,
      defaultFactor: config['storage.replication.default_factor'],
      highPriorityFactor: config['storage.replication.high_priority_factor'],
      minFactor: config['storage.replication.min_factor'],
    },
    placement: { ...placementDefaults, capacityWeight, diversityWeight, reliabilityWeight },
    // Twice the grace before a surplus goes: with a grace of a day that is the two nights that `rebalanceDefaults` explains.
    rebalance: { ...rebalanceDefaults, graceMs, trimAfterMs: Math.min(rebalanceDefaults.trimAfterMs, 2 * graceMs) },
    evictionStrategy: config['storage.eviction_strategy'],
    autoEvict: config['storage.auto_evict'],
    removedAfterMs: Math.min(replicationDefaults.removedAfterMs, config['storage.keep_removed']),
    sweepIntervalMs: Math.max(sweepMsMin, Math.min(sweepMsMax, graceMs / sweepsPerGrace)),
    backgroundBytesPerSecond: config['storage.replication.background_rate'],
    balanceIntervalMs: config['storage.eviction.rebalance_interval'],
  }
}

function quotaOf(config: Config): QuotaSettings {
  const maxBytes = config['storage.max_storage']
  return {
    maxBytes,
    reservedBytes: config['storage.reserved'],
    shareExcess: config['storage.enabled'] && config['storage.share_excess'],
    minFreeDiskBytes: config['storage.min_free_space'],
    headroomBytes: headroomBytesOf(maxBytes),
  }
}

/** Field of a change → its setting. */
const settingOfField = {
  maxBytes: 'storage.max_storage',
  reservedBytes: 'storage.reserved',
  minFreeDiskBytes: 'storage.min_free_space',
  shareExcess: 'storage.share_excess',
} as const satisfies Record<keyof QuotaChange, SettingName>

/** How much this node gives, now; and the one place that changes it while it runs: the ledger, the store, the disk's guard, and the file. */
export class Contribution {
  readonly #components: { replication: Replication; store: Store; disk: DiskSpace; log: Log }
  readonly #home: Home
  /** What `writeBufferBytes` of the store was made from: it stays until the next start. */
  readonly #startBytes: number
  readonly #origins: LoadedConfig['origins']
  #quota: QuotaSettings

  constructor(components: { replication: Replication; store: Store; disk: DiskSpace; log: Log }, init: { home: Home; config: Config; origins: LoadedConfig['origins'] }) {
    this.#components = components
    this.#home = init.home
    this.#origins = init.origins
    this.#startBytes = init.config['storage.max_storage']
    this.#quota = quotaOf(init.config)
  }

  get quota(): QuotaSettings {
    return this.#quota
  }

  /**
   * In force when it returns; and written down. `overriddenBy`: flags and variables of this start that come before what
   * was written, if the next start has them too. Throws BAD_INPUT, and then nothing has changed.
   */
  set(change: QuotaChange): { persisted: boolean; overriddenBy: string[] } {
    const { replication, store, disk, log } = this.#components
    const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as QuotaChange
    const merged = { ...this.#quota, ...given }
    const quota: QuotaSettings = { ...merged, headroomBytes: Math.min(merged.maxBytes, headroomBytesOf(Math.max(this.#startBytes, merged.maxBytes))) }
    if (quota.reservedBytes > quota.maxBytes) {
      throw new CommonError('BAD_INPUT', 'more is reserved than the node may use in all', { reservedBytes: quota.reservedBytes, maxBytes: quota.maxBytes })
    }
    replication.configure({ quota })
    this.#quota = quota
    // The store goes down to the new limit at once; what is above it already is let go of, politely, by replication.
    store.limit(quota.maxBytes)
    disk.leave(quota.minFreeDiskBytes)
    const overriddenBy = Object.keys(given).flatMap((field) => aheadOfFile(settingOfField[field as keyof QuotaChange], this.#origins) ?? [])
    try {
      this.#persist(given)
      return { persisted: true, overriddenBy }
    } catch (error) {
      log.warn('the new quota is in force, but could not be written to the settings', { error: messageOf(error) })
      return { persisted: false, overriddenBy }
    }
  }

  #persist(change: QuotaChange): void {
    const { configFile } = this.#home
    let text = existsSync(configFile) ? readFileSync(configFile, 'utf8') : configTemplate()
    for (const [field, value] of Object.entries(change)) text = editConfig(text, configFile, settingOfField[field as keyof QuotaChange], value)
    writePrivately(configFile, text)
  }
}
