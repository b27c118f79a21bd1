/**
 * Confirm before delete.
 *
 * The danger: A and B hold the last two copies, each knows of the other, each needs space, and each deletes its own
 * trusting the other's. No view of the mesh, however fresh, rules that out; only asking does.
 *
 * Intuition. Who wants to delete (has an *intent*) asks the other holders to confirm that they keep theirs, and deletes
 * when `floor` of them have. A holder that has an intent of its own confirms nothing. That alone is enough: take all
 * the nodes that ever delete by this protocol, and of them the one whose intent began last. Those who confirmed to it
 * had no intent then and had not deleted; if one of them deleted later, its intent began later still, which it cannot.
 * So its `floor` confirmers never delete: at least `floor` copies remain for good, whatever is lost, late, doubled or
 * restarted, and whatever the clocks say. (Asked only about deletions of this protocol: a confirmer's disk may burn, and
 * its user may remove the file. And only of confirmers that have what they confirm: whoever drives this core tells it of a
 * confirmation once it was proven; `replication/dropper.ts` says how.)
 *
 * On top of that a confirmation is a promise with a time: the holder is bound to keep its copy until then or until it
 * is released, and starts no intent while bound. The promise is on disk before it is sent, so a restart does not undo
 * it. It keeps the number at `floor` for as long as the asker takes to act; an asker that takes longer gives up.
 *
 * A promise ends with the deletion that it was asked for, so that a holder that has lost its own reason to keep the blob
 * is free within seconds: the asker releases everybody it asked, and whoever answers later than that. A release that
 * overtakes its question is remembered, and the question refused. The time is for askers that died and releases that
 * were lost.
 *
 * Two that ask each other at once would both refuse, for ever; so the one that the blob's rendezvous hash ranks lower
 * yields: gives its intent up, and confirms.
 *
 * The core never waits: `step` takes what happened and returns what to do, to be done in that order, each finished
 * before the next (persist, then send).
 */
import type { NodeId } from '../base/index.js'
import { hashName, rendezvous } from './hashing.js'
import { PromiseShares } from './promise-shares.js'

/** On disk at the holder that gave it. */
export interface KeepPromise {
  readonly cid: string
  readonly to: NodeId
  /** The asker's name for this one try; no two tries share it. */
  readonly attempt: string
  readonly untilMs: number
}

export type ConfirmInput =
  /** Absent -> asking. `holders`: who else is believed to have it. */
  | { type: 'dropWanted'; cid: string; attempt: string; holders: readonly NodeId[]; floor: number; nowMs: number }
  | { type: 'keepAsked'; cid: string; attempt: string; from: NodeId; keepMs: number; holds: boolean; nowMs: number }
  | { type: 'keepAnswered'; cid: string; attempt: string; from: NodeId; keeps: boolean; nowMs: number }
  /** Deleting -> absent: the deletion is done, or has failed and will not be tried. */
  | { type: 'deleteEnded'; cid: string; attempt: string }
  /** The asker is done, whether the question has come yet or not. */
  | { type: 'keepReleased'; cid: string; attempt: string; from: NodeId; nowMs: number }
  /** Time has passed: lapsed promises are forgotten and slow intents given up. */
  | { type: 'tick'; nowMs: number }

export type ConfirmEffect =
  | { type: 'ask'; to: NodeId; cid: string; attempt: string; keepMs: number }
  | { type: 'persistPromise'; promise: KeepPromise }
  | { type: 'forgetPromise'; promise: KeepPromise }
  | { type: 'answer'; to: NodeId; cid: string; attempt: string; keeps: boolean; untilMs: number; reason: RefusalToKeep | null }
  /** Delete now, unless `notAfterMs` has passed; either way report `deleteEnded`. */
  | { type: 'delete'; cid: string; attempt: string; notAfterMs: number }
  | { type: 'abandoned'; cid: string; attempt: string; reason: AbandonReason }
  | { type: 'release'; to: NodeId; cid: string; attempt: string }

