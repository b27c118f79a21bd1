import { CommonError, silentLog } from '../../../src/base/index.js'
import type { Connections, Gossip, GossipVerdict, NodeId, PeerEvents, Random, Rpc, RpcMethod } from '../../../src/base/index.js'
import { Emitter } from '../../../src/base/index.js'
import type { MembershipService } from '../../../src/membership/service.js'
import { openService } from '../../../src/membership/service.js'
import type { MembershipInit, MembershipNetwork } from '../../../src/membership/index.js'
import type { Home, ManualClock } from '../../unit/membership/fixtures.js'
import { knock } from '../../unit/membership/fixtures.js'

/**
 * A mesh of production memberships over a network that loses gossip, cuts links and stops machines. Connections are made
 * by the same admission checks as real ones; redialling is a timer of the simulation, as `net` would do it.
 */
export class SimulatedMesh {
  readonly nodes = new Map<NodeId, SimulatedNode>()
  readonly clock: ManualClock
  readonly random: Random
  readonly init: MembershipInit
  /** Share of gossip deliveries that are lost. */
  gossipLoss = 0
  /** Share of requests that fail. */
  rpcLoss = 0
  gossipBytes = 0
  rpcBytes = 0
  verdicts = { accept: 0, ignore: 0, reject: 0 }
  /** Pairs that cannot reach each other. */
  readonly #walls = new Set<string>()

  constructor(components: { clock: ManualClock; random: Random; init: MembershipInit }) {
    this.clock = components.clock
    this.random = components.random
    this.init = components.init
  }

  async start(home: Home, name: string): Promise<SimulatedNode> {
    const node = new SimulatedNode(this, home, name)
    await node.start()
    return node
  }

  wall(a: NodeId, b: NodeId, stands: boolean): void {
    const key = [a, b].sort().join()
    if (stands) this.#walls.add(key)
    else this.#walls.delete(key)
    if (stands) this.disconnect(a, b)
  }

  canReach(a: NodeId, b: NodeId): boolean {
    const other = this.nodes.get(b)
    return other?.isUp === true && this.nodes.get(a)?.isUp === true && !this.#walls.has([a, b].sort().join())
  }

  async connect(a: SimulatedNode, b: SimulatedNode): Promise<void> {
    if (a === b || a.peers.has(b.id) || !this.canReach(a.id, b.id)) return
    await knock(a.service, b.service, b.home)
    await knock(b.service, a.service, a.home)
    if (a.peers.has(b.id) || !this.canReach(a.id, b.id)) return
    a.peers.add(b.id)
    b.peers.add(a.id)
    a.events.emit('connected', b.id)
    b.events.emit('connected', a.id)
  }

  disconnect(a: NodeId, b: NodeId): void {
    for (const [one, other] of [[a, b], [b, a]] as const) {
      const node = this.nodes.get(one)
      if (node?.peers.delete(other) === true) node.events.emit('disconnected', other)
    }
  }

  /** Floods along connections, as gossip does: only what is accepted goes on. */
  async gossip(from: SimulatedNode, message: Uint8Array): Promise<void> {
    const seen = new Set<NodeId>([from.id])
    let edge = [from]
    while (edge.length > 0) {
      const next: SimulatedNode[] = []
      for (const node of edge) {
        for (const peer of node.peers) {
          const other = this.nodes.get(peer)
          if (other === undefined || seen.has(peer) || !this.canReach(node.id, peer)) continue
          this.gossipBytes += message.length
          if (this.random.float() < this.gossipLoss) continue
          seen.add(peer)
          const verdict = (await other.handler?.(Uint8Array.from(message), from.id)) ?? 'ignore'
          this.verdicts[verdict]++
          if (verdict === 'accept') next.push(other)
        }
      }
      edge = next
    }
  }
}

export class SimulatedNode implements Connections {
  readonly home: Home
  readonly name: string
  readonly peers = new Set<NodeId>()
  readonly events = new Emitter<PeerEvents>()
  readonly rows = new Map<string, RpcMethod>()
  readonly kept = new Map<NodeId, () => readonly string[]>()
  readonly wakers = new Set<(sleptMs: number) => void>()
  handler: ((message: Uint8Array, from: NodeId) => GossipVerdict | Promise<GossipVerdict>) | undefined
  service!: MembershipService
  isUp = false
  readonly #mesh: SimulatedMesh
  #stop: (() => Promise<void>) | undefined

