import type { Stream } from '@libp2p/interface'
import { CommonError } from '../../base/index.js'
import type { CallOptions, Clock, Log, NodeId, Rpc, RpcMethod } from '../../base/index.js'
import type { Links } from '../links.js'
import { NetError } from '../types.js'
import { PeerCaller } from './caller.js'
import type { RpcInit, RpcStream } from './caller.js'
import { MethodTable } from './methods.js'
import { respond } from './responder.js'

export const rpcProtocol = '/mesh/rpc/1'

/**
 * Inbound rpc streams of one peer at once. It needs one; while a lost one is not yet seen as lost here, it may have
 * opened its next.
 */
export const inboundStreamsMax = 4
/** Opening a stream is one round trip; on a connection that is alive it does not take longer than this. */
const openDeadlineMs = 15_000

/** `Rpc` over one long-lived stream per peer and direction of asking. */
export class StreamRpc implements Rpc {
  readonly #links: Links
  readonly #clock: Clock
  readonly #init: RpcInit
  readonly #methods: MethodTable
  readonly #callers = new Map<NodeId, PeerCaller>()
  readonly #inbound = new Map<NodeId, number>()
  #stopped = false

  constructor(components: { links: Links; clock: Clock; log: Log }, init: RpcInit) {
    this.#links = components.links
    this.#clock = components.clock
    this.#init = init
    this.#methods = new MethodTable({ log: components.log }, init)
    this.#links.on('disconnected', (peer) => {
      this.#callers.get(peer)?.close(new NetError('UNAVAILABLE', 'the connection broke before the answer came', { peer }))
      this.#callers.delete(peer)
    })
  }

  register(method: RpcMethod): void {
    this.#methods.register(method)
  }

  async request(peer: NodeId, method: string, body: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    if (this.#stopped) throw new NetError('UNAVAILABLE', 'the network is stopped', { peer })
    if (peer === this.#links.self) throw new CommonError('BAD_INPUT', 'a request to this node itself')
    let caller = this.#callers.get(peer)
    if (caller === undefined) {
      if (!this.#links.isConnected(peer)) throw new NetError('UNAVAILABLE', 'there is no connection to the peer', { peer })
      caller = new PeerCaller(
        { peer, clock: this.#clock, openStream: (signal) => this.#open(peer, signal), onBadFrame: (error) => this.#links.punish(peer, error) },
        this.#init,
      )
      this.#callers.set(peer, caller)
    }
    return caller.request(method, body, options)
  }

  /** When the peer last answered anything, elapsed time; undefined if it has not on this connection. */
  heardMs(peer: NodeId): number | undefined {
    return this.#callers.get(peer)?.heardMs
  }

  /** libp2p's handler of `rpcProtocol`. */
  async accept(from: NodeId, stream: Stream): Promise<void> {
    const count = this.#inbound.get(from) ?? 0
    if (this.#stopped || count >= inboundStreamsMax) {
      stream.abort(new NetError('UNAVAILABLE', 'too many rpc streams'))
      return
    }
    this.#inbound.set(from, count + 1)
    try {
      await respond(rpcStreamOf(stream), from, { methods: this.#methods, clock: this.#clock, onBadFrame: (error) => this.#links.punish(from, error) }, this.#init)
    } finally {
      const left = (this.#inbound.get(from) ?? 1) - 1
      if (left <= 0) this.#inbound.delete(from)
      else this.#inbound.set(from, left)
    }
  }

  stop(): void {
    this.#stopped = true
    for (const [peer, caller] of this.#callers) caller.close(new NetError('UNAVAILABLE', 'the network is stopped', { peer }))
    this.#callers.clear()
  }

  async #open(peer: NodeId, signal: AbortSignal): Promise<RpcStream> {
    const controller = new AbortController()
    const onAbort = (): void => controller.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const cancel = this.#clock.setTimer(openDeadlineMs, () => controller.abort(new NetError('UNAVAILABLE', 'the peer did not open a stream in time', { peer })))
    try {
      return rpcStreamOf(await this.#links.openStream(peer, rpcProtocol, controller.signal))
    } finally {
      cancel()
      signal.removeEventListener('abort', onAbort)
    }
  }
}

function rpcStreamOf(stream: Stream): RpcStream {
  return {
    source: stream.source,
    sink: async (source) => {
      await stream.sink(source)
    },
    abort: (error) => stream.abort(error),
  }
}
