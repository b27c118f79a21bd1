import type { KeyValue, NodeId } from '../base/index.js'

/** A week: a node whose disk was replaced is believed again by then. */
const strikeMs = 7 * 24 * 3600_000
/** One wrong answer may be a bad sector, which its own scrub will find; two are a habit. */
const strikesMax = 2
/** Remembered strikes of one node; more change nothing. */
const strikesKept = 8

/**
 * Who was caught: claimed to hold what it could not prove. Kept on disk, or a restart would forgive. A node that is not
 * trusted still gets reads served; its copies just do not count and nothing is placed there.
 */
export class Trust {
  readonly #meta: KeyValue
  readonly #strikes = new Map<NodeId, number[]>()

  constructor(meta: KeyValue) {
    this.#meta = meta
  }

  async load(nowMs: number): Promise<void> {
    for await (const [key, value] of this.#meta.entries()) {
      const times = new TextDecoder().decode(value).split(' ').map(Number)
      // One from the future is of a clock that was set back, or a row that was damaged: a week ahead is as far as a week ago.
      const live = times.filter((time) => Number.isFinite(time) && Math.abs(nowMs - time) < strikeMs)
      if (live.length > 0) this.#strikes.set(new TextDecoder().decode(key) as NodeId, live)
    }
  }

  trusts(node: NodeId, nowMs: number): boolean {
    return this.#live(node, nowMs).length < strikesMax
  }

  async strike(node: NodeId, nowMs: number): Promise<void> {
    const strikes = [...this.#live(node, nowMs), nowMs].slice(-strikesKept)
    this.#strikes.set(node, strikes)
    const operation = this.#meta.put(new TextEncoder().encode(node), new TextEncoder().encode(strikes.join(' ')))
    await this.#meta.write([operation], { durable: true })
  }

  untrusted(nowMs: number): NodeId[] {
    return [...this.#strikes.keys()].filter((node) => !this.trusts(node, nowMs))
  }

  /** A strike of a time to come, of when the clock was ahead, is as of now, and not for as long as the clock was ahead. */
  #live(node: NodeId, nowMs: number): number[] {
    const strikes = this.#strikes.get(node)
    if (strikes === undefined) return []
    for (const [i, time] of strikes.entries()) if (time > nowMs) strikes[i] = nowMs
    return strikes.filter((time) => nowMs - time < strikeMs)
  }
}