export type RefusalToKeep = 'not held' | 'wants to drop it too' | 'too many promises' | 'asked no longer'
export type AbandonReason =
  | 'bound by a promise'
  | 'already trying'
  | 'too many at once'
  | 'too few other holders'
  | 'too few confirmed'
  | 'no answer in time'
  | 'gave way to another holder'

export interface ConfirmInit {
  readonly self: NodeId
  /** For how long holders are asked to keep theirs. */
  readonly keepMs: number
  readonly promisesMax: number
  readonly intentsMax: number
}

export const confirmDefaults = {
  // Two minutes: a request is answered within its deadline of 15 s, and the last look at the clock comes right before the
  // one write that deletes; the rest is for slow disks. Whoever outlives it has only to ask again.
  keepMs: 2 * 60_000,
  // About 100 bytes each. What one asker may have of them is in `promise-shares.ts`.
  promisesMax: 65_536,
  // Also what others grant this node at one time.
  intentsMax: 1024,
} as const satisfies Omit<ConfirmInit, 'self'>

/** No holder is bound for longer than this, whatever it is asked for. */
export const keepMsMax = 3600_000
/**
 * Releases remembered of one asker, about 150 bytes each, and askers of whom they are: those that released last. One that is
 * forgotten too early lets a promise stand until its time is up.
 */
const endedMax = 256
const endedAskersMax = 1024
/** The asker gives up at half the promised time, so that clocks that run at different speeds do not matter. */
const askerShare = 0.5

interface Intent {
  readonly attempt: string
  readonly floor: number
  readonly asked: ReadonlySet<NodeId>
  readonly confirmed: Set<NodeId>
  readonly refused: Set<NodeId>
  readonly notAfterMs: number
  state: 'asking' | 'deleting'
}

export class ConfirmCore {
  readonly #init: ConfirmInit
  /** cid → asker + attempt → promise. Each was persisted before its answer went out. */
  readonly #promises = new Map<string, Map<string, KeepPromise>>()
  /** What each asker has of them, so that none has them all. */
  readonly #shares: PromiseShares
  /** At most one per blob. In memory only: a restart forgets it, and answers to it find no intent of that name. */
  readonly #intents = new Map<string, Intent>()
  /** Tries of others that have ended, by asker; the oldest is forgotten first. */
  readonly #ended = new Map<NodeId, Set<string>>()

