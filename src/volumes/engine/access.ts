import { messageOf } from '../../base/index.js'
import type { NodeId } from '../../base/index.js'
import { blockBytes } from '../geometry.js'
import type { BlockRange } from '../geometry.js'
import type { BlockData, BlockRun, SegmentId, Version } from '../replica-types.js'
import { isRetired } from '../segment.js'
import type { Segment } from '../segment.js'
import { DeviceError } from '../types.js'
import { Outcome, Verb } from '../wire/volume.js'
import { Asking } from './asking.js'
import * as codec from './codec.js'
import { blocksOf, bytesOfRuns, noBytes } from './content.js'
import type { SegmentWrite } from './content.js'
import type { EngineContext } from './context.js'
import type { Deadlines } from './deadlines.js'
import { fateOf, rangeOfToken } from './fate.js'
import { deviceError } from './holder.js'
import type { SegmentHolder, WriteEnd } from './holder.js'
import { operationOf, replayed } from './pending.js'
import type { Kept, Numbering, Pending } from './pending.js'
import { keyOf } from './registers.js'
import type { SegmentPart } from './segment-part.js'
import { readStale } from './stale-read.js'
import type { Place, Takeover } from './takeover.js'
import { messageContentBytes } from './verbs.js'

/** Writes in one message; their bytes are bounded too. */
const batchWritesMax = 256

/**
 * One segment as clients of this node use it, whoever holds it. What is held here goes to the holder at once. The rest
 * goes to the holder's node, one message at a time with what has gathered meanwhile, so that writes are applied in the
 * order of their numbers, and a number says whether a retry was applied before.
 *
 * Every acknowledged write of another holder's is kept until a flush covers it. If its holder dies, the cut in the
 * register says exactly which of them survived; the others are sent again, before anything newer. Writes of this node's
 * own hold are not kept: if another node took the range and cut some off, everything fails from then on.
 */
export class SegmentAccess {
  /** Whoever opened the volume has it until then, each request until its end. */
  readonly part: SegmentPart
  readonly #context: EngineContext
  readonly #holder: SegmentHolder
  readonly #takeover: Takeover
  readonly #asking: Asking
  readonly #id: SegmentId
  readonly #key: string
  readonly #numbering: Numbering
  readonly #failed: (error: DeviceError) => void
  readonly #queue: Pending[] = []
  #kept: Kept[] = []
  #keptBytes = 0
  /** Of own holds: the last acknowledged and unflushed write, by token. */
  readonly #marks = new Map<number, number>()
  #acknowledged = 0
  #replayed = 0
  /** Lost writes are being sent again: until they are, they are in none of the lists, and nothing may be said to stand. */
  #replaying = 0
  /** The version of the register at which all of `#kept` and `#marks` were last found to stand. */
  #checked = -1
  #lane: Promise<unknown> = Promise.resolve()
  #dispatching = false
  #lastLatencyMs = 0
  #flushing: Promise<void> | undefined

  constructor(context: EngineContext, part: SegmentPart, init: { client: string; failed: (error: DeviceError) => void }) {
    this.#context = context
    this.part = part
    this.#holder = part.holder
    this.#takeover = part.takeover
    this.#id = part.holder.id
    this.#asking = new Asking(context, part.takeover, part.holder.id)
    this.#key = keyOf(part.holder.id)
    this.#numbering = { client: init.client, last: 0 }
    this.#failed = init.failed
  }

  /** Nothing that a flush would have to cover, and nothing under way. */
  get clean(): boolean {
    return this.#marks.size === 0 && this.#kept.length === 0 && this.#queue.length === 0 && this.#replaying === 0
  }

  // ---- writes -------------------------------------------------------------------------------------------------------

