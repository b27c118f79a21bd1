import { createHash } from 'node:crypto'
import type { Clock, Log, NodeId, Random } from '../../base/index.js'
import { messageOf } from '../../base/index.js'
import type { ConfigRecord } from '../config.js'
import { voterCounts, voterTarget } from '../quorum.js'
import { ConsensusError } from '../types.js'
import type { VoterId } from '../types.js'
import type { Consensus } from './service.js'
import type { VoterCandidate } from './voter-plan.js'
import { planVoters } from './voter-plan.js'

export interface VoterKeeperComponents {
  readonly consensus: Consensus
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Members that may vote, as this node sees them now; itself included. */
  readonly candidates: () => readonly VoterCandidate[]
}

export interface VoterKeeperInit {
  readonly self: NodeId
  /** How often it is looked whether something should change. 15 s: a new mesh has three voters soon after its third node. */
  readonly everyMs?: number
  /** How long a voter may be silent before it is replaced. 10 min: a reboot or an update is no reason. */
  readonly graceMs?: number
  /**
   * With so many registers, more than half of them free, the free ones are dropped. 4,000: some 1 MB, copied within a second.
   */
  readonly crowdedAt?: number
}

export interface VoterList {
  /** The configuration's number. */
  readonly epoch: number
  readonly target: number
  /** What somebody set, if anybody did. */
  readonly fixed: number | undefined
  readonly voters: readonly { readonly peerId: NodeId; readonly region: string; readonly up: boolean }[]
}

/** It stops everybody for as long as a change of voters does; and if it was given up, the reason may pass. */
const compactEveryMs = 600_000

/** The register that holds what `voters set` was told: decimal text; empty for "choose yourselves". */
const settingScope = 'mesh:voters'

/**
 * Keeps the voters as they should be: 1, 3, 5 as nodes come, the dead replaced after a grace, those that lost their memory
 * configured in again. Every node looks; the one whose turn it is acts, so that they do not race (a race is safe, only
 * a waste). Turns go by a hash of the configuration and the node, so that one that hangs is not asked for ever.
 */
export class VoterKeeper {
  readonly #components: VoterKeeperComponents
  readonly #init: Required<VoterKeeperInit>
  #compactAgainMs = -Infinity

