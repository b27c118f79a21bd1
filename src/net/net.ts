import type { Connection, PeerInfo, Stream } from '@libp2p/interface'
import { CodedError, Emitter, asNodeId, createSigner, messageOf } from '../base/index.js'
import type { Bulk, Clock, ContentRouting, Gossip, KeyValue, Log, NodeId, PeerEvents, Random, Rpc } from '../base/index.js'
import type { Admission } from '../membership/index.js'
import { checkNamed, dialError, dialable, parseAddress, peerNamedIn, startError } from './addresses.js'
import { StreamBulk } from './bulk.js'
import { SubGossip } from './gossip.js'
import type { Refusal } from './handshake/refusal.js'
import { createHost } from './host.js'
import type { Host } from './host.js'
import { Introductions } from './introductions.js'
import { Links, peerIdOf } from './links.js'
import { Pulse } from './pulse.js'
import { Redialler } from './redial.js'
import { DhtRouting } from './routing/index.js'
import { ProviderRecords } from './routing/provider-records.js'
import { StreamRpc, inboundStreamsMax, rpcProtocol } from './rpc/index.js'
import { defaultLimits } from './settings.js'
import type { NetInit, NetLimits } from './settings.js'
import { NetError } from './types.js'
import type { Net, NetCounters } from './types.js'
import { WakeDetector } from './wake.js'

export interface NetComponents {
  admission: Admission
  /** A slice of its own: provider records and when to announce again. */
  meta: KeyValue
  clock: Clock
  random: Random
  log: Log
  /** The 32 secret bytes of this node's Ed25519 key (RFC 8032). */
  seed: Uint8Array
}

/** Refusals that get a line of their own in a minute; a flood of them is summed up. */
const refusalLinesPerMinuteMax = 10
/** A node on the local network is tried again this long after it was tried in vain. */
const discoveryRetryMs = 30_000
const discoveredMax = 256
const kadPeersMax = 20
const refreshMs = 10 * 60_000
const sweepMs = 60 * 60_000

/**
 * Assembles the network; nothing is listened on or dialled before `start`. Throws BAD_ADDRESS for an address that is
 * none.
 */
export async function createNet(components: NetComponents, init: NetInit): Promise<Net> {
  for (const address of [...init.listen, ...init.announce, ...init.bootstrap]) checkNamed(parseAddress(address))
  const limits: NetLimits = { ...defaultLimits, ...init.limits }
  const log = components.log.child('net')
  const self = createSigner(components.seed).nodeId
  const records = new ProviderRecords(components, {
    validityMs: limits.provideValidityMs,
    recordsMax: limits.provideRecordsMax,
    memoryEntriesMax: 16_384,
  })
  const late: { net?: Libp2pNet } = {}
  const host = await createHost(
    {
      admission: components.admission,
      clock: components.clock,
      random: components.random,
      log,
      records,
      onRefused: (peer, refusal) => late.net?.refused(peer, refusal),
      onDiscovered: (peer) => late.net?.discovered(peer),
    },
    { ...init, self, seed: components.seed },
    limits,
  )
  return (late.net = new Libp2pNet({ ...components, log, host, records }, { ...init, self }, limits))
}

class Libp2pNet implements Net {
  readonly self: NodeId
  readonly rpc: Rpc
  readonly bulk: Bulk
  readonly gossip: Gossip
  readonly routing: ContentRouting
  readonly #host: Host
  readonly #links: Links
  readonly #rpc: StreamRpc
  readonly #bulk: StreamBulk
  readonly #gossip: SubGossip
  readonly #routing: DhtRouting
  readonly #records: ProviderRecords
  readonly #redialler: Redialler
  readonly #pulse: Pulse
  readonly #wake: WakeDetector
  readonly #events = new Emitter<{ wake: number }>()
  readonly #clock: Clock
  readonly #log: Log
  readonly #init: NetInit
  readonly #limits: NetLimits
  readonly #stopping = new AbortController()
  readonly #discoveredAtMs = new Map<NodeId, number>()
  #state: 'made' | 'started' | 'stopped' = 'made'
  #hostStarting: Promise<unknown> = Promise.resolve()
  #running: Promise<unknown> = Promise.resolve()
  #admissionsRefused = 0
  #lastRefusal: ReturnType<Net['lastRefusal']>
  #refusalMinute = { startMs: 0, lines: 0 }

