import { setMaxListeners } from 'node:events'
import type { Connections, Log, NodeId, Random, Rpc } from '../../../src/base/index.js'
import { createSigner, seededRandom } from '../../../src/base/index.js'
import { createConsensus, createSeals, firstConfig } from '../../../src/consensus/index.js'
import type { ConfigRecord, Consensus, Value } from '../../../src/consensus/index.js'
import type { SegmentConsensus } from '../../../src/volumes/index.js'
import { TestMemoryFile } from '../../unit/consensus/mesh.js'
import { MemorySlice } from '../../unit/volumes/disk-store.js'
import type { MemoryDatabase } from '../../unit/volumes/disk-store.js'
import type { VirtualClock } from '../net-clock.js'

export interface VoterProcess {
  readonly number: number
  readonly database: MemoryDatabase
  readonly rpc: Rpc
  readonly connections: Connections
  readonly log: Log
}

/**
 * The consensus as it is, over the simulated network and disks, in place of `RegisterTwin`: the first three machines
 * vote. What a register had is learnt when somebody is told of it, which is before anybody acts on it.
 */
export class RealVoters {
  /** Who cannot reach the others about registers. */
  readonly deaf = new Set<NodeId>()
  answersLostRatio = 0
  onChosen: (scope: string, value: Value) => void = () => undefined
  readonly #clock: VirtualClock
  readonly #random: Random
  readonly #authority = createSigner(new Uint8Array(32).fill(99))
  /** Synced before a voter answers: no loss of power touches them. */
  readonly #files = new Map<number, TestMemoryFile>()
  readonly #known = new Map<string, Uint8Array>()
  #first: ConfigRecord | undefined

  constructor(clock: VirtualClock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  idOf(number: number): NodeId {
    return this.#signerOf(number).nodeId
  }

  /** What becomes of a message about registers. */
  gate(from: NodeId, to: NodeId): 'pass' | 'drop' | 'mute' {
    if (this.deaf.has(from) || this.deaf.has(to)) return 'drop'
    return this.#random.float() < this.answersLostRatio ? 'mute' : 'pass'
  }

  async join({ number, database, rpc, connections, log }: VoterProcess): Promise<RealConsensus> {
    const store = new MemorySlice(database, Buffer.from('consensus'))
    let memoryFile = this.#files.get(number)
    if (memoryFile === undefined) this.#files.set(number, (memoryFile = new TestMemoryFile()))
    if (this.#first === undefined) {
      // What `init` does: make the store, then the configuration that names it.
      const incarnation = Buffer.from(this.#random.bytes(16)).toString('hex')
      await store.write([store.put(Buffer.from('n:i'), Buffer.from(incarnation))], { durable: true })
      memoryFile.sequence = 0
      this.#first = firstConfig(this.#authority, { node: this.idOf(number), incarnation })
    }
    const clock = this.#clock
    const consensus = createConsensus(
      { store, memoryFile, rpc, connections, clock, random: seededRandom(this.#random.below(2 ** 31)), log, seals: createSeals(this.#signerOf(number), this.#authority.nodeId) },
      {
        clockKind: 'sleep-blind', chain: [this.#first],
        readings: () => ({ hrtimeMs: clock.monotonicMs(), uptimeMs: clock.monotonicMs(), wallMs: clock.wallMs() }),
      },
    )
    return new RealConsensus(consensus, (scope, value) => { this.#told(scope, value) })
  }

  #signerOf(number: number): ReturnType<typeof createSigner> {
    return createSigner(new Uint8Array(32).fill(number + 1))
  }

  #told(scope: string, value: Value): void {
    if (this.#known.get(scope) === value.payload || value.payload.length === 0) return
    this.#known.set(scope, value.payload)
    this.onChosen(scope, value)
  }
}

/** One process's consensus. */
export class RealConsensus implements SegmentConsensus {
  readonly consensus: Consensus
  readonly #told: (scope: string, value: Value) => void
  readonly #controller = new AbortController()

  constructor(consensus: Consensus, told: (scope: string, value: Value) => void) {
    this.consensus = consensus
    this.#told = told
  }

  start(): void {
    // Every message under way listens to it.
    setMaxListeners(0, this.#controller.signal)
    void this.consensus.run(this.#controller.signal).catch(() => undefined)
  }

  die(): void {
    this.#controller.abort()
  }

  get session(): SegmentConsensus['session'] {
    return this.consensus.session
  }

  sessionRemainingMs(): number {
    return this.consensus.sessionRemainingMs()
  }

  on: SegmentConsensus['on'] = (name, listener) => this.consensus.on(name, listener)

  async read(...parts: Parameters<SegmentConsensus['read']>): Promise<Value | undefined> {
    const value = await this.consensus.read(...parts)
    if (value !== undefined) this.#told(parts[0], value)
    return value
  }

  async change<Answer>(...parts: Parameters<SegmentConsensus['change']>): Promise<{ value: Value; answer: Answer }> {
    const [scope, change, options] = parts
    const changed = await this.consensus.change(scope, change, options)
    this.#told(scope, changed.value)
    return changed as { value: Value; answer: Answer }
  }

  async list(...parts: Parameters<SegmentConsensus['list']>): Promise<{ scope: string; value: Value }[]> {
    return this.consensus.list(...parts)
  }

  async isOver(...parts: Parameters<SegmentConsensus['isOver']>): Promise<boolean> {
    return this.consensus.isOver(...parts)
  }
}
