/**
 * Replication: keeps the wanted number of copies of everything on the right nodes. It hears what every node holds and has
 * room for, lets `storage-policy` plan, and carries the plans out: asks nodes to fetch, checks that they have, lets go of
 * what there is too much of once enough others have promised to keep theirs. Every node does this for the blobs that it
 * holds; nobody is in charge.
 *
 *     const replication = createReplication(
 *       { blobs, catalog, membership, rpc, gossip, connections, meta, clock, random, log, usage, freeDisk },
 *       { quota: { maxBytes: 100e9, reservedBytes: 0, shareExcess: true, minFreeDiskBytes: 2 ** 30 } },
 *     )
 *     const running = replication.run(signal)
 *     await replication.wait('/photos/cat.jpg', signal)
 *
 * The protocol is in `protocols/replication`; how the parts hang together, in README.md.
 */
import { ReplicationRoom } from './replication.js'
import { replicationDefaults } from './settings.js'
import type { Replication, ReplicationComponents, ReplicationSettings } from './types.js'

export { replicationDefaults } from './settings.js'
export * from './types.js'

/** Nothing starts before `run`. Throws BAD_SETTING. */
export function createReplication(components: ReplicationComponents, init: Partial<ReplicationSettings> = {}): Replication {
  return new ReplicationRoom(components, { ...replicationDefaults, ...init })
}
