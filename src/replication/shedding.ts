/** Making room: which blobs may go, and letting go of them by the exchange. */
import type { Log, NodeId, Random, Clock } from '../base/index.js'
import { messageOf } from '../base/index.js'
import type { Action, EvictionCandidate, EvictionPlan, MeshView, Plan, Priority } from '../storage-policy/index.js'
import { keepReason, minimumReplicas, planEviction, planRelief, priorities } from '../storage-policy/index.js'
import type { Carrier } from './carrier.js'
import type { DropOutcome, Dropper } from './dropper.js'
import type { Holders } from './holders.js'
import type { HeldEntry, Inventory } from './inventory.js'
import { prioritiesRising } from './mesh-news.js'
import type { MeshNews } from './mesh-news.js'
import type { Space } from './space.js'
import type { Target } from './target.js'
import type { ReplicationComponents, ReplicationSettings } from './types.js'
import { ReplicationError } from './types.js'
import type { Views } from './views.js'
import type { Vouchers } from './vouchers.js'
import type { Want, Wants } from './wants.js'

export interface SheddingComponents {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly inventory: Inventory
  readonly holders: Holders
  readonly wants: Wants
  readonly vouchers: Vouchers
  readonly news: MeshNews
  readonly space: Space
  /** Made after this, since they call it. */
  readonly late: () => { carrier: Carrier; dropper: Dropper; target: Target; views: Views }
  readonly reclaim: ReplicationComponents['reclaim']
  readonly isKept: (cid: string) => Promise<boolean>
}

export interface SheddingInit {
  readonly self: NodeId
  readonly settings: () => ReplicationSettings
  readonly draining: () => boolean
}

/** Deletions that are confirmed at once. */
const dropsMax = 8

/** There is too much of it, or it matters less. */
function yieldsTo(one: EvictionCandidate, priority: Priority): boolean {
  return one.copies > one.wanted || priorities[one.priority].value < priorities[priority].value
}

export class Shedding {
  readonly #components: SheddingComponents
  readonly #init: SheddingInit
  #relieving = false
  #evictable: number[] = []

  constructor(components: SheddingComponents, init: SheddingInit) {
    this.#components = components
    this.#init = init
  }

  async candidates(): Promise<EvictionCandidate[]> {
    const { inventory, news } = this.#components
    const mesh = news.mesh()
    const candidates: EvictionCandidate[] = []
    for (const entry of inventory.entries()) {
      const candidate = await this.#candidateOf(entry, mesh)
      if (candidate !== undefined) candidates.push(candidate)
    }
    return candidates
  }

  async #candidateOf(entry: HeldEntry, mesh: MeshView): Promise<EvictionCandidate | undefined> {
    const { wants, holders, late } = this.#components
    const { carrier, dropper, target } = late()
    const want = await wants.of(entry.cid)
    // What is here for a file on its way is no copy that anybody counts yet, or its import's own to move.
    if (want === undefined || want.vouchedBy !== undefined) return undefined
    return {
      cid: entry.cid,
      bytes: entry.bytes,
      priority: want.priority,
      copies: holders.live(entry.cid, mesh).length,
      wanted: want.wanted,
      minimum: minimumReplicas(want.wanted, this.#init.settings().factors),
      pinned: want.pinned,
      inUse: carrier.isBusy(entry.cid) || target.isStoring(entry.cid),
      ownerMustHold: priorities[want.priority].ownerMustHold && want.owner === this.#init.self,
      promised: dropper.isBound(entry.cid),
      heldSinceMs: entry.heldSinceMs,
      lastUsedMs: entry.lastUsedMs,
    }
  }

  /** What could go for a blob of each priority, least first; made anew by `measure`, since it takes a look at everything. */
  get evictable(): number[] {
    return this.#evictable
  }

