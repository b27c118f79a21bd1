import type { Clock, NodeId, Random } from '../base/index.js'
import { backoffMs, codeOf } from '../base/index.js'
import type { Consensus, Value } from '../consensus/index.js'
import { ConsensusError, HeldError } from '../consensus/index.js'
import type { Book, Scope } from './book.js'
import { lineMax } from './book.js'
import type { Borrower } from './borrower.js'
import { checkScope } from './checks.js'
import type { Lease } from './lease.js'
import type { Lender } from './lender.js'
import { comeIn } from './passing.js'
import type { Passing } from './passing.js'
import type { LeasePayload } from './payload.js'
import { decodePayload, encodePayload, mayHaveReaders } from './payload.js'
import type { AccessReport } from './types.js'
import { LeaseError } from './types.js'

export interface ObtainingComponents {
  readonly consensus: Consensus
  readonly book: Book
  readonly lender: Lender
  readonly borrower: Borrower
  readonly passing: Passing
  readonly clock: Clock
  readonly random: Random
  readonly heat: (scope: string) => AccessReport | undefined
}

export interface ObtainOptions {
  readonly waitMs: number
  readonly priority: number
  readonly steal: boolean
  readonly signal: AbortSignal | undefined
}

/** A waiter looks again at least this often: a holder that died sends no word. */
const lookAgainMs = 1500
/** Ends of a try after which another may do better. */
const again = new Set(['HELD', 'NOT_HOLDER', 'CANCELLED', 'STALE_TOKEN', 'CONTENDED', 'HOLDER_ALIVE', 'NO_QUORUM', 'NO_SESSION'])

/**
 * From "an agent wants it" to "it has it": in line behind agents of this node, then for the register, from a dead holder
 * at once, from a live one by asking and waiting, from one that shares it by being let in.
 */
export class Obtaining {
  readonly #components: ObtainingComponents
  readonly #self: NodeId
  /** Sessions of this process: what was let in under them is known to the lender here. */
  readonly #own = new Set<string>()

  constructor(components: ObtainingComponents, init: { self: NodeId }) {
    this.#components = components
    this.#self = init.self
    components.consensus.on('ready', ({ incarnation, epoch }) => { this.#own.add(`${incarnation}/${String(epoch)}`) })
    const { session } = components.consensus
    if (session !== undefined) this.#own.add(`${session.incarnation}/${String(session.epoch)}`)
  }

  /** pending -> active, or throws. A wait that is interrupted leaves nothing behind. */
  async obtain(lease: Lease, options: ObtainOptions): Promise<void> {
    const { scope } = lease.init
    const { clock, book, passing } = this.#components
    checkScope(scope)
    const untilMs = book.now() + options.waitMs
    const sinceMs = clock.wallMs()
    const entry = book.scope(scope)
    entry.pending++
    try {
      await this.#tries(entry, lease, options, untilMs, sinceMs)
    } finally {
      entry.pending--
      entry.line.remove(lease.init.leaseId)
      passing.tidy(entry)
      book.forgetIfIdle(entry)
    }
  }

  /** The register's payload for a lease, with what must not be forgotten of the value that it replaces. */
  payloadFor(payload: LeasePayload & { scope: string }): (before: Value | undefined) => Uint8Array {
    return (before) => encodePayload(this.#mustSettle(payload.scope, before) ? { ...withoutScope(payload), settle: true } : withoutScope(payload))
  }

  async #tries(entry: Scope, lease: Lease, options: ObtainOptions, untilMs: number, sinceMs: number): Promise<void> {
    const { clock, random, book } = this.#components
    const { signal } = options
    let waited = false
    const countWait = (): void => {
      if (!waited) book.counters.waits++
      waited = true
    }
    for (let tries = 0; ;) {
      signal?.throwIfAborted()
      if (this.#mayNotYet(entry, lease)) {
        if (options.steal) this.#stealHere(entry, lease)
        if (book.now() >= untilMs) throw this.#heldHere(entry, options.waitMs > 0)
        countWait()
        await this.#inLine(entry, lease, options.priority, sinceMs, Math.min(lookAgainMs, untilMs - book.now()), signal)
        continue
      }
      const sentAtMs = book.now()
      const joined = this.#joins(entry, lease)
      if (joined !== undefined) {
        book.activate(entry, lease, joined, sentAtMs)
        return
      }
      entry.busy = true
      try {
        const token = await this.#take(entry, lease, { ...options, sinceMs, untilMs, countWait })
        if (token !== undefined) {
          book.activate(entry, lease, token, sentAtMs)
          return
        }
      } catch (error) {
        signal?.throwIfAborted()
        if (!again.has(codeOf(error) ?? '')) throw error
        // It has moved, or is free: who stands still now loses its place to whoever does not.
        if (codeOf(error) === 'NOT_HOLDER' && lease.init.mode === 'exclusive') tries = 0
        if (book.now() >= untilMs) throw options.waitMs > 0 ? timedOut(entry.name, error) : error
        countWait()
      } finally {
        entry.busy = false
      }
      await clock.sleep(Math.min(Math.max(0, untilMs - book.now()), backoffMs(tries++, { minMs: 5, maxMs: 500 }, random)), signal)
    }
  }

  /** Somebody of this node is before it, or somebody who had the scope may still act under it. */
  #mayNotYet(entry: Scope, lease: Lease): boolean {
    const { book, consensus, passing } = this.#components
    if (entry.busy) return true
    for (const other of [...entry.leases]) if (other.isExpired(book.now())) book.drop(other, 'expired', 'its time was up')
    const first = passing.next(entry)
    const isFirst = first === undefined || first.key === lease.init.leaseId
    if (lease.init.mode === 'exclusive') return entry.leases.size > 0 || !isFirst || passing.blockedMs(entry) > 0
    // A reader joins readers, unless a writer is before it: writers would starve.
    if ([...entry.leases].some((other) => other.init.mode === 'exclusive') || book.drainMs(entry) > 0) return true
    // To take it again would take the token from under those who read already: the session is back in a moment, or gone.
    if (consensus.holding(entry.name) !== undefined && consensus.mayAct(entry.name) === undefined && (entry.leases.size > 0 || passing.blockedMs(entry) > 0)) return true
    return !isFirst && !(first.mode === 'shared' && first.wish === undefined)
  }

  /** The token under which a reader joins those that this node has already. */
  #joins(entry: Scope, lease: Lease): number | undefined {
    const { consensus, lender } = this.#components
    if (lease.init.mode !== 'shared') return undefined
    const token = consensus.mayAct(entry.name)
    const payload = token === undefined ? undefined : decodePayload(consensus.holding(entry.name)?.payload ?? new Uint8Array(0))
    return payload?.mode === 'shared' && token !== undefined && !lender.isRecalled(entry.name, token) ? token : undefined
  }

