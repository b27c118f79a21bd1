import { blockBytesMax } from './settings.js'

/**
 * Buffers of a block's size that are used again.
 *
 * A mebibyte of new memory for each block is 256 pages that the kernel clears, and bytes that V8 counts but does not
 * see: after 64 MiB of them it walks through the whole heap, however little garbage there is on it. That was a fifth of
 * the processor while a large file came in.
 *
 * Counted, since a block may be on its way to the disk and to a reader at once. Whoever forgets to release one loses
 * nothing: it is garbage then, like any other. Whoever releases what somebody still reads would hand them other bytes;
 * so only those release who know all who have it (the fetch, the import, and the reader to whom the fetch gave it).
 */
class BlockBuffers {
  readonly #free: Buffer[] = []
  readonly #owners = new WeakMap<ArrayBufferLike, number>()
  #users = 0

  /** Of any content. Smaller ones than half a block are new each time: they are cheap, and would waste the rest. */
  take(bytes: number): Buffer {
    if (bytes > blockBytesMax || bytes <= blockBytesMax / 2) return Buffer.allocUnsafeSlow(bytes)
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(blockBytesMax)
    this.#owners.set(buffer.buffer, 1)
    return buffer.subarray(0, bytes)
  }

  /** Whether it came from here, and is used again once all have released it. */
  has(bytes: Uint8Array): boolean {
    return this.#owners.has(bytes.buffer)
  }

  /** One more who has it. */
  share(bytes: Uint8Array): void {
    const owners = this.#owners.get(bytes.buffer)
    if (owners !== undefined) this.#owners.set(bytes.buffer, owners + 1)
  }

  /** Not touched any more by the caller. What did not come from here is let be. */
  release(bytes: Uint8Array): void {
    const owners = this.#owners.get(bytes.buffer)
    if (owners === undefined) return
    if (owners > 1) {
      this.#owners.set(bytes.buffer, owners - 1)
      return
    }
    this.#owners.delete(bytes.buffer)
    if (this.#users > 0 && this.#free.length < freeMax) this.#free.push(Buffer.from(bytes.buffer))
  }

  /** Bytes of one's own in place of those from here, which are released. */
  copied(bytes: Uint8Array): Uint8Array {
    if (!this.has(bytes)) return bytes
    const copy = Buffer.allocUnsafeSlow(bytes.length)
    copy.set(bytes)
    this.release(bytes)
    return copy
  }

  /** While `work` goes on buffers are kept; after the last of them the memory is given back. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#users++
    try {
      return await work()
    } finally {
      if (--this.#users === 0) this.#free.length = 0
    }
  }
}

/** What all transfers together keep for the next block, 16 MiB: what is on its way to the disk at once, and to a reader. */
const freeMax = 16

/** One for the process, like the memory that it is about. */
export const blockBuffers = new BlockBuffers()
