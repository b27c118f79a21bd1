/**
 * How reliable is a machine? The measured share of the last 30 days in which it could be reached.
 *
 * What counts: time during which *this* node was running, awake and settled (see liveness.ts). Of that, the time in which
 * the other was `up` in our eyes: connected and answering, or heard of through gossip. Time in which we could not have
 * known counts neither way; a laptop that only runs by day measures its peers by day. Kept per UTC day as two sums, so
 * that a month costs 31 pairs of numbers and what is old falls off a day at a time.
 */
export interface UptimeDay {
  /** Days since 1970. */
  readonly day: number
  readonly observedMs: number
  readonly upMs: number
}

export const uptimeDaysMax = 30
export const dayMs = 86_400_000

/** Adds `ms` of observation that ended at `nowMs`, to the day of its end. Days out of the window are dropped. */
export function observed(days: readonly UptimeDay[], nowMs: number, ms: number, isUp: boolean): UptimeDay[] {
  const today = Math.floor(nowMs / dayMs)
  // Days "in the future" are left from a clock that was wrong; they would never fall off.
  const kept = days.filter(({ day }) => day > today - uptimeDaysMax && day < today)
  const last = days.find(({ day }) => day === today) ?? { day: today, observedMs: 0, upMs: 0 }
  const observedMs = Math.min(dayMs, last.observedMs + ms)
  kept.push({ day: today, observedMs, upMs: Math.min(observedMs, last.upMs + (isUp ? ms : 0)) })
  return kept
}

/** The same for a stretch of any length, split over its days: what a node that was off knows of itself. */
export function observedSpan(days: readonly UptimeDay[], fromMs: number, toMs: number, isUp: boolean): UptimeDay[] {
  let result = [...days]
  let at = Math.max(fromMs, toMs - uptimeDaysMax * dayMs)
  while (at < toMs) {
    const end = Math.min(toMs, (Math.floor(at / dayMs) + 1) * dayMs)
    result = observed(result, end - 1, end - at, isUp)
    at = end
  }
  return result
}

/** 0…1; of a node that was never observed 1, since nothing speaks against it. */
export function reliabilityOf(days: readonly UptimeDay[], nowMs: number): number {
  const today = Math.floor(nowMs / dayMs)
  let seen = 0
  let up = 0
  for (const { day, observedMs, upMs } of days) {
    if (day <= today - uptimeDaysMax || day > today) continue
    seen += observedMs
    up += upMs
  }
  return seen === 0 ? 1 : up / seen
}
