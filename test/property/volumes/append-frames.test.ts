import assert from 'node:assert/strict'
import fc from 'fast-check'
import { FramingError, readFrames } from '../../../src/base/index.js'
import { appendLimits, answerLimits, decodeAnswer, decodeAppend, encodeAnswer, encodeAppend } from '../../../src/volumes/engine/append-frames.js'
import type { Append } from '../../../src/volumes/engine/append-frames.js'
import { Why } from '../../../src/volumes/wire/volume.js'
import { blockBytes } from '../../../src/volumes/index.js'
import type { LogEntry } from '../../../src/volumes/index.js'

const token = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const entry = fc.record({
  start: fc.integer({ min: 0, max: 16_000 }), blocks: fc.integer({ min: 1, max: 40 }), sequence: token,
  content: fc.constantFrom('data' as const, 'zeroes' as const, 'hole' as const), fill: fc.integer({ min: 1, max: 255 }),
  origin: fc.option(fc.record({ client: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex')), sequence: token }), { nil: undefined }),
})
const append = fc.record({
  volume: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex')), segment: fc.integer({ min: 0, max: 2 ** 24 }),
  token, configuration: token, sync: fc.boolean(), settled: token, entries: fc.array(entry, { maxLength: 5 }),
}).map(({ volume, segment, entries, ...rest }): Append => ({
  ...rest, id: { volume, segment },
  entries: entries.map(({ fill, origin, ...one }): LogEntry => ({
    ...one, token: rest.token, configuration: rest.configuration, bytes: new Uint8Array(one.content === 'data' ? one.blocks * blockBytes : 0).fill(fill),
    ...(origin === undefined ? {} : { origin: { ...origin } }),
  })),
}))

async function* piecesOf(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? bytes.length
    yield bytes.subarray(at, at + size)
    at += size
  }
}

const isRefusal = (error: unknown): boolean => error instanceof FramingError || (error as { code?: unknown }).code === 'BAD_INPUT'

describe('volumes: frames of /mesh/volume/1', () => {
  it('come out as they went in, wherever the network cuts them', async () => {
    await fc.assert(fc.asyncProperty(fc.array(append, { minLength: 1, maxLength: 4 }), fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 1, maxLength: 3 }), async (appends, sizes) => {
      const bytes = Buffer.concat(appends.flatMap((one, i) => encodeAppend(i, one)))
      const found: Append[] = []
      for await (const frame of readFrames(piecesOf(bytes, sizes), appendLimits)) {
        const { number, ...one } = decodeAppend(frame)
        assert.equal(number, found.length)
        found.push(one)
      }
      assert.deepEqual(found.map(plain), appends.map(plain))
    }), { numRuns: 40 })
  })

  it('refuse what is damaged, and do nothing else', async () => {
    await fc.assert(fc.asyncProperty(append, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 }), fc.boolean(), async (one, flips, inHead) => {
      const bytes = Buffer.concat(encodeAppend(1, one))
      const end = inHead ? Math.min(bytes.length, 200) : bytes.length
      for (const [at, by] of flips) bytes[at % end] = (bytes[at % end] ?? 0) ^ by
      try {
        for await (const frame of readFrames(piecesOf(bytes, [8_000]), appendLimits)) decodeAppend(frame)
      } catch (error) {
        if (!isRefusal(error)) throw error
      }
    }), { numRuns: 150 })
  })

  it('refuse any bytes at all', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (message) => {
      for (const decode of [() => decodeAppend({ message, payload: new Uint8Array(0) }), () => decodeAnswer({ message, payload: new Uint8Array(0) })]) {
        try {
          decode()
        } catch (error) {
          if (!isRefusal(error)) throw error
        }
      }
    }), { numRuns: 300 })
  })

  it('answers come back with their numbers', async () => {
    const sent = [encodeAnswer(1, { end: 7 }), encodeAnswer(2, undefined), encodeAnswer(3, { end: 0, refusal: { why: Why.GAP, token: 0, configuration: 0 } })]
    const found = []
    for await (const frame of readFrames(piecesOf(Buffer.concat(sent), [5]), answerLimits)) found.push(decodeAnswer(frame))
    assert.deepEqual(found.map(({ number, answer }) => [number, answer?.end, answer?.refusal !== undefined]), [[1, 7, false], [2, undefined, false], [3, 0, true]])
  })
})

function plain(append: Append): unknown {
  return { ...append, entries: append.entries.map((one) => ({ ...one, bytes: Buffer.from(one.bytes).toString('hex') })) }
}
