import type { CallOptions, Cancel, Clock, Connections, NodeId, Random, Rpc, RpcMethod, Signer } from '../../../src/base/index.js'
import { CommonError, createSigner, HlcClock, silentLog } from '../../../src/base/index.js'
import type { ConfigRecord } from '../../../src/consensus/config.js'
import { Consensus } from '../../../src/consensus/driver/service.js'
import type { Readings, Timing } from '../../../src/consensus/index.js'
import { createSeals, firstConfig } from '../../../src/consensus/seals.js'
import { LeaseService } from '../../../src/leases/service.js'
import { MemoryKeyValue } from '../../unit/catalog/memory-key-value.js'
import { TestMemoryFile } from '../../unit/consensus/mesh.js'
import { VirtualClock } from '../net-clock.js'

/** Terms a fifth of the real ones: the same arithmetic, and five times as much happens in a simulated second. */
const timing: Partial<Timing> = { rho: 0.1, quantumMs: 4, voterMs: 1200, holderMs: 850, renewMs: 200, tryMs: 250 }
const lookEveryMs = 2

export interface Faults {
  readonly loss: number
  readonly delayMsMax: number
  readonly crashes: boolean
  readonly pauses: boolean
  readonly revocations: boolean
  /** Between nodes only: what goes to the voters is as fast as `delayMsMax` says. */
  readonly shareDelayMsMax: number
  /** For a second or so a machine's frames do not reach the voters, while it still talks to other nodes. */
  readonly cuts: boolean
  /** A disk takes up to so long over one thing, and sometimes a hundred times as long; 0: no time. */
  readonly diskMsMax: number
}

/** Somebody who acts under a lease, exactly as long as it was told it may. */
interface Acting {
  readonly agent: string
  readonly scope: string
  readonly isWriter: boolean
  /** By its node's clock. */
  until: number
}

/** One process: a node's clock that runs at its own rate, and all that dies with it. */
class Process {
  readonly controller = new AbortController()
  readonly methods = new Map<string, RpcMethod>()
  readonly acting = new Map<string, Acting>()
  isAlive = true
  leases!: LeaseService
  consensus!: Consensus
}

/** A machine: its disk outlives processes, its clock drifts, and it may stand still. */
class Machine implements Clock {
  readonly signer: Signer
  readonly store = new MemoryKeyValue()
  readonly memoryFile = new TestMemoryFile()
  process = new Process()
  cutUntilMs = 0
  readonly #base: VirtualClock
  readonly #rate: number
  #waiting: (() => void)[] | undefined

  constructor(base: VirtualClock, seed: number, rate: number) {
    this.#base = base
    this.#rate = rate
    this.signer = createSigner(new Uint8Array(32).fill(seed))
  }

  get id(): NodeId {
    return this.signer.nodeId
  }

  get isPaused(): boolean {
    return this.#waiting !== undefined
  }

  wallMs(): number {
    return this.#base.wallMs()
  }

  monotonicMs(): number {
    return this.#base.monotonicMs() * this.#rate
  }

  readings = (): Readings => ({ hrtimeMs: this.monotonicMs(), uptimeMs: this.monotonicMs(), wallMs: this.monotonicMs() })

