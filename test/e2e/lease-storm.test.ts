import assert from 'node:assert/strict'
import { demandOneAtATime, FencedCounters } from './lease-storm.js'
import type { Belief } from './lease-storm.js'

/** What `npm run soak -- --processes` goes by while it kills and stops five processes. */
describe('leases, with five processes that are killed and stopped', () => {
  it('the checks can fail', () => {
    const store = new FencedCounters()
    assert.equal(store.read('s', 1, 'a'), 0)
    assert.equal(store.read('s', 2, 'b'), 0)
    assert.equal(store.write('s', 1, 'a', 1), false)
    assert.throws(() => store.read('s', 2, 'a'), /is b's and a's/)
    assert.equal(store.write('s', 2, 'b', 1), true)
    assert.throws(() => store.write('s', 2, 'b', 1), /an increment was lost/)
    const belief = (token: number, fromMs: number, untilMs: number, scope = 's'): Belief => ({ scope, token, client: `c${String(token)}`, fromMs, untilMs })
    demandOneAtATime([belief(1, 0, 10), belief(2, 10, 20), belief(3, 5, 8, 't')])
    assert.throws(() => { demandOneAtATime([belief(1, 0, 30), belief(2, 5, 6), belief(3, 29, 40)]) }, /could rely on it/)
  })
})
