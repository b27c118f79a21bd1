import { compareBallots } from '../ballot.js'
import type { Ballot } from '../ballot.js'
import { Base } from '../base.js'
import type { HashOfChunk } from '../base.js'
import type { Change } from '../durable.js'
import type { BaseBody, ReplyBody } from '../messages.js'
import { compareScopes } from '../scope-order.js'
import type { Accepted } from '../value.js'
import type { RegisterTable } from './table.js'

/**
 * The bases that a voter is given before a change of voters: one at a time, and beside it the one that an accepted decree
 * names, which nobody may take away. Each keeps a list of the scopes that were accepted here above what it has, so that
 * telling them after the seal takes as long as they are many, and not as long as there are registers.
 */
export interface VoterBasesComponents {
  readonly newTable: () => RegisterTable
  readonly hashOfChunk: HashOfChunk
}

/**
 * Nobody else's base takes the place of one whose copying goes on. Longer than what lies between two chunks, or between the
 * last and the seal; whoever crashed holds nobody up for more.
 */
const freshMs = 5000
/** A base that nobody went on with is given up: whoever copied it has crashed, and it takes as much memory as the registers. */
const idleMs = 300_000
/** A page of rows: answered in some ms, and one message together with those of other voters. */
export const rowsMax = 500
const rowsBytesMax = 512 * 1024
const rowBytesUsual = 250
/** Own registers that are compared with a chunk at once. */
const comparedMax = 1000
/** A base of 10⁷ registers. What is larger is nonsense, or would not fit a voter. */
const chunksMax = 20_000

export type Row = readonly [scope: string, accepted: Accepted]

export class VoterBases {
  readonly #components: VoterBasesComponents
  #bases: Base[]

