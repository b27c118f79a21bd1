import type { VolumeHeat } from '../client/index.js'
import type { HeatEntry, HeatSettings } from '../heat/index.js'
import { defaultHeatSettings } from '../heat/index.js'
import { segmentBlocks } from '../volumes/index.js'
import type { MigrationNote, MigrationSettings, Step } from '../volumes/index.js'
import { readStep } from './config/index.js'
import type { Config } from './config/index.js'

/** From this factor on, the basic policy has a setting of its own. */
const basicFactor = 10

export function heatSettings(config: Config): HeatSettings {
  return { ...defaultHeatSettings, windowMs: config['lease_optimization.history_window_secs'] * 1000, decayMs: Math.max(1, config['volumes.migration.decay']) }
}

/** Steepest first, as the policy wants them, in whatever order they were written. */
export function migrationSettings(config: Config): MigrationSettings {
  return {
    adaptiveSteps: stepsOf(config['volumes.migration.adaptive_slow_writes']),
    basicSteps: [{ factor: basicFactor, slowWrites: config['migration.slow_write_threshold'] }, ...stepsOf(config['volumes.migration.basic_slow_writes']).filter(({ factor }) => factor < basicFactor)],
    minLatencyFactor: config['migration.min_latency_factor'],
    localLatencyMsMin: config['volumes.migration.local_latency_ms'],
    minImprovementRatio: config['lease_optimization.min_improvement_ratio'],
    ownLatencyMsMin: config['volumes.migration.own_latency_ms'],
    thirdPlaceAdvantage: config['volumes.migration.third_place_advantage'],
    cooldownMs: config['lease_optimization.steal_cooldown_ms'],
    hysteresis: config['volumes.migration.hysteresis'],
    hysteresisMs: config['volumes.migration.hysteresis_window'],
    evidence: config['volumes.migration.evidence'],
    samplesMin: config['volumes.migration.samples_min'],
    maxConsecutiveOwnership: config['fairness.max_consecutive_ownership'],
    starvationTimeoutMs: config['fairness.starvation_timeout_ms'],
    maxConcurrentMigrations: config['migration.max_concurrent_migrations'],
    bytesPerSecond: Math.max(1, config['volumes.migration.move_rate']),
    windowMs: config['lease_optimization.history_window_secs'] * 1000,
  }
}

/** Each range with the newest decision about any of its blocks. `notes`: newest first, as a governor tells them. */
export function withDecisions(entries: readonly HeatEntry[], notes: readonly MigrationNote[]): VolumeHeat[] {
  return entries.map((entry) => {
    const note = notes.find(({ segment, start, blocks }) => segment * segmentBlocks + start < entry.start + entry.blocks && entry.start < segment * segmentBlocks + start + blocks)
    const shown = { ...entry, regions: { ...entry.regions } }
    if (note === undefined) return { ...shown, decision: null }
    const { type, explanation, figures } = note.decision
    return {
      ...shown,
      decision: { at: note.at, type, reason: note.decision.type === 'stay' ? note.decision.reason : null, to: note.decision.type === 'move' ? note.decision.to.region : null, explanation, figures: { ...figures } },
    }
  })
}

function stepsOf(items: readonly string[]): Step[] {
  return items.flatMap((item) => readStep(item) ?? []).sort((a, b) => b.factor - a.factor)
}
