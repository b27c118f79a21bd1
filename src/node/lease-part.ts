import { createSigner, Emitter, HlcClock, messageOf } from '../base/index.js'
import type { Clock, Log, Random, Signer } from '../base/index.js'
import type { LeaseState, NodeEvent } from '../client/index.js'
import { createConsensus, createSeals, decodeConfigRecord, foundVoters, SlottedMemoryFile, VoterKeeper } from '../consensus/index.js'
import type { ConfigRecord, Consensus, RecoveryReport, VoterCandidate } from '../consensus/index.js'
import type { NodeFigures } from '../gateways/http/index.js'
import { createGovernor, createLeases, isReserved } from '../leases/index.js'
import type { LeaseService, LeaseServiceInit } from '../leases/index.js'
import { authorityOf } from '../membership/index.js'
import type { Membership } from '../membership/index.js'
import type { Net } from '../net/index.js'
import type { Store } from '../store/index.js'
import type { Config } from './config/index.js'
import { NodeError } from './errors.js'
import type { Home } from './home.js'
import { readKey } from './keys.js'
import { clockKind, clockReader } from './lease-clocks.js'
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
  config: Config
}

/** This node's settings as the leases' room takes them. What is set for the mesh (`lease config set`) goes before. */
function leaseSettings(config: Config): Pick<LeaseServiceInit, 'governor' | 'starvationMs' | 'turnsMax' | 'defaults'> {
  const starvationMs = config['fairness.starvation_timeout_ms']
  return {
    starvationMs,
    turnsMax: config['fairness.max_consecutive_ownership'],
    governor: createGovernor({
      starvationMs, cooldownMs: config['lease_optimization.steal_cooldown_ms'], improvementRatioMin: config['lease_optimization.min_improvement_ratio'],
    }),
    defaults: {
      default_ttl_seconds: config['lease.default_ttl_seconds'], max_renewals: config['lease.max_renewals'],
      acquisition_timeout_ms: config['lease.acquisition_timeout_ms'], cleanup_interval_seconds: config['lease.cleanup_interval_seconds'],
      auto_expire_enabled: config['lease.auto_expire_enabled'], blocking_mode_enabled: config['lease.blocking_mode_enabled'],
      keep_history: config['lease.keep_history'], history_retention_days: config['lease.history_retention_days'],
    },
  }
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
  readonly #name: string
  #trouble: string | undefined

  constructor(components: LeasePartComponents, init: LeasePartInit) {
    this.#components = components
    this.#name = init.name
    const { store, membership, net, signer, clock, random, log } = components
    const readings = clockReader(clock)
    this.#consensus = createConsensus(
      {
        store: store.meta('lease-registers'), memoryFile: new SlottedMemoryFile({ path: init.home.voterFile }), rpc: net.rpc, connections: net, clock, random, log,
        seals: createSeals(signer, authorityOf(membership.meshId)),
      },
      { clockKind, readings, chain: this.#chain, timing: { quantumMs: init.clockStepMs } },
    )
    this.#keeper = new VoterKeeper(
      { consensus: this.#consensus, clock, random, log, candidates: () => this.#candidates() },
      { self: net.self, everyMs: lookAfterVotersMs, graceMs: init.config['lease.voter_grace'] },
    )
    this.#service = createLeases(
      { consensus: this.#consensus, store: store.meta('lease-history'), rpc: net.rpc, connections: net, hlc: new HlcClock(clock), clock, random, log },
      { self: net.self, readings, clockKind, timing: { quantumMs: init.clockStepMs }, isMine: (scope) => !isReserved(scope), ...leaseSettings(init.config) },
    )
    this.#service.on('transition', (transition) => {
      const { from, to, ...rest } = transition
      this.#events.emit('event', { type: 'lease', ...rest, from: from satisfies LeaseState | null, to })
    })
    this.#consensus.on('config', (config) => {
      this.#events.emit('event', { type: 'voters', epoch: config.number, voters: config.members.map(({ node }) => node) })
    })
    this.api = new NodeLeases(
      { service: this.#service, consensus: this.#consensus, keeper: this.#keeper, membership, clock, recover: async (options) => this.#recover(init.home, options), stopping: this.#stopping.signal },
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

  /** Ranges of volumes are leases too: what becomes of them stands in the same history. */
  noteRange(entry: { scope: string; reason: string; error?: string }): void {
    if (!this.#service.settings.current.keep_history) return
    const { scope, error } = entry
    this.#service.history.add({ ...entry, leaseId: scope, agent: this.#name, from: 'active', to: error === undefined ? 'released' : 'active', token: 0 })
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

  /** Throws NOT_ADMIN, NOT_RECONFIGURED. A mesh that never had voters gets its first. */
  async #recover(home: Home, options: { force: boolean; signal: AbortSignal }): Promise<RecoveryReport> {
    const { membership, store, random, net } = this.#components
    const seed = readKey('authority', home.authorityFile)
    if (seed === undefined) throw new NodeError('NOT_ADMIN', `only the node that has ${home.authorityFile} can say who votes after a majority is lost`, {})
    const authority = createSigner(seed)
    if (membership.genesis() !== undefined) return this.#consensus.recover(authority, options)
    if (options.force) await membership.setGenesis(await foundVoters({ store: store.meta('lease-registers'), random, authority }, { self: net.self }))
    return { epoch: 0, lost: [], reached: [], floor: 0 }
  }

  async #runConsensus(signal: AbortSignal): Promise<void> {
    const { membership, clock } = this.#components
    for (;;) {
      const genesis = membership.genesis()
      if (genesis !== undefined) {
        this.#chain.push(decodeConfigRecord(genesis))
        break
      }
      if (membership.members().length > 0) this.#trouble = 'leases do not work yet: the mesh\'s first voters are not known here. A node that has just joined hears of them from others within seconds of being connected; a mesh made by a version without leases has none, and needs `mesh-node voters recover --force` once, on the node with authority.key'
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
