import type { CID } from 'multiformats/cid'
import {
  abortReason,
  backoffMs,
  messageOf,
  withDeadline,
  type Cancel,
  type Clock,
  type Connections,
  type ContentRouting,
  type Log,
  type NodeId,
  type Random,
} from '../base/index.js'
import { RefusedError, type WantHandle } from './channel.js'
import type { Exchange } from './exchange.js'
import type { BlobSettings } from './settings.js'
import { BlobError } from './types.js'

/**
 * Blocks of one blob from many holders. Intuition: one line of wants, and every holder takes from its front as much as
 * it can have in flight; so a fast one takes more, and ranges are disjoint without anybody planning them. When the line
 * is empty an idle holder takes over from the *back* of what the slowest still owes (work stealing, Blumofe and
 * Leiserson 1999): the first copy to come wins, the other is cancelled. So the end of a fetch is not held up by the
 * slowest, and two holders are never slower than one by more than a few blocks.
 *
 * Holders the caller knows come first, best first; the DHT is asked only when they are used up, because a look-up costs
 * more than a small file. A second holder is asked only when the first is full, and does not bring all that a line carries.
 *
 * Road not taken: cutting the blob into equal ranges up front. It needs to know the speeds, and a broken holder leaves a
 * hole that has to be planned for again.
 */
export interface HolderPoolComponents {
  exchange: Exchange
  routing: Pick<ContentRouting, 'findProviders'>
  connections: Connections
  clock: Clock
  random: Random
  log: Log
}

export interface HolderPoolInit {
  /** The blob under whose name holders are found. */
  blob: CID
  holders: readonly NodeId[]
  settings: BlobSettings
  signal: AbortSignal | undefined
}

interface Want {
  readonly cid: CID
  readonly bytes: number
  readonly deliver: (bytes: Uint8Array) => Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  readonly handles: Map<Holder, WantHandle>
  readonly refusedBy: Set<Holder>
  /** Holders that sent other bytes. */
  corrupt: number
  arrived: boolean
  done: boolean
}

type Ending = 'corrupt' | 'unreachable' | 'lacking'

class Holder {
  state: 'ready' | 'waiting' | 'out' = 'ready'
  ending: Ending | undefined
  /** Wants it owes, in the order it was asked, and since when. */
  readonly owes = new Map<Want, number>()
  owedBytes = 0
  lacked = 0
  corrupt = 0
  tries = 0
  lastFailure: unknown
  /** For its speed: what came while it owed something, and in how long. */
  busyBytes = 0
  busyMs = 0
  lastMs = 0

  constructor(readonly peer: NodeId) {}

  /** Bytes per ms, or undefined while unknown. */
  get speed(): number | undefined {
    return this.busyBytes > 0 && this.busyMs > 0 ? this.busyBytes / this.busyMs : undefined
  }
}

/** A block of unknown size: a node is at most this by our own profile; a small file most often. */
const guessedBytes = 64 * 1024
/** Wants one pool asks of one holder at once, however small. */
const owedMax = 256
/** Refusals of a holder that has sent nothing yet before it is not asked any more. */
const lackedMax = 16
/**
 * Blocks of a holder that were not what they should be before it is not asked any more. One or two may have rotted on its disk,
 * where nobody has read them since; the rest of what it has may be all that is left.
 */
const corruptMax = 3
/** Speed is what came in the last seconds: older bytes count half. */
const speedWindowMs = 4_000
/** Stealing must pay: half as long again, and this much. */
const stealFactor = 1.5
const stealSlackMs = 30
/** So long a holder is at work before its speed is believed: the first blocks wait for the connection to get going. */
const trialMs = 100
/**
 * Most of what a gigabit line carries. Where this comes in already our own line, disk or processor is the bound, and one
 * more holder only makes more of the same work (measured: two were 15 % slower than one).
 */
const enoughBytesPerMs = (100 * 2 ** 20) / 1000

