import { invariant } from '../../base/index.js'
import type { Register } from '../value.js'
import { flagFree, flagsAt, Names, Packer, packRegister, unpackRegister } from './packing.js'
import type { RegisterTable } from './table.js'

/**
 * A million registers in some 200 MB: each is a run of bytes in a page, found by a hash of its scope, listed by an index of
 * numbers. Nothing here is an object per register, so the garbage collector has nothing to walk through either.
 *
 * - A register has a slot, which never changes. `#place` says by slot where its bytes are.
 * - `#heads` and `#next` are chains of slots by hash. `#sorted` has all slots in the order of their scopes but for the
 *   latest ones, which wait in `#fresh` until a list asks, or there are many: to put each in its place would move
 *   megabytes every time.
 * - A page is filled from its begin. What is replaced by something longer is left behind as waste; a page that is mostly
 *   waste has its living registers moved to the newest page, one page at a time.
 *
 * The road not taken: a cache of some registers over those on disk. A vote would wait for a read of the disk, and a hash
 * over all for the whole of it; 200 bytes of memory for each is the cheaper price.
 *
 * In a page, numbers of 4 and 2 bytes little-endian:
 *
 *   offset  bytes
 *   0       4      slot
 *   4       4      length of the whole, a multiple of 4
 *   8       1      how many bytes at the end are not used
 *   9       2      length of the scope
 *   11      …      scope in UTF-8, then as `packing.ts` says
 */
const headerBytes = 11
/** A register has 66 KB at most. */
const pageBits = 18
const pageBytes = 1 << pageBits
/** A page with less waste than this is not worth moving. */
const wasteMax = pageBytes / 2
/** New scopes that wait for their place in the order. To put in so many takes a few ms. */
const freshMax = 4096
const none = 0xffffffff
/** Registers at hand as they are: scopes in hot use are read and written again and again. */
const hotMax = 512

export class CompactTable implements RegisterTable {
  #pages: (Buffer | undefined)[] = []
  /** By page: bytes filled, and of these wasted. */
  #filled: number[] = []
  #wasted: number[] = []
  #current = -1
  #place = new Uint32Array(1024)
  #next = new Uint32Array(1024)
  #heads = new Uint32Array(1024).fill(none)
  #sorted = new Uint32Array(1024)
  #sortedCount = 0
  #fresh: number[] = []
  #size = 0
  #free = 0
  #names = new Names()
  readonly #packer = new Packer()
  readonly #hot = new Map<string, Register>()

  get size(): number {
    return this.#size
  }

  get free(): number {
    return this.#free
  }

  /** What it takes, pages and indexes. */
  get bytes(): number {
    const pages = this.#pages.reduce((sum, page) => sum + (page?.length ?? 0), 0)
    return pages + this.#place.byteLength + this.#next.byteLength + this.#heads.byteLength + this.#sorted.byteLength
  }

  get(scope: string): Register | undefined {
    const hot = this.#hot.get(scope)
    if (hot !== undefined) return hot
    const key = Buffer.from(scope)
    const slot = this.#find(key, hashOf(key))
    if (slot === none) return undefined
    const register = this.#read(slot)
    this.#heat(scope, register)
    return register
  }

