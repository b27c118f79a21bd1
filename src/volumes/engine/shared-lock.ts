/**
 * Many at once, or one alone, in the order of asking: who asks after somebody that wants to be alone waits behind it.
 * Entering is immediate where nobody is in the way, so that the usual path costs no turn of the event loop.
 */
export class SharedLock {
  #shared = 0
  #alone = false
  readonly #waiting: { readonly alone: boolean; readonly enter: () => void }[] = []

  get idle(): boolean {
    return this.#shared === 0 && !this.#alone && this.#waiting.length === 0
  }

  /** Undefined: entered. Else: resolves when entered. */
  enter(): Promise<void> | undefined {
    if (!this.#alone && this.#waiting.length === 0) {
      this.#shared++
      return undefined
    }
    return new Promise((resolve) => this.#waiting.push({ alone: false, enter: resolve }))
  }

  leave(): void {
    this.#shared--
    this.#next()
  }

  async alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#shared > 0 || this.#alone || this.#waiting.length > 0) await new Promise<void>((resolve) => this.#waiting.push({ alone: true, enter: resolve }))
    else this.#alone = true
    try {
      return await work()
    } finally {
      this.#alone = false
      this.#next()
    }
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (this.#alone || (first.alone && this.#shared > 0)) return
      this.#waiting.shift()
      if (first.alone) this.#alone = true
      else this.#shared++
      first.enter()
    }
  }
}
