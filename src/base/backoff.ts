import type { Random } from './random.js'

export interface BackoffInit {
  minMs: number
  maxMs: number
}

/**
 * Exponential backoff with full jitter (AWS, "Exponential Backoff And Jitter", 2015): the wait is uniform in
 * [0, min·2^attempt], capped, so that many nodes that lost the same peer do not come back in step.
 */
export function backoffMs(attempt: number, init: BackoffInit, random: Random): number {
  const ceiling = Math.min(init.maxMs, init.minMs * 2 ** Math.min(attempt, 30))
  return random.float() * ceiling
}
