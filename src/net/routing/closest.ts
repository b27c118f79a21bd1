import { createHash } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'
import type { NodeId } from '../../base/index.js'

/** A node's place in the key space: kad-dht hashes the binary PeerId. Nodes are few and asked for often. */
const places = new Map<NodeId, Uint8Array>()
const placesMax = 4096

function placeOf(node: NodeId): Uint8Array {
  let place = places.get(node)
  if (place === undefined) {
    if (places.size >= placesMax) places.clear()
    places.set(node, (place = hash(base58btc.baseDecode(node))))
  }
  return place
}

/** The `count` nodes whose places are closest to the key's by XOR (Maymounkov & Mazières, "Kademlia", 2002, §2.1). */
export function closestPeers(key: Uint8Array, nodes: readonly NodeId[], count: number): readonly NodeId[] {
  if (nodes.length <= count) return nodes
  const target = hash(key)
  return nodes
    .map((node) => ({ node, place: placeOf(node) }))
    .sort((a, b) => compareDistance(a.place, b.place, target))
    .slice(0, count)
    .map(({ node }) => node)
}

function compareDistance(a: Uint8Array, b: Uint8Array, target: Uint8Array): number {
  for (let i = 0; i < target.length; i++) {
    const difference = ((a[i] ?? 0) ^ (target[i] ?? 0)) - ((b[i] ?? 0) ^ (target[i] ?? 0))
    if (difference !== 0) return difference
  }
  return 0
}

function hash(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}
