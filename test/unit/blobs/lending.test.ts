import assert from 'node:assert/strict'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { spareMemory } from '../../../src/base/index.js'
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
    get: async (cid) => spareMemory.take(mebibyte).fill(cid.multihash.digest[0] ?? 0),
  })
}

const isFullOf = (bytes: Uint8Array, value: number): boolean => bytes.length === mebibyte && bytes.every((byte) => byte === value)

describe('blobs: lending', () => {
  it('what a reader was lent is its own until it asks for the next, and is used again then', async () => {
    const memory = new Set<ArrayBufferLike>()
    let leaf = 0
    for await (const bytes of fileOfLent(12, true)) {
      memory.add(bytes.buffer)
      // Whoever else is given memory in the meantime is not given this.
      spareMemory.release(spareMemory.take(mebibyte).fill(99))
      assert.ok(isFullOf(bytes, leaf++))
    }
    assert.equal(leaf, 12)
    assert.ok(memory.size <= 5, `${String(memory.size)} buffers for 12 leaves`)
    assert.ok(memory.has(spareMemory.take(mebibyte).buffer), 'the last one came back, too')
  })

  it('a reader that leaves gives back what it was lent', async () => {
    let last: ArrayBufferLike | undefined
    for await (const bytes of fileOfLent(1, true)) {
      last = bytes.buffer
      break
    }
    assert.equal(spareMemory.take(mebibyte).buffer, last)
  })

  it('what a reader was given for good stays as it is', async () => {
    const kept: Uint8Array[] = []
    for await (const bytes of fileOfLent(12, false)) kept.push(bytes)
    assert.ok(kept.every(isFullOf))
  })
})
