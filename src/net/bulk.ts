import type { Stream } from '@libp2p/interface'
import { pipe } from 'it-pipe'
import type { Uint8ArrayList } from 'uint8arraylist'
import { CommonError, abortReason, messageOf, withDeadline } from '../base/index.js'
import type { Bulk, BulkProtocol, ByteStream, Clock, Log, NodeId } from '../base/index.js'
import { DirectReading } from './direct-reading.js'
import type { Links } from './links.js'
import { fateOf } from './transport/muxer.js'
import { receiveBuffers } from './transport/receive-buffers.js'
import type { StreamFate } from './transport/muxer.js'
import { NetError } from './types.js'

export interface BulkInit {
  /**
   * Bytes of one stream that may wait in the muxer before `send` waits. Two of yamux's frames keep the socket fed while
   * the sender prepares the next; more would only be memory.
   */
  outgoingBytesMax: number
}

/** Opening a stream is one round trip; on a connection that is alive it does not take longer than this. */
const openDeadlineMs = 15_000

/**
 * After a handler is done, how long the other side may take to finish: a reset at once would throw away what is still on
 * its way to it.
 */
const lingerMs = 10_000

/** `Bulk` over libp2p streams: one per transfer. */
export class StreamBulk implements Bulk {
  readonly #links: Links
  readonly #clock: Clock
  readonly #log: Log
  readonly #init: BulkInit
  readonly #protocols = new Map<string, BulkProtocol>()
  readonly #inbound = new Map<string, number>()
  readonly #streams = new Set<DuplexByteStream>()
  #onRegister: ((protocol: BulkProtocol) => void) | undefined

  constructor(components: { links: Links; clock: Clock; log: Log }, init: BulkInit) {
    this.#links = components.links
    this.#clock = components.clock
    this.#log = components.log
    this.#init = init
  }

