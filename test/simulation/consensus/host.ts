import type { NodeId } from '../../../src/base/index.js'
import type { Readings, Timing } from '../../../src/consensus/clocks.js'
import { Synced } from '../../../src/consensus/durable.js'
import type { AfterSync, Batch } from '../../../src/consensus/durable.js'
import type { PeerMessage, Reply, Request } from '../../../src/consensus/messages.js'
import { isMemoryLost } from '../../../src/consensus/rounds/memory.js'
import { Node } from '../../../src/consensus/node.js'
import type { NodeEffect } from '../../../src/consensus/node.js'
import { Operations } from '../../../src/consensus/operations.js'
import { CompactTable } from '../../../src/consensus/voter/compact-table.js'
import { Voter } from '../../../src/consensus/voter/voter.js'
import { Disk } from './disk.js'
import type { MachineClocks } from './machine.js'
import type { Links } from './network.js'
import { simulatedHash, simulatedHashOfChunk, simulatedSeals } from './seals.js'
import type { World } from './world.js'

/** What a run of the whole mesh hears from its hosts. */
export interface HostHooks {
  peers(): Iterable<Host>
  /** A batch is on disk. */
  synced(host: Host, batch: Batch): void
  /** A reply has left. */
  replied(host: Host, request: Request, reply: Reply): void
  effect(host: Host, effect: NodeEffect): void
  /** A request is on its way. */
  asked(host: Host, request: Request): void
  started(host: Host, process: Process): void
  /** After every input to the host. */
  stepped(host: Host): void
}

/** One process: from start to kill. */
export interface Process {
  readonly start: string
  readonly node: Node
  readonly operations: Operations
  readonly voter: Voter
  dead: boolean
  wakeAtMs: number
  held: { reply: AfterSync<Reply>; request: Request; to: Host; toStart: string }[]
  /** The batch that is being synced. */
  syncing: Batch | undefined
}

/** A computer with a disk, on which `mesh-node` is started and killed. */
export class Host {
  readonly id: NodeId
  readonly clocks: MachineClocks
  disk: Disk
  process: Process | undefined
  /** Its voter is of a version that knows each step of a change of voters as a message of its own, and nothing else. */
  stepByStep = false
  /** While suspended nothing runs; what arrives waits. */
  suspended = false
  readonly #waiting: (() => void)[] = []
  readonly #world: World
  readonly #network: Links
  readonly #hooks: HostHooks
  readonly #timing: Timing
  /** Two copies of one disk may run under one name: each gets messages for it. */
  readonly #syncMsMax: number

