import type { Appointment } from '../agenda.js'
import { compareBallots } from '../ballot.js'
import type { Ballot } from '../ballot.js'
import type { BaseChunk, HashOfChunk } from '../base.js'
import type { Asked, Context } from '../context.js'
import type { ReplyBody, RequestBody } from '../messages.js'
import { majorityOf } from '../quorum.js'
import { compareScopes } from '../scope-order.js'
import type { LongFree } from '../snapshot.js'
import type { VoterId } from '../types.js'
import { storeKey } from '../types.js'
import type { Accepted } from '../value.js'

/**
 * Gives voters a base, chunk by chunk, while everything goes on: merged from rows of a majority of voters, or a base that is
 * there already, from whoever has it. Nothing is held here but one chunk.
 *
 * After a first pass over all there are further ones over what changed meanwhile, as long as these get fewer: what is left
 * has to be copied while everybody waits. A majority is asked for that reason alone: a base may lack whatever it likes, since
 * voters that are sealed tell all that they have above it.
 */
export interface BaseCopyInit {
  /** Whose voters accepted what is copied. */
  readonly config: number
  readonly targets: readonly VoterId[]
  readonly source: { readonly voters: readonly VoterId[]; readonly mayDrop: LongFree; readonly rowsAtOnce?: number } | { readonly hash: string; readonly holders: readonly VoterId[] }
  readonly hashOfChunk: HashOfChunk
  /** With so few registers above the base there is no further pass. */
  readonly behindEnough?: number
  /** Whether it is worth going on with those that are left of the targets. */
  readonly enough: (left: readonly VoterId[]) => boolean
  readonly ended: (copied: Copied | undefined) => void
}

export interface Copied {
  readonly hash: string
  /** Who has it, whole. */
  readonly by: readonly VoterId[]
  /** At most so many registers of a voter are above it by now. */
  readonly behind: number
  /** What copying one took, as measured: reading, hashing, sending, syncing. Not the wait for a voter that never answered. */
  readonly msPerRegister: number
}

/** Per request; each waits twice as long as the one before. Together half a minute, if it cannot go on without. */
const triesMax = 6
/** So few registers are copied in one message after the seal. */
const behindEnoughUsual = 200
/** Live-lock of one who copies slower than others write: what is left then is judged by whoever seals. */
const passesMax = 5
/** A chunk takes a voter some 10 ms, in which it does nothing else. */
const rowsAtOnceUsual = 200

type Page = Extract<ReplyBody, { kind: 'page' }>

export class BaseCopy {
  readonly #context: Context
  readonly #init: BaseCopyInit
  readonly #beganMs: number
  #ballot: Ballot | undefined
  #left: VoterId[]
  #asked: Asked | undefined
  #timer: Appointment | undefined
  #hash = ''
  #index = 0
  #after = ''
  #pass = 0
  #copied = 0
  #firstPassMs = 0
  /** Spent waiting for voters that did not answer. */
  #silentMs = 0
  readonly #behind = new Map<string, number>()
  #lastBehind = Infinity
  /** Of what is being asked: answers to what was asked before count no more. */
  #turn = 0
  #over = false

  constructor(context: Context, init: BaseCopyInit) {
    this.#context = context
    this.#init = init
    this.#left = [...init.targets]
    this.#beganMs = context.now.hrtimeMs
  }

  begin(): void {
    this.#ballot = this.#context.nextBallot()
    this.#read()
  }

  cancel(): void {
    this.#end(undefined)
  }

  /** What was copied is of no use after all: whoever has it need not keep it. */
  discard(): void {
    if (this.#ballot !== undefined) this.#context.ask(this.#init.targets, { kind: 'base-end', ballot: this.#ballot }, () => undefined, this.#init.config)
  }

  #read(): void {
    const { source } = this.#init
    if ('hash' in source) this.#fetch(source.hash, source.holders)
    else this.#page(source)
  }

