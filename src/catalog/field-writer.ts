import { Buffer } from 'node:buffer'

/** What begins a field and is no part of its bytes, or is all of it: a byte and a varint, or eight bytes. */
const headBytesMax = 16
const bytesAtFirst = 4096

/**
 * Writes the fields of a message of protocol buffers, one after the other. The generated encoders make a list of what is to
 * be written, an object for each byte or two, and then write it: of a small file that is put, that was a sixth of all that
 * this room did. Reading is left to the generated decoders, which know what bytes from elsewhere may be.
 *
 * A field begins with its number (up to 15) and its kind in one byte: kind 0 is a varint, 1 eight bytes, 2 a length and so
 * many bytes. What has its default is to be left out by whoever calls.
 */
export class FieldWriter {
  /** Written into again and again. */
  #bytes = Buffer.allocUnsafeSlow(bytesAtFirst)
  #view = new DataView(this.#bytes.buffer)
  #at = 0

  /** Forgets what was written, of a message that came to no end as well. */
  begin(): void {
    this.#at = 0
  }

  varint(field: number, value: number): void {
    this.#reserve(0)
    this.#bytes[this.#at++] = field << 3
    this.#length(value)
  }

  fixed64(field: number, value: bigint): void {
    this.#reserve(0)
    this.#bytes[this.#at++] = (field << 3) | 1
    this.#view.setBigUint64(this.#at, value, true)
    this.#at += 8
  }

  bytes(field: number, value: Uint8Array): void {
    this.#reserve(value.length)
    this.#bytes[this.#at++] = (field << 3) | 2
    this.#length(value.length)
    this.#bytes.set(value, this.#at)
    this.#at += value.length
  }

  text(field: number, value: string): void {
    // UTF-8 has three bytes at most for each of UTF-16's units.
    this.#reserve(3 * value.length)
    const opened = this.open(field)
    this.#at += this.#bytes.write(value, this.#at)
    this.close(opened)
  }

  /** A message within this one: up to the `close` that is given what this returns. */
  open(field: number): number {
    this.#reserve(0)
    this.#bytes[this.#at++] = (field << 3) | 2
    // Room for a length of one byte.
    return ++this.#at
  }

  close(opened: number): void {
    const length = this.#at - opened
    const more = lengthBytes(length) - 1
    if (more > 0) {
      this.#reserve(more)
      this.#bytes.copyWithin(opened + more, opened, this.#at)
    }
    this.#at = opened - 1
    this.#length(length)
    this.#at += length
  }

  /** A copy of all that was written since `begin`. */
  taken(): Uint8Array {
    const taken = Buffer.allocUnsafe(this.#at)
    this.#bytes.copy(taken, 0, 0, this.#at)
    return taken
  }

  #length(value: number): void {
    let rest = value
    for (; rest > 0x7f; rest >>>= 7) this.#bytes[this.#at++] = (rest & 0x7f) | 0x80
    this.#bytes[this.#at++] = rest
  }

  #reserve(bytes: number): void {
    const needed = this.#at + headBytesMax + bytes
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(2 * needed)
    larger.set(this.#bytes)
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}

function lengthBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5
}
