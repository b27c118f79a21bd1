import type {
  CreateVolume, ExportVolume, VolumeDetails, VolumeExport, VolumeHeat, VolumeInfo, VolumeLeaseInfo,
  AcquireLease, LeaseHistoryQuery, LeaseInfo, LeaseLocked, LeaseSettings, LeaseTransition, VotersInfo, VotersRecovered,
  ActionPlan, DoctorCheck, DrainResult, EvictionResult, FileInfo, FolderEntry, InviteInfo, ListEntry, MemberInfo, NodeEvent, NodeState,
  NodeStatus, Peer, PlacementInfo, Priority, PutFolderResult, PutOptions, PutResult, QuotaChange, QuotaInfo, VerifyResult,
} from '../../client/index.js'

export interface Signalled {
  signal?: AbortSignal | undefined
}

export interface OpenContent {
  /** Of the whole content, whatever part of it is read. */
  size: number
  cid: string
  /**
   * Bytes `from` to `to` (both included) as they are read and verified. Nothing happens before it is iterated. `isLent`:
   * what is yielded may be overwritten as soon as the next is asked for.
   */
  read: (range: { from: number; to: number } | undefined, signal: AbortSignal, options?: { isLent?: boolean }) => AsyncIterable<Uint8Array>
}

export interface NodeFiles {
  /** Durable when it resolves; if `content` throws or the signal aborts, nothing of it stays. */
  put(path: string, content: AsyncIterable<Uint8Array>, options: PutOptions & Signalled & { size?: number | undefined }): Promise<PutResult>
  putFolder(path: string, entries: AsyncIterable<FolderEntry>, options: PutOptions & Signalled): Promise<PutFolderResult>
  /** `target`: a path (starts with `/`) or a CID. */
  open(target: string, options: Signalled): Promise<OpenContent>
  /**
   * The contents of small files as they are now, many at once, in the order of `paths`; undefined of one that `open` is to be
   * asked for.
   */
  readMany(paths: readonly string[], options: Signalled): Promise<readonly (Uint8Array | undefined)[]>
  stat(target: string, options: Signalled): Promise<FileInfo>
  list(path: string, options: { recursive: boolean }): AsyncIterable<ListEntry>
  pins(): AsyncIterable<ListEntry>
  /** By CID, at this node alone: fetches what is not here, and keeps it though no file refers to it. */
  pinContent(cid: string, pinned: boolean, options: Signalled): Promise<{ changed: number }>
  remove(path: string, options: { recursive: boolean }): Promise<{ removed: number }>
  move(from: string, to: string): Promise<{ moved: number }>
  update(path: string, change: { priority?: Priority; replicas?: number; pinned?: boolean }): Promise<{ changed: number }>
  exportCar(cid: string, options: Signalled): Promise<AsyncIterable<Uint8Array>>
  verify(cid: string | undefined, options: Signalled): AsyncIterable<VerifyResult>
}

/** Who may: leases of agents, and who votes on them. */
export interface NodeLeases {
  /** A wait whose signal aborts leaves nothing behind. */
  acquire(scope: string, options: AcquireLease & Signalled): Promise<LeaseInfo>
  steal(scope: string, options: AcquireLease & Signalled): Promise<LeaseInfo>
  /** `leaseId`: whole, or a beginning that only one lease has. */
  renew(leaseId: string, ttlMs: number | undefined, options: Signalled): Promise<LeaseInfo>
  upgrade(leaseId: string, options: Signalled): Promise<LeaseInfo>
  release(leaseId: string, options: Signalled): Promise<LeaseInfo>
  get(leaseId: string, options: Signalled): Promise<LeaseInfo>
  list(filter: { scope?: string; agent?: string }, options: Signalled): Promise<LeaseInfo[]>
  locked(scope: string, options: Signalled): Promise<LeaseLocked>
  history(query: LeaseHistoryQuery): Promise<LeaseTransition[]>
  forceRelease(agent: string, options: Signalled): Promise<{ released: number }>
  settings(options: Signalled): Promise<LeaseSettings>
  setSettings(changes: Readonly<Record<string, unknown>>, options: Signalled): Promise<LeaseSettings>
  voters(options: Signalled): Promise<VotersInfo>
  recoverVoters(options: { force: boolean } & Signalled): Promise<VotersRecovered>
  setVoters(wanted: { target: number | null } | { voters: readonly string[] }, options: Signalled): Promise<VotersInfo>
}

