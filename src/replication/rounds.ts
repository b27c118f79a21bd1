/**
 * When what is looked at, and what comes of it: rounds that plan and start, and never wait for what they have started.
 *
 * A round looks at the blobs that something has happened to: to their file, their holders, a copy of theirs on its way, or
 * to a node that matters to them (see `circumstances.ts`). What nobody says is found by sweeps, which read the disk and look
 * at everything: when asked for, and now and then. What happens within a moment is planned together. What a round starts
 * runs on by itself, bounded by the carrier; when it is done, its blob is looked at again. What a plan had no room for is
 * the backlog: the next rounds take from it as fast as the carrier gets done, so that a thousand blobs of a dead node are
 * not copied in portions, one a sweep.
 */
import type { Clock, Log, NodeId } from '../base/index.js'
import { formatSize, messageOf } from '../base/index.js'
import type { Action, BlobView, MeshView, RebalancePolicy } from '../storage-policy/index.js'
import { planRebalance } from '../storage-policy/index.js'
import type { Carrier } from './carrier.js'
import { Circumstances } from './circumstances.js'
import type { Dropper } from './dropper.js'
import type { Holders } from './holders.js'
import type { Inventory } from './inventory.js'
import type { MeshNews } from './mesh-news.js'
import { isOver, Pauses } from './pausing.js'
import type { Problems } from './problems.js'
import type { Shedding } from './shedding.js'
import type { Space } from './space.js'
import type { Stock } from './stock.js'
import type { ReplicationComponents, ReplicationSettings } from './types.js'
import type { Views } from './views.js'

export interface RoundsComponents {
  readonly clock: Clock
  readonly log: Log
  readonly membership: ReplicationComponents['membership']
  readonly news: MeshNews
  readonly stock: Stock
  readonly inventory: Pick<Inventory, 'size' | 'entries'>
  readonly holders: Pick<Holders, 'sharedWith'>
  readonly space: Space
  readonly dropper: Dropper
  readonly shedding: Shedding
  readonly carrier: Carrier
  readonly views: Views
  readonly problems: Problems
}

export interface RoundsInit {
  readonly self: NodeId
  readonly settings: () => ReplicationSettings
  /** Looks, and does nothing: paused, or on its way out. */
  readonly isResting: () => boolean
  /** Somebody puts or reads files here. */
  readonly isBusy: () => boolean
  /** A node that was forgotten is up again. */
  readonly returned: (peer: NodeId) => Promise<void>
  /** The copies that are known have been counted again. */
  readonly counted: () => void
}

/** The next of the backlog is planned when no more than this many copies wait: enough that the carrier never idles. */
const waitingMin = 64
/** How often the backlog is looked at while only the budget of bytes keeps it from going on. */
const backlogMs = 250
/** What happens within this time is planned together. */
const gatherMs = 20
/** Where files come in by the hundred, this: a plan for a handful of them costs as much as one for all. */
const streamGatherMs = 500
/** So many within this time are no single files that somebody waits for, one after the other. */
const streamMin = 64
/** A sweep that nobody asked for waits for whoever works at this node: but not for more than so many times its interval. */
const sweepsPutOffMax = 5
/** After a start or a wake-up nobody is judged before the others have had this long to be heard. */
const settleMs = 15_000
/** Until then sweeps do not rest: several times what it takes to hear of the others. */
const calmAfterMs = 60_000
/** What a sweep finds and nobody said is never later than this. A node of 100,000 blobs sweeps for a third of a percent. */
const sweepPauseMaxMs = 15 * 60_000
/** Some milliseconds of work. */
const lookedAtOnce = 512
/** Refusals are on stale news, and by the next sweep there is fresh. */
const movesInVainMax = 3
/** Ten times what vitals take to go round after a change. */
const leaveToAskerMs = 15_000

export class Rounds {
  readonly #components: RoundsComponents
  readonly #init: RoundsInit
  readonly #tending: Pauses
  /** Blobs to look at in the next round. */
  #dirty = new Set<string>()
  /** What is to be repaired and had no room in a plan yet, rarest first. */
  #backlog: string[] = []
  #rescan = false
  readonly #circumstances = new Circumstances()
  #startedAtMs = 0
  /** Blobs that somebody else is making copies of, and until when that is left to them; elapsed time. */
  readonly #left = new Map<string, number>()
  /** Blobs that others leave to this node in turn, since it has made a copy there a moment ago; elapsed time. */
  readonly #begun = new Map<string, number>()
  #lastSweepMs: number | undefined
  /** When what time alone may change was last looked at; elapsed time. */
  #lastBeatMs = 0
  #dropping = false
  /** What was over the limit at the last look. */
  #overBytes = 0
  /** Whether the last look found more over the limit than could go, and some of it went: there may be more to be gained. */
  #isRelieving = false
  /** What was over the limit when the last try to change that began. */
  #relievedFrom = Number.POSITIVE_INFINITY
  /** When moves towards balance are due; elapsed time. */
  #balanceAtMs = 0
  /** Sweeps in a row that planned moves, and none was made since the one before. */
  #movesInVain = 0
  #copiedAtMove = 0
  #budgetBytes = 0
  #budgetAtMs = 0
  /** Blobs looked at of late: half of them are forgotten every `streamGatherMs`. As of `#gatheredAtMs`, elapsed time. */
  #lookedLately = 0
  #gatheredAtMs = 0

