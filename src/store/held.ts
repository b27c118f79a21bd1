import type { BlockPlace } from './block-log.js'

/** Who keeps a block in memory: a draft, by its id. */
export interface Holder {
  readonly id: string
  /** The block's marker of this draft is on disk now: it need not be remembered. */
  marked(key: string): void
}

/** A block that open drafts hold and that their markers on disk do not say yet. */
export interface Held {
  readonly key: string
  /** Where its new bytes are; undefined if the index has the block and the draft merely keeps it from being deleted. */
  place: BlockPlace | undefined
  size: number
  /** `ready` has resolved to true. */
  here: boolean
  readonly holders: Set<Holder>
  /** Resolves when it is known whether the block is here: true. Rejects if its bytes could not be written. */
  ready: Promise<boolean>
}

/**
 * The blocks of open drafts, as an overlay on the index: by map key of the multihash. A block enters it before anybody
 * looks into the index, and leaves it after the index was written, so that two drafts that bring the same block meet
 * here, and a release sees who still wants it.
 */
export class HeldBlocks {
  readonly #held = new Map<string, Held>()
  #bytes = 0

  get(key: string): Held | undefined {
    return this.#held.get(key)
  }

  get count(): number {
    return this.#held.size
  }

  /** Bytes in the log that only memory knows of. */
  get bytes(): number {
    return this.#bytes
  }

  add(held: Held): void {
    this.#held.set(held.key, held)
  }

  placed(held: Held, place: BlockPlace, size: number): void {
    held.place = place
    held.size = size
    this.#bytes += size
  }

  /** The index has it now, at the same place. */
  indexed(held: Held): void {
    if (held.place !== undefined) this.#bytes -= held.size
    held.place = undefined
    this.#dropIfFree(held)
  }

  leave(held: Held, holder: Holder): void {
    held.holders.delete(holder)
    this.#dropIfFree(held)
  }

  forget(held: Held): void {
    if (this.#held.get(held.key) === held) this.#held.delete(held.key)
    if (held.place !== undefined) this.#bytes -= held.size
    held.place = undefined
    held.holders.clear()
  }

  #dropIfFree(held: Held): void {
    if (held.holders.size === 0 && held.place === undefined && this.#held.get(held.key) === held) this.#held.delete(held.key)
  }
}
