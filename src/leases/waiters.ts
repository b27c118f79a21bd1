/**
 * Who waits for a scope at its holder: agents of this node and other nodes, in one line. Higher priority first; equals by
 * since when they wait, wherever they waited: the line is in the askers' own words, which they repeat, so it moves with
 * the scope and needs no copying. A remote waiter that has not repeated itself for a while has gone.
 */
export interface Waiter {
  readonly key: string
  readonly priority: number
  readonly sinceMs: number
  /** Undefined: local, stays until it is removed. */
  readonly until: number | undefined
}

export class Waiters<W extends Waiter> {
  readonly #waiting = new Map<string, W>()
  readonly #max: number

  constructor(init: { max: number }) {
    this.#max = init.max
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Joins the line, or says again that it stands there. False: the line is full. */
  put(waiter: W): boolean {
    if (!this.#waiting.has(waiter.key) && this.#waiting.size >= this.#max) return false
    this.#waiting.set(waiter.key, waiter)
    return true
  }

  remove(key: string): void {
    this.#waiting.delete(key)
  }

  first(nowMs: number): W | undefined {
    let best: W | undefined
    for (const waiter of this.#waiting.values()) {
      if (waiter.until !== undefined && waiter.until < nowMs) {
        this.#waiting.delete(waiter.key)
        continue
      }
      if (best === undefined || waiter.priority > best.priority || (waiter.priority === best.priority && (waiter.sinceMs < best.sinceMs || (waiter.sinceMs === best.sinceMs && waiter.key < best.key)))) best = waiter
    }
    return best
  }
}
