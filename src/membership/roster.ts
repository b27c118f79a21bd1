import type { NodeId } from '../base/index.js'
import type { Announcement } from './announcement.js'
import { membersMax } from './limits.js'
import type { Admittance } from './record.js'
import { isConfirmed, mergeRecords, sameRecord, trimmed } from './record.js'
import type { Revocation } from './revocation.js'
import type { Trust, TrustView } from './trust.js'
import { endOf, trustIn } from './trust.js'

/**
 * The replicated members table: records, announcements, revocations. Each merges by a join, so nodes that exchange what
 * they have, in any order and however often, end up with the same (as far as their clocks let them trust the same).
 * Pure: no clock, no network, no disk, and everything handed in has had its signatures checked.
 */
export interface RosterEntry {
  readonly record: Admittance
  /** When this node first learned of the record, if the invite was good then (rule 2 of trust.ts). */
  readonly metMs?: number
  readonly announcement?: Announcement
}

export interface Admitted {
  readonly peer: NodeId
  readonly trust: Trust
  readonly isNew: boolean
  readonly isChanged: boolean
}

export class Roster {
  readonly #authority: NodeId
  readonly #entries = new Map<NodeId, RosterEntry>()
  readonly #revocations = new Map<NodeId, Revocation>()

  constructor(authority: NodeId) {
    this.#authority = authority
  }

  get size(): number {
    return this.#entries.size
  }

  entries(): IterableIterator<[NodeId, RosterEntry]> {
    return this.#entries.entries()
  }

  entry(peer: NodeId): RosterEntry | undefined {
    return this.#entries.get(peer)
  }

  /** As it was on disk, or this node's own: no question of trust. */
  restore(entry: RosterEntry): void {
    this.#entries.set(entry.record.peer, entry)
  }

  revocations(): IterableIterator<Revocation> {
    return this.#revocations.values()
  }

  revocation(peer: NodeId): Revocation | undefined {
    return this.#revocations.get(peer)
  }

  /** By which rule `peer` is a member on what is known now. */
  trust(peer: NodeId, nowMs: number | undefined): Trust | undefined {
    return trustIn(peer, this.view(nowMs))
  }

  view(nowMs: number | undefined): TrustView {
    return {
      authority: this.#authority,
      nowMs,
      record: (peer) => this.#entries.get(peer)?.record,
      isRevoked: (peer) => this.#revocations.has(peer),
      voidedMs: (inviteKey) => this.#voidedMs(inviteKey),
      metInTime: (peer) => {
        const entry = this.#entries.get(peer)
        if (entry?.metMs === undefined) return false
        // The invite's own end was looked at when it was met; that it was taken back may have been heard of later.
        return entry.record.grant === undefined || entry.metMs <= (this.#voidedMs(entry.record.grant.inviteKey) ?? entry.metMs)
      },
    }
  }

  #voidedMs(inviteKey: NodeId): number | undefined {
    return this.#revocations.get(inviteKey)?.revokedMs
  }

  /**
   * Takes in those of `records` that are trusted, seen together with each other and with what is known: an endorser may
   * come in the same message as the one it speaks for. The rest leave no trace.
   */
  admit(records: readonly Admittance[], nowMs: number | undefined): Admitted[] {
    const candidates = new Map<NodeId, Admittance>()
    for (const record of records) {
      const known = candidates.get(record.peer) ?? this.#entries.get(record.peer)?.record
      candidates.set(record.peer, known === undefined ? record : mergeRecords(this.#authority, known, record))
    }
    const view: TrustView = { ...this.view(nowMs), record: (peer) => candidates.get(peer) ?? this.#entries.get(peer)?.record }
    const admitted: Admitted[] = []
    for (const [peer, merged] of candidates) {
      const trust = trustIn(peer, view)
      if (trust === undefined) continue
      const before = this.#entries.get(peer)
      if (before === undefined && this.#entries.size >= membersMax) continue
      const record = trimmed(merged, (endorser) => endorser === this.#authority || trustIn(endorser, view) !== undefined)
      const metMs = before?.metMs ?? (trust === 'invited' ? nowMs : undefined)
      const isChanged = before === undefined || before.metMs !== metMs || !sameRecord(before.record, record)
      if (isChanged) this.#entries.set(peer, { ...before, record, ...(metMs === undefined ? {} : { metMs }) })
      admitted.push({ peer, trust, isNew: before === undefined, isChanged })
    }
    return admitted
  }

  /** For an endorsement of this node's own, or a confirmation. */
  replaceRecord(record: Admittance): void {
    const before = this.#entries.get(record.peer)
    if (before !== undefined) this.#entries.set(record.peer, { ...before, record })
  }

  /** False if it is not newer than what is known, or its author is not in the table. */
  announce(announcement: Announcement): boolean {
    const { peerId } = announcement.description
    const before = this.#entries.get(peerId)
    if (before === undefined || this.#revocations.has(peerId)) return false
    if (before.announcement !== undefined && before.announcement.madeMs >= announcement.madeMs) return false
    this.#entries.set(peerId, { ...before, announcement })
    return true
  }

  /** False if it was known. Of two the earlier stays; the endorsements of the removed node are void from now on. */
  revoke(revocation: Revocation): 'new' | 'earlier' | 'known' | 'full' {
    const before = this.#revocations.get(revocation.peer)
    if (before !== undefined && before.revokedMs <= revocation.revokedMs) return 'known'
    if (before === undefined && this.#revocations.size >= membersMax) return 'full'
    this.#revocations.set(revocation.peer, revocation)
    return before === undefined ? 'new' : 'earlier'
  }

  /** Whom this node should speak for: met in time, not confirmed, and room for one endorsement more. */
  lacksEndorsement(peer: NodeId, endorser: NodeId, endorsementsMax: number): number | undefined {
    const entry = this.#entries.get(peer)
    if (entry?.metMs === undefined || peer === endorser || this.#revocations.has(peer)) return undefined
    const { record } = entry
    if (record.grant === undefined || entry.metMs > endOf(record.grant, this.view(undefined)) || isConfirmed(this.#authority, record)) return undefined
    const valid = record.endorsements.filter((one) => !this.#revocations.has(one.endorser))
    if (valid.length >= endorsementsMax || valid.some((one) => one.endorser === endorser)) return undefined
    return entry.metMs
  }
}
