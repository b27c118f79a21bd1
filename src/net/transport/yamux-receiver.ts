import type { Stream, StreamMuxer } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import type { Flowing, FlowSink } from './flow.js'
import { flowTo } from './flow.js'
import { frameBytesMax, receiveBuffers, recycledBytesMin } from './receive-buffers.js'

/**
 * What yamux receives, without a promise for each piece of it.
 *
 * The library reads a connection as an iterable: a mebibyte is 64 records of TLS, and each passes five generators until
 * somebody has its bytes. Here frames are taken apart where the records come in, in the same turn. Only data is treated
 * here; everything else (pings, windows, streams that begin or end) goes to the library's own method, which does it at once.
 *
 * A stream whose reader takes bytes as they come (`StreamFate.direct`) gets them record by record, lent. For any other a
 * frame is put together in memory of its own and queued as the library would have.
 *
 * Header, https://github.com/hashicorp/yamux/blob/master/spec.md, all big-endian:
 *
 *   offset  bytes
 *        0      1  version, 0
 *        1      1  type: 0 data, 1 window update, 2 ping, 3 go away
 *        2      2  flags: 1 SYN, 2 ACK, 4 FIN, 8 RST
 *        4      4  stream, 0 for ping and go away
 *        8      4  length of the data that follows, or the type's own number
 */
export interface ReceivingMuxer {
  handleFrame(header: FrameHeader, readData: undefined): Promise<void>
  incomingStream(stream: number): void
  readonly _streams: ReadonlyMap<number, Stream>
  readonly closeController: AbortController
}

interface FrameHeader {
  readonly type: number
  readonly flag: number
  readonly streamID: number
  readonly length: number
}

/** The library's stream, as far as data that comes in concerns it. */
interface ReceivingStream extends Stream {
  recvWindowCapacity: number
  processFlags(flags: number): void
  sourcePush(data: Uint8ArrayList): void
  sendWindowUpdate(): void
}

/** What is known of a stream here; see StreamFate. */
export interface Receiver {
  readonly recycles: boolean
  readonly direct: ((bytes: Uint8Array) => void) | undefined
  flows: boolean
}

const headerBytes = 12
const typeData = 0
const flagSyn = 1
/** What the library tells the other side: that it broke the protocol, or that something here failed. */
const goAwayNormal = 0
const goAwayProtocol = 1
const goAwayInternal = 2

class FrameError extends Error {
  override name = 'InvalidFrameError'
}

/** Where this yamux has other insides it reads as it always did. */
export function isReceiving(muxer: StreamMuxer): muxer is StreamMuxer & ReceivingMuxer {
  return typeof Reflect.get(muxer, 'handleFrame') === 'function' && typeof Reflect.get(muxer, 'incomingStream') === 'function'
    && Reflect.get(muxer, '_streams') instanceof Map && Reflect.get(muxer, 'closeController') instanceof AbortController
}

function isReceivingStream(stream: Stream): stream is ReceivingStream {
  return typeof Reflect.get(stream, 'recvWindowCapacity') === 'number' && typeof Reflect.get(stream, 'processFlags') === 'function'
    && typeof Reflect.get(stream, 'sourcePush') === 'function' && typeof Reflect.get(stream, 'sendWindowUpdate') === 'function'
}

