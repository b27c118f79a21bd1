import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { CommonError, seededRandom, silentLog } from '../../../src/base/index.js'
import type { GossipVerdict, NodeId } from '../../../src/base/index.js'
import { createHeat } from '../../../src/heat/index.js'
import { decodeNews, encodeNews, newsBytesMax } from '../../../src/heat/news.js'
import type { News } from '../../../src/heat/news.js'
import { HeatNews } from '../../../src/heat/wire/heat.js'
import { nodeIdOf } from '../volumes/migration-world.js'

const range = fc.record({
  start: fc.nat(2 ** 30), blocks: fc.integer({ min: 1, max: 2 ** 24 }), writes: fc.nat(2 ** 32 - 1), reads: fc.nat(1000), lastWrite: fc.option(fc.bigInt({ min: 1n, max: 2n ** 63n }), { nil: undefined }), latencyMs: fc.nat(100_000),
})
const news: fc.Arbitrary<News> = fc.record({
  made: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  coordinate: fc.record({ position: fc.tuple(fc.integer({ min: -30_000, max: 30_000 }), fc.integer({ min: -30_000, max: 30_000 })), height: fc.nat(30_000), error: fc.constantFrom(0, 0.5, 1) }),
  roundTrips: fc.array(fc.tuple(fc.nat(10).map(nodeIdOf), fc.nat(30_000)), { maxLength: 10 }).map((pairs) => new Map(pairs)),
  volumes: fc.array(fc.tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex')), fc.array(range, { maxLength: 12 })), { maxLength: 10 }).map((pairs) => new Map(pairs)),
})

describe('heat: news from others', () => {
  it('come out as they went in', () => {
    fc.assert(fc.property(news, (one) => {
      const { made, coordinate, roundTrips, volumes } = decodeNews(encodeNews(one))
      assert.deepEqual([made, coordinate.position, coordinate.height, coordinate.error, roundTrips], [one.made, [...one.coordinate.position], one.coordinate.height, one.coordinate.error, one.roundTrips])
      assert.deepEqual([...volumes].map(([name, ranges]) => [name, ranges.map((each) => Object.entries(each).sort())]), [...one.volumes].map(([name, ranges]) => [name, ranges.map((each) => Object.entries(each).sort())]))
    }))
  })

  it('are refused with BAD_INPUT or make sense, whatever the bytes', () => {
    const mutated = fc.tuple(news, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), fc.nat(300)).map(([one, changes, cut]) => {
      const bytes = Uint8Array.from(encodeNews(one))
      for (const [at, value] of changes) bytes[at % bytes.length] = value
      return cut < 100 ? bytes.subarray(0, cut) : bytes
    })
    fc.assert(fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 })), (bytes) => {
      let decoded: News
      try {
        decoded = decodeNews(bytes)
      } catch (error) {
        assert.ok(error instanceof CommonError && error.code === 'BAD_INPUT', String(error))
        return
      }
      assert.ok([...decoded.coordinate.position, decoded.coordinate.height, decoded.coordinate.error].every(Number.isFinite))
      for (const ranges of decoded.volumes.values()) for (const { start, blocks } of ranges) assert.ok(start >= 0 && blocks > 0 && Number.isSafeInteger(start + blocks))
      for (const rttMs of decoded.roundTrips.values()) assert.ok(rttMs >= 0 && rttMs <= 30_000)
    }), { numRuns: 500 })
  })

  it('that say too much are refused, and the fullest that a node sends fits', () => {
    const coordinate = { position: [0, 0], heightMs: 1, error: 1 }
    const one = { start: 2 ** 37, blocks: 2 ** 24, writes: 2 ** 32 - 1, reads: 2 ** 32 - 1, lastWrite: 2n ** 63n, latencyMicroseconds: 2 ** 32 - 1 }
    const bytes = (count: number): Uint8Array => new Uint8Array(count).fill(7)
    const wire = (changes: object): Uint8Array => HeatNews.encode({ made: 1n, coordinate, roundTrips: [], volumes: [], ...changes })
    const fullest = wire({
      roundTrips: Array.from({ length: 64 }, () => ({ node: bytes(32), microseconds: 30_000_000 })),
      volumes: Array.from({ length: 128 }, (_, i) => ({ volume: bytes(16).fill(i), ranges: [one] })),
    })
    assert.ok(fullest.length <= newsBytesMax, String(fullest.length))
    decodeNews(fullest)
    for (const changes of [
      { coordinate: undefined }, { coordinate: { ...coordinate, position: [0] } }, { coordinate: { ...coordinate, heightMs: Number.NaN } }, { coordinate: { ...coordinate, heightMs: -1 } },
      { roundTrips: [{ node: bytes(31), microseconds: 1 }] }, { roundTrips: [{ node: bytes(32), microseconds: 30_000_001 }] }, { roundTrips: Array.from({ length: 65 }, () => ({ node: bytes(32), microseconds: 1 })) },
      { volumes: [{ volume: bytes(15), ranges: [] }] }, { volumes: [{ volume: bytes(16), ranges: [{ ...one, blocks: 0 }] }] }, { volumes: [{ volume: bytes(16), ranges: [{ ...one, start: 2 ** 38 }] }] },
      { volumes: [{ volume: bytes(16), ranges: Array.from({ length: 100 }, () => one) }, { volume: bytes(16), ranges: Array.from({ length: 100 }, () => one) }] },
    ]) assert.throws(() => decodeNews(wire(changes)), { code: 'BAD_INPUT' }, Object.keys(changes)[0])
    assert.throws(() => decodeNews(new Uint8Array(newsBytesMax + 1)), { code: 'BAD_INPUT' })
  })

  it('old ones, floods and those from the future are neither taken nor passed on', () => {
    let nowMs = 1_000_000
    let handler: ((message: Uint8Array, from: NodeId) => GossipVerdict | Promise<GossipVerdict>) | undefined
    const heat = createHeat(
      {
        gossip: { topic: () => ({ publish: async () => undefined, subscribe: (added) => ((handler = added), () => undefined) }) },
        connections: { self: nodeIdOf(0), connected: () => [], isConnected: () => false, rttMs: () => undefined, on: () => () => undefined },
        clock: { wallMs: () => nowMs, monotonicMs: () => nowMs, setTimer: () => () => undefined, sleep: () => new Promise(() => undefined) },
        random: seededRandom(1), log: silentLog, regionOf: () => 'sydney',
      },
      { segmentBlocks: 16_384 },
    )
    void heat.run(new AbortController().signal)
    const from = nodeIdOf(1)
    const id = 'ab'.repeat(16)
    const hear = (madeMs: number, writes = 3, sender = from): unknown =>
      handler?.(encodeNews({ made: BigInt(madeMs) << 16n, coordinate: { position: [0, 0], height: 1, error: 1 }, roundTrips: new Map([[nodeIdOf(2), 80]]), volumes: new Map([[id, [{ start: 5, blocks: 2, writes, reads: 0, lastWrite: 1n, latencyMs: 7 }]]]) }), sender)
    assert.equal(hear(nowMs), 'accept')
    assert.equal(hear(nowMs + 1), 'ignore', 'a flood')
    nowMs += 1000
    assert.equal(hear(nowMs - 1000, 99), 'ignore', 'no newer than the last')
    assert.equal(hear(nowMs + 600_000, 99), 'ignore', 'from the future')
    assert.equal(hear(nowMs, 99, nodeIdOf(0)), 'ignore', 'in our own name')
    assert.equal(handler?.(new Uint8Array([1, 2, 3]), from), 'reject')
    assert.deepEqual(heat.of(id).map(({ start, blocks, writes, regions }) => [start, blocks, writes, regions['sydney']?.latencyMs]), [[5, 2, 3, 7]])
    assert.equal(heat.rttMs(from, nodeIdOf(2)), 80)
    assert.equal(hear(nowMs, 4), 'accept')
    assert.equal(heat.of(id)[0]?.writes, 4)
    nowMs += 300_001
    assert.deepEqual(heat.of(id), [], 'a node that says nothing any more')
  })
})
