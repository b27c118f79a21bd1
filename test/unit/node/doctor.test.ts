import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { clockTrouble, diskTrouble, examineRunning, roomTrouble } from '../../../src/node/doctor.js'
import type { RunningFacts } from '../../../src/node/doctor.js'

const mib = 2 ** 20

describe('node: what is said of a node that is not well', () => {
  it('a small quota of which the store keeps a part is full before all of it is used', () => {
    const quota = { maxBytes: 200 * mib, headroomBytes: 28 * mib }
    assert.equal(roomTrouble(100 * mib, quota), undefined)
    assert.equal(roomTrouble(172 * mib, quota), '172 MiB of the 172 MiB that files and volumes may take here are used')
    assert.notEqual(roomTrouble(1, { maxBytes: 0, headroomBytes: 0 }), undefined)
  })

  it('a full disk is said, even where nothing is to stay free on it', () => {
    assert.equal(diskTrouble(2 ** 30, 0), undefined)
    assert.equal(diskTrouble(0, 0), 'the disk has only 0 B free: nothing more is stored here')
    assert.match(diskTrouble(5 * mib, 2 ** 30) ?? '', /storage\.min_free_space/)
  })

  it('who is let in no more is told so, and not to look at a firewall', () => {
    const member = { peerId: 'b' as NodeId, name: 'b', region: '', segment: '', power: 'mains', state: 'up', lastSeenMs: 0, reliability: 1, revoked: false, joinedMs: 0, addresses: [], version: '', startId: '' } as const
    const facts: RunningFacts = {
      quota: { maxBytes: 2 ** 30, headroomBytes: 0 }, addresses: [], members: [member], connected: 0, refusal: 'this node was removed from the mesh',
      usage: { totalBytes: 0, liveBytes: 0, draftBytes: 0, reclaimableBytes: 0, logBytes: 0, metadataBytes: 0, blocks: 0, quarantined: 0 },
      background: { paused: false, state: 'idle', reclaimedBytes: 0 }, freeBytes: 2 ** 30, provideLagMs: 0, leaseTrouble: undefined, nowMs: 0, clockAhead: undefined,
    }
    const check = examineRunning(facts).find(({ name }) => name === 'members')
    assert.equal(check?.state, 'failed')
    assert.match(check.advice ?? '', /was removed/)
  })

  it('a clock for which files cannot be changed is said', () => {
    assert.equal(clockTrouble(undefined), undefined)
    assert.match(clockTrouble({ aheadMs: 86_400_000, nodes: 2, of: 2 }) ?? '', /^this machine's clock is 1d ahead of 2 of 2 other nodes/)
  })
})
