import { codeOf } from '../base/index.js'
import type { Replication } from '../replication/index.js'

/** Room for a stream is asked for in steps, each twice the last, so that a small file reserves (and evicts) little… */
const stepBytesMin = 256 * 1024
/** …and a large one asks seldom: once in eight blocks. */
const stepBytesMax = 8 * 2 ** 20
/** Steps that stay reserved behind the one being filled: the store has at most 16 MiB in its queue that no measurement sees. */
const stepsKept = 3

type Reserved = Awaited<ReturnType<Replication['reserve']>>

/**
 * Makes sure that there is room before bytes come in, and evicts for it where that is allowed. A stream cannot be asked
 * for twice, so whoever runs out in the middle has lost it: hence all of a known size is reserved at the start, and of an
 * unknown one always the next piece.
 */
export class Intake {
  readonly #replication: Pick<Replication, 'reserve'>

  constructor(components: { replication: Pick<Replication, 'reserve'> }) {
    this.#replication = components.replication
  }

  /** `work` must read `content` as it is given. Throws NO_SPACE. */
  async store<T>(content: AsyncIterable<Uint8Array>, size: number | undefined, signal: AbortSignal | undefined, work: (content: AsyncIterable<Uint8Array>) => Promise<T>): Promise<T> {
    if (size === undefined) return work(this.through(content, signal))
    const reserved = await this.#replication.reserve(size, signal)
    try {
      return await work(content)
    } finally {
      await reserved.release()
    }
  }

  /** The same bytes, each piece only when there is room for it. `size`: of all, if somebody says. */
  async *through(content: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined, size = Number.POSITIVE_INFINITY): AsyncIterable<Uint8Array> {
    const steps: Reserved[] = []
    let left = 0
    let stepBytes = stepBytesMin
    let passed = 0
    try {
      for await (const chunk of content) {
        if (chunk.length > left) {
          const { reserved, bytes } = await this.#next(chunk.length, Math.min(stepBytes, size - passed), signal)
          steps.push(reserved)
          left = bytes
          stepBytes = Math.min(stepBytesMax, 2 * stepBytes)
          if (steps.length > stepsKept) await steps.shift()?.release()
        }
        left -= chunk.length
        passed += chunk.length
        yield chunk
      }
    } finally {
      for (const step of steps) await step.release()
    }
  }

  /** A whole step; on a node that is nearly full, as much as is needed now. */
  async #next(leastBytes: number, stepBytes: number, signal: AbortSignal | undefined): Promise<{ reserved: Reserved; bytes: number }> {
    if (leastBytes < stepBytes) {
      try {
        return { reserved: await this.#replication.reserve(stepBytes, signal), bytes: stepBytes }
      } catch (error) {
        signal?.throwIfAborted()
        if (codeOf(error) !== 'NO_SPACE') throw error
      }
    }
    return { reserved: await this.#replication.reserve(leastBytes, signal), bytes: leastBytes }
  }
}