  constructor(components: VoterKeeperComponents, init: VoterKeeperInit) {
    this.#components = components
    this.#init = { everyMs: 15_000, graceMs: 600_000, crowdedAt: 4000, ...init }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#components
    for (;;) {
      if (signal.aborted) return
      try {
        await clock.sleep(this.#init.everyMs * (0.75 + random.float() / 2), signal)
        await this.look(signal)
      } catch (error) {
        // A change that was given up leaves everything as it was; the next look tries again.
        log.debug('the voters stay as they are', { error: messageOf(error) })
      }
    }
  }

  /** One look; changes the voters if this node's turn has come and something should change. True if it did. */
  async look(signal?: AbortSignal): Promise<boolean> {
    const { consensus, log } = this.#components
    const config = consensus.config
    if (config === undefined || consensus.session === undefined || consensus.isReconfiguring) return false
    const candidates = this.#components.candidates()
    if (this.#isCrowded(config, candidates)) return this.#compact(config, signal)
    if (!this.#isMyTurn(config.number, candidates)) return false
    const current = config.members.map(({ node }) => node)
    const planned = planVoters(current, candidates, { target: await this.#fixed(signal), graceMs: this.#init.graceMs })
    const wanted = planned ?? ((await this.#hasStranger(config.members, signal)) ? current : undefined)
    if (wanted === undefined) return false
    log.info('changing the voters', { from: current, to: wanted })
    await consensus.reconfigure(wanted, signal === undefined ? {} : { signal })
    return true
  }

  /** Only voters can tell, so the turn goes round among them. */
  #isCrowded(config: ConfigRecord, candidates: readonly VoterCandidate[]): boolean {
    const { consensus, clock } = this.#components
    const { crowdedAt, self } = this.#init
    if (consensus.votesIn !== config.number || consensus.registers < crowdedAt || clock.monotonicMs() < this.#compactAgainMs) return false
    const members = new Set(config.members.map(({ node }) => node))
    if (!members.has(self) || !this.#isMyTurn(config.number, candidates.filter(({ node }) => members.has(node)))) return false
    return consensus.freeRegisters * 2 > consensus.registers
  }

  /** Released scopes leave a register each. A change to the same voters drops them, and tokens go on above the highest dropped. */
  async #compact(config: ConfigRecord, signal: AbortSignal | undefined): Promise<boolean> {
    const { consensus, log, clock } = this.#components
    this.#compactAgainMs = clock.monotonicMs() + compactEveryMs
    log.info('dropping free registers', { registers: consensus.registers })
    await consensus.reconfigure(config.members.map(({ node }) => node), { ...(signal === undefined ? {} : { signal }), mayDrop: () => true })
    return true
  }

  async list(signal?: AbortSignal): Promise<VoterList> {
    const config = this.#components.consensus.config
    if (config === undefined) throw new ConsensusError('NO_SESSION', 'this node knows no configuration')
    const candidates = new Map(this.#components.candidates().map((candidate) => [candidate.node, candidate]))
    const fixed = await this.#fixed(signal).catch(() => undefined)
    const up = [...candidates.values()].filter((candidate) => candidate.up).length
    return {
      epoch: config.number, fixed, target: fixed ?? voterTarget(up),
      voters: config.members.map(({ node }) => ({ peerId: node, region: candidates.get(node)?.region ?? '', up: candidates.get(node)?.up ?? false })),
    }
  }

  /** How many there should be (1, 3 or 5), for all nodes; undefined: by the number of nodes. Takes effect at the next look. */
  async setTarget(target: number | undefined, signal?: AbortSignal): Promise<void> {
    if (target !== undefined && !voterCounts.includes(target)) throw new ConsensusError('BAD_INPUT', 'there are 1, 3 or 5 voters', { target })
    const payload = Buffer.from(target === undefined ? '' : String(target))
    await this.#components.consensus.change(settingScope, ({ token }) => ({
      kind: 'set', value: { holder: null, token: token + 1, op: `voters-${String(token + 1)}`, payload }, answer: null,
    }), signal === undefined ? {} : { signal })
  }

  /** These and no others, at once. Throws NOT_RECONFIGURED, SEALED, BAD_INPUT. */
  async setVoters(nodes: readonly NodeId[], signal?: AbortSignal): Promise<number> {
    await this.setTarget(nodes.length, signal)
    return this.#components.consensus.reconfigure(nodes, signal === undefined ? {} : { signal })
  }

  async #fixed(signal: AbortSignal | undefined): Promise<number | undefined> {
    const value = await this.#components.consensus.read(settingScope, signal === undefined ? {} : { signal })
    const number = Number(Buffer.from(value?.payload ?? []).toString())
    return voterCounts.includes(number) ? number : undefined
  }

  /** A voter whose store is a new one: it lost its memory and votes in nothing until it is configured in again. */
  async #hasStranger(members: readonly VoterId[], signal: AbortSignal | undefined): Promise<boolean> {
    const found = await this.#components.consensus.probe(members.map(({ node }) => node), signal === undefined ? {} : { signal })
    return found.some((voter) => members.some((member) => member.node === voter.node && member.incarnation !== voter.incarnation))
  }

  #isMyTurn(config: number, candidates: readonly VoterCandidate[]): boolean {
    const rank = (node: NodeId): string => createHash('sha256').update(`${String(config)}/${node}`).digest('hex')
    const up = candidates.filter((candidate) => candidate.up || candidate.node === this.#init.self).map(({ node }) => node)
    return up.every((node) => rank(node) >= rank(this.#init.self))
  }
}
