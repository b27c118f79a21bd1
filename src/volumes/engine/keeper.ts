import type { NodeId } from '../../base/index.js'
import { messageOf, withDeadline } from '../../base/index.js'
import type { SegmentId } from '../replica-types.js'
import { addJoining, promote, removeReplica } from '../segment.js'
import type { Segment } from '../segment.js'
import * as codec from './codec.js'
import type { EngineContext } from './context.js'
import type { Hold } from './holder.js'
import { keyOf } from './registers.js'
import type { RefusalReason } from './replica.js'
import { decodeRefusal, rangesWithTokens } from './replica.js'
import type { SegmentPart } from './segment-part.js'
import { ask, verbs } from './verbs.js'

/** A segment's copy takes as long as its bytes need; each question about it waits no longer than this. */
const copyDeadlineMs = 5_000
/** A replica that has not come up after so many questions is given up: another may do better. */
const copyQuestionsMax = 600
/** One that had no room for a copy is not chosen for so long: each try carries up to 64 MiB, and flushes wait for who joins. */
const fullPauseMs = 30_000
/** Copies made at once: each is a stream of up to 64 MiB between two other nodes. */
export const joinsMax = 2

/**
 * Changes of a segment's replica set, made by a node that holds a range of it. Adding: a round names the newcomer as
 * joining; every replica in sync durably adopts that configuration, so that no flush that leaves the newcomer out can
 * succeed from then on; it copies everything from one of them; a round makes it in sync if the sets are still those.
 */
export class ReplicaKeeper {
  readonly #context: EngineContext
  /** Nodes that had no room, and until when they are left alone. */
  readonly #full = new Map<NodeId, number>()

  constructor(context: EngineContext) {
    this.#context = context
  }

