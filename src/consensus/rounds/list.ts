import type { Appointment } from '../agenda.js'
import { compareBallots, isOpening } from '../ballot.js'
import type { Asked, Context } from '../context.js'
import { majorityOf } from '../quorum.js'
import type { VoterId } from '../types.js'
import type { Accepted, Value } from '../value.js'
import { showsToProve } from '../value.js'
import { compareScopes, justBelow, lastCharacter } from '../scope-order.js'
import { ReadRound } from './read.js'

/**
 * Round 9, list: each voter's index is paged through; the highest ballot of a majority's answers counts per scope. What a
 * majority shows alike is chosen; the rest is confirmed by reads, some at a time. A list is no snapshot: each entry was
 * true at some moment while it was made.
 *
 * Where a list stops at its limit, the voters stop at different scopes. Beyond the first of these some have said nothing,
 * so nothing beyond it is told: else every entry there would look like one that voters disagree about.
 */
export interface ListInit {
  readonly prefix: string
  /** Entries at most. */
  readonly limit: number
  /** Only what somebody holds. Of a scope that voters tell differently about the answer may still be a free one. */
  readonly heldOnly: boolean
  /** Beginnings of scopes that are leapt over, however many there are of them. */
  readonly without: readonly string[]
  readonly ended: (entries: Map<string, Value> | undefined) => void
}

const pageSize = 500
/** Reads at once, of scopes that voters tell differently about. As many as share a frame and a batch well. */
const readsAtOnce = 64

export class ListRound {
  readonly #context: Context
  readonly #init: ListInit
  readonly #seen = new Map<string, { highest: Accepted; same: number }>()
  readonly #config
  readonly #asked: Asked[] = []
  readonly #reads = new Set<ReadRound>()
  #finished = 0
  /** No scope beyond it was told by all; undefined: there is no such scope. */
  #through: string | undefined
  #timer: Appointment | undefined
  /** For the last voters, when a majority has told. */
  #waiting: Appointment | undefined
  #confirming = false
  #over = false

  constructor(context: Context, init: ListInit) {
    this.#context = context
    this.#init = init
    this.#config = context.config
  }

  begin(): void {
    this.#timer = this.#context.after(10 * this.#context.timing.tryMs, () => {
      this.#end(undefined)
    })
    const { prefix } = this.#init
    // Pages begin after what they are given.
    for (const voter of this.#config.members) this.#page(voter, justBelow(prefix), new Map())
  }

  cancel(): void {
    this.#end(undefined)
  }

  #page(voter: VoterId, after: string, found: Map<string, Accepted>): void {
    const { prefix, limit, heldOnly } = this.#init
    const asked = this.#context.ask([voter], { kind: 'list', after, limit: pageSize, heldOnly }, (_voter, reply) => {
      if (reply.kind !== 'page') return
      let past = reply.next === undefined
      for (const [scope, accepted] of reply.entries) {
        if (this.#without(scope) !== undefined) continue
        if (scope.startsWith(prefix)) found.set(scope, accepted)
        else if (compareScopes(scope, prefix) > 0) past = true
      }
      const next = reply.next ?? ''
      if (!past && compareScopes(next, prefix) > 0 && !next.startsWith(prefix)) past = true
      if (past) this.#merge(found, undefined)
      else if (found.size >= limit) this.#merge(found, next)
      else {
        const leapt = this.#without(next)
        this.#page(voter, leapt === undefined ? next : leapt + lastCharacter, found)
      }
    }, this.#config.number)
    this.#asked.push(asked)
  }

  #without(scope: string): string | undefined {
    return this.#init.without.find((prefix) => scope.startsWith(prefix))
  }

  #merge(found: ReadonlyMap<string, Accepted>, through: string | undefined): void {
    if (this.#over) return
    if (through !== undefined && (this.#through === undefined || compareScopes(through, this.#through) < 0)) this.#through = through
    for (const [scope, accepted] of found) {
      const seen = this.#seen.get(scope)
      const order = seen === undefined ? 1 : compareBallots(accepted.ballot, seen.highest.ballot)
      if (order > 0) this.#seen.set(scope, { highest: accepted, same: 1 })
      else if (order === 0 && seen !== undefined) seen.same++
    }
    this.#finished++
    const { members } = this.#config
    if (this.#finished < majorityOf(members.length)) return
    if (this.#finished === members.length || !this.#isWorthWaiting()) this.#confirm()
    else this.#waiting ??= this.#context.after(this.#context.timing.tryMs, () => { this.#confirm() })
  }

  /** What one voter more can tell of many scopes at once need not be read of each: a first value is chosen if all show it. */
  #isWorthWaiting(): boolean {
    if (!this.#context.doAllAnswer()) return false
    for (const { highest, same } of this.#seen.values()) if (isOpening(highest.ballot) && same === this.#finished) return true
    return false
  }

  #confirm(): void {
    if (this.#confirming) return
    this.#confirming = true
    this.#waiting?.cancel()
    for (const asked of this.#asked) asked.cancel()
    const through = this.#through
    const scopes = [...this.#seen.keys()].filter((scope) => through === undefined || compareScopes(scope, through) <= 0).sort(compareScopes).slice(0, this.#init.limit)
    const entries = new Map<string, Value>()
    const doubtful: string[] = []
    for (const scope of scopes) {
      const seen = this.#seen.get(scope)
      if (seen === undefined) continue
      // In order, also those that are still to be read.
      entries.set(scope, seen.highest.value)
      if (seen.same < showsToProve(seen.highest, this.#config.members.length)) doubtful.push(scope)
    }
    const next = (): void => {
      if (this.#over) return
      if (doubtful.length === 0 && this.#reads.size === 0) {
        this.#end(entries)
        return
      }
      while (this.#reads.size < readsAtOnce && doubtful.length > 0) this.#read(doubtful.shift() ?? '', entries, next)
    }
    next()
  }

  #read(scope: string, entries: Map<string, Value>, next: () => void): void {
    const read = new ReadRound(this.#context, { scope, ended: (end) => {
      this.#reads.delete(read)
      if (this.#over) return
      if (end.kind !== 'read') {
        this.#end(undefined)
        return
      }
      if (end.accepted === undefined) entries.delete(scope)
      else entries.set(scope, end.accepted.value)
      next()
    } })
    this.#reads.add(read)
    read.begin()
  }

  #end(entries: Map<string, Value> | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#timer?.cancel()
    this.#waiting?.cancel()
    for (const asked of this.#asked) asked.cancel()
    for (const read of [...this.#reads]) read.cancel()
    this.#init.ended(entries)
  }
}
