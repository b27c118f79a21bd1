import { CID } from 'multiformats/cid'
import { cidOfText } from '../base/index.js'
import { ReplicationError } from './types.js'
import { Vitals } from './wire/replication.js'

interface Codec<T> {
  decode(bytes: Uint8Array, options?: { limits?: Partial<Record<string, number>> }): T
}

/** Decodes, or throws BAD_INPUT: nothing else comes out of a peer's bytes. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array, limits: Partial<Record<string, number>> = {}): T {
  try {
    return codec.decode(bytes, { limits })
  } catch (error) {
    throw new ReplicationError('BAD_INPUT', 'the message cannot be read', {}, { cause: error })
  }
}

/** Binary CIDs here are CIDv1 with a 32-byte digest: 36 bytes, and a few more for codecs with longer numbers. */
const cidBytesMax = 48

export function decodeCid(bytes: Uint8Array): CID {
  if (bytes.length > 0 && bytes.length <= cidBytesMax) {
    try {
      return CID.decode(bytes)
    } catch {
      // Falls through to the one error that there is.
    }
  }
  throw new ReplicationError('BAD_INPUT', 'not a CID')
}

/** Text of ours, or of the API: undefined if it is no CID. */
export function parseCid(text: string): CID | undefined {
  try {
    return cidOfText(text)
  } catch {
    return undefined
  }
}

export function cidBytes(text: string): Uint8Array {
  return cidOfText(text).bytes
}

/** One figure for each of the five priorities. */
export function decodeVitals(bytes: Uint8Array): Vitals {
  return decode(Vitals, bytes, { evictableBytes: 5 })
}
