import type { NodeId } from '../../base/index.js'
import type { Ballot } from '../ballot.js'
import { ballotAbove } from '../ballot.js'
import type { Base, BaseChunk, HashOfChunk } from '../base.js'
import type { ClockKind, Readings, Timing } from '../clocks.js'
import type { ConfigRecord, ConfigSeals } from '../config.js'
import { extendChain } from '../config.js'
import type { Batch, Change, KeptBase, VoterRecord } from '../durable.js'
import { AfterSync, voterRecordEmpty } from '../durable.js'
import type { HandOffWish, Refusal, Reply, ReplyBody, Request } from '../messages.js'
import type { RevocationRecord } from '../revocation.js'
import { revocationKey } from '../revocation.js'
import type { SessionRecord, Snapshot } from '../snapshot.js'
import { isPast } from '../snapshot.js'
import type { SessionId } from '../types.js'
import { sameVoter, storeKey } from '../types.js'
import type { Register } from '../value.js'
import { VoterBases } from './bases.js'
import { VoterRegisters } from './registers.js'
import { VoterRevocations } from './revocations.js'
import { VoterSessions } from './sessions.js'
import type { RegisterTable } from './table.js'
import { MapTable } from './table.js'

/** What a voter finds on its disk at a start. */
export interface VoterState {
  readonly sequence: number
  readonly record: VoterRecord
  readonly chain: readonly ConfigRecord[]
  readonly registers: Iterable<readonly [scope: string, register: Register]>
  readonly sessions: Iterable<readonly [store: string, record: SessionRecord]>
  readonly revocations: Iterable<RevocationRecord>
  readonly staged: Iterable<readonly [hash: string, snapshot: Snapshot]>
  /** Those that `neededBases` names. */
  readonly bases?: Iterable<Base>
}

/** Hashes of the bases that a voter with this on its disk may still be asked for; the others are dropped at a start. */
export function neededBases(record: VoterRecord, staged: Iterable<readonly [hash: string, snapshot: Snapshot]>): Set<string> {
  const needed = new Set<string>()
  if (record.sealed?.base !== undefined) needed.add(record.sealed.base)
  for (const [, { base }] of staged) if (base !== undefined && base !== record.base?.hash) needed.add(base)
  return needed
}

export const voterStateEmpty: VoterState = {
  sequence: 0, record: voterRecordEmpty, chain: [], registers: [], sessions: [], revocations: [], staged: [],
}

export interface VoterInit {
  readonly node: NodeId
  readonly incarnation: string
  /** 32 hex digits, random, of this process start. */
  readonly start: string
  readonly timing: Timing
  readonly clockKind: ClockKind
  readonly state: VoterState
  /** At the start of the process: the grace counts from here. */
  readonly now: Readings
}

export interface VoterComponents {
  readonly seals: ConfigSeals
  /** Of a snapshot's canonical bytes; collision-free. */
  readonly hashOf: (snapshot: Snapshot) => string
  readonly hashOfChunk: HashOfChunk
  readonly table?: RegisterTable
  /** For bases. */
  readonly newTable?: () => RegisterTable
}

/** Wishes for hand-off that wait for a holder's next renewal. More than this and the oldest give way: askers repeat. */
const wishesMax = 1024

/** Answers per page of a list. 500 registers of usual size fill about 100 KiB. */
export const listPageMax = 500
/** Registers that are looked at for a page, if few of them are wanted. 5,000 take some ms; whoever asks goes on from there. */
const listLooksMax = 5000

/**
 * One voter: requests in, replies out that may not leave before a given batch is on disk. It waits for nothing, reads no
 * clock and keeps no timer: whoever runs it hands in clock readings, writes the batches in order, and releases replies.
 */
export class Voter {
  readonly node: NodeId
  readonly incarnation: string
  readonly #seals: ConfigSeals
  readonly #hashOf: (snapshot: Snapshot) => string
  readonly #sessions: VoterSessions
  readonly #revocations: VoterRevocations
  readonly #registers: VoterRegisters
  readonly #bases: VoterBases
  readonly #newTable: () => RegisterTable
  readonly #staged: Map<string, Snapshot>
  readonly #wishes = new Map<string, HandOffWish>()
  #chain: readonly ConfigRecord[]
  #record: VoterRecord
  /** Of the last batch taken. */
  #sequence: number
  /** What the store had when this process began: nobody can have been told more by the ones before. */
  readonly #sequenceAtStart: number
  readonly #start: string
  #changes: Change[] = []
  #names = 0
  #forgot = false

