import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { SegmentHeat } from '../../../src/heat/segment-heat.js'
import { defaultHeatSettings } from '../../../src/heat/index.js'
import { nodeIdOf } from '../volumes/migration-world.js'

const blocks = 64
const access = fc.record({ node: fc.nat(3), start: fc.nat(blocks - 1), blocks: fc.integer({ min: 1, max: 16 }), isWrite: fc.boolean(), afterMs: fc.constantFrom(0, 0, 1000, 20_000, 400_000) })

/** The dumb version: who wrote each block, and when last. */
class Naive {
  readonly wrote = Array.from({ length: blocks + 16 }, () => new Map<string, number>())
  readonly touchedMs = Array.from({ length: blocks + 16 }, () => Number.NEGATIVE_INFINITY)
}

describe('heat: ranges against blocks', () => {
  const run = (accesses: readonly (typeof access extends fc.Arbitrary<infer T> ? T : never)[], rangesPerSegmentMax: number): void => {
    const heat = new SegmentHeat({ ...defaultHeatSettings, rangesPerSegmentMax })
    const naive = new Naive()
    let nowMs = 10_000_000
    let size = 0
    for (const one of accesses) {
      nowMs += one.afterMs
      const place = { node: nodeIdOf(one.node), region: `r${String(one.node)}` }
      size += heat.record({ volume: '', segment: 0, start: one.start, blocks: one.blocks, kind: one.isWrite ? 'write' : 'read', place, latencyMs: 1, remote: false }, nowMs, 1n)
      assert.equal(size, heat.size, 'it says by how much it grew')
      assert.ok(heat.size <= Math.max(rangesPerSegmentMax, 1))
      for (let block = one.start; block < one.start + one.blocks; block++) {
        naive.touchedMs[block] = nowMs
        if (one.isWrite) naive.wrote[block]?.set(place.node, nowMs)
      }
    }
    const { windowMs } = defaultHeatSettings
    // A slice of the window may be forgotten early, all of it: what is nearly too old is not asked for.
    const surelyMs = windowMs * 0.94
    const ranges = heat.all(nowMs)
    let end = 0
    for (const range of ranges) {
      assert.ok(range.start >= end && range.blocks > 0, 'sorted, and no overlap')
      end = range.start + range.blocks
    }
    for (let block = 0; block < blocks; block++) {
      const range = ranges.find(({ start, blocks: length }) => start <= block && block < start + length)
      assert.deepEqual(heat.at(block, nowMs), range)
      const touchedMs = naive.touchedMs[block] ?? 0
      if (nowMs - touchedMs < surelyMs) assert.ok(range !== undefined, `block ${String(block)} was used`)
      for (const [node, atMs] of naive.wrote[block] ?? []) {
        if (nowMs - atMs < surelyMs) assert.ok(range?.places.some((one) => one.place.node === node && one.writes > 0 && one.weight > 0), `block ${String(block)} was written by ${node}`)
      }
      if (rangesPerSegmentMax > blocks && touchedMs === Number.NEGATIVE_INFINITY) assert.equal(range, undefined, `block ${String(block)} was never used`)
    }
  }

  it('knows every writer of every block, and nothing of blocks that were never used', () => {
    fc.assert(fc.property(fc.array(access, { maxLength: 60 }), (accesses) => {
      run(accesses, 1000)
    }), { numRuns: 200 })
  })

  it('loses no writer when there is room for a few ranges only', () => {
    fc.assert(fc.property(fc.array(access, { maxLength: 60 }), fc.integer({ min: 1, max: 6 }), (accesses, rangesMax) => {
      run(accesses, rangesMax)
    }), { numRuns: 200 })
  })
})
