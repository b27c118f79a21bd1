/** Kinds of requests that are timed apart. */
export type TimedKind = 'read' | 'write' | 'flush'

/** Upper bounds, ms: a local write is to take a tenth of one; what takes longer than the last is a mesh in trouble. */
export const latencyBoundsMs = [0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10, 50, 200, 1000, 5000] as const

export interface LatencyCounts {
  /** One for each bound, and one for what is beyond: how many took so long. */
  readonly counts: readonly number[]
  readonly count: number
  readonly sumMs: number
}

/** How long the device took, from a request's being read to its being done: without the client, the socket and the way. */
export class Latencies {
  readonly #kinds: Record<TimedKind, { counts: number[]; count: number; sumMs: number }> = { read: empty(), write: empty(), flush: empty() }

  record(kind: TimedKind, ms: number): void {
    const kept = this.#kinds[kind]
    let index = 0
    while (index < latencyBoundsMs.length && ms > (latencyBoundsMs[index] ?? 0)) index++
    kept.counts[index] = (kept.counts[index] ?? 0) + 1
    kept.count++
    kept.sumMs += ms
  }

  of(kind: TimedKind): LatencyCounts {
    return this.#kinds[kind]
  }
}

function empty(): { counts: number[]; count: number; sumMs: number } {
  return { counts: Array.from({ length: latencyBoundsMs.length + 1 }, () => 0), count: 0, sumMs: 0 }
}
