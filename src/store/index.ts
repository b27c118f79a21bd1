/**
 * The store: everything a node keeps on disk, in LevelDB databases but for one thing. `blocks` is an append-only log of
 * block bytes, `meta` has the index of the log and, in slices, the small records of all other rooms; rooms that write
 * logs of their own (volumes do) have files for them, see append-log.ts. Blocks come in by drafts and become permanent in one durable batch together with whatever
 * records make them mean something; references say how long they stay. After a crash nothing that was acknowledged is missing, and nothing else takes up space.
 *
 * ```ts
 * const store = await openStore({ clock: systemClock, random: systemRandom, log }, { home, limitBytes: 100e9 })
 * const draft = await store.blocks.draft(blob.cid.toString())
 * await draft.put(cid, bytes)
 * await draft.commit([store.meta('blobs').put(key, record)])
 * await store.blocks.get(cid)
 * await store.blocks.release([cid], [store.meta('blobs').del(key)])
 * await store.close()
 * ```
 */
export * from './types.js'
export type { StoreLimits } from './settings.js'
export { asBlockstore } from './as-blockstore.js'
export { keyspace, type KeyspaceName } from './keyspace.js'
export { openStore, type StoreComponents, type StoreInit } from './store.js'
