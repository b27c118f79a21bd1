import { CommonError, Emitter, formatSize, formatDuration } from '../base/index.js'
import type { Clock, NodeId } from '../base/index.js'
import { asNodeId } from '../base/index.js'
import type { BlobService } from '../blobs/index.js'
import type { Catalog } from '../catalog/index.js'
import type { DoctorCheck, InviteInfo, MemberInfo, NodeEvent, NodeState, NodeStatus, Peer } from '../client/index.js'
import type { NodeApi, NodeFigures, NodeFiles, NodeLeases } from '../gateways/http/index.js'
import type { Membership } from '../membership/index.js'
import type { Net } from '../net/index.js'
import type { Store } from '../store/index.js'
import type { Config } from './config/index.js'
import type { LeasePart } from './lease-part.js'
import type { DiskSpace } from './disk.js'
import { examineRunning } from './doctor.js'
import type { Tallies } from './figures.js'

export interface NodeServiceComponents {
  membership: Membership
  net: Net
  store: Store
  blobs: BlobService
  catalog: Catalog
  files: NodeFiles
  leases: LeasePart
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
    this.#become('stopping')
  }

  state(): NodeState {
    return this.#state
  }

  stop(): void {
    this.#onStop?.()
  }

  async status(): Promise<NodeStatus> {
    const { net, membership, store, disk, catalog, tallies, clock } = this.#components
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
        maxBytes: config['storage.max_storage'],
        usedBytes: usage.totalBytes,
        ownBytes: tally.ownBytes,
        othersBytes: tally.blobBytes - tally.ownBytes,
        pinnedBytes: tally.pinnedBytes,
        reservedBytes: config['storage.reserved'],
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
    const { net, membership } = this.#components
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
        state: member.state,
        lastSeen: member.lastSeenMs,
        storage: null,
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
    const { net, membership, store, disk, clock } = this.#components
    return examineRunning({
      config: this.#init.config,
      addresses: net.addresses(),
      members: membership.members().filter((member) => member.peerId !== net.self && !member.revoked),
      connected: net.connected().length,
      usage: await store.usage(),
      background: store.background(),
      freeBytes: disk.freeBytes(),
      provideLagMs: net.provideLagMs(),
      nowMs: clock.wallMs(),
    })
  }

  async figures(): Promise<NodeFigures> {
    const { net, membership, store, disk, catalog, tallies, clock } = this.#components
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
        limit: this.#init.config['storage.max_storage'], used: usage.totalBytes, live: usage.liveBytes, draft: usage.draftBytes,
        reclaimable: usage.reclaimableBytes, metadata: usage.metadataBytes, diskFree: disk.freeBytes(),
      },
      provideLagSeconds: net.provideLagMs() / 1000,
      uptimeSeconds: (clock.monotonicMs() - this.#startedMs) / 1000,
      ready: this.#state === 'ready',
      leases: this.#components.leases.figures(),
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
    const { catalog, leases, membership, net, tallies } = this.#components
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
    const { net, membership, disk } = this.#components
    const { config } = this.#init
    const problems: { text: string; grave: boolean }[] = []
    const others = membership.members().filter((member) => member.peerId !== net.self && !member.revoked)
    if (config['network.listen'].length > 0 && net.addresses().length === 0) {
      problems.push({ text: 'the node listens nowhere: others cannot reach it; see [network] listen', grave: true })
    }
    if (others.length > 0 && net.connected().length === 0) {
      problems.push({ text: `none of the ${String(others.length)} other members can be reached; new files stay on this node until they can`, grave: true })
    }
    if (disk.freeBytes() < config['storage.min_free_space']) {
      problems.push({ text: `the disk has only ${formatSize(disk.freeBytes())} free: nothing more is stored here (storage.min_free_space)`, grave: true })
    }
    if (usedBytes > config['storage.max_storage'] * 0.95) {
      problems.push({ text: `${formatSize(usedBytes)} of ${formatSize(config['storage.max_storage'])} are used: raise storage.max_storage or remove files`, grave: false })
    }
    if (quarantined > 0) {
      problems.push({ text: `${String(quarantined)} blocks on this disk are corrupt; \`mesh-node verify\` fetches them again from other nodes. Look after the disk`, grave: true })
    }
    if (net.provideLagMs() > lagWarnMs) {
      problems.push({ text: `announcing what this node holds is ${formatDuration(net.provideLagMs())} late: others may not find it`, grave: false })
    }
    const leaseTrouble = this.#components.leases.trouble()
    if (leaseTrouble !== undefined) problems.push({ text: leaseTrouble, grave: false })
    return problems
  }
}
