import type { NodeId } from '../../base/index.js'
import type { Appointment } from '../agenda.js'
import { compareBallots } from '../ballot.js'
import type { Ballot } from '../ballot.js'
import type { HashOfChunk } from '../base.js'
import { safeHolderMs } from '../clocks.js'
import type { ConfigRecord, Decree, VoterSignature } from '../config.js'
import type { Asked, Context } from '../context.js'
import type { AcceptedDecree, ReplyBody, RequestBody } from '../messages.js'
import { majorityOf } from '../quorum.js'
import type { LongFree, Snapshot } from '../snapshot.js'
import { mergeSnapshots } from '../snapshot.js'
import type { VoterId } from '../types.js'
import { sameVoter, storeKey } from '../types.js'
import { BaseCopy } from './copy-base.js'
import type { Copied } from './copy-base.js'

/**
 * Round 10, from c to c+1: copy what c knows, stop it at a majority, take what changed meanwhile, agree on *one* successor,
 * start it.
 *
 * Sealing is one-way, so nobody can choose anything in c behind our back. But two who seal together may gather different
 * majorities and so different snapshots, each right in itself; were both started, both would live. So which members with
 * which snapshot come next is itself decided, by one Paxos instance on c's voters. Whoever finds a sealed voter can
 * finish: a voter accepts a decree only if it has that snapshot, so what is decided cannot be lost with its proposer.
 *
 * While nobody can write, every round trip counts. So a voter is asked to seal, to tell what it has and to promise the decree's
 * ballot in one message, and to stage the snapshot and accept the decree in another: it does what it would have done for each
 * of them in turn. What does not come off at once is done step by step afterwards.
 *
 * Before sealing everything is checked that can be, because after it there is no way back: are both majorities there,
 * do they have the base, and will it be over before holders' sessions run out (half of D_h)?
 */
export interface ReconfigureInit {
  /** The nodes that should vote; their stores' incarnations are asked for. Or, to finish another's job, what it sealed for. */
  readonly wanted: { readonly nodes: readonly NodeId[] } | { readonly members: readonly VoterId[]; readonly base?: string }
  readonly hashOf: (snapshot: Snapshot) => string
  readonly hashOfChunk: HashOfChunk
  readonly mayDrop: LongFree
  /** Registers in a message of the base. 0: nothing is copied before the seal, as in the first version. */
  readonly rowsAtOnce?: number
  /** With so few registers left it is sealed. */
  readonly behindEnough?: number
  readonly chain: () => readonly ConfigRecord[]
  /** The next configuration is decided. */
  readonly decided: (record: ConfigRecord) => void
  readonly ended: (end: ReconfigureEnd) => void
}

export type ReconfigureEnd =
  /** `copied`: registers after the seal. `pausedMs`: from sealing on; 0 if others did it. */
  | { readonly kind: 'active'; readonly config: number; readonly copied: number; readonly pausedMs: number }
  | { readonly kind: 'given-up'; readonly why: 'unreachable' | 'too-slow' | 'sealed' | 'cancelled' | 'timeout'; readonly sealed: boolean }

/** A snapshot of more than this goes on its own, not with the decree: it might need more time than a round trip. */
const stagedAtOnceMax = 200

/** Tries of the phases after sealing. Others finish what is left, so this need not be for ever. */
const phaseTriesMax = 24

export class Reconfiguration {
  readonly #context: Context
  readonly #init: ReconfigureInit
  readonly #from: ConfigRecord
  #asked: Asked[] = []
  #timer: Appointment | undefined
  #tries = 0
  #copy: BaseCopy | undefined
  /** Of the seal. */
  #base: string | undefined
  /** What copying after the seal should take, by what was measured before it, or has taken. */
  #copyMs = 0
  #copied = 0
  #sealedAtMs: number | undefined
  /** Have refused something because they do not have the base. */
  readonly #lackingBase = new Map<string, VoterId>()
  /** Who has the snapshot already. */
  readonly #staged = new Set<string>()
  #sealed = false
  /** Something went wrong in a message that was several: one by one from now on. */
  #stepByStep = false
  #activating = false
  #over = false

  constructor(context: Context, init: ReconfigureInit) {
    this.#context = context
    this.#init = init
    this.#from = context.config
  }

  begin(): void {
    const { wanted } = this.#init
    if ('members' in wanted) {
      this.#base = wanted.base
      this.#seal(wanted.members)
    } else this.#probe(wanted.nodes)
  }

  cancel(): void {
    this.#end({ kind: 'given-up', why: 'cancelled', sealed: this.#sealed })
  }

