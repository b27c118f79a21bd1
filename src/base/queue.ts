import { abortReason } from './abort.js'

/**
 * A queue with a bound between a producer and a consumer: `push` waits while it is full, the consumer iterates. Ends
 * with `end()` (after what is queued has been read) or `fail(error)` (at once).
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #capacity: number
  readonly #items: T[] = []
  #head = 0
  #ended = false
  #error: { error: unknown } | undefined
  #wakeConsumer: (() => void) | undefined
  readonly #wakeProducers = new Set<() => void>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#items.length - this.#head
  }

  async push(item: T, signal?: AbortSignal): Promise<void> {
    while (this.size >= this.#capacity && !this.#ended && this.#error === undefined) {
      signal?.throwIfAborted()
      await new Promise<void>((resolve, reject) => {
        const onAbort = (): void => {
          this.#wakeProducers.delete(wake)
          reject(signal === undefined ? new Error('aborted') : abortReason(signal))
        }
        const wake = (): void => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        }
        signal?.addEventListener('abort', onAbort, { once: true })
        this.#wakeProducers.add(wake)
      })
    }
    if (this.#error !== undefined) throw this.#error.error
    if (this.#ended) throw new Error('push after end')
    this.#items.push(item)
    this.#wakeConsumer?.()
  }

  end(): void {
    this.#ended = true
    this.#wakeAll()
  }

  fail(error: unknown): void {
    this.#error ??= { error }
    this.#wakeAll()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        if (this.#error !== undefined) throw this.#error.error
        if (this.size > 0) {
          const item = this.#items[this.#head] as T
          this.#items[this.#head] = undefined as T
          this.#head++
          if (this.#head > 64 && this.#head * 2 > this.#items.length) {
            this.#items.splice(0, this.#head)
            this.#head = 0
          }
          for (const wake of this.#wakeProducers) {
            this.#wakeProducers.delete(wake)
            wake()
            break
          }
          yield item
          continue
        }
        if (this.#ended) return
        await new Promise<void>((resolve) => {
          this.#wakeConsumer = resolve
        })
        this.#wakeConsumer = undefined
      }
    } finally {
      // A consumer that leaves early must not leave producers waiting for ever.
      this.#ended = true
      this.#wakeAll()
    }
  }

  #wakeAll(): void {
    this.#wakeConsumer?.()
    for (const wake of this.#wakeProducers) wake()
    this.#wakeProducers.clear()
  }
}
