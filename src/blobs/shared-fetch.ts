import { raceAbort } from '../base/index.js'
import { Arrivals } from './fetching.js'
import type { HolderPool } from './holder-pool.js'
import type { BlobRef, FetchOptions, HeldBlob, Progress } from './types.js'

/**
 * One fetch of a blob for all who want it at the same time. It ends when the last of them has gone; a newcomer's
 * holders join the pool.
 */
export class SharedFetch {
  readonly arrivals = new Arrivals()
  #abandoned = false
  readonly #listeners = new Set<(progress: Progress) => void>()
  readonly #contentListeners = new Set<(bytes: Uint8Array) => void>()
  readonly #pool: HolderPool
  readonly #result: Promise<HeldBlob>
  #waiting = 0
  #over = false

  readonly kind: BlobRef['kind']

  constructor(
    kind: BlobRef['kind'],
    pool: HolderPool,
    work: (shared: SharedFetch, pool: HolderPool) => Promise<HeldBlob>,
  ) {
    this.kind = kind
    this.#pool = pool
    this.#result = work(this, pool).finally(() => {
      this.#over = true
      this.#pool.close()
      this.arrivals.end()
    })
    this.#result.catch(() => undefined)
  }

  /** Nobody waits any more, and it is about to end: a newcomer starts anew after it. */
  get abandoned(): boolean {
    return this.#abandoned
  }

  /** Settles, never rejects, when all is over. */
  async settled(): Promise<void> {
    await this.#result.catch(() => undefined)
  }

  progress(progress: Progress): void {
    for (const listener of this.#listeners) listener(progress)
  }

  content(bytes: Uint8Array): void {
    for (const listener of this.#contentListeners) listener(bytes)
  }

  async join(options: FetchOptions): Promise<HeldBlob> {
    this.#waiting++
    this.#pool.add(options.holders ?? [])
    const { onProgress, onContent, signal } = options
    if (onProgress !== undefined) this.#listeners.add(onProgress)
    if (onContent !== undefined) this.#contentListeners.add(onContent)
    try {
      return await raceAbort(this.#result, signal)
    } finally {
      if (onProgress !== undefined) this.#listeners.delete(onProgress)
      if (onContent !== undefined) this.#contentListeners.delete(onContent)
      if (--this.#waiting === 0 && !this.#over) {
        this.#abandoned = true
        this.#pool.close()
      }
    }
  }
}
