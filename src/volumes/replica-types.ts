import { CodedError } from '../base/index.js'
import type { Facts } from '../base/index.js'
import type { BlockRange } from './geometry.js'
import type { Cut } from './segment.js'

/** One segment of one volume, as a disk knows it. */
export interface SegmentId {
  /** 32 hex digits: a volume that is removed and made again under its name is another. */
  readonly volume: string
  readonly segment: number
}

/**
 * Where in a block's history a content stands: by token, then by sequence. A block's tokens only grow, so that of two
 * versions of one block the higher is the newer, wherever it was kept.
 */
export interface Version {
  readonly token: number
  /** 1, 2, … without a gap in the stream of one token of a segment. */
  readonly sequence: number
}

export type Content = 'data' | 'zeroes' | 'hole'

/** Who asked for a write that came by another node, and its number there: a retry of it must not be applied again. */
export interface Origin {
  readonly client: string
  readonly sequence: number
}

/** One write, trim or write of zeroes of a holder, in its own stream: all entries of one token of one segment. */
export interface LogEntry extends BlockRange, Version {
  readonly configuration: number
  readonly content: Content
  /** `blocks` · 4096 bytes for data, else none. */
  readonly bytes: Uint8Array
  readonly origin?: Origin
}

/** Blocks with one version and one kind of content. `unknown`: this disk does not have them (only where it is not whole). */
export interface BlockRun extends BlockRange {
  readonly version: Version | undefined
  readonly content: Content | 'unknown'
}

export interface BlockData extends BlockRun {
  readonly bytes: Uint8Array
}

export interface Fence extends BlockRange {
  readonly token: number
  readonly configuration: number
  /** Where streams of older holders of these blocks end: what they have past it is discarded before the answer. */
  readonly cuts: readonly Cut[]
}

/** How far this disk has an older stream that touches the fenced blocks. */
export interface StreamEnd {
  readonly token: number
  readonly sequence: number
}

/** A client's write that came by another node, and the entry that carries it. */
export interface AppliedOrigin extends BlockRange {
  readonly origin: Origin
  readonly version: Version
}

export type AppendRefusal =
  /** The blocks are fenced for a higher token or configuration. */
  | { readonly type: 'fenced'; readonly token: number; readonly configuration: number }
  /** The stream has a gap: `next` is the sequence number that this disk needs. */
  | { readonly type: 'gap'; readonly next: number }

export type DiskCode =
  /** The bytes of these blocks (facts: start, blocks, token, sequence) are damaged: an `install` of this or a newer version heals them. */
  | 'CORRUPT'
  /** Entries that were settled are asked for, and are gone. */
  | 'COMPACTED'
  /** Too many entries of the segment are not settled. */
  | 'BEHIND'
  | 'BAD_INPUT'
  | 'CLOSED'

