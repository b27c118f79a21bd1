import type { Register } from '../value.js'
import { compareScopes } from '../scope-order.js'

/** Where a voter keeps its registers in memory. The core asks for nothing but this, so that a compact one may be used. */
export interface RegisterTable {
  readonly size: number
  /** Of these, those that are free and carry nothing. */
  readonly free: number
  get(scope: string): Register | undefined
  set(scope: string, register: Register): void
  clear(): void
  /** In scope order (`compareScopes`), from after `after` on. */
  from(after: string, limit: number): (readonly [scope: string, register: Register])[]
  /** In any order. */
  entries(): Iterable<readonly [scope: string, register: Register]>
}

/** Whether nothing would be lost with it but its token. */
export function isFree({ accepted }: Register): boolean {
  return accepted?.value.holder === null && accepted.value.payload.length === 0
}

/** The plain table: a map, and an index that is sorted again only when a list asks after new scopes came. */
export class MapTable implements RegisterTable {
  readonly #map = new Map<string, Register>()
  #sorted: string[] | undefined
  #free = 0

  get size(): number {
    return this.#map.size
  }

  get free(): number {
    return this.#free
  }

  get(scope: string): Register | undefined {
    return this.#map.get(scope)
  }

  set(scope: string, register: Register): void {
    const before = this.#map.get(scope)
    if (before === undefined) this.#sorted = undefined
    this.#free += Number(isFree(register)) - Number(before !== undefined && isFree(before))
    this.#map.set(scope, register)
  }

  clear(): void {
    this.#map.clear()
    this.#sorted = undefined
    this.#free = 0
  }

  from(after: string, limit: number): (readonly [string, Register])[] {
    this.#sorted ??= [...this.#map.keys()].sort(compareScopes)
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
    if (compareScopes(sorted[middle] ?? '', after) <= 0) low = middle + 1
    else high = middle
  }
  return low
}
