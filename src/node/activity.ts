import type { Clock } from '../base/index.js'

/** Whoever puts one file after another pauses for less than this between them. */
const lingerMs = 100

/** Whether somebody is putting or reading at this node right now, so that what can wait may step back. */
export class Activity {
  readonly #clock: Clock
  #under = 0
  #endedAtMs = Number.NEGATIVE_INFINITY

  constructor(components: { clock: Clock }) {
    this.#clock = components.clock
  }

  get isBusy(): boolean {
    return this.#under > 0 || this.#clock.monotonicMs() - this.#endedAtMs < lingerMs
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#under++
    try {
      return await work()
    } finally {
      this.#end()
    }
  }

  /** The same items; it is work from the first that is asked for until the reader is done or gone. */
  async *while<T>(items: AsyncIterable<T>): AsyncIterable<T> {
    this.#under++
    try {
      yield* items
    } finally {
      this.#end()
    }
  }

  #end(): void {
    this.#under--
    this.#endedAtMs = this.#clock.monotonicMs()
  }
}
