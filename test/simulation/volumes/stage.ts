import type { Log, NodeId } from '../../../src/base/index.js'
import { seededRandom, silentLog } from '../../../src/base/index.js'
import { decodeSegment } from '../../../src/volumes/engine/codec.js'
import { blockBytes, segmentBytes } from '../../../src/volumes/index.js'
import type { ReplicaDisk } from '../../../src/volumes/index.js'
import type { Segment } from '../../../src/volumes/segment.js'
import { VirtualClock } from '../net-clock.js'
import { SimulatedNetwork } from '../net-twin.js'
import { History, Violation } from './history.js'
import { Machine, volumeId } from './machine.js'
import type { Fate } from './machine.js'
import { RegisterTwin } from './register-twin.js'
import { spoil } from './spoiled-memory.js'

export type Name = 'A' | 'B' | 'C' | 'D' | 'E'
const names: readonly Name[] = ['A', 'B', 'C', 'D', 'E']
const blocks = 4
const id = { volume: volumeId, segment: 0 }

interface StageInit {
  readonly replicas: number
  readonly places: Name[]
  readonly durability?: 'flush' | 'writethrough'
  /** Copies in sync below which nothing is flushed. */
  readonly inSyncMin?: number
  /** How long a message is on its way. */
  readonly delayMs?: number
  readonly log?: Log
}

/**
 * Five machines and a story: each step is done before the next begins. The same checks as in the storm watch what is
 * read, block by block.
 */
export class Stage {
  readonly clock = new VirtualClock()
  readonly network: SimulatedNetwork
  readonly registers: RegisterTwin
  readonly history = new History(blocks)
  readonly #machines: ReadonlyMap<Name, Machine>
  readonly #gates = new Map<string, Fate>()
  /** How long a disk takes before it takes an entry. */
  readonly diskDelaysMs = new Map<Name, number>()
  /** Calls of disks that wait: by name and method. */
  readonly #stalls = new Map<string, { reached: boolean; readonly argument: unknown; readonly over: Promise<void> }>()
  /** Who may be given copies, the first first. */
  places: Name[]
  /** Who gives its copies up. */
  readonly leaving = new Set<Name>()
  #lives = 0
  readonly #clients = new Map<object, string>()

