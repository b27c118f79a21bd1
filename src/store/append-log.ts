import type { AppendLog, KeyRange, KeyValue, WriteOperation, WriteOptions } from '../base/index.js'
import { CommonError, GroupCommit } from '../base/index.js'
import { afterPrefix, joined, textBytes } from './bytes.js'
import type { Database, RawDatabase } from './database.js'
import { StoreError } from './types.js'

export interface AppendDatabaseComponents {
  database: Database
  /** Throws NO_SPACE; resolves to what to call when the bytes were handed over. */
  admit: (bytes: number) => Promise<() => void>
}

interface Write {
  readonly operations: readonly WriteOperation[]
  readonly durable: boolean
  readonly bytes: number
}

/** Entries that one read of an iterator brings; LevelDB stops at 16 KiB of them by itself. */
const pageEntries = 64
/** Keys deleted in one batch. */
const erasedMax = 4096

/**
 * A chained batch takes small rows in half the time that a list of operations takes; but its memory, which V8 does not see,
 * comes back only when the garbage collector finds it.
 */
const chainedBytesMax = 128 * 1024

/**
 * A LevelDB for what other rooms append: growing keys, no compression. Like the log of blocks (see block-log.ts) it is
 * moved and not rewritten, as long as deletions are kept out of the buffers of new rows; `erase` sees to that.
 *
 * Writes go one at a time, as LogWatch needs it, and share syncs.
 */
export class AppendDatabase {
  readonly #components: AppendDatabaseComponents
  readonly #syncs: GroupCommit<never>
  /** Settles when what was written last has ended; undefined while nothing is written. */
  #turn: Promise<unknown> | undefined
  #appendedBytes = 0
  #queuedBytes = 0

  constructor(components: AppendDatabaseComponents) {
    this.#components = components
    this.#syncs = new GroupCommit<never>({ write: () => components.database.sync(), operationsMax: 1 })
  }

  get appendedBytes(): number {
    return this.#appendedBytes
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  slice(prefix: string): AppendLog {
    return new AppendSlice(this.#components.database, this, textBytes(prefix))
  }

  async write(operations: readonly WriteOperation[], { durable, freesSpace }: WriteOptions & { freesSpace?: boolean }): Promise<void> {
    let bytes = 0
    for (const operation of operations) if (operation.type === 'put') bytes += operation.key.length + operation.value.length
    const admitted = freesSpace === true || bytes === 0 ? undefined : await this.#components.admit(bytes)
    this.#queuedBytes += bytes
    try {
      await this.#inTurn(() => this.#write({ operations, durable, bytes }))
    } finally {
      this.#queuedBytes -= bytes
      admitted?.()
    }
  }

  async sync(): Promise<void> {
    await this.#syncs.commit([])
  }

  async flush(): Promise<void> {
    await this.#inTurn(() => this.#components.database.flush())
  }

  async erase(from: Uint8Array, to: Uint8Array): Promise<void> {
    const { database } = this.#components
    const keys = await database.read(async (level) => level.keys({ gte: from, lt: to, fillCache: false }).all())
    if (keys.length > 0) {
      await this.#inTurn(async () => {
        await database.flush()
        for (let at = 0; at < keys.length; at += erasedMax) {
          const some = keys.slice(at, at + erasedMax).map((key) => ({ type: 'del' as const, key }))
          await database.write(async (level) => level.batch(some))
        }
        await database.flush()
      })
    }
    await database.read(async (level) => level.compactRange(from, to))
  }

  async idle(): Promise<void> {
    await this.#turn
    await this.#syncs.idle()
  }

