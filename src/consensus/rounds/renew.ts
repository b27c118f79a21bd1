import type { ClockKind, Readings, Timing } from '../clocks.js'
import { elapsedAtMostMs, safeHolderMs } from '../clocks.js'
import type { ConfigRecord } from '../config.js'
import { majorityOf } from '../quorum.js'
import type { VoterId } from '../types.js'
import { storeKey } from '../types.js'

/**
 * Round 2, the holder's side: one proof of life per node, whatever the number of leases. What counts is when a renewal
 * was *sent*: the voter's D_v starts when it arrives, so it ends later than the holder's D_h however long either message
 * took. With a majority of voters unable to withdraw support before that, no other node can be let in before it.
 *
 * Nothing here runs by a timer. A machine that slept does not notice; so validity is computed from clock readings at
 * every use, and again after the use.
 */
export class HolderSession {
  readonly #clockKind: ClockKind
  readonly #holderMs: number
  /** Acknowledged renewals, by configuration: a majority must be one of one configuration's voters. */
  readonly #acknowledged = new Map<number, { majority: number; sent: Map<string, Readings> }>()

  constructor(init: { clockKind: ClockKind; timing: Timing }) {
    this.#clockKind = init.clockKind
    this.#holderMs = safeHolderMs(init.timing)
  }

  /** A voter said that it supports the session; `sent` is when it was asked. */
  acknowledged(config: ConfigRecord, voter: VoterId, sent: Readings): void {
    let entry = this.#acknowledged.get(config.number)
    if (entry === undefined) this.#acknowledged.set(config.number, (entry = { majority: majorityOf(config.members.length), sent: new Map() }))
    const before = entry.sent.get(storeKey(voter))
    if (before === undefined || before.hrtimeMs < sent.hrtimeMs) entry.sent.set(storeKey(voter), sent)
  }

  /** Whether some configuration's majority cannot have withdrawn its support yet. */
  isValid(now: Readings): boolean {
    return this.remainingMs(now) > 0
  }

  /** How long it stays so if nothing is heard any more: the majority-th latest renewal decides. */
  remainingMs(now: Readings): number {
    let best = 0
    for (const [config, { majority, sent }] of this.#acknowledged) {
      const left = [...sent.values()].map((at) => this.#holderMs - elapsedAtMostMs(at, now, this.#clockKind)).sort((a, b) => b - a)
      const remaining = left[majority - 1] ?? 0
      best = Math.max(best, remaining)
      if (remaining <= 0 && config < this.#newest()) this.#acknowledged.delete(config)
    }
    return best
  }

  /** A new epoch starts with nothing. */
  reset(): void {
    this.#acknowledged.clear()
  }

  #newest(): number {
    return Math.max(...this.#acknowledged.keys())
  }
}
