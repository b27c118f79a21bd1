import { asNodeId, codeOf, CommonError, raceAbort } from '../base/index.js'
import type { Clock, NodeId } from '../base/index.js'
import type { AcquireLease, LeaseHistoryQuery, LeaseInfo, LeaseLocked, LeaseSettings, LeaseTransition, VotersInfo, VotersRecovered } from '../client/index.js'
import type { Consensus, RecoveryReport, VoterKeeper } from '../consensus/index.js'
import type { NodeLeases as Api, Signalled } from '../gateways/http/index.js'
import { LeaseError } from '../leases/index.js'
import type { AcquireOptions, LeaseService, LeaseSettings as Settings } from '../leases/index.js'
import type { Membership } from '../membership/index.js'

export interface NodeLeasesComponents {
  service: LeaseService
  consensus: Consensus
  keeper: VoterKeeper
  membership: Membership
  clock: Clock
  /** By the authority's key, where it is. */
  recover: (options: { force: boolean; signal: AbortSignal }) => Promise<RecoveryReport>
  /** Aborts when the node begins to stop. */
  stopping: AbortSignal
}

export interface NodeLeasesInit {
  self: NodeId
  /** Who it is that does not say. */
  agent: string
}

/** A node that has just started, or slept, has its session with the voters again within a second or two. */
const sessionWaitMs = 5_000
const sessionPollMs = 25
/** Rounds retry by themselves; an answer that takes longer than this does not come (the voters are out of reach). */
const answerMs = 20_000
/** More leases than this are listed page by page by nobody yet. */
const listMax = 10_000
/** A shorter beginning of an ID names whoever happens to be there. */
const prefixMin = 4
/** Of one lease, with `get`. */
const historyMax = 100

/** Leases and voters as the API offers them: names and prefixes resolved, every wait bounded. */
export class NodeLeases implements Api {
  readonly #components: NodeLeasesComponents
  readonly #init: NodeLeasesInit

  constructor(components: NodeLeasesComponents, init: NodeLeasesInit) {
    this.#components = components
    this.#init = init
  }

  async acquire(scope: string, { signal, ...options }: AcquireLease & Signalled): Promise<LeaseInfo> {
    return this.#bounded(signal, this.#components.service.waitMsOf(options), async (ends) => this.#components.service.acquire(scope, { ...this.#wished(options), signal: ends }))
  }

  async steal(scope: string, { signal, ...options }: AcquireLease & Signalled): Promise<LeaseInfo> {
    return this.#bounded(signal, this.#components.service.waitMsOf({ ...options, steal: true }), async (ends) => this.#components.service.steal(scope, { ...this.#wished(options), signal: ends }))
  }

  async renew(leaseId: string, ttlMs: number | undefined, { signal }: Signalled): Promise<LeaseInfo> {
    return this.#components.service.renew(await this.#ownId(leaseId, signal), ttlMs)
  }

  async upgrade(leaseId: string, { signal }: Signalled): Promise<LeaseInfo> {
    const id = await this.#ownId(leaseId, signal)
    return this.#bounded(signal, 0, async (ends) => this.#components.service.upgrade(id, { signal: ends }))
  }