  register(protocol: BulkProtocol): void {
    if (this.#protocols.has(protocol.id)) throw new CommonError('BAD_INPUT', `the protocol ${protocol.id} is registered already`)
    this.#protocols.set(protocol.id, protocol)
    this.#onRegister?.(protocol)
  }

  /** Calls back for all protocols, those registered later too. */
  onRegister(listener: (protocol: BulkProtocol) => void): void {
    this.#onRegister = listener
    for (const protocol of this.#protocols.values()) listener(protocol)
  }

  async open(peer: NodeId, protocol: string, options: { signal?: AbortSignal }): Promise<ByteStream> {
    options.signal?.throwIfAborted()
    const controller = new AbortController()
    const onAbort = (): void => controller.abort(options.signal?.reason)
    options.signal?.addEventListener('abort', onAbort, { once: true })
    const cancel = this.#clock.setTimer(openDeadlineMs, () => controller.abort(new NetError('UNAVAILABLE', 'the peer did not open a stream in time', { peer })))
    try {
      const stream = this.#wrap(peer, await this.#links.openStream(peer, protocol, controller.signal))
      // From here on the caller's signal is the stream's.
      if (options.signal !== undefined) {
        const { signal } = options
        const onLateAbort = (): void => stream.abort(abortReason(signal))
        signal.addEventListener('abort', onLateAbort, { once: true })
        stream.onClosed(() => signal.removeEventListener('abort', onLateAbort))
      }
      return stream
    } finally {
      cancel()
      options.signal?.removeEventListener('abort', onAbort)
    }
  }

  /** libp2p's handler of every registered protocol. */
  async accept(from: NodeId, protocol: BulkProtocol, libp2pStream: Stream): Promise<void> {
    const key = `${protocol.id} ${from}`
    const count = this.#inbound.get(key) ?? 0
    if (count >= protocol.inboundMax) {
      libp2pStream.abort(new NetError('UNAVAILABLE', 'too many streams of this protocol'))
      return
    }
    this.#inbound.set(key, count + 1)
    const stream = this.#wrap(from, libp2pStream)
    const controller = new AbortController()
    stream.onBroken((error) => controller.abort(error))
    try {
      await protocol.handle(stream, controller.signal)
      await stream.closeSend()
      await withDeadline(this.#clock, lingerMs, undefined, () => stream.drain())
    } catch (error) {
      this.#log.debug('a bulk stream ended with an error', { protocol: protocol.id, peer: from, error: messageOf(error) })
      stream.abort(error instanceof Error ? error : new Error(messageOf(error)))
    } finally {
      const left = (this.#inbound.get(key) ?? 1) - 1
      if (left <= 0) this.#inbound.delete(key)
      else this.#inbound.set(key, left)
    }
  }

  stop(): void {
    for (const stream of this.#streams) stream.abort(new NetError('UNAVAILABLE', 'the network is stopped', { peer: stream.peer }))
  }

  #wrap(peer: NodeId, libp2pStream: Stream): DuplexByteStream {
    const stream = new DuplexByteStream(peer, libp2pStream, this.#init)
    this.#streams.add(stream)
    stream.onClosed(() => this.#streams.delete(stream))
    return stream
  }
}

/** Longer pieces are cut (without copying), so that one `send` of many MiB does not pass the bound on what waits. */
const pieceBytesMax = 256 * 1024

/**
 * After so many bytes a transfer lets the event loop go round. As long as bytes come, Node reads up to 2 MiB from a
 * socket before anybody else has a turn; but more than a window comes only when the reader has read on, so a reader that
 * pauses keeps those turns short, and a small message of any peer waits for a fraction of a millisecond.
 */
const turnBytesMax = 256 * 1024

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

type Piece = { readonly bytes: Uint8Array; readonly taken: () => void }

/**
 * One libp2p stream as a `ByteStream`.
 *
 * Outgoing: yamux takes what its window allows and queues it without a bound, so a piece is handed over only when little
 * of this stream waits in the outgoing queue, and `send` resolves when its last piece was handed over. Incoming: yamux
 * gives the sender more window only as chunks are read, so what is not read stays bounded by the window.
 */
class DuplexByteStream implements ByteStream {
  readonly peer: NodeId
  readonly received: AsyncIterable<Uint8Array>
  readonly #stream: Stream
  readonly #fate: StreamFate | undefined
  readonly #init: BulkInit
  #piece: Piece | undefined
  #wakeSink: (() => void) | undefined
  #sending: Promise<void> = Promise.resolve()
  #sendClosed = false
  readonly #sunk: Promise<void>
  #error: Error | undefined
  #rejectSend: ((error: Error) => void) | undefined
  /** Read from the stream, not yet by the reader; all of one chunk. */
  readonly #ready: Uint8Array[] = []
  #readyAt = 0
  #sentInTurnBytes = 0
  #readInTurnBytes = 0
  #isSunk = false
  #isRead = false
  readonly #onClosed: (() => void)[] = []
  readonly #onBroken: ((error: Error) => void)[] = []

  constructor(peer: NodeId, stream: Stream, init: BulkInit) {
    this.peer = peer
    this.#stream = stream
    this.#init = init
    this.#fate = fateOf(stream)
    this.received = { [Symbol.asyncIterator]: () => this.#incoming() }
    if (this.#fate !== undefined) {
      this.#fate.recycles = true
      this.onClosed(receiveBuffers.use())
      this.#fate.onBroken = () => this.#break(new NetError('UNAVAILABLE', 'the stream broke: the other side aborted it, or the connection was lost', { peer }))
      if (this.#fate.broken) queueMicrotask(() => this.#fate?.onBroken?.())
    }
    this.#sunk = pipe(this.#outgoing(), async (source) => stream.sink(source)).then(
      () => this.#closedPart('sunk'),
      (error: unknown) => this.#break(error instanceof Error ? error : new Error(messageOf(error))),
    )
  }

  /** Called once, when both directions are over or the stream broke. */
  onClosed(listener: () => void): void {
    this.#onClosed.push(listener)
  }

  onBroken(listener: (error: Error) => void): void {
    if (this.#error !== undefined) listener(this.#error)
    else this.#onBroken.push(listener)
  }

  send(bytes: Uint8Array | readonly Uint8Array[]): Promise<void> {
    // One after the other, in the order of the calls, also when callers do not wait.
    const sent = this.#sending.then(() => this.#send(bytes instanceof Uint8Array ? [bytes] : bytes))
    this.#sending = sent.catch(() => undefined)
    return sent
  }

  release(bytes: Uint8Array): void {
    receiveBuffers.release(bytes)
  }

  async receive(take: (chunk: Uint8Array) => Promise<void> | undefined): Promise<void> {
    const chunks = this.#incoming()
    for (;;) {
      const next = await chunks.next()
      if (next.done === true) return
      const held = take(next.value)
      if (held !== undefined) await held
      this.release(next.value)
      // What the negotiation of the protocol had read too much of has come by now.
      if (this.#fate?.flows === true && this.#readyAt === this.#ready.length && this.#fate.queuedBytes() === 0) break
    }
    await this.#receiveDirectly(this.#fate, chunks, take)
  }

  async closeSend(): Promise<void> {
    await this.#sending
    this.#sendClosed = true
    this.#wakeSink?.()
    // A sink whose stream was reset may never come back.
    await Promise.race([this.#sunk, new Promise<void>((resolve) => this.onBroken(() => resolve()))])
    if (this.#error !== undefined) throw this.#error
  }

  /** Throws away what still comes, until the other side has closed too. */
  async drain(): Promise<void> {
    const chunks = this.received[Symbol.asyncIterator]()
    while ((await chunks.next()).done !== true) continue
  }

  abort(error: Error): void {
    if (this.#isSunk && this.#isRead) return
    this.#break(error)
    this.#stream.abort(error)
  }

  async #send(pieces: readonly Uint8Array[]): Promise<void> {
    for (const bytes of pieces) {
      for (let at = 0; at < bytes.length; at += pieceBytesMax) {
        if (this.#error !== undefined) throw this.#error
        if (this.#sendClosed) throw new NetError('ABORTED', 'the stream was closed for sending', { peer: this.peer })
        const piece = bytes.length <= pieceBytesMax ? bytes : bytes.subarray(at, at + pieceBytesMax)
        await new Promise<void>((resolve, reject) => {
          this.#rejectSend = reject
          this.#piece = { bytes: piece, taken: resolve }
          this.#wakeSink?.()
        })
      }
    }
  }

  /** What the stream's sink reads. Written by hand: a generator costs a turn of promises more per piece. */
  #outgoing(): AsyncIterable<Uint8Array> {
    const next = async (): Promise<IteratorResult<Uint8Array, void>> => {
      for (;;) {
        if (this.#error !== undefined) return { done: true, value: undefined }
        const fate = this.#fate
        if (fate !== undefined && fate.outgoing.bytesOf(fate.number) > this.#init.outgoingBytesMax) {
          await new Promise<void>((resolve) => {
            this.#wakeSink = resolve
            fate.outgoing.onceEmpty(fate.number, resolve)
          })
          this.#wakeSink = undefined
          continue
        }
        const piece = this.#piece
        if (piece !== undefined) {
          this.#sentInTurnBytes += piece.bytes.length
          if (this.#sentInTurnBytes > turnBytesMax) {
            this.#sentInTurnBytes = 0
            await turn()
            continue
          }
          this.#piece = undefined
          piece.taken()
          return { done: false, value: piece.bytes }
        }
        if (this.#sendClosed) return { done: true, value: undefined }
        await new Promise<void>((resolve) => {
          this.#wakeSink = resolve
        })
        this.#wakeSink = undefined
      }
    }
    return {
      [Symbol.asyncIterator]: () => ({
        next,
        return: async () => {
          // The sink stopped reading before we were done: nobody will take another piece.
          if (!this.#sendClosed) this.#break(new NetError('UNAVAILABLE', 'the stream broke', { peer: this.peer }))
          return { done: true, value: undefined }
        },
      }),
    }
  }

  #incoming(): AsyncIterator<Uint8Array, void> {
    const source: AsyncIterator<Uint8ArrayList | Uint8Array> = this.#stream.source
    const ready = this.#ready
    const over: IteratorResult<Uint8Array, void> = { done: true, value: undefined }
    return {
      next: async () => {
        for (;;) {
          const chunk = ready[this.#readyAt]
          if (chunk !== undefined) {
            this.#readyAt++
            return { done: false, value: new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength) }
          }
          ready.length = this.#readyAt = 0
          if (this.#isRead) return over
          if (this.#error !== undefined) throw this.#error
          let result: IteratorResult<Uint8ArrayList | Uint8Array>
          try {
            result = await source.next()
          } catch (error) {
            throw this.#failure() ?? new NetError('UNAVAILABLE', `the stream broke: ${messageOf(error)}`, { peer: this.peer }, { cause: error })
          }
          if (result.done === true) {
            const failure = this.#failure()
            if (failure !== undefined) throw failure
            // The end without the other side's own word for it: cut off, not complete.
            if (this.#fate?.finished !== true) throw new NetError('UNAVAILABLE', 'the connection broke in the middle of a transfer', { peer: this.peer })
            this.#closedPart('read')
            return over
          }
          const { value } = result
          this.#readInTurnBytes += value.byteLength
          if (this.#readInTurnBytes > turnBytesMax) {
            this.#readInTurnBytes = 0
            await turn()
          }
          if (value instanceof Uint8Array) ready.push(value)
          else ready.push(...value)
        }
      },
      // Leaving a loop is not the end: a reader may take a header first and the rest later. Who wants no more aborts.
      return: async () => over,
    }
  }

  async #receiveDirectly(fate: StreamFate, end: AsyncIterator<Uint8Array, void>, take: (chunk: Uint8Array) => Promise<void> | undefined): Promise<void> {
    let fail: (error: unknown) => void = () => undefined
    const failed = new Promise<never>((_, reject) => {
      fail = reject
    })
    const reading = new DirectReading(take, {
      onRead: () => {
        fate.waitingBytes = reading.waitingBytes
        fate.giveRoom()
      },
      onFailed: fail,
    })
    fate.direct = (bytes) => {
      reading.push(bytes)
      fate.waitingBytes = reading.waitingBytes
    }
    try {
      // Nothing comes this way any more but the end.
      await Promise.race([end.next(), failed])
      await Promise.race([reading.idle(), failed])
    } finally {
      fate.direct = undefined
      fate.waitingBytes = 0
      reading.stop()
    }
  }

  /** Asked anew after every wait. */
  #failure(): Error | undefined {
    return this.#error
  }

  #closedPart(part: 'sunk' | 'read'): void {
    if (part === 'sunk') this.#isSunk = true
    else this.#isRead = true
    if (this.#isSunk && this.#isRead) for (const listener of this.#onClosed.splice(0)) listener()
  }

  #break(error: Error): void {
    if (this.#error !== undefined || (this.#isSunk && this.#isRead)) return
    this.#error = error
    this.#rejectSend?.(error)
    this.#wakeSink?.()
    for (const listener of this.#onBroken.splice(0)) listener(error)
    for (const listener of this.#onClosed.splice(0)) listener()
  }
}