export class HolderPool {
  readonly #components: HolderPoolComponents
  readonly #init: HolderPoolInit
  readonly #line: Want[] = []
  readonly #holders: Holder[] = []
  readonly #known = new Set<NodeId>()
  #candidates: NodeId[]
  #lookup: 'not asked' | 'asking' | 'asked' = 'not asked'
  /** Why it is over. A flag and no signal: ten thousand small fetches are ten thousand pools. */
  #closed: Error | undefined
  #finding: AbortController | undefined
  #unlisten: (() => void) | undefined
  /** While holders whose connections went are waited for. */
  #unlistenReturn: (() => void) | undefined
  #return: { isOver: boolean; readonly cancel: Cancel } | undefined
  #polling = false
  #pumping = false
  #again = false
  #open = 0
  /** Somebody has refused a want: until then nobody needs to be asked who did. A line may be a thousand wants long. */
  #anyRefused = false

  constructor(components: HolderPoolComponents, init: HolderPoolInit) {
    this.#components = components
    this.#init = init
    this.#known.add(components.connections.self)
    this.#candidates = this.#ordered(init.holders.filter((peer) => this.#isNew(peer)))
    if (init.signal !== undefined) {
      const { signal } = init
      const onAbort = (): void => this.close(abortReason(signal))
      if (signal.aborted) onAbort()
      else {
        signal.addEventListener('abort', onAbort, { once: true })
        this.#unlisten = () => signal.removeEventListener('abort', onAbort)
      }
    }
  }