/** An export that lasts as long as whoever asked for it. */
export interface HeldExport {
  state(): VolumeExport
  /** Calls back when `state` would answer something else. */
  onChange(listener: () => void): () => void
  /** Aborts when the node ends it; the reason says why. */
  readonly ended: AbortSignal
  close(): Promise<void>
}

/** Virtual disks. */
export interface NodeVolumes {
  create(name: string, volume: CreateVolume, options: Signalled): Promise<VolumeInfo>
  list(options: Signalled): Promise<VolumeInfo[]>
  stat(name: string, options: Signalled): Promise<VolumeDetails>
  resize(name: string, sizeBytes: number, options: Signalled): Promise<VolumeInfo>
  remove(name: string, options: Signalled): Promise<void>
  leases(name: string, options: Signalled): Promise<VolumeLeaseInfo[]>
  heat(name: string, options: Signalled): Promise<VolumeHeat[]>
  /** Until `unexport`. */
  exportDetached(name: string, wish: ExportVolume, options: Signalled): Promise<VolumeExport>
  /** Until `close`. */
  exportHeld(name: string, wish: ExportVolume, options: Signalled): Promise<HeldExport>
  unexport(name: string, exportId: string | undefined): Promise<{ ended: number }>
}

/** What is given to the mesh, and where copies are. */
export interface NodeContribution {
  explain(target: string): Promise<PlacementInfo>
  quota(): Promise<QuotaInfo>
  setQuota(change: QuotaChange): Promise<QuotaInfo & { persisted: boolean; overriddenBy: string[] }>
  evict(options: { bytes: number; dryRun: boolean } & Signalled): Promise<EvictionResult>
  rebalance(options: { dryRun: boolean }): Promise<ActionPlan>
  pause(): void
  resume(): void
  drain(signal: AbortSignal): Promise<DrainResult>
  forget(peerId: string): Promise<void>
}

/** Figures read at the moment of a scrape; none of them has a label whose values grow with the mesh. */
export interface NodeFigures {
  peersConnected: number
  members: { up: number; suspect: number; gone: number }
  files: number
  tombstones: number
  conflicts: number
  blobs: number
  blocks: number
  quarantinedBlocks: number
  storageBytes: { limit: number; used: number; live: number; draft: number; reclaimable: number; volumes: number; metadata: number; diskFree: number }
  provideLagSeconds: number
  /** By topic, `control` among them. */
  gossip: Readonly<Record<string, { sentBytes: number; receivedBytes: number; sentMessages: number; receivedMessages: number }>>
  replication: {
    underReplicated: number
    belowMinimum: number
    copying: number
    queued: number
    storing: number
    copied: number
    copiedBytes: number
    dropped: number
    droppedBytes: number
    failed: number
    untrusted: number
  }
  uptimeSeconds: number
  ready: boolean
  /** Counters of the volumes' data path, by name in camelCase; each becomes a metric of its own. */
  volumes?: {
    exports: number
    connections: number
    counters: Readonly<Record<string, number>>
    /** Of requests of NBD clients: `counts` has one entry a bound, and one for what took longer than the last. */
    latencies: { kind: string; boundsMs: readonly number[]; counts: readonly number[]; count: number; sumMs: number }[]
  }
  leases?: { held: number; acquired: number; waits: number; conflicts: number; timeouts: number; renewals: number; expired: number; revoked: number; released: number; handedOver: number; contended: number; noQuorum: number }
}

/** What the HTTP door needs of a node, and all that it can make one do. */
export interface NodeApi {
  readonly files: NodeFiles
  readonly leases: NodeLeases
  readonly contribution: NodeContribution
  readonly volumes: NodeVolumes
  state(): NodeState
  status(): Promise<NodeStatus>
  peers(): Promise<Peer[]>
  members(): Promise<MemberInfo[]>
  removeMember(peerId: string): Promise<void>
  invite(expiresMs: number): Promise<InviteInfo>
  doctor(): Promise<DoctorCheck[]>
  figures(): Promise<NodeFigures>
  /** Begins to drain and stop. */
  stop(): void
  onEvent(listener: (event: NodeEvent) => void): () => void
}
