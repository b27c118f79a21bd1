import type { NodeId } from '../../base/index.js'
import { backoffMs, messageOf } from '../../base/index.js'
import { segmentBlocks } from '../geometry.js'
import type { BlockRange } from '../geometry.js'
import type { SegmentId, Version } from '../replica-types.js'
import { RangeMap } from '../range-map.js'
import { claim, emptySegment, inherit, isRetired, removeReplica, sameSession, settle } from '../segment.js'
import type { Cut, Holding, Segment, Session } from '../segment.js'
import { DeviceError } from '../types.js'
import * as codec from './codec.js'
import type { EngineContext } from './context.js'
import type { SegmentHolder } from './holder.js'
import { movedWith, moveOnly } from './moving.js'
import { keyOf } from './registers.js'
import { decodeRefusal } from './replica.js'
import type { FencedRange } from './replica.js'
import { ask, verbs } from './verbs.js'

/** Who serves the first blocks of a range, and how many of them. */
export type Place =
  | { readonly type: 'here'; readonly blocks: number }
  | { readonly type: 'there'; readonly node: NodeId; readonly session: Session; readonly token: number; readonly blocks: number }
  /** The segment was never written. */
  | { readonly type: 'nowhere' }

/**
 * What the blocks that did not come along with an offer are like here: `clean`, none was kept; `copy`, they are this node's
 * as a replica, and count only if the register still says that it is one.
 */
export type Offered = 'clean' | 'copy'

/** A copy of the end of a dead stream: at most some megabytes, but the replica may be slow. */
const copyDeadlineMs = 20_000
/** Copies that fail between two replicas that both answer, before one of them is left out. */
const copyTriesMax = 4
/** Longer than a connection stays up that carries nothing: an offer that is older arrives no more. */
const offersSeenMs = 60_000
const wholeSegment = { start: 0, blocks: segmentBlocks }
const retry = { minMs: 20, maxMs: 1_500 }

/** What replicas answered to the fence of what was inherited. */
interface Fenced {
  readonly ends: ReadonlyMap<NodeId, ReadonlyMap<number, number>>
  readonly silent: readonly NodeId[]
  readonly outdated: boolean
}

/**
 * How a range comes to be held here. Free: claim it. This node's from before a restart, or somebody's whose session the
 * voters count as over: inherit the whole stream, fence every replica of the value that the taking round returned, and
 * only then look at what they have: before the fence an old holder's late entry could still arrive behind the look. The
 * longest of them counts, the others are brought up to it, those that are silent are left out by a round, and the place
 * where the stream ends is written into the register; then it is served.
 *
 * Road not taken: cutting to the shortest. It would need no copying, and would lose what the longest still has.
 */
export class Takeover {
  readonly #context: EngineContext
  readonly #holder: SegmentHolder
  readonly #id: SegmentId
  /** One at a time per segment; those who come meanwhile look again when it has ended. */
  #running: Promise<void> | undefined
  #offered = new RangeMap<Offered>((a, b) => a === b)
  /** Of the latest offer, by block: where its holder's stream ended. Never taken back, so that nothing older counts. */
  #seen = new RangeMap<Version>((a, b) => a.token === b.token && a.sequence === b.sequence)
  #seenUntilMs = 0
  #taking: Promise<unknown> = Promise.resolve()

  constructor(context: EngineContext, holder: SegmentHolder) {
    this.#context = context
    this.#holder = holder
    this.#id = holder.id
  }

