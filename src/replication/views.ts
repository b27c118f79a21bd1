/** The blobs that are held here, as a plan sees them; and what has to be remembered of them from one plan to the next. */
import type { Clock } from '../base/index.js'
import type { BlobView, MeshView, RebalancePolicy, Standing } from '../storage-policy/index.js'
import { priorities, standingOf } from '../storage-policy/index.js'
import type { Carrier } from './carrier.js'
import type { Holders } from './holders.js'
import type { Inventory } from './inventory.js'
import type { Stock } from './stock.js'
import type { Want, Wants } from './wants.js'

export interface ViewsComponents {
  readonly clock: Clock
  readonly inventory: Pick<Inventory, 'get' | 'entries'>
  readonly holders: Pick<Holders, 'of' | 'counted'>
  readonly wants: Pick<Wants, 'of' | 'last'>
  readonly stock: Pick<Stock, 'wanted'>
  readonly carrier: Pick<Carrier, 'targetsOf'>
}

export interface ViewsInit {
  readonly policy: () => RebalancePolicy
  /** This node is the one that makes its copies now. */
  readonly hasBegun: (cid: string) => boolean
  /** The count of copies is another than before. */
  readonly told: (cid: string, wanted: number, have: number) => void
}

/** Questions to the catalog at once: few enough that others get their turn in between. */
const askedAtOnce = 32
/** A file that came in here so recently that its owner may be watching. */
const freshMs = 10 * 60_000

/** One for all: ten thousand may wait. */
const shortOfCopies = { short: true }
const ownersMissing = { short: false }

function note(set: Set<string>, cid: string, isIn: boolean): void {
  if (isIn) set.add(cid)
  else set.delete(cid)
}

export class Views {
  readonly #components: ViewsComponents
  readonly #init: ViewsInit
  /** Since when a blob has had live copies beyond the wanted ones, wall clock. */
  readonly #surplusSince = new Map<string, number>()
  /** Since when fewer of those copies are up, though they count: a holder that is only late ends no surplus. Wall clock. */
  readonly #brokenSince = new Map<string, number>()
  /** Surpluses that have been looked at since they were due: what became of it is the business of the sweeps. */
  readonly #dueSeen = new Set<string>()
  /** The count of copies that was told last. */
  readonly #told = new Map<string, number>()
  /** As of the last look at each: fewer counted copies than wanted, and fewer live ones than the minimum. */
  readonly #under = new Set<string>()
  readonly #belowMinimum = new Set<string>()
  /** For these something is to be copied, so that every one of them waits for a plan, a place, or its turn. */
  readonly #waiting = new Map<string, { short: boolean }>()
  #looked = 0

  constructor(components: ViewsComponents, init: ViewsInit) {
    this.#components = components
    this.#init = init
  }

  /** Looks at a blob since the start. */
  get looked(): number {
    return this.#looked
  }

