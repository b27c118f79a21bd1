/**
 * Proof that a node has a blob: a hash over a nonce, its own name, and a range of the content that it could not foresee.
 *
 * Only who has those bytes can answer, and an answer is of no use to another node or for another question. A node may
 * fetch the range from somebody else to answer; that costs it what an honest one saves, at each question, and it cannot
 * while the others are away, which is when it matters. The asker holds the blob too, or it could not check.
 *
 * Spines have no content of their own to ask about; they are a thousandth of the bytes and are taken on trust.
 */
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import type { NodeId, Random } from '../base/index.js'
import type { HeldEntry } from './inventory.js'
import type { ReplicationComponents } from './types.js'
import type { Challenge } from './wire/replication.js'

export const nonceBytes = 16
/** 64 KiB: less than a block, so an answer costs one read. */
export const rangeBytesMax = 64 * 1024
/** Nodes above the leaves take less than this of each block's share; the content is at least the rest. */
const overheadPerBlock = 512

type BlobReader = Pick<ReplicationComponents['blobs'], 'read'>

/** Undefined where nothing can be asked. */
export function drawChallenge(entry: HeldEntry, random: Random): Challenge | undefined {
  if (entry.kind === 'spine') return undefined
  const contentBytes = entry.blocks <= 1 ? entry.bytes : entry.bytes - entry.blocks * overheadPerBlock
  if (contentBytes <= 0) return undefined
  const length = Math.min(rangeBytesMax, contentBytes)
  return { nonce: random.bytes(nonceBytes), offset: random.below(contentBytes - length + 1), length }
}

/** What `prover` answers to it. Undefined if the range cannot be read here. */
export async function prove(
  blobs: BlobReader,
  cid: string,
  challenge: Challenge,
  prover: NodeId,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  if (challenge.nonce.length !== nonceBytes || challenge.length === 0 || challenge.length > rangeBytesMax) return undefined
  const hash = createHash('sha256').update(challenge.nonce).update(prover)
  let bytes = 0
  try {
    for await (const chunk of blobs.read(CID.parse(cid), { offset: challenge.offset, length: challenge.length, signal, holders: [] })) {
      hash.update(chunk)
      bytes += chunk.length
    }
  } catch {
    return undefined
  }
  return bytes === 0 ? undefined : hash.digest()
}

/** True, false, or undefined when this node cannot tell. */
export async function check(
  blobs: BlobReader,
  cid: string,
  challenge: Challenge | undefined,
  prover: NodeId,
  proof: Uint8Array,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  if (challenge === undefined) return undefined
  const expected = await prove(blobs, cid, challenge, prover, signal)
  if (expected === undefined) return undefined
  return expected.length === proof.length && expected.every((byte, i) => byte === proof[i])
}
