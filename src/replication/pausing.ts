import type { Clock } from '../base/index.js'

/** Whether it is over by now: a signal may have aborted since it was last looked at, which the compiler does not know. */
export function isOver(signal: AbortSignal): boolean {
  return signal.aborted
}

/** Waits of any number of callers that end at the next `wake`, when their time is up, or when their signal aborts. Never rejects. */
export class Pauses {
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  wake(): void {
    for (const done of [...this.#waiting]) done()
  }

  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done)
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.#clock.setTimer(ms, done)
      this.#waiting.add(done)
      signal.addEventListener('abort', done, { once: true })
    })
  }
}
