import type { NodeId } from '../../../src/base/index.js'
import { timingDefaults } from '../../../src/consensus/clocks.js'
import type { ClockKind, Timing } from '../../../src/consensus/clocks.js'
import type { ConfigRecord } from '../../../src/consensus/config.js'
import type { NodeEffect } from '../../../src/consensus/node.js'
import { storeKey } from '../../../src/consensus/types.js'
import { Checks } from './checks.js'
import { Client } from './client.js'
import type { ClientCounters } from './client.js'
import { FencedStore } from './fenced-store.js'
import { History } from './history.js'
import { Host } from './host.js'
import type { HostHooks, Process } from './host.js'
import { MachineClocks } from './machine.js'
import { Network } from './network.js'
import { authorityProof } from './seals.js'
import { demand, Violation } from './violation.js'
import { World } from './world.js'

export interface SimulationResult {
  readonly seed: number
  readonly steps: number
  readonly simulatedMs: number
  readonly operations: number
  readonly choices: number
  readonly configs: number
  /** Of these, those that began on a base. */
  readonly onBase: number
  readonly counters: ClientCounters
  readonly violation: Violation | undefined
}

/** What one seed draws for its run. */
export interface Weather {
  readonly hosts: number
  readonly loss: number
  readonly replay: number
  readonly delayMsMax: number
  readonly voters: number
  readonly scopes: number
  /** Within ρ, everything is asserted; outside, only what tokens protect. */
  readonly clocksInBounds: boolean
  readonly faultMs: number
  readonly thinkMs: number
  readonly cuts: boolean
  readonly suspends: boolean
  readonly restarts: boolean
  readonly memoryLoss: boolean
  readonly clones: boolean
  readonly reconfigures: boolean
  readonly wallJumps: boolean
  /** How long the faults last, in virtual ms, sleeps not counted. */
  readonly faultsMs: number
}

function weather(world: World): Weather {
  const hosts = world.pick([3, 3, 4, 5])
  return {
    hosts,
    loss: world.chance(0.3) ? 0 : world.between(0, 0.3),
    replay: world.chance(0.3) ? 0 : world.between(0, 0.5),
    delayMsMax: world.pick([5, 40, 100, 400]),
    voters: world.pick(hosts >= 5 ? [3, 5] : [1, 3, 3, 3]),
    scopes: world.pick([1, 1, 2]),
    clocksInBounds: world.chance(0.85),
    faultMs: world.between(200, 3000),
    thinkMs: world.between(60, 900),
    cuts: world.chance(0.7),
    suspends: world.chance(0.6),
    restarts: world.chance(0.6),
    memoryLoss: world.chance(0.15),
    clones: world.chance(0.08),
    reconfigures: world.chance(0.35),
    wallJumps: world.chance(0.3),
    // Several times D_v.
    faultsMs: 26_000,
  }
}

/** Within this after the last fault everybody must have held every scope once. Three turns of D_v, revocations and duels. */
const progressMs = 90_000

/** One run of a small mesh under a seed. */
export class Simulation implements HostHooks {
  readonly world: World
  readonly #seed: number
  readonly #network: Network
  readonly #weather: Weather
  readonly #hosts: Host[] = []
  readonly #clients = new Map<Process, Client>()
  readonly #checks: Checks
  readonly #store = new FencedStore()
  readonly history = new History()
  readonly #scopes: string[]
  readonly #counters: ClientCounters = { granted: 0, writes: 0, handed: 0, stolen: 0, revoked: 0 }
  readonly #timing: Timing
  readonly #cloned = new Set<string>()
  /** Stores that will turn out to have lost memory at their next start. */
  readonly #lost = new Set<string>()
  #faulty = true
  #faultsUntilMs: number
  /** While everybody sleeps nothing happens to anybody. */
  #quietUntilMs = 0

