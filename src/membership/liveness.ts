import type { PeerState } from './types.js'

/**
 * Is the other one up? Signs of life (a connection made, an answer, a beat through gossip, a fresh signed announcement
 * from whomever) move `lastSeenMs`; silence makes a peer `suspect`, long silence `gone`. Pure: readings in, state out.
 *
 * The trap is that silence may be our own. A laptop that wakes has heard nobody for eight hours and must redial before it
 * judges; one that was cut off, likewise. So downward steps need, besides the silence,
 *   - that we are settled: `settleMs` have passed since we started or woke;
 *   - and for `gone`, that our view is *fresh*: since then we exchanged announcements with some member (then we know
 *     what the others know of everyone), or we have been awake for the whole grace.
 * Upward steps need nothing: a sign of life is enough at any time.
 *
 * The road not taken: phi-accrual or SWIM's indirect probes. They tell seconds apart in large clusters of servers; here
 * a wrong `suspect` costs nothing and `gone` takes a day.
 */
export interface LivenessInit {
  /** Silence after which a peer is suspect. */
  suspectMs: number
  /** Silence after which it is gone, and its blobs are replicated anew. */
  graceMs: number
  /** After a start or a wake-up nobody is judged for so long. */
  settleMs: number
}

export interface Readings {
  /** Wall clock. */
  readonly nowMs: number
  /** Since this process started or the machine woke, on the monotonic clock: a set wall clock must not unsettle it. */
  readonly awakeForMs: number
  /** Whether announcements were exchanged with some member since. */
  readonly isFresh: boolean
}

export function isSettled(init: LivenessInit, { awakeForMs }: Readings): boolean {
  return awakeForMs >= init.settleMs
}

/** The state after `before`, given the last sign of life. */
export function judged(before: PeerState, lastSeenMs: number, init: LivenessInit, readings: Readings): PeerState {
  const silenceMs = readings.nowMs - lastSeenMs
  if (silenceMs < init.suspectMs) return 'up'
  if (!isSettled(init, readings)) return before
  const knows = readings.isFresh || readings.awakeForMs >= init.graceMs
  // `gone` is only left by a sign of life; with one, silence is shorter than the grace again.
  return silenceMs >= init.graceMs && (knows || before === 'gone') ? 'gone' : 'suspect'
}

/**
 * Notices that the machine slept or its clock was set: between two ticks wall time and monotonic time (which on Linux
 * does not count sleep) drift apart, or the tick itself is far too late.
 */
export function sleptBetween(
  before: { wallMs: number; monotonicMs: number },
  now: { wallMs: number; monotonicMs: number },
  tickMs: number,
): boolean {
  const wall = now.wallMs - before.wallMs
  const monotonic = now.monotonicMs - before.monotonicMs
  // A busy machine delays a timer by seconds, and clocks are slewed; neither by half a minute.
  const toleranceMs = Math.max(30_000, tickMs)
  return Math.abs(wall - monotonic) > toleranceMs || monotonic > tickMs + toleranceMs
}
