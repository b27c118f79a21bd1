import type { Ballot } from '../../../src/consensus/ballot.js'
import { compareBallots, sameBallot } from '../../../src/consensus/ballot.js'
import type { ConfigRecord } from '../../../src/consensus/config.js'
import type { Batch } from '../../../src/consensus/durable.js'
import type { Reply, Request } from '../../../src/consensus/messages.js'
import type { Accepted, Register, Value } from '../../../src/consensus/value.js'
import { sameValue, showsToProve } from '../../../src/consensus/value.js'
import { storeKey } from '../../../src/consensus/types.js'
import type { Host } from './host.js'
import { demand } from './violation.js'

interface Vote {
  readonly accepted: Accepted
  readonly voters: Set<string>
}

/**
 * Sees what no node can see: every disk. Asserts I1, I2, I3, I7 and I8 at every batch that becomes durable and at every
 * reply that leaves.
 */
export class Checks {
  /** By scope and round: those of one round are few. */
  readonly #votes = new Map<string, Map<number, Vote[]>>()
  /** Per scope, by ballot. */
  readonly #chosen = new Map<string, Accepted[]>()
  readonly #tokens = new Map<string, string>()
  readonly #configs = new Map<number, ConfigRecord>()
  readonly #snapshots = new Map<number, Map<string, Accepted>>()
  readonly #floors = new Map<number, number>()
  /** By store, and what it tells of. */
  readonly #minimums = new Map<string, Map<string, number>>()
  readonly #promised = new Map<string, Map<string, Ballot>>()
  choices = 0
  /** Configurations that began, and of these on a base. */
  readonly began = { all: 0, onBase: 0 }

  constructor(first: ConfigRecord) {
    this.#configs.set(first.number, first)
  }

  /** The newest configuration that anybody votes in. */
  get newest(): ConfigRecord {
    return this.#configs.get(Math.max(...this.#configs.keys())) as ConfigRecord
  }

  get compacted(): boolean {
    return [...this.#floors.values()].some((floor) => floor > 0)
  }

  /** A store was lost, or went back in time: what it promised is gone, and it must not vote under that name again. */
  forgot(host: Host): void {
    this.#forget(storeKey({ node: host.id, incarnation: host.disk.incarnation }))
  }

  synced(host: Host, batch: Batch): void {
    const store = storeKey({ node: host.id, incarnation: host.disk.incarnation })
    // A batch is one step: what a voter became active in comes with the record of it.
    for (const change of batch.changes) {
      if (change.kind === 'replace') this.#forget(store)
    }
    for (const change of batch.changes) {
      if (change.kind === 'register') this.#register(store, change.scope, change.register)
      else if (change.kind === 'session') {
        const minimums = partOf(this.#minimums, store)
        demand(change.record.minimum >= (minimums.get(change.store) ?? 0), 'I1', () => `${store}: the minimum epoch of ${change.store} went back`)
        minimums.set(change.store, change.record.minimum)
      } else if (change.kind === 'chain') for (const record of change.records) this.#config(record)
      else if (change.kind === 'replace') this.#snapshot(host)
    }
  }

  #forget(store: string): void {
    this.#minimums.delete(store)
    this.#promised.delete(store)
  }

  replied(host: Host, request: Request, reply: Reply): void {
    if (reply.body.kind !== 'renewed') return
    const minimum = host.disk.sessions.get(storeKey(request.sender))?.minimum ?? 0
    demand(minimum <= request.sender.epoch, 'I8', () => `${host.id} supports ${request.sender.node} in epoch ${request.sender.epoch} again, which it evicted`)
  }

  #register(store: string, scope: string, register: Register): void {
    const promised = partOf(this.#promised, store)
    const before = promised.get(scope)
    demand(before === undefined || compareBallots(register.promised, before) >= 0, 'I1', () => `${store}: promised for ${scope} went back`)
    promised.set(scope, register.promised)
    const { accepted } = register
    if (accepted === undefined) return
    demand(compareBallots(accepted.ballot, register.promised) <= 0, 'I1', () => `${store}: accepted above promised for ${scope}`)
    this.#vote(store, scope, accepted)
  }

  #vote(store: string, scope: string, accepted: Accepted): void {
    const { ballot } = accepted
    const rounds = partOf(this.#votes, scope)
    const votes = rounds.get(ballot.round) ?? []
    let vote = votes.find((one) => sameBallot(one.accepted.ballot, ballot))
    if (vote === undefined) {
      votes.push((vote = { accepted, voters: new Set() }))
      rounds.set(ballot.round, votes)
    }
    demand(sameValue(vote.accepted.value, accepted.value), 'I2', () => `${scope}: two values under ballot ${ballot.config}.${ballot.round}.${ballot.node}.${ballot.incarnation}.${ballot.epoch}`)
    if (vote.voters.has(store)) return
    const members = this.#configs.get(ballot.config)?.members ?? []
    if (!members.some((member) => storeKey(member) === store)) return
    vote.voters.add(store)
    if (vote.voters.size === showsToProve(accepted, members.length)) this.#choose(scope, accepted)
  }

  #choose(scope: string, accepted: Accepted): void {
    this.choices++
    const next = this.#snapshots.get(accepted.ballot.config + 1)
    if (next !== undefined) this.#demandCovered(scope, accepted, next, accepted.ballot.config + 1)
    let chain = this.#chosen.get(scope)
    if (chain === undefined) this.#chosen.set(scope, (chain = []))
    let i = chain.length
    while (i > 0 && compareBallots((chain[i - 1] as Accepted).ballot, accepted.ballot) > 0) i--
    chain.splice(i, 0, accepted)
    this.#demandFollows(scope, chain[i - 1], accepted)
    if (chain[i + 1] !== undefined) this.#demandFollows(scope, accepted, chain[i + 1] as Accepted)
    const { value } = accepted
    if (value.holder === null) return
    const key = `${scope}|${value.token}`
    const owner = `${value.holder.node}/${value.holder.incarnation}/${value.holder.epoch}/${value.op}`
    demand((this.#tokens.get(key) ?? owner) === owner, 'I3', () => `${scope}: token ${value.token} was given to ${this.#tokens.get(key) ?? ''} and to ${owner}`)
    this.#tokens.set(key, owner)
  }

  #demandFollows(scope: string, before: Accepted | undefined, after: Accepted): void {
    if (before === undefined) return
    const a: Value = before.value
    const b: Value = after.value
    const text = (): string => `${scope}: ${describe(before)} then ${describe(after)}`
    if (b.token === a.token) {
      const emptied = b.op === '' && a.holder === null && b.holder === null
      demand(sameValue(a, b) || emptied || (a.holder !== null && b.holder === null), 'I2', text)
      return
    }
    // By more than one where a round built on a value that only a minority had accepted, or where compaction dropped it.
    demand(b.token > a.token, 'I3', text)
  }

  #config(record: ConfigRecord): void {
    const known = this.#configs.get(record.number)
    if (known === undefined) this.#configs.set(record.number, record)
    else {
      const same = known.hash === record.hash && known.members.map(storeKey).join() === record.members.map(storeKey).join()
      demand(same, 'I7', () => `two configurations ${record.number}`)
    }
  }

