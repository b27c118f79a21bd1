import { messageOf, withDeadline } from '../../base/index.js'
import type { SegmentId } from '../replica-types.js'
import type { Segment } from '../segment.js'
import type { EngineContext } from './context.js'
import type { Parts } from './parts.js'
import { keyOf } from './registers.js'
import type { SegmentPart } from './segment-part.js'

/** Segments looked at in one step. Most cost a look at what is known here; some a read of their register. */
const segmentsPerStep = 4
/** Longer than a restart of a machine, and than most breaks of a line: what is wanted is taken at once by whoever wants it. */
const graceMs = 600_000
const repairDeadlineMs = 20_000
/** Whoever was left out of the replicas when it was away may have heard nothing of it: the register is read now and then. */
const refreshOneIn = 4
/** A tenth of the grace: a disk with few segments need not be read all the time. */
const walkEveryMs = 60_000

/**
 * What nobody uses is looked after by those who keep it. All other upkeep of a segment is its holder's; so where the holder
 * has died and no client comes, nobody would notice that a copy went with it, nor that another goes. After a while one of
 * the replicas takes over what the dead one held, as a client's request would have made it do, and tends it from then on.
 *
 * And what is kept here without a reason goes: copies that the register does not count any more, and those of volumes that
 * are gone, of which this node may have heard nothing. After a while too: who comes back as a replica needs only what it
 * lacks.
 *
 * Road not taken: taking over as soon as the voters count a node as dead. All that it held would be taken at once, by nodes
 * that have no use for it, and be handed back when it has started again.
 */
export class IdleSegments {
  readonly #context: EngineContext
  readonly #parts: Parts
  /** Still to be looked at: a list and not the disk's own walk, which would hold a view of its database open for hours. */
  #left: SegmentId[] = []
  #walkedMs = -Infinity
  /** Since when a holder was seen to be away, by the monotonic clock. */
  readonly #awaySince = new Map<string, number>()
  /** Since when the register was seen not to count what is here. */
  readonly #orphanSince = new Map<string, number>()

  constructor(context: EngineContext, init: { parts: Parts }) {
    this.#context = context
    this.#parts = init.parts
  }

  /** Looks at the next few segments on this disk. Never rejects. */
  async step(signal: AbortSignal): Promise<void> {
    const { components } = this.#context
    const nowMs = components.clock.monotonicMs()
    if (this.#left.length === 0) {
      if (nowMs - this.#walkedMs < walkEveryMs) return
      this.#walkedMs = nowMs
      try {
        for await (const id of components.disk.segments()) this.#left.push(id)
      } catch (error) {
        components.log.debug('the segments on this disk could not be listed', { error: messageOf(error) })
      }
    }
    for (const id of this.#left.splice(0, segmentsPerStep)) {
      if (signal.aborted) return
      try {
        await withDeadline(components.clock, repairDeadlineMs, signal, (deadline) => this.#parts.using(id, (part) => this.#look(part, deadline)))
      } catch (error) {
        components.log.debug('an idle segment could not be looked after', { segment: keyOf(id), error: messageOf(error) })
      }
    }
  }

  async #look(part: SegmentPart, deadline: AbortSignal): Promise<void> {
    const { registers, components } = this.#context
    const { id } = part.holder
    const key = keyOf(id)
    // What is held here is looked after already. What is known is enough to see that all is well.
    const isNews = components.random.below(refreshOneIn) === 0
    const known = part.holder.holds.length > 0 ? undefined : ((isNews ? undefined : registers.view(id)) ?? (await registers.refresh(id, deadline)))
    if (known !== undefined && (await this.#isOrphan(part, known, deadline))) return
    if (known === undefined || this.#lost(known) === undefined) {
      this.#awaySince.delete(key)
      return
    }
    const nowMs = components.clock.monotonicMs()
    const sinceMs = this.#awaySince.get(key) ?? nowMs
    this.#awaySince.set(key, sinceMs)
    if (nowMs - sinceMs < graceMs) return
    const now = await registers.refresh(id, deadline)
    const lost = now === undefined || !this.#isFirst(now) ? undefined : this.#lost(now)
    // The voters say whether it is dead; taking over brings the replica set to what answers, and then it is tended here.
    if (lost !== undefined) await part.takeover.suspect(lost.session, lost.token, deadline)
  }

  /** Nobody counts on what is here; after a while it goes. */
  async #isOrphan(part: SegmentPart, known: Segment, deadline: AbortSignal): Promise<boolean> {
    const { registers, replica, components } = this.#context
    const { id } = part.holder
    const key = keyOf(id)
    if (!this.#isNobodys(known)) {
      this.#orphanSince.delete(key)
      return false
    }
    const nowMs = components.clock.monotonicMs()
    const sinceMs = this.#orphanSince.get(key) ?? nowMs
    this.#orphanSince.set(key, sinceMs)
    if (nowMs - sinceMs < graceMs) return true
    const isFree = async (): Promise<boolean> => {
      const now = await registers.refresh(id, deadline)
      return now !== undefined && this.#isNobodys(now)
    }
    // This look is the one request that is under way.
    if (await replica.drop(id, isFree, () => part.users - part.openings === 1 && part.holder.idle)) {
      this.#orphanSince.delete(key)
      components.log.info('a copy that does not count any more was dropped', { segment: key })
    }
    return true
  }

  #isNobodys(segment: Segment): boolean {
    const { self } = this.#context
    return ![...segment.replicas, ...segment.joining].includes(self) && !segment.ranges.entries.some((entry) => entry.value.session.node === self)
  }

  /** What somebody holds of it who is away. */
  #lost(segment: Segment): Segment['ranges']['entries'][number]['value'] | undefined {
    const { self, components } = this.#context
    return segment.ranges.entries.find((entry) => entry.value.session.node !== self && !components.connections.isConnected(entry.value.session.node))?.value
  }

  /** Of the replicas that can be reached, one acts: the others would only stand in its way. */
  #isFirst(segment: Segment): boolean {
    const { self, components } = this.#context
    return segment.replicas.find((node) => node === self || components.connections.isConnected(node)) === self
  }
}
