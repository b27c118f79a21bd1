import type { CID } from 'multiformats/cid'
import type { WriteOperation } from '../base/index.js'
import { CommonError } from '../base/index.js'
import type { BlockLog } from './block-log.js'
import { mapKey } from './bytes.js'
import type { Database } from './database.js'
import type { Held, HeldBlocks, Holder } from './held.js'
import { mark, markerKey, marksNow, refer, settle, take, unmark } from './index-changes.js'
import type { Garbage } from './records.js'
import type { Transactions } from './transactions.js'
import type { BlockDraft, NewBlock } from './types.js'
import { StoreError } from './types.js'

export interface DraftComponents {
  database: Database
  log: BlockLog
  held: HeldBlocks
  transactions: Transactions
  /** Throws NO_SPACE if the store may not grow by a block of this size. Resolves to what is called when it was appended. */
  admit: (bytes: number) => Promise<() => void>
}

export interface DraftInit {
  id: string
  /** Blocks of this draft have markers on disk, from before. */
  marked: boolean
  /** Blocks that a draft keeps in memory only, and all drafts together; above either the draft flushes itself. */
  memoryBlocksMax: number
  memoryBlocksOfAllMax: number
  /** The draft object is done with; `left` if what it holds stays on disk as a draft. */
  onEnd: (left: boolean) => void
}

/** No hash in use is longer; the tail record has one byte for the length. */
const multihashBytesMax = 128

/** Refuses what cannot be a key of the index: BAD_INPUT. */
export function checkedKey(cid: CID): string {
  if (cid.multihash.bytes.length > multihashBytesMax) {
    throw new CommonError('BAD_INPUT', 'the CID is too long', { bytes: cid.multihash.bytes.length, bytesMax: multihashBytesMax })
  }
  return mapKey(cid.multihash.bytes)
}

/** Of version 0 all are dag-pb. */
function codecOf(cid: CID): number {
  return cid.version === 0 ? 0x70 : cid.code
}

type KeyedBlock = NewBlock & { readonly key: string }

/**
 * A draft keeps its new blocks in memory (their place in the log, not their bytes) until `flush` or `commit`, so that a
 * small file that is put and committed at once costs one batch and leaves no marker behind. After a crash such blocks
 * are garbage behind the mark. `flush` puts them into the index, each with a marker of this draft; `commit` finds the
 * markers again and turns them into references.
 *
 * A draft's own calls wait for one another where they must: `commit`, `flush` and `abort` for the puts before them.
 */
export class StoredDraft implements BlockDraft, Holder {
  readonly #components: DraftComponents
  readonly #init: DraftInit
  readonly #mine = new Map<string, Held>()
  readonly #putting = new Set<Promise<unknown>>()
  /** Blocks that were brought again although their marker is on disk: theirs were in quarantine. */
  readonly #broughtAgain = new Set<string>()
  #marked: boolean
  #ended = false
  #ending = false
  #turn: Promise<unknown> = Promise.resolve()
  #flushing: Promise<void> | undefined

  constructor(components: DraftComponents, init: DraftInit) {
    this.#components = components
    this.#init = init
    this.#marked = init.marked
  }

  get id(): string {
    return this.#init.id
  }

  /** Its markers are on disk: it would outlive a crash. */
  get onDisk(): boolean {
    return this.#marked
  }

  async put(cid: CID, bytes: Uint8Array): Promise<void> {
    const key = checkedKey(cid)
    this.#open()
    await this.#track(this.#put(key, cid, bytes))
    await this.#flushIfLarge()
  }

  async putMany(blocks: readonly NewBlock[]): Promise<void> {
    const keyed = blocks.map((block): KeyedBlock => ({ ...block, key: checkedKey(block.cid) }))
    this.#open()
    await this.#track(this.#putMany(keyed))
    await this.#flushIfLarge()
  }

  async adopt(cid: CID): Promise<boolean> {
    const key = checkedKey(cid)
    this.#open()
    return this.#track(this.#adopt(key))
  }

