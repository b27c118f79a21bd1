import assert from 'node:assert/strict'
import type { Stream, StreamMuxer } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import fc from 'fast-check'
import type { Uint8ArrayList } from 'uint8arraylist'
import { flowTo } from '../../../src/net/transport/flow.js'
import type { FlowSink, Flowing } from '../../../src/net/transport/flow.js'
import { fairYamux, fateOf } from '../../../src/net/transport/muxer.js'

type Source = AsyncGenerator<Uint8Array | Uint8ArrayList>

describe('net: yamux on a connection that pushes', () => {
  const muxers: StreamMuxer[] = []
  afterEach(() => {
    for (const muxer of muxers.splice(0)) muxer.abort(new Error('the test is over'))
  })

  const muxer = (direction: 'inbound' | 'outbound', onIncomingStream?: (stream: Stream) => void): StreamMuxer => {
    const made = fairYamux({ initialStreamWindowBytes: 256 * 1024, streamWindowBytesMax: 2 ** 20, streamsMax: 8 })({ logger: defaultLogger() })
      .createStreamMuxer({ direction, ...(onIncomingStream === undefined ? {} : { onIncomingStream }) })
    muxers.push(made)
    return made
  }

  /** The bytes of a source pushed in pieces of these lengths, each gone after its call. */
  const pushed = (source: Source, lengths: readonly number[]): Source & Flowing => {
    let stopped = false
    const pump = async (sink: FlowSink): Promise<void> => {
      let next = 0
      for await (const chunk of source) {
        const bytes = chunk.subarray()
        for (let at = 0; at < bytes.length && !stopped; ) {
          const lent = Uint8Array.from(bytes.subarray(at, at + (lengths[next++ % lengths.length] ?? 1)))
          at += lent.length
          sink.take(lent)
          lent.fill(0xee)
        }
      }
      sink.end()
    }
    return Object.assign(source, {
      [flowTo]: (sink: FlowSink) => {
        pump(sink).catch((error: unknown) => { sink.end(error as Error) })
        return () => {
          stopped = true
          sink.end()
        }
      },
    })
  }

  /** A stream from one muxer to another that is pushed to, and its ends. */
  const connected = async (lengths: readonly number[]): Promise<{ sender: Stream; receiver: Stream; ended: Promise<void> }> => {
    let accept: (stream: Stream) => void = () => undefined
    const accepted = new Promise<Stream>((resolve) => { accept = resolve })
    const one = muxer('outbound')
    const two = muxer('inbound', (stream) => { accept(stream) })
    const ended = Promise.resolve(two.sink(pushed(one.source as Source, lengths))).then(() => undefined)
    void one.sink(two.source)
    const sender = await one.newStream('test')
    return { sender, receiver: await accepted, ended }
  }

  const patterned = (length: number): Uint8Array => {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 11)) & 0xff
    return bytes
  }

  for (const lengths of [[16 * 1024], [1, 5, 12, 16 * 1024, 3], [300 * 1024]]) {
    const cut = `cut to ${lengths.join(', ')}`

    it(`brings what is sent to who iterates, ${cut}`, async () => {
      const bytes = patterned(lengths.length > 1 ? 300_000 : 3 * 2 ** 20)
      for (const recycles of [false, true]) {
        const { sender, receiver } = await connected(lengths)
        const fate = fateOf(receiver)
        assert.ok(fate !== undefined)
        fate.recycles = recycles
        void sender.sink([bytes])
        const got: Uint8Array[] = []
        for await (const chunk of receiver.source) got.push(Uint8Array.from(chunk.subarray()))
        assert.equal(Buffer.compare(Buffer.concat(got), bytes), 0)
        assert.ok(fate.finished)
        assert.ok(fate.flows)
      }
    })

    it(`and to who takes it as it comes, from the middle of a frame on, ${cut}`, async () => {
      const bytes = patterned(lengths.length > 1 ? 300_000 : 3 * 2 ** 20)
      const { sender, receiver } = await connected(lengths)
      const fate = fateOf(receiver)
      assert.ok(fate !== undefined)
      const got: Uint8Array[] = []
      let bytesBefore = 0
      const sent = sender.sink((async function* () {
        yield bytes.subarray(0, 50_000)
        // With the first frame read, the next is on its way: the stream's window is given back by who takes it.
        while (bytesBefore === 0) await new Promise((resolve) => setImmediate(resolve))
        yield bytes.subarray(50_000)
      })())
      const source: AsyncIterator<Uint8ArrayList | Uint8Array> = receiver.source
      while (bytesBefore < 50_000) {
        const next = await source.next()
        assert.ok(next.done !== true)
        got.push(Uint8Array.from(next.value.subarray()))
        bytesBefore += next.value.byteLength
        if (fate.queuedBytes() === 0) break
      }
      fate.direct = (part) => { got.push(Uint8Array.from(part)) }
      await sent
      assert.equal((await source.next()).done, true)
      assert.equal(Buffer.compare(Buffer.concat(got), bytes), 0)
    })
  }

  it('any bytes end it calmly or do nothing', async () => {
    // Mostly what looks like frames: of the right version, of known types, to streams that there may be.
    const frame = fc.tuple(fc.constantFrom(0, 0, 0, 0, 1), fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 15 }), fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 300_000 }), fc.uint8Array({ maxLength: 40 })).map(([version, type, flags, stream, length, rest]) => {
      const head = Buffer.alloc(12)
      head.writeUInt8(version, 0)
      head.writeUInt8(type, 1)
      head.writeUInt16BE(flags, 2)
      head.writeUInt32BE(stream, 4)
      head.writeUInt32BE(length > 1000 && type === 0 && flags < 8 ? length : rest.length, 8)
      return Buffer.concat([head, rest])
    })
    await fc.assert(fc.asyncProperty(fc.array(fc.oneof(frame, fc.uint8Array({ maxLength: 30 })), { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 }), async (parts, lengths) => {
      const made = muxer('inbound', (stream) => { stream.abort(new Error('not wanted')) })
      const sent = (async function* (): AsyncGenerator<Uint8Array> { yield* parts })()
      await made.sink(pushed(sent, lengths))
      // What the other side is told of it.
      for await (const answer of made.source) assert.ok(answer.byteLength > 0)
      muxers.splice(muxers.indexOf(made), 1)
    }), { numRuns: 150 })
  })
})
