import type { CID } from 'multiformats/cid'
import type { BlockSource } from './block-source.js'
import { keyOf, rawCode } from './cids.js'
import { kindOf } from './dag.js'
import { decodeNode, isPlainName, type DagNode, type FolderNode } from './nodes.js'
import { blobContentBytesMax, dagDepthMax, type BlobProfile } from './settings.js'
import { BlobError, type BlobRef, type FolderItem } from './types.js'

/** What is below a root, above the level of bytes: blobs of files, folders and what is in them. */

/** Folders within folders that are followed: deeper than any path of the catalog can be. */
const folderDepthMax = 2048

/** Blobs of one file that are listed: 256 TiB in blobs of 1 GiB. More is somebody's attempt to fill memory. */
const partsMax = 2 ** 18

/**
 * Blobs below a root, each once, children before what stands over them. Follows blocks and not paths, of which a few blocks
 * that lead to each other can have more than there are atoms.
 */
export async function collectBlobs(root: CID, source: BlockSource, profile: BlobProfile, found: Map<string, BlobRef>, depth = 0): Promise<void> {
  const key = keyOf(root)
  if (found.has(key)) return
  if (depth > folderDepthMax) throw new BlobError('BAD_CID', `folders are nested more than ${folderDepthMax} deep`, { cid: root.toString() })
  if (root.code === rawCode) {
    found.set(key, { cid: root, kind: 'dag' })
    return
  }
  const node = await rootNode(source, root)
  const kind = kindOf(node, { profile })
  if (node.type === 'folder') {
    for await (const { cid } of shardedLinks(root, node, source)) await collectBlobs(cid, source, profile, found, depth + 1)
  } else if (kind === 'spine') await collectParts(root, root, node, source, profile, { found, seen: new Set(), limit: found.size + partsMax }, 0)
  found.set(key, { cid: root, kind })
}

interface Parts {
  readonly found: Map<string, BlobRef>
  /** Upper nodes that were followed. */
  readonly seen: Set<string>
  /** Of `found`. */
  readonly limit: number
}

async function collectParts(blob: CID, cid: CID, node: DagNode, source: BlockSource, profile: BlobProfile, parts: Parts, depth: number): Promise<void> {
  if (node.type !== 'file' || depth > dagDepthMax) throw new BlobError('CORRUPT', `${cid.toString()} is no part of a file`, { cid: cid.toString() })
  for (const link of node.links) {
    const key = keyOf(link.cid)
    if (link.contentBytes <= blobContentBytesMax(profile)) {
      parts.found.set(key, { cid: link.cid, kind: 'dag' })
      if (parts.found.size > parts.limit) throw new BlobError('BAD_CID', `${blob.toString()} has more than ${partsMax} parts`, { cid: blob.toString() })
    } else if (!parts.seen.has(key)) {
      parts.seen.add(key)
      await collectParts(blob, link.cid, decodeNode(link.cid, await source.get(link.cid, 0, blob)), source, profile, parts, depth + 1)
    }
  }
}

/** What is in a folder and in its folders, depth first. Names are plain ones, or it throws BAD_CID. */
export async function* folderItems(root: CID, node: FolderNode, source: BlockSource, prefix = '', depth = 0): AsyncGenerator<FolderItem> {
  if (depth > folderDepthMax) throw new BlobError('BAD_CID', `folders are nested more than ${folderDepthMax} deep`, { cid: root.toString() })
  for await (const { cid, name, totalBytes } of shardedLinks(root, node, source)) {
    if (!isPlainName(name)) throw new BlobError('BAD_CID', `a folder has the name ${JSON.stringify(name.slice(0, 200))} in it`, { cid: root.toString() })
    const path = `${prefix}${name}`
    if (cid.code === rawCode) {
      yield { path, cid, size: totalBytes, type: 'file' }
      continue
    }
    const child = await rootNode(source, cid)
    if (child.type === 'file') yield { path, cid, size: child.contentBytes, type: 'file' }
    else {
      yield { path, cid, size: 0, type: 'folder' }
      yield* folderItems(cid, child, source, `${path}/`, depth + 1)
    }
  }
}

export async function rootNode(source: BlockSource, root: CID): Promise<DagNode> {
  return decodeNode(root, await source.get(root, 0, root))
}

/** What is in a folder, its shards opened as they come. */
async function* shardedLinks(root: CID, folder: FolderNode, source: BlockSource): AsyncGenerator<{ cid: CID; name: string; totalBytes: number }> {
  const stack = [...folder.links].reverse()
  const seen = new Set<string>()
  for (;;) {
    const link = stack.pop()
    if (link === undefined) return
    if (!link.shard) {
      yield link
      continue
    }
    // Names are placed by their hashes: no shard stands in two places of one folder.
    if (seen.has(keyOf(link.cid))) throw new BlobError('CORRUPT', `${link.cid.toString()} is twice in one folder`, { cid: link.cid.toString() })
    seen.add(keyOf(link.cid))
    const shard = decodeNode(link.cid, await source.get(link.cid, 0, root))
    if (shard.type !== 'folder') throw new BlobError('CORRUPT', `${link.cid.toString()} is no part of a folder`, { cid: link.cid.toString() })
    stack.push(...[...shard.links].reverse())
  }
}
