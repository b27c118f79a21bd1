import type { Hash64 } from '../storage-policy/index.js'

/**
 * A blob's name in an inventory: 40 bits of its hash mixed with the holder's salt.
 *
 * Why 40: of 1,000 nodes with 3,000 blobs each, a given blob is in none by accident but in 3·10⁶ of 2⁴⁰ cases, one in
 * 366,000; with 24 bits one blob in six would seem to have a copy that it has not. Why a salt that changes with every
 * start: an accident then lasts a day and not for ever, and nobody can prepare a CID that will pass for another one.
 */
export const fingerprintBytes = 5
export const fingerprintsMax = 2 ** 40

/** 64 random bits, as two unsigned halves. */
export interface Salt {
  readonly high: number
  readonly low: number
}

export function saltOf(value: bigint): Salt {
  return { high: Number((value >> 32n) & 0xffffffffn), low: Number(value & 0xffffffffn) }
}

export function saltValue(salt: Salt): bigint {
  return (BigInt(salt.high) << 32n) | BigInt(salt.low)
}

/** 0 … 2⁴⁰ − 1. */
export function fingerprint(hash: Hash64, salt: Salt): number {
  let high = (hash.high ^ salt.high) | 0
  let low = (hash.low ^ salt.low) | 0
  // Two rounds of multiply, shift and cross: every bit of either half reaches every bit of both.
  for (let round = 0; round < 2; round++) {
    high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ (low >>> 13)
    low = Math.imul(low ^ (low >>> 15), 0xc2b2ae35) ^ high
    high = Math.imul(high ^ (low >>> 16), 0x27d4eb2f)
  }
  return (high >>> 0) * 256 + ((low ^ (high << 7)) >>> 24)
}

/** Big-endian, 5 bytes each. */
export function encodeFingerprints(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * fingerprintBytes)
  values.forEach((value, i) => {
    const at = i * fingerprintBytes
    bytes[at] = Math.floor(value / 2 ** 32)
    new DataView(bytes.buffer).setUint32(at + 1, value % 2 ** 32)
  })
  return bytes
}

/** Undefined if the length is no multiple of 5. */
export function decodeFingerprints(bytes: Uint8Array): number[] | undefined {
  if (bytes.length % fingerprintBytes !== 0) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values: number[] = []
  for (let at = 0; at < bytes.length; at += fingerprintBytes) values.push(view.getUint8(at) * 2 ** 32 + view.getUint32(at + 1))
  return values
}
