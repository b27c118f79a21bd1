import type { Hash64 } from '../storage-policy/index.js'
import { hashName } from '../storage-policy/index.js'
import type { Salt } from './fingerprint.js'
import { encodeFingerprints, fingerprint, fingerprintsMax, saltValue } from './fingerprint.js'
import { encodeRising, riceParameter } from './golomb.js'
import type { InventoryDelta, InventoryRequest, InventoryResponse } from './wire/replication.js'

/** One blob that this node holds. */
export interface HeldEntry {
  readonly cid: string
  readonly kind: 'dag' | 'spine'
  readonly bytes: number
  readonly blocks: number
  readonly heldSinceMs: number
  lastUsedMs: number
  readonly hash: Hash64
  /** The last reading of the disk that came across it. */
  seenInScan: number
}

/** What is on the disk about it. */
export type NewEntry = Omit<HeldEntry, 'hash' | 'lastUsedMs' | 'seenInScan'>

/** Changes remembered, so that who is a little behind gets the difference: 64 KB, an hour of a busy node. */
const changesMax = 4096
/** 200 KB of coded fingerprints at most in one answer. */
export const pageEntriesMax = 40_000
/** A million blobs at one node is more than the biggest disk here holds in files of 1 MiB. 8 MB in memory. */
export const inventoryEntriesMax = 2 ** 20

/** What this node holds, as others are told of it: a salted set of fingerprints with a version that grows by one a change. */
export class Inventory {
  readonly salt: Salt
  #version = 0
  readonly #held = new Map<string, HeldEntry>()
  /** Of those, the spines: few, and looked through by themselves. */
  readonly #spines = new Set<HeldEntry>()
  /** The change that made version `#version − length + 1 + i`. */
  readonly #changes: { fingerprint: number; added: boolean }[] = []
  /** Of the version that it was made for. */
  #sorted: { version: number; values: number[] } | undefined

  constructor(salt: Salt) {
    this.salt = salt
  }

  get version(): number {
    return this.#version
  }

  get size(): number {
    return this.#held.size
  }

  get(cid: string): HeldEntry | undefined {
    return this.#held.get(cid)
  }

  entries(): IterableIterator<HeldEntry> {
    return this.#held.values()
  }

  spines(): IterableIterator<HeldEntry> {
    return this.#spines.values()
  }

  /** False if it was there. */
  add({ cid, kind, bytes, blocks, heldSinceMs }: NewEntry): boolean {
    if (this.#held.has(cid)) return false
    const hash = hashName(cid)
    // Field by field: V8 gives each object that is made by spreading and adding a layout of its own, 300 bytes more a blob.
    const entry: HeldEntry = { cid, kind, bytes, blocks, heldSinceMs, lastUsedMs: heldSinceMs, hash, seenInScan: 0 }
    this.#held.set(cid, entry)
    if (kind === 'spine') this.#spines.add(entry)
    this.#changed(hash, true)
    return true
  }

  remove(cid: string): boolean {
    const entry = this.#held.get(cid)
    if (entry === undefined) return false
    this.#held.delete(cid)
    this.#spines.delete(entry)
    this.#changed(entry.hash, false)
    return true
  }

  /** What changed since `version`, or undefined if that is forgotten or more than `entriesMax`. */
  delta(version: number, entriesMax: number): InventoryDelta | undefined {
    const count = this.#version - version
    if (count < 0 || count > this.#changes.length || count > entriesMax) return undefined
    const last = new Map<number, boolean>()
    for (const change of this.#changes.slice(this.#changes.length - count)) last.set(change.fingerprint, change.added)
    const pick = (added: boolean): Uint8Array =>
      encodeFingerprints([...last].filter(([, one]) => one === added).map(([value]) => value))
    return { fromVersion: version, added: pick(true), removed: pick(false) }
  }

  /** The answer to `replication.inventory`. */
  answer(request: InventoryRequest): InventoryResponse {
    const base = { salt: saltValue(this.salt), version: this.#version }
    if (request.salt === base.salt && request.after === 0) {
      const delta = this.delta(request.version, changesMax)
      if (delta !== undefined) return { ...base, delta }
    }
    const values = this.#sortedValues()
    const from = lowerBound(values, request.after)
    const page = values.slice(from, from + pageEntriesMax)
    const last = from + page.length >= values.length
    const end = last ? fingerprintsMax : (page[page.length - 1] ?? 0) + 1
    const parameter = riceParameter(page.length, end - request.after)
    return { ...base, page: { entries: page.length, parameter, coded: encodeRising(page, request.after - 1, parameter), last } }
  }

  #sortedValues(): number[] {
    if (this.#sorted?.version !== this.#version) {
      const values = [...new Set([...this.#held.values()].map((entry) => fingerprint(entry.hash, this.salt)))]
      values.sort((a, b) => a - b)
      this.#sorted = { version: this.#version, values }
    }
    return this.#sorted.values
  }

  #changed(hash: Hash64, added: boolean): void {
    this.#version++
    this.#changes.push({ fingerprint: fingerprint(hash, this.salt), added })
    if (this.#changes.length > 2 * changesMax) this.#changes.splice(0, changesMax)
  }
}

/** The index of the first value that is at least `wanted`. */
export function lowerBound(values: ArrayLike<number>, wanted: number): number {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((values[middle] ?? 0) < wanted) low = middle + 1
    else high = middle
  }
  return low
}
