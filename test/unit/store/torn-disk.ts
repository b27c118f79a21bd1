import assert from 'node:assert/strict'
import type { Random } from '../../../src/base/index.js'
import type { LogFile, LogFolder } from '../../../src/store/log-folder.js'
import { StoreError } from '../../../src/store/types.js'

export const pageBytes = 4096
const sectorBytes = 512

/** How often, of a thousand calls, something goes wrong. */
export interface Weather {
  /** Writes, and files that are made, which end with NO_SPACE after any number of bytes. */
  full: number
  /** Syncs that fail, and after which the kernel takes pages that never got to the disk for clean. */
  syncs: number
  /** Whether such pages also leave the kernel's memory, so that the next read brings what was there before. */
  evicts: boolean
  /** Files that cannot be removed. */
  removals: number
}

const fair: Weather = { full: 0, syncs: 0, evicts: false, removals: 0 }

/** One file: as all processes see it, and as it is on the disk. */
class Inode {
  bytes: Buffer = Buffer.alloc(0)
  length = 0
  durable: Buffer = Buffer.alloc(0)
  durableLength = 0
  /** Pages that differ from those on the disk, or may. */
  readonly dirty = new Set<number>()
  /** Taken for clean, although they never got to the disk. */
  readonly stale = new Set<number>()
  readonly inFlight = new Set<Set<number>>()

  write(from: Uint8Array, at: number): void {
    this.bytes = grown(this.bytes, at + from.length)
    this.bytes.set(from, at)
    this.length = Math.max(this.length, at + from.length)
    this.touch(at, at + from.length)
  }

  truncate(length: number): void {
    if (length < this.length) {
      this.bytes.fill(0, length, this.length)
      this.touch(length, this.length)
    } else this.bytes = grown(this.bytes, length)
    this.length = length
  }

  touch(from: number, to: number): void {
    for (let page = Math.floor(from / pageBytes); page * pageBytes < to; page++) {
      this.dirty.add(page)
      this.stale.delete(page)
    }
  }

  keep(from: number, to: number): void {
    this.durable = grown(this.durable, to)
    this.bytes = grown(this.bytes, to)
    this.durable.set(this.bytes.subarray(from, to), from)
  }

  /** Pages that the kernel takes for clean are read from the disk again. */
  evict(): void {
    for (const page of this.stale) {
      const [from, to] = [page * pageBytes, (page + 1) * pageBytes]
      this.durable = grown(this.durable, to)
      this.bytes = grown(this.bytes, to)
      this.bytes.set(this.durable.subarray(from, to), from)
    }
    this.stale.clear()
  }

  losePower(random: Random): void {
    const pages = [...new Set([...this.dirty, ...[...this.inFlight].flatMap((pages) => [...pages])])].sort((a, b) => a - b)
    const how = random.below(6)
    const first = random.below(pages.length + 1)
    for (const [i, page] of pages.entries()) {
      const at = page * pageBytes
      if (how === 1 || (how === 2 && i < first) || (how === 3 && random.below(2) === 0)) this.keep(at, at + pageBytes)
      else if (how >= 4) {
        for (let sector = at; sector < at + pageBytes; sector += sectorBytes) if (random.below(how === 4 ? 2 : 9) !== 0) this.keep(sector, sector + sectorBytes)
      }
    }
    const [low, high] = [Math.min(this.durableLength, this.length), Math.max(this.durableLength, this.length)]
    this.durableLength = [this.durableLength, this.length, this.length, low + random.below(high - low + 1)][random.below(4)] ?? low
    this.durable = grown(this.durable, this.durableLength)
    this.durable.fill(0, this.durableLength)
    this.bytes = Buffer.from(this.durable)
    this.length = this.durableLength
    this.dirty.clear()
    this.stale.clear()
    this.inFlight.clear()
  }

  /** The process died: the kernel has what it wrote, and goes on. */
  crash(): void {
    for (const pages of this.inFlight) for (const page of pages) this.dirty.add(page)
    this.inFlight.clear()
  }
}

function grown(bytes: Buffer, length: number): Buffer {
  if (length <= bytes.length) return bytes
  const larger = Buffer.alloc(Math.max(length, 2 * bytes.length, pageBytes))
  larger.set(bytes)
  return larger
}

