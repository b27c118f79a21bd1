import type { Clock, Log, NodeId, Random, Rpc } from '../base/index.js'
import { messageOf } from '../base/index.js'
import type { ClockKind, Readings } from '../consensus/index.js'
import { elapsedAtMostMs } from '../consensus/index.js'
import type { ShareAnswer, ShareItem, ShareRefusal } from './sharing-frames.js'
import { decodeShareReply, encodeShareRequest, itemsMax } from './sharing-frames.js'

export interface BorrowerComponents {
  readonly rpc: Rpc
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** The readers of this node must stop: not let in any longer. */
  readonly lost: (scope: string, token: number, why: string) => void
}

export interface BorrowerInit {
  readonly readings: () => Readings
  readonly clockKind: ClockKind
  /** This node's clock step: so much less is believed. */
  readonly quantumMs: number
  readonly renewMs: number
}

export type Admission = { readonly kind: 'in' } | { readonly kind: 'refused'; readonly why: ShareRefusal } | { readonly kind: 'unreachable' }

interface Borrowed {
  readonly lender: NodeId
  readonly token: number
  /** Of the request that was granted last. */
  readonly sentAt: Readings
  readonly validMs: number
  /** Told to stop: nobody reads any more, and it is to be given back once the agents know. */
  readonly isOver: boolean
  /** The register is about to become this node's own: the holder is not asked meanwhile. */
  readonly isSuspended: boolean
  /** Renewals in a row without a grant. */
  readonly unanswered: number
}

/** An answer that takes longer is worth little: a quarter of it is over. */
const answerMs = 1000
/** After so many, and once its time is up, the holder is taken for gone. Not at once: a clock that was set forward looks the same. */
const unansweredMax = 3
/** Longer than any request is under way. */
const returnedForgottenMs = 10_000

/** Scopes that this node may read because their holder lets it. See `lender.ts` for why the times are as they are. */
export class Borrower {
  readonly #components: BorrowerComponents
  readonly #init: BorrowerInit
  readonly #start: string
  readonly #borrowed = new Map<string, Borrowed>()
  /** Requests up to this one count no more: what was given back is not had again by a late answer. */
  readonly #returned = new Map<string, { sequence: number; atMs: number }>()
  #sequence = 0

  constructor(components: BorrowerComponents, init: BorrowerInit) {
    this.#components = components
    this.#init = init
    this.#start = Buffer.from(components.random.bytes(16)).toString('hex')
  }

  /** The token under which this node may read the scope now, and for how long. */
  standing(scope: string): { token: number; leftMs: number } | undefined {
    const borrowed = this.#borrowed.get(scope)
    if (borrowed === undefined || borrowed.isOver) return undefined
    const leftMs = this.#leftMs(borrowed)
    return leftMs <= 0 ? undefined : { token: borrowed.token, leftMs }
  }

  /** Whether the lender may count this node as a reader, as far as is known here. */
  has(scope: string): boolean {
    return this.#borrowed.has(scope)
  }

  lenderOf(scope: string): NodeId | undefined {
    return this.#borrowed.get(scope)?.lender
  }

  /** Asks the holder to let this node's readers in. */
  async admit(scope: string, lender: NodeId, token: number, signal?: AbortSignal): Promise<Admission> {
    const [answer] = await this.#ask(lender, [{ kind: 'admit', scope, token }], signal)
    if (answer === undefined) return { kind: 'unreachable' }
    if ('refused' in answer) return { kind: 'refused', why: answer.refused }
    return this.standing(scope)?.token === token ? { kind: 'in' } : { kind: 'unreachable' }
  }

  /** While the scope is asked for by its only reader: a renewal that crosses the hand-off would be refused. False: not lent. */
  suspend(scope: string, isSuspended: boolean): boolean {
    const borrowed = this.#borrowed.get(scope)
    if (borrowed === undefined || borrowed.isOver) return false
    this.#borrowed.set(scope, { ...borrowed, isSuspended })
    return true
  }

  /** The register is this node's own now. */
  forget(scope: string): void {
    this.#borrowed.delete(scope)
  }

