import type { NodeId } from '../base/index.js'
import type { LivenessInit, Readings } from './liveness.js'
import { isSettled, judged } from './liveness.js'
import type { UptimeDay } from './reliability.js'
import { observed, reliabilityOf } from './reliability.js'
import type { PeerState } from './types.js'

/** Who is up, and how much of the time: liveness.ts and reliability.ts applied to all members. No clock of its own. */
export interface PresenceEntry {
  readonly state: PeerState
  readonly lastSeenMs: number
  readonly days: readonly UptimeDay[]
}

export class Presence {
  readonly #entries = new Map<NodeId, PresenceEntry>()
  #lastTickMs: number | undefined

  restore(peer: NodeId, entry: PresenceEntry): void {
    this.#entries.set(peer, entry)
  }

  entry(peer: NodeId): PresenceEntry | undefined {
    return this.#entries.get(peer)
  }

  /** A sign of life at `atMs` (the past, if somebody else brought it). True if the state changed. */
  heard(peer: NodeId, atMs: number, nowMs: number, init: LivenessInit): boolean {
    const before = this.#entries.get(peer)
    // Never in the future: a clock that was ahead would keep the dead alive.
    const seenMs = Math.min(atMs, nowMs)
    if (before === undefined) {
      const state = nowMs - seenMs < init.suspectMs ? 'up' : 'suspect'
      this.#entries.set(peer, { state, lastSeenMs: seenMs, days: [] })
      return true
    }
    const lastSeenMs = Math.max(Math.min(before.lastSeenMs, nowMs), seenMs)
    const silenceMs = nowMs - lastSeenMs
    // Upward only, here: a late piece of news makes nobody worse than it was.
    const state = silenceMs < init.suspectMs ? 'up' : before.state === 'gone' && silenceMs < init.graceMs ? 'suspect' : before.state
    this.#entries.set(peer, { ...before, lastSeenMs, state })
    return state !== before.state
  }

  /** Judges all, and adds the time since the last tick to the record of each. Returns those whose state changed. */
  tick(init: LivenessInit, readings: Readings): NodeId[] {
    const { nowMs } = readings
    // Only time in which we could have known counts, see reliability.ts: nothing after a start, a sleep, or a set clock.
    const elapsedMs = this.#lastTickMs === undefined ? 0 : nowMs - this.#lastTickMs
    const counts = elapsedMs > 0 && isSettled(init, readings) && elapsedMs <= readings.awakeForMs
    this.#lastTickMs = nowMs
    const changed: NodeId[] = []
    for (const [peer, before] of this.#entries) {
      const lastSeenMs = Math.min(before.lastSeenMs, nowMs)
      const state = judged(before.state, lastSeenMs, init, readings)
      if (state !== before.state) changed.push(peer)
      const days = counts ? observed(before.days, nowMs, elapsedMs, state === 'up') : before.days
      if (state !== before.state || days !== before.days || lastSeenMs !== before.lastSeenMs) {
        this.#entries.set(peer, { state, lastSeenMs, days })
      }
    }
    return changed
  }

  reliability(peer: NodeId, nowMs: number): number {
    return reliabilityOf(this.#entries.get(peer)?.days ?? [], nowMs)
  }
}
