import type { Clock, Connections, Facts, Gossip, Hlc, KeyValue, Log, NodeId, Random, Rpc, Signer, WriteOperation } from '../base/index.js'
import { CodedError } from '../base/index.js'

export type CatalogCode =
  | 'NOT_FOUND'
  | 'BAD_PATH'
  /** Something is there already, and nobody asked to overwrite it. */
  | 'EXISTS'
  /** A file was meant, and a folder is there. */
  | 'IS_FOLDER'
  /** A folder was meant (or is needed above the path), and a file is there. */
  | 'IS_FILE'
  | 'STALE_TOKEN'
  /** The edit was meant for another version than the one that is there now. */
  | 'CHANGED'
  /** Nobody would take an edit made now: this machine's clock is ahead of those of most others. */
  | 'CLOCK_AHEAD'
  | 'BAD_RECORD'

export class CatalogError extends CodedError<CatalogCode> {
  constructor(code: CatalogCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

export type Priority = 'critical' | 'high' | 'normal' | 'low' | 'expendable'

/** Names one version of all: a writer's clock never gives the same timestamp twice, whatever the path. */
export interface Dot {
  readonly modified: Hlc
  readonly writer: NodeId
}

/** All versions that `writer` made of the path from `from` to `to`, both included. */
export interface Run {
  readonly writer: NodeId
  readonly from: Hlc
  readonly to: Hlc
}

/** A version that has what was at another path before. */
export interface Moved extends Dot {
  readonly path: string
}

/** One version of one path, signed by its writer. */
export interface FileRecord extends Dot {
  /** Normal form: `/a/b`, NFC, no empty, `.` or `..` segment, no control character, at most 4096 bytes of UTF-8. */
  readonly path: string
  /** Absent in a tombstone. */
  readonly content: FileContent | undefined
  /** The node whose user put the file; its quota's `reserved` part pays for it. */
  readonly owner: NodeId
  /** Fencing token if it was written under a lease, else that of the version before it, else 0. Higher wins. */
  readonly token: bigint
  /** The version that brought this content in: another than this one if only priority, replicas, pin or life changed. */
  readonly basis: Dot
  /** This version and all that it supersedes: what tells succession from conflict. The writer's own run comes first. */
  readonly lineage: readonly Run[]
  /** Where content of this path was moved to. Handed on to later versions of the path: some nodes hear only of those. */
  readonly moved?: Moved
  /** Only in a conflict copy: the path that this version lost. `path` is then where the copy is seen. */
  readonly conflictOf?: string
}

export interface FileContent {
  /** Root CID as text. */
  readonly cid: string
  readonly size: number
  readonly priority: Priority
  /** Wanted replicas. */
  readonly replicas: number
  readonly pinned: boolean
}

/** What is to be seen at one path changed. */
export interface CatalogChange {
  path: string
  previous: FileRecord | undefined
  /** A tombstone when nothing is to be seen there any more. */
  current: FileRecord
  /** Whether this node's user did it. */
  local: boolean
  /** `current` is a file, and no other record here has its content: certain where it is true. */
  only: boolean
}

/** An edit of one path. `undefined` fields keep what the current record says (or the default for a new file). */
export interface Edit {
  path: string
  /** With `cid` (then also `size`): new content. Without: priority, replicas or pin of what is there. */
  content: Partial<FileContent> | 'deleted'
  token?: bigint
  /** Refused with EXISTS if a file is there. */
  ifAbsent?: boolean
  /** Refused with CHANGED if another version is there (or none). */
  ifVersion?: Dot
  /** What goes from here has just been written there, by an earlier edit of the same call. */
  movedTo?: string
  /** Whose quota pays for new content; by default this node's. */
  owner?: NodeId
}

/**
 * Signed versions on their way to disk. The paths are locked until `published` (they are on disk: tells listeners and
 * peers) or `abandon` (they are not): one of the two must be called, in a `finally` if need be.
 */
export interface Prepared {
  /** One per edit, in order. */
  readonly records: readonly FileRecord[]
  /** To be written in one atomic batch, with whatever else belongs to it. */
  readonly operations: readonly WriteOperation[]
  readonly published: () => void
  readonly abandon: () => void
}

export interface CatalogNetwork {
  readonly gossip: Gossip
  readonly rpc: Rpc
  readonly connections: Connections
}

export interface CatalogStats {
  files: number
  tombstones: number
  conflicts: number
  /** Unix ms of the last completed anti-entropy with anybody. */
  lastSyncMs: number | undefined
  /** Longer away than tombstones live, and nobody met yet who was not. */
  returning: boolean
  /** This machine's clock shows a later time than those of most others, so that changes made here are refused. */
  clockAhead: { aheadMs: number; nodes: number; of: number } | undefined
  /** Versions that came from elsewhere, by what became of them, since the start. */
  received: { accepted: number; known: number; malformed: number; badSignature: number; notMember: number; future: number; expired: number }
  /** Records and announcements published, pulls made. */
  sent: { records: number; announcements: number; pulls: number; pullsFailed: number }
}

export interface Catalog {
  /** The live record, never a tombstone. Also finds conflict copies. Throws BAD_PATH. */
  get(path: string): Promise<FileRecord | undefined>
  /** Live records under a folder (all of them, depth first, in path order). `/` is everything. Throws BAD_PATH. */
  list(folder: string): AsyncIterable<FileRecord>
  /** What is directly in a folder, in path order: records, and the names of folders that have live records below. */
  children(folder: string): AsyncIterable<{ folder: string } | { record: FileRecord }>
  /** Throws CLOCK_AHEAD if an edit would be refused: to be asked before much work is done for it. */
  checkClock(): void
  /** Whether anything live is below. */
  isFolder(path: string): Promise<boolean>
  /** Live records whose root is `cid`: who still wants a blob. Conflict copies count. */
  byCid(cid: string): Promise<FileRecord[]>
  /** The same of some hundreds at once, for a fraction of the time. Those that are left out are to be asked about by themselves. */
  byCids(cids: readonly string[]): Promise<ReadonlyMap<string, readonly FileRecord[]>>
  /**
   * Every root CID that a live record has, with its size; each once, unless damage had to be mended on the way. Throws
   * BAD_RECORD where it could not be.
   */
  roots(): AsyncIterable<{ cid: string; size: number }>
  /** Roots that lost a record, so that perhaps nobody wants them now, with Unix ms of the last loss. Survives restarts. */
  unreferenced(): AsyncIterable<{ cid: string; size: number; sinceMs: number; moved: Moved | undefined }>
  /** Whether the root of that CID is on that list, that is, waits to be settled. */
  isUnreferenced(cid: string): Promise<boolean>
  /** Whether the version that something was moved to, and whatever that was moved to since, has come here. */
  hasArrived(moved: Moved): Promise<boolean>
  /** Takes a root off that list, if `dropped` or if somebody wants it after all: then false. */
  settle(cid: string, dropped: boolean): Promise<boolean>
  /**
   * Signs new versions and returns the operations that store them. Waits for the paths' locks.
   * Throws BAD_PATH, NOT_FOUND (nothing there to delete or to change), EXISTS, CHANGED, STALE_TOKEN, BAD_RECORD.
   */
  prepare(edits: Edit | readonly Edit[]): Promise<Prepared>
  /** `prepare`, written durably in one batch and published. */
  apply(edits: readonly Edit[]): Promise<FileRecord[]>
  on(name: 'change', listener: (change: CatalogChange) => void): () => void
  /** Runs gossip and anti-entropy until the signal aborts. Once per catalog. */
  run(network: CatalogNetwork, signal: AbortSignal): Promise<void>
  stats(): CatalogStats
}

export interface CatalogComponents {
  /** The room's slice. */
  readonly meta: KeyValue
  readonly signer: Signer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /**
   * Whether records of `writer` are to be taken. Answer true for everybody who is *or was* a member: what a removed
   * node wrote before stays valid, and what it writes later has no way in, since its connections are refused. (A roof
   * that refuses by `writtenMs` as well must know that nodes which learn of a removal at different times then keep
   * different versions of what the removed node wrote in between, until somebody overwrites it.)
   */
  readonly isMember: (writer: NodeId, writtenMs: number) => boolean
}

export interface CatalogInit {
  /** Default 180 days: longer than anybody's laptop stays in a drawer and is still expected to sync. */
  tombstoneLifetimeMs?: number
  /** How long changes are gathered before they are gossiped. Default 75: unnoticeable, and a burst becomes a message. */
  gossipDelayMs?: number
  /** Above this only the root digest is announced, and peers fetch. Default 200. */
  gossipRecordsPerSecondMax?: number
  /** Mean time between two anti-entropy exchanges when nothing calls for one; jittered ±50 %. Default 60 s. */
  antiEntropyIntervalMs?: number
  /** Default 1 h. */
  purgeIntervalMs?: number
}
