import type { CID } from 'multiformats/cid'
import type { WriteOperation } from '../base/index.js'
import { CommonError } from '../base/index.js'
import type { BlockLog, BlockPlace } from './block-log.js'
import { afterPrefix, bytesOfMapKey, joined, mapKey } from './bytes.js'
import type { Database } from './database.js'
import type { DraftComponents } from './draft.js'
import { checkedKey, StoredDraft } from './draft.js'
import { matches } from './hashing.js'
import type { Held, HeldBlocks, Holder } from './held.js'
import { mark, marksNow, settle, take } from './index-changes.js'
import type { IndexEntry } from './records.js'
import { cidOf, decodeEntry } from './records.js'
import type { Transactions } from './transactions.js'
import { rows } from './transactions.js'
import type { BlockDraft, BlockStore } from './types.js'
import { StoreError } from './types.js'

export interface BlocksComponents extends DraftComponents {
  database: Database
  log: BlockLog
  held: HeldBlocks
  transactions: Transactions
  /** Called when there is garbage to give back. */
  onGarbage: () => void
}

export interface BlocksInit {
  /** Ids of the drafts that have markers on disk. */
  draftsOnDisk: readonly string[]
  draftBlocksInMemoryMax: number
  draftsBlocksInMemoryMax: number
  draftsOpenMax: number
}

/** A draft's id is part of a key, and is ended there by a zero byte. */
const draftIdBytesMax = 256
/** Index entries that one read of `list` brings: long enough to be cheap, short enough to hold nothing up. */
const listPage = 256
/** A block that moved while it was read (healed, or released and put again) is looked up again; this often at most. */
const lookupsMax = 8

/** The blocks: bytes in the log, everything else about them in the index, and what open drafts hold over both. */
export class Blocks implements BlockStore {
  readonly #components: BlocksComponents
  readonly #init: BlocksInit
  readonly #open = new Map<string, StoredDraft>()
  readonly #draftsOnDisk: Set<string>

  constructor(components: BlocksComponents, init: BlocksInit) {
    this.#components = components
    this.#init = init
    this.#draftsOnDisk = new Set(init.draftsOnDisk)
  }

  async get(cid: CID, options?: { signal?: AbortSignal }): Promise<Uint8Array> {
    options?.signal?.throwIfAborted()
    const bytes = await this.#read(checkedKey(cid))
    if (bytes === undefined) throw notFound(cid)
    return bytes
  }

