import type { ClockKind, Readings, Timing } from '../clocks.js'
import { elapsedAtLeastMs, safeVoterMs } from '../clocks.js'
import type { Change } from '../durable.js'
import type { Refusal } from '../messages.js'
import type { SessionRecord } from '../snapshot.js'
import { sessionRecordEmpty } from '../snapshot.js'
import type { SessionId } from '../types.js'
import { storeKey } from '../types.js'

/**
 * A voter's view of who is alive. What must survive a crash is durable: the highest epoch supported, bound to one process
 * start, and the lowest epoch that may ever be supported again. When a session was last renewed is not: a voter that has
 * just started, or just begun to vote in a configuration, does not know whom it (or the voters before it) supported a
 * moment ago. So for D_v from then it treats everybody as alive, known or not.
 */
interface Renewal {
  readonly epoch: number
  readonly sequence: number
  /** When the renewal arrived, not when it was sent: late is safe here. */
  readonly at: Readings
}

export class VoterSessions {
  readonly records = new Map<string, SessionRecord>()
  readonly #renewals = new Map<string, Renewal>()
  readonly #clockKind: ClockKind
  readonly #voterMs: number
  #graceSince: Readings
  /** Set once the grace is over, so that it cannot come back when a clock does. */
  #graceOver = false

  constructor(init: { clockKind: ClockKind; timing: Timing; now: Readings }) {
    this.#clockKind = init.clockKind
    this.#voterMs = safeVoterMs(init.timing)
    this.#graceSince = init.now
  }

  record(id: { node: string; incarnation: string }): SessionRecord {
    return this.records.get(storeKey(id)) ?? sessionRecordEmpty
  }

  /** After a start and after every activation. */
  beginGrace(now: Readings): void {
    this.#renewals.clear()
    this.#graceSince = now
    this.#graceOver = false
  }

  inGrace(now: Readings): boolean {
    if (!this.#graceOver) this.#graceOver = elapsedAtLeastMs(this.#graceSince, now, this.#clockKind) >= this.#voterMs
    return !this.#graceOver
  }

  /** The highest epoch known of a node under any incarnation: what its start round builds on. */
  highestEpoch(id: { node: string; incarnation: string }): number {
    const { supported, minimum } = this.record(id)
    return Math.max(supported, minimum)
  }

  /**
   * Lets a session speak: binds its epoch to its process start if it is new. Undefined if it may, else why not. Binding
   * is durable before any answer, and it happens at the first message of whatever kind, so that of two copies of one disk
   * only one can ever gather a majority under an epoch.
   */
  admit(sender: SessionId, start: string, changes: Change[]): Refusal | undefined {
    const record = this.record(sender)
    const required = Math.max(record.minimum, record.supported)
    if (sender.epoch < required) return { code: 'superseded', epoch: required }
    if (sender.epoch === record.supported) return record.start === start ? undefined : { code: 'cloned' }
    this.#put(sender, { supported: sender.epoch, start, minimum: record.minimum }, changes)
    return undefined
  }

  renew(sender: SessionId, sequence: number, now: Readings): Refusal | undefined {
    const last = this.#renewals.get(storeKey(sender))
    if (last !== undefined && last.epoch === sender.epoch && sequence <= last.sequence) return { code: 'old-sequence' }
    this.#renewals.set(storeKey(sender), { epoch: sender.epoch, sequence, at: now })
    return undefined
  }

  /** Whether a change by this session may be accepted here. */
  supports(sender: SessionId, now: Readings): boolean {
    return !this.superseded(sender) && (this.inGrace(now) || this.#isLive(sender, now))
  }

  /** Supports or requires a higher epoch: that session is over here, whatever clocks say. */
  superseded(session: SessionId): boolean {
    const { supported, minimum } = this.record(session)
    return supported > session.epoch || minimum > session.epoch
  }

  /** Whether this voter may count the session as over. Never within the grace. */
  isOver(session: SessionId, now: Readings): boolean {
    return !this.inGrace(now) && (this.superseded(session) || !this.#isLive(session, now))
  }

  /** I8: from here on no renewal of this epoch is ever granted by this voter. */
  evict(session: SessionId, changes: Change[]): void {
    const record = this.record(session)
    if (record.minimum > session.epoch) return
    this.#put(session, { ...record, minimum: session.epoch + 1 }, changes)
  }

  #isLive(session: SessionId, now: Readings): boolean {
    const last = this.#renewals.get(storeKey(session))
    if (last?.epoch !== session.epoch) return false
    return elapsedAtLeastMs(last.at, now, this.#clockKind) < this.#voterMs
  }

  #put(id: SessionId, record: SessionRecord, changes: Change[]): void {
    this.records.set(storeKey(id), record)
    changes.push({ kind: 'session', store: storeKey(id), record })
  }
}
