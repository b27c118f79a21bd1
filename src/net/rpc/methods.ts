import { CodedError, CommonError, Limiter, abortReason } from '../../base/index.js'
import type { Log, NodeId, RpcMethod } from '../../base/index.js'

export interface MethodTableInit {
  /** Largest body that a frame can carry: no row may ask for more. */
  bodyBytesMax: number
  /** Requests of one peer, over all methods, that run or wait; one more is answered OVERLOADED. */
  requestsPerPeerMax: number
}

/**
 * The answering half of rpc, without a wire: rows of data, the limits that they state, and what becomes of what a
 * handler throws. The network and its simulated twin answer through the same code.
 */
export class MethodTable {
  readonly #methods = new Map<string, RpcMethod>()
  readonly #load = new Map<NodeId, { requests: number; readonly lines: Map<string, Limiter> }>()
  readonly #log: Log
  readonly #init: MethodTableInit

  constructor(components: { log: Log }, init: MethodTableInit) {
    this.#log = components.log
    this.#init = init
  }

  /** Throws BAD_INPUT for a name that is taken and for limits that no frame can meet. */
  register(method: RpcMethod): void {
    if (this.#methods.has(method.name)) throw new CommonError('BAD_INPUT', `the method ${method.name} is registered already`, { method: method.name })
    if (Math.max(method.requestBytesMax, method.responseBytesMax) > this.#init.bodyBytesMax) {
      throw new CommonError('BAD_INPUT', `the method ${method.name} asks for bodies larger than a frame`, { bodyBytesMax: this.#init.bodyBytesMax })
    }
    this.#methods.set(method.name, method)
  }

  /** Runs one request under its row's limits. Rejects with a `CodedError` only, fit to be sent to the caller. */
  async answer(from: NodeId, name: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const method = this.#methods.get(name)
    // A version that lacks a method is no failure of this node's: the caller may go on without.
    if (method === undefined) throw new CodedError('UNKNOWN_METHOD', `this node knows no method ${printable(name)}`)
    if (body.length > method.requestBytesMax) {
      throw new CommonError('BAD_INPUT', `a request of ${body.length} bytes is more than ${name} takes`, { requestBytesMax: method.requestBytesMax })
    }
    let load = this.#load.get(from)
    if (load === undefined) this.#load.set(from, (load = { requests: 0, lines: new Map() }))
    if (load.requests >= this.#init.requestsPerPeerMax) {
      throw new CommonError('OVERLOADED', 'this node has too many requests of yours under way', { requestsPerPeerMax: this.#init.requestsPerPeerMax })
    }
    load.requests++
    try {
      let line = load.lines.get(name)
      if (line === undefined) load.lines.set(name, (line = new Limiter({ concurrency: method.inFlightMax })))
      return await line.run(() => this.#run(method, from, body, signal), signal)
    } catch (error) {
      throw this.#asCoded(error, name, from, signal)
    } finally {
      load.requests--
      if (load.requests === 0) this.#load.delete(from)
    }
  }

  async #run(method: RpcMethod, from: NodeId, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const response = await method.handle(body, { from, signal })
    if (response.length > method.responseBytesMax) {
      throw new Error(`${method.name} answered ${response.length} bytes, more than its own limit of ${method.responseBytesMax}`)
    }
    return response
  }

  #asCoded(error: unknown, name: string, from: NodeId, signal: AbortSignal): CodedError {
    if (isCoded(error)) return error
    if (signal.aborted) {
      const reason = abortReason(signal)
      return isCoded(reason) ? reason : new CommonError('ABORTED', 'the request was cancelled')
    }
    // What it was stays here: a stranger to this process has no use for our stack, and may not be owed it.
    this.#log.error('a request handler failed', { method: name, from, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    return new CommonError('INTERNAL', `${name} failed on the other side`)
  }
}

export function isCoded(error: unknown): error is CodedError {
  return error instanceof CodedError
}

/** A peer's own text, cut and stripped of what could garble a terminal or a log. */
export function printable(text: string, lengthMax = 100): string {
  return text.slice(0, lengthMax).replace(/[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]/g, '?')
}
