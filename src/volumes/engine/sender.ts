import { backoffMs, codeOf, messageOf, spareMemory } from '../../base/index.js'
import type { NodeId } from '../../base/index.js'
import type { LogEntry } from '../replica-types.js'
import type { Segment } from '../segment.js'
import type { Append } from './append-frames.js'
import * as codec from './codec.js'
import { keyOf } from './registers.js'
import { decodeRefusal } from './replica.js'
import type { RefusalReason } from './replica.js'
import { entryOverheadBytes } from './stream.js'
import type { Stream, StreamComponents, StreamInit } from './stream.js'
import { ask, verbs } from './verbs.js'

/** A slow link needs some seconds for a full message; a replica that is silent is the flush's business before. */
const fenceDeadlineMs = 15_000
/** From the time of a disk's sync to what a restart of a node takes. */
const retry = { minMs: 20, maxMs: 1_000 }
/** Of one stream under way to one replica: two fill a fast link while the replica's disk writes a third. */
const messagesInFlightMax = 8
/**
 * What nobody waits for gathers for so long, or until it is so much: a message costs about as much as the writing of
 * twenty blocks. It is on the holder's disk meanwhile; a flush never waits for it.
 */
const gatherMs = 8
const gatherBytes = 256 * 1024

export interface SenderInit extends StreamInit {
  readonly node: NodeId
  readonly stream: Stream
  readonly signal: AbortSignal
}

/**
 * Sends one stream to one replica, in order, several messages at a time. An answer says how far the replica has the stream,
 * and counts for everything before it. If a message fails, those behind it fail too (the replica takes no entry before the
 * one that it lacks), so once none is under way all is sent again from the last place that the replica told of.
 */
export class Sender {
  readonly #components: StreamComponents
  readonly #init: SenderInit
  /** The replica has everything up to here. */
  position = 0
  /** Everything up to here is sent: more than `position` only while messages are under way. */
  #sent: number
  #synced = 0
  /** Somebody waits for the replica's sync up to here. */
  #wanted = 0
  /** A message under way asks for the sync up to here. */
  #asked = 0
  /** The replica knows that everything up to here is settled. */
  #told = 0
  #isTelling = false
  #underWay = 0
  #fenced = false
  #stopped = false
  #failures = 0
  /** Counts the replica sets that were seen: what was synced under another may be gone. */
  #set = 0
  /** Why a message under way failed: nothing more is sent before all have ended. */
  #failure: string | undefined
  /** What is to be sent has gathered long enough. */
  #isRipe = false
  #isRipening = false
  #wake: (() => void) | undefined
  readonly #waiting = new Set<{ through: number; resolve: (done: boolean) => void }>()

  constructor(components: StreamComponents, init: SenderInit) {
    this.#components = components
    this.#init = init
    this.position = init.stream.settled
    this.#sent = this.position
  }

