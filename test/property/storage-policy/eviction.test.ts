import assert from 'node:assert/strict'
import fc from 'fast-check'
import { seededRandom } from '../../../src/base/index.js'
import { evictionStrategies, hybridScore, keepReason, newcomerMs, planEviction } from '../../../src/storage-policy/index.js'
import type { EvictionCandidate, EvictionStrategy, Priority } from '../../../src/storage-policy/index.js'
import { mib, nodeIds } from './world.js'

const [self] = nodeIds(1)
const day = 24 * 3600_000
const nowMs = 1000 * day

function candidate(overrides: Partial<EvictionCandidate> = {}): EvictionCandidate {
  return { cid: 'x', bytes: 10 * mib, priority: 'normal', copies: 4, wanted: 4, minimum: 2, pinned: false, inUse: false, ownerMustHold: false, promised: false, heldSinceMs: nowMs - 10 * day, lastUsedMs: nowMs - day, ...overrides }
}

function draw(seed: number): EvictionCandidate[] {
  const random = seededRandom(seed)
  return Array.from({ length: random.below(40) }, (_, i) => {
    const wanted = 1 + random.below(4)
    return candidate({
      cid: `c${String(i)}`,
      bytes: 1 + random.below(20 * mib),
      priority: (['critical', 'high', 'normal', 'low', 'expendable'] as Priority[])[random.below(5)]!,
      copies: random.below(6),
      wanted,
      minimum: Math.min(wanted, 2),
      pinned: random.below(8) === 0,
      inUse: random.below(8) === 0,
      ownerMustHold: random.below(8) === 0,
      promised: random.below(8) === 0,
      heldSinceMs: nowMs - random.below(100 * day),
      lastUsedMs: nowMs - random.below(100 * day),
    })
  })
}
const plan = (candidates: EvictionCandidate[], strategy: EvictionStrategy, bytes: number, seed = 1): ReturnType<typeof planEviction> =>
  planEviction(candidates, { self: self!, strategy, bytes, nowMs, seed })
const order = (candidates: EvictionCandidate[], strategy: EvictionStrategy): string[] => plan(candidates, strategy, Number.MAX_SAFE_INTEGER).actions.map((action) => action.cid)

describe('storage-policy: eviction', () => {
  it('never takes what is pinned, in use, owed or among the last copies; frees enough or all it may; and takes nothing needless', () => {
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom(...evictionStrategies), fc.integer({ min: 0, max: 300 * mib }), (seed, strategy, bytes) => {
        const candidates = draw(seed)
        const made = plan(candidates, strategy, bytes)
        const taken = made.actions.map((action) => candidates.find((one) => one.cid === action.cid)!)
        assert.equal(new Set(taken).size, taken.length)
        for (const one of taken) {
          assert.ok(!one.pinned && !one.inUse && !one.ownerMustHold && !one.promised)
          assert.ok(one.copies - 1 >= Math.max(1, one.minimum))
        }
        const free = taken.reduce((sum, one) => sum + one.bytes, 0)
        assert.equal(free, made.bytes)
        const able = candidates.filter((one) => keepReason(one, nowMs) === null)
        if (made.shortBytes > 0) assert.equal(taken.length, able.length)
        else for (const one of taken) assert.ok(free - one.bytes < bytes)
        assert.equal(made.shortBytes, Math.max(0, bytes - free))
        const kept = Object.values(made.kept).reduce((sum, count) => sum + count, 0)
        assert.equal(kept + able.length, candidates.length)
        assert.deepEqual(plan([...candidates].reverse(), strategy, bytes), made)
      }),
      { numRuns: 2000 },
    )
  })

  it('goes in the order of its strategy', () => {
    const old = candidate({ cid: 'old', lastUsedMs: 1, priority: 'high', copies: 4, heldSinceMs: nowMs - day })
    const low = candidate({ cid: 'low', lastUsedMs: 3, priority: 'low', copies: 3, wanted: 3, heldSinceMs: nowMs - 2 * day })
    const many = candidate({ cid: 'many', lastUsedMs: 2, priority: 'normal', copies: 5, wanted: 5, heldSinceMs: nowMs - 60 * day })
    assert.deepEqual(order([many, low, old], 'lru'), ['old', 'many', 'low'])
    assert.deepEqual(order([many, low, old], 'priority'), ['low', 'many', 'old'])
    assert.deepEqual(order([many, low, old], 'redundant'), ['many', 'old', 'low'])
    // 3·0.5+3·0.3+2·0.2 = 2.8; 8·0.5+4·0.3+1·0.2 = 5.4; 5·0.5+5·0.3+60·0.2 = 16
    assert.deepEqual(order([many, low, old], 'hybrid'), ['low', 'old', 'many'])
    assert.ok(Math.abs(hybridScore(low, nowMs) - 2.8) < 1e-9)
    const lots = Array.from({ length: 30 }, (_, i) => candidate({ cid: `r${String(i)}` }))
    const firstOf = (seed: number): string => plan(lots, 'random', Number.MAX_SAFE_INTEGER, seed).actions.map((action) => action.cid).join()
    assert.equal(firstOf(1), firstOf(1))
    assert.notEqual(firstOf(1), firstOf(2))
  })

  it('takes copies beyond the wanted ones first, whatever the strategy, and nothing else that has only just come', () => {
    const surplus = candidate({ cid: 'surplus', priority: 'critical', copies: 6, wanted: 5, lastUsedMs: nowMs, heldSinceMs: nowMs - newcomerMs / 2 })
    const stale = candidate({ cid: 'stale', priority: 'expendable', copies: 2, wanted: 2, minimum: 1, lastUsedMs: 0, heldSinceMs: nowMs - day })
    const fresh = candidate({ cid: 'fresh', heldSinceMs: nowMs - newcomerMs / 2 })
    for (const strategy of evictionStrategies) assert.deepEqual(order([stale, fresh, surplus], strategy), ['surplus', 'stale'])
  })
})
