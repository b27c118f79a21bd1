import { yamux } from '@chainsafe/libp2p-yamux'
import type { ComponentLogger, Stream, StreamMuxer, StreamMuxerFactory, StreamMuxerInit } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { FairQueue } from './fair-queue.js'
import { flowOf } from './flow.js'
import { frameBytesMax, receiveBuffers } from './receive-buffers.js'
import { isReceiving, receive } from './yamux-receiver.js'

type Frame = Uint8Array | Uint8ArrayList

export interface MuxerInit {
  /** Window of a stream at its start; the sender learns of more than yamux's 256 KiB as soon as it has sent something. */
  initialStreamWindowBytes: number
  /** To which a stream's window may grow, bytes: this per round trip is the most that one stream can carry. */
  streamWindowBytesMax: number
  streamsMax: number
}

/** What happened to a stream below the interface that libp2p shows. */
export interface StreamFate {
  /** The other side has ended its direction, and all that it sent before has arrived. */
  finished: boolean
  /** The stream was reset by the other side, or went down with its connection. */
  broken: boolean
  /** Called once, when `broken` becomes true. */
  onBroken: (() => void) | undefined
  /** Its reader gives back the memory of what it has read: see receive-buffers.ts. */
  recycles: boolean
  /** Bytes come in the turn in which the connection brings them (see flow.ts), and may be taken with `direct`. */
  flows: boolean
  /**
   * Its reader takes what comes, lent for the time of the call, instead of the stream's source. To be set when nothing
   * waits in the source; `waitingBytes` is what it has taken and not read yet, for the window.
   */
  direct: ((bytes: Uint8Array) => void) | undefined
  waitingBytes: number
  /** Bytes in the stream's source that nobody has read. */
  queuedBytes(): number
  /** Bytes of `waitingBytes` were read: the other side may be given room for more. */
  giveRoom(): void
  readonly outgoing: FairQueue
  readonly number: number
}

const fates = new WeakMap<Stream, StreamFate>()

/**
 * The fate of a stream of our muxer. libp2p ends a stream's source in the same way when the other side has finished and
 * when the connection was lost: without this a file cut off half way would look complete.
 */
export function fateOf(stream: Stream): StreamFate | undefined {
  return fates.get(stream)
}

/** Yamux's own, which it counts as part of the largest message. */
const headerBytes = 12

/** Yamux with raised windows, larger frames and a fair outgoing queue. */
export function fairYamux(init: MuxerInit): (components: { logger: ComponentLogger }) => StreamMuxerFactory {
  return (components) => {
    const inner = yamux({
      initialStreamWindowSize: init.initialStreamWindowBytes,
      maxStreamWindowSize: init.streamWindowBytesMax,
      maxMessageSize: frameBytesMax + headerBytes,
      maxInboundStreams: init.streamsMax,
      maxOutboundStreams: init.streamsMax,
    })(components)
    return {
      protocol: inner.protocol,
      createStreamMuxer: (muxerInit) => createFairMuxer(inner, muxerInit),
    }
  }
}

function createFairMuxer(factory: StreamMuxerFactory, init: StreamMuxerInit = {}): StreamMuxer {
  const queue = new FairQueue()
  const muxer = factory.createStreamMuxer({
    ...init,
    onIncomingStream(stream) {
      watch(stream, queue)
      init.onIncomingStream?.(stream)
    },
    onStreamEnd(stream) {
      markBroken(stream)
      init.onStreamEnd?.(stream)
    },
  })
  muxer.source = new FairSource(queue, muxer.source)
  const sink = muxer.sink
  muxer.sink = async (source) => {
    const flow = flowOf(source)
    if (flow === undefined || !isReceiving(muxer)) await sink(source)
    else await receive(muxer, flow, (stream) => fates.get(stream))
  }
  steadyRtt(muxer)
  const newStream = muxer.newStream.bind(muxer)
  muxer.newStream = (name) => {
    const made = newStream(name)
    if (made instanceof Promise) throw new Error('yamux makes streams at once')
    watch(made, queue)
    return made
  }
  return muxer
}

/**
 * A link shorter than this, ms, counts as so long. Windows double when half of one was used up within four round trips:
 * on a line of a machine or a LAN a window of 256 KiB then grows from 26 MB/s on, 512 KiB from 52 and 1 MiB from 104. The
 * wait behind a full window stays at 10 ms; without this a transfer would stand still for as long as two busy event
 * loops take to answer each other.
 */
