import { Uint8ArrayList } from 'uint8arraylist'

/**
 * Frames on their way out. All that is pushed within one turn of the event loop leaves as one chunk, so that a burst of
 * small messages costs one write, one TLS record and one wake-up of the other side.
 */
export class Outbox implements AsyncIterable<Uint8ArrayList> {
  #pending = new Uint8ArrayList()
  #ended = false
  #scheduled = false
  #wakeReader: (() => void) | undefined
  readonly #wakeWriters = new Set<() => void>()
  readonly #highWaterBytes: number

  constructor(init: { highWaterBytes: number }) {
    this.#highWaterBytes = init.highWaterBytes
  }

  get bytes(): number {
    return this.#pending.byteLength
  }

  push(frame: Uint8ArrayList): void {
    if (this.#ended) return
    this.#pending.append(frame)
    if (this.#wakeReader !== undefined && !this.#scheduled) {
      this.#scheduled = true
      // After this turn's microtasks: whoever else was woken by the same event has pushed by then.
      process.nextTick(() => {
        this.#scheduled = false
        this.#wakeReader?.()
      })
    }
  }

  /** Resolves at once, or when what waits has fallen below the high water mark. */
  async room(): Promise<void> {
    while (this.bytes > this.#highWaterBytes && !this.#ended) {
      await new Promise<void>((resolve) => this.#wakeWriters.add(resolve))
    }
  }

  end(): void {
    this.#ended = true
    this.#wakeReader?.()
    this.#wake()
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8ArrayList, void> {
    return {
      next: async () => {
        while (this.#pending.byteLength === 0) {
          if (this.#ended) return { done: true, value: undefined }
          await new Promise<void>((resolve) => {
            this.#wakeReader = resolve
          })
          this.#wakeReader = undefined
        }
        const value = this.#pending
        this.#pending = new Uint8ArrayList()
        this.#wake()
        return { done: false, value }
      },
      return: async () => {
        this.end()
        return { done: true, value: undefined }
      },
    }
  }

  #wake(): void {
    for (const wake of this.#wakeWriters) wake()
    this.#wakeWriters.clear()
  }
}
