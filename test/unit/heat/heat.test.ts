import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { silentLog } from '../../../src/base/index.js'
import type { Clock } from '../../../src/base/index.js'
import { defaultHeatSettings } from '../../../src/heat/index.js'
import { HeatHistory } from '../../../src/heat/history.js'
import { pictureOf } from '../../../src/heat/picture.js'
import { MigrationWorld, nodeIdOf, volume } from '../../property/volumes/migration-world.js'

const place = (number: number, region = `r${String(number)}`) => ({ node: nodeIdOf(number), region })

class Bench {
  nowMs = 10_000_000
  readonly clock: Clock = { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs, setTimer: () => () => undefined, sleep: async () => undefined }
  readonly history: HeatHistory

  constructor(settings = {}) {
    this.history = new HeatHistory({ clock: this.clock }, { ...defaultHeatSettings, ...settings })
  }

  write(number: number, start: number, blocks: number, extra: { segment?: number; latencyMs?: number; kind?: 'read' | 'write'; remote?: boolean } = {}): void {
    this.history.record({ volume, segment: 0, kind: 'write', latencyMs: 1, remote: false, place: place(number), start, blocks, ...extra })
  }

  /** `start+blocks: writers`. */
  shape(): string[] {
    return [...this.history.all(volume)].map(({ range }) => `${String(range.start)}+${String(range.blocks)}: ${range.places.filter(({ writes }) => writes > 0).map((one) => one.place.region).sort().join(' ')}`)
  }
}

describe('heat: ranges', () => {
  it('is one range for one writer, and cut at just the blocks that another one uses', () => {
    const bench = new Bench()
    for (let block = 0; block < 1000; block += 10) bench.write(0, block, 10)
    assert.deepEqual(bench.shape(), ['0+1000: r0'])
    for (let i = 0; i < 3; i++) bench.write(1, 500, 16, { latencyMs: 200, remote: true })
    assert.deepEqual(bench.shape(), ['0+500: r0', '500+16: r0 r1', '516+484: r0'])
    const document = bench.history.at(volume, 0, 505)
    const [theirs, share] = document?.places ?? []
    assert.ok(theirs !== undefined)
    assert.equal(theirs.place.region, 'r1')
    assert.deepEqual([theirs.writes, theirs.slowWrites, Math.round(theirs.slowLatencyMs ?? 0), theirs.localLatencyMs], [3, 3, 200, undefined])
    // 100 writes over 1,000 blocks.
    assert.ok(Math.abs((share?.writes ?? 0) - 1.6) < 1e-9)
    const all = [...bench.history.all(volume)].reduce((sum, { range }) => sum + range.writes, 0)
    assert.ok(Math.abs(all - 103) < 1e-9, 'no write is lost or counted twice')
  })

  it('forgets after the window, weighs by age before, and does not take a reader for a writer', () => {
    const bench = new Bench()
    bench.write(0, 0, 8)
    bench.write(1, 0, 8, { kind: 'read' })
    bench.nowMs += 150_000
    const half = bench.history.at(volume, 0, 0)?.places[0]
    assert.ok(Math.abs((half?.weight ?? 0) - Math.exp(-0.5)) < 0.03, String(half?.weight))
    assert.deepEqual(bench.shape(), ['0+8: r0'])
    assert.equal(bench.history.at(volume, 0, 0)?.reads, 1)
    bench.nowMs += 165_000
    assert.deepEqual(bench.shape(), [])
    assert.equal(bench.history.ranges, 0)
  })

  it('stays within its limits whatever is written, and keeps those apart that differ', () => {
    const bench = new Bench({ rangesMax: 300 })
    bench.write(1, 8000, 16)
    for (let i = 0; i < 2000; i++) bench.write(0, (i * 7919) % 16_000, 1)
    assert.ok(bench.history.ranges <= 64)
    assert.ok(bench.shape().some((line) => line.includes('r0 r1') || line.endsWith(': r1')))
    for (let segment = 1; segment < 100; segment++) for (let i = 0; i < 20; i++) bench.write(0, i * 100, 1, { segment })
    assert.ok(bench.history.ranges <= 300, String(bench.history.ranges))
    assert.ok(bench.history.forgotten > 0)
    assert.ok(bench.history.at(volume, 99, 0) !== undefined, 'the latest is kept')
    assert.equal(bench.history.at(volume, 0, 8000), undefined, 'the oldest is not')
    for (let node = 2; node < 40; node++) bench.write(node % 16, 0, 1, { segment: 99 })
    assert.ok((bench.history.at(volume, 99, 0)?.places.length ?? 0) <= 8)
    bench.history.forget(volume)
    assert.equal(bench.history.ranges, 0)
  })

  it('costs little', () => {
    const bench = new Bench()
    const startMs = performance.now()
    const count = 20_000
    for (let i = 0; i < count; i++) bench.write(0, (i * 7919) % 16_384, 1, { segment: i % 16 })
    const micros = ((performance.now() - startMs) / count) * 1000
    console.log(`      ${micros.toFixed(2)} µs a scattered write`)
    assert.ok(micros < 200, 'it stands on the path of every write')
  })
})

