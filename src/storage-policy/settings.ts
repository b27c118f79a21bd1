import { PolicyError } from './types.js'

export interface PlacementSettings {
  readonly capacityWeight: number
  readonly diversityWeight: number
  readonly reliabilityWeight: number
  /** How many nodes are compared for one blob. Weights need not add up to 1: only their ratios count. */
  readonly poolSize: number
}

/** `weighted` is the published formula; `random` leaves everything to the blob's hash, weighted by quota alone. */
export const placementStrategies = {
  weighted: { capacityWeight: 0.4, diversityWeight: 0.3, reliabilityWeight: 0.3 },
  random: { capacityWeight: 0, diversityWeight: 0, reliabilityWeight: 0 },
} as const satisfies Record<string, Omit<PlacementSettings, 'poolSize'>>
export type PlacementStrategy = keyof typeof placementStrategies

export const placementDefaults: PlacementSettings = {
  ...placementStrategies.weighted,
  // 24: a mesh of up to 24 nodes is compared whole, and the exact search over 24 nodes and 5 copies is at most 42,504
  // sets. See `placement.ts` for why a thousand nodes are not all compared.
  poolSize: 24,
}

export interface RebalanceSettings {
  /** A node that has been silent for longer no longer counts. */
  readonly graceMs: number
  /** Silence after which a blob below its minimum is repaired without waiting for the grace. */
  readonly urgentAfterMs: number
  /** A surplus is trimmed when it has lasted this long without a break. */
  readonly trimAfterMs: number
  /** One plan's background bytes at most, so that repair leaves the network to people. Urgent repair is not counted. */
  readonly backgroundBytesMax: number
  /** One plan's actions at most. */
  readonly actionsMax: number
  /** Moves towards balance start when another node is emptier than this one by so much of its quota… */
  readonly imbalanceStart: number
  /** …and end when the difference is down to this. */
  readonly imbalanceStop: number
}

export const rebalanceDefaults: RebalanceSettings = {
  // A day: laptops sleep at night, and copying their share every evening only to trim it later helps nobody.
  graceMs: 24 * 3600_000,
  // A minute: a restart or an update takes less, and the chance that the other copy dies in that very minute is nil.
  urgentAfterMs: 60_000,
  // Two days: a laptop that sleeps every night must break the surplus at least once, or its blobs would be copied each
  // evening and trimmed each morning.
  trimAfterMs: 48 * 3600_000,
  // 4 GiB: four blobs of the largest size in one round.
  backgroundBytesMax: 4 * 2 ** 30,
  actionsMax: 256,
  // A tenth of the quota is about what one vitals message may be behind by; half of a third of it stops well before the
  // move would be worth undoing.
  imbalanceStart: 0.1,
  imbalanceStop: 0.03,
}

/** Refuses settings that would make a plan nonsense. `BAD_SETTING` names the first that is wrong. */
export function checkPlacementSettings(settings: PlacementSettings): void {
  for (const key of ['capacityWeight', 'diversityWeight', 'reliabilityWeight'] as const) {
    const value = settings[key]
    if (!Number.isFinite(value) || value < 0) throw new PolicyError('BAD_SETTING', `${key} must be a number of at least 0`, { key, value })
  }
  if (!Number.isSafeInteger(settings.poolSize) || settings.poolSize < 1) {
    throw new PolicyError('BAD_SETTING', 'poolSize must be a whole number of at least 1', { key: 'poolSize', value: settings.poolSize })
  }
}

export function checkRebalanceSettings(settings: RebalanceSettings): void {
  for (const [key, value] of Object.entries(settings) as [keyof RebalanceSettings, number][]) {
    if (!Number.isFinite(value) || value < 0) throw new PolicyError('BAD_SETTING', `${key} must be a number of at least 0`, { key, value })
  }
  if (settings.imbalanceStop >= settings.imbalanceStart) {
    throw new PolicyError('BAD_SETTING', 'imbalanceStop must be below imbalanceStart, or moves would never settle', {
      key: 'imbalanceStop',
    })
  }
}
