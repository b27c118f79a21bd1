import type { CID } from 'multiformats/cid'
import type { AppendLog, KeyValue, WriteOperation, Facts } from '../base/index.js'
import { CodedError } from '../base/index.js'

export type StoreCode =
  /** The disk is full, or a write would pass the store's limit. Nothing was written. */
  | 'NO_SPACE'
  /** The bytes under a CID are not what the CID says. The block is quarantined. */
  | 'CORRUPT'
  | 'NOT_FOUND'
  /** Another process has this home open. */
  | 'LOCKED'
  | 'CLOSED'
  /** The disk refused for a reason other than space (facts: the reason). */
  | 'DISK'

export class StoreError extends CodedError<StoreCode> {
  constructor(code: StoreCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

/** Verified against its CID. */
export interface NewBlock {
  readonly cid: CID
  readonly bytes: Uint8Array
}

/**
 * Blocks on their way in, for one blob. What a draft has stored is found by `BlockStore.get` at once, survives a restart
 * (see `drafts()`), and is garbage until `commit`. A block counts once per draft however often it is put.
 */
export interface BlockDraft {
  /** Chosen by the opener; one open draft per id. */
  readonly id: string
  /** The caller has verified the bytes against the CID. Not durable until `commit` or `flush`. */
  put(cid: CID, bytes: Uint8Array): Promise<void>
  /** The same as many `put`s, for many small blocks: the index is asked once. If one fails, none of those that are new is in the draft. */
  putMany(blocks: readonly NewBlock[]): Promise<void>
  /** Takes over a block this node has already, if it has: true, and it counts as put. */
  adopt(cid: CID): Promise<boolean>
  /** All that was put is durable, still as a draft: what a resumable fetch calls now and then. */
  flush(): Promise<void>
  /**
   * The draft's blocks become permanent (one reference each), together with `operations`, in one atomic durable write;
   * the bytes were synced before. Group-committed with others.
   */
  commit(operations: readonly WriteOperation[]): Promise<void>
  /** Gives up; the blocks nobody else refers to are deleted. */
  abort(): Promise<void>
}

export interface BlockStore {
  /** Throws NOT_FOUND. Not verified against the CID here (it was when it came): `verify` and the scrub do that. */
  get(cid: CID, options?: { signal?: AbortSignal }): Promise<Uint8Array>
  /**
   * In order; undefined where there is none. Cheaper than as many `get`s. With `bytesMax` only the first of them whose blocks
   * have so many bytes together, but one at least: then the answer is shorter than the question.
   */
  getMany(cids: readonly CID[], options?: { bytesMax?: number }): Promise<(Uint8Array | undefined)[]>
  has(cid: CID): Promise<boolean>
  /** Bytes, or undefined. */
  size(cid: CID): Promise<number | undefined>
  /** Opens a new draft, or the one that a crash or a pause left behind under this id. */
  draft(id: string): Promise<BlockDraft>
  /** Ids of the drafts that exist, open or left behind. */
  drafts(): Promise<string[]>
  /**
   * One reference less to every block; those at zero are deleted and their space comes back by and by. Atomic with
   * `operations`, durable. Large releases are split by the caller (put the operations into the last part).
   */
  release(cids: readonly CID[], operations: readonly WriteOperation[]): Promise<void>
  /** Re-hashes one block. A corrupt one is quarantined: gone from `get` and `has`, kept aside, counted; false. */
  verify(cid: CID): Promise<boolean>
  /** CIDs in quarantine: referred to by blobs of this node, not readable, to be fetched again. */
  quarantined(): Promise<CID[]>
  /** Puts verified bytes back in the place of a quarantined block. Durable. */
  heal(cid: CID, bytes: Uint8Array): Promise<void>
  /** Every indexed block from `after` on, in index order: what the scrub walks. */
  list(options?: { after?: CID }): AsyncIterable<{ cid: CID; size: number }>
}

/** Bytes on disk, by what they are for. The sum of the parts is `totalBytes`. */
export interface StoreUsage {
  totalBytes: number
  /** Block bytes that something refers to. */
  liveBytes: number
  /** Block bytes of drafts. */
  draftBytes: number
  /** Deleted block bytes whose space has not come back yet. */
  reclaimableBytes: number
  /** Logs that other rooms append to (`appendLog`). */
  logBytes: number
  /** The `meta` database and the overhead of the block log. */
  metadataBytes: number
  blocks: number
  quarantined: number
}

/** What a recount found, beside what the ledger says. Equal unless there is a bug. */
export interface Recount {
  ledger: StoreTotals
  counted: StoreTotals
  agrees: boolean
}

export interface StoreTotals {
  liveBytes: number
  draftBytes: number
  reclaimableBytes: number
  blocks: number
  quarantined: number
}

/** What opening found and did. */
export interface RecoveryReport {
  /** The last user of this home closed it. */
  clean: boolean
  /** Blocks in the log that no index entry named: the traces of writes nobody was told had succeeded. */
  orphans: number
  orphanBytes: number
  /** Index entries whose bytes were not in the log. They are in quarantine. */
  missing: number
}

/** The state of the background work, for people. */
export interface BackgroundStatus {
  paused: boolean
  state: 'idle' | 'working' | 'waiting'
  reclaimedBytes: number
  /** The last thing that went wrong in the background, if anything. */
  lastError?: string
}

export interface AppendLogInit {
  /**
   * Whether all of a value was written. A loss of power leaves values of which a part is missing; of what was never synced
   * they must not be taken for values that were damaged later.
   */
  readonly isWhole: (key: Uint8Array, value: Uint8Array) => boolean
}

export interface Store {
  readonly blocks: BlockStore
  /** What was found at open. */
  readonly recovery: RecoveryReport
  /** The slice of `meta` for one room; `name` is a row of the table in `keyspace.ts`. */
  meta(name: string): KeyValue
  /**
   * A log of files of its own, which is made when it is first asked for; `name` is a row of the same table. Counted in
   * `usage` (`logBytes`) and held to the limit: a write that would pass it throws NO_SPACE.
   */
  appendLog(name: string, init: AppendLogInit): Promise<AppendLog>
  usage(): Promise<StoreUsage>
  /** Gives back all space that can be: what runs by itself in the background, now and to the end. */
  reclaim(signal?: AbortSignal): Promise<void>
  /** Counts everything again and compares with the ledger, on one consistent view. Reads the whole index. */
  recount(signal?: AbortSignal): Promise<Recount>
  /**
   * No block is accepted from now on that could bring the files of the store above `bytes`; what is there stays.
   * `Infinity` lifts it.
   */
  limit(bytes: number): void
  /**
   * Above this the files cannot grow if nothing more is accepted, at once and without reading the disk: what they take,
   * and what the databases may need while they move it. Compared with the limit before each block.
   */
  boundBytes(): number
  /** Background work (giving back space) stops after the unit under way; `reclaim()` still works. */
  pause(): void
  resume(): void
  /**
   * Nothing is going on: buffers are written out, and pages of files that were read are unmapped. Costs milliseconds, in
   * which reads wait; does nothing if little was read since the last time.
   */
  rest(): Promise<void>
  background(): BackgroundStatus
  close(): Promise<void>
}
