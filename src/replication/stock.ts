/**
 * What this node holds, in line with the disk, and what of it no file wants any more.
 *
 * Blobs come and go by other ways than through this room (a `put`, a whole read, a `rm` elsewhere), so the disk is read
 * now and then, and whenever the catalog says that something has changed.
 *
 * A blob that no file refers to goes: soon, if a file that did refer to it was removed while this node looked; late, if
 * none is known to have, since then it may be the catalog here that is behind.
 */
import type { Clock, Log } from '../base/index.js'
import { forEachLimit, messageOf } from '../base/index.js'
import type { HeldBlob } from '../blobs/index.js'
import type { CatalogChange } from '../catalog/index.js'
import type { Holders } from './holders.js'
import type { Inventory, NewEntry } from './inventory.js'
import { parseCid } from './messages.js'
import type { HeldShares } from './space.js'
import type { ReplicationComponents, ReplicationSettings } from './types.js'
import type { Wants } from './wants.js'

export interface StockComponents {
  readonly blobs: ReplicationComponents['blobs']
  readonly clock: Clock
  readonly log: Log
  readonly inventory: Inventory
  readonly holders: Holders
  readonly wants: Wants
}

export interface StockInit {
  readonly settings: () => Pick<ReplicationSettings, 'removedAfterMs' | 'orphanAfterMs'>
  readonly signal: AbortSignal
  /** These are to be looked at again. */
  readonly changed: (cids: readonly string[]) => void
  /** The disk is to be read again. */
  readonly rescan: () => void
  readonly isBusy: (cid: string) => boolean
  readonly mayBeWanted: (cid: string, signal: AbortSignal) => Promise<boolean>
  readonly orphanDropped: (cid: string, bytes: number) => void
}

/** One question to the disk: others wait for its thread. */
const soughtAtOnce = 256
/** Deletions wait for the disk, so several at once; and the disk is looked at anew in between, so not all in one go. */
const dropsAtOnce = 8
const dropsPerRound = 512

export class Stock {
  readonly #components: StockComponents
  readonly #init: StockInit
  /** Since when no file refers to a blob held here, elapsed time; `removed`: because one that did is gone. */
  readonly #orphans = new Map<string, { sinceMs: number; removed: boolean }>()
  /** Orphans on their way out: whoever would promise to keep one after the last look at it would promise what is gone. */
  readonly #going = new Set<string>()
  #shares: HeldShares = { ownBytes: 0, othersBytes: 0, pinnedBytes: 0 }
  dropped = 0
  droppedBytes = 0
  #scans = 0
  /** Roots that the catalog has just named: they may be on the disk, and not in the inventory yet. */
  #sought = new Set<string>()
  #seeking = false
  /** Files whose list of parts is here and could not be read. */
  readonly #unread = new Set<string>()

  constructor(components: StockComponents, init: StockInit) {
    this.#components = components
    this.#init = init
  }

  /** Whether all that is a part of a file whose upper nodes are here is known to be one. */
  get knowsAllParts(): boolean {
    return this.#unread.size === 0
  }

  isGoing(cid: string): boolean {
    return this.#going.has(cid)
  }

  get shares(): HeldShares {
    return this.#shares
  }

  /** Brings the inventory in line with the disk. */
  async scan(): Promise<void> {
    const { blobs, inventory, wants } = this.#components
    const scan = ++this.#scans
    for await (const held of blobs.list()) {
      const cid = held.cid.toString()
      if (inventory.get(cid) === undefined) await this.held(entryOf(cid, held))
      const entry = inventory.get(cid)
      if (entry !== undefined) entry.seenInScan = scan
    }
    for (const entry of inventory.entries()) {
      // What was stored or dropped while the list was read is told apart by asking once more.
      if (entry.seenInScan !== scan && !(await this.#isOnDisk(entry.cid))) await this.#forget(entry.cid)
    }
    await this.#learnWants()
    let ownBytes = 0
    let othersBytes = 0
    let pinnedBytes = 0
    for (const entry of inventory.entries()) {
      const want = await wants.of(entry.cid)
      if (want?.own === true) ownBytes += entry.bytes
      else othersBytes += entry.bytes
      if (want?.pinned === true) pinnedBytes += entry.bytes
    }
    this.#shares = { ownBytes, othersBytes, pinnedBytes }
  }

  /** Of many at once. It reads rows of others along, which must not keep this node from looking at what is its own. */
  async #learnWants(): Promise<void> {
    const { inventory, wants, log } = this.#components
    try {
      await wants.learn([...inventory.entries()].map(({ cid }) => cid))
    } catch (error) {
      log.debug('what is held here is asked about one by one', { error: messageOf(error) })
    }
  }

  async held(entry: NewEntry): Promise<void> {
    if (!this.#add(entry)) return
    if (entry.kind === 'spine') await this.#learnParts(entry.cid)
    this.#init.changed([entry.cid])
  }

  /** False if it was there. */
  #add(entry: NewEntry): boolean {
    const { inventory, holders } = this.#components
    if (!inventory.add(entry)) return false
    holders.held(entry.cid)
    return true
  }

  /** Dropped through here. */
  async gone(cid: string): Promise<void> {
    this.dropped++
    this.droppedBytes += this.#components.inventory.get(cid)?.bytes ?? 0
    await this.#forget(cid)
  }

  async #forget(cid: string): Promise<void> {
    const { inventory, holders, wants } = this.#components
    if (!inventory.remove(cid)) return
    holders.dropped(cid)
    this.#orphans.delete(cid)
    this.#unread.delete(cid)
    await wants.forget(cid)
    this.#init.changed([cid])
  }

