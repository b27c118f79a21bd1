import { invariant } from '../base/index.js'
import type { BaseChunk } from './base.js'
import type { ConfigRecord } from './config.js'
import type { RevocationRecord } from './revocation.js'
import type { SessionRecord, Snapshot } from './snapshot.js'
import type { Ballot } from './ballot.js'
import type { Decree } from './config.js'
import type { VoterId } from './types.js'
import type { Register } from './value.js'

/** One change of a voter's durable state, as a value. A batch of them is written atomically and synced. */
export type Change =
  | { readonly kind: 'register'; readonly scope: string; readonly register: Register }
  | { readonly kind: 'session'; readonly store: string; readonly record: SessionRecord }
  | { readonly kind: 'revocation'; readonly key: string; readonly record: RevocationRecord | undefined }
  | { readonly kind: 'voter'; readonly record: VoterRecord }
  | { readonly kind: 'chain'; readonly records: readonly ConfigRecord[] }
  | { readonly kind: 'staged'; readonly hash: string; readonly snapshot: Snapshot | undefined }
  /** A part of a base, one after the other. `ballot`: under which it was copied. */
  | { readonly kind: 'base'; readonly name: string; readonly index: number; readonly ballot: Ballot; readonly chunk: BaseChunk }
  /** Rows under this name (of a base, or registers of a generation) mean nothing any more; '' are those of `r:`. */
  | { readonly kind: 'orphaned'; readonly name: string }
  /**
   * Activation: all registers, sessions and revocations are these and no others. `generation`: where registers are written
   * from now on, so that those of before need not be deleted first. The record that comes with it has the base.
   */
  | { readonly kind: 'replace'; readonly snapshot: Snapshot; readonly base?: KeptBase; readonly generation?: string }

/** A whole base on disk: the name of its rows, its hash, how many chunks. */
export interface KeptBase {
  readonly name: string
  readonly hash: string
  readonly chunks: number
}

/** What a voter is, besides its registers and sessions. */
export interface VoterRecord {
  /** The configuration it votes in; -1 for none. */
  readonly config: number
  /** One-way within a configuration; carries what the sealer meant to change to, for whoever has to finish the job. */
  readonly sealed?: { readonly members: readonly VoterId[]; readonly base?: string }
  readonly decreePromised?: Ballot
  readonly decreeAccepted?: { readonly ballot: Ballot; readonly decree: Decree }
  readonly floor: number
  /** What its registers started from, or (of a store that votes no more) what others may still need to start from. */
  readonly base?: KeptBase
  readonly generation?: string
}

export const voterRecordEmpty: VoterRecord = { config: -1, floor: 0 }

/** Changes that go to disk together. `sequence` (vseq) is written in the same batch, then to the second file. */
export interface Batch {
  readonly sequence: number
  readonly changes: readonly Change[]
}

/** Proof that everything up to a sequence number is on disk: to be made by whoever has awaited the sync, nobody else. */
export class Synced {
  readonly through: number
  constructor(through: number) {
    this.through = through
  }
}

/**
 * A reply that must not leave before the state it tells of is on disk. That holds for replies which change nothing, too:
 * a read that shows an accepted value whose batch is still on its way would show a choice that a crash can undo.
 */
export class AfterSync<T> {
  readonly through: number
  readonly #value: T
  constructor(value: T, through: number) {
    this.#value = value
    this.through = through
  }

  release(synced: Synced): T {
    invariant(synced.through >= this.through, 'a reply left before what it tells of was durable')
    return this.#value
  }
}
