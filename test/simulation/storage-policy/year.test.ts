import assert from 'node:assert/strict'
import { runYear } from './year-world.js'
import type { YearInit } from './year-world.js'

const small: YearInit = { seed: 1, nodes: 60, blobs: 500, days: 60, tickMs: 30 * 60_000, deathsPerMonth: 0.1, laptops: 0.4, faults: 0.1, uplink: 4e6 }

describe('storage-policy: a small mesh over two hard months', function () {
  this.timeout(60_000)

  it('loses nothing that had a live copy for as long as copying takes', () => {
    for (const seed of [1, 2, 3]) {
      const year = runYear({ ...small, seed })
      console.log(`      seed ${String(seed)}: ${String(year.deaths)} of ${String(small.nodes)} nodes died, repair ${((year.repairBytes + year.urgentBytes) / year.deadBytes).toFixed(2)} bytes per byte that died, below wanted ${(100 * year.belowWanted).toFixed(2)} % of the time, lost by coincidence ${String(year.lostByCoincidence)}`)
      assert.deepEqual(year.lostByPolicy, [])
      assert.equal(year.overQuota, 0)
      assert.ok(year.deaths > 3)
    }
  })

  it('is the same world for the same seed', () => {
    assert.deepEqual(runYear({ ...small, days: 10 }), runYear({ ...small, days: 10 }))
  })

  it('the check can fail: without repair blobs are lost', () => {
    assert.ok(runYear({ ...small, broken: 'no repair' }).lostByPolicy.length > 0)
  })
})
