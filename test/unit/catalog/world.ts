import crypto, { createHash } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { CID } from 'multiformats/cid'
import { create as digestOf } from 'multiformats/hashes/digest'
import type { Cancel, Clock, Connections, Gossip, GossipVerdict, NodeId, PeerEvents, Random, Rpc, RpcMethod, Signer } from '../../../src/base/index.js'
import { CommonError, createSigner, Emitter, seededRandom, silentLog } from '../../../src/base/index.js'
import type { Catalog, CatalogInit, FileRecord } from '../../../src/catalog/index.js'
import { openCatalog } from '../../../src/catalog/index.js'
import { MemoryKeyValue } from './memory-key-value.js'

/** A CID of raw bytes, for tests: content by name. */
export function cidOf(name: string): string {
  return CID.createV1(0x55, digestOf(0x12, createHash('sha256').update(name).digest())).toString()
}

export function signerOf(name: string): Signer {
  return createSigner(createHash('sha256').update(`node ${name}`).digest())
}

/** Time that stands still until told; each node may have its own offset. */
export class VirtualTime {
  now = Date.UTC(2026, 10, 21, 12, 34, 56)
  readonly #timers = new Set<{ at: number; run: () => void }>()

  clock(offset: () => number = () => 0): Clock {
    const setTimer = (ms: number, run: () => void): Cancel => {
      const timer = { at: this.now + Math.max(0, ms), run }
      this.#timers.add(timer)
      return () => {
        this.#timers.delete(timer)
      }
    }
    return {
      wallMs: () => this.now + offset(),
      monotonicMs: () => this.now,
      setTimer,
      async sleep(ms, signal) {
        signal?.throwIfAborted()
        await new Promise<void>((resolve, reject) => {
          const onAbort = (): void => {
            cancel()
            reject(signal?.reason as Error)
          }
          const cancel = setTimer(ms, () => {
            signal?.removeEventListener('abort', onAbort)
            resolve()
          })
          signal?.addEventListener('abort', onAbort, { once: true })
        })
      },
    }
  }

  /** Goes on by `ms`, timer by timer, letting everything settle after each. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms
    await settle()
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.now = Math.max(this.now, due.at)
      due.run()
      await settle()
    }
    this.now = end
  }
}

let busy = 0

// Signatures are verified in the thread pool, which knows nothing of virtual time: count what is in there.
type Verified = (error: Error | null, ok: boolean) => void
const verify = crypto.verify as (...args: unknown[]) => unknown
const counting = (...args: unknown[]): unknown => {
  const callback = args[4] as Verified | undefined
  if (callback === undefined) return verify(...args)
  busy++
  const counted: Verified = (error, ok) => {
    busy--
    callback(error, ok)
  }
  return verify(...args.slice(0, 4), counted)
}
Object.assign(crypto, { verify: counting })
syncBuiltinESMExports()

/** Until promises, and the thread pool's answers, have come to rest: turns of the event loop, no time. */
export async function settle(): Promise<void> {
  let quiet = 0
  for (let turn = 0; quiet < 4 && turn < 100_000; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
    quiet = busy === 0 ? quiet + 1 : 0
  }
}

/** Counts work under way, so that `settle` waits for it. */
export async function tracked<T>(work: () => Promise<T>): Promise<T> {
  busy++
  try {
    return await work()
  } finally {
    busy--
  }
}

interface Host {
  id: NodeId
  methods: Map<string, RpcMethod>
  hear: Set<(message: Uint8Array, from: NodeId) => GossipVerdict | Promise<GossipVerdict>>
  events: Emitter<PeerEvents>
  up: boolean
}

/** A network in memory: links that are there or not, gossip that may be lost, bytes counted. */
export class World {
  readonly time = new VirtualTime()
  readonly random: Random
  readonly #hosts = new Map<NodeId, Host>()
  readonly #cut = new Set<string>()
  lossOfGossip = 0
  /** Connected, and asleep: whoever asks them waits for as long as it has patience. */
  readonly silent = new Set<NodeId>()
  requests: { method: string; request: number; response: number }[] = []
  gossipMessages = 0
  verdicts: GossipVerdict[] = []

  constructor(seed = 1) {
    this.random = seededRandom(seed)
  }

  isLinked(a: NodeId, b: NodeId): boolean {
    return a !== b && this.#hosts.get(a)?.up === true && this.#hosts.get(b)?.up === true && !this.#cut.has([a, b].sort().join())
  }

  link(a: NodeId, b: NodeId, linked: boolean): void {
    const was = this.isLinked(a, b)
    const key = [a, b].sort().join()
    if (linked) this.#cut.delete(key)
    else this.#cut.add(key)
    this.#tell(a, b, was)
  }

