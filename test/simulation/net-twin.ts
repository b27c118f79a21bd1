/**
 * The network's simulated twin: `Net` in memory, over a virtual clock and a seeded chance, with loss, delay, reordering,
 * partitions, crashes and sleep. It answers requests through the same method table as the real one, and the same
 * contract suite (`test/contract/net.test.ts`) runs on both.
 *
 * @example
 * const clock = new VirtualClock()
 * const world = new SimulatedNetwork({ clock, random: seededRandom(seed) }, { lossRatio: 0.05 })
 * const [a, b] = [world.node(idOf(1)), world.node(idOf(2))]
 * b.rpc.register({ name: 'test.echo', …, handle: async (body) => body })
 * await clock.outcome(a.rpc.request(b.self, 'test.echo', bytes, { deadlineMs: 1000 }))
 * world.partition([[a.self], [b.self]])
 */
import { createHash } from 'node:crypto'
import { CommonError, Emitter, abortReason, nodeIdOfPublicKey, raceAbort, silentLog, withDeadline } from '../../src/base/index.js'
import type {
  Bulk, BulkProtocol, ByteStream, CallOptions, ContentRouting, Gossip, GossipTopic, GossipVerdict, Log, NodeId, PeerEvents, Random, Rpc, RpcMethod,
} from '../../src/base/index.js'
import { MethodTable, isCoded } from '../../src/net/rpc/methods.js'
import { NetError, RemoteError } from '../../src/net/types.js'
import type { Net, NetCounters } from '../../src/net/types.js'
import type { VirtualClock } from './net-clock.js'

export interface SimulatedNetworkInit {
  /** One-way delay of a message, ms, uniform between the two. */
  delayMs: readonly [min: number, max: number]
  /** Share of rpc messages and gossip deliveries that vanish, 0…1. Bulk streams lose nothing while they live. */
  lossRatio: number
  /** Share of rpc requests that arrive twice, 0…1. The real network never does this; robust rooms do not mind. */
  duplicateRatio: number
  /** Messages of one link keep their order, as over TCP. */
  ordered: boolean
  /** How long after a link broke both ends notice, ms: until then messages just vanish. */
  noticeMs: number
  /** How long after a link could carry again the ends are connected, ms, at most. */
  redialMs: number
  /** Bytes of a bulk stream under way before `send` waits. */
  windowBytes: number
}

const defaults: SimulatedNetworkInit = {
  delayMs: [1, 10],
  lossRatio: 0,
  duplicateRatio: 0,
  ordered: true,
  noticeMs: 5_000,
  redialMs: 2_000,
  windowBytes: 256 * 1024,
}

/** A valid node name, the same for the same number each time. */
export function idOf(number: number): NodeId {
  return nodeIdOfPublicKey(createHash('sha256').update(`simulated node ${number}`).digest())
}

export class SimulatedNetwork {
  readonly clock: VirtualClock
  readonly random: Random
  readonly init: SimulatedNetworkInit
  readonly log: Log
  readonly nodes = new Map<NodeId, SimulatedNode>()
  /** Group of each node; nodes of different groups cannot reach each other. */
  readonly #groups = new Map<NodeId, number>()
  readonly #blocked = new Set<string>()
  readonly #connected = new Set<string>()
  readonly #lastArrival = new Map<string, number>()

  constructor(components: { clock: VirtualClock; random: Random; log?: Log }, init: Partial<SimulatedNetworkInit> = {}) {
    this.clock = components.clock
    this.random = components.random
    this.log = components.log ?? silentLog
    this.init = { ...defaults, ...init }
  }

  /** A started node, connected to all others that it can reach as soon as the clock moves. */
  node(id: NodeId): SimulatedNode {
    let node = this.nodes.get(id)
    if (node === undefined) {
      this.nodes.set(id, (node = new SimulatedNode(this, id)))
      this.rewire()
    }
    return node
  }

