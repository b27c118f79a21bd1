import type { KeyValue } from '../../base/index.js'
import type { Ballot } from '../ballot.js'
import { Base } from '../base.js'
import type { BaseChunk } from '../base.js'
import { ballotFromWire, ballotToWire, chunkFromWire, chunkToWire, decoding } from '../codec.js'
import { hashOfChunk } from '../seals.js'
import { CompactTable } from '../voter/compact-table.js'
import * as wire from '../wire/lease.js'

/** Deleted in one write: some ms, beside all else that the database does. */
const sweptAtOnce = 1000

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const key = (name: string): Uint8Array => encoder.encode(name)

/** Chunk N of a base: six digits, so that the order of the rows is that of the chunks. */
export function baseRow(name: string, index: number): string {
  return `b:${name}/${String(index).padStart(6, '0')}`
}

export function encodeBaseRow(ballot: Ballot, chunk: BaseChunk): Uint8Array {
  return wire.BaseRow.encode({ ballot: ballotToWire(ballot), chunk: chunkToWire(chunk) })
}

/** Throws BAD_MESSAGE. Exported for the test that feeds it anything. */
export function decodeBaseRow(bytes: Uint8Array): { ballot: Ballot; chunk: BaseChunk } {
  return decoding(() => {
    const { ballot, chunk } = wire.BaseRow.decode(bytes)
    return { ballot: ballotFromWire(ballot), chunk: chunkFromWire(chunk) }
  })
}

/** Rows that come in large numbers and go when they mean nothing any more: bases, and registers by generation. */
export class BaseRows {
  readonly #store: KeyValue
  /** Names whose rows are to be deleted, and nothing that is on disk refers to them. */
  readonly #orphans = new Set<string>()

  constructor(components: { store: KeyValue }) {
    this.#store = components.store
  }

  orphaned(name: string): void {
    this.#orphans.add(name)
  }

  /** The store begins anew. */
  forget(): void {
    this.#orphans.clear()
  }

  /** Undefined: it is gone. */
  async chunk(name: string, index: number): Promise<BaseChunk | undefined> {
    const bytes = await this.#store.get(key(baseRow(name, index)))
    return bytes === undefined ? undefined : decodeBaseRow(bytes).chunk
  }

  async each(name: string, see: (chunk: BaseChunk, ballot: Ballot) => void): Promise<void> {
    for await (const [, bytes] of this.#store.entries({ gte: key(`b:${name}/`), lt: key(`b:${name}0`) })) {
      const { ballot, chunk } = decodeBaseRow(bytes)
      see(chunk, ballot)
    }
  }

  /** Bases on disk of which the hash is among those needed; all other names but those in use are orphans. */
  async load(needed: ReadonlySet<string>, inUse: ReadonlySet<string>): Promise<Base[]> {
    const bases: Base[] = []
    for (const name of await this.#names('b:')) {
      if (inUse.has(name)) continue
      const base = needed.size === 0 ? undefined : await this.#base(name)
      if (base !== undefined && base.isWhole && needed.has(base.hash)) bases.push(base)
      else this.#orphans.add(name)
    }
    for (const name of await this.#names('t:')) if (!inUse.has(name)) this.#orphans.add(name)
    return bases
  }

  /** Deletes some rows. False: there are none. */
  async sweep(): Promise<boolean> {
    for (const name of this.#orphans) {
      const ranges = name === '' ? [['r:', 'r;']] : [[`b:${name}/`, `b:${name}0`], [`t:${name}/`, `t:${name}0`]]
      for (const [from = '', to = ''] of ranges) {
        const rows: Uint8Array[] = []
        for await (const [one] of this.#store.entries({ gte: key(from), lt: key(to), limit: sweptAtOnce })) rows.push(one)
        if (rows.length === 0) continue
        await this.#store.write(rows.map((row) => this.#store.del(row)), { durable: false })
        return true
      }
      this.#orphans.delete(name)
    }
    return false
  }

  async #base(name: string): Promise<Base | undefined> {
    let base: Base | undefined
    await this.each(name, (chunk, ballot) => {
      base ??= new Base({ newTable: () => new CompactTable() }, { name, ballot, config: chunk.config })
      base.append(chunk, hashOfChunk)
    })
    return base
  }

  /** The first row of each leads to the next. */
  async #names(prefix: string): Promise<string[]> {
    const names: string[] = []
    for (let from = key(prefix); ;) {
      let found: string | undefined
      for await (const [one] of this.#store.entries({ gte: from, lt: key(`${prefix.slice(0, -1)};`), limit: 1 })) found = decoder.decode(one).slice(prefix.length).split('/')[0]
      if (found === undefined) return names
      names.push(found)
      from = key(`${prefix}${found}0`)
    }
  }
}
