import { decode } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import type { CID } from 'multiformats/cid'
import { messageOf } from '../base/index.js'
import { isAccepted, rawCode } from './cids.js'
import { BlobError } from './types.js'

/**
 * Blocks as what they mean. Every node comes from somebody else, so nothing in it is believed beyond its hash: links
 * must be accepted CIDs, the sizes a node claims for its children are checked again when the children are here, and a
 * node is a block, so that it never has more links than fit in 1 MiB.
 */
export interface FileLink {
  readonly cid: CID
  /** Content bytes below, as the parent claims. */
  readonly contentBytes: number
}

export interface FileNode {
  readonly type: 'file'
  /** Content in the node itself; all of it in a leaf. Comes before what the links hold. */
  readonly data: Uint8Array
  readonly links: readonly FileLink[]
  readonly contentBytes: number
  /** Each link is a blob of its own, however little is below this node. */
  readonly spread: boolean
}

/**
 * The name of the links in the root of a file that was spread over several nodes while it came in (see `importing.ts`).
 * Other tools read a file's links in their order and give them no names, so they neither make such a node nor mind it.
 */
export const spreadLinkName = 'blob'

export interface FolderLink {
  readonly cid: CID
  readonly name: string
  /** The link leads to a shard of the same folder, and not to something in it. */
  readonly shard: boolean
  /** Block bytes below, as the folder claims (the CID of a raw file is its content: then these are its content bytes). */
  readonly totalBytes: number
}

export interface FolderNode {
  readonly type: 'folder'
  readonly links: readonly FolderLink[]
}

export type DagNode = FileNode | FolderNode

const empty = new Uint8Array(0)

/** Throws BAD_CID if the block, whose bytes are what its CID says, is not a node this mesh understands. */
export function decodeNode(cid: CID, bytes: Uint8Array): DagNode {
  if (cid.code === rawCode) return { type: 'file', data: bytes, links: [], contentBytes: bytes.length, spread: false }
  try {
    const node = decode(bytes)
    if (node.Data === undefined) throw new Error('it has no UnixFS part')
    const unixfs = UnixFS.unmarshal(node.Data)
    for (const link of node.Links) {
      if (!isAccepted(link.Hash)) throw new Error(`it links to ${link.Hash.toString().slice(0, 100)}`)
    }
    if (unixfs.type === 'directory' || unixfs.type === 'hamt-sharded-directory') {
      const prefixLength = unixfs.type === 'directory' ? undefined : prefixLengthOf(unixfs.fanout)
      return { type: 'folder', links: node.Links.map((link) => folderLink(link.Hash, link.Name ?? '', link.Tsize ?? 0, prefixLength)) }
    }
    if (unixfs.type !== 'file' && unixfs.type !== 'raw') throw new Error(`it is a ${unixfs.type}`)
    return fileNode(node.Links, unixfs)
  } catch (error) {
    throw new BlobError('BAD_CID', `${cid.toString()} is not a UnixFS file or folder that this mesh understands: ${messageOf(error)}`, {
      cid: cid.toString(),
    })
  }
}

function fileNode(links: readonly { Hash: CID; Name?: string }[], unixfs: UnixFS): FileNode {
  if (unixfs.blockSizes.length !== links.length) throw new Error('it has not one size for each link')
  const data = unixfs.data ?? empty
  let contentBytes = data.length
  const fileLinks = links.map((link, i): FileLink => {
    const size = Number(unixfs.blockSizes[i])
    contentBytes += size
    if (!Number.isSafeInteger(contentBytes)) throw new Error('its size is not a number')
    return { cid: link.Hash, contentBytes: size }
  })
  const spread = links.length > 1 && links.every((link) => link.Name === spreadLinkName)
  return { type: 'file', data, links: fileLinks, contentBytes, spread }
}

/**
 * In a sharded folder (HAMT) a link's name begins with its slot in hexadecimal, as many digits as the largest slot has;
 * a name that is the slot alone leads to a shard further down. Source: UnixFS specification, "HAMT Structure".
 */
function folderLink(cid: CID, linkName: string, totalBytes: number, prefixLength: number | undefined): FolderLink {
  if (prefixLength === undefined) return { cid, name: linkName, shard: false, totalBytes }
  if (linkName.length < prefixLength) throw new Error('a slot of the sharded folder has no number')
  return { cid, name: linkName.slice(prefixLength), shard: linkName.length === prefixLength, totalBytes }
}

function prefixLengthOf(fanout: bigint | undefined): number {
  if (fanout === undefined || fanout < 2n || fanout > 1024n) throw new Error('the fan-out of the sharded folder is not a number')
  return (fanout - 1n).toString(16).length
}

/** Names in a folder come from others and end up in somebody's file system: one plain segment, or refused. */
export function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0')
}
