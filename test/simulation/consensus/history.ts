import type { Value } from '../../../src/consensus/value.js'
import type { Read, Write } from './linearizability.js'
import { checkLinearizable, initialVersion, rank } from './linearizability.js'

interface ScopeHistory {
  /** By version and operation: one operation that was retried after its first effect was taken away has two. */
  readonly writes: Map<string, Write>
  readonly reads: Read[]
}

/** What clients were told, per scope, and when each operation first proposed anything. */
export class History {
  readonly #scopes = new Map<string, ScopeHistory>()
  readonly #proposed = new Map<string, number>()
  operations = 0

  /** The earliest moment at which an operation can have taken effect. */
  proposed(op: string, nowMs: number): void {
    if (!this.#proposed.has(op)) this.#proposed.set(op, nowMs)
  }

  /** A value that was seen; it may be an unknown operation's. */
  read(scope: string, value: Value | undefined, beganMs: number, nowMs: number): void {
    this.operations++
    const history = this.#of(scope)
    if (value === undefined || value.op === '') {
      history.reads.push({ version: initialVersion, op: '', beganMs, endedMs: nowMs })
      return
    }
    const version = { token: value.token, free: value.holder === null }
    history.reads.push({ version, op: value.op, beganMs, endedMs: nowMs })
    const key = `${rank(version)}|${value.op}`
    if (!history.writes.has(key)) history.writes.set(key, { version, op: value.op, beganMs: this.#proposed.get(value.op) ?? Infinity, endedMs: Infinity })
  }

  /** An operation was told that this value is its own. */
  wrote(scope: string, value: Value, nowMs: number): void {
    this.operations++
    const history = this.#of(scope)
    const version = { token: value.token, free: value.holder === null }
    const key = `${rank(version)}|${value.op}`
    history.writes.set(key, { version, op: value.op, beganMs: this.#proposed.get(value.op) ?? Infinity, endedMs: Math.min(nowMs, history.writes.get(key)?.endedMs ?? Infinity) })
  }

  /** `mayForget`: a compaction dropped free scopes, after which an empty register is not the first state any more. */
  check(mayForget: boolean): void {
    for (const [scope, { writes, reads }] of this.#scopes) {
      checkLinearizable(scope, [...writes.values()], mayForget ? reads.filter((read) => read.op !== '') : reads)
    }
  }

  #of(scope: string): ScopeHistory {
    let history = this.#scopes.get(scope)
    if (history === undefined) this.#scopes.set(scope, (history = { writes: new Map(), reads: [] }))
    return history
  }
}