  constructor(init: StageInit) {
    const { clock } = this
    const random = seededRandom(1)
    const { log = silentLog } = init
    this.places = init.places
    this.network = new SimulatedNetwork({ clock, random, log }, { delayMs: init.delayMs === undefined ? [2, 3] : [init.delayMs, init.delayMs + 1], noticeMs: 500, redialMs: 100 })
    this.registers = new RegisterTwin(clock, random, [1, 2])
    const cuts = new Set<number>()
    this.registers.onChosen = (_scope, value) => {
      for (const { token, sequence } of decodeSegment(value.payload).cuts) {
        if (!cuts.has(token)) this.history.cut(0, token, sequence, clock.monotonicMs())
        cuts.add(token)
      }
    }
    const gate = (from: NodeId, to: NodeId, method: string): Fate => this.#gates.get(`${this.#nameOf(from)}>${this.#nameOf(to)} ${method}`) ?? 'pass'
    this.#machines = new Map(names.map((name, number) => [name, new Machine({ clock, network: this.network, registers: this.registers, random, log, gate, watch: (node, disk) => this.#watch(this.#nameOf(node), disk) }, {
      number, replicas: init.replicas, ...(init.durability === undefined ? {} : { durability: init.durability }), sizeBytes: segmentBytes,
      engine: { keepEveryMs: 500, replicaDeadlineMs: 900, operationDeadlineMs: 20_000, inSyncMin: init.inSyncMin ?? 1 },
      isLeaving: (node) => this.leaving.has(this.#nameOf(node)),
      places: (count, not) => this.places.map((place) => this.machine(place)).filter((machine) => machine.up && !not.includes(machine.id)).map((machine) => machine.id).slice(0, count),
    })]))
  }

  static async begin(init: StageInit): Promise<Stage> {
    const stage = new Stage(init)
    for (const name of names) await stage.clock.outcome(stage.machine(name).start())
    await stage.clock.advance(500)
    return stage
  }

  machine(name: Name): Machine {
    return this.#machines.get(name) as Machine
  }

  /** A message from one to the other of this kind meets this fate from now on. */
  gate(from: Name, to: Name, verb: 'append' | 'fence' | 'fetch' | 'copy' | 'access' | 'offer' | 'news', fate: Fate = 'drop'): void {
    const key = `${from}>${to} volume.${verb}`
    if (fate === 'pass') this.#gates.delete(key)
    else this.#gates.set(key, fate)
  }

  /** The next call of this method of a disk, with such an argument, waits until it is let go. */
  stall(name: Name, method: 'adopt' | 'setWhole', argument?: unknown): { readonly reached: () => boolean; readonly release: () => void } {
    let release = (): void => undefined
    const stall = { reached: false, argument, over: new Promise<void>((resolve) => { release = resolve }) }
    this.#stalls.set(`${name} ${method}`, stall)
    return { reached: () => stall.reached, release: () => { this.#stalls.delete(`${name} ${method}`); release() } }
  }

  /** Whatever the machine reads of a register from now on reaches it when it is let go. */
  lateReads(name: Name): () => void {
    const node = this.machine(name).id
    let release = (): void => undefined
    this.registers.lateReads.set(node, new Promise<void>((resolve) => { release = resolve }))
    return () => { this.registers.lateReads.delete(node); release() }
  }

  /** What it asks of registers from now on is answered in time; what was asked before stays late. */
  promptReads(name: Name): void {
    this.registers.lateReads.delete(this.machine(name).id)
  }

  /** What the machine's disk says of itself. */
  isWhole(name: Name): boolean {
    return this.machine(name).disk?.isWhole(id) === true
  }

  /** From everybody else, and from the voters, who will count it as dead. */
  async cutOff(name: Name, forMs = 8_000): Promise<void> {
    this.network.partition([[this.machine(name).id], names.filter((other) => other !== name).map((other) => this.machine(other).id)])
    this.registers.deaf.add(this.machine(name).id)
    await this.clock.advance(forMs)
  }

  async heal(): Promise<void> {
    this.network.heal()
    this.registers.deaf.clear()
    await this.clock.advance(3_000)
  }

  kill(name: Name, options: { power?: boolean } = {}): void {
    this.history.ended(this.#client(name), this.clock.monotonicMs())
    this.machine(name).crash(options.power ?? false)
  }

  async start(name: Name): Promise<void> {
    await this.clock.outcome(this.machine(name).start())
  }

  /** Acknowledged when it resolves. */
  async write(name: Name, block: number, value: number): Promise<void> {
    await this.#later()
    await this.clock.outcome(this.writing(name, block, value), 60_000)
  }

  async writing(name: Name, block: number, value: number): Promise<void> {
    const write = this.history.invoke(block, value, this.#client(name), this.clock.monotonicMs())
    const bytes = bytesOf(value)
    await this.#device(name).write(block * blockBytes, bytes)
    spoil(bytes)
    this.history.acked(write, this.clock.monotonicMs())
  }

  async trim(name: Name, block: number): Promise<void> {
    await this.#later()
    const write = this.history.invoke(block, 0, this.#client(name), this.clock.monotonicMs())
    await this.clock.outcome(this.#device(name).trim(block * blockBytes, blockBytes), 60_000)
    this.history.acked(write, this.clock.monotonicMs())
  }

  async flush(name: Name): Promise<void> {
    await this.clock.outcome(this.flushing(name), 60_000)
  }

  async flushing(name: Name): Promise<void> {
    const covered = this.history.unflushed(this.#client(name))
    await this.#device(name).flush()
    this.history.flushed(covered, this.clock.monotonicMs())
  }

  async read(name: Name, block: number): Promise<number> {
    await this.#later()
    return this.clock.outcome(this.reading(name, block), 60_000)
  }

  /** What is to be had without a wait: of a row in memory, which the disk here has every other time. */
  readNow(name: Name, block: number): number | undefined {
    const read = (): Uint8Array | undefined => this.#device(name).readNow?.(block * blockBytes, blockBytes)
    const bytes = read() ?? read()
    return bytes === undefined ? undefined : valueOf(bytes)
  }

  async reading(name: Name, block: number): Promise<number> {
    const startedMs = this.clock.monotonicMs()
    const value = valueOf(await this.#device(name).read(block * blockBytes, blockBytes))
    this.history.read(block, value, startedMs, this.clock.monotonicMs())
    return value
  }

  /** Two blocks with one request. */
  async writingTwo(name: Name, block: number, values: readonly [number, number]): Promise<void> {
    const writes = values.map((value, i) => this.history.invoke(block + i, value, this.#client(name), this.clock.monotonicMs()))
    await this.#device(name).write(block * blockBytes, Buffer.concat(values.map(bytesOf)))
    for (const write of writes) this.history.acked(write, this.clock.monotonicMs())
  }

  /** The first half of a block, not watched: what is in the other half has to be read first. */
  async writingHalf(name: Name, block: number, value: number): Promise<void> {
    await this.#device(name).write(block * blockBytes, bytesOf(value).subarray(0, blockBytes / 2))
  }

  async readHalf(name: Name, block: number): Promise<number> {
    const bytes = await this.clock.outcome(this.#device(name).read(block * blockBytes, 4), 60_000)
    return Buffer.from(bytes).readUInt32LE(0)
  }

  /** From whoever is near and has it, however old. */
  async readStale(name: Name, block: number): Promise<number> {
    const device = await this.machine(name).openAnother({ staleReads: true })
    const value = valueOf(await this.clock.outcome(device.read(block * blockBytes, blockBytes), 60_000))
    await this.clock.outcome(device.close())
    return value
  }

  async reopen(name: Name): Promise<void> {
    this.history.ended(this.#client(name), this.clock.monotonicMs())
    await this.clock.outcome(this.machine(name).reopen())
  }

  async handOver(from: Name, to: Name, start: number, count: number): Promise<boolean> {
    return this.clock.outcome(this.handingOver(from, to, start, count))
  }

  async handingOver(from: Name, to: Name, start: number, count: number): Promise<boolean> {
    return this.machine(from).engine?.handOver(id, { start, blocks: count }, this.machine(to).id) ?? false
  }

  segment(): Segment {
    const value = this.registers.registers.get(`segment:${volumeId}/0`)?.value
    if (value === undefined) throw new Error('the segment was never written')
    return decodeSegment(value.payload)
  }

  holder(block: number): Name | undefined {
    const holding = this.segment().ranges.at(block)
    return holding === undefined ? undefined : this.#nameOf(holding.session.node)
  }

  inSync(): Name[] {
    return this.segment().replicas.map((node) => this.#nameOf(node)).sort()
  }

  async until(condition: () => boolean, what: string, limitMs = 30_000): Promise<void> {
    await this.clock.until(condition, limitMs, what)
  }

  /** What one disk has of a block. */
  async kept(name: Name, block: number): Promise<number> {
    const [run] = await this.clock.outcome((this.machine(name).disk as ReplicaDisk).read(id, { start: block, blocks: 1 }))
    return run?.content === 'data' ? valueOf(run.bytes) : 0
  }

  /** Whoever is in sync may be the only one that is left: each must be whole, and have the same. */
  async checkReplicas(): Promise<void> {
    const seen = new Map<string, Name[]>()
    for (const name of this.inSync()) {
      if (!this.machine(name).up) continue
      if (!(await (this.machine(name).disk as ReplicaDisk).isWhole(id))) throw new Violation(`${name} is in sync, and not whole`)
      const values = []
      for (let block = 0; block < blocks; block++) values.push(await this.kept(name, block))
      seen.set(values.join(' '), [...(seen.get(values.join(' ')) ?? []), name])
    }
    if (seen.size > 1) throw new Violation(`replicas in sync differ: ${[...seen].map(([values, by]) => `${by.join(' ')}: ${values}`).join('; ')}`)
  }

  /** One step after the other: what is done at one moment has no order. */
  async #later(): Promise<void> {
    await this.clock.advance(1)
  }

  #device(name: Name): NonNullable<Machine['device']> {
    const { device } = this.machine(name)
    if (device === undefined) throw new Error(`${name} is down`)
    return device
  }

  #client(name: Name): string {
    const { device } = this.machine(name)
    if (device === undefined) return ''
    let client = this.#clients.get(device)
    if (client === undefined) this.#clients.set(device, (client = `${name}${++this.#lives}`))
    return client
  }

  #nameOf(node: NodeId): Name {
    for (const [name, machine] of this.#machines) if (machine.id === node) return name
    throw new Error('nobody')
  }

  #watch(name: Name, disk: ReplicaDisk): ReplicaDisk {
    const append: ReplicaDisk['append'] = async (segment, entries, options) => {
      const delayMs = this.diskDelaysMs.get(name)
      if (delayMs !== undefined) await this.clock.sleep(delayMs)
      const refusal = await disk.append(segment, entries, options)
      if (refusal === undefined) for (const { token, sequence, bytes } of entries) this.history.placed(0, token, sequence, bytes.length === 0 ? [] : [valueOf(bytes)], this.clock.monotonicMs())
      return refusal
    }
    return new Proxy(disk, {
      get: (target, method, receiver): unknown => {
        if (method === 'append') return append
        const found: unknown = Reflect.get(target, method, receiver)
        if (typeof found !== 'function') return found
        const call = (found as (...parts: unknown[]) => unknown).bind(target)
        const stall = this.#stalls.get(`${name} ${String(method)}`)
        if (stall === undefined) return call
        return async (...parts: unknown[]) => {
          if (stall.argument === undefined || parts.includes(stall.argument)) {
            stall.reached = true
            await stall.over
          }
          return call(...parts)
        }
      },
    })
  }
}

function bytesOf(value: number): Uint8Array {
  const bytes = Buffer.alloc(blockBytes)
  for (let at = 0; at < blockBytes; at += 4) bytes.writeUInt32LE(value, at)
  return bytes
}

/** A torn block reads as −1, which nobody wrote. */
function valueOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const value = view.getUint32(0, true)
  return view.getUint32(blockBytes - 4, true) === value ? value : -1
}