  constructor(components: { world: World; network: Links; clocks: MachineClocks; hooks: HostHooks }, init: { id: NodeId; timing: Timing; syncMsMax: number }) {
    this.id = init.id
    this.#world = components.world
    this.#network = components.network
    this.#hooks = components.hooks
    this.clocks = components.clocks
    this.#timing = { ...init.timing, quantumMs: components.clocks.quantumMs }
    this.#syncMsMax = init.syncMsMax
    this.disk = new Disk(randomHex(this.#world))
  }

  get readings(): Readings {
    return this.clocks.read()
  }

  get isUp(): boolean {
    return this.process !== undefined && !this.suspended
  }

  start(): void {
    const { disk } = this
    // What the driver does at a start: a store behind its second file has lost memory and is a new store.
    if (isMemoryLost({ stored: disk.sequence, slot: disk.slot })) {
      this.forget()
      this.#startProcess()
      return
    }
    // A batch that reached the disk just before a crash counts from now on, so the second file must say so first.
    disk.slot = Math.max(disk.slot, disk.sequence)
    this.#startProcess()
  }

  #startProcess(): void {
    const { disk } = this
    const now = this.readings
    const start = randomHex(this.#world)
    const timing = this.#timing
    const components = { random: this.#world.random, seals: simulatedSeals(this.id), hashOf: simulatedHash, hashOfChunk: simulatedHashOfChunk, newTable: () => new CompactTable() }
    const { incarnation } = disk
    const voter = new Voter({ ...components, table: new CompactTable() }, { node: this.id, incarnation, start, timing, clockKind: this.clocks.kind, state: disk.state(), now })
    const node = new Node(components, {
      node: this.id, incarnation, start, epoch: disk.epoch, chain: disk.nodeChain, timing, clockKind: this.clocks.kind, now,
    })
    const operations = new Operations({ node }, { needsFence: () => true })
    this.process = { start, node, operations, voter, dead: false, wakeAtMs: Infinity, held: [], syncing: undefined }
    this.#hooks.started(this, this.process)
    node.start(now)
    this.flush()
  }

  /** A new, empty store under the old name. */
  forget(): void {
    const chain = this.disk.nodeChain
    this.disk = new Disk(randomHex(this.#world))
    this.disk.nodeChain = chain.slice(0, 1)
  }

  kill(): void {
    if (this.process === undefined) return
    this.process.dead = true
    // A batch under way may or may not have reached the disk; nobody was told of it.
    if (this.process.syncing !== undefined && this.#world.chance(0.5)) this.disk.apply(this.process.syncing)
    this.process = undefined
    this.#waiting.length = 0
  }

  suspend(how: 'asleep' | 'frozen' | 'stopped'): void {
    this.suspended = true
    if (how !== 'stopped') this.clocks.to(how)
  }

  /** Wakes up with its queues as they were; what the network held for it comes late, or not at all. */
  resume(): void {
    this.suspended = false
    this.clocks.to('awake')
    const waiting = this.#waiting.splice(0)
    for (const run of waiting) this.#world.after(this.#world.between(0, 50), run)
    this.#hooks.stepped(this)
  }

  /** Runs now, or when the host wakes up, if this process still lives then. */
  inProcess(process: Process, run: () => void, mayDrop = false): void {
    if (process.dead) return
    if (this.suspended) {
      if (!mayDrop || this.#waiting.length < 200) this.#waiting.push(() => { this.inProcess(process, run) })
      return
    }
    run()
    this.flush()
  }

  /** Carries out what the node wants done. */
  flush(): void {
    const { process } = this
    if (process === undefined) return
    for (const effect of process.node.takeEffects()) this.#do(process, effect)
    this.#schedule(process)
    this.#hooks.stepped(this)
  }

  #do(process: Process, effect: NodeEffect): void {
    switch (effect.kind) {
      case 'request':
        this.#hooks.asked(this, effect.request)
        this.#toAll(effect.to, effect.request.body.kind, (host) => { host.#receiveRequest(effect.request, this) })
        return
      case 'peer':
        this.#toAll(effect.to, effect.message.kind, (host) => { host.#receivePeer(effect.message, this) })
        return
      case 'persist-epoch':
        this.#world.after(this.#world.between(0.1, this.#syncMsMax), () => {
          if (process.dead) return
          this.inProcess(process, () => {
            this.disk.epoch = Math.max(this.disk.epoch, effect.epoch)
            process.node.epochPersisted(effect.epoch, this.readings)
          })
        })
        return
      case 'lost-touch': {
        const others = [...this.#hooks.peers()].filter((host) => host.id !== this.id)
        const to = this.#world.pick(others)
        this.#do(process, { kind: 'peer', to: to.id, message: { kind: 'chain-wish', known: effect.known } })
        return
      }
      case 'persist-chain':
        this.disk.nodeChain = effect.chain
        return
      default:
        this.#hooks.effect(this, effect)
    }
  }

  #toAll(to: NodeId, label: string, deliver: (host: Host) => void): void {
    for (const host of this.#hooks.peers()) {
      if (host.id === to) this.#network.send(this.id, host.id, () => { deliver(host) }, label)
    }
  }

  #receiveRequest(request: Request, from: Host): void {
    const { process } = this
    if (process === undefined) return
    this.inProcess(process, () => {
      const row = process.voter.rowOf(request)
      const reply = process.voter.handle(this.stepByStep ? withoutSteps(request) : request, this.readings, row === undefined ? undefined : this.disk.chunk(row))
      const { chain } = process.voter
      if ((chain[chain.length - 1]?.number ?? 0) > process.node.config.number) {
        process.node.at(this.readings)
        process.node.learn(chain)
      }
      process.held.push({ reply, request, to: from, toStart: request.nonce.start })
      // What tells of nothing that is not on disk yet may leave at once.
      this.#release(process, new Synced(this.disk.sequence))
      if (process.syncing === undefined) this.#sync(process)
    }, true)
  }

  #receivePeer(message: PeerMessage, from: Host): void {
    const { process } = this
    if (process === undefined) return
    this.inProcess(process, () => { process.operations.receivePeer(from.id, message, this.readings) }, true)
  }

  /** Group commit: what was changed so far is one batch; what comes while it is being synced is the next. */
  #sync(process: Process): void {
    const batch = process.voter.takeBatch()
    if (batch === undefined) {
      this.#release(process, new Synced(this.disk.sequence))
      return
    }
    process.syncing = batch
    this.#world.after(this.#world.between(0.1, this.#syncMsMax), () => {
      if (process.dead) return
      this.inProcess(process, () => {
        this.disk.apply(batch)
        this.disk.slot = batch.sequence
        this.#hooks.synced(this, batch)
        process.syncing = undefined
        this.#release(process, new Synced(batch.sequence))
        this.#sync(process)
      })
    })
  }

  #release(process: Process, synced: Synced): void {
    const isReady = ({ reply }: Process['held'][number]): boolean => reply.through <= synced.through
    if (!process.held.some(isReady)) return
    const ready = process.held.filter(isReady)
    process.held = ready.length === process.held.length ? [] : process.held.filter((entry) => !isReady(entry))
    for (const { reply, request, to } of ready) {
      const answer = reply.release(synced)
      this.#hooks.replied(this, request, answer)
      this.#network.send(this.id, to.id, () => { to.#receiveReply(answer) }, answer.body.kind)
    }
  }

  #receiveReply(reply: Reply): void {
    const { process } = this
    if (process === undefined) return
    this.inProcess(process, () => { process.node.receive(reply, this.readings) }, true)
  }

  #schedule(process: Process): void {
    const next = process.node.nextWakeMs
    if (next === undefined) return
    // A little late, so that rounding never wakes it a hair too early for ever.
    const dueMs = this.#world.nowMs + 0.01 + Math.max(0, this.clocks.trueMs(next - this.readings.hrtimeMs))
    if (dueMs >= process.wakeAtMs) return
    process.wakeAtMs = dueMs
    this.#world.after(dueMs - this.#world.nowMs, () => {
      if (process.dead || process.wakeAtMs !== dueMs) return
      this.inProcess(process, () => {
        process.wakeAtMs = Infinity
        process.node.wake(this.readings)
      })
    })
  }
}

export function randomHex(world: World): string {
  return Buffer.from(world.random.bytes(8)).toString('hex')
}

/** As a version reads it that does not know these fields. */
function withoutSteps(request: Request): Request {
  const { body } = request
  if (body.kind === 'seal') return { ...request, body: { kind: 'seal', members: body.members, ...(body.base === undefined ? {} : { base: body.base }) } }
  if (body.kind === 'decree-accept') return { ...request, body: { kind: 'decree-accept', ballot: body.ballot, decree: body.decree } }
  return request
}
