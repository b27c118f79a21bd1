import assert from 'node:assert/strict'
import { ReadAhead } from '../../../src/volumes/engine/read-ahead.js'
import type { BlockRange } from '../../../src/volumes/geometry.js'

const segmentEnd = 16_384

/** Counts what is fetched; `come` lets all of it arrive. */
function reader(comes = true): { ahead: ReadAhead; asked: BlockRange[]; come: () => Promise<void> } {
  const asked: BlockRange[] = []
  const waiting: ((came: boolean) => void)[] = []
  const ahead = new ReadAhead((range) => {
    asked.push(range)
    return new Promise((resolve) => { waiting.push(resolve) })
  })
  return {
    ahead, asked,
    come: async () => {
      for (const resolve of waiting.splice(0)) resolve(comes)
      await new Promise((resolve) => { setImmediate(resolve) })
    },
  }
}

const sum = (ranges: readonly BlockRange[]): number => ranges.reduce((all, { blocks }) => all + blocks, 0)

describe('read-ahead of a holder', () => {
  it('asks for nothing where reads are at random, or where the blocks are here', async () => {
    const { ahead, asked } = reader()
    for (let i = 0; i < 200; i++) ahead.saw({ start: (i * 7_919) % 16_000, blocks: 8 }, true, segmentEnd)
    for (let i = 0; i < 200; i++) ahead.saw({ start: i * 32, blocks: 32 }, false, segmentEnd)
    assert.deepEqual(asked, [])
  })

  it('asks for each block behind a reader once, and for at most 4 MiB more than was read', async () => {
    const { ahead, asked, come } = reader()
    const seen = new Set<number>()
    for (let at = 0; at < 8_000; at += 32) {
      ahead.saw({ start: at, blocks: 32 }, at < 640, segmentEnd)
      for (const range of asked.splice(0)) {
        for (let block = range.start; block < range.start + range.blocks; block++) {
          assert.ok(!seen.has(block), `block ${String(block)} was asked for twice`)
          seen.add(block)
        }
        assert.ok(range.start + range.blocks <= at + 32 + 1_024)
        assert.ok(range.blocks <= 256, 'more than a message has')
      }
      await come()
    }
    // All but what was read before it was seen to go on in order.
    for (let block = 64; block < 8_000; block++) assert.ok(seen.has(block), `block ${String(block)} was not fetched ahead`)
  })

  it('ends where the hold ends, and has four messages under way at most', () => {
    const { ahead, asked } = reader()
    for (let at = 0; at < 960; at += 32) ahead.saw({ start: at, blocks: 32 }, true, 1_000)
    assert.ok(asked.length > 0 && asked.every(({ start, blocks }) => start + blocks <= 1_000))
    const other = reader()
    for (let at = 0; at < 4_000; at += 32) other.ahead.saw({ start: at, blocks: 32 }, true, segmentEnd)
    assert.equal(other.asked.length, 4)
  })

  it('leaves alone who reads what was never written', async () => {
    const { ahead, asked, come } = reader(false)
    for (let at = 0; at < 3_200; at += 32) {
      ahead.saw({ start: at, blocks: 32 }, true, segmentEnd)
      await come()
    }
    assert.ok(sum(asked) <= 256, `${String(sum(asked))} blocks`)
  })

  it('follows some readers side by side, whose requests overtake one another', async () => {
    const { ahead, asked, come } = reader()
    for (let i = 0; i < 40; i++) {
      for (const base of [0, 5_000, 10_000]) {
        // Two at once, the second first.
        ahead.saw({ start: base + i * 32 + 16, blocks: 16 }, i < 8, segmentEnd)
        ahead.saw({ start: base + i * 32, blocks: 16 }, i < 8, segmentEnd)
      }
      await come()
    }
    for (const base of [0, 5_000, 10_000]) assert.ok(sum(asked.filter(({ start }) => start >= base && start < base + 5_000)) >= 1_000)
  })

  it('says what of a range is on its way', async () => {
    const { ahead, asked, come } = reader()
    ahead.saw({ start: 0, blocks: 32 }, true, segmentEnd)
    ahead.saw({ start: 32, blocks: 32 }, true, segmentEnd)
    assert.deepEqual(asked, [{ start: 64, blocks: 64 }])
    assert.equal(ahead.underWay({ start: 128, blocks: 8 }), undefined)
    const done = ahead.underWay({ start: 120, blocks: 16 })
    assert.ok(done !== undefined)
    await come()
    await done
    assert.equal(ahead.underWay({ start: 120, blocks: 16 }), undefined)
  })
})
