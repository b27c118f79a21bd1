import assert from 'node:assert/strict'
import { encode } from '@ipld/dag-pb'
import fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import { acceptedFromBytes } from '../../../src/blobs/cids.js'
import { chunksOf } from '../../../src/blobs/chunks.js'
import { encodeFrame, FramingError, readFrames, type Frame } from '../../../src/blobs/frames.js'
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest, Status } from '../../../src/blobs/messages.js'
import { decodeNode } from '../../../src/blobs/nodes.js'
import { BlobError } from '../../../src/blobs/index.js'
import { MemoryNetwork, nodeId } from '../../simulation/blobs/twins.js'
import { all, bytesOf, collect, makeNode, pieces, until } from '../../simulation/blobs/world.js'

const bytes = fc.uint8Array({ maxLength: 300 })

/** Bytes cut into pieces at these places. */
async function* cut(whole: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (let i = 0; at < whole.length; i++) {
    const size = sizes[i % Math.max(1, sizes.length)] ?? 1
    yield whole.subarray(at, at + size)
    at += size
    await Promise.resolve()
  }
}

const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 })

async function framesOf(whole: Uint8Array, sizes: readonly number[]): Promise<Frame[] | FramingError> {
  try {
    return await all(readFrames(cut(whole, sizes), { payloadBytesMax: 1000 }))
  } catch (error) {
    if (error instanceof FramingError) return error
    throw error
  }
}

/** A valid message and what became of it on the way. */
function mutated(valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }), kind: fc.constantFrom('set', 'drop', 'insert', 'end') })
  return fc.tuple(valid, fc.array(change, { minLength: 1, maxLength: 4 })).map(([whole, changes]) => {
    let result = [...whole]
    for (const { at, value, kind } of changes) {
      const index = result.length === 0 ? 0 : at % result.length
      if (kind === 'set') result[index] = value
      else if (kind === 'drop') result.splice(index, 1)
      else if (kind === 'insert') result.splice(index, 0, value)
      else result = result.slice(0, index)
    }
    return Uint8Array.from(result)
  })
}