  start(): void {
    this.#run().catch((error: unknown) => {
      this.#components.log.error('a sender of a volume stopped', { segment: keyOf(this.#init.id), error: messageOf(error) })
    })
  }

  stop(): void {
    this.#stopped = true
    this.#wakeUp()
  }

  /** There is more to send, or the register has changed. */
  wake(): void {
    if (this.#wake === undefined) return
    if (this.#wanted <= this.#synced && !this.#init.stream.hasAfter(this.#sent, gatherBytes) && !this.#isOver()) this.#ripen()
    else this.#wakeUp()
  }

  /** Resolves true when the replica has synced the stream up to `through`; false when the signal aborts first, or it is none. */
  synced(through: number, signal: AbortSignal): Promise<boolean> {
    if (this.#synced >= through && through > 0) return Promise.resolve(true)
    if (this.#stopped || signal.aborted) return Promise.resolve(false)
    this.#wanted = Math.max(this.#wanted, through)
    return new Promise((resolve) => {
      const waiter = { through, resolve: (done: boolean) => {
        this.#waiting.delete(waiter)
        signal.removeEventListener('abort', onAbort)
        resolve(done)
      } }
      const onAbort = (): void => { waiter.resolve(false) }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(waiter)
      this.#wakeUp()
    })
  }

  /** Somebody is about to wait for the replica's sync up to here. */
  foresee(through: number): void {
    this.#wanted = Math.max(this.#wanted, through)
    this.#wakeUp()
  }

  /**
   * A replica hears what is settled with what is sent next, and only then lets go of what that overwrote. Where nothing comes
   * next, as after a large trim, it is told by itself: or that space would not come back for as long as nobody writes there.
   */
  tell(): void {
    const { stream } = this.#init
    if (stream.settled <= this.#told || this.#sent < stream.end || this.#underWay > 0) return
    this.#isTelling = true
    this.#wakeUp()
  }

  #wakeUp(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  #ripen(): void {
    if (this.#isRipening) return
    this.#isRipening = true
    this.#components.links.to(this.#init.node).soon(gatherMs, () => {
      this.#isRipening = false
      // A flush may have taken it along.
      this.#isRipe = this.#init.stream.end > this.#sent
      if (this.#isRipe) this.#wakeUp()
    })
  }

  #isOver(): boolean {
    return this.#stopped || this.#init.signal.aborted
  }

  async #run(): Promise<void> {
    while (!this.#isOver()) {
      const why = this.#failure
      if (why !== undefined && this.#underWay === 0) {
        this.#failure = undefined
        this.#sent = this.position
        if (why === 'FENCED') await this.#init.outdated().catch(() => undefined)
        // It lacks what every replica had, and nobody has any more as it was written: only a copy of the blocks helps.
        if (why === 'COMPACTED') await this.#init.lacking(this.#init.node)
        if (why !== 'GAP') await this.#components.clock.sleep(1 + backoffMs(this.#failures++, retry, this.#components.random), this.#init.signal).catch(() => undefined)
        continue
      }
      if (why !== undefined || this.#underWay >= messagesInFlightMax || !this.#isDue()) {
        await new Promise<void>((resolve) => { this.#wake = resolve })
        continue
      }
      try {
        await this.#step()
      } catch (error) {
        this.#failure ??= codeOf(error) === 'COMPACTED' ? 'COMPACTED' : messageOf(error)
      }
    }
    for (const waiter of [...this.#waiting]) waiter.resolve(false)
  }

  /** Whether a message is to be sent now; if something is only gathering, it will be. */
  #isDue(): boolean {
    const { stream } = this.#init
    if (this.#isTelling || this.#wanted > Math.max(this.#synced, this.#asked)) return true
    if (this.#sent >= stream.end) return false
    if (this.#isRipe || stream.hasAfter(this.#sent, gatherBytes)) return true
    this.#ripen()
    return false
  }

  /** Sends one message. Rejects when it could not be sent; what becomes of it is told later. */
  async #step(): Promise<void> {
    const { id, node, stream } = this.#init
    const segment = this.#init.view()
    if (segment === undefined) throw new Error('no register')
    if (!this.#fenced) {
      const refused = await this.#fence(segment)
      if (refused !== undefined) {
        this.#failure ??= refused
        return
      }
    }
    const from = this.#sent
    const batch = stream.batch(from)
    const entries = batch instanceof Promise ? await batch : batch
    const bytes = entries.reduce((sum, entry) => sum + entry.bytes.length + entryOverheadBytes, 0)
    const link = this.#components.links.to(node)
    const reserving = link.reserve(bytes)
    if (reserving !== undefined) await reserving
    // Both may have taken a while.
    const through = entries.at(-1)?.sequence ?? from
    const wanted = this.#wanted > Math.max(this.#synced, this.#asked)
    // Only the last of the messages that a flush waits for need ask for the sync.
    const sync = wanted && through >= Math.min(this.#wanted, stream.end)
    const isTelling = this.#isTelling
    this.#isRipe = false
    this.#isTelling = false
    if (this.#isOver() || this.#failure !== undefined || (entries.length === 0 && !sync && !isTelling)) {
      link.release(bytes)
      released(entries)
      return
    }
    this.#sent = through
    if (sync) this.#asked = through
    this.#underWay++
    const message = { id, token: stream.token, configuration: this.#init.view()?.configuration ?? segment.configuration, entries, sync, settled: stream.settled }
    void this.#send(message, { from, through, set: this.#set }).finally(() => {
      link.release(bytes)
      this.#underWay--
      this.#wakeUp()
    })
  }

  /** Never rejects. */
  async #send(message: Append, { from, through, set }: { from: number; through: number; set: number }): Promise<void> {
    try {
      const { end, refusal } = await this.#components.links.to(this.#init.node).append(message)
      if (refusal === undefined) this.#told = Math.max(this.#told, message.settled)
      // It has arrived. Where there is no answer it may still stand in a socket: its memory is not used again.
      released(message.entries)
      const why = refusal === undefined ? undefined : decodeRefusal(refusal)
      if (why === 'GAP' || (why === undefined && end < through)) {
        this.position = Math.min(end, this.#init.stream.end)
        // What it needs is what it was sent, and still it does not take it: asking again at once would be asking for ever.
        this.#failed(end === from && message.entries.length > 0 ? 'nothing fits' : 'GAP')
      } else if (why === undefined) this.#arrived(Math.min(end, this.#init.stream.end), message.sync && set === this.#set)
      else this.#failed(why)
    } catch (error) {
      this.#failed(messageOf(error))
    }
  }

  /** The replica sets have changed: this replica may have left and begun anew, unseen, so that what it synced is gone. */
  doubt(): void {
    this.#set++
    this.#told = 0
    this.#synced = 0
    this.#asked = 0
    this.wake()
  }

  #arrived(end: number, sync: boolean): void {
    this.#failures = 0
    this.position = Math.max(this.position, end)
    if (sync) {
      this.#synced = Math.max(this.#synced, end)
      for (const waiter of [...this.#waiting]) if (waiter.through <= this.#synced) waiter.resolve(true)
    }
    this.#init.stream.trim()
  }

  #failed(why: string): void {
    this.#asked = 0
    // A gap is what follows another failure, too: that one says more.
    if (this.#failure === undefined || this.#failure === 'GAP') this.#failure = why
  }

  async #fence(segment: Segment): Promise<RefusalReason | undefined> {
    const { id, node, stream, signal } = this.#init
    const ranges = segment.ranges.entries.filter((entry) => entry.value.token === stream.token).map(({ start, blocks }) => ({ start, blocks, token: stream.token }))
    const answer = await ask(this.#components.rpc, node, verbs.fence, { segment: codec.encodeId(id), ranges, configuration: segment.configuration, cuts: [] }, { deadlineMs: fenceDeadlineMs, signal })
    const why = answer.refusal === undefined ? undefined : decodeRefusal(answer.refusal)
    // One that joins is not whole yet, but it is fenced.
    if (why !== undefined && why !== 'NOT_A_REPLICA') return why
    this.#fenced = true
    return undefined
  }
}

function released(entries: readonly LogEntry[]): void {
  for (const { bytes } of entries) spareMemory.release(bytes)
}