  constructor(components: VoterComponents, init: VoterInit) {
    this.node = init.node
    this.incarnation = init.incarnation
    this.#seals = components.seals
    this.#hashOf = components.hashOf
    this.#sessions = new VoterSessions(init)
    this.#revocations = new VoterRevocations({ sessions: this.#sessions })
    const { state } = init
    this.#newTable = components.newTable ?? (() => new MapTable())
    const bases = new VoterBases({ newTable: this.#newTable, hashOfChunk: components.hashOfChunk }, { bases: state.bases ?? [], nowMs: init.now.hrtimeMs })
    this.#bases = bases
    this.#registers = new VoterRegisters({
      table: components.table ?? new MapTable(), sessions: this.#sessions, revocations: this.#revocations, accepted: (scope) => { bases.accepted(scope) },
    })
    this.#sequence = state.sequence
    this.#sequenceAtStart = state.sequence
    this.#start = init.start
    this.#record = state.record
    this.#chain = state.chain
    this.#registers.floor = state.record.floor
    for (const [scope, register] of state.registers) this.#registers.table.set(scope, register)
    for (const [store, record] of state.sessions) this.#sessions.records.set(store, record)
    for (const record of state.revocations) this.#revocations.records.set(revocationKey(record.revocation), record)
    this.#staged = new Map(state.staged)
    bases.compareAll(this.#record.config, this.#registers.table)
  }

  /** The configuration it votes in, or -1. */
  get config(): number {
    return this.#record.config
  }

  get sealed(): boolean {
    return this.#record.sealed !== undefined
  }

  get chain(): readonly ConfigRecord[] {
    return this.#chain
  }

  get registers(): number {
    return this.#registers.table.size
  }

  /** Of `registers`, those that compaction would drop. */
  get freeRegisters(): number {
    return this.#registers.table.free
  }

  /** A peer has seen a higher sequence number of this store than it has: it went back in time and must not vote. */
  get forgot(): boolean {
    return this.#forgot
  }

  /** For checks from outside. */
  register(scope: string): Register | undefined {
    return this.#registers.table.get(scope)
  }

  sessionRecord(store: string): SessionRecord | undefined {
    return this.#sessions.records.get(store)
  }

  /** What was changed since the last call, to be written as one synced batch; undefined if nothing was. */
  takeBatch(): Batch | undefined {
    if (this.#changes.length === 0) return undefined
    const changes = this.#changes
    this.#changes = []
    this.#sequence++
    return { sequence: this.#sequence, changes }
  }

  /** Which row has the chunk that a request wants: to be read, and given to `handle` along with it. */
  rowOf({ body }: Request): { name: string; index: number } | undefined {
    if (body.kind !== 'base-chunk') return undefined
    const { base } = this.#record
    if (base?.hash === body.hash) return body.index < base.chunks ? { name: base.name, index: body.index } : undefined
    return this.#bases.row(body.hash, body.index)
  }

  handle(request: Request, now: Readings, chunk?: BaseChunk): AfterSync<Reply> {
    const body = this.#answer(request, now, chunk)
    const through = this.#sequence + (this.#changes.length > 0 ? 1 : 0)
    const voter = { node: this.node, incarnation: this.incarnation }
    return new AfterSync({ nonce: request.nonce, voter, start: this.#start, config: this.#record.config, sequence: through, body }, through)
  }

  /** At a start: what this node knows of the configurations. Of configuration 0 a member begins at once. */
  adopt(chain: readonly ConfigRecord[], now: Readings): void {
    this.#learn(chain)
    this.#activate(undefined, now)
  }

  /** The signed chain, from anyone. */
  #learn(records: readonly ConfigRecord[]): void {
    const added = extendChain(this.#chain, records, this.#seals)
    if (added.length === 0) return
    this.#chain = [...this.#chain, ...added]
    this.#changes.push({ kind: 'chain', records: this.#chain })
  }

  #answer(request: Request, now: Readings, chunk: BaseChunk | undefined): ReplyBody {
    const open = this.#openToAll(request, now, chunk)
    if (open !== undefined) return open
    const refusal = this.#wrongAddress(request)
    if (refusal !== undefined) return { kind: 'refused', why: refusal }
    return this.#reconfiguring(request) ?? this.#voting(request, now)
  }

  /** What a store answers that need not vote. */
  #openToAll(request: Request, now: Readings, chunk: BaseChunk | undefined): ReplyBody | undefined {
    const { body, incarnation, seen } = request
    // `seen` counts only if it was this very store that the sender saw, in an earlier start.
    const isEarlier = incarnation === this.incarnation && seen.start !== '' && seen.start !== this.#start
    if (isEarlier && seen.sequence > this.#sequenceAtStart) this.#forgot = true
    if (this.#forgot) return { kind: 'refused', why: { code: 'forgot' } }
    this.#bases.forgetIdle(now.hrtimeMs, ({ hash }) => hash === this.#pinned() || hash === this.#record.sealed?.base, (base) => { this.#dropBase(base) })
    if (body.kind === 'probe') return { kind: 'probed', sealed: this.sealed, registers: this.#registers.table.size, chain: this.#chain }
    if (body.kind === 'fetch') {
      const snapshot = this.#staged.get(body.hash)
      return snapshot === undefined ? { kind: 'refused', why: { code: 'unknown-snapshot' } } : { kind: 'fetched', snapshot }
    }
    if (body.kind === 'base-chunk') {
      if (chunk === undefined) return { kind: 'refused', why: { code: 'unknown-base' } }
      return { kind: 'base-chunk', chunk, more: this.rowOf({ ...request, body: { ...body, index: body.index + 1 } }) !== undefined }
    }
    if (body.kind === 'base' || body.kind === 'base-end') return this.#copying(request, now)
    if (body.kind !== 'activate') return undefined
    this.#learn(body.chain)
    return this.#activate(body.snapshot, now)
  }

  /** Those who are to vote next are given a base, too, whatever they vote in now: but for what is over already. */
  #copying({ body, config, incarnation }: Request, now: Readings): ReplyBody | undefined {
    if (incarnation !== this.incarnation) return { kind: 'refused', why: { code: 'incarnation' } }
    if (config < this.#record.config) return { kind: 'refused', why: { code: 'config', chain: this.#chain.filter(({ number }) => number > config) } }
    const gone = (base: Base): void => { this.#dropBase(base) }
    const pinned = this.#pinned()
    if (body.kind === 'base-end') {
      this.#bases.end(body.ballot, pinned, gone)
      return { kind: 'done' }
    }
    if (body.kind !== 'base') return undefined
    if (body.chunk.config !== config) return { kind: 'refused', why: { code: 'unknown-base' } }
    const table = this.#record.config === config ? this.#registers.table : undefined
    return this.#bases.take(body, { nowMs: now.hrtimeMs, newName: () => this.#newName(), table, pinned, gone }, this.#changes)
  }

  /** The base of an accepted decree: whoever has to propose that again must find it. */
  #pinned(): string | undefined {
    const decree = this.#record.decreeAccepted?.decree
    return decree === undefined ? undefined : this.#staged.get(decree.hash)?.base
  }

  /** `kept`: hash of one that stays, under whatever name: the same may have been copied twice. */
  #dropBase(base: Base, kept = this.#record.base?.hash): void {
    this.#changes.push({ kind: 'orphaned', name: base.name })
    // What cannot be started from any more must not be accepted as a decree.
    for (const [hash, snapshot] of this.#staged) if (snapshot.base === base.hash && base.hash !== kept) this.#unstage(hash)
  }

  /** Of rows. Numbers of batches never come again in a store, so neither do these. */
  #newName(): string {
    return `${this.incarnation.slice(0, 8)}-${String(this.#sequence + 1)}-${String(++this.#names)}`
  }

  #wrongAddress(request: Request): Refusal | undefined {
    const { config, sealed } = this.#record
    if (config === -1 || request.config !== config) return { code: 'config', chain: this.#chain.filter((record) => record.number > request.config) }
    if (request.incarnation !== this.incarnation) return { code: 'incarnation' }
    const { body } = request
    const { kind } = body
    // A ballot of another configuration read its value from other voters.
    if ('ballot' in body && body.ballot.config !== config) return { code: 'config', chain: [] }
    if (body.kind === 'open' && body.next.config !== config) return { code: 'config', chain: [] }
    // Both before and after: whoever finishes may have to copy.
    if (kind === 'rows') return undefined
    const forSealed = kind === 'seal' || kind === 'snapshot' || kind === 'stage' || kind === 'decree-prepare' || kind === 'decree-accept'
    // A node that starts while all are sealed could not finish the job without an epoch.
    if (kind === 'epoch') return undefined
    if (sealed !== undefined) return forSealed ? undefined : { code: 'sealed', ...sealed }
    return forSealed && kind !== 'seal' ? { code: 'not-sealed' } : undefined
  }

  #voting({ sender, nonce, body }: Request, now: Readings): ReplyBody {
    if (body.kind === 'epoch') return { kind: 'epoch', epoch: this.#sessions.highestEpoch(sender) }
    if (body.kind === 'read') {
      const accepted = this.#registers.table.get(body.scope)?.accepted
      return accepted === undefined ? { kind: 'value' } : { kind: 'value', accepted }
    }
    if (body.kind === 'list') return this.#page(body)
    if (body.kind === 'expired') return { kind: 'is-expired', expired: this.#sessions.isOver(body.session, now) }
    if (body.kind === 'cleared') return { kind: 'is-clear', clear: this.#revocations.isClear(body.revocation, now) }
    const changes = this.#changes
    const refusal = this.#sessions.admit(sender, nonce.start, changes)
    if (refusal !== undefined) return { kind: 'refused', why: refusal }
    switch (body.kind) {
      case 'renew': {
        const revocations = this.#revocations.blocking(sender)
        if (revocations.length > 0) return { kind: 'refused', why: { code: 'revoked', revocations } }
        const late = this.#sessions.renew(sender, body.sequence, now)
        return late === undefined ? { kind: 'renewed', wishes: this.#takeWishes(sender.node) } : { kind: 'refused', why: late }
      }
      case 'prepare': return this.#registers.prepare(body, now, changes)
      case 'accept': return this.#registers.accept(body, now, changes)
      case 'open': return this.#registers.open(body, now, changes)
      case 'revoke': return this.#revocations.record(body.revocation, this.#registers.table.get(body.revocation.scope)?.accepted?.value.token, changes)
      case 'acknowledge': return this.#revocations.acknowledge(body.revocations, sender, changes)
      case 'relay': {
        if (this.#wishes.size >= wishesMax) for (const oldest of this.#wishes.keys()) { this.#wishes.delete(oldest); break }
        this.#wishes.set(`${body.wish.asker.node}/${body.wish.scope}`, body.wish)
        return { kind: 'done' }
      }
      default: return { kind: 'refused', why: { code: 'not-sealed' } }
    }
  }

  #reconfiguring({ body, sender, nonce }: Request): ReplyBody | undefined {
    const record = this.#record
    switch (body.kind) {
      case 'seal': {
        const { members, base, ballot } = body
        if (record.sealed === undefined) this.#putRecord({ ...record, sealed: { members, ...(base === undefined ? {} : { base }) } })
        if (ballot === undefined) return { kind: 'done' }
        const shown = this.#show(base)
        const promise = shown.kind === 'refused' ? shown : this.#promiseDecree(ballot, sender, nonce.start)
        return promise.kind === 'refused' || shown.kind === 'refused' ? promise : { ...promise, kind: 'sealed', snapshot: shown.snapshot }
      }
      case 'rows': {
        if (body.base === undefined) return { kind: 'page', ...this.#bases.rows(this.#registers.table, body.after, body.limit) }
        const base = this.#bases.find(body.base, record.config)
        return base === undefined ? { kind: 'refused', why: { code: 'unknown-base' } } : { kind: 'page', ...this.#bases.above(base, this.#registers.table, body.after, body.limit) }
      }
      case 'snapshot': return this.#show(body.base)
      case 'stage': return this.#stageChecked(body.hash, body.snapshot)
      case 'decree-prepare': return this.#promiseDecree(body.ballot, sender, nonce.start)
      case 'decree-accept': {
        if (record.decreePromised !== undefined && ballotAbove(record.decreePromised, body.ballot)) {
          return { kind: 'refused', why: { code: 'promised', ballot: record.decreePromised } }
        }
        if (body.snapshot !== undefined) {
          const staged = this.#stageChecked(body.decree.hash, body.snapshot)
          if (staged.kind === 'refused') return staged
        }
        // Whoever accepts a decree has its snapshot: so a decided one survives any minority, its proposer included.
        if (!this.#staged.has(body.decree.hash)) return { kind: 'refused', why: { code: 'unknown-snapshot' } }
        this.#putRecord({ ...record, decreePromised: body.ballot, decreeAccepted: { ballot: body.ballot, decree: body.decree } })
        return { kind: 'decree-accepted', signature: this.#seals.sign(record.config + 1, body.decree, body.ballot) }
      }
      default: return undefined
    }
  }

  /** All that it has, or what is above a base. Sealed, so that this is the last word. */
  #show(hash: string | undefined): Extract<ReplyBody, { kind: 'snapshot' | 'refused' }> {
    if (hash === undefined) return { kind: 'snapshot', snapshot: this.#snapshot() }
    const base = this.#bases.find(hash, this.#record.config)
    return base === undefined ? { kind: 'refused', why: { code: 'unknown-base' } } : { kind: 'snapshot', snapshot: this.#snapshot(base) }
  }

  #stageChecked(hash: string, snapshot: Snapshot): Extract<ReplyBody, { kind: 'done' | 'refused' }> {
    if (this.#hashOf(snapshot) !== hash) return { kind: 'refused', why: { code: 'unknown-snapshot' } }
    if (snapshot.base !== undefined && this.#bases.find(snapshot.base, this.#record.config) === undefined) return { kind: 'refused', why: { code: 'unknown-base' } }
    if (!this.#staged.has(hash)) this.#stage(hash, snapshot)
    return { kind: 'done' }
  }

  #promiseDecree(ballot: Ballot, sender: SessionId, start: string): Extract<ReplyBody, { kind: 'decree-promise' | 'refused' }> {
    const refusal = this.#sessions.admit(sender, start, this.#changes)
    if (refusal !== undefined) return { kind: 'refused', why: refusal }
    const { decreePromised, decreeAccepted } = this.#record
    if (decreePromised !== undefined && !ballotAbove(ballot, decreePromised)) return { kind: 'refused', why: { code: 'promised', ballot: decreePromised } }
    this.#putRecord({ ...this.#record, decreePromised: ballot })
    return decreeAccepted === undefined ? { kind: 'decree-promise' } : { kind: 'decree-promise', accepted: decreeAccepted }
  }

  /**
   * Begins to vote in the newest configuration of the chain, if this store is in it and has the snapshot that was decided
   * for it, whole and hash-checked; answers nothing in it before. A store that is not in it stops voting.
   */
  #activate(offered: Snapshot | undefined, now: Readings): ReplyBody {
    const head = this.#chain[this.#chain.length - 1]
    if (head === undefined || head.number <= this.#record.config) return { kind: 'activated', config: this.#record.config }
    if (!head.members.some((member) => sameVoter(member, this))) {
      this.#leave(this.#staged.get(head.hash)?.base, head.number)
      return { kind: 'activated', config: -1 }
    }
    const snapshot = head.hash === '' ? emptySnapshot : offered !== undefined && this.#hashOf(offered) === head.hash ? offered : this.#staged.get(head.hash)
    if (snapshot === undefined) return { kind: 'refused', why: { code: 'unknown-snapshot' } }
    const base = snapshot.base === undefined ? undefined : this.#bases.find(snapshot.base, head.number - 1)
    if (snapshot.base !== undefined && base === undefined) return { kind: 'refused', why: { code: 'unknown-base' } }
    const kept = this.#replace(snapshot, base, head.number)
    for (const hash of this.#staged.keys()) if (hash !== head.hash) this.#unstage(hash)
    // Kept until the next change: a member that missed the activation fetches it from here.
    if (head.hash !== '' && !this.#staged.has(head.hash)) this.#stage(head.hash, snapshot)
    this.#putRecord({ config: head.number, floor: this.#registers.floor, ...kept })
    this.#sessions.beginGrace(now)
    return { kind: 'activated', config: head.number }
  }

  /** It votes no more. What is above has all of it; its base is kept on disk for members that come late. */
  #leave(hash: string | undefined, number: number): void {
    const { base: before, generation, floor } = this.#record
    const found = hash === undefined ? undefined : this.#bases.find(hash, number - 1)
    this.#bases.leave(number, found, (base) => { this.#dropBase(base, hash) })
    const kept = found === undefined ? (before?.hash === hash ? before : undefined) : keptOf(found)
    if (before !== undefined && before !== kept) this.#changes.push({ kind: 'orphaned', name: before.name })
    if (generation !== undefined) this.#changes.push({ kind: 'orphaned', name: generation })
    this.#registers.table = this.#newTable()
    this.#putRecord({ ...voterRecordEmpty, floor, ...(kept === undefined ? {} : { base: kept }) })
  }

  #replace(snapshot: Snapshot, base: Base | undefined, number: number): { base?: KeptBase; generation?: string } {
    const { base: before, generation: last } = this.#record
    // The first of all has nothing in it.
    const generation = snapshot === emptySnapshot ? undefined : this.#newName()
    // The base becomes the registers, so that nothing of it is copied once more; what it drops is not in it.
    this.#registers.table = base?.kept ?? this.#newTable()
    const { table } = this.#registers
    // Promised = accepted: nothing of the old configuration can be proposed any more, and every new ballot is above it.
    for (const [scope, accepted] of snapshot.registers) table.set(scope, { promised: accepted.ballot, accepted })
    this.#registers.floor = Math.max(snapshot.floor, base?.floor ?? 0)
    this.#sessions.records.clear()
    for (const [store, record] of snapshot.sessions) this.#sessions.records.set(store, record)
    this.#revocations.records.clear()
    // Who made the snapshot did not know the tokens that the base has, so revocations that these are above end here.
    const revocations = base === undefined ? snapshot.revocations : snapshot.revocations.filter((record) => {
      const { scope, target } = record.revocation
      return !isPast(record, this.#sessions.records.get(storeKey(target)), table.get(scope)?.accepted?.value.token ?? this.#registers.floor)
    })
    for (const record of revocations) this.#revocations.records.set(revocationKey(record.revocation), record)
    this.#wishes.clear()
    const kept = { ...(base === undefined ? {} : { base: keptOf(base) }), ...(generation === undefined ? {} : { generation }) }
    this.#changes.push({ kind: 'replace', snapshot: { ...snapshot, revocations }, ...kept })
    this.#bases.leave(number, base, (other) => { this.#dropBase(other) })
    this.#bases.compareAll(number, table)
    if (before !== undefined) this.#changes.push({ kind: 'orphaned', name: before.name })
    if (generation !== undefined) this.#changes.push({ kind: 'orphaned', name: last ?? '' })
    return kept
  }

  /** Whole, or what is above a base. */
  #snapshot(base?: Base): Snapshot {
    const { table } = this.#registers
    const registers: (readonly [string, NonNullable<Register['accepted']>])[] = []
    if (base !== undefined) registers.push(...this.#bases.above(base, table).entries)
    else for (const [scope, { accepted }] of table.entries()) if (accepted !== undefined) registers.push([scope, accepted])
    return {
      registers,
      sessions: [...this.#sessions.records],
      revocations: [...this.#revocations.records.values()],
      floor: Math.max(this.#registers.floor, base?.floor ?? 0),
      ...(base === undefined ? {} : { base: base.hash }),
    }
  }

  #page({ after, limit, heldOnly }: { after: string; limit: number; heldOnly: boolean }): ReplyBody {
    const size = Math.min(Math.max(1, limit), listPageMax)
    const entries: (readonly [string, NonNullable<Register['accepted']>])[] = []
    let next = after
    for (let looks = 0; looks < listLooksMax && entries.length < size; looks += size) {
      // What is left to fill, so that nothing is looked at and then left out.
      const wanted = size - entries.length
      const rows = this.#registers.table.from(next, wanted)
      for (const [scope, { accepted }] of rows) if (accepted !== undefined && !(heldOnly && accepted.value.holder === null)) entries.push([scope, accepted])
      const last = rows.length < wanted ? undefined : rows[rows.length - 1]
      if (last === undefined) return { kind: 'page', entries }
      next = last[0]
    }
    return { kind: 'page', entries, next }
  }

  #takeWishes(node: NodeId): HandOffWish[] {
    const found: HandOffWish[] = []
    for (const [key, wish] of this.#wishes) {
      if (wish.holder.node !== node) continue
      this.#wishes.delete(key)
      found.push(wish)
    }
    return found
  }

  #stage(hash: string, snapshot: Snapshot): void {
    this.#staged.set(hash, snapshot)
    this.#changes.push({ kind: 'staged', hash, snapshot })
  }

  #unstage(hash: string): void {
    this.#staged.delete(hash)
    this.#changes.push({ kind: 'staged', hash, snapshot: undefined })
  }

  #putRecord(record: VoterRecord): void {
    this.#record = record
    this.#changes.push({ kind: 'voter', record })
  }
}

function keptOf({ name, hash, chunks }: Base): KeptBase {
  return { name, hash, chunks }
}

export const emptySnapshot: Snapshot = { registers: [], sessions: [], revocations: [], floor: 0 }
