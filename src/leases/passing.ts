import type { Clock, Log, NodeId } from '../base/index.js'
import { messageOf } from '../base/index.js'
import type { Consensus, HandOffWish } from '../consensus/index.js'
import type { Book, InLine, Scope } from './book.js'
import type { Borrower } from './borrower.js'
import type { Lender } from './lender.js'
import { decodePayload } from './payload.js'
import type { LeasePayload } from './payload.js'
import type { AccessReport, Governor, StealWish, Verdict } from './types.js'

export interface PassingComponents {
  readonly consensus: Consensus
  readonly book: Book
  readonly lender: Lender
  readonly borrower: Borrower
  readonly clock: Clock
  readonly log: Log
  readonly governor: Governor
  readonly heat: (scope: string) => AccessReport | undefined
}

export interface PassingInit {
  readonly self: NodeId
  /** Turns in a row for agents of this node before another node's turn, whatever the priorities. */
  readonly turnsMax: number
}

/** A remote waiter repeats its wish every 0.6 s; after five silences it has gone. */
const wishForgottenMs = 3000
/** Who is remembered as wanting a scope in use; more are counted from when they ask again. */
const wantedMax = 1000

/**
 * Who came within this of one another came together, and then agents of this node are first: a turn here costs one round,
 * a hand-off more. Clocks of two machines do not agree any better, so that nobody loses what was ever certain.
 */
const togetherMs = 50

/** Above all that can be asked for: what the governor has agreed to is not put behind other waiters again. */
export const priorityOfTaking = Number.MAX_SAFE_INTEGER

/** The refusal that says: it is shared now, so ask to be let in. */
export const comeIn = 'it is shared: ask to be let in'

/**
 * Giving up: to the first in line when nobody here has the scope any more, or because somebody asks and the governor
 * agrees. Nothing is passed on while somebody who was told that he may act under it may still do so: an agent of this
 * node whose lease was taken (as long as its last answer said), or a reader of another node.
 */
export class Passing {
  readonly #components: PassingComponents
  readonly #init: PassingInit

  constructor(components: PassingComponents, init: PassingInit) {
    this.#components = components
    this.#init = init
  }

  /** How long the scope cannot change hands, nor be written under, because somebody may still act under it. */
  blockedMs(entry: Scope): number {
    const { book, lender, borrower } = this.#components
    // Lent by another node: the end of that is an event, not a time.
    if (borrower.has(entry.name)) return Number.POSITIVE_INFINITY
    return Math.max(book.drainMs(entry), lender.outstandingMs(entry.name))
  }

  /**
   * Whose turn it is. A wish counts under whatever token it was told: where agents of this node take turns quickly, every
   * wish names a token that is over by now, and who waits elsewhere would never be first.
   */
  next(entry: Scope): InLine | undefined {
    const { book, consensus } = this.#components
    const isHeld = consensus.holding(entry.name) !== undefined
    const first = entry.line.first(book.now(), ({ wish }) => wish === undefined || isHeld)
    if (!isHeld) return first
    if (entry.turns < this.#init.turnsMax) {
      if (first?.wish === undefined) return first
      const local = entry.line.first(book.now(), ({ wish }) => wish === undefined)
      return local !== undefined && local.priority === first.priority && local.sinceMs <= first.sinceMs + togetherMs ? local : first
    }
    return entry.line.first(book.now(), ({ wish }) => wish !== undefined) ?? first
  }

  /** After anything that may have freed the scope. */
  tidy(entry: Scope): void {
    const { book, consensus, lender, borrower, clock } = this.#components
    entry.cancelTidy?.()
    entry.cancelTidy = undefined
    for (const lease of [...entry.leases]) this.#expireIfDue(entry, lease)
    if (entry.busy || entry.leases.size > 0) {
      this.#wake(entry)
      return
    }
    const drainMs = book.drainMs(entry)
    if (drainMs <= 0 && borrower.has(entry.name)) {
      borrower.giveBack(entry.name).catch(() => undefined)
    }
    const waitMs = Math.max(drainMs, lender.outstandingMs(entry.name))
    if (waitMs > 0) {
      entry.cancelTidy = clock.setTimer(Math.max(1, waitMs), () => {
        entry.cancelTidy = undefined
        this.tidy(entry)
      })
      return
    }
    const holding = consensus.holding(entry.name)
    if (holding === undefined) this.#wake(entry)
    else this.#beginPassingOn(entry, holding.token)
    book.forgetIfIdle(entry)
  }

