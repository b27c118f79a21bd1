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
