/**
 * Proof that a node has a blob: a hash over a nonce, its own name, and bytes of the content that it could not foresee.
 *
 * Only who has those bytes can answer, and an answer is of no use to another node or for another question. The asker holds
 * the blob too, or it could not check.
 *
 * Two sizes of question. A *spot* check asks for one range: asked often, it finds out whoever has thrown away a part sooner
 * or later. Before a copy is *given up* there is no later: then 16 ranges at places drawn by lot are asked for, or all of a
 * small blob, so that who has kept a share f of it passes in f^16 of the cases. (The road not taken: all bytes of all blobs.
 * Who has all of them and means harm can delete them a minute later, so the last percent would buy nothing, and cost each
 * holder the reading of a gigabyte.)
 *
 * A spine has no content of its own. What is asked for is what it is for: the names of all the blobs below it, in order.
 */
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import type { NodeId, Random } from '../base/index.js'
import type { HeldEntry } from './inventory.js'
import type { ReplicationComponents } from './types.js'
import type { Challenge } from './wire/replication.js'

export const nonceBytes = 16
/** 64 KiB: less than a block, so each range costs one read, or two where it lies across an edge. */
export const rangeBytesMax = 64 * 1024
/** Who has half of it passes once in 65,000 times. */
export const rangesMax = 16
/** Up to one block all of it is asked for: it has to be read whole for any part of it. */
const wholeBytesMax = rangesMax * rangeBytesMax
/** The list of a file of 5 TiB; reading one that somebody made longer would take whoever is asked too long for a spot check. */
const spotSpineBytesMax = 256 * 1024

export type BlobReader = Pick<ReplicationComponents['blobs'], 'read' | 'held' | 'describe' | 'blobsOf'>
export type Purpose = 'spot' | 'giving up'

/** Undefined where nothing can be asked. Rejects if the blob cannot be read here. */
export async function drawChallenge(blobs: BlobReader, entry: HeldEntry, purpose: Purpose, random: Random, signal: AbortSignal): Promise<Challenge | undefined> {
  const cid = CID.parse(entry.cid)
  const nonce = random.bytes(nonceBytes)
  if (entry.kind === 'spine') return (await mayBeAsked(blobs, cid, entry.bytes, purpose, signal)) ? { nonce, length: 0, offsets: [] } : undefined
  const contentBytes = cid.code === raw.code ? entry.bytes : (await blobs.describe(cid, { signal, holders: [] })).size
  if (contentBytes === 0) return purpose === 'spot' ? undefined : { nonce, length: 0, offsets: [] }
  if (purpose === 'giving up' && contentBytes <= wholeBytesMax) return { nonce, length: contentBytes, offsets: [0] }
  const length = Math.min(rangeBytesMax, contentBytes)
  const ranges = purpose === 'spot' ? 1 : rangesMax
  return { nonce, length, offsets: Array.from({ length: ranges }, () => random.below(contentBytes - length + 1)) }
}

/** What `prover` answers to it. Undefined if it is no question about what is held here, or the bytes cannot be read. */
export async function prove(blobs: BlobReader, cid: string, challenge: Challenge, purpose: Purpose, prover: NodeId, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const { nonce, length, offsets } = challenge
  if (nonce.length !== nonceBytes || offsets.length > rangesMax || offsets.length * length > wholeBytesMax) return undefined
  const parsed = CID.parse(cid)
  const hash = createHash('sha256').update(nonce).update(prover)
  try {
    const held = await blobs.held(parsed)
    if (held === undefined) return undefined
    if (held.kind === 'spine') {
      if (length !== 0 || offsets.length > 0 || !(await mayBeAsked(blobs, parsed, held.bytes, purpose, signal))) return undefined
      for (const part of await blobs.blobsOf(parsed, { signal, holders: [] })) hash.update(part.cid.bytes)
      return hash.digest()
    }
    if (offsets.length > 0 && length === 0) return undefined
    for (const offset of offsets) {
      let bytes = 0
      for await (const chunk of blobs.read(parsed, { offset, length, signal, holders: [] })) {
        hash.update(chunk)
        bytes += chunk.length
      }
      // Cut off at the end of the content: a question about bytes that there are not.
      if (bytes !== length) return undefined
    }
  } catch {
    return undefined
  }
  return hash.digest()
}

/** The same from the content of a blob that is one block, for who has it in hand: without reading it back from the disk. */
export function proofOf(content: Uint8Array, { nonce, length, offsets }: Challenge, prover: NodeId): Uint8Array | undefined {
  if (nonce.length !== nonceBytes || offsets.length > rangesMax || offsets.length * length > wholeBytesMax) return undefined
  if (offsets.length > 0 && length === 0) return undefined
  const hash = createHash('sha256').update(nonce).update(prover)
  for (const offset of offsets) {
    if (offset + length > content.length) return undefined
    hash.update(content.subarray(offset, offset + length))
  }
  return hash.digest()
}

/** True, false, or undefined when this node cannot tell: then it has learned nothing, and must not act as if it had. */
export async function check(
  blobs: BlobReader,
  cid: string,
  challenge: Challenge | undefined,
  purpose: Purpose,
  prover: NodeId,
  proof: Uint8Array,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  if (challenge === undefined) return undefined
  const expected = await prove(blobs, cid, challenge, purpose, prover, signal)
  if (expected === undefined) return undefined
  return isProof(expected, proof)
}

export function isProof(expected: Uint8Array | undefined, proof: Uint8Array): boolean {
  return expected !== undefined && Buffer.compare(expected, proof) === 0
}

/** What is below a folder may be at other nodes, so an honest one may not be able to tell: asked for only where its word is not enough. */
async function mayBeAsked(blobs: BlobReader, spine: CID, bytes: number, purpose: Purpose, signal: AbortSignal): Promise<boolean> {
  return purpose === 'giving up' || (bytes <= spotSpineBytesMax && (await blobs.describe(spine, { signal, holders: [] })).type === 'file')
}
