import type { AppendLog, KeyRange, KeyValue, Random, WriteOperation } from '../../../src/base/index.js'
import { CodedError } from '../../../src/base/index.js'

/**
 * A database in memory that can lose power: what was written since the last sync is lost in any part, batch by batch, as
 * LevelDB may lose a log that it did not sync while it keeps a later one. A crash of the process loses nothing.
 */
export class MemoryDatabase {
  rows = new Map<string, Uint8Array>()
  /** Batches since the last sync, oldest first. */
  unsynced: (readonly WriteOperation[])[] = []
  synced = new Map<string, Uint8Array>()
  /** Asked before each write: what it throws is thrown, `kept` says whether the rows are there all the same. */
  onWrite: (options: { freesSpace: boolean; bytes: number }) => { error: Error; kept: boolean } | undefined = () => undefined
  writes = 0
  /** Values read while looking through keys. */
  reads = 0
  /** Before each thing that it does, and before it tells of a write: a disk that takes its time, and stalls. */
  pause: () => Promise<void> = async () => Promise.resolve()
  /** How often its process died: what an older one still does has no effect. */
  life = 0

  write(operations: readonly WriteOperation[], durable: boolean, freesSpace: boolean): void {
    const bytes = operations.reduce((sum, operation) => sum + (operation.type === 'put' ? operation.value.length : 0), 0)
    const failure = this.onWrite({ freesSpace, bytes })
    if (failure === undefined || failure.kept) {
      this.writes++
      for (const operation of operations) applyTo(this.rows, operation)
      this.unsynced.push(operations.map((operation) => (operation.type === 'put' ? { ...operation, value: operation.value.slice() } : operation)))
      if (durable && failure === undefined) this.sync()
    }
    if (failure !== undefined) throw failure.error
  }

  sync(): void {
    for (const batch of this.unsynced) for (const operation of batch) applyTo(this.synced, operation)
    this.unsynced = []
  }

  /** Keeps any of the batches that were not synced. */
  losePower(random: Random): void {
    const how = random.below(4)
    const prefix = random.below(this.unsynced.length + 1)
    for (const [i, batch] of this.unsynced.entries()) {
      const kept = how === 0 ? false : how === 1 ? i < prefix : how === 2 ? random.below(2) === 0 : random.below(8) !== 0
      if (kept) for (const operation of batch) applyTo(this.synced, operation)
    }
    this.unsynced = []
    this.rows = new Map(this.synced)
  }

  keys(): string[] {
    return [...this.rows.keys()].sort()
  }
}

function applyTo(rows: Map<string, Uint8Array>, operation: WriteOperation): void {
  const key = Buffer.from(operation.key).toString('hex')
  if (operation.type === 'put') rows.set(key, operation.value.slice())
  else rows.delete(key)
}

async function never(): Promise<never> {
  return new Promise<never>(() => undefined)
}

export function noSpace(): Error {
  return new CodedError('NO_SPACE', 'the disk is full')
}

export class MemorySlice implements AppendLog {
  readonly #database: MemoryDatabase
  readonly #prefix: Uint8Array
  readonly #life: number
  #nows = 0
  /** Writes and syncs are done in the order in which they were asked for. */
  #turn: Promise<void> = Promise.resolve()

  constructor(database: MemoryDatabase, prefix: Uint8Array = new Uint8Array(0), life = database.life) {
    this.#database = database
    this.#prefix = prefix
    this.#life = life
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    await this.#database.pause()
    return this.#database.rows.get(this.#hex(key))?.slice()
  }

  /** Every other time, as if the rest had to be read from a disk. */
  now(key: Uint8Array): Uint8Array | undefined {
    this.#nows++
    return this.#isDead() || this.#nows % 2 === 0 ? undefined : this.#database.rows.get(this.#hex(key))?.slice()
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.all(keys.map(async (key) => this.get(key)))
  }

  async *entries(range: KeyRange = {}): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]> {
    const prefix = Buffer.from(this.#prefix).toString('hex')
    const view = new Map(this.#database.rows)
    await this.#database.pause()
    let keys = [...view.keys()].filter((key) => key.startsWith(prefix) && this.#isIn(key, range)).sort()
    if (range.reverse === true) keys = keys.reverse()
    for (const key of keys.slice(0, range.limit)) {
      this.#database.reads++
      yield [Buffer.from(key.slice(prefix.length), 'hex'), (view.get(key) as Uint8Array).slice()] as const
    }
  }

  put(key: Uint8Array, value: Uint8Array): WriteOperation {
    return { type: 'put', key: this.#full(key), value }
  }

  del(key: Uint8Array): WriteOperation {
    return { type: 'del', key: this.#full(key) }
  }

  async write(operations: readonly WriteOperation[], { durable = false, freesSpace = false }: { durable?: boolean; freesSpace?: boolean }): Promise<void> {
    await this.#inTurn(() => { this.#database.write(operations, durable, freesSpace) })
  }

  async sync(): Promise<void> {
    await this.#inTurn(() => { this.#database.sync() })
  }

  async erase(from: Uint8Array, to: Uint8Array): Promise<void> {
    await this.#inTurn(() => {
      for (const key of this.#database.keys()) {
        if (key >= this.#hex(from) && key < this.#hex(to)) this.#database.rows.delete(key)
      }
      this.#database.unsynced = []
      this.#database.synced = new Map(this.#database.rows)
    })
  }

  async #inTurn(act: () => void): Promise<void> {
    const done = this.#turn.then(async () => {
      await this.#database.pause()
      if (this.#isDead()) return never()
      act()
    })
    this.#turn = done.catch(() => undefined)
    await done
    await this.#database.pause()
    if (this.#isDead()) return never()
  }

  slice(prefix: string): KeyValue {
    return new MemorySlice(this.#database, this.#full(Buffer.from(prefix)), this.#life)
  }

  /** Asked in the very moment of an act: whoever died a turn before it does not act any more. */
  #isDead(): boolean {
    return this.#life !== this.#database.life
  }

  #full(key: Uint8Array): Uint8Array {
    return Buffer.concat([this.#prefix, key])
  }

  #hex(key: Uint8Array): string {
    return Buffer.from(this.#full(key)).toString('hex')
  }

  #isIn(key: string, range: KeyRange): boolean {
    return (
      (range.gte === undefined || key >= this.#hex(range.gte)) && (range.gt === undefined || key > this.#hex(range.gt)) &&
      (range.lt === undefined || key < this.#hex(range.lt)) && (range.lte === undefined || key <= this.#hex(range.lte))
    )
  }
}
