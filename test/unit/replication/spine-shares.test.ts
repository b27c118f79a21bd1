import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { saltOf } from '../../../src/replication/fingerprint.js'
import { Inventory } from '../../../src/replication/inventory.js'
import { spineBytesMax, takesSpine } from '../../../src/replication/spine-shares.js'
import type { Want, Wants } from '../../../src/replication/wants.js'
import { idOf } from '../../simulation/net-twin.js'

const kib = 1024

describe('replication: shares of lists of parts', () => {
  it('whoever puts one after another leaves most of the room to the next owner, and small ones are taken of everybody', () => {
    const inventory = new Inventory(saltOf(1n))
    const owners = new Map<string, NodeId>()
    const wantOf = (owner: NodeId, own = false): Want => ({ wanted: 2, priority: 'normal', owner, pinned: false, own })
    const wants: Pick<Wants, 'last'> = { last: (cid) => (owners.has(cid) ? wantOf(owners.get(cid)!) : undefined) }
    const put = (owner: NodeId, bytes: number, comingBytes = 0): boolean => {
      if (!takesSpine({ inventory, wants: wants as Wants }, bytes, comingBytes, wantOf(owner))) return false
      const cid = `spine ${String(inventory.size)}`
      owners.set(cid, owner)
      inventory.add({ cid, kind: 'spine', bytes, blocks: 1, heldSinceMs: 0 })
      return true
    }
    const flood = (owner: NodeId, bytes: number): number => {
      let taken = 0
      while (taken <= spineBytesMax && put(owner, bytes)) taken += bytes
      return taken
    }
    // Blobs that are no spines take nothing of it.
    inventory.add({ cid: 'large', kind: 'dag', bytes: 2 ** 30, blocks: 1, heldSinceMs: 0 })
    const first = flood(idOf(1), 200 * kib)
    assert.ok(first > spineBytesMax / 8 && first < spineBytesMax / 4, `${String(first)} bytes`)
    // Many at once count as well.
    assert.ok(!put(idOf(2), 200 * kib, spineBytesMax / 2))
    assert.ok(put(idOf(2), 200 * kib))
    for (let i = 3; i < 13; i++) flood(idOf(i), 200 * kib)
    assert.ok(put(idOf(20), 60 * kib), 'the one that comes last')
    assert.ok(takesSpine({ inventory, wants: wants as Wants }, spineBytesMax, 0, wantOf(idOf(1), true)), 'its own, always')
    for (let i = 100; i < 1000; i++) put(idOf(i), 60 * kib)
    const all = [...inventory.spines()].reduce((sum, { bytes }) => sum + bytes, 0)
    assert.ok(all <= spineBytesMax && all > 0.9 * spineBytesMax, `${String(all)} bytes`)
    // What goes gives its share back.
    for (const { cid } of [...inventory.spines()]) if (owners.get(cid) === idOf(1)) inventory.remove(cid)
    assert.ok(put(idOf(1), 60 * kib))
  })
})
