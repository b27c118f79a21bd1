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
const keptFreeMin = 28 * 2 ** 20
/**
 * Of a stream of unknown size it shows only at the end of the room that it must be spread, and to spread it takes room:
 * what the stream has on its way, and two of the blobs that it is cut into from then on (`storage-policy/spread.ts`). So
 * much is kept free for it as soon as there is less than twice as much: more where there is much, for larger blobs.
 */
const keptFree = [
  { bytes: 96 * 2 ** 20, blobBytes: 32 * 2 ** 20 },
  { bytes: keptFreeMin, blobBytes: 4 * 2 ** 20 },
] as const
/** Steps that stay reserved behind the one being filled: the store has at most 16 MiB in its queue that no measurement sees. */
const stepsKept = 3

/** A spread that may begin in the middle. */
interface LateSpread {
  readonly now: SpreadNow
  begin(heldBytes: number, blobBytesMax: number): Promise<void>
}

type Reserved = Awaited<ReturnType<Replication['reserve']>>

export interface IntakeComponents {
  readonly replication: Pick<Replication, 'reserve' | 'spread'> & { quota: () => Promise<{ freeForOwnBytes: number; roomForOwnBytes: number }> }
}

/** Asked for every leaf: from when on the file is spread, if it is. */
export type SpreadNow = () => FileSpread | undefined

/**
 * Makes sure that there is room before bytes come in, and evicts for it where that is allowed. A stream cannot be asked
 * for twice, so whoever runs out in the middle has lost it: hence all of a known size is reserved at the start, and of an
 * unknown one always the next piece, until there is no room; then the rest, and what came before, is spread.
 */
export class Intake {
  readonly #replication: IntakeComponents['replication']

  constructor(components: IntakeComponents) {
    this.#replication = components.replication
  }

  /**
   * `work` must read `content` as it is given, and spread the file if it is told to; of that `root` is then the name.
   * Throws NO_SPACE.
   */
  async store<T>(
    content: AsyncIterable<Uint8Array>,
    file: { size: number | undefined; priority: Priority; replicas?: number | undefined; signal?: AbortSignal | undefined },
    work: (content: AsyncIterable<Uint8Array>, spread: SpreadNow) => Promise<T>,
    root: (made: T) => string,
  ): Promise<T> {
    const { size, signal } = file
    if (size === undefined) return this.#unknown(content, file, work, root)
    let reserved: Reserved
    try {
      reserved = await this.#replication.reserve(size, signal, { orNothing: size >= spreadBytesMin })
    } catch (error) {
      signal?.throwIfAborted()
      if (codeOf(error) !== 'NO_SPACE' || size < spreadBytesMin) throw error
      return this.#spread(content, { ...file, size }, work, root)
    }
    try {
      return await work(content, () => undefined)
    } finally {
      await reserved.release()
    }
  }

  /** For what is at hand already. Throws NO_SPACE. */
  async room(bytes: number, signal: AbortSignal | undefined): Promise<Reserved> {
    return this.#replication.reserve(bytes, signal)
  }

  async #spread<T>(
    content: AsyncIterable<Uint8Array>,
    { size, priority, replicas, signal }: { size: number; priority: Priority; replicas?: number | undefined; signal?: AbortSignal | undefined },
    work: (content: AsyncIterable<Uint8Array>, spread: SpreadNow) => Promise<T>,
    root: (made: T) => string,
  ): Promise<T> {
    const spread = await this.#replication.spread({ bytes: size, priority, replicas }, signal)
    return this.#settled(work(this.through(content, signal, size, () => spread), () => spread), () => spread, root)
  }

  /** Spread only if it turns out to be larger than the room. */
  async #unknown<T>(
    content: AsyncIterable<Uint8Array>,
    { priority, replicas, signal }: { priority: Priority; replicas?: number | undefined; signal?: AbortSignal | undefined },
    work: (content: AsyncIterable<Uint8Array>, spread: SpreadNow) => Promise<T>,
    root: (made: T) => string,
  ): Promise<T> {
    let spread: FileSpread | undefined
    const late: LateSpread = {
      now: () => spread,
      begin: async (heldBytes, blobBytesMax) => {
        spread = await this.#replication.spread({ bytes: heldBytes + 2 * blobBytesMax, heldBytes, blobBytesMax, priority, replicas }, signal)
      },
    }
    return this.#settled(work(this.#growing(content, signal, late), late.now), late.now, root)
  }

  async #settled<T>(working: Promise<T>, spread: SpreadNow, root: (made: T) => string): Promise<T> {
    let made: T
    try {
      made = await working
    } catch (error) {
      await spread()?.giveUp()
      throw error
    }
    await spread()?.settle(root(made))
    return made
  }

  /** Room piece by piece; where there is none left, it is spread from then on. */
  async *#growing(content: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined, late: LateSpread): AsyncIterable<Uint8Array> {
    let free: { reserved: Reserved; blobBytes: number } | undefined
    let passed = 0
    const look = async (): Promise<void> => {
      if (free !== undefined || late.now() !== undefined) return
      const { freeForOwnBytes, roomForOwnBytes } = await this.#replication.quota()
      for (const { bytes, blobBytes } of keptFree) {
        if (freeForOwnBytes >= 2 * bytes) return
        // Most streams are small: for those nothing is evicted, and kept only what would be gone when it shows that one is not.
        if (passed < spreadBytesMin && (bytes > keptFreeMin || roomForOwnBytes < bytes || freeForOwnBytes >= bytes + 2 * spreadBytesMin)) continue
        try {
          free = { reserved: await this.#replication.reserve(bytes, signal, { orNothing: true }), blobBytes }
          return
        } catch (error) {
          signal?.throwIfAborted()
          if (codeOf(error) !== 'NO_SPACE') throw error
        }
      }
    }
    const short = async (error: unknown): Promise<FileSpread> => {
      if (codeOf(error) !== 'NO_SPACE' || free === undefined) throw error
      const { reserved, blobBytes } = free
      free = undefined
      await reserved.release()
      await late.begin(passed, blobBytes)
      const spread = late.now()
      if (spread === undefined) throw error
      return spread
    }
    try {
      for await (const chunk of this.through(content, signal, Number.POSITIVE_INFINITY, late.now, { look, short })) {
        passed += chunk.length
        yield chunk
      }
    } finally {
      await free?.reserved.release()
    }
  }

  /** The same bytes, each piece only when there is room for it. `size`: of all, if somebody says. */
  async *through(
    content: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
    size = Number.POSITIVE_INFINITY,
    spread: SpreadNow = () => undefined,
    growing?: { look: () => Promise<void>; short: (error: unknown) => Promise<FileSpread> },
  ): AsyncIterable<Uint8Array> {
    const next = async (leastBytes: number, stepBytes: number): Promise<{ reserved: Reserved; bytes: number }> => {
      let spreading = spread()
      if (spreading === undefined) {
        await growing?.look()
        try {
          return await this.#next(leastBytes, stepBytes, signal)
        } catch (error) {
          if (growing === undefined || signal?.aborted === true) throw error
          spreading = await growing.short(error)
        }
      }
      const bytes = Math.max(leastBytes, Math.min(stepBytes, spreadStepBytes))
      return { reserved: await spreading.reserve(bytes, signal), bytes }
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
          if (steps.length > (spread() === undefined ? stepsKept : spreadStepsKept)) await steps.shift()?.release()
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
