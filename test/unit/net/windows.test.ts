import assert from 'node:assert/strict'
import type { Stream, StreamMuxer } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { fairYamux } from '../../../src/net/transport/muxer.js'

const windowBytes = 256 * 1024

describe('net: windows of streams', () => {
  const muxers: StreamMuxer[] = []
  afterEach(() => {
    for (const muxer of muxers.splice(0)) muxer.abort(new Error('the test is over'))
  })

  /** Both ends of a stream whose muxers read each other directly. */
  const ends = async (streamWindowBytesMax: number, initialStreamWindowBytes = windowBytes): Promise<[Stream, Stream]> => {
    const factory = fairYamux({ initialStreamWindowBytes, streamWindowBytesMax, streamsMax: 8 })({ logger: defaultLogger() })
    let taken: (stream: Stream) => void = () => undefined
    const accepted = new Promise<Stream>((resolve) => { taken = resolve })
    const one = factory.createStreamMuxer({ direction: 'outbound' })
    const two = factory.createStreamMuxer({ direction: 'inbound', onIncomingStream: (stream) => { taken(stream) } })
    muxers.push(one, two)
    void two.sink(one.source)
    void one.sink(two.source)
    const opened = await one.newStream('test')
    return [opened, await accepted]
  }
  const turns = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve))
  }

  it('a reader that takes a piece now and then is owed no more than a window', async () => {
    const [sender, receiver] = await ends(windowBytes)
    let sentBytes = 0
    void sender.sink((async function* () {
      for (;;) {
        sentBytes += 16 * 1024
        yield new Uint8Array(16 * 1024)
      }
    })()).catch(() => undefined)
    let readBytes = 0
    const source: AsyncIterator<{ byteLength: number }> = receiver.source
    for (let i = 0; i < 60; i++) {
      const piece = await source.next()
      if (piece.done === true) break
      readBytes += piece.value.byteLength
      await turns(30)
      // One piece is in the sender's hands.
      const unreadBytes = sentBytes - readBytes - 16 * 1024
      assert.ok(unreadBytes <= windowBytes, `${String(unreadBytes)} bytes wait for a reader that has read ${String(readBytes)}`)
    }
  })

  it('nothing stands still, whatever the sizes of pieces and the growth of the window', async () => {
    for (const [pieceBytes, totalBytes, windowBytesMax] of [[1, 700, windowBytes], [7, 400_001, windowBytes], [131_071, 9_000_017, windowBytes], [65_525, 20_000_003, 16 * 2 ** 20], [300_007, 20_000_003, 16 * 2 ** 20]] as const) {
      const [sender, receiver] = await ends(windowBytesMax)
      void sender.sink((function* () {
        for (let left = totalBytes as number; left > 0; left -= pieceBytes) yield new Uint8Array(Math.min(left, pieceBytes))
      })())
      let readBytes = 0
      for await (const piece of receiver.source) {
        readBytes += piece.byteLength
        if (readBytes % 3 === 0) await turns(1)
      }
      assert.equal(readBytes, totalBytes)
    }
  })

  it('a reader that catches up in one go after each pause is given no larger window for it', async () => {
    const [sender, receiver] = await ends(64 * windowBytes)
    void sender.sink((async function* () {
      for (;;) {
        yield new Uint8Array(16 * 1024)
        await turns(1)
      }
    })()).catch(() => undefined)
    const source: AsyncIterator<{ byteLength: number }> = receiver.source
    for (let pause = 0; pause < 20; pause++) {
      await turns(60)
      for (let readBytes = 0; readBytes < windowBytes;) {
        const piece = await source.next()
        assert.notEqual(piece.done, true)
        if (piece.done !== true) readBytes += piece.value.byteLength
      }
    }
    assert.equal(Reflect.get(receiver, 'recvWindow'), windowBytes)
  })

  it('a stream that begins with a larger window than its sender knows of does not stand still', async () => {
    const [sender, receiver] = await ends(4 * 2 ** 20, 2 ** 20)
    void sender.sink([new Uint8Array(3_000_000)])
    let readBytes = 0
    for await (const piece of receiver.source) readBytes += piece.byteLength
    assert.equal(readBytes, 3_000_000)
  })
})
