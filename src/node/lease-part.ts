import { Emitter, HlcClock, messageOf } from '../base/index.js'
import type { Clock, Log, Random, Signer } from '../base/index.js'
import type { LeaseState, NodeEvent } from '../client/index.js'
import { createConsensus, createSeals, decodeConfigRecord, SlottedMemoryFile, VoterKeeper } from '../consensus/index.js'
import type { ConfigRecord, Consensus, VoterCandidate } from '../consensus/index.js'
import type { NodeFigures } from '../gateways/http/index.js'
import { createLeases, isReserved } from '../leases/index.js'
import type { LeaseService } from '../leases/index.js'
import { authorityOf } from '../membership/index.js'
import type { Membership } from '../membership/index.js'
import type { Net } from '../net/index.js'
import type { Store } from '../store/index.js'
import type { Home } from './home.js'
import { clockKind, readClocks } from './lease-clocks.js'
import type { Lifecycle } from './lifecycle.js'
import { NodeLeases } from './node-leases.js'

export interface LeasePartComponents {
  store: Store
  membership: Membership
  net: Net
  signer: Signer
  clock: Clock
  random: Random
  log: Log
}

export interface LeasePartInit {
  home: Home
  /** What an agent is called that does not say. */
  name: string
  clockStepMs: number
}

/** A look costs one round trip; a mesh should not stay with one voter for long after its third node came. */
const lookAfterVotersMs = 5_000
/** A member that joined by an old invite hears of the first configuration from others, by gossip, within seconds. */
const genesisAgainMs = 500

/**
 * Consensus, voters and leases of a running node, and what it tells of them. Nothing in here stops the node if it fails:
 * files need no leases.
 */
export class LeasePart {
  readonly api: NodeLeases
  readonly #components: LeasePartComponents
  readonly #consensus: Consensus
  readonly #keeper: VoterKeeper
  readonly #service: LeaseService
  readonly #events = new Emitter<{ event: NodeEvent }>()
  readonly #chain: ConfigRecord[] = []
  readonly #stopping = new AbortController()
  #trouble: string | undefined

  constructor(components: LeasePartComponents, init: LeasePartInit) {
    this.#components = components
    const { store, membership, net, signer, clock, random, log } = components
    const readings = (): ReturnType<typeof readClocks> => readClocks(clock)
    this.#consensus = createConsensus(
      {
        store: store.meta('lease-registers'), memoryFile: new SlottedMemoryFile({ path: init.home.voterFile }), rpc: net.rpc, connections: net, clock, random, log,
        seals: createSeals(signer, authorityOf(membership.meshId)),
      },
      { clockKind, readings, chain: this.#chain, timing: { quantumMs: init.clockStepMs } },
    )
    this.#keeper = new VoterKeeper(
      { consensus: this.#consensus, clock, random, log, candidates: () => this.#candidates() },
      { self: net.self, everyMs: lookAfterVotersMs },
    )
    this.#service = createLeases(
      { consensus: this.#consensus, store: store.meta('lease-history'), rpc: net.rpc, connections: net, hlc: new HlcClock(clock), clock, random, log },
      { self: net.self, readings, clockKind, timing: { quantumMs: init.clockStepMs }, isMine: (scope) => !isReserved(scope) },
    )
    this.#service.on('transition', (transition) => {
      const { from, to, ...rest } = transition
      this.#events.emit('event', { type: 'lease', ...rest, from: from satisfies LeaseState | null, to })
    })
    this.#consensus.on('config', (config) => {
      this.#events.emit('event', { type: 'voters', epoch: config.number, voters: config.members.map(({ node }) => node) })
    })
    this.api = new NodeLeases(
      { service: this.#service, consensus: this.#consensus, keeper: this.#keeper, membership, clock, stopping: this.#stopping.signal },
      { self: net.self, agent: init.name },
    )
  }

  /** Upward: registers, then who votes, then leases; the lifecycle takes them down in reverse. */
  start(lifecycle: Lifecycle): void {
    const failed = (error: unknown): void => {
      this.#trouble = `leases do not work on this node: ${messageOf(error)}; its log says more`
    }
    lifecycle.run('consensus', async (signal) => this.#runConsensus(signal), failed)
    lifecycle.run('voters', async (signal) => this.#keeper.run(signal), failed)
    lifecycle.run('leases', async (signal) => this.#service.run(signal), failed)
  }

  /** Ends the waits for leases, so that they do not hold up a stop. */
  endWaits(): void {
    this.#stopping.abort()
  }

  /** While the API still answers: agents hear that their leases are over, and others get the scopes without a wait. */
  async giveBack(): Promise<void> {
    await this.#service.giveAllBack()
  }

  /** For what else stands on registers: volumes. Runs from `start` on. */
  get consensus(): Consensus {
    return this.#consensus
  }

  voters(): string[] {
    return this.#consensus.config?.members.map(({ node }) => node) ?? []
  }

  /** What is wrong, in words. */
  trouble(): string | undefined {
    return this.#trouble
  }

  figures(): NonNullable<NodeFigures['leases']> {
    const { contended, noQuorum } = this.#consensus.counters
    return { held: this.#service.heldCount, ...this.#service.counters, contended, noQuorum }
  }

  onEvent(listener: (event: NodeEvent) => void): () => void {
    return this.#events.on('event', listener)
  }

  async #runConsensus(signal: AbortSignal): Promise<void> {
    const { membership, clock } = this.#components
    for (;;) {
      const genesis = membership.genesis()
      if (genesis !== undefined) {
        this.#chain.push(decodeConfigRecord(genesis))
        break
      }
      if (membership.members().length > 0) this.#trouble = 'leases do not work yet: the mesh\'s first voters are not known here (a mesh made by a version without leases has none)'
      await clock.sleep(genesisAgainMs, signal)
    }
    this.#trouble = undefined
    await this.#consensus.run(signal)
  }

  #candidates(): VoterCandidate[] {
    const { membership, net, clock } = this.#components
    return membership.members().filter((member) => !member.revoked).map((member) => ({
      node: member.peerId,
      up: member.peerId === net.self || (member.state === 'up' && net.isConnected(member.peerId)),
      silentMs: member.peerId === net.self || member.state === 'up' ? 0 : Math.max(0, clock.wallMs() - member.lastSeenMs),
      reliability: member.reliability,
      region: member.region,
      segment: member.segment,
    }))
  }
}