  get counts(): { underReplicated: number; belowMinimum: number } {
    return { underReplicated: this.#under.size, belowMinimum: this.#belowMinimum.size }
  }

  get waiting(): ReadonlyMap<string, { short: boolean }> {
    return this.#waiting
  }

  /** `vouchedToo`: also what is here for others' files that are still being put. */
  async all(vouchedToo = false): Promise<BlobView[]> {
    return this.of([...this.#components.inventory.entries()].map((entry) => entry.cid), vouchedToo)
  }

  /** Of those that are held and wanted. A file that is being put is its putter's business until it is there. */
  async of(cids: readonly string[], vouchedToo = false): Promise<BlobView[]> {
    const { inventory, wants, stock, holders, carrier } = this.#components
    const views: BlobView[] = []
    this.#looked += cids.length
    let asked: ({ want: Want | undefined } | undefined)[] = []
    for (const [i, cid] of cids.entries()) {
      // Side by side, since each question waits for the disk.
      if (i % askedAtOnce === 0) asked = await Promise.all(cids.slice(i, i + askedAtOnce).map(async (one) => (inventory.get(one) === undefined ? undefined : { want: await wants.of(one) })))
      const entry = inventory.get(cid)
      const answer = asked[i % askedAtOnce]
      if (entry === undefined) this.#isNobodys(cid)
      // What came while the others were asked about was not asked about: it is no less wanted for that.
      if (entry === undefined || answer === undefined) continue
      const { want } = answer
      stock.wanted(cid, want !== undefined)
      if (want === undefined || (want.vouchedBy !== undefined && !want.own && !vouchedToo)) {
        this.#isNobodys(cid)
        continue
      }
      views.push({
        cid,
        bytes: entry.bytes,
        priority: want.priority,
        owner: want.owner,
        wanted: want.wanted,
        holders: [...new Set([...holders.of(cid), ...carrier.targetsOf(cid)])],
        surplusSinceMs: want.pinned ? undefined : this.#surplusSince.get(cid),
        fresh: this.isFresh(cid),
        begun: this.#init.hasBegun(cid),
      })
    }
    return views
  }

  isFresh(cid: string): boolean {
    const { inventory, wants, clock } = this.#components
    const entry = inventory.get(cid)
    return entry !== undefined && wants.last(cid)?.own === true && clock.wallMs() - entry.heldSinceMs < freshMs
  }

  /** What is remembered of blobs that are gone. */
  forgetGone(): void {
    const { inventory } = this.#components
    for (const table of [this.#surplusSince, this.#brokenSince, this.#told, this.#dueSeen, this.#under, this.#belowMinimum, this.#waiting]) {
      for (const cid of table.keys()) if (inventory.get(cid) === undefined) table.delete(cid)
    }
  }

  /** Notes what has changed since the last look. Returns those that have too few copies, or too many, or not their owner's. */
  watch(views: readonly BlobView[], mesh: MeshView): BlobView[] {
    const { clock, holders } = this.#components
    const nowMs = clock.wallMs()
    const policy = this.#init.policy()
    const amiss: BlobView[] = []
    for (const view of views) {
      const standing = standingOf(view, mesh, policy)
      this.#watchSurplus(view, standing, nowMs)
      // A copy on its way keeps a second one from being planned, and is none yet.
      const have = holders.counted(view.cid, mesh, policy.rebalance.graceMs).length
      note(this.#under, view.cid, have < view.wanted)
      note(this.#belowMinimum, view.cid, standing.live < standing.minimum)
      const isOwnersMissing = priorities[view.priority].ownerMustHold && view.owner !== undefined && !view.holders.includes(view.owner)
      if (standing.missing > 0 || isOwnersMissing) this.#waiting.set(view.cid, standing.missing > 0 ? shortOfCopies : ownersMissing)
      else this.#waiting.delete(view.cid)
      if (this.#told.get(view.cid) !== have) this.#init.told(view.cid, view.wanted, have)
      this.#told.set(view.cid, have)
      if (standing.missing > 0 || isOwnersMissing || standing.surplus > 0) amiss.push(view)
    }
    return amiss
  }

  /**
   * What time alone makes worth a look, and no event: a surplus that has lasted long enough, once; and a break of one that
   * has lasted long enough to end it.
   */
  due(): string[] {
    const nowMs = this.#components.clock.wallMs()
    const { trimAfterMs } = this.#init.policy().rebalance
    const due: string[] = []
    for (const [cid, sinceMs] of this.#surplusSince) {
      if (nowMs - sinceMs < trimAfterMs || this.#dueSeen.has(cid)) continue
      this.#dueSeen.add(cid)
      due.push(cid)
    }
    for (const [cid, sinceMs] of this.#brokenSince) if (nowMs - sinceMs >= this.#breakMs()) due.push(cid)
    return due
  }

  /** It is not here, or no file refers to it: neither short nor waiting. */
  #isNobodys(cid: string): void {
    for (const table of [this.#under, this.#belowMinimum, this.#waiting]) table.delete(cid)
  }

  #breakMs(): number {
    const { urgentAfterMs, graceMs } = this.#init.policy().rebalance
    return Math.min(urgentAfterMs, graceMs)
  }

  /**
   * A surplus must last without a break, so that a laptop which sleeps at night keeps its copies. But a busy machine's
   * heartbeats are late now and then, and a node is restarted: where that began the time anew, a mesh that is never quiet
   * would never get rid of anything. So a break is what lasts as long as makes a repair urgent.
   */
  #watchSurplus({ cid, wanted }: BlobView, { surplus, counted }: Standing, nowMs: number): void {
    if (surplus > 0) {
      if (!this.#surplusSince.has(cid)) this.#surplusSince.set(cid, nowMs)
      this.#brokenSince.delete(cid)
      return
    }
    if (!this.#surplusSince.has(cid)) return
    const since = this.#brokenSince.get(cid) ?? nowMs
    this.#brokenSince.set(cid, since)
    if (counted > wanted && nowMs - since < this.#breakMs()) return
    for (const table of [this.#surplusSince, this.#brokenSince, this.#dueSeen]) table.delete(cid)
  }
}
