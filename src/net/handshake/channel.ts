import type { SecurableStream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { flowOf, flowTo } from '../transport/flow.js'
import type { FlowSink, Flowing } from '../transport/flow.js'
import { NetError } from '../types.js'

type Chunk = Uint8Array | Uint8ArrayList
export type ByteDuplex = Pick<SecurableStream, 'source' | 'sink'>

/**
 * Frames on a raw duplex, and afterwards the duplex itself, with whatever bytes came in behind the last frame.
 *
 *   offset  bytes
 *   0       2      length n of the frame, big-endian; at most `frameBytesMax`
 *   2       n      one protobuf message
 *
 * Why not a library's length-prefixed stream: those leave a hop of their own in the way after the handshake, and every
 * byte of every connection would pass it. Here, after `release()`, each `next()` goes straight to the other's `next()`.
 */
export class HandshakeChannel {
  readonly #incoming: AsyncGenerator<Chunk>
  readonly #outgoing = new SwitchingSource()
  readonly #buffer = new Uint8ArrayList()
  readonly #frameBytesMax: number
  readonly #sunk: Promise<void>

  constructor(duplex: ByteDuplex, init: { frameBytesMax: number }) {
    this.#incoming = duplex.source
    this.#frameBytesMax = init.frameBytesMax
    this.#sunk = Promise.resolve(duplex.sink(this.#outgoing)).then(() => undefined)
    // Until `release` nobody listens: a broken pipe shows as the end of `incoming` too.
    this.#sunk.catch(() => undefined)
  }

  write(frame: Uint8Array): void {
    const bytes = new Uint8Array(2 + frame.length)
    new DataView(bytes.buffer).setUint16(0, frame.length)
    bytes.set(frame, 2)
    this.#outgoing.push(bytes)
  }

  /** Rejects with BAD_FRAME for one that is too long, UNAVAILABLE when the other side hung up. */
  async read(): Promise<Uint8Array> {
    const header = await this.#take(2)
    const length = new DataView(header.buffer, header.byteOffset).getUint16(0)
    if (length > this.#frameBytesMax) {
      throw new NetError('BAD_FRAME', `a handshake frame of ${length} bytes is too long`, { frameBytesMax: this.#frameBytesMax })
    }
    return this.#take(length)
  }

  /** Reads on until the other side hangs up, so that what was written reaches it before the socket goes. */
  async drain(): Promise<void> {
    // A frame or two may still come; somebody who keeps talking after a refusal is not listened to for ever.
    for (let chunks = 0; chunks < 16; chunks++) {
      if ((await this.#incoming.next()).done === true) return
    }
  }

  /** Hands the duplex on. No frame may be read or written after. */
  release(): ByteDuplex {
    const incoming = this.#incoming
    const rest = this.#buffer
    const source: AsyncGenerator<Chunk> =
      rest.byteLength === 0 ? incoming : prefixed(rest.sublist(), incoming)
    return {
      source,
      sink: async (outgoing) => {
        this.#outgoing.switchTo(iteratorOf(outgoing))
        return this.#sunk
      },
    }
  }

  async #take(length: number): Promise<Uint8Array> {
    while (this.#buffer.byteLength < length) {
      const result: IteratorResult<Chunk, unknown> = await this.#incoming.next()
      if (result.done === true) throw new NetError('UNAVAILABLE', 'the other side hung up during the handshake')
      this.#buffer.append(result.value)
    }
    const taken = this.#buffer.slice(0, length)
    this.#buffer.consume(length)
    return taken
  }
}

function iteratorOf(source: AsyncIterable<Chunk> | Iterable<Chunk>): AsyncIterator<Chunk> | Iterator<Chunk> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
}

const done = { done: true as const, value: undefined }

/** What is pushed, until it is switched to another source; from then on that one. */
class SwitchingSource implements AsyncGenerator<Chunk, void, unknown> {
  readonly #queue: Uint8Array[] = []
  #then: AsyncIterator<Chunk> | Iterator<Chunk> | undefined
  #wake: (() => void) | undefined
  #ended = false

  push(bytes: Uint8Array): void {
    this.#queue.push(bytes)
    this.#wake?.()
  }

  switchTo(source: AsyncIterator<Chunk> | Iterator<Chunk>): void {
    this.#then = source
    this.#wake?.()
  }

  next(): Promise<IteratorResult<Chunk, void>> {
    const then = this.#then
    if (then !== undefined && this.#queue.length === 0) {
      const result = then.next()
      return result instanceof Promise ? (result as Promise<IteratorResult<Chunk, void>>) : Promise.resolve(result as IteratorResult<Chunk, void>)
    }
    return this.#slowNext()
  }

  async #slowNext(): Promise<IteratorResult<Chunk, void>> {
    for (;;) {
      const value = this.#queue.shift()
      if (value !== undefined) return { done: false, value }
      if (this.#ended) return done
      if (this.#then !== undefined) return (await this.#then.next()) as IteratorResult<Chunk, void>
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }

  async return(): Promise<IteratorResult<Chunk, void>> {
    this.#ended = true
    this.#wake?.()
    await this.#then?.return?.()
    return done
  }

  async throw(error: unknown): Promise<IteratorResult<Chunk, void>> {
    this.#ended = true
    this.#wake?.()
    await this.#then?.throw?.(error)
    return done
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }
}

/** One chunk, then the rest; it flows where the rest does. */
function prefixed(first: Uint8ArrayList, rest: AsyncGenerator<Chunk>): AsyncGenerator<Chunk> {
  const source = new PrefixedSource(first, rest)
  const flow = flowOf(rest)
  if (flow === undefined) return source
  return Object.assign<AsyncGenerator<Chunk>, Flowing>(source, {
    [flowTo]: (sink: FlowSink) => {
      for (const part of first) sink.take(part)
      return flow[flowTo](sink)
    },
  })
}

/** One chunk, then the rest. */
class PrefixedSource implements AsyncGenerator<Chunk, void, unknown> {
  #first: Chunk | undefined
  readonly #rest: AsyncGenerator<Chunk>

  constructor(first: Chunk, rest: AsyncGenerator<Chunk>) {
    this.#first = first
    this.#rest = rest
  }

  next(): Promise<IteratorResult<Chunk, void>> {
    const value = this.#first
    if (value === undefined) return this.#rest.next() as Promise<IteratorResult<Chunk, void>>
    this.#first = undefined
    return Promise.resolve({ done: false, value })
  }

  return(): Promise<IteratorResult<Chunk, void>> {
    this.#first = undefined
    return this.#rest.return(undefined) as Promise<IteratorResult<Chunk, void>>
  }

  throw(error: unknown): Promise<IteratorResult<Chunk, void>> {
    this.#first = undefined
    return this.#rest.throw(error) as Promise<IteratorResult<Chunk, void>>
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }
}
