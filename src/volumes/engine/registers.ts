import type { SegmentConsensus } from './types.js'
import { decodeSegment, encodeSegment } from './codec.js'
import type { SegmentId } from '../replica-types.js'
import type { Change, Segment, Session } from '../segment.js'

export interface RegisterChange {
  readonly id: SegmentId
  readonly before: Segment | undefined
  readonly now: Segment
}

/** Values remembered, at a few hundred bytes each; past it those that do not concern this node are read anew. */
const viewsMax = 65_536

export function keyOf(id: SegmentId): string {
  return `${id.volume}/${String(id.segment)}`
}

export function scopeOf(id: SegmentId): string {
  return `segment:${keyOf(id)}`
}

/**
 * The registers of segments, and of each the newest value that this node has heard of: from its own rounds and reads, and
 * from others that tell what a majority has accepted. A value with a lower version than one seen before is old news and
 * never taken for the present; a newer one ends at once whatever it contradicts (the listener does that).
 */
export class Registers {
  readonly #consensus: SegmentConsensus
  readonly #views = new Map<string, Segment>()
  readonly #changed: (change: RegisterChange) => void
  readonly #reads = new Map<string, Promise<Segment | undefined>>()
  #operations = 0

  constructor(components: { consensus: SegmentConsensus }, init: { changed: (change: RegisterChange) => void }) {
    this.#consensus = components.consensus
    this.#changed = init.changed
  }

  view(id: SegmentId): Segment | undefined {
    return this.#views.get(keyOf(id))
  }

  /** The same by `keyOf` the segment, for who asks so often that making the key would show. */
  viewAt(key: string): Segment | undefined {
    return this.#views.get(key)
  }

  /** What a majority has now: undefined if it was never written. Throws ConsensusError. */
  async refresh(id: SegmentId, signal?: AbortSignal): Promise<Segment | undefined> {
    const value = await this.#consensus.read(scopeOf(id), signal === undefined ? {} : { signal })
    if (value === undefined || value.payload.length === 0) return undefined
    return this.absorb(id, decodeSegment(value.payload))
  }

  /** The same, shared by all that only need a newer value than what they know, not one as of their asking. */
  async refreshShared(id: SegmentId, signal?: AbortSignal): Promise<Segment | undefined> {
    const key = keyOf(id)
    let reading = this.#reads.get(key)
    if (reading === undefined) {
      reading = this.refresh(id, signal).finally(() => this.#reads.delete(key))
      this.#reads.set(key, reading)
    }
    return reading
  }

  /**
   * One round with a pure change of what the round itself reads. Answers what was decided, and the value that a majority
   * now has. Throws ConsensusError; the fact `unknown` says that the change may have happened.
   */
  async change(
    id: SegmentId, change: (segment: Segment | undefined, evicted: boolean) => Change | undefined, options: { evict?: Session; signal?: AbortSignal } = {},
  ): Promise<{ change: Change | undefined; segment: Segment | undefined }> {
    this.#operations++
    const op = `segment.${String(this.#operations)}`
    const { answer } = await this.#consensus.change<{ change: Change | undefined; segment: Segment | undefined }>(scopeOf(id), (reading) => {
      const before = reading.value === undefined || reading.value.payload.length === 0 ? undefined : decodeSegment(reading.value.payload)
      const decided = change(before, reading.evicted)
      if (decided?.type !== 'changed') return { kind: 'keep', answer: { change: decided, segment: before } }
      const { segment } = decided
      return { kind: 'set', value: { holder: null, token: segment.token, op, payload: encodeSegment(segment) }, answer: { change: decided, segment } }
    }, options)
    if (answer.segment === undefined) return answer
    this.absorb(id, answer.segment)
    return answer
  }

  /** A value that a majority has accepted, wherever it was heard. Answers the newest that is known. */
  absorb(id: SegmentId, segment: Segment): Segment {
    const key = keyOf(id)
    const before = this.#views.get(key)
    if (before !== undefined && before.version >= segment.version) return before
    if (before === undefined && this.#views.size >= viewsMax) this.#forgetOne()
    this.#views.set(key, segment)
    this.#changed({ id, before, now: segment })
    return segment
  }

  forget(id: SegmentId): void {
    this.#views.delete(keyOf(id))
  }

  #forgetOne(): void {
    const self = this.#consensus.session?.node
    for (const [key, segment] of this.#views) {
      if (self !== undefined && (segment.replicas.includes(self) || segment.joining.includes(self) || segment.ranges.entries.some((entry) => entry.value.session.node === self))) continue
      this.#views.delete(key)
      return
    }
  }
}
