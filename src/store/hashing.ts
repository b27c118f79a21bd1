import { webcrypto } from 'node:crypto'
import { CommonError } from '../base/index.js'
import * as Digest from 'multiformats/hashes/digest'
import { bytesOfMapKey } from './bytes.js'

/** Hash functions by multicodec that WebCrypto computes off the main thread. https://github.com/multiformats/multicodec */
const algorithms: ReadonlyMap<number, string> = new Map([
  [0x12, 'SHA-256'],
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