  constructor(mesh: SimulatedMesh, home: Home, name: string) {
    this.#mesh = mesh
    this.home = home
    this.name = name
  }

  get id(): NodeId {
    return this.home.signer.nodeId
  }

  get self(): NodeId {
    return this.id
  }

  get address(): string {
    return `/memory/${this.name}/p2p/${this.id}`
  }

  async start(): Promise<void> {
    const { clock, nodes } = this.#mesh
    this.service = await openService({ ...this.home, clock, log: silentLog }, this.#mesh.init)
    this.service.describeSelf({ name: this.name, region: 'here', segment: 's', power: 'mains', addresses: [this.address], version: '1' })
    nodes.set(this.id, this)
    this.isUp = true
    const stop = new AbortController()
    const running = Promise.all([this.service.run(this.#network(), stop.signal), this.#redialling(stop.signal)])
    running.catch((error: unknown) => {
      throw error
    })
    this.#stop = async () => {
      stop.abort(new Error('stopped'))
      await running
    }
  }

  async stop(): Promise<void> {
    this.isUp = false
    for (const peer of [...this.peers]) this.#mesh.disconnect(this.id, peer)
    await this.#stop?.()
    this.rows.clear()
    this.kept.clear()
  }

  /** Power gone: nothing is written any more, others notice by silence alone. */
  freeze(): void {
    this.isUp = false
  }

  thaw(sleptMs: number): void {
    this.isUp = true
    for (const wake of this.wakers) wake(sleptMs)
  }

  connected(): NodeId[] {
    return [...this.peers]
  }

  isConnected(peer: NodeId): boolean {
    return this.peers.has(peer)
  }

  rttMs(): number | undefined {
    return undefined
  }

  on<Name extends keyof PeerEvents>(name: Name, listener: (peer: PeerEvents[Name]) => void): () => void {
    return this.events.on(name, listener)
  }

  /** By name, whatever order things became known in. */
  view(): Record<string, string> {
    const states = this.service.members().map((one): [string, string] => [one.name || one.peerId, one.revoked ? 'removed' : one.state])
    return Object.fromEntries(states.sort())
  }

  async #redialling(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#mesh.clock.sleep(500 + this.#mesh.random.float() * 1000, signal)
      } catch {
        return
      }
      for (const [peer, addresses] of this.kept) {
        const other = this.#mesh.nodes.get(peer)
        // An address that leads elsewhere leads nowhere.
        if (other === undefined || !addresses().includes(other.address)) continue
        await this.#mesh.connect(this, other).catch(() => undefined)
      }
    }
  }

  #network(): MembershipNetwork {
    const mesh = this.#mesh
    const rpc: Rpc = {
      register: (method) => this.rows.set(method.name, method),
      request: async (peer, method, body, { signal }) => {
        const other = mesh.nodes.get(peer)
        if (!this.peers.has(peer) || other === undefined) throw new CommonError('UNAVAILABLE', 'not connected')
        if (!mesh.canReach(this.id, peer) || mesh.random.float() < mesh.rpcLoss) throw new CommonError('DEADLINE', 'no answer')
        const row = other.rows.get(method)
        if (row === undefined) throw new CommonError('UNAVAILABLE', 'no such method')
        if (body.length > row.requestBytesMax) throw new CommonError('BAD_INPUT', 'too long')
        const answer = await row.handle(Uint8Array.from(body), { from: this.id, signal: signal ?? new AbortController().signal })
        mesh.rpcBytes += body.length + answer.length
        if (answer.length > row.responseBytesMax) throw new CommonError('INTERNAL', 'too long an answer')
        return Uint8Array.from(answer)
      },
    }
    const gossip: Gossip = {
      topic: () => ({
        publish: async (message) => {
          if (this.isUp) await mesh.gossip(this, message)
        },
        subscribe: (handler) => {
          this.handler = handler
          return () => {
            this.handler = undefined
          }
        },
      }),
    }
    return {
      connections: this,
      gossip,
      rpc,
      cut: async (peer) => {
        this.kept.delete(peer)
        mesh.disconnect(this.id, peer)
      },
      keep: (peer, addresses) => this.kept.set(peer, addresses),
      release: (peer) => this.kept.delete(peer),
      onWake: (listener) => {
        this.wakers.add(listener)
        return () => this.wakers.delete(listener)
      },
    }
  }
}
