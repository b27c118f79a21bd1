import type { CID } from 'multiformats/cid'
import { acceptedFromBytes } from './cids.js'
import { encodeFrame, FramingError } from './frames.js'
import { Answer, Request, Status } from './wire/blob.js'

export { Status }

/** Wants or cancels in one message. A frame of them is 10 KiB: many enough that a round trip hardly matters. */
export const wantsPerMessageMax = 256

export interface DecodedRequest {
  wants: { id: number; cid: CID | undefined }[]
  cancels: number[]
}

export function encodeRequest(firstId: number, cids: readonly CID[], cancels: readonly number[]): Uint8Array[] {
  return encodeFrame(Request.encode({ firstId, cids: cids.map((cid) => cid.bytes), cancels: [...cancels] }))
}

/** Throws FramingError, and nothing else, for anything that is not a request within the limits. */
export function decodeRequest(message: Uint8Array): DecodedRequest {
  const { firstId, cids, cancels } = decoded(() => Request.decode(message, { limits: { cids: wantsPerMessageMax, cancels: wantsPerMessageMax } }))
  if (firstId + cids.length > 2 ** 32) throw new FramingError('ids past the end of their range')
  // A name that is not a CID of this mesh is a want that nobody can have, not a broken frame.
  return { wants: cids.map((bytes, i) => ({ id: firstId + i, cid: acceptedFromBytes(bytes) })), cancels }
}

export function encodeAnswer(id: number, status: Status, block?: Uint8Array): Uint8Array[] {
  return encodeFrame(Answer.encode({ id, status }), block)
}

/** Throws FramingError, and nothing else. */
export function decodeAnswer(message: Uint8Array): { id: number; status: Status } {
  const { id, status } = decoded(() => Answer.decode(message))
  return { id, status }
}

function decoded<T>(decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    throw new FramingError('a message that cannot be read', { cause: error })
  }
}
