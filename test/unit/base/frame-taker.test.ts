import assert from 'node:assert/strict'
import fc from 'fast-check'
import { FrameTaker, frameHead, readFrames } from '../../../src/base/index.js'
import type { Frame } from '../../../src/base/index.js'

const messageBytesMax = 64
const payloadBytesMax = 256

/** What comes of pieces that are lent, and how it ends; `waits` says for which payload there is a wait. */
async function taken(pieces: readonly Uint8Array[], waits: (payload: number) => boolean): Promise<{ frames: Frame[]; error: string | undefined }> {
  const frames: Frame[] = []
  let payloads = 0
  const taker = new FrameTaker({
    messageBytesMax,
    payloadBytesMax,
    beforePayload: () => (waits(payloads++) ? new Promise<void>((resolve) => setImmediate(resolve)) : undefined),
    allocate: (bytes) => new Uint8Array(bytes),
    onFrame: (frame) => frames.push(frame),
  })
  try {
    for (const piece of pieces) {
      const lent = Uint8Array.from(piece)
      const wait = taker.take(lent)
      lent.fill(0xee)
      await wait
    }
    taker.end()
    return { frames, error: undefined }
  } catch (error) {
    return { frames, error: String(error) }
  }
}

async function read(pieces: readonly Uint8Array[]): Promise<{ frames: Frame[]; error: string | undefined }> {
  const frames: Frame[] = []
  try {
    for await (const frame of readFrames((async function* () { yield* pieces })(), { messageBytesMax, payloadBytesMax })) frames.push(frame)
    return { frames, error: undefined }
  } catch (error) {
    return { frames, error: String(error) }
  }
}

const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength })
const plain = ({ frames, error }: { frames: Frame[]; error: string | undefined }): unknown => ({ frames: frames.map(({ message, payload }) => [Buffer.from(message).toString('hex'), Buffer.from(payload).toString('hex')]), error })

/** The same bytes cut elsewhere. */
function cut(all: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let at = 0
  for (let i = 0; at < all.length; i++) {
    const length = lengths[i % lengths.length] ?? 1
    pieces.push(all.subarray(at, at + length))
    at += length
  }
  return pieces
}

describe('base: frames of a stream that pushes', () => {
  const frames = fc.array(fc.record({ message: bytes(messageBytesMax), payload: bytes(payloadBytesMax) }), { maxLength: 8 })
  const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 6 })

  it('come out as they went in, however they are cut and whoever waits', async () => {
    await fc.assert(fc.asyncProperty(frames, cuts, fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }), async (sent, lengths, waiting) => {
      const all = Buffer.concat(sent.flatMap(({ message, payload }) => [frameHead(message, payload.length), payload]))
      const got = await taken(cut(all, lengths), (payload) => waiting[payload % waiting.length] ?? false)
      assert.deepEqual(plain(got), plain({ frames: sent, error: undefined }))
    }), { numRuns: 200 })
  })

  it('of any bytes are those that a reader of pieces finds, and end as that does', async () => {
    // Mostly lengths that may be: else all ends with the first.
    const likely = fc.array(fc.oneof(fc.constant(0), fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 255 })), { maxLength: 400 }).map((list) => Uint8Array.from(list))
    await fc.assert(fc.asyncProperty(fc.oneof(likely, bytes(400)), cuts, async (all, lengths) => {
      const pieces = cut(all, lengths)
      assert.deepEqual(plain(await taken(pieces, () => false)), plain(await read(pieces)))
    }), { numRuns: 300 })
  })
})
