import { spareMemory } from '../../base/index.js'

/** What short entries share: less would be new memory each time, and more would be kept for the sake of a few blocks. */
const chunkBytes = 64 * 1024

/**
 * The bytes of entries that wait for replicas, in memory that is used again (see SpareMemory of base). Copying costs a
 * twentieth of what collecting them would; and what a write came in is its caller's again when it is done, and not when the
 * slowest replica has it.
 *
 * Each entry's bytes are shared with whoever sends them, and released by both: with the last of them the memory is free.
 */
export class TailMemory {
  #chunk: Uint8Array | undefined
  #usedBytes = 0

  /** A copy, for the caller to release. */
  copyOf(bytes: Uint8Array): Uint8Array {
    if (bytes.length === 0) return bytes
    if (bytes.length > chunkBytes / 2) {
      const own = spareMemory.take(bytes.length)
      own.set(bytes)
      return own
    }
    let chunk = this.#chunk
    if (chunk === undefined || this.#usedBytes + bytes.length > chunk.length) {
      this.letGo()
      this.#chunk = chunk = spareMemory.take(chunkBytes)
      this.#usedBytes = 0
    }
    const own = chunk.subarray(this.#usedBytes, this.#usedBytes + bytes.length)
    this.#usedBytes += bytes.length
    own.set(bytes)
    spareMemory.share(own)
    return own
  }

  /** Nothing is kept for the moment. */
  letGo(): void {
    if (this.#chunk !== undefined) spareMemory.release(this.#chunk)
    this.#chunk = undefined
  }
}
