import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'mocha'
import { WrittenRoots } from '../../../src/catalog/written-roots.js'

const rootOf = (i: number): Uint8Array => createHash('sha256').update(String(i)).digest()
const rootWith = (bits: number): Uint8Array => {
  const root = Buffer.alloc(36, 7)
  root.writeUInt32BE(bits, 32)
  return root
}

describe('catalog: roots that were written', () => {
  it('once and more than once are told apart, however many there are', () => {
    const roots = new WrittenRoots()
    const count = 20_000
    for (let i = 0; i < count; i++) roots.add(rootOf(i))
    for (let i = 0; i < count; i += 3) roots.add(rootOf(i))
    let mistaken = 0
    for (let i = 0; i < count; i++) {
      const isOnce = roots.isOnce(rootOf(i))
      if (i % 3 === 0) assert.equal(isOnce, false)
      else if (!isOnce) mistaken++
    }
    // By chance, of 31 bits.
    assert.ok(mistaken < 10, String(mistaken))
  })

  it('all bits at their limits', () => {
    const bits = [0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xfffffffe]
    for (const some of bits) {
      const roots = new WrittenRoots()
      assert.equal(roots.isOnce(rootWith(some)), false)
      roots.add(rootWith(some))
      assert.equal(roots.isOnce(rootWith(some)), true)
      roots.add(rootWith(some))
      assert.equal(roots.isOnce(rootWith(some)), false)
    }
  })

  it('says nothing any more where there are too many, or somebody has chosen them', () => {
    const few = new WrittenRoots({ rootsMax: 700 })
    const crowded = new WrittenRoots()
    const first = rootOf(1)
    for (const roots of [few, crowded]) {
      roots.add(first)
      assert.equal(roots.isOnce(first), true)
    }
    for (let i = 2; i < 1000; i++) few.add(rootOf(i))
    for (let i = 0; i < 10_000; i++) crowded.add(rootWith(0x5000_0000 + 2 * i))
    const late = rootOf(-1)
    for (const roots of [few, crowded]) {
      assert.equal(roots.isOnce(first), false)
      roots.add(late)
      assert.equal(roots.isOnce(late), false)
    }
  })
})
