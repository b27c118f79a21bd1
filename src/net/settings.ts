import type { MeshId, NodeId } from '../base/index.js'

export interface NetInit {
  meshId: MeshId
  /** Multiaddrs, for example `/ip4/0.0.0.0/tcp/4700`; none: this node dials only. */
  listen: readonly string[]
  /** Multiaddrs others should dial instead of those that are listened on: a port that a router forwards. */
  announce: readonly string[]
  /** Multiaddrs that are dialled at the start and whenever there is no connection to them. */
  bootstrap: readonly string[]
  /** Look for members of this mesh on the local network. */
  mdns: boolean
  /** Ask the router to forward a port; without luck nothing is lost. Default false. */
  upnp?: boolean
  /** Carry connections of members behind NAT, and use such carriers. Default false. */
  relay?: boolean
  /** For tests of distance: how many ms later than sent bytes to a peer leave. Asked for at every write. */
  delayMs?: (peer: NodeId) => number
  limits?: Partial<NetLimits>
}

/** Each a default with its because. */
export interface NetLimits {
  /** Connections in all; a mesh is some hundreds of nodes. */
  connectionsMax: number
  /**
   * New connections of one host per second, and those whose handshake is not done. A household or a rack behind one
   * address may come back all at once; more than this is an attack on the handshake's CPU.
   */
  inboundPerHostPerSecond: number
  inboundPendingMax: number
  /** Nonces, certificates and verdicts are three round trips: enough for a satellite link and a busy laptop. */
  handshakeDeadlineMs: number
  /** One dial over all of a peer's addresses. */
  dialDeadlineMs: number
  redialBackoffMsMin: number
  redialBackoffMsMax: number
  dialsMax: number
  /**
   * Window of a stream, bytes: 16 MiB carries 160 MB/s at a round trip of 100 ms, where yamux's own 256 KiB carry
   * 2.5. Memory is taken only where a reader lags behind a fast link.
   */
  streamWindowBytesMax: number
  streamsPerConnectionMax: number
  /** A small message: an IPLD block of 1 MiB and its envelope fit, two do not. */
  rpcBodyBytesMax: number
  rpcRequestsPerPeerMax: number
  rpcAnswersHighWaterBytes: number
  bulkOutgoingBytesMax: number
  gossipMessageBytesMax: number
  /** A round trip is measured, and a dead connection noticed, this often. */
  pingMs: number
  /** A peer that misses two pings in a row by this much is cut loose, to be redialled. */
  pingDeadlineMs: number
  provideAgainMs: number
  provideValidityMs: number
  provideRecordsMax: number
  provideDutyRatio: number
}

const hourMs = 3_600_000

export const defaultLimits: NetLimits = {
  connectionsMax: 1000,
  inboundPerHostPerSecond: 20,
  // More than one host may hold by itself in the 12 s that a handshake and its refusal take at most (240): a stranger who
  // dials and says nothing must not keep everybody else out.
  inboundPendingMax: 384,
  handshakeDeadlineMs: 10_000,
  dialDeadlineMs: 15_000,
  redialBackoffMsMin: 1_000,
  redialBackoffMsMax: 60_000,
  dialsMax: 16,
  streamWindowBytesMax: 16 * 2 ** 20,
  streamsPerConnectionMax: 4096,
  rpcBodyBytesMax: 2 * 2 ** 20,
  rpcRequestsPerPeerMax: 1024,
  rpcAnswersHighWaterBytes: 4 * 2 ** 20,
  bulkOutgoingBytesMax: 256 * 1024,
  gossipMessageBytesMax: 256 * 1024,
  pingMs: 10_000,
  pingDeadlineMs: 10_000,
  // Twice a day; a record survives one missed round and then some. See `protocols/kad/README.md`.
  provideAgainMs: 12 * hourMs,
  provideValidityMs: 30 * hourMs,
  // About 120 bytes each in the database: 250 MB at the very most.
  provideRecordsMax: 2_000_000,
  provideDutyRatio: 0.2,
}
