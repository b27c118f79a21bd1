import { abortReason } from '../base/index.js'

/** So many bytes at once; the rest wait in order. What is larger than all of it passes alone. */
export class ByteBudget {
  readonly #max: number
  #used = 0
  readonly #waiting: { bytes: number; grant: () => void }[] = []

  constructor(max: number) {
    this.#max = max
  }

  get used(): number {
    return this.#used
  }

  /** Whether they could be taken at once, and were. */
  tryTake(bytes: number): boolean {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) return false
    this.#used += bytes
    return true
  }

  /** Resolves when `bytes` are taken; give them back with `release`. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.tryTake(bytes)) return
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1)
        reject(signal === undefined ? new Error('aborted') : abortReason(signal))
        this.#grantWaiting()
      }
      const entry = {
        bytes,
        grant: (): void => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      if (signal?.aborted === true) {
        reject(abortReason(signal))
        return
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(entry)
    })
  }

  release(bytes: number): void {
    this.#used -= bytes
    this.#grantWaiting()
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#max
  }

  #grantWaiting(): void {
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined || !this.#fits(next.bytes)) return
      this.#waiting.shift()
      this.#used += next.bytes
      next.grant()
    }
  }
}