  constructor(components: NetComponents & { host: Host; records: ProviderRecords }, init: NetInit & { self: NodeId }, limits: NetLimits) {
    const { host, clock, random, log, records } = components
    this.self = init.self
    this.#host = host
    this.#clock = clock
    this.#log = log
    this.#init = init
    this.#limits = limits
    this.#records = records
    this.#links = new Links({ libp2p: host, log, another: (peer) => { this.#pulse.suspect(peer) } }, { self: init.self })
    this.rpc = this.#rpc = new StreamRpc(
      { links: this.#links, clock, log },
      { bodyBytesMax: limits.rpcBodyBytesMax, requestsPerPeerMax: limits.rpcRequestsPerPeerMax, answersHighWaterBytes: limits.rpcAnswersHighWaterBytes },
    )
    this.bulk = this.#bulk = new StreamBulk({ links: this.#links, clock, log }, { outgoingBytesMax: limits.bulkOutgoingBytesMax })
    this.gossip = this.#gossip = new SubGossip({ service: host.services.pubsub, log }, { meshId: init.meshId, messageBytesMax: limits.gossipMessageBytesMax })
    this.routing = this.#routing = new DhtRouting(
      {
        dht: host.services.dht,
        links: this.#links,
        rpc: this.#rpc,
        clock,
        random,
        log,
        meta: components.meta,
        records,
        addresses: () => this.addresses(),
        met: async (peer, addresses) => {
          await host.peerStore.merge(peerIdOf(peer), { multiaddrs: [...addresses] })
        },
      },
      { againMs: limits.provideAgainMs, batchRecords: 256, copies: kadPeersMax, peersAtOnce: 4, dutyRatio: limits.provideDutyRatio, refreshMs, sweepMs },
    )
    this.#redialler = new Redialler(
      { clock, random, log, isConnected: (peer) => this.#links.isConnected(peer), dial: (addresses, signal) => this.#dial(addresses, signal) },
      { backoffMsMin: limits.redialBackoffMsMin, backoffMsMax: limits.redialBackoffMsMax, dialDeadlineMs: limits.dialDeadlineMs, dialsMax: limits.dialsMax },
    )
    const introductions = new Introductions({
      identify: async (peer) => {
        const connection = this.#links.connectionTo(peer)
        if (connection !== undefined) await host.services.identify.identify(connection)
      },
      log,
    })
    host.addEventListener('peer:identify', ({ detail }) => {
      const peer = asNodeId(detail.peerId.toString())
      if (peer !== undefined) introductions.identified(peer)
    })
    this.#pulse = new Pulse(
      {
        rpc: this.#rpc,
        clock,
        random,
        measured: (peer, rttMs) => {
          this.#links.measured(peer, rttMs)
          introductions.answered(peer)
        },
        giveUp: (peer) => this.#links.abort(peer, new NetError('UNAVAILABLE', 'the peer does not answer', { peer })),
        heardMs: (peer) => this.#rpc.heardMs(peer),
      },
      { pingMs: limits.pingMs, deadlineMs: limits.pingDeadlineMs },
    )
    this.#wake = new WakeDetector({ clock })
    this.#links.on('connected', (peer) => {
      this.#redialler.peerConnected(peer)
      this.#pulse.add(peer)
      this.#lastRefusal = undefined
    })
    this.#links.on('disconnected', (peer) => {
      this.#pulse.remove(peer)
      introductions.disconnected(peer)
      this.#redialler.peerDisconnected(peer)
    })
    for (const address of init.bootstrap) {
      const named = peerNamedIn(parseAddress(address))
      if (named === this.self) continue
      this.#redialler.add(`bootstrap ${address}`, named === undefined ? undefined : asNodeId(named), () => [address])
    }
  }

  // --- lifecycle -------------------------------------------------------------------------------------------------

  /** Rejects with ABORTED if it is stopped meanwhile. */
  async start(): Promise<void> {
    if (this.#state !== 'made') throw new NetError('UNAVAILABLE', `the network was ${this.#state} already`)
    this.#state = 'started'
    try {
      await this.#handle(rpcProtocol, inboundStreamsMax + 1, (from, stream) => this.#rpc.accept(from, stream))
      const registered: Promise<void>[] = []
      this.#bulk.onRegister((protocol) => {
        const done = this.#handle(protocol.id, protocol.inboundMax + 1, (from, stream) => this.#bulk.accept(from, protocol, stream))
        done.catch((error: unknown) => this.#log.error('a protocol could not be registered', { protocol: protocol.id, error: messageOf(error) }))
        registered.push(done)
      })
      await Promise.all(registered)
      this.#stopping.signal.throwIfAborted()
      this.#hostStarting = Promise.resolve(this.#host.start())
      await this.#hostStarting
      this.#stopping.signal.throwIfAborted()
      this.#gossip.started()
      this.#redialler.start()
      this.#wake.start((sleptMs) => this.#woke(sleptMs))
      this.#running = this.#routing.run(this.#stopping.signal)
    } catch (error) {
      await this.stop()
      throw error instanceof CodedError ? error : startError(error, this.#init.listen)
    }
  }

  async stop(): Promise<void> {
    if (this.#state === 'stopped') return
    const wasStarted = this.#state === 'started'
    this.#state = 'stopped'
    this.#stopping.abort(new NetError('ABORTED', 'the network stops'))
    this.#redialler.stop()
    this.#wake.stop()
    this.#pulse.stop()
    this.#rpc.stop()
    this.#bulk.stop()
    this.#gossip.stopped()
    await this.#running.catch(() => undefined)
    // libp2p takes no stop while it starts: it would go on, and listen for ever.
    await this.#hostStarting.catch(() => undefined)
    if (wasStarted) await this.#host.stop()
  }

  #handle(protocol: string, inboundMax: number, accept: (from: NodeId, stream: Stream) => Promise<void>): Promise<void> {
    return this.#host.handle(
      protocol,
      ({ connection, stream }: { connection: Connection; stream: Stream }) => {
        const from = asNodeId(connection.remotePeer.toString())
        if (from === undefined || this.#links.isCut(from) || this.#state !== 'started') {
          stream.abort(new NetError('NOT_ADMITTED', 'not let in'))
          return
        }
        accept(from, stream).catch((error: unknown) => this.#log.error('a stream handler failed', { protocol, from, error: messageOf(error) }))
      },
      // libp2p resets more than this without a word, so its limit is above ours, which answers.
      { maxInboundStreams: inboundMax, maxOutboundStreams: Number.MAX_SAFE_INTEGER, runOnLimitedConnection: true },
    )
  }

  // --- connections -----------------------------------------------------------------------------------------------

  connected(): NodeId[] {
    return this.#links.connected()
  }

  isConnected(peer: NodeId): boolean {
    return this.#links.isConnected(peer)
  }

  rttMs(peer: NodeId): number | undefined {
    return this.#links.rttMs(peer)
  }

  on<Name extends keyof PeerEvents>(name: Name, listener: (peer: PeerEvents[Name]) => void): () => void {
    return this.#links.on(name, listener)
  }

  onWake(listener: (sleptMs: number) => void): () => void {
    return this.#events.on('wake', listener)
  }

  addresses(): string[] {
    return this.#host.getMultiaddrs().map((address) => address.toString())
  }

  async dial(address: string, signal?: AbortSignal): Promise<NodeId> {
    parseAddress(address)
    return this.#dial([address], signal)
  }

  async #dial(addresses: readonly string[], signal?: AbortSignal): Promise<NodeId> {
    if (this.#state !== 'started') throw new NetError('UNAVAILABLE', 'the network is not running')
    const named = addresses.map((address) => /\/p2p\/([^/]+)$/.exec(address)?.[1]).find((name) => name !== undefined)
    const peer = named === undefined ? undefined : asNodeId(named)
    const targets = dialable(addresses, peer, this.self)
    if (targets.length === 0) {
      const own = named === this.self
      throw new NetError('BAD_ADDRESS', own ? 'that is the address of this node itself' : 'there is no address to dial', { addresses: addresses.slice(0, 8) })
    }
    try {
      const connection = await this.#host.dial(peer === undefined ? targets.slice(0, 1) : targets, signal === undefined ? {} : { signal })
      const answered = asNodeId(connection.remotePeer.toString())
      if (answered === undefined) throw new NetError('NOT_ADMITTED', 'who answered there is no node of a mesh')
      return answered
    } catch (error) {
      signal?.throwIfAborted()
      throw dialError(error, addresses)
    }
  }

  async cut(peer: NodeId): Promise<void> {
    this.#redialler.removePeer(peer)
    await this.#links.cut(peer)
  }

  keep(peer: NodeId, addresses: () => readonly string[]): void {
    if (peer === this.self) return
    this.#links.allow(peer)
    this.#redialler.add(`member ${peer}`, peer, () => addresses().map((address) => (address.includes('/p2p/') ? address : `${address}/p2p/${peer}`)))
  }

  #woke(sleptMs: number): void {
    this.#log.info('the machine slept or the clock was set: connections are made anew', { sleptMs })
    // First those who judge others by their silence, so that they hold back.
    this.#events.emit('wake', sleptMs)
    void this.#pulse.checkAll()
    this.#redialler.redialAll()
  }

  /** Called by the local network's discovery for every node that it hears of, again and again. */
  discovered(info: PeerInfo): void {
    const peer = asNodeId(info.id.toString())
    if (this.#state !== 'started' || peer === undefined || peer === this.self || this.#links.isConnected(peer) || this.#links.isCut(peer)) return
    const nowMs = this.#clock.monotonicMs()
    const triedMs = this.#discoveredAtMs.get(peer)
    if (triedMs !== undefined && nowMs - triedMs < discoveryRetryMs) return
    if (this.#discoveredAtMs.size >= discoveredMax) this.#discoveredAtMs.clear()
    this.#discoveredAtMs.set(peer, nowMs)
    const addresses = info.multiaddrs.slice(0, 8).map((address) => (peerNamedIn(address) === undefined ? `${address.toString()}/p2p/${peer}` : address.toString()))
    this.#dial(addresses, this.#stopping.signal).catch((error: unknown) => {
      this.#log.debug('a node on the local network could not be reached', { peer, error: messageOf(error) })
    })
  }

  refused(peer: NodeId, refusal: Refusal): void {
    this.#admissionsRefused++
    if (refusal.by === 'them') this.#lastRefusal = { peer, code: refusal.code, reason: refusal.reason }
    // Whoever knocks can make us write: a few lines a minute are news, the rest is a number.
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#refusalMinute.startMs > 60_000) this.#refusalMinute = { startMs: nowMs, lines: 0 }
    if (++this.#refusalMinute.lines > refusalLinesPerMinuteMax) return
    const facts = { peer, code: refusal.code, reason: refusal.reason }
    if (refusal.by === 'us') this.#log.warn('a node was not let in', facts)
    else this.#log.warn('another node did not let us in', facts)
  }

  lastRefusal(): ReturnType<Net['lastRefusal']> {
    return this.#lastRefusal
  }

  provideLagMs(): number {
    return this.#routing.lagMs
  }

  counters(): NetCounters {
    return {
      framesBroken: this.#links.framesBroken,
      admissionsRefused: this.#admissionsRefused,
      recordsAnnounced: this.#routing.announced,
      recordsHeld: this.#records.count,
      gossip: this.#gossip.counts(),
    }
  }
}
