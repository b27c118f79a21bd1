/**
 * Memory for what comes in on bulk streams, used again once its reader is done with it.
 *
 * The cipher brings bytes in new buffers of 16 KiB, and they stay with a stream until its reader comes to them: long
 * enough that V8 moves them to its old generation, whose buffers only a walk through the whole heap finds. It counts
 * them by the byte, so a gigabyte was worth thirty such walks, a third of the receiver's processor. Copied into one of
 * these at once, the new buffers die young, which costs next to nothing.
 *
 * Whoever forgets to release one loses nothing: it is garbage then, like any other.
 */
class ReceiveBuffers {
  readonly #free: Buffer[] = []
  readonly #taken = new WeakSet<ArrayBufferLike>()
  #users = 0

  /** The same bytes in memory from here; undefined where that is not worth it. */
  copied(parts: Iterable<Uint8Array>, bytes: number): Uint8Array | undefined {
    if (bytes < recycledBytesMin || bytes > frameBytesMax) return undefined
    const buffer = this.take(bytes)
    let filled = 0
    for (const part of parts) {
      buffer.set(part, filled)
      filled += part.length
    }
    return buffer
  }

  /** Of any content; at most `frameBytesMax`. */
  take(bytes: number): Uint8Array {
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(frameBytesMax)
    this.#taken.add(buffer.buffer)
    return buffer.subarray(0, bytes)
  }

  /** Whether it came from here and was not released. */
  has(bytes: Uint8Array): boolean {
    return this.#taken.has(bytes.buffer)
  }

  /** Nobody reads it any more. What did not come from here, or was released before, is let be. */
  release(bytes: Uint8Array): void {
    if (!this.#taken.delete(bytes.buffer)) return
    if (this.#users > 0 && this.#free.length < freeMax) this.#free.push(Buffer.from(bytes.buffer))
  }

  /** Buffers are kept while somebody may use them. Call what it returns once, at the end. */
  use(): () => void {
    this.#users++
    return () => {
      if (--this.#users === 0) this.#free.length = 0
    }
  }
}

/**
 * What we put into a frame of yamux at most. Each costs both sides some dozen promises, and a mebibyte is twenty of yamux's
 * own 64 KiB, since a header's length is taken off. A small message waits behind one frame of each busy stream: of these
 * half a millisecond at 2 Gbit/s, no more than behind what stands in the socket (see duplex-socket.ts).
 */
export const frameBytesMax = 128 * 1024
/** Smaller frames would waste most of a buffer. */
export const recycledBytesMin = 16 * 1024
/** 8 MiB: half of what a window may be, and few links fill it. */
const freeMax = 64

/** One for the process, like the memory that it is about. */
export const receiveBuffers = new ReceiveBuffers()