  setTimer(ms: number, run: () => void): Cancel {
    const { process } = this
    let isCancelled = false
    this.#base.setTimer(ms / this.#rate, () => { this.whenAwake(() => { if (!isCancelled && process.isAlive) run() }) })
    return () => { isCancelled = true }
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => { cancel(); reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted')) }
      const cancel = this.setTimer(ms, () => { signal?.removeEventListener('abort', onAbort); resolve() })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  whenAwake(run: () => void): void {
    if (this.#waiting === undefined) run()
    else this.#waiting.push(run)
  }

  pause(): void {
    this.#waiting ??= []
  }

  resume(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const run of waiting) run()
  }
}

/** The disk as a process has it: what it began is done in its order, or, if it dies before, not at all. */
function slowed<Disk extends object>(disk: Disk, machine: Machine, pauseMs: () => number, ordered: string): Disk {
  let turn: Promise<unknown> = Promise.resolve()
  const pause = async (): Promise<void> => machine.sleep(pauseMs())
  return new Proxy(disk, {
    get: (target, name): unknown => {
      const found: unknown = Reflect.get(target, name, target)
      if (typeof found !== 'function') return found
      const act = (found as (...parts: unknown[]) => unknown).bind(target)
      if (name === ordered) {
        return async (...parts: unknown[]): Promise<unknown> => {
          const done = turn.then(pause).then(async () => act(...parts))
          turn = done.catch(() => undefined)
          const result = await done
          await pause()
          return result
        }
      }
      if (name !== 'get' && name !== 'getMany' && name !== 'read') return act
      return async (...parts: unknown[]): Promise<unknown> => {
        await pause()
        return act(...parts)
      }
    },
  })
}

/**
 * Some machines with production leases on the production consensus, a network that loses and delays, machines that crash,
 * restart at once, and stand still, and agents that read and write for as long as they were told they may. At every look:
 * whoever writes is alone.
 */
export class SharingWorld {
  readonly clock = new VirtualClock()
  readonly machines: Machine[]
  readonly violations: string[] = []
  readonly counts = { read: 0, written: 0, together: 0, readTogetherOnTwo: 0, crashes: 0, looks: 0, upgraded: 0 }
  readonly #random: Random
  readonly #faults: Faults
  readonly #authority = createSigner(new Uint8Array(32).fill(200))
  #genesis: ConfigRecord | undefined
  #isOver = false
  #agents = 0

  constructor(random: Random, faults: Faults, count = 3) {
    this.#random = random
    this.#faults = faults
    // All over the range that the arithmetic allows.
    this.machines = Array.from({ length: count }, (_, i) => new Machine(this.clock, i + 1, 0.9 + random.float() * 0.2))
  }

  async run(forMs: number): Promise<void> {
    const [first] = this.machines
    const incarnation = Buffer.from(this.#random.bytes(16)).toString('hex')
    await first!.store.write([first!.store.put(Buffer.from('n:i'), Buffer.from(incarnation))])
    first!.memoryFile.sequence = 0
    this.#genesis = firstConfig(this.#authority, { node: first!.id, incarnation })
    for (const machine of this.machines) this.#start(machine)
    await this.#pass(1500)
    for (const machine of this.machines) for (let i = 0; i < 3; i++) void this.#agent(machine)
    const until = this.clock.monotonicMs() + forMs
    while (this.clock.monotonicMs() < until) {
      this.#fault()
      await this.#pass(100)
    }
    this.#isOver = true
    for (const machine of this.machines) { machine.resume(); this.#crash(machine) }
    await this.#pass(50)
  }

  async #pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += lookEveryMs) {
      await this.clock.advance(lookEveryMs)
      // Frames leave after the turn in which they were made: a few turns for all that follows at once.
      for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => { setImmediate(resolve) })
      this.#look()
    }
  }

  #look(): void {
    this.counts.looks++
    const byScope = new Map<string, { node: NodeId; acting: Acting }[]>()
    for (const machine of this.machines) {
      if (machine.isPaused || !machine.process.isAlive) continue
      for (const acting of machine.process.acting.values()) {
        if (machine.monotonicMs() >= acting.until) continue
        const list = byScope.get(acting.scope) ?? []
        list.push({ node: machine.id, acting })
        byScope.set(acting.scope, list)
      }
    }
    for (const [scope, list] of byScope) {
      if (list.length > 1) this.counts.together++
      if (new Set(list.map(({ node }) => node)).size > 1) this.counts.readTogetherOnTwo++
      if (list.length > 1 && list.some(({ acting }) => acting.isWriter)) {
        this.violations.push(`${String(Math.round(this.clock.monotonicMs()))} ms: ${scope}: ${list.map(({ node, acting }) => `${acting.agent} ${acting.isWriter ? 'writes' : 'reads'} at ${node.slice(-4)}`).join(', ')}`)
      }
    }
  }

