import type { NodeId, Random } from '../../../src/base/index.js'
import { seededRandom, shuffled, silentLog, withDeadline } from '../../../src/base/index.js'
import type { Log } from '../../../src/base/index.js'
import { decodeSegment } from '../../../src/volumes/engine/codec.js'
import { blockBytes, segmentBytes } from '../../../src/volumes/index.js'
import type { OpenDevice, ReplicaDisk } from '../../../src/volumes/index.js'
import { VirtualClock } from '../net-clock.js'
import { SimulatedNetwork } from '../net-twin.js'
import { History, Stalled, Violation } from './history.js'
import type { CellWrite } from './history.js'
import { Machine, volumeId } from './machine.js'
import { RealConsensus, RealVoters } from './real-voters.js'
import { RegisterTwin } from './register-twin.js'
import { spoil } from './spoiled-memory.js'

/** What one seed is made of; each part may be forced. */
export interface Weather {
  readonly machines: number
  readonly replicas: number
  readonly crashes: boolean
  /** Crashes lose what was not synced. */
  readonly power: boolean
  readonly partitions: boolean
  /** Nodes that cannot reach the voters, and so lose their session. */
  readonly deafness: boolean
  readonly handOffs: boolean
  /** Nodes give up their copies, and others take them. */
  readonly leaves: boolean
  /** Share of clients' requests that discard. */
  readonly discardRatio: number
  /** 2: the blocks lie on both sides of a border. */
  readonly segments: number
  /** The consensus as it is, in place of the registers' twin: slower. */
  readonly realVoters: boolean
  readonly answersLost: boolean
  /** Clocks out of bounds: holders believe in a session that is over. Then only what is flushed is promised. */
  readonly clockErrorMs: number
  readonly delayMaxMs: number
  /** Share of requests, and of answers, that are seconds on their way: longer than it takes to hand a range to and fro. */
  readonly stragglers: number
  /** Of what disks do, this share takes up to seconds, and the rest up to some ms; 0: nothing takes any time. */
  readonly diskStalls: number
  readonly faultMs: number
  readonly activeMs: number
}

export interface SimulationResult {
  readonly violation: Error | undefined
  readonly steps: number
  readonly simulatedMs: number
  readonly operations: number
  readonly counters: Record<string, number>
}

const blocks = 6
const half = blockBytes / 2
const cells = blocks * 2

function weatherOf(seed: number, random: Random, forced: Partial<Weather>): Weather {
  const yes = (share: number): boolean => random.float() < share
  return {
    machines: 3 + random.below(2), replicas: 1 + random.below(3), crashes: yes(0.7), power: yes(0.6), partitions: yes(0.6), deafness: yes(0.4),
    handOffs: yes(0.7), answersLost: yes(0.3), clockErrorMs: yes(0.1) ? 4_000 : 0, delayMaxMs: yes(0.3) ? 150 : 12, faultMs: 800 + random.below(4_000), activeMs: 8_000 + random.below(16_000),
    leaves: yes(0.3), discardRatio: yes(0.5) ? 0.15 : 0, segments: 1 + random.below(2), realVoters: false,
    // Of a chance of its own, so that seeds that were kept reach what they did.
    stragglers: seededRandom(seed ^ 0x57a9).float() < 0.3 ? 0.04 : 0,
    diskStalls: seededRandom(seed ^ 0xd15c).float() < 0.3 ? 0.002 : 0,
    ...forced,
  }
}

/** Runs one seed to its end: a storm, then peace, in which everything must come right. */
export async function simulate(seed: number, forced: Partial<Weather> = {}, log: Log = silentLog): Promise<SimulationResult> {
  const random = seededRandom(seed)
  const weather = weatherOf(seed, random, forced)
  const world = new Storm(random, weather, log, seededRandom(seed ^ 0x1a99))
  let violation: Error | undefined
  try {
    await world.run()
  } catch (error) {
    violation = error instanceof Error ? error : new Error(String(error))
  }
  return { violation, steps: world.clock.steps, simulatedMs: world.clock.monotonicMs(), operations: world.history.operations, counters: world.counters }
}

