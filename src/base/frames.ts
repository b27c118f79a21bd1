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

export interface FrameTakerInit {
  messageBytesMax: number
  payloadBytesMax: number
  /** As that of `readFrames`; what it returns, if anything, is waited for. */
  beforePayload: (bytes: number) => Promise<void> | undefined
  allocate: (bytes: number) => Uint8Array
  onFrame: (frame: Frame) => void
}

/**
 * The same frames from pieces that are pushed, and lent for the time of a call: no promise for a piece, unless the reader
 * has to wait for its memory. One `take` at a time. Throws FramingError as `readFrames` does.
 */
export class FrameTaker {
  readonly #init: FrameTakerInit
  readonly #head = new Uint8Array(frameHeadBytes)
  /** What is being filled, how far, and what of. */
  #part: 'head' | 'message' | 'payload' = 'head'
  #target: Uint8Array = this.#head
  #filled = 0
  #message: Uint8Array = nothing
  #payloadBytes = 0

  constructor(init: FrameTakerInit) {
    this.#init = init
  }

  take(piece: Uint8Array): Promise<void> | undefined {
    for (let at = 0; at < piece.length; ) {
      const bytes = Math.min(this.#target.length - this.#filled, piece.length - at)
      this.#target.set(at === 0 && bytes === piece.length ? piece : piece.subarray(at, at + bytes), this.#filled)
      this.#filled += bytes
      at += bytes
      if (this.#filled < this.#target.length) return undefined
      const wait = this.#next()
      if (wait === undefined) continue
      const rest = Uint8Array.from(piece.subarray(at))
      return wait.then(async () => this.take(rest))
    }
    return undefined
  }

  /** The stream has ended. */
  end(): void {
    if (this.#part !== 'head' || this.#filled > 0) throw new FramingError('the stream ended within a frame')
  }

  /** A part is whole: on to the next that is not empty. */
  #next(): Promise<void> | undefined {
    if (this.#part === 'head') {
      const view = new DataView(this.#head.buffer)
      const messageBytes = view.getUint32(0)
      this.#payloadBytes = view.getUint32(4)
      if (messageBytes > this.#init.messageBytesMax) throw new FramingError(`a message of ${messageBytes} bytes`)
      if (this.#payloadBytes > this.#init.payloadBytesMax) throw new FramingError(`a payload of ${this.#payloadBytes} bytes`)
      this.#message = this.#begin('message', messageBytes === 0 ? nothing : new Uint8Array(messageBytes))
      if (messageBytes > 0) return undefined
    }
    if (this.#part === 'message') {
      if (this.#payloadBytes === 0) {
        this.#end(nothing)
        return undefined
      }
      const wait = this.#init.beforePayload(this.#payloadBytes)
      if (wait === undefined) this.#begin('payload', this.#init.allocate(this.#payloadBytes))
      return wait?.then(() => {
        this.#begin('payload', this.#init.allocate(this.#payloadBytes))
      })
    }
    this.#end(this.#target)
    return undefined
  }

  #begin(part: 'head' | 'message' | 'payload', target: Uint8Array): Uint8Array {
    this.#part = part
    this.#target = target
    this.#filled = 0
    return target
  }

  #end(payload: Uint8Array): void {
    const message = this.#message
    this.#message = nothing
    this.#begin('head', this.#head)
    this.#init.onFrame({ message, payload })
  }
}