  /** Somebody else's successor of the same configuration was decided, or ours by somebody else. */
  overtaken(config: number): void {
    if (!this.#activating && config > this.#from.number) this.#end({ kind: 'active', config, copied: 0, pausedMs: 0 })
  }

  #probe(nodes: readonly NodeId[]): void {
    const context = this.#context
    const started = context.now.hrtimeMs
    const budgetMs = safeHolderMs(context.timing) / 2
    // By node: a voter that lost its memory has a new incarnation, and is to be found under it.
    const targets = [...new Set([...this.#from.members.map((member) => member.node), ...nodes])].map((node) => ({ node, incarnation: '' }))
    const found = new Map<string, VoterId>()
    let current = 0
    const majority = majorityOf(this.#from.members.length)
    const judge = (): void => {
      if (current < majority || !nodes.every((node) => found.has(node))) return
      const slowestMs = context.now.hrtimeMs - started
      const members = nodes.flatMap((node) => found.get(node) ?? [])
      const seal = (copied?: Copied): void => {
        this.#base = copied?.hash
        // Each is copied twice: from the voters, and to them.
        this.#copyMs = copied === undefined ? 0 : 2 * copied.behind * copied.msPerRegister
        // A probe is one round trip; sealing, reading, the decree's two, staging and activating are six and the copies.
        if (slowestMs * 6 + this.#copyMs > budgetMs) {
          this.#copy?.discard()
          this.#end({ kind: 'given-up', why: 'too-slow', sealed: false })
        } else this.#seal(members)
      }
      if (this.#init.rowsAtOnce === 0) seal()
      else {
        this.#copyBase(members, (left) => isMajority(this.#from.members, left) && isMajority(members, left), (copied) => {
          if (copied === undefined) this.#end({ kind: 'given-up', why: 'unreachable', sealed: false })
          else seal(copied)
        })
      }
    }
    this.#phase(targets, { kind: 'probe' }, (voter, reply) => {
      if (reply.kind !== 'probed' || found.has(voter.node)) return
      found.set(voter.node, voter)
      if (this.#from.members.some((member) => sameVoter(member, voter))) current++
      judge()
    })
    this.#timer = context.after(budgetMs / 2, () => {
      this.#end({ kind: 'given-up', why: 'unreachable', sealed: false })
    })
  }