/** Counts what it does. */
class CountingClock extends VirtualClock {
  steps = 0
  override setTimer(ms: number, run: () => void): () => void {
    return super.setTimer(ms, () => {
      this.steps++
      run()
    })
  }
}

class Storm {
  readonly clock = new CountingClock()
  readonly history = new History(cells)
  readonly counters: Record<string, number> = {}
  readonly #random: Random
  readonly #weather: Weather
  readonly #network: SimulatedNetwork
  readonly #registers: RegisterTwin
  readonly #voters: RealVoters | undefined
  readonly #machines: Machine[] = []
  #failure: Error | undefined
  readonly #log: Log
  #values = 0
  #calm = false
  #clientLives = 0
  /** Where the blocks begin, bytes from the start of the volume. */
  readonly #base: number
  /** Tokens whose cuts were seen, by scope. */
  readonly #cuts = new Map<string, Set<number>>()

  constructor(random: Random, weather: Weather, log: Log, lags: Random) {
    this.#random = random
    this.#weather = weather
    const { clock } = this
    this.#base = weather.segments === 1 ? 0 : segmentBytes - (blocks / 2) * blockBytes
    this.#network = new SimulatedNetwork({ clock, random, log }, { delayMs: [1, weather.delayMaxMs], noticeMs: 800, redialMs: 300 })
    this.#registers = new RegisterTwin(clock, random, [1, weather.delayMaxMs])
    this.#voters = weather.realVoters ? new RealVoters(clock, random) : undefined
    const onChosen: RegisterTwin['onChosen'] = (scope, value) => {
      const segment = decodeSegment(value.payload)
      const number = Number(scope.split('/').at(-1))
      const known = this.#cuts.get(scope) ?? new Set()
      this.#cuts.set(scope, new Set([...known, ...segment.cuts.map(({ token }) => token)]))
      for (const { token, sequence } of segment.cuts) if (!known.has(token)) this.history.cut(number, token, sequence, clock.monotonicMs())
      if (log !== silentLog) log.info(`${clock.monotonicMs().toFixed(0)} chosen ${number} v${segment.version} t${segment.token} c${segment.configuration} in sync ${segment.replicas.map((node) => this.#name(node)).join(' ')} joining ${segment.joining.map((node) => this.#name(node)).join(' ')} ranges ${segment.ranges.entries.map((entry) => `${entry.start}+${entry.blocks}:${this.#name(entry.value.session.node)}.${entry.value.session.epoch}/t${entry.value.token}${entry.value.unsettled.length > 0 ? `!${entry.value.unsettled.join(',')}` : ''}`).join(' ')} cuts ${segment.cuts.map((cut) => `${cut.token}:${cut.sequence}`).join(' ')}`)
    }
    this.#log = log
    for (const registers of this.#allRegisters()) {
      registers.onChosen = onChosen
      if (weather.answersLost) registers.answersLostRatio = 0.05
    }
    for (let number = 0; number < weather.machines; number++) {
      this.#machines.push(new Machine({ clock, network: this.#network, registers: this.#registers, voters: this.#voters, random, log, lagMs: () => (this.#calm || lags.float() >= weather.stragglers ? 0 : 200 + lags.float() * 9_000), diskMs: () => (weather.diskStalls === 0 ? 0 : !this.#calm && lags.float() < weather.diskStalls ? lags.float() * 8_000 : lags.float() * 3), watch: (node, disk) => this.#watch(node, disk) }, {
        number, replicas: weather.replicas, sizeBytes: weather.segments * segmentBytes,
        engine: { keepEveryMs: 700, replicaDeadlineMs: weather.diskStalls > 0 ? 2_000 : 900, operationDeadlineMs: 20_000, inSyncMin: 1, ...(weather.stragglers > 0 ? { hotBlocksMax: 1 } : {}) },
        places: (count, not) => shuffled(this.#machines.filter((machine) => machine.up && !not.includes(machine.id)), random).map((machine) => machine.id).slice(0, count),
        decide: (asker, range) => (weather.handOffs && random.float() < 0.2
          ? { type: 'move', range: { start: range.start, blocks: range.blocks }, to: { node: asker, region: 'r' }, explanation: 'chance' }
          : { type: 'stay', explanation: 'chance' }),
        clockErrorMs: weather.clockErrorMs,
      }))
    }
  }

