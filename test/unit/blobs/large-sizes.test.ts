import assert from 'node:assert/strict'
import fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { fileMessage } from '../../../src/blobs/unixfs-sizes.js'
import { MemoryNetwork } from '../../simulation/blobs/twins.js'
import { collect, makeNode } from '../../simulation/blobs/world.js'

const gibibyte = 2 ** 30

describe('blobs: sizes above 2 GiB', () => {
  it('are read as they were written, whatever they are', () => {
    const size = fc.bigInt(0n, 2n ** 34n)
    fc.assert(fc.property(fc.array(fc.oneof(size, fc.bigInt(2n ** 31n - 2n, 2n ** 32n + 2n)), { minLength: 1, maxLength: 5 }), (sizes) => {
      const written = new UnixFS({ type: 'file', blockSizes: sizes })
      const read = UnixFS.unmarshal(written.marshal())
      assert.deepEqual([read.type, read.blockSizes, read.fileSize()], ['file', sizes, written.fileSize()])
    }))
  })

  it('are written as the library writes all others', () => {
    const right = fc.oneof(fc.bigInt(0n, 2n ** 30n), fc.bigInt(2n ** 32n, 2n ** 50n))
    fc.assert(fc.property(fc.array(right, { minLength: 1, maxLength: 5 }), (sizes) => {
      const total = sizes.reduce((sum, size) => sum + size, 0n)
      fc.pre(total < 2n ** 31n || total >= 2n ** 32n)
      assert.deepEqual(fileMessage(total, sizes), new UnixFS({ type: 'file', blockSizes: sizes }).marshal())
    }))
  })

  it('a file of 2 GiB and a bit can be read to its end', async function () {
    this.timeout(60_000)
    const { blobs } = makeNode(new MemoryNetwork(), 1, {})
    const size = 2 * gibibyte + 5
    // The same mebibyte again and again: one block on disk.
    const chunk = new Uint8Array(2 ** 20)
    const { cid } = await blobs.import((async function* () {
      for (let left = size; left > 0; left -= chunk.length) {
        await Promise.resolve()
        yield chunk.subarray(0, Math.min(left, chunk.length))
      }
    })())
    assert.equal((await collect(blobs.read(cid, { offset: size - 10, length: 10 }))).length, 10)
    assert.equal((await blobs.blobsOf(cid)).length, 3)
  })
})
