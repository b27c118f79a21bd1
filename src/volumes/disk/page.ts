import { blockBytes } from '../geometry.js'
import type { Content, Version } from '../replica-types.js'
import type { RecordReader, RecordWriter } from './bytes.js'
import { damaged } from './bytes.js'
import { unitOf } from './rows.js'

/**
 * The index of 256 blocks (1 MiB): for each block where its newest content is in the log, of which version, and, below
 * it, what a cut could still bring back. A page is read, kept and written as one; a page that nothing was ever written to
 * does not exist, so that a volume costs what was written to it.
 *
 * Assumption: versions of one block are told apart by (token, sequence), and the higher is the newer, in whatever order
 * they come. Older versions are kept only under versions that are not settled yet, hence few.
 *
 * Road not taken: an interval map. It is smaller where writes are long, but random writes of 4 KiB, which are what hurts,
 * make it a tree of thousands of objects; flat arrays cost 6.5 KiB a page whatever is written.
 */
export const pageBlocks = 256

/** 0: nothing known. `unknown` is said of a block whose content was lost by a cut. */
export const contentCodes = { none: 0, data: 1, zeroes: 2, hole: 3, unknown: 4 } as const
const contentNames: readonly (Content | 'unknown' | undefined)[] = [undefined, 'data', 'zeroes', 'hole', 'unknown']
const contentMask = 7
/** Came by `install`: it says nothing about what was there before it. */
export const installedFlag = 8
/** Moved by compaction: its position does not tell any more when it came. */
export const carriedFlag = 16
/** Found damaged; kept in memory only, since the next read finds it again. */
const damagedFlag = 32

export interface Stored extends Version {
  /** Of the row in the log. */
  readonly position: number
  /** Blocks before this one in the row. */
  readonly skip: number
  /** Content code and flags. */
  readonly info: number
}

const lost: Stored = { position: 0, skip: 0, token: 0, sequence: 0, info: contentCodes.unknown }

export interface PageContext {
  /** No cut can take away this version any more. */
  isSettled(token: number, sequence: number): boolean
  /** Whether `below` was what stood directly under `removed`, as far as this disk can know. */
  follows(removed: Stored, below: Stored | undefined): boolean
}

export function isNewer(a: Version, b: Version): boolean {
  return a.token > b.token || (a.token === b.token && a.sequence > b.sequence)
}

function isSame(a: Version, b: Version): boolean {
  return a.token === b.token && a.sequence === b.sequence
}

function codeOfInfo(info: number): number {
  return info & contentMask
}

export class Page {
  readonly number: number
  /** All rows of the log up to here are in it. */
  checkpoint = 0
  dirty = false
  /** Bytes by unit of the log that this page needs more, or less, than at its last checkpoint: see units.ts. */
  readonly deltas = new Map<number, number>()
  readonly #positions = new Float64Array(pageBlocks)
  readonly #tokens = new Float64Array(pageBlocks)
  readonly #sequences = new Float64Array(pageBlocks)
  readonly #skips = new Uint8Array(pageBlocks)
  readonly #infos = new Uint8Array(pageBlocks)
  /** Below the newest version, newest first. */
  #older: Map<number, Stored[]> | undefined

  readonly #account: (unit: number, bytes: number) => void

  /** `account` is told of bytes in a unit of the log that this page begins or ceases to need. */
  constructor(number: number, account: (unit: number, bytes: number) => void) {
    this.number = number
    this.#account = account
  }

  isEmpty(): boolean {
    return this.#infos.every((info) => info === 0)
  }

  /** Blocks with versions that a cut could bring back. */
  get shadowed(): number {
    return this.#older?.size ?? 0
  }

