/** Reading and writing the numbers of this folder's records. All are big-endian; whole numbers up to 2⁵³ take 8 bytes. */
import { DiskError } from '../replica-types.js'

export function writeWhole(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, Math.floor(value / 2 ** 32))
  view.setUint32(offset + 4, value % 2 ** 32)
}

/** May be past 2⁵³ where bytes are damaged: callers check what they rely on. */
export function readWhole(view: DataView, offset: number): number {
  return view.getUint32(offset) * 2 ** 32 + view.getUint32(offset + 4)
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const hexDigits = /^[0-9a-f]{32}$/

/** 16 bytes. Throws BAD_INPUT. */
export function volumeBytes(volume: string): Uint8Array {
  if (!hexDigits.test(volume)) throw new DiskError('BAD_INPUT', 'a volume is named by 32 hex digits', { volume })
  return Buffer.from(volume, 'hex')
}

export function damaged(what: string, facts: Record<string, string | number> = {}): DiskError {
  return new DiskError('CORRUPT', `${what} on the disk of volumes cannot be read`, { what, ...facts })
}

/** Grows as it is written to; numbers as LEB128, which are small here most of the time. */
export class RecordWriter {
  #bytes = new Uint8Array(256)
  #length = 0

  number(value: number): this {
    this.#room(10)
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#length++] = rest
    return this
  }

  text(value: string): this {
    const bytes = Buffer.from(value, 'utf8')
    this.number(bytes.length)
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  /** Everything written, with room for `tail` more bytes at the end. */
  finish(tail = 0): Uint8Array {
    const whole = new Uint8Array(this.#length + tail)
    whole.set(this.#bytes.subarray(0, this.#length))
    return whole
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + bytes))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}

/** Throws CORRUPT where the bytes are not what is asked for. */
export class RecordReader {
  readonly #bytes: Uint8Array
  readonly #what: string
  #offset = 0

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes
    this.#what = what
  }

  get done(): boolean {
    return this.#offset >= this.#bytes.length
  }

  /** How many parts follow: each has a byte at least, so that no number in a damaged record takes memory. */
  count(max = Number.MAX_SAFE_INTEGER): number {
    return this.number(Math.min(max, Math.max(0, this.#bytes.length - this.#offset)))
  }

  number(max = Number.MAX_SAFE_INTEGER): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.#offset++]
      if (byte === undefined || scale > 2 ** 49) throw damaged(this.#what)
      value += (byte & 127) * scale
      if (byte < 128) break
    }
    if (value > max) throw damaged(this.#what)
    return value
  }

  text(): string {
    const length = this.number(this.#bytes.length - this.#offset)
    const end = this.#offset + length
    if (end > this.#bytes.length) throw damaged(this.#what)
    const text = Buffer.from(this.#bytes.subarray(this.#offset, end)).toString('utf8')
    this.#offset = end
    return text
  }
}
