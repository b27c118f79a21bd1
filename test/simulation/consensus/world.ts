import { seededRandom } from '../../../src/base/index.js'
import type { Random } from '../../../src/base/index.js'

/** Virtual time and one seeded source of chance: everything that happens in a simulation happens here, in order. */
export class World {
  readonly random: Random
  nowMs = 0
  steps = 0
  /**
   * A binary heap, by column: when, in which order of those at the same time, and what. Objects with these three in them would
   * be a quarter of what a simulation takes: each look at a time is one into memory, and at a double in an object two.
   */
  readonly #times: number[] = []
  readonly #orders: number[] = []
  readonly #runs: (() => void)[] = []
  #order = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }

  after(delayMs: number, run: () => void): void {
    this.#push(this.nowMs + Math.max(0, delayMs), this.#order++, run)
  }

  /** Runs until `untilMs` of virtual time, or until nothing is left, or `stop` says so. */
  run(untilMs: number, stop: () => boolean = () => false): void {
    while (this.#times.length > 0) {
      const atMs = this.#times[0] as number
      if (atMs > untilMs) break
      const run = this.#runs[0] as () => void
      this.#pop()
      this.nowMs = atMs
      this.steps++
      run()
      if (stop()) return
    }
    this.nowMs = Math.max(this.nowMs, untilMs)
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.random.float() < p
  }

  between(low: number, high: number): number {
    return low + this.random.float() * (high - low)
  }

  pick<T>(items: readonly T[]): T {
    return items[this.random.below(items.length)] as T
  }

  #push(atMs: number, order: number, run: () => void): void {
    const [times, orders, runs] = [this.#times, this.#orders, this.#runs]
    let i = times.length
    times.push(atMs)
    orders.push(order)
    runs.push(run)
    while (i > 0) {
      const parent = (i - 1) >>> 1
      const otherMs = times[parent] as number
      // Whatever is there already came first.
      if (otherMs <= atMs) break
      times[i] = otherMs
      orders[i] = orders[parent] as number
      runs[i] = runs[parent] as () => void
      i = parent
    }
    times[i] = atMs
    orders[i] = order
    runs[i] = run
  }

  #pop(): void {
    const [times, orders, runs] = [this.#times, this.#orders, this.#runs]
    const atMs = times.pop() as number
    const order = orders.pop() as number
    const run = runs.pop() as () => void
    const { length } = times
    if (length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= length) break
      let childMs = times[child] as number
      const right = child + 1
      if (right < length) {
        const rightMs = times[right] as number
        if (rightMs < childMs || (rightMs === childMs && (orders[right] as number) < (orders[child] as number))) {
          child = right
          childMs = rightMs
        }
      }
      if (childMs > atMs || (childMs === atMs && (orders[child] as number) > order)) break
      times[i] = childMs
      orders[i] = orders[child] as number
      runs[i] = runs[child] as () => void
      i = child
    }
    times[i] = atMs
    orders[i] = order
    runs[i] = run
  }
}
