import { frameBytesMax, receiveBuffers } from './transport/receive-buffers.js'

/** Takes a chunk that is lent for the time of the call; nothing more is handed over until what it returns has resolved. */
export type TakeChunk = (chunk: Uint8Array) => Promise<void> | undefined

/**
 * Between a connection that pushes bytes and a reader that may make it wait. While it does, what comes is copied, since it
 * is lent: a window of the stream at most, because only what was read is given back to the sender.
 */
export class DirectReading {
  readonly #take: TakeChunk
  readonly #onRead: () => void
  readonly #onFailed: (error: unknown) => void
  readonly #waiting: Uint8Array[] = []
  /** Where the next bytes that wait are put, and how much is in it. */
  #last: Uint8Array | undefined
  #lastFilled = 0
  #waitingBytes = 0
  #isHeld = false
  #isOver = false
  #onIdle: (() => void) | undefined

  /** `onRead` after bytes that had to wait were read; `onFailed` once, with what `take` threw, and nothing is read after. */
  constructor(take: TakeChunk, { onRead, onFailed }: { onRead: () => void; onFailed: (error: unknown) => void }) {
    this.#take = take
    this.#onRead = onRead
    this.#onFailed = onFailed
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  push(bytes: Uint8Array): void {
    if (this.#isOver) return
    if (this.#isHeld) this.#keep(bytes)
    else this.#hand(bytes)
  }

  /** Resolves when all that came was read, or nothing is read any more. */
  async idle(): Promise<void> {
    if (this.#isOver || !this.#isHeld) return
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
  }

  stop(): void {
    this.#isOver = true
    this.#waiting.length = 0
    this.#last = undefined
    this.#waitingBytes = 0
    this.#onIdle?.()
  }

  #hand(bytes: Uint8Array): void {
    try {
      const held = this.#take(bytes)
      if (held === undefined) return
      this.#isHeld = true
      void this.#readOn(held)
    } catch (error) {
      this.#fail(error)
    }
  }

  async #readOn(first: Promise<void>): Promise<void> {
    try {
      await first
      for (let bytes = this.#shift(); bytes !== undefined; bytes = this.#shift()) {
        const held = this.#take(bytes)
        if (held !== undefined) await held
        receiveBuffers.release(bytes)
        if (this.#isOver) return
        this.#onRead()
      }
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#isHeld = false
    this.#onIdle?.()
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.stop()
    this.#onFailed(error)
  }

  #keep(bytes: Uint8Array): void {
    this.#waitingBytes += bytes.length
    for (let at = 0; at < bytes.length; ) {
      this.#last ??= receiveBuffers.take(frameBytesMax)
      const part = bytes.subarray(at, at + this.#last.length - this.#lastFilled)
      this.#last.set(part, this.#lastFilled)
      this.#lastFilled += part.length
      at += part.length
      if (this.#lastFilled === this.#last.length) this.#close()
    }
  }

  #close(): void {
    if (this.#last !== undefined) this.#waiting.push(this.#last.subarray(0, this.#lastFilled))
    this.#last = undefined
    this.#lastFilled = 0
  }

  #shift(): Uint8Array | undefined {
    if (this.#waiting.length === 0) this.#close()
    const bytes = this.#waiting.shift()
    this.#waitingBytes -= bytes?.length ?? 0
    return bytes
  }
}