  /** `forced`: part of the weather is not drawn, to look more closely at one kind of fault. */
  constructor(seed: number, forced: Partial<Weather> = {}) {
    this.#seed = seed
    const world = (this.world = new World(seed))
    this.#weather = { ...weather(world), ...forced }
    this.#faultsUntilMs = this.#weather.faultsMs
    this.#network = new Network(world, this.#weather)
    this.#timing = { ...timingDefaults, tryMs: world.pick([300, 1000]) }
    this.#scopes = Array.from({ length: this.#weather.scopes }, (_, i) => `s${i}`)
    for (let i = 0; i < this.#weather.hosts; i++) this.#hosts.push(this.#host(`n${i}` as NodeId))
    const members = this.#hosts.slice(0, this.#weather.voters).map((host) => ({ node: host.id, incarnation: host.disk.incarnation }))
    const first: ConfigRecord = { number: 0, members, hash: '', proof: authorityProof }
    this.#checks = new Checks(first)
    for (const host of this.#hosts) {
      host.disk.nodeChain = [first]
      host.disk.chain = [first]
      if (members.some((member) => member.node === host.id)) host.disk.record = { config: 0, floor: 0 }
      host.start()
    }
  }

  run(): SimulationResult {
    let violation: Violation | undefined
    try {
      this.#faults()
      while (this.world.nowMs < this.#faultsUntilMs) this.world.run(this.#faultsUntilMs)
      this.#heal()
      this.#demandProgress()
      this.history.check(this.#checks.compacted)
    } catch (error) {
      // Assertions in the production code are findings, too.
      violation = error instanceof Violation ? error : new Violation('assert', error instanceof Error ? error.stack ?? error.message : String(error))
    }
    return {
      seed: this.#seed, steps: this.world.steps, simulatedMs: this.world.nowMs,
      operations: this.history.operations, choices: this.#checks.choices, configs: this.#checks.newest.number, onBase: this.#checks.began.onBase,
      counters: this.#counters, violation,
    }
  }

  // ---- hooks --------------------------------------------------------------------------------------------------------

  peers(): Iterable<Host> {
    return this.#hosts
  }

  started(host: Host, process: Process): void {
    const client = new Client(
      { world: this.world, network: this.#network, store: this.#store, history: this.history, host, process, counters: this.#counters },
      { scopes: this.#scopes, thinkMs: this.#weather.thinkMs, generosity: 0.7, clocksInBounds: () => this.#weather.clocksInBounds && this.#cloned.size === 0 },
    )
    this.#clients.set(process, client)
    if (!this.#faulty) client.goal = new Set()
  }

  asked(_host: Host, request: Parameters<HostHooks['asked']>[1]): void {
    if (request.body.kind === 'accept' || request.body.kind === 'open') this.history.proposed(request.body.value.op, this.world.nowMs)
  }

  synced(...args: Parameters<HostHooks['synced']>): void {
    this.#checks.synced(...args)
  }

  replied(...args: Parameters<HostHooks['replied']>): void {
    this.#checks.replied(...args)
  }

  effect(host: Host, effect: NodeEffect): void {
    if (host.process !== undefined) this.#clients.get(host.process)?.heard(effect)
  }

  /** I4: no two nodes are both valid and unrelinquished on a scope, by their own clocks, now. */
  stepped(host: Host): void {
    const { process } = host
    if (process === undefined || process.node.holdings.size === 0 || !this.#weather.clocksInBounds) return
    for (const scope of process.node.holdings.scopes()) {
      for (const other of this.#hosts) {
        const rival = other.process
        if (other === host || other.id === host.id || rival === undefined) continue
        // A clone is its original to everybody else, so nobody waits for either of the two.
        if (this.#cloned.size > 0) continue
        const theirs = rival.node.holdings.get(scope)
        if (theirs === undefined) continue
        const both = process.node.isSessionValid(host.readings) && rival.node.isSessionValid(other.readings)
        demand(!both, 'I4', () => `${scope}: ${host.id} (token ${process.node.holdings.get(scope)?.value.token ?? 0}) and ${other.id} (token ${theirs.value.token}) are both valid`)
      }
    }
  }

  // ---- faults -------------------------------------------------------------------------------------------------------

  #host(id: NodeId): Host {
    const { world } = this
    const { clocksInBounds } = this.#weather
    const kind: ClockKind = world.chance(0.6) ? 'sleep-blind' : 'sleep-aware'
    // 10ρ = 1: up to twice as fast, or standing nearly still.
    const rate = clocksInBounds ? world.between(0.9, 1.1) : world.between(0.1, 2)
    const clocks = new MachineClocks(world, { kind, rate, quantumMs: world.pick([1, 10, 20, 1000]) })
    const host = new Host({ world, network: this.#network, clocks, hooks: this }, { id, timing: this.#timing, syncMsMax: world.pick([1, 10, 60]) })
    // Not drawn: all else of a seed stays as it was before there were two versions.
    host.stepByStep = this.#seed % 8 === 3 && /[13579]$/.test(id)
    return host
  }

  #faults(): void {
    const { world } = this
    const again = (): void => {
      const pauseMs = world.between(0, 2 * this.#weather.faultMs)
      world.after(Math.max(pauseMs, this.#quietUntilMs - world.nowMs), () => {
        if (!this.#faulty) return
        if (world.nowMs >= this.#quietUntilMs) this.#fault()
        again()
      })
    }
    again()
  }

  #fault(): void {
    const { world } = this
    const faults: (() => void)[] = []
    const w = this.#weather
    if (w.cuts) faults.push(() => { this.#partition() }, () => { this.#pairCut() }, () => { this.#clog() })
    if (w.suspends) faults.push(() => { this.#suspend() }, () => { this.#suspend() })
    if (w.restarts) faults.push(() => { this.#restart() }, () => { this.#restart() })
    if (w.memoryLoss) faults.push(() => { this.#loseMemory() })
    if (w.clones) faults.push(() => { this.#clone() })
    if (w.reconfigures) faults.push(() => { this.#reconfigure() }, () => { this.#reconfigure() })
    if (w.wallJumps) faults.push(() => { world.pick(this.#hosts).clocks.jumpWall(world.between(-86_400_000, 86_400_000)) })
    if (w.suspends && world.nowMs < this.#weather.faultsMs && world.chance(0.02)) {
      this.#nightfall()
      return
    }
    if (faults.length > 0) world.pick(faults)()
  }

  #partition(): void {
    const { world } = this
    const left = this.#hosts.filter(() => world.chance(0.5))
    const oneWay = world.chance(0.4)
    const links: [string, string][] = []
    for (const a of left) {
      for (const b of this.#hosts) {
        if (left.includes(b)) continue
        links.push([a.id, b.id])
        if (!oneWay) links.push([b.id, a.id])
      }
      if (world.chance(0.2)) links.push([a.id, 'store'], ['store', a.id])
    }
    this.#cutFor(links, world.between(500, 15_000))
  }

  #pairCut(): void {
    const { world } = this
    const a = world.pick(this.#hosts)
    const b = world.pick(this.#hosts)
    if (a === b) return
    this.#cutFor(world.chance(0.5) ? [[a.id, b.id]] : [[a.id, b.id], [b.id, a.id]], world.between(500, 15_000))
  }

  #cutFor(links: [string, string][], forMs: number): void {
    for (const [from, to] of links) this.#network.cut(from, to)
    this.world.after(forMs, () => { for (const [from, to] of links) this.#network.mend(from, to) })
  }

  #clog(): void {
    const { world } = this
    const a = world.pick(this.#hosts)
    const b = world.pick(this.#hosts)
    this.#network.clog(a.id, b.id, world.between(200, 8000))
  }

  #suspend(): void {
    const { world } = this
    const host = world.pick(this.#hosts)
    if (!host.isUp) return
    const how = !this.#weather.clocksInBounds && world.chance(0.5) ? 'frozen' : world.pick(['asleep', 'stopped'] as const)
    host.suspend(how)
    world.after(world.chance(0.5) ? world.between(1000, 5000) : world.between(4000, 14_000), () => {
      if (host.suspended && world.nowMs >= this.#quietUntilMs) host.resume()
    })
  }

  /** All machines go to sleep within some seconds and wake up hours later: the only way to hours that costs no steps. */
  #nightfall(): void {
    const { world } = this
    const sleepMs = world.between(0.05, 8) * 3_600_000
    this.#faultsUntilMs += sleepMs
    this.#quietUntilMs = world.nowMs + 4000 + sleepMs
    for (const host of this.#hosts) {
      world.after(world.between(0, 4000), () => { if (!host.suspended) host.suspend('asleep') })
      world.after(4000 + sleepMs + world.between(0, 5000), () => { if (host.suspended) host.resume() })
    }
  }

  #restart(): void {
    const { world } = this
    const host = world.pick(this.#hosts)
    if (host.process === undefined) return
    host.kill()
    if (host.suspended) host.resume()
    world.after(world.chance(0.5) ? world.between(5, 300) : world.between(300, 12_000), () => { this.#startByDay(host) })
  }

  #startByDay(host: Host): void {
    const { world } = this
    world.after(this.#quietUntilMs - world.nowMs, () => {
      if (host.process !== undefined) return
      if (host.suspended) host.resume()
      host.start()
    })
  }

  /** The tail of a voter's log is gone after a crash, or the whole disk. */
  #loseMemory(): void {
    const { world } = this
    const host = world.pick(this.#hosts)
    if (host.process === undefined || this.#cloned.size > 0 || !this.#maySpare(host)) return
    const tail = host.disk.copy()
    const slot = host.disk.slot
    world.after(world.between(0, 4000), () => {
      if (host.process === undefined || host.disk.incarnation !== tail.incarnation || !this.#maySpare(host)) return
      host.kill()
      if (host.suspended) host.resume()
      const newSlot = host.disk.slot
      this.#checks.forgot(host)
      this.#lost.add(host.disk.incarnation)
      if (world.chance(0.3)) host.forget()
      else {
        host.disk.restore(tail)
        host.disk.slot = newSlot
        // The epoch is a record like others: with the tail it is gone, too.
        if (newSlot === slot) host.disk.restore(tail)
      }
      world.after(world.between(5, 2000), () => { this.#startByDay(host) })
    })
  }

  /** Never a majority's memory, not even of a configuration in the making: that is what recovery by the authority is for. */
  #maySpare(host: Host): boolean {
    const { members } = this.#checks.newest
    const intact = members.filter((member) => this.#hosts.some((other) => other !== host && other.id === member.node && other.disk.incarnation === member.incarnation && !this.#lost.has(member.incarnation)))
    const changing = this.#hosts.some(({ process }) => process !== undefined && (process.node.reconfiguring || process.voter.sealed))
    return !changing && intact.length * 2 > members.length
  }

  /** Somebody copies a node's disk and runs the copy as well. Never a voter's: two voters of one name are one too many. */
  #clone(): void {
    const { world } = this
    const host = world.pick(this.#hosts)
    if (this.#cloned.size > 0 || this.#checks.newest.members.some((member) => member.node === host.id) || this.#weather.reconfigures) return
    this.#cloned.add(host.id)
    const copy = this.#host(host.id)
    copy.disk.restore(host.disk)
    this.#hosts.push(copy)
    copy.start()
  }

  #reconfigure(): void {
    const { world } = this
    const host = world.pick(this.#hosts)
    if (!host.isUp || host.process === undefined || !host.process.node.isReady) return
    const { process } = host
    const size = world.pick(this.#hosts.length >= 5 ? [1, 3, 3, 5] : [1, 3, 3])
    const nodes = [...this.#hosts].sort(() => world.random.float() - 0.5).slice(0, size).map((other) => other.id)
    host.inProcess(process, () => {
      process.node.at(host.readings)
      process.node.reconfigure({ wanted: { nodes }, mayDrop: () => world.chance(0.5), rowsAtOnce: world.pick([0, 1, 1, 2]), behindEnough: world.pick([0, 0, 200]), ended: () => undefined })
    })
  }

  // ---- afterwards ---------------------------------------------------------------------------------------------------

  #heal(): void {
    this.#faulty = false
    this.#network.heal()
    for (const host of [...this.#hosts]) {
      host.clocks.setRate(1)
      if (host.suspended) host.resume()
      if (host.process === undefined) host.start()
    }
    for (const client of this.#clients.values()) client.goal = new Set()
    this.world.run(this.world.nowMs + 2000)
  }

  /** Everybody who is there gets hold of each scope, one after the other. */
  #demandProgress(): void {
    const { world } = this
    const untilMs = world.nowMs + progressMs
    const wanting = this.#hosts.filter((host) => !this.#cloned.has(host.id) && world.chance(0.6))
    for (const host of wanting) {
      const client = (): Client | undefined => (host.process === undefined ? undefined : this.#clients.get(host.process))
      const scopes = new Set(this.#scopes)
      const first = client()
      if (first !== undefined) first.goal = scopes
      const done = (): boolean => (client()?.goal?.size ?? 0) === 0
      world.run(untilMs, done)
      demand(done(), 'progress', () => `${host.id} did not get ${[...scopes].join()} within ${progressMs} ms after the last fault (${this.#describe()})`)
    }
  }

  #describe(): string {
    const { newest } = this.#checks
    const voters = this.#hosts.map((host) => {
      const { process } = host
      return `${host.id}: ${process === undefined ? 'down' : `node c${process.node.config.number} e${process.node.session.epoch} ${process.node.isReady ? 'ready' : 'not ready'}, voter c${process.voter.config}${process.voter.sealed ? ' sealed' : ''}${process.voter.forgot ? ' forgot' : ''}`}`
    })
    return `config ${newest.number} of ${newest.members.map(storeKey).join(' ')}; ${voters.join('; ')}`
  }

}

export function simulate(seed: number, forced: Partial<Weather> = {}): SimulationResult {
  return new Simulation(seed, forced).run()
}