  set(scope: string, register: Register): void {
    const key = Buffer.from(scope)
    const hash = hashOf(key)
    const packer = this.#packer
    packer.length = headerBytes
    packer.raw(key)
    packRegister(register, packer, this.#names)
    const size = (packer.length + 3) & ~3
    invariant(size <= pageBytes, 'a register is larger than a page')
    const isFree = (flagsAt(packer.bytes, headerBytes + key.length) & flagFree) !== 0
    let slot = this.#find(key, hash)
    if (slot === none) {
      slot = this.#newSlot(hash)
      this.#put(slot, key.length, size)
      this.#order(slot)
    } else {
      const [page, at] = this.#at(slot)
      const room = page.readUInt32LE(at + 4)
      if ((flagsAt(page, at + headerBytes + key.length) & flagFree) !== 0) this.#free--
      if (size <= room) this.#write(page, at, slot, key.length, room)
      else {
        const number = (this.#place[slot] ?? 0) >>> (pageBits - 2)
        this.#put(slot, key.length, size)
        this.#waste(number, room)
      }
    }
    if (isFree) this.#free++
    this.#heat(scope, register)
  }

  clear(): void {
    this.#pages = []
    this.#filled = []
    this.#wasted = []
    this.#current = -1
    this.#place = new Uint32Array(1024)
    this.#next = new Uint32Array(1024)
    this.#heads = new Uint32Array(1024).fill(none)
    this.#sorted = new Uint32Array(1024)
    this.#sortedCount = 0
    this.#fresh = []
    this.#size = 0
    this.#free = 0
    this.#names = new Names()
    this.#hot.clear()
  }

  from(after: string, limit: number): (readonly [string, Register])[] {
    this.#settle()
    const key = Buffer.from(after)
    const begin = this.#firstAbove(key, 0, this.#sortedCount)
    const rows: (readonly [string, Register])[] = []
    for (let i = begin; i < this.#sortedCount && rows.length < limit; i++) {
      const slot = this.#sorted[i] ?? none
      rows.push([this.#scope(slot), this.#read(slot)])
    }
    return rows
  }

  *entries(): Iterable<readonly [string, Register]> {
    for (let slot = 0; slot < this.#size; slot++) yield [this.#scope(slot), this.#read(slot)]
  }

  // ---- bytes --------------------------------------------------------------------------------------------------------

  #at(slot: number): [page: Buffer, at: number] {
    const place = this.#place[slot] ?? 0
    const page = this.#pages[place >>> (pageBits - 2)]
    invariant(page, 'a register is in a page that is not there')
    return [page, (place << 2) & (pageBytes - 1)]
  }

  #read(slot: number): Register {
    const [page, at] = this.#at(slot)
    const end = at + page.readUInt32LE(at + 4) - page.readUInt8(at + 8)
    return unpackRegister(page, at + headerBytes + page.readUInt16LE(at + 9), end, this.#names)
  }

  #scope(slot: number): string {
    const [page, at] = this.#at(slot)
    return page.toString('utf8', at + headerBytes, at + headerBytes + page.readUInt16LE(at + 9))
  }

  /** The packer's bytes, at a new place. */
  #put(slot: number, keyBytes: number, size: number): void {
    const [number, at] = this.#room(size)
    const page = this.#pages[number]
    if (page === undefined) return
    this.#place[slot] = (number << (pageBits - 2)) | (at >>> 2)
    this.#write(page, at, slot, keyBytes, size)
  }

  #write(page: Buffer, at: number, slot: number, keyBytes: number, room: number): void {
    const packer = this.#packer
    const unused = room - packer.length
    // More than a byte can say: what was there was much longer. The rest becomes part of the payload's bytes otherwise.
    if (unused > 255) {
      const size = (packer.length + 3) & ~3
      this.#wasteIn((this.#place[slot] ?? 0) >>> (pageBits - 2), room - size)
      page.writeUInt32LE(none, at + size)
      page.writeUInt32LE(room - size, at + size + 4)
      this.#write(page, at, slot, keyBytes, size)
      return
    }
    packer.bytes.copy(page, at, 0, packer.length)
    page.writeUInt32LE(slot, at)
    page.writeUInt32LE(room, at + 4)
    page.writeUInt8(unused, at + 8)
    page.writeUInt16LE(keyBytes, at + 9)
  }

  /** Where so many bytes can be put. */
  #room(size: number): [page: number, at: number] {
    let number = this.#current
    if (number < 0 || (this.#filled[number] ?? 0) + size > pageBytes) {
      number = this.#pages.indexOf(undefined)
      if (number < 0) number = this.#pages.length
      this.#pages[number] = Buffer.allocUnsafeSlow(pageBytes)
      this.#filled[number] = 0
      this.#wasted[number] = 0
      this.#current = number
    }
    const at = this.#filled[number] ?? 0
    this.#filled[number] = at + size
    return [number, at]
  }

  #wasteIn(number: number, bytes: number): void {
    this.#wasted[number] = (this.#wasted[number] ?? 0) + bytes
  }

