import { encode, prepare } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import type { CID } from 'multiformats/cid'
import { cidOfDigest, dagPbCode } from './cids.js'
import { sha256 } from './hashing.js'
import { makeShards } from './shards.js'

/**
 * A tree of names → its UnixFS folder nodes, from the leaves up, with the CIDs of `ipfs add -r`.
 *
 * The importer has a tree builder of its own, which is not used for the whole: it looks at all names of a folder again
 * whenever one is added, and keeps every folder open to the end. One folder at a time, once all in it is known, costs one
 * encoding: 0.2 s instead of 2 s for 10,000 names, which is what a put of as many small files takes.
 */
export interface TreeEntry {
  readonly cid: CID
  /** Sum of the block bytes below, as its folder claims. */
  readonly totalBytes: number
}

/** What is in a folder: entries whose CIDs are known, and folders that are to be made. */
export type FolderTree = Map<string, TreeEntry | FolderTree>

/** Of names and CIDs in a folder: above it a folder is sharded. The importer's, which has it from Kubo. */
const shardAboveBytes = 262_144
/** CIDv1 with sha2-256, as the importer counts each entry. */
const cidBytes = 36

export type NodeSink = (cid: CID, bytes: Uint8Array) => void

/** `onFolder` is told of each folder, children first, the top (`''`) last; `onNode` of each block, shards included. */
export async function makeFolder(tree: FolderTree, onFolder: (path: string, cid: CID) => void, onNode: NodeSink, prefix = ''): Promise<TreeEntry> {
  const entries: [name: string, entry: TreeEntry][] = []
  let estimate = 0
  for (const [name, child] of tree) {
    if (child instanceof Map) {
      // Folders do not count: they have no CID yet when the importer decides, and names are to equal its names.
      entries.push([name, await makeFolder(child, onFolder, onNode, prefix === '' ? name : `${prefix}/${name}`)])
    } else {
      estimate += name.length + cidBytes
      entries.push([name, child])
    }
  }
  const made = estimate > shardAboveBytes ? await makeShards(entries, onNode) : await flat(entries, onNode)
  onFolder(prefix, made.cid)
  return made
}

async function flat(entries: readonly [string, TreeEntry][], onNode: NodeSink): Promise<TreeEntry> {
  const links = entries.map(([name, { cid, totalBytes }]) => ({ Name: name, Tsize: totalBytes, Hash: cid }))
  const bytes = encode(prepare({ Data: new UnixFS({ type: 'directory' }).marshal(), Links: links }))
  const cid = cidOfDigest(dagPbCode, await sha256(bytes))
  onNode(cid, bytes)
  return { cid, totalBytes: entries.reduce((sum, [, entry]) => sum + entry.totalBytes, bytes.length) }
}
