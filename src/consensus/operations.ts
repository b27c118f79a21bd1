import type { NodeId } from '../base/index.js'
import { Asking } from './asking.js'
import type { WishOptions } from './asking.js'
import { ballotAbove } from './ballot.js'
import type { Readings } from './clocks.js'
import type { HandOffWish, PeerMessage } from './messages.js'
import type { Node } from './node.js'
import { majorityOf } from './quorum.js'
import type { Revocation } from './revocation.js'
import type { ChangeFunction } from './round.js'
import { acquire } from './rounds/acquire.js'
import type { AcquireInit } from './rounds/acquire.js'
import { handOff } from './rounds/hand-off.js'
import { Poll } from './rounds/poll.js'
import { ListRound } from './rounds/list.js'
import type { ListInit } from './rounds/list.js'
import { ReadRound } from './rounds/read.js'
import { release } from './rounds/release.js'
import type { TakeAnswer } from './rounds/take.js'
import { take } from './rounds/take.js'
import type { SessionId } from './types.js'
import { sameSession } from './types.js'
import type { TriesEnd } from './tries.js'
import { Tries } from './tries.js'
import type { Accepted, Value } from './value.js'

/** How an operation ended. `unknown`: whatever was asked for may have happened, or may yet. */
export type OperationEnd =
  | { readonly kind: 'granted'; readonly value: Value }
  | { readonly kind: 'held'; readonly value: Value }
  /** Granted and given up again before the answer was here. */
  | { readonly kind: 'lapsed'; readonly value: Value }
  | { readonly kind: 'released'; readonly value: Value }
  | { readonly kind: 'handed'; readonly value: Value }
  | { readonly kind: 'freed'; readonly value: Value }
  /** The register no longer says what the operation meant to replace. */
  | { readonly kind: 'gone'; readonly value: Value | undefined }
  | { readonly kind: 'alive'; readonly value: Value | undefined }
  | { readonly kind: 'read'; readonly accepted: Accepted | undefined }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly why: string; readonly unknown: boolean }

export interface Running {
  /** Gives up; `ended` is called once, at once. */
  cancel(): void
}

/** Scopes whose next holder is remembered. */
const handedOnMax = 1000

/** How often a revoker looks whether it is clear. A twelfth of D_v: it adds little to the wait that it cuts short. */
const clearEveryMs = 500

/** A release or hand-off that nobody answers goes on for some minutes; after that the orphan rule cleans up. */
const givingUpTriesMax = 40
const takingTriesMax = 10

const noSession = { kind: 'failed', why: 'no-session', unknown: false } as const

interface Lane {
  readonly waiting: (() => void)[]
}

/**
 * Operations on scopes: rounds 3 and 5 to 9 put together. One at a time per scope; what comes while one is under way
 * waits its turn. What a node stops doing it marks *before* it says so (`relinquish`, then the round), and what it may
 * begin to do it learns only from a value that a majority has accepted.
 */
export class Operations {
  readonly #node: Node
  readonly #lanes = new Map<string, Lane>()
  /** Wishes of this node's own. */
  readonly #asking = new Map<string, Asking>()
  /** To whom scopes went from here: who asks here is sent on. The latest few; who is not sent on asks the voters. */
  readonly #handedOn = new Map<string, Value>()
  readonly #running = new Set<Running>()
  readonly #looking = new Set<string>()
  /** Scopes whose data others store: granted, but not served before they are fenced. */
  readonly #needsFence: (scope: string) => boolean
  #count = 0

  constructor(components: { node: Node }, init: { needsFence: (scope: string) => boolean }) {
    this.#node = components.node
    this.#needsFence = init.needsFence
    this.#node.observer = {
      chosen: (scope, accepted) => { this.#observe(scope, accepted.value) },
      wishes: (wishes) => { for (const wish of wishes) this.#wish(wish) },
      restarted: () => { for (const running of [...this.#running]) running.cancel() },
    }
  }

  /** Names an operation of this process start; its retries carry the same name. */
  nextOp(): string {
    const { node, epoch } = this.#node.session
    this.#count++
    return `${node}.${epoch}.${this.#count}`
  }

  acquire(scope: string, init: Pick<AcquireInit, 'op' | 'payload'> & { triesMax?: number }, ended: (end: OperationEnd) => void): Running {
    const node = this.#node
    const { triesMax = takingTriesMax, ...rest } = init
    const change = acquire({ session: node.session, ...rest, relinquished: () => node.holdings.relinquished(scope) })
    return this.#inLane(scope, ended, (end) => this.#tries(scope, change, { triesMax, wantsNext: true, opens: true }, (result) => {
      if (result.kind === 'failed') end(result)
      else if (result.answer.kind === 'held') end({ kind: 'held', value: result.answer.value })
      else end(this.#grant(scope, result.answer.value))
    }))
  }

  /** Any pure change of a register that is not a lease, for example of a volume's segment. */
  change<Answer>(scope: string, change: ChangeFunction<Answer>, options: { evict?: SessionId; clear?: Revocation; triesMax?: number }, ended: (end: TriesEnd<Answer>) => void): Running {
    if (!this.#node.isReady) {
      ended(noSession)
      return { cancel: () => undefined }
    }
    const running = this.#tries(scope, change, { wantsNext: true, triesMax: takingTriesMax, ...options }, (end) => {
      this.#running.delete(running)
      ended(end)
    })
    this.#running.add(running)
    return running
  }

