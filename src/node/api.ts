import { CommonError, Emitter, formatDuration } from '../base/index.js'
import type { Clock, NodeId } from '../base/index.js'
import { asNodeId } from '../base/index.js'
import type { BlobService } from '../blobs/index.js'
import type { Catalog } from '../catalog/index.js'
import type { DoctorCheck, InviteInfo, MemberInfo, NodeEvent, NodeState, NodeStatus, Peer } from '../client/index.js'
import type { NodeApi, NodeContribution, NodeFigures, NodeFiles, NodeLeases, NodeVolumes } from '../gateways/http/index.js'
import type { Membership } from '../membership/index.js'
import type { Net } from '../net/index.js'
import type { Replication } from '../replication/index.js'
import type { Store } from '../store/index.js'
import type { Contribution } from './contribution.js'
import type { PowerWatch } from './power.js'
import type { Config } from './config/index.js'
import type { LeasePart } from './lease-part.js'
import type { DiskSpace } from './disk.js'
import { clockTrouble, diskTrouble, examineRunning, roomTrouble } from './doctor.js'
import type { Tallies } from './figures.js'
import type { VolumePart } from './volume-part.js'

export interface NodeServiceComponents {
  membership: Membership
  net: Net
  store: Store
  blobs: BlobService
  catalog: Catalog
  files: NodeFiles
  leases: LeasePart
  volumes: VolumePart
  contributionApi: NodeContribution
  contribution: Contribution
  replication: Replication
  power: PowerWatch
  disk: DiskSpace
  tallies: Tallies
  clock: Clock
}

export interface NodeServiceInit {
  config: Config
  version: string
  home: string
}

/** How long a catalog or member change may wait before it is counted: nobody looks at the sums more often. */
const lagWarnMs = 3_600_000

/** The running node as its doors see it: what it knows of itself, and the few things that can be asked of it. */
export class NodeService implements NodeApi {
  readonly files: NodeFiles
  readonly leases: NodeLeases
  readonly contribution: NodeContribution
  readonly volumes: NodeVolumes
  readonly #components: NodeServiceComponents
  readonly #init: NodeServiceInit
  readonly #events = new Emitter<{ event: NodeEvent }>()
  readonly #startedMs: number
  #state: NodeState = 'starting'
  #apiUrl: string | null = null
  #onStop: (() => void) | undefined

  constructor(components: NodeServiceComponents, init: NodeServiceInit) {
    this.#components = components
    this.#init = init
    this.files = components.files
    this.leases = components.leases.api
    this.contribution = components.contributionApi
    this.volumes = components.volumes.api
    this.#startedMs = components.clock.monotonicMs()
    this.#watch()
  }

  /** starting -> ready */
  ready(apiUrl: string, onStop: () => void): void {
    this.#apiUrl = apiUrl
    this.#onStop = onStop
    this.#become('ready')
  }

  /** starting | ready -> stopping */
  stopping(): void {
    // Whoever waits for a lease would hold up the stop.
    this.#components.leases.endWaits()
    this.#components.volumes.endWaits()
    this.#become('stopping')
  }

  state(): NodeState {
    return this.#state
  }

  stop(): void {
    this.#onStop?.()
  }

