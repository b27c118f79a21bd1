/**
 * How much of a node's promises to keep one asker may have.
 *
 * Intuition. A promise keeps a blob from being let go of. Who means to delete needs it for seconds, and releases it; who
 * means harm asks for as many as it can, for as long as it can. So what is counted is *time*: a promise costs its asker
 * all the time that it is for, and when it is released early the rest comes back. Who releases has as much as it ever
 * needs, and who does not has used up its store after one flood and keeps a handful bound from then on.
 *
 * On top of that nobody has more than a share of what is still free of the table (Choudhury and Hahne, 1998: dynamic
 * thresholds). However many flood it, some of it is always left for the next one; and one alone need not be kept small for
 * the sake of others that are not there. The road not taken: to take promises back from who has too many. A promise that
 * may be taken back is none.
 *
 * In memory only: a restart forgives the time, and counts again what stands.
 */
import type { NodeId } from '../base/index.js'

export interface PromiseSharesInit {
  /** Promises to all together. */
  readonly promisesMax: number
  /** An honest asker's most at one time. */
  readonly perAskerMax: number
  /** For how long an honest one asks. */
  readonly keepMs: number
}

/** Of what is free. With n floods at once n/(n + 16) of the table are taken. */
const shareOfFree = 1 / 16
/** Promises that one asker may keep standing for good: what comes back to it in a millisecond, in milliseconds. */
const refill = 16
/** More than any mesh here has members; about 100 bytes each. */
const askersMax = 10_000

interface Share {
  promises: number
  /** Of its time, as of `atMs`. */
  leftMs: number
  atMs: number | undefined
}

export class PromiseShares {
  readonly #init: PromiseSharesInit
  readonly #shares = new Map<NodeId, Share>()
  #promises = 0

  constructor(init: PromiseSharesInit) {
    this.#init = init
  }

  get promises(): number {
    return this.#promises
  }

  /** One that stood before the start. */
  restore(asker: NodeId): void {
    this.#shareOf(asker).promises++
    this.#promises++
  }

  /** Takes one more promise of so much time; false, and nothing is taken, if the asker has its share. */
  take(asker: NodeId, costMs: number, nowMs: number): boolean {
    const { promisesMax, perAskerMax } = this.#init
    const { promises } = this.#shareOf(asker)
    const free = promisesMax - this.#promises
    if (free <= 0 || promises >= Math.min(perAskerMax, Math.max(1, free * shareOfFree))) return this.#forgetIfNew(asker)
    if (!this.extend(asker, costMs, nowMs)) return this.#forgetIfNew(asker)
    this.#shareOf(asker).promises++
    this.#promises++
    return true
  }

  /** More time for one that stands. */
  extend(asker: NodeId, costMs: number, nowMs: number): boolean {
    const share = this.#refilled(asker, nowMs)
    if (share.leftMs < costMs) return false
    share.leftMs -= costMs
    return true
  }

  /** It is over, and so much of its time was not used. */
  giveBack(asker: NodeId, unusedMs: number, nowMs: number): void {
    const share = this.#refilled(asker, nowMs)
    share.promises = Math.max(0, share.promises - 1)
    share.leftMs = Math.min(this.#timeMax, share.leftMs + unusedMs)
    this.#promises = Math.max(0, this.#promises - 1)
  }

  /** As many as an honest one ever has, for as long as it asks for. */
  get #timeMax(): number {
    return this.#init.perAskerMax * this.#init.keepMs
  }

  #refilled(asker: NodeId, nowMs: number): Share {
    const share = this.#shareOf(asker)
    // Wall clocks are set back now and then: that is no time that has passed.
    share.leftMs = Math.min(this.#timeMax, share.leftMs + refill * Math.max(0, nowMs - (share.atMs ?? nowMs)))
    share.atMs = nowMs
    return share
  }

  #shareOf(asker: NodeId): Share {
    let share = this.#shares.get(asker)
    if (share === undefined) {
      if (this.#shares.size >= askersMax) this.#forgetOldest()
      this.#shares.set(asker, (share = { promises: 0, leftMs: this.#timeMax, atMs: undefined }))
    }
    return share
  }

  #forgetOldest(): void {
    for (const [asker, { promises }] of this.#shares) {
      if (promises > 0) continue
      this.#shares.delete(asker)
      return
    }
  }

  /** Who is refused the first it asks for takes no place here. */
  #forgetIfNew(asker: NodeId): false {
    const share = this.#shares.get(asker)
    if (share?.promises === 0 && share.leftMs >= this.#timeMax) this.#shares.delete(asker)
    return false
  }
}
