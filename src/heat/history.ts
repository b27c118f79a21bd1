import type { Clock, Hlc } from '../base/index.js'
import { HlcClock } from '../base/index.js'
import { SegmentHeat } from './segment-heat.js'
import type { HeatSettings } from './settings.js'
import type { Access, RangeHeat } from './types.js'

interface Kept {
  readonly volume: string
  readonly segment: number
  readonly heat: SegmentHeat
}

/**
 * Heat of all segments that were used lately. Bounded by ranges: past the limit, segments that were used longest ago are
 * forgotten whole. It is not kept over a restart: five minutes teach it all again, and leases do not move meanwhile.
 */
export class HeatHistory {
  readonly #clock: Clock
  readonly #settings: HeatSettings
  readonly #hlc: HlcClock
  /** Order is that of use, oldest first. */
  readonly #segments = new Map<string, Kept>()
  #latest: { key: string; kept: Kept } | undefined
  #ranges = 0
  #forgotten = 0

  constructor(components: { clock: Clock }, settings: HeatSettings) {
    this.#clock = components.clock
    this.#settings = settings
    this.#hlc = new HlcClock(components.clock)
  }

  get ranges(): number {
    return this.#ranges
  }

  get forgotten(): number {
    return this.#forgotten
  }

  record(access: Access): void {
    const { heat } = this.#use(access.volume, access.segment)
    const before = heat.size
    heat.record(access, this.#clock.monotonicMs(), access.kind === 'write' ? this.#hlc.now() : 0n)
    this.#ranges += heat.size - before
    this.#makeRoom()
  }

  at(volume: string, segment: number, block: number): RangeHeat | undefined {
    return this.#segments.get(keyOf(volume, segment))?.heat.at(block, this.#clock.monotonicMs())
  }

  unused(volume: string, segment: number, block: number, blocksMax: number): number {
    return this.#segments.get(keyOf(volume, segment))?.heat.unused(block, blocksMax) ?? blocksMax
  }

  /** Ranges used within the window, in order; of all volumes if none is named. Sweeps what the window has left behind. */
  *all(volume?: string): Generator<{ volume: string; segment: number; range: RangeHeat }> {
    const kept = [...this.#segments.values()].filter((one) => volume === undefined || one.volume === volume)
    kept.sort((a, b) => a.segment - b.segment)
    for (const { volume: of, segment, heat } of kept) {
      const before = heat.size
      const ranges = heat.all(this.#clock.monotonicMs())
      this.#ranges += heat.size - before
      if (heat.size === 0) this.#remove(keyOf(of, segment))
      for (const range of ranges) yield { volume: of, segment, range }
    }
  }

  observe(seen: Hlc): boolean {
    return this.#hlc.observe(seen)
  }

  forget(volume: string): void {
    for (const [key, kept] of [...this.#segments]) {
      if (kept.volume !== volume) continue
      this.#ranges -= kept.heat.size
      this.#remove(key)
    }
  }

  #use(volume: string, segment: number): Kept {
    const key = keyOf(volume, segment)
    // Accesses come in runs: most of the time nothing is to be moved.
    if (this.#latest?.key === key) return this.#latest.kept
    const kept = this.#segments.get(key) ?? { volume, segment, heat: new SegmentHeat(this.#settings) }
    this.#segments.delete(key)
    this.#segments.set(key, kept)
    this.#latest = { key, kept }
    return kept
  }

  #remove(key: string): void {
    this.#segments.delete(key)
    if (this.#latest?.key === key) this.#latest = undefined
  }

  #makeRoom(): void {
    while (this.#ranges > this.#settings.rangesMax && this.#segments.size > 1) {
      for (const [key, kept] of this.#segments) {
        this.#ranges -= kept.heat.size
        this.#forgotten += kept.heat.size
        this.#remove(key)
        break
      }
    }
  }
}

function keyOf(volume: string, segment: number): string {
  return `${volume}/${String(segment)}`
}