  async run(): Promise<void> {
    const { clock } = this
    const weather = this.#weather
    for (const machine of this.#machines) await clock.outcome(machine.start())
    await clock.advance(200)
    if (this.#voters !== undefined) await this.#found()
    for (const machine of this.#machines) for (let i = 0; i < 2; i++) void this.#client(machine)
    void this.#faults()
    const endMs = clock.monotonicMs() + weather.activeMs
    while (clock.monotonicMs() < endMs) {
      await clock.advance(500)
      this.#check()
    }
    await this.#peace()
  }

  #name(node: NodeId): string {
    return 'ABCDEFGH'[this.#machines.findIndex((machine) => machine.id === node)] ?? '?'
  }

  /** What reaches the disks. */
  #watch(node: NodeId, disk: ReplicaDisk): ReplicaDisk {
    const append: ReplicaDisk['append'] = async (segment, entries, options) => {
      const refusal = await disk.append(segment, entries, options)
      if (refusal === undefined) for (const { token, sequence, bytes } of entries) this.history.placed(segment.segment, token, sequence, valuesOf(bytes), this.clock.monotonicMs())
      if (this.#log !== silentLog) for (const entry of entries) this.#log.info(`${this.clock.monotonicMs().toFixed(0)} disk ${this.#name(node)} ${segment.segment} t${entry.token}:${entry.sequence} c${entry.configuration} ${entry.content} ${entry.start}+${entry.blocks} [${valuesOf(entry.bytes).join(' ')}] ${entry.origin?.client.slice(0, 4) ?? ''}.${entry.origin?.sequence ?? ''} ${refusal?.type ?? ''}`)
      return refusal
    }
    const install: ReplicaDisk['install'] = async (segment, runs, options) => {
      await disk.install(segment, runs, options)
      if (this.#log !== silentLog) for (const run of runs) this.#log.info(`${this.clock.monotonicMs().toFixed(0)} disk ${this.#name(node)} installs ${segment.segment}${options?.replace === true ? '!' : ''} t${run.version?.token ?? 0}:${run.version?.sequence ?? 0} ${run.start}+${run.blocks} [${valuesOf(run.bytes).join(' ')}]`)
    }
    return new Proxy(disk, { get: (target, name, receiver): unknown => (name === 'append' ? append : name === 'install' ? install : typeof Reflect.get(target, name, receiver) === 'function' ? (Reflect.get(target, name, receiver) as (...parts: unknown[]) => unknown).bind(target) : Reflect.get(target, name, receiver)) })
  }

  #tell(machine: Machine, what: string): void {
    if (this.#log !== silentLog) this.#log.info(`${this.clock.monotonicMs().toFixed(0)} ${this.#name(machine.id)} ${what}`)
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Everything heals, and must come right: all can flush, and all read the same. */
  async #peace(): Promise<void> {
    const { clock } = this
    this.#calm = true
    this.#network.heal()
    for (const registers of this.#allRegisters()) {
      registers.deaf.clear()
      registers.answersLostRatio = 0
    }
    await clock.advance(100)
    for (const machine of this.#machines) if (!machine.up) await clock.outcome(machine.start())
    await clock.advance(12_000)
    // What the storm began may yet change what is read.
    await clock.until(() => [...this.#requests].every(({ device }) => this.#machines.every((machine) => machine.device !== device)), 60_000, 'the end of all requests')
    this.#check()
    for (const machine of this.#machines) {
      if (machine.device?.failed !== undefined) await clock.outcome(machine.reopen())
      await this.#flush(machine, machine.device, this.#clientOf(machine))
      this.#check()
    }
    // A flush may be what finds out that writes are lost, and says so.
    for (const machine of this.#machines) if (machine.device?.failed !== undefined) await clock.outcome(machine.reopen())
    const views: string[] = []
    for (const machine of this.#machines) {
      const startedMs = clock.monotonicMs()
      const bytes = await this.#must(machine.device?.read(this.#base, blocks * blockBytes), 'read in peace')
      const seen = valuesOf(bytes)
      for (const [cell, value] of seen.entries()) this.history.read(cell, value, startedMs, clock.monotonicMs())
      views.push(seen.join(' '))
    }
    if (new Set(views).size > 1) throw new Violation(`machines read different things in peace: ${views.join(' | ')}`)
    const expected = (views[0] ?? '').split(' ').map(Number)
    for (const part of this.#parts()) await this.#equal(part, expected.slice(part.cell, part.cell + 2 * part.blocks))
    for (const machine of this.#machines) for (const [name, count] of Object.entries(machine.engine?.figures() ?? {})) this.#count(name, count)
  }

  #allRegisters(): (RegisterTwin | RealVoters)[] {
    return this.#voters === undefined ? [this.#registers] : [this.#voters]
  }

  /** The first machine votes alone; three do from here on. */
  async #found(): Promise<void> {
    const [first] = this.#machines
    const consensus = first?.consensus
    if (!(consensus instanceof RealConsensus)) throw new Stalled('no consensus')
    const three = this.#machines.slice(0, 3).map(({ id }) => id)
    for (let attempt = 0; consensus.consensus.config?.members.length !== 3; attempt++) {
      if (attempt > 20) throw new Stalled('the voters do not come together')
      await this.clock.outcome(consensus.consensus.reconfigure(three).catch(() => 0))
      await this.clock.advance(500)
    }
  }

  /** The blocks, by segment. */
  #parts(): { segment: number; start: number; blocks: number; cell: number }[] {
    const first = this.#base / blockBytes
    if (this.#weather.segments === 1) return [{ segment: 0, start: first, blocks, cell: 0 }]
    return [{ segment: 0, start: first, blocks: blocks / 2, cell: 0 }, { segment: 1, start: 0, blocks: blocks / 2, cell: blocks }]
  }

  /** Every replica in sync has what is read. */
  async #equal({ segment: number, start, blocks, cell }: { segment: number; start: number; blocks: number; cell: number }, expected: readonly number[]): Promise<void> {
    const id = { volume: volumeId, segment: number }
    const scope = `segment:${volumeId}/${number}`
    const value = this.#voters === undefined ? this.#registers.registers.get(scope)?.value : await this.#must(this.#machines[0]?.consensus?.read(scope), 'read of a register in peace')
    if (value === undefined) return
    const segment = decodeSegment(value.payload)
    for (const machine of this.#machines) {
      if (!segment.replicas.includes(machine.id)) continue
      const disk = machine.disk as ReplicaDisk
      const read = await this.clock.outcome(disk.read(id, { start, blocks }))
      if (!(await disk.isWhole(id))) throw new Violation(`a replica in sync of segment ${number}, ${this.#name(machine.id)}, is not whole`)
      const values = valuesOf(Buffer.concat(read.map((run) => (run.content === 'data' ? run.bytes : Buffer.alloc(run.blocks * blockBytes)))))
      // What its client did not flush before it died need not be everywhere.
      const isDue = (i: number): boolean => this.history.isFlushed(cell + i, expected[i] ?? 0)
      const seen = values.map((value, i) => (isDue(i) ? value : '?')).join(' ')
      const due = expected.map((value, i) => (isDue(i) ? value : '?')).join(' ')
      if (seen !== due) throw new Violation(`a replica in sync of segment ${number}, ${this.#name(machine.id)}, has ${seen}, and what is read is ${due}`)
    }
  }

  async #must<T>(promise: Promise<T> | undefined, what: string): Promise<T> {
    if (promise === undefined) throw new Stalled(`${what}: no device`)
    try {
      return await this.clock.outcome(promise, 60_000)
    } catch (error) {
      throw new Stalled(`${what} failed: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  #count(name: string, by = 1): void {
    this.counters[name] = (this.counters[name] ?? 0) + by
  }

  // ---- clients ------------------------------------------------------------------------------------------------------

  readonly #lives = new Map<OpenDevice, string>()
  /** Under way; those of devices that died stay. */
  readonly #requests = new Set<{ readonly device: OpenDevice }>()

  /** Whoever opened the device: it loses its unflushed writes with the process, or when the device fails. */
  #clientOf(machine: Machine): string {
    const { device } = machine
    if (device === undefined) return ''
    let life = this.#lives.get(device)
    if (life === undefined) this.#lives.set(device, (life = `client-${++this.#clientLives}`))
    return life
  }

  async #client(machine: Machine): Promise<void> {
    const random = seededRandom(this.#random.below(2 ** 31))
    while (!this.#calm) {
      await this.clock.sleep(random.float() * 400)
      const { device } = machine
      if (device === undefined || !machine.up || this.#isCalm()) continue
      const client = this.#clientOf(machine)
      if (device.failed !== undefined) {
        this.history.ended(client, this.clock.monotonicMs())
        await machine.reopen()
        continue
      }
      const what = random.float()
      const request = { device }
      this.#requests.add(request)
      if (what < this.#weather.discardRatio) await this.#discard(machine, device, client, random)
      else if (what < 0.45) await this.#write(machine, device, client, random)
      else if (what < 0.8) await this.#read(device, random)
      else await this.#flush(machine, device, client)
      this.#requests.delete(request)
    }
  }

  #isCalm(): boolean {
    return this.#calm
  }

  async #write(machine: Machine, device: OpenDevice, client: string, random: Random): Promise<void> {
    const first = random.below(cells)
    const count = Math.min(cells - first, random.below(4) === 0 ? 1 + random.below(5) : 2 - (first % 2))
    const value = ++this.#values
    const writes: CellWrite[] = []
    const bytes = Buffer.alloc(count * half)
    for (let i = 0; i < count; i++) {
      const cellValue = value * 16 + i
      bytes.fill(0, i * half, (i + 1) * half)
      bytes.writeUInt32LE(cellValue, i * half)
      bytes.writeUInt32LE(cellValue, (i + 1) * half - 4)
      writes.push(this.history.invoke(first + i, cellValue, client, this.clock.monotonicMs()))
    }
    try {
      await device.write(this.#base + first * half, bytes)
      spoil(bytes)
      if (machine.device !== device || device.failed !== undefined) return
      for (const write of writes) this.history.acked(write, this.clock.monotonicMs())
      this.#tell(machine, `wrote ${value * 16} to cells ${first}+${count}`)
    } catch {
      this.#count('writes failed')
    }
  }

  async #discard(machine: Machine, device: OpenDevice, client: string, random: Random): Promise<void> {
    const first = random.below(cells)
    const count = 1 + random.below(Math.min(6, cells - first))
    const isTrim = random.below(2) === 0
    const keepAllocated = random.below(2) === 0
    const writes = Array.from({ length: count }, (_, i) => this.history.invoke(first + i, 0, client, this.clock.monotonicMs()))
    try {
      if (isTrim) await device.trim(this.#base + first * half, count * half)
      else await device.writeZeroes(this.#base + first * half, count * half, { keepAllocated })
      if (machine.device !== device || device.failed !== undefined) return
      for (const write of writes) this.history.acked(write, this.clock.monotonicMs())
      this.#tell(machine, `discarded cells ${first}+${count}`)
      this.#count('discards')
    } catch {
      this.#count('discards failed')
    }
  }

  async #read(device: OpenDevice, random: Random): Promise<void> {
    const first = random.below(cells)
    const count = 1 + random.below(cells - first)
    const startedMs = this.clock.monotonicMs()
    try {
      const now = random.below(2) === 0 ? device.readNow?.(this.#base + first * half, count * half) : undefined
      if (now !== undefined) this.#count('reads without a wait')
      const seen = valuesOf(now ?? (await device.read(this.#base + first * half, count * half)))
      if (this.#weather.clockErrorMs > 0) return
      for (const [i, value] of seen.entries()) this.history.read(first + i, value, startedMs, this.clock.monotonicMs())
    } catch (error) {
      if (error instanceof Violation) this.#failure ??= error
      else this.#count('reads failed')
    }
  }

  async #flush(machine: Machine, device: OpenDevice | undefined, client: string): Promise<void> {
    const covered = this.history.unflushed(client)
    const inPeace = this.#calm
    try {
      if (inPeace) await this.#must(device?.flush(), 'flush in peace')
      else await device?.flush()
      if (machine.device !== device) return
      this.history.flushed(covered, this.clock.monotonicMs())
      this.#tell(machine, `flushed ${covered.map((write) => write.value).join(' ')}`)
    } catch (error) {
      if (inPeace && device?.failed === undefined) this.#failure ??= error as Error
      this.#count('flushes failed')
    }
  }

  // ---- faults -------------------------------------------------------------------------------------------------------

  async #faults(): Promise<void> {
    const { clock } = this
    const random = this.#random
    const weather = this.#weather
    while (!this.#isCalm()) {
      await clock.sleep(random.float() * weather.faultMs)
      if (this.#isCalm()) return
      const machine = this.#machines[random.below(this.#machines.length)] as Machine
      switch (random.below(6)) {
        case 0:
          if (weather.crashes && machine.up) this.#crash(machine)
          break
        case 1:
          if (weather.partitions) this.#partition()
          break
        case 2:
          if (weather.deafness) {
            this.#count('deaf')
            this.#tell(machine, 'does not reach the voters')
            for (const { deaf } of this.#allRegisters()) {
              deaf.add(machine.id)
              clock.setTimer(random.float() * 12_000, () => deaf.delete(machine.id))
            }
          }
          break
        case 3:
          if (weather.handOffs && machine.up) {
            const to = this.#machines[random.below(this.#machines.length)] as Machine
            const parts = this.#parts()
            const part = parts[random.below(parts.length)] as (typeof parts)[number]
            const from = random.below(part.blocks)
            void machine.engine?.handOver({ volume: volumeId, segment: part.segment }, { start: part.start + from, blocks: 1 + random.below(part.blocks - from) }, to.id)
          }
          break
        case 4:
          if (weather.leaves && machine.up) {
            this.#count('leaves')
            this.#tell(machine, 'gives up its copies')
            void withDeadline(clock, 8_000, undefined, (signal) => machine.engine?.drain(signal) ?? Promise.reject(new Error('gone'))).catch(() => undefined)
          }
          break
        default:
          this.#network.heal()
      }
    }
  }

  #crash(machine: Machine): void {
    const { clock } = this
    const power = this.#weather.power && this.#random.float() < 0.5
    this.#count(power ? 'power losses' : 'kills')
    this.history.ended(this.#clientOf(machine), clock.monotonicMs())
    machine.crash(power)
    this.#tell(machine, power ? 'lost power' : 'was killed')
    clock.setTimer(this.#random.float() * 15_000, () => {
      if (machine.up || this.#isCalm()) return
      this.#tell(machine, 'starts')
      void machine.start()
    })
  }

  #partition(): void {
    this.#count('partitions')
    this.#log.info(`${this.clock.monotonicMs().toFixed(0)} partition`)
    const order: NodeId[] = shuffled(this.#machines, this.#random).map((machine) => machine.id)
    if (this.#random.below(3) === 0) {
      const [a, b] = order as [NodeId, NodeId]
      this.#network.block(a, b)
      if (this.#random.below(2) === 0) this.#network.block(b, a)
      return
    }
    const at = 1 + this.#random.below(order.length - 1)
    this.#network.partition([order.slice(0, at), order.slice(at)])
  }
}

/** The cells' values; a torn one reads as -1, which nobody wrote. */
function valuesOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = []
  for (let at = 0; at < bytes.length; at += half) {
    const value = view.getUint32(at, true)
    values.push(view.getUint32(at + half - 4, true) === value ? value : -1)
  }
  return values
}
