/**
 * Durations by clocks that lie differently. A laptop sleeps; Linux's monotonic clock does not count the sleep, its uptime
 * does; macOS's monotonic clock counts it; wall time may be set by anyone. So nobody asks "what time is it", only "how
 * much time passed between these two readings, at most" (a holder: to stop too early is safe) or "at least" (a voter: to
 * withdraw support too late is safe).
 */
export interface Readings {
  /** `process.hrtime`, ms. */
  readonly hrtimeMs: number
  /** `os.uptime`, ms. */
  readonly uptimeMs: number
  /** Unix ms. Only ever makes a holder more careful. */
  readonly wallMs: number
}

/** `sleep-blind`: hrtime stands still while the machine sleeps (Linux, Windows). `sleep-aware`: macOS. */
export type ClockKind = 'sleep-blind' | 'sleep-aware'

/** Never less than what really passed (to the clocks' rate). For whoever holds. */
export function elapsedAtMostMs(from: Readings, to: Readings, kind: ClockKind): number {
  const hrtime = to.hrtimeMs - from.hrtimeMs
  const wall = to.wallMs - from.wallMs
  if (kind === 'sleep-aware') return Math.max(hrtime, wall)
  return Math.max(hrtime, wall, to.uptimeMs - from.uptimeMs)
}

/** Never more than what really passed (to the clocks' rate). For whoever grants support. */
export function elapsedAtLeastMs(from: Readings, to: Readings, kind: ClockKind): number {
  const hrtime = to.hrtimeMs - from.hrtimeMs
  return kind === 'sleep-aware' ? hrtime : Math.min(hrtime, to.uptimeMs - from.uptimeMs)
}

export interface Timing {
  /** Clocks run within 1±rho of true time. 0.1, because a clock that is being slewed can run 8 % off. */
  readonly rho: number
  /** The step of this node's coarsest clock, ms. 20 ms covers usual timers; whole-second uptimes make it 1000. */
  readonly quantumMs: number
  /** D_v: how long after a renewal arrived a voter supports a session, at least. */
  readonly voterMs: number
  /** D_h: how long after a renewal was sent a holder relies on it, at most. */
  readonly holderMs: number
  /** How often a session is renewed: four times in D_h, so that two lost renewals in a row harm nobody. */
  readonly renewMs: number
  /** A try that has no majority by then is given up. 1 s: "a voter's loss stalls nobody for more than 1 s". */
  readonly tryMs: number
  /** What a duel's back-off starts from: max(round trip, measured sync, 10 ms). */
  readonly backoffMs: number
}

/** What other nodes may assume of a voter's clock steps; a coarser voter waits the difference itself. */
export const quantumMsUsual = 20

export const timingDefaults: Timing = {
  rho: 0.1,
  quantumMs: quantumMsUsual,
  voterMs: 6000,
  holderMs: 4800,
  renewMs: 1200,
  tryMs: 1000,
  backoffMs: 10,
}

/**
 * The longest safe D_h: the voter's D_v, measured by a clock as fast as allowed and a step short, must not be over before
 * the holder's D_h, measured by a clock as slow as allowed and a step short.
 */
export function holderMsMax(timing: Pick<Timing, 'rho' | 'quantumMs' | 'voterMs'>): number {
  return ((timing.voterMs - quantumMsUsual) * (1 - timing.rho)) / (1 + timing.rho) - timing.quantumMs
}

/** D_h as this node may use it: what is wished for, cut to what is safe with its clock. */
export function safeHolderMs(timing: Timing): number {
  return Math.min(timing.holderMs, holderMsMax(timing))
}

/** D_v as this voter must keep it: longer by what its clock is coarser than the others assume. */
export function safeVoterMs(timing: Timing): number {
  return timing.voterMs + Math.max(0, timing.quantumMs - quantumMsUsual)
}
