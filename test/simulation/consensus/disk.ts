import type { Batch, Change, VoterRecord } from '../../../src/consensus/durable.js'
import { voterRecordEmpty } from '../../../src/consensus/durable.js'
import type { ConfigRecord } from '../../../src/consensus/config.js'
import type { RevocationRecord } from '../../../src/consensus/revocation.js'
import { revocationKey } from '../../../src/consensus/revocation.js'
import type { SessionRecord, Snapshot } from '../../../src/consensus/snapshot.js'
import type { VoterState } from '../../../src/consensus/voter/voter.js'
import type { Register } from '../../../src/consensus/value.js'

/** What survives a crash of one host. Its parts are immutable values, so a copy of the maps is a copy of the disk. */
export class Disk {
  incarnation: string
  sequence = 0
  record: VoterRecord = voterRecordEmpty
  chain: readonly ConfigRecord[] = []
  registers = new Map<string, Register>()
  sessions = new Map<string, SessionRecord>()
  revocations = new Map<string, RevocationRecord>()
  staged = new Map<string, Snapshot>()
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
      registers: this.registers, sessions: this.sessions, revocations: this.revocations.values(), staged: this.staged,
    }
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
      case 'replace': {
        const { registers, sessions, revocations } = change.snapshot
        this.registers = new Map(registers.map(([scope, accepted]) => [scope, { promised: accepted.ballot, accepted }]))
        this.sessions = new Map(sessions)
        this.revocations = new Map(revocations.map((record) => [revocationKey(record.revocation), record]))
      }
    }
  }
}