  async flush(): Promise<void> {
    this.#open()
    await this.#inTurn(async () => this.#flush())
  }

  async commit(operations: readonly WriteOperation[]): Promise<void> {
    this.#open()
    await this.#last(async () => {
      const { transactions } = this.#components
      let marked: string[] = []
      let committed: Held[] = []
      await transactions.run({
        durable: true,
        operations,
        prepare: async () => {
          marked = await this.#markers()
        },
        places: () => this.#bringsPlaces(),
        touches: () => [...this.#mine.keys(), ...marked],
        check: (work) => {
          committed = [...this.#mine.values()]
          for (const key of [...committed.filter(({ place }) => place === undefined).map((held) => held.key), ...marked]) {
            if (work.entry(key) === undefined) throw new StoreError('NOT_FOUND', 'a block of the draft is gone', { draft: this.id })
          }
        },
        apply: (work) => {
          for (const held of committed) {
            const entry = take(work, held.key, held)
            // One that has a marker gets its reference below.
            if (entry !== undefined && this.#broughtAgain.has(held.key)) work.set(held.key, entry)
            else if (entry !== undefined) refer(work, held.key, entry)
            if (marksNow(work, held.key, this.id)) unmark(work, held.key, this.id)
          }
          for (const key of marked) {
            const entry = work.entry(key)
            if (entry !== undefined) refer(work, key, entry)
            unmark(work, key, this.id)
          }
        },
        done: () => {
          for (const held of committed) this.#indexed(held)
        },
      })
    })
  }

  async abort(): Promise<void> {
    if (this.#ended) return
    await this.#last(async () => {
      const { held: overlay, transactions } = this.#components
      let marked: string[] = []
      const given: [Holder, string][] = []
      let garbage: Garbage[] = []
      try {
        await transactions.run({
          durable: true,
          operations: [],
          prepare: async () => {
            marked = await this.#markers()
          },
          touches: () => [...this.#mine.keys(), ...marked],
          apply: (work) => {
            // The overlay forgets at once: whoever brings the same block from now on must bring the bytes.
            for (const held of this.#mine.values()) {
              if (marksNow(work, held.key, this.id)) unmark(work, held.key, this.id)
              const { place, size } = held
              if (held.holders.size > 1) overlay.leave(held, this)
              else overlay.forget(held)
              if (held.holders.size === 0 && place !== undefined) garbage.push({ ...place, size })
            }
            const adopted = [...this.#mine.keys()]
            this.#mine.clear()
            for (const key of marked) unmark(work, key, this.id)
            for (const key of [...adopted, ...marked]) {
              for (const holder of settle(work, key, overlay, this)) given.push([holder, key])
            }
            for (const one of garbage) if (!work.refersTo(one)) work.garbage(one)
          },
          done: () => {
            garbage = []
            for (const [holder, key] of given) holder.marked(key)
          },
        })
      } catch (error) {
        for (const one of garbage) transactions.orphan(one)
        throw error
      }
    })
  }

  marked(key: string): void {
    this.#marked = true
    const held = this.#mine.get(key)
    if (held === undefined) return
    this.#mine.delete(key)
    this.#components.held.leave(held, this)
  }

  /** Before the store closes: what is in memory goes to disk, and the draft can be opened again later. */
  async park(): Promise<void> {
    if (this.#ended) return
    await this.#last(async () => this.#flush(), true)
  }

  async #put(key: string, cid: CID, bytes: Uint8Array): Promise<void> {
    const { held: overlay } = this.#components
    while (true) {
      if (await this.#has(key)) return
      const other = overlay.get(key)
      if (other !== undefined) {
        if (await this.#join(key, other)) return
        continue
      }
      await this.#bring(key, async (held) => {
        if (await this.#isThere(key)) return true
        await this.#components.log.room()
        const appended = await this.#components.admit(bytes.length)
        const { place, written } = this.#components.log.append(codecOf(cid), cid.multihash.bytes, bytes)
        appended()
        overlay.placed(held, place, bytes.length)
        try {
          await written
        } catch (error) {
          this.#components.transactions.orphan({ ...place, size: bytes.length })
          throw error
        }
        return true
      })
      return
    }
  }

  /** What nobody holds yet is brought together; the rest is looked at one by one. */
  async #putMany(blocks: readonly KeyedBlock[]): Promise<void> {
    const { held: overlay } = this.#components
    const fresh = new Map<string, KeyedBlock>()
    const others = new Map<string, KeyedBlock>()
    for (const block of blocks) {
      const isKnown = this.#marked || this.#mine.has(block.key) || overlay.get(block.key) !== undefined
      ;(isKnown ? others : fresh).set(block.key, block)
    }
    if (fresh.size > 0) await this.#bringMany([...fresh.values()])
    for (const { key, cid, bytes } of others.values()) await this.#put(key, cid, bytes)
  }

  /** All enter the overlay before the index is asked, once for all of them; if one fails, all do. */
  async #bringMany(blocks: readonly KeyedBlock[]): Promise<void> {
    const { held: overlay } = this.#components
    const all = blocks.map((block) => {
      const held: Held = { key: block.key, place: undefined, size: 0, here: false, holders: new Set([this]), ready: Promise.resolve(true) }
      overlay.add(held)
      this.#mine.set(block.key, held)
      return { ...block, held }
    })
    const ready = this.#append(all).then(() => {
      for (const { held } of all) held.here = true
      return true
    })
    for (const { held } of all) held.ready = ready
    try {
      await ready
    } catch (error) {
      for (const { key, held } of all) {
        overlay.forget(held)
        this.#leave(key, held)
      }
      throw error
    }
  }

  /** Writes those that the index has not. What was written when one fails is nobody's. */
  async #append(blocks: readonly (KeyedBlock & { held: Held })[]): Promise<void> {
    const { held: overlay, log, transactions, admit } = this.#components
    const keys = blocks.map(({ key }) => key)
    await transactions.allSettled(keys)
    const entries = await transactions.readEntries(keys)
    const writes: { written: Promise<void>; garbage: Garbage }[] = []
    try {
      for (const { key, cid, bytes, held } of blocks) {
        if (entries.get(key)?.quarantined === false) continue
        await log.room()
        const appended = await admit(bytes.length)
        const { place, written } = log.append(codecOf(cid), cid.multihash.bytes, bytes)
        appended()
        // It may fail before the others are there: that is told below.
        written.catch(() => undefined)
        overlay.placed(held, place, bytes.length)
        writes.push({ written, garbage: { ...place, size: bytes.length } })
      }
      await Promise.all(writes.map(async ({ written }) => written))
    } catch (error) {
      await Promise.allSettled(writes.map(async ({ written }) => written))
      for (const { garbage } of writes) transactions.orphan(garbage)
      throw error
    }
  }

  async #adopt(key: string): Promise<boolean> {
    while (true) {
      if (await this.#has(key)) return true
      const other = this.#components.held.get(key)
      if (other !== undefined) {
        if (await this.#join(key, other)) return true
        continue
      }
      return this.#bring(key, async () => this.#isThere(key))
    }
  }

  /** The draft has it already. */
  async #has(key: string): Promise<boolean> {
    const mine = this.#mine.get(key)
    if (mine !== undefined) return mine.ready
    if (!this.#marked) return false
    const marker = markerKey(this.id, key)
    if (!(await this.#components.database.read(async (level) => level.has(marker)))) return false
    if (await this.#isThere(key)) return true
    this.#broughtAgain.add(key)
    return false
  }

  async #isThere(key: string): Promise<boolean> {
    const { transactions } = this.#components
    await transactions.settled(key)
    const entry = (await transactions.readEntries([key])).get(key)
    return entry !== undefined && !entry.quarantined
  }

  /** Holds together with another draft. False if that one did not get it either. */
  async #join(key: string, held: Held): Promise<boolean> {
    held.holders.add(this)
    this.#mine.set(key, held)
    const here = await held.ready.catch(() => false)
    if (!here) this.#leave(key, held)
    return here
  }

  async #bring(key: string, find: (held: Held) => Promise<boolean>): Promise<boolean> {
    const { held: overlay } = this.#components
    const held: Held = { key, place: undefined, size: 0, here: false, holders: new Set([this]), ready: Promise.resolve(true) }
    overlay.add(held)
    this.#mine.set(key, held)
    held.ready = find(held).then((here) => (held.here = here))
    try {
      const here = await held.ready
      if (!here) {
        overlay.forget(held)
        this.#leave(key, held)
      }
      return here
    } catch (error) {
      overlay.forget(held)
      this.#leave(key, held)
      throw error
    }
  }

  #leave(key: string, held: Held): void {
    if (this.#mine.get(key) === held) this.#mine.delete(key)
    this.#components.held.leave(held, this)
  }

  async #flush(): Promise<void> {
    // Puts may go on beside a flush: what is not written yet, the sync that it begins with may not cover, and is for the next.
    const here = [...this.#mine.values()].filter((held) => held.here)
    if (here.length === 0) return
    const { transactions } = this.#components
    let flushed: Held[] = []
    await transactions.run({
      durable: true,
      operations: [],
      places: () => here.some(({ place }) => place !== undefined),
      touches: () => here.map(({ key }) => key),
      apply: (work) => {
        // Some may have got their markers from others meanwhile.
        flushed = here.filter((held) => this.#mine.get(held.key) === held)
        for (const held of flushed) {
          const entry = take(work, held.key, held)
          if (entry !== undefined && (this.#broughtAgain.has(held.key) || marksNow(work, held.key, this.id))) work.set(held.key, entry)
          else if (entry !== undefined) mark(work, held.key, entry, this.id)
        }
      },
      done: () => {
        for (const held of flushed) {
          this.#components.held.indexed(held)
          this.#broughtAgain.delete(held.key)
          this.marked(held.key)
        }
      },
    })
  }

  #bringsPlaces(): boolean {
    for (const { place } of this.#mine.values()) if (place !== undefined) return true
    return false
  }

  #indexed(held: Held): void {
    const { held: overlay } = this.#components
    overlay.leave(held, this)
    overlay.indexed(held)
    this.#mine.delete(held.key)
  }

  async #markers(): Promise<string[]> {
    if (!this.#marked) return []
    const first = markerKey(this.id, '')
    const end = first.slice()
    end[end.length - 1] = 1
    const keys = await this.#components.database.read(async (level) => level.keys({ gte: first, lt: end, fillCache: false }).all())
    return keys.map((key) => mapKey(key.subarray(first.length)))
  }

  async #flushIfLarge(): Promise<void> {
    const { memoryBlocksMax, memoryBlocksOfAllMax } = this.#init
    const tooMany = this.#mine.size >= memoryBlocksMax || (this.#components.held.count >= memoryBlocksOfAllMax && this.#mine.size > 0)
    if (!tooMany || this.#ended) return
    this.#flushing ??= this.#inTurn(async () => this.#flush()).finally(() => {
      this.#flushing = undefined
    })
    await this.#flushing
  }

  #open(): void {
    if (this.#ended || this.#ending) throw new StoreError('CLOSED', `the draft ${this.id} has ended`, { draft: this.id })
  }

  /** What ends the draft if it succeeds. Nothing is taken meanwhile; if it fails, the draft is as it was. */
  async #last(work: () => Promise<void>, left = false): Promise<void> {
    this.#ending = true
    try {
      await this.#inTurn(async () => {
        await work()
        this.#ended = true
        this.#init.onEnd(left)
      })
    } finally {
      this.#ending = false
    }
  }

  async #track<T>(putting: Promise<T>): Promise<T> {
    this.#putting.add(putting)
    try {
      return await putting
    } finally {
      this.#putting.delete(putting)
    }
  }

  /** One after another, each after the puts that were under way when it was called. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    const putting = [...this.#putting]
    const turn = this.#turn.then(async () => {
      await Promise.allSettled(putting)
      if (!this.#ended) await work()
    })
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}
