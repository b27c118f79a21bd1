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

  /**
   * This history with one lie in it, `count` times each of four kinds; which of them the checker did not notice. For
   * histories in which it found nothing: that it says so must mean something.
   */
  undetectedLies(count: number, below: (limit: number) => number): string[] {
    const undetected: string[] = []
    const scopes = [...this.#scopes].map(([scope, { writes, reads }]) => {
      const known = [...writes.values()].filter(({ beganMs, endedMs }) => beganMs !== Infinity && endedMs !== Infinity)
      return { scope, writes: [...writes.values()], reads: reads.filter((read) => read.op !== ''), known: known.sort((a, b) => rank(a.version) - rank(b.version)) }
    }).filter(({ known }) => known.length > 1)
    for (let i = 0; i < count && scopes.length > 0; i++) {
      const chosen = scopes[below(scopes.length)]
      if (chosen === undefined) continue
      const { scope, writes, reads, known } = chosen
      const at = below(known.length - 1)
      const [write, next] = [known[at], known[at + 1]]
      if (write === undefined || next === undefined) continue
      const lies: Record<string, [Write[], Read[]]> = {
        'a value seen after the next one was acknowledged': [writes, [...reads, { ...write, beganMs: next.endedMs + 1, endedMs: next.endedMs + 2 }]],
        'a value seen before anybody proposed it': [writes, [...reads, { ...write, beganMs: write.beganMs - 2, endedMs: write.beganMs - 1 }]],
        'one token for two': [[...writes, { ...write, op: 'somebody else' }], reads],
        'a write that took effect before the one it followed': [writes.map((one) => (one === next ? { ...one, beganMs: write.beganMs - 2, endedMs: write.beganMs - 1 } : one)), reads],
      }
      for (const [what, [lyingWrites, lyingReads]] of Object.entries(lies)) {
        try {
          checkLinearizable(scope, lyingWrites, lyingReads)
          undetected.push(`${scope}, token ${String(write.version.token)}: ${what}`)
        } catch {
          // As it should be.
        }
      }
    }
    return undetected
  }

  #of(scope: string): ScopeHistory {
    let history = this.#scopes.get(scope)
    if (history === undefined) this.#scopes.set(scope, (history = { writes: new Map(), reads: [] }))
    return history
  }
}
