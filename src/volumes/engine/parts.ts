import type { SegmentId } from '../replica-types.js'
import type { EngineContext } from './context.js'
import { keyOf } from './registers.js'
import { SegmentPart } from './segment-part.js'

/**
 * The segments that this node has to do with, each as one object for as long as anybody uses it. Two of one segment would
 * each begin to hold the same token and number its writes from the same place: two writes under one number.
 */
export class Parts {
  readonly #context: EngineContext
  readonly #parts = new Map<string, SegmentPart>()

  constructor(context: EngineContext) {
    this.#context = context
  }

  /** For an open volume: in use until `close` is called on it, once. */
  open(id: SegmentId): SegmentPart {
    const part = this.#take(id)
    part.openings++
    return part
  }

  #take(id: SegmentId): SegmentPart {
    const key = keyOf(id)
    let part = this.#parts.get(key)
    if (part === undefined) this.#parts.set(key, (part = new SegmentPart(this.#context, id)))
    part.users++
    return part
  }

  async using<T>(id: SegmentId, work: (part: SegmentPart) => Promise<T>): Promise<T> {
    const part = this.#take(id)
    try {
      return await work(part)
    } finally {
      part.release()
    }
  }

  /** That of the segment, if there is one by now. */
  get(key: string): SegmentPart | undefined {
    return this.#parts.get(key)
  }

  all(): SegmentPart[] {
    return [...this.#parts.values()]
  }

  /** Lets go of what nobody uses and nothing is held of. */
  sweep(): void {
    for (const [key, part] of this.#parts) {
      if (part.users > 0 || !part.holder.idle || part.takeover.isWatching) continue
      part.isGone = true
      this.#parts.delete(key)
    }
  }
}
