/**
 * What the API says, as TypeScript: the same documents that the command line prints with `--json`. Field names are
 * stable; more may be added. Bytes and milliseconds are numbers, moments are Unix milliseconds, IDs are text.
 */
export type NodeState = 'ready' | 'starting' | 'stopping' | 'degraded' | 'stopped'
export type Priority = 'critical' | 'high' | 'normal' | 'low' | 'expendable'
export const priorities: readonly Priority[] = ['critical', 'high', 'normal', 'low', 'expendable']

export interface StorageUsage {
  /** What the node may use on disk in all. */
  maxBytes: number
  usedBytes: number
  /** Of files put through this node. */
  ownBytes: number
  othersBytes: number
  pinnedBytes: number
  /** Set aside for the owner's own files. */
  reservedBytes: number
  /** Blocks of volumes. */
  volumesBytes: number
  /** Index, records, and what goes around blocks. */
  metadataBytes: number
  /** Deleted, and on its way back to the disk. */
  reclaimableBytes: number
  /** Free on the disk itself. */
  freeDiskBytes: number
}

/** What `quota show` prints. */
export interface QuotaInfo extends StorageUsage {
  /** Reserved by transfers under way. */
  inFlightBytes: number
  /** What others, and the owner, may still bring. */
  freeForOthersBytes: number
  freeForOwnBytes: number
  /** By how much the limit is passed; only after it was lowered, or when somebody else filled the disk. */
  overBytes: number
  shareExcess: boolean
  minFreeDiskBytes: number
  autoEvict: boolean
  evictionStrategy: string
  replication: 'running' | 'paused' | 'draining' | 'stopped'
}

export interface QuotaChange {
  maxBytes?: number
  reservedBytes?: number
  minFreeDiskBytes?: number
  shareExcess?: boolean
}

export interface PlannedAction {
  kind: 'copy' | 'move' | 'trim' | 'evict' | 'drop'
  cid: string
  from: string | null
  to: string | null
  bytes: number
  reason: string
}

export interface ActionPlan {
  actions: PlannedAction[]
  bytes: number
}

export interface EvictionResult extends ActionPlan {
  dryRun: boolean
  /** Let go of; 0 in a dry run. */
  freedBytes: number
  /** What is still missing after all that may go. */
  shortBytes: number
  /** Actions that other holders did not agree to. */
  refused: number
  /** How many blobs stay, and why. */
  kept: Record<string, number>
}

export interface PlacementInfo {
  cid: string
  size: number
  wanted: number
  /** Where the copies are, or, with those that are missing, would be. */
  chosen: string[]
  holders: string[]
  warnings: string[]
  nodes: {
    peerId: string
    name: string
    score: number
    terms: { capacity: number; diversity: number; reliability: number }
    /** Why not, in words; null for the chosen. */
    rejected: string | null
  }[]
}

export interface DrainResult {
  moved: number
  remaining: number
  problems: string[]
}

export interface NodeStatus {
  peerId: string
  meshId: string
  name: string
  region: string
  segment: string
  addresses: string[]
  /** Null when the node is not running. */
  apiUrl: string | null
  /** Members connected now, this node not counted. */
  peers: number
  state: NodeState
  /** What is wrong, in words, with what to do about it. Empty when all is well. */
  problems: string[]
  storage: StorageUsage
  /** Blobs held here. */
  blobs: number
  /** Files in the whole mesh. */
  files: number
  /** Files known to have fewer replicas than they should. */
  underReplicated: number
  voters: string[]
  uptimeMs: number
  version: string
  /** Whether this node can invite and remove. */
  isAdmin: boolean
}

export interface Peer {
  peerId: string
  name: string
  region: string
  segment: string
  addresses: string[]
  /** Null while it is not measured. */
  rttMs: number | null
  connected: boolean
  state: 'up' | 'suspect' | 'gone'
  lastSeen: number
  /** What it offers; null until it has said so. */
  storage: { maxBytes: number; usedBytes: number; shareExcess: boolean } | null
  /** Share of the last 30 days in which it was reachable, 0…1. */
  reliability: number
}

export interface MemberInfo {
  peerId: string
  name: string
  region: string
  state: 'up' | 'suspect' | 'gone'
  self: boolean
  joined: number
  lastSeen: number
  revoked: boolean
  version: string
}

