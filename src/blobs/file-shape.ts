import { encode, prepare } from '@ipld/dag-pb'
import './unixfs-sizes.js'
import { UnixFS } from 'ipfs-unixfs'
import { cidOfDigest, dagPbCode } from './cids.js'
import type { BlobProfile } from './settings.js'

/**
 * Block bytes of a file, known from its size alone: what a folder claims of it, without a look at a file that may be on
 * another node. All chunks but the last are alike, so all nodes of a level but the last are, and one of each is encoded.
 *
 * Assumes that the file was cut by `profile`. The balanced layout: `linksMax` children a node, level by level.
 */
export function totalBytesOfFile(size: number, profile: BlobProfile): number {
  const { chunkBytes, linksMax } = profile
  if (size <= chunkBytes) return size
  const rest = size % chunkBytes
  let level: Level = {
    full: { contentBytes: chunkBytes, totalBytes: chunkBytes },
    fullCount: Math.floor(size / chunkBytes),
    last: rest === 0 ? undefined : { contentBytes: rest, totalBytes: rest },
  }
  while (level.fullCount + (level.last === undefined ? 0 : 1) > 1) level = above(level, linksMax)
  return (level.last ?? level.full).totalBytes
}

interface Part {
  contentBytes: number
  totalBytes: number
}

interface Level {
  full: Part
  fullCount: number
  last: Part | undefined
}

function above({ full, fullCount, last }: Level, linksMax: number): Level {
  const restCount = fullCount % linksMax
  const ending = [...new Array<Part>(restCount).fill(full), ...(last === undefined ? [] : [last])]
  const next = Math.floor(fullCount / linksMax)
  return {
    full: next === 0 ? full : nodeOver(new Array<Part>(linksMax).fill(full)),
    fullCount: next,
    last: ending.length === 0 ? undefined : nodeOver(ending),
  }
}

/** Any CID is as long as any other. */
const someCid = cidOfDigest(dagPbCode, new Uint8Array(32))

function nodeOver(children: readonly Part[]): Part {
  const unixfs = new UnixFS({ type: 'file', blockSizes: children.map(({ contentBytes }) => BigInt(contentBytes)) })
  const links = children.map(({ totalBytes }) => ({ Name: '', Tsize: totalBytes, Hash: someCid }))
  const bytes = encode(prepare({ Data: unixfs.marshal(), Links: links }))
  return {
    contentBytes: children.reduce((sum, child) => sum + child.contentBytes, 0),
    totalBytes: children.reduce((sum, child) => sum + child.totalBytes, bytes.length),
  }
}