/**
 * A folder on a disk that can lose power, behind a kernel that has the last of it in memory only: page by page, torn at
 * sectors, with lengths and names that are durable at other times than bytes are. What a process that died still had under
 * way has no effect any more, and never ends. Uses that would be wrong on a real system are `violations`.
 */
export class TornDisk {
  readonly #random: Random
  #names = new Map<string, Inode>()
  #durableNames = new Map<string, Inode>()
  #life = 0
  #open = 0
  openMost = 0
  weather: Weather = fair
  readonly violations: string[] = []

  constructor(random: Random) {
    this.#random = random
  }

  get openFiles(): number {
    return this.#open
  }

  /** Bytes of all files. */
  get bytes(): number {
    let bytes = 0
    for (const inode of this.#names.values()) bytes += inode.length
    return bytes
  }

  names(): string[] {
    return [...this.#names.keys()].sort()
  }

  /** What is in a file, to be looked at or spoilt: memory and disk. */
  spoil(name: string, act: (bytes: Buffer) => Uint8Array): void {
    const inode = this.#names.get(name)
    assert.ok(inode !== undefined)
    const bytes = Buffer.from(act(Buffer.from(inode.bytes.subarray(0, inode.length))))
    inode.bytes = bytes
    inode.length = bytes.length
    inode.durable = Buffer.from(bytes)
    inode.durableLength = bytes.length
    inode.dirty.clear()
  }

  /** The folder as the process that begins now sees it. */
  folder(): LogFolder {
    const life = this.#life
    const disk = {
      isDead: () => life !== this.#life,
      random: this.#random,
      weather: () => this.weather,
      opened: (count: number) => {
        this.#open += count
        this.openMost = Math.max(this.openMost, this.#open)
      },
      violation: (text: string) => {
        this.violations.push(text)
      },
    }
    return {
      names: async () => done(disk, () => this.names()),
      open: async (name, { create = false } = {}) => done(disk, () => {
        const found = this.#names.get(name)
        if (create && found !== undefined) throw new StoreError('DISK', `${name} is there`)
        if (!create && found === undefined) throw new StoreError('DISK', `there is no ${name}`)
        if (create && happens(disk, 'full')) throw full()
        const inode = found ?? new Inode()
        this.#names.set(name, inode)
        return new TornFile(disk, inode, name)
      }),
      remove: async (name) => done(disk, () => {
        if (happens(disk, 'removals')) throw new StoreError('DISK', 'it cannot be removed')
        this.#names.delete(name)
      }),
      rename: async (from, to) => done(disk, () => {
        const inode = this.#names.get(from)
        if (inode === undefined) throw new StoreError('DISK', `there is no ${from}`)
        this.#names.delete(from)
        this.#names.set(to, inode)
      }),
      sync: async () => {
        const names = new Map(this.#names)
        await done(disk, () => {
          if (happens(disk, 'syncs')) throw new StoreError('DISK', 'the folder cannot be synced')
          this.#durableNames = names
        })
      },
    }
  }

  crash(): void {
    this.#life++
    this.#open = 0
    for (const inode of this.#names.values()) inode.crash()
  }

  losePower(): void {
    this.#life++
    this.#open = 0
    const names = new Map<string, Inode>()
    for (const name of [...new Set([...this.#names.keys(), ...this.#durableNames.keys()])].sort()) {
      const [now, durable] = [this.#names.get(name), this.#durableNames.get(name)]
      const kept = now === durable || this.#random.below(2) === 0 ? durable : now
      if (kept !== undefined) names.set(name, kept)
    }
    for (const inode of names.values()) inode.losePower(this.#random)
    this.#names = names
    this.#durableNames = new Map(names)
  }
}

interface Kernel {
  readonly isDead: () => boolean
  readonly random: Random
  readonly weather: () => Weather
  readonly opened: (count: number) => void
  readonly violation: (text: string) => void
}

class TornFile implements LogFile {
  readonly #disk: Kernel
  readonly #inode: Inode
  readonly #name: string
  #isClosed = false
  #underWay = 0

  constructor(disk: Kernel, inode: Inode, name: string) {
    this.#disk = disk
    this.#inode = inode
    this.#name = name
    disk.opened(1)
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    return this.#use('read', async () => done(this.#disk, () => this.#copy(target, position)))
  }

  readNow(target: Uint8Array, position: number): boolean {
    this.#check('readNow')
    return !this.#disk.isDead() && this.#disk.random.below(2) === 0 && this.#copy(target, position) === target.length
  }

  write(given: Uint8Array | readonly Uint8Array[], position: number): Promise<void> | undefined {
    this.#check('write')
    const pieces = given instanceof Uint8Array ? [given] : given
    const bytes = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
    const { random } = this.#disk
    if (random.below(2) === 0 && !this.#disk.isDead()) {
      this.#put(bytes, position)
      return undefined
    }
    return this.#use('write', async () => {
      // Not at once for whoever looks meanwhile, nor for who dies meanwhile.
      const half = random.below(bytes.length + 1)
      await done(this.#disk, () => { this.#inode.write(bytes.subarray(0, half), position) })
      await done(this.#disk, () => { this.#put(bytes.subarray(half), position + half) })
    })
  }

  async sync(): Promise<void> {
    await this.#use('sync', async () => {
      const inode = this.#inode
      const pages = new Set(inode.dirty)
      const length = inode.length
      inode.dirty.clear()
      inode.inFlight.add(pages)
      await done(this.#disk, () => {
        inode.inFlight.delete(pages)
        const isLost = happens(this.#disk, 'syncs')
        for (const page of pages) {
          if (!isLost || this.#disk.random.below(3) === 0) inode.keep(page * pageBytes, (page + 1) * pageBytes)
          else if (!inode.dirty.has(page)) inode.stale.add(page)
        }
        if (isLost) {
          if (this.#disk.weather().evicts && this.#disk.random.below(2) === 0) inode.evict()
          throw new StoreError('DISK', 'the file cannot be synced')
        }
        inode.durableLength = Math.min(length, inode.length)
      })
    })
  }

  async truncate(bytes: number): Promise<void> {
    await this.#use('truncate', async () => done(this.#disk, () => { this.#inode.truncate(bytes) }))
  }

  async bytes(): Promise<number> {
    return this.#use('bytes', async () => done(this.#disk, () => this.#inode.length))
  }

  async close(): Promise<void> {
    this.#check('close')
    if (this.#underWay > 0) this.#disk.violation(`${this.#name} is closed under what is under way`)
    this.#isClosed = true
    if (!this.#disk.isDead()) this.#disk.opened(-1)
    return done(this.#disk, () => undefined)
  }

  #copy(target: Uint8Array, position: number): number {
    const { bytes, length } = this.#inode
    const piece = bytes.subarray(position, Math.min(length, position + target.length))
    target.set(piece)
    return piece.length
  }

  #put(bytes: Uint8Array, position: number): void {
    const isFull = happens(this.#disk, 'full')
    this.#inode.write(isFull ? bytes.subarray(0, this.#disk.random.below(bytes.length + 1)) : bytes, position)
    if (isFull) throw full()
  }

  async #use<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.#check(name)
    this.#underWay++
    try {
      return await work()
    } finally {
      this.#underWay--
    }
  }

  /** A real one has another file under its number by now. */
  #check(name: string): void {
    if (!this.#isClosed) return
    this.#disk.violation(`${name} of ${this.#name}, which is closed`)
    throw new StoreError('DISK', 'the file is closed')
  }
}

/** After a while. Nothing happens for a process that has died, and it never hears of it. */
async function done<T>(disk: Kernel, act: () => T): Promise<T> {
  for (let turns = disk.random.below(12); turns > 0; turns--) await Promise.resolve()
  if (disk.isDead()) return new Promise<never>(() => undefined)
  return act()
}

function happens({ random, weather }: Kernel, what: 'full' | 'syncs' | 'removals'): boolean {
  const often = weather()[what]
  return often > 0 && random.below(1000) < often
}

function full(): StoreError {
  return new StoreError('NO_SPACE', 'the disk is full')
}
