import { seededRandom } from '../../../src/base/index.js'
import type { Random } from '../../../src/base/index.js'

/** Virtual time and one seeded source of chance: everything that happens in a simulation happens here, in order. */
interface Event {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class World {
  readonly random: Random
  nowMs = 0
  steps = 0
  readonly #heap: Event[] = []
  #order = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }

  after(delayMs: number, run: () => void): void {
    this.#push({ atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, run })
  }

  /** Runs until `untilMs` of virtual time, or until nothing is left, or `stop` says so. */
  run(untilMs: number, stop: () => boolean = () => false): void {
    while (this.#heap.length > 0) {
      const first = this.#heap[0] as Event
      if (first.atMs > untilMs) break
      this.#pop()
      this.nowMs = first.atMs
      this.steps++
      first.run()
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

  #push(event: Event): void {
    const heap = this.#heap
    let i = heap.length
    heap.push(event)
    while (i > 0) {
      const parent = (i - 1) >>> 1
      const other = heap[parent] as Event
      if (!before(event, other)) break
      heap[i] = other
      i = parent
    }
    heap[i] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Event
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      const left = 2 * i + 1
      if (left >= heap.length) break
      const right = left + 1
      const child = right < heap.length && before(heap[right] as Event, heap[left] as Event) ? right : left
      if (!before(heap[child] as Event, last)) break
      heap[i] = heap[child] as Event
      i = child
    }
    heap[i] = last
  }
}

function before(a: Event, b: Event): boolean {
  return a.atMs !== b.atMs ? a.atMs < b.atMs : a.order < b.order
}