  /** Cuts the world into groups; nodes in none of them are alone together. */
  partition(groups: readonly (readonly NodeId[])[]): void {
    this.#groups.clear()
    groups.forEach((group, i) => {
      for (const id of group) this.#groups.set(id, i + 1)
    })
    this.rewire()
  }

  heal(): void {
    this.#groups.clear()
    this.#blocked.clear()
    this.rewire()
  }

  /** Messages from one to the other vanish; not the other way round. */
  block(from: NodeId, to: NodeId): void {
    this.#blocked.add(`${from}>${to}`)
  }

  unblock(from: NodeId, to: NodeId): void {
    this.#blocked.delete(`${from}>${to}`)
  }

  canReach(from: NodeId, to: NodeId): boolean {
    const a = this.nodes.get(from)
    const b = this.nodes.get(to)
    return a?.up === true && b?.up === true && (this.#groups.get(from) ?? 0) === (this.#groups.get(to) ?? 0) && !a.wasCut(to) && !b.wasCut(from)
  }

  areConnected(a: NodeId, b: NodeId): boolean {
    return this.#connected.has(linkOf(a, b))
  }

  /** Calls `arrive` after the link's delay, unless the message is lost, or the link or the receiver is gone by then. */
  deliver(from: NodeId, to: NodeId, arrive: () => void, options: { lossless?: boolean; lost?: () => void } = {}): void {
    if (this.#blocked.has(`${from}>${to}`)) {
      options.lost?.()
      return
    }
    if (options.lossless !== true && this.random.float() < this.init.lossRatio) return
    const [min, max] = this.init.delayMs
    const nowMs = this.clock.monotonicMs()
    let atMs = nowMs + min + this.random.float() * (max - min)
    if (this.init.ordered || options.lossless === true) {
      const key = `${from}>${to}`
      atMs = Math.max(atMs, this.#lastArrival.get(key) ?? 0)
      this.#lastArrival.set(key, atMs)
    }
    this.clock.setTimer(atMs - nowMs, () => {
      if (this.canReach(from, to)) arrive()
      else options.lost?.()
    })
  }

  /** Brings connections in line with who can reach whom, each side after its own delay. */
  rewire(): void {
    const ids = [...this.nodes.keys()]
    for (let i = 0; i < ids.length; i++) {
      for (let j = i + 1; j < ids.length; j++) {
        const [a, b] = [ids[i]!, ids[j]!]
        const want = this.canReach(a, b)
        if (want === this.areConnected(a, b)) continue
        const waitMs = want ? this.random.float() * this.init.redialMs : this.init.noticeMs
        this.clock.setTimer(waitMs, () => {
          if (this.canReach(a, b) === want) this.#setConnected(a, b, want)
        })
      }
    }
  }

  dropAt(a: NodeId, b: NodeId): void {
    this.#setConnected(a, b, false)
  }

  connectNow(a: NodeId, b: NodeId): void {
    this.#setConnected(a, b, true)
  }

  #setConnected(a: NodeId, b: NodeId, connected: boolean): void {
    const key = linkOf(a, b)
    if (this.#connected.has(key) === connected) return
    if (connected) this.#connected.add(key)
    else this.#connected.delete(key)
    this.nodes.get(a)?.linkChanged(b, connected)
    this.nodes.get(b)?.linkChanged(a, connected)
  }
}

function linkOf(a: NodeId, b: NodeId): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`
}

interface Topic {
  bytesMax: number
  handler: ((message: Uint8Array, from: NodeId) => GossipVerdict | Promise<GossipVerdict>) | undefined
}

export class SimulatedNode implements Net {
  readonly self: NodeId
  readonly rpc: Rpc
  readonly bulk: Bulk
  readonly gossip: Gossip
  readonly routing: ContentRouting
  up = true
  readonly #world: SimulatedNetwork
  readonly #events = new Emitter<PeerEvents & { wake: number; down: undefined }>()
  readonly #methods: MethodTable
  readonly #protocols = new Map<string, BulkProtocol>()
  readonly #topics = new Map<string, Topic>()
  readonly #seenGossip = new Set<number>()
  readonly #provided = new Set<string>()
  readonly #records = new Map<string, Set<NodeId>>()
  readonly #cut = new Set<NodeId>()
  readonly #inbound = new Map<string, number>()

  constructor(world: SimulatedNetwork, self: NodeId) {
    this.#world = world
    this.self = self
    this.#methods = new MethodTable({ log: world.log }, { bodyBytesMax: 2 ** 21, requestsPerPeerMax: 1024 })
    this.rpc = { register: (method: RpcMethod) => this.#methods.register(method), request: (...args) => this.#request(...args) }
    this.bulk = {
      register: (protocol) => this.#protocols.set(protocol.id, protocol),
      open: (peer, protocol, options) => this.#open(peer, protocol, options),
    }
    this.gossip = { topic: (name, init) => this.#topic(name, init.messageBytesMax) }
    this.routing = {
      provide: (cids) => this.#provide(cids),
      unprovide: async (cids) => cids.forEach((cid) => this.#provided.delete(cid)),
      findProviders: (cid, options) => this.#findProviders(cid, options.signal),
    }
  }

  // --- lifecycle -------------------------------------------------------------------------------------------------

  /** The process dies: nothing more is sent, answered or heard. What it registered stays for `restart`. */
  crash(): void {
    this.up = false
    this.#records.clear()
    for (const peer of this.connected()) this.#world.dropAt(this.self, peer)
    this.#events.emit('down', undefined)
  }

  restart(): void {
    this.up = true
    this.#world.rewire()
  }

  /** The machine sleeps for `ms`: as unreachable as a crash, but wakes by itself and says so. */
  sleep(ms: number): void {
    this.up = false
    this.#world.rewire()
    this.#world.clock.setTimer(ms, () => {
      this.up = true
      this.#world.rewire()
      this.#events.emit('wake', ms)
    })
  }

  async start(): Promise<void> {
    if (!this.up) this.restart()
  }

  async stop(): Promise<void> {
    if (this.up) this.crash()
  }

  // --- connections -----------------------------------------------------------------------------------------------

  connected(): NodeId[] {
    return [...this.#world.nodes.keys()].filter((peer) => this.isConnected(peer))
  }

  isConnected(peer: NodeId): boolean {
    return this.up && this.#world.areConnected(this.self, peer)
  }

  rttMs(peer: NodeId): number | undefined {
    const [min, max] = this.#world.init.delayMs
    return this.isConnected(peer) ? min + max : undefined
  }

  on<Name extends keyof PeerEvents>(name: Name, listener: (peer: PeerEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  onWake(listener: (sleptMs: number) => void): () => void {
    return this.#events.on('wake', listener)
  }

  linkChanged(peer: NodeId, connected: boolean): void {
    if (this.up || !connected) this.#events.emit(connected ? 'connected' : 'disconnected', peer)
  }

  addresses(): string[] {
    return [`/memory/${this.self}/p2p/${this.self}`]
  }

  async dial(address: string, signal?: AbortSignal): Promise<NodeId> {
    signal?.throwIfAborted()
    const target = [...this.#world.nodes.keys()].find((id) => address.endsWith(`/p2p/${id}`))
    if (!address.startsWith('/')) throw new NetError('BAD_ADDRESS', `${address} is not a multiaddr`)
    if (target === this.self) throw new NetError('BAD_ADDRESS', 'that is the address of this node itself')
    if (target === undefined || !this.#world.canReach(this.self, target)) throw new NetError('UNAVAILABLE', `nobody answers at ${address}`)
    await this.#world.clock.sleep(this.#world.init.delayMs[1], signal)
    this.#world.connectNow(this.self, target)
    return target
  }

  async cut(peer: NodeId): Promise<void> {
    this.#cut.add(peer)
    this.#world.dropAt(this.self, peer)
  }

  wasCut(peer: NodeId): boolean {
    return this.#cut.has(peer)
  }

  keep(peer: NodeId): void {
    this.#cut.delete(peer)
    this.#world.rewire()
  }

  provideLagMs(): number {
    return 0
  }

  lastRefusal(): undefined {
    return undefined
  }

  counters(): NetCounters {
    return { framesBroken: 0, admissionsRefused: 0, recordsAnnounced: 0, recordsHeld: this.#records.size, gossip: {} }
  }

  // --- rpc -------------------------------------------------------------------------------------------------------

  async #request(peer: NodeId, method: string, body: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    options.signal?.throwIfAborted()
    if (!this.isConnected(peer)) throw new NetError('UNAVAILABLE', 'there is no connection to the peer', { peer })
    const world = this.#world
    const cancel = new AbortController()
    const broken = new AbortController()
    const unsubscribe = [
      this.#events.on('disconnected', (gone) => {
        if (gone === peer) broken.abort(new NetError('UNAVAILABLE', 'the connection broke before the answer came', { peer }))
      }),
      this.#events.on('down', () => broken.abort(new NetError('UNAVAILABLE', 'this node stopped', { peer }))),
    ]
    try {
      return await withDeadline(world.clock, options.deadlineMs, options.signal, (signal) => {
        signal.addEventListener('abort', () => {
          world.deliver(this.self, peer, () => cancel.abort(new CommonError('ABORTED', 'the caller cancelled')))
        }, { once: true })
        const answered = new Promise<Uint8Array>((resolve, reject) => {
          const sent = Uint8Array.from(body)
          const ask = (): void => {
            world.deliver(this.self, peer, () => {
              void world.nodes.get(peer)?.answer(this.self, method, sent, cancel.signal).then(
                (response) => world.deliver(peer, this.self, () => resolve(response)),
                (error: unknown) => {
                  const coded = isCoded(error) ? error : new CommonError('INTERNAL', String(error))
                  world.deliver(peer, this.self, () => reject(new RemoteError(coded.code, coded.message, coded.facts)))
                },
              )
            })
          }
          ask()
          if (world.random.float() < world.init.duplicateRatio) ask()
        })
        return raceAbort(answered, broken.signal)
      })
    } finally {
      for (const stop of unsubscribe) stop()
    }
  }

  async answer(from: NodeId, method: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const gone = new AbortController()
    const onCancel = (): void => gone.abort(abortReason(signal))
    signal.addEventListener('abort', onCancel, { once: true })
    const stop = this.#events.on('disconnected', (peer) => {
      if (peer === from) gone.abort(new NetError('UNAVAILABLE', 'the caller is gone', { peer }))
    })
    try {
      return Uint8Array.from(await this.#methods.answer(from, method, body, gone.signal))
    } finally {
      stop()
      signal.removeEventListener('abort', onCancel)
    }
  }

  // --- bulk ------------------------------------------------------------------------------------------------------

  async #open(peer: NodeId, id: string, options: { signal?: AbortSignal }): Promise<ByteStream> {
    options.signal?.throwIfAborted()
    const other = this.#world.nodes.get(peer)
    if (other === undefined || !this.isConnected(peer)) throw new NetError('UNAVAILABLE', 'there is no connection to the peer', { peer })
    await this.#world.clock.sleep(2 * this.#world.init.delayMs[1], options.signal)
    if (!this.#world.canReach(this.self, peer)) throw new NetError('UNAVAILABLE', 'the connection broke', { peer })
    const [near, far] = SimulatedByteStream.pair(this.#world, this.self, peer)
    const stops = [this, other].map((node, i) => node.#events.on('disconnected', (gone) => {
      if (gone !== (i === 0 ? peer : this.self)) return
      for (const stream of [near, far]) stream.break(new NetError('UNAVAILABLE', 'the connection broke', { peer: stream.peer }))
      for (const stop of stops) stop()
    }))
    const onAbort = (): void => near.abort(options.signal === undefined ? new Error('aborted') : abortReason(options.signal))
    options.signal?.addEventListener('abort', onAbort, { once: true })
    other.#accept(id, far)
    return near
  }

  #accept(id: string, stream: SimulatedByteStream): void {
    const protocol = this.#protocols.get(id)
    const key = `${id} ${stream.peer}`
    const count = this.#inbound.get(key) ?? 0
    if (protocol === undefined || count >= protocol.inboundMax) {
      stream.abort(new NetError('UNAVAILABLE', protocol === undefined ? 'unknown protocol' : 'too many streams'))
      return
    }
    this.#inbound.set(key, count + 1)
    const controller = new AbortController()
    stream.onBreak((error) => controller.abort(error))
    protocol.handle(stream, controller.signal).then(
      () => stream.closeSend().catch(() => undefined),
      (error: unknown) => stream.abort(error instanceof Error ? error : new Error(String(error))),
    ).finally(() => this.#inbound.set(key, (this.#inbound.get(key) ?? 1) - 1)).catch(() => undefined)
  }

  // --- gossip ----------------------------------------------------------------------------------------------------

  #topic(name: string, bytesMax: number): GossipTopic {
    let topic = this.#topics.get(name)
    if (topic === undefined) this.#topics.set(name, (topic = { bytesMax, handler: undefined }))
    const made = topic
    return {
      publish: async (message) => {
        if (message.length > made.bytesMax) throw new CommonError('BAD_INPUT', `a message of ${message.length} bytes is too long for this topic`, { messageBytesMax: made.bytesMax })
        if (!this.up) throw new NetError('UNAVAILABLE', 'the network is stopped')
        const id = this.#world.random.float()
        this.#seenGossip.add(id)
        this.#spread(name, id, Uint8Array.from(message), this.self)
      },
      subscribe: (handler) => {
        made.handler = handler
        return () => {
          if (made.handler === handler) made.handler = undefined
        }
      },
    }
  }

  #spread(name: string, id: number, message: Uint8Array, author: NodeId): void {
    for (const peer of this.connected()) {
      if (peer !== author) this.#world.deliver(this.self, peer, () => void this.#world.nodes.get(peer)?.hear(name, id, message, author))
    }
  }

  async hear(name: string, id: number, message: Uint8Array, author: NodeId): Promise<void> {
    const topic = this.#topics.get(name)
    if (topic?.handler === undefined || this.#seenGossip.has(id) || message.length > topic.bytesMax) return
    this.#seenGossip.add(id)
    if ((await topic.handler(Uint8Array.from(message), author)) === 'accept') this.#spread(name, id, message, author)
  }

  // --- content routing -------------------------------------------------------------------------------------------

  async #provide(cids: readonly string[]): Promise<void> {
    for (const cid of cids) {
      this.#provided.add(cid)
      for (const peer of this.connected()) {
        this.#world.deliver(this.self, peer, () => {
          this.#world.nodes.get(peer)?.recordHolder(cid, this.self)
        })
      }
    }
  }

  recordHolder(cid: string, holder: NodeId): void {
    const holders = this.#records.get(cid) ?? new Set()
    holders.add(holder)
    this.#records.set(cid, holders)
  }

  async *#findProviders(cid: string, signal: AbortSignal): AsyncGenerator<NodeId> {
    const seen = new Set<NodeId>([this.self])
    const asked: (SimulatedNode | undefined)[] = [this, ...this.connected().map((peer) => this.#world.nodes.get(peer))]
    for (const node of asked) {
      if (node === undefined) continue
      if (node !== this) await this.#world.clock.sleep(this.#world.init.delayMs[1], signal)
      if (node !== this && !this.#world.canReach(this.self, node.self)) continue
      for (const holder of [...(node.#records.get(cid) ?? []), ...(node.#provided.has(cid) ? [node.self] : [])]) {
        if (seen.has(holder)) continue
        seen.add(holder)
        yield holder
      }
    }
  }
}

/** One end of a stream; the other end is its mirror. */
class SimulatedByteStream implements ByteStream {
  readonly peer: NodeId
  readonly received: AsyncIterable<Uint8Array>
  readonly #world: SimulatedNetwork
  readonly #self: NodeId
  #other: SimulatedByteStream | undefined
  readonly #chunks: Uint8Array[] = []
  #underWayBytes = 0
  #holed = false
  #sendClosed = false
  #remoteClosed = false
  #error: Error | undefined
  #wakeReader: (() => void) | undefined
  #wakeSender: (() => void) | undefined
  readonly #onBreak = new Set<(error: Error) => void>()

  static pair(world: SimulatedNetwork, a: NodeId, b: NodeId): [SimulatedByteStream, SimulatedByteStream] {
    const near = new SimulatedByteStream(world, a, b)
    const far = new SimulatedByteStream(world, b, a)
    near.#other = far
    far.#other = near
    return [near, far]
  }

  private constructor(world: SimulatedNetwork, self: NodeId, peer: NodeId) {
    this.#world = world
    this.#self = self
    this.peer = peer
    this.received = { [Symbol.asyncIterator]: () => this.#read() }
  }

  async send(bytes: Uint8Array | readonly Uint8Array[]): Promise<void> {
    for (const chunk of bytes instanceof Uint8Array ? [bytes] : bytes) {
      while (this.#underWayBytes >= this.#world.init.windowBytes && this.#error === undefined) {
        await new Promise<void>((resolve) => {
          this.#wakeSender = resolve
        })
      }
      if (this.#error !== undefined) throw this.#error
      if (this.#sendClosed) throw new NetError('ABORTED', 'the stream was closed for sending')
      this.#underWayBytes += chunk.length
      const copy = Uint8Array.from(chunk)
      this.#deliver(() => this.#other?.arrive(copy))
    }
  }

  async closeSend(): Promise<void> {
    if (this.#sendClosed || this.#error !== undefined) return
    this.#sendClosed = true
    this.#deliver(() => this.#other?.arrive(undefined))
  }

  /** As over TCP: behind bytes that did not arrive nothing does, and after a while both ends notice. */
  #deliver(arrive: () => void): void {
    if (this.#holed) return
    this.#world.deliver(this.#self, this.peer, () => { if (!this.#holed) arrive() }, { lossless: true, lost: () => {
      if (this.#holed) return
      this.#holed = true
      this.#world.clock.setTimer(this.#world.init.noticeMs, () => {
        for (const end of [this, this.#other]) end?.break(new NetError('UNAVAILABLE', 'the connection broke', { peer: this.peer }))
      })
    } })
  }

  abort(error: Error): void {
    if (this.#error !== undefined || (this.#sendClosed && this.#remoteClosed)) return
    this.break(error)
    this.#world.deliver(this.#self, this.peer, () => this.#other?.break(new NetError('ABORTED', 'the other side aborted the stream', { peer: this.#self })), { lossless: true })
  }

  break(error: Error): void {
    if (this.#error !== undefined || (this.#sendClosed && this.#remoteClosed)) return
    this.#error = error
    this.#wakeReader?.()
    this.#wakeSender?.()
    for (const listener of this.#onBreak) listener(error)
  }

  onBreak(listener: (error: Error) => void): void {
    this.#onBreak.add(listener)
  }

  arrive(chunk: Uint8Array | undefined): void {
    if (chunk === undefined) this.#remoteClosed = true
    else this.#chunks.push(chunk)
    this.#wakeReader?.()
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) {
        const other = this.#other
        this.#world.deliver(this.#self, this.peer, () => {
          if (other === undefined) return
          other.#underWayBytes -= chunk.length
          other.#wakeSender?.()
        }, { lossless: true })
        yield chunk
        continue
      }
      if (this.#remoteClosed) return
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve
      })
    }
  }
}
