import type { Facts, NodeId } from '../base/index.js'
import { CodedError } from '../base/index.js'

export type PolicyCode = 'BAD_SETTING' | 'NO_SPACE'

export class PolicyError extends CodedError<PolicyCode> {
  constructor(code: PolicyCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

/** How much the owner would mind losing it. The numbers behind the words are in `priorities.ts`. */
export type Priority = 'critical' | 'high' | 'normal' | 'low' | 'expendable'

/** What is known of one node at the moment of a plan. Plain numbers, as gossiped: it may be minutes old. */
export interface NodeView {
  readonly node: NodeId
  readonly state: 'up' | 'suspect' | 'gone'
  /** Since its last sign of life; 0 while it is up. */
  readonly silentMs: number
  /** Empty when nobody said: an unknown place never counts as a new one. */
  readonly region: string
  readonly segment: string
  readonly power: 'mains' | 'battery' | 'unknown'
  /** Share of the last 30 days in which it was reachable, 0…1. */
  readonly reliability: number
  /** Its quota: everything it may have on disk. */
  readonly maxBytes: number
  /** What it would still take of others' blobs: reserve, reservations under way and the disk's own limit taken off. */
  readonly freeBytes: number
  /** What it could evict besides, to take a blob of the given priority. A last resort: it does not make it look emptier. */
  readonly evictableBytes?: Readonly<Partial<Record<Priority, number>>> | undefined
  /** What it would still take of its own owner's files. */
  readonly ownFreeBytes: number
  /** Whether it takes others' blobs at all: not while it drains, is paused, or does not share. */
  readonly accepting: boolean
  /** Whether it does background repair now: a laptop on battery says no and goes on serving reads. */
  readonly repairing: boolean
  /** False once it was caught claiming what it does not have: its copies no longer count. */
  readonly trusted: boolean
}

/** One blob as a planning node sees it. */
export interface BlobView {
  readonly cid: string
  readonly bytes: number
  readonly priority: Priority
  readonly owner: NodeId | undefined
  /** Copies that are to be. */
  readonly wanted: number
  /** Nodes believed to hold it, whatever their state; the planning node among them if it does. */
  readonly holders: readonly NodeId[]
  /** Since when it has had more live copies than wanted, without a break; undefined if it has not. */
  readonly surplusSinceMs?: number | undefined
  /** Put a moment ago: its owner may be waiting for the copies, so they are made like urgent ones. */
  readonly fresh?: boolean | undefined
  /** The planning node has begun to make its copies, and the holders leave the rest to it: it acts, whoever's turn it is. */
  readonly begun?: boolean | undefined
}

export type ActionKind =
  /** One more copy: `from` a holder `to` a node that has none. */
  | 'copy'
  /** A copy at `to`, and then, confirmed by enough others, none at `from`. */
  | 'move'
  /** More copies than wanted for a long while: one less, at `from`. */
  | 'trim'
  /** Space is needed at `from`, and enough others keep theirs. */
  | 'evict'
  /** No file refers to it any more. */
  | 'drop'

export interface Action {
  readonly kind: ActionKind
  readonly cid: string
  readonly from: NodeId | null
  readonly to: NodeId | null
  readonly bytes: number
  /** One sentence for people. */
  readonly reason: string
  /** Do it before, and outside of, what is rate-limited. */
  readonly urgent?: boolean
}

/** What `rebalance --dry-run` and `evict --dry-run` print. */
export interface Plan {
  readonly actions: readonly Action[]
  /** Sum over the actions. */
  readonly bytes: number
}

export function planOf(actions: readonly Action[]): Plan {
  return { actions, bytes: actions.reduce((sum, action) => sum + action.bytes, 0) }
}