describe('blobs: formats', () => {
  it('frames come out as they went in, however the stream is cut', async () => {
    const frame = fc.tuple(bytes, bytes)
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 8 }), cuts, async (frames, sizes) => {
        const whole = Buffer.concat(frames.flatMap(([message, payload]) => encodeFrame(message, payload)))
        const read = await framesOf(whole, sizes)
        assert.ok(!(read instanceof FramingError))
        assert.deepEqual(read.map(({ message, payload }) => [[...message], [...payload]]), frames.map(([message, payload]) => [[...message], [...payload]]))
      }),
    )
  })

  it('what was handed out stays as it is when the memory of released pieces is used again', async () => {
    const payload = fc.tuple(fc.constantFrom(0, 40, 4096, 4097, 9000, 30_000), fc.nat(255)).map(([length, seed]) => Uint8Array.from({ length }, (_, i) => (seed + i * 7) & 0xff))
    const sizes = fc.array(fc.constantFrom(1, 9, 4000, 4100, 20_000, 70_000), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(bytes, payload), { minLength: 1, maxLength: 6 }), sizes, async (frames, cutAt) => {
        const whole = Buffer.concat(frames.flatMap(([message, body]) => encodeFrame(message, body)))
        let released = 0
        const own = (async function* () {
          for await (const piece of cut(whole, cutAt)) yield Uint8Array.from(piece)
        })()
        const release = (piece: Uint8Array): void => {
          released++
          piece.fill(0xee)
        }
        const read = await all(readFrames(own, { payloadBytesMax: 30_000, release }))
        read.forEach(({ message, payload: body }, i) => {
          assert.equal(Buffer.compare(message, frames[i]?.[0] ?? new Uint8Array(0)), 0)
          assert.equal(Buffer.compare(body, frames[i]?.[1] ?? new Uint8Array(0)), 0)
        })
        assert.equal(read.length, frames.length)
        // Cut into bytes, all of them are copied, and each is done with when the next is asked for.
        if (cutAt.every((size) => size === 1)) assert.equal(released, whole.length)
      }),
      { numRuns: 60 },
    )
  })

  it('only FramingError comes out of bytes that are no frames, and what is announced is not allocated', async () => {
    const valid = fc.array(fc.tuple(bytes, bytes), { minLength: 1, maxLength: 4 }).map((frames) => Buffer.concat(frames.flatMap(([a, b]) => encodeFrame(a, b))))
    await fc.assert(fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated(valid)), cuts, async (whole, sizes) => {
        await framesOf(whole, sizes)
      }),
    )
    const huge = await framesOf(Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), [8])
    assert.ok(huge instanceof FramingError)
    assert.ok((await framesOf(Buffer.from([0, 0, 0, 0, 0, 0x10, 0, 1]), [8])) instanceof FramingError)
  })

  it('messages come out as they went in, and only FramingError out of others', () => {
    const cid = fc.tuple(fc.constantFrom(0x55, 0x70), fc.uint8Array({ minLength: 32, maxLength: 32 })).map(([code, digest]) => CID.decode(Uint8Array.from([1, code, 0x12, 32, ...digest])))
    const request = fc.tuple(fc.integer({ min: 0, max: 2 ** 31 }), fc.array(cid, { maxLength: 10 }), fc.array(fc.integer({ min: 0, max: 2 ** 31 }), { maxLength: 10 }))
    fc.assert(
      fc.property(request, ([first, cids, cancels]) => {
        const decoded = decodeRequest(encodeRequest(first, cids, cancels)[0]!.subarray(8))
        assert.deepEqual(decoded.wants.map(({ id, cid: name }) => `${id} ${String(name)}`), cids.map((name, i) => `${first + i} ${String(name)}`))
        assert.deepEqual(decoded.cancels, cancels)
      }),
    )
    const throwsFraming = (decode: () => unknown): void => {
      try {
        decode()
      } catch (error) {
        assert.ok(error instanceof FramingError, String(error))
      }
    }
    const validRequest = request.map(([first, cids, cancels]) => encodeRequest(first, cids, cancels)[0]!.subarray(8))
    const validAnswer = fc.integer({ min: 0, max: 2 ** 31 }).map((id) => encodeAnswer(id, Status.NOT_FOUND)[0]!.subarray(8))
    fc.assert(
      fc.property(fc.oneof(bytes, mutated(validRequest), mutated(validAnswer)), (message) => {
        throwsFraming(() => decodeRequest(message))
        throwsFraming(() => decodeAnswer(message))
      }),
      { numRuns: 500 },
    )
    // 257 names in one message.
    const tooMany = Buffer.concat(Array.from({ length: 257 }, () => Buffer.from([0x12, 1, 7])))
    assert.throws(() => decodeRequest(tooMany), FramingError)
  })

  it('a name from the wire is an accepted CID or none', () => {
    fc.assert(
      fc.property(fc.oneof(bytes, mutated(fc.constant(Uint8Array.from([1, 0x55, 0x12, 32, ...new Uint8Array(32)])))), (given) => {
        const cid = acceptedFromBytes(given)
        if (cid !== undefined) assert.deepEqual([...cid.bytes], [...given])
      }),
    )
  })

  it('only BAD_CID comes out of nodes that are none', async () => {
    const leaf = CID.createV1(0x55, await sha256.digest(bytesOf(3)))
    const links = fc.array(fc.record({ Name: fc.string({ maxLength: 5 }), Tsize: fc.nat() }), { maxLength: 5 })
    const node = fc.tuple(links, fc.constantFrom('file', 'directory', 'raw', 'symlink', 'hamt-sharded-directory'), fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { maxLength: 5 })).map(
      ([named, type, blockSizes]) => {
        const unixfs = new UnixFS({ type, blockSizes })
        if (type === 'hamt-sharded-directory') unixfs.fanout = 256n
        const Links = named.map((link) => ({ ...link, Hash: leaf })).sort((a, b) => Buffer.compare(Buffer.from(a.Name), Buffer.from(b.Name)))
        return new Uint8Array(encode({ Data: unixfs.marshal(), Links }))
      },
    )
    const name = CID.createV1(0x70, await sha256.digest(bytesOf(4)))
    fc.assert(
      fc.property(fc.oneof(bytes, node, mutated(node)), (block) => {
        try {
          const decoded = decodeNode(name, block)
          if (decoded.type === 'file') assert.ok(Number.isSafeInteger(decoded.contentBytes))
        } catch (error) {
          assert.ok(error instanceof BlobError && error.code === 'BAD_CID', String(error))
        }
      }),
      { numRuns: 500 },
    )
  })

  it('chunks are the slices of the content, however it comes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), cuts, fc.integer({ min: 1, max: 100 }), async (whole, sizes, chunkBytes) => {
        const reused = new Uint8Array(64)
        async function* source(): AsyncGenerator<Uint8Array> {
          // The producer fills one buffer again and again.
          for await (const piece of cut(whole, sizes)) {
            reused.set(piece)
            yield reused.subarray(0, piece.length)
          }
        }
        const chunks = await all(chunksOf(source(), chunkBytes))
        assert.ok(Buffer.concat(chunks).equals(whole))
        chunks.slice(0, -1).forEach((chunk) => assert.equal(chunk.length, chunkBytes))
        const last = chunks.at(-1)
        if (last !== undefined) assert.ok(last.length > 0 && last.buffer.byteLength === last.length, 'a small chunk does not hold a large buffer')
      }),
    )
  })

  it('a holder outlives any bytes, and answers the next stream', async () => {
    const network = new MemoryNetwork()
    const { id, blobs } = makeNode(network, 1)
    const { cid } = await blobs.import(pieces(bytesOf(500)))
    const bulk = network.bulk(nodeId(2))
    const valid = fc.array(fc.integer({ min: 0, max: 2000 }), { minLength: 1, maxLength: 5 }).map((ids) => Buffer.concat(ids.flatMap((first) => encodeRequest(first, [cid, cid], [first]))))
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated(valid)), cuts, async (whole, sizes) => {
        const stream = await bulk.open(id, '/mesh/blob/1', {})
        const sending = (async () => {
          for await (const piece of cut(whole, sizes)) await stream.send(piece)
          await stream.closeSend()
        })().catch(() => undefined)
        await collect(stream.received).catch(() => undefined)
        await sending
      }),
      { numRuns: 60 },
    )
    const other = makeNode(network, 3)
    await other.blobs.fetch({ cid, kind: 'dag' }, { holders: [id] })
  })

  it('a requester outlives any bytes a holder sends', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 100 }), { minLength: 1, maxLength: 4 }), async (parts) => {
        const network = new MemoryNetwork()
        const [evil, b] = [makeNode(network, 1), makeNode(network, 2)]
        const { cid } = await evil.blobs.import(pieces(bytesOf(500)))
        network.faults.set(evil.id, { sending: async () => parts })
        await assert.rejects(b.blobs.fetch({ cid, kind: 'dag' }, { holders: [evil.id] }), (error) => error instanceof BlobError)
        await until(() => b.blobs.stats().inFlightBytesNow === 0)
        assert.equal(b.blocks.bytes.size, 0)
      }),
      { numRuns: 12 },
    )
  })
})
