import type { CID } from 'multiformats/cid'
import { hashKeyOf, keyOf, rawCode } from './cids.js'
import { decodeNode, type DagNode, type FileNode } from './nodes.js'
import { blobBlocksMax, blobContentBytesMax, dagDepthMax, type BlobSettings } from './settings.js'
import { BlobError, type BlobRef } from './types.js'

/**
 * The blocks of a blob. A `dag` is everything under its root. A `spine` is the upper part only:
 *
 *   of a file     nodes with more content below them than a blob may have; the first nodes with less are blobs. And the
 *                 root of a file that was spread, which says so: all that it links to are blobs
 *   of a folder   its node, and its shards if it has some; what is in the folder has blobs of its own
 *
 * The rule needs nothing but the nodes themselves, so importer, fetcher and dropper agree without telling each other.
 */
export interface Part {
  readonly cid: CID
  /** Of the block, if the parent says; 0 for unknown. */
  readonly expectedBytes: number
}

export function partsBelow(kind: BlobRef['kind'], node: DagNode, contentBytesMax: number): Part[] {
  const parts: Part[] = []
  if (node.type === 'file') {
    for (const link of node.links) {
      if (kind === 'dag' || link.contentBytes > contentBytesMax) {
        parts.push({ cid: link.cid, expectedBytes: link.cid.code === rawCode ? link.contentBytes : 0 })
      }
    }
  } else {
    for (const link of node.links) {
      if (kind === 'dag' || link.shard) parts.push({ cid: link.cid, expectedBytes: link.cid.code === rawCode ? link.totalBytes : 0 })
    }
  }
  return parts
}

/** Whether there are blobs below it, and not only leaves. */
export function isAboveBlobs(node: FileNode, contentBytesMax: number): boolean {
  return node.contentBytes > contentBytesMax || node.spread
}

/** Of the blob whose root this node is. */
export function kindOf(node: DagNode, settings: Pick<BlobSettings, 'profile'>): BlobRef['kind'] {
  return node.type === 'folder' || isAboveBlobs(node, blobContentBytesMax(settings.profile)) ? 'spine' : 'dag'
}

/**
 * Level by level from the root, each block once, with limits on depth and number: a DAG cannot have circles, but it can
 * claim more paths than there are atoms, and this visits blocks and not paths.
 */
export class LevelWalk {
  readonly #ref: BlobRef
  readonly #contentBytesMax: number
  readonly #seen = new Set<string>()
  #depth = 0

  constructor(ref: BlobRef, contentBytesMax: number) {
    this.#ref = ref
    this.#contentBytesMax = contentBytesMax
    this.#seen.add(keyOf(ref.cid))
  }

  first(): Part[] {
    return [{ cid: this.#ref.cid, expectedBytes: 0 }]
  }

  /** The parts below `nodes` (given in order) that were not seen before. Throws BAD_CID past the limits. */
  next(nodes: readonly DagNode[]): Part[] {
    const level: Part[] = []
    for (const node of nodes) {
      for (const part of partsBelow(this.#ref.kind, node, this.#contentBytesMax)) {
        const key = keyOf(part.cid)
        if (this.#seen.has(key)) continue
        this.#seen.add(key)
        level.push(part)
      }
      if (this.#seen.size > blobBlocksMax) throw this.#tooLarge(`more than ${blobBlocksMax} blocks`)
    }
    this.#depth++
    if (level.length > 0 && this.#depth > dagDepthMax) throw this.#tooLarge(`more than ${dagDepthMax} levels`)
    return level
  }

  #tooLarge(what: string): BlobError {
    return new BlobError('BAD_CID', `${this.#ref.cid.toString()} is no blob: it has ${what}`, { cid: this.#ref.cid.toString() })
  }
}

export interface BlobBlocks {
  readonly leaves: CID[]
  /** Parents before children. */
  readonly nodes: CID[]
}

/**
 * The names of all blocks of a blob whose nodes `get` can read. The store counts by hash: where a node's bytes are a leaf
 * as well they are one block, and count as the node.
 */
export async function blocksOf(ref: BlobRef, contentBytesMax: number, get: (cid: CID) => Promise<Uint8Array>): Promise<BlobBlocks> {
  const walk = new LevelWalk(ref, contentBytesMax)
  const leaves: CID[] = []
  const nodes: CID[] = []
  let level = walk.first()
  while (level.length > 0) {
    const read: DagNode[] = []
    for (const { cid } of level) {
      if (cid.code === rawCode) leaves.push(cid)
      else {
        nodes.push(cid)
        read.push(decodeNode(cid, await get(cid)))
      }
    }
    level = walk.next(read)
  }
  const nodeHashes = new Set(nodes.map(hashKeyOf))
  return { leaves: leaves.filter((cid) => !nodeHashes.has(hashKeyOf(cid))), nodes }
}
