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
/** So many that were settled before their turn are kept in line, beside as many as there are: 60 KB. */
const settledMax = 1000

/** What one peer claims, in line to be asked for. */
class Open {
  /** blob → how often it was asked for, and not before when again; elapsed time. */
  readonly claims = new Map<string, { tries: number; notBeforeMs: number }>()
  /** Never asked for, the newest last: what has been settled since is passed over when its turn comes. */
  fresh: string[] = []
  /** Asked for in vain, at least once. */
  readonly late = new Set<string>()

  note(cid: string): void {
    this.claims.set(cid, { tries: 0, notBeforeMs: 0 })
    this.fresh.push(cid)
    if (this.fresh.length > 2 * this.claims.size + settledMax) this.fresh = this.fresh.filter((one) => this.#isFresh(one))
  }

  /** The next to be asked for, without a look at all ten thousand. What is due again comes first: that was newer. */
  next(nowMs: number): string | undefined {
    for (const cid of this.late) if ((this.claims.get(cid)?.notBeforeMs ?? Number.POSITIVE_INFINITY) <= nowMs) return cid
    for (let cid = this.fresh.at(-1); cid !== undefined; cid = this.fresh.at(-1)) {
      if (this.#isFresh(cid)) return cid
      this.fresh.pop()
    }
    return undefined
  }

  #isFresh(cid: string): boolean {
    return this.claims.get(cid)?.tries === 0
  }
}

export class Claims {
  readonly #open = new Map<NodeId, Open>()
  readonly #onNote: () => void
  #size = 0

  constructor(init: { onNote: () => void }) {
    this.#onNote = init.onNote
  }

  get size(): number {
    return this.#size
  }

  note(cid: string, peer: NodeId): void {
    let open = this.#open.get(peer)
    if (open?.claims.has(cid) === true) return
    if (this.#size >= claimsMax) this.#makeRoom()
    if (open === undefined || open.claims.size === 0) this.#open.set(peer, (open = new Open()))
    open.note(cid)
    this.#size++
    this.#onNote()
  }

  /** It was proven, or is no claim any more. */
  settled(cid: string, peer: NodeId): void {
    const open = this.#open.get(peer)
    if (open?.claims.delete(cid) !== true) return
    open.late.delete(cid)
    this.#size--
    if (open.claims.size === 0) this.#open.delete(peer)
  }

  /** Returns how often by now. */
  unanswered(cid: string, peer: NodeId, nowMs: number): number {
    const open = this.#open.get(peer)
    const claim = open?.claims.get(cid)
    if (open === undefined || claim === undefined) return 0
    claim.tries++
    claim.notBeforeMs = nowMs + (claim.tries === 1 ? askAgainMs : askLateMs)
    open.late.add(cid)
    return claim.tries
  }

  forget(peer: NodeId): void {
    this.#size -= this.#open.get(peer)?.claims.size ?? 0
    this.#open.delete(peer)
  }

  /** The next to be asked for: of the peer whose turn it is, what it claimed last. */
  next(mayAsk: (peer: NodeId) => boolean, nowMs: number): Claim | undefined {
    for (const [peer, open] of this.#open) {
      if (!mayAsk(peer)) continue
      const cid = open.next(nowMs)
      if (cid === undefined) continue
      this.#open.delete(peer)
      this.#open.set(peer, open)
      return { cid, peer, tries: open.claims.get(cid)?.tries ?? 0 }
    }
    return undefined
  }

  /** Of who has most, what it claimed first. */
  #makeRoom(): void {
    let largest: { peer: NodeId; claims: Map<string, unknown> } | undefined
    for (const [peer, { claims }] of this.#open) if (claims.size > (largest?.claims.size ?? 0)) largest = { peer, claims }
    if (largest === undefined) return
    for (const cid of largest.claims.keys()) {
      this.settled(cid, largest.peer)
      return
    }
  }
}