  release(scope: string, token: number, ended: (end: OperationEnd) => void): Running {
    this.#relinquish(scope, token)
    return this.#releaseRelinquished(scope, token, ended)
  }

  /**
   * Hands a scope to another session. The caller has frozen and drained it. From here on this node never acts under the
   * token again, whatever comes of it.
   */
  handOff(scope: string, token: number, to: SessionId, payload: Uint8Array, ended: (end: OperationEnd) => void): Running {
    const node = this.#node
    const holding = node.holdings.get(scope)
    if (holding?.value.token !== token) {
      ended({ kind: 'gone', value: holding?.value })
      return { cancel: () => undefined }
    }
    this.#relinquish(scope, token)
    const change = handOff({ session: node.session, token, to, op: this.nextOp(), payload })
    return this.#inLane(scope, ended, (end) => this.#tries(scope, change, { triesMax: givingUpTriesMax, wantsNext: false }, (result) => {
      if (result.kind === 'failed') end(result)
      else if (result.answer.kind === 'gone') end({ kind: 'gone', value: result.answer.value })
      else {
        node.effect({ kind: 'peer', to: to.node, message: { kind: 'handed', scope, value: result.answer.value } })
        this.#handedOn.delete(scope)
        this.#handedOn.set(scope, result.answer.value)
        if (this.#handedOn.size > handedOnMax) for (const oldest of this.#handedOn.keys()) { this.#handedOn.delete(oldest); break }
        end({ kind: 'handed', value: result.answer.value })
      }
    }))
  }

  refuseWish(wish: HandOffWish, reason: string): void {
    const { scope, token, asker } = wish
    this.#node.effect({ kind: 'peer', to: asker.node, message: { kind: 'refuse', scope, token, asker, reason } })
  }

  /** Asks the holder for a scope until it is granted, refused, or gone: see `Asking`. */
  wish(scope: string, held: Value, reason: Uint8Array, ended: (end: OperationEnd) => void, options: WishOptions = {}): Running {
    const node = this.#node
    const { holder: first } = held
    if (first === null) {
      ended({ kind: 'gone', value: held })
      return { cancel: () => undefined }
    }
    return this.#inLane(scope, ended, (end) => {
      const asking = new Asking(node, {
        scope, holder: first, token: held.token, reason, ...options,
        observe: (value) => { this.#observe(scope, value) },
        ended: (result) => {
          this.#asking.delete(scope)
          end(result)
        },
        granted: (value) => this.#grant(scope, value),
      })
      this.#asking.set(scope, asking)
      asking.begin()
      return asking
    })
  }

  /** Tells who waits for a scope where it has gone. A hint: nothing is believed but that there is somebody to be asked. */
  tellMoved(scope: string, value: Value, waiting: Iterable<NodeId>): void {
    for (const to of new Set(waiting)) this.#node.effect({ kind: 'peer', to, message: { kind: 'handed', scope, value } })
  }

  /** From a node that the voters count as dead. Asks them first, so that nobody who lives is evicted by an impatient asker. */
  stealDead(scope: string, held: Value, ended: (end: OperationEnd) => void): Running {
    const node = this.#node
    const { holder: from, token } = held
    if (from === null) {
      ended({ kind: 'gone', value: held })
      return { cancel: () => undefined }
    }
    return this.#inLane(scope, ended, (end) => {
      let current: Running | Poll
      const poll = new Poll(node, {
        body: { kind: 'expired', session: from },
        isYes: (reply) => reply.kind === 'is-expired' && reply.expired,
        ended: (expired, answered) => {
          if (!expired) {
            end(answered ? { kind: 'alive', value: held } : { kind: 'failed', why: 'timeout', unknown: false })
            return
          }
          const { session } = node
          const change = take({ session, from, token, op: this.nextOp(), why: 'dead', to: session })
          current = this.#tries(scope, change, { evict: from, triesMax: takingTriesMax, wantsNext: true }, (result) => { end(this.#taken(scope, result)) })
        },
      })
      current = poll
      return { cancel: () => {
        current.cancel()
        end({ kind: 'failed', why: 'cancelled', unknown: true })
      } }
    })
  }

  /**
   * Revokes and takes (`to: 'me'`) or frees (`to: 'nobody'`). The record is at a majority before anything else; then the
   * wait until the holder acknowledged or cannot be valid any more. `unsafe` skips the wait, never the fence.
   */
  revoke(scope: string, held: Value, options: { to: 'me' | 'nobody'; unsafe?: boolean }, ended: (end: OperationEnd) => void): Running {
    const node = this.#node
    const { holder: target, token } = held
    if (target === null) {
      ended({ kind: 'gone', value: held })
      return { cancel: () => undefined }
    }
    const revocation: Revocation = { scope, target, token }
    return this.#inLane(scope, ended, (end) => {
      let current: { cancel(): void } | undefined
      let over = false
      const takeIt = (): void => {
        const { session } = node
        const why = options.unsafe === true ? 'unsafe' : 'revoked'
        const change = take({ session, from: target, token, op: this.nextOp(), why, to: options.to === 'me' ? session : null })
        current = this.#tries(scope, change, { clear: revocation, triesMax: takingTriesMax, wantsNext: false }, (result) => {
          if (result.kind === 'chosen' && result.answer.kind === 'not-yet') wait()
          else end(this.#taken(scope, result))
        })
      }
      const wait = (): void => {
        // A read that is cancelled says so by ending: that must not start what was cancelled anew, for nobody.
        if (over) return
        current = node.after(clearEveryMs, () => {
          current = new Poll(node, {
            body: { kind: 'cleared', revocation },
            isYes: (reply) => reply.kind === 'is-clear' && reply.clear,
            ended: (clear) => { if (clear) takeIt(); else record() },
          })
        })
      }
      const record = (): void => {
        current = new Poll(node, {
          body: { kind: 'revoke', revocation },
          // Moot is as good: the round will read what is there now.
          isYes: (reply) => reply.kind === 'recorded' || (reply.kind === 'refused' && reply.why.code === 'moot'),
          ended: (recorded) => { if (recorded && options.unsafe === true) takeIt(); else if (recorded) check(); else wait() },
        })
      }
      const check = (): void => {
        current = new Poll(node, {
          body: { kind: 'cleared', revocation },
          isYes: (reply) => reply.kind === 'is-clear' && reply.clear,
          ended: (clear) => { if (clear) takeIt(); else look() },
        })
      }
      // Somebody else may have moved the scope on meanwhile.
      const look = (): void => {
        const read = new ReadRound(node, { scope, ended: (result) => {
          const value = result.kind === 'read' ? result.accepted?.value : undefined
          if (value !== undefined && value.token > token) end({ kind: 'gone', value })
          else wait()
        } })
        current = { cancel: () => { current = undefined; read.cancel() } }
        read.begin()
      }
      record()
      return { cancel: () => {
        over = true
        current?.cancel()
        end({ kind: 'failed', why: 'cancelled', unknown: true })
      } }
    })
  }

  read(scope: string, ended: (end: OperationEnd) => void): Running {
    if (!this.#node.isReady) {
      ended(noSession)
      return { cancel: () => undefined }
    }
    const round = new ReadRound(this.#node, { scope, ended: (end) => {
      this.#running.delete(round)
      if (end.kind === 'read' && end.accepted !== undefined) this.#observe(scope, end.accepted.value)
      ended(end)
    } })
    this.#running.add(round)
    round.begin()
    return round
  }

  /**
   * The newest value that some voters tell of, which nobody may have chosen: good for knowing whom to ask, and nothing else.
   * Takes no ballot, so it disturbs nobody who is at work on the scope.
   */
  peek(scope: string, ended: (value: Value | undefined) => void): Running {
    const node = this.#node
    const { members } = node.config
    let newest: Accepted | undefined
    let heard = 0
    let over = false
    const finish = (): void => {
      if (over) return
      over = true
      asked.cancel()
      timer.cancel()
      this.#running.delete(running)
      ended(newest?.value)
    }
    const running: Running = { cancel: finish }
    this.#running.add(running)
    const asked = node.ask(members, { kind: 'read', scope }, (_voter, reply) => {
      if (reply.kind !== 'value') return
      if (reply.accepted !== undefined && ballotAbove(reply.accepted.ballot, newest?.ballot)) newest = reply.accepted
      if (++heard === majorityOf(members.length)) finish()
    })
    const timer = node.after(node.timing.tryMs, finish)
    return running
  }

  /** Whether a majority counts the session as over, as of now: undefined if no majority answered. Nothing is evicted by it. */
  isOver(session: SessionId, ended: (over: boolean | undefined) => void): Running {
    if (!this.#node.isReady) {
      ended(undefined)
      return { cancel: () => undefined }
    }
    const end = (over: boolean | undefined): void => {
      if (this.#running.delete(running)) ended(over)
    }
    const poll = new Poll(this.#node, {
      body: { kind: 'expired', session },
      isYes: (reply) => reply.kind === 'is-expired' && reply.expired,
      ended: (over, answered) => { end(over ? true : answered ? false : undefined) },
    })
    // A poll that is cancelled says nothing; whoever waits for the answer has to be told.
    const running: Running = { cancel: () => {
      poll.cancel()
      end(undefined)
    } }
    this.#running.add(running)
    return running
  }

  /** Round 9, list. Undefined: no majority. Of scopes that voters tell differently about, each is read. */
  list(init: Omit<ListInit, 'ended'>, ended: (entries: Map<string, Value> | undefined) => void): Running {
    if (!this.#node.isReady) {
      ended(undefined)
      return { cancel: () => undefined }
    }
    const round = new ListRound(this.#node, { ...init, ended: (entries) => {
      this.#running.delete(round)
      ended(entries)
    } })
    this.#running.add(round)
    round.begin()
    return round
  }

  /** Admits no new write from now on; take it back with `thaw` as long as nothing was proposed. */
  freeze(scope: string, token: number): boolean {
    return this.#node.holdings.freeze(scope, token)
  }

  thaw(scope: string, token: number): void {
    this.#node.holdings.thaw(scope, token)
  }

  receivePeer(from: NodeId, message: PeerMessage, now: Readings): void {
    this.#node.at(now)
    switch (message.kind) {
      case 'wish':
        if (message.wish.asker.node === from) this.#wish(message.wish)
        return
      case 'refuse':
        if (sameSession(message.asker, this.#node.session)) this.#asking.get(message.scope)?.refused(message.reason)
        return
      case 'handed':
        this.#observe(message.scope, message.value)
        this.#asking.get(message.scope)?.moved(message.value)
        return
      case 'chain-wish': {
        const records = this.#node.chain.filter((record) => record.number > message.known)
        if (records.length > 0) this.#node.effect({ kind: 'peer', to: from, message: { kind: 'chain', records } })
        return
      }
      case 'chain':
        this.#node.learn(message.records)
    }
  }

  #wish(wish: HandOffWish): void {
    const { scope } = wish
    const holding = this.#node.holdings.get(scope)
    const unknown = holding === undefined || wish.token > holding.value.token
    const gone = this.#handedOn.get(scope)
    if (holding === undefined && gone !== undefined && gone.token > wish.token) {
      if (gone.holder?.node !== wish.asker.node) this.tellMoved(scope, gone, [wish.asker.node])
      return
    }
    if (!sameSession(wish.holder, this.#node.session)) return
    // Somebody believes that this node holds it, by a register that says so: an orphan. Look, and it will be released.
    if (unknown && !this.#lanes.has(scope)) {
      if (this.#looking.has(scope)) return
      this.#looking.add(scope)
      this.read(scope, () => { this.#looking.delete(scope) })
      return
    }
    // Of a grant, or a hand-off, that is under way here: voters and others know of it before this node does.
    if (unknown || holding.frozen) {
      this.#node.effect({ kind: 'wish', wish })
      return
    }
    // Where agents of this node take turns, tokens are over before a message is here. But who may have had it since it asked,
    // and given it back, does not ask any more: voters pass wishes on late. Whoever still does asks again, for what it is told;
    // without a word it would not where a scope goes to and fro, and each of its wishes comes when the next token is there.
    if (wish.token < holding.firstToken) {
      if (wish.asker.node !== this.#node.session.node) this.tellMoved(scope, holding.value, [wish.asker.node])
      return
    }
    this.#node.effect({ kind: 'wish', wish: { ...wish, token: holding.value.token } })
  }

  #taken(scope: string, end: TriesEnd<TakeAnswer>): OperationEnd {
    if (end.kind === 'failed') return end
    const { answer } = end
    if (answer.kind === 'gone') return { kind: 'gone', value: answer.value }
    if (answer.kind === 'not-yet') return { kind: 'alive', value: answer.value }
    return answer.value.holder === null ? { kind: 'freed', value: answer.value } : this.#grant(scope, answer.value)
  }

  #grant(scope: string, value: Value): OperationEnd {
    const node = this.#node
    const before = node.holdings.get(scope)?.value.token
    const isMine = value.holder !== null && sameSession(value.holder, node.session)
    if (!isMine || !node.holdings.grant(scope, value, this.#needsFence(scope))) {
      if (isMine) this.#orphan(scope, value)
      return { kind: 'lapsed', value }
    }
    if (before !== value.token) node.effect({ kind: 'granted', scope, value })
    return { kind: 'granted', value }
  }

  /** A value that a majority has accepted, wherever it was seen. */
  #observe(scope: string, value: Value): void {
    const node = this.#node
    const holding = node.holdings.get(scope)
    const isMine = value.holder !== null && sameSession(value.holder, node.session)
    if (holding !== undefined && (value.token > holding.value.token || (value.token === holding.value.token && !isMine))) {
      this.#relinquish(scope, holding.value.token, 'overtaken')
    }
    if (!isMine || node.holdings.get(scope)?.value.token === value.token) return
    const asking = this.#asking.get(scope)
    if (asking !== undefined && value.token > node.holdings.relinquished(scope)) asking.heardGrant(value)
    else this.#orphan(scope, value)
  }

  /** A value that names this node at its present epoch, which it does not hold and does not want: it must not stay. */
  #orphan(scope: string, value: Value): void {
    // What is under way on the scope will settle it or see it again.
    if (this.#lanes.has(scope)) return
    this.#relinquish(scope, value.token)
    this.#releaseRelinquished(scope, value.token, () => undefined, true)
  }

  #relinquish(scope: string, token: number, why: 'relinquished' | 'overtaken' = 'relinquished'): void {
    const ended = this.#node.holdings.relinquish(scope, token)
    if (ended !== undefined) this.#node.effect({ kind: 'lost', scope, token: ended.token, why })
  }

  #releaseRelinquished(scope: string, token: number, ended: (end: OperationEnd) => void, isOrphan = false): Running {
    const change = release({ session: this.#node.session, token, op: this.nextOp(), isOrphan })
    return this.#inLane(scope, ended, (end) => this.#tries(scope, change, { triesMax: givingUpTriesMax, wantsNext: true }, (result) => {
      if (result.kind === 'failed') end(result)
      else end(result.answer.kind === 'released' ? { kind: 'released', value: result.answer.value } : { kind: 'gone', value: result.answer.value })
    }))
  }

  #tries<Answer>(
    scope: string, change: ChangeFunction<Answer>,
    options: { evict?: SessionId; clear?: Revocation; triesMax: number; wantsNext: boolean; opens?: boolean },
    ended: (end: TriesEnd<Answer>) => void,
  ): Running {
    const tries = new Tries<Answer>(this.#node, { scope, change, ...options, ended: (end) => {
      ended(end)
      if (end.kind === 'chosen') this.#observe(scope, end.accepted.value)
    } })
    tries.begin()
    return tries
  }

  /** One operation at a time per scope. */
  #inLane(scope: string, ended: (end: OperationEnd) => void, begin: (end: (result: OperationEnd) => void) => { cancel(): void }): Running {
    let started: { cancel(): void } | undefined
    let over = false
    const running: Running = { cancel: () => {
      if (over) return
      if (started === undefined) finish({ kind: 'failed', why: 'cancelled', unknown: false })
      else started.cancel()
    } }
    const finish = (result: OperationEnd): void => {
      if (over) return
      over = true
      this.#running.delete(running)
      if (started !== undefined || isFirst()) this.#nextInLane(scope)
      ended(result)
    }
    let first = false
    const isFirst = (): boolean => first
    const run = (): void => {
      if (over) {
        this.#nextInLane(scope)
        return
      }
      first = true
      if (this.#node.isReady) started = begin(finish)
      else finish(noSession)
    }
    this.#running.add(running)
    const lane = this.#lanes.get(scope)
    if (lane === undefined) {
      this.#lanes.set(scope, { waiting: [] })
      run()
    } else lane.waiting.push(run)
    return running
  }

  #nextInLane(scope: string): void {
    const lane = this.#lanes.get(scope)
    if (lane === undefined) return
    const next = lane.waiting.shift()
    if (next === undefined) this.#lanes.delete(scope)
    else next()
  }
}
