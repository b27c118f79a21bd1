import assert from 'node:assert/strict'
import fc from 'fast-check'
import { RangeMap } from '../../../src/volumes/range-map.js'
import { blockBytes, checkVolumeName, checkVolumeSize, partsOf, segmentBlocks, segmentBytes } from '../../../src/volumes/geometry.js'

const blocks = 64
const range = fc.tuple(fc.nat(blocks - 1), fc.integer({ min: 1, max: blocks })).map(([start, length]) => ({ start, blocks: Math.min(length, blocks - start) }))

describe('volumes: range map', () => {
  it('is what an array with one value a block would be, and as small as can be', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(range, fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined })), { maxLength: 40 }), range, (edits, asked) => {
        let map = new RangeMap<number>((a, b) => a === b)
        const naive = new Array<number | undefined>(blocks).fill(undefined)
        for (const [where, value] of edits) {
          map = map.with(where, value)
          naive.fill(value, where.start, where.start + where.blocks)
        }
        for (let block = 0; block < blocks; block++) assert.equal(map.at(block), naive[block])
        const runs = naive.filter((value, block) => value !== undefined && (block === 0 || naive[block - 1] !== value)).length
        assert.equal(map.size, runs)
        const parts = map.within(asked)
        assert.deepEqual(
          parts.flatMap((part) => new Array<number | undefined>(part.blocks).fill(part.value)),
          naive.slice(asked.start, asked.start + asked.blocks),
        )
        assert.equal(parts[0]?.start, asked.start)
        assert.equal(map.covering(asked), parts.length === 1 ? parts[0].value : undefined)
        const doubled = map.map((value) => (value === 0 ? undefined : 7))
        for (let block = 0; block < blocks; block++) assert.equal(doubled.at(block), naive[block] === undefined || naive[block] === 0 ? undefined : 7)
      }),
      { numRuns: 500 },
    )
  })
})

describe('volumes: geometry', () => {
  it('parts cover exactly the blocks that are touched', () => {
    fc.assert(
      fc.property(fc.nat(4 * segmentBytes), fc.integer({ min: 1, max: 3 * segmentBytes }), (offset, length) => {
        const parts = partsOf(offset, length)
        let at = Math.floor(offset / blockBytes)
        for (const part of parts) {
          assert.equal(part.segment * segmentBlocks + part.start, at)
          assert.ok(part.blocks > 0 && part.start + part.blocks <= segmentBlocks)
          at += part.blocks
        }
        assert.equal(at, Math.ceil((offset + length) / blockBytes))
      }),
    )
  })

  it('refuses sizes and names that make no sense', () => {
    for (const size of [0, -1, 1.5, 2 ** 63, Number.NaN, Infinity]) assert.throws(() => checkVolumeSize(size), /between 1 byte and 1 PiB/)
    assert.equal(checkVolumeSize(1), blockBytes)
    for (const name of ['', '-a', '.a', 'a b', 'ä', 'a/b', 'a'.repeat(65)]) assert.throws(() => checkVolumeName(name))
    assert.equal(checkVolumeName('vm1.disk_0-x'), 'vm1.disk_0-x')
  })
})
