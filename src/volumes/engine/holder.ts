import { setMaxListeners } from 'node:events'
import { codeOf, messageOf } from '../../base/index.js'
import type { NodeId } from '../../base/index.js'
import { blockBytes } from '../geometry.js'
import type { BlockRange } from '../geometry.js'
import { RangeMap } from '../range-map.js'
import type { BlockData, BlockRun, Origin, SegmentId, Version } from '../replica-types.js'
import { removeReplica, sameSession } from '../segment.js'
import type { Segment, Session } from '../segment.js'
import { DeviceError } from '../types.js'
import * as codec from './codec.js'
import { blocksOf, bytesOfRuns, isAligned, noBytes, partialBlocks, pieceBlocksMax, piecesOf, unknownOf } from './content.js'
import type { SegmentWrite } from './content.js'
import type { EngineContext } from './context.js'
import { coveredBy, covers, overlap, RangeLock } from './range-lock.js'
import { ReadAhead } from './read-ahead.js'
import { keyOf } from './registers.js'
import { Stream } from './stream.js'
import { ask, verbs } from './verbs.js'

/** What this node may act on: one token's ranges, under the session that they were given to. */
export interface Hold {
  readonly session: Session
  readonly token: number
  readonly stream: Stream
}

export type WriteEnd =
  | { readonly type: 'done'; readonly version: Version }
  /** Not held here (any more): nothing was done. */
  | { readonly type: 'moved' }
  /** On this disk, but the right to write went before it could be told of: whether it counts is decided elsewhere. */
  | { readonly type: 'doubt'; readonly version: Version }

/** For a block that a holder does not have: as long as a slow replica needs for a megabyte. */
const fetchDeadlineMs = 10_000
const nothing: ReadonlyMap<number, Uint8Array> = new Map()
const moved: WriteEnd = { type: 'moved' }
/** How long until a flush asks again for a replica set that is large enough. */
const flushRetryMs = 200
/** How long until it looks again while the replica set changes: about a message's way on a LAN. */
const lookAgainMs = 2
/** Writes of clients whose places are remembered, so that a retry is told the same. */
const answersMax = 256

/**
 * This node's holds in one segment: writes, reads and flushes of ranges whose authority is here. Whether it is here is
 * asked before each act and again before it is told of: the register's newest value that was seen says so, the session is
 * valid now, and the range was not given up.
 */
export class SegmentHolder {
  readonly id: SegmentId
  readonly lock = new RangeLock()
  readonly #key: string
  readonly #context: EngineContext
  readonly #holds = new Map<number, Hold>()
  /** Holds that ended with writes on their way to the disk, by token. */
  readonly #ending = new Map<number, Promise<void>>()
  /** The highest token that this node gave up, by block: a grant of it or a lower one is void, wherever it is seen. */
  #relinquished = new RangeMap<number>((a, b) => a === b)
  /** By client: the places of the writes of its last request. */
  readonly #answers = new Map<string, { sequence: number; range: BlockRange; version: Version }[]>()
  readonly #ahead = new ReadAhead(async (range) => this.#fetchAhead(range))

  constructor(context: EngineContext, id: SegmentId) {
    this.#context = context
    this.id = id
    this.#key = keyOf(id)
  }

