import assert from 'node:assert/strict'
import { smoothedRtt } from '../../../src/net/links.js'

describe('net: round trips', () => {
  const after = (samples: readonly number[]): number => samples.reduce<number | undefined>(smoothedRtt, undefined) ?? NaN

  it('a first that was late is forgotten in a few', () => {
    assert.equal(after([3_000]), 3_000)
    assert.ok(after([3_000, ...Array<number>(12).fill(1)]) < 3)
  })

  it('one that is late now and then changes little', () => {
    assert.ok(after([10, 10, 10, 90, 10, 10]) < 13)
  })

  it('a longer way is believed in the end', () => {
    assert.ok(after([10, ...Array<number>(30).fill(200)]) > 190)
  })
})
