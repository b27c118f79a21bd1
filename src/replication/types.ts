import type { Clock, Connections, Facts, Gossip, KeyValue, Log, NodeId, Random, Rpc } from '../base/index.js'
import { CodedError } from '../base/index.js'
import type { Blobs, SpreadImport } from '../blobs/index.js'
import type { Catalog } from '../catalog/index.js'
import type { Membership } from '../membership/index.js'
import type { ActionKind, EvictionPlan, EvictionStrategy, FactorSettings, PlacementExplanation, PlacementSettings, Plan, Priority, QuotaReport, QuotaSettings, RebalanceSettings } from '../storage-policy/index.js'
import type { StoreUsage } from '../store/index.js'

export type ReplicationCode =
  /** A message that is none. */
  | 'BAD_INPUT'
  /** Nobody here has it, or no file of the catalog refers to it. */
  | 'NOT_FOUND'
  /** It would pass the quota, or there is no reason to take it. */
  | 'NO_SPACE'
  /** Does not take others' blobs now: paused, leaving, not sharing. */
  | 'NOT_ACCEPTING'
  | 'OVERLOADED'
  | 'ABORTED'

export class ReplicationError extends CodedError<ReplicationCode> {
  constructor(code: ReplicationCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

export interface ReplicationComponents {
  readonly blobs: Pick<Blobs, 'fetch' | 'held' | 'heldMany' | 'list' | 'drop' | 'read' | 'describe' | 'blobsOf' | 'withhold'> & Partial<Pick<Blobs, 'whenServed'>>
  readonly catalog: Pick<Catalog, 'get' | 'byCid' | 'byCids' | 'on'>
  readonly membership: Pick<Membership, 'members' | 'isRevoked' | 'on'>
  readonly rpc: Rpc
  readonly gossip: Gossip
  readonly connections: Connections
  /** A slice of its own. */
  readonly meta: KeyValue
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  usage(): Promise<StoreUsage>
  /** Free bytes on the disk itself. */
  freeDisk(): Promise<number>
  /** Gives space of deleted blobs back now, where the store can. */
  reclaim?(signal: AbortSignal): Promise<void>
  /** Whether something besides the catalog's files wants a blob here: a pin by CID, an import under way. Then it stays. */
  isKept?(cid: string): Promise<boolean>
  /** Whether a blob here that no file names may be wanted all the same, or is another room's to drop. Throws if that cannot be told now. */
  mayBeWanted?(cid: string, signal: AbortSignal): Promise<boolean>
  /** Whether background repair may run: false on a low battery or a metered network. Asked before each round. */
  mayRepair?(): boolean
  /** Whether somebody is putting or reading at this node at this moment: copying steps back. */
  isBusy?(): boolean
}

export interface ReplicationSettings {
  readonly quota: QuotaSettings
  readonly factors: FactorSettings
  readonly placement: PlacementSettings
  readonly rebalance: RebalanceSettings
  readonly evictionStrategy: EvictionStrategy
  readonly autoEvict: boolean
  /** How often all blobs are looked at; what changes is looked at when it does. */
  readonly sweepIntervalMs: number
  /** While all is well that rests this long for each blob held here, where that is longer; five minutes at most. */
  readonly sweepRestPerBlobMs: number
  /** How often copies are moved from full nodes to empty ones; once it has begun, it goes on until it is even. */
  readonly balanceIntervalMs: number
  /** Background copies, bytes a second, averaged. Copies below the minimum and of new files are not held back. */
  readonly backgroundBytesPerSecond: number
  /** Copies that this node coordinates, and that it fetches for others, at once. */
  readonly copiesMax: number
  readonly storesMax: number
  /** A blob that no file refers to any more is dropped after this long… */
  readonly removedAfterMs: number
  /** …and one that no file here is known to have referred to, after this. */
  readonly orphanAfterMs: number
  /** How often a holder is asked to prove that it has what it says; one question a time. */
  readonly spotCheckIntervalMs: number
  /** Vitals are sent again after this long times the number of members, within the two limits. */
  readonly vitalsPerMemberMs: number
  readonly vitalsMinMs: number
  readonly vitalsMaxMs: number
}

/** Copies of a file: of the blob that has fewest. */
export interface ReplicaCount {
  readonly wanted: number
  readonly have: number
  /** Nodes that hold all of it, as far as is known. */
  readonly holders: NodeId[]
  readonly blobs: number
}

/** What a node says of its storage. */
export interface StorageOf {
  readonly maxBytes: number
  readonly usedBytes: number
  /** Less than the difference: some is kept for the store to move things in, and for the node's own files. */
  readonly freeForOthersBytes: number
  readonly shareExcess: boolean
}

export interface ReplicationStatus {
  readonly state: 'running' | 'paused' | 'draining' | 'stopped'
  /** Held here. */
  readonly blobs: number
  /** Of those, with fewer counted copies than wanted, and with fewer live ones than the minimum. */
  readonly underReplicated: number
  readonly belowMinimum: number
  /** Looks at a blob since the start: at rest hardly any. */
  readonly looked: number
  readonly copying: number
  readonly queued: number
  readonly storing: number
  readonly copied: number
  readonly copiedBytes: number
  readonly dropped: number
  readonly droppedBytes: number
  readonly failed: number
  /** Sentences for people. */
  readonly problems: readonly string[]
  readonly untrusted: readonly NodeId[]
  readonly lastSweepMs: number | undefined
}

export interface ReplicationEvents {
  /** The known copies of a blob changed, or were confirmed. */
  replicas: { cid: string; wanted: number; have: number }
  done: { kind: ActionKind; cid: string; to: NodeId | null; bytes: number }
  failed: { kind: ActionKind; cid: string; to: NodeId | null; code: string; message: string }
}

export interface EvictionOutcome extends EvictionPlan {
  /** Bytes let go of; 0 in a dry run. */
  readonly freedBytes: number
  /** How many of the plan's actions other holders did not confirm. */
  readonly refused: number
}

export interface DrainOutcome {
  readonly moved: number
  /** Blobs that nobody took; their only or needed copies are still here. */
  readonly remaining: number
  readonly problems: readonly string[]
}

/** A file that goes to other nodes while it comes in. One of `settle` and `giveUp` must be called in the end. */
export interface FileSpread extends SpreadImport {
  /** Copies, for its record. */
  readonly replicas: number
  /** Room for what comes next: waits while parts are moved away. Throws NO_SPACE when nothing can be any more. */
  reserve(bytes: number, signal?: AbortSignal): Promise<{ release: () => Promise<void> }>
  /** Its record is there: who has parts of it is told. Never rejects. */
  settle(root: string): Promise<void>
  /** It did not come to an end: everybody lets go of its parts. */
  giveUp(): Promise<void>
}

export interface Replication {
  /** Gossip, repair, trimming, spot checks, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
  /** By path of the catalog or by CID. Throws NOT_FOUND. */
  replicasOf(target: string): Promise<ReplicaCount>
  /** Resolves when the wanted copies are acknowledged. */
  wait(target: string, signal: AbortSignal, onProgress?: (count: ReplicaCount) => void): Promise<ReplicaCount>
  /** Where the copies of a blob, or of a file of one blob, are and would go. Throws NOT_FOUND. */
  explain(target: string): Promise<PlacementExplanation>
  /** What this node would do now. */
  plan(): Promise<Plan>
  /** Looks at everything now, moves towards balance included, and does not wait for the next sweep. */
  rebalance(): void
  /** Copies of the content under a root, by what is known here; asks nobody and reads no disk. */
  copiesAtHand(root: string): NodeId[]
  /** The catalog's room lets go of a blob: no file refers to it any more. It is dropped from here once all agree. */
  unneeded(cid: string): void
  evict(options: { bytes: number; dryRun: boolean; signal?: AbortSignal }): Promise<EvictionOutcome>
  /** Takes nothing more, and hands on all that others need before it resolves. */
  drain(signal: AbortSignal): Promise<DrainOutcome>
  /** Takes nobody's word for a silent node's return: its copies no longer count from now on, until it is seen again. */
  forget(peer: NodeId): Promise<void>
  pause(): void
  resume(): void
  /** From the next decision on. A lower limit than what is used makes the node shed, politely. Throws BAD_SETTING. */
  configure(settings: Partial<ReplicationSettings>): void
  status(): ReplicationStatus
  quota(): Promise<QuotaReport>
  /**
   * Room for a file that comes in at this node, before its bytes do: makes room if it may. Throws NO_SPACE. `release` when
   * it is stored or given up. `orNothing`: nothing is evicted if that would not be enough.
   */
  reserve(bytes: number, signal?: AbortSignal, options?: { orNothing?: boolean }): Promise<{ release: () => Promise<void> }>
  /**
   * For a file that comes in at this node and is larger than its room: parts of it go to other nodes meanwhile.
   * `replicas`: if somebody has said how many. `heldBytes`: so much of it is here already, and can go, too; `blobBytesMax`
   * goes with that. Throws NO_SPACE with `needBytes` and `roomBytes`.
   */
  spread(file: { bytes: number; priority: Priority; replicas?: number | undefined; heldBytes?: number; blobBytesMax?: number }, signal?: AbortSignal): Promise<FileSpread>
  /** What a node says of its storage, for `peers`. */
  storageOf(peer: NodeId): StorageOf | undefined
  /** Somebody said here that it will not come back (`forget`), and it has not been seen since. */
  isForgotten(peer: NodeId): boolean
  /** It said that it gives up what it keeps (`drain`). */
  isLeaving(peer: NodeId): boolean
  /** Copies for a new file, by priority, where its owner has not said. */
  defaultReplicas(priority: 'critical' | 'high' | 'normal' | 'low' | 'expendable'): number
  /** Blobs came or went by another way than through here. `came`: of a file of these blobs, perhaps only some. */
  heldChanged(came?: { root: string; blobs: readonly string[] }): void
  /** A blob was read: what `lru` goes by. */
  used(cid: string): void
  on<Name extends keyof ReplicationEvents>(name: Name, listener: (event: ReplicationEvents[Name]) => void): () => void
}
