/** The blobs that are held here, as a plan sees them; and what has to be remembered of them from one plan to the next. */
import type { Clock } from '../base/index.js'
import type { BlobView, MeshView, RebalancePolicy, Standing } from '../storage-policy/index.js'
import { standingOf } from '../storage-policy/index.js'
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

export class Views {
  readonly #components: ViewsComponents
  readonly #init: ViewsInit
  /** Since when a blob has had live copies beyond the wanted ones, wall clock. */
  readonly #surplusSince = new Map<string, number>()
  /** Since when fewer of those copies are up, though they count: a holder that is only late ends no surplus. Wall clock. */
  readonly #brokenSince = new Map<string, number>()
  /** The count of copies that was told last. */
  readonly #told = new Map<string, number>()

  constructor(components: ViewsComponents, init: ViewsInit) {
    this.#components = components
    this.#init = init
  }

  /** `vouchedToo`: also what is here for others' files that are still being put. */
  async all(vouchedToo = false): Promise<BlobView[]> {
    return this.of([...this.#components.inventory.entries()].map((entry) => entry.cid), vouchedToo)
  }

  /** Of those that are held and wanted. A file that is being put is its putter's business until it is there. */
  async of(cids: readonly string[], vouchedToo = false): Promise<BlobView[]> {
    const { inventory, wants, stock, holders, carrier } = this.#components
    const views: BlobView[] = []
    let asked: ({ want: Want | undefined } | undefined)[] = []
    for (const [i, cid] of cids.entries()) {
      // Side by side, since each question waits for the disk.
      if (i % askedAtOnce === 0) asked = await Promise.all(cids.slice(i, i + askedAtOnce).map(async (one) => (inventory.get(one) === undefined ? undefined : { want: await wants.of(one) })))
      const entry = inventory.get(cid)
      const answer = asked[i % askedAtOnce]
      // What came while the others were asked about was not asked about: it is no less wanted for that.
      if (entry === undefined || answer === undefined) continue
      const { want } = answer
      stock.wanted(cid, want !== undefined)
      if (want === undefined || (want.vouchedBy !== undefined && !want.own && !vouchedToo)) continue
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

  /** Notes what has changed since the last look. `all`: these are all there are. */
  watch(views: readonly BlobView[], mesh: MeshView, all: boolean): { underReplicated: number; belowMinimum: number } {
    const { clock, inventory, holders } = this.#components
    const nowMs = clock.wallMs()
    const policy = this.#init.policy()
    let underReplicated = 0
    let belowMinimum = 0
    if (all) {
      for (const table of [this.#surplusSince, this.#brokenSince, this.#told]) {
        for (const cid of table.keys()) if (inventory.get(cid) === undefined) table.delete(cid)
      }
    }
    for (const view of views) {
      const standing = standingOf(view, mesh, policy)
      this.#watchSurplus(view, standing, policy, nowMs)
      // A copy on its way keeps a second one from being planned, and is none yet.
      const have = holders.counted(view.cid, mesh, policy.rebalance.graceMs).length
      if (have < view.wanted) underReplicated++
      if (standing.live < standing.minimum) belowMinimum++
      if (this.#told.get(view.cid) !== have) this.#init.told(view.cid, view.wanted, have)
      this.#told.set(view.cid, have)
    }
    return { underReplicated, belowMinimum }
  }

  /**
   * A surplus must last without a break, so that a laptop which sleeps at night keeps its copies. But a busy machine's
   * heartbeats are late now and then, and a node is restarted: where that began the time anew, a mesh that is never quiet
   * would never get rid of anything. So a break is what lasts as long as makes a repair urgent.
   */
  #watchSurplus({ cid, wanted }: BlobView, { surplus, counted }: Standing, policy: RebalancePolicy, nowMs: number): void {
    const { urgentAfterMs, graceMs } = policy.rebalance
    if (surplus > 0) {
      if (!this.#surplusSince.has(cid)) this.#surplusSince.set(cid, nowMs)
      this.#brokenSince.delete(cid)
      return
    }
    if (!this.#surplusSince.has(cid)) return
    const since = this.#brokenSince.get(cid) ?? nowMs
    this.#brokenSince.set(cid, since)
    if (counted > wanted && nowMs - since < Math.min(urgentAfterMs, graceMs)) return
    this.#surplusSince.delete(cid)
    this.#brokenSince.delete(cid)
  }
}