  constructor(init: ConfirmInit, persisted: Iterable<KeepPromise>) {
    this.#init = init
    this.#shares = new PromiseShares({ promisesMax: init.promisesMax, perAskerMax: init.intentsMax, keepMs: init.keepMs })
    for (const promise of persisted) if (this.#remember(promise)) this.#shares.restore(promise.to)
  }

  /** Whether a promise binds this node to keep the blob. */
  isBound(cid: string, nowMs: number): boolean {
    for (const promise of this.#promises.get(cid)?.values() ?? []) if (promise.untilMs > nowMs) return true
    return false
  }

  /** Whether this very promise stands. */
  isPromised(cid: string, to: NodeId, attempt: string, nowMs: number): boolean {
    return (this.#promises.get(cid)?.get(promiseKey(to, attempt))?.untilMs ?? 0) > nowMs
  }

  get intents(): number {
    return this.#intents.size
  }

  get promises(): number {
    return this.#shares.promises
  }

  step(input: ConfirmInput): ConfirmEffect[] {
    switch (input.type) {
      case 'dropWanted':
        return this.#dropWanted(input)
      case 'keepAsked':
        return this.#keepAsked(input)
      case 'keepAnswered':
        return this.#keepAnswered(input)
      case 'deleteEnded':
        return this.#deleteEnded(input)
      case 'keepReleased':
        return this.#keepReleased(input)
      case 'tick':
        return this.#tick(input.nowMs)
    }
  }

  /** absent -> asking */
  #dropWanted(input: Extract<ConfirmInput, { type: 'dropWanted' }>): ConfirmEffect[] {
    const { cid, attempt, nowMs } = input
    const refuse = (reason: AbandonReason): ConfirmEffect[] => [{ type: 'abandoned', cid, attempt, reason }]
    if (this.#intents.has(cid)) return refuse('already trying')
    if (this.isBound(cid, nowMs)) return refuse('bound by a promise')
    if (this.#intents.size >= this.#init.intentsMax) return refuse('too many at once')
    const asked = new Set(input.holders)
    asked.delete(this.#init.self)
    // Never 0: even who asks for nothing leaves one copy.
    const floor = Math.max(1, input.floor)
    if (asked.size < floor) return refuse('too few other holders')
    this.#intents.set(cid, {
      attempt,
      floor,
      asked,
      confirmed: new Set(),
      refused: new Set(),
      notAfterMs: nowMs + this.#init.keepMs * askerShare,
      state: 'asking',
    })
    return [...asked].map((to) => ({ type: 'ask', to, cid, attempt, keepMs: this.#init.keepMs }))
  }

  #keepAsked(input: Extract<ConfirmInput, { type: 'keepAsked' }>): ConfirmEffect[] {
    const { cid, attempt, from, nowMs } = input
    const refuse = (reason: RefusalToKeep): ConfirmEffect => {
      return { type: 'answer', to: from, cid, attempt, keeps: false, untilMs: 0, reason }
    }
    if (!input.holds) return [refuse('not held')]
    if (this.#ended.get(from)?.has(endedKey(cid, attempt)) === true) return [refuse('asked no longer')]
    const intent = this.#intents.get(cid)
    if (intent !== undefined && (intent.state === 'deleting' || !this.#yieldsTo(cid, from))) return [refuse('wants to drop it too')]
    const known = this.#promises.get(cid)?.get(promiseKey(from, attempt))
    const untilMs = Math.max(known?.untilMs ?? 0, nowMs + Math.min(Math.max(0, input.keepMs), keepMsMax))
    const costMs = known === undefined ? untilMs - nowMs : untilMs - known.untilMs
    const isShared = known === undefined ? this.#shares.take(from, costMs, nowMs) : this.#shares.extend(from, costMs, nowMs)
    // Before it gives way: who has its share of promises already ends no deletion here either.
    if (!isShared) return [refuse('too many promises')]
    const effects: ConfirmEffect[] = intent === undefined ? [] : this.#abandon(cid, intent, 'gave way to another holder')
    const promise: KeepPromise = { cid, to: from, attempt, untilMs }
    this.#remember(promise)
    effects.push({ type: 'persistPromise', promise }, { type: 'answer', to: from, cid, attempt, keeps: true, untilMs, reason: null })
    return effects
  }

  /** asking -> deleting, or asking -> absent */
  #keepAnswered(input: Extract<ConfirmInput, { type: 'keepAnswered' }>): ConfirmEffect[] {
    const { cid, attempt, from, nowMs } = input
    const intent = this.#intents.get(cid)
    // An answer to an earlier try, or after a restart: it lets nobody delete, and whoever gave it is let go.
    if (intent?.attempt !== attempt) return input.keeps ? [{ type: 'release', to: from, cid, attempt }] : []
    if (intent.state !== 'asking' || !intent.asked.has(from)) return []
    if (nowMs >= intent.notAfterMs) return this.#abandon(cid, intent, 'no answer in time')
    if (input.keeps) {
      intent.refused.delete(from)
      intent.confirmed.add(from)
      if (intent.confirmed.size < intent.floor) return []
      intent.state = 'deleting'
      return [{ type: 'delete', cid, attempt, notAfterMs: intent.notAfterMs }]
    }
    // A refusal that comes after the same holder's confirmation is from an older copy of the question: the promise holds.
    if (!intent.confirmed.has(from)) intent.refused.add(from)
    if (intent.asked.size - intent.refused.size < intent.floor) return this.#abandon(cid, intent, 'too few confirmed')
    return []
  }

  /** deleting -> absent */
  #deleteEnded(input: Extract<ConfirmInput, { type: 'deleteEnded' }>): ConfirmEffect[] {
    const intent = this.#intents.get(input.cid)
    if (intent?.attempt !== input.attempt || intent.state !== 'deleting') return []
    this.#intents.delete(input.cid)
    return releases(input.cid, intent)
  }

  #keepReleased(input: Extract<ConfirmInput, { type: 'keepReleased' }>): ConfirmEffect[] {
    const { cid, attempt, from, nowMs } = input
    const ended = this.#ended.get(from) ?? new Set<string>()
    // Put last: who released last is forgotten last.
    this.#ended.delete(from)
    this.#ended.set(from, ended)
    ended.add(endedKey(cid, attempt))
    forgetOldest(ended, endedMax)
    forgetOldest(this.#ended, endedAskersMax)
    return this.#forget(cid, promiseKey(from, attempt), nowMs)
  }

  #tick(nowMs: number): ConfirmEffect[] {
    const effects: ConfirmEffect[] = []
    for (const [cid, intent] of this.#intents) {
      // Once deleting, only the report of its end ends it: an intent given up in the middle would confirm to others.
      if (intent.state === 'asking' && nowMs >= intent.notAfterMs) effects.push(...this.#abandon(cid, intent, 'no answer in time'))
    }
    for (const [cid, promises] of this.#promises) {
      for (const [key, promise] of promises) if (promise.untilMs <= nowMs) effects.push(...this.#forget(cid, key, nowMs))
    }
    return effects
  }

  /** asking -> absent */
  #abandon(cid: string, intent: Intent, reason: AbandonReason): ConfirmEffect[] {
    this.#intents.delete(cid)
    return [{ type: 'abandoned', cid, attempt: intent.attempt, reason }, ...releases(cid, intent)]
  }

  /** Whether the blob's hash ranks the other node above this one. The same at both, so exactly one yields. */
  #yieldsTo(cid: string, other: NodeId): boolean {
    const blob = hashName(cid)
    const mine = rendezvous(blob, hashName(this.#init.self))
    const theirs = rendezvous(blob, hashName(other))
    return theirs > mine || (theirs === mine && other > this.#init.self)
  }

  /** Whether it is a new one. */
  #remember(promise: KeepPromise): boolean {
    let promises = this.#promises.get(promise.cid)
    if (promises === undefined) this.#promises.set(promise.cid, (promises = new Map<string, KeepPromise>()))
    const key = promiseKey(promise.to, promise.attempt)
    const isNew = !promises.has(key)
    promises.set(key, promise)
    return isNew
  }

  #forget(cid: string, key: string, nowMs: number): ConfirmEffect[] {
    const promises = this.#promises.get(cid)
    const promise = promises?.get(key)
    if (promises === undefined || promise === undefined) return []
    promises.delete(key)
    if (promises.size === 0) this.#promises.delete(cid)
    this.#shares.giveBack(promise.to, Math.min(keepMsMax, Math.max(0, promise.untilMs - nowMs)), nowMs)
    return [{ type: 'forgetPromise', promise }]
  }
}

function promiseKey(to: NodeId, attempt: string): string {
  return `${to} ${attempt}`
}

function endedKey(cid: string, attempt: string): string {
  return `${cid} ${attempt}`
}

function forgetOldest(some: Set<string> | Map<string, unknown>, sizeMax: number): void {
  for (const oldest of some.keys()) {
    if (some.size <= sizeMax) return
    some.delete(oldest)
  }
}

/** All that were asked, not only those who answered: an answer that was lost binds its sender all the same. */
function releases(cid: string, intent: Intent): ConfirmEffect[] {
  return [...intent.asked].map((to) => ({ type: 'release', to, cid, attempt: intent.attempt }))
}
