import type { Value } from './value.js'

/** What a node holds of one scope, from the grant until it is lost or given up. */
export interface Holding {
  readonly value: Value
  /** The token with which it came here; since then nobody else has had it, whatever tokens this node took. */
  readonly firstToken: number
  /** Those who store the scope's data refuse lower tokens from now on. Nothing is served before. */
  readonly fenced: boolean
  /** Being given up: admits no new write. */
  readonly frozen: boolean
}

/**
 * The scopes of one node in one epoch. Two facts per scope: what it holds, and the highest token that it gave up or
 * acknowledged a revocation for, *known to it or not*. A grant at or below that is ignored, whatever its source: a
 * round's late answer, a message of whoever handed over, a read. Others already act on this node's word that it stopped.
 */
export class Holdings {
  readonly #held = new Map<string, Holding>()
  /** Grows with the scopes touched in this epoch; starts empty with a new one, where every old grant names the old epoch. */
  readonly #relinquished = new Map<string, number>()

  get(scope: string): Holding | undefined {
    return this.#held.get(scope)
  }

  scopes(): IterableIterator<string> {
    return this.#held.keys()
  }

  get size(): number {
    return this.#held.size
  }

  /** The highest that this node has held or given up in this epoch; 0: none. */
  tokenMax(): number {
    let highest = 0
    for (const { value } of this.#held.values()) highest = Math.max(highest, value.token)
    for (const token of this.#relinquished.values()) highest = Math.max(highest, token)
    return highest
  }

  relinquished(scope: string): number {
    return this.#relinquished.get(scope) ?? 0
  }

  /** True if the node holds the scope under this value from now on. */
  grant(scope: string, value: Value, needsFence: boolean): boolean {
    if (value.token <= this.relinquished(scope)) return false
    const before = this.#held.get(scope)
    if (before !== undefined && before.value.token >= value.token) return before.value.token === value.token
    this.#held.set(scope, { value, firstToken: before?.firstToken ?? value.token, fenced: !needsFence, frozen: false })
    return true
  }

  fenced(scope: string, token: number): void {
    const holding = this.#held.get(scope)
    if (holding?.value.token === token) this.#held.set(scope, { ...holding, fenced: true })
  }

  freeze(scope: string, token: number): boolean {
    const holding = this.#held.get(scope)
    if (holding?.value.token !== token) return false
    this.#held.set(scope, { ...holding, frozen: true })
    return true
  }

  /** Takes a freeze back: nothing was proposed yet. */
  thaw(scope: string, token: number): void {
    const holding = this.#held.get(scope)
    if (holding?.value.token === token) this.#held.set(scope, { ...holding, frozen: false })
  }

  /** Stops acting under `token` and all lower ones, for good. The value it ended, if it was held. */
  relinquish(scope: string, token: number): Value | undefined {
    if (token > this.relinquished(scope)) this.#relinquished.set(scope, token)
    const holding = this.#held.get(scope)
    if (holding === undefined || holding.value.token > token) return undefined
    this.#held.delete(scope)
    return holding.value
  }

  /** A new epoch. */
  clear(): void {
    this.#held.clear()
    this.#relinquished.clear()
  }
}
