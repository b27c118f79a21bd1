import assert from 'node:assert/strict'
import fc from 'fast-check'
import { createSigner, seededRandom } from '../../../src/base/index.js'
import { judged, sleptBetween } from '../../../src/membership/liveness.js'
import { neighboursOf } from '../../../src/membership/neighbours.js'
import { Presence } from '../../../src/membership/presence.js'
import type { UptimeDay } from '../../../src/membership/reliability.js'
import { dayMs, observed, observedSpan, reliabilityOf, uptimeDaysMax } from '../../../src/membership/reliability.js'
import { livenessIn, membershipSettings } from '../../../src/membership/settings.js'

const init = { suspectMs: 60, graceMs: 1000, settleMs: 40 }
const random = seededRandom(3)
const peer = createSigner(random.bytes(32)).nodeId

/** Time passes with ticks, signs of life come, the machine sleeps, news of others is exchanged. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('tick' as const), ms: fc.integer({ min: 1, max: 120 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('heard' as const), ms: fc.integer({ min: -2000, max: 500 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('slept' as const), ms: fc.integer({ min: 100, max: 5000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('exchanged' as const), ms: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clock set back' as const), ms: fc.integer({ min: 1, max: 3000 }) }) },
)

describe('membership: liveness', () => {
  it('never gone before the grace has passed in silence, nor down before it is settled, in any history', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const presence = new Presence()
        let wallMs = 10_000
        let awakeForMs = 0
        let isFresh = false
        let lastSignMs = wallMs
        presence.heard(peer, wallMs, wallMs, init)
        for (const { kind, ms } of steps) {
          const before = presence.entry(peer)!.state
          if (kind === 'heard') {
            presence.heard(peer, wallMs - ms, wallMs, init)
            // A date in the future is no better than now.
            lastSignMs = Math.max(lastSignMs, Math.min(wallMs, wallMs - ms))
            assert.ok(presence.entry(peer)!.lastSeenMs <= wallMs)
            assert.ok(rank(presence.entry(peer)!.state) <= rank(before), 'a sign of life makes nobody worse')
          } else if (kind === 'slept') {
            wallMs += ms
            awakeForMs = 0
            isFresh = false
          } else if (kind === 'exchanged') isFresh = true
          else {
            wallMs += kind === 'tick' ? ms : -ms
            awakeForMs += kind === 'tick' ? ms : 0
            lastSignMs = Math.min(lastSignMs, wallMs)
            const changed = presence.tick(init, { nowMs: wallMs, awakeForMs, isFresh })
            const { state } = presence.entry(peer)!
            assert.equal(changed.length > 0, state !== before)
            if (state === 'gone' && before !== 'gone') {
              assert.ok(wallMs - lastSignMs >= init.graceMs, 'gone before the grace')
              assert.ok(isFresh || awakeForMs >= init.graceMs, 'gone on old news')
            }
            if (rank(state) > rank(before)) assert.ok(awakeForMs >= init.settleMs, 'judged before settled')
            if (awakeForMs >= init.settleMs && wallMs - lastSignMs >= init.suspectMs) assert.notEqual(state, 'up')
            if (wallMs - lastSignMs < init.suspectMs) assert.equal(state, 'up')
          }
          const share = presence.reliability(peer, wallMs)
          assert.ok(share >= 0 && share <= 1)
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('reaches gone when it should, so that the above says something', () => {
    const readings = { awakeForMs: 5000, isFresh: false }
    assert.equal(judged('up', 0, init, { nowMs: 59, ...readings }), 'up')
    assert.equal(judged('up', 0, init, { nowMs: 60, ...readings }), 'suspect')
    assert.equal(judged('suspect', 0, init, { nowMs: 1000, ...readings }), 'gone')
    assert.equal(judged('suspect', 0, init, { nowMs: 1000, awakeForMs: 50, isFresh: true }), 'gone')
    assert.equal(judged('suspect', 0, init, { nowMs: 1000, awakeForMs: 50, isFresh: false }), 'suspect')
    assert.equal(judged('gone', 0, init, { nowMs: 1000, awakeForMs: 50, isFresh: false }), 'gone')
  })

  it('notices sleep and set clocks, and no busy machine', () => {
    const at = { wallMs: 1e6, monotonicMs: 5000 }
    assert.ok(!sleptBetween(at, { wallMs: 1e6 + 25_000, monotonicMs: 30_000 }, 5000))
    assert.ok(sleptBetween(at, { wallMs: 1e6 + 60_000, monotonicMs: 10_000 }, 5000))
    assert.ok(sleptBetween(at, { wallMs: 1e6 + 60_000, monotonicMs: 65_000 }, 5000))
    assert.ok(sleptBetween(at, { wallMs: 1e6 - 60_000, monotonicMs: 10_000 }, 5000))
  })

  it('reliability equals a plain count over the last thirty days', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ skipMs: fc.integer({ min: 0, max: 3 * dayMs }), ms: fc.integer({ min: 1, max: 60_000 }), isUp: fc.boolean() }), { maxLength: 60 }), (samples) => {
        let days: readonly UptimeDay[] = []
        let nowMs = 20_000 * dayMs
        const plain: { day: number; ms: number; isUp: boolean }[] = []
        for (const { skipMs, ms, isUp } of samples) {
          nowMs += skipMs + ms
          days = observed(days, nowMs, ms, isUp)
          plain.push({ day: Math.floor(nowMs / dayMs), ms, isUp })
        }
        const today = Math.floor(nowMs / dayMs)
        const recent = plain.filter(({ day }) => day > today - uptimeDaysMax)
        const sum = (some: typeof recent): number => some.reduce((total, { ms }) => total + ms, 0)
        const expected = recent.length === 0 ? 1 : sum(recent.filter(({ isUp }) => isUp)) / sum(recent)
        assert.ok(Math.abs(reliabilityOf(days, nowMs) - expected) < 1e-9)
        assert.ok(days.length <= uptimeDaysMax)
      }),
    )
    const span = observedSpan([], 100 * dayMs + 1, 150 * dayMs, false)
    assert.ok(span.length <= uptimeDaysMax)
    assert.equal(reliabilityOf(observed(span, 150 * dayMs, 1000, true), 150 * dayMs) < 0.001, true)
  })

  it('settings that fit any grace: beats before suspicion, suspicion before the end', () => {
    for (const graceMs of [1000, 5000, 60_000, 86_400_000]) {
      for (const members of [1, 50, 1000, 4096]) {
        const settings = membershipSettings(graceMs)
        const { suspectMs, graceMs: grace, settleMs } = livenessIn(settings, members)
        assert.ok(settings.heartbeatMs * 3 < suspectMs && suspectMs < grace && settleMs < grace)
      }
    }
  })
})

describe('membership: neighbours', () => {
  it('everybody in a small mesh; few, stable and connected in a large one', () => {
    const nodes = Array.from({ length: 300 }, () => createSigner(random.bytes(32)).nodeId)
    const settings = { everybodyMax: 50, chosenMax: 16 }
    assert.equal(neighboursOf(nodes[0]!, nodes.slice(1, 51), settings).length, 50)
    const chosen = new Map(nodes.map((node) => [node, new Set(neighboursOf(node, nodes.filter((one) => one !== node), settings))]))
    for (const some of chosen.values()) assert.ok(some.size <= 17 && some.size >= 16)
    const reached = new Set([nodes[0]!])
    for (const node of reached) for (const other of nodes) if (chosen.get(node)!.has(other) || chosen.get(other)!.has(node)) reached.add(other)
    assert.equal(reached.size, nodes.length)
    const without = new Set(neighboursOf(nodes[0]!, nodes.slice(1, -1), settings))
    assert.ok([...chosen.get(nodes[0]!)!].filter((one) => !without.has(one)).length <= 2)
  })
})

function rank(state: 'up' | 'suspect' | 'gone'): number {
  return { up: 0, suspect: 1, gone: 2 }[state]
}
