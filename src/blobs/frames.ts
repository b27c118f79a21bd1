import { frameHead, readFrames as readAnyFrames } from '../base/index.js'
import type { Frame, FrameReaderInit } from '../base/index.js'
import { blockBytesMax } from './settings.js'
import { BlobError } from './types.js'

export { FramingError } from '../base/index.js'
export type { Frame } from '../base/index.js'

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

/** As `readFrames` of base, with the limit of this protocol's messages. */
export function readFrames(pieces: AsyncIterable<Uint8Array>, init: Omit<FrameReaderInit, 'messageBytesMax'>): AsyncGenerator<Frame> {
  return readAnyFrames(pieces, { ...init, messageBytesMax })
}