  /**
   * The usual write, in as few turns as there can be: of whole blocks that are held here, with nothing in its way. Undefined:
   * it is none. Resolves false if it was none in the end, and did not happen: then too, `write` does it. Rejects as `write` does.
   */
  writeNow(write: SegmentWrite, deadlines: Deadlines): Promise<boolean> | undefined {
    if (this.part.isGone || this.#queue.length > 0 || this.#dispatching || !this.#stands()) return undefined
    const startedMs = this.#context.components.clock.monotonicMs()
    const range = blocksOf(write.offset, write.length)
    const written = this.#holder.writeNow(write, range)
    if (written === undefined) return undefined
    this.part.users++
    return written.then(
      (end) => {
        const isDone = end.type === 'done'
        if (isDone) {
          this.#wrote(end.version)
          this.#record('write', range, this.#context.self, startedMs, false)
          if (!this.#holder.isAhead && this.#unflushedBytes() <= this.#context.init.unflushedBytesMax) {
            this.part.release()
            return true
          }
        }
        return this.#endNow(end, range, startedMs, deadlines)
      },
      (error: unknown) => {
        this.part.release()
        throw error
      },
    )
  }

  /** What may take longer of a write that was done, or is in doubt. */
  async #endNow(end: WriteEnd, range: BlockRange, startedMs: number, deadlines: Deadlines): Promise<boolean> {
    try {
      if (end.type === 'moved') return false
      return await deadlines.run(async (deadline) => {
        if (end.type === 'doubt') {
          if (!(await this.#becameOf(range, end.version, deadline))) return false
          this.#wrote(end.version)
          this.#record('write', range, this.#context.self, startedMs, false)
        }
        await this.#room(range, deadline)
        return true
      })
    } finally {
      this.part.release()
    }
  }

  /** Acknowledged when it resolves. Rejects with DeviceError; then it may or may not have happened. */
  async write(write: SegmentWrite, deadline: AbortSignal): Promise<void> {
    this.#enter()
    try {
      await this.#write(write, deadline)
    } finally {
      this.part.release()
    }
  }

  async #write(write: SegmentWrite, deadline: AbortSignal): Promise<void> {
    const { components, self } = this.#context
    const range = blocksOf(write.offset, write.length)
    const startedMs = components.clock.monotonicMs()
    if (this.#queue.length === 0 && !this.#dispatching && this.#stands() && this.#holder.holdOf(range) !== undefined) {
      if (await this.#writeHere({ write, numbering: this.#numbering, sequence: 0 }, deadline)) {
        this.#record('write', range, self, startedMs, false)
        await this.#room(range, deadline)
        return
      }
    }
    await new Promise<void>((resolve, reject) => {
      this.#queue.push({ write, numbering: this.#numbering, sequence: 0, deadline, parent: { left: 1, resolve, reject } })
      this.#kick()
    })
    this.#lastLatencyMs = components.clock.monotonicMs() - startedMs
    this.#record('write', range, self, startedMs)
    await this.#room(range, deadline)
  }

  /** Writers wait here for replicas, and for flushes that they do not ask for. */
  async #room(range: BlockRange, deadline: AbortSignal): Promise<void> {
    const room = this.#holder.room(range)
    if (room !== undefined) await room
    await this.#bound(deadline)
  }