  /** A voter begins a configuration: everything chosen in the one before must be in what it starts from. */
  #snapshot(host: Host): void {
    const { config, floor } = host.disk.record
    if (config < 1) return
    const registers = new Map<string, Accepted>()
    for (const [scope, { accepted }] of host.disk.started) if (accepted !== undefined) registers.set(scope, accepted)
    const other = this.#snapshots.get(config)
    if (other !== undefined) {
      demand(this.#floors.get(config) === floor && sameRegisters(other, registers), 'I7', () => `configuration ${config} starts in two ways`)
      return
    }
    this.began.all++
    if (host.disk.record.base !== undefined) this.began.onBase++
    this.#snapshots.set(config, registers)
    this.#floors.set(config, floor)
    for (const [scope, chain] of this.#chosen) {
      for (const accepted of chain) if (accepted.ballot.config === config - 1) this.#demandCovered(scope, accepted, registers, config)
    }
    // Taken over by decree: chosen, whether a majority had accepted it before or not.
    for (const [scope, accepted] of registers) {
      const chain = this.#chosen.get(scope) ?? []
      if (!chain.some((other) => compareBallots(other.ballot, accepted.ballot) === 0)) this.#choose(scope, accepted)
    }
  }

  #demandCovered(scope: string, accepted: Accepted, registers: ReadonlyMap<string, Accepted>, config: number): void {
    const taken = registers.get(scope)
    const dropped = taken === undefined && accepted.value.token <= (this.#floors.get(config) ?? 0)
    const covered = taken !== undefined && compareBallots(taken.ballot, accepted.ballot) >= 0
    demand(dropped || covered, 'I7', () => `${scope}: ${describe(accepted)} was chosen in configuration ${config - 1} and is not in ${config}`)
  }
}

/** The map of one, made when it is asked for first. */
function partOf<Key, Part>(all: Map<string, Map<Key, Part>>, of: string): Map<Key, Part> {
  let part = all.get(of)
  if (part === undefined) all.set(of, (part = new Map<Key, Part>()))
  return part
}

function sameRegisters(a: ReadonlyMap<string, Accepted>, b: ReadonlyMap<string, Accepted>): boolean {
  return a.size === b.size && [...a].every(([scope, { ballot }]) => { const other = b.get(scope); return other !== undefined && compareBallots(ballot, other.ballot) === 0 })
}

function describe({ ballot, value }: Accepted): string {
  return `token ${value.token} ${value.holder === null ? 'free' : `${value.holder.node}e${value.holder.epoch}`} by ${value.op} (ballot ${ballot.config}.${ballot.round}.${ballot.node}.${ballot.epoch})`
}
