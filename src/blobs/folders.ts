import { importer, type ImportCandidate } from 'ipfs-unixfs-importer'
import type { CID } from 'multiformats/cid'
import { decode } from '@ipld/dag-pb'
import { keyOf, rawCode } from './cids.js'
import { decodeNode, isPlainName } from './nodes.js'
import { BlobError, type FolderEntry } from './types.js'

/**
 * Folders by the importer's own tree builder, fed with files that are imported already: CIDs equal `ipfs add -r`,
 * sharding (HAMT, 256 slots, above 256 KiB of names and CIDs) included.
 */
export interface FolderNodes {
  root: CID
  /** Every folder node, shards included, children before parents. */
  nodes: { cid: CID; bytes: Uint8Array }[]
  /** Sum of the block bytes below, as its parent would claim. */
  totalBytes: number
}

/** Throws BAD_CID for a path that is no path. `totalBytesOf` tells the block bytes under an entry's root. */
export async function buildFolder(
  entries: Iterable<FolderEntry> | AsyncIterable<FolderEntry>,
  totalBytesOf: (cid: CID) => Promise<number>,
): Promise<FolderNodes> {
  const nodes: FolderNodes['nodes'] = []
  const sink = {
    put: async (cid: CID, bytes: Uint8Array): Promise<CID> => {
      nodes.push({ cid, bytes })
      return cid
    },
  }
  const paths = new Set<string>()
  const folders = new Set<string>()
  const made = async function* (): AsyncGenerator<() => Promise<{ cid: CID; path: string; size: bigint }>> {
    for await (const { path, cid } of entries) {
      notePath(path, paths, folders)
      const size = BigInt(await totalBytesOf(cid))
      yield async () => ({ cid, path, size })
    }
  }
  let root: CID | undefined
  let totalBytes = 0
  const none: ImportCandidate[] = []
  for await (const entry of importer(none, sink, { dagBuilder: () => made(), wrapWithDirectory: true, cidVersion: 1 })) {
    if (entry.path === '') {
      root = entry.cid
      totalBytes = Number(entry.size)
    }
  }
  if (root === undefined) throw new Error('the importer made no folder')
  return { root, nodes, totalBytes }
}

function notePath(path: string, paths: Set<string>, folders: Set<string>): void {
  const segments = path.split('/')
  if (!segments.every(isPlainName)) throw badPath(path, 'it has an empty, "." or ".." part')
  if (paths.has(path) || folders.has(path)) throw badPath(path, 'it is there twice')
  paths.add(path)
  for (let i = 1; i < segments.length; i++) {
    const folder = segments.slice(0, i).join('/')
    if (paths.has(folder)) throw badPath(path, `"${folder}" is a file`)
    folders.add(folder)
  }
}

function badPath(path: string, why: string): BlobError {
  return new BlobError('BAD_CID', `"${path.slice(0, 200)}" cannot be a name in a folder: ${why}`, { path: path.slice(0, 200) })
}

/** Block bytes under a root, from its root block: its own and what it claims of its children. */
export function totalBytesBelow(cid: CID, bytes: Uint8Array): number {
  if (cid.code === rawCode) return bytes.length
  const node = decode(bytes)
  return node.Links.reduce((sum, link) => sum + (link.Tsize ?? 0), bytes.length)
}

export interface MadeFolder {
  root: CID
  nodes: CID[]
}

/** The folders among freshly made nodes, the root last; each with its own nodes (itself, and shards). */
export function foldersAmong(root: CID, made: ReadonlyMap<string, Uint8Array>): MadeFolder[] {
  const folders: MadeFolder[] = []
  const seen = new Set<string>()
  const roots = [root]
  for (let next = roots.pop(); next !== undefined; next = roots.pop()) {
    if (seen.has(keyOf(next))) continue
    seen.add(keyOf(next))
    const folder: MadeFolder = { root: next, nodes: [] }
    const open = [next]
    for (let cid = open.pop(); cid !== undefined; cid = open.pop()) {
      const bytes = made.get(keyOf(cid))
      if (bytes === undefined) continue
      folder.nodes.push(cid)
      const node = decodeNode(cid, bytes)
      if (node.type !== 'folder') continue
      for (const link of node.links) {
        if (link.shard) open.push(link.cid)
        else if (made.has(keyOf(link.cid))) roots.push(link.cid)
      }
    }
    folders.push(folder)
  }
  return folders.reverse()
}
