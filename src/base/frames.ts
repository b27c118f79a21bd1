/**
 * Frames of a bulk stream whose payload is kept apart from the message, so that it is copied once, from the network's
 * pieces into its own buffer; and with a fixed head, so that the reader knows all sizes before it allocates:
 *
 *   offset  size
 *        0     4  H, bytes of the message, big-endian
 *        4     4  P, bytes of the payload, big-endian
 *        8     H  the message
 *      8+H     P  the payload
 */
export const frameHeadBytes = 8

export class FramingError extends Error {
  override name = 'FramingError'
}

export interface Frame {
  message: Uint8Array
  payload: Uint8Array
}

/** Head and message of a frame, joined; the payload is sent behind it as it is. */
export function frameHead(message: Uint8Array, payloadBytes: number): Uint8Array {
  const head = Buffer.allocUnsafe(frameHeadBytes + message.length)
  head.writeUInt32BE(message.length, 0)
  head.writeUInt32BE(payloadBytes, 4)
  head.set(message, frameHeadBytes)
  return head
}

export interface FrameReaderInit {
  messageBytesMax: number
  payloadBytesMax: number
  /** Called as soon as a payload's size is known and before memory is taken for it: where the reader may be made to wait. */
  beforePayload?: (bytes: number) => Promise<void>
  /** Memory for a payload that comes in several pieces. Left out: new memory. */
  allocate?: (bytes: number) => Uint8Array
  /** Told of pieces that were read and of which nothing is in use any more: their memory may be used again. */
  release?: (piece: Uint8Array) => void
}

/**
 * Pieces of any size → frames. Holds one frame and one piece at most. Throws FramingError for a head past the limits and
 * for an end in the middle of a frame; ends where the stream ends between two.
 */
export async function* readFrames(pieces: AsyncIterable<Uint8Array>, init: FrameReaderInit): AsyncGenerator<Frame> {
  const reader = new PieceReader(pieces, init.release)
  try {
    for (;;) {
      const head = await reader.take(frameHeadBytes, true)
      if (head === undefined) return
      const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
      const messageBytes = view.getUint32(0)
      const payloadBytes = view.getUint32(4)
      if (messageBytes > init.messageBytesMax) throw new FramingError(`a message of ${messageBytes} bytes`)
      if (payloadBytes > init.payloadBytesMax) throw new FramingError(`a payload of ${payloadBytes} bytes`)
      const message = await reader.take(messageBytes)
      if (payloadBytes > 0) await init.beforePayload?.(payloadBytes)
      const payload = await reader.take(payloadBytes, false, init.allocate)
      yield { message, payload }
    }
  } finally {
    await reader.close()
  }
}

const nothing = new Uint8Array(0)

/** Where pieces can be released, this little is copied out of them, so that a head of 20 bytes does not keep 64 KiB. */
const copiedBytesMax = 4096

class PieceReader {
  readonly #pieces: AsyncIterator<Uint8Array>
  readonly #release: ((piece: Uint8Array) => void) | undefined
  #piece: Uint8Array = nothing
  /** The piece as it came. */
  #whole: Uint8Array = nothing
  /** Parts of it were handed out as they are. */
  #isShared = false

  constructor(pieces: AsyncIterable<Uint8Array>, release: ((piece: Uint8Array) => void) | undefined) {
    this.#pieces = pieces[Symbol.asyncIterator]()
    this.#release = release
  }

  take(bytes: number, mayEnd?: false, allocate?: (bytes: number) => Uint8Array): Promise<Uint8Array>
  take(bytes: number, mayEnd: true): Promise<Uint8Array | undefined>
  async take(bytes: number, mayEnd = false, allocate: (bytes: number) => Uint8Array = (length) => Buffer.allocUnsafeSlow(length)): Promise<Uint8Array | undefined> {
    if (bytes === 0) return nothing
    while (this.#piece.length === 0) {
      if (await this.#more()) continue
      if (mayEnd) return undefined
      throw new FramingError('the stream ended within a frame')
    }
    // All of it in one piece, as with small blocks: no copy.
    if (this.#piece.length >= bytes) return this.#handOut(bytes)
    const whole = allocate(bytes)
    let filled = 0
    while (filled < bytes) {
      if (this.#piece.length === 0) {
        if (!(await this.#more())) throw new FramingError('the stream ended within a frame')
        continue
      }
      const part = this.#advance(Math.min(this.#piece.length, bytes - filled))
      whole.set(part, filled)
      filled += part.length
    }
    return whole
  }

  async close(): Promise<void> {
    await this.#pieces.return?.()
  }

  #handOut(bytes: number): Uint8Array {
    const part = this.#advance(bytes)
    if (this.#release !== undefined && bytes <= copiedBytesMax) return Buffer.from(part)
    this.#isShared = true
    return part
  }

  #advance(bytes: number): Uint8Array {
    const part = this.#piece.subarray(0, bytes)
    this.#piece = this.#piece.subarray(bytes)
    return part
  }

  async #more(): Promise<boolean> {
    if (!this.#isShared && this.#whole.length > 0) this.#release?.(this.#whole)
    this.#whole = nothing
    this.#isShared = false
    const next = await this.#pieces.next()
    if (next.done === true) return false
    this.#piece = this.#whole = next.value
    return true
  }
}
