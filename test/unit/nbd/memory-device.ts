import type { BlockDevice, Extent } from '../../../src/volumes/index.js'
import type { DeviceError } from '../../../src/volumes/index.js'

/** The dumbest device there is, to hold the server against: an array, and a note of what was ever written. */
export class MemoryDevice implements BlockDevice {
  readonly bytes: Uint8Array
  readonly readOnly: boolean
  readonly blockBytes = 4096
  readonly written: Uint8Array
  readonly calls: string[] = []
  failWith: DeviceError | undefined
  /** Reads are answered without a wait. */
  isAtOnce = false

  constructor(sizeBytes: number, readOnly = false) {
    this.bytes = new Uint8Array(sizeBytes)
    this.written = new Uint8Array(Math.ceil(sizeBytes / 4096))
    this.readOnly = readOnly
  }

  get sizeBytes(): number {
    return this.bytes.length
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    this.#note('read', offset, length)
    return this.bytes.slice(offset, offset + length)
  }

  readNow(offset: number, length: number): Uint8Array | undefined {
    if (!this.isAtOnce || this.failWith !== undefined || length === 0 || offset + length > this.bytes.length) return undefined
    this.#note('read', offset, length)
    return this.bytes.slice(offset, offset + length)
  }

  async write(offset: number, bytes: Uint8Array, flags?: { fua?: boolean }): Promise<void> {
    this.#note(flags?.fua === true ? 'write fua' : 'write', offset, bytes.length)
    this.bytes.set(bytes, offset)
    this.written.fill(1, Math.floor(offset / 4096), Math.ceil((offset + bytes.length) / 4096))
  }

  async flush(): Promise<void> {
    this.#note('flush', 0, 0)
  }

  async trim(offset: number, length: number): Promise<void> {
    this.#note('trim', offset, length)
    this.bytes.fill(0, offset, offset + length)
    this.written.fill(0, Math.ceil(offset / 4096), Math.floor((offset + length) / 4096))
  }

  async writeZeroes(offset: number, length: number, flags?: { keepAllocated?: boolean }): Promise<void> {
    if (flags?.keepAllocated !== true) return this.trim(offset, length)
    this.#note('zero', offset, length)
    this.bytes.fill(0, offset, offset + length)
    return undefined
  }

  async extents(offset: number, length: number): Promise<Extent[]> {
    const extents: Extent[] = []
    for (let at = offset; at < offset + length; ) {
      const end = Math.min(offset + length, (Math.floor(at / 4096) + 1) * 4096)
      const hole = this.written[Math.floor(at / 4096)] === 0
      const last = extents.at(-1)
      if (last?.hole === hole) extents[extents.length - 1] = { length: last.length + end - at, hole, zero: hole }
      else extents.push({ length: end - at, hole, zero: hole })
      at = end
    }
    return extents
  }

  async prefetch(offset: number, length: number): Promise<void> {
    this.#note('prefetch', offset, length)
  }

  #note(call: string, offset: number, length: number): void {
    if (this.failWith !== undefined) throw this.failWith
    this.calls.push(`${call} ${String(offset)}+${String(length)}`)
  }
}
