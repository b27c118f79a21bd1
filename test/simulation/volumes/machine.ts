import type { Bulk, CallOptions, NodeId, Random, Rpc, RpcMethod } from '../../../src/base/index.js'
import { CommonError, seededRandom, silentLog } from '../../../src/base/index.js'
import type { Log } from '../../../src/base/index.js'
import { createEngine, createReplicaDisk } from '../../../src/volumes/index.js'
import type { ClosableReplicaDisk, EngineInit, OpenDevice, OpenOptions, ReplicaDisk, VolumeIdentity } from '../../../src/volumes/index.js'
import type { Engine, MigrationAnswer } from '../../../src/volumes/engine/index.js'
import { MemoryDatabase, MemorySlice } from '../../unit/volumes/disk-store.js'
import type { VirtualClock } from '../net-clock.js'
import { idOf } from '../net-twin.js'
import type { SimulatedNetwork, SimulatedNode } from '../net-twin.js'
import { ConsensusTwin } from './register-twin.js'
import type { RegisterTwin } from './register-twin.js'
import type { RealConsensus, RealVoters } from './real-voters.js'
import './spoiled-memory.js'

export const volumeId = '000102030405060708090a0b0c0d0e0f'
export const settings = { durability: 'flush', replicas: 2, policy: 'basic' } as const

/** What becomes of a request: `drop`: it never arrives; `mute`: it is done, and the answer never arrives; `late`: it is on its way until this is over; `slow`: its answer is. */
export type Fate = 'pass' | 'drop' | 'mute' | 'late' | 'slow'

export interface MachineComponents {
  readonly clock: VirtualClock
  readonly network: SimulatedNetwork
  readonly registers: RegisterTwin
  /** In place of the registers' twin. */
  readonly voters?: RealVoters | undefined
  readonly random: Random
  readonly log?: Log
  /** Watches what a disk is told, for checks. */
  readonly watch?: (node: NodeId, disk: ReplicaDisk) => ReplicaDisk
  readonly gate?: (from: NodeId, to: NodeId, method: string) => Fate
  /** How much longer than others a message is on its way: asked once for a request, once for its answer. */
  readonly lagMs?: () => number
  /** How long the disk takes over one thing. */
  readonly diskMs?: () => number
}

export interface MachineInit {
  readonly number: number
  readonly replicas: number
  readonly durability?: 'flush' | 'writethrough'
  readonly sizeBytes: number
  readonly engine: Partial<EngineInit>
  readonly places: (count: number, not: readonly NodeId[]) => NodeId[]
  readonly isLeaving?: (node: NodeId) => boolean
  readonly decide?: (asker: NodeId, range: { start: number; blocks: number }) => MigrationAnswer
  readonly clockErrorMs?: number
}

/** One machine: a database that outlives its processes, and the process that runs now. */
export class Machine {
  readonly id: NodeId
  readonly database = new MemoryDatabase()
  readonly node: SimulatedNode
  engine: Engine | undefined
  disk: ClosableReplicaDisk | undefined
  /** Volumes that the policy was told to forget. */
  readonly forgotten: string[] = []
  device: OpenDevice | undefined
  consensus: ConsensusTwin | RealConsensus | undefined
  #controller = new AbortController()
  #life = { dead: true }
  readonly #components: MachineComponents
  readonly #init: MachineInit
  readonly #methods = new Map<string, RpcMethod>()

  constructor(components: MachineComponents, init: MachineInit) {
    this.#components = components
    this.#init = init
    this.id = components.voters?.idOf(init.number) ?? idOf(init.number)
    this.node = components.network.node(this.id)
    const { clock, diskMs } = components
    if (diskMs !== undefined) {
      this.database.pause = async () => {
        const ms = diskMs()
        await (ms > 0 ? clock.sleep(ms) : Promise.resolve())
      }
    }
  }

  get up(): boolean {
    return !this.#life.dead
  }

