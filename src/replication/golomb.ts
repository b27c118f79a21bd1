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
    let remainder = 0
    for (let j = 0; j < parameter; j++) remainder = remainder * 2 + bit()
    previous += quotient * 2 ** parameter + remainder + 1
    if (previous >= fingerprintsMax) return undefined
    values.push(previous)
  }
  return values
}

class BitWriter {
  readonly #bytes: number[] = []
  #filled = 0

  /** The lowest `count` bits of `value`, highest first; `count` up to 40. */
  write(value: number, count: number): void {
    for (let i = count - 1; i >= 0; i--) {
      if (this.#filled % 8 === 0) this.#bytes.push(0)
      const last = this.#bytes.length - 1
      const bit = Math.floor(value / 2 ** i) % 2
      this.#bytes[last] = (this.#bytes[last] ?? 0) | (bit << (7 - (this.#filled % 8)))
      this.#filled++
    }
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes)
  }
}