  async getMany(cids: readonly CID[], { bytesMax = Number.POSITIVE_INFINITY }: { bytesMax?: number } = {}): Promise<(Uint8Array | undefined)[]> {
    const { held } = this.#components
    const asked = cids.map(checkedKey)
    const entries = await this.#components.transactions.readEntries(asked.filter((key) => held.get(key)?.place === undefined))
    let bytes = 0
    const tooMuch = asked.findIndex((key, i) => {
      const one = held.get(key)
      bytes += (one?.place === undefined ? entries.get(key)?.size : one.size) ?? 0
      return i > 0 && bytes > bytesMax
    })
    const keys = tooMuch === -1 ? asked : asked.slice(0, tooMuch)
    const places = keys.map((key) => held.get(key)?.place ?? placeOf(key, entries.get(key)))
    const found = await this.#components.log.getMany(places.filter((place) => place !== undefined))
    let next = 0
    const all = places.map((place) => (place === undefined ? undefined : found[next++]))
    // What was not there may have moved meanwhile, or be in a draft: the slow way knows.
    return Promise.all(keys.map(async (key, i) => all[i] ?? this.#read(key)))
  }

  async has(cid: CID): Promise<boolean> {
    return (await this.size(cid)) !== undefined
  }

  async size(cid: CID): Promise<number | undefined> {
    const key = checkedKey(cid)
    const held = this.#components.held.get(key)
    if (held?.place !== undefined && held.here) return held.size
    const entry = (await this.#components.transactions.readEntries([key])).get(key)
    return entry === undefined || entry.quarantined ? undefined : entry.size
  }

  async draft(id: string): Promise<BlockDraft> {
    const bytes = Buffer.byteLength(id)
    if (bytes === 0 || bytes > draftIdBytesMax || id.includes('\0') || Buffer.from(id).toString() !== id) {
      throw new CommonError('BAD_INPUT', `a draft needs an id of 1 to ${String(draftIdBytesMax)} bytes without a zero byte`, { bytes })
    }
    if (this.#open.has(id)) throw new CommonError('FORBIDDEN', `the draft ${id} is open already`, { draft: id })
    if (this.#open.size >= this.#init.draftsOpenMax) {
      throw new CommonError('OVERLOADED', 'too many drafts are open', { draftsOpenMax: this.#init.draftsOpenMax })
    }
    const draft: StoredDraft = new StoredDraft(this.#components, {
      id,
      marked: this.#draftsOnDisk.has(id),
      memoryBlocksMax: this.#init.draftBlocksInMemoryMax,
      memoryBlocksOfAllMax: this.#init.draftsBlocksInMemoryMax,
      onEnd: (left) => {
        this.#open.delete(id)
        if (left && draft.onDisk) this.#draftsOnDisk.add(id)
        else this.#draftsOnDisk.delete(id)
        if (!left) this.#components.onGarbage()
      },
    })
    this.#open.set(id, draft)
    return draft
  }

  async drafts(): Promise<string[]> {
    return [...new Set([...this.#open.keys(), ...this.#draftsOnDisk])].sort()
  }

  async release(cids: readonly CID[], operations: readonly WriteOperation[]): Promise<void> {
    const { held, transactions } = this.#components
    const counts = new Map<string, { count: number; cid: CID }>()
    for (const cid of cids) {
      const key = checkedKey(cid)
      const known = counts.get(key)
      counts.set(key, { count: (known?.count ?? 0) + 1, cid })
    }
    let given: [Holder, string][] = []
    await transactions.run({
      durable: true,
      operations,
      touches: () => counts.keys(),
      check: (work) => {
        for (const [key, { count, cid }] of counts) {
          if ((work.entry(key)?.references ?? 0) < count) throw new StoreError('NOT_FOUND', `nothing refers to block ${cid.toString()} as often as is to be released`, { cid: cid.toString() })
        }
      },
      apply: (work) => {
        given = []
        for (const [key, { count }] of counts) {
          const entry = work.entry(key)
          if (entry === undefined) continue
          work.set(key, { ...entry, references: entry.references - count })
          for (const holder of settle(work, key, held)) given.push([holder, key])
        }
      },
      done: () => {
        for (const [holder, key] of given) holder.marked(key)
      },
    })
    this.#components.onGarbage()
  }

  async verify(cid: CID): Promise<boolean> {
    const key = checkedKey(cid)
    const found = await this.#lookUp(key)
    if (found === undefined) throw notFound(cid)
    const bytes = await this.#components.log.get(found).catch((error: unknown) => {
      // A table that LevelDB cannot read is as good as wrong bytes; a disk that does not answer is not.
      if (error instanceof StoreError && error.code === 'CORRUPT') return undefined
      throw error
    })
    if (bytes !== undefined && (await matches(key, bytes))) return true
    return !(await this.#quarantine(key, found, bytes === undefined))
  }

  async quarantined(): Promise<CID[]> {
    const end = afterPrefix(rows.quarantine)
    const keys = await this.#components.database.read(async (level) =>
      level.keys({ gte: rows.quarantine, ...(end === undefined ? {} : { lt: end }), fillCache: false }).all(),
    )
    const mapKeys = keys.map((key) => mapKey(key.subarray(rows.quarantine.length)))
    const entries = await this.#components.transactions.readEntries(mapKeys, () => undefined)
    return mapKeys.flatMap((key) => {
      const entry = entries.get(key)
      return entry === undefined ? [] : [cidOf(entry.codec, bytesOfMapKey(key))]
    })
  }

  async heal(cid: CID, bytes: Uint8Array): Promise<void> {
    const { admit, log, transactions } = this.#components
    const key = checkedKey(cid)
    const entry = (await transactions.readEntries([key])).get(key)
    if (entry === undefined) throw notFound(cid)
    if (!entry.quarantined) return
    const appended = await admit(bytes.length)
    const { place, written } = log.append(entry.codec, bytesOfMapKey(key), bytes)
    appended()
    const garbage = { ...place, size: bytes.length }
    try {
      await written
      await transactions.run({
        durable: true,
        operations: [],
        places: () => true,
        touches: () => [key],
        apply: (work) => {
          // Released while it was on its way: the bytes are not wanted any more.
          if (work.entry(key) === undefined) work.garbage(garbage)
          else {
            const healed = take(work, key, { place, size: bytes.length })
            if (healed !== undefined) work.set(key, healed)
          }
        },
      })
    } catch (error) {
      transactions.orphan(garbage)
      throw error
    }
    this.#components.onGarbage()
  }

  async *list(options: { after?: CID } = {}): AsyncIterable<{ cid: CID; size: number }> {
    const { database } = this.#components
    const end = afterPrefix(rows.index)
    let after = options.after === undefined ? undefined : joined(rows.index, bytesOfMapKey(checkedKey(options.after)))
    // In pages of their own rather than one long iterator: a scrub takes days, and an iterator keeps deleted space alive.
    while (true) {
      const page = await database.read(async (level) =>
        level.iterator({ ...(after === undefined ? { gte: rows.index } : { gt: after }), ...(end === undefined ? {} : { lt: end }), limit: listPage, fillCache: false }).all(),
      )
      for (const [key, value] of page) {
        after = key
        const listed = listedOf(key.slice(rows.index.length), value)
        if (listed !== undefined) yield listed
      }
      if (page.length < listPage) return
    }
  }

  /** Before closing: drafts go to disk as they are. */
  async park(): Promise<void> {
    await Promise.all([...this.#open.values()].map(async (draft) => draft.park()))
  }

  async #read(key: string): Promise<Uint8Array | undefined> {
    for (let lookup = 0; lookup < lookupsMax; lookup++) {
      const place = await this.#lookUp(key)
      if (place === undefined) return undefined
      const bytes = await this.#components.log.get(place)
      if (bytes !== undefined) return bytes
      const now = await this.#lookUp(key)
      if (now?.sequence !== place.sequence) continue
      // The index promises bytes that are not there: the disk lost them. Better to say so than to promise again.
      await this.#quarantine(key, place, true)
      return undefined
    }
    throw new CommonError('UNAVAILABLE', 'the block moves faster than it can be read')
  }

  async #lookUp(key: string): Promise<BlockPlace | undefined> {
    const held = this.#components.held.get(key)
    if (held !== undefined) {
      const here = await held.ready.catch(() => false)
      if (here && held.place !== undefined) return held.place
    }
    return placeOf(key, (await this.#components.transactions.readEntries([key])).get(key))
  }

  /** True if it was done: the entry still said what it said. */
  async #quarantine(key: string, place: BlockPlace, missing: boolean): Promise<boolean> {
    const { held, transactions } = this.#components
    let done = false
    let marked: Holder[] = []
    let fresh: Held | undefined
    await transactions.run({
      durable: true,
      operations: [],
      places: () => held.get(key)?.place !== undefined,
      touches: () => [key],
      apply: (work) => {
        fresh = placedNow(held.get(key))
        if (fresh?.place?.sequence !== place.sequence) fresh = undefined
        const entry = fresh === undefined ? work.entry(key) : take(work, key, fresh)
        done = entry !== undefined && !entry.quarantined && entry.sequence === place.sequence
        if (!done || entry === undefined) return
        work.set(key, { ...entry, quarantined: true, missing })
        // A block that only drafts hold goes to quarantine in their name.
        marked = fresh === undefined ? [] : [...fresh.holders].filter((holder) => !marksNow(work, key, holder.id))
        for (const holder of marked) {
          const now = work.entry(key)
          if (now !== undefined) mark(work, key, now, holder.id)
        }
      },
      done: () => {
        if (fresh !== undefined) held.indexed(fresh)
        for (const holder of marked) holder.marked(key)
      },
    })
    return done
  }
}

/** Undefined for what is in quarantine, and for a row that is damaged: it ends no list of all others. */
function listedOf(multihash: Uint8Array, value: Uint8Array): { cid: CID; size: number } | undefined {
  try {
    const entry = decodeEntry(value)
    return entry.quarantined ? undefined : { cid: cidOf(entry.codec, multihash), size: entry.size }
  } catch {
    return undefined
  }
}

function placedNow(held: Held | undefined): Held | undefined {
  return held?.place !== undefined && held.here ? held : undefined
}

function placeOf(key: string, entry: IndexEntry | undefined): BlockPlace | undefined {
  if (entry === undefined || entry.quarantined) return undefined
  return { sequence: entry.sequence, codec: entry.codec, multihash: bytesOfMapKey(key) }
}

function notFound(cid: CID | undefined): StoreError {
  const text = cid?.toString() ?? ''
  return new StoreError('NOT_FOUND', `block ${text} is not here`, { cid: text })
}
