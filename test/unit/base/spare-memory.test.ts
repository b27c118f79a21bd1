import assert from 'node:assert/strict'
import fc from 'fast-check'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { SpareMemory } from '../../../src/base/index.js'

const mebibyte = 1024 * 1024

describe('base: spare memory', () => {
  it('is used again once everybody who had it has released it, and not before', () => {
    const memory = new SpareMemory()
    const first = memory.take(mebibyte)
    memory.share(first.subarray(10, 20))
    memory.release(first)
    assert.ok(memory.has(first))
    const second = memory.take(mebibyte)
    assert.notEqual(second.buffer, first.buffer)
    memory.release(first.subarray(10, 20))
    assert.ok(!memory.has(first))
    // Of the same size class, and with exactly the bytes that are asked for.
    const third = memory.take(mebibyte - 5)
    assert.equal(third.buffer, first.buffer)
    assert.equal(third.length, mebibyte - 5)
    // A part that is given back by its last owner gives back all of it; what was given back before is let be.
    memory.release(third.subarray(3, 4))
    memory.release(third)
    assert.equal(memory.take(mebibyte).buffer, first.buffer)
    assert.notEqual(memory.take(mebibyte).buffer, first.buffer)
  })

  it('lets be what did not come from it, and keeps neither what is small nor what is huge', () => {
    const memory = new SpareMemory()
    for (const bytes of [new Uint8Array(mebibyte), memory.take(100), memory.take(5 * mebibyte)]) {
      assert.ok(!memory.has(bytes))
      memory.share(bytes)
      memory.release(bytes)
      assert.notEqual(memory.take(bytes.length).buffer, bytes.buffer)
    }
  })

  it('keeps 16 MiB at most', () => {
    const memory = new SpareMemory()
    const taken = Array.from({ length: 24 }, () => memory.take(mebibyte))
    for (const bytes of taken) memory.release(bytes)
    const known = new Set(taken.map(({ buffer }) => buffer))
    const again = Array.from({ length: 24 }, () => memory.take(mebibyte))
    assert.equal(again.filter(({ buffer }) => known.has(buffer)).length, 16)
  })

  it('what is free goes with a collection of the whole heap', async () => {
    const memory = new SpareMemory()
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    setFlagsFromString('--no-expose-gc')
    const freed = (): WeakRef<ArrayBufferLike> => {
      const bytes = memory.take(mebibyte)
      memory.release(bytes)
      return new WeakRef(bytes.buffer)
    }
    const gone = freed()
    // What a turn has asked for stays for as long as the turn.
    for (let i = 0; i < 20 && gone.deref() !== undefined; i++) {
      await new Promise((resolve) => setImmediate(resolve))
      collect()
    }
    assert.equal(gone.deref(), undefined)
  })

  it('is copied for who keeps it, and only then', () => {
    const memory = new SpareMemory()
    const own = new Uint8Array(mebibyte)
    assert.equal(memory.copied(own), own)
    const taken = memory.take(mebibyte).fill(7)
    const kept = memory.copied(taken)
    assert.equal(memory.take(mebibyte).fill(8).buffer, taken.buffer)
    assert.ok(kept.every((byte) => byte === 7))
  })

  it('whoever has a share sees the bytes that were written, whatever the others do', () => {
    fc.assert(fc.property(fc.array(fc.nat(99), { maxLength: 200 }), (choices) => {
      const memory = new SpareMemory()
      let stamp = 0
      const held: { bytes: Uint8Array; stamp: number }[] = []
      for (const choice of choices) {
        const at = choice % (held.length + 1)
        const one = held[at]
        if (one === undefined) {
          const bytes = memory.take((choice % 2 === 0 ? mebibyte : mebibyte / 8) - (choice % 7))
          bytes[17] = ++stamp & 0xff
          held.push({ bytes, stamp })
        } else if (choice < 30) {
          memory.share(one.bytes)
          held.push({ ...one })
        } else {
          held.splice(at, 1)
          if (choice < 60) assert.equal(memory.copied(one.bytes)[17], one.stamp & 0xff)
          else memory.release(one.bytes)
        }
        for (const { bytes, stamp: expected } of held) assert.equal(bytes[17], expected & 0xff)
      }
    }), { numRuns: 50 })
  })
})
