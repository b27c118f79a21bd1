import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { Emitter, asNodeId, codeOf, messageOf, raceAbort } from '../base/index.js'
import type { Connections, Log, NodeId, PeerEvents } from '../base/index.js'
import { NetError } from './types.js'

/** RFC 6298 §2: how much of a new sample goes into the smoothed round trip. */
const rttWeight = 1 / 8
/**
 * The same for one that is shorter: a message is late for many reasons, most of them a busy machine, and early for none. A
 * node that starts on one would count as far away for minutes, and ranges and copies would be placed by that.
 */
const shorterRttWeight = 1 / 2

/** Milliseconds, all three. */
export function smoothedRtt(before: number | undefined, sample: number): number {
  if (before === undefined) return sample
  return before + (sample - before) * (sample < before ? shorterRttWeight : rttWeight)
}

/**
 * Of one peer at once: both may dial in the same moment, one more may come through a relay, and one may be dead without
 * anybody having noticed. More is a member that takes everybody's places.
 */
const connectionsPerPeerMax = 4

/**
 * Admitted peers that this node has a connection to, by name. libp2p may hold several connections to one peer for a
 * moment (both dialled at once); up and down are told once per peer.
 */
export class Links implements Connections {
  readonly self: NodeId
  readonly #libp2p: Libp2p
  readonly #log: Log
  readonly #events = new Emitter<PeerEvents>()
  readonly #connections = new Map<NodeId, Set<Connection>>()
  readonly #rttMs = new Map<NodeId, number>()
  /** Peers that were cut: a connection that they make anew is closed, whatever their certificate says. */
  readonly #cut = new Set<NodeId>()
  /** A peer that is connected has connected once more. */
  readonly #another: (peer: NodeId) => void
  #framesBroken = 0

  constructor(components: { libp2p: Libp2p; log: Log; another?: (peer: NodeId) => void }, init: { self: NodeId }) {
    this.#another = components.another ?? ((): void => undefined)
    this.#libp2p = components.libp2p
    this.#log = components.log
    this.self = init.self
    this.#libp2p.addEventListener('connection:open', (event) => this.#opened(event.detail))
    this.#libp2p.addEventListener('connection:close', (event) => this.#closed(event.detail))
  }

  /** Peers cut off so far because their bytes were no frames of ours. */
  get framesBroken(): number {
    return this.#framesBroken
  }

  connected(): NodeId[] {
    return [...this.#connections.keys()]
  }

  isConnected(peer: NodeId): boolean {
    return this.#connections.has(peer)
  }

  rttMs(peer: NodeId): number | undefined {
    return this.#rttMs.get(peer)
  }

  on<Name extends keyof PeerEvents>(name: Name, listener: (peer: PeerEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  measured(peer: NodeId, rttMs: number): void {
    if (!this.#connections.has(peer)) return
    this.#rttMs.set(peer, smoothedRtt(this.#rttMs.get(peer), rttMs))
  }

  /** The connection to use: not a relayed one if there is a direct one, and the oldest of those, so that all agree. */
  connectionTo(peer: NodeId): Connection | undefined {
    let best: Connection | undefined
    for (const connection of this.#connections.get(peer) ?? []) {
      if (connection.status !== 'open') continue
      if (best === undefined || (best.limits !== undefined && connection.limits === undefined)) best = connection
    }
    return best
  }

  /**
   * Rejects with UNAVAILABLE. A peer that has no connection is not dialled here: keeping connections is the redialler's
   * business, and a request to somebody who is away should fail now.
   */
  async openStream(peer: NodeId, protocol: string, signal: AbortSignal): Promise<Stream> {
    const connection = this.connectionTo(peer)
    if (connection === undefined) throw new NetError('UNAVAILABLE', 'there is no connection to the peer', { peer })
    try {
      return await raceAbort(
        connection.newStream(protocol, { signal, runOnLimitedConnection: true, maxOutboundStreams: Number.MAX_SAFE_INTEGER }),
        signal,
      )
    } catch (error) {
      if (signal.aborted && codeOf(signal.reason) !== undefined) throw signal.reason
      throw new NetError('UNAVAILABLE', `no stream to the peer could be opened: ${messageOf(error)}`, { peer, protocol }, { cause: error })
    }
  }

  /** For a peer whose bytes made no sense: out with it, and counted. */
  punish(peer: NodeId, error: unknown): void {
    this.#framesBroken++
    this.#log.warn('a peer broke the framing and was disconnected', { peer, error: messageOf(error) })
    // Not BAD_FRAME: its other streams end with this error, and they did nothing wrong.
    this.abort(peer, new NetError('UNAVAILABLE', 'the peer broke the framing', { peer }))
  }

  abort(peer: NodeId, error: Error): void {
    for (const connection of [...(this.#connections.get(peer) ?? [])]) connection.abort(error)
  }

  async cut(peer: NodeId): Promise<void> {
    this.#cut.add(peer)
    this.abort(peer, new NetError('NOT_ADMITTED', 'the peer was cut off', { peer }))
    await this.#libp2p.peerStore.delete(peerIdOf(peer)).catch(() => undefined)
  }

  allow(peer: NodeId): void {
    this.#cut.delete(peer)
  }

  isCut(peer: NodeId): boolean {
    return this.#cut.has(peer)
  }

  #opened(connection: Connection): void {
    const peer = asNodeId(connection.remotePeer.toString())
    // Cannot be: the handshake lets nobody else in.
    if (peer === undefined || this.#cut.has(peer)) {
      connection.abort(new NetError('NOT_ADMITTED', 'this peer is not let in'))
      return
    }
    const set = this.#connections.get(peer)
    if (set !== undefined) {
      set.add(connection)
      // The oldest: of a machine that lost its power and came back it is the one that is dead. The others go with it (below).
      const [oldest] = set
      if (set.size > connectionsPerPeerMax) oldest?.abort(new NetError('UNAVAILABLE', 'the peer has too many connections', { peer }))
      this.#another(peer)
      return
    }
    this.#connections.set(peer, new Set([connection]))
    this.#events.emit('connected', peer)
  }

  #closed(connection: Connection): void {
    const peer = asNodeId(connection.remotePeer.toString())
    const set = peer === undefined ? undefined : this.#connections.get(peer)
    if (peer === undefined || set === undefined || !set.delete(connection)) return
    if (set.size > 0) {
      // libp2p's gossip and DHT know a peer by the connection that they met it on, forget it with that one, and learn of no
      // other: gossip with the peer would be dead for as long as the rest of its connections live. So those go as well, and
      // the peer is met anew.
      this.abort(peer, new NetError('UNAVAILABLE', 'another connection to the peer broke', { peer }))
      return
    }
    this.#connections.delete(peer)
    this.#rttMs.delete(peer)
    this.#events.emit('disconnected', peer)
  }
}

const peerIds = new Map<NodeId, PeerId>()
/** Parsing a PeerId costs a public key; a mesh has hundreds of nodes, not millions. */
const peerIdsMax = 4096

export function peerIdOf(node: NodeId): PeerId {
  let peerId = peerIds.get(node)
  if (peerId === undefined) {
    if (peerIds.size >= peerIdsMax) peerIds.clear()
    peerIds.set(node, (peerId = peerIdFromString(node)))
  }
  return peerId
}
