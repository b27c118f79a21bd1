import type { ClockKind, Readings } from '../../../src/consensus/clocks.js'
import type { World } from './world.js'

/**
 * A computer's clocks. Rates differ, wall time jumps, the machine sleeps: then hrtime stands still (Linux, Windows) or
 * runs on (macOS) while uptime and wall time run on. A *frozen* machine (a paused VM) has all of its clocks stopped,
 * which no bound on clocks allows: only tokens protect against that.
 */
export class MachineClocks {
  readonly kind: ClockKind
  readonly #world: World
  #rate: number
  readonly #quantumMs: number
  #sinceMs: number
  #hrtimeMs: number
  #uptimeMs: number
  #wallMs: number
  #state: 'awake' | 'asleep' | 'frozen' = 'awake'
  /** The last reading, for as long as no time passes: one event asks for it again and again. */
  #readings: Readings | undefined

  constructor(world: World, init: { kind: ClockKind; rate: number; quantumMs: number }) {
    this.#world = world
    this.kind = init.kind
    this.#rate = init.rate
    this.#quantumMs = init.quantumMs
    this.#sinceMs = world.nowMs
    this.#hrtimeMs = world.between(0, 1e6)
    this.#uptimeMs = world.between(0, 1e6)
    this.#wallMs = 1.7e12 + world.between(-1e6, 1e6)
  }

  get quantumMs(): number {
    return this.#quantumMs
  }

  read(): Readings {
    if (this.#readings !== undefined && this.#world.nowMs === this.#sinceMs) return this.#readings
    this.#advance()
    const quantum = this.#quantumMs
    return (this.#readings = { hrtimeMs: this.#hrtimeMs, uptimeMs: Math.floor(this.#uptimeMs / quantum) * quantum, wallMs: this.#wallMs })
  }

  /** How long on the true clock until hrtime has advanced by `ms`, if nothing happens. */
  trueMs(ms: number): number {
    return ms / this.#rate
  }

  to(state: 'awake' | 'asleep' | 'frozen'): void {
    this.#advance()
    this.#state = state
  }

  setRate(rate: number): void {
    this.#advance()
    this.#rate = rate
  }

  jumpWall(ms: number): void {
    this.#advance()
    this.#readings = undefined
    this.#wallMs += ms
  }

  #advance(): void {
    if (this.#world.nowMs !== this.#sinceMs) this.#readings = undefined
    const passed = (this.#world.nowMs - this.#sinceMs) * this.#rate
    this.#sinceMs = this.#world.nowMs
    if (this.#state === 'frozen') return
    this.#uptimeMs += passed
    this.#wallMs += passed
    if (this.#state === 'awake' || this.kind === 'sleep-aware') this.#hrtimeMs += passed
  }
}
