import type { Clock, Log, NodeId, Rpc } from '../../base/index.js'
import { codeOf, messageOf } from '../../base/index.js'
import { blockBytes, segmentBlocks } from '../geometry.js'
import type { BlockRange } from '../geometry.js'
import type { BlockData, BlockRun, LogEntry, ReplicaDisk, SegmentId, StreamEnd, Version } from '../replica-types.js'
import type { Cut, Segment } from '../segment.js'
import { Why } from '../wire/volume.js'
import type * as wire from '../wire/volume.js'
import * as codec from './codec.js'
import { overlap } from './range-lock.js'
import { keyOf } from './registers.js'
import { SharedLock } from './shared-lock.js'
import { ask, messageContentBytes, serve, verbs } from './verbs.js'

/** Why a replica does not do what it was asked. `FENCED`: the register says more than the asker knows. */
export type RefusalReason = 'FENCED' | 'GAP' | 'NOT_A_REPLICA' | 'NOT_READY' | 'FULL'

export interface Refused {
  readonly refused: RefusalReason
  /** The end of the stream here, for a gap. */
  readonly end: number
}

export interface FencedRange extends BlockRange {
  /** 0: only the configuration is adopted. */
  readonly token: number
}

const fresh = { fresh: true }
/** A sender goes back to where it knows that the replica was. */
const sentBefore = { fresh: false }
/** Versions asked for at once when copying: few enough that a busy segment is compared piece by piece. */
const windowBlocks = 2048
const chunkBlocks = messageContentBytes / blockBytes
/** For a copy's questions: as long as a slow link needs for a megabyte. */
const fetchDeadlineMs = 15_000

interface CopyJob {
  readonly configuration: number
  /** Streams have a beginning here: entries can be taken. */
  ready: boolean
  done: boolean
  failed: boolean
  /** `FENCED`: whoever asked knows less than the register says, and must look there. `FULL`: there is no room here. */
  refused: RefusalReason | undefined
  /** Aborted: what it would end in does not count any more. */
  readonly stop: AbortController
  readonly finished: Promise<void>
}

/** Until `finished` it may change the ranges; their taker had this token. */
interface Equalizing {
  readonly ranges: readonly FencedRange[]
  readonly stop: AbortController
  finished: Promise<unknown>
}

/** What was asked for is over, or may be: it must not begin here. */
class Refusal extends Error {}

export interface ReplicaComponents {
  readonly disk: ReplicaDisk
  readonly rpc: Rpc
  readonly clock: Clock
  readonly log: Log
  /** Whether the register says, as of now, that this node is joining under this very configuration. */
  readonly isJoining: (id: SegmentId, configuration: number, signal: AbortSignal) => Promise<boolean>
}

/**
 * What a node does for segments of which it keeps a copy: takes streams of holders, fences, answers what it has, and
 * brings itself up to date from another replica. All by word of others, and its disk refuses what is fenced; only before
 * it gives up a copy that may count, in order to make it anew, the register itself is asked.
 *
 * Copying while streams go on: a block that this disk has under a token below the one that held it when the copying
 * began may be a leftover that was cut while this node was away, so the other replica's word counts for it even if its
 * version is lower. From that token on both disks have only what live holders streamed, and the newer version counts.
 */
export class Replica {
  readonly #components: ReplicaComponents
  readonly #jobs = new Map<string, CopyJob>()
  /** Joining and leaving, of one segment in the order in which they were asked for: each makes the disk whole, or not. */
  readonly #turns = new Map<string, Promise<void>>()
  /** The configuration of the last joining that began here: who speaks of an earlier one says nothing of it. */
  readonly #begun = new Map<string, number>()
  /** The configuration under which what was here was given up, to be made anew: by this process. */
  readonly #emptied = new Map<string, number>()
  /** The configuration of the first joining that was asked of this process while the copy here was whole. */
  readonly #foundWhole = new Map<string, number>()
  readonly #locks = new Map<string, SharedLock>()
  /** Copies of ends of dead streams that are under way, by segment. */
  readonly #equalizing = new Map<string, Set<Equalizing>>()
  #signal: AbortSignal | undefined

