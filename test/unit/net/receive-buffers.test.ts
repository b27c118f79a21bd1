import assert from 'node:assert/strict'
import type { Stream, StreamMuxer } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { Uint8ArrayList } from 'uint8arraylist'
import { fairYamux, fateOf } from '../../../src/net/transport/muxer.js'
import { frameBytesMax as frameBytes, receiveBuffers } from '../../../src/net/transport/receive-buffers.js'

describe('net: memory of what comes in', () => {
  let done: () => void = () => undefined
  beforeEach(() => { done = receiveBuffers.use() })
  afterEach(() => { done() })

  const taken = (bytes: Uint8Array): Uint8Array => {
    const copy = receiveBuffers.copied([bytes], bytes.length)
    assert.ok(copy !== undefined)
    return copy
  }

  it('is used again once it was released, and not before', () => {
    const first = taken(new Uint8Array(frameBytes).fill(1))
    const second = taken(new Uint8Array(frameBytes).fill(2))
    assert.notEqual(second.buffer, first.buffer)
    receiveBuffers.release(first)
    const third = taken(new Uint8Array(20_000).fill(3))
    assert.equal(third.buffer, first.buffer)
    assert.ok(second.every((byte) => byte === 2))
    assert.equal(third.length, 20_000)
  })

  it('released twice it is still one, and what is not from here is let be', () => {
    const first = taken(new Uint8Array(frameBytes))
    receiveBuffers.release(first)
    receiveBuffers.release(first)
    assert.notEqual(taken(new Uint8Array(frameBytes)).buffer, taken(new Uint8Array(frameBytes)).buffer)
    const own = new Uint8Array(frameBytes)
    receiveBuffers.release(own)
    assert.notEqual(taken(new Uint8Array(frameBytes)).buffer, own.buffer)
  })

  it('is neither for what is small nor for frames that are too long', () => {
    assert.equal(receiveBuffers.copied([new Uint8Array(100)], 100), undefined)
    assert.equal(receiveBuffers.copied([new Uint8Array(frameBytes + 1)], frameBytes + 1), undefined)
  })

  it('is given back when nobody receives any more', () => {
    const first = taken(new Uint8Array(frameBytes))
    receiveBuffers.release(first)
    done()
    done = receiveBuffers.use()
    assert.notEqual(taken(new Uint8Array(frameBytes)).buffer, first.buffer)
  })

  describe('of a stream', () => {
    const muxers: StreamMuxer[] = []
    afterEach(() => {
      for (const muxer of muxers.splice(0)) muxer.abort(new Error('the test is over'))
    })

    /** Sends the bytes over a stream whose reader says whether it gives memory back, and how it reads. */
    const through = async (bytes: Uint8Array, recycles: boolean, read: (chunk: Uint8Array) => void): Promise<void> => {
      const factory = fairYamux({ initialStreamWindowBytes: 256 * 1024, streamWindowBytesMax: 2 ** 20, streamsMax: 8 })({ logger: defaultLogger() })
      let accept: (stream: Stream) => void = () => undefined
      const accepted = new Promise<Stream>((resolve) => { accept = resolve })
      const one = factory.createStreamMuxer({ direction: 'outbound' })
      const two = factory.createStreamMuxer({ direction: 'inbound', onIncomingStream: (stream) => { accept(stream) } })
      muxers.push(one, two)
      void two.sink(one.source)
      void one.sink(two.source)
      const sender = await one.newStream('test')
      const receiver = await accepted
      const fate = fateOf(receiver)
      assert.ok(fate !== undefined)
      fate.recycles = recycles
      void sender.sink([bytes])
      for await (const list of receiver.source) for (const chunk of list instanceof Uint8ArrayList ? list : [list]) read(chunk)
    }

    it('that gives it back needs no more than a few buffers, and its bytes are right', async () => {
      const bytes = new Uint8Array(4 * 2 ** 20)
      for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31 + (i >> 11)) & 0xff
      const buffers = new Set<ArrayBufferLike>()
      let at = 0
      await through(bytes, true, (chunk) => {
        assert.equal(Buffer.compare(chunk, bytes.subarray(at, at + chunk.length)), 0, `the bytes at ${String(at)}`)
        at += chunk.length
        if (chunk.length >= 16 * 1024) buffers.add(chunk.buffer)
        receiveBuffers.release(chunk)
      })
      assert.equal(at, bytes.length)
      // A window of 1 MiB is 8 frames: four times as many came.
      assert.ok(buffers.size <= 16, `${String(buffers.size)} buffers for 32 frames`)
    })

    it('that keeps what it gets keeps it', async () => {
      const bytes = new Uint8Array(2 ** 20)
      for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 17 + (i >> 9)) & 0xff
      for (const recycles of [true, false]) {
        const kept: Uint8Array[] = []
        await through(bytes, recycles, (chunk) => { kept.push(chunk) })
        assert.equal(Buffer.compare(Buffer.concat(kept), bytes), 0)
      }
    })
  })
})