  async release(leaseId: string, { signal }: Signalled): Promise<LeaseInfo> {
    const { service } = this.#components
    const id = await this.#ownId(leaseId, signal)
    // At a stop this is an agent's word that it has heard: taken to the last moment.
    if (this.#components.stopping.aborted) await service.release(id)
    else await this.#bounded(signal, 0, async () => service.release(id), 0)
    return service.get(id)
  }

  /** For writing files under it. Throws NOT_FOUND; what it resolves to throws STALE_TOKEN. */
  async writerUnder(leaseId: string, { signal }: Signalled): Promise<() => bigint> {
    const { service } = this.#components
    const id = await this.#ownId(leaseId, signal)
    return () => BigInt(service.vouch(id).token)
  }

  async get(leaseId: string, { signal }: Signalled): Promise<LeaseInfo> {
    const lease = await this.#find(leaseId, signal)
    return { ...lease, history: await this.history({ leaseId: lease.leaseId, limit: historyMax }) }
  }

  async list({ scope = '', agent }: { scope?: string; agent?: string }, { signal }: Signalled): Promise<LeaseInfo[]> {
    const found = await this.#bounded(signal, 0, async (ends) => this.#components.service.listByScope(scope, { limit: listMax, signal: ends }))
    return agent === undefined ? found : found.filter((lease) => lease.agent === agent)
  }

  async locked(scope: string, { signal }: Signalled): Promise<LeaseLocked> {
    return this.#bounded(signal, 0, async (ends) => this.#components.service.isLocked(scope, ends))
  }

  async history(query: LeaseHistoryQuery): Promise<LeaseTransition[]> {
    const found = await this.#components.service.history.query(query)
    return found.map(({ leaseId, scope, agent, from, to, token, at, reason, error }) => ({ leaseId, scope, agent, from, to, token, at, reason, error }))
  }

  async forceRelease(agent: string, { signal }: Signalled): Promise<{ released: number }> {
    return { released: await this.#bounded(signal, 0, async (ends) => this.#components.service.forceRelease(agent, { signal: ends })) }
  }

  async settings({ signal }: Signalled): Promise<LeaseSettings> {
    return plain(await this.#bounded(signal, 0, async (ends) => this.#components.service.settings.refresh(ends)))
  }

  async setSettings(changes: Readonly<Record<string, unknown>>, { signal }: Signalled): Promise<LeaseSettings> {
    return plain(await this.#bounded(signal, 0, async (ends) => this.#components.service.settings.set(changes, ends)))
  }

  async voters({ signal }: Signalled): Promise<VotersInfo> {
    const { keeper, membership } = this.#components
    // Answers without a session, too: who votes is what one wants to know when leases do not work.
    const { epoch, target, voters } = await this.#bounded(signal, 0, async (ends) => keeper.list(ends), 0)
    return { epoch, target, voters: voters.map(({ peerId, region, up }) => ({ peerId, name: membership.member(peerId)?.name ?? '', region, up })) }
  }

  async recoverVoters({ force, signal }: { force: boolean } & Signalled): Promise<VotersRecovered> {
    const { epoch, lost, reached, floor } = await this.#bounded(signal, 0, async (ends) => this.#components.recover({ force, signal: ends }), 0)
    return { epoch, lost: [...lost], reached: [...reached], floor }
  }

  async setVoters(wanted: { target: number | null } | { voters: readonly string[] }, { signal }: Signalled): Promise<VotersInfo> {
    const { keeper } = this.#components
    await this.#bounded(signal, 0, async (ends) => {
      if ('target' in wanted) await keeper.setTarget(wanted.target ?? undefined, ends)
      else await keeper.setVoters(wanted.voters.map((voter) => this.#member(voter)), ends)
    })
    return this.voters({ signal })
  }

  #wished({ agent = this.#init.agent, ...rest }: AcquireLease): AcquireOptions {
    return { agent, ...rest }
  }

  #member(peerId: string): NodeId {
    const node = asNodeId(peerId)
    const member = node === undefined ? undefined : this.#components.membership.member(node)
    if (node === undefined || member === undefined || member.revoked) throw new CommonError('BAD_INPUT', `"${peerId}" is not a member of the mesh`, { peerId })
    return node
  }

  async #find(leaseId: string, signal: AbortSignal | undefined): Promise<LeaseInfo> {
    try {
      return this.#components.service.get(leaseId)
    } catch (error) {
      if (codeOf(error) !== 'NOT_FOUND' || leaseId.length < prefixMin) throw error
    }
    const found = (await this.list({}, { signal })).filter((lease) => lease.leaseId.startsWith(leaseId))
    const [first] = found
    if (first === undefined) throw new LeaseError('NOT_FOUND', `there is no active lease ${leaseId} in the mesh; \`mesh-node lease ls\` lists them`, { leaseId })
    if (new Set(found.map((lease) => lease.leaseId)).size > 1) throw new LeaseError('BAD_INPUT', `${leaseId} could be any of ${String(found.length)} leases`, { leaseId })
    return first
  }

  /** Only the node that granted a lease can renew it or give it back. */
  async #ownId(leaseId: string, signal: AbortSignal | undefined): Promise<string> {
    const lease = await this.#find(leaseId, signal)
    if (lease.holder === this.#init.self) return lease.leaseId
    throw new LeaseError('NOT_FOUND', `the lease is another node's (${lease.holder}): ask that one, or use force-release`, { leaseId: lease.leaseId, holder: lease.holder })
  }

  /** Waits for a session, then for the work: neither for ever, and not beyond the node's stop or the asker's patience. */
  async #bounded<T>(signal: AbortSignal | undefined, waitMs: number, work: (signal: AbortSignal) => Promise<T>, forSessionMs = sessionWaitMs): Promise<T> {
    const { clock, stopping } = this.#components
    if (stopping.aborted) throw stoppingError()
    const controller = new AbortController()
    const cancelled = (): void => { controller.abort(new LeaseError('CANCELLED', 'the wait was interrupted')) }
    const stops = (): void => { controller.abort(stoppingError()) }
    const cancel = clock.setTimer(waitMs + answerMs, () => { controller.abort(new LeaseError('UNAVAILABLE', 'the voters did not answer in time')) })
    signal?.addEventListener('abort', cancelled, { once: true })
    stopping.addEventListener('abort', stops, { once: true })
    try {
      if (signal?.aborted === true) cancelled()
      await this.#session(forSessionMs, controller.signal)
      return await raceAbort(work(controller.signal), controller.signal)
    } catch (error) {
      throw controller.signal.aborted && controller.signal.reason instanceof LeaseError ? controller.signal.reason : error
    } finally {
      cancel()
      signal?.removeEventListener('abort', cancelled)
      stopping.removeEventListener('abort', stops)
    }
  }

  async #session(forMs: number, signal: AbortSignal): Promise<void> {
    const { clock, consensus } = this.#components
    const untilMs = clock.monotonicMs() + forMs
    while (consensus.session === undefined && clock.monotonicMs() < untilMs) await clock.sleep(sessionPollMs, signal)
    if (forMs > 0 && consensus.session === undefined) {
      throw new LeaseError('UNAVAILABLE', 'this node has no session with a majority of the voters; `mesh-node voters ls` shows who they are')
    }
  }
}

function stoppingError(): LeaseError {
  return new LeaseError('UNAVAILABLE', 'the node is stopping')
}

function plain(settings: Settings): LeaseSettings {
  return { ...settings }
}
