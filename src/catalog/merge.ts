import { Buffer } from 'node:buffer'
import { covers } from './lineage.js'
import type { FileRecord } from './types.js'

/**
 * What becomes of versions of one path that meet.
 *
 * The intuition: the versions ever made of a path are a forest, in which an edit grows on what its writer saw there. The
 * leaves are what nobody superseded; a node keeps exactly those. The highest leaf is what is seen at the path; a lower
 * one is seen as a conflict copy, if it carries content that would be lost otherwise. Leaves of a union are leaves of the
 * leaves' union, so it does not matter who hears what when, how often, or in which order.
 *
 * Rank: fencing token, then the time and writer of the *content*, then deletion above life, then the version's own time
 * and writer. A version always ranks above what it supersedes, so the highest leaf is the highest of all versions ever.
 * That a deletion or a change of priority ranks by the content it was made on, not by its own time, has a purpose: an
 * edit that was under way while somebody deleted or pinned the old version wins, and nothing is lost. (The road not
 * taken: deletion by its own time. The edit would survive too, but as a conflict copy of a file that is gone.)
 *
 * It assumes honest lineages (members only, signed). A dishonest member can supersede what it likes, as it can delete
 * what it likes. The order of arrival is then no longer all the same, but nodes still agree after anti-entropy.
 */
export interface Version {
  readonly record: FileRecord
  /** The SignedRecord as its writer made it. */
  readonly bytes: Uint8Array
  /** First 16 bytes of SHA-256 of `bytes`. */
  readonly hash: Uint8Array
}

/** One path, before and after. */
export interface PathChange {
  readonly path: string
  /** See `hashOfPath`: it costs as much as all else that is made of a path, and is wanted twice. */
  readonly pathHash: Uint8Array
  readonly before: readonly Version[]
  readonly after: readonly Version[]
}

/**
 * Versions of one path kept side by side at most: a bound on what a member gone mad can store under one name. Each is a
 * conflict that nobody resolved; above it the lowest are lost.
 */
export const leavesMax = 256
/** And their bytes, so that one path always fits into an answer of anti-entropy. A plain version has 200. */
export const leavesBytesMax = 256 * 1024

/** Positive if `a` ranks higher. Zero for the same bytes only. */
export function compareRank(a: Version, b: Version): number {
  const x = a.record
  const y = b.record
  return (
    order(x.token, y.token) ||
    order(x.basis.modified, y.basis.modified) ||
    order(x.basis.writer, y.basis.writer) ||
    Number(x.content === undefined) - Number(y.content === undefined) ||
    order(x.modified, y.modified) ||
    order(x.writer, y.writer) ||
    // One identity that runs twice may have signed two things under one name: any order will do that all agree on.
    Buffer.compare(a.hash, b.hash)
  )
}

function order(a: bigint | string, b: bigint | string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

export function sameDot(a: { modified: bigint; writer: string }, b: { modified: bigint; writer: string }): boolean {
  return a.modified === b.modified && a.writer === b.writer
}

export function supersedes(a: FileRecord, b: FileRecord): boolean {
  return covers(a.lineage, b) && !sameDot(a, b)
}

/** The leaves of both, highest rank first. Commutative, associative, idempotent. */
export function join(a: readonly Version[], b: readonly Version[]): Version[] {
  if (a.length === 0 && b.length <= 1) return [...b]
  const all = [...a, ...b].sort((x, y) => compareRank(y, x))
  const leaves = all.filter(
    (version, i) =>
      !all.some((other, j) => supersedes(other.record, version.record) || (j < i && sameDot(other.record, version.record))),
  )
  // Not asked how long it is: to be asked that is when a version is signed, and those of one batch are signed together.
  if (leaves.length === 1) return leaves
  let bytes = 0
  const over = leaves.findIndex((version, i) => i >= leavesMax || (bytes += version.bytes.length) > leavesBytesMax)
  return over === -1 ? leaves : leaves.slice(0, Math.max(1, over))
}

export interface View {
  /** What is seen at the path, if it is no tombstone. */
  readonly winner: Version | undefined
  /** What is seen beside it. */
  readonly copies: readonly Version[]
  /** Tombstones, and versions whose content the winner has too or somebody has superseded: nothing to lose. */
  readonly hidden: readonly Version[]
}

const none: readonly Version[] = []

/** `leaves` as `join` gives them. */
export function viewOf(leaves: readonly Version[]): View {
  if (leaves.length <= 1) return { winner: leaves[0], copies: none, hidden: none }
  const [winner, ...losers] = leaves
  const copies: Version[] = []
  const hidden: Version[] = []
  const seen = new Set<string>()
  const winning = winner?.record.content?.cid
  if (winning !== undefined) seen.add(winning)
  for (const loser of losers) {
    const cid = loser.record.content?.cid
    if (cid === undefined || seen.has(cid) || isContentSuperseded(loser, leaves)) hidden.push(loser)
    else {
      seen.add(cid)
      copies.push(loser)
    }
  }
  return { winner, copies, hidden }
}

/**
 * Whether a version that only changed the priority (or so) of older content lost against one that knew that content:
 * then the content was edited or deleted on purpose. Two that keep the same content do not do this to each other.
 */
function isContentSuperseded(version: Version, leaves: readonly Version[]): boolean {
  const { record } = version
  return leaves.some(
    (other) =>
      other !== version &&
      covers(other.record.lineage, record.basis) &&
      (other.record.content === undefined || !sameDot(other.record.basis, record.basis)),
  )
}
