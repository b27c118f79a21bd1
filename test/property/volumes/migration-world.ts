import type { Cancel, Clock, Connections, Gossip, GossipVerdict, NodeId } from '../../../src/base/index.js'
import { nodeIdOfPublicKey, seededRandom, silentLog } from '../../../src/base/index.js'
import { createHeat } from '../../../src/heat/index.js'
import type { Heat, Place } from '../../../src/heat/index.js'
import { createGovernor } from '../../../src/volumes/migration/index.js'
import type { MigrationDecision, MigrationGovernor, MigrationPolicyName, MigrationSettings } from '../../../src/volumes/migration/index.js'

type Handler = (message: Uint8Array, from: NodeId) => GossipVerdict | Promise<GossipVerdict>

export const volume = '00112233445566778899aabbccddeeff'
/** What a hand-off costs, in round trips between the two. */
const handOffRoundTrips = 2.5

/** A name that is also a key: news carry keys. */
export function nodeIdOf(number: number): NodeId {
  return nodeIdOfPublicKey(new Uint8Array(32).fill(number + 1))
}

interface Site {
  readonly place: Place
  readonly heat: Heat
  readonly governor: MigrationGovernor
}

/**
 * Sites with given round trips between them, that write to one segment: the real heat, gossip and policy at every site,
 * no engine. Counts what writers wait.
 */
export class MigrationWorld {
  nowMs = 1_000_000
  holder = 0
  moves = 0
  totalMs = 0
  writes = 0
  readonly decisions: MigrationDecision[] = []
  readonly sites: Site[]
  readonly #rtts: readonly (readonly number[])[]
  readonly #policy: MigrationPolicyName
  #timers: { atMs: number; run: () => void }[] = []

  constructor(init: { rtts: readonly (readonly number[])[]; regions?: readonly string[]; policy?: MigrationPolicyName; settings?: Partial<MigrationSettings>; writers?: number }) {
    this.#rtts = init.rtts
    this.#policy = init.policy ?? 'adaptive'
    const handlers = new Map<NodeId, Handler>()
    const clock: Clock = {
      wallMs: () => this.nowMs + 1_700_000_000_000,
      monotonicMs: () => this.nowMs,
      setTimer: (ms, run): Cancel => {
        const timer = { atMs: this.nowMs + ms, run }
        this.#timers.push(timer)
        return () => {
          this.#timers = this.#timers.filter((other) => other !== timer)
        }
      },
      sleep: (ms) => new Promise((resolve) => this.#timers.push({ atMs: this.nowMs + ms, run: resolve })),
    }
    const names = init.regions ?? ['a', 'b', 'c', 'd', 'e']
    this.sites = init.rtts.map((row, i) => {
      const self = nodeIdOf(i)
      const connections: Connections = {
        self,
        connected: () => init.rtts.map((_, j) => nodeIdOf(j)).filter((node) => node !== self),
        isConnected: () => true,
        rttMs: (peer) => row[init.rtts.findIndex((_, j) => nodeIdOf(j) === peer)],
        on: () => () => undefined,
      }
      const gossip: Gossip = {
        topic: () => ({
          publish: async (message) => {
            for (const [node, handler] of handlers) if (node !== self) void handler(message, self)
          },
          subscribe: (handler) => {
            handlers.set(self, handler)
            return () => undefined
          },
        }),
      }
      const regionOf = (node: NodeId): string | undefined => names[init.rtts.findIndex((_, j) => nodeIdOf(j) === node)]
      const heat = createHeat({ gossip, connections, clock, random: seededRandom(i + 1), log: silentLog, regionOf }, { segmentBlocks: 16_384 })
      void heat.run(new AbortController().signal)
      return { place: { node: self, region: names[i] ?? '' }, heat, governor: createGovernor({ heat, clock, log: silentLog }, init.settings) }
    })
  }

  site(index: number): Site {
    return this.sites[index] as Site
  }

  rtt(a: number, b: number): number {
    return this.#rtts[a]?.[b] ?? 0
  }

  costMs(writer: number, holder: number): number {
    return writer === holder ? 1 : this.rtt(writer, holder) + 1
  }

  /** Lets time pass; gossip runs. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms
    // Sites that were just made have not come to their first wait yet.
    if (this.#timers.length < this.sites.length) await new Promise((resolve) => setImmediate(resolve))
    for (;;) {
      const due = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (due === undefined) break
      this.#timers.splice(this.#timers.indexOf(due), 1)
      this.nowMs = Math.max(this.nowMs, due.atMs)
      due.run()
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.nowMs = untilMs
  }

  /** One write; what it waited, ms, a hand-off that follows it included. */
  write(writer: number, range = { start: 0, blocks: 8 }, bytes = 64 * 1024, held = { start: 0, blocks: 16_384 }): MigrationDecision | undefined {
    const { place } = this.site(writer)
    const remote = writer !== this.holder
    const latencyMs = this.costMs(writer, this.holder)
    const access = { volume, segment: 0, ...range, kind: 'write' as const, place, latencyMs, remote }
    this.writes++
    this.totalMs += latencyMs
    this.site(writer).heat.record(access)
    if (!remote) return undefined
    const holder = this.site(this.holder)
    holder.heat.record(access)
    const question = {
      volume, segment: 0, ...range, policy: this.#policy, holder: holder.place, asker: place, held, bytesToMove: () => bytes,
      others: this.sites.map((site) => site.place),
    }
    const decision = holder.governor.decide(question)
    this.decisions.push(decision)
    if (decision.type === 'move') {
      const to = this.sites.findIndex((site) => site.place.node === decision.to.node)
      this.totalMs += handOffRoundTrips * this.rtt(this.holder, to)
      holder.governor.ended(question, decision, 'moved')
      this.site(to).governor.arrived(volume, 0, decision.range)
      this.holder = to
      this.moves++
    }
    return decision
  }
}

/** Total wait of the same writes if the range had stayed at the best single place. */
export function bestStaticMs(world: MigrationWorld, writers: readonly number[]): number {
  return Math.min(...world.sites.map((_, holder) => writers.reduce((sum, writer) => sum + world.costMs(writer, holder), 0)))
}
