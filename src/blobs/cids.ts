import { code as dagPbCode } from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { BlobError } from './types.js'

/**
 * Which names a mesh accepts: CIDv1, raw or dag-pb, sha2-256 in full. One name per block, one hash to trust, two codecs
 * to parse; everything else (identity CIDs that carry their bytes in the name, weak or cut hashes, other codecs) is
 * refused at every door. CIDv0 names the same dag-pb blocks a second way, so it is refused with a hint.
 */
export const rawCode = 0x55
export { dagPbCode }

const sha256Code = 0x12
const sha256Bytes = 32
/** version, codec, hash code, hash length: one byte each, then the digest. */
export const cidBytes = 4 + sha256Bytes

export function isAccepted(cid: CID): boolean {
  return (
    cid.version === 1 &&
    (cid.code === rawCode || cid.code === dagPbCode) &&
    cid.multihash.code === sha256Code &&
    cid.multihash.digest.length === sha256Bytes
  )
}

/** Throws BAD_CID with what is wrong. */
export function assertAccepted(cid: CID): void {
  if (isAccepted(cid)) return
  const text = cid.toString().slice(0, 100)
  if (cid.version === 0) {
    throw new BlobError('BAD_CID', `"${text}" is a version 0 CID; this mesh names things by version 1: ${cid.toV1().toString()}`, { cid: text })
  }
  if (cid.multihash.code !== sha256Code || cid.multihash.digest.length !== sha256Bytes) {
    throw new BlobError('BAD_CID', `"${text}" is not named by a full sha2-256 hash`, { cid: text, hash: cid.multihash.code })
  }
  throw new BlobError('BAD_CID', `"${text}" is neither raw bytes nor a UnixFS node`, { cid: text, codec: cid.code })
}

/** From the wire: undefined unless it is exactly an accepted CID. */
export function acceptedFromBytes(bytes: Uint8Array): CID | undefined {
  if (bytes.length !== cidBytes) return undefined
  try {
    const cid = CID.decode(bytes)
    return isAccepted(cid) ? cid : undefined
  } catch {
    return undefined
  }
}

export function cidOfDigest(code: typeof rawCode | typeof dagPbCode, digest: Uint8Array): CID {
  return CID.createV1(code, Digest.create(sha256Code, digest))
}

/** A short map key: the digest and codec, as text. `CID.toString` costs base32 over all of it and is cached per object only. */
export function keyOf(cid: CID): string {
  return Buffer.from(cid.bytes.buffer, cid.bytes.byteOffset, cid.bytes.byteLength).toString('latin1')
}

/** The same for two CIDs of the same bytes, whatever they are taken for. */
export function hashKeyOf(cid: CID): string {
  const { bytes } = cid.multihash
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