export interface InviteInfo {
  token: string
  meshId: string
  expiresAt: number
}

export interface ReplicaInfo {
  wanted: number
  have: number
  /** Who has all of it, verified. May be left out where there are many files (`ls`). */
  holders: string[]
}

export interface FileInfo {
  /** Null for content that no path points at. */
  path: string | null
  type: 'file' | 'dir'
  /** Of a folder: as it is now, as `ipfs add -r` would name it. Null where a file and a folder in it have the same path. */
  cid: string | null
  size: number
  priority: Priority | null
  /** How many blobs its content is. */
  blobs: number
  replicas: ReplicaInfo
  owner: string | null
  pinned: boolean
  modified: number | null
  /** Fencing token it was written under, in decimal; "0" if none. */
  token: string
  /** Of a folder: files below it. */
  files?: number
}

export interface ListEntry {
  path: string
  type: 'file' | 'dir'
  cid: string | null
  size: number
  priority: Priority | null
  replicas: { wanted: number; have: number }
  modified: number | null
  pinned: boolean
}

export interface PutResult {
  /** The root CID; of a folder that of all that is in it now, null where a file and a folder in it have the same path. */
  cid: string | null
  size: number
  path: string
  priority: Priority
  blobs: number
  replicas: ReplicaInfo
  elapsedMs: number
}

export interface PutFolderResult extends PutResult {
  files: number
  /** Every file that is in, in the order in which they became durable. */
  entries: { path: string; cid: string; size: number }[]
  /** Files that could not be put, and why. The others are. */
  failed?: { path: string; code: string; message: string }[]
}

export interface PutOptions {
  priority?: Priority
  replicas?: number
  pin?: boolean
  /** Answer only when the wanted replicas have it. */
  wait?: boolean
  /**
   * ID of an exclusive lease of the node that is asked. The file carries its token; STALE_TOKEN if the node cannot vouch
   * for the lease, or the file was written under a higher one.
   */
  lease?: string
}

export interface VerifyResult {
  cid: string
  ok: boolean
  healed: boolean
  error?: string
}

export interface DoctorCheck {
  name: string
  state: 'ok' | 'warning' | 'failed'
  message: string
  /** What to do about it. */
  advice?: string
}

export type LeaseState = 'pending' | 'active' | 'expired' | 'released' | 'revoked' | 'failed'

/** What only the node that granted it knows is null elsewhere. */
export interface LeaseInfo {
  leaseId: string
  scope: string
  mode: 'exclusive' | 'shared'
  /** The node. */
  holder: string
  agent: string
  /** Grows at every change of hands: give it to whoever stores what the lease is about. */
  token: number
  state: LeaseState
  renewals: number | null
  /** -1: unlimited. */
  maxRenewals: number | null
  ttlMs: number | null
  /** What is left of the TTL. */
  expiresInMs: number | null
  /**
   * How long the answer may be relied on, counted from when the request was *sent*; ask again before, and stop if there is
   * no answer by then. At most what is left of the TTL and of what the node itself can be sure of, so seconds, however
   * long the TTL. 0: the node cannot vouch for it now.
   */
  validForMs: number | null
  /** What happened to it on this node; with `get` only. */
  history?: LeaseTransition[]
}

export interface LeaseTransition {
  leaseId: string
  scope: string
  agent: string
  from: LeaseState | null
  to: LeaseState
  token: number
  at: number
  reason: string
  error: string | null
}

export interface AcquireLease {
  /** Who wants it [the node's name]. */
  agent?: string
  mode?: 'exclusive' | 'shared'
  ttlMs?: number
  maxRenewals?: number
  /** How long to wait for it [not at all]. */
  waitMs?: number
  /** Without `waitMs`: wait for as long as the mesh's setting `acquisition_timeout_ms` says. */
  wait?: boolean
  /** Higher goes first. */
  priority?: number
}

export interface LeaseLocked {
  scope: string
  locked: boolean
  lease: LeaseInfo | null
}

export interface LeaseHistoryQuery {
  scope?: string
  agent?: string
  leaseId?: string
  /** The newest so many. */
  limit?: number
}

export type LeaseSettings = Record<string, number | boolean>

