/**
 * A rising list of numbers, as the differences between neighbours, each in Golomb–Rice code (Rice, 1979): the quotient by
 * 2^parameter in unary (that many ones, then a zero), then the remainder in `parameter` bits. For random numbers that is
 * within half a bit of the entropy: 3,000 fingerprints of 40 bits take 30 bits each, 11.3 KB in all; 1,000 nodes, 11 MB
 * for whoever comes new, once.
 *
 *   bit 0 is the highest of byte 0; the last byte is filled up with zeros
 */
import { fingerprintsMax } from './fingerprint.js'

/** log2 of the mean difference times ln 2, rounded: the parameter that codes `entries` of `span` values shortest. */
export function riceParameter(entries: number, span: number): number {
  if (entries === 0) return 0
  return Math.min(40, Math.max(0, Math.round(Math.log2(Math.max(1, (span / entries) * Math.LN2)))))
}

/** `values`: rising strictly, each above `after`. */
export function encodeRising(values: readonly number[], after: number, parameter: number): Uint8Array {
  const bits = new BitWriter()
  let previous = after
  for (const value of values) {
    const difference = value - previous - 1
    previous = value
    const quotient = Math.floor(difference / 2 ** parameter)
    for (let i = 0; i < quotient; i++) bits.write(1, 1)
    bits.write(0, 1)
    bits.write(difference % 2 ** parameter, parameter)
  }
  return bits.bytes()
}

/** Undefined for bytes that are not `entries` such numbers below 2⁴⁰. Work and memory are bounded by the input's length. */
export function decodeRising(bytes: Uint8Array, entries: number, after: number, parameter: number): number[] | undefined {
  // A number takes at least one bit and the remainder's: a count that cannot be in so few bytes is not believed.
  if (parameter < 0 || parameter > 40 || entries * (1 + parameter) > bytes.length * 8) return undefined
  const values: number[] = []
  let at = 0
  const bit = (): number => ((bytes[at >> 3] ?? 0) >> (7 - (at++ & 7))) & 1
  let previous = after
  for (let i = 0; i < entries; i++) {
    let quotient = 0
    for (;;) {
      if (at >= bytes.length * 8) return undefined
      if (bit() === 0) break
      quotient++
    }
    if (at + parameter > bytes.length * 8) return undefined
    let high = 0
    for (let j = halfBits; j < parameter; j++) high = (high << 1) | bit()
    let remainder = 0
    for (let j = 0; j < Math.min(parameter, halfBits); j++) remainder = (remainder << 1) | bit()
    remainder += high * half
    previous += quotient * 2 ** parameter + remainder + 1
    if (previous >= fingerprintsMax) return undefined
    values.push(previous)
  }
  return values
}

/** Numbers of 40 bits are written and read as two halves of 20, which 32-bit shifts can take apart. */
const halfBits = 20
const half = 2 ** halfBits

class BitWriter {
  #bytes = new Uint8Array(1024)
  #filled = 0

  /** The lowest `count` bits of `value`, highest first; `count` up to 40. */
  write(value: number, count: number): void {
    if ((this.#filled + count) >> 3 >= this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#bytes.length)
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    if (count > halfBits) this.#write(Math.floor(value / half), count - halfBits)
    this.#write(value % half, Math.min(count, halfBits))
  }

  bytes(): Uint8Array {
    return this.#bytes.slice(0, (this.#filled + 7) >> 3)
  }

  #write(value: number, count: number): void {
    for (let i = count - 1; i >= 0; i--) {
      const at = this.#filled >> 3
      this.#bytes[at] = (this.#bytes[at] ?? 0) | (((value >> i) & 1) << (7 - (this.#filled & 7)))
      this.#filled++
    }
  }
}