  /** Another node asks for a scope of this one. Told again and again until it has an answer. */
  wish(wish: HandOffWish): void {
    const { book, consensus, lender } = this.#components
    const entry = book.scope(wish.scope)
    const asked = decodePayload(wish.reason)
    const now = book.now()
    const key = `${wish.asker.node}/${String(wish.asker.epoch)}/${asked?.leaseId ?? ''}`
    const mode = asked?.mode ?? 'exclusive'
    if (mode === 'shared' && this.#mayJoin(entry, wish.token)) {
      consensus.refuse(wish, comeIn)
      book.forgetIfIdle(entry)
      return
    }
    const isFirst = asked?.steal === true || asked?.upgrade === true
    if (!entry.line.put({ key, mode, priority: isFirst ? priorityOfTaking : asked?.priority ?? 0, sinceMs: asked?.sinceMs ?? 0, until: now + wishForgottenMs, wish, wake: undefined }, now)) {
      consensus.refuse(wish, 'too many wait for it already')
      return
    }
    for (const lease of [...entry.leases]) this.#expireIfDue(entry, lease)
    if (asked?.steal === true && this.#isInUse(entry) && !lender.isRecalled(entry.name, wish.token)) {
      const verdict = this.judge(entry, wish.asker.node, asked)
      if (!verdict.give) {
        entry.line.remove(key)
        consensus.refuse(wish, verdict.reason)
        return
      }
      this.takeAway(entry, 'taken by another node')
    }
    if (asked?.upgrade === true && !this.#isOnlyReader(entry, wish.asker.node)) {
      entry.line.remove(key)
      consensus.refuse(wish, 'other readers are there')
      return
    }
    if (asked?.upgrade === true && !entry.busy) this.#beginPassingOn(entry, wish.token)
    else this.tidy(entry)
  }

  /** The governor's word on a scope that is in use here. */
  judge(entry: Scope, asker: NodeId, asked: Pick<LeasePayload, 'agent' | 'access'>): Verdict {
    const { book, governor, heat } = this.#components
    const now = book.now()
    const key = `${asker}/${asked.agent}`
    const since = entry.wanted.get(key) ?? now
    if (entry.wanted.size < wantedMax) entry.wanted.set(key, since)
    const ours = heat(entry.name)
    const wish: StealWish = {
      scope: entry.name, asker, agent: asked.agent, heldForMs: now - entry.heldSinceMs, waitedMs: now - since,
      ...(asked.access === undefined ? {} : { theirs: asked.access }), ...(ours === undefined ? {} : { ours }),
    }
    return governor(wish)
  }

  /** From the agents of this node and the readers of others. They are told, and counted until they know. */
  takeAway(entry: Scope, reason: string): void {
    const { book, lender, consensus } = this.#components
    const token = consensus.holding(entry.name)?.token
    if (token !== undefined) lender.recall(entry.name, token)
    for (const lease of [...entry.leases]) book.drop(lease, 'revoked', reason)
  }

  #isInUse(entry: Scope): boolean {
    return entry.leases.size > 0 || this.#components.lender.outstandingMs(entry.name) > 0
  }

  #mayJoin(entry: Scope, token: number): boolean {
    const { book, consensus, lender } = this.#components
    const holding = consensus.holding(entry.name)
    if (holding?.token !== token || entry.busy || lender.isRecalled(entry.name, token) || !this.#isInUse(entry)) return false
    return decodePayload(holding.payload)?.mode === 'shared' && entry.line.first(book.now(), ({ mode }) => mode === 'exclusive') === undefined
  }

  /** The one wish that need not wait until all readers have gone: the last of them is who asks. */
  #isOnlyReader(entry: Scope, node: NodeId): boolean {
    const { book, lender } = this.#components
    const isWaitedFor = entry.line.first(book.now(), ({ wish, mode }) => mode === 'exclusive' && wish?.asker.node !== node) !== undefined
    return entry.leases.size === 0 && book.drainMs(entry) <= 0 && lender.outstandingMs(entry.name, node) <= 0 && !isWaitedFor
  }

  #beginPassingOn(entry: Scope, token: number): void {
    const passing = this.#passOn(entry, token).finally(() => {
      if (entry.passing === passing) entry.passing = undefined
    })
    entry.passing = passing
  }

  /** To the first in line: another node by hand-off, an agent here by waking it; nobody: the scope is free. */
  async #passOn(entry: Scope, token: number): Promise<void> {
    const { book, consensus, lender, log } = this.#components
    const next = this.next(entry)
    entry.busy = true
    try {
      if (next?.wish !== undefined && consensus.freeze(entry.name, token)) {
        entry.line.remove(next.key)
        const value = await consensus.handOff({ ...next.wish, token }, next.wish.reason)
        lender.passed(entry.name)
        entry.elsewhere = { value, sinceMs: book.now() }
        consensus.tellMoved(entry.name, value, entry.line.takeAll(({ wish }) => wish !== undefined).flatMap(({ wish }) => wish?.asker.node ?? []))
        entry.wanted.clear()
        entry.turns = 0
        book.counters.handedOver++
      } else if (next?.wake === undefined && consensus.holding(entry.name)?.token === token) {
        await consensus.release(entry.name, token)
        lender.passed(entry.name)
        entry.turns = 0
      }
    } catch (error) {
      // The node has stopped acting under it in any case; the register follows, at the latest when somebody asks for it.
      log.debug('a lease was not passed on cleanly', { scope: entry.name, error: messageOf(error) })
    } finally {
      entry.busy = false
      this.#wake(entry)
      book.forgetIfIdle(entry)
    }
  }

  #wake(entry: Scope): void {
    this.next(entry)?.wake?.()
  }

  #expireIfDue(entry: Scope, lease: { isExpired(nowMs: number): boolean } & Parameters<Book['drop']>[0]): void {
    const { book } = this.#components
    if (entry.leases.has(lease) && lease.isExpired(book.now())) book.drop(lease, 'expired', 'its time was up')
  }
}
