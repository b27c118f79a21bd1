/** What one node did to one range, lately. */
export interface Sums {
  writes: number
  reads: number
  weight: number
  /** Weight · latency of all writes. */
  latency: number
  slow: number
  slowWeight: number
  slowLatency: number
}

/** Counts of one slice of time. */
interface Slice {
  /** Number of the slice since the clock's start. */
  readonly index: number
  writes: number
  reads: number
  latency: number
  slow: number
  slowLatency: number
}

/**
 * A window is cut into this many slices, so that memory is bounded whatever the rate: all accesses of a slice weigh the
 * same, which is wrong by 2.5 % at most.
 */
const slicesPerWindow = 20

/**
 * Counts in a sliding window, with weights exp(−age / decay). Slices without an access take no room.
 *
 * Road not taken: one counter that decays. It never forgets quite, and "nobody else wrote here within the window" is the
 * question that matters most.
 */
export class Tally {
  /** Oldest first. */
  #slices: Slice[] = []

  add(nowMs: number, windowMs: number, access: { kind: 'write' | 'read'; latencyMs: number; remote: boolean }): void {
    const index = sliceAt(nowMs, windowMs)
    let slice = this.#slices.at(-1)
    if (slice === undefined || slice.index < index) {
      this.#slices = this.#slices.filter((old) => old.index > index - slicesPerWindow)
      slice = { index, writes: 0, reads: 0, latency: 0, slow: 0, slowLatency: 0 }
      this.#slices.push(slice)
    }
    if (access.kind === 'read') {
      slice.reads++
      return
    }
    slice.writes++
    slice.latency += access.latencyMs
    if (!access.remote) return
    slice.slow++
    slice.slowLatency += access.latencyMs
  }

  sums(nowMs: number, windowMs: number, decayMs: number): Sums {
    const sums: Sums = { writes: 0, reads: 0, weight: 0, latency: 0, slow: 0, slowWeight: 0, slowLatency: 0 }
    const oldest = sliceAt(nowMs, windowMs) - slicesPerWindow
    for (const slice of this.#slices) {
      if (slice.index <= oldest) continue
      // Ages are counted from a slice's middle; in the one that is not over there are none.
      const ageMs = Math.max(0, nowMs - ((slice.index + 0.5) * windowMs) / slicesPerWindow)
      const weight = Math.exp(-ageMs / decayMs)
      sums.writes += slice.writes
      sums.reads += slice.reads
      sums.weight += weight * slice.writes
      sums.latency += weight * slice.latency
      sums.slow += slice.slow
      sums.slowWeight += weight * slice.slow
      sums.slowLatency += weight * slice.slowLatency
    }
    return sums
  }

  /** Whether it wrote within the window. */
  wrote(nowMs: number, windowMs: number): boolean {
    const oldest = sliceAt(nowMs, windowMs) - slicesPerWindow
    return this.#slices.some((slice) => slice.writes > 0 && slice.index > oldest)
  }

  isEmpty(nowMs: number, windowMs: number): boolean {
    const last = this.#slices.at(-1)
    return last === undefined || last.index <= sliceAt(nowMs, windowMs) - slicesPerWindow
  }

  /** The share of it that falls to a part of its range. */
  scaled(share: number): Tally {
    const tally = new Tally()
    tally.#slices = this.#slices.map((slice) => ({
      index: slice.index,
      writes: slice.writes * share,
      reads: slice.reads * share,
      latency: slice.latency * share,
      slow: slice.slow * share,
      slowLatency: slice.slowLatency * share,
    }))
    return tally
  }

  /** Takes in another's counts: of two ranges that become one. */
  absorb(other: Tally): void {
    for (const slice of other.#slices) {
      const mine = this.#slices.find(({ index }) => index === slice.index)
      if (mine === undefined) {
        this.#slices.push({ ...slice })
        continue
      }
      mine.writes += slice.writes
      mine.reads += slice.reads
      mine.latency += slice.latency
      mine.slow += slice.slow
      mine.slowLatency += slice.slowLatency
    }
    this.#slices.sort((a, b) => a.index - b.index)
  }
}

function sliceAt(nowMs: number, windowMs: number): number {
  return Math.floor((nowMs * slicesPerWindow) / windowMs)
}