  constructor(components: ReplicaComponents) {
    this.#components = components
    const { rpc } = components
    serve(rpc, verbs.fence, (request) => this.#serveFence(request))
    serve(rpc, verbs.fetch, (request) => this.#serveFetch(request))
    serve(rpc, verbs.copy, (request) => this.#serveCopy(request))
  }

  start(signal: AbortSignal): void {
    this.#signal = signal
    signal.addEventListener('abort', () => {
      for (const job of this.#jobs.values()) job.stop.abort()
      for (const jobs of this.#equalizing.values()) for (const job of jobs) job.stop.abort()
    }, { once: true })
  }

  /** Of this node's own holder: appended whatever the role of this disk is, but not in the middle of a copied piece. */
  appendOwn(id: SegmentId, entries: readonly LogEntry[]): ReturnType<ReplicaDisk['append']> {
    return this.#append(id, entries, fresh)
  }

  #append(id: SegmentId, entries: readonly LogEntry[], options: { fresh?: boolean }): ReturnType<ReplicaDisk['append']> {
    const lock = this.#locks.size === 0 ? undefined : this.#locks.get(keyOf(id))
    return lock === undefined ? this.#components.disk.append(id, entries, options) : this.#appendBeside(lock, id, entries, options)
  }

  async #appendBeside(lock: SharedLock, id: SegmentId, entries: readonly LogEntry[], options: { fresh?: boolean }): ReturnType<ReplicaDisk['append']> {
    const entered = lock.enter()
    if (entered !== undefined) await entered
    try {
      return await this.#components.disk.append(id, entries, options)
    } finally {
      lock.leave()
    }
  }

  /** Takes entries of a stream as a replica. Answers the stream's end here. */
  async append(id: SegmentId, token: number, entries: readonly LogEntry[], options: { sync: boolean; settled: number }): Promise<number | Refused> {
    const { disk } = this.#components
    const isWhole = disk.isWhole(id)
    // No wait where none is needed: what came later must not overtake it.
    if (!(typeof isWhole === 'boolean' ? isWhole : await isWhole) && this.#jobs.get(keyOf(id))?.ready !== true) return { refused: 'NOT_READY', end: 0 }
    try {
      if (entries.length > 0) {
        const refusal = await this.#append(id, entries, sentBefore)
        if (refusal?.type === 'fenced') return { refused: 'FENCED', end: 0 }
        if (refusal?.type === 'gap') return { refused: 'GAP', end: refusal.next - 1 }
      }
    } catch (error) {
      if (codeOf(error) === 'NO_SPACE' || codeOf(error) === 'BEHIND') return { refused: 'FULL', end: 0 }
      throw error
    }
    const end = await disk.streamEnd(id, token)
    if (options.sync) await disk.sync()
    if (options.settled > 0) await disk.settled(id, token, options.settled)
    return end
  }

  /** Durable when it resolves. `create`: the segment was never written; it begins here, empty and whole. */
  async fence(id: SegmentId, ranges: readonly FencedRange[], configuration: number, options: { cuts?: readonly Cut[]; create?: boolean } = {}): Promise<StreamEnd[] | Refused> {
    const { disk } = this.#components
    if (options.create === true && !(await disk.isWhole(id))) {
      await disk.setWhole(id, true)
      await disk.sync()
    }
    let ends = await this.#raise(id, ranges, configuration, options.cuts ?? [])
    // A taker that was overtaken may still be copying here: none of that may come after this answer.
    const overtaken = [...(this.#equalizing.get(keyOf(id)) ?? [])].filter((job) => job.ranges.some((theirs) => ranges.some((range) => overlap(range, theirs) && range.token > theirs.token)))
    if (ends !== undefined && overtaken.length > 0) {
      for (const job of overtaken) job.stop.abort()
      await Promise.all(overtaken.map((job) => job.finished))
      ends = await this.#raise(id, ranges, configuration, options.cuts ?? [])
    }
    if (ends === undefined) return { refused: 'FENCED', end: 0 }
    if (!(await disk.isWhole(id))) return { refused: 'NOT_A_REPLICA', end: 0 }
    return [...ends].map(([token, sequence]) => ({ token, sequence }))
  }

  /** How far older streams go here; undefined: fenced for more. */
  async #raise(id: SegmentId, ranges: readonly FencedRange[], configuration: number, cuts: readonly Cut[]): Promise<Map<number, number> | undefined> {
    const ends = new Map<number, number>()
    for (const { start, blocks, token } of ranges) {
      const answer = await this.#components.disk.fence(id, { start, blocks, token, configuration, cuts })
      if ('type' in answer) return undefined
      for (const end of answer) ends.set(end.token, Math.max(ends.get(end.token) ?? 0, end.sequence))
    }
    return ends
  }

  /**
   * Brings this disk up to date; `done` is false while it is still at it. Asked again, it goes on with the same job.
   * `refused`: it will not, under this configuration.
   */
  async copy(id: SegmentId, from: NodeId, segment: Segment, options: { ranges: readonly BlockRange[]; cuts: readonly Cut[]; join: boolean; waitMs: number }): Promise<{ done: boolean; ready: boolean; refused: RefusalReason | undefined }> {
    const key = keyOf(id)
    let job = this.#jobs.get(key)
    if (options.join && segment.configuration < (this.#begun.get(key) ?? 0)) return { done: false, ready: false, refused: 'FENCED' }
    if (job === undefined || job.failed || job.configuration !== segment.configuration || !options.join) {
      // One copy at a time: an older one must not declare the disk whole after this one began anew.
      if (options.join) this.#cancel(key)
      const made: CopyJob = { configuration: segment.configuration, ready: false, done: false, failed: false, refused: undefined, stop: new AbortController(), finished: Promise.resolve() }
      if (options.join) this.#begun.set(key, segment.configuration)
      const finished = (options.join ? this.#inTurn(key, () => this.#join(id, from, segment, made)) : this.#equalize(id, from, segment, options)).then(
        () => { made.done = true },
        (error: unknown) => {
          made.failed = true
          made.refused = error instanceof Refusal ? 'FENCED' : codeOf(error) === 'NO_SPACE' ? 'FULL' : undefined
          this.#components.log.warn('a segment could not be brought up to date', { segment: keyOf(id), from, error: messageOf(error) })
        },
      )
      job = Object.assign(made, { finished })
      if (options.join) this.#jobs.set(key, job)
    }
    const { clock } = this.#components
    const startedMs = clock.monotonicMs()
    await Promise.race([job.finished, clock.sleep(options.waitMs).catch(() => undefined)])
    const leftMs = options.waitMs - (clock.monotonicMs() - startedMs)
    // Asked again it begins anew: at the pace of the questions about one that goes on, not at once and for ever.
    if (options.join && job.failed && job.refused === undefined && leftMs > 0) await clock.sleep(leftMs, job.stop.signal).catch(() => undefined)
    return { done: job.done, ready: job.ready, refused: job.refused }
  }

  /** A row is lost of which nobody knows what it was about: the disk refuses all of the segment. */
  async isDamaged(id: SegmentId): Promise<boolean> {
    try {
      await this.#components.disk.isWhole(id)
      return false
    } catch (error) {
      if (codeOf(error) === 'CORRUPT') return true
      throw error
    }
  }

  /** No replica any more as of this configuration: what is here does not count. False: a later joining has begun. */
  async leave(id: SegmentId, configuration: number): Promise<boolean> {
    const key = keyOf(id)
    if (configuration < (this.#begun.get(key) ?? 0)) return false
    this.#cancel(key)
    await this.#inTurn(key, async () => {
      // What is damaged is dropped with that: others have it, and it would be in the way of joining again.
      if ((await this.isDamaged(id)) || (await this.#components.disk.isWhole(id))) await this.#components.disk.setWhole(id, false)
    })
    return true
  }

  /**
   * Gives up what is here, fences and all. `isFree` is asked again when nothing else of joining and leaving is under way,
   * and `isUnused` at the last moment: whoever begins to use the segment after that comes behind it on the disk.
   */
  async drop(id: SegmentId, isFree: () => Promise<boolean>, isUnused: () => boolean): Promise<boolean> {
    const key = keyOf(id)
    let isDropped = false
    await this.#inTurn(key, async () => {
      if (this.#jobs.has(key) || !(await isFree()) || this.#jobs.has(key) || !isUnused()) return
      await this.#components.disk.drop(id)
      isDropped = true
    })
    return isDropped
  }

  /** In sync as of this configuration: a joining under an earlier one is over. */
  joined(id: SegmentId, configuration: number): void {
    const key = keyOf(id)
    this.#jobs.delete(key)
    this.#begun.set(key, Math.max(configuration, this.#begun.get(key) ?? 0))
  }

  #cancel(key: string): void {
    this.#jobs.get(key)?.stop.abort()
    this.#jobs.delete(key)
  }

  /** After all that was asked for before, whatever became of it. */
  async #inTurn(key: string, work: () => Promise<void>): Promise<void> {
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(work)
    const settled = turn.catch(() => undefined)
    this.#turns.set(key, settled)
    void settled.then(() => { if (this.#turns.get(key) === settled) this.#turns.delete(key) })
    return turn
  }

  async #join(id: SegmentId, from: NodeId, segment: Segment, job: CopyJob): Promise<void> {
    const { disk } = this.#components
    const { signal } = job.stop
    signal.throwIfAborted()
    await this.#mayEmpty(id, segment.configuration, signal)
    await disk.setWhole(id, false)
    for (const range of rangesWithTokens(segment)) {
      const fenced = await disk.fence(id, { ...range, configuration: segment.configuration, cuts: [] })
      if ('type' in fenced) throw new Error('fenced for more than the asker knows')
    }
    const tokens = [...new Set(segment.ranges.entries.map((entry) => entry.value.token))]
    const state = await this.#fromSource(id, from, tokens, signal)
    for (const end of state.ends.map(codec.decodePosition)) await disk.adopt(id, end.token, end.sequence)
    await disk.installOrigins(id, state.origins.map(codec.decodeAppliedOrigin))
    job.ready = true
    // Whoever held a block when this began has streamed to this node since; what is older is the other's to say.
    const isVoid = (version: Version, block: number): boolean => version.token < (segment.ranges.at(block)?.token ?? segment.token + 1)
    await this.#withLock(id, (lock) => this.#copyRange(id, from, { start: 0, blocks: segmentBlocks }, lock, { isVoid, stale: false, signal }))
    await disk.sync()
    signal.throwIfAborted()
    await disk.setWhole(id, true)
    await disk.sync()
  }

  /**
   * Throws if the copy here may be in sync, or become so by what was said of it. Several holders may bring a node up: when
   * one of them has made it count, another's question may still be on its way, and what counts must not be given up.
   */
  async #mayEmpty(id: SegmentId, configuration: number, signal: AbortSignal): Promise<void> {
    const key = keyOf(id)
    if (!(await this.#components.isJoining(id, configuration, signal))) throw new Refusal('the register does not say that this node is joining')
    if (this.#emptied.get(key) !== configuration && !(await this.isDamaged(id)) && (await this.#components.disk.isWhole(id))) {
      // A process before this one may have said that it was done, and somebody may be about to act on that. A later
      // configuration is one that it cannot have spoken of.
      const first = this.#foundWhole.get(key) ?? configuration
      this.#foundWhole.set(key, first)
      if (configuration <= first) throw new Refusal('an earlier process may have joined under this configuration')
    }
    this.#emptied.set(key, configuration)
  }

  /**
   * What the source of a joining has, once it has as much of every stream as this disk claims: that may be what an earlier
   * source told, whose blocks were never copied, and then it would neither be copied nor sent. Never the other way round,
   * by going back to the source's end: a flush may count on what was said of it.
   */
  async #fromSource(id: SegmentId, from: NodeId, tokens: number[], signal: AbortSignal): Promise<wire.FetchAnswer> {
    const { disk, clock } = this.#components
    for (let look = 0; ; look++) {
      const state = await this.#fetch(from, id, { start: 0, blocks: segmentBlocks }, { state: true, versions: true, tokens, signal })
      const theirs = new Map(state.ends.map(codec.decodePosition).map(({ token, sequence }) => [token, sequence]))
      const own = await Promise.all(tokens.map(async (token) => ({ token, sequence: await disk.streamEnd(id, token) })))
      if (own.every(({ token, sequence }) => sequence <= (theirs.get(token) ?? 0))) return state
      if (look === sourceLooksMax) throw new Error('the replica to copy from has less of a stream than this one')
      await clock.sleep(sourceLookMs, signal)
    }
  }

  /**
   * The ends of dead streams, from the replica that has most of them. What is here is a part of that, so the newer counts,
   * except for what lies past the cuts: a copy that was broken off by a death may have left it, on this replica alone. In
   * an order that a death may end anywhere: the stream counts as here only when its content is.
   */
  async #equalize(id: SegmentId, from: NodeId, segment: Segment, options: { ranges: readonly BlockRange[]; cuts: readonly Cut[] }): Promise<void> {
    const { ranges, cuts } = options
    const fences = ranges.flatMap((range) => segment.ranges.within(range).map(({ start, blocks, value }): FencedRange => ({ start, blocks, token: value?.token ?? 0 })))
    const key = keyOf(id)
    const jobs = this.#equalizing.get(key) ?? new Set<Equalizing>()
    const job: Equalizing = { ranges: fences, stop: new AbortController(), finished: Promise.resolve() }
    const work = this.#copyEnds(id, from, { segment, fences, ranges, cuts, signal: job.stop.signal })
    job.finished = work.catch(() => undefined)
    this.#equalizing.set(key, jobs.add(job))
    try {
      await work
    } finally {
      jobs.delete(job)
      if (jobs.size === 0) this.#equalizing.delete(key)
    }
  }

  async #copyEnds(id: SegmentId, from: NodeId, work: { segment: Segment; fences: readonly FencedRange[]; ranges: readonly BlockRange[]; cuts: readonly Cut[]; signal: AbortSignal }): Promise<void> {
    const { disk } = this.#components
    const { segment, fences, ranges, cuts, signal } = work
    // By word of a taker that was overtaken since nothing is copied, as no entry of a holder would be taken.
    if ((await this.#raise(id, fences, segment.configuration, [])) === undefined) throw new Error('fenced for more than the asker knows')
    const state = await this.#fetch(from, id, ranges[0] ?? { start: 0, blocks: segmentBlocks }, { state: true, versions: true, stale: true, tokens: [], signal })
    const isVoid = (version: Version): boolean => cuts.some((cut) => cut.token === version.token && version.sequence > cut.sequence)
    await this.#withLock(id, async (lock) => {
      for (const range of ranges) await this.#copyRange(id, from, range, lock, { isVoid, stale: true, signal })
    })
    signal.throwIfAborted()
    await disk.installOrigins(id, state.origins.map(codec.decodeAppliedOrigin))
    for (const cut of cuts) await disk.adopt(id, cut.token, cut.sequence, { complete: true })
    await disk.sync()
  }

  async #copyRange(id: SegmentId, from: NodeId, range: BlockRange, lock: SharedLock, init: { isVoid: IsVoid; stale: boolean; signal?: AbortSignal }): Promise<void> {
    const { disk } = this.#components
    const end = range.start + range.blocks
    const { stale, signal = this.#signal } = init
    // After a death nobody writes there: one look, and no round trips on the way to serving again.
    const windowMax = stale ? segmentBlocks : windowBlocks
    for (let at = range.start; at < end; at += windowMax) {
      const window = { start: at, blocks: Math.min(windowMax, end - at) }
      const theirs = await this.#fetch(from, id, window, { versions: true, stale, signal })
      const wanted = differing(await disk.versions(id, window), theirs.runs.map((run) => codec.decodeRun(run, false)), init.isVoid)
      for (const chunk of chunksOf(wanted)) {
        const { runs } = await this.#fetch(from, id, chunk, { stale, signal })
        const blocks = runs.map((run) => codec.decodeRun(run, true)).filter((run) => run.content !== 'unknown')
        await lock.alone(async () => {
          signal?.throwIfAborted()
          // Streams went on meanwhile: what they brought is compared again.
          const own = await disk.versions(id, chunk)
          for (const part of voidParts(own, blocks, init.isVoid)) {
            // In one step: a death in between must not leave a hole where something older is.
            const instead = blocks.flatMap((run) => clipped(run, part))
            await disk.install(id, instead, { replace: true })
            for (const run of instead) if (run.version === undefined) await disk.forget(id, run)
          }
          await disk.install(id, blocks)
        })
      }
    }
  }

  async #withLock(id: SegmentId, work: (lock: SharedLock) => Promise<void>): Promise<void> {
    const key = keyOf(id)
    let lock = this.#locks.get(key)
    if (lock === undefined) this.#locks.set(key, (lock = new SharedLock()))
    try {
      await work(lock)
    } finally {
      if (lock.idle) this.#locks.delete(key)
    }
  }

  async #fetch(from: NodeId, id: SegmentId, range: BlockRange, options: { versions?: boolean; state?: boolean; stale?: boolean; tokens?: number[]; signal?: AbortSignal | undefined }): Promise<wire.FetchAnswer> {
    const { signal = this.#signal } = options
    const answer = await ask(this.#components.rpc, from, verbs.fetch, {
      segment: codec.encodeId(id), range, versions: options.versions ?? false, state: options.state ?? false, stale: options.stale ?? false, tokens: options.tokens ?? [],
    }, { deadlineMs: fetchDeadlineMs, ...(signal === undefined ? {} : { signal }) })
    if (answer.refusal !== undefined) throw new Error('the other replica does not have the segment')
    return answer
  }

  async #serveFence(request: wire.FenceRequest): Promise<Partial<wire.FenceAnswer>> {
    if (request.ranges.length > partsMax || request.cuts.length > partsMax) codec.bad('a fence of too many parts')
    const ranges = request.ranges.map((range) => ({ ...codec.decodeRange(range), token: codec.count(range.token, 'a token') }))
    const answer = await this.fence(codec.decodeId(request.segment), ranges, request.configuration, { cuts: request.cuts.map(codec.decodePosition), create: request.create })
    return Array.isArray(answer) ? { ends: answer } : { ends: [], refusal: encodeRefusal(answer.refused) }
  }

  async #serveFetch(request: wire.FetchRequest): Promise<Partial<wire.FetchAnswer>> {
    const { disk } = this.#components
    const id = codec.decodeId(request.segment)
    const range = codec.decodeRange(request.range)
    if (request.tokens.length > partsMax) codec.bad('too many streams')
    if (!request.versions && range.blocks > chunkBlocks) codec.bad('a range of more bytes than a message has')
    if (!request.stale && !(await disk.isWhole(id))) return { refusal: encodeRefusal('NOT_A_REPLICA') }
    // Ends before content: then the content has everything up to them.
    const ends: StreamEnd[] = []
    for (const token of request.tokens) ends.push({ token, sequence: await disk.streamEnd(id, token) })
    const origins = request.state ? (await disk.origins(id)).map(codec.encodeAppliedOrigin) : []
    const runs = request.versions ? (await disk.versions(id, range)).map((run) => ({ ...run, bytes: noBytes })) : await disk.read(id, range)
    return { runs: runs.map(codec.encodeRun), ends, origins }
  }

  async #serveCopy(request: wire.CopyRequest): Promise<Partial<wire.CopyAnswer>> {
    const id = codec.decodeId(request.segment)
    const segment = codec.fromWire(codec.there(request.value, 'the register'))
    // While joining, a question every few seconds is cheap, and an answer that is late by them does no harm.
    const { done, ready, refused } = await this.copy(id, codec.nodeOf(request.from), segment, { ranges: request.ranges.map(codec.decodeRange), cuts: request.cuts.map(codec.decodePosition), join: request.join, waitMs: request.join ? copyWaitMs : copyEndMs })
    return refused === undefined ? { done, ready } : { done, ready, refusal: encodeRefusal(refused) }
  }
}

/** A source that is behind is sent what it lacks at once, or its holder is dead and the joining comes to nothing. */
const sourceLookMs = 100
const sourceLooksMax = 100
/** How long an answer to `copy` waits for the end of the work. */
const copyWaitMs = 2_000
/** Who recovers a dead stream asks once, and gives up a little later. */
const copyEndMs = 18_000
/** Ranges, streams and cuts that one message names: a segment has 64 ranges, as many gaps between them, and 32 cuts at most. */
const partsMax = 256
const noBytes = new Uint8Array(0)

/** All blocks of a segment, each with the token of its range; 0 where it is free. */
export function rangesWithTokens(segment: Segment): FencedRange[] {
  return segment.ranges.within({ start: 0, blocks: segmentBlocks }).map(({ start, blocks, value }) => ({ start, blocks, token: value?.token ?? 0 }))
}

const whys = { FENCED: Why.FENCED, GAP: Why.GAP, NOT_A_REPLICA: Why.NOT_A_REPLICA, NOT_READY: Why.NOT_READY, FULL: Why.FULL } as const

export function encodeRefusal(reason: RefusalReason): wire.Refusal {
  return { why: whys[reason], token: 0, configuration: 0 }
}

export function decodeRefusal(refusal: wire.Refusal): RefusalReason {
  for (const [reason, why] of Object.entries(whys)) if (why === refusal.why) return reason as RefusalReason
  return codec.bad('a refusal without a reason')
}

export function compareVersions(a: Version | undefined, b: Version | undefined): number {
  if (a === undefined || b === undefined) return (a === undefined ? 0 : 1) - (b === undefined ? 0 : 1)
  return a.token - b.token || a.sequence - b.sequence
}

/** What is here of a block under this version does not count, whatever the other replica has. */
type IsVoid = (version: Version, block: number) => boolean

/** The parts where the other's content counts and is not what is here. */
function differing(own: readonly BlockRun[], theirs: readonly BlockRun[], isVoid: IsVoid): BlockRange[] {
  return partsWhere(own, theirs, (here, there, block) => {
    // Of a block that was never written there is nothing to copy: not to have it is the same, once this disk is whole.
    if (here.content === 'unknown') return there.version !== undefined
    const order = compareVersions(there.version, here.version)
    return order > 0 || (order < 0 && here.version !== undefined && isVoid(here.version, block))
  })
}

/** The parts where what is here must go: `install` alone would keep what is newer. */
function voidParts(own: readonly BlockRun[], theirs: readonly BlockRun[], isVoid: IsVoid): BlockRange[] {
  return partsWhere(own, theirs, (here, there, block) => here.version !== undefined && compareVersions(there.version, here.version) !== 0 && isVoid(here.version, block))
}

/** Of the blocks that the other has. */
function partsWhere(own: readonly BlockRun[], theirs: readonly BlockRun[], isSo: (here: BlockRun, there: BlockRun, block: number) => boolean): BlockRange[] {
  const parts: { start: number; blocks: number }[] = []
  const mine = [...own]
  for (const run of theirs) {
    if (run.content === 'unknown') continue
    for (let block = run.start; block < run.start + run.blocks; block++) {
      while (mine[0] !== undefined && mine[0].start + mine[0].blocks <= block) mine.shift()
      const here = mine[0]
      if (here !== undefined && !isSo(here, run, block)) continue
      const last = parts.at(-1)
      if (last !== undefined && last.start + last.blocks === block) last.blocks++
      else parts.push({ start: block, blocks: 1 })
    }
  }
  return parts
}

/** What of the run lies in the part; nothing, or one run. */
function clipped(run: BlockData, part: BlockRange): BlockData[] {
  const start = Math.max(run.start, part.start)
  const end = Math.min(run.start + run.blocks, part.start + part.blocks)
  if (end <= start) return []
  const from = (start - run.start) * blockBytes
  return [{ ...run, start, blocks: end - start, bytes: run.content === 'data' ? run.bytes.subarray(from, from + (end - start) * blockBytes) : run.bytes }]
}

function* chunksOf(ranges: readonly BlockRange[]): Generator<BlockRange> {
  for (const { start, blocks } of ranges) {
    for (let at = start; at < start + blocks; at += chunkBlocks) yield { start: at, blocks: Math.min(chunkBlocks, start + blocks - at) }
  }
}
