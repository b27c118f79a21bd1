import { FrameTaker, frameHead, readFrames as readAnyFrames } from '../base/index.js'
import type { Frame, FrameReaderInit, FrameTakerInit } from '../base/index.js'
import { BlobError } from './types.js'
import { blockBytesMax } from './settings.js'

export { FramingError, type Frame } from '../base/index.js'

/**
 * The frames of /mesh/blob/1, both ways, as `base/frames.ts` lays them out: the message is of blob.proto (Request towards
 * the holder, Answer back), the payload a block, only with Answer.status OK.
 */
/** 256 CIDs of 38 bytes with their tags are 9.7 KiB, as many cancels 2.5. */
export const messageBytesMax = 16 * 1024

/** The parts of one frame, not joined: the stream takes lists, and a block is not worth copying for 20 bytes of head. */
export function encodeFrame(message: Uint8Array, payload?: Uint8Array): Uint8Array[] {
  if (message.length > messageBytesMax || (payload?.length ?? 0) > blockBytesMax) {
    throw new BlobError('BAD_CID', 'a block or message is larger than a frame may be', { bytes: payload?.length ?? message.length })
  }
  const head = frameHead(message, payload?.length ?? 0)
  return payload === undefined || payload.length === 0 ? [head] : [head, payload]
}

/** Pieces of any size → frames. Throws FramingError for a head past the limits and for an end in the middle of a frame. */
export function readFrames(pieces: AsyncIterable<Uint8Array>, init: Omit<FrameReaderInit, 'messageBytesMax'>): AsyncGenerator<Frame> {
  return readAnyFrames(pieces, { ...init, messageBytesMax })
}

/** The same from a stream that pushes them. */
export function frameTaker(init: Omit<FrameTakerInit, 'messageBytesMax'>): FrameTaker {
  return new FrameTaker({ ...init, messageBytesMax })
}
