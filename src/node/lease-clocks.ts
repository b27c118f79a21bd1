import { uptime } from 'node:os'
import type { Clock } from '../base/index.js'
import type { ClockKind, Readings } from '../consensus/index.js'
import { quantumMsUsual } from '../consensus/index.js'

/** macOS counts sleep in its monotonic clock; Linux and Windows do not, and have an uptime that does. */
export const clockKind: ClockKind = process.platform === 'darwin' ? 'sleep-aware' : 'sleep-blind'

/** How long an uptime is good for; and how far the wall clock may run from the monotonic one meanwhile. */
const uptimeMs = 10
const driftMs = 2

/**
 * Readings of all three clocks. A volume asks for them twice a write, and the system's uptime costs tens of microseconds
 * (a file is read for it), so it is read once in `uptimeMs` and in between goes on by the monotonic clock. What that one
 * does not count is sleep; but the wall clock counts it, at once: if the two have not kept step, the uptime is read anew.
 * What a sleep that nobody notices can hide is thus `driftMs`, less than the step of the uptime itself.
 */
export function clockReader(clock: Clock, readUptimeMs: () => number = () => uptime() * 1000): () => Readings {
  let last: Readings | undefined
  return () => {
    const hrtimeMs = clock.monotonicMs()
    const wallMs = clock.wallMs()
    if (last !== undefined) {
      const sinceMs = hrtimeMs - last.hrtimeMs
      if (sinceMs <= uptimeMs && Math.abs(wallMs - last.wallMs - sinceMs) <= driftMs) return { hrtimeMs, uptimeMs: last.uptimeMs + sinceMs, wallMs }
    }
    last = { hrtimeMs, uptimeMs: readUptimeMs(), wallMs }
    return last
  }
}

/** So many looks, so far apart: an uptime in hundredths shows whole seconds only in all of them once in a million starts. */
const looks = 3
const lookEveryMs = 13

/** The step of this machine's coarsest clock, ms: some systems tell their uptime in whole seconds. */
export async function clockStepMs(clock: Clock): Promise<number> {
  if (clockKind === 'sleep-aware') return quantumMsUsual
  for (let look = 0; look < looks; look++) {
    if (!Number.isInteger(uptime())) return quantumMsUsual
    await clock.sleep(lookEveryMs)
  }
  return 1000
}
