import type { Clock } from '../base/index.js'

/** Ten minutes: a version whose writer is not known yet, or whose time has not come, is then looked at again. */
const memoryMs = 10 * 60_000
/** 10,000 of them are 1 MB or so; beyond, the oldest are fetched again sooner. */
const versionsMax = 10_000

/** Versions that were refused lately, by the bucket of their path: so that anti-entropy does not fetch them every time. */
export class SeenVersions {
  readonly #clock: Clock
  readonly #byBucket = new Map<number, { hash: Uint8Array; untilMs: number }[]>()
  #size = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `forMs`: when it is worth another look, if that is sooner. */
  add(pathHash: Uint8Array, hash: Uint8Array, forMs = memoryMs): void {
    const bucket = bucketOf(pathHash)
    const list = this.#byBucket.get(bucket) ?? []
    if (list.some((one) => Buffer.compare(one.hash, hash) === 0)) return
    list.push({ hash, untilMs: this.#clock.monotonicMs() + Math.min(forMs, memoryMs) })
    this.#byBucket.set(bucket, list)
    this.#size++
    if (this.#size <= versionsMax) return
    for (const [oldest, { length }] of this.#byBucket) {
      this.#byBucket.delete(oldest)
      this.#size -= length
      break
    }
  }

  /** Hashes of those in a bucket: a prefix of one byte or two. */
  of(prefix: Uint8Array): Uint8Array[] {
    if (this.#size === 0) return []
    const now = this.#clock.monotonicMs()
    const first = bucketOf(prefix)
    const hashes = []
    for (let bucket = first; bucket <= (prefix.length > 1 ? first : first | 0xff); bucket++) {
      const list = this.#byBucket.get(bucket)
      if (list === undefined) continue
      const kept = list.filter(({ untilMs }) => untilMs > now)
      this.#size -= list.length - kept.length
      if (kept.length === 0) this.#byBucket.delete(bucket)
      else this.#byBucket.set(bucket, kept)
      for (const { hash } of kept) hashes.push(hash)
    }
    return hashes
  }
}

function bucketOf(prefix: Uint8Array): number {
  return ((prefix[0] ?? 0) << 8) | (prefix[1] ?? 0)
}
