import type { Governor } from './types.js'

export interface GovernorInit {
  /** How long a scope stays after a move: moves cost everybody, and two who steal from each other would do nothing else. */
  readonly cooldownMs: number
  /** Whoever has asked for so long gets it, cooldown or not. */
  readonly starvationMs: number
  /** Where both sides count their accesses: how much better everybody must be off. */
  readonly improvementRatioMin: number
}

/** The settings' own defaults: a move costs seconds of work at worst, and nobody waits longer than a minute. */
export const governorDefaults: GovernorInit = { cooldownMs: 30_000, starvationMs: 60_000, improvementRatioMin: 1.5 }

/**
 * Whether a scope in use is given up to somebody who asks. Fairness goes before thrift: who has starved gets it. Then
 * the cooldown; then, if both sides know how they access it, only a move that makes up for itself.
 */
export function createGovernor(init: GovernorInit): Governor {
  return ({ heldForMs, waitedMs, theirs, ours }) => {
    if (waitedMs >= init.starvationMs) return { give: true }
    if (heldForMs < init.cooldownMs) {
      const leftMs = Math.min(init.cooldownMs - heldForMs, init.starvationMs - waitedMs)
      return { give: false, reason: `it is in use, and moved less than ${seconds(init.cooldownMs)} ago; ask again in ${seconds(leftMs)}` }
    }
    if (theirs !== undefined && ours !== undefined) {
      const gain = weight(theirs) / Math.max(1, weight(ours))
      if (gain < init.improvementRatioMin) return { give: false, reason: `it is in use, and nobody would be better off by ${String(init.improvementRatioMin)} times` }
    }
    return { give: true }
  }
}

/** What the accesses of one side cost it while the scope is elsewhere: their number, by how long a write takes. */
function weight({ reads, writes, latencyMs }: { reads: number; writes: number; latencyMs: number }): number {
  return (reads + writes) * Math.max(1, latencyMs)
}

function seconds(ms: number): string {
  return `${String(Math.ceil(ms / 1000))} s`
}
