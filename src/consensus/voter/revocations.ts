import type { Readings } from '../clocks.js'
import type { Change } from '../durable.js'
import type { ReplyBody } from '../messages.js'
import type { Revocation, RevocationRecord } from '../revocation.js'
import { revocationKey } from '../revocation.js'
import type { SessionId } from '../types.js'
import { sameSession } from '../types.js'
import type { VoterSessions } from './sessions.js'

/** Revocations at one voter. Few at any time, so they are looked through where a session's are wanted. */
export class VoterRevocations {
  readonly records = new Map<string, RevocationRecord>()
  readonly #sessions: VoterSessions

  constructor(components: { sessions: VoterSessions }) {
    this.#sessions = components.sessions
  }

  /** `token`: that of the scope's accepted value here, if any. */
  record(revocation: Revocation, token: number | undefined, changes: Change[]): ReplyBody {
    const key = revocationKey(revocation)
    if (!this.records.has(key)) {
      if (token !== undefined && token > revocation.token) return { kind: 'refused', why: { code: 'moot' } }
      this.#put(key, { revocation, acknowledged: false }, changes)
    }
    return { kind: 'recorded' }
  }

  /** The target has stopped, and marked the token, before it sent this. */
  acknowledge(revocations: readonly Revocation[], sender: SessionId, changes: Change[]): ReplyBody {
    for (const revocation of revocations) {
      const key = revocationKey(revocation)
      const record = this.records.get(key)
      if (record === undefined || record.acknowledged || !sameSession(revocation.target, sender)) continue
      this.#put(key, { revocation, acknowledged: true }, changes)
    }
    return { kind: 'done' }
  }

  /**
   * Clear for the taker who asks now, in the batch of its promise, and for nobody later: expiry clears no record, it only
   * lets this one taker through. A record of which this voter knows nothing is not clear.
   */
  isClear(revocation: Revocation, now: Readings): boolean {
    const record = this.records.get(revocationKey(revocation))
    if (record === undefined || this.#sessions.inGrace(now)) return false
    return record.acknowledged || this.#sessions.isOver(revocation.target, now)
  }

  /** What blocks this session's renewals. */
  blocking(session: SessionId): Revocation[] {
    const found: Revocation[] = []
    for (const { revocation, acknowledged } of this.records.values()) {
      if (!acknowledged && sameSession(revocation.target, session)) found.push(revocation)
    }
    return found
  }

  #put(key: string, record: RevocationRecord, changes: Change[]): void {
    this.records.set(key, record)
    changes.push({ kind: 'revocation', key, record })
  }
}