  constructor(components: RoundsComponents, init: RoundsInit) {
    this.#components = components
    this.#init = init
    this.#tending = new Pauses(components.clock)
  }

  /** `looked`: looks at a blob since the start. */
  get counts(): { underReplicated: number; belowMinimum: number; looked: number } {
    const { views } = this.#components
    return { ...views.counts, looked: views.looked }
  }

  get lastSweepMs(): number | undefined {
    return this.#lastSweepMs
  }

  /** These are to be looked at. */
  changed(cids: readonly string[]): void {
    for (const cid of cids) this.#dirty.add(cid)
    if (cids.length > 0) this.wake()
  }

  /** A node said something new of its storage. `isOtherwise`: more than how much there is. */
  heard(peer: NodeId, isOtherwise: boolean): void {
    if (isOtherwise || this.#circumstances.isAwaited(peer)) this.wake()
  }

  /** Everything is to be looked at, the disk included. */
  rescan(): void {
    this.#rescan = true
    this.wake()
  }

  balanceNow(): void {
    this.#balanceAtMs = Number.NEGATIVE_INFINITY
    this.rescan()
  }

  /** Somebody else is making the other copies, so for a while this is not a second coordinator's business. */
  leave(cid: string): void {
    this.#left.set(cid, this.#components.clock.monotonicMs() + leaveToAskerMs)
  }

  /** A copy was made from here: whoever took it leaves the others to this node. */
  began(cid: string): void {
    this.#begun.set(cid, this.#components.clock.monotonicMs() + leaveToAskerMs)
  }

  hasBegun(cid: string): boolean {
    return (this.#begun.get(cid) ?? 0) > this.#components.clock.monotonicMs()
  }

  take(cid: string): void {
    this.#left.delete(cid)
  }

  /** Something has changed that a round may care about. */
  wake(): void {
    this.#tending.wake()
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, problems } = this.#components
    this.#startedAtMs = clock.monotonicMs()
    this.#budgetAtMs = this.#startedAtMs
    while (!signal.aborted) {
      try {
        await this.#round(signal)
        problems.solved('round')
      } catch (error) {
        if (isOver(signal)) return
        log.error('planning failed', { error: messageOf(error) })
        problems.note('round', `planning failed: ${messageOf(error)}`)
        // What it was to look at is forgotten: so all of it, next time.
        this.#lastSweepMs = undefined
      }
      if (this.#dirty.size === 0 && !this.#rescan && !this.#mayGoOn()) {
        const { sweepIntervalMs } = this.#init.settings()
        const isWaiting = this.#backlog.length > 0 && !this.#init.isResting()
        await this.#tending.wait(isWaiting ? Math.min(backlogMs, sweepIntervalMs) : sweepIntervalMs, signal)
      }
      try {
        await this.#gather(signal)
      } catch (error) {
        if (isOver(signal)) return
        throw error
      }
    }
  }

  async #gather(signal: AbortSignal): Promise<void> {
    const { clock } = this.#components
    const beganMs = clock.monotonicMs()
    const lately = this.#lookedLately * 2 ** ((this.#gatheredAtMs - beganMs) / streamGatherMs)
    const isStream = (): boolean => this.#init.isBusy() && lately + this.#dirty.size >= streamMin
    // What the backlog has room for does not wait: it keeps the carrier at work.
    do await clock.sleep(gatherMs, signal)
    while (isStream() && !this.#mayGoOn() && clock.monotonicMs() - beganMs < streamGatherMs)
    this.#lookedLately = lately + this.#dirty.size
    this.#gatheredAtMs = beganMs
  }

  /** `backgroundBytesMax`: what copies that can wait may come to. */
  policy(backgroundBytesMax: number): RebalancePolicy {
    const { placement, rebalance, factors } = this.#init.settings()
    return { placement, factors, rebalance: { ...rebalance, backgroundBytesMax } }
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { clock, news, views: all, carrier, inventory } = this.#components
    const settings = this.#init.settings()
    const nowMs = clock.monotonicMs()
    const sweep = this.#rescan || this.#isSweepDue(nowMs)
    const beat = sweep || nowMs - this.#lastBeatMs >= settings.sweepIntervalMs
    if (sweep) await this.#takeStock(signal)
    if (beat) this.#lastBeatMs = nowMs
    this.#notice(nowMs, beat)
    if (this.#mayGoOn()) for (const cid of this.#backlog.splice(0, settings.rebalance.actionsMax)) this.#dirty.add(cid)
    const settling = nowMs - this.#startedAtMs < Math.min(settleMs, settings.rebalance.graceMs)
    const balancing = sweep && !settling && nowMs >= this.#balanceAtMs
    const looked = this.#dirty
    this.#dirty = new Set()
    const amiss = await this.#look(sweep ? [...inventory.entries()].map(({ cid }) => cid) : [...looked], sweep)
    const mesh = news.mesh()
    if (sweep) this.#lastSweepMs = nowMs
    if (beat) {
      void this.#dropOrphans(signal)
      if (!sweep) await this.#lookAround(signal)
    }
    if (this.#init.isResting()) return
    const budget = this.#refillBudget(nowMs)
    const isUp = (node: NodeId): boolean => mesh.get(node)?.view.state === 'up'
    // Whose holders come and go is everybody's business: the one that it was left to may be among them.
    const mine = (balancing ? await all.all() : amiss).filter((view) => !this.#left.has(view.cid) || !view.holders.every(isUp))
    const { actions, left } = planRebalance(this.#init.self, mine, mesh, this.policy(budget), clock.wallMs())
    this.#backlog = sweep ? [...left] : [...new Set([...left, ...this.#backlog])]
    this.#noteNeeds(mine, new Set([...left, ...actions.map(({ cid }) => cid)]), mesh, sweep)
    if (balancing && this.#isBalanced(actions)) this.#balanceAtMs = nowMs + settings.balanceIntervalMs
    for (const action of actions) {
      if (action.kind === 'move' && !balancing) continue
      // Right after the start all others seem to be away; only what the owner has just put does not wait.
      if (settling && !all.isFresh(action.cid)) continue
      if (action.urgent !== true && action.to !== null) this.#budgetBytes -= action.bytes
      void carrier.carry(action, signal, { balance: action.kind === 'move' })
    }
    if (sweep && !settling) void this.#relieve(signal)
  }

  /**
   * What has changed besides the blobs, and for which of them that matters. `beat`: what time alone changes, too, which is
   * not looked for in every one of the rounds that follow on each other while copies are made.
   */
  #notice(nowMs: number, beat: boolean): void {
    const { news, holders, views, carrier } = this.#components
    for (const [cid, untilMs] of this.#begun) if (untilMs <= nowMs) this.#begun.delete(cid)
    for (const [cid, untilMs] of this.#left) {
      if (untilMs > nowMs) continue
      this.#left.delete(cid)
      // Whoever it was left to has not made all of its copies.
      if (views.waiting.has(cid)) this.#dirty.add(cid)
    }
    const nodes = news.views()
    const others = this.#circumstances.standingOtherwise(nodes, this.#init.settings().rebalance)
    if (others.size > 0) for (const cid of holders.sharedWith(others)) this.#dirty.add(cid)
    if (beat) for (const cid of views.due()) this.#dirty.add(cid)
    if (!this.#circumstances.isPlaceFound(nodes, nowMs, carrier.copied)) return
    this.#circumstances.forgetNeeds()
    for (const cid of views.waiting.keys()) this.#dirty.add(cid)
  }

  /** `helped`: for these something was planned, or will be as soon as there is room in a plan. */
  #noteNeeds(views: readonly BlobView[], helped: ReadonlySet<string>, mesh: MeshView, sweep: boolean): void {
    const { waiting } = this.#components.views
    if (sweep || waiting.size === 0) this.#circumstances.forgetNeeds()
    for (const view of views) {
      const wait = waiting.get(view.cid)
      if (wait !== undefined && !helped.has(view.cid)) this.#circumstances.waits(view, wait.short, mesh)
    }
  }

  /** Until a look finds nothing more to move; or again and again what nobody takes. */
  #isBalanced(actions: readonly Action[]): boolean {
    const { copied, copying, queued } = this.#components.carrier
    this.#movesInVain = copied === this.#copiedAtMove && copying + queued === 0 ? this.#movesInVain + 1 : 0
    this.#copiedAtMove = copied
    if (this.#movesInVain < movesInVainMax && actions.some((action) => action.kind === 'move')) return false
    this.#movesInVain = 0
    return true
  }

  #isSweepDue(nowMs: number): boolean {
    if (this.#lastSweepMs === undefined) return true
    const lateMs = nowMs - this.#lastSweepMs - this.#sweepPauseMs()
    // Who is short of room cannot wait for a quiet moment.
    const mayWait = this.#init.isBusy() && !this.#isRelieving
    return lateMs >= (mayWait ? sweepsPutOffMax * this.#init.settings().sweepIntervalMs : 0)
  }

  /**
   * A sweep reads all that is held: ten seconds apart that took a fortieth of a core for 10,000 blobs, on a laptop on
   * which nothing happened, and 14 MiB that V8 kept until it was told to collect. It is there to find what nobody has said,
   * and that is next to nothing, whoever is away and whatever is short: so it takes a small share of the time only. By the
   * number of blobs, and not by what the last one took: a machine that is busy for a moment changes nothing.
   */
  #sweepPauseMs(): number {
    const { sweepIntervalMs, sweepRestPerBlobMs } = this.#init.settings()
    const nowMs = this.#components.clock.monotonicMs()
    // Right after the start nobody has judged anybody yet, and moves towards balance go on from sweep to sweep.
    if (nowMs - this.#startedAtMs < calmAfterMs || nowMs >= this.#balanceAtMs || this.#isRelieving) return sweepIntervalMs
    return Math.max(sweepIntervalMs, Math.min(sweepPauseMaxMs, sweepRestPerBlobMs * this.#components.inventory.size))
  }

  /** Between two sweeps, what costs next to nothing: promises that have lapsed, and whether another program fills the disk. */
  async #lookAround(signal: AbortSignal): Promise<void> {
    const { space, dropper } = this.#components
    await dropper.tick(signal)
    await this.#noteReturns()
    const overBytes = await space.overBytes()
    // Not for what a sweep was made for already, and could not help: it tries again in its own time.
    if (overBytes > this.#overBytes) this.#rescan = true
    this.#overBytes = overBytes
  }

  /** There is more to plan, and room to carry it. */
  #mayGoOn(): boolean {
    return this.#backlog.length > 0 && !this.#init.isResting() && this.#refillBudget(this.#components.clock.monotonicMs()) > 0 && this.#components.carrier.queued <= waitingMin
  }

  /** Brings what is remembered in line with the disk, the ledger and the members. */
  async #takeStock(signal: AbortSignal): Promise<void> {
    const { stock, space, dropper, shedding } = this.#components
    this.#rescan = false
    await stock.scan()
    await space.report()
    await dropper.tick(signal)
    await shedding.measure()
    await this.#noteReturns()
  }

  async #noteReturns(): Promise<void> {
    const { news, membership } = this.#components
    for (const peer of news.forgotten) {
      if (membership.members().some((member) => member.peerId === peer && member.state === 'up')) await this.#init.returned(peer)
    }
  }

  /**
   * Looks at these, or at all there are, and resolves to those for which there may be something to do. In portions, of
   * which nothing is kept where all is well: a view of every blob at once is megabytes that V8 takes for long-lived.
   */
  async #look(cids: readonly string[], all: boolean): Promise<BlobView[]> {
    const { views, news, problems, clock } = this.#components
    if (all) views.forgetGone()
    const amiss: BlobView[] = []
    for (let at = 0; at < cids.length; at += lookedAtOnce) {
      // Others get their turn in between: nobody waits for a sweep.
      if (at > 0) await clock.sleep(0)
      amiss.push(...views.watch(await views.of(cids.slice(at, at + lookedAtOnce)), news.mesh()))
    }
    const { underReplicated } = views.counts
    if (underReplicated > 0) problems.note('under', `${underReplicated === 1 ? '1 blob here has' : `${String(underReplicated)} blobs here have`} fewer copies than wanted`)
    else problems.solved('under')
    this.#init.counted()
    return amiss
  }

  /**
   * Beside the rounds: whether somebody wants a blob after all may have to be found out from nodes that do not answer, and no
   * copy that is missing should wait for that.
   */
  async #dropOrphans(signal: AbortSignal): Promise<void> {
    if (this.#dropping) return
    this.#dropping = true
    try {
      if (await this.#components.stock.dropOrphans(signal)) this.rescan()
    } catch (error) {
      if (!isOver(signal)) this.#components.log.warn('what no file refers to could not be looked at', { error: messageOf(error) })
    } finally {
      this.#dropping = false
    }
  }

  async #relieve(signal: AbortSignal): Promise<void> {
    const { shedding, problems } = this.#components
    const over = await shedding.relieve(signal)
    if (over === undefined) return
    this.#isRelieving = over > 0 && over < this.#relievedFrom
    this.#relievedFrom = over > 0 ? over : Number.POSITIVE_INFINITY
    if (over === 0) problems.solved('over')
    else problems.note('over', `this node was ${formatSize(over)} over its limit and is shedding`)
  }

  #refillBudget(nowMs: number): number {
    const { backgroundBytesPerSecond, rebalance } = this.#init.settings()
    this.#budgetBytes = Math.min(rebalance.backgroundBytesMax, this.#budgetBytes + (backgroundBytesPerSecond * (nowMs - this.#budgetAtMs)) / 1000)
    this.#budgetAtMs = nowMs
    return this.#budgetBytes
  }
}