  get holds(): readonly Hold[] {
    return [...this.#holds.values()]
  }

  get idle(): boolean {
    return this.#holds.size === 0 && this.#ending.size === 0 && this.lock.size === 0
  }

  holdOfToken(token: number): Hold | undefined {
    const hold = this.#holds.get(token)
    return hold !== undefined && this.#isValid(hold) ? hold : undefined
  }

  /** The hold that covers the whole range now. */
  holdOf(range: BlockRange): Hold | undefined {
    const holding = this.#context.registers.viewAt(this.#key)?.ranges.covering(range)
    if (holding === undefined) return undefined
    const hold = this.#holds.get(holding.token)
    if (hold === undefined || !sameSession(holding.session, hold.session) || !this.#isValid(hold)) return undefined
    return this.gaveUp(range, hold.token) ? undefined : hold
  }

  /** Of the hold that has most. */
  unflushedBytes(): number {
    let most = 0
    for (const { stream } of this.#holds.values()) most = Math.max(most, stream.unflushedBytes)
    return most
  }

  /** Of some replicas, so far that `room` may say something. */
  get isAhead(): boolean {
    for (const { stream } of this.#holds.values()) if (stream.isAhead) return true
    return false
  }

  /** Undefined, or resolves when the replicas of what is written here have come closer, or do not in time. */
  room(range: BlockRange): Promise<void> | undefined {
    return this.holdOf(range)?.stream.room()
  }

  gaveUp(range: BlockRange, token: number): boolean {
    if (this.#relinquished.size === 0) return false
    return this.#relinquished.within(range).some((part) => part.value !== undefined && part.value >= token)
  }

  /** From here on this node never acts on the range under the token, whatever comes of what it proposes next. */
  relinquish(range: BlockRange, token: number): void {
    this.#relinquished = this.#relinquished.with(range, token)
  }

  /** The register says that this session holds the token, and what it inherited is settled. */
  async begin(token: number, session: Session): Promise<void> {
    if (this.#holds.has(token)) return
    const { components, registers, replica, links } = this.#context
    // Where a stream goes on is known when nothing more comes from whoever numbered before, under the same token.
    await this.#ending.get(token)
    const end = await components.disk.streamEnd(this.id, token)
    if (this.#holds.has(token)) return
    const stream = new Stream({ ...components, replica, links }, {
      id: this.id, token, self: this.#context.self, end,
      view: () => registers.viewAt(this.#key),
      outdated: async () => { await registers.refreshShared(this.id, this.#context.signal) },
      lacking: async (node) => this.#remove({ session, token }, node, 'a replica that lacks what it had was left out, to be brought up anew'),
    })
    this.#holds.set(token, { session, token, stream })
    stream.adjust()
    const view = registers.view(this.id)
    if (view !== undefined) this.changed(view)
  }

  /** A newer value of the register: whatever it gives to others, or to nobody, ends here. */
  changed(segment: Segment): void {
    for (const hold of this.#holds.values()) {
      if (segment.ranges.entries.some((entry) => entry.value.token === hold.token && sameSession(entry.value.session, hold.session))) hold.stream.adjust()
      else this.#end(hold)
    }
  }

  /** The session is over. */
  endAll(): void {
    for (const hold of this.#holds.values()) this.#end(hold)
  }

  #end(hold: Hold): void {
    hold.stream.stop()
    this.#holds.delete(hold.token)
    const drained = hold.stream.drained().finally(() => { if (this.#ending.get(hold.token) === drained) this.#ending.delete(hold.token) })
    this.#ending.set(hold.token, drained)
    this.#answers.clear()
  }

  #isValid(hold: Hold): boolean {
    const session = this.#context.session()
    return session !== undefined && sameSession(session, hold.session) && !hold.stream.stopped
  }

  // ---- writes -------------------------------------------------------------------------------------------------------

  /**
   * A write of whole blocks that are held here and that nobody else is at: all of it is under way when this returns, in as
   * few turns as there can be. Undefined: it is none, and `write` does it. Rejects as `write` does.
   */
  writeNow(write: SegmentWrite, range: BlockRange): Promise<WriteEnd> | undefined {
    if (!isAligned(write)) return undefined
    const hold = this.holdOf(range)
    const claim = hold === undefined ? undefined : this.lock.take(range)
    if (hold === undefined || claim === undefined) return undefined
    return hold.stream.append(piecesOf(write, nothing)).then(
      (last) => {
        this.lock.release(claim)
        // Somebody took it, or changed the replica set: `write` looks at the register.
        return last === 'fenced' ? moved : this.#told(range, hold, { token: hold.token, sequence: last })
      },
      (error: unknown) => {
        this.lock.release(claim)
        throw deviceError(error)
      },
    )
  }

  /** Throws DeviceError NO_SPACE, IO: then nothing was done. */
  async write(write: SegmentWrite, origin?: Origin): Promise<WriteEnd> {
    const range = blocksOf(write.offset, write.length)
    const locked = this.lock.lock(range)
    const release = typeof locked === 'function' ? locked : await locked
    try {
      for (;;) {
        const hold = this.holdOf(range)
        if (hold === undefined) return { type: 'moved' }
        if (origin !== undefined) {
          const applied = await this.#applied(range, hold, origin)
          if (applied !== undefined) return this.#told(range, hold, applied)
        }
        const before = isAligned(write) ? nothing : await this.#partial(write, hold)
        if (before === undefined) return { type: 'moved' }
        const pieces = origin === undefined ? piecesOf(write, before) : piecesOf(write, before).map((piece) => ({ ...piece, origin }))
        // Nothing was waited for since the first look where blocks are whole and nobody asks again.
        if ((before.size > 0 || origin !== undefined) && this.holdOf(range) !== hold) return { type: 'moved' }
        const last = await hold.stream.append(pieces)
        if (last === 'fenced') {
          // Somebody took it, or changed the replica set: the register knows which.
          await this.#context.registers.refreshShared(this.id, this.#context.signal)
          continue
        }
        const version = { token: hold.token, sequence: last }
        if (origin !== undefined) this.#remember(range, origin, version)
        return this.#told(range, hold, version)
      }
    } catch (error) {
      throw deviceError(error)
    } finally {
      release()
    }
  }

  /** The second look: what is on the disk by now may be told of only if the right to write it is still there. */
  #told(range: BlockRange, hold: Hold, version: Version): WriteEnd {
    return { type: this.holdOf(range) === hold ? 'done' : 'doubt', version }
  }

  /** Where a write stands that was applied before, by this holder or one before it. */
  async #applied(range: BlockRange, hold: Hold, origin: Origin): Promise<Version | undefined> {
    const { disk } = this.#context.components
    // One write of a client may have become two when the range was divided: is it this part that was applied?
    const known = this.#answers.get(origin.client)?.find((answer) => answer.sequence === origin.sequence && covers(answer.range, range))
    if (known !== undefined) return known.version
    const highest = await disk.applied(this.id, origin.client)
    if (highest < origin.sequence) return undefined
    // What was told with an offer that came to nothing may have been cut since: then it was not applied.
    const cuts = this.#context.registers.view(this.id)?.cuts ?? []
    const isCut = (version: Version): boolean => cuts.some((cut) => cut.token === version.token && version.sequence > cut.sequence)
    const applied = (await disk.origins(this.id)).filter((one) => one.origin.client === origin.client && one.origin.sequence >= origin.sequence && !isCut(one.version))
    const same = applied.filter((one) => one.origin.sequence === origin.sequence)
    if (applied.length === 0 || (same.length > 0 && !coveredBy(same, range))) return undefined
    // Under this token, and not flushed perhaps: the asker has to know where it stands.
    const here = same.filter((one) => one.version.token === hold.token && overlap(one, range))
    if (here.length > 0) return { token: hold.token, sequence: Math.max(...here.map((one) => one.version.sequence)) }
    // Applied under an earlier token: then every replica has it.
    return { token: hold.token, sequence: 0 }
  }

  #remember(range: BlockRange, { client, sequence }: Origin, version: Version): void {
    let answers = this.#answers.get(client)
    if (answers === undefined) this.#answers.set(client, (answers = []))
    answers.push({ sequence, range, version })
    if (answers.length > answersMax) answers.splice(0, answersMax / 2)
  }

  /** Undefined: not held here any more. */
  async #partial(write: SegmentWrite, hold: Hold): Promise<ReadonlyMap<number, Uint8Array> | undefined> {
    const partial = partialBlocks(write)
    const before = new Map<number, Uint8Array>()
    for (const block of partial) {
      const range = { start: block, blocks: 1 }
      const runs = await this.#readHeld(range, hold)
      if (runs === undefined) return undefined
      before.set(block, bytesOfRuns(runs, block * blockBytes, blockBytes))
    }
    return before
  }

  // ---- reads --------------------------------------------------------------------------------------------------------

  /** What `read` would answer, without a wait; undefined if there is one, or anything else that `read` has to tell. */
  readNow(range: BlockRange): BlockData[] | undefined {
    const hold = this.holdOf(range)
    if (hold === undefined) return undefined
    const runs = this.#context.components.disk.readNow(this.id, range)
    if (runs === undefined) return undefined
    for (const run of runs) if (run.content === 'unknown') return undefined
    if (this.#ahead.isReading) this.#ahead.saw(range, false, this.#endOf(range, hold))
    // Nothing was waited for, but time: the process may have been stopped meanwhile.
    return this.#isValid(hold) ? runs : undefined
  }

  /** Runs that cover the range, none of them unknown; undefined: not held here. */
  async read(range: BlockRange): Promise<BlockData[] | undefined> {
    const hold = this.holdOf(range)
    if (hold === undefined) return undefined
    try {
      const runs = await this.#readHeld(range, hold)
      return this.holdOf(range) === hold ? runs : undefined
    } catch (error) {
      throw deviceError(error)
    }
  }

  /** What is allocated; runs that this node does not have count as data. */
  async extents(range: BlockRange): Promise<BlockRun[] | undefined> {
    const hold = this.holdOf(range)
    if (hold === undefined) return undefined
    let runs: BlockRun[] = await this.#context.components.disk.versions(this.id, range)
    for (const part of unknownOf(runs)) {
      const others = await this.#fromReplica(part, true)
      runs = runs.flatMap((run) => (run.start === part.start && run.content === 'unknown' ? others : [run]))
    }
    return this.holdOf(range) === hold ? runs : undefined
  }

  /** Undefined: not held any more. */
  async #readHeld(range: BlockRange, hold: Hold): Promise<BlockData[] | undefined> {
    const { disk } = this.#context.components
    let waited: boolean | undefined
    // Blocks that nobody ever wrote have no version to keep them under: they are told of, and asked for again next time.
    let never = new RangeMap<boolean>((a, b) => a === b)
    for (;;) {
      let missing: BlockRange[]
      try {
        const runs = (await disk.read(this.id, range)).flatMap((run) => (run.content !== 'unknown' ? [run] : never.within(run).map(({ start, blocks, value }): BlockData => ({ start, blocks, version: undefined, content: value === true ? 'hole' : 'unknown', bytes: noBytes }))))
        missing = unknownOf(runs)
        if (waited === undefined) this.#ahead.saw(range, (waited = missing.length > 0), this.#endOf(range, hold))
        if (missing.length === 0) return runs
      } catch (error) {
        if (codeOf(error) !== 'CORRUPT') throw error
        // Another replica's copy of the same version heals it.
        missing = [range]
      }
      if (this.holdOf(range) !== hold) return undefined
      for (const part of missing) {
        for (let at = 0; at < part.blocks; at += pieceBlocksMax) {
          const piece = { start: part.start + at, blocks: Math.min(pieceBlocksMax, part.blocks - at) }
          const underWay = this.#ahead.underWay(piece)
          if (underWay !== undefined) await underWay
          // What came is looked at again. What did not, is asked for.
          if (underWay !== undefined && unknownOf(await disk.versions(this.id, piece)).length === 0) continue
          const found = await this.#fetchHeld(piece, hold)
          if (found === undefined) return undefined
          for (const run of found) if (run.version === undefined) never = never.with(run, true)
        }
      }
    }
  }

  /** Brings blocks from a replica to this disk. Undefined: not held any more, and nothing was kept. Throws DeviceError IO. */
  async #fetchHeld(range: BlockRange, hold: Hold): Promise<BlockData[] | undefined> {
    let found: BlockData[]
    try {
      found = await this.#fromReplica(range, false)
    } catch (error) {
      if (this.holdOf(range) !== hold) return undefined
      throw error
    }
    // An answer may be late by two hand-offs: then another node wrote meanwhile, and what is old must not be taken for known.
    if (this.holdOf(range) !== hold) return undefined
    await this.#context.components.disk.install(this.id, found.filter((run) => run.version !== undefined))
    return found
  }

  async #fetchAhead(range: BlockRange): Promise<boolean> {
    const { components } = this.#context
    try {
      const hold = this.holdOf(range)
      if (hold === undefined) return false
      const missing = unknownOf(await components.disk.versions(this.id, range))
      const [first, last] = [missing[0], missing[missing.length - 1]]
      if (first === undefined || last === undefined) return true
      const found = await this.#fetchHeld({ start: first.start, blocks: last.start + last.blocks - first.start }, hold)
      return found?.some((run) => run.version !== undefined) === true
    } catch (error) {
      components.log.debug('blocks were not fetched before they are read', { segment: this.#key, start: range.start, error: messageOf(error) })
      return false
    }
  }

  /** Up to where this hold has the blocks behind the range. */
  #endOf(range: BlockRange, hold: Hold): number {
    const held = this.#context.registers.viewAt(this.#key)?.ranges.entries.find((entry) => entry.value.token === hold.token && entry.start <= range.start && range.start < entry.start + entry.blocks)
    return held === undefined ? 0 : held.start + held.blocks
  }

  /** From a replica in sync: it has everything of the range that was written before this node held it. */
  async #fromReplica(range: BlockRange, versions: boolean): Promise<BlockData[]> {
    const { components, registers, self, signal } = this.#context
    const replicas = (registers.view(this.id)?.replicas ?? []).filter((node) => node !== self)
    for (const node of nearestFirst(replicas, (one) => components.connections.rttMs(one))) {
      try {
        const answer = await ask(components.rpc, node, verbs.fetch, { segment: codec.encodeId(this.id), range, versions }, { deadlineMs: fetchDeadlineMs, signal })
        if (answer.refusal !== undefined) continue
        const runs = answer.runs.map((run) => codec.decodeRun(run, !versions))
        if (unknownOf(runs).length === 0) return runs
      } catch (error) {
        components.log.debug('a replica did not answer a read', { segment: keyOf(this.id), node, error: messageOf(error) })
      }
    }
    throw new DeviceError('IO', 'no replica in sync answers with these blocks', { segment: this.id.segment, start: range.start, blocks: range.blocks })
  }

  // ---- flush --------------------------------------------------------------------------------------------------------

  /**
   * Resolves when everything of the token up to now is synced at every replica, under a register value that stayed the
   * same meanwhile. `moved`: not held here. Throws IO when too few replicas are in sync until the deadline.
   */
  async flush(token: number, deadline: AbortSignal): Promise<'done' | 'moved'> {
    const hold = this.holdOfToken(token)
    if (hold === undefined) return 'moved'
    const { components, registers, init, counters, self } = this.#context
    const through = hold.stream.end
    if (through <= hold.stream.settled) return 'done'
    const bytes = hold.stream.unflushedBytes
    // Beside the replicas' syncs, not before them.
    const ownSynced = hold.stream.sync()
    ownSynced.catch(() => undefined)
    for (;;) {
      if (deadline.aborted) throw new DeviceError('IO', 'too few replicas are in sync', { segment: this.id.segment })
      const segment = registers.view(this.id)
      if (segment === undefined || this.holdOfToken(token) !== hold) return 'moved'
      hold.stream.adjust()
      const { silent, all } = await this.#othersSynced(hold, segment, through, deadline)
      await ownSynced
      if (this.holdOfToken(token) !== hold) return 'moved'
      for (const node of silent) await this.#remove(hold, node)
      // A disk that was lost comes back as a replica in name only.
      if (segment.replicas.includes(self) && !(await components.disk.isWhole(this.id))) await this.#remove(hold, self)
      else if (all && registers.view(this.id)?.configuration === segment.configuration) {
        const enough = Math.min(init.inSyncMin, (await this.#context.settingsOf(this.id.volume))?.replicas ?? 1)
        if ((segment.replicas.length >= enough || segment.replicas.length >= components.places.nodes()) && this.holdOfToken(token) === hold) {
          hold.stream.settle(through, bytes)
          await components.disk.settled(this.id, token, through)
          counters.flushes++
          return 'done'
        }
        await components.clock.sleep(flushRetryMs, deadline).catch(() => undefined)
      } else if (silent.length === 0) {
        // The set is changing. Without a pause this would go round in promises alone, and no timer or message could end it.
        await components.clock.sleep(lookAgainMs, deadline).catch(() => undefined)
      }
    }
  }

  /** Whether all other replicas have synced the stream up to `through`, and which have not within the deadline of replicas. */
  async #othersSynced(hold: Hold, segment: Segment, through: number, deadline: AbortSignal): Promise<{ all: boolean; silent: NodeId[] }> {
    const { components, init, self } = this.#context
    const others = [...segment.replicas, ...segment.joining].filter((node) => node !== self)
    if (others.length === 0) return { all: true, silent: [] }
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const onAbort = (): void => { stop.abort() }
    deadline.addEventListener('abort', onAbort, { once: true })
    const cancel = components.clock.setTimer(init.replicaDeadlineMs, onAbort)
    try {
      const answers = await Promise.all(others.map(async (node) => ({ node, synced: await hold.stream.synced(node, through, stop.signal) })))
      const missing = answers.filter((answer) => !answer.synced).map(({ node }) => node)
      // A sender that ended because the set changed is not a silent replica: the caller looks again.
      return { all: missing.length === 0, silent: stop.signal.aborted ? missing : [] }
    } finally {
      cancel()
      deadline.removeEventListener('abort', onAbort)
    }
  }

  /** Leaves a replica out by a round. The last one in sync stays, whatever it does. */
  async #remove(hold: Pick<Hold, 'session' | 'token'>, node: NodeId, why = 'a replica that did not answer was left out'): Promise<void> {
    const { registers, components, counters, signal } = this.#context
    try {
      const { change, segment } = await registers.change(this.id, (value) => (value === undefined ? undefined : removeReplica(value, node, hold.session, hold.token)), { signal })
      if (change?.type !== 'changed' || segment === undefined) return
      counters.replicasRemoved++
      components.log.warn(why, { segment: keyOf(this.id), node })
      this.#context.tellAll(this.id, segment)
    } catch (error) {
      components.log.warn('a silent replica could not be left out', { segment: keyOf(this.id), node, error: messageOf(error) })
      await components.clock.sleep(flushRetryMs, signal).catch(() => undefined)
    }
  }
}

export function nearestFirst(nodes: readonly NodeId[], rttMs: (node: NodeId) => number | undefined): NodeId[] {
  return [...nodes].sort((a, b) => (rttMs(a) ?? Infinity) - (rttMs(b) ?? Infinity) || (a < b ? -1 : 1))
}

/** What a door may be told. */
export function deviceError(error: unknown): DeviceError {
  if (error instanceof DeviceError) return error
  const code = codeOf(error)
  if (code === 'NO_SPACE' || code === 'ENOSPC' || code === 'BEHIND') return new DeviceError('NO_SPACE', 'the disk is full', {}, { cause: error })
  return new DeviceError('IO', messageOf(error), {}, { cause: error })
}