  async status(): Promise<NodeStatus> {
    const { net, membership, store, disk, catalog, tallies, clock, contribution } = this.#components
    const { config, version } = this.#init
    const [usage, tally] = await Promise.all([store.usage(), tallies.get()])
    const problems = this.#problems(usage.quarantined, usage.totalBytes)
    return {
      peerId: net.self,
      meshId: membership.meshId,
      name: config['node.name'],
      region: config['node.region'],
      segment: membership.member(net.self)?.segment ?? config['node.segment'],
      addresses: net.addresses(),
      apiUrl: this.#apiUrl,
      peers: net.connected().length,
      state: this.#state === 'ready' && problems.some((problem) => problem.grave) ? 'degraded' : this.#state,
      problems: problems.map((problem) => problem.text),
      storage: {
        maxBytes: contribution.quota.maxBytes,
        usedBytes: usage.totalBytes,
        ownBytes: tally.ownBytes,
        othersBytes: tally.blobBytes - tally.ownBytes,
        pinnedBytes: tally.pinnedBytes,
        reservedBytes: contribution.quota.reservedBytes,
        volumesBytes: usage.logBytes,
        metadataBytes: usage.metadataBytes,
        reclaimableBytes: usage.reclaimableBytes,
        freeDiskBytes: disk.freeBytes(),
      },
      blobs: tally.blobs,
      files: catalog.stats().files,
      underReplicated: tally.underReplicated,
      voters: this.#components.leases.voters(),
      uptimeMs: Math.round(clock.monotonicMs() - this.#startedMs),
      version,
      isAdmin: membership.isAdmin,
    }
  }

  async peers(): Promise<Peer[]> {
    const { net, membership, replication } = this.#components
    return membership
      .members()
      .filter((member) => member.peerId !== net.self && !member.revoked)
      .map((member) => ({
        peerId: member.peerId,
        name: member.name,
        region: member.region,
        segment: member.segment,
        addresses: [...membership.addressesOf(member.peerId)],
        rttMs: net.rttMs(member.peerId) ?? null,
        connected: net.isConnected(member.peerId),
        state: member.state !== 'up' && replication.isForgotten(member.peerId) ? 'gone' : member.state,
        lastSeen: member.lastSeenMs,
        storage: replication.storageOf(member.peerId) ?? null,
        reliability: member.reliability,
      }))
  }

  async members(): Promise<MemberInfo[]> {
    const { net, membership } = this.#components
    return membership.members().map((member) => ({
      peerId: member.peerId,
      name: member.name,
      region: member.region,
      state: member.state,
      self: member.peerId === net.self,
      joined: member.joinedMs,
      lastSeen: member.lastSeenMs,
      revoked: member.revoked,
      version: member.version,
    }))
  }

  async removeMember(peerId: string): Promise<void> {
    const peer = asNodeId(peerId)
    if (peer === undefined) throw new CommonError('BAD_INPUT', `"${peerId}" is not the ID of a node`, { peerId })
    await this.#components.membership.remove(peer)
  }

  async invite(expiresMs: number): Promise<InviteInfo> {
    const { membership, net } = this.#components
    const { token, meshId, expiresAtMs } = await membership.invite({ expiresMs, addresses: net.addresses() })
    return { token, meshId, expiresAt: expiresAtMs }
  }

  async doctor(): Promise<DoctorCheck[]> {
    const { net, membership, store, disk, clock, contribution } = this.#components
    const checks = examineRunning({
      quota: contribution.quota,
      addresses: net.addresses(),
      members: membership.members().filter((member) => member.peerId !== net.self && !member.revoked),
      connected: net.connected().length,
      refusal: net.lastRefusal()?.reason,
      usage: await store.usage(),
      background: store.background(),
      freeBytes: disk.freeBytes(),
      provideLagMs: net.provideLagMs(),
      clockAhead: this.#components.catalog.stats().clockAhead,
      leaseTrouble: this.#components.leases.trouble(),
      nowMs: clock.wallMs(),
    })
    return [...checks, this.#components.volumes.check()]
  }

  async figures(): Promise<NodeFigures> {
    const { net, membership, store, disk, catalog, tallies, clock, contribution } = this.#components
    const replication = this.#components.replication.status()
    const [usage, tally] = await Promise.all([store.usage(), tallies.get()])
    const { files, tombstones, conflicts } = catalog.stats()
    const members = { up: 0, suspect: 0, gone: 0 }
    for (const member of membership.members()) if (!member.revoked) members[member.state]++
    return {
      peersConnected: net.connected().length,
      members,
      files,
      tombstones,
      conflicts,
      blobs: tally.blobs,
      blocks: usage.blocks,
      quarantinedBlocks: usage.quarantined,
      storageBytes: {
        limit: contribution.quota.maxBytes, used: usage.totalBytes, live: usage.liveBytes, draft: usage.draftBytes,
        reclaimable: usage.reclaimableBytes, volumes: usage.logBytes, metadata: usage.metadataBytes, diskFree: disk.freeBytes(),
      },
      replication: { ...replication, untrusted: replication.untrusted.length },
      provideLagSeconds: net.provideLagMs() / 1000,
      gossip: net.counters().gossip,
      uptimeSeconds: (clock.monotonicMs() - this.#startedMs) / 1000,
      ready: this.#state === 'ready',
      leases: this.#components.leases.figures(),
      volumes: this.#components.volumes.figures(),
    }
  }

  onEvent(listener: (event: NodeEvent) => void): () => void {
    return this.#events.on('event', listener)
  }

  #become(state: NodeState): void {
    this.#state = state
    this.#events.emit('event', { type: 'state', state })
  }

  #watch(): void {
    const { catalog, leases, membership, net, tallies, replication } = this.#components
    replication.on('replicas', (copies) => {
      this.#events.emit('event', { type: 'replicas', ...copies })
    })
    replication.on('done', (action) => {
      tallies.forget()
      this.#events.emit('event', { type: 'replication', ...action, ok: true })
    })
    replication.on('failed', (action) => {
      this.#events.emit('event', { type: 'replication', bytes: 0, ...action, ok: false })
    })
    catalog.on('change', ({ path, current, local }) => {
      tallies.forget()
      const { content } = current
      this.#events.emit('event', { type: 'file', path, cid: content?.cid ?? null, size: content?.size ?? 0, deleted: content === undefined, local })
    })
    const peer = (peerId: NodeId): void => {
      const member = membership.member(peerId)
      this.#events.emit('event', {
        type: 'peer', peerId, name: member?.name ?? '', state: member === undefined || member.revoked ? 'removed' : member.state, connected: net.isConnected(peerId),
      })
    }
    leases.onEvent((event) => {
      this.#events.emit('event', event)
    })
    net.on('connected', peer)
    net.on('disconnected', peer)
    membership.on('changed', (member) => {
      if (member.peerId !== net.self) peer(member.peerId)
    })
    membership.on('revoked', (peerId) => {
      if (membership.member(peerId) !== undefined) peer(peerId)
    })
  }

  /** What is not as it should be, in words. Grave: the node cannot do its work. */
  #problems(quarantined: number, usedBytes: number): { text: string; grave: boolean }[] {
    const { net, membership, contribution, replication, power } = this.#components
    const { config } = this.#init
    const problems: { text: string; grave: boolean }[] = []
    const others = membership.members().filter((member) => member.peerId !== net.self && !member.revoked)
    if (config['network.listen'].length > 0 && net.addresses().length === 0) {
      problems.push({ text: 'the node listens nowhere: others cannot reach it; see [network] listen', grave: true })
    }
    if (others.length > 0 && net.connected().length === 0) {
      const refusal = net.lastRefusal()
      const text = refusal === undefined
        ? `none of the ${String(others.length)} other members can be reached; new files stay on this node until they can`
        : `none of the ${String(others.length)} other members lets this node in; one says: ${refusal.reason}`
      problems.push({ text, grave: true })
    }
    const disk = diskTrouble(this.#components.disk.freeBytes(), contribution.quota.minFreeDiskBytes)
    if (disk !== undefined) problems.push({ text: disk, grave: true })
    const room = roomTrouble(usedBytes, contribution.quota)
    if (room !== undefined) problems.push({ text: `${room}: give more with \`mesh-node quota set\`, or remove files`, grave: false })
    if (quarantined > 0) {
      problems.push({ text: `${String(quarantined)} blocks on this disk are corrupt; \`mesh-node verify\` fetches them again from other nodes. Look after the disk`, grave: true })
    }
    if (net.provideLagMs() > lagWarnMs) {
      problems.push({ text: `announcing what this node holds is ${formatDuration(net.provideLagMs())} late: others may not find it`, grave: false })
    }
    const ahead = clockTrouble(this.#components.catalog.stats().clockAhead)
    if (ahead !== undefined) problems.push({ text: ahead, grave: true })
    const leaseTrouble = this.#components.leases.trouble()
    if (leaseTrouble !== undefined) problems.push({ text: leaseTrouble, grave: false })
    for (const text of this.#components.volumes.problems()) problems.push({ text, grave: false })
    for (const text of replicationProblems(replication, others.length)) problems.push({ text, grave: false })
    const resting = power.reason()
    if (resting !== undefined) problems.push({ text: resting, grave: false })
    return problems
  }
}

function replicationProblems(replication: Replication, others: number): string[] {
  const { state, underReplicated, belowMinimum, problems, untrusted } = replication.status()
  const told = [...problems]
  if (belowMinimum > 0) told.push(`${belowMinimum === 1 ? '1 blob here has' : `${String(belowMinimum)} blobs here have`} fewer live copies than the minimum; ${belowMinimum === 1 ? 'it is' : 'these are'} copied first`)
  if (underReplicated > 0 && others === 0) told.push('this node is alone: there is no second copy of anything; `mesh-node invite` brings in another')
  if (untrusted.length > 0) told.push(`not counted on, after claiming what they could not prove: ${untrusted.join(', ')}`)
  if (state === 'paused') told.push('copying is paused; `mesh-node rebalance --resume` goes on with it')
  if (state === 'draining') told.push('this node is leaving: it hands on what it holds and takes nothing more')
  if (state === 'stopped') told.push('copies are not being made or repaired; files stay readable. The log says why; a restart may help')
  return told
}
