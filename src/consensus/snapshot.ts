import { compareBallots } from './ballot.js'
import type { RevocationRecord } from './revocation.js'
import { revocationKey } from './revocation.js'
import { storeKey } from './types.js'
import type { Accepted } from './value.js'

/** What a voter durably knows of one store's sessions. */
export interface SessionRecord {
  /** The highest epoch that was supported, and the process start that it is bound to. */
  readonly supported: number
  readonly start: string
  /** I1, I8: never decreases; no epoch below it is ever supported again. */
  readonly minimum: number
}

export const sessionRecordEmpty: SessionRecord = { supported: 0, start: '', minimum: 0 }

/** All that a configuration inherits. Every list is sorted by its key, so that equal content has equal bytes. */
export interface Snapshot {
  readonly registers: readonly (readonly [scope: string, accepted: Accepted])[]
  readonly sessions: readonly (readonly [store: string, record: SessionRecord])[]
  readonly revocations: readonly RevocationRecord[]
  readonly floor: number
  /** Hash of the base that `registers` go on top of; undefined: they are all there are. */
  readonly base?: string
}

/** May this register be dropped? Asked only for values that are free and carry nothing. */
export type LongFree = (scope: string, accepted: Accepted) => boolean

/**
 * One snapshot from those of a majority of sealed voters. The highest ballot wins per scope: whatever was chosen is in
 * every majority, and nothing higher that was not chosen contradicts it. Of a session the highest demands win. An epoch
 * that two starts have bound belongs to a clone and its original: neither may have it, so both must move on.
 *
 * Dropping a register would reset its token, so the floor rises to the highest token dropped, and every new token in the
 * mesh starts above the floor.
 *
 * With a base the parts are what is above it, so nothing may be dropped here: what lies below would come to light again. That
 * was done when the base was made, which keeps the ballots of what it drops.
 */
export function mergeSnapshots(parts: readonly Snapshot[], mayDrop: LongFree, base?: string): Snapshot {
  const registers = new Map<string, Accepted>()
  const sessions = new Map<string, SessionRecord>()
  const revocations = new Map<string, RevocationRecord>()
  let floor = 0
  for (const part of parts) {
    floor = Math.max(floor, part.floor)
    for (const [scope, accepted] of part.registers) {
      const other = registers.get(scope)
      if (other === undefined || compareBallots(accepted.ballot, other.ballot) > 0) registers.set(scope, accepted)
    }
    for (const [store, record] of part.sessions) sessions.set(store, mergeSession(sessions.get(store), record))
    for (const record of part.revocations) {
      const key = revocationKey(record.revocation)
      const other = revocations.get(key)
      // Unacknowledged wins: to ask the holder twice is safe, to believe in an answer that only one voter has is not.
      if (other === undefined || !record.acknowledged) revocations.set(key, record)
    }
  }
  for (const [scope, accepted] of registers) {
    const { value } = accepted
    if (base !== undefined || value.holder !== null || value.payload.length > 0 || !mayDrop(scope, accepted)) continue
    registers.delete(scope)
    floor = Math.max(floor, value.token)
  }
  for (const [key, record] of revocations) {
    const { scope, target } = record.revocation
    // Of what is in the base it is not known here, but where a configuration begins from it.
    const token = registers.get(scope)?.value.token ?? (base === undefined ? floor : 0)
    if (isPast(record, sessions.get(storeKey(target)), token)) revocations.delete(key)
  }
  return {
    registers: [...registers].sort(byKey),
    sessions: [...sessions].sort(byKey),
    revocations: [...revocations].sort(byKey).map(([, record]) => record),
    floor,
    ...(base === undefined ? {} : { base }),
  }
}

/** What can block no renewal any more and clears no take: only with a change of voters revocations are forgotten for good. */
export function isPast({ revocation, acknowledged }: RevocationRecord, session: SessionRecord | undefined, token: number): boolean {
  const { minimum, supported } = session ?? sessionRecordEmpty
  return token > revocation.token && (acknowledged || Math.max(minimum, supported) > revocation.target.epoch)
}

function mergeSession(a: SessionRecord | undefined, b: SessionRecord): SessionRecord {
  if (a === undefined) return b
  const minimum = Math.max(a.minimum, b.minimum)
  if (a.supported !== b.supported) return { ...(a.supported > b.supported ? a : b), minimum }
  if (a.start === b.start) return { ...a, minimum }
  return { supported: a.supported, start: a.start < b.start ? a.start : b.start, minimum: Math.max(minimum, a.supported + 1) }
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1
}
