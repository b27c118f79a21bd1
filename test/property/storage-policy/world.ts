import type { NodeId, Random } from '../../../src/base/index.js'
import { nodeIdOfPublicKey, seededRandom } from '../../../src/base/index.js'
import type { NodeView } from '../../../src/storage-policy/index.js'

/** Well-formed names that nobody owns the key of. */
export function nodeIds(count: number, seed = 1): NodeId[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, () => nodeIdOfPublicKey(random.bytes(32)))
}

export const mib = 2 ** 20
export const gib = 2 ** 30

export function nodeView(node: NodeId, overrides: Partial<NodeView> = {}): NodeView {
  const maxBytes = overrides.maxBytes ?? 100 * gib
  return {
    node,
    state: 'up',
    silentMs: 0,
    region: 'home',
    segment: '10.0.0.0/24',
    power: 'mains',
    reliability: 1,
    maxBytes,
    freeBytes: maxBytes,
    ownFreeBytes: maxBytes,
    accepting: true,
    repairing: true,
    trusted: true,
    ...overrides,
  }
}

/** Nodes of all kinds: few places, so that they collide. */
export function anyNode(node: NodeId, random: Random): NodeView {
  const maxBytes = (1 + random.below(8)) * 10 * gib
  return nodeView(node, {
    state: random.below(10) === 0 ? 'suspect' : random.below(15) === 0 ? 'gone' : 'up',
    region: ['', 'sydney', 'london', 'nyc'][random.below(4)] ?? '',
    segment: ['', 'a', 'b', 'c', 'd'][random.below(5)] ?? '',
    power: (['mains', 'battery', 'unknown'] as const)[random.below(3)] ?? 'unknown',
    reliability: random.float(),
    maxBytes,
    freeBytes: Math.floor(random.float() * maxBytes),
    ownFreeBytes: Math.floor(random.float() * maxBytes),
    accepting: random.below(12) !== 0,
    repairing: random.below(5) !== 0,
    trusted: random.below(20) !== 0,
  })
}
