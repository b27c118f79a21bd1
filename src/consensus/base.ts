import { compareBallots } from './ballot.js'
import type { Ballot } from './ballot.js'
import type { Accepted } from './value.js'
import type { RegisterTable } from './voter/table.js'

/**
 * What voters have accepted, copied to old and new voters while all goes on, so that after the seal only what changed since
 * is left to be copied. See README.md of this folder for why that is enough.
 */
export interface BaseChunk {
  /** The configuration whose voters accepted these. Part of the hash: a base is good for the change from this one only. */
  readonly config: number
  /** In scope order. In a chunk after the one that ended the first pass: higher than what was there before. */
  readonly registers: readonly (readonly [scope: string, accepted: Accepted])[]
  /** Free, and left out by the next configuration unless something was accepted above it. */
  readonly dropped: readonly (readonly [scope: string, accepted: Accepted])[]
  /** The last scope that is covered; undefined: all that are left. */
  readonly through?: string
}

/** What a chunk's hash is made of is the business of whoever runs the core. Collision-free. */
export type HashOfChunk = (before: string, chunk: BaseChunk) => string

/** A base as a voter has it: chunk by chunk, named by its last hash. */
export class Base {
  /** Of its rows on disk. */
  readonly name: string
  /** Under which it was copied here. */
  readonly ballot: Ballot
  readonly config: number
  readonly kept: RegisterTable
  readonly dropped: RegisterTable
  /** Scopes whose register here may be above the base. */
  readonly changed = new Set<string>()
  /** When the last chunk came, on this process's monotonic clock. */
  touchedMs = -Infinity
  #hash = ''
  #chunks = 0
  #floor = 0
  #through: string | undefined = ''

  constructor(components: { newTable: () => RegisterTable }, init: { name: string; ballot: Ballot; config: number }) {
    this.name = init.name
    this.ballot = init.ballot
    this.config = init.config
    this.kept = components.newTable()
    this.dropped = components.newTable()
  }

  get hash(): string {
    return this.#hash
  }

  get chunks(): number {
    return this.#chunks
  }

  /** The highest token that it drops. */
  get floor(): number {
    return this.#floor
  }

  get isWhole(): boolean {
    return this.#through === undefined
  }

  /** The last scope that was copied; undefined: all were. */
  get through(): string | undefined {
    return this.#through
  }

  append(chunk: BaseChunk, hashOfChunk: HashOfChunk): void {
    for (const [scope, accepted] of chunk.registers) {
      if (!this.isWhole || this.isBelow(scope, accepted)) this.kept.set(scope, { promised: accepted.ballot, accepted })
    }
    for (const [scope, accepted] of chunk.dropped) {
      this.dropped.set(scope, { promised: accepted.ballot, accepted })
      this.#floor = Math.max(this.#floor, accepted.value.token)
    }
    this.#hash = hashOfChunk(this.#hash, chunk)
    this.#chunks++
    this.#through = this.isWhole ? undefined : chunk.through
  }

  /** Whether it has nothing for the scope that is as high. What it drops counts: somebody may have missed the release. */
  isBelow(scope: string, accepted: Accepted): boolean {
    const own = this.kept.get(scope) ?? this.dropped.get(scope)
    return own?.accepted === undefined || compareBallots(accepted.ballot, own.accepted.ballot) > 0
  }
}
