import type { KeyRange, KeyValue, WriteOperation, WriteOptions } from '../base/index.js'
import { CommonError } from '../base/index.js'
import { afterPrefix, joined, textBytes } from './bytes.js'
import type { Database } from './database.js'
import type { Lookups } from './lookups.js'
import type { Transactions } from './transactions.js'
import { StoreError } from './types.js'

export interface MetaComponents {
  database: Database
  transactions: Transactions
  lookups: Lookups
}

/** Longer keys are a mistake of the caller: an index of such keys would be slow, and a path is at most 4 KiB. */
const keyBytesMax = 8 * 1024
/** Larger values belong into blocks: LevelDB copies every value at each of its levels. */
const valueBytesMax = 4 * 1024 * 1024
/** Entries that one read of an iterator brings; LevelDB stops at 16 KiB of them by itself. */
const pageEntries = 256

/** A slice of `meta`: every key of it begins with `prefix`, and whoever holds the slice never sees that. */
export class MetaSlice implements KeyValue {
  readonly #components: MetaComponents
  readonly #prefix: Uint8Array

  constructor(components: MetaComponents, init: { prefix: Uint8Array }) {
    this.#components = components
    this.#prefix = init.prefix
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#components.lookups.get(this.#full(key))
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    if (keys.length === 0) return []
    const full = keys.map((key) => this.#full(key))
    return this.#components.lookups.getMany(full)
  }

  async *entries(range: KeyRange = {}): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]> {
    const { database } = this.#components
    const generation = database.generation
    const letGo = database.holdOpen()
    const iterator = await database.read(async (level) => level.iterator({ ...this.#bounds(range), fillCache: false })).catch((error: unknown) => {
      letGo()
      throw error
    })
    try {
      while (true) {
        // The iterator of a database that was opened anew (after a full disk) is closed and cannot go on.
        if (database.generation !== generation) throw new StoreError('CLOSED', 'the store was opened anew while it was being read: begin again')
        const page = await database.read(async () => iterator.nextv(pageEntries))
        if (page.length === 0) return
        for (const [key, value] of page) yield [key.subarray(this.#prefix.length), value] as const
      }
    } finally {
      letGo()
      await iterator.close()
    }
  }

  put(key: Uint8Array, value: Uint8Array): WriteOperation {
    if (value.length > valueBytesMax) {
      throw new CommonError('BAD_INPUT', `a value of ${String(value.length)} bytes is too large for the index: ${String(valueBytesMax)} at most`, { bytes: value.length, bytesMax: valueBytesMax })
    }
    return { type: 'put', key: this.#full(key), value }
  }

  del(key: Uint8Array): WriteOperation {
    return { type: 'del', key: this.#full(key) }
  }

  async write(operations: readonly WriteOperation[], options: WriteOptions): Promise<void> {
    if (operations.length === 0) return
    await this.#components.transactions.run({ durable: options.durable, operations })
  }

  slice(prefix: string): KeyValue {
    return new MetaSlice(this.#components, { prefix: this.#full(textBytes(prefix)) })
  }

  #full(key: Uint8Array): Uint8Array {
    if (key.length > keyBytesMax) {
      throw new CommonError('BAD_INPUT', `a key of ${String(key.length)} bytes is too long: ${String(keyBytesMax)} at most`, { bytes: key.length, bytesMax: keyBytesMax })
    }
    return joined(this.#prefix, key)
  }

  #bounds(range: KeyRange): { gte?: Uint8Array; gt?: Uint8Array; lt?: Uint8Array; lte?: Uint8Array; reverse?: boolean; limit?: number } {
    const end = afterPrefix(this.#prefix)
    return {
      ...(range.gt !== undefined ? { gt: this.#full(range.gt) } : { gte: this.#full(range.gte ?? new Uint8Array(0)) }),
      ...(range.lt !== undefined
        ? { lt: this.#full(range.lt) }
        : range.lte !== undefined
          ? { lte: this.#full(range.lte) }
          : end !== undefined
            ? { lt: end }
            : {}),
      ...(range.reverse !== undefined ? { reverse: range.reverse } : {}),
      ...(range.limit !== undefined ? { limit: range.limit } : {}),
    }
  }
}
