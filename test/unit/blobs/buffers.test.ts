import assert from 'node:assert/strict'
import fc from 'fast-check'
import { blockBuffers } from '../../../src/blobs/buffers.js'

const mebibyte = 2 ** 20

describe('blobs: buffers', () => {
  it('uses memory again only when all who have it have released it', async () => {
    await blockBuffers.during(async () => {
      const first = blockBuffers.take(mebibyte)
      blockBuffers.share(first)
      blockBuffers.release(first)
      assert.notEqual(blockBuffers.take(mebibyte).buffer, first.buffer)
      blockBuffers.release(first.subarray(5, 9))
      assert.equal(blockBuffers.take(mebibyte - 3).buffer, first.buffer)
    })
  })

  it('a second release is not one of somebody else\'s', async () => {
    await blockBuffers.during(async () => {
      const first = blockBuffers.take(mebibyte)
      blockBuffers.release(first)
      blockBuffers.release(first)
      assert.notEqual(blockBuffers.take(mebibyte).buffer, blockBuffers.take(mebibyte).buffer)
    })
  })

  it('gives the memory back when the last transfer is over', async () => {
    let buffer: ArrayBufferLike | undefined
    await blockBuffers.during(async () => {
      const taken = blockBuffers.take(mebibyte)
      buffer = taken.buffer
      blockBuffers.release(taken)
    })
    await blockBuffers.during(async () => assert.notEqual(blockBuffers.take(mebibyte).buffer, buffer))
  })

  it('what did not come from here, and what is small, is let be', () => {
    const own = new Uint8Array(mebibyte)
    blockBuffers.share(own)
    blockBuffers.release(own)
    assert.equal(blockBuffers.copied(own), own)
    assert.equal(blockBuffers.has(blockBuffers.take(1000)), false)
  })

  it('whoever has a share sees the bytes that were written, whatever the others do', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.nat(99), { maxLength: 200 }), (choices) => blockBuffers.during(async () => {
      let stamp = 0
      const held: { bytes: Uint8Array; stamp: number }[] = []
      for (const choice of choices) {
        const at = choice % (held.length + 1)
        const one = held[at]
        if (one === undefined) {
          const bytes = blockBuffers.take(mebibyte - (choice % 7))
          bytes[17] = ++stamp & 0xff
          held.push({ bytes, stamp })
        } else if (choice < 30) {
          blockBuffers.share(one.bytes)
          held.push({ ...one })
        } else {
          held.splice(at, 1)
          if (choice < 60) assert.equal(blockBuffers.copied(one.bytes)[17], one.stamp & 0xff)
          else blockBuffers.release(one.bytes)
        }
        for (const { bytes, stamp: expected } of held) assert.equal(bytes[17], expected & 0xff)
      }
    })), { numRuns: 50 })
  })
})