const roundTripMsMin = 1.25
/** A busy moment when the connection is made must not pass for a long link: the least of a few is taken. */
const firstPings = 10

/**
 * Yamux doubles a stream's window whenever it was emptied within four round trips, and takes its last ping for the round
 * trip. That ping stood in line with the bulk data, so a window that has grown makes the round trip seem longer, which
 * lets it grow on: megabytes stand in the sockets, and a small message waits behind them. The least round trip seen is
 * the length of the link without any queue (as in Cardwell et al., "BBR", 2016); with that, windows grow where the line
 * can carry them.
 */
function steadyRtt(muxer: StreamMuxer): void {
  const getRtt: unknown = Reflect.get(muxer, 'getRTT')
  const ping: unknown = Reflect.get(muxer, 'ping')
  if (typeof getRtt !== 'function' || typeof ping !== 'function') throw new Error('this yamux does not measure the round trip')
  let leastMs = Number.POSITIVE_INFINITY
  const sample = (): void => {
    const lastMs: unknown = Reflect.apply(getRtt, muxer, [])
    if (typeof lastMs === 'number' && lastMs >= 0 && lastMs < leastMs) leastMs = lastMs
  }
  Reflect.set(muxer, 'getRTT', () => {
    sample()
    return Number.isFinite(leastMs) ? Math.max(leastMs, roundTripMsMin) : 0
  })
  const measure = async (): Promise<void> => {
    for (let i = 0; i < firstPings; i++) {
      await (Reflect.apply(ping, muxer, []) as Promise<unknown>)
      sample()
    }
  }
  // A connection that closes meanwhile needs no measure.
  measure().catch(() => undefined)
}

/** Hears of FIN and reset where the muxer tells its stream; both are public methods that yamux calls on the stream. */
function watch(stream: Stream, outgoing: FairQueue): void {
  const call = (name: string): unknown => {
    const method: unknown = Reflect.get(stream, name)
    return typeof method === 'function' ? Reflect.apply(method, stream, []) : undefined
  }
  const fate: StreamFate = {
    finished: false,
    broken: false,
    onBroken: undefined,
    recycles: false,
    flows: false,
    direct: undefined,
    waitingBytes: 0,
    queuedBytes: () => Number(call('sourceReadableLength') ?? 0),
    giveRoom: () => {
      call('sendWindowUpdate')
    },
    outgoing,
    number: Number(stream.id),
  }
  fates.set(stream, fate)
  intercept(stream, 'remoteCloseWrite', () => {
    fate.finished = true
  })
  intercept(stream, 'reset', () => markBroken(stream, true))
  recycle(stream, fate)
  updateByHalves(stream, fate)
}

/** Yamux's number for a stream that both sides know. */
const established = 3
/** What every sender takes a window for until it is told otherwise. */
const knownWindowBytes = 256 * 1024

/** A reader with more than this of a window before it is what a transfer waits for. */
const laggingShare = 1 / 8

/**
 * Yamux gives back the window with every chunk that is read: sixteen small messages a mebibyte, each a record of TLS and
 * a call of the kernel on both sides. Half a window at a time is enough (as TCP does it, RFC 9293 §3.8.6.2.2): the other
 * half keeps the sender busy meanwhile.
 *
 * And it gives back all that has arrived, also what waits unread: a reader that takes a piece now and then would be sent
 * a whole window for each. Only what was read is given back here, so that never more than a window waits. Where this
 * yamux has other insides, it does as it likes.
 */
function updateByHalves(stream: Stream, fate: StreamFate): void {
  const update: unknown = Reflect.get(stream, 'sendWindowUpdate')
  const readableLength: unknown = Reflect.get(stream, 'sourceReadableLength')
  if (typeof update !== 'function' || typeof readableLength !== 'function') return
  const atStart: unknown = Reflect.get(stream, 'recvWindowCapacity')
  if (typeof atStart === 'number') Reflect.set(stream, 'recvWindowCapacity', Math.min(atStart, knownWindowBytes))
  let lagged = false
  Reflect.set(stream, 'sendWindowUpdate', () => {
    const window: unknown = Reflect.get(stream, 'recvWindow')
    const left: unknown = Reflect.get(stream, 'recvWindowCapacity')
    const queued: unknown = Reflect.apply(readableLength, stream, [])
    const unread = typeof queued === 'number' ? queued + fate.waitingBytes : undefined
    if (typeof window !== 'number' || typeof left !== 'number' || typeof unread !== 'number') {
      Reflect.apply(update, stream, [])
      return
    }
    if (Reflect.get(stream, 'state') === established && left + unread > window / 2) return
    // What waited for the reader, now or a moment ago, says that the window was not the bound: a reader that catches up in
    // one go after a pause would double it each time, until 16 MiB stand in memory on a line that fills one.
    const lags = unread > window * laggingShare
    if (lags || lagged) Reflect.set(stream, 'epochStart', 0)
    lagged = lags
    // Yamux sends what is missing in this, and fills it up.
    Reflect.set(stream, 'recvWindowCapacity', left + unread)
    Reflect.apply(update, stream, [])
    Reflect.set(stream, 'recvWindowCapacity', Number(Reflect.get(stream, 'recvWindowCapacity')) - unread)
  })
}