  async #agent(machine: Machine): Promise<void> {
    while (!this.#isOver) {
      const { process } = machine
      if (!process.isAlive) return
      const agent = `agent-${String(++this.#agents)}`
      await this.#once(machine, process, agent).catch(() => undefined)
      await machine.sleep(20 + this.#random.float() * 150).catch(() => undefined)
    }
  }

  /** Takes it, renews it for a while, believing in it only as long as the last answer said, and gives it back. */
  async #once(machine: Machine, process: Process, agent: string): Promise<void> {
    const { leases } = process
    const scope = `s${String(this.#random.below(2))}`
    const isWriter = this.#random.float() < 0.35
    const steal = this.#random.float() < 0.05
    let sentAt = machine.monotonicMs()
    let lease = await leases.acquire(scope, { agent, mode: isWriter ? 'exclusive' : 'shared', ttlMs: 2000, waitMs: 3000, steal })
    const acting: Acting = { agent, scope, isWriter, until: sentAt + (lease.validForMs ?? 0) }
    process.acting.set(agent, acting)
    if (isWriter) this.counts.written++
    else this.counts.read++
    const stopAt = machine.monotonicMs() + this.#random.float() * 900
    try {
      while (machine.monotonicMs() < stopAt && machine.monotonicMs() < acting.until) {
        await machine.sleep(10 + this.#random.float() * 100)
        sentAt = machine.monotonicMs()
        lease = leases.renew(lease.leaseId)
        acting.until = Math.max(acting.until, sentAt + (lease.validForMs ?? 0))
      }
      if (!isWriter && this.#random.float() < 0.3) {
        sentAt = machine.monotonicMs()
        lease = await leases.upgrade(lease.leaseId)
        process.acting.delete(agent)
        process.acting.set(`${agent}+`, { agent: `${agent}+`, scope, isWriter: true, until: sentAt + (lease.validForMs ?? 0) })
        this.counts.upgraded++
        await machine.sleep(this.#random.float() * 200)
      }
    } finally {
      process.acting.delete(agent)
      process.acting.delete(`${agent}+`)
      await leases.release(lease.leaseId).catch(() => undefined)
    }
  }

  /** Writers that do not wait, one after the other: whoever lets one in too early is found out. */
  async #pounce(machine: Machine): Promise<void> {
    const { process } = machine
    for (let tries = 0; tries < 25 && process.isAlive && !this.#isOver; tries++) {
      await machine.sleep(40)
      const agent = `hasty-${String(++this.#agents)}`
      const sentAt = machine.monotonicMs()
      await process.leases.acquire(`s${String(tries % 2)}`, { agent, ttlMs: 200 }).then(async (lease) => {
        process.acting.set(agent, { agent, scope: lease.scope, isWriter: true, until: sentAt + (lease.validForMs ?? 0) })
        await machine.sleep(30)
        process.acting.delete(agent)
        await process.leases.release(lease.leaseId)
      }).catch(() => undefined)
    }
  }

