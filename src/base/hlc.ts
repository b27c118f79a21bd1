import type { Clock } from './clock.js'

/**
 * Hybrid logical clock (Kulkarni et al., 2014): wall milliseconds in the high 48 bits, a counter in the low 16, so that
 * a timestamp is one bigint that sorts as time does and never repeats at one node. Orders events for people and breaks
 * ties between edits; decides no validity anywhere.
 */
export type Hlc = bigint

export const hlcMax: Hlc = 2n ** 64n - 1n

/**
 * How far ahead of our own clock a peer's timestamp may be before we refuse to be dragged along: one machine with its
 * date set to 2099 must not poison everybody's timestamps for good.
 */
export const hlcSkewMsMax = 5 * 60_000

export class HlcClock {
  #last: Hlc
  readonly #clock: Clock

  constructor(clock: Clock, last: Hlc = 0n) {
    this.#clock = clock
    this.#last = last
  }

  /** The highest timestamp given out or accepted so far. */
  get last(): Hlc {
    return this.#last
  }

  /** A timestamp higher than every one given out or accepted before. */
  now(): Hlc {
    const wall = BigInt(Math.max(0, Math.floor(this.#clock.wallMs()))) << 16n
    this.#last = wall > this.#last ? wall : this.#last + 1n
    return this.#last
  }

  /** Moves past a timestamp seen from elsewhere. False, and nothing moved, if it is too far in the future. */
  observe(seen: Hlc): boolean {
    if (hlcToMs(seen) > this.#clock.wallMs() + hlcSkewMsMax) return false
    if (seen > this.#last) this.#last = seen
    return true
  }
}

export function hlcToMs(hlc: Hlc): number {
  return Number(hlc >> 16n)
}