  /**
   * Gets a block from somebody, verified, and hands it to `deliver` (once). Rejects with NO_HOLDERS,
   * HOLDERS_UNREACHABLE, CORRUPT, with the signal's reason, or with what `deliver` threw.
   */
  async get(cid: CID, expectedBytes: number, deliver: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    if (this.#closed !== undefined) throw this.#closed
    await new Promise<void>((resolve, reject) => {
      this.#open++
      this.#line.push({
        cid,
        bytes: expectedBytes > 0 ? expectedBytes : guessedBytes,
        deliver,
        resolve,
        reject,
        handles: new Map(),
        refusedBy: new Set(),
        corrupt: 0,
        arrived: false,
        done: false,
      })
      this.#pump()
    }).finally(() => {
      this.#open--
    })
  }

  /** More holders that somebody knows. */
  add(holders: readonly NodeId[]): void {
    const news = holders.filter((peer) => this.#isNew(peer))
    if (news.length === 0) return
    this.#candidates = this.#ordered([...this.#candidates, ...news])
    this.#pump()
  }

  close(reason: Error = new BlobError('ABORTED', 'the fetch was cancelled')): void {
    if (this.#closed !== undefined) return
    this.#closed = reason
    this.#unlisten?.()
    this.#unlistenReturn?.()
    this.#return?.cancel()
    this.#finding?.abort(reason)
    for (const want of this.#line.splice(0)) this.#finish(want, reason)
    for (const holder of this.#holders) for (const want of [...holder.owes.keys()]) this.#finish(want, reason)
  }

  /** Gives out what can be given out. Synchronous; called again whenever something changes. */
  #pump(): void {
    if (this.#pumping) {
      this.#again = true
      return
    }
    this.#pumping = true
    try {
      // Widening, and answers that come at once, make for another round.
      while (this.#round());
      this.#poll()
    } finally {
      this.#pumping = false
    }
  }

  #round(): boolean {
    this.#again = false
    this.#assign()
    if (this.#line.length > 0 && this.#widen()) return true
    return this.#askedAgain()
  }

  #askedAgain(): boolean {
    return this.#again
  }

  #assign(): void {
    // The one that owes least first: an even spread without a turn to remember.
    let given = true
    while (given) {
      given = false
      const ready = this.#holders.filter((holder) => holder.state === 'ready').sort((a, b) => a.owedBytes - b.owedBytes)
      for (const holder of ready) {
        if (!this.#hasRoom(holder)) continue
        const want = this.#fromLine(holder) ?? this.#fromSlowest(holder)
        if (want === undefined) continue
        this.#ask(holder, want)
        given = true
        if (holder !== ready[0] || ready.length > 1) break
      }
    }
  }

  #hasRoom(holder: Holder): boolean {
    return holder.owes.size < 2 || (holder.owedBytes < this.#init.settings.wantedBytesMax && holder.owes.size < owedMax)
  }

  #fromLine(holder: Holder): Want | undefined {
    const index = this.#line.findIndex((want) => !want.refusedBy.has(holder))
    return index < 0 ? undefined : this.#line.splice(index, 1)[0]
  }

  #fromSlowest(thief: Holder): Want | undefined {
    if (this.#line.length > 0) return undefined
    let slowest: Holder | undefined
    let longest = 0
    for (const holder of this.#holders) {
      if (holder === thief || holder.owes.size === 0) continue
      const left = this.#timeLeft(holder)
      if (left > longest) {
        longest = left
        slowest = holder
      }
    }
    if (slowest === undefined) return undefined
    for (const want of [...slowest.owes.keys()].reverse()) {
      if (want.handles.size > 1 || want.arrived || want.refusedBy.has(thief)) continue
      const mine = thief.speed === undefined ? 0 : (thief.owedBytes + want.bytes) / thief.speed
      return longest > mine * stealFactor + stealSlackMs ? want : undefined
    }
    return undefined
  }

  /** How long a holder will need for what it owes; of one that is late, for ever. */
  #timeLeft(holder: Holder): number {
    const now = this.#components.clock.monotonicMs()
    const silentMs = now - Math.max(holder.lastMs, holder.owes.values().next().value ?? now)
    if (silentMs > this.#init.settings.hedgeMs) return Number.POSITIVE_INFINITY
    return holder.speed === undefined ? 0 : holder.owedBytes / holder.speed
  }

  #ask(holder: Holder, want: Want): void {
    const now = this.#components.clock.monotonicMs()
    if (holder.owes.size === 0) holder.lastMs = now
    holder.owes.set(want, now)
    holder.owedBytes += want.bytes
    const handle = this.#components.exchange.channel(holder.peer).want(want.cid, async (bytes) => {
      this.#measure(holder, bytes.length)
      if (want.arrived || want.done) return
      want.arrived = true
      try {
        await want.deliver(bytes)
        this.#finish(want)
      } catch (error) {
        // Our own disk, not the holder: nobody else's copy would help.
        this.#finish(want, error)
      }
    })
    want.handles.set(holder, handle)
    handle.done.then(
      () => {
        if (want.handles.get(holder) === handle) this.#settle(holder, want)
        this.#pump()
      },
      (error: unknown) => {
        // Taken from this holder already, by a drop or because the block came from another.
        if (want.handles.get(holder) !== handle) return
        this.#settle(holder, want)
        this.#refused(holder, want, error)
        this.#pump()
      },
    )
  }

  #measure(holder: Holder, bytes: number): void {
    const now = this.#components.clock.monotonicMs()
    holder.busyBytes += bytes
    holder.busyMs += now - holder.lastMs
    holder.lastMs = now
    holder.tries = 0
    this.#return?.cancel()
    this.#return = undefined
    this.#components.exchange.served(holder.peer)
    if (holder.busyMs > speedWindowMs) {
      holder.busyMs /= 2
      holder.busyBytes /= 2
    }
  }

  #settle(holder: Holder, want: Want): void {
    want.handles.delete(holder)
    if (holder.owes.delete(want)) holder.owedBytes -= want.bytes
  }

  #finish(want: Want, error?: unknown): void {
    if (want.done) return
    want.done = true
    for (const [holder, handle] of [...want.handles]) {
      if (holder.owes.delete(want)) holder.owedBytes -= want.bytes
      handle.cancel()
    }
    if (error === undefined) want.resolve()
    else want.reject(error)
  }

  #refused(holder: Holder, want: Want, error: unknown): void {
    const refusal = error instanceof RefusedError ? error.refusal : 'unreachable'
    if (refusal === 'lacking') {
      this.#refuse(want, holder)
      if (++holder.lacked >= lackedMax && holder.busyBytes === 0) this.#drop(holder, 'lacking')
    } else if (refusal === 'corrupt') {
      this.#components.exchange.corrupt(holder.peer)
      this.#components.log.warn('a holder sent a corrupt block', { peer: holder.peer, cid: want.cid.toString() })
      this.#refuse(want, holder)
      want.corrupt++
      if (++holder.corrupt >= corruptMax) this.#drop(holder, 'corrupt')
    } else if (refusal !== 'cancelled' && holder.lastFailure !== error) {
      // A stream that breaks fails all of its wants with one and the same error: that is one failure.
      holder.lastFailure = error
      this.#failed(holder, refusal === 'broken', messageOf(error))
    }
    if (!want.done && !want.arrived && want.handles.size === 0) this.#line.unshift(want)
  }

  #refuse(want: Want, holder: Holder): void {
    want.refusedBy.add(holder)
    this.#anyRefused = true
  }

  #failed(holder: Holder, broken: boolean, reason: string): void {
    const { settings } = this.#init
    const { clock, random, log } = this.#components
    log.debug('a holder broke off', { peer: holder.peer, reason })
    holder.tries++
    if (holder.state !== 'ready') return
    if (broken || holder.tries >= settings.triesPerHolder) {
      this.#drop(holder, 'unreachable')
      return
    }
    holder.state = 'waiting'
    const wait = backoffMs(holder.tries, { minMs: settings.retryMinMs, maxMs: settings.retryMaxMs }, random)
    clock.setTimer(
      wait,
      () => {
        if (holder.state !== 'waiting') return
        holder.state = 'ready'
        this.#pump()
      },
      { keepAlive: true },
    )
  }

  #drop(holder: Holder, ending: Ending): void {
    holder.state = 'out'
    holder.ending = ending
    for (const want of [...holder.owes.keys()]) {
      want.handles.get(holder)?.cancel()
      this.#settle(holder, want)
      if (!want.done && !want.arrived && want.handles.size === 0) this.#line.unshift(want)
    }
  }

  /** Something waits in the line: one more holder, if there is one and it would help. Whether there is one now. */
  #widen(): boolean {
    const live = this.#holders.filter((holder) => holder.state !== 'out')
    const stuck = live.length > 0 && !this.#anyRefused ? [] : this.#line.filter((want) => live.every((holder) => want.refusedBy.has(holder)))
    if (stuck.length === 0) {
      // Those there are could take it in time: another helps only if all are at work and none is about to come back.
      if (live.length >= this.#init.settings.holdersAtOnceMax || live.some((holder) => holder.state !== 'ready')) return false
      if (live.some((holder) => this.#isOnTrial(holder))) return false
      if (live.reduce((sum, holder) => sum + (holder.speed ?? 0), 0) >= enoughBytesPerMs) return false
    }
    const next = this.#candidates.shift()
    if (next !== undefined) {
      this.#holders.push(new Holder(next))
      return true
    }
    if (stuck.length > 0 && this.#lookup === 'not asked') void this.#find()
    else if (stuck.length > 0 && this.#lookup === 'asked' && !this.#waitsForReturn()) {
      for (const want of stuck) {
        this.#line.splice(this.#line.indexOf(want), 1)
        this.#finish(want, this.#whyNot(want))
      }
    }
    return false
  }

  /**
   * Nobody else has it, and a holder that sent blocks just now lost its connection: a machine slept, a router began anew.
   * The connection is made again by itself, and a long read need not end for it.
   */
  #waitsForReturn(): boolean {
    const { connections, exchange, clock } = this.#components
    const isGone = (holder: Holder): boolean => holder.ending === 'unreachable' && !connections.isConnected(holder.peer) && exchange.hasServedLately(holder.peer)
    if (!this.#holders.some(isGone)) return false
    if (this.#return === undefined) {
      const cancel = clock.setTimer(this.#init.settings.returnMs, () => {
        waiting.isOver = true
        this.#pump()
      }, { keepAlive: true })
      const waiting = { isOver: false, cancel }
      this.#return = waiting
    }
    this.#unlistenReturn ??= connections.on('connected', (peer) => {
      for (const holder of this.#holders) {
        if (holder.peer !== peer || holder.state !== 'out' || holder.ending !== 'unreachable') continue
        holder.state = 'ready'
        holder.ending = undefined
        holder.tries = 0
      }
      this.#pump()
    })
    return !this.#return.isOver
  }

  /** Too short at work to be judged. One that has said nothing for long is late, and waited for no more. */
  #isOnTrial(holder: Holder): boolean {
    return holder.busyMs < trialMs && this.#timeLeft(holder) !== Number.POSITIVE_INFINITY
  }

  async #find(): Promise<void> {
    this.#lookup = 'asking'
    const { clock, routing, log } = this.#components
    const name = this.#init.blob.toString()
    try {
      this.#finding = new AbortController()
      await withDeadline(clock, this.#init.settings.findMs, this.#finding.signal, async (signal) => {
        for await (const peer of routing.findProviders(name, { signal })) {
          if (signal.aborted) return
          if (!this.#isNew(peer)) continue
          this.#candidates = this.#ordered([...this.#candidates, peer])
          this.#pump()
        }
      })
    } catch (error) {
      log.debug('looking for holders ended early', { cid: name, reason: messageOf(error) })
    }
    this.#lookup = 'asked'
    if (!this.#isClosed()) this.#pump()
  }

  /** While something is owed and somebody could take it over, look again now and then: silence makes no event. */
  #poll(): void {
    if (this.#polling || this.#open === 0 || this.#closed !== undefined) return
    if (this.#holders.length < 2 && this.#candidates.length === 0) return
    this.#polling = true
    const { clock } = this.#components
    clock.setTimer(this.#init.settings.hedgeMs / 2, () => {
      this.#polling = false
      if (this.#open === 0 || this.#closed !== undefined) return
      const live = this.#holders.filter((holder) => holder.state === 'ready')
      const late = live.some((holder) => holder.owes.size > 0 && this.#timeLeft(holder) === Number.POSITIVE_INFINITY)
      if (late && live.length < this.#init.settings.holdersAtOnceMax) {
        const next = this.#candidates.shift()
        if (next !== undefined) this.#holders.push(new Holder(next))
      }
      this.#pump()
    })
  }

  #isClosed(): boolean {
    return this.#closed !== undefined
  }

  #isNew(peer: NodeId): boolean {
    if (this.#known.has(peer)) return false
    this.#known.add(peer)
    return true
  }

  /** Connected before others, near before far with some chance in it (else everybody asks the same one), avoided last. */
  #ordered(peers: readonly NodeId[]): NodeId[] {
    const { connections, exchange, random } = this.#components
    const cost = (peer: NodeId): number => {
      const distance = (connections.rttMs(peer) ?? 50) * (0.5 + random.float())
      return distance + (connections.isConnected(peer) ? 0 : 1e6) + (exchange.isAvoided(peer) ? 1e9 : 0)
    }
    return peers
      .map((peer) => ({ peer, cost: cost(peer) }))
      .sort((a, b) => a.cost - b.cost)
      .map(({ peer }) => peer)
  }

  #whyNot(want: Want): BlobError {
    const count = (ending: Ending): number => this.#holders.filter((holder) => holder.ending === ending).length
    const facts = { cid: this.#init.blob.toString(), block: want.cid.toString(), asked: this.#holders.length }
    const corrupt = Math.max(want.corrupt, count('corrupt'))
    const unreachable = count('unreachable')
    if (corrupt > 0) {
      return new BlobError('CORRUPT', `no good copy of ${facts.cid}: ${corrupt} of ${facts.asked} holders sent other bytes`, { ...facts, corrupt })
    }
    if (unreachable > 0) {
      return new BlobError('HOLDERS_UNREACHABLE', `${unreachable} of ${facts.asked} holders of ${facts.cid} did not answer`, { ...facts, unreachable })
    }
    return new BlobError('NO_HOLDERS', `nobody in the mesh is known to have ${facts.cid}`, facts)
  }
}