describe('heat: the picture of a volume', () => {
  it('is the same whoever tells it, in blocks of the volume', async () => {
    const world = new MigrationWorld({ rtts: [[0, 200], [200, 0]], regions: ['new-york', 'sydney'], settings: { maxConcurrentMigrations: 0 } })
    const range = { start: 100, blocks: 16 }
    for (let i = 0; i < 10; i++) world.write(0, { start: 0, blocks: 50 })
    for (let i = 0; i < 4; i++) world.write(1, range)
    await world.pass(20_000)
    const pictures = world.sites.map(({ heat }) => heat.of(volume))
    const lastWrite = pictures[0]?.[0]?.lastWrite
    assert.ok(typeof lastWrite === 'number' && lastWrite > 1.6e12)
    const timeless = pictures.map((picture) => picture.map((entry) => ({ ...entry, lastWrite: null })))
    assert.deepEqual(timeless[0], [
      { start: 0, blocks: 50, writes: 10, reads: 0, lastWrite: null, regions: { 'new-york': { writes: 10, latencyMs: 1 } } },
      { start: 100, blocks: 16, writes: 4, reads: 0, lastWrite: null, regions: { sydney: { writes: 4, latencyMs: 201 } } },
    ])
    assert.deepEqual(timeless[1], timeless[0])
    // Sydney's own news are all of it; what New York saw of it is not added.
    assert.deepEqual(world.site(0).heat.of('ff'.repeat(16)), [])
  })

  it('tells a new holder what the last one wrote by itself, by its share of the blocks, and while it is news', async () => {
    const world = new MigrationWorld({ rtts: [[0, 200], [200, 0]], regions: ['new-york', 'sydney'], settings: { maxConcurrentMigrations: 0 } })
    for (let i = 0; i < 40; i++) world.write(0, { start: 0, blocks: 32 })
    for (let i = 0; i < 3; i++) world.write(1, { start: 16, blocks: 16 })
    const known = (): (number | string)[][] | undefined => world.site(1).heat.at(volume, 0, 20)?.places.map(({ place: { region }, writes, slowWrites }) => [region, Math.round(writes), slowWrites])
    assert.deepEqual(known(), [['sydney', 3, 3]])
    await world.pass(20_000)
    // New York tells of its 40 as they are cut at the document: half of them.
    assert.deepEqual(known(), [['new-york', 20, 0], ['sydney', 3, 3]])
  })

  it('is cut at everybody\'s boundaries, and joined where the same regions write', () => {
    const one = { reads: 0, lastWriteMs: 5, latencyMs: 2 }
    assert.deepEqual(
      pictureOf([{ ...one, region: 'a', start: 0, end: 100, writes: 100 }, { ...one, region: 'a', start: 100, end: 200, writes: 50 }, { ...one, region: 'b', start: 50, end: 60, writes: 7, latencyMs: 9 }])
        .map(({ start, blocks, writes, regions }) => [start, blocks, writes, Object.keys(regions).join(' ')]),
      [[0, 50, 50, 'a'], [50, 10, 17, 'a b'], [60, 140, 90, 'a']],
    )
  })

  it('tells little at rest, and at once again when a volume is used', async () => {
    const world = new MigrationWorld({ rtts: [[0, 200], [200, 0]], regions: ['new-york', 'sydney'], settings: { maxConcurrentMigrations: 0 } })
    const sent = (): number => world.site(0).heat.counters.newsSent
    await world.pass(150_000)
    const settled = sent()
    await world.pass(600_000)
    assert.ok(sent() - settled >= 8 && sent() - settled <= 12, `${String(sent() - settled)} in ten minutes`)
    world.write(0, { start: 0, blocks: 32 })
    await world.pass(8_000)
    assert.equal(world.site(1).heat.of(volume).length, 1)
    const before = sent()
    await world.pass(60_000)
    assert.ok(sent() - before >= 9, `${String(sent() - before)} in a minute of use`)
    // The window is over: said once, so that nobody goes on believing it.
    await world.pass(330_000)
    assert.deepEqual(world.site(1).heat.of(volume), [])
    const after = sent()
    await world.pass(120_000)
    assert.ok(sent() - after <= 3)
  })

  it('says nothing when there is nobody to hear it, and ends with its signal', async () => {
    const { createHeat } = await import('../../../src/heat/index.js')
    const { seededRandom, systemClock } = await import('../../../src/base/index.js')
    const stop = new AbortController()
    const heat = createHeat(
      {
        gossip: { topic: () => ({ publish: async () => Promise.reject(new Error('stopped')), subscribe: () => () => undefined }) },
        connections: { self: nodeIdOf(0), connected: () => [], isConnected: () => false, rttMs: () => undefined, on: () => () => undefined },
        clock: systemClock, random: seededRandom(1), log: silentLog, regionOf: () => undefined,
      },
      { segmentBlocks: 16_384 },
    )
    const running = heat.run(stop.signal)
    stop.abort(new Error('over'))
    await running
    assert.equal(heat.counters.newsSent, 0)
  })
})
