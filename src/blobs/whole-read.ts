import type { CID } from 'multiformats/cid'
import { abortReason, codeOf } from '../base/index.js'
import type { BlockSource } from './block-source.js'
import type { Arrivals } from './fetching.js'
import type { BlobRef } from './types.js'

/**
 * Reading all of a file that is not here: its blobs are fetched one after another, in file order, and kept; the reader
 * follows close behind, taking each block as it lands, from memory where it keeps up. So the first byte comes after a round
 * trip and not after a gigabyte, a slow reader does not slow the fetch, and memory holds a read-ahead and no more.
 *
 * If the disk is full the reader goes on from holders and nothing more is kept.
 */
export interface WholeReadComponents {
  source: BlockSource
  /** Begins to fetch a blob, or joins whoever does; `arrivals` is undefined if it is held already. */
  fetch: (ref: BlobRef, signal: AbortSignal) => Promise<{ arrivals: Arrivals | undefined; done: Promise<unknown> }>
  blobs: () => Promise<readonly BlobRef[]>
}

export interface WholeReadInit {
  /** The file's spine, if it has one: its few nodes are wanted first and kept last. */
  spine: CID | undefined
  signal: AbortSignal | undefined
}

export class WholeRead {
  readonly #components: WholeReadComponents
  readonly #stop = new AbortController()
  readonly #keeping: Promise<void>
  readonly #spine: CID | undefined
  /** Of the blob that is being fetched. */
  #current: Arrivals | undefined
  #ended = false
  #failure: { error: unknown } | undefined
  #step: Promise<void>
  #nextStep: () => void = () => undefined

  constructor(components: WholeReadComponents, { spine, signal }: WholeReadInit) {
    this.#spine = spine
    this.#components = components
    this.#step = this.#newStep()
    signal?.addEventListener('abort', () => this.#stop.abort(abortReason(signal)), { once: true, signal: this.#stop.signal })
    this.#keeping = this.#keep()
      .catch((error: unknown) => {
        this.#failure = { error }
      })
      .finally(() => {
        this.#ended = true
        this.#nextStep()
      })
  }

  async get(cid: CID, expectedBytes: number, blob: CID): Promise<Uint8Array> {
    const { source } = this.#components
    if (this.#spine !== undefined && blob.equals(this.#spine)) return source.get(cid, expectedBytes, blob)
    for (;;) {
      // Everything that could tell of a change is taken hold of before looking.
      const step = this.#step
      const ended = this.#ended
      const arrival = this.#current?.ended === false ? this.#current.wait(cid) : undefined
      try {
        const local = this.#current?.isDue(cid) === true ? undefined : await source.local(cid)
        if (local instanceof Uint8Array) return local
        if (local === 'damaged') return await source.get(cid, expectedBytes, blob)
        if (ended) {
          if (this.#failure !== undefined && codeOf(this.#failure.error) !== 'NO_SPACE') throw this.#failure.error
          return await source.get(cid, expectedBytes, blob)
        }
        // The fetch under way may bring it, or the next one.
        const arrived = await (arrival?.here ?? step)
        if (arrived !== undefined) return arrived
      } finally {
        arrival?.cancel()
      }
    }
  }

  /** All is kept that can be. */
  async finished(): Promise<void> {
    await this.#keeping
    if (this.#failure !== undefined && codeOf(this.#failure.error) !== 'NO_SPACE') throw this.#failure.error
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('nobody reads any more'))
    await this.#keeping
  }

  async #keep(): Promise<void> {
    for (const ref of await this.#components.blobs()) {
      if (this.#stop.signal.aborted) throw abortReason(this.#stop.signal)
      const { arrivals, done } = await this.#components.fetch(ref, this.#stop.signal)
      this.#current = arrivals
      this.#advance()
      await done
      this.#current = undefined
      this.#advance()
    }
  }

  #advance(): void {
    const wake = this.#nextStep
    this.#step = this.#newStep()
    wake()
  }

  #newStep(): Promise<void> {
    return new Promise((resolve) => {
      this.#nextStep = resolve
    })
  }
}
