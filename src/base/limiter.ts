import { abortReason } from './abort.js'
import { CommonError } from './errors.js'

export interface LimiterInit {
  /** How many units of work run at once. */
  concurrency: number
  /** How many may wait; one more is refused with OVERLOADED. */
  queueMax?: number
}

/** At most `concurrency` pieces of work at once; the rest wait in order, up to `queueMax`. */
export class Limiter {
  readonly #init: LimiterInit
  #running = 0
  /** Set order is arrival order; removal on abort is O(1). */
  readonly #waiting = new Set<() => void>()

  constructor(init: LimiterInit) {
    this.#init = init
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.size
  }

  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    // Without a wait where there is room: a turn of the microtask queue is dear to who does this a hundred thousand times.
    if (this.#running < this.#init.concurrency) this.#running++
    else await this.#enter(signal)
    try {
      return await work()
    } finally {
      this.#leave()
    }
  }

  async #enter(signal?: AbortSignal): Promise<void> {
    const queueMax = this.#init.queueMax ?? Number.POSITIVE_INFINITY
    if (this.#waiting.size >= queueMax) {
      throw new CommonError('OVERLOADED', 'too much is waiting already', { queueMax })
    }
    await new Promise<void>((resolve, reject) => {
      const start = (): void => {
        signal?.removeEventListener('abort', onAbort)
        this.#running++
        resolve()
      }
      const onAbort = (): void => {
        this.#waiting.delete(start)
        reject(signal === undefined ? new Error('aborted') : abortReason(signal))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(start)
    })
  }

  #leave(): void {
    this.#running--
    for (const start of this.#waiting) {
      this.#waiting.delete(start)
      start()
      break
    }
  }
}

/** Applies `work` to every item, at most `concurrency` at once; resolves when all are done, rejects at the first error. */
export async function forEachLimit<T>(
  items: Iterable<T> | AsyncIterable<T>,
  concurrency: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>()
  let failed: { error: unknown } | undefined
  for await (const item of items) {
    if (failed !== undefined) break
    const one: Promise<void> = work(item)
      .catch((error: unknown) => {
        failed ??= { error }
      })
      .finally(() => {
        running.delete(one)
      })
    running.add(one)
    if (running.size >= concurrency) await Promise.race(running)
  }
  await Promise.all(running)
  if (failed !== undefined) throw failed.error
}

/**
 * What `work` makes of each item, in the order of the items, up to `concurrency` of them under way ahead of the consumer.
 * The first error ends it, after what runs has ended.
 */
export async function* mapInOrder<T, R>(items: AsyncIterable<T>, concurrency: number, work: (item: T) => Promise<R>): AsyncGenerator<R> {
  const ahead: Promise<R>[] = []
  const next = async (): Promise<R> => ahead.shift() as Promise<R>
  try {
    for await (const item of items) {
      const one = work(item)
      // It may fail before its turn comes: that is told then, and no unhandled rejection.
      one.catch(() => undefined)
      ahead.push(one)
      if (ahead.length >= concurrency) yield await next()
    }
    while (ahead.length > 0) yield await next()
  } finally {
    await Promise.allSettled(ahead)
  }
}
