import type { CID } from 'multiformats/cid'
import type { BlobRef, Blobs, Progress, SpreadImport } from '../blobs/index.js'
import type { Clock, KeyValue, Log, NodeId } from '../base/index.js'
import type { Catalog, FileRecord, Priority } from './types.js'

/** What files need of blobs. */
export interface FileBlobs extends Pick<Blobs, 'import' | 'importMany' | 'blobsOf' | 'held'> {
  /** `stillUnwanted`: asked when nothing else can happen to the blob any more; `false` keeps it. */
  drop(cid: CID, options?: { stillUnwanted?: () => Promise<boolean> }): Promise<void>
}

export interface FilesComponents {
  readonly catalog: Catalog
  readonly blobs: FileBlobs
  /** A slice of its own, for pins and for which blobs large files have. */
  readonly meta: KeyValue
  readonly clock: Clock
  readonly log: Log
}

export interface FilesInit {
  /** Wanted replicas of a new file that nobody says anything about, by priority. */
  readonly defaultReplicas?: Partial<Record<Priority, number>> | ((priority: Priority) => number)
  /** How long blobs stay after their last record has gone. Default 20 s: an undo that races the removal through gossip wins. */
  readonly garbageDelayMs?: number
  /** Between two looks for such blobs. Default 10 s. */
  readonly garbageIntervalMs?: number
  /** Files of a folder that are put at once. Default 16: enough to share the disk's syncs. */
  readonly folderConcurrency?: number
}

export interface PutOptions {
  /** Default: what the file has, or normal. */
  priority?: Priority
  /** Default: what the file has, or what the priority stands for. */
  replicas?: number
  pinned?: boolean
  signal?: AbortSignal
  onProgress?: (progress: Progress) => void
  /**
   * Fencing token of the lease that it is written under. A function is asked before anything is read, when the record is
   * made, and once more when all of it is on disk: it throws when nobody can vouch for the lease any more.
   */
  token?: bigint | (() => bigint)
  /** Gives an answer from when on it is known to be larger than the room here: its blobs go elsewhere while it comes in. */
  spread?: () => (SpreadImport & { readonly replicas: number }) | undefined
  /** Refused with EXISTS if there is a file. */
  ifAbsent?: boolean
}

export interface PutFolderOptions extends PutOptions {
  /** Asked before files are stored that came with their `bytes`: so much is about to be written. Throws NO_SPACE. */
  room?: (bytes: number) => Promise<{ release: () => Promise<void> }>
}

export interface Put {
  readonly cid: string
  readonly size: number
  readonly path: string | undefined
  readonly priority: Priority
  /** Wanted. */
  readonly replicas: number
  readonly blobs: readonly BlobRef[]
  /** Absent without a path. */
  readonly record: FileRecord | undefined
  readonly elapsedMs: number
}

export interface FolderItem {
  /** `a/b.txt`, below the folder that is put. */
  readonly relativePath: string
  readonly content: AsyncIterable<Uint8Array>
  /** The same, of a small file: it may then be stored in one write with others, and `content` never be read. */
  readonly bytes?: Uint8Array
  /** Called instead of putting `content` as it is: to make room for it first, or to spread it. */
  readonly store?: (put: (content: AsyncIterable<Uint8Array>, options: Pick<PutOptions, 'spread'>) => Promise<Put>) => Promise<Put>
  /** Unix permission bits; the catalog does not keep them. */
  readonly mode?: number
}

export type FolderItemPut =
  | { readonly relativePath: string; readonly put: Put; readonly error?: undefined }
  | { readonly relativePath: string; readonly put?: undefined; readonly error: { readonly code: string; readonly message: string } }

export type FileEntry =
  | {
      readonly type: 'file'
      readonly path: string
      readonly cid: string
      readonly size: number
      readonly priority: Priority
      readonly replicas: number
      readonly pinned: boolean
      readonly owner: NodeId
      readonly writer: NodeId
      /** Unix ms. */
      readonly modifiedMs: number
      readonly token: bigint
      /** The path this version lost, in a conflict copy. */
      readonly conflictOf?: string
    }
  /** Folders are implied by the paths of files. What is below is not added up: that would be a look at every file. */
  | { readonly type: 'dir'; readonly path: string }

export interface Resolved {
  readonly cid: CID
  /** Of the file, or one of those with this root; absent if the catalog has none. */
  readonly record: FileRecord | undefined
}

/** What people do with files: paths and content together. */
export interface Files {
  /**
   * Stores content and, with a path, catalogs it in the same atomic write. Durable when it resolves. Without a path it
   * stays until it is dropped by hand. Throws BAD_PATH, IS_FOLDER, IS_FILE, EXISTS, STALE_TOKEN, and what blobs throw.
   */
  put(path: string | undefined, content: AsyncIterable<Uint8Array>, options?: PutOptions): Promise<Put>
  /** Puts all of a folder, several files at once, and says of each, as they are done, what became of it. One that fails keeps no other from being put. */
  putFolder(folder: string, items: AsyncIterable<FolderItem>, options?: PutFolderOptions): AsyncIterable<FolderItemPut>
  /** `ref`: a path or a CID. Throws NOT_FOUND for a path that is no file, IS_FOLDER for a folder, BAD_RECORD for neither. */
  resolve(ref: string): Promise<Resolved>
  /** In path order. A file lists itself. Throws NOT_FOUND. `recursive`: every file below, no folders. */
  ls(folder: string, options?: { recursive?: boolean }): AsyncIterable<FileEntry>
  stat(ref: string): Promise<FileEntry>
  /** Throws NOT_FOUND, IS_FOLDER (if not `recursive`), STALE_TOKEN. A folder goes in batches of 1000 files. */
  rm(path: string, options?: { recursive?: boolean; token?: bigint; signal?: AbortSignal }): Promise<{ removed: number }>
  /**
   * Moves a file or a folder; no content is copied. Atomic up to 5000 files, above that in batches of as many. Throws
   * NOT_FOUND, EXISTS (if not `overwrite`), IS_FOLDER, IS_FILE, BAD_PATH for a folder that would go into itself.
   */
  mv(from: string, to: string, options?: { overwrite?: boolean; signal?: AbortSignal }): Promise<{ moved: number }>
  /** Of a file, or all files of a folder. Replicas go along where they were what the old priority stands for. */
  setPriority(path: string, priority: Priority): Promise<{ changed: number }>
  setReplicas(path: string, replicas: number): Promise<{ changed: number }>
  /** A path: the file is pinned in the catalog, for everybody. A CID: this node keeps it, catalogued or not. */
  pin(ref: string, pinned: boolean, options?: { signal?: AbortSignal }): Promise<void>
  /** CIDs pinned here. */
  pins(): Promise<string[]>
  /** Whether this node must not let go of a blob for as long as a pin by CID stands. */
  isPinned(blob: string): Promise<boolean>
  /** Whether a pin by CID, or an import that is under way, needs a blob here. */
  isNeeded(blob: string): Promise<boolean>
  /** Whether a blob that no record names may be wanted all the same, or is this room's to let go. Throws if it cannot be told now. */
  mayBeWanted(blob: string, signal: AbortSignal): Promise<boolean>
  /** Drops, on this node, what nobody catalogues any more, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
  /** One look for garbage: what `run` does now and then. Returns the blobs dropped. */
  collectGarbage(signal: AbortSignal): Promise<number>
}