/** Where this yamux has no such method, memory is merely not used again. */
function recycle(stream: Stream, fate: StreamFate): void {
  const push: unknown = Reflect.get(stream, 'sourcePush')
  if (typeof push !== 'function') return
  Reflect.set(stream, 'sourcePush', (data: Uint8ArrayList): unknown => {
    const [first] = data
    const isCopy = first !== undefined && receiveBuffers.has(first)
    const copy = fate.recycles && !isCopy ? receiveBuffers.copied(data, data.byteLength) : undefined
    return Reflect.apply(push, stream, [copy === undefined ? data : new Uint8ArrayList(copy)]) as unknown
  })
}

function intercept(stream: Stream, name: 'remoteCloseWrite' | 'reset', before: () => void): void {
  const method: unknown = Reflect.get(stream, name)
  if (typeof method !== 'function') throw new Error(`this yamux has no ${name} on its streams`)
  Reflect.set(stream, name, (...args: unknown[]): unknown => {
    before()
    return Reflect.apply(method, stream, args) as unknown
  })
}

function markBroken(stream: Stream, reset = false): void {
  const fate = fates.get(stream)
  if (fate === undefined || fate.broken) return
  // The end of a stream that both sides had closed is no break.
  if (!reset && fate.finished && stream.writeStatus === 'closed' && stream.status !== 'aborted') return
  fate.broken = true
  fate.onBroken?.()
}

/**
 * The queue as the source that a connection reads. It stands in for yamux's own pushable, whose `push` and `end` yamux
 * calls; frames that yamux pushed before it was replaced (its first ping) are read first.
 */
class FairSource implements AsyncGenerator<Frame, void, unknown> {
  readonly #queue: FairQueue
  readonly #original: AsyncGenerator<Frame> & { readableLength?: number; end?: (error?: Error) => unknown }
  #waiting: ((result: IteratorResult<Frame, void>) => void) | undefined
  #ended = false

  constructor(queue: FairQueue, original: AsyncGenerator<Frame>) {
    this.#queue = queue
    this.#original = original
  }

  get readableLength(): number {
    return this.#queue.bytes
  }

  push(frame: Frame): this {
    if (this.#ended) return this
    this.#queue.push(frame)
    const waiting = this.#waiting
    if (waiting !== undefined) {
      this.#waiting = undefined
      // A turn later, so that all that is pushed in one go leaves in one write.
      queueMicrotask(() => {
        const value = this.#queue.shift()
        if (value === undefined) this.#waiting = waiting
        else waiting({ done: false, value })
      })
    }
    return this
  }

  end(error?: Error): this {
    if (this.#ended) return this
    this.#ended = true
    // Tells yamux's streams, by the listener that it gave to its own source.
    this.#original.end?.(error)
    if (this.#waiting !== undefined && this.#queue.isEmpty) {
      this.#waiting({ done: true, value: undefined })
      this.#waiting = undefined
    }
    return this
  }

  next(): Promise<IteratorResult<Frame, void>> {
    if ((this.#original.readableLength ?? 0) > 0 && !this.#ended) return this.#original.next() as Promise<IteratorResult<Frame, void>>
    const value = this.#queue.shift()
    if (value !== undefined) return Promise.resolve({ done: false, value })
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => {
      this.#waiting = resolve
    })
  }

  async return(): Promise<IteratorResult<Frame, void>> {
    this.end()
    return { done: true, value: undefined }
  }

  async throw(error: unknown): Promise<IteratorResult<Frame, void>> {
    this.end(error instanceof Error ? error : undefined)
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }
}