  /** One after the other, and none is kept: a list of all would be megabytes that V8 has to find again at every sweep. */
  async measure(): Promise<void> {
    const { inventory, news, clock } = this.#components
    const sums = prioritiesRising.map(() => 0)
    if (this.#init.settings().autoEvict) {
      const nowMs = clock.wallMs()
      const mesh = news.mesh()
      for (const entry of inventory.entries()) {
        const one = await this.#candidateOf(entry, mesh)
        if (one === undefined || keepReason(one, nowMs) !== null) continue
        prioritiesRising.forEach((priority, i) => {
          if (yieldsTo(one, priority)) sums[i] = (sums[i] ?? 0) + one.bytes
        })
      }
    }
    this.#evictable = sums
  }

  plan(candidates: readonly EvictionCandidate[], bytes: number): EvictionPlan {
    const { clock, random } = this.#components
    const strategy = this.#init.settings().evictionStrategy
    return planEviction(candidates, { self: this.#init.self, strategy, bytes, nowMs: clock.wallMs(), seed: random.below(2 ** 31) })
  }

  /** Bytes let go of. */
  async carryOut(plan: Plan, signal: AbortSignal): Promise<number> {
    let freed = 0
    const queue = [...plan.actions]
    const work = async (): Promise<void> => {
      for (let action = queue.shift(); action !== undefined && !signal.aborted; action = queue.shift()) {
        if (await this.#components.late().carrier.carry(action, signal)) freed += action.bytes
      }
    }
    await Promise.all(Array.from({ length: dropsMax }, work))
    return freed
  }

  /** Room for the owner's own file: garbage goes first, and then what may. Throws NO_SPACE. */
  async reserveOwn(bytes: number, signal: AbortSignal, options: { orNothing?: boolean }): Promise<{ release: () => Promise<void> }> {
    const { space, reclaim } = this.#components
    let admission = await space.reserve(bytes, true, signal)
    if (!admission.admitted && admission.shortBytes > 0 && (space.last()?.reclaimableBytes ?? 0) >= admission.shortBytes) {
      // Nothing need go for what garbage stands in the way of.
      await reclaim?.(signal)
      admission = await space.reserve(bytes, true, signal)
    }
    if (!admission.admitted && admission.shortBytes > 0) {
      if (options.orNothing !== true) await this.makeOwnRoom(admission.shortBytes, signal)
      else if (!(await this.makeRoomExactly(admission.shortBytes, signal))) await reclaim?.(signal)
      admission = await space.reserve(bytes, true, signal)
    }
    if (!admission.admitted) throw new ReplicationError('NO_SPACE', admission.message, { reason: admission.reason, shortBytes: admission.shortBytes })
    const { id } = admission.reservation
    return { release: () => space.settle(id) }
  }

  /**
   * For the owner's own file: whatever may go, and where that is not enough others' copies move to who has room for them.
   * Nothing moves if even that would not be enough.
   */
  async makeOwnRoom(bytes: number, signal: AbortSignal): Promise<void> {
    const { inventory, wants, news, late, reclaim } = this.#components
    const { autoEvict, placement, rebalance, factors } = this.#init.settings()
    const freed = autoEvict ? await this.carryOut(this.plan(await this.candidates(), bytes), signal) : 0
    if (autoEvict && freed < bytes) {
      const others = (await late().views.all()).filter(({ cid, owner }) => owner !== this.#init.self && inventory.get(cid) !== undefined && wants.last(cid)?.pinned !== true)
      const policy = { placement, factors, rebalance: { ...rebalance, actionsMax: Number.POSITIVE_INFINITY } }
      const plan = planRelief(this.#init.self, others, bytes - freed, news.mesh(), policy, 'room for a file of this node\'s own')
      if (plan.bytes >= bytes - freed) await this.carryOut(plan, signal)
    }
    await reclaim?.(signal)
  }

  /** Evicts what may go if that is enough, and nothing if it is not. Resolves to whether anything went. */
  async makeRoomExactly(bytes: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#init.settings().autoEvict) return false
    const plan = this.plan(await this.candidates(), bytes)
    if (plan.shortBytes > 0 || (await this.carryOut(plan, signal)) === 0) return false
    await this.#components.reclaim?.(signal)
    return true
  }

  /**
   * For somebody else's blob: only what there is too much of, or what matters less than what is to come. Without that,
   * full nodes would push each other's copies around in a circle for ever; so every such step is a step up. Resolves to
   * whether it is worth asking for the room again.
   */
  async makeRoom(bytes: number, want: Want, signal: AbortSignal): Promise<boolean> {
    const { space, reclaim } = this.#components
    // Nothing need go for what garbage stands in the way of.
    if ((space.last()?.reclaimableBytes ?? 0) >= bytes) {
      await reclaim?.(signal)
      return true
    }
    let freed = 0
    if (this.#init.settings().autoEvict) {
      const candidates = (await this.candidates()).filter((one) => yieldsTo(one, want.priority))
      const plan = this.plan(candidates, bytes)
      if (plan.shortBytes === 0) freed = await this.carryOut(plan, signal)
    }
    // Garbage may be all that stands in the way.
    const worthIt = freed > 0 || (space.last()?.reclaimableBytes ?? 0) > 0
    if (worthIt) await reclaim?.(signal)
    return worthIt
  }

  /**
   * Gets below a limit that was lowered, or that another program on the same disk has made tighter: evicts what may go,
   * and moves the rest. Resolves to how many bytes it was over; undefined while an earlier call is at it.
   */
  async relieve(signal: AbortSignal): Promise<number | undefined> {
    const { space, inventory, wants, news, late, log, reclaim } = this.#components
    if (this.#relieving) return undefined
    this.#relieving = true
    try {
      const over = await space.overBytes()
      if (over <= 0) return 0
      const freed = await this.carryOut(this.plan(await this.candidates(), over), signal)
      if (freed < over) {
        const held = (await late().views.all()).filter((view) => inventory.get(view.cid) !== undefined && wants.last(view.cid)?.pinned !== true)
        const { placement, rebalance, factors } = this.#init.settings()
        const relief = planRelief(this.#init.self, held, over - freed, news.mesh(), { placement, rebalance, factors })
        await Promise.all(relief.actions.map((action) => late().carrier.carry(action, signal)))
      }
      await reclaim?.(signal)
      return over
    } catch (error) {
      if (!signal.aborted) log.warn('shedding failed', { error: messageOf(error) })
      return undefined
    } finally {
      this.#relieving = false
    }
  }

  /** By the exchange. The floor: what the action leaves others with on purpose, and never less than the minimum. */
  async drop(action: Action, signal: AbortSignal): Promise<DropOutcome> {
    const { wants, holders, news, late } = this.#components
    const wanted = (await wants.of(action.cid))?.wanted ?? 1
    const minimum = minimumReplicas(wanted, this.#init.settings().factors)
    // Of a file on its way only those count that took it for this file.
    const acknowledged = this.#components.vouchers.acknowledgedBy(action.cid)
    const others = holders.live(action.cid, news.mesh()).filter((holder) => holder !== this.#init.self && acknowledged?.has(holder) !== false)
    const floor =
      action.kind === 'trim' ? wanted : action.kind === 'evict' && !this.#init.draining() ? minimum : Math.max(minimum, Math.min(wanted, others.length))
    return late().dropper.drop(action.cid, others, floor, signal)
  }

  /** The last look before the bytes go. */
  async mayDrop(cid: string): Promise<boolean> {
    const { inventory, wants, late, isKept } = this.#components
    const { carrier, target } = late()
    if (inventory.get(cid) === undefined || target.isStoring(cid) || carrier.targetsOf(cid).length > 0) return false
    if (this.#init.draining()) return true
    if (await isKept(cid)) return false
    const want = await wants.of(cid)
    if (want?.vouchedBy !== undefined) return want.own
    return want === undefined || (!want.pinned && !(priorities[want.priority].ownerMustHold && want.owner === this.#init.self))
  }
}
