import type { Facts, NodeId } from '../../base/index.js'
import type { Place, PlaceHeat } from '../../heat/index.js'
import type { BlockRange } from '../geometry.js'

/** Why a range stays where it is. */
export type StayReason =
  /** The asker holds it. */
  | 'OWN'
  /** This is the first that was heard of the asker: one access moves nothing. */
  | 'ONE_OFF'
  /** Remote writes are hardly slower than local ones. */
  | 'NOT_SLOW'
  | 'TOO_FEW_SLOW_WRITES'
  /** Several write here, and the asker is near enough. */
  | 'NEAR_ENOUGH'
  /** Several write here, and nobody's place is so much better for all of them. */
  | 'NO_IMPROVEMENT'
  /** It would be better, but by how much is uncertain, or it moved to and fro lately. */
  | 'HYSTERESIS'
  | 'DISTANCE_UNKNOWN'
  | 'COOLDOWN'
  | 'COSTS_MORE'
  | 'TOO_MANY_MOVES'
  /** It is on its way already. */
  | 'MOVING'

/** A decision, why in one sentence, and the figures that it was made on (milliseconds, counts, bytes). */
export type MigrationDecision =
  | { readonly type: 'stay'; readonly reason: StayReason; readonly explanation: string; readonly figures: Facts }
  | {
      readonly type: 'move'
      readonly range: BlockRange
      /** The asker, or a third place that is better for all. */
      readonly to: Place
      readonly explanation: string
      readonly figures: Facts
    }

export type MigrationPolicyName = 'basic' | 'adaptive'

/** All that a decision depends on. */
export interface MigrationView {
  /** Any clock's milliseconds, the same as in `movedAtMs` and `waitingSinceMs`. */
  readonly nowMs: number
  readonly policy: MigrationPolicyName
  /** What would move: blocks with the same writers, all of one holder. */
  readonly range: BlockRange
  readonly holder: Place
  readonly asker: Place
  /** Heat of the range, this access included. */
  readonly heat: readonly PlaceHeat[]
  /** Where the range could go besides its writers' nodes. */
  readonly others: readonly Place[]
  /** Round trip between two nodes, ms. */
  readonly rttMs: (a: NodeId, b: NodeId) => number | undefined
  /** What a move would have to carry. */
  readonly bytes: number
  /** When this range, or a part of it, moved last. */
  readonly movedAtMs: number | undefined
  /** How often it moved of late. */
  readonly recentMoves: number
  /** Since when the asker's region would be better served, and is not; and how often it was told so. */
  readonly waitingSinceMs: number | undefined
  readonly refusals: number
  /** Moves under way from this node, of all ranges. */
  readonly moving: number
}

/** The access that asks: a write that came from elsewhere and was just answered. Its heat is recorded already. */
export interface MigrationQuestion extends BlockRange {
  /** The volume's id. */
  readonly volume: string
  readonly segment: number
  readonly policy: MigrationPolicyName
  readonly holder: Place
  readonly asker: Place
  /** The holder's own range around the access: a move never goes past it. */
  readonly held: BlockRange
  /** Bytes that a move of that range would have to carry. */
  readonly bytesToMove: (range: BlockRange) => number
  /** Nodes besides the writers' that could take it, for example the segment's replicas. */
  readonly others?: readonly Place[]
}

export interface MigrationCounters {
  readonly asked: number
  readonly moved: number
  readonly failed: number
  readonly moving: number
}

/** A decision of the last few, for people, and the blocks that it was about. */
export interface MigrationNote extends BlockRange {
  readonly volume: string
  readonly segment: number
  /** Unix ms. */
  readonly at: number
  readonly decision: MigrationDecision
}

/** Decides for the ranges that this node holds, and remembers what the guards need to know. */
export interface MigrationGovernor {
  /** Synchronous. A move takes one of the places of those under way until `ended`. */
  decide(question: MigrationQuestion): MigrationDecision
  /** The hand-off is over. */
  ended(question: { readonly volume: string; readonly segment: number }, move: MigrationDecision, outcome: 'moved' | 'failed'): void
  /** A range came here by a hand-off: it rests. */
  arrived(volume: string, segment: number, range: BlockRange): void
  forget(volume: string): void
  /** The last decisions about a volume that changed something, newest first. */
  notes(volume: string): readonly MigrationNote[]
  readonly counters: MigrationCounters
}
