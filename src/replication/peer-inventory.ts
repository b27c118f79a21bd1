import type { Hash64 } from '../storage-policy/index.js'
import { decodeFingerprints, fingerprint, saltOf } from './fingerprint.js'
import type { Salt } from './fingerprint.js'
import { decodeRising } from './golomb.js'
import { inventoryEntriesMax, lowerBound, pageEntriesMax } from './inventory.js'
import { ReplicationError } from './types.js'
import type { InventoryDelta, InventoryResponse } from './wire/replication.js'

/** Unmerged changes; past this, and this share of all, they are sorted in: a merge reads the whole list. */
const looseMax = 1024
const looseShare = 1 / 16
/** Pages of one pull: all but the last are full, or a million pages of one entry would keep us asking for hours. */
const pagesMax = Math.ceil(inventoryEntriesMax / pageEntriesMax) + 1

/** What one other node says that it holds. */
export class PeerInventory {
  readonly saltValue: bigint
  readonly #salt: Salt
  readonly #entriesMax: number
  #version: number
  #sorted = new Float64Array(0)
  readonly #added = new Set<number>()
  readonly #removed = new Set<number>()

  private constructor(saltValue: bigint, version: number, entriesMax: number) {
    this.saltValue = saltValue
    this.#salt = saltOf(saltValue)
    this.#version = version
    this.#entriesMax = entriesMax
  }

  static of(salt: bigint, version: number, sorted: readonly number[], entriesMax: number): PeerInventory {
    const made = new PeerInventory(salt, version, entriesMax)
    made.#sorted = Float64Array.from(sorted)
    return made
  }

  get version(): number {
    return this.#version
  }

  get size(): number {
    return this.#sorted.length + this.#added.size
  }

  has(hash: Hash64): boolean {
    const value = fingerprint(hash, this.#salt)
    if (this.#added.has(value)) return true
    return !this.#removed.has(value) && this.#sorted[lowerBound(this.#sorted, value)] === value
  }

  /** Its own name for a blob, to look for in a delta. */
  fingerprintOf(hash: Hash64): number {
    return fingerprint(hash, this.#salt)
  }

  /** The fingerprints that changed, or undefined if the delta does not follow on what is known. Throws BAD_INPUT. */
  apply(delta: InventoryDelta, version: number): { added: Set<number>; removed: Set<number> } | undefined {
    if (delta.fromVersion > this.#version || version < this.#version) return undefined
    const added = decodeFingerprints(delta.added)
    const removed = decodeFingerprints(delta.removed)
    if (added === undefined || removed === undefined) throw new ReplicationError('BAD_INPUT', 'a fingerprint is cut off')
    if (this.size + added.length > this.#entriesMax) {
      throw new ReplicationError('BAD_INPUT', 'an inventory of too many entries', { entriesMax: this.#entriesMax })
    }
    for (const value of removed) {
      this.#added.delete(value)
      this.#removed.add(value)
    }
    for (const value of added) {
      this.#removed.delete(value)
      this.#added.add(value)
    }
    this.#version = version
    if (this.#added.size + this.#removed.size > Math.max(looseMax, looseShare * this.#sorted.length)) this.#merge()
    return { added: new Set(added), removed: new Set(removed) }
  }

  #merge(): void {
    const added = Float64Array.from(this.#added).sort()
    const values = new Float64Array(this.#sorted.length + added.length)
    let filled = 0
    let next = 0
    for (const value of this.#sorted) {
      while (next < added.length && (added[next] ?? 0) < value) values[filled++] = added[next++] ?? 0
      // In both: the one of `added` comes with the next.
      if (!this.#removed.has(value) && added[next] !== value) values[filled++] = value
    }
    while (next < added.length) values[filled++] = added[next++] ?? 0
    this.#sorted = values.slice(0, filled)
    this.#added.clear()
    this.#removed.clear()
  }
}

/** Collects the pages of one pull. */
export class InventoryPull {
  readonly #entriesMax: number
  #first: { salt: bigint; version: number } | undefined
  readonly #values: number[] = []
  #pages = 0
  #done = false

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax
  }

  /** Where the next page begins. */
  get after(): number {
    const last = this.#values[this.#values.length - 1]
    return last === undefined ? 0 : last + 1
  }

  get done(): boolean {
    return this.#done
  }

  /** Throws BAD_INPUT for a page that is not one, and when it gets to be too much. */
  take(response: InventoryResponse): void {
    const { page } = response
    if (page === undefined) throw new ReplicationError('BAD_INPUT', 'a page was asked for, and none came')
    this.#first ??= { salt: response.salt, version: response.version }
    if (this.#first.salt !== response.salt) throw new ReplicationError('ABORTED', 'the other node has started anew')
    if (++this.#pages > pagesMax) throw new ReplicationError('BAD_INPUT', 'an inventory of too many pages', { pagesMax })
    if (page.entries > pageEntriesMax || (page.entries === 0 && !page.last)) throw new ReplicationError('BAD_INPUT', 'a page of a wrong size')
    const values = decodeRising(page.coded, page.entries, this.after - 1, page.parameter)
    if (values === undefined) throw new ReplicationError('BAD_INPUT', 'the page is not what it says it is')
    if (this.#values.length + values.length > this.#entriesMax) {
      throw new ReplicationError('BAD_INPUT', 'an inventory of too many entries', { entriesMax: this.#entriesMax })
    }
    for (const value of values) this.#values.push(value)
    this.#done = page.last
  }

  /**
   * At the version of the first page: what changed while later pages were on their way comes with the next delta, which
   * may repeat what a page had already.
   */
  inventory(): PeerInventory {
    return PeerInventory.of(this.#first?.salt ?? 0n, this.#first?.version ?? 0, this.#values, this.#entriesMax)
  }
}