  /** The token of the grant. Undefined: the register is this node's, but whoever had it before may still act. */
  async #take(entry: Scope, lease: Lease, options: ObtainOptions & { sinceMs: number; untilMs: number; countWait: () => void }): Promise<number | undefined> {
    const { consensus, book, borrower, heat } = this.#components
    const { mode, leaseId, agent, scope } = lease.init
    const { signal, steal, priority, sinceMs, untilMs } = options
    const limits = signal === undefined ? {} : { signal }
    const access = heat(scope)
    const payload = { scope, leaseId, agent, mode, priority, sinceMs, ...(steal ? { steal } : {}), ...(access === undefined ? {} : { access }) }
    const standing = mode === 'shared' ? borrower.standing(scope) : undefined
    const lender = borrower.lenderOf(scope)
    if (standing !== undefined && lender !== undefined && (await borrower.admit(scope, lender, standing.token, signal)).kind === 'in') return standing.token
    const reason = encodePayload(withoutScope(payload))
    // It was handed on from here a moment ago: who has it is known, and three rounds would only say so again.
    const { elsewhere } = entry
    entry.elsewhere = undefined
    if (elsewhere !== undefined && mode === 'exclusive' && book.now() < Math.min(elsewhere.sinceMs + lookAgainMs, untilMs)) {
      return this.#granted(lease, await this.#ask(elsewhere.value, reason, { ...options, follows: true, isHint: true }, scope))
    }
    const acquire = async (triesMax?: number): Promise<Value> =>
      consensus.acquire(scope, { payload: this.payloadFor(payload), ...limits, ...(triesMax === undefined ? {} : { triesMax }) })
    const mayAsk = mode === 'exclusive' && book.now() < untilMs
    let held: Value
    try {
      return this.#granted(lease, await acquire(mayAsk ? 1 : undefined))
    } catch (error) {
      if (mayAsk && codeOf(error) === 'CONTENDED') return this.#granted(lease, await this.#askOrAcquire(scope, reason, options, acquire))
      if (!(error instanceof HeldError)) throw error
      held = error.value
    }
    const { holder } = held
    if (holder === null) throw new ConsensusError('NOT_HOLDER', 'it has just become free')
    const theirs = decodePayload(held.payload)
    if (mode === 'shared' && theirs?.mode === 'shared' && holder.node !== this.#self) {
      const admission = await borrower.admit(scope, holder.node, held.token, signal)
      if (admission.kind === 'in') return held.token
    }
    try {
      const stolen = await consensus.stealDead(scope, held, limits)
      // The value still carries the dead holder's words; ours come with one more round, and the next token.
      return this.#granted(lease, await acquire().catch(() => stolen))
    } catch (error) {
      if (codeOf(error) !== 'HOLDER_ALIVE') throw error
    }
    if (book.now() >= untilMs) {
      const who = theirs === undefined ? '' : ` by ${theirs.agent}`
      throw new LeaseError('HELD', `${scope} is held${who}`, { scope, holder: holder.node, agent: theirs?.agent ?? null, token: held.token })
    }
    return this.#granted(lease, await this.#ask(held, reason, { ...options, follows: mode === 'exclusive' }, scope))
  }

  /**
   * After a duel: somebody is at work on the scope, as where agents of another node take turns on it. To go on proposing would
   * keep them from it, and they this node; so whoever has it is asked, as far as that can be known without a round.
   */
  async #askOrAcquire(scope: string, reason: Uint8Array, options: ObtainOptions & { untilMs: number; countWait: () => void }, acquire: () => Promise<Value>): Promise<Value> {
    const { consensus } = this.#components
    const seen = await consensus.peek(scope, options.signal === undefined ? {} : { signal: options.signal })
    if (seen === undefined || seen.holder === null || seen.holder.node === this.#self) return acquire()
    return this.#ask(seen, reason, { ...options, follows: true, isHint: true }, scope)
  }

  /** Asks the holder, for as long as it is worth waiting before one looks whether it lives. */
  async #ask(
    held: Value, reason: Uint8Array,
    options: Pick<ObtainOptions, 'signal'> & { untilMs: number; countWait: () => void; follows: boolean; isHint?: boolean }, scope: string,
  ): Promise<Value> {
    const { consensus, clock, book } = this.#components
    const { signal, untilMs, follows, isHint = false } = options
    options.countWait()
    const controller = new AbortController()
    const abort = (): void => { controller.abort() }
    signal?.addEventListener('abort', abort, { once: true })
    const cancel = clock.setTimer(Math.max(1, Math.min(lookAgainMs * (isHint ? 1 : 2), untilMs - book.now())), abort)
    try {
      return await consensus.askFor(scope, held, reason, { signal: controller.signal, follows, isHint })
    } catch (error) {
      if (codeOf(error) === 'HAND_OFF_REFUSED' && (error as ConsensusError).facts.reason === comeIn) throw new ConsensusError('NOT_HOLDER', comeIn)
      throw error
    } finally {
      cancel()
      signal?.removeEventListener('abort', abort)
    }
  }

  #granted(lease: Lease, value: Value): number | undefined {
    const { lender } = this.#components
    const { scope, leaseId, mode } = lease.init
    const payload = decodePayload(value.payload)
    const isForeign = payload?.leaseId !== leaseId
    if (payload?.settle === true || (isForeign && mayHaveReaders(value.payload))) lender.settle(scope, value.token)
    // Readers and those who may be left of before do each other no harm. Taken with another's words in it, once more.
    return isForeign || (mode === 'exclusive' && lender.outstandingMs(scope) > 0) ? undefined : value.token
  }

  /** Whether the value may have let readers in of whom nobody in this process knows. */
  #mustSettle(scope: string, before: Value | undefined): boolean {
    if (before === undefined || !mayHaveReaders(before.payload)) return false
    if (this.#components.lender.hasSettled(scope, before.token)) return false
    const { holder } = before
    return holder === null || holder.node !== this.#self || !this.#own.has(`${holder.incarnation}/${String(holder.epoch)}`)
  }

  /** From an agent of this node, if the governor agrees. Throws REFUSED. */
  #stealHere(entry: Scope, lease: Lease): void {
    const { passing } = this.#components
    if (entry.busy || entry.leases.size === 0 || this.#components.borrower.has(entry.name)) return
    const access = this.#components.heat(entry.name)
    const verdict = passing.judge(entry, this.#self, { agent: lease.init.agent, ...(access === undefined ? {} : { access }) })
    if (!verdict.give) throw new LeaseError('REFUSED', `${entry.name}: ${verdict.reason}`, { scope: entry.name, holder: this.#self })
    passing.takeAway(entry, 'taken by another agent')
  }

  async #inLine(entry: Scope, lease: Lease, priority: number, sinceMs: number, forMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { book, clock } = this.#components
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        cancel()
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const cancel = clock.setTimer(Math.max(1, forMs), done, { keepAlive: true })
      signal?.addEventListener('abort', done, { once: true })
      const { leaseId, mode, scope } = lease.init
      if (!entry.line.put({ key: leaseId, mode, priority, sinceMs, until: undefined, wish: undefined, wake: done }, book.now())) {
        done()
        reject(new LeaseError('HELD', 'too many wait for it already', { scope, lineMax }))
      }
      // What may have ended meanwhile wakes whoever is first.
      if (!entry.busy && entry.leases.size === 0) this.#components.passing.tidy(entry)
    })
  }

  #heldHere(entry: Scope, waited: boolean): LeaseError {
    const holder = [...entry.leases][0]
    const facts = { scope: entry.name, holder: this.#self, agent: holder?.init.agent ?? null, token: holder?.token ?? 0 }
    if (waited) return timedOut(entry.name, undefined, facts)
    const who = holder === undefined ? 'is being handed over' : `is held by ${holder.init.agent}`
    return new LeaseError('HELD', `${entry.name} ${who}`, facts)
  }
}

function timedOut(scope: string, cause: unknown, facts: Record<string, string | number | null> = { scope }): LeaseError {
  return new LeaseError('TIMED_OUT', `${scope} was not to be had in time`, facts, { cause })
}

function withoutScope({ leaseId, agent, mode, priority, sinceMs, steal, upgrade, access }: LeasePayload & { scope?: string }): LeasePayload {
  return {
    leaseId, agent, mode, priority, sinceMs,
    ...(steal === true ? { steal } : {}), ...(upgrade === true ? { upgrade } : {}), ...(access === undefined ? {} : { access }),
  }
}
