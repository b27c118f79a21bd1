import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { seededRandom } from '../../../src/base/index.js'

/** What the process that is killed and the one that checks both know: what is in a blob, by its number alone. */

/** Few enough that blobs share blocks, and that a block is deleted and comes again. */
const poolBlocks = 150

export interface Block {
  cid: CID
  bytes: Uint8Array
}

const pool = new Map<number, Block>()

export function blockOf(number: number): Block {
  const known = pool.get(number)
  if (known !== undefined) return known
  const random = seededRandom(number + 1)
  // Mostly small, some large enough for a write of their own.
  const size = number % 10 === 0 ? 150_000 + random.below(200_000) : random.below(20_000)
  const bytes = new Uint8Array(size).fill(number)
  bytes.set(random.bytes(Math.min(size, 64)))
  const block = { cid: CID.createV1(0x55, Digest.create(0x12, createHash('sha256').update(bytes).digest())), bytes }
  pool.set(number, block)
  return block
}

export function blocksOf(blob: number): Block[] {
  const random = seededRandom(1_000_000 + blob)
  const numbers = new Set(Array.from({ length: 1 + random.below(5) }, () => random.below(poolBlocks)))
  return [...numbers].map(blockOf)
}

/** A draft that was flushed and left has these; its commit brings all. */
export function flushedBlocksOf(blob: number): Block[] {
  const all = blocksOf(blob)
  return all.slice(0, Math.ceil(all.length / 2))
}

export function blobKey(blob: number): Uint8Array {
  return new TextEncoder().encode(String(blob))
}

export function blobOfKey(key: Uint8Array): number {
  return Number(new TextDecoder().decode(key))
}

export const draftId = (blob: number): string => `draft ${String(blob)}`
export const blobOfDraft = (id: string): number => Number(id.split(' ')[1])

export const crashLimits = { writeBufferBytes: 1024 * 1024, quietMs: 5, draftBlocksInMemoryMax: 4 }