  /**
   * Finds who serves the range, taking it if nobody does. `mayCreate`: a segment that was never written gets its register.
   * Rejects when the deadline aborts.
   */
  async locate(range: BlockRange, deadline: AbortSignal, mayCreate: boolean): Promise<Place> {
    const { components, registers } = this.#context
    for (let attempt = 0; ; attempt++) {
      if (deadline.aborted) throw new DeviceError('IO', 'nobody could be found who may serve these blocks', { segment: this.#id.segment })
      try {
        const segment = registers.view(this.#id) ?? (await registers.refresh(this.#id, deadline))
        if (segment === undefined) {
          if (!mayCreate) return { type: 'nowhere' }
          await this.#alone(() => this.#create(range, deadline))
          continue
        }
        if (isRetired(segment)) throw new DeviceError('IO', 'the volume was removed')
        const part = segment.ranges.within(range)[0]
        const blocks = part?.blocks ?? range.blocks
        const first = { start: range.start, blocks }
        if (this.#holder.holdOf(first) !== undefined) return { type: 'here', blocks }
        const holding = part?.value
        if (holding === undefined) await this.#alone(() => this.#claim(first, deadline))
        else if (holding.session.node !== this.#context.self) return { type: 'there', node: holding.session.node, session: holding.session, token: holding.token, blocks }
        else await this.#alone(() => this.#own(first, holding, deadline))
      } catch (error) {
        if (error instanceof DeviceError) throw error
        components.log.debug('a range could not be taken yet', { segment: keyOf(this.#id), error: messageOf(error) })
        await components.clock.sleep(1 + backoffMs(attempt, retry, components.random), deadline).catch(() => undefined)
      }
    }
  }

  /**
   * The holder does not answer. Takes over what it held if the voters count it as dead; else learns what the register says
   * by now. Rejects as consensus does.
   */
  async suspect(session: Session, token: number, deadline: AbortSignal): Promise<void> {
    const { components, registers, counters } = this.#context
    const dead = await components.consensus.isOver(session, { signal: deadline })
    if (!dead) {
      await registers.refresh(this.#id, deadline)
      return
    }
    await this.#alone(async () => {
      const mine = this.#session()
      const { change } = await registers.change(this.#id, (segment, evicted) => (segment === undefined || !evicted ? undefined : inherit(segment, session, token, mine)), { evict: session, signal: deadline })
      if (change?.type !== 'changed') return
      counters.recoveries++
      components.log.info('took over what a dead node held', { segment: keyOf(this.#id), node: session.node, token })
      await this.#recover(change.segment.token, mine, deadline, { resumed: false })
    })
  }

  /** Offers one after the other. */
  async takingOffer<T>(work: () => Promise<T>): Promise<T> {
    const taking = this.#taking.then(work)
    this.#taking = taking.catch(() => undefined)
    return taking
  }

  /** Somebody held blocks of the range under a higher token since, or offered them later. */
  isOvertaken(range: BlockRange, from: Version): boolean {
    const held = this.#context.registers.view(this.#id)?.ranges.within(range) ?? []
    return held.some(({ value }) => value !== undefined && value.token > from.token) || this.#seen.within(range).some(({ value }) => value !== undefined && isBefore(from, value))
  }

  /** An offer is being taken up: none that was made before it is from here on. */
  sees(range: BlockRange, from: Version): void {
    this.#seen = this.#seen.with(range, from)
    this.#seenUntilMs = this.#context.components.clock.monotonicMs() + offersSeenMs
  }

  /** It knows of an offer that may have been given up, and be on its way still. */
  get isWatching(): boolean {
    return this.#context.components.clock.monotonicMs() < this.#seenUntilMs
  }

  /** A holder is about to hand the range over, and has sent what its new holder must have: nothing here is older. */
  offered(range: BlockRange, kind: Offered): void {
    this.#offered = this.#offered.with(range, kind)
  }

  /** Begins to serve what the register says this session was handed. */
  async accept(): Promise<void> {
    await this.#alone(async () => {
      const mine = this.#context.session()
      const segment = this.#context.registers.view(this.#id)
      if (mine === undefined || segment === undefined) return
      for (const entry of segment.ranges.entries) {
        if (!sameSession(entry.value.session, mine) || this.#holder.holdOfToken(entry.value.token) !== undefined) continue
        if (entry.value.unsettled.length === 0 && !this.#holder.gaveUp(entry, entry.value.token)) await this.#begin(entry.value.token, mine, { fresh: false })
      }
    })
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    if (this.#running !== undefined) {
      await this.#running.catch(() => undefined)
      return
    }
    this.#running = work().finally(() => { this.#running = undefined })
    await this.#running
  }

  #session(): Session {
    const session = this.#context.session()
    if (session === undefined) throw new Error('this node has no session with the voters')
    return session
  }

  async #create(range: BlockRange, deadline: AbortSignal): Promise<void> {
    const { components, registers, replica, self, counters, init } = this.#context
    const mine = this.#session()
    const wanted = (await this.#context.settingsOf(this.#id.volume))?.replicas ?? 1
    const chosen = await components.places.choose(this.#id, wanted, [])
    const places = chosen.length > 0 ? chosen.slice(0, wanted) : [self]
    // Each is told before the register names it, so that one that has nothing later has lost it, and never just not begun.
    const begun = await Promise.all(places.map(async (node) => {
      if (node === self) return replica.fence(this.#id, [], 0, { create: true }).then((answer) => Array.isArray(answer))
      return ask(components.rpc, node, verbs.fence, { segment: codec.encodeId(this.#id), ranges: [], configuration: 0, cuts: [], create: true }, { deadlineMs: init.replicaDeadlineMs, signal: deadline }).then(
        (answer) => answer.refusal === undefined, () => false)
    }))
    const replicas = places.filter((_node, i) => begun[i] === true)
    if (replicas.length === 0) throw new Error('no node could be found to keep the segment')
    const { change, segment } = await registers.change(this.#id, (found) => claim(found ?? emptySegment(replicas), range, mine), { signal: deadline })
    if (change?.type !== 'changed' || segment === undefined) return
    counters.claims++
    // Whoever asked for this segment at the same time may have made it first, with other replicas.
    await this.#begin(change.segment.token, mine, { fresh: false })
  }

  async #claim(range: BlockRange, deadline: AbortSignal): Promise<void> {
    const { registers, counters } = this.#context
    const mine = this.#session()
    // An offer that came to nothing does not count for what comes another way.
    this.#offered = this.#offered.with(wholeSegment, undefined)
    const { change } = await registers.change(this.#id, (segment) => (segment === undefined ? undefined : claim(segment, range, mine)), { signal: deadline })
    if (change?.type !== 'changed') return
    counters.claims++
    await this.#begin(change.segment.token, mine, { fresh: false })
  }

  /** A range that the register gives to this node, and that it does not serve. */
  async #own(range: BlockRange, holding: Holding, deadline: AbortSignal): Promise<void> {
    const { registers, counters } = this.#context
    const mine = this.#session()
    if (!sameSession(holding.session, mine)) {
      // From before a restart, or an eviction: nothing of it is held any more, and it is taken like a dead node's.
      const { change } = await registers.change(this.#id, (segment) => (segment === undefined ? undefined : inherit(segment, holding.session, holding.token, mine)), { evict: holding.session, signal: deadline })
      if (change?.type !== 'changed') return
      counters.recoveries++
      await this.#recover(change.segment.token, mine, deadline, { resumed: false, ownToken: holding.token })
    } else if (holding.unsettled.length > 0) await this.#recover(holding.token, mine, deadline, { resumed: true })
    else if (this.#holder.gaveUp(range, holding.token)) {
      await this.#takeBack(range, holding.token, mine, deadline)
    } else await this.#begin(holding.token, mine, { fresh: false })
  }

  /**
   * After a hand-off whose outcome was not known, and that did not happen. The late word of it may still arrive, so the
   * round must come after it: a new token. Locked until then, which waits for a hand-off that is still at it; flushed, since
   * what goes beside the blocks that were given up (a write across their edge, an entry that is taken whole) was not.
   */
  async #takeBack(range: BlockRange, token: number, mine: Session, deadline: AbortSignal): Promise<void> {
    const { registers } = this.#context
    const segment = registers.view(this.#id)
    if (segment === undefined) return
    const frozen = movedWith(segment, range)
    const locked = this.#holder.lock.lock(frozen)
    const release = typeof locked === 'function' ? locked : await locked
    try {
      if (!this.#holder.gaveUp(range, token)) return
      if (this.#holder.holdOfToken(token) !== undefined && (await this.#holder.flush(token, deadline)) !== 'done') return
      const { change } = await registers.change(this.#id, (value) => (value === undefined ? undefined : moveOnly(value, frozen, range, mine, token, mine)), { signal: deadline })
      if (change?.type === 'changed') await this.#begin(change.segment.token, mine, { fresh: true })
    } finally {
      release()
    }
  }

  /** `fresh`: what this disk has of the range is known to be no older than the hold. */
  async #begin(token: number, session: Session, options: { fresh: boolean }): Promise<void> {
    const { components, registers, replica, self, signal } = this.#context
    let segment = registers.view(this.#id)
    const wasJoining = segment?.joining.includes(self) === true
    if (wasJoining) {
      // What is here of these blocks may be older than the hold, or not be here yet: it begins to join anew afterwards.
      await registers.change(this.#id, (value) => (value === undefined ? undefined : removeReplica(value, self, session, token)), { signal })
      segment = registers.view(this.#id)
    }
    if (segment?.replicas.includes(self) === true && (await replica.isDamaged(this.#id))) {
      // Others have all of it. Of the last copy this changes nothing, and what follows says that it is damaged.
      components.log.warn('the copy of a segment on this disk is damaged: it is left out, and made anew', { segment: keyOf(this.#id) })
      await registers.change(this.#id, (value) => (value === undefined ? undefined : removeReplica(value, self, session, token)), { signal })
      segment = registers.view(this.#id)
    }
    const mine = segment?.ranges.entries.filter((entry) => entry.value.token === token && sameSession(entry.value.session, session)) ?? []
    if (segment === undefined || mine.length === 0) return
    // Whatever its disk says: who is not among the replicas does not have everything.
    const isReplica = segment.replicas.includes(self)
    if (!isReplica) await replica.leave(this.#id, segment.configuration)
    const offers = mine.flatMap((entry) => this.#offered.within(entry).map((part) => part.value))
    const isOffered = offers.every((offer) => offer !== undefined)
    // A node that was left out of the replicas need not have heard of it when it was offered the range.
    const isClean = !wasJoining && offers.every((offer) => offer === 'clean')
    if (!options.fresh && !isClean && !(isReplica && (await components.disk.isWhole(this.#id)))) {
      // Left over from an earlier hold: others have written since.
      for (const entry of mine) await components.disk.forget(this.#id, entry)
      await this.#fetchOrigins(segment, signal)
    }
    for (const entry of mine) this.#offered = this.#offered.with(entry, undefined)
    await this.#holder.begin(token, session)
    // Only what came by a hand-off rests: a first claim, or taking back what was ours, is no move.
    if (isOffered) for (const entry of mine) components.policy.arrived(this.#id.volume, this.#id.segment, { start: entry.start, blocks: entry.blocks })
  }

  // ---- recovery -----------------------------------------------------------------------------------------------------

  /**
   * Until it is served, or another round has taken it away, or the deadline aborts. `ownToken`: the stream that this node
   * itself wrote before. `resumed`: somebody may have begun to copy the end of the stream before.
   */
  async #recover(token: number, mine: Session, deadline: AbortSignal, options: { resumed: boolean; ownToken?: number }): Promise<void> {
    const { components, registers } = this.#context
    const copies = { begun: options.resumed ? 1 : 0 }
    for (let attempt = 0; !deadline.aborted; attempt++) {
      const segment = registers.view(this.#id)
      const entries = segment?.ranges.entries.filter((entry) => entry.value.token === token && sameSession(entry.value.session, mine)) ?? []
      const unsettled = entries[0]?.value.unsettled
      if (segment === undefined || unsettled === undefined) return
      if (unsettled.length === 0) {
        await this.#begin(token, mine, { fresh: true })
        return
      }
      // Another taker was before this one.
      if (unsettled.length > 1) copies.begun = Math.max(1, copies.begun)
      if (await this.#tryRecover(segment, token, mine, { ranges: entries, unsettled, ownToken: options.ownToken, copies }, deadline)) continue
      await components.clock.sleep(1 + backoffMs(attempt, retry, components.random), deadline).catch(() => undefined)
    }
  }

  /** True: something was achieved; look again. */
  async #tryRecover(segment: Segment, token: number, mine: Session, dead: { ranges: readonly BlockRange[]; unsettled: readonly number[]; ownToken: number | undefined; copies: { begun: number } }, deadline: AbortSignal): Promise<boolean> {
    const { ranges, unsettled, copies } = dead
    const { components, registers, self } = this.#context
    const fenced = await this.#fenceAll(segment, token, ranges)
    if (fenced.outdated) {
      await registers.refresh(this.#id, deadline)
      return registers.view(this.#id)?.version !== segment.version
    }
    if (fenced.ends.size === 0) return false
    if (fenced.silent.length > 0) {
      await this.#leaveOut(fenced.silent, token, mine, deadline)
      return true
    }
    // This node's own log of what it held before counts even where it keeps no copy: it may be the longest there is. A log
    // of somebody else's stream does not: this node may have been left out of the replicas long ago.
    const ends = new Map(fenced.ends)
    const isReplica = segment.replicas.includes(self)
    // Left out just now because what is here is damaged: it must not be asked.
    if (!isReplica && (await this.#context.replica.isDamaged(this.#id))) await this.#context.replica.leave(this.#id, segment.configuration)
    const own = new Map<number, number>()
    for (const stream of unsettled) own.set(stream, await components.disk.streamEnd(this.#id, stream))
    const ownLog = !isReplica && copies.begun === 0 && dead.ownToken !== undefined && (own.get(dead.ownToken) ?? 0) > 0
    if (ownLog) ends.set(self, own)
    const endOf = (node: NodeId, stream: number): number => ends.get(node)?.get(stream) ?? 0
    const cuts: Cut[] = unsettled.map((stream) => ({ token: stream, sequence: Math.max(...[...ends.keys()].map((node) => endOf(node, stream))) }))
    const hasAll = (node: NodeId): boolean => cuts.every((cut) => endOf(node, cut.token) === cut.sequence)
    // Streams of takers who never came to serve are empty, so one replica has the longest of all.
    const source = [self, ...fenced.ends.keys()].find((node) => ends.has(node) && hasAll(node))
    if (source === undefined) return false
    // All others, whatever their ends: whoever copied before and came to nothing may have left some of what lies past the
    // end that counts by now, at one replica and not at another. What the source has is made the same everywhere.
    const others = segment.replicas.filter((node) => node !== source)
    if (others.some((node) => !hasAll(node))) copies.begun++
    const copied = await Promise.all(others.map(async (node) => ({ node, done: await this.#copyTo(node, source, segment, ranges, cuts, deadline) })))
    const failed = copied.filter(({ done }) => !done).map(({ node }) => node)
    if (failed.length > 0) {
      // Whose fault that is the next fence shows: a source that died is silent then. Only where it shows nothing this must do.
      if (copies.begun++ >= copyTriesMax) await this.#leaveOut(failed, token, mine, deadline)
      return false
    }
    if (!isReplica && source !== self) {
      for (const range of ranges) await components.disk.forget(this.#id, range)
      await this.#fetchOrigins({ ...segment, replicas: [source] }, deadline)
    }
    const { change } = await registers.change(this.#id, (value) => (value === undefined || value.configuration !== segment.configuration ? undefined : settle(value, mine, token, cuts)), { signal: deadline })
    return change !== undefined
  }

  async #fenceAll(segment: Segment, token: number, ranges: readonly BlockRange[]): Promise<Fenced> {
    const { components, replica, self, init, signal } = this.#context
    const fence: FencedRange[] = ranges.map(({ start, blocks }) => ({ start, blocks, token }))
    const ends = new Map<NodeId, ReadonlyMap<number, number>>()
    const silent: NodeId[] = []
    let outdated = false
    await Promise.all(segment.replicas.map(async (node) => {
      try {
        let answered: readonly Cut[]
        if (node === self) {
          const answer = await replica.fence(this.#id, fence, segment.configuration)
          if (!Array.isArray(answer)) {
            if ((answer as { refused: string }).refused === 'FENCED') outdated = true
            else silent.push(node)
            return
          }
          answered = answer
        } else {
          const answer = await ask(components.rpc, node, verbs.fence, { segment: codec.encodeId(this.#id), ranges: fence, configuration: segment.configuration, cuts: [] }, { deadlineMs: init.replicaDeadlineMs, signal })
          if (answer.refusal !== undefined) {
            if (decodeRefusal(answer.refusal) === 'FENCED') outdated = true
            else silent.push(node)
            return
          }
          answered = answer.ends.map(codec.decodePosition)
        }
        ends.set(node, new Map(answered.map((end) => [end.token, end.sequence])))
      } catch (error) {
        components.log.debug('a replica did not answer a fence', { segment: keyOf(this.#id), node, error: messageOf(error) })
        silent.push(node)
      }
    }))
    return { ends, silent, outdated }
  }

  async #leaveOut(nodes: readonly NodeId[], token: number, mine: Session, deadline: AbortSignal): Promise<void> {
    const { registers, components, counters } = this.#context
    for (const node of nodes) {
      const { change, segment } = await registers.change(this.#id, (value) => (value === undefined ? undefined : removeReplica(value, node, mine, token)), { signal: deadline })
      if (change?.type !== 'changed' || segment === undefined) continue
      counters.replicasRemoved++
      components.log.warn('a replica that did not answer was left out of a recovery', { segment: keyOf(this.#id), node })
      this.#context.tellAll(this.#id, segment)
    }
  }

  async #copyTo(node: NodeId, source: NodeId, segment: Segment, ranges: readonly BlockRange[], cuts: readonly Cut[], deadline: AbortSignal): Promise<boolean> {
    const { components, replica, self } = this.#context
    try {
      if (node === self) return (await replica.copy(this.#id, source, segment, { ranges, cuts, join: false, waitMs: copyDeadlineMs })).done
      const answer = await ask(components.rpc, node, verbs.copy, {
        segment: codec.encodeId(this.#id), from: source, value: codec.toWire(segment), ranges: ranges.map(({ start, blocks }) => ({ start, blocks })), cuts: [...cuts], join: false,
      }, { deadlineMs: copyDeadlineMs, signal: deadline })
      return answer.done
    } catch (error) {
      components.log.debug('a replica could not be brought up to the end of a dead stream', { segment: keyOf(this.#id), node, error: messageOf(error) })
      return false
    }
  }

  /** Which writes of other nodes' clients were applied: who takes a range over must know their retries again. */
  async #fetchOrigins(segment: Segment, deadline: AbortSignal): Promise<void> {
    const { components, self, init } = this.#context
    if (segment.replicas.includes(self)) return
    for (const node of segment.replicas) {
      try {
        const answer = await ask(components.rpc, node, verbs.fetch, { segment: codec.encodeId(this.#id), range: { start: 0, blocks: 1 }, versions: true, state: true, stale: true }, { deadlineMs: init.replicaDeadlineMs, signal: deadline })
        await components.disk.installOrigins(this.#id, answer.origins.map(codec.decodeAppliedOrigin))
        return
      } catch (error) {
        components.log.debug('a replica did not tell what it applied', { node, error: messageOf(error) })
      }
    }
    throw new Error('no replica tells what was applied')
  }
}

function isBefore(a: Version, b: Version): boolean {
  return a.token < b.token || (a.token === b.token && a.sequence < b.sequence)
}