  async start(): Promise<void> {
    const { clock, registers, voters, log = silentLog } = this.#components
    const life = { dead: false }
    this.#life = life
    if (!this.node.up) {
      // Whoever still has a connection to the machine as it was is told now at the latest that it is none.
      this.#disconnect()
      this.node.restart()
    }
    const disk = await createReplicaDisk({ log: new MemorySlice(this.database, Buffer.from('log')), meta: new MemorySlice(this.database, Buffer.from('meta')), clock, journal: log })
    if (isDead(life)) return
    this.disk = disk
    const consensus = voters === undefined ? new ConsensusTwin(registers, this.id, this.#init.clockErrorMs) : await voters.join({ number: this.#init.number, database: this.database, rpc: this.#rpc(life), connections: this.node, log })
    if (isDead(life)) return
    this.consensus = consensus
    consensus.start()
    this.#controller = new AbortController()
    const watched = this.#components.watch?.(this.id, disk) ?? disk
    const engine = createEngine({
      disk: whileAlive(watched, life), consensus, rpc: this.#rpc(life), bulk: this.#bulk(life), connections: this.node,
      heat: { record: () => undefined },
      policy: {
        decide: (question) => this.#init.decide?.(question.asker.node, question) ?? { type: 'stay', explanation: 'never' },
        ended: () => undefined, arrived: () => undefined, forget: (volume) => { this.forgotten.push(volume) },
      },
      places: { choose: (_id, count, not) => this.#init.places(count, not), nodes: () => 3, isLeaving: (node) => this.#init.isLeaving?.(node) ?? false },
      settingsOf: async () => ({ ...settings, replicas: this.#init.replicas }),
      regionOf: () => 'r', clock, random: seededRandom(this.#components.random.below(2 ** 31)), log,
    }, this.#init.engine)
    this.engine = engine
    void engine.run(this.#controller.signal).catch(() => undefined)
    this.device = await engine.open(this.#identity(), {})
  }

  /** The process dies; `power`: the machine, too, and what it had not synced is lost in part. */
  crash(power: boolean): void {
    this.#life.dead = true
    this.consensus?.die()
    this.consensus = undefined
    // What a dead process still does to its database has no effect.
    this.database.life++
    this.engine = undefined
    this.device = undefined
    this.#methods.clear()
    this.node.crash()
    if (power) this.database.losePower(this.#components.random)
    // The system says for a dead process that its connections are over; nobody says it for a machine without power.
    else this.#disconnect()
  }

  #disconnect(): void {
    const { network } = this.#components
    for (const peer of network.nodes.keys()) if (peer !== this.id) network.dropAt(this.id, peer)
  }

  async reopen(): Promise<void> {
    const old = this.device
    await old?.close().catch(() => undefined)
    const made = await this.engine?.open(this.#identity(), {})
    this.device = made
  }

  /** Beside the one that is there. */
  async openAnother(options: OpenOptions): Promise<OpenDevice> {
    if (this.engine === undefined) throw new Error('it is down')
    return this.engine.open(this.#identity(), options)
  }

  #identity(): VolumeIdentity {
    const { replicas, sizeBytes, durability = settings.durability } = this.#init
    return { ...settings, durability, replicas, id: volumeId, sizeBytes }
  }

  #rpc(life: { dead: boolean }): Rpc {
    return {
      register: (method) => {
        if (!this.#registered.has(method.name)) {
          this.#registered.add(method.name)
          this.node.rpc.register({ ...method, handle: async (body, context) => {
            const current = this.#methods.get(method.name)
            if (current === undefined) return new Promise(() => undefined)
            return current.handle(body, context)
          } })
        }
        this.#methods.set(method.name, method)
      },
      request: async (peer, method, body, options) => {
        if (life.dead) return new Promise(() => undefined)
        const { gate, voters } = this.#components
        const fateNow = (): Fate => (method.startsWith('lease.') ? voters?.gate(this.id, peer) ?? 'pass' : gate?.(this.id, peer, method) ?? 'pass')
        const fate = fateNow()
        if (fate === 'mute') void this.node.rpc.request(peer, method, body, options).catch(() => undefined)
        if (fate === 'mute' || fate === 'drop') {
          await this.#components.clock.sleep(options.deadlineMs, options.signal)
          throw new CommonError('DEADLINE', 'no answer')
        }
        const answer = await this.#send({ peer, method, body, options }, fate, fateNow).catch(async (error: unknown) => {
          if (life.dead) await new Promise(() => undefined)
          throw error
        })
        if (isDead(life)) await new Promise(() => undefined)
        return answer
      },
    }
  }

  /** What is late arrives whatever became of who sent it, and is answered. */
  async #send({ peer, method, body, options }: { peer: NodeId; method: string; body: Uint8Array; options: CallOptions }, fate: Fate, fateNow: () => Fate): Promise<Uint8Array> {
    const { clock, lagMs } = this.#components
    const [there, back] = lagMs === undefined || method.startsWith('lease.') ? [0, 0] : [lagMs(), lagMs()]
    if (there === 0 && back === 0 && fate === 'pass') return this.node.rpc.request(peer, method, body, options)
    const work = async (): Promise<Uint8Array> => {
      if (there > 0) await clock.sleep(there)
      while (fate === 'late' && fateNow() === 'late') await clock.sleep(1)
      const answer = await this.node.rpc.request(peer, method, body, { deadlineMs: options.deadlineMs })
      if (back > 0) await clock.sleep(back)
      while (fate === 'slow' && fateNow() === 'slow') await clock.sleep(1)
      return answer
    }
    const late = async (): Promise<never> => {
      await clock.sleep(options.deadlineMs, options.signal)
      throw new CommonError('DEADLINE', 'no answer')
    }
    const working = work()
    working.catch(() => undefined)
    return Promise.race([working, late()])
  }

  /** Its streams break with the process; what still comes for it finds nobody. */
  #bulk(life: { dead: boolean }): Bulk {
    return {
      register: (protocol) => {
        this.node.bulk.register({ ...protocol, handle: async (stream, signal) => {
          if (life.dead) throw new Error('nobody is here')
          await protocol.handle(stream, signal)
        } })
      },
      open: async (peer, protocol, options) => {
        if (life.dead) return new Promise(() => undefined)
        const isShut = (): boolean => (this.#components.gate?.(this.id, peer, 'volume.append') ?? 'pass') !== 'pass'
        const shut = async (): Promise<never> => {
          await this.#components.clock.sleep(50)
          throw new CommonError('UNAVAILABLE', 'no way there')
        }
        if (isShut()) return shut()
        const stream = await this.node.bulk.open(peer, protocol, options)
        if (isDead(life)) {
          stream.abort(new Error('nobody is here'))
          await new Promise(() => undefined)
        }
        if (this.#components.gate === undefined) return stream
        return {
          peer, received: stream.received,
          send: async (bytes) => {
            if (!isShut()) return stream.send(bytes)
            stream.abort(new CommonError('UNAVAILABLE', 'no way there'))
            return shut()
          },
          closeSend: async () => stream.closeSend(),
          abort: (error) => { stream.abort(error) },
        }
      },
    }
  }

  readonly #registered = new Set<string>()
}

function isDead(life: { readonly dead: boolean }): boolean {
  return life.dead
}

/** A dead process's calls to its disk do nothing, and never return. */
function whileAlive(disk: ReplicaDisk, life: { dead: boolean }): ReplicaDisk {
  return new Proxy(disk, {
    get(target, name, receiver) {
      const found: unknown = Reflect.get(target, name, receiver)
      if (typeof found !== 'function') return found
      if (name === 'segments') return (...parts: unknown[]): unknown => Reflect.apply(found, target, parts)
      if (name === 'readNow') return (...parts: unknown[]): unknown => (life.dead ? undefined : Reflect.apply(found, target, parts))
      return (...parts: unknown[]) => {
        if (life.dead) return new Promise(() => undefined)
        const result: unknown = Reflect.apply(found, target, parts)
        return Promise.resolve(result).then((value) => (life.dead ? new Promise(() => undefined) : value), (error: unknown) => (life.dead ? new Promise(() => undefined) : Promise.reject(error)))
      }
    },
  })
}
