import type { Bulk, Connections, ContentRouting, Facts, Gossip, NodeId, Rpc } from '../base/index.js'
import { CodedError } from '../base/index.js'
import type { GossipCounts } from './gossip-tally.js'

export type NetCode = 'UNAVAILABLE' | 'NOT_ADMITTED' | 'BAD_FRAME' | 'BAD_ADDRESS' | 'ADDRESS_IN_USE' | 'ABORTED'

export class NetError extends CodedError<NetCode> {
  constructor(code: NetCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

/** The other side's own code and sentence. */
export class RemoteError extends CodedError {}

/** Counts since the start, for metrics. */
export interface NetCounters {
  /** Peers that were disconnected because their bytes were no frames of ours. */
  readonly framesBroken: number
  /** Handshakes in which either side refused the other. */
  readonly admissionsRefused: number
  /** Provider records of this node handed to others. */
  readonly recordsAnnounced: number
  /** Provider records kept for all nodes, at most. */
  readonly recordsHeld: number
  /** By topic, and `control` for what gossip says of itself. What is passed on and what is heard again count, too. */
  readonly gossip: GossipCounts
}

export interface Net extends Connections {
  readonly rpc: Rpc
  readonly bulk: Bulk
  readonly gossip: Gossip
  readonly routing: ContentRouting
  /** Multiaddrs others can reach this node at, with `/p2p/<id>`. */
  addresses(): string[]
  /** Dials; resolves to who answered. NOT_ADMITTED with the reason when admission failed on either side. */
  dial(address: string, signal?: AbortSignal): Promise<NodeId>
  /** Why another node did not let this one in, and its code; until somebody does. */
  lastRefusal(): { readonly peer: NodeId; readonly code: string; readonly reason: string } | undefined
  /** Closes all connections to a peer and stops redialling it. */
  cut(peer: NodeId): Promise<void>
  /** Peers to be kept connected: dialled, and redialled with jittered backoff, at once after a wake-up. */
  keep(peer: NodeId, addresses: () => readonly string[]): void
  /** Fires after the machine slept or the clock jumped: redial before judging anybody. */
  onWake(listener: (sleptMs: number) => void): () => void
  /** How late the oldest due provider record is, ms: 0 when none is due. */
  provideLagMs(): number
  counters(): NetCounters
  start(): Promise<void>
  stop(): Promise<void>
}
