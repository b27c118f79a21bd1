import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import type { NodeId } from '../../../src/base/index.js'
import { Trust } from '../../../src/replication/trust.js'
import { MemoryKeyValue } from '../catalog/memory-key-value.js'

const dayMs = 24 * 3600_000
const nowMs = Date.UTC(2026, 10, 21)
const liar = 'liar' as NodeId

describe('replication: trust', () => {
  it('comes back a week after the last but one wrong answer, over a restart too', async () => {
    const meta = new MemoryKeyValue()
    const trust = new Trust(meta)
    await trust.strike(liar, nowMs)
    assert.equal(trust.trusts(liar, nowMs), true)
    await trust.strike(liar, nowMs + dayMs)
    assert.equal(trust.trusts(liar, nowMs + dayMs), false)
    const again = new Trust(meta)
    await again.load(nowMs + 2 * dayMs)
    for (const known of [trust, again]) {
      assert.deepEqual(known.untrusted(nowMs + 7 * dayMs - 1), [liar])
      assert.deepEqual(known.untrusted(nowMs + 7 * dayMs), [])
    }
  })

  it('comes back within a week of the clock having been set back, however far ahead it was', async () => {
    for (const aheadMs of [3600_000, 6 * dayMs, 400 * dayMs]) {
      const meta = new MemoryKeyValue()
      const trust = new Trust(meta)
      await trust.strike(liar, nowMs + aheadMs)
      await trust.strike(liar, nowMs + aheadMs + 1000)
      assert.equal(trust.trusts(liar, nowMs + aheadMs + 1000), false)
      // The clock is right again: caught is caught, and for a week from now on.
      assert.equal(trust.trusts(liar, nowMs), false)
      assert.equal(trust.trusts(liar, nowMs + 7 * dayMs - 1), false)
      assert.equal(trust.trusts(liar, nowMs + 7 * dayMs), true)

      const again = new Trust(meta)
      await again.load(nowMs)
      assert.equal(again.trusts(liar, nowMs), aheadMs > 7 * dayMs)
      assert.equal(again.trusts(liar, nowMs + 7 * dayMs), true)
    }
  })
})
