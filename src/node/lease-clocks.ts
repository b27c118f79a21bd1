import { uptime } from 'node:os'
import type { Clock } from '../base/index.js'
import type { ClockKind, Readings } from '../consensus/index.js'
import { quantumMsUsual } from '../consensus/index.js'

/** macOS counts sleep in its monotonic clock; Linux and Windows do not, and have an uptime that does. */
export const clockKind: ClockKind = process.platform === 'darwin' ? 'sleep-aware' : 'sleep-blind'

export function readClocks(clock: Clock): Readings {
  return { hrtimeMs: clock.monotonicMs(), uptimeMs: uptime() * 1000, wallMs: clock.wallMs() }
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
