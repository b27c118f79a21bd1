import assert from 'node:assert/strict'
import { MemoryBlockstore } from 'blockstore-core/memory'
import fc from 'fast-check'
import { importBytes } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { totalBytesOfFile } from '../../../src/blobs/file-shape.js'
import { totalBytesBelow } from '../../../src/blobs/folders.js'
import { MemoryNetwork } from '../../simulation/blobs/twins.js'
import { bytesOf, collect, makeNode, pieces, quick } from '../../simulation/blobs/world.js'

const profiles = fc.record({ chunkBytes: fc.integer({ min: 1, max: 64 }), linksMax: fc.integer({ min: 2, max: 5 }) })

describe('blobs: trees', () => {
  it('any size and profile: a size alone tells the block bytes that a folder claims of the file', async function () {
    this.timeout(30_000)
    await fc.assert(
      fc.asyncProperty(profiles, fc.integer({ min: 0, max: 300 }), fc.nat(63), async (profile, chunks, rest) => {
        const size = chunks * profile.chunkBytes + Math.min(rest, profile.chunkBytes - 1)
        const blocks = new MemoryBlockstore()
        const { cid } = await importBytes(bytesOf(size, 1), blocks, {
          chunker: fixedSize({ chunkSize: profile.chunkBytes }),
          layout: balanced({ maxChildrenPerNode: profile.linksMax }),
        })
        assert.equal(totalBytesOfFile(size, profile), totalBytesBelow(cid, await blocks.get(cid)))
      }),
      { numRuns: 60 },
    )
  })

  it('any size and profile: the importer\'s CID, blobs that add up, ranges that are slices, here and from afar', async function () {
    this.timeout(60_000)
    await fc.assert(
      fc.asyncProperty(
        profiles,
        fc.integer({ min: 0, max: 3000 }),
        fc.boolean(),
        fc.array(fc.tuple(fc.nat(3200), fc.nat(3200)), { maxLength: 6 }),
        async (profile, size, zeros, ranges) => {
          const length = Math.min(size, profile.chunkBytes * 120)
          const bytes = zeros ? new Uint8Array(length) : bytesOf(length, size)
          const network = new MemoryNetwork()
          const init = { ...quick, profile }
          const [a, b, c] = [makeNode(network, 1, init), makeNode(network, 2, init), makeNode(network, 3, init)]
          const imported = await a.blobs.import(pieces(bytes, 37))
          const known = await importBytes(bytes, new MemoryBlockstore(), {
            chunker: fixedSize({ chunkSize: profile.chunkBytes }),
            layout: balanced({ maxChildrenPerNode: profile.linksMax }),
          })
          assert.equal(imported.cid.toString(), known.cid.toString())
          const names = (refs: typeof imported.blobs): string[] => refs.map(({ cid, kind }) => `${kind} ${cid.toString()}`)
          assert.deepEqual(names(await a.blobs.blobsOf(imported.cid)), names(imported.blobs))
          for (const ref of imported.blobs) {
            const there = await b.blobs.fetch(ref, { holders: [a.id] })
            assert.deepEqual({ ...there, heldSinceMs: 0 }, { ...(await a.blobs.held(ref.cid)), heldSinceMs: 0 })
          }
          assert.equal(b.blocks.bytes.size, a.blocks.bytes.size)
          for (const [offset, count] of ranges) {
            if (offset > bytes.length) continue
            const slice = Buffer.from(bytes.subarray(offset, offset + count))
            assert.ok((await collect(a.blobs.read(imported.cid, { offset, length: count }))).equals(slice))
            assert.ok((await collect(c.blobs.read(imported.cid, { offset, length: count, holders: [b.id] }))).equals(slice))
          }
          assert.ok((await collect(c.blobs.read(imported.cid, { holders: [a.id, b.id] }))).equals(bytes))
          for (const { cid } of imported.blobs) for (const node of [a, b, c]) await node.blobs.drop(cid)
          for (const node of [a, b, c]) assert.equal(node.blocks.bytes.size + node.blocks.draftBlocks.size, 0)
        },
      ),
      { numRuns: 40 },
    )
  })
})
