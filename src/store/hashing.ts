import { hash, webcrypto } from 'node:crypto'
import { CommonError } from '../base/index.js'
import * as Digest from 'multiformats/hashes/digest'
import { bytesOfMapKey } from './bytes.js'
import { decodeBlockKey } from './records.js'

const sha256Code = 0x12
/** Hash functions by multicodec that WebCrypto computes off the main thread. https://github.com/multiformats/multicodec */
const algorithms: ReadonlyMap<number, string> = new Map([
  [sha256Code, 'SHA-256'],
  [0x13, 'SHA-512'],
  [0x20, 'SHA-384'],
])
const identity = 0x00

/** Whether the bytes are what the multihash (as a map key) says. Throws BAD_INPUT for a hash unknown here. */
export async function matches(key: string, bytes: Uint8Array): Promise<boolean> {
  const { code, digest } = Digest.decode(bytesOfMapKey(key))
  if (code === identity) return Buffer.compare(digest, bytes) === 0
  const algorithm = algorithms.get(code)
  if (algorithm === undefined) throw new CommonError('BAD_INPUT', `blocks of hash 0x${code.toString(16)} cannot be verified here`, { code })
  return Buffer.compare(digest, new Uint8Array(await webcrypto.subtle.digest(algorithm, bytes))) === 0
}

/**
 * Whether a block of the log is all there, by the hash in its key, at once: for the few that a start after a crash looks
 * through. Of other hashes than sha-256 nothing is known here, and who reads them checks.
 */
export function isWholeBlock(key: Uint8Array, bytes: Uint8Array): boolean {
  const { code, digest } = Digest.decode(decodeBlockKey(key).multihash)
  return code !== sha256Code || Buffer.compare(digest, hash('sha256', bytes, 'buffer')) === 0
}