/** Instead of the muxer's sink: resolves when the connection has ended, whichever side it was. */
export async function receive(muxer: StreamMuxer & ReceivingMuxer, source: Flowing, receiverOf: (stream: Stream) => Receiver | undefined): Promise<void> {
  const { signal } = muxer.closeController
  const failure = await new Promise<Error | undefined>((resolve) => {
    const stop = source[flowTo](new YamuxReceiver(muxer, receiverOf, resolve))
    // As the library: a muxer that closes reads no more.
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  if (failure === undefined) await call(muxer, 'close', { reason: goAwayNormal })
  else await call(muxer, 'abort', failure, isOthersFault(failure) ? goAwayProtocol : goAwayInternal)
}

/** With what the library's own methods take besides, for the word to the other side. */
async function call(muxer: StreamMuxer, name: 'close' | 'abort', ...args: unknown[]): Promise<void> {
  const method: unknown = Reflect.get(muxer, name)
  if (typeof method === 'function') await Reflect.apply(method, muxer, args)
}

/** As the library counts them. */
function isOthersFault({ name }: Error): boolean {
  return ['InvalidFrameError', 'UnrequestedPingError', 'NotMatchingPingError', 'StreamAlreadyExistsError', 'BothClientsError', 'ReceiveWindowExceededError'].includes(name)
}

class YamuxReceiver implements FlowSink {
  readonly #muxer: ReceivingMuxer
  readonly #receiverOf: (stream: Stream) => Receiver | undefined
  readonly #onEnd: (failure: Error | undefined) => void
  #isOver = false
  /** A header that comes in parts. */
  readonly #head = new Uint8Array(headerBytes)
  #headFilled = 0
  /** Of the data frame that is coming in: what is left of it, and whose it is; nobody's is thrown away. */
  #left = 0
  #stream: ReceivingStream | undefined
  #receiver: Receiver | undefined
  /** Of a frame that is put together. */
  #pieces: Uint8Array[] = []
  #piece: Uint8Array | undefined
  #pieceFilled = 0
  #gathered = 0

  constructor(muxer: ReceivingMuxer, receiverOf: (stream: Stream) => Receiver | undefined, onEnd: (failure: Error | undefined) => void) {
    this.#muxer = muxer
    this.#receiverOf = receiverOf
    this.#onEnd = onEnd
  }

  take(bytes: Uint8Array): void {
    if (this.#isOver) return
    try {
      for (let at = 0; at < bytes.length && !this.#isEnded(); ) at += this.#left === 0 ? this.#takeHeader(bytes, at) : this.#takeData(bytes, at)
    } catch (error) {
      this.end(error instanceof Error ? error : new Error(String(error)))
    }
  }

  end(error?: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#onEnd(error)
  }

  /** Asked anew after every frame: one of them may have been the last. */
  #isEnded(): boolean {
    return this.#isOver
  }

  #takeHeader(bytes: Uint8Array, at: number): number {
    if (this.#headFilled === 0 && bytes.length - at >= headerBytes) {
      this.#begin(bytes, at)
      return headerBytes
    }
    const taken = Math.min(headerBytes - this.#headFilled, bytes.length - at)
    this.#head.set(bytes.subarray(at, at + taken), this.#headFilled)
    this.#headFilled += taken
    if (this.#headFilled === headerBytes) {
      this.#headFilled = 0
      this.#begin(this.#head, 0)
    }
    return taken
  }

  #begin(bytes: Uint8Array, at: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, headerBytes)
    if (view.getUint8(0) !== 0) throw new FrameError('a frame of another version')
    const header: FrameHeader = { type: view.getUint8(1), flag: view.getUint16(2), streamID: view.getUint32(4), length: view.getUint32(8) }
    if (header.type !== typeData || header.streamID === 0) {
      // It does all that it does before it comes back; what is late is an error only.
      this.#muxer.handleFrame(header, undefined).catch((error: unknown) => { this.end(error instanceof Error ? error : new Error(String(error))) })
      return
    }
    if ((header.flag & flagSyn) !== 0) this.#muxer.incomingStream(header.streamID)
    const stream = this.#muxer._streams.get(header.streamID)
    this.#left = header.length
    this.#stream = undefined
    this.#receiver = undefined
    if (stream === undefined) return
    if (!isReceivingStream(stream)) throw new Error('this yamux has other streams')
    if (header.flag !== 0) stream.processFlags(header.flag)
    if (stream.recvWindowCapacity < header.length) {
      throw Object.assign(new Error('more was sent than the window allows'), { name: 'ReceiveWindowExceededError' })
    }
    this.#stream = stream
    this.#receiver = this.#receiverOf(stream)
    if (this.#receiver !== undefined) this.#receiver.flows = true
  }

  #takeData(bytes: Uint8Array, at: number): number {
    const taken = Math.min(this.#left, bytes.length - at)
    const part = at === 0 && taken === bytes.length ? bytes : bytes.subarray(at, at + taken)
    this.#left -= taken
    const stream = this.#stream
    if (stream === undefined) return taken
    const direct = this.#receiver?.direct
    if (direct === undefined) {
      this.#gather(part)
      if (this.#left === 0) this.#deliver(stream)
    } else {
      // Whoever takes them directly may have begun to in the middle of a frame.
      for (const piece of this.#gatheredPieces()) this.#hand(stream, direct, piece)
      this.#hand(stream, direct, part)
    }
    return taken
  }

  #hand(stream: ReceivingStream, direct: (bytes: Uint8Array) => void, bytes: Uint8Array): void {
    stream.recvWindowCapacity -= bytes.length
    direct(bytes)
    stream.sendWindowUpdate()
  }

  #deliver(stream: ReceivingStream): void {
    const pieces = this.#gatheredPieces()
    for (const piece of pieces) stream.recvWindowCapacity -= piece.length
    stream.sourcePush(new Uint8ArrayList(...pieces))
  }

  /** Copied, since it is lent; memory is taken as bytes come, whatever length the frame claims. */
  #gather(part: Uint8Array): void {
    for (let at = 0; at < part.length; ) {
      this.#piece ??= this.#memory(Math.min(frameBytesMax, this.#left + part.length - at))
      const copied = Math.min(part.length - at, this.#piece.length - this.#pieceFilled)
      this.#piece.set(copied === part.length ? part : part.subarray(at, at + copied), this.#pieceFilled)
      this.#pieceFilled += copied
      this.#gathered += copied
      at += copied
      if (this.#pieceFilled === this.#piece.length) {
        this.#pieces.push(this.#piece)
        this.#piece = undefined
        this.#pieceFilled = 0
      }
    }
  }

  #memory(bytes: number): Uint8Array {
    return this.#receiver?.recycles === true && bytes >= recycledBytesMin ? receiveBuffers.take(bytes) : Buffer.allocUnsafe(bytes)
  }

  #gatheredPieces(): readonly Uint8Array[] {
    if (this.#gathered === 0) return nothing
    const pieces = this.#pieces
    if (this.#piece !== undefined && this.#pieceFilled > 0) pieces.push(this.#piece.subarray(0, this.#pieceFilled))
    this.#pieces = []
    this.#piece = undefined
    this.#pieceFilled = 0
    this.#gathered = 0
    return pieces
  }
}

const nothing: readonly Uint8Array[] = []
