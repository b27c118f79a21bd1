import type { CallOptions, Connections, NodeId, Rpc, RpcMethod } from '../../../src/base/index.js'
import { CommonError, createSigner, HlcClock, seededRandom, silentLog } from '../../../src/base/index.js'
import { Consensus } from '../../../src/consensus/driver/service.js'
import type { Readings } from '../../../src/consensus/index.js'
import { createSeals, firstConfig } from '../../../src/consensus/seals.js'
import { LeaseService } from '../../../src/leases/service.js'
import { MemoryKeyValue } from '../../unit/catalog/memory-key-value.js'
import { TestMemoryFile } from '../../unit/consensus/mesh.js'
import { VirtualClock } from '../net-clock.js'

/** A quarter of a link's delay, so that answers come in the order in which they were sent. */
const stepMs = 0.25

export interface LineInit {
  readonly seed: number
  readonly agentsPerNode: number
  /** One way. */
  readonly delayMs: number
  readonly holdMs: number
  /** Of frames, from 0 to 1. */
  readonly loss?: number
}

/** One agent's turn, on the clock that all share here. */
export interface Turn {
  readonly agent: string
  readonly token: number
  readonly askedMs: number
  readonly gotMs: number
  readonly endedMs: number
}

/** Three nodes that all vote, and agents on each that want the same scope again and again, in virtual time: who gets it when. */
export class LineWorld {
  readonly clock = new VirtualClock()
  readonly turns: Turn[] = []
  readonly #init: LineInit
  readonly #random
  readonly #methods = new Map<NodeId, Map<string, RpcMethod>>()
  readonly #consensus: Consensus[] = []
  readonly #leases: LeaseService[] = []
  readonly #controller = new AbortController()
  #isOver = false
  /** Only once there are three voters. */
  #loses = false

  constructor(init: LineInit) {
    this.#init = init
    this.#random = seededRandom(init.seed)
  }

  async run(forMs: number): Promise<void> {
    const authority = createSigner(new Uint8Array(32).fill(200))
    const signers = [1, 2, 3].map((byte) => createSigner(new Uint8Array(32).fill(byte)))
    const stores = signers.map(() => new MemoryKeyValue())
    const incarnation = Buffer.from(this.#random.bytes(16)).toString('hex')
    await stores[0]!.write([stores[0]!.put(Buffer.from('n:i'), Buffer.from(incarnation))])
    const genesis = firstConfig(authority, { node: signers[0]!.nodeId, incarnation })
    const readings = (): Readings => ({ hrtimeMs: this.clock.monotonicMs(), uptimeMs: this.clock.monotonicMs(), wallMs: this.clock.wallMs() })
    for (const [i, signer] of signers.entries()) {
      const self = signer.nodeId
      const methods = new Map<string, RpcMethod>()
      this.#methods.set(self, methods)
      const rpc: Rpc = {
        register: (method) => { methods.set(method.name, method) },
        request: async (peer, method, body, options) => this.#deliver(self, peer, method, body, options),
      }
      const connections: Connections = {
        self, connected: () => signers.map(({ nodeId }) => nodeId).filter((id) => id !== self), isConnected: () => true, rttMs: () => 2 * this.#init.delayMs, on: () => () => undefined,
      }
      const common = { clock: this.clock, random: this.#random, log: silentLog, rpc, connections }
      const memoryFile = new TestMemoryFile()
      if (i === 0) memoryFile.sequence = 0
      const consensus = new Consensus(
        { ...common, store: stores[i]!, memoryFile, seals: createSeals(signer, authority.nodeId) }, { clockKind: 'sleep-blind', readings, chain: [genesis] },
      )
      void consensus.run(this.#controller.signal)
      const leases = new LeaseService({ ...common, consensus, store: new MemoryKeyValue(), hlc: new HlcClock(this.clock) }, { self, readings })
      void leases.run(this.#controller.signal)
      this.#consensus.push(consensus)
      this.#leases.push(leases)
    }
    await this.#until(() => this.#consensus.every(({ session }) => session !== undefined))
    let changed = false
    void this.#consensus[0]!.reconfigure(signers.map(({ nodeId }) => nodeId)).then(() => { changed = true })
    await this.#until(() => changed)
    this.#loses = true
    const endMs = this.clock.monotonicMs() + forMs
    const agents = this.#leases.map(async (leases, node) => Promise.all(Array.from({ length: this.#init.agentsPerNode }, async (_, i) => {
      await this.#agent(leases, `${String(node)}.${String(i)}`)
    })))
    await this.#until(() => this.clock.monotonicMs() >= endMs)
    this.#isOver = true
    let ended = false
    void Promise.all(agents).then(() => { ended = true })
    await this.#until(() => ended)
    this.#controller.abort()
    await this.#until(() => true)
  }

  async #agent(leases: LeaseService, agent: string): Promise<void> {
    while (!this.#isOver) {
      const askedMs = this.clock.monotonicMs()
      const lease = await leases.acquire('contended', { agent, ttlMs: 600_000, waitMs: 600_000 })
      const gotMs = this.clock.monotonicMs()
      if (this.#init.holdMs > 0) await this.clock.sleep(this.#init.holdMs)
      this.turns.push({ agent, token: lease.token, askedMs, gotMs, endedMs: this.clock.monotonicMs() })
      await leases.release(lease.leaseId)
    }
  }

  async #until(condition: () => boolean): Promise<void> {
    do {
      await this.clock.advance(stepMs)
      // Frames leave after the turn in which they were made: a few turns for all that follows at once.
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => { setImmediate(resolve) })
    } while (!condition())
  }

  async #deliver(from: NodeId, to: NodeId, name: string, body: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    await this.#way()
    const method = this.#methods.get(to)?.get(name)
    if (method === undefined) throw new CommonError('UNAVAILABLE', 'nobody there')
    const answer = await method.handle(body, { from, signal: options.signal ?? new AbortController().signal })
    await this.#way()
    return answer
  }

  async #way(): Promise<void> {
    const isLost = this.#loses && this.#random.float() < (this.#init.loss ?? 0)
    await new Promise<void>((resolve) => { this.clock.setTimer(this.#init.delayMs, resolve) })
    if (isLost) throw new CommonError('DEADLINE', 'lost on the way')
  }
}
