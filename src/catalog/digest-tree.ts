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
  readonly #buckets = new Digests(fanout * fanout)
  readonly #first = new Digests(fanout)
  readonly #root = new Digests(1)
  /** The hash that goes in or out, in words of this machine: XOR does not mind in which order their bytes are. */
  readonly #bytes = new Uint8Array(hashBytes)
  readonly #words = new Uint32Array(this.#bytes.buffer)

  /** In or out: the same. */
  toggle(pathHash: Uint8Array, versionHash: Uint8Array): void {
    const bucket = ((pathHash[0] ?? 0) << 8) | (pathHash[1] ?? 0)
    this.#bytes.set(versionHash)
    this.#buckets.toggle(bucket, this.#words)
    this.#first.toggle(bucket >> 8, this.#words)
    this.#root.toggle(0, this.#words)
  }

  /** 16 bytes. */
  root(): Uint8Array {
    return this.#root.bytes.slice()
  }

  /** 256 digests. */
  firstLevel(): Uint8Array {
    return this.#first.bytes.slice()
  }

  /** The 256 digests below a first-level bucket. */
  secondLevel(bucket: number): Uint8Array {
    return this.#buckets.bytes.slice(bucket * fanout * hashBytes, (bucket + 1) * fanout * hashBytes)
  }
}

/** So many digests, as bytes for those who ask, and as words to be changed. */
class Digests {
  readonly bytes: Uint8Array
  readonly #words: Uint32Array

  constructor(count: number) {
    this.bytes = new Uint8Array(count * hashBytes)
    this.#words = new Uint32Array(this.bytes.buffer)
  }

  toggle(place: number, hash: Uint32Array): void {
    for (let word = 0, at = place * words; word < words; word++, at++) this.#words[at] = (this.#words[at] ?? 0) ^ (hash[word] ?? 0)
  }
}

/** The root over first-level digests, as a peer sent them. */
export function rootOf(firstLevel: Uint8Array): Uint8Array {
  const root = new Uint8Array(hashBytes)
  for (let i = 0; i < firstLevel.length; i++) root[i % hashBytes] = (root[i % hashBytes] ?? 0) ^ (firstLevel[i] ?? 0)
  return root
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
