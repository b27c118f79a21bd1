/**
 * What rooms see of the network. Nothing here knows libp2p: `net/` fulfils it over libp2p, simulations over a seeded
 * scheduler. All bytes handed over are the callee's to keep.
 */
import type { NodeId } from './ids.js'

export interface CallOptions {
  /** The answer must be here within this time, or the call rejects with DEADLINE. */
  deadlineMs: number
  signal?: AbortSignal
}

/** A protocol verb is a row of data: the rpc layer reads rows and knows no verbs. */
export interface RpcMethod {
  /** `room.verb`, for example `catalog.digest`. Part of the wire format. */
  readonly name: string
  readonly requestBytesMax: number
  readonly responseBytesMax: number
  /** Requests of one peer that run at once; more wait in line, up to the stream's own limit. */
  readonly inFlightMax: number
  /**
   * Rejecting with a `CodedError` answers the caller with that code and sentence; anything else is INTERNAL.
   * `signal` aborts when the caller cancels, its deadline passes or its connection goes.
   */
  readonly handle: (body: Uint8Array, context: RpcContext) => Promise<Uint8Array>
}

export interface RpcContext {
  readonly from: NodeId
  readonly signal: AbortSignal
}

/** Small messages over one long-lived stream per peer, many in flight (see `protocols/rpc`). */
export interface Rpc {
  register(method: RpcMethod): void
  /**
   * Rejects with a `RemoteError` that carries the other side's code; with UNAVAILABLE when the peer cannot be reached;
   * DEADLINE; ABORTED.
   */
  request(peer: NodeId, method: string, body: Uint8Array, options: CallOptions): Promise<Uint8Array>
}

/** One direction of bytes each; `send` waits while the other side does not read. */
export interface ByteStream {
  readonly peer: NodeId
  /** Resolves when there is room for more. The bytes must not be changed after. */
  send(bytes: Uint8Array | readonly Uint8Array[]): Promise<void>
  /** Chunks as they come, of any size; ends when the other side has closed its direction. */
  readonly received: AsyncIterable<Uint8Array>
  /**
   * Instead of `received`: calls `take` with each chunk in the turn in which it comes, lent for the time of the call.
   * Nothing more is handed over until what it returns has resolved. Settles as `received` does, or with what `take` threw.
   */
  receive?(take: (chunk: Uint8Array) => Promise<void> | undefined): Promise<void>
  /** Nobody reads this chunk of `received`, or any part of it, any more: its memory may be used again. Never has to be called. */
  release?(chunk: Uint8Array): void
  /** No more will be sent; what was sent is delivered. */
  closeSend(): Promise<void>
  /** Tears down both directions at once. */
  abort(error: Error): void
}

export interface BulkProtocol {
  /** For example `/mesh/blob/1`. */
  readonly id: string
  /** Streams of one peer at once; more are refused. */
  readonly inboundMax: number
  readonly handle: (stream: ByteStream, signal: AbortSignal) => Promise<void>
}

/** Streams of their own for many bytes, so that a small message never waits behind a blob. */
export interface Bulk {
  register(protocol: BulkProtocol): void
  open(peer: NodeId, protocol: string, options: { signal?: AbortSignal }): Promise<ByteStream>
}

/** One topic of `/mesh/<id>/<name>`. Delivery is likely, never certain: re-send state periodically. */
export interface GossipTopic {
  publish(message: Uint8Array): Promise<void>
  /**
   * `from` is the authenticated author. Answer `reject` for malformed messages (the sender loses score), `ignore` for
   * those that are merely old: only `accept` is passed on to others.
   */
  subscribe(handler: (message: Uint8Array, from: NodeId) => GossipVerdict | Promise<GossipVerdict>): () => void
}
export type GossipVerdict = 'accept' | 'ignore' | 'reject'

export interface Gossip {
  topic(name: 'quota' | 'heat' | 'catalog' | 'members', init: { messageBytesMax: number }): GossipTopic
}

/** Who holds what: provider records in the DHT. Keys are CIDs as text. */
export interface ContentRouting {
  /** From now on this node is announced as a holder, at once and again before the records lapse. Cheap to call twice. */
  provide(cids: readonly string[]): Promise<void>
  /** Stops announcing. Records already out lapse by themselves. */
  unprovide(cids: readonly string[]): Promise<void>
  /** Holders as they are found, each once, never this node. */
  findProviders(cid: string, options: { signal: AbortSignal }): AsyncIterable<NodeId>
}

export interface PeerEvents {
  connected: NodeId
  disconnected: NodeId
}

/** Admitted peers this node has a connection to now. */
export interface Connections {
  readonly self: NodeId
  connected(): NodeId[]
  isConnected(peer: NodeId): boolean
  /** Smoothed round trip to a connected peer, if measured. */
  rttMs(peer: NodeId): number | undefined
  on<Name extends keyof PeerEvents>(name: Name, listener: (peer: PeerEvents[Name]) => void): () => void
}
