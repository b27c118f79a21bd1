import type { Facts, Hlc, NodeId, WriteOperation } from '../base/index.js'
import { CodedError } from '../base/index.js'

export type CatalogCode = 'NOT_FOUND' | 'BAD_PATH' | 'EXISTS' | 'IS_FOLDER' | 'STALE_TOKEN' | 'BAD_RECORD'

export class CatalogError extends CodedError<CatalogCode> {
  constructor(code: CatalogCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

export type Priority = 'critical' | 'high' | 'normal' | 'low' | 'expendable'

/** One version of one path, signed by its writer. */
export interface FileRecord {
  /** Normal form: `/a/b`, NFC, no empty, `.` or `..` segment, no NUL, at most 4096 bytes of UTF-8. */
  readonly path: string
  /** Absent in a tombstone. */
  readonly content: FileContent | undefined
  /** The node whose user put the file; its quota's `reserved` part pays for it. */
  readonly owner: NodeId
  readonly writer: NodeId
  readonly modified: Hlc
  /** Fencing token if it was written under a lease, else 0. Higher wins over everything else. */
  readonly token: bigint
  /** `modified` and `writer` of the version this one was made from, if there was one: what tells an edit from a conflict. */
  readonly replaces: { modified: Hlc; writer: NodeId } | undefined
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

export interface CatalogChange {
  path: string
  previous: FileRecord | undefined
  current: FileRecord
  /** Whether this node's user did it. */
  local: boolean
}

/** An edit of one path. `undefined` fields keep what the current record says (or the default for a new file). */
export interface Edit {
  path: string
  content: Partial<FileContent> | 'deleted'
  token?: bigint
}

export interface Catalog {
  /** The live record, never a tombstone. */
  get(path: string): Promise<FileRecord | undefined>
  /** Live records under a folder (all of them, depth first, in path order). `/` is everything. */
  list(folder: string): AsyncIterable<FileRecord>
  /** Live records whose root is `cid`: who still wants a blob. */
  byCid(cid: string): Promise<FileRecord[]>
  /**
   * Signs a new version and returns the operations that store it, for the caller to write in one batch with other
   * things, and `published` to call once they are on disk: it tells listeners and peers.
   */
  prepare(edit: Edit): Promise<{ record: FileRecord; operations: readonly WriteOperation[]; published: () => void }>
  /** `prepare`, written durably and published. */
  apply(edits: readonly Edit[]): Promise<FileRecord[]>
  on(name: 'change', listener: (change: CatalogChange) => void): () => void
  /** Runs gossip and anti-entropy until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
  stats(): { files: number; tombstones: number; conflicts: number; lastSyncMs: number | undefined }
}
