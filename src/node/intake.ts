import { codeOf } from '../base/index.js'
import type { FileSpread, Replication } from '../replication/index.js'
import type { Priority } from '../storage-policy/index.js'

/** Room for a stream is asked for in steps, each twice the last, so that a small file reserves (and evicts) little… */
const stepBytesMin = 256 * 1024
/** …and a large one asks seldom: once in eight blocks. */
const stepBytesMax = 8 * 2 ** 20
/** A smaller file is one blob however it is cut. */
const spreadBytesMin = 8 * 2 ** 20
/** While a file is being spread room is tight, and what is reserved ahead is room that nobody can use. */
const spreadStepBytes = 2 * 2 ** 20
const spreadStepsKept = 8
/** Steps that stay reserved behind the one being filled: the store has at most 16 MiB in its queue that no measurement sees. */
const stepsKept = 3

type Reserved = Awaited<ReturnType<Replication['reserve']>>

/**
 * Makes sure that there is room before bytes come in, and evicts for it where that is allowed. A stream cannot be asked
 * for twice, so whoever runs out in the middle has lost it: hence all of a known size is reserved at the start, and of an
 * unknown one always the next piece.
 */
export class Intake {
  readonly #replication: Pick<Replication, 'reserve' | 'spread'>

  constructor(components: { replication: Pick<Replication, 'reserve' | 'spread'> }) {
    this.#replication = components.replication
  }

  /**
   * `work` must read `content` as it is given, and spread the file if it is told to; of that `root` is then the name.
   * Throws NO_SPACE.
   */
  async store<T>(
    content: AsyncIterable<Uint8Array>,
    file: { size: number | undefined; priority: Priority; replicas?: number | undefined; signal?: AbortSignal | undefined },
    work: (content: AsyncIterable<Uint8Array>, spread?: FileSpread) => Promise<T>,
    root: (made: T) => string,
  ): Promise<T> {
    const { size, signal } = file
    if (size === undefined) return work(this.through(content, signal))
    let reserved: Reserved
    try {
      reserved = await this.#replication.reserve(size, signal, { orNothing: size >= spreadBytesMin })
    } catch (error) {
      signal?.throwIfAborted()
      if (codeOf(error) !== 'NO_SPACE' || size < spreadBytesMin) throw error
      return this.#spread(content, { ...file, size }, work, root)
    }
    try {
      return await work(content)
    } finally {
      await reserved.release()
    }
  }

  async #spread<T>(
    content: AsyncIterable<Uint8Array>,
    { size, priority, replicas, signal }: { size: number; priority: Priority; replicas?: number | undefined; signal?: AbortSignal | undefined },
    work: (content: AsyncIterable<Uint8Array>, spread: FileSpread) => Promise<T>,
    root: (made: T) => string,
  ): Promise<T> {
    const spread = await this.#replication.spread({ bytes: size, priority, replicas })
    let made: T
    try {
      made = await work(this.through(content, signal, size, (bytes) => spread.reserve(bytes, signal)), spread)
    } catch (error) {
      await spread.giveUp()
      throw error
    }
    await spread.settle(root(made))
    return made
  }

  /** The same bytes, each piece only when there is room for it. `size`: of all, if somebody says. */
  async *through(
    content: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
    size = Number.POSITIVE_INFINITY,
    patiently?: (bytes: number) => Promise<Reserved>,
  ): AsyncIterable<Uint8Array> {
    const next = async (leastBytes: number, stepBytes: number): Promise<{ reserved: Reserved; bytes: number }> => {
      if (patiently === undefined) return this.#next(leastBytes, stepBytes, signal)
      const bytes = Math.max(leastBytes, Math.min(stepBytes, spreadStepBytes))
      return { reserved: await patiently(bytes), bytes }
    }
    const steps: Reserved[] = []
    let left = 0
    let stepBytes = stepBytesMin
    let passed = 0
    try {
      for await (const chunk of content) {
        if (chunk.length > left) {
          const { reserved, bytes } = await next(chunk.length, Math.min(stepBytes, size - passed))
          steps.push(reserved)
          left = bytes
          stepBytes = Math.min(stepBytesMax, 2 * stepBytes)
          if (steps.length > (patiently === undefined ? stepsKept : spreadStepsKept)) await steps.shift()?.release()
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
