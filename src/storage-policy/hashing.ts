/**
 * Rendezvous hashing (Thaler & Ravishankar, 1998): every node gives every blob a number by hashing both names together,
 * and the highest wins. All who know the same nodes name the same winner without asking, and when a node comes or goes
 * only what it wins or won changes hands. With a weight w the number is −w / ln u (Schindelhauer & Schomaker, 2005), and
 * a node wins in proportion to its weight.
 *
 * The hash is quick and not cryptographic. Somebody may look for a CID that a given node wins: it gains them the work
 * of storing their own blob there, within that node's quota, so there is nothing to defend.
 */
export interface Hash64 {
  readonly high: number
  readonly low: number
}

/** Of a name; worth keeping where the name is used often. */
export function hashName(text: string): Hash64 {
  // cyrb53's two lanes (bryc, public domain): multiply-and-mix per character, then a finaliser that crosses them.
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  for (let i = 0; i < text.length; i++) {
    const character = text.charCodeAt(i)
    high = Math.imul(high ^ character, 2654435761)
    low = Math.imul(low ^ character, 1597334677)
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)
  return { high: high >>> 0, low: low >>> 0 }
}

/** Uniform in (0, 1), the same for the same two names everywhere. */
export function rendezvous(one: Hash64, other: Hash64): number {
  let high = one.high ^ Math.imul(other.low, 0x9e3779b1)
  let low = one.low ^ Math.imul(other.high, 0x85ebca6b)
  high = Math.imul(high ^ (high >>> 15), 0x2c1b3c6d) + low
  low = Math.imul(low ^ (low >>> 12), 0x297a2d39) + high
  high = Math.imul(high ^ (high >>> 13), 0x45d9f3b)
  low = Math.imul(low ^ (low >>> 16), 0x7feb352d) ^ high
  low = Math.imul(low ^ (low >>> 15), 0x846ca68b)
  low ^= low >>> 16
  high ^= low >>> 11
  // 52 bits and a half: never 0, never 1, so that its logarithm is a finite negative number.
  return ((high >>> 0) * 2 ** 20 + (low >>> 12) + 0.5) / 2 ** 52
}

export function weightedRendezvous(one: Hash64, other: Hash64, weight: number): number {
  return weight <= 0 ? 0 : -weight / Math.log(rendezvous(one, other))
}
