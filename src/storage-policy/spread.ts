/**
 * May a file that is larger than its node's room go into the mesh, in how many copies, and in blobs of what size?
 *
 * Intuition. The smaller the blobs, the better they fill nodes of any size, and the more there are to keep track of. An
 * eighth of the room of the smaller of the two, this node and the roomiest other, leaves less than an eighth of it unused.
 *
 * Blobs of one size go into slots: a node with room for n of them has n. Each blob wants its copies on different nodes, so
 * a node can take one copy of each at most: c copies of b blobs fit if, and only if, the sum of min(n, b) is at least c·b.
 */
import type { NodeId } from '../base/index.js'
import type { FactorSettings } from './priorities.js'
import { minimumReplicas } from './priorities.js'
import { storageCost } from './storage-cost.js'
import type { NodeView } from './types.js'

export interface SpreadRoom {
  readonly self: NodeId
  readonly ownFreeBytes: number
  readonly nodes: readonly NodeView[]
  readonly factors: FactorSettings
}

export interface SpreadFit {
  readonly blobBytes: number
  /** That there is room for, at most those that are wanted; 0 if not even the minimum fits. */
  readonly copies: number
  /** For the minimum. */
  readonly needBytes: number
  /** For whole blobs, counted once a node and blob. */
  readonly roomBytes: number
  /** For people, if nothing fits. */
  readonly message: string
}

const mebibyte = 2 ** 20
/** Below this a blob costs more to arrange than to send. */
const blobBytesMin = 4 * mebibyte
/** The usual largest blob. */
const blobBytesMax = 2 ** 30
/** Blobs of one file, so that its root stays a small block. */
const blobsMax = 1024
const slotsPerRoom = 8
/** What the stream itself takes at this node: the store's queue, which no measurement sees, and the next steps. */
const streamBytes = 18 * mebibyte
/** A blob's nodes above its leaves, 50 bytes a leaf, and what its place in the store costs. */
const aboveLeavesBytes = 64 * 1024

export function spreadOver(file: { bytes: number; replicas: number }, { self, ownFreeBytes, nodes, factors }: SpreadRoom): SpreadFit {
  const others = nodes.filter((node) => node.node !== self && node.state === 'up' && node.accepting && node.trusted).map((node) => node.freeBytes)
  const blobBytes = blobBytesFor(file.bytes, Math.min(Math.max(0, ownFreeBytes - streamBytes), Math.max(0, ...others)))
  const blobs = Math.ceil(file.bytes / blobBytes)
  const cost = storageCost(blobBytes + aboveLeavesBytes)
  const slots = [
    // One blob is being put together here.
    Math.floor((ownFreeBytes - streamBytes) / cost) - 1,
    ...others.map((bytes) => Math.floor(bytes / cost)),
  ].map((count) => Math.min(blobs, Math.max(0, count)))
  const room = slots.reduce((sum, count) => sum + count, 0)
  const minimum = minimumReplicas(file.replicas, factors)
  let copies = file.replicas
  while (copies > minimum && room < copies * blobs) copies--
  // Here there must be room for what comes next, or nothing moves.
  const fits = room >= copies * blobs && ownFreeBytes >= streamBytes + 2 * cost
  const needBytes = minimum * file.bytes
  const roomBytes = Math.min(room * blobBytes, others.reduce((sum, bytes) => sum + bytes, ownFreeBytes))
  const many = minimum === 1 ? '' : `, ${String(minimum)} times (no file is let go of with fewer copies), which is ${sizeOf(needBytes)}`
  const fewer = minimum > 1 && roomBytes >= file.bytes ? '; one copy (--replicas 1) would fit' : ''
  return {
    blobBytes,
    copies: fits ? copies : 0,
    needBytes,
    roomBytes,
    message: `the file has ${sizeOf(file.bytes)} and must be stored${many === '' ? '' : many}; this node has room for ${sizeOf(ownFreeBytes)}, the whole mesh for ${sizeOf(roomBytes)}${fewer}`,
  }
}

/** A power of two, so that the same file is mostly cut alike wherever it is put. */
function blobBytesFor(fileBytes: number, roomBytes: number): number {
  let blobBytes = blobBytesMin
  while (blobBytes < blobBytesMax && (2 * blobBytes * slotsPerRoom <= roomBytes || fileBytes / blobBytes > blobsMax)) blobBytes *= 2
  return blobBytes
}

function sizeOf(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value >= 100 || unit === 0 ? String(Math.round(value)) : value.toFixed(1)} ${units[unit] ?? ''}`
}