  constructor(components: VoterBasesComponents, init: { bases: Iterable<Base>; nowMs: number }) {
    this.#components = components
    this.#bases = [...init.bases]
    // Nobody goes on with these, but they may still be wanted.
    for (const base of this.#bases) base.touchedMs = init.nowMs - freshMs
  }

  /** At a start: what was accepted above it while nobody kept a list. */
  compareAll(config: number, table: RegisterTable): void {
    for (const base of this.#bases) {
      if (base.config !== config) continue
      for (const [scope, { accepted }] of table.entries()) if (accepted !== undefined && base.isBelow(scope, accepted)) base.changed.add(scope)
    }
  }

  /** Whole, by this name, and copied from this configuration. */
  find(hash: string, config: number): Base | undefined {
    return this.#bases.find((base) => base.hash === hash && base.config === config && base.isWhole)
  }

  /** Where a chunk of it is on disk. */
  row(hash: string, index: number): { name: string; index: number } | undefined {
    const base = this.#bases.find((one) => one.hash === hash)
    return base === undefined || index >= base.chunks ? undefined : { name: base.name, index }
  }

  accepted(scope: string): void {
    for (const base of this.#bases) base.changed.add(scope)
  }

  /** `table`: this voter's registers, if it votes in the configuration that the base is copied from. `pinned`: never taken away. */
  take(body: BaseBody, init: { nowMs: number; newName: () => string; table: RegisterTable | undefined; pinned: string | undefined; gone: (base: Base) => void }, changes: Change[]): ReplyBody {
    const { ballot, index, chunk } = body
    let base = this.#bases.find((one) => compareBallots(one.ballot, ballot) === 0)
    if (base === undefined) {
      const rival = this.#bases.find((one) => one.hash !== init.pinned && (compareBallots(one.ballot, ballot) > 0 || init.nowMs - one.touchedMs < freshMs))
      if (rival !== undefined) return { kind: 'refused', why: { code: 'promised', ballot: rival.ballot } }
      if (index !== 0) return { kind: 'refused', why: { code: 'unknown-base' } }
      this.#drop((one) => one.hash !== init.pinned, init.gone)
      base = new Base(this.#components, { name: init.newName(), ballot, config: chunk.config })
      this.#bases.push(base)
    }
    // Of the same base, and not the next one: here already, or something before it was lost.
    if (index > base.chunks || index >= chunksMax || chunk.config !== base.config) return { kind: 'refused', why: { code: 'unknown-base' } }
    base.touchedMs = init.nowMs
    if (index === base.chunks) {
      const from = base.through
      base.append(chunk, this.#components.hashOfChunk)
      if (init.table !== undefined) this.#compare(base, init.table, from, chunk.through)
      for (const [scope] of chunk.registers) this.#forgetIfThere(base, init.table, scope)
      changes.push({ kind: 'base', name: base.name, index, ballot, chunk })
    }
    return { kind: 'based', behind: base.changed.size }
  }

  /** `needed`: is kept however long it lies there. */
  forgetIdle(nowMs: number, needed: (base: Base) => boolean, gone: (base: Base) => void): void {
    if (this.#bases.length > 0) this.#drop((base) => nowMs - base.touchedMs > idleMs && !needed(base), gone)
  }

  /** Its copying was given up. */
  end(ballot: Ballot, pinned: string | undefined, gone: (base: Base) => void): void {
    this.#drop((base) => compareBallots(base.ballot, ballot) === 0 && base.hash !== pinned, gone)
  }

  /** A configuration began, or is over for this voter: no base of one before it is any good, and `except` is used up. */
  leave(config: number, except: Base | undefined, gone: (base: Base) => void): void {
    this.#bases = this.#bases.filter((base) => base !== except)
    this.#drop((base) => base.config < config, gone)
  }

  /** What is above the base here, in scope order, from after `after` on. */
  above(base: Base, table: RegisterTable, after = '', limit = Infinity): { entries: Row[]; next?: string } {
    const most = limit === Infinity ? Infinity : clamped(limit)
    const entries: Row[] = []
    let bytes = 0
    for (const scope of [...base.changed].sort(compareScopes)) {
      if (compareScopes(scope, after) <= 0) continue
      const accepted = table.get(scope)?.accepted
      if (accepted === undefined || !base.isBelow(scope, accepted)) continue
      const last = entries[entries.length - 1]
      if (last !== undefined && most !== Infinity && (entries.length >= most || bytes >= rowsBytesMax)) return { entries, next: last[0] }
      entries.push([scope, accepted])
      bytes += rowBytesUsual + accepted.value.payload.length
    }
    return { entries }
  }

  /** Registers that have a value, in scope order. */
  rows(table: RegisterTable, after: string, limit: number): { entries: Row[]; next?: string } {
    const found = table.from(after, clamped(limit))
    const entries: Row[] = []
    let bytes = 0
    for (const [scope, { accepted }] of found) {
      if (accepted !== undefined) entries.push([scope, accepted])
      bytes += rowBytesUsual + (accepted?.value.payload.length ?? 0)
      if (bytes >= rowsBytesMax) return { entries, next: scope }
    }
    const last = found[found.length - 1]
    return last === undefined ? { entries } : { entries, next: last[0] }
  }

  /** Own registers in what a chunk covers that are above it. From then on `accepted` says. */
  #compare(base: Base, table: RegisterTable, from: string | undefined, through: string | undefined): void {
    for (let after = from; after !== undefined;) {
      const rows = table.from(after, comparedMax)
      after = rows.length < comparedMax ? undefined : rows[rows.length - 1]?.[0]
      for (const [scope, { accepted }] of rows) {
        if (through !== undefined && compareScopes(scope, through) > 0) return
        if (accepted !== undefined && base.isBelow(scope, accepted)) base.changed.add(scope)
      }
    }
  }

  #forgetIfThere(base: Base, table: RegisterTable | undefined, scope: string): void {
    if (!base.changed.has(scope)) return
    const accepted = table?.get(scope)?.accepted
    if (accepted === undefined || !base.isBelow(scope, accepted)) base.changed.delete(scope)
  }

  #drop(which: (base: Base) => boolean, gone: (base: Base) => void): void {
    const dropped = this.#bases.filter(which)
    if (dropped.length === 0) return
    this.#bases = this.#bases.filter((base) => !dropped.includes(base))
    for (const base of dropped) gone(base)
  }
}

function clamped(limit: number): number {
  return Math.min(Math.max(1, limit), rowsMax)
}