  content(block: number): Content | 'unknown' | undefined {
    return contentNames[codeOfInfo(this.#infos[block] ?? 0)]
  }

  newest(block: number): Stored | undefined {
    const info = this.#infos[block] ?? 0
    if (info === 0) return undefined
    return {
      position: this.#positions[block] ?? 0,
      skip: this.#skips[block] ?? 0,
      token: this.#tokens[block] ?? 0,
      sequence: this.#sequences[block] ?? 0,
      info,
    }
  }

  /** Whether block `b` continues the run that `a` = b − 1 is in: same row or same kind of nothing. */
  continues(b: number): boolean {
    const a = b - 1
    const code = codeOfInfo(this.#infos[b] ?? 0)
    if (code !== codeOfInfo(this.#infos[a] ?? 0)) return false
    if (this.#tokens[a] !== this.#tokens[b] || this.#sequences[a] !== this.#sequences[b]) return false
    return code !== contentCodes.data || (this.#positions[a] === this.#positions[b] && (this.#skips[a] ?? 0) + 1 === this.#skips[b])
  }

  isDamaged(block: number): boolean {
    return ((this.#infos[block] ?? 0) & damagedFlag) !== 0
  }

  markDamaged(block: number, position: number): void {
    if (this.#positions[block] === position) this.#infos[block] = (this.#infos[block] ?? 0) | damagedFlag
  }

  /** A newer version becomes the newest; an older one goes where it belongs; one that is there replaces a damaged one. */
  put(block: number, stored: Stored, context: PageContext): void {
    const current = this.newest(block)
    if (current !== undefined && isSame(current, stored)) {
      if (this.isDamaged(block)) this.#replaceNewest(block, current, stored)
      return
    }
    if (current !== undefined && isNewer(current, stored)) {
      this.#insert(block, current, stored, context)
      return
    }
    this.#count(stored, 1)
    if (current !== undefined) {
      if (context.isSettled(stored.token, stored.sequence)) {
        this.#count(current, -1)
        this.#dropOlder(block, 0)
      } else {
        this.#older ??= new Map()
        const older = this.#older.get(block)
        if (older === undefined) this.#older.set(block, [current])
        else older.unshift(current)
        if (context.isSettled(current.token, current.sequence)) this.#dropOlder(block, 1)
      }
    }
    this.#set(block, stored)
  }

  /** The same content at another place of the log. */
  carry(block: number, moved: Stored): void {
    const current = this.newest(block)
    if (current !== undefined && isSame(current, moved)) {
      this.#replaceNewest(block, current, { ...moved, info: current.info | carriedFlag })
      return
    }
    const older = this.#older?.get(block)
    const at = older?.findIndex((version) => isSame(version, moved)) ?? -1
    const before = older?.[at]
    if (older === undefined || before === undefined) return
    this.#count(before, -1)
    this.#count(moved, 1)
    older[at] = { ...moved, info: before.info | carriedFlag }
  }

  /** Versions of the block for which `isGone` go for good. What they had overwritten is back, or, if that is not here, nothing is known. */
  discard(block: number, isGone: (stored: Stored) => boolean, context: PageContext): void {
    const current = this.newest(block)
    if (current === undefined) return
    const all = [current, ...(this.#older?.get(block) ?? [])]
    const kept = all.filter((version) => !isGone(version))
    if (kept.length === all.length) return
    const top = kept[0]
    const above = all.slice(0, top === undefined ? all.length : all.indexOf(top))
    for (const version of all) if (isGone(version)) this.#count(version, -1)
    if (above.length > 0 && above.some((removed) => !context.follows(removed, top))) {
      for (const version of kept) this.#count(version, -1)
      this.#setOlder(block, [])
      this.#set(block, lost)
      return
    }
    this.#setOlder(block, kept.slice(1))
    this.#set(block, top)
  }

  /**
   * The newest content of every block is right, and nothing is known of what lay under it, but for what came after
   * `doubt`: a cut that goes below that finds nothing.
   */
  confirm(doubt: number, context: PageContext): void {
    for (let block = 0; block < pageBlocks; block++) {
      const current = this.newest(block)
      if (current === undefined || context.isSettled(current.token, current.sequence)) continue
      const older = this.#older?.get(block) ?? []
      const known = older.findIndex((version) => version.position <= doubt || (version.info & carriedFlag) !== 0)
      const kept = older.slice(0, known < 0 ? older.length : known)
      const settled = kept.some((version) => context.isSettled(version.token, version.sequence))
      for (const version of older.slice(kept.length)) this.#count(version, -1)
      this.#setOlder(block, settled ? kept : [...kept, lost])
    }
  }

  forget(block: number): void {
    const current = this.newest(block)
    if (current === undefined) return
    this.#count(current, -1)
    this.#dropOlder(block, 0)
    this.#set(block, undefined)
  }

  /** What lies under a settled version goes. */
  prune(context: PageContext): void {
    if (this.#older === undefined) return
    for (const [block, older] of this.#older) {
      const current = this.newest(block)
      if (current === undefined) continue
      const settled = [current, ...older].findIndex((version) => context.isSettled(version.token, version.sequence))
      if (settled >= 0 && settled < older.length) this.#dropOlder(block, settled)
    }
  }

  /** A version of the block has its bytes in this row. */
  isAt(block: number, position: number): boolean {
    if (this.#positions[block] === position && codeOfInfo(this.#infos[block] ?? 0) === contentCodes.data) return true
    return this.#older?.get(block)?.some((version) => version.position === position && codeOfInfo(version.info) === contentCodes.data) ?? false
  }

  /**
   * Runs of blocks: count, content and flags, and unless there is nothing: token, sequence, position, skip of the first.
   * Then blocks with older versions: block, count, and each version with the same numbers. All LEB128.
   */
  encode(writer: RecordWriter): void {
    for (let block = 0; block < pageBlocks; ) {
      let end = block + 1
      const info = this.#infos[block] ?? 0
      while (end < pageBlocks && this.#infos[end] === info && this.#positions[end] === this.#positions[block] && this.continues(end)) end++
      writer.number(end - block)
      const first = this.newest(block)
      if (first === undefined) writer.number(0)
      else encodeStored(writer, first)
      block = end
    }
    writer.number(this.#older?.size ?? 0)
    for (const [block, older] of this.#older ?? []) {
      writer.number(block).number(older.length)
      for (const version of older) encodeStored(writer, version)
    }
  }

  /** Throws CORRUPT. */
  decode(reader: RecordReader): void {
    for (let block = 0; block < pageBlocks; ) {
      const count = reader.number(pageBlocks - block)
      if (count === 0) throw damaged('a page of the index')
      const first = decodeStored(reader)
      if (first !== undefined) {
        const step = codeOfInfo(first.info) === contentCodes.data ? 1 : 0
        for (let i = 0; i < count; i++) this.#set(block + i, { ...first, skip: first.skip + i * step })
      }
      block += count
    }
    const shadowed = reader.number(pageBlocks)
    for (let i = 0; i < shadowed; i++) {
      const block = reader.number(pageBlocks - 1)
      const older: Stored[] = []
      for (let count = reader.number(); count > 0; count--) {
        const version = decodeStored(reader)
        if (version === undefined) throw damaged('a page of the index')
        older.push(version)
      }
      this.#setOlder(block, older)
    }
  }

  #insert(block: number, current: Stored, stored: Stored, context: PageContext): void {
    const older = this.#older?.get(block) ?? []
    // Under a settled version nothing can come to light again.
    if (context.isSettled(current.token, current.sequence)) return
    let at = 0
    for (; at < older.length; at++) {
      const version = older[at] as Stored
      if (isSame(version, stored)) return
      if (isNewer(stored, version)) break
      if (context.isSettled(version.token, version.sequence)) return
    }
    this.#count(stored, 1)
    this.#setOlder(block, [...older.slice(0, at), stored, ...older.slice(at)])
    if (context.isSettled(stored.token, stored.sequence)) this.#dropOlder(block, at + 1)
  }

  #replaceNewest(block: number, before: Stored, after: Stored): void {
    this.#count(before, -1)
    this.#count(after, 1)
    this.#set(block, { ...after, info: after.info & ~damagedFlag })
  }

  #dropOlder(block: number, from: number): void {
    const older = this.#older?.get(block)
    if (older === undefined) return
    for (const version of older.slice(from)) this.#count(version, -1)
    this.#setOlder(block, older.slice(0, from))
  }

  #setOlder(block: number, older: Stored[]): void {
    if (older.length > 0) {
      this.#older ??= new Map()
      this.#older.set(block, older)
    } else this.#older?.delete(block)
  }

  #set(block: number, stored: Stored | undefined): void {
    this.#positions[block] = stored?.position ?? 0
    this.#tokens[block] = stored?.token ?? 0
    this.#sequences[block] = stored?.sequence ?? 0
    this.#skips[block] = stored?.skip ?? 0
    this.#infos[block] = stored?.info ?? 0
  }

  #count(stored: Stored, sign: 1 | -1): void {
    if (codeOfInfo(stored.info) !== contentCodes.data) return
    const unit = unitOf(stored.position)
    this.deltas.set(unit, (this.deltas.get(unit) ?? 0) + sign * blockBytes)
    this.#account(unit, sign * blockBytes)
  }
}

function encodeStored(writer: RecordWriter, stored: Stored): void {
  writer.number(stored.info & ~damagedFlag).number(stored.token).number(stored.sequence).number(stored.position).number(stored.skip)
}

function decodeStored(reader: RecordReader): Stored | undefined {
  const info = reader.number(31)
  if (info === 0) return undefined
  if (codeOfInfo(info) > contentCodes.unknown || codeOfInfo(info) === 0) throw damaged('a page of the index')
  return { info, token: reader.number(), sequence: reader.number(), position: reader.number(), skip: reader.number(pageBlocks) }
}
