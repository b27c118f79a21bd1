/**
 * Ordered keys → bytes: what a room sees of the node's `meta` database. A room gets a slice that starts with its own
 * prefix (the table of all prefixes is `store/keyspace.ts`) and never sees another's keys; but the operations it makes
 * are values, so that one atomic write can carry operations of several rooms.
 */
export interface KeyRange {
  gte?: Uint8Array
  gt?: Uint8Array
  lt?: Uint8Array
  lte?: Uint8Array
  reverse?: boolean
  /** Entries at most. */
  limit?: number
}

/** Made by a slice's `put` and `del`; the key in it is the full one. */
export type WriteOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }

export interface WriteOptions {
  /** Resolve only when a crash of the machine cannot undo it. Durable writes of all callers share their syncs. */
  durable: boolean
}

export interface KeyValue {
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** In the order of `keys`; undefined where there is none. */
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  /** In key order, keys without the slice's prefix. A consistent view from the moment of the first entry. */
  entries(range?: KeyRange): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>
  put(key: Uint8Array, value: Uint8Array): WriteOperation
  del(key: Uint8Array): WriteOperation
  /** All or nothing, whichever slices the operations were made by. */
  write(operations: readonly WriteOperation[], options: WriteOptions): Promise<void>
  /** A slice of this slice. */
  slice(prefix: string): KeyValue
}

/**
 * A log of its own for rows that are appended: keys that only grow, files that are written once and given back as a whole,
 * so that large values are cheap. Rows that are changed or deleted one by one do not belong here.
 *
 * A key begins with a position, 8 bytes big-endian. Rows whose positions have the same upper six bytes are a unit: they
 * stand in one file together, and go together.
 */
export interface AppendLog {
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** The value if it is in memory, so that nobody has to wait for it; undefined says nothing about whether there is one. */
  now(key: Uint8Array): Uint8Array | undefined
  /** In the order of `keys`; undefined where there is none. */
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  /** In key order, of what is there at the moment of the first entry; what is erased meanwhile may be left out. */
  entries(range?: KeyRange): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>
  put(key: Uint8Array, value: Uint8Array): WriteOperation
  /**
   * Above all keys that were ever written. All or nothing, of those of one unit; not durable before a `sync`.
   * `freesSpace`: is taken although the limit of the store is reached, since it is needed to get below it again. When it
   * resolves or rejects, nobody uses the operations' bytes any more: the caller may write others into the same memory.
   */
  write(operations: readonly WriteOperation[], options: { freesSpace?: boolean }): Promise<void>
  /** All that was written before the call survives the end of the machine. Writes go on beside it; callers share it. */
  sync(): Promise<void>
  /** Deletes all rows from `from` up to `to` (not included), whole units or all from a row on, and gives their space back. Durable. */
  erase(from: Uint8Array, to: Uint8Array): Promise<void>
}
