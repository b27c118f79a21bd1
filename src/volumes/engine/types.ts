import type { Bulk, Clock, Connections, Log, NodeId, Random, Rpc } from '../../base/index.js'
import type { ChangeFunction, ConsensusEvents, SessionId, Value } from '../../consensus/index.js'
import type { BlockRange } from '../geometry.js'
import type { ReplicaDisk, SegmentId } from '../replica-types.js'
import type { VolumeSettings } from '../types.js'

/** What the engine uses of the consensus. */
export interface SegmentConsensus {
  readonly session: SessionId | undefined
  /** 0 when nothing may be done under the session any more. Asked before an act, and again before it is told of. */
  sessionRemainingMs(): number
  read(scope: string, options?: { signal?: AbortSignal }): Promise<Value | undefined>
  change<Answer>(scope: string, change: ChangeFunction<Answer>, options?: { signal?: AbortSignal; evict?: SessionId }): Promise<{ value: Value; answer: Answer }>
  list(prefix: string, limit: number, options?: { signal?: AbortSignal }): Promise<{ scope: string; value: Value }[]>
  /** Whether a majority of voters counts the session as over. */
  isOver(session: SessionId, options?: { signal?: AbortSignal }): Promise<boolean>
  on<Name extends 'ready' | 'evicted'>(name: Name, listener: (event: ConsensusEvents[Name]) => void): () => void
}

/** A node and where it is. */
export interface Place {
  readonly node: NodeId
  readonly region: string
}

/** One read or write of a client, told to the heat by the node that the client uses and by the one that served it. */
export interface VolumeAccess extends BlockRange {
  readonly volume: string
  readonly segment: number
  readonly kind: 'read' | 'write'
  /** The node that the client uses. */
  readonly place: Place
  /** As that node saw it; at the holder of a proxied access what the other side told of its last one. */
  readonly latencyMs: number
  /** The holder is another node. The same on both sides. */
  readonly remote: boolean
}

/** Asked by the holder after an access of another node: should the blocks be there? */
export interface MigrationQuestion extends BlockRange {
  readonly volume: string
  readonly segment: number
  /** What is held around the access: a move never goes past it. */
  readonly held: BlockRange
  readonly holder: Place
  readonly asker: Place
  /** Third places that could have it: where copies are. */
  readonly others?: readonly Place[]
  /** What a move of the range would have to carry at once. */
  readonly bytesToMove: (range: BlockRange) => number
  readonly policy: 'basic' | 'adaptive'
}

export type MigrationAnswer =
  | { readonly type: 'stay'; readonly explanation: string }
  | { readonly type: 'move'; readonly range: BlockRange; readonly to: Place; readonly explanation: string }

/** Decides who should hold what. Synchronous and quick: it is asked in the path of proxied writes, after their answer. */
export interface MigrationPolicy<Answer extends MigrationAnswer = MigrationAnswer> {
  /** An answer `move` counts as under way until `ended`. */
  decide(question: MigrationQuestion): Answer
  ended(question: { readonly volume: string; readonly segment: number }, answer: Answer, outcome: 'moved' | 'failed'): void
  /** At the new holder: from here the range rests. */
  arrived(volume: string, segment: number, range: BlockRange): void
  /** The volume is no more. */
  forget(volume: string): void
}

/** Where copies of segments belong. */
export interface SegmentPlaces {
  /** Up to `count` nodes that may keep a copy, the best first, none of `not`. This node may be among them. */
  choose(id: SegmentId, count: number, not: readonly NodeId[]): Promise<readonly NodeId[]> | readonly NodeId[]
  /** How many nodes the mesh has that keep copies: no more can be asked of it. */
  nodes(): number
  /** It gives its copies up: what it keeps belongs elsewhere, and nothing new belongs there. */
  isLeaving(node: NodeId): boolean
}

export interface EngineComponents {
  readonly disk: ReplicaDisk
  readonly consensus: SegmentConsensus
  readonly rpc: Rpc
  readonly bulk: Bulk
  readonly connections: Connections
  readonly heat: { record(access: VolumeAccess): void }
  readonly policy: MigrationPolicy
  readonly places: SegmentPlaces
  /** A volume's settings, for a holder whose own clients have not opened it; undefined: there is no such volume. */
  readonly settingsOf: (volume: string) => Promise<VolumeSettings | undefined>
  readonly regionOf: (node: NodeId) => string | undefined
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface EngineInit {
  /** Copies in sync below which a flush waits, and then fails; fewer if the volume or the mesh has fewer. */
  readonly inSyncMin: number
  /** A replica that has not synced within this time of a flush's asking is left out of the set. */
  readonly replicaDeadlineMs: number
  /** How long a client's operation waits for a holder, a replica or the voters before it fails. */
  readonly operationDeadlineMs: number
  /** Of a client's proxied writes, and of a holder's stream, that no flush has covered: beyond it one is made. */
  readonly unflushedBytesMax: number
  /** Writes of one segment under way at once; more wait. */
  readonly writesInFlightMax: number
  /** Of a range that is handed over, the blocks that go along, those written last: the rest comes when it is read. One message. */
  readonly hotBlocksMax: number
  /** How often replica sets are looked at. */
  readonly keepEveryMs: number
}

export const engineDefaults: EngineInit = {
  // One copy more than the one that may be lost at any time.
  inSyncMin: 2,
  // Longer than a busy disk's sync and a round trip around the world, shorter than what a file system's journal minds.
  replicaDeadlineMs: 4_000,
  // A dead holder costs D_v (6 s) and some rounds. The kernel's NBD client gives up on a device after 30 s by default.
  operationDeadlineMs: 28_000,
  // As much as a desktop's disk takes in a second or two; it is kept in memory for replays.
  unflushedBytesMax: 64 * 1024 * 1024,
  // Far beyond any queue depth of NBD clients.
  writesInFlightMax: 1024,
  // 512 KiB: a quarter of a message, and a document with what is around it.
  hotBlocksMax: 128,
  keepEveryMs: 2_000,
}

