import type { CID } from 'multiformats/cid'
import type { Facts, NodeId, WriteOperation } from '../base/index.js'
import { CodedError } from '../base/index.js'

export type BlobCode =
  /** Nobody in the mesh is known to have it. */
  | 'NO_HOLDERS'
  /** Somebody has it, but no holder answered in time. */
  | 'HOLDERS_UNREACHABLE'
  /** Every holder that answered sent bytes that are not what the CID says. Nothing of them was written. */
  | 'CORRUPT'
  | 'NOT_FOUND'
  | 'NO_SPACE'
  | 'BAD_CID'
  | 'BAD_RANGE'
  | 'ABORTED'

export class BlobError extends CodedError<BlobCode> {
  constructor(code: BlobCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

/**
 * A blob is the unit that is placed, replicated, provided and evicted: the DAG under `cid`, of at most 1 GiB; or, for a
 * file larger than that, its `spine`: the nodes above the blobs, and nothing below them.
 */
export interface BlobRef {
  readonly cid: CID
  readonly kind: 'dag' | 'spine'
}

/** What a node knows of a blob it holds, whole and verified. */
export interface HeldBlob extends BlobRef {
  /** Bytes of its blocks. */
  readonly bytes: number
  readonly blocks: number
  readonly heldSinceMs: number
}

export interface Imported {
  readonly cid: CID
  /** Bytes of the content. */
  readonly size: number
  /** In file order; the spine, if any, last. */
  readonly blobs: readonly BlobRef[]
}

export interface Progress {
  /** Content bytes so far, and in all if known. */
  bytes: number
  total?: number
}

export interface ImportOptions {
  signal?: AbortSignal
  onProgress?: (progress: Progress) => void
  /**
   * Operations to be written in the same atomic batch that makes the last blob durable: the catalog's record.
   * Called when the root is known.
   */
  operations?: (imported: Imported) => Promise<readonly WriteOperation[]>
  /**
   * The file is larger than the room here: blobs go to other nodes while it comes in. A function is asked for every leaf:
   * from the first time on that it gives an answer, the file is spread; what was read before is in blobs of the usual size.
   */
  spread?: SpreadImport | (() => SpreadImport | undefined)
}

/**
 * An import whose blobs need not stay: what is complete may be dropped here before the end, by whoever has made sure that
 * others keep it.
 */
export interface SpreadImport {
  /** Content bytes of a blob. Rounded down to whole leaves; one at least. */
  readonly blobBytes: number
  /** A blob is complete and held here. The next one waits for this. Throws what is to end the import. */
  onBlob(blob: HeldBlob): Promise<void>
  /** All is read, and nothing refers to it yet: throws if a blob has been lost on the way. */
  beforeEnd(blobs: readonly BlobRef[]): Promise<void>
}

export interface ImportManyOptions {
  signal?: AbortSignal
  /** As of `ImportOptions`; what is imported, in the order of the contents. */
  operations?: (imported: readonly Imported[]) => Promise<readonly WriteOperation[]>
}

export interface ReadMany {
  /** In the order of the names; undefined where `read` is to be asked, which knows more ways, or says what is wrong. */
  readonly contents: readonly (Uint8Array | undefined)[]
  /** How many of them were not here before. */
  readonly brought: number
}

/** A name in a new folder: `path` is relative (`a/b.txt`), `/` makes folders in between. */
export interface FolderEntry {
  readonly path: string
  /** Root of a file or of a folder that is here (its root block is read for its size). */
  readonly cid: CID
}

/** A file of a folder that is only named: it need not be here. */
export interface FolderFile extends FolderEntry {
  /** Content bytes. */
  readonly size: number
}

export interface NamedFolder {
  readonly cid: CID
  /** Each folder by its path; `''` is the one that was asked for. */
  readonly folders: ReadonlyMap<string, CID>
}

export interface FolderItem {
  /** Relative to the folder that was asked for. */
  readonly path: string
  readonly cid: CID
  /** Content bytes of a file; 0 for a folder. */
  readonly size: number
  readonly type: 'file' | 'folder'
}

export interface FetchOptions {
  signal?: AbortSignal
  onProgress?: (progress: Progress) => void
  /** Holders known from elsewhere (gossip): asked before the DHT is. */
  holders?: readonly NodeId[]
  /**
   * The content of a blob that is one block, verified, as it comes in and before it is stored. Not called where nothing
   * came in, or where somebody else has it fetched already. The bytes are only lent.
   */
  onContent?: (bytes: Uint8Array) => void
}

export interface DropOptions {
  /** Asked once nothing else can happen to the blob any more: `false` keeps it. Somebody may have come to want it since. */
  stillUnwanted?: () => Promise<boolean>
}

export interface Blobs {
  /** Durable and hash-verified when it resolves. */
  import(content: AsyncIterable<Uint8Array>, options?: ImportOptions): Promise<Imported>
  /**
   * Files of one chunk (1 MiB) each at most, whose bytes are at hand: all of them in one atomic write with what
   * `operations` gives, durable when it resolves, in the order of `contents`. A small file by itself costs some hundred
   * turns through every room, which many share here. The caller bounds how many; a longer content throws BAD_INPUT.
   */
  importMany(contents: readonly Uint8Array[], options?: ImportManyOptions): Promise<Imported[]>
  /**
   * Makes UnixFS folders over files that are here: the CID is that of `ipfs add -r` with the same profile, sharded (HAMT)
   * above the same threshold. Every folder in it becomes one held `spine` blob, the root's last. Throws BAD_INPUT-like
   * `BAD_CID` for a path that is empty, absolute, doubled, or has `.` or `..`.
   */
  importFolder(entries: Iterable<FolderEntry> | AsyncIterable<FolderEntry>, options?: ImportOptions): Promise<Imported>
  /**
   * The CIDs that `importFolder` would give, and nothing is stored: files may be elsewhere. Throws BAD_CID as it does, and
   * where a path is a file and a folder at once.
   */
  nameFolder(files: Iterable<FolderFile> | AsyncIterable<FolderFile>, options?: FetchOptions): Promise<NamedFolder>
  /** Everything under a folder, depth first, folders before what is in them. Fetches folder nodes that are not here. */
  readFolder(root: CID, options?: FetchOptions): AsyncIterable<FolderItem>
  /** What the root of a DAG is and the content bytes below it, from its root block alone. */
  describe(root: CID, options?: FetchOptions): Promise<{ type: 'file' | 'folder'; size: number }>
  /** The blobs of a file or folder node, from blocks that are here, or fetched if need be (the spine only). */
  blobsOf(root: CID, options?: FetchOptions): Promise<BlobRef[]>
  /** Fetches what is missing of the blob from its holders, verifies it, stores it, and holds it from then on. */
  fetch(blob: BlobRef, options?: FetchOptions): Promise<HeldBlob>
  /**
   * The content under a file's root, from the local store where it is there, else from holders as it is read, block by
   * block verified. What is fetched for a whole read is kept as a held blob; a range read keeps nothing.
   *
   * `isLent`: what is yielded is the reader's until it asks for the next, when its memory is used again. A reader that
   * passes bytes on and knows when they have left saves a copy of each, and a gigabyte of garbage for each gigabyte.
   */
  read(root: CID, options?: FetchOptions & { offset?: number; length?: number; isLent?: boolean }): AsyncIterable<Uint8Array>
  /**
   * What `read` gives of many small files, for those that are one block: from the disk, or fetched from those of `holders` together
   * that are connected (nobody else is asked), verified, and kept in one write for all. 8 MiB of them at most.
   */
  readMany(cids: readonly CID[], options?: FetchOptions): Promise<ReadMany>
  held(cid: CID): Promise<HeldBlob | undefined>
  /** The same of many at once, in order. */
  heldMany(cids: readonly CID[]): Promise<(HeldBlob | undefined)[]>
  list(): AsyncIterable<HeldBlob>
  /** Lets go of a blob: space comes back for blocks no other blob shares. */
  drop(cid: CID, options?: DropOptions): Promise<void>
  /**
   * No block of this held blob goes to other nodes until the function is called that this resolves to, or for two minutes:
   * who asks for one waits, ten seconds at most. For who is about to drop it and asks others to prove that they have it:
   * they must not get it from here to do so.
   */
  withhold(cid: CID): Promise<() => void>
  /**
   * Until the returned function is called, `listener` is lent the content of this blob whenever it is sent to somebody,
   * as it was read from the disk: unverified. Only where the blob is one block of content; else nothing is ever called.
   */
  whenServed(cid: CID, listener: (content: Uint8Array) => void): () => void
  /** Re-hashes every block of what is held under `root` (or everything); heals from other holders where it can. */
  verify(root: CID | undefined, options?: FetchOptions): AsyncIterable<{ cid: CID; ok: boolean; healed: boolean; error?: string }>
  /** A CAR (v1) stream of the DAG under `root`. */
  exportCar(root: CID, options?: FetchOptions): AsyncIterable<Uint8Array>
  /** The same for a folder that is only named: its nodes are made for the archive. */
  exportFolderCar(files: Iterable<FolderFile> | AsyncIterable<FolderFile>, options?: FetchOptions): AsyncIterable<Uint8Array>
}

/** `Blobs` and its upkeep: what the roof starts and shows. */
export interface BlobService extends Blobs {
  /**
   * Clears up after a crash, then scrubs: one block at a time, at a bounded rate, from where it stopped last time, until
   * the signal aborts.
   */
  run(signal: AbortSignal): Promise<void>
  readonly scrub: ScrubControl
  stats(): BlobStats
}

export interface ScrubControl {
  pause(): void
  resume(): void
  status(): ScrubStatus
}

export interface ScrubStatus {
  state: 'idle' | 'running' | 'paused'
  /** In this pass. */
  blocks: number
  bytes: number
  /** Since start. */
  passes: number
  corrupt: number
  healed: number
  lastPassMs: number | undefined
}

/** Counters since start; gauges where the name says `now`. */
export interface BlobStats {
  importedFiles: number
  importedBytes: number
  fetchedBlobs: number
  fetchedBlocks: number
  fetchedBytes: number
  servedBlocks: number
  servedBytes: number
  /** Blocks that came with bytes that are not what their CID says. None was written. */
  corruptReceived: number
  framingErrors: number
  streamsNow: number
  inFlightBytesNow: number
  avoidedNow: number
}