  setUp(id: NodeId, up: boolean): void {
    const others = [...this.#hosts.keys()].filter((other) => other !== id)
    const was = new Map(others.map((other) => [other, this.isLinked(id, other)]))
    const host = this.#host(id)
    host.up = up
    if (!up) {
      host.methods.clear()
      host.hear.clear()
    }
    for (const other of others) this.#tell(id, other, was.get(other) === true)
  }

  network(id: NodeId): { gossip: Gossip; rpc: Rpc; connections: Connections } {
    const host = this.#host(id)
    const connected = (): NodeId[] => [...this.#hosts.keys()].filter((other) => this.isLinked(id, other))
    return {
      connections: {
        self: id,
        connected,
        isConnected: (peer) => this.isLinked(id, peer),
        rttMs: () => 1,
        on: (name, listener) => host.events.on(name, listener),
      },
      gossip: {
        topic: () => ({
          publish: async (message) => {
            this.gossipMessages++
            for (const peer of connected()) {
              if (this.random.float() < this.lossOfGossip) continue
              for (const hear of this.#host(peer).hear) {
                void tracked(async () => {
                  this.verdicts.push(await hear(message, id))
                })
              }
            }
          },
          subscribe: (handler) => {
            host.hear.add(handler)
            return () => host.hear.delete(handler)
          },
        }),
      },
      rpc: {
        register: (method) => void host.methods.set(method.name, method),
        request: async (peer, name, body, options) => {
          if (this.silent.has(peer)) {
            await this.time.clock().sleep(options.deadlineMs, options.signal)
            throw new CommonError('DEADLINE', 'no answer')
          }
          return tracked(async () => {
            options.signal?.throwIfAborted()
            const method = this.#host(peer).methods.get(name)
            if (!this.isLinked(id, peer) || method === undefined) throw new CommonError('UNAVAILABLE', 'not connected')
            if (body.length > method.requestBytesMax) throw new CommonError('BAD_INPUT', `${name}: request of ${body.length} bytes`)
            const response = await method.handle(body, { from: id, signal: options.signal ?? new AbortController().signal })
            if (!this.isLinked(id, peer)) throw new CommonError('UNAVAILABLE', 'the connection broke')
            if (response.length > method.responseBytesMax) throw new CommonError('INTERNAL', `${name}: response of ${response.length} bytes`)
            this.requests.push({ method: name, request: body.length, response: response.length })
            return response
          })
        },
      },
    }
  }

  #host(id: NodeId): Host {
    let host = this.#hosts.get(id)
    if (host === undefined) this.#hosts.set(id, (host = { id, methods: new Map(), hear: new Set(), events: new Emitter(), up: false }))
    return host
  }

  #tell(a: NodeId, b: NodeId, was: boolean): void {
    const is = this.isLinked(a, b)
    if (is === was) return
    const name = is ? 'connected' : 'disconnected'
    this.#host(a).events.emit(name, b)
    this.#host(b).events.emit(name, a)
  }
}

/** A node of the world: its disk survives a restart. */
export class TestNode {
  readonly meta: MemoryKeyValue
  readonly signer: Signer
  readonly name: string
  clockOffset = 0
  #catalog: Catalog | undefined
  readonly #world: World
  readonly #init: CatalogInit
  readonly #isMember: (id: NodeId, writtenMs: number) => boolean
  #stop: AbortController | undefined
  #running: Promise<void> | undefined

  constructor(world: World, name: string, init: CatalogInit = {}, isMember: (id: NodeId, writtenMs: number) => boolean = () => true) {
    this.#world = world
    this.name = name
    this.signer = signerOf(name)
    this.meta = new MemoryKeyValue()
    this.#init = init
    this.#isMember = isMember
  }

  get id(): NodeId {
    return this.signer.nodeId
  }

  get catalog(): Catalog {
    if (this.#catalog === undefined) throw new Error(`${this.name} is not open`)
    return this.#catalog
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }

  async open(): Promise<this> {
    this.#catalog = await openCatalog(
      {
        meta: this.meta,
        signer: this.signer,
        clock: this.#world.time.clock(() => this.clockOffset),
        random: this.#world.random,
        log: silentLog,
        isMember: this.#isMember,
      },
      this.#init,
    )
    return this
  }

  /** Opens anew, and runs. */
  async start(): Promise<this> {
    await this.open()
    this.#stop = new AbortController()
    const network = this.#world.network(this.id)
    this.#running = this.catalog.run(network, this.#stop.signal)
    this.#world.setUp(this.id, true)
    return this
  }

  async stop(): Promise<void> {
    this.#world.setUp(this.id, false)
    this.#stop?.abort(new Error('stopped'))
    await this.#running
    this.#running = undefined
  }

  async put(path: string, content: string, more: { token?: bigint } = {}): Promise<FileRecord> {
    const [record] = await this.catalog.apply([{ path, content: { cid: cidOf(content), size: content.length }, ...more }])
    return record!
  }

  async rm(path: string): Promise<void> {
    await this.catalog.apply([{ path, content: 'deleted' }])
  }

  /** `path → CID` of all that is to be seen, in order. */
  async listing(folder = '/'): Promise<string[]> {
    const lines = []
    for await (const record of this.catalog.list(folder)) lines.push(`${record.path} ${record.content?.cid ?? ''}`)
    return lines
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all = []
  for await (const item of items) all.push(item)
  return all
}