  #fault(): void {
    const machine = this.machines[this.#random.below(this.machines.length)]!
    const dice = this.#random.float()
    if (this.#faults.crashes && dice < 0.05) {
      this.#crash(machine)
      this.counts.crashes++
      for (const other of this.machines) if (other !== machine) void this.#pounce(other)
      // At once, as a supervisor does: its old session is over the moment that the new one begins.
      this.clock.setTimer(this.#random.float() * 300, () => {
        if (this.#isOver) return
        this.#start(machine)
        for (let i = 0; i < 3; i++) void this.#agent(machine)
      })
    } else if (this.#faults.pauses && dice < 0.1) {
      machine.pause()
      this.clock.setTimer(this.#random.float() * 3000, () => { machine.resume() })
    } else if (this.#faults.cuts && dice < 0.2) {
      machine.cutUntilMs = this.clock.monotonicMs() + this.#random.float() * 1500
    } else if (this.#faults.revocations && dice > 0.96) {
      const other = this.machines.find((one) => one !== machine && one.process.isAlive)
      const scope = `s${String(this.#random.below(2))}`
      const { consensus } = machine.process
      consensus.read(scope).then(async (held) => {
        if (held !== undefined && held.holder !== null && other !== undefined) {
          await consensus.revoke(scope, held, { to: 'nobody' })
          void this.#pounce(other)
        }
      }).catch(() => undefined)
    }
  }

  #crash(machine: Machine): void {
    const { process } = machine
    if (!process.isAlive) return
    process.isAlive = false
    process.acting.clear()
    process.controller.abort()
  }

  #start(machine: Machine): void {
    const process = new Process()
    machine.process = process
    const rpc: Rpc = {
      register: (method) => { process.methods.set(method.name, method) },
      request: async (peer, method, body, options) => this.#deliver(machine, process, peer, method, body, options),
    }
    const connections: Connections = {
      self: machine.id,
      connected: () => this.machines.filter((other) => other !== machine).map(({ id }) => id),
      isConnected: () => true,
      rttMs: () => 20,
      on: () => () => undefined,
    }
    const common = { clock: machine, random: this.#random, log: silentLog, rpc, connections }
    const { diskMsMax } = this.#faults
    const pauseMs = (): number => this.#random.float() * diskMsMax * (this.#random.float() < 0.005 ? 100 : 1)
    const store = diskMsMax === 0 ? machine.store : slowed(machine.store, machine, pauseMs, 'write')
    const memoryFile = diskMsMax === 0 ? machine.memoryFile : slowed(machine.memoryFile, machine, pauseMs, 'put')
    process.consensus = new Consensus(
      { ...common, store, memoryFile, seals: createSeals(machine.signer, this.#authority.nodeId) },
      { clockKind: 'sleep-blind', readings: machine.readings, chain: [this.#genesis!], timing },
    )
    process.leases = new LeaseService(
      { ...common, consensus: process.consensus, store: new MemoryKeyValue(), hlc: new HlcClock(machine) },
      { self: machine.id, readings: machine.readings, timing, governor: () => ({ give: true }) },
    )
    process.consensus.run(process.controller.signal).catch(() => undefined)
    process.leases.run(process.controller.signal).catch(() => undefined)
  }

  async #deliver(from: Machine, process: Process, to: NodeId, name: string, body: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    const target = this.machines.find(({ id }) => id === to)!
    if (!process.isAlive) throw new CommonError('UNAVAILABLE', 'this process is gone')
    const delayMsMax = name === 'lease.share' ? this.#faults.shareDelayMsMax : this.#faults.delayMsMax
    if (name === 'lease.frame' && this.clock.monotonicMs() < from.cutUntilMs) throw new CommonError('UNAVAILABLE', 'cut off')
    await this.#way(target, delayMsMax)
    const receiver = target.process
    const method = receiver.methods.get(name)
    if (method === undefined || !receiver.isAlive) throw new CommonError('UNAVAILABLE', 'nobody there')
    const answer = await method.handle(body, { from: from.id, signal: options.signal ?? new AbortController().signal })
    if (receiver.controller.signal.aborted) throw new CommonError('UNAVAILABLE', 'it is gone')
    await this.#way(from, delayMsMax)
    return answer
  }

  async #way(to: Machine, delayMsMax: number): Promise<void> {
    const isLost = this.#random.float() < this.#faults.loss
    await new Promise<void>((resolve) => { this.clock.setTimer(this.#random.float() ** 2 * delayMsMax, resolve) })
    if (isLost) throw new CommonError('DEADLINE', 'lost on the way')
    await new Promise<void>((resolve) => { to.whenAwake(resolve) })
  }
}
