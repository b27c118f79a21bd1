/**
 * Files and folders as content-addressed blocks: import (CIDs equal those of other IPFS tools for 1 MiB raw leaves and
 * 1024 links a node), reading whole or by range, fetching blobs from several holders at once over `/mesh/blob/1`,
 * verification of every block when it comes and again by a scrub, CAR export. A file is cut into blobs of at most
 * 1 GiB; a blob is held whole or not at all.
 *
 * ```ts
 * const blobs = createBlobs({ blocks: store.blocks, meta: store.meta('blobs'), bulk, routing, connections, clock, random, log })
 * void blobs.run(signal)
 * const { cid } = await blobs.import(createReadStream('a.iso'), { operations: async ({ cid, size }) => record(cid, size) })
 * for await (const bytes of blobs.read(cid, { offset: 1000, length: 10 })) process.stdout.write(bytes)
 * ```
 *
 * It works offline: without a connection, what is here can be imported, read, verified and dropped.
 */
import { BlobRoom, type BlobsComponents, type BlobsInit } from './room.js'
import type { BlobService } from './types.js'

export * from './types.js'
export { blobProtocolId } from './responder.js'
export { defaultSettings as defaultBlobSettings, type BlobProfile, type BlobSettings } from './settings.js'
export type { BlobsComponents, BlobsInit } from './room.js'

/** Registers `/mesh/blob/1` at once; upkeep begins with `run`. */
export function createBlobs(components: BlobsComponents, init: BlobsInit = {}): BlobService {
  return new BlobRoom(components, init)
}
