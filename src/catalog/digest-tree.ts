import { createHash } from 'node:crypto'
import { hashBytes } from './record.js'

/**
 * What a node has, in few bytes. Paths fall into 65,536 buckets by the first two bytes of their hash; a bucket's digest
 * is the XOR of the hashes of all versions stored in it, a first-level bucket's that of its 256 buckets, the root that
 * of those. XOR because a version goes in and out in any order in constant time, with nothing to read. (It is no
 * defence against a member who looks for collisions of 128 bits; such a member could as well say that it has nothing.)
 *
 * 1 MiB of memory, whatever the size of the catalog; filled by one scan at the start. At 100,000 entries a bucket has
 * one or two, so that a difference is found by what differs and little else.
 */
const words = hashBytes / 4
const fanout = 256

export class DigestTree {
  readonly #buckets = new Uint32Array(fanout * fanout * words)
  /** First-level digests and the root, made when asked for. */
  #upper: { first: Uint8Array; root: Uint8Array } | undefined

  /** In or out: the same. */
  toggle(pathHash: Uint8Array, versionHash: Uint8Array): void {
    const bucket = ((pathHash[0] ?? 0) << 8) | (pathHash[1] ?? 0)
    const view = new DataView(versionHash.buffer, versionHash.byteOffset, hashBytes)
    for (let word = 0; word < words; word++) {
      const at = bucket * words + word
      this.#buckets[at] = (this.#buckets[at] ?? 0) ^ view.getUint32(4 * word)
    }
    this.#upper = undefined
  }

  /** 16 bytes. */
  root(): Uint8Array {
    return this.#sums().root
  }

  /** 256 digests. */
  firstLevel(): Uint8Array {
    return this.#sums().first
  }

  /** The 256 digests below a first-level bucket. */
  secondLevel(bucket: number): Uint8Array {
    return bytesOf(this.#buckets.subarray(bucket * fanout * words, (bucket + 1) * fanout * words))
  }

  #sums(): { first: Uint8Array; root: Uint8Array } {
    if (this.#upper !== undefined) return this.#upper
    const first = new Uint32Array(fanout * words)
    const root = new Uint32Array(words)
    for (let bucket = 0; bucket < fanout * fanout; bucket++) {
      for (let word = 0; word < words; word++) {
        const value = this.#buckets[bucket * words + word] ?? 0
        const at = (bucket >> 8) * words + word
        first[at] = (first[at] ?? 0) ^ value
        root[word] = (root[word] ?? 0) ^ value
      }
    }
    return (this.#upper = { first: bytesOf(first), root: bytesOf(root) })
  }
}

/** The root over first-level digests, as a peer sent them. */
export function rootOf(firstLevel: Uint8Array): Uint8Array {
  const root = new Uint8Array(hashBytes)
  for (const [i, byte] of firstLevel.entries()) root[i % hashBytes] = (root[i % hashBytes] ?? 0) ^ byte
  return root
}

/** Big-endian, as the hashes came. */
function bytesOf(values: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(4 * values.length)
  const view = new DataView(bytes.buffer)
  values.forEach((value, i) => {
    view.setUint32(4 * i, value)
  })
  return bytes
}

/** Where a path falls: 16 bytes of SHA-256. */
export function hashOfPath(path: string): Uint8Array {
  return createHash('sha256').update(path).digest().subarray(0, hashBytes)
}

/** The digests in `bytes` that are no other than in `others`, by place. */
export function differing(bytes: Uint8Array, others: Uint8Array): number[] {
  const places = []
  for (let at = 0; at < bytes.length; at += hashBytes) {
    if (Buffer.compare(bytes.subarray(at, at + hashBytes), others.subarray(at, at + hashBytes)) !== 0) places.push(at / hashBytes)
  }
  return places
}

export function isEmptyDigest(digests: Uint8Array, place: number): boolean {
  return digests.subarray(place * hashBytes, (place + 1) * hashBytes).every((byte) => byte === 0)
}
