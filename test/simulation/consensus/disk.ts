import type { Ballot } from '../../../src/consensus/ballot.js'
import { Base } from '../../../src/consensus/base.js'
import type { BaseChunk } from '../../../src/consensus/base.js'
import type { Batch, Change, VoterRecord } from '../../../src/consensus/durable.js'
import { voterRecordEmpty } from '../../../src/consensus/durable.js'
import type { ConfigRecord } from '../../../src/consensus/config.js'
import type { RevocationRecord } from '../../../src/consensus/revocation.js'
import { revocationKey } from '../../../src/consensus/revocation.js'
import type { SessionRecord, Snapshot } from '../../../src/consensus/snapshot.js'
import { CompactTable } from '../../../src/consensus/voter/compact-table.js'
import { neededBases } from '../../../src/consensus/voter/voter.js'
import type { VoterState } from '../../../src/consensus/voter/voter.js'
import type { Register } from '../../../src/consensus/value.js'
import { simulatedHashOfChunk } from './seals.js'

/** What survives a crash of one host. Its parts are immutable values, so a copy of the maps is a copy of the disk. */
export class Disk {
  incarnation: string
  sequence = 0
  record: VoterRecord = voterRecordEmpty
  chain: readonly ConfigRecord[] = []
  registers = new Map<string, Register>()
  /** What it began its configuration with. For checks. */
  started: ReadonlyMap<string, Register> = new Map()
  sessions = new Map<string, SessionRecord>()
  revocations = new Map<string, RevocationRecord>()
  staged = new Map<string, Snapshot>()
  bases = new Map<string, readonly { readonly ballot: Ballot; readonly chunk: BaseChunk }[]>()
  /** The second file: the sequence number after the last batch that anybody was told of. */
  slot = 0
  /** The node's own: highest epoch used. */
  epoch = 0
  nodeChain: readonly ConfigRecord[] = []

  constructor(incarnation: string) {
    this.incarnation = incarnation
  }

  state(): VoterState {
    const { sequence, record, chain } = this
    return {
      sequence, record, chain,
      registers: record.config === -1 ? [] : this.registers, sessions: this.sessions, revocations: this.revocations.values(), staged: this.staged,
      bases: this.#loadBases(),
    }
  }

  /** As the driver does at a start: what nothing names is dropped. */
  #loadBases(): Base[] {
    const needed = neededBases(this.record, this.staged)
    const found: Base[] = []
    for (const [name, rows] of this.bases) {
      const [first] = rows
      if (first === undefined || name === this.record.base?.name) continue
      const base = new Base({ newTable: () => new CompactTable() }, { name, ballot: first.ballot, config: first.chunk.config })
      for (const { chunk } of rows) base.append(chunk, simulatedHashOfChunk)
      if (base.isWhole && needed.has(base.hash)) found.push(base)
      else this.bases.delete(name)
    }
    return found
  }

  chunk({ name, index }: { name: string; index: number }): BaseChunk | undefined {
    return this.bases.get(name)?.[index]?.chunk
  }

  apply(batch: Batch): void {
    this.sequence = batch.sequence
    for (const change of batch.changes) this.#applyOne(change)
  }

  copy(): Disk {
    const copy = new Disk(this.incarnation)
    copy.restore(this)
    return copy
  }

  restore(from: Disk): void {
    this.incarnation = from.incarnation
    this.sequence = from.sequence
    this.record = from.record
    this.chain = from.chain
    this.registers = new Map(from.registers)
    this.sessions = new Map(from.sessions)
    this.revocations = new Map(from.revocations)
    this.staged = new Map(from.staged)
    this.bases = new Map(from.bases)
    this.slot = from.slot
    this.epoch = from.epoch
    this.nodeChain = from.nodeChain
  }

  #applyOne(change: Change): void {
    switch (change.kind) {
      case 'register': this.registers.set(change.scope, change.register); return
      case 'session': this.sessions.set(change.store, change.record); return
      case 'revocation':
        if (change.record === undefined) this.revocations.delete(change.key)
        else this.revocations.set(change.key, change.record)
        return
      case 'voter': this.record = change.record; return
      case 'chain': this.chain = change.records; return
      case 'staged':
        if (change.snapshot === undefined) this.staged.delete(change.hash)
        else this.staged.set(change.hash, change.snapshot)
        return
      case 'base': this.bases.set(change.name, [...(this.bases.get(change.name) ?? []), { ballot: change.ballot, chunk: change.chunk }]); return
      case 'orphaned': this.bases.delete(change.name); return
      case 'replace': {
        const { registers, sessions, revocations } = change.snapshot
        const chunks = change.base === undefined ? [] : (this.bases.get(change.base.name) ?? []).slice(0, change.base.chunks)
        const rows = [...chunks.flatMap(({ chunk }) => chunk.registers), ...registers]
        this.registers = new Map(rows.map(([scope, accepted]) => [scope, { promised: accepted.ballot, accepted }]))
        this.started = new Map(this.registers)
        this.sessions = new Map(sessions)
        this.revocations = new Map(revocations.map((record) => [revocationKey(record.revocation), record]))
      }
    }
  }
}