  async #write({ operations, durable, bytes }: Write): Promise<void> {
    const { database } = this.#components
    const [only] = operations
    const work = async (level: RawDatabase): Promise<void> => {
      // One put is copied on a worker thread, a batch on the main one.
      if (operations.length === 1 && only?.type === 'put') await level.put(only.key, only.value, { sync: durable })
      else if (bytes > chainedBytesMax) await level.batch([...operations], { sync: durable })
      else await chained(level, operations).write({ sync: durable })
    }
    if (durable) await database.writeDurably(work)
    else await database.write(work)
    this.#appendedBytes += bytes
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    // At once where nothing is before it: of a block's write, turns of the microtask queue are a good part.
    const mine = this.#turn === undefined ? work() : this.#turn.then(work)
    const turn = mine.then(ended, ended)
    this.#turn = turn
    try {
      return await mine
    } finally {
      if (this.#turn === turn) this.#turn = undefined
    }
  }
}

function chained(level: RawDatabase, operations: readonly WriteOperation[]): ReturnType<RawDatabase['batch']> {
  const batch = level.batch()
  for (const operation of operations) {
    if (operation.type === 'put') batch.put(operation.key, operation.value)
    else batch.del(operation.key)
  }
  return batch
}

function ended(): void {
  // However it ended: what comes behind it is a write of its own.
}

class AppendSlice implements AppendLog {
  readonly #database: Database
  readonly #log: AppendDatabase
  readonly #prefix: Uint8Array

  constructor(database: Database, log: AppendDatabase, prefix: Uint8Array) {
    this.#database = database
    this.#log = log
    this.#prefix = prefix
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#database.read(async (level) => level.get(this.#full(key), { fillCache: false }))
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    if (keys.length === 0) return []
    return this.#database.read(async (level) => level.getMany(keys.map((key) => this.#full(key)), { fillCache: false }))
  }

  async *entries(range: KeyRange = {}): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]> {
    const { generation } = this.#database
    const iterator = await this.#database.read(async (level) => level.iterator({ ...this.#bounds(range), fillCache: false }))
    try {
      while (true) {
        if (this.#database.generation !== generation) throw new StoreError('CLOSED', 'the store was opened anew while it was being read: begin again')
        const page = await this.#database.read(async () => iterator.nextv(pageEntries))
        if (page.length === 0) return
        for (const [key, value] of page) yield [key.subarray(this.#prefix.length), value] as const
      }
    } finally {
      await iterator.close()
    }
  }

  put(key: Uint8Array, value: Uint8Array): WriteOperation {
    return { type: 'put', key: this.#full(key), value }
  }

  /** Throws BAD_INPUT: only ranges are deleted here. */
  del(): WriteOperation {
    throw new CommonError('BAD_INPUT', 'rows of a log are erased by the range')
  }

  async write(operations: readonly WriteOperation[], options: WriteOptions & { freesSpace?: boolean }): Promise<void> {
    if (operations.length > 0) await this.#log.write(operations, options)
  }

  async sync(): Promise<void> {
    await this.#log.sync()
  }

  async erase(from: Uint8Array, to: Uint8Array): Promise<void> {
    await this.#log.erase(this.#full(from), this.#full(to))
  }

  slice(prefix: string): KeyValue {
    return new AppendSlice(this.#database, this.#log, this.#full(textBytes(prefix)))
  }

  #full(key: Uint8Array): Uint8Array {
    return joined(this.#prefix, key)
  }

  #bounds(range: KeyRange): { gte?: Uint8Array; gt?: Uint8Array; lt?: Uint8Array; lte?: Uint8Array; reverse?: boolean; limit?: number } {
    const end = afterPrefix(this.#prefix)
    return {
      ...(range.gt !== undefined ? { gt: this.#full(range.gt) } : { gte: this.#full(range.gte ?? new Uint8Array(0)) }),
      ...(range.lt !== undefined ? { lt: this.#full(range.lt) } : range.lte !== undefined ? { lte: this.#full(range.lte) } : end !== undefined ? { lt: end } : {}),
      ...(range.reverse !== undefined ? { reverse: range.reverse } : {}),
      ...(range.limit !== undefined ? { limit: range.limit } : {}),
    }
  }
}
