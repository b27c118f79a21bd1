import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { silentLog } from '../../../src/base/index.js'
import type { Clock } from '../../../src/base/index.js'
import type { PlaceHeat, RangeHeat } from '../../../src/heat/index.js'
import { createGovernor, decideMigration, defaultMigrationSettings } from '../../../src/volumes/migration/index.js'
import type { MigrationQuestion, MigrationView } from '../../../src/volumes/migration/index.js'
import { nodeIdOf, volume } from '../../property/volumes/migration-world.js'

const [york, sydney, london] = ['new-york', 'sydney', 'london'].map((region, i) => ({ node: nodeIdOf(i), region })) as [PlaceHeat['place'], PlaceHeat['place'], PlaceHeat['place']]

function heatOf(place: PlaceHeat['place'], writes: number, slowMs?: number): PlaceHeat {
  return { place, writes, reads: 0, weight: writes, slowWrites: slowMs === undefined ? 0 : writes, latencyMs: slowMs ?? 1, slowLatencyMs: slowMs, localLatencyMs: slowMs === undefined ? 1 : undefined }
}

function viewOf(changes: Partial<MigrationView>): MigrationView {
  return {
    nowMs: 1_000_000, policy: 'adaptive', range: { start: 0, blocks: 8 }, holder: york, asker: sydney, heat: [heatOf(sydney, 5, 200)], others: [], rttMs: () => 200, bytes: 0,
    movedAtMs: undefined, recentMoves: 0, waitingSinceMs: undefined, refusals: 0, moving: 0, ...changes,
  }
}

const decide = (changes: Partial<MigrationView>): string => {
  const decision = decideMigration(viewOf(changes), defaultMigrationSettings)
  assert.ok(decision.explanation.length > 10 && !/undefined|NaN|Infinity/.test(decision.explanation), decision.explanation)
  JSON.stringify(decision.figures)
  return decision.type === 'move' ? `to ${decision.to.region}` : decision.reason
}

describe('migration: one decision', () => {
  const both = [heatOf(york, 10), heatOf(sydney, 60, 200)]

  it('moves for a lone writer, says why, and with what figures', () => {
    const decision = decideMigration(viewOf({}), defaultMigrationSettings)
    assert.equal(decision.type, 'move')
    assert.equal(decision.explanation, 'moves to sydney: 5 slow writes from there (200 ms, 200 times as long as local ones), and none from elsewhere within 5m')
    assert.equal(decision.figures['factor'], 200)
  })

  it('moves nothing for a single access, however slow', () => {
    assert.equal(decide({ heat: [heatOf(sydney, 1, 5000)] }), 'ONE_OFF')
    assert.equal(decide({ heat: [] }), 'ONE_OFF')
    assert.equal(decide({ heat: [heatOf(sydney, 1, 5000)], policy: 'basic' }), 'ONE_OFF')
  })

  it('never moves for less than the least factor in the basic policy', () => {
    assert.equal(decide({ policy: 'basic', heat: [heatOf(sydney, 1000, 1.9)] }), 'NOT_SLOW')
    assert.equal(decide({ policy: 'basic', heat: [heatOf(sydney, 1000, 2.1)] }), 'to sydney')
  })

  it('rests after a move, on whatever clock', () => {
    assert.equal(decide({ movedAtMs: 1_000_000 - 29_999 }), 'COOLDOWN')
    assert.equal(decide({ movedAtMs: 1_000_000 - 30_000 }), 'to sydney')
  })

  it('asks for more after each move of late, until somebody starves', () => {
    assert.equal(decide({ recentMoves: 1, heat: [heatOf(sydney, 32, 200)] }), 'TOO_FEW_SLOW_WRITES')
    assert.equal(decide({ recentMoves: 1, heat: [heatOf(sydney, 33, 200)] }), 'to sydney')
    assert.equal(decide({ heat: both }), 'to sydney')
    assert.equal(decide({ heat: both, recentMoves: 1 }), 'HYSTERESIS')
    const waiting = { heat: both, recentMoves: 1, waitingSinceMs: 1_000_000 - 60_000 * 32 }
    assert.equal(decide(waiting), 'to sydney')
    assert.equal(decide({ ...waiting, waitingSinceMs: waiting.waitingSinceMs + 1 }), 'HYSTERESIS')
    assert.equal(decide({ ...waiting, waitingSinceMs: 999_999, refusals: 3200 }), 'to sydney')
  })

  it('gives a starving region its turn on less evidence, but never a move that helps nobody', () => {
    const slight = [heatOf(york, 8), heatOf(sydney, 13, 200)]
    assert.equal(decide({ heat: slight }), 'HYSTERESIS')
    assert.equal(decide({ heat: slight, waitingSinceMs: 1_000_000 - 60_000 }), 'to sydney')
    assert.equal(decide({ heat: slight, waitingSinceMs: 999_999, refusals: 100 }), 'to sydney')
    assert.equal(decide({ heat: [heatOf(york, 10), heatOf(sydney, 10, 200)], waitingSinceMs: 0, refusals: 1000 }), 'NO_IMPROVEMENT')
  })

  it('with several writers does nothing for who is near enough, or when distances are not known', () => {
    assert.equal(decide({ heat: [heatOf(york, 10), heatOf(sydney, 90, 100)] }), 'NEAR_ENOUGH')
    assert.equal(decide({ heat: both, rttMs: () => undefined }), 'to sydney', 'the writes themselves tell how far the two are apart')
    assert.equal(decide({ heat: [...both, heatOf(london, 5, 50)], rttMs: () => undefined }), 'DISTANCE_UNKNOWN')
  })

  it('chooses a third place only if it is clearly better than both homes', () => {
    const far = [heatOf(york, 50), heatOf(sydney, 50, 200)]
    const rttMs = (middle: number) => (a: string, b: string) => (a === b ? 0 : a === london.node || b === london.node ? middle : 200)
    assert.equal(decide({ heat: far, others: [london], rttMs: rttMs(50) }), 'to london')
    assert.equal(decide({ heat: far, others: [london], rttMs: rttMs(99) }), 'NO_IMPROVEMENT')
  })

  it('does not carry more than it saves, nor more at once than allowed', () => {
    // Five writes of 200 ms are a second: 10 MB.
    assert.equal(decide({ bytes: 9.9e6 }), 'to sydney')
    assert.equal(decide({ bytes: 10e6 }), 'COSTS_MORE')
    assert.equal(decide({ moving: 99 }), 'to sydney')
    assert.equal(decide({ moving: 100 }), 'TOO_MANY_MOVES')
  })

  it('takes less than one write, a share of a range cut apart, for none', () => {
    assert.equal(decide({ heat: [heatOf(york, 0.9), heatOf(sydney, 3, 200)] }), 'to sydney')
    assert.equal(decide({ heat: [heatOf(york, 1), heatOf(sydney, 3, 200)] }), 'HYSTERESIS')
  })
})

