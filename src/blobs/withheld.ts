import type { CID } from 'multiformats/cid'
import { hashKeyOf } from './cids.js'

/**
 * Blocks that are here and go to nobody for a moment. By hash, as the store counts them: a block that two blobs share is the
 * same bytes, whichever of the two it is asked for.
 */
export class Withheld {
  /** How many have withheld it. */
  readonly #counts = new Map<string, number>()
  #wake: () => void = () => undefined
  #lifted = this.#nextLift()

  has(cid: CID): boolean {
    return this.#counts.size > 0 && this.#counts.has(hashKeyOf(cid))
  }

  /** Resolves at the next moment at which something is lifted. */
  get lifted(): Promise<void> {
    return this.#lifted
  }

  /** Until the function is called; calling it again changes nothing. */
  add(cids: readonly CID[]): () => void {
    const keys = [...new Set(cids.map(hashKeyOf))]
    for (const key of keys) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      for (const key of keys) {
        const left = (this.#counts.get(key) ?? 1) - 1
        if (left > 0) this.#counts.set(key, left)
        else this.#counts.delete(key)
      }
      const wake = this.#wake
      this.#lifted = this.#nextLift()
      wake()
    }
  }

  #nextLift(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
