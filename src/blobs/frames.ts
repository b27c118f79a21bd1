import { BlobError } from './types.js'
import { blockBytesMax } from './settings.js'

/**
 * The frame of /mesh/blob/1, both ways. A fixed head, so that the reader knows all sizes before it allocates, and the
 * block apart from the message, so that it is copied once, from the network's pieces into its own buffer:
 *
 *   offset  size
 *        0     4  H, bytes of the message, big-endian, at most 16 KiB
 *        4     4  P, bytes of the payload, big-endian, at most 1 MiB
 *        8     H  protobuf (blob.proto): Request towards the holder, Answer back
 *      8+H     P  the block, only with Answer.status OK
 */
export const headBytes = 8
/** 256 CIDs of 38 bytes with their tags are 9.7 KiB, as many cancels 2.5. */
export const messageBytesMax = 16 * 1024

export class FramingError extends Error {
  override name = 'FramingError'
}

export interface Frame {
  message: Uint8Array
  payload: Uint8Array
}

/** The parts of one frame, not joined: the stream takes lists, and a block is not worth copying for 20 bytes of head. */
export function encodeFrame(message: Uint8Array, payload?: Uint8Array): Uint8Array[] {
  if (message.length > messageBytesMax || (payload?.length ?? 0) > blockBytesMax) {
    throw new BlobError('BAD_CID', 'a block or message is larger than a frame may be', { bytes: payload?.length ?? message.length })
  }
  const head = Buffer.allocUnsafe(headBytes + message.length)
  head.writeUInt32BE(message.length, 0)
  head.writeUInt32BE(payload?.length ?? 0, 4)
  head.set(message, headBytes)
  return payload === undefined || payload.length === 0 ? [head] : [head, payload]
}

export interface FrameReaderInit {
  payloadBytesMax: number
  /** Called as soon as a payload's size is known and before memory is taken for it: where the reader may be made to wait. */
  beforePayload?: (bytes: number) => Promise<void>
  /** Memory for a payload that comes in several pieces. Left out: new memory. */
  allocate?: (bytes: number) => Uint8Array
}

/**
 * Pieces of any size → frames. Holds one frame and one piece at most. Throws FramingError for a head past the limits and
 * for an end in the middle of a frame; ends where the stream ends between two.
 */
export async function* readFrames(pieces: AsyncIterable<Uint8Array>, init: FrameReaderInit): AsyncGenerator<Frame> {
  const reader = new PieceReader(pieces)
  try {
    for (;;) {
      const head = await reader.take(headBytes, true)
      if (head === undefined) return
      const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
      const messageBytes = view.getUint32(0)
      const payloadBytes = view.getUint32(4)
      if (messageBytes > messageBytesMax) throw new FramingError(`a message of ${messageBytes} bytes`)
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

class PieceReader {
  readonly #pieces: AsyncIterator<Uint8Array>
  #piece: Uint8Array = nothing

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
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
    if (this.#piece.length >= bytes) return this.#advance(bytes)
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

  #advance(bytes: number): Uint8Array {
    const part = this.#piece.subarray(0, bytes)
    this.#piece = this.#piece.subarray(bytes)
    return part
  }

  async #more(): Promise<boolean> {
    const next = await this.#pieces.next()
    if (next.done === true) return false
    this.#piece = next.value
    return true
  }
}