  #seal(members: readonly VoterId[]): void {
    this.#sealed = true
    this.#sealedAtMs ??= this.#context.now.hrtimeMs
    const beganMs = this.#context.now.hrtimeMs
    // Without a base it would be all that there is.
    const ballot = this.#stepByStep || this.#base === undefined ? undefined : this.#context.nextBallot()
    type Sealed = Extract<ReplyBody, { kind: 'done' | 'sealed' }>
    const pick = (reply: ReplyBody): Sealed | undefined => (reply.kind === 'done' || reply.kind === 'sealed' ? reply : undefined)
    this.#gather({ kind: 'seal', members, ...this.#onBase(), ...(ballot === undefined ? {} : { ballot }) }, pick, (replies) => {
      const told = replies.flatMap((reply) => (reply.kind === 'sealed' ? reply : []))
      if (ballot === undefined || told.length < replies.length) {
        // Voters of before are among them.
        this.#stepByStep ||= ballot !== undefined
        this.#read(members)
      } else {
        const snapshot = this.#merge(told.map((one) => one.snapshot), beganMs)
        this.#propose(ballot, { members, hash: this.#init.hashOf(snapshot) }, snapshot, told)
      }
    }, () => {
      this.#stepByStep = true
      this.#later(() => {
        this.#seal(members)
      })
    })
  }

  #merge(parts: readonly Snapshot[], beganMs: number): Snapshot {
    const snapshot = mergeSnapshots(parts, this.#init.mayDrop, this.#base)
    this.#copied = snapshot.registers.length
    this.#copyMs = Math.max(this.#copyMs, this.#context.now.hrtimeMs - beganMs)
    return snapshot
  }

  #onBase(): { base?: string } {
    return this.#base === undefined ? {} : { base: this.#base }
  }

  #read(members: readonly VoterId[]): void {
    this.#lackingBase.clear()
    const beganMs = this.#context.now.hrtimeMs
    this.#gather({ kind: 'snapshot', ...this.#onBase() }, (reply) => (reply.kind === 'snapshot' ? reply.snapshot : undefined), (parts) => {
      const snapshot = this.#merge(parts, beganMs)
      this.#prepare({ members, hash: this.#init.hashOf(snapshot) }, snapshot)
    }, () => {
      this.#later(() => {
        if (this.#lackingBase.size === 0) this.#seal(members)
        else this.#copyAnew(members)
      })
    })
  }

  /** Sealed, and no majority has the base that it was sealed with: another one, while all wait. */
  #copyAnew(members: readonly VoterId[]): void {
    this.#copyBase(members, (left) => isMajority(this.#from.members, left), (copied) => {
      if (copied !== undefined) this.#base = copied.hash
      this.#later(() => {
        this.#seal(members)
      })
    })
  }

  #copyBase(members: readonly VoterId[], enough: (left: readonly VoterId[]) => boolean, then: (copied: Copied | undefined) => void): void {
    this.#stop()
    const { hashOfChunk, mayDrop, rowsAtOnce, behindEnough } = this.#init
    const voters = this.#from.members
    this.#copy = new BaseCopy(this.#context, {
      config: this.#from.number, targets: distinct([...voters, ...members]), hashOfChunk, enough,
      ...(behindEnough === undefined ? {} : { behindEnough }),
      source: { voters, mayDrop, ...(rowsAtOnce === undefined || rowsAtOnce === 0 ? {} : { rowsAtOnce }) },
      ended: (copied) => { if (!this.#over) then(copied) },
    })
    this.#copy.begin()
  }

  /** A decree is to be proposed again whose base some do not have. Whoever accepted it has. */
  #copyAgain(hash: string, targets: readonly VoterId[], then: () => void): void {
    this.#stop()
    this.#copy = new BaseCopy(this.#context, {
      config: this.#from.number, targets, hashOfChunk: this.#init.hashOfChunk, enough: (left) => left.length > 0,
      source: { hash, holders: this.#from.members },
      ended: (copied) => {
        if (copied !== undefined) this.#base = hash
        if (!this.#over) then()
      },
    })
    this.#copy.begin()
  }

  #prepare(own: Decree, snapshot: Snapshot): void {
    const ballot = this.#context.nextBallot()
    type Promised = Extract<ReplyBody, { kind: 'decree-promise' }>
    this.#gather({ kind: 'decree-prepare', ballot }, (reply): Promised | undefined => (reply.kind === 'decree-promise' ? reply : undefined), (promises) => {
      this.#propose(ballot, own, snapshot, promises)
    }, () => {
      // Refused: somebody else is at it with a higher ballot. From the start, after the usual wait: who was sealed may
      // be gone by now, and another voter has to be.
      this.#later(() => {
        this.#seal(own.members)
      })
    })
  }

  #propose(ballot: Ballot, own: Decree, snapshot: Snapshot, promises: readonly { readonly accepted?: AcceptedDecree }[]): void {
    let highest: AcceptedDecree | undefined
    for (const { accepted } of promises) {
      if (accepted !== undefined && (highest === undefined || compareBallots(accepted.ballot, highest.ballot) > 0)) highest = accepted
    }
    const decree = highest?.decree ?? own
    if (decree.hash === own.hash) this.#stage(ballot, decree, snapshot)
    else this.#fetch(ballot, decree)
  }

  /** Another's decree was accepted somewhere: its snapshot is with those who accepted it. */
  #fetch(ballot: Ballot, decree: Decree): void {
    const voters = this.#from.members
    this.#phase(voters, { kind: 'fetch', hash: decree.hash }, (_voter, reply) => {
      if (reply.kind === 'fetched' && this.#init.hashOf(reply.snapshot) === decree.hash) this.#stage(ballot, decree, reply.snapshot)
    })
    this.#retry(() => {
      this.#seal(decree.members)
    })
  }

  #stage(ballot: Ballot, decree: Decree, snapshot: Snapshot): void {
    this.#staged.clear()
    if (!this.#stepByStep && snapshot.registers.length <= stagedAtOnceMax) {
      this.#accept(ballot, decree, snapshot, true)
      return
    }
    const staged = (reply: ReplyBody, voter: VoterId): true | undefined => {
      if (reply.kind !== 'done') return undefined
      this.#staged.add(storeKey(voter))
      return true
    }
    this.#lackingBase.clear()
    this.#gather({ kind: 'stage', hash: decree.hash, snapshot }, staged, () => {
      this.#accept(ballot, decree, snapshot, false)
    }, () => {
      const lacking = [...this.#lackingBase.values()]
      this.#later(() => {
        if (lacking.length === 0 || snapshot.base === undefined) this.#seal(decree.members)
        else this.#copyAgain(snapshot.base, lacking, () => { this.#later(() => { this.#seal(decree.members) }) })
      })
    })
  }

  #accept(ballot: Ballot, decree: Decree, snapshot: Snapshot, stages: boolean): void {
    const signed = (reply: ReplyBody, voter: VoterId): VoterSignature | undefined => {
      if (reply.kind !== 'decree-accepted') return undefined
      if (stages) this.#staged.add(storeKey(voter))
      return { node: voter.node, signature: reply.signature }
    }
    this.#gather({ kind: 'decree-accept', ballot, decree, ...(stages ? { snapshot } : {}) }, signed, (signatures) => {
      const record: ConfigRecord = { number: this.#from.number + 1, ...decree, proof: { kind: 'voters', ballot, signatures } }
      this.#activate(record, snapshot)
    }, () => {
      this.#stepByStep = true
      this.#later(() => {
        this.#seal(decree.members)
      })
    })
  }

  #activate(record: ConfigRecord, snapshot: Snapshot): void {
    this.#activating = true
    this.#init.decided(record)
    const old = this.#from.members.filter((voter) => !record.members.some((member) => sameVoter(member, voter)))
    const chain = this.#init.chain()
    const active = new Set<string>()
    // The old voters that are left out learn that they are; their staged copies stay, for members that come late.
    const body = (voter: VoterId): RequestBody => {
      const known = { kind: 'activate', chain } as const
      return old.some((other) => sameVoter(other, voter)) || this.#staged.has(storeKey(voter)) ? known : { ...known, snapshot }
    }
    const attempt = (): void => {
      this.#phase([...record.members, ...old], body, (voter, reply) => {
        // It had the snapshot and has it no more: the next attempt brings it along.
        if (reply.kind === 'refused') this.#staged.delete(storeKey(voter))
        if (reply.kind !== 'activated' || reply.config < record.number) return
        active.add(storeKey(voter))
        if (active.size >= majorityOf(record.members.length)) this.#end({ kind: 'active', config: record.number, copied: this.#copied, pausedMs: this.#context.now.hrtimeMs - (this.#sealedAtMs ?? 0) })
      })
      this.#retry(attempt)
    }
    attempt()
  }

  /** Asks c's voters until a majority has given what `pick` takes from a reply. `failed`: no majority can or will. */
  #gather<T>(body: RequestBody, pick: (reply: ReplyBody, voter: VoterId) => T | undefined, then: (parts: T[]) => void, failed: () => void): void {
    const { members } = this.#from
    const parts: T[] = []
    let against = 0
    this.#phase(members, body, (voter, reply) => {
      const part = pick(reply, voter)
      if (part === undefined) {
        if (reply.kind === 'refused' && reply.why.code === 'promised') this.#context.sawBallot(reply.why.ballot)
        if (reply.kind === 'refused' && reply.why.code === 'unknown-base') this.#lackingBase.set(storeKey(voter), voter)
        against++
        if (against > members.length - majorityOf(members.length)) failed()
        return
      }
      parts.push(part)
      if (parts.length === majorityOf(members.length)) then(parts)
    })
    this.#retry(failed)
  }

  #later(run: () => void): void {
    this.#stop()
    if (++this.#tries > phaseTriesMax) {
      this.#end({ kind: 'given-up', why: 'timeout', sealed: this.#sealed })
      return
    }
    const { random, timing } = this.#context
    this.#timer = this.#context.after(random.float() * timing.backoffMs * 2 ** Math.min(this.#tries, 8), run)
  }

  /** Waits longer with every try, as far as there is something to copy: a slow link must not be sent the same ever again. */
  #retry(run: () => void): void {
    // Where nothing could be measured before, too, some patience comes with the tries.
    const patience = 2 ** Math.max(0, Math.min(this.#tries, 8) - 4)
    const copyingMs = this.#copyMs * 2 ** Math.min(this.#tries, 6)
    this.#timer = this.#context.after(this.#context.timing.tryMs * patience + copyingMs, () => {
      if (++this.#tries > phaseTriesMax) this.#end({ kind: 'given-up', why: 'timeout', sealed: this.#sealed })
      else run()
    })
  }

  /** Begins a phase: what was asked in the one before counts no more. */
  #phase(voters: readonly VoterId[], body: RequestBody | ((voter: VoterId) => RequestBody), heard: (voter: VoterId, reply: ReplyBody) => void): void {
    this.#stop()
    const asked = this.#context.ask(voters, body, (voter, reply) => {
      if (!this.#over) heard(voter, reply)
    }, this.#from.number)
    this.#asked.push(asked)
  }

  #stop(): void {
    this.#copy?.cancel()
    this.#copy = undefined
    for (const asked of this.#asked) asked.cancel()
    this.#asked = []
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #end(end: ReconfigureEnd): void {
    if (this.#over) return
    this.#over = true
    this.#stop()
    this.#init.ended(end)
  }
}

function isMajority(of: readonly VoterId[], found: readonly VoterId[]): boolean {
  return of.filter((member) => found.some((voter) => sameVoter(member, voter))).length >= majorityOf(of.length)
}

function distinct(voters: readonly VoterId[]): VoterId[] {
  return [...new Map(voters.map((voter) => [storeKey(voter), voter])).values()]
}
