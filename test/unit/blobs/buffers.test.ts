import assert from 'node:assert/strict'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { blockBuffers } from '../../../src/blobs/buffers.js'
import { readFile } from '../../../src/blobs/reading.js'

const mebibyte = 2 ** 20

/** A file of so many leaves of a mebibyte, each of them in memory that is used again; leaf i is full of i. */
function fileOfLent(leaves: number, isLent: boolean): AsyncGenerator<Uint8Array> {
  const links = Array.from({ length: leaves }, (_, i) => ({ cid: CID.createV1(0x55, Digest.create(0x12, Buffer.alloc(32, i))), contentBytes: mebibyte }))
  return readFile(CID.createV1(0x70, Digest.create(0x12, Buffer.alloc(32, 255))), { type: 'file', data: new Uint8Array(0), links, contentBytes: leaves * mebibyte, spread: false }, {
    offset: 0,
    length: leaves * mebibyte,
    readAheadBytes: 1,
    blobContentBytesMax: 2 ** 30,
    isLent,
    get: async (cid) => blockBuffers.take(mebibyte).fill(cid.multihash.digest[0] ?? 0),
  })
}

const isFullOf = (bytes: Uint8Array, value: number): boolean => bytes.length === mebibyte && bytes.every((byte) => byte === value)

describe('blobs: buffers', () => {
  it('what a reader was lent is its own until it asks for the next, and is used again then', async () => {
    await blockBuffers.during(async () => {
      const memory = new Set<ArrayBufferLike>()
      let leaf = 0
      for await (const bytes of fileOfLent(12, true)) {
        memory.add(bytes.buffer)
        // Whoever else is given memory in the meantime is not given this.
        blockBuffers.release(blockBuffers.take(mebibyte).fill(99))
        assert.ok(isFullOf(bytes, leaf++))
      }
      assert.equal(leaf, 12)
      assert.ok(memory.size <= 5, `${String(memory.size)} buffers for 12 leaves`)
      assert.ok(memory.has(blockBuffers.take(mebibyte).buffer), 'the last one came back, too')
    })
  })

  it('a reader that leaves gives back what it was lent', async () => {
    await blockBuffers.during(async () => {
      let last: ArrayBufferLike | undefined
      for await (const bytes of fileOfLent(1, true)) {
        last = bytes.buffer
        break
      }
      assert.equal(blockBuffers.take(mebibyte).buffer, last)
    })
  })

  it('what a reader was given for good stays as it is', async () => {
    await blockBuffers.during(async () => {
      const kept: Uint8Array[] = []
      for await (const bytes of fileOfLent(12, false)) kept.push(bytes)
      assert.ok(kept.every(isFullOf))
    })
  })

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
