import type { NodeId } from '../base/index.js'
import type { Hash64 } from './hashing.js'
import { hashName } from './hashing.js'
import type { NodeView } from './types.js'

/** A node as the planning functions use it: names interned to small numbers, hashes made once. */
export interface PlannedNode {
  readonly view: NodeView
  readonly hash: Hash64
  /** Interned; −1 if unknown. A segment is one within its region: two homes may use the same 192.168.0.0/24. */
  readonly segment: number
  readonly region: number
  readonly power: number
  /** Bytes that this plan has already sent its way. */
  planned: number
}

/**
 * All nodes at the moment of one plan. Make a new one for each plan: it remembers what the plan has already given to
 * whom, so that a plan of a hundred copies does not send all of them to the node that was emptiest before it began.
 */
export class MeshView {
  readonly nodes: readonly PlannedNode[]
  readonly #byId = new Map<NodeId, PlannedNode>()

  constructor(nodes: readonly NodeView[]) {
    const segments = new Map<string, number>()
    const regions = new Map<string, number>()
    const powers = new Map<string, number>()
    // In the order of their names, so that all nodes, whatever order they heard of each other in, see the same list.
    const sorted = [...nodes].sort((a, b) => (a.node < b.node ? -1 : a.node > b.node ? 1 : 0))
    this.nodes = sorted.map((view) => ({
      view,
      hash: hashName(view.node),
      segment: view.segment === '' ? -1 : intern(segments, `${view.region}\0${view.segment}`),
      region: view.region === '' ? -1 : intern(regions, view.region),
      power: view.power === 'unknown' ? -1 : intern(powers, view.power),
      planned: 0,
    }))
    for (const node of this.nodes) this.#byId.set(node.view.node, node)
  }

  get(node: NodeId): PlannedNode | undefined {
    return this.#byId.get(node)
  }

  /** Counts `bytes` as given to `node` for the rest of this plan. */
  assign(node: NodeId, bytes: number): void {
    const planned = this.#byId.get(node)
    if (planned !== undefined) planned.planned += bytes
  }

  /** Share of all that is lent and reachable that is still free, 0…1. */
  freeShare(): number {
    let free = 0
    let max = 0
    for (const node of this.nodes) {
      if (node.view.state !== 'up' || !node.view.accepting) continue
      free += freeBytesOf(node)
      max += node.view.maxBytes
    }
    return max === 0 ? 0 : free / max
  }
}

/** What it would still take of others' blobs after what this plan gave it. */
export function freeBytesOf(node: PlannedNode): number {
  return Math.max(0, node.view.freeBytes - node.planned)
}

/** free/max, 0…1. */
export function freeShareOf(node: PlannedNode): number {
  return node.view.maxBytes <= 0 ? 0 : Math.min(1, freeBytesOf(node) / node.view.maxBytes)
}

function intern(table: Map<string, number>, name: string): number {
  let number = table.get(name)
  if (number === undefined) table.set(name, (number = table.size))
  return number
}
