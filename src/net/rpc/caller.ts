import { CommonError, abortReason, codeOf, messageOf } from '../../base/index.js'
import type { CallOptions, Clock, NodeId } from '../../base/index.js'
import { decode as lengthPrefixed } from 'it-length-prefixed'
import { pipe } from 'it-pipe'
import type { Uint8ArrayList } from 'uint8arraylist'
import { NetError } from '../types.js'
import { decodeFrame, encodeFrame, frameOverheadBytes, remoteError, tooLong } from './frames.js'
import { isCoded } from './methods.js'
import { Outbox } from './outbox.js'

/** A duplex of bytes that can be torn down: what rpc needs of a stream. */
export interface RpcStream {
  readonly source: AsyncIterable<Uint8Array | Uint8ArrayList>
  sink(source: AsyncIterable<Uint8Array | Uint8ArrayList>): Promise<void>
  abort(error: Error): void
}

export interface RpcInit {
  /** Largest body of a request or a response. */
  bodyBytesMax: number
  /** Requests to one peer under way; one more is refused here with OVERLOADED before it is sent. */
  requestsPerPeerMax: number
  /** Answers that wait to be written before no more requests are read. */
  answersHighWaterBytes: number
}

interface Pending {
  readonly resolve: (body: Uint8Array) => void
  readonly reject: (error: Error) => void
}

interface OpenStream {
  readonly outbox: Outbox
  readonly stream: RpcStream
}

/**
 * This node's requests to one peer: one stream, opened at the first request, kept for as long as the connection lives,
 * opened anew when it is lost. Answers are matched by id and may come in any order.
 */
export class PeerCaller {
  readonly #peer: NodeId
  readonly #clock: Clock
  readonly #openStream: (signal: AbortSignal) => Promise<RpcStream>
  readonly #onBadFrame: (error: unknown) => void
  readonly #init: RpcInit
  readonly #pending = new Map<number, Pending>()
  #open: OpenStream | undefined
  /** Frames that wait for a stream that is being opened. */
  #opening: { readonly frames: Map<number, Uint8ArrayList>; readonly controller: AbortController } | undefined
  #nextId = 1
  #closed = false
  #heardMs: number | undefined

  constructor(
    components: { peer: NodeId; clock: Clock; openStream: (signal: AbortSignal) => Promise<RpcStream>; onBadFrame: (error: unknown) => void },
    init: RpcInit,
  ) {
    this.#peer = components.peer
    this.#clock = components.clock
    this.#openStream = components.openStream
    this.#onBadFrame = components.onBadFrame
    this.#init = init
  }

  get inFlight(): number {
    return this.#pending.size
  }

  /** When the last answer came; elapsed time. */
  get heardMs(): number | undefined {
    return this.#heardMs
  }