  #enter(): void {
    if (this.part.isGone) throw new DeviceError('STOPPING', 'the volume is closed')
    this.part.users++
  }

  /** True: done, and it stands. False: not held here. */
  async #writeHere({ write, numbering, sequence }: Pick<Pending, 'write' | 'numbering' | 'sequence'>, deadline: AbortSignal): Promise<boolean> {
    const origin = sequence === 0 ? undefined : { client: numbering.client, sequence }
    const end = await this.#holder.write(write, origin)
    if (end.type === 'moved') return false
    if (end.type === 'done' || (await this.#becameOf(blocksOf(write.offset, write.length), end.version, deadline))) {
      this.#wrote(end.version)
      return true
    }
    return false
  }

  /** It is on this disk, and stands. */
  #wrote({ token, sequence }: Version): void {
    this.#context.counters.writesLocal++
    if (sequence > (this.#marks.get(token) ?? 0)) this.#marks.set(token, sequence)
  }

  /** Whether a write that is on this disk counts, once that can be told. */
  async #becameOf(range: BlockRange, version: Version, deadline: AbortSignal): Promise<boolean> {
    for (;;) {
      const segment = await this.#context.registers.refresh(this.#id, deadline).catch(() => undefined)
      const fate = segment === undefined ? 'pending' : fateOf(segment, version)
      if (fate === 'survived') return true
      if (fate === 'lost') return false
      if (fate === 'held' && this.#holder.holdOfToken(version.token) !== undefined) return true
      await this.#takeover.locate({ start: range.start, blocks: 1 }, deadline, false)
      await this.#asking.pause(deadline, 0)
    }
  }

  #kick(): void {
    if (this.#dispatching) return
    this.#dispatching = true
    // A step at a time: a client that keeps on writing never lets the queue become empty, and a flush or a read that has to
    // look at what became of earlier writes would wait in the lane until it ran out of time.
    void this.#inLane(async () => {
      if (this.#queue.length > 0) await this.#dispatch()
    }).finally(() => {
      this.#dispatching = false
      if (this.#queue.length > 0) this.#kick()
    })
  }

  /** One step with the first of the queue. Never rejects: what fails fails its own write. */
  async #dispatch(): Promise<void> {
    const first = this.#queue[0] as Pending
    try {
      for (let attempt = 0; this.#queue[0] === first; attempt++) {
        await this.#check(first.deadline)
        const range = blocksOf(first.write.offset, first.write.length)
        const place = await this.#takeover.locate(range, first.deadline, true)
        if (place.type === 'nowhere') continue
        if (place.blocks < range.blocks) this.#divide(first, place.blocks)
        if (place.type === 'here') {
          // As if it came only now: what is behind it need not wait, and does not keep the queue from becoming empty.
          if (first.sequence === 0 && this.#stands() && this.#holder.holdOf(blocksOf(first.write.offset, first.write.length)) !== undefined) this.#letGo(first)
          else if (await this.#writeHere(first, first.deadline)) this.#done(first)
          continue
        }
        const batch = this.#batchFor(place)
        for (const pending of batch) if (pending.sequence === 0) pending.sequence = ++pending.numbering.last
        if (!(await this.#send(place, batch, first.deadline))) await this.#asking.pause(first.deadline, attempt)
      }
    } catch (error) {
      if (this.#queue[0] === first) this.#queue.shift()
      first.parent.reject(deviceError(error))
    }
  }

  /** A write of the queue goes its way beside whatever comes; it is back in the queue if its range went meanwhile. */
  #letGo(pending: Pending): void {
    this.#queue.splice(this.#queue.indexOf(pending), 1)
    this.#writeHere(pending, pending.deadline).then(
      (isDone) => {
        if (isDone) {
          this.#done(pending)
          return
        }
        // Not before the first, which a step may be about.
        this.#queue.push(pending)
        this.#kick()
      },
      (error: unknown) => { pending.parent.reject(deviceError(error)) },
    )
  }

  /** Cuts a write at the end of what one holder has; both parts must be done for it to be. */
  #divide(pending: Pending, blocks: number): void {
    const { write } = pending
    const { start } = blocksOf(write.offset, write.length)
    const at = (start + blocks) * blockBytes - write.offset
    const part = (from: number, to: number): SegmentWrite => ({ ...write, offset: write.offset + from, length: to - from, bytes: write.content === 'data' ? write.bytes.subarray(from, to) : noBytes })
    pending.parent.left++
    this.#queue.splice(1, 0, { ...pending, write: part(at, write.length) })
    pending.write = part(0, at)
  }

  #done(pending: Pending): void {
    const at = this.#queue.indexOf(pending)
    if (at >= 0) this.#queue.splice(at, 1)
    pending.parent.left--
    if (pending.parent.left === 0) pending.parent.resolve()
  }

  /** The first writes of the queue that are for the same holder. */
  #batchFor(place: Place & { type: 'there' }): Pending[] {
    const view = this.#context.registers.view(this.#id)
    const batch: Pending[] = []
    let bytes = 0
    for (const pending of this.#queue) {
      if (batch.length > 0 && pending.numbering !== batch[0]?.numbering) break
      const parts = view?.ranges.within(blocksOf(pending.write.offset, pending.write.length)) ?? []
      bytes += pending.write.bytes.length
      const fits = parts.length === 1 && parts[0]?.value?.token === place.token && bytes <= messageContentBytes
      if (batch.length > 0 && (!fits || batch.length >= batchWritesMax)) break
      batch.push(pending)
    }
    return batch
  }

  /** False: nothing came of it; the register may say more by now. */
  async #send(place: Place & { type: 'there' }, batch: readonly Pending[], deadline: AbortSignal): Promise<boolean> {
    const operations = batch.map(({ write, sequence }) => ({ ...operationOf(write), sequence, token: 0, latencyMs: Math.min(0xffffffff, Math.round(this.#lastLatencyMs)) }))
    const answer = await this.#asking.ask(place, operations, deadline, batch[0]?.numbering ?? this.#numbering)
    if (answer === undefined) return false
    let progress = false
    for (const [i, result] of answer.results.entries()) {
      const pending = batch[i]
      if (pending === undefined || result.outcome === Outcome.MOVED) break
      progress = true
      if (result.outcome === Outcome.DONE) {
        const version = codec.decodePosition(result.version)
        // The bytes are the caller's again once it is told.
        const { write } = pending
        this.#kept.push({ write: write.bytes.length === 0 ? write : { ...write, bytes: Uint8Array.from(write.bytes) }, version, number: pending.number ?? ++this.#acknowledged })
        this.#keptBytes += pending.write.bytes.length
        // What is kept was told by a holder, and stands as long as the register says what it said.
        this.#context.counters.writesProxied++
        this.#done(pending)
        continue
      }
      const at = this.#queue.indexOf(pending)
      if (at >= 0) this.#queue.splice(at, 1)
      pending.parent.reject(new DeviceError(result.outcome === Outcome.NO_SPACE ? 'NO_SPACE' : 'IO', result.message))
    }
    return progress
  }

  // ---- what was acknowledged ------------------------------------------------------------------------------------------

  /** All that was acknowledged is where it was acknowledged, as far as is known. */
  #stands(): boolean {
    return this.#replaying === 0 && this.#isChecked()
  }

  /** Nothing that the register says has changed since all that was acknowledged was last looked at. */
  #isChecked(): boolean {
    return this.#kept.length === 0 && this.#marks.size === 0 ? true : this.#context.registers.viewAt(this.#key)?.version === this.#checked
  }

  /** Looks what became of acknowledged writes, and sends again what was lost. In the lane. Throws IO if that cannot be. */
  async #check(deadline: AbortSignal): Promise<void> {
    for (let attempt = 0; !this.#isChecked(); attempt++) {
      const segment = this.#context.registers.view(this.#id) ?? (await this.#context.registers.refresh(this.#id, deadline))
      if (segment === undefined || isRetired(segment)) throw new DeviceError('IO', 'the volume was removed')
      const pending = [...this.#marks].map(([token, sequence]) => ({ token, sequence })).concat(this.#kept.map(({ version }) => version)).find((version) => fateOf(segment, version) === 'pending' || this.#isOrphan(segment, version))
      if (pending !== undefined) {
        const range = rangeOfToken(segment, pending.token)
        if (range !== undefined) await this.#wake(range, deadline)
        // Without the voters it is looked at again, until there is no more time.
        else await this.#context.registers.refresh(this.#id, deadline).catch(() => undefined)
        await this.#asking.pause(deadline, attempt)
        continue
      }
      for (const [token, sequence] of this.#marks) {
        const fate = fateOf(segment, { token, sequence })
        if (fate === 'lost') this.#fail()
        if (fate === 'survived') this.#marks.delete(token)
      }
      const lost = this.#kept.filter(({ version }) => fateOf(segment, version) === 'lost').sort((a, b) => a.number - b.number)
      this.#kept = this.#kept.filter(({ version }) => fateOf(segment, version) === 'held')
      this.#keptBytes = this.#kept.reduce((sum, { write }) => sum + write.bytes.length, 0)
      this.#checked = segment.version
      if (lost.length === 0) continue
      this.#context.counters.writesReplayed += lost.length
      await this.#replay(lost, deadline)
    }
  }

  /** An own write's range that names this node under a session that is over. */
  #isOrphan(segment: Segment, { token }: Version): boolean {
    return segment.ranges.entries.some((entry) => entry.value.token === token && entry.value.session.node === this.#context.self) && this.#holder.holdOfToken(token) === undefined
  }

  /** Has whoever must act on the range act: this node, or the one that holds it. */
  async #wake(range: BlockRange, deadline: AbortSignal): Promise<void> {
    const place = await this.#takeover.locate(range, deadline, false)
    if (place.type === 'there') await this.#asking.ask(place, [{ ...operationOf({ offset: range.start * blockBytes, length: blockBytes, content: 'hole', bytes: noBytes }), verb: Verb.EXTENTS, sequence: 0, token: 0, latencyMs: 0 }], deadline, this.#numbering)
    await this.#context.registers.refresh(this.#id, deadline).catch(() => undefined)
  }

  /**
   * In their order, each until it is done, before anything newer. Under a name of their own: what waits behind them may have
   * been sent before, and its number would be too low after theirs.
   */
  async #replay(lost: readonly Kept[], deadline: AbortSignal): Promise<void> {
    const numbering = { client: Buffer.from(this.#context.components.random.bytes(16)).toString('hex'), last: 0 }
    const waiting = this.#queue.splice(0)
    this.#replaying++
    try {
      this.#replayed++
      for (const [i, { write, number }] of lost.entries()) {
        const { parent, outcome } = replayed()
        // What came meanwhile is newer than all of them.
        waiting.push(...this.#queue.splice(0))
        this.#queue.push({ write, numbering, number, sequence: 0, deadline, parent })
        while (this.#queue[0]?.parent === parent) await this.#dispatch()
        const error = await outcome
        if (error === undefined) continue
        // Not sent again yet: it is still kept, and still lost.
        this.#kept.push(...lost.slice(i))
        this.#checked = -1
        throw deviceError(error)
      }
    } finally {
      this.#replaying--
      this.#queue.unshift(...waiting)
    }
  }

  #fail(): never {
    this.#marks.clear()
    this.#kept = []
    this.#keptBytes = 0
    const error = new DeviceError('IO', 'writes that were acknowledged and not flushed are lost: another node took these blocks when this one was cut off', { segment: this.#id.segment })
    this.#failed(error)
    throw error
  }

  // ---- flush --------------------------------------------------------------------------------------------------------

  /** Everything that was acknowledged before the call is at every replica in sync, synced. */
  async flush(deadline: AbortSignal): Promise<void> {
    this.#enter()
    try {
      await this.#flush(deadline)
    } finally {
      this.part.release()
    }
  }

  async #flush(deadline: AbortSignal): Promise<void> {
    const marks = new Set(this.#marks.keys())
    const acknowledged = this.#acknowledged
    let replayed = this.#replayed
    for (let attempt = 0; ; attempt++) {
      if (!this.#stands()) await this.#inLane(() => this.#check(deadline))
      if (replayed !== this.#replayed) {
        // What was sent again may have become this node's own.
        replayed = this.#replayed
        for (const token of this.#marks.keys()) marks.add(token)
      }
      for (const token of marks) if (!this.#marks.has(token)) marks.delete(token)
      const tokens = [...marks]
      const others = [...new Set(this.#kept.filter((one) => one.number <= acknowledged).map((one) => one.version.token))]
      if (tokens.length === 0 && others.length === 0) return
      if (deadline.aborted) throw new DeviceError('IO', 'the flush was not done in time')
      const moved = [...(await Promise.all(tokens.map((token) => this.#flushHere(token, deadline)))), ...(await Promise.all(others.map((token) => this.#flushThere(token, deadline))))].includes(false)
      if (moved) {
        await this.#context.registers.refresh(this.#id, deadline).catch(() => undefined)
        await this.#asking.pause(deadline, attempt)
      }
    }
  }

  async #flushHere(token: number, deadline: AbortSignal): Promise<boolean> {
    const through = this.#marks.get(token) ?? 0
    if ((await this.#holder.flush(token, deadline)) === 'moved') {
      // Only a look at what became of it can tell more.
      this.#checked = -1
      return false
    }
    if ((this.#marks.get(token) ?? 0) <= through) this.#marks.delete(token)
    return true
  }

  async #flushThere(token: number, deadline: AbortSignal): Promise<boolean> {
    const view = this.#context.registers.view(this.#id)
    const entry = view?.ranges.entries.find((one) => one.value.token === token)
    const covered = new Set(this.#kept.filter((one) => one.version.token === token))
    if (entry === undefined) {
      this.#checked = -1
      return false
    }
    const { session } = entry.value
    const answer = await this.#asking.ask({ node: session.node, session, token }, [{ verb: Verb.FLUSH, offset: 0, length: 0, bytes: noBytes, sequence: 0, token, latencyMs: 0 }], deadline, this.#numbering)
    const result = answer?.results[0]
    if (result?.outcome === Outcome.FAILED || result?.outcome === Outcome.NO_SPACE) throw new DeviceError('IO', result.message)
    if (result?.outcome !== Outcome.DONE) {
      this.#checked = -1
      return false
    }
    this.#kept = this.#kept.filter((one) => !covered.has(one))
    this.#keptBytes = this.#kept.reduce((sum, { write }) => sum + write.bytes.length, 0)
    return true
  }

  /** A client that never flushes is made to: what is kept for it is bounded. */
  async #bound(deadline: AbortSignal): Promise<void> {
    const bytes = this.#unflushedBytes()
    const { unflushedBytesMax } = this.#context.init
    if (bytes <= unflushedBytesMax) return
    this.#flushing ??= this.flush(deadline).finally(() => { this.#flushing = undefined })
    const flushing = this.#flushing.catch((error: unknown) => { this.#context.components.log.warn('a flush that keeps memory bounded failed', { error: messageOf(error) }) })
    // Writing goes on beside it, up to twice the bound.
    if (bytes > 2 * unflushedBytesMax) await flushing
  }

  #unflushedBytes(): number {
    return Math.max(this.#keptBytes, this.#holder.unflushedBytes())
  }

  // ---- reads --------------------------------------------------------------------------------------------------------

  /** What `read` would answer, without a wait; undefined if there is one, or anything else that `read` has to tell. */
  readNow(offset: number, length: number): Uint8Array | undefined {
    if (this.part.isGone || !this.#stands()) return undefined
    const startedMs = this.#context.components.clock.monotonicMs()
    const range = blocksOf(offset, length)
    const runs = this.#holder.readNow(range)
    if (runs === undefined) return undefined
    this.#record('read', range, this.#context.self, startedMs, false)
    return bytesOfRuns(runs, offset, length)
  }

  /** `length` bytes, all in this segment. `stale`: from whoever is near and has them. */
  async read(offset: number, length: number, deadline: AbortSignal, stale: boolean): Promise<Uint8Array> {
    const { components, self } = this.#context
    const range = blocksOf(offset, length)
    const startedMs = components.clock.monotonicMs()
    if (stale) {
      const runs = await readStale(this.#context, this.#id, range)
      if (runs !== undefined) return bytesOfRuns(runs, offset, length)
    }
    const runs = await this.#runs(range, deadline, false)
    this.#record('read', range, self, startedMs)
    return bytesOfRuns(runs, offset, length)
  }

  async extents(range: BlockRange, deadline: AbortSignal): Promise<BlockRun[]> {
    return this.#runs(range, deadline, true)
  }

  async #runs(range: BlockRange, deadline: AbortSignal, versions: boolean): Promise<BlockData[]> {
    this.#enter()
    try {
      return await this.#runsOf(range, deadline, versions)
    } finally {
      this.part.release()
    }
  }

  async #runsOf(range: BlockRange, deadline: AbortSignal, versions: boolean): Promise<BlockData[]> {
    const runs: BlockData[] = []
    const end = range.start + range.blocks
    let at = range.start
    for (let attempt = 0; at < end; attempt++) {
      if (!this.#stands()) await this.#inLane(() => this.#check(deadline))
      const left = { start: at, blocks: end - at }
      const place = await this.#takeover.locate(left, deadline, false)
      if (place.type === 'nowhere') {
        runs.push({ ...left, content: 'hole', version: undefined, bytes: noBytes })
        break
      }
      const part = { start: at, blocks: Math.min(place.blocks, versions ? place.blocks : messageContentBytes / blockBytes) }
      const found = place.type === 'here'
        ? await (versions ? this.#holder.extents(part).then((all) => all?.map((run) => ({ ...run, bytes: noBytes }))) : this.#holder.read(part))
        : await this.#runsThere(place, part, deadline, versions)
      if (found === undefined) {
        await this.#asking.pause(deadline, attempt)
        continue
      }
      runs.push(...found)
      at += part.blocks
    }
    return runs
  }

  async #runsThere(place: Place & { type: 'there' }, part: BlockRange, deadline: AbortSignal, versions: boolean): Promise<BlockData[] | undefined> {
    const operation = { verb: versions ? Verb.EXTENTS : Verb.READ, offset: part.start * blockBytes, length: part.blocks * blockBytes, bytes: noBytes, sequence: 0, token: 0, latencyMs: 0 }
    const result = (await this.#asking.ask(place, [operation], deadline, this.#numbering))?.results[0]
    if (result?.outcome === Outcome.FAILED) throw new DeviceError('IO', result.message)
    if (result?.outcome !== Outcome.DONE) return undefined
    const runs = result.runs.map((run) => codec.decodeRun(run, !versions))
    const covered = runs.reduce((next, run) => (run.start === next ? next + run.blocks : -1), part.start)
    if (covered !== part.start + part.blocks) codec.bad('runs that do not cover what was asked for')
    return runs
  }

  /** One at a time. */
  async #inLane<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lane.then(work)
    this.#lane = turn.catch(() => undefined)
    return turn
  }

  #record(kind: 'read' | 'write', range: BlockRange, node: NodeId, startedMs: number, remote = this.#holder.holdOf(range) === undefined): void {
    const { components } = this.#context
    const region = components.regionOf(node)
    if (region === undefined) return
    components.heat.record({ volume: this.#id.volume, segment: this.#id.segment, ...range, kind, place: { node, region }, latencyMs: components.clock.monotonicMs() - startedMs, remote })
  }
}
