import type { BlockRange } from '../geometry.js'

export interface Claim extends BlockRange {
  granted: boolean
  readonly enter: () => void
}

/**
 * Exclusive locks of block ranges of one segment, in the order of asking: a claim waits for every overlapping one before
 * it. That gives each block one order of writes, keeps a read-modify-write whole, and freezes a range for a hand-off: what
 * is under way is waited for, and what comes later waits.
 */
export class RangeLock {
  /** In order of asking. Writes of one segment under way are few enough that a list is quicker than a tree. */
  readonly #claims: Claim[] = []

  get size(): number {
    return this.#claims.length
  }

  isFree(range: BlockRange): boolean {
    for (const other of this.#claims) if (overlap(other, range)) return false
    return true
  }

  /** For who would not wait: the claim, for `release`; undefined if it is not free. */
  take(range: BlockRange): Claim | undefined {
    if (!this.isFree(range)) return undefined
    const claim: Claim = { start: range.start, blocks: range.blocks, granted: true, enter: noWait }
    this.#claims.push(claim)
    return claim
  }

  /** A release when granted at once; else a promise of one. */
  lock(range: BlockRange): (() => void) | Promise<() => void> {
    let enter: (() => void) | undefined
    const claim: Claim = { start: range.start, blocks: range.blocks, granted: this.isFree(range), enter: () => enter?.() }
    this.#claims.push(claim)
    const release = (): void => { this.release(claim) }
    if (claim.granted) return release
    return new Promise((resolve) => { enter = () => { resolve(release) } })
  }

  /** Of what was taken, once. */
  release(claim: Claim): void {
    this.#claims.splice(this.#claims.indexOf(claim), 1)
    for (let i = 0; i < this.#claims.length; i++) {
      const waiting = this.#claims[i] as Claim
      if (waiting.granted || !overlap(waiting, claim)) continue
      if (this.#claims.slice(0, i).some((other) => overlap(other, waiting))) continue
      waiting.granted = true
      waiting.enter()
    }
  }
}

function noWait(): void {
  // It was granted at once.
}

export function overlap(a: BlockRange, b: BlockRange): boolean {
  return a.start < b.start + b.blocks && b.start < a.start + a.blocks
}

export function covers(outer: BlockRange, inner: BlockRange): boolean {
  return outer.start <= inner.start && inner.start + inner.blocks <= outer.start + outer.blocks
}

/** Whether the parts together have all of it. */
export function coveredBy(parts: readonly BlockRange[], range: BlockRange): boolean {
  let next = range.start
  for (const part of [...parts].sort((a, b) => a.start - b.start)) if (part.start <= next) next = Math.max(next, part.start + part.blocks)
  return next >= range.start + range.blocks
}

/** What both have; undefined if nothing. */
export function intersection(a: BlockRange, b: BlockRange): BlockRange | undefined {
  const start = Math.max(a.start, b.start)
  const end = Math.min(a.start + a.blocks, b.start + b.blocks)
  return end > start ? { start, blocks: end - start } : undefined
}
