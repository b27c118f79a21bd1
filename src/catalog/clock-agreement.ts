import type { Clock, NodeId } from '../base/index.js'
import { hlcSkewMsMax } from '../base/index.js'

/** A peer is asked every few minutes in a mesh of dozens; what it said an hour ago says little. */
const sampleMsMax = 3_600_000
/** Wall and elapsed time drift apart by more only if the clock was set, or the machine slept. */
const jumpMsMax = 60_000
/** More than a mesh has connections. */
const samplesMax = 512

/** No clock is right that shows a time from before this was written: machines without a battery begin in 1970 or 2000, all of them. */
const wallMsMin = Date.UTC(2026, 0, 1)

interface Sample {
  readonly aheadMs: number
  readonly wallMs: number
  readonly monotonicMs: number
}

/**
 * Whether this machine's clock can be right, by what those of others show. Nothing in the catalog is valid or invalid by
 * it; but what a node writes whose clock is ahead by more than `hlcSkewMsMax` nobody takes until that time has come, so
 * its owner had better know at once. A majority of all that were heard, this node's own clock among them, that show the
 * same time is taken to be right: of two that differ, nobody can tell which.
 */
export class ClockAgreement {
  readonly #clock: Clock
  readonly #samples = new Map<NodeId, Sample>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `wallMs`: what the peer's clock shows just now, to within the time that a message takes. */
  heard(peer: NodeId, wallMs: number): void {
    const own = this.#clock.wallMs()
    this.#samples.delete(peer)
    const [oldest] = this.#samples.keys()
    if (oldest !== undefined && this.#samples.size >= samplesMax) this.#samples.delete(oldest)
    this.#samples.set(peer, { aheadMs: own - wallMs, wallMs: own, monotonicMs: this.#clock.monotonicMs() })
  }

  /** How far we are ahead of a majority, and of how many; undefined if we are not, or nobody can tell. */
  aheadOf(): { nodes: number; of: number; aheadMs: number } | undefined {
    const { aheadOf, others } = this.#count()
    aheadOf.sort((a, b) => a - b)
    const most = Math.floor((others + 1) / 2) + 1
    // That many of them agree with one another if the first and the last in a row of so many do.
    for (const [i, aheadMs] of aheadOf.entries()) {
      const last = aheadOf[i + most - 1]
      if (last !== undefined && last - aheadMs <= hlcSkewMsMax) return { nodes: aheadOf.length, of: others, aheadMs }
    }
    return undefined
  }

  /** Somebody shows the same time, and more than show another. */
  isConfirmed(): boolean {
    const { agreeing, others } = this.#count()
    return agreeing > others - agreeing && this.#clock.wallMs() >= wallMsMin
  }

  #count(): { agreeing: number; aheadOf: number[]; others: number } {
    const wallMs = this.#clock.wallMs()
    const monotonicMs = this.#clock.monotonicMs()
    let agreeing = 0
    let others = 0
    const aheadOf: number[] = []
    for (const [peer, sample] of this.#samples) {
      const elapsedMs = monotonicMs - sample.monotonicMs
      // Compared with a clock that has been set since, or from before a sleep, it would mislead.
      if (elapsedMs > sampleMsMax || Math.abs(wallMs - sample.wallMs - elapsedMs) > jumpMsMax) {
        this.#samples.delete(peer)
        continue
      }
      others++
      if (Math.abs(sample.aheadMs) <= hlcSkewMsMax) agreeing++
      else if (sample.aheadMs > 0) aheadOf.push(sample.aheadMs)
    }
    return { agreeing, aheadOf, others }
  }
}
