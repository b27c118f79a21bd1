import type { NodeId } from '../base/index.js'

/**
 * What others say that they hold of what is held here, and have not proven to this node yet.
 *
 * A lie about many blobs is found out by asking for any; one about a single blob never would be, among ten thousand. So each
 * claim is asked for once, when it is new. The newest come first, since with those somebody may be waiting; and each peer
 * in its turn, so that whoever claims everything does not hide its lies, or another's, behind it.
 */
export interface Claim {
  readonly cid: string
  readonly peer: NodeId
  /** How often it was asked for, and nothing came. */
  readonly tries: number
}

/** Of all peers together, 150 bytes each. The rest is left to asking at random. */
export const claimsMax = 65_536
/** A peer that did not answer is asked for the same again after this. */
const askAgainMs = 60_000
/** Whoever did not answer twice: later. */
const askLateMs = 10 * 60_000

export class Claims {
  /** peer → blob → tries, and not before when; elapsed time. */
  readonly #open = new Map<NodeId, Map<string, { tries: number; notBeforeMs: number }>>()
  readonly #onNote: () => void
  #size = 0

  constructor(init: { onNote: () => void }) {
    this.#onNote = init.onNote
  }

  get size(): number {
    return this.#size
  }

  note(cid: string, peer: NodeId): void {
    let claims = this.#open.get(peer)
    if (claims?.has(cid) === true) return
    if (this.#size >= claimsMax) this.#makeRoom()
    if (claims === undefined || claims.size === 0) this.#open.set(peer, (claims = new Map<string, { tries: number; notBeforeMs: number }>()))
    claims.set(cid, { tries: 0, notBeforeMs: 0 })
    this.#size++
    this.#onNote()
  }

  /** It was proven, or is no claim any more. */
  settled(cid: string, peer: NodeId): void {
    const claims = this.#open.get(peer)
    if (claims?.delete(cid) !== true) return
    this.#size--
    if (claims.size === 0) this.#open.delete(peer)
  }

  /** Returns how often by now. */
  unanswered(cid: string, peer: NodeId, nowMs: number): number {
    const claim = this.#open.get(peer)?.get(cid)
    if (claim === undefined) return 0
    claim.tries++
    claim.notBeforeMs = nowMs + (claim.tries === 1 ? askAgainMs : askLateMs)
    return claim.tries
  }

  forget(peer: NodeId): void {
    this.#size -= this.#open.get(peer)?.size ?? 0
    this.#open.delete(peer)
  }

  /** The next to be asked for: of the peer whose turn it is, what it claimed last. */
  next(mayAsk: (peer: NodeId) => boolean, nowMs: number): Claim | undefined {
    for (const [peer, claims] of this.#open) {
      if (!mayAsk(peer)) continue
      let last: Claim | undefined
      for (const [cid, { tries, notBeforeMs }] of claims) if (notBeforeMs <= nowMs) last = { cid, peer, tries }
      if (last === undefined) continue
      this.#open.delete(peer)
      this.#open.set(peer, claims)
      return last
    }
    return undefined
  }

  /** Of who has most, what it claimed first. */
  #makeRoom(): void {
    let largest: { peer: NodeId; claims: Map<string, unknown> } | undefined
    for (const [peer, claims] of this.#open) if (claims.size > (largest?.claims.size ?? 0)) largest = { peer, claims }
    if (largest === undefined) return
    for (const cid of largest.claims.keys()) {
      this.settled(cid, largest.peer)
      return
    }
  }
}