  /** One look at one segment: what is missing is added, what is too many is left out. True: something was changed. */
  async tend(part: SegmentPart): Promise<boolean> {
    const { registers, components } = this.#context
    const { id } = part.holder
    const hold = part.holder.holds[0]
    const segment = registers.view(id)
    if (hold === undefined || segment === undefined || part.holder.holdOfToken(hold.token) === undefined) return false
    const wanted = (await this.#context.settingsOf(id.volume))?.replicas ?? segment.replicas.length
    const joining = segment.joining[0]
    if (joining !== undefined) return this.#bringUp(id, hold, segment, joining)
    if (segment.replicas.length < wanted) {
      const [node] = await this.#choose(id, segment.replicas)
      return node === undefined || segment.replicas.includes(node) ? false : this.add(part, node)
    }
    const leaving = segment.replicas.find((node) => node !== this.#context.self && components.places.isLeaving(node))
    return leaving !== undefined && this.replace(part, leaving)
  }

  /** A copy elsewhere first, where there is a place; then without the node that leaves. False: the copy there must stay. */
  async replace(part: SegmentPart, leaving: NodeId): Promise<boolean> {
    const { registers, components } = this.#context
    const { id } = part.holder
    const [next] = await this.#choose(id, registers.view(id)?.replicas ?? [])
    if (next !== undefined) await this.add(part, next)
    // Others that leave as well are no place for the last copy.
    const stays = (registers.view(id)?.replicas ?? []).some((node) => node !== leaving && !components.places.isLeaving(node))
    return stays && this.leaveOut(part, leaving)
  }

  async #choose(id: SegmentId, not: readonly NodeId[]): Promise<readonly NodeId[]> {
    const { clock, places } = this.#context.components
    const nowMs = clock.monotonicMs()
    for (const [node, untilMs] of this.#full) if (untilMs <= nowMs) this.#full.delete(node)
    return places.choose(id, 1, [...new Set([...not, ...this.#full.keys()])])
  }

  /** Resolves when the node has everything and counts, or it came to nothing. */
  async add(part: SegmentPart, node: NodeId): Promise<boolean> {
    const { registers } = this.#context
    const { id } = part.holder
    const hold = part.holder.holds[0]
    if (hold === undefined) return false
    const added = await registers.change(id, (value) => (value === undefined ? undefined : addJoining(value, node, hold.session, hold.token)))
    if (added.segment === undefined || added.change?.type !== 'changed') return false
    this.#context.tellAll(id, added.segment)
    return this.#bringUp(id, hold, added.segment, node)
  }

  /** Leaves a node out that has no business here any more. */
  async leaveOut(part: SegmentPart, node: NodeId): Promise<boolean> {
    const { registers } = this.#context
    const hold = part.holder.holds[0]
    if (hold === undefined) return false
    const { change, segment } = await registers.change(part.holder.id, (value) => (value === undefined ? undefined : removeReplica(value, node, hold.session, hold.token)))
    if (change?.type !== 'changed' || segment === undefined) return false
    this.#context.tellAll(part.holder.id, segment)
    return true
  }

  async #bringUp(id: SegmentId, hold: Hold, segment: Segment, node: NodeId): Promise<boolean> {
    const { registers, components, counters, signal } = this.#context
    if (!(await this.#adopted(id, segment))) return false
    const source = segment.replicas.includes(this.#context.self) ? this.#context.self : segment.replicas[0]
    if (source === undefined) return false
    for (let question = 0; question < copyQuestionsMax && !signal.aborted; question++) {
      if (registers.view(id)?.configuration !== segment.configuration || hold.stream.stopped) return false
      const done = await this.#copied(id, segment, node, source)
      if (done === undefined) break
      if (!done) continue
      const promoted = await registers.change(id, (value) => (value === undefined ? undefined : promote(value, node, hold.session, hold.token, segment.configuration)))
      if (promoted.change?.type !== 'changed' || promoted.segment === undefined) return false
      counters.replicasJoined++
      components.log.info('a segment has one more copy', { segment: keyOf(id), node })
      this.#context.tellAll(id, promoted.segment)
      return true
    }
    // It counts in every flush as long as it is joining: one that does not come must not stay.
    const { change, segment: without } = await registers.change(id, (value) => (value?.joining.includes(node) === true && value.configuration === segment.configuration ? removeReplica(value, node, hold.session, hold.token) : undefined))
    if (change?.type === 'changed' && without !== undefined) this.#context.tellAll(id, without)
    return change?.type === 'changed'
  }

  /** Every replica in sync refuses what is of an older configuration, durably. */
  async #adopted(id: SegmentId, segment: Segment): Promise<boolean> {
    const { components, replica, self, init, signal } = this.#context
    const ranges = rangesWithTokens(segment)
    const adopted = await Promise.all(segment.replicas.map(async (node) => {
      try {
        if (node === self) return Array.isArray(await replica.fence(id, ranges, segment.configuration))
        const answer = await ask(components.rpc, node, verbs.fence, { segment: codec.encodeId(id), ranges, configuration: segment.configuration, cuts: [] }, { deadlineMs: init.replicaDeadlineMs, signal })
        return answer.refusal === undefined
      } catch (error) {
        components.log.debug('a replica did not adopt a configuration', { segment: keyOf(id), node, error: messageOf(error) })
        return false
      }
    }))
    return adopted.every((one) => one)
  }

  /** Undefined: it does not answer, or will not. */
  async #copied(id: SegmentId, segment: Segment, node: NodeId, source: NodeId): Promise<boolean | undefined> {
    const { components, replica, self, signal } = this.#context
    try {
      if (node === self) {
        const own = await replica.copy(id, source, segment, { ranges: [], cuts: [], join: true, waitMs: copyDeadlineMs / 2 })
        return this.#heard(node, own.refused) ? own.done : undefined
      }
      const request = { segment: codec.encodeId(id), from: source, value: codec.toWire(segment), ranges: [], cuts: [], join: true }
      const answer = await withDeadline(components.clock, copyDeadlineMs, signal, (deadline) => ask(components.rpc, node, verbs.copy, request, { deadlineMs: copyDeadlineMs, signal: deadline }))
      return this.#heard(node, answer.refusal === undefined ? undefined : decodeRefusal(answer.refusal)) ? answer.done : undefined
    } catch (error) {
      components.log.debug('a replica does not come up', { segment: keyOf(id), node, error: messageOf(error) })
      return undefined
    }
  }

  /** False: the node refuses. One without room is left alone for a while. */
  #heard(node: NodeId, refused: RefusalReason | undefined): boolean {
    if (refused === 'FULL') this.#full.set(node, this.#context.components.clock.monotonicMs() + fullPauseMs)
    return refused === undefined
  }
}
