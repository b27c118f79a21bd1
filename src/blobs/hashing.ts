import { hash, webcrypto } from 'node:crypto'
import type { CID } from 'multiformats/cid'

/**
 * sha-256 of a block. Large blocks go to the thread pool: the main thread stays free for the network while two cores
 * hash at once (measured here: 2145 MiB/s there against 1744 on the main thread, and no 0.6 ms pauses). Small ones are
 * hashed at once, because a trip to the pool costs more than 64 KiB of hashing.
 *
 * Road not taken: all on the main thread where there are two processors only. The way to the pool copies the block, two
 * thirds of what hashing it takes; but an import is bound by the main thread there, too (58 % of LevelDB's rate for 67).
 */
const poolFromBytes = 64 * 1024

export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes.length < poolFromBytes) return hash('sha256', bytes, 'buffer')
  return new Uint8Array(await webcrypto.subtle.digest('SHA-256', bytes))
}

/** Whether the bytes are what the CID says. The CID is an accepted one. */
export async function isWhatItSays(cid: CID, bytes: Uint8Array): Promise<boolean> {
  const digest = await sha256(bytes)
  return Buffer.compare(digest, cid.multihash.digest) === 0
}
