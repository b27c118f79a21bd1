import type { Clock } from '../base/index.js'

/** How often to look at the clocks: a wake-up is noticed this late at most. */
const tickMs = 2_000
/**
 * A gap up to this is a busy machine. Above, connections may have died without a word, and nobody can be judged by
 * their silence.
 */
const gapMsMin = 8_000

/**
 * Notices that the machine slept, or its clock was set: a timer that should have fired a moment ago fired long after.
 * Which clock shows it depends on the system: Linux's monotonic clock stands still during sleep, so only the wall clock
 * jumps; macOS's and Windows' go on.
 */
export class WakeDetector {
  readonly #clock: Clock
  #cancel: (() => void) | undefined
  #wallMs = 0
  #monotonicMs = 0

  constructor(components: { clock: Clock }) {
    this.#clock = components.clock
  }

  start(onWake: (sleptMs: number) => void): void {
    this.#wallMs = this.#clock.wallMs()
    this.#monotonicMs = this.#clock.monotonicMs()
    this.#cancel = this.#clock.setTimer(tickMs, () => {
      const wallGapMs = this.#clock.wallMs() - this.#wallMs - tickMs
      const monotonicGapMs = this.#clock.monotonicMs() - this.#monotonicMs - tickMs
      const gapMs = Math.max(wallGapMs, monotonicGapMs)
      this.start(onWake)
      if (gapMs > gapMsMin) onWake(Math.round(gapMs))
    })
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
