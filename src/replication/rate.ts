import type { Clock, NodeId } from '../base/index.js'

export interface RateLimit {
  /** So many at once after a quiet while… */
  readonly burst: number
  /** …and so many a second from then on. */
  readonly perSecond: number
}

/** More than any mesh here has members; about 100 bytes each. */
const peersMax = 10_000

/** How much of something each peer may do: a bucket of tokens for every one of them. */
export class Rate {
  readonly #clock: Clock
  readonly #limit: RateLimit
  readonly #buckets = new Map<NodeId, { left: number; atMs: number }>()

  constructor(components: { clock: Clock }, limit: RateLimit) {
    this.#clock = components.clock
    this.#limit = limit
  }

  /** Takes tokens of `peer`'s; false, and none are taken, if it has not as many left. */
  allow(peer: NodeId, tokens = 1): boolean {
    const { burst, perSecond } = this.#limit
    const nowMs = this.#clock.monotonicMs()
    let bucket = this.#buckets.get(peer)
    if (bucket === undefined) {
      if (this.#buckets.size >= peersMax) this.#forgetFull(nowMs)
      this.#buckets.set(peer, (bucket = { left: burst, atMs: nowMs }))
    }
    bucket.left = Math.min(burst, bucket.left + ((nowMs - bucket.atMs) * perSecond) / 1000)
    bucket.atMs = nowMs
    if (bucket.left < tokens) return false
    bucket.left -= tokens
    return true
  }

  forget(peer: NodeId): void {
    this.#buckets.delete(peer)
  }

  /** A bucket that has filled up says nothing; if none has, the oldest goes. */
  #forgetFull(nowMs: number): void {
    const { burst, perSecond } = this.#limit
    for (const [peer, { left, atMs }] of this.#buckets) if (left + ((nowMs - atMs) * perSecond) / 1000 >= burst) this.#buckets.delete(peer)
    for (const peer of this.#buckets.keys()) {
      if (this.#buckets.size < peersMax) return
      this.#buckets.delete(peer)
    }
  }
}