export interface VotersInfo {
  /** The configuration's number. */
  epoch: number
  /** How many there should be. */
  target: number
  voters: { peerId: string; name: string; region: string; up: boolean }[]
}

export interface VotersRecovered {
  /** Of the configuration, as it was or as it is now. */
  epoch: number
  lost: string[]
  /** Voters that are left. */
  reached: string[]
  /** All tokens from here on are higher; 0 where nothing was done. */
  floor: number
}

/** A virtual disk. */
export interface VolumeInfo {
  name: string
  /** 32 hex digits: a volume that is removed and made again is another. */
  id: string
  sizeBytes: number
  blockSize: number
  segments: number
  /** `writethrough`: every write is on all copies before it is acknowledged. */
  durability: 'flush' | 'writethrough'
  /** Copies wanted of each segment. */
  replicas: number
  policy: 'adaptive' | 'basic'
  /** Written and not trimmed, on this node. */
  usedBytes: number
  /** Of this node. */
  exports: VolumeExport[]
}

/** With `stat` only. */
export interface VolumeDetails extends VolumeInfo {
  /** Nodes that have it open, as far as the mesh knows: one that died may stand here until somebody wants the volume removed. */
  openOn: { peerId: string; name: string }[]
}

/** A volume that clients of NBD can use at this node. */
export interface VolumeExport {
  /** Names it to `unexport`. */
  exportId: string
  volume: string
  /** What `nbdinfo`, `nbdcopy` and `qemu-img` take. */
  uri: string
  /** The socket's path, or null. */
  unix: string | null
  /** HOST:PORT, or null. */
  tcp: string | null
  readOnly: boolean
  /** Reads may come from any copy, and be behind. */
  staleReads: boolean
  /** Stays when whoever asked for it goes, and comes back when the node is started again. */
  detached: boolean
  /** Clients now. */
  connections: number
  /** False while it waits for the volume: after a start, until the node is back in its mesh. */
  ready: boolean
}

export interface CreateVolume {
  sizeBytes: number
  durability?: 'flush' | 'writethrough'
  replicas?: number
  policy?: 'adaptive' | 'basic'
}

export interface ExportVolume {
  /** Path of a Unix socket to make, absolute. */
  unix?: string
  /** HOST:PORT; port 0 takes any free one [127.0.0.1:10809, if `unix` is not given either]. */
  tcp?: string
  readOnly?: boolean
  staleReads?: boolean
}

export interface VolumeLeaseInfo {
  /** In blocks of the volume. */
  start: number
  blocks: number
  /** The node that writes there without asking anybody. */
  holder: string
  region: string
  token: number
}

export interface VolumeHeat {
  /** In blocks of the volume. */
  start: number
  blocks: number
  /** Within the window that the policy looks at. */
  writes: number
  reads: number
  /** Null: not within the window. */
  lastWrite: number | null
  regions: Record<string, { writes: number; latencyMs: number }>
  /** The last word of this node on where the range should be, if it was asked: it holds or held it. */
  decision?: VolumeDecision | null
}

export interface VolumeDecision {
  /** Unix ms. */
  at: number
  type: 'stay' | 'move'
  /** Why it stays; null if it moves. */
  reason: string | null
  /** The region it moves to. */
  to: string | null
  /** One sentence. */
  explanation: string
  /** What it was decided on: counts, ms, bytes. */
  figures: Record<string, unknown>
}

/** One server-sent event: `event:` is `type`, `data:` the rest as JSON. */
export type NodeEvent =
  | { type: 'file'; path: string; cid: string | null; size: number; deleted: boolean; local: boolean }
  | { type: 'peer'; peerId: string; name: string; state: 'up' | 'suspect' | 'gone' | 'removed'; connected: boolean }
  | { type: 'replicas'; cid: string; wanted: number; have: number }
  | { type: 'replication'; kind: PlannedAction['kind']; cid: string; to: string | null; bytes: number; ok: boolean; code?: string; message?: string }
  | { type: 'progress'; id: string; what: string; bytes: number; total: number | null; done: boolean }
  | { type: 'lease'; leaseId: string; scope: string; agent: string; from: LeaseState | null; to: LeaseState; token: number; reason: string; error: string | null }
  | { type: 'voters'; epoch: number; voters: string[] }
  | { type: 'state'; state: NodeState }