describe('migration: the governor', () => {
  const range: RangeHeat = { start: 90, blocks: 30, writes: 5, reads: 0, lastWrite: undefined, places: [heatOf(sydney, 5, 200)] }
  const question: MigrationQuestion = { volume, segment: 3, start: 100, blocks: 4, policy: 'adaptive', holder: york, asker: sydney, held: { start: 95, blocks: 1000 }, bytesToMove: () => 0 }
  const world = (places = range.places): { governor: ReturnType<typeof createGovernor>; clock: Clock & { nowMs: number } } => {
    const clock: Clock & { nowMs: number } = { nowMs: 0, wallMs: () => 1e12, monotonicMs: () => clock.nowMs, setTimer: () => () => undefined, sleep: async () => undefined }
    return { clock, governor: createGovernor({ heat: { at: () => ({ ...range, places }), unused: () => 0, rttMs: () => 200, forget: () => undefined }, clock, log: silentLog }, { maxConcurrentMigrations: 1 }) }
  }

  it('moves the blocks in use, within what is held, once', () => {
    const { governor } = world()
    const move = governor.decide(question)
    assert.deepEqual(move.type === 'move' ? move.range : move, { start: 95, blocks: 25 })
    const again = governor.decide(question)
    assert.equal(again.type === 'stay' ? again.reason : '', 'MOVING')
    const elsewhere = governor.decide({ ...question, segment: 4 })
    assert.equal(elsewhere.type === 'stay' ? elsewhere.reason : '', 'TOO_MANY_MOVES')
    governor.ended(question, move, 'moved')
    governor.ended(question, move, 'moved')
    assert.deepEqual(governor.counters, { asked: 3, moved: 1, failed: 0, moving: 0 })
    assert.equal(governor.decide({ ...question, segment: 4 }).type, 'move')
  })

  it('rests after a failed move and after an arrival, and only those blocks', () => {
    const { governor, clock } = world()
    const move = governor.decide(question)
    governor.ended(question, move, 'failed')
    const rest = governor.decide(question)
    assert.equal(rest.type === 'stay' ? rest.reason : '', 'TOO_FEW_SLOW_WRITES')
    clock.nowMs += 2_700_000
    assert.equal(governor.decide(question).type, 'move')
    const other = world()
    other.governor.arrived(volume, 3, { start: 0, blocks: 95 })
    assert.equal(other.governor.decide(question).type, 'move', 'blocks before it moved, not these')
    const arrived = world([heatOf(sydney, 40, 200)])
    arrived.governor.arrived(volume, 3, { start: 0, blocks: 96 })
    const cooling = arrived.governor.decide(question)
    assert.equal(cooling.type === 'stay' ? cooling.reason : '', 'COOLDOWN')
    arrived.clock.nowMs += 30_000
    assert.equal(arrived.governor.decide(question).type, 'move')
  })

  it('takes as much ahead of a run as lies behind it, as far as it is unused and held, and nothing ahead of a document', () => {
    const clock = world().clock
    const range = (start: number, blocks: number, unused: number, heldBlocks = 1000): unknown => {
      const hot = { start: 100, blocks: 40, writes: 5, reads: 0, lastWrite: undefined, places: [heatOf(sydney, 5, 200)] }
      const governor = createGovernor({ heat: { at: () => hot, unused: (_volume, _segment, block, most) => (block === 140 ? Math.min(unused, most) : 0), rttMs: () => 200, forget: () => undefined }, clock, log: silentLog })
      const move = governor.decide({ ...question, start, blocks, held: { start: 90, blocks: heldBlocks } })
      return move.type === 'move' ? [move.range.start, move.range.blocks] : move
    }
    assert.deepEqual(range(130, 10, 1000), [100, 80])
    assert.deepEqual(range(130, 10, 7), [100, 47])
    assert.deepEqual(range(130, 10, 1000, 60), [100, 50])
    assert.deepEqual(range(120, 10, 1000), [100, 40], 'in the middle of it')
    assert.deepEqual(range(100, 40, 1000), [100, 40], 'all of it at once')
  })

  it('keeps the last decisions of a volume for people, each change once', () => {
    const { governor } = world([heatOf(sydney, 1, 200)])
    for (let i = 0; i < 100; i++) governor.decide(question)
    assert.deepEqual(governor.notes(volume).map(({ at, segment, start, blocks, decision }) => [at, segment, start, blocks, decision.type]), [[1e12, 3, 95, 25, 'stay']])
    governor.forget(volume)
    assert.deepEqual(governor.notes(volume), [])
  })
})
