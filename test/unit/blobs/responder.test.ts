import assert from 'node:assert/strict'
import type { CID } from 'multiformats/cid'
import { silentLog } from '../../../src/base/index.js'
import type { ByteStream, NodeId } from '../../../src/base/index.js'
import { readFrames } from '../../../src/blobs/frames.js'
import { decodeAnswer, encodeRequest } from '../../../src/blobs/messages.js'
import { Responder } from '../../../src/blobs/responder.js'
import { Withheld } from '../../../src/blobs/withheld.js'
import type { BlockStore } from '../../../src/store/index.js'
import { ManualClock } from '../membership/fixtures.js'
import { block } from '../store/support.js'

/** A stream whose other side asks, and is silent then until it is hung up on. */
class SilentPeer implements ByteStream {
  readonly peer = 'peer' as NodeId
  readonly aborted: Promise<Error>
  readonly #requests: Uint8Array[]
  readonly #send: (pieces: readonly Uint8Array[]) => Promise<void>
  #hangUp: (error: Error) => void = () => undefined

  constructor(requests: Uint8Array[], send: (pieces: readonly Uint8Array[]) => Promise<void>) {
    this.#requests = requests
    this.#send = send
    this.aborted = new Promise((resolve) => { this.#hangUp = resolve })
  }

  get received(): AsyncIterable<Uint8Array> {
    return this.#receive()
  }

  async *#receive(): AsyncGenerator<Uint8Array> {
    yield* this.#requests
    throw await this.aborted
  }

  async send(bytes: Uint8Array | readonly Uint8Array[]): Promise<void> {
    await this.#send(bytes instanceof Uint8Array ? [bytes] : bytes)
  }

  async closeSend(): Promise<void> {
    await Promise.resolve()
  }

  abort(error: Error): void {
    this.#hangUp(error)
  }
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}

describe('blobs: responder', () => {
  const responder = (clock: ManualClock, withheld = new Withheld()): Responder =>
    new Responder({
      withheld,
      blocks: { getMany: async (cids: readonly CID[]) => Promise.resolve(cids.map(() => block(1).bytes)) } as unknown as BlockStore,
      clock,
      log: silentLog,
      onServed: () => undefined,
      onUnreadable: () => undefined,
    })

  it('hangs up on a requester that takes nothing and says nothing', async () => {
    const clock = new ManualClock()
    const peer = new SilentPeer(encodeRequest(0, [block(1).cid], []), async () => new Promise(() => undefined))
    const served = responder(clock).protocol().handle(peer, new AbortController().signal)
    await turns(10)
    await clock.advance(61_000)
    await turns(10)
    const outcome = await Promise.race([peer.aborted, turns(10)])
    assert.ok(outcome instanceof Error, 'the stream is still open')
    await served
  })

  it('ends a stream when sending fails, while it waits for the next wants', async () => {
    const peer = new SilentPeer(encodeRequest(0, [block(1).cid], []), async () => Promise.reject(new Error('broken')))
    const served = responder(new ManualClock()).protocol().handle(peer, new AbortController().signal)
    await turns(10)
    const outcome = await Promise.race([peer.aborted, turns(10)])
    assert.ok(outcome instanceof Error, 'the stream is still open')
    assert.equal(outcome.message, 'broken')
    await served
  })

  it('what is withheld waits, and nothing else does; too long, and the stream ends without a wrong answer', async () => {
    const clock = new ManualClock()
    const withheld = new Withheld()
    const lift = withheld.add([block(1).cid])
    const sent: number[] = []
    const peer = new SilentPeer(encodeRequest(0, [block(1).cid, block(2).cid], []), async (pieces) => {
      for await (const frame of readFrames((async function* () { yield* pieces })(), { payloadBytesMax: 2 ** 20 })) sent.push(decodeAnswer(frame.message).id)
    })
    const served = responder(clock, withheld).protocol().handle(peer, new AbortController().signal)
    await turns(10)
    assert.deepEqual(sent, [1])
    await clock.advance(9_000)
    lift()
    await turns(10)
    assert.deepEqual(sent, [1, 0])
    peer.abort(new Error('done'))
    await served

    withheld.add([block(1).cid])
    const late = new SilentPeer(encodeRequest(0, [block(1).cid], []), async () => Promise.reject(new Error('nothing was to be sent')))
    const serving = responder(clock, withheld).protocol().handle(late, new AbortController().signal)
    await turns(10)
    // Others that are lifted meanwhile do not make the wait longer.
    for (let i = 0; i < 3; i++) {
      withheld.add([block(3).cid])()
      await turns(10)
      await clock.advance(4_000)
      await turns(10)
    }
    const outcome = await Promise.race([late.aborted, turns(10)])
    assert.ok(outcome instanceof Error && /DEADLINE|moment|within/.test(outcome.message), String(outcome))
    await serving
  })

  it('holds little for requesters that do not read, however many they are and whatever they ask for, and hangs up on them', async () => {
    const clock = new ManualClock()
    const [small, large] = [new Uint8Array(10), new Uint8Array(2 ** 20)]
    const smallCids = Array.from({ length: 64 }, (_, i) => block(i).cid)
    const largeCids = Array.from({ length: 64 }, (_, i) => block(1000 + i).cid)
    const isSmall = new Set(smallCids.map(String))
    let readBytes = 0
    let mostAtOnceBytes = 0
    const blocks = {
      getMany: async (cids: readonly CID[], { bytesMax = Infinity }: { bytesMax?: number } = {}) => {
        const found: Uint8Array[] = []
        let bytes = 0
        for (const cid of cids) {
          const one = isSmall.has(String(cid)) ? small : large
          if (found.length > 0 && bytes + one.length > bytesMax) break
          bytes += one.length
          found.push(one)
        }
        readBytes += bytes
        mostAtOnceBytes = Math.max(mostAtOnceBytes, bytes)
        return Promise.resolve(found)
      },
    } as unknown as BlockStore
    const protocol = new Responder({ withheld: new Withheld(), blocks, clock, log: silentLog, onServed: () => undefined, onUnreadable: () => undefined }).protocol()
    // Small ones are read many at once; from then on these take nothing any more.
    const requests = encodeRequest(0, [...smallCids, ...largeCids], [])
    const peers = Array.from({ length: 40 }, () => {
      let sentBytes = 0
      return new SilentPeer(requests, async (pieces) => {
        sentBytes += pieces.reduce((sum, piece) => sum + piece.length, 0)
        if (sentBytes > 2 ** 20) await new Promise(() => undefined)
      })
    })
    const serving = peers.map(async (peer) => protocol.handle(peer, new AbortController().signal))
    const hungUp = new Set<SilentPeer>()
    for (const peer of peers) void peer.aborted.then(() => hungUp.add(peer))
    await turns(300)
    assert.ok(mostAtOnceBytes <= 2 * 2 ** 20, `${String(mostAtOnceBytes)} bytes for one batch`)
    assert.ok(readBytes > 30 * 2 ** 20 && readBytes <= 64 * 2 ** 20, `${String(readBytes)} bytes are held`)
    assert.equal(hungUp.size, 0)

    // Who comes now has to wait for as long as the first of them have, and gets its blocks then.
    const got: number[] = []
    const reader = new SilentPeer(encodeRequest(0, largeCids.slice(0, 3), []), async (pieces) => {
      for await (const frame of readFrames((async function* () { yield* pieces })(), { payloadBytesMax: 2 ** 20 })) got.push(decodeAnswer(frame.message).id)
    })
    serving.push(protocol.handle(reader, new AbortController().signal))
    for (let minute = 0; minute < 4; minute++) {
      await clock.advance(61_000)
      await turns(300)
    }
    assert.equal(hungUp.size, peers.length)
    assert.deepEqual(got, [0, 1, 2])
    reader.abort(new Error('done'))
    await Promise.all(serving)
  })
})
