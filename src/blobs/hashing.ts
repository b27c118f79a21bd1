import { hash, webcrypto } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { CID } from 'multiformats/cid'

/**
 * sha-256 of a block, which nobody may write to until it is there. Large blocks go to the thread pool: the main thread
 * stays free for the network while two cores hash at once, and has no pauses of 0.6 ms. Small ones are hashed at once,
 * because a trip to the pool costs more than 64 KiB of hashing.
 *
 * On Linux the pool hashes the bytes where they are (sha256.c). WebCrypto, which stands in elsewhere, copies them into new
 * memory and wipes that, two thirds as much again.
 *
 * Road not taken: all on the main thread where there are two processors only. It saves the trip, and an import is bound by
 * the main thread there, too.
 */
const poolFromBytes = 64 * 1024
const digestBytes = 32

export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes.length < poolFromBytes) return hash('sha256', bytes, 'buffer')
  if (inPlace !== undefined) return inPlace.sha256(bytes)
  return new Uint8Array(await webcrypto.subtle.digest('SHA-256', bytes))
}

/**
 * Those of many small blocks, in one trip to the pool: 64 of 10 KiB are half a millisecond in which the main thread would do
 * nothing else.
 */
export async function sha256Many(blocks: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const bytes = blocks.reduce((sum, { length }) => sum + length, 0)
  if (inPlace === undefined || bytes < poolFromBytes) return Promise.all(blocks.map(sha256))
  const digests = await inPlace.sha256Many(blocks)
  return blocks.map((_, i) => digests.subarray(i * digestBytes, (i + 1) * digestBytes))
}

/** Whether the bytes are what the CID says. The CID is an accepted one. */
export async function isWhatItSays(cid: CID, bytes: Uint8Array): Promise<boolean> {
  const digest = await sha256(bytes)
  return Buffer.compare(digest, cid.multihash.digest) === 0
}

/** Made by the build (scripts/setup.cjs) where there is a C compiler and Linux; the same file for `src/` and `dist/`. */
const builtFile = join(import.meta.dirname, '../../dist/blobs/sha256.node')

export interface InPlaceSha256 {
  readonly sha256: (bytes: Uint8Array) => Promise<Uint8Array>
  /** All digests in a row. Nobody may change the list until they are there. */
  readonly sha256Many: (blocks: readonly Uint8Array[]) => Promise<Uint8Array>
}

/** The pool's hashes of bytes where they are, undefined where there are none. They have been tried on a known text. */
export function inPlaceSha256(file = builtFile): InPlaceSha256 | undefined {
  if (process.platform !== 'linux' || !existsSync(file)) return undefined
  const module: { exports: Partial<InPlaceSha256> } = { exports: {} }
  try {
    process.dlopen(module, file)
  } catch {
    // Built for another machine.
    return undefined
  }
  const { sha256, sha256Many } = module.exports
  return sha256 === undefined || sha256Many === undefined ? undefined : { sha256, sha256Many }
}

const inPlace = inPlaceSha256()
