/**
 * Who waits for a scope at its holder: agents of this node and other nodes, in one line. Higher priority first; equals by
 * since when they wait, wherever they waited: the line is in the askers' own words, which they repeat, so it moves with
 * the scope and needs no copying. A remote waiter that has not repeated itself for a while has gone. Priorities may starve
 * nobody: who has stood in this line for longer than the limit goes first, longest first, whatever its priority.
 */
export interface Waiter {
  readonly key: string
  readonly priority: number
  readonly sinceMs: number
  /** Undefined: local, stays until it is removed. */
  readonly until: number | undefined
}

interface Standing<W> {
  readonly waiter: W
  /** Since when it stands here, by this node's clock: a waiter's own `sinceMs` is not to be trusted with this. */
  readonly fromMs: number
}

export class Waiters<W extends Waiter> {
  readonly #waiting = new Map<string, Standing<W>>()
  readonly #max: number
  readonly #starvationMs: number

  constructor(init: { max: number; starvationMs: number }) {
    this.#max = init.max
    this.#starvationMs = init.starvationMs
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Joins the line, or says again that it stands there. False: the line is full. */
  put(waiter: W, nowMs: number): boolean {
    const before = this.#waiting.get(waiter.key)
    if (before === undefined && this.#waiting.size >= this.#max) return false
    this.#waiting.set(waiter.key, { waiter, fromMs: before?.fromMs ?? nowMs })
    return true
  }

  remove(key: string): void {
    this.#waiting.delete(key)
  }

  /** All of a kind leave the line: they go on waiting elsewhere. */
  takeAll(counts: (waiter: W) => boolean): W[] {
    const found = [...this.#waiting.values()].map(({ waiter }) => waiter).filter(counts)
    for (const { key } of found) this.#waiting.delete(key)
    return found
  }

  /** Whose turn it is, among those that `counts` lets through. */
  first(nowMs: number, counts: (waiter: W) => boolean = () => true): W | undefined {
    let best: Standing<W> | undefined
    for (const standing of this.#waiting.values()) {
      const { waiter } = standing
      if (waiter.until !== undefined && waiter.until < nowMs) this.#waiting.delete(waiter.key)
      else if (counts(waiter) && (best === undefined || this.#isBefore(standing, best, nowMs))) best = standing
    }
    return best?.waiter
  }

  #isBefore(a: Standing<W>, b: Standing<W>, nowMs: number): boolean {
    const starved = [a, b].map(({ fromMs }) => nowMs - fromMs >= this.#starvationMs)
    if (starved[0] !== starved[1]) return starved[0] === true
    if (starved[0] === true && a.fromMs !== b.fromMs) return a.fromMs < b.fromMs
    const [x, y] = [a.waiter, b.waiter]
    if (x.priority !== y.priority) return x.priority > y.priority
    return x.sinceMs !== y.sinceMs ? x.sinceMs < y.sinceMs : x.key < y.key
  }
}
