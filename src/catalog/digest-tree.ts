import { hash } from 'node:crypto'
import { hashBytes } from './record.js'

/**
 * What a node has, in few bytes. Paths fall into 65,536 buckets by the first two bytes of their hash; a bucket's digest
 * is the XOR of the hashes of all versions stored in it, a first-level bucket's that of its 256 buckets, the root that
 * of those. XOR because a version goes in and out in any order in constant time, with nothing to read. (It is no
 * defence against a member who looks for collisions of 128 bits; such a member could as well say that it has nothing.)
 *
 * 1 MiB of memory, whatever the size of the catalog; filled by one scan at the start. At 100,000 entries a bucket has
 * one or two, so that a difference is found by what differs and little else. The levels above follow each change at once:
 * while files come in they are asked for several times a second, and to add up all buckets takes a millisecond.
 */
const words = hashBytes / 4
const fanout = 256

export class DigestTree {
  readonly #buckets = new Uint32Array(fanout * fanout * words)
  readonly #first = new Uint32Array(fanout * words)
  readonly #root = new Uint32Array(words)

  /** In or out: the same. */
  toggle(pathHash: Uint8Array, versionHash: Uint8Array): void {
    const bucket = ((pathHash[0] ?? 0) << 8) | (pathHash[1] ?? 0)
    const view = new DataView(versionHash.buffer, versionHash.byteOffset, hashBytes)
    for (let word = 0; word < words; word++) {
      const value = view.getUint32(4 * word)
      toggleAt(this.#buckets, bucket * words + word, value)
      toggleAt(this.#first, (bucket >> 8) * words + word, value)
      toggleAt(this.#root, word, value)
    }
  }

  /** 16 bytes. */
  root(): Uint8Array {
    return bytesOf(this.#root)
  }

  /** 256 digests. */
  firstLevel(): Uint8Array {
    return bytesOf(this.#first)
  }

  /** The 256 digests below a first-level bucket. */
  secondLevel(bucket: number): Uint8Array {
    return bytesOf(this.#buckets.subarray(bucket * fanout * words, (bucket + 1) * fanout * words))
  }
}

function toggleAt(values: Uint32Array, at: number, value: number): void {
  values[at] = (values[at] ?? 0) ^ value
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
  return hash('sha256', path, 'buffer').subarray(0, hashBytes)
}

/** The places at which the digests are not the same. */
export function differing(bytes: Uint8Array, others: Uint8Array): number[] {
  const places = []
  // 65,536 of them are compared at a time: a view of each would be most of the work.
  for (let at = 0; at < bytes.length; at += hashBytes) {
    let same = 0
    while (same < hashBytes && bytes[at + same] === others[at + same]) same++
    if (same < hashBytes) places.push(at / hashBytes)
  }
  return places
}

export function isEmptyDigest(digests: Uint8Array, place: number): boolean {
  for (let at = place * hashBytes; at < (place + 1) * hashBytes; at++) if (digests[at] !== 0) return false
  return true
}