  /** The blobs here that the change touches. */
  catalogChanged({ previous, current, only }: Pick<CatalogChange, 'previous' | 'current' | 'only'>): string[] {
    const before = previous?.content?.cid
    const after = current.content?.cid
    const all: string[] = []
    const { clock, inventory, wants } = this.#components
    for (const root of new Set([before, after])) {
      if (root === undefined) continue
      const touched = wants.changed(root, only && root === after ? current : undefined).filter((cid) => inventory.get(cid) !== undefined)
      if (root === before && root !== after) for (const cid of touched) this.#orphans.set(cid, { sinceMs: clock.monotonicMs(), removed: true })
      all.push(...touched)
      this.#init.changed(touched)
    }
    // A file that was just put here: its blobs are on the disk, and not yet in the inventory.
    if (after !== undefined && inventory.get(after) === undefined) this.#seek(after)
    return all
  }

  /** Another room knows that its last file was removed, even if that was before this start. */
  unneeded(cid: string): void {
    const { clock, inventory } = this.#components
    if (inventory.get(cid) === undefined) return
    this.#orphans.set(cid, { sinceMs: this.#orphans.get(cid)?.sinceMs ?? clock.monotonicMs(), removed: true })
  }

  /** A plan came across a blob and its want. */
  wanted(cid: string, isWanted: boolean): void {
    // The plan's answer may be from before a removal that has been noted since: then what is remembered of it by now counts.
    if (isWanted && (this.#orphans.get(cid)?.removed !== true || this.#components.wants.last(cid) !== undefined)) this.#orphans.delete(cid)
    else if (isWanted) return
    else if (!this.#orphans.has(cid)) this.#orphans.set(cid, { sinceMs: this.#components.clock.monotonicMs(), removed: false })
  }

  /** Orphans whose time has come. */
  due(): { cid: string; bytes: number; reason: string }[] {
    const { clock, inventory } = this.#components
    const { removedAfterMs, orphanAfterMs } = this.#init.settings()
    return [...this.#orphans].flatMap(([cid, orphan]) => {
      const entry = inventory.get(cid)
      const waitMs = orphan.removed ? removedAfterMs : orphanAfterMs
      if (entry === undefined || clock.monotonicMs() - orphan.sinceMs < waitMs) return []
      return [{ cid, bytes: entry.bytes, reason: orphan.removed ? 'its file was removed' : 'no file is known to refer to it' }]
    })
  }

  /** A bounded number of them; resolves to whether there are more. */
  async dropOrphans(signal: AbortSignal): Promise<boolean> {
    const due = this.due().filter(({ cid }) => !this.#init.isBusy(cid))
    let gone = 0
    await forEachLimit(due.slice(0, dropsPerRound), dropsAtOnce, async (orphan) => {
      signal.throwIfAborted()
      try {
        if (await this.#dropOrphan(orphan, signal)) gone++
        else this.#putLast(orphan.cid)
      } catch (error) {
        signal.throwIfAborted()
        this.#putLast(orphan.cid)
        this.#components.log.warn('what no file refers to could not be dropped, and will be tried again', { cid: orphan.cid, error: messageOf(error) })
      }
    })
    // Those that stay for a while keep nobody busy: only where some went is there reason to go on at once.
    return due.length > dropsPerRound && gone > 0
  }

  /** So that what has to stay for a while does not keep the others from their turn. */
  #putLast(cid: string): void {
    const orphan = this.#orphans.get(cid)
    if (orphan === undefined) return
    this.#orphans.delete(cid)
    this.#orphans.set(cid, orphan)
  }

  async #dropOrphan({ cid, bytes }: { cid: string; bytes: number }, signal: AbortSignal): Promise<boolean> {
    const { blobs, wants } = this.#components
    const parsed = parseCid(cid)
    if (parsed === undefined) return false
    // Asked anew, past what is remembered: somebody may have put it again.
    const stillUnwanted = async (): Promise<boolean> => {
      try {
        return !this.#init.isBusy(cid) && !wants.isCrowded(cid) && (await wants.ask(cid)) === undefined && !(await this.#init.mayBeWanted(cid, signal))
      } catch {
        // What cannot be told now is kept, and asked again at the next look.
        return false
      }
    }
    // Asked before as well: a drop that is refused half-way has looked at every block of it for nothing.
    if (!(await stillUnwanted())) return false
    this.#going.add(cid)
    try {
      await blobs.drop(parsed, { stillUnwanted })
      if ((await blobs.held(parsed)) === undefined) {
        await this.gone(cid)
        this.#init.orphanDropped(cid, bytes)
        return true
      }
    } finally {
      this.#going.delete(cid)
    }
    if ((await wants.ask(cid)) !== undefined) {
      // Otherwise it is only in use, or kept for a while: tried again at the next sweep.
      this.#orphans.delete(cid)
      this.#init.changed(wants.changed(cid))
    }
    return false
  }

  async #isOnDisk(cid: string): Promise<boolean> {
    const parsed = parseCid(cid)
    return parsed !== undefined && (await this.#components.blobs.held(parsed)) !== undefined
  }

  /** Some of these blobs of a file came here without the upper nodes that tell so. */
  async cameWith(root: string, parts: readonly string[]): Promise<void> {
    const { wants } = this.#components
    const here: string[] = []
    for (const part of parts) if (await this.#isOnDisk(part)) here.push(part)
    await wants.addParts(root, here)
    // It was removed while it was read: whoever marks its parts then did not know these.
    if ((await wants.ask(root)) === undefined) for (const cid of here) this.#orphans.set(cid, { sinceMs: this.#components.clock.monotonicMs(), removed: true })
  }

  async #learnParts(root: string): Promise<void> {
    const { blobs, wants, log } = this.#components
    const cid = parseCid(root)
    if (cid === undefined) return
    try {
      const parts = (await blobs.blobsOf(cid, { signal: this.#init.signal })).map((part) => part.cid.toString())
      await wants.addParts(root, parts)
      this.#unread.delete(root)
      this.#init.changed(parts)
    } catch (error) {
      this.#unread.add(root)
      log.debug('the parts of a file could not be read', { cid: root, error: messageOf(error) })
    }
  }

  async #heldSpine(entry: NewEntry): Promise<void> {
    try {
      await this.held(entry)
      this.#init.rescan()
    } catch (error) {
      this.#components.log.debug('a new file could not be looked at', { cid: entry.cid, error: messageOf(error) })
    }
  }

  /** Soon, together with whatever else is named meanwhile: many small files are put in one write, and told of in a row. */
  #seek(root: string): void {
    this.#sought.add(root)
    if (this.#seeking) return
    this.#seeking = true
    queueMicrotask(() => {
      void this.#lookForSought()
    })
  }

  async #lookForSought(): Promise<void> {
    while (this.#sought.size > 0) {
      const roots = [...this.#sought]
      this.#sought = new Set()
      for (let at = 0; at < roots.length; at += soughtAtOnce) await this.#lookFor(roots.slice(at, at + soughtAtOnce))
    }
    this.#seeking = false
  }

  async #lookFor(roots: readonly string[]): Promise<void> {
    const { blobs, log } = this.#components
    try {
      const came: string[] = []
      for (const held of await blobs.heldMany(roots.flatMap((root) => parseCid(root) ?? []))) {
        if (held === undefined) continue
        const entry = entryOf(held.cid.toString(), held)
        // The blobs below a spine came with it. What it is of is read from it, and nobody else waits for that.
        if (entry.kind === 'spine') void this.#heldSpine(entry)
        else if (this.#add(entry)) came.push(entry.cid)
      }
      if (came.length > 0) this.#init.changed(came)
    } catch (error) {
      log.debug('new files could not be looked at', { files: roots.length, error: messageOf(error) })
      // One of them may keep the others from being seen.
      if (roots.length > 1) for (const root of roots) await this.#lookFor([root])
    }
  }
}

function entryOf(cid: string, { kind, bytes, blocks, heldSinceMs }: HeldBlob): NewEntry {
  return { cid, kind, bytes, blocks, heldSinceMs }
}
