import type { NodeId } from '../base/index.js'
import type { ClockKind, Consensus, Readings } from '../consensus/index.js'
import { elapsedAtLeastMs } from '../consensus/index.js'
import type { Book } from './book.js'
import { decodePayload } from './payload.js'
import type { ShareAnswer, ShareItem, ShareRequest } from './sharing-frames.js'

export interface LenderComponents {
  readonly consensus: Consensus
  readonly book: Book
  /** Nobody of this scope's readers is left elsewhere: whoever waits may go on. */
  readonly gone: (scope: string) => void
}

export interface LenderInit {
  readonly readings: () => Readings
  readonly clockKind: ClockKind
  /** D_v as this node's clock must keep it: for so long after a request came its reader is counted as reading. */
  readonly keepMs: number
  /** A grant shorter than this would be over before it is there. */
  readonly validMsMin: number
}

interface Reader {
  readonly node: NodeId
  /** Of the last request that was granted: an older return says nothing. */
  readonly sequence: number
  readonly at: Readings
}

interface Settling {
  readonly token: number
  readonly at: Readings
}

/** Nodes that read one scope at once. A mesh has some hundreds. */
const readersMax = 1000
/** Scopes with readers elsewhere; about 300 bytes each. */
const scopesMax = 100_000

/**
 * Lets readers of other nodes into scopes that this node holds shared. A reader's node is to the holder what a holder is
 * to the voters: it counts from when it *sent*, by a clock that may run fast; the holder counts from when the request
 * *came*, by a clock that may run slow, and so much longer (D_v against D_h) that the reader has always stopped first.
 * A grant also never outlives the holder's own session with the voters. So whoever takes the scope from a dead holder by
 * expiry finds no reader left.
 *
 * Two other ways in are not covered by that: a holder that restarts (its old session is over at once) and a revocation
 * that the holder acknowledges (it stops at once, its readers do not know). There the taker sees in the value which it
 * replaces that it was shared, and nobody writes for D_v after the take (`settle`). The road not taken: to let voters know
 * each reader. It would make every reader as dear as a lease of its own.
 */
export class Lender {
  readonly #components: LenderComponents
  readonly #init: LenderInit
  readonly #readers = new Map<string, Map<string, Reader>>()
  readonly #settling = new Map<string, Settling>()
  /** Tokens whose readers were told to go. */
  readonly #recalled = new Map<string, number>()

  constructor(components: LenderComponents, init: LenderInit) {
    this.#components = components
    this.#init = init
  }

  get scopes(): number {
    return this.#readers.size
  }

  handle(from: NodeId, request: ShareRequest): ShareAnswer[] {
    return request.items.map((item) => this.#one(from, request, item))
  }

  /** How long somebody elsewhere may still be reading; `butNode` does not count. 0: nobody. */
  outstandingMs(scope: string, butNode?: NodeId): number {
    let longest = 0
    const readers = this.#readers.get(scope)
    for (const [key, reader] of readers ?? []) {
      const leftMs = this.#leftMs(reader.at)
      if (leftMs <= 0) readers?.delete(key)
      else if (reader.node !== butNode) longest = Math.max(longest, leftMs)
    }
    if (readers?.size === 0) this.#readers.delete(scope)
    const settling = this.#settling.get(scope)
    return settling === undefined ? longest : Math.max(longest, this.#leftMs(settling.at))
  }

  /** The scope was taken from somebody who may have let readers in: D_v from now on. */
  settle(scope: string, token: number): void {
    this.#settling.set(scope, { token, at: this.#init.readings() })
  }

  /** Whether this process has counted, or counts, for the readers of this token. */
  hasSettled(scope: string, token: number): boolean {
    return this.#settling.get(scope)?.token === token
  }

  /** Readers of this token get no more time. */
  recall(scope: string, token: number): void {
    this.#recalled.set(scope, token)
  }

  isRecalled(scope: string, token: number): boolean {
    return this.#recalled.get(scope) === token
  }

  /** The scope is somebody else's now, or free. */
  passed(scope: string): void {
    this.#recalled.delete(scope)
    if (this.outstandingMs(scope) <= 0) this.#settling.delete(scope)
  }

  prune(): void {
    for (const scope of [...this.#readers.keys(), ...this.#settling.keys()]) {
      if (this.outstandingMs(scope) <= 0 && this.#components.consensus.holding(scope) === undefined) this.passed(scope)
    }
  }

  #one(from: NodeId, { start, sequence }: ShareRequest, { kind, scope, token }: ShareItem): ShareAnswer {
    const key = `${from}/${start}`
    if (kind === 'return') {
      const readers = this.#readers.get(scope)
      const reader = readers?.get(key)
      if (reader !== undefined && reader.sequence < sequence) {
        readers?.delete(key)
        if (this.outstandingMs(scope) <= 0) this.#components.gone(scope)
      }
      return { validMs: 0 }
    }
    const { consensus, book } = this.#components
    const holding = consensus.holding(scope)
    if (holding?.token !== token || decodePayload(holding.payload)?.mode !== 'shared') return { refused: 'not-holder' }
    if (this.isRecalled(scope, token)) return { refused: 'recalled' }
    const entry = book.scopes.get(scope)
    if (entry?.busy === true || consensus.mayAct(scope) !== token) return { refused: 'not-now' }
    // New readers wait behind a writer that waits: it would starve. Those who are in may stay.
    if (kind === 'admit' && entry?.line.first(book.now(), ({ mode }) => mode === 'exclusive') !== undefined) return { refused: 'writer-waits' }
    const validMs = consensus.sessionRemainingMs()
    if (validMs < this.#init.validMsMin) return { refused: 'not-now' }
    let readers = this.#readers.get(scope)
    if (readers === undefined) {
      if (this.#readers.size >= scopesMax) return { refused: 'full' }
      this.#readers.set(scope, (readers = new Map<string, Reader>()))
    }
    const before = readers.get(key)
    if (before === undefined && readers.size >= readersMax) return { refused: 'full' }
    readers.set(key, { node: from, sequence: Math.max(sequence, before?.sequence ?? 0), at: this.#init.readings() })
    return { validMs }
  }

  #leftMs(at: Readings): number {
    return this.#init.keepMs - elapsedAtLeastMs(at, this.#init.readings(), this.#init.clockKind)
  }
}
