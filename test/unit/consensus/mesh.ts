import type { CallOptions, Connections, NodeId, Rpc, RpcMethod, Signer } from '../../../src/base/index.js'
import { CommonError, createSigner, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { Consensus } from '../../../src/consensus/driver/service.js'
import type { MemoryFile } from '../../../src/consensus/driver/memory-file.js'
import type { ConfigRecord } from '../../../src/consensus/config.js'
import type { Readings, Timing } from '../../../src/consensus/clocks.js'
import type { Slot } from '../../../src/consensus/rounds/memory.js'
import { slotCount } from '../../../src/consensus/rounds/memory.js'
import { createSeals, firstConfig } from '../../../src/consensus/seals.js'
import { MemoryKeyValue } from '../catalog/memory-key-value.js'

/** Short terms, so that expiry can be waited for. */
export const timing: Partial<Timing> = { voterMs: 1200, holderMs: 850, renewMs: 150, tryMs: 300 }

export class TestMemoryFile implements MemoryFile {
  slots: Slot[] = []
  fails = false

  get sequence(): number | undefined {
    return this.slots[this.slots.length - 1]?.sequence
  }

  /** The number alone, as if nothing else had ever been there. */
  set sequence(sequence: number | undefined) {
    this.slots = sequence === undefined ? [] : [{ sequence, generation: 1 }]
  }

  async read(): Promise<readonly Slot[]> {
    return [...this.slots]
  }

  async put(sequence: number, batch?: Uint8Array): Promise<void> {
    if (this.fails) throw new Error('the disk is gone')
    const generation = (this.slots[this.slots.length - 1]?.generation ?? 0) + 1
    this.slots = [...this.slots, { sequence, generation, ...(batch === undefined ? {} : { batch }) }].slice(-slotCount)
  }

  async close(): Promise<void> {
    return
  }
}

export interface TestNode {
  readonly id: NodeId
  readonly signer: Signer
  readonly store: MemoryKeyValue
  readonly memoryFile: TestMemoryFile
  consensus: Consensus
  rpc: Rpc
  connections: Connections
  /** The network goes with it, unless it is to be the last that does. */
  stop: (options?: { keepsNetwork: boolean }) => Promise<void>
}

/** Nodes in one process; what is sent arrives at once, unless the link is cut. */
export class TestMesh {
  readonly nodes: TestNode[] = []
  readonly cuts = new Set<string>()
  /** How far a node's wall clock is off. */
  readonly wallSkewMs = new Map<NodeId, number>()
  /** What arrives instead of an answer. */
  answers: ((from: NodeId, to: NodeId, answer: Uint8Array) => Uint8Array) | undefined
  /** Requests by method. */
  readonly sent = new Map<string, number>()
  /** How long a message is on its way, each way, ms. */
  delayMs = 0
  /** What somebody has set the clock to. */
  wallOffsetMs = 0
  readonly #methods = new Map<NodeId, Map<string, RpcMethod>>()
  readonly #authority = createSigner(new Uint8Array(32).fill(99))
  readonly #timing: Partial<Timing>
  #first: ConfigRecord | undefined

  constructor(init: Partial<Timing> = timing) {
    this.#timing = init
  }

  async add(): Promise<TestNode> {
    const signer = createSigner(new Uint8Array(32).fill(this.nodes.length + 1))
    const node = { id: signer.nodeId, signer, store: new MemoryKeyValue(), memoryFile: new TestMemoryFile() } as TestNode
    this.nodes.push(node)
    if (this.#first === undefined) {
      // What `init` does: make the store, then the configuration that names it.
      const incarnation = Buffer.from(systemRandom.bytes(16)).toString('hex')
      await node.store.write([node.store.put(Buffer.from('n:i'), Buffer.from(incarnation))])
      node.memoryFile.sequence = 0
      this.#first = firstConfig(this.#authority, { node: node.id, incarnation })
    }
    this.start(node)
    return node
  }

  start(node: TestNode): void {
    const methods = new Map<string, RpcMethod>()
    this.#methods.set(node.id, methods)
    const rpc: Rpc = {
      register: (method) => { methods.set(method.name, method) },
      request: async (peer, method, body, options) => this.#deliver(node.id, peer, method, body, options),
    }
    const connections: Connections = {
      self: node.id,
      connected: () => this.nodes.filter((other) => other !== node).map((other) => other.id),
      isConnected: () => true,
      rttMs: () => 1,
      on: () => () => undefined,
    }
    node.rpc = rpc
    node.connections = connections
    const controller = new AbortController()
    const readings = (): Readings => {
      const now = this.readings()
      return { ...now, wallMs: now.wallMs + (this.wallSkewMs.get(node.id) ?? 0) }
    }
    node.consensus = new Consensus(
      { store: node.store, memoryFile: node.memoryFile, rpc, connections, clock: systemClock, random: systemRandom, log: silentLog, seals: createSeals(node.signer, this.#authority.nodeId) },
      { clockKind: 'sleep-blind', readings, chain: this.#first === undefined ? [] : [this.#first], timing: this.#timing },
    )
    const running = node.consensus.run(controller.signal)
    node.stop = async ({ keepsNetwork } = { keepsNetwork: false }) => {
      controller.abort()
      if (!keepsNetwork) this.#methods.delete(node.id)
      await running
    }
  }

  readings(): Readings {
    return { hrtimeMs: performance.now(), uptimeMs: performance.now(), wallMs: Date.now() + this.wallOffsetMs }
  }

  async stopAll(): Promise<void> {
    for (const node of this.nodes) await node.stop()
  }

  async #deliver(from: NodeId, to: NodeId, name: string, body: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    await this.#way()
    const method = this.#methods.get(to)?.get(name)
    if (method === undefined || this.cuts.has(`${from}>${to}`)) throw new CommonError('UNAVAILABLE', 'no way there')
    if (body.length > method.requestBytesMax) throw new CommonError('BAD_INPUT', 'a request that the network does not carry')
    this.sent.set(name, (this.sent.get(name) ?? 0) + 1)
    const answer = await method.handle(body, { from, signal: options.signal ?? new AbortController().signal })
    if (this.delayMs > 0) await this.#way()
    if (answer.length > method.responseBytesMax) throw new CommonError('BAD_INPUT', 'an answer that the network does not carry')
    if (this.cuts.has(`${to}>${from}`) || !this.#methods.has(to)) throw new CommonError('UNAVAILABLE', 'no way back')
    return this.answers?.(to, from, answer) ?? answer
  }

  async #way(): Promise<void> {
    await new Promise((resolve) => { if (this.delayMs > 0) setTimeout(resolve, this.delayMs); else setImmediate(resolve) })
  }

  /** For parts that are tested by themselves. */
  async send(from: NodeId, to: NodeId, name: string, body: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    return this.#deliver(from, to, name, body, options)
  }

  register(node: NodeId, method: RpcMethod): void {
    this.#methods.get(node)?.set(method.name, method)
  }
}

/** Waits for a condition, at most `ms`. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 8000): Promise<void> {
  const endMs = performance.now() + ms
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error('it did not come true in time')
    await new Promise((resolve) => { setTimeout(resolve, 5) })
  }
}
