import type { Appointment } from '../agenda.js'
import { compareBallots } from '../ballot.js'
import type { Asked, Context } from '../context.js'
import { majorityOf } from '../quorum.js'
import type { VoterId } from '../types.js'
import type { Accepted, Value } from '../value.js'
import { ReadRound } from './read.js'

/**
 * Round 9, list: each voter's index is paged through; the highest ballot of a majority's answers counts per scope. What a
 * majority shows alike is chosen; the rest is confirmed by reads, one after the other. A list is no snapshot: each entry
 * was true at some moment while it was made.
 */
export interface ListInit {
  readonly prefix: string
  /** Entries at most. */
  readonly limit: number
  readonly ended: (entries: Map<string, Value> | undefined) => void
}

const pageSize = 500

export class ListRound {
  readonly #context: Context
  readonly #init: ListInit
  readonly #seen = new Map<string, { highest: Accepted; same: number }>()
  readonly #config
  readonly #asked: Asked[] = []
  #finished = 0
  #timer: Appointment | undefined
  #read: ReadRound | undefined
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
    // Just below the prefix: pages begin after what they are given.
    const before = this.#init.prefix === '' ? '' : `${this.#init.prefix.slice(0, -1)}${String.fromCharCode(this.#init.prefix.charCodeAt(this.#init.prefix.length - 1) - 1)}\uffff`
    for (const voter of this.#config.members) this.#page(voter, before, new Map())
  }

  cancel(): void {
    this.#end(undefined)
  }

  #page(voter: VoterId, after: string, found: Map<string, Accepted>): void {
    const asked = this.#context.ask([voter], { kind: 'list', after, limit: pageSize }, (_voter, reply) => {
      if (reply.kind !== 'page') return
      let past = reply.next === undefined
      for (const [scope, accepted] of reply.entries) {
        if (scope.startsWith(this.#init.prefix)) found.set(scope, accepted)
        else if (scope > this.#init.prefix) past = true
      }
      if (past || found.size >= this.#init.limit) this.#merge(found)
      else this.#page(voter, reply.next ?? '', found)
    }, this.#config.number)
    this.#asked.push(asked)
  }

  #merge(found: ReadonlyMap<string, Accepted>): void {
    if (this.#over) return
    for (const [scope, accepted] of found) {
      const seen = this.#seen.get(scope)
      const order = seen === undefined ? 1 : compareBallots(accepted.ballot, seen.highest.ballot)
      if (order > 0) this.#seen.set(scope, { highest: accepted, same: 1 })
      else if (order === 0 && seen !== undefined) seen.same++
    }
    this.#finished++
    if (this.#finished === majorityOf(this.#config.members.length)) this.#confirm()
  }

  #confirm(): void {
    for (const asked of this.#asked) asked.cancel()
    const scopes = [...this.#seen.keys()].sort().slice(0, this.#init.limit)
    const entries = new Map<string, Value>()
    const majority = majorityOf(this.#config.members.length)
    const next = (from: number): void => {
      let i = from
      for (; i < scopes.length; i++) {
        const seen = this.#seen.get(scopes[i] ?? '')
        if (seen === undefined || seen.same < majority) break
        entries.set(scopes[i] ?? '', seen.highest.value)
      }
      const scope = scopes[i]
      if (scope === undefined) {
        this.#end(entries)
        return
      }
      this.#read = new ReadRound(this.#context, { scope, ended: (end) => {
        if (this.#over) return
        if (end.kind !== 'read') {
          this.#end(undefined)
          return
        }
        if (end.accepted !== undefined) entries.set(scope, end.accepted.value)
        next(i + 1)
      } })
      this.#read.begin()
    }
    next(0)
  }

  #end(entries: Map<string, Value> | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#timer?.cancel()
    for (const asked of this.#asked) asked.cancel()
    this.#read?.cancel()
    this.#init.ended(entries)
  }
}
