import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { SegmentPlacement } from '../../../src/node/segment-places.js'
import { placementDefaults } from '../../../src/storage-policy/index.js'

const [self, roomy, full] = ['self', 'roomy', 'full'] as [NodeId, NodeId, NodeId]
const maxBytes = 200 * 2 ** 20

function placement(free: Record<NodeId, number>): SegmentPlacement {
  return new SegmentPlacement({
    membership: {
      members: () => [self, roomy, full].map((peerId) => ({
        peerId, name: peerId, region: peerId, segment: peerId, power: 'mains', state: 'up', lastSeenMs: 0, reliability: 1, revoked: false, joinedMs: 0, addresses: [], version: '', startId: '',
      })),
    },
    replication: {
      // Some of a quota is kept for the store itself: what is left of it is no room.
      storageOf: (node) => ({ maxBytes, usedBytes: 150 * 2 ** 20, freeForOthersBytes: free[node] ?? 0, shareExcess: true }),
      isLeaving: () => false,
    },
    quota: async () => ({ maxBytes, freeForOthersBytes: free[self] ?? 0, freeForOwnBytes: free[self] ?? 0 }),
  }, { self, placement: placementDefaults })
}

describe('node: places for copies of segments', () => {
  it('a node that has no room left is none, whatever its quota is', async () => {
    const chosen = await placement({ [self]: 2 ** 30, [roomy]: 2 ** 20, [full]: 0 }).choose({ volume: 'v', segment: 0 }, 3, [])
    assert.deepEqual([...chosen].sort(), [roomy, self])
  })
})