  #fetch(hash: string, holders: readonly VoterId[]): void {
    this.#ask(holders, { kind: 'base-chunk', hash, index: this.#index }, (_voter, reply) => {
      if (reply.kind === 'base-chunk') this.#push(reply.chunk, reply.more)
    })
  }

  #page({ voters, mayDrop, rowsAtOnce = rowsAtOnceUsual }: { voters: readonly VoterId[]; mayDrop: LongFree; rowsAtOnce?: number }): void {
    const pages: Page[] = []
    const body: RequestBody = { kind: 'rows', after: this.#after, limit: rowsAtOnce, ...(this.#pass === 0 ? {} : { base: this.#hash }) }
    this.#ask(voters, body, (_voter, reply) => {
      if (reply.kind !== 'page') return
      pages.push(reply)
      if (pages.length === majorityOf(voters.length)) this.#merge(pages, mayDrop)
    })
  }

  /** As far as all of them told, per scope the highest ballot. */
  #merge(pages: readonly Page[], mayDrop: LongFree): void {
    let through: string | undefined
    for (const { next } of pages) if (next !== undefined && (through === undefined || compareScopes(next, through) < 0)) through = next
    const highest = new Map<string, Accepted>()
    for (const { entries } of pages) {
      for (const [scope, accepted] of entries) {
        if (through !== undefined && compareScopes(scope, through) > 0) break
        const other = highest.get(scope)
        if (other === undefined || compareBallots(accepted.ballot, other.ballot) > 0) highest.set(scope, accepted)
      }
    }
    const registers: (readonly [string, Accepted])[] = []
    const dropped: (readonly [string, Accepted])[] = []
    for (const row of [...highest].sort(([a], [b]) => compareScopes(a, b))) {
      const [scope, accepted] = row
      const { value } = accepted
      // Not in a later pass: what the base keeps of it would stay.
      const isDropped = this.#pass === 0 && value.holder === null && value.payload.length === 0 && mayDrop(scope, accepted)
      if (isDropped) dropped.push(row)
      else registers.push(row)
    }
    if (through !== undefined) this.#after = through
    if (this.#pass > 0 && highest.size === 0) {
      if (through === undefined) this.#passed()
      else this.#read()
      return
    }
    // Chunks of later passes cover nothing that was not covered.
    this.#push({ config: this.#init.config, registers, dropped, ...(through === undefined || this.#pass > 0 ? {} : { through }) }, through !== undefined)
  }

  #push(chunk: BaseChunk, isMore: boolean): void {
    const ballot = this.#ballot
    if (ballot === undefined) return
    const waiting = new Set(this.#left)
    const have: VoterId[] = []
    const next = (): void => {
      this.#left = have
      this.#hash = this.#init.hashOfChunk(this.#hash, chunk)
      this.#index++
      this.#copied += chunk.registers.length + chunk.dropped.length
      if (isMore) this.#read()
      else this.#passed()
    }
    const check = (): void => {
      if (!this.#init.enough([...have, ...waiting])) this.#end(undefined)
      else if (waiting.size === 0) next()
    }
    this.#ask(this.#left, { kind: 'base', ballot, index: this.#index, chunk }, (voter, reply) => {
      waiting.delete(voter)
      if (reply.kind === 'based') {
        have.push(voter)
        this.#behind.set(storeKey(voter), reply.behind)
      } else if (reply.kind === 'refused' && reply.why.code === 'promised') this.#context.sawBallot(reply.why.ballot)
      check()
    }, () => {
      waiting.clear()
      check()
    }, () => this.#init.enough(have))
  }

  /** All was copied, or all that had changed. */
  #passed(): void {
    const { source } = this.#init
    if (this.#pass === 0) this.#firstPassMs = this.#context.now.hrtimeMs - this.#beganMs - this.#silentMs
    const behind = Math.max(0, ...this.#left.map((voter) => this.#behind.get(storeKey(voter)) ?? 0))
    if ('hash' in source) {
      const { hash } = source
      this.#end(this.#hash === hash ? this.#copiedBy(behind) : undefined)
    } else if (behind > (this.#init.behindEnough ?? behindEnoughUsual) && behind < this.#lastBehind && this.#pass < passesMax) {
      this.#lastBehind = behind
      this.#pass++
      this.#after = ''
      this.#read()
    } else this.#end(this.#copiedBy(behind))
  }

  #copiedBy(behind: number): Copied {
    return { hash: this.#hash, by: this.#left, behind, msPerRegister: this.#firstPassMs / Math.max(1, this.#copied) }
  }

  /**
   * Asks, and asks again those who did not answer, but not if it `suffices`. `over`: all have, or will not, and what was
   * heard led to nothing else.
   */
  #ask(voters: readonly VoterId[], body: RequestBody, heard: (voter: VoterId, reply: ReplyBody) => void, over = (): void => { this.#end(undefined) }, suffices = (): boolean => false): void {
    const left = new Set(voters)
    const turn = ++this.#turn
    let heardAtMs = this.#context.now.hrtimeMs
    const attempt = (tries: number): void => {
      this.#stop()
      this.#asked = this.#context.ask([...left], body, (from, reply) => {
        const voter = [...left].find((one) => one.node === from.node)
        if (this.#over || turn !== this.#turn || voter === undefined) return
        left.delete(voter)
        heardAtMs = this.#context.now.hrtimeMs
        heard(voter, reply)
        if (left.size === 0 && turn === this.#turn) over()
      }, this.#init.config)
      this.#timer = this.#context.after(this.#context.timing.tryMs * 2 ** Math.min(tries, 4), () => {
        this.#silentMs += this.#context.now.hrtimeMs - heardAtMs
        heardAtMs = this.#context.now.hrtimeMs
        if (tries + 1 >= triesMax || suffices()) over()
        else attempt(tries + 1)
      })
    }
    attempt(0)
  }

  #stop(): void {
    this.#asked?.cancel()
    this.#timer?.cancel()
  }

  #end(copied: Copied | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#turn++
    this.#stop()
    if (copied === undefined) this.discard()
    this.#init.ended(copied)
  }
}
