import type { Register } from '../value.js'

/** Where a voter keeps its registers in memory. The core asks for nothing but this, so that a compact one may be used. */
export interface RegisterTable {
  readonly size: number
  get(scope: string): Register | undefined
  set(scope: string, register: Register): void
  delete(scope: string): void
  clear(): void
  /** In scope order, from after `after` on. */
  from(after: string, limit: number): (readonly [scope: string, register: Register])[]
  entries(): Iterable<readonly [scope: string, register: Register]>
}

/** The plain table: a map, and an index that is sorted again only when a list asks after new scopes came. */
export class MapTable implements RegisterTable {
  readonly #map = new Map<string, Register>()
  #sorted: string[] | undefined

  get size(): number {
    return this.#map.size
  }

  get(scope: string): Register | undefined {
    return this.#map.get(scope)
  }

  set(scope: string, register: Register): void {
    if (this.#sorted !== undefined && !this.#map.has(scope)) this.#sorted = undefined
    this.#map.set(scope, register)
  }

  delete(scope: string): void {
    if (this.#map.delete(scope)) this.#sorted = undefined
  }

  clear(): void {
    this.#map.clear()
    this.#sorted = undefined
  }

  from(after: string, limit: number): (readonly [string, Register])[] {
    this.#sorted ??= [...this.#map.keys()].sort()
    const page: (readonly [string, Register])[] = []
    for (let i = firstAbove(this.#sorted, after); i < this.#sorted.length && page.length < limit; i++) {
      const scope = this.#sorted[i] ?? ''
      const register = this.#map.get(scope)
      if (register !== undefined) page.push([scope, register])
    }
    return page
  }

  entries(): Iterable<readonly [string, Register]> {
    return this.#map.entries()
  }
}

function firstAbove(sorted: readonly string[], after: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? '') <= after) low = middle + 1
    else high = middle
  }
  return low
}
