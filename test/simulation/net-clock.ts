import type { Cancel, Clock } from '../../src/base/index.js'

interface Timer {
  readonly atMs: number
  readonly sequence: number
  readonly run: () => void
  cancelled: boolean
}

/**
 * Time that only moves when a test says so. Timers fire in order of their time, then of their setting; after each one
 * every promise that it woke runs to its next wait before the next timer fires, so that a run is a function of its
 * seed alone (as long as nothing in it waits for real I/O).
 */
export class VirtualClock implements Clock {
  #nowMs: number
  #wallOffsetMs: number
  #sequence = 0
  /** A binary heap, earliest first. */
  readonly #heap: Timer[] = []

  constructor(startWallMs = 1_700_000_000_000) {
    this.#nowMs = 0
    this.#wallOffsetMs = startWallMs
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  /** Sets the wall clock forward or back, as an operator or NTP would. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  setTimer(ms: number, run: () => void): Cancel {
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, ms), sequence: this.#sequence++, run, cancelled: false }
    this.#push(timer)
    return () => {
      timer.cancelled = true
    }
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        cancel()
        reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'))
      }
      const cancel = this.setTimer(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Lets `ms` of virtual time pass. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await settle()
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.atMs > untilMs) break
      this.#pop()
      if (next.cancelled) continue
      this.#nowMs = next.atMs
      next.run()
      await settle()
    }
    this.#nowMs = untilMs
  }

  /** Advances until `condition` holds; throws when it still does not after `limitMs` of virtual time. */
  async until(condition: () => boolean, limitMs: number, what = 'the condition'): Promise<void> {
    const endMs = this.#nowMs + limitMs
    await settle()
    while (!condition()) {
      // The condition itself may have set something going, by being asked: that comes before any later time.
      await settle()
      const next = this.#heap[0]
      if (next === undefined || next.atMs > endMs) {
        if (condition()) return
        throw new Error(`${what} did not come true within ${limitMs} virtual ms`)
      }
      this.#pop()
      if (next.cancelled) continue
      this.#nowMs = next.atMs
      next.run()
      await settle()
    }
  }

  /** Advances until the promise settles; throws when it has not after `limitMs` of virtual time. */
  async outcome<T>(promise: Promise<T>, limitMs = 600_000): Promise<T> {
    let settled = false
    const mark = (): void => {
      settled = true
    }
    promise.then(mark, mark)
    await this.until(() => settled, limitMs, 'the promise')
    return promise
  }

  #push(timer: Timer): void {
    const heap = this.#heap
    let i = heap.push(timer) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(timer, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = timer
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence)
}

/** One turn of the event loop empties the whole queue of microtasks, however long their chains are. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
