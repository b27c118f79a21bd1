import type { Hlc, NodeId } from '../base/index.js'

/** Where an access came from: the node that the client is connected to. */
export interface Place {
  readonly node: NodeId
  readonly region: string
}

/** One read or write of a client. */
export interface Access {
  /** The volume's id, 32 hex digits. */
  readonly volume: string
  readonly segment: number
  /** Blocks `[start, start + blocks)` of the segment. */
  readonly start: number
  readonly blocks: number
  readonly kind: 'write' | 'read'
  readonly place: Place
  /** What the client waited, ms, as the node that it is connected to saw it, or as near to that as is known here. */
  readonly latencyMs: number
  /** It had to go to a holder elsewhere. */
  readonly remote: boolean
}

/** What came from one place to one range within the window. */
export interface PlaceHeat {
  readonly place: Place
  readonly writes: number
  readonly reads: number
  /** Writes weighted by exp(−age / time constant). */
  readonly weight: number
  /** Writes that had to go to a holder elsewhere; not weighted. */
  readonly slowWrites: number
  /** Weighted mean of writes, ms; undefined if there was none. */
  readonly latencyMs: number | undefined
  /** The same of the slow ones, and of those that were at the holder. */
  readonly slowLatencyMs: number | undefined
  readonly localLatencyMs: number | undefined
}

/** Blocks of one segment that were used by the same writers. */
export interface RangeHeat {
  readonly start: number
  readonly blocks: number
  readonly writes: number
  readonly reads: number
  readonly lastWrite: Hlc | undefined
  /** Heaviest writers first. */
  readonly places: readonly PlaceHeat[]
}

/** A range as people see it. */
export interface HeatEntry {
  /** In blocks from the volume's start. */
  readonly start: number
  readonly blocks: number
  /** Within the window, rounded. */
  readonly writes: number
  readonly reads: number
  /** Unix ms; null: never within the window. */
  readonly lastWrite: number | null
  readonly regions: Readonly<Record<string, { readonly writes: number; readonly latencyMs: number }>>
}

export interface HeatCounters {
  readonly ranges: number
  /** Ranges forgotten for want of room. */
  readonly forgotten: number
  readonly newsSent: number
  readonly newsRefused: number
}

/** Who uses what, from where, how often and how slowly; and how far nodes are from each other. */
export interface Heat {
  /** Synchronous and cheap: on the path of every access. */
  record(access: Access): void
  /** The range that holds a block, if it was used within the window. */
  at(volume: string, segment: number, block: number): RangeHeat | undefined
  /** How many blocks from `block` on nobody used through this node lately, up to `blocksMax`. */
  unused(volume: string, segment: number, block: number, blocksMax: number): number
  /** All of a volume, with what other nodes tell, in order. */
  of(volume: string): HeatEntry[]
  /** The volume is gone. */
  forget(volume: string): void
  /** Round trip between two nodes, ms: measured by this node or by one of them, else guessed from their coordinates. */
  rttMs(a: NodeId, b: NodeId): number | undefined
  readonly counters: HeatCounters
  /** Tells others and hears of them, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
}