/** What a disk throws besides the errors of the store: NO_SPACE (nothing was taken), DISK, CLOSED. */
export class DiskError extends CodedError<DiskCode> {
  constructor(code: DiskCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

/**
 * What one node keeps of all volumes, on its disk: a log of entries, an index from blocks to their newest entry, fences,
 * and what clients' retries have been applied. No network, no register: it refuses what is fenced and forgets nothing
 * that it synced.
 */
export interface ReplicaDisk {
  /**
   * In the stream's order. Entries that are there already are passed over. Resolves when they survive the end of the
   * process (not yet of the machine: see `sync`) and can be read; undefined, or why it took none or only a part.
   * `fresh`: their numbers were never given before; one that is here already is a gap, and is not passed over.
   */
  append(id: SegmentId, entries: readonly LogEntry[], options?: { readonly fresh?: boolean }): Promise<AppendRefusal | undefined>
  /** Resolves when all that was appended, installed or fenced before the call survives the end of the machine. */
  sync(): Promise<void>
  /**
   * Durable when it resolves. Answers how far the older streams of this segment go here (none: 0), after discarding past
   * the cuts. Of entries with a token below the fence's, these go: those of a cut's token past its sequence, and all of
   * tokens above the highest cut's; without cuts none goes. Token 0 raises the configuration only. The same fence may come again, with more cuts.
   */
  fence(id: SegmentId, fence: Fence): Promise<readonly StreamEnd[] | AppendRefusal>
  /** Newest content of each block; runs in order, that cover the range. CORRUPT if any of it is damaged. */
  read(id: SegmentId, range: BlockRange): Promise<BlockData[]>
  /**
   * What `read` would answer, if it can be had without a wait: the index is in memory, and so are the bytes. Undefined if not,
   * or if anything is wrong: then `read` tells. The bytes are the caller's.
   */
  readNow(id: SegmentId, range: BlockRange): BlockData[] | undefined
  /** The same without the bytes: of one consistent moment. */
  versions(id: SegmentId, range: BlockRange): Promise<BlockRun[]>
  /**
   * Copies from another disk: each block only if it is newer than what is here, and not past a cut. Not durable before
   * `sync`. `replace`: whatever is here of these blocks goes in the same step, also what is newer.
   */
  install(id: SegmentId, blocks: readonly BlockData[], options?: { readonly replace?: boolean }): Promise<void>
  /**
   * Entries of this stream up to `sequence` can be cut no more (every replica that counts has synced them), and nobody will
   * ask for them by `entries`: what they overwrote may go. Nothing else lets go of overwritten entries.
   */
  settled(id: SegmentId, token: number, sequence: number): Promise<void>
  /** Streams that have something here which is not settled, and how far they go. */
  unsettled(id: SegmentId): Promise<readonly StreamEnd[]>
  /**
   * The stream counts as here up to `sequence`, so that it goes on from there: its content comes by `install`, and the
   * disk is not whole until `setWhole`. `complete`: all of its content was installed before; the disk stays what it is.
   */
  adopt(id: SegmentId, token: number, sequence: number, options?: { readonly complete?: boolean }): Promise<void>
  /**
   * Takes back what is here of this one stream past `after`, as if it had never come (a hand-off that failed). What it had
   * overwritten can be read again.
   */
  discard(id: SegmentId, token: number, after: number): Promise<void>
  /** Entries of one stream after `after`, at least one if there is one, about `bytesMax` at most; those overwritten since may come as they were. COMPACTED if they are settled and gone. */
  entries(id: SegmentId, token: number, after: number, bytesMax: number): Promise<LogEntry[]>
  /** The last sequence number here of one stream; 0 for none. */
  streamEnd(id: SegmentId, token: number): number | Promise<number>
  /** The highest number applied of a client's proxied writes in this segment; 0 for none. */
  applied(id: SegmentId, client: string): number | Promise<number>
  /** What `applied` goes by, for whoever takes a range over; a number whose entry is discarded does not count any more. */
  origins(id: SegmentId): Promise<AppliedOrigin[]>
  installOrigins(id: SegmentId, origins: readonly AppliedOrigin[]): Promise<void>
  /** Forgets blocks, so that they are `unknown` again (a holder that was no replica and lost the range). */
  forget(id: SegmentId, range: BlockRange): Promise<void>
  /** Whole: what it does not have is a hole. Else: unknown. */
  setWhole(id: SegmentId, whole: boolean): Promise<void>
  isWhole(id: SegmentId): boolean | Promise<boolean>
  segments(volume?: string): AsyncIterable<SegmentId>
  /** All of it, fences included: only when the volume is gone, or this node is no replica any more. */
  drop(id: SegmentId): Promise<void>
  /** Bytes of content kept, and on disk in all. */
  usage(): Promise<{ contentBytes: number; diskBytes: number }>
  /** Compaction: gives back the space of entries that were overwritten, in bounded steps. */
  run(signal: AbortSignal): Promise<void>
}