  /** Something of a page is no longer needed; a page that is mostly waste is given up. */
  #waste(number: number, bytes: number): void {
    this.#wasteIn(number, bytes)
    if (number === this.#current || (this.#wasted[number] ?? 0) < wasteMax) return
    const page = this.#pages[number]
    const filled = this.#filled[number] ?? 0
    if (page === undefined) return
    for (let at = 0; at < filled;) {
      const size = page.readUInt32LE(at + 4)
      const slot = page.readUInt32LE(at)
      // Waste still says whose it was; only the place that the slot itself names is alive.
      if (slot !== none && this.#place[slot] === ((number << (pageBits - 2)) | (at >>> 2)) >>> 0) {
        const [other, to] = this.#room(size)
        page.copy(this.#pages[other] ?? page, to, at, at + size)
        this.#place[slot] = (other << (pageBits - 2)) | (to >>> 2)
      }
      at += size
    }
    this.#pages[number] = undefined
    this.#filled[number] = 0
    this.#wasted[number] = 0
  }

  #heat(scope: string, register: Register): void {
    this.#hot.delete(scope)
    this.#hot.set(scope, register)
    if (this.#hot.size > hotMax) for (const oldest of this.#hot.keys()) { this.#hot.delete(oldest); break }
  }

  // ---- by hash ------------------------------------------------------------------------------------------------------

  #find(key: Buffer, hash: number): number {
    for (let slot = this.#heads[hash & (this.#heads.length - 1)] ?? none; slot !== none; slot = this.#next[slot] ?? none) {
      const [page, at] = this.#at(slot)
      if (page.readUInt16LE(at + 9) === key.length && page.compare(key, 0, key.length, at + headerBytes, at + headerBytes + key.length) === 0) return slot
    }
    return none
  }

  #newSlot(hash: number): number {
    const slot = this.#size++
    if (slot === this.#place.length) {
      // Half as much again: doubling would leave tens of megabytes unused.
      this.#place = grown(this.#place)
      this.#next = grown(this.#next)
    }
    if (slot >= this.#heads.length) this.#rehash()
    const bucket = hash & (this.#heads.length - 1)
    this.#next[slot] = this.#heads[bucket] ?? none
    this.#heads[bucket] = slot
    return slot
  }

  /** With twice as many chains. The new slot is in none yet. */
  #rehash(): void {
    const heads = new Uint32Array(this.#heads.length * 2).fill(none)
    for (let slot = 0; slot < this.#size - 1; slot++) {
      const [page, at] = this.#at(slot)
      const bucket = hashOf(page.subarray(at + headerBytes, at + headerBytes + page.readUInt16LE(at + 9))) & (heads.length - 1)
      this.#next[slot] = heads[bucket] ?? none
      heads[bucket] = slot
    }
    this.#heads = heads
  }

  // ---- by order -----------------------------------------------------------------------------------------------------

  #order(slot: number): void {
    // What is read from disk comes in order.
    const last = this.#sortedCount === 0 ? none : this.#sorted[this.#sortedCount - 1] ?? none
    if (this.#fresh.length === 0 && (last === none || this.#compare(last, slot) < 0)) {
      if (this.#sortedCount === this.#sorted.length) this.#sorted = grown(this.#sorted)
      this.#sorted[this.#sortedCount++] = slot
      return
    }
    this.#fresh.push(slot)
    if (this.#fresh.length >= freshMax) this.#settle()
  }

  /** Puts the fresh ones in their places, from the end, so that all that is moved is moved once. */
  #settle(): void {
    const fresh = this.#fresh
    if (fresh.length === 0) return
    this.#fresh = []
    fresh.sort((a, b) => this.#compare(a, b))
    const total = this.#sortedCount + fresh.length
    while (this.#sorted.length < total) this.#sorted = grown(this.#sorted)
    let end = this.#sortedCount
    let to = total
    for (let i = fresh.length - 1; i >= 0; i--) {
      const slot = fresh[i] ?? none
      const [page, at] = this.#at(slot)
      const key = page.subarray(at + headerBytes, at + headerBytes + page.readUInt16LE(at + 9))
      const begin = this.#firstAbove(key, 0, end)
      this.#sorted.copyWithin(to - (end - begin), begin, end)
      to -= end - begin
      this.#sorted[--to] = slot
      end = begin
    }
    this.#sortedCount = total
  }

  #firstAbove(key: Buffer, from: number, to: number): number {
    let low = from
    let high = to
    while (low < high) {
      const middle = (low + high) >>> 1
      const [page, at] = this.#at(this.#sorted[middle] ?? none)
      if (page.compare(key, 0, key.length, at + headerBytes, at + headerBytes + page.readUInt16LE(at + 9)) <= 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #compare(a: number, b: number): number {
    const [page, at] = this.#at(a)
    const [other, otherAt] = this.#at(b)
    return page.compare(other, otherAt + headerBytes, otherAt + headerBytes + other.readUInt16LE(otherAt + 9), at + headerBytes, at + headerBytes + page.readUInt16LE(at + 9))
  }
}

/** FNV-1a: short, and good enough for names that nobody chooses to collide; who did would slow down one voter's look-ups. */
function hashOf(key: Uint8Array): number {
  let hash = 0x811c9dc5
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}

function grown(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.ceil(array.length * 1.5))
  larger.set(array)
  return larger
}