  /** Nobody here reads it any more. Whatever becomes of the message, it lapses. */
  async giveBack(scope: string): Promise<void> {
    const borrowed = this.#borrowed.get(scope)
    if (borrowed === undefined) return
    this.#borrowed.delete(scope)
    // Marked before it is sent: a grant that is under way must not be believed.
    this.#returned.set(scope, { sequence: this.#sequence + 1, atMs: this.#components.clock.monotonicMs() })
    await this.#ask(borrowed.lender, [{ kind: 'return', scope, token: borrowed.token }])
  }

  async giveAllBack(): Promise<void> {
    await Promise.all([...this.#borrowed.keys()].map(async (scope) => this.giveBack(scope)))
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#components
    while (!signal.aborted) {
      const isOver = await clock.sleep(this.#init.renewMs * (0.75 + random.float() / 4), signal).then(() => false, () => true)
      if (!isOver) await this.renew(signal)
    }
  }

  /** One round of renewals: to each holder one message, whatever the number of scopes. */
  async renew(signal?: AbortSignal): Promise<void> {
    const byLender = new Map<NodeId, ShareItem[]>()
    for (const [scope, borrowed] of this.#borrowed) {
      if (borrowed.isOver || borrowed.isSuspended) continue
      if (borrowed.unanswered >= unansweredMax && this.#leftMs(borrowed) <= 0) {
        this.#over(scope, borrowed, 'the node that holds it has not answered')
        continue
      }
      this.#borrowed.set(scope, { ...borrowed, unanswered: borrowed.unanswered + 1 })
      const items = byLender.get(borrowed.lender) ?? []
      items.push({ kind: 'renew', scope, token: borrowed.token })
      byLender.set(borrowed.lender, items)
    }
    const asks: Promise<unknown>[] = []
    for (const [lender, items] of byLender) {
      for (let at = 0; at < items.length; at += itemsMax) asks.push(this.#ask(lender, items.slice(at, at + itemsMax), signal))
    }
    await Promise.all(asks)
    const now = this.#components.clock.monotonicMs()
    for (const [scope, { atMs }] of this.#returned) if (now - atMs > returnedForgottenMs) this.#returned.delete(scope)
  }

  async #ask(lender: NodeId, items: readonly ShareItem[], signal?: AbortSignal): Promise<ShareAnswer[]> {
    const { rpc, log } = this.#components
    const sequence = ++this.#sequence
    const sentAt = this.#init.readings()
    let answers: ShareAnswer[]
    try {
      const body = encodeShareRequest({ start: this.#start, sequence, items })
      answers = decodeShareReply(await rpc.request(lender, 'lease.share', body, { deadlineMs: answerMs, ...(signal === undefined ? {} : { signal }) }))
    } catch (error) {
      log.debug('the holder of a shared lease did not answer', { lender, error: messageOf(error) })
      return []
    }
    items.forEach((item, i) => { this.#heard(lender, item, answers[i], sequence, sentAt) })
    return answers
  }

  #heard(lender: NodeId, { kind, scope, token }: ShareItem, answer: ShareAnswer | undefined, sequence: number, sentAt: Readings): void {
    if (answer === undefined || kind === 'return' || sequence < (this.#returned.get(scope)?.sequence ?? 0)) return
    const before = this.#borrowed.get(scope)
    const isSame = before?.token === token && before.lender === lender
    if ('refused' in answer) {
      // Not now: it holds until its time is up, and is asked for again before.
      if (isSame && kind === 'renew' && answer.refused !== 'not-now' && !before.isOver) this.#over(scope, before, answer.refused === 'recalled' ? 'taken by another node' : 'the node that held it does not hold it any more')
      return
    }
    // What was given back or recalled comes back by `admit` only. What has lapsed may be renewed: under the same token
    // there was no writer in between.
    if (kind === 'renew' && (!isSame || before.isOver)) return
    const next: Borrowed = { lender, token, sentAt, validMs: answer.validMs - this.#init.quantumMs, isOver: false, isSuspended: isSame && before.isSuspended, unanswered: 0 }
    if (!isSame || before.isOver || this.#leftMs(next) > this.#leftMs(before)) this.#borrowed.set(scope, next)
  }

  #over(scope: string, borrowed: Borrowed, why: string): void {
    this.#borrowed.set(scope, { ...borrowed, isOver: true })
    this.#components.lost(scope, borrowed.token, why)
  }

  #leftMs({ sentAt, validMs }: Borrowed): number {
    return validMs - elapsedAtMostMs(sentAt, this.#init.readings(), this.#init.clockKind)
  }
}