  async request(method: string, body: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    const { deadlineMs, signal } = options
    if (signal?.aborted === true) throw asAborted(signal)
    if (body.length > this.#init.bodyBytesMax) throw tooLong(body.length, this.#init.bodyBytesMax)
    if (!(deadlineMs > 0)) throw new CommonError('DEADLINE', 'the deadline had passed before the request was made', { deadlineMs })
    if (this.#closed) throw this.#unavailable('the network is stopped')
    if (this.#pending.size >= this.#init.requestsPerPeerMax) {
      throw new CommonError('OVERLOADED', 'too many requests to this peer are under way', { peer: this.#peer, requestsPerPeerMax: this.#init.requestsPerPeerMax })
    }
    const id = this.#freeId()
    return new Promise<Uint8Array>((resolve, reject) => {
      const settle = (): void => {
        cancelTimer()
        signal?.removeEventListener('abort', onAbort)
        this.#pending.delete(id)
      }
      const giveUp = (error: Error): void => {
        settle()
        // A request that is still here is not sent; one that is gone is called back.
        if (this.#opening?.frames.delete(id) !== true) this.#open?.outbox.push(encodeFrame({ kind: 'cancel', id }))
        reject(error)
      }
      const onAbort = (): void => {
        giveUp(signal === undefined ? new CommonError('ABORTED', 'cancelled') : asAborted(signal))
      }
      const cancelTimer = this.#clock.setTimer(
        deadlineMs,
        () => {
          giveUp(new CommonError('DEADLINE', `no answer within ${Math.round(deadlineMs)} ms`, { peer: this.#peer, method, deadlineMs }))
        },
        { keepAlive: true },
      )
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#pending.set(id, {
        resolve: (answer) => {
          settle()
          resolve(answer)
        },
        reject: (error) => {
          settle()
          reject(error)
        },
      })
      this.#send(id, encodeFrame({ kind: 'request', id, method, body, deadlineMs }))
    })
  }

  /** The connection is gone, or this node stops. */
  close(error: Error): void {
    this.#closed = true
    this.#opening?.controller.abort(error)
    this.#open?.stream.abort(error)
    this.#lose(error)
  }

  #send(id: number, frame: Uint8ArrayList): void {
    if (this.#open !== undefined) {
      this.#open.outbox.push(frame)
      return
    }
    if (this.#opening !== undefined) {
      this.#opening.frames.set(id, frame)
      return
    }
    const opening = { frames: new Map([[id, frame]]), controller: new AbortController() }
    this.#opening = opening
    this.#openStream(opening.controller.signal).then(
      (stream) => {
        if (this.#closed) {
          stream.abort(new NetError('ABORTED', 'stopped'))
          return
        }
        const outbox = new Outbox({ highWaterBytes: Number.POSITIVE_INFINITY })
        for (const one of opening.frames.values()) outbox.push(one)
        this.#opening = undefined
        const open: OpenStream = { stream, outbox }
        this.#open = open
        void this.#serve(open)
      },
      (error: unknown) => {
        if (this.#opening === opening) this.#opening = undefined
        this.#lose(error)
      },
    )
  }

  async #serve(open: OpenStream): Promise<void> {
    const { stream, outbox } = open
    let failure: unknown
    try {
      await pipe(
        outbox,
        (source) => {
          stream.sink(source).catch((error: unknown) => {
            stream.abort(error instanceof Error ? error : new Error(messageOf(error)))
          })
          return stream.source
        },
        (source) => lengthPrefixed(source, { maxDataLength: this.#init.bodyBytesMax + frameOverheadBytes }),
        async (frames) => {
          for await (const bytes of frames) this.#receive(bytes)
        },
      )
    } catch (error) {
      failure = error
      if (isFraming(error)) this.#onBadFrame(error)
    } finally {
      if (this.#open === open) this.#open = undefined
      outbox.end()
      stream.abort(new NetError('ABORTED', 'the rpc stream ended'))
      this.#lose(failure)
    }
  }

  #receive(bytes: Uint8ArrayList): void {
    const frame = decodeFrame(bytes)
    if (frame.kind !== 'response' && frame.kind !== 'error') throw new NetError('BAD_FRAME', `a ${frame.kind} on a stream for answers`)
    this.#heardMs = this.#clock.monotonicMs()
    // No such id: the answer to a request that was given up on crossed our cancel.
    const pending = this.#pending.get(frame.id)
    if (pending === undefined) return
    if (frame.kind === 'response') pending.resolve(frame.body)
    else pending.reject(remoteError(frame))
  }

  #lose(cause: unknown): void {
    if (this.#pending.size === 0) return
    const error = codeOf(cause) === 'UNAVAILABLE' || codeOf(cause) === 'NOT_ADMITTED' ? (cause as Error) : this.#unavailable('the connection broke before the answer came', cause)
    for (const pending of [...this.#pending.values()]) pending.reject(error)
  }

  #unavailable(sentence: string, cause?: unknown): NetError {
    return new NetError('UNAVAILABLE', sentence, { peer: this.#peer }, cause === undefined ? {} : { cause })
  }

  #freeId(): number {
    // After 2³² requests ids start again; one that is still under way is passed over.
    for (;;) {
      const id = this.#nextId
      this.#nextId = id === 0xffffffff ? 1 : id + 1
      if (!this.#pending.has(id)) return id
    }
  }
}

function asAborted(signal: AbortSignal): Error {
  const reason = abortReason(signal)
  return isCoded(reason) ? reason : new CommonError('ABORTED', 'the request was cancelled', {}, { cause: reason })
}

/** Bytes that are no frames of ours, as opposed to a connection that broke. */
export function isFraming(error: unknown): boolean {
  return codeOf(error) === 'BAD_FRAME' || (error instanceof Error && /^Invalid(Message|Data)Length/.test(error.name))
}
