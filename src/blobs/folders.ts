import { decode } from '@ipld/dag-pb'
import type { CID } from 'multiformats/cid'
import { keyOf, rawCode } from './cids.js'
import { makeFolder, type FolderTree, type TreeEntry } from './folder-nodes.js'
import { decodeNode, isPlainName } from './nodes.js'
import { BlobError, type FolderEntry } from './types.js'

/** Folders over files that are imported already: CIDs equal `ipfs add -r`, sharding included. */
export interface FolderNodes {
  root: CID
  /** Every folder node, shards included, children before parents. */
  nodes: { cid: CID; bytes: Uint8Array }[]
  /** Every folder by its path; `''` is the root. */
  folders: Map<string, CID>
}

/** Throws BAD_CID for a path that is no path. `totalBytesOf` tells the block bytes under an entry's root. */
export async function buildFolder<Entry extends FolderEntry>(
  entries: Iterable<Entry> | AsyncIterable<Entry>,
  totalBytesOf: (entry: Entry) => number | Promise<number>,
): Promise<FolderNodes> {
  const tree: FolderTree = new Map()
  const add = (entry: Entry): Promise<void> | undefined => {
    const bytes = totalBytesOf(entry)
    if (typeof bytes !== 'number') return bytes.then((found) => place(tree, entry, found))
    place(tree, entry, bytes)
    return undefined
  }
  if (Symbol.iterator in entries) {
    // Ten thousand small files that are known take no turn of the event loop each.
    for (const entry of entries) {
      const adding = add(entry)
      if (adding !== undefined) await adding
    }
  } else for await (const entry of entries) await add(entry)
  const nodes: FolderNodes['nodes'] = []
  const folders: FolderNodes['folders'] = new Map()
  const { cid: root } = await makeFolder(tree, (path, cid) => folders.set(path, cid), (cid, bytes) => nodes.push({ cid, bytes }))
  return { root, nodes, folders }
}

function place(tree: FolderTree, { path, cid }: FolderEntry, totalBytes: number): void {
  const names = path.split('/')
  if (!names.every(isPlainName)) throw badPath(path, 'it has an empty, "." or ".." part')
  const last = names.pop() ?? ''
  let folder = tree
  for (const name of names) {
    const next: TreeEntry | FolderTree = folder.get(name) ?? new Map<string, TreeEntry | FolderTree>()
    if (!(next instanceof Map)) throw badPath(path, `"${name}" is a file`)
    folder.set(name, next)
    folder = next
  }
  if (folder.has(last)) throw badPath(path, 'it is there twice')
  folder.set(last, { cid, totalBytes })
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
