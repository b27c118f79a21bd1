import { asNodeId, CommonError } from '../base/index.js'
import type { ActionPlan, DrainResult, EvictionResult, PlacementInfo, QuotaChange, QuotaInfo } from '../client/index.js'
import type { NodeContribution, Signalled } from '../gateways/http/index.js'
import type { Membership } from '../membership/index.js'
import type { Replication } from '../replication/index.js'
import type { Plan } from '../storage-policy/index.js'
import type { Config } from './config/index.js'
import type { Contribution } from './contribution.js'
import type { Tallies } from './figures.js'
import type { VolumePart } from './volume-part.js'

export interface ContributionApiComponents {
  replication: Replication
  contribution: Contribution
  membership: Membership
  tallies: Tallies
  volumes: Pick<VolumePart, 'drain'>
}

/** What the API does with what this node gives, as calls of `replication`. */
export class ContributionApi implements NodeContribution {
  readonly #components: ContributionApiComponents
  readonly #config: Config
  #draining: Promise<DrainResult> | undefined

  constructor(components: ContributionApiComponents, init: { config: Config }) {
    this.#components = components
    this.#config = init.config
  }

  async explain(target: string): Promise<PlacementInfo> {
    const { replication, membership } = this.#components
    const [explanation, { holders }] = await Promise.all([replication.explain(target), replication.replicasOf(target)])
    return {
      cid: explanation.cid,
      size: explanation.size,
      wanted: explanation.wanted,
      chosen: [...new Set([...holders, ...explanation.chosen])],
      holders,
      warnings: [...explanation.warnings],
      nodes: explanation.nodes.map(({ peerId, score, terms, rejected }) => ({ peerId, name: membership.member(peerId)?.name ?? '', score, terms: { ...terms }, rejected })),
    }
  }

  async quota(): Promise<QuotaInfo> {
    const { replication, contribution, tallies } = this.#components
    const [report, tally] = await Promise.all([replication.quota(), tallies.get()])
    const { shareExcess, minFreeDiskBytes } = contribution.quota
    return {
      ...report,
      // As `status` has it: the room's own figures are as old as its last sweep.
      ownBytes: tally.ownBytes,
      othersBytes: tally.blobBytes - tally.ownBytes,
      pinnedBytes: tally.pinnedBytes,
      shareExcess,
      minFreeDiskBytes,
      autoEvict: this.#config['storage.auto_evict'],
      evictionStrategy: this.#config['storage.eviction_strategy'],
      replication: replication.status().state,
    }
  }

  async setQuota(change: QuotaChange): Promise<QuotaInfo & { persisted: boolean; overriddenBy: string[] }> {
    const { persisted, overriddenBy } = this.#components.contribution.set(change)
    return { ...(await this.quota()), persisted, overriddenBy }
  }

  async evict(options: { bytes: number; dryRun: boolean } & Signalled): Promise<EvictionResult> {
    const { bytes, dryRun, signal } = options
    const outcome = await this.#components.replication.evict({ bytes, dryRun, ...(signal === undefined ? {} : { signal }) })
    const { freedBytes, shortBytes, refused, kept } = outcome
    return { ...planned(outcome), dryRun, freedBytes, shortBytes, refused, kept: { ...kept } }
  }

  async rebalance(options: { dryRun: boolean }): Promise<ActionPlan> {
    const plan = await this.#components.replication.plan()
    if (!options.dryRun) this.#components.replication.rebalance()
    return planned(plan)
  }

  pause(): void {
    this.#components.replication.pause()
  }

  resume(): void {
    this.#components.replication.resume()
  }

  /** One at a time: who asks again while it goes on waits for the same end. */
  async drain(signal: AbortSignal): Promise<DrainResult> {
    this.#draining ??= this.#drain(signal).finally(() => {
      this.#draining = undefined
    })
    return this.#draining
  }

  async #drain(signal: AbortSignal): Promise<DrainResult> {
    const { replication, volumes } = this.#components
    // Blobs first: from then on this node takes nothing, and is no place for a segment either.
    const { moved, remaining, problems } = await replication.drain(signal)
    const segments = await volumes.drain(signal)
    const told = segments.remaining === 0 ? [] : [`${String(segments.remaining)} segments of volumes have no other node to go to`]
    return { moved, remaining: remaining + segments.remaining, problems: [...problems, ...told] }
  }

  async forget(peerId: string): Promise<void> {
    const { membership, replication } = this.#components
    const peer = asNodeId(peerId)
    const member = peer === undefined ? undefined : membership.member(peer)
    if (peer === undefined || member === undefined) throw new CommonError('NOT_FOUND', 'no member of the mesh has this ID', { peerId })
    if (member.state === 'up') throw new CommonError('BAD_INPUT', `${member.name} is up: forget is for nodes that are silent and will not come back`, { peerId })
    await replication.forget(peer)
  }
}

function planned(plan: Plan): ActionPlan {
  return { actions: plan.actions.map(({ kind, cid, from, to, bytes, reason }) => ({ kind, cid, from, to, bytes, reason })), bytes: plan.bytes }
}
