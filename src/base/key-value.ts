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
 * A database of its own for rows that are appended: keys that only grow, so that files are moved and not rewritten, and
 * large values are cheap. Rows that are changed or deleted one by one do not belong here.
 */
export interface AppendLog extends KeyValue {
  /** All that was written before the call survives the end of the machine. Writes go on beside it; callers share it. */
  sync(): Promise<void>
  /**
   * `freesSpace`: is taken although the limit of the store is reached, since it is needed to get below it again. When it
   * resolves or rejects, nobody uses the operations' bytes any more: the caller may write others into the same memory.
   */
  write(operations: readonly WriteOperation[], options: WriteOptions & { freesSpace?: boolean }): Promise<void>
  /** Deletes all rows from `from` up to `to` (not included) and gives their space back. Durable. Writes wait for a part of it. */
  erase(from: Uint8Array, to: Uint8Array): Promise<void>
}
