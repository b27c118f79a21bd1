/**
 * What goes when space is needed.
 *
 * Intuition. First decide what may go at all, which is the same for every strategy; then take what is held beyond the
 * wanted count, since nobody asked for those copies; then what is held beyond the minimum; and within each of the two in
 * the order of the strategy. A plan is only a proposal: each deletion is confirmed with the other holders first (see
 * `eviction-confirm.ts`).
 *
 * The `hybrid` order is the published one: score = priority·0.5 + copies·0.3 + ageDays·0.2, lowest goes first. It is odd
 * in three ways:
 *
 * - A blob with more copies scores higher and is kept, though it is the safer one to let go of. The two tiers above make
 *   good for most of it: all surplus copies go before any other, whatever their score.
 * - An older blob scores higher and is kept, so what came last goes first, and a full node would evict what it accepted
 *   a minute ago. So nothing goes in its first hour (`newcomerMs`).
 * - Age is not bounded: after 23 days an expendable blob outranks a new critical one (0.5 + 0.2·23 > 5). That is as
 *   published, and harmless to critical and high files, whose owner's copy never goes and whose others stop at the
 *   minimum; but it is why `redundant` is the better choice where most files are old.
 */
import { hashName, rendezvous } from './hashing.js'
import { priorities } from './priorities.js'
import type { NodeId } from '../base/index.js'
import type { Action, Plan, Priority } from './types.js'
import { planOf } from './types.js'

export type EvictionStrategy = 'lru' | 'priority' | 'redundant' | 'hybrid' | 'random'
export const evictionStrategies: readonly EvictionStrategy[] = ['lru', 'priority', 'redundant', 'hybrid', 'random']

/** A blob of this node, as far as letting go of it is concerned. */
export interface EvictionCandidate {
  readonly cid: string
  readonly bytes: number
  readonly priority: Priority
  /** Copies believed to be on trusted nodes that are up, this one included. */
  readonly copies: number
  readonly wanted: number
  /** `minimumReplicas`: fewer copies than this must not be left. */
  readonly minimum: number
  /** A pin keeps it here. */
  readonly pinned: boolean
  /** It is being read, written, fetched or copied now. */
  readonly inUse: boolean
  /** This node is the owner's, and the priority says that the owner must hold it. */
  readonly ownerMustHold: boolean
  /** A promise given to another holder binds this node to keep it. */
  readonly promised: boolean
  readonly heldSinceMs: number
  readonly lastUsedMs: number
}

export interface EvictionRequest {
  readonly self: NodeId
  readonly strategy: EvictionStrategy
  readonly bytes: number
  readonly nowMs: number
  /** For `random`, and nothing else. */
  readonly seed: number
}

export type KeepReason =
  | 'pinned'
  | 'in use'
  | 'its owner must hold it'
  | 'among the last copies'
  | 'promised to another holder'
  | 'only just arrived'

export interface EvictionPlan extends Plan {
  /** What is still missing after all that may go. */
  readonly shortBytes: number
  /** How many blobs stay, and why. */
  readonly kept: Readonly<Partial<Record<KeepReason, number>>>
}

/** An hour: longer than any transfer's retries, so that what a peer has just been thanked for is not gone at once. */
export const newcomerMs = 3600_000
const dayMs = 24 * 3600_000

/** Why a blob must stay, or null. */
export function keepReason(candidate: EvictionCandidate, nowMs: number): KeepReason | null {
  if (candidate.pinned) return 'pinned'
  if (candidate.inUse) return 'in use'
  if (candidate.ownerMustHold) return 'its owner must hold it'
  if (candidate.copies - 1 < Math.max(1, candidate.minimum)) return 'among the last copies'
  if (candidate.promised) return 'promised to another holder'
  // A surplus copy may go however new it is: nobody asked for it.
  if (candidate.copies <= candidate.wanted && nowMs - candidate.heldSinceMs < newcomerMs) return 'only just arrived'
  return null
}

/** The published score. Lowest goes first. */
export function hybridScore(candidate: EvictionCandidate, nowMs: number): number {
  const ageDays = Math.max(0, nowMs - candidate.heldSinceMs) / dayMs
  return priorities[candidate.priority].value * 0.5 + candidate.copies * 0.3 + ageDays * 0.2
}

export function planEviction(candidates: Iterable<EvictionCandidate>, request: EvictionRequest): EvictionPlan {
  const kept: Partial<Record<KeepReason, number>> = {}
  const able: EvictionCandidate[] = []
  for (const candidate of candidates) {
    const reason = keepReason(candidate, request.nowMs)
    if (reason === null) able.push(candidate)
    else kept[reason] = (kept[reason] ?? 0) + 1
  }
  const key = orderKey(request)
  const keyed = able.map((candidate) => ({ candidate, tier: candidate.copies > candidate.wanted ? 0 : 1, key: key(candidate) }))
  keyed.sort((a, b) => a.tier - b.tier || compareKeys(a.key, b.key) || (a.candidate.cid < b.candidate.cid ? -1 : 1))

  const taken: EvictionCandidate[] = []
  let freed = 0
  for (const { candidate } of keyed) {
    if (freed >= request.bytes) break
    taken.push(candidate)
    freed += candidate.bytes
  }
  // The last one taken may be large and have made earlier ones needless: give back what is not needed, best kept first.
  for (let i = taken.length - 1; i >= 0; i--) {
    const candidate = taken[i]
    if (candidate === undefined || freed - candidate.bytes < request.bytes) continue
    taken.splice(i, 1)
    freed -= candidate.bytes
  }
  const actions = taken.map(
    (candidate): Action => ({
      kind: 'evict',
      cid: candidate.cid,
      from: request.self,
      to: null,
      bytes: candidate.bytes,
      reason: reasonOf(candidate, request),
    }),
  )
  return { ...planOf(actions), shortBytes: Math.max(0, request.bytes - freed), kept }
}

/** Lowest first, compared number by number. */
function orderKey(request: EvictionRequest): (candidate: EvictionCandidate) => readonly number[] {
  switch (request.strategy) {
    case 'lru':
      return (one) => [one.lastUsedMs]
    case 'priority':
      return (one) => [priorities[one.priority].value, one.lastUsedMs]
    case 'redundant':
      return (one) => [one.wanted - one.copies, -one.copies, priorities[one.priority].value, one.lastUsedMs]
    case 'hybrid':
      return (one) => [hybridScore(one, request.nowMs), one.lastUsedMs]
    case 'random': {
      const seed = hashName(`evict ${String(request.seed)}`)
      return (one) => [rendezvous(seed, hashName(one.cid))]
    }
  }
}

function compareKeys(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function reasonOf(candidate: EvictionCandidate, request: EvictionRequest): string {
  const others = `${String(candidate.copies - 1)} other ${candidate.copies === 2 ? 'copy' : 'copies'}`
  if (candidate.copies > candidate.wanted) return `${others}, and only ${String(candidate.wanted)} wanted in all`
  switch (request.strategy) {
    case 'lru':
      return `least recently used, ${others}`
    case 'priority':
      return `priority ${candidate.priority}, ${others}`
    case 'redundant':
      return `most redundant, ${others}`
    case 'hybrid':
      return `lowest score ${hybridScore(candidate, request.nowMs).toFixed(2)}, ${others}`
    case 'random':
      return `by lot, ${others}`
  }
}
