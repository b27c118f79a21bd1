import type { KeyValue, NodeId, Random, Signer } from '../../base/index.js'
import { encodeConfigRecord } from '../config-bytes.js'
import { firstConfig } from '../seals.js'
import { VoterDisk } from './voter-disk.js'

export interface FirstVoterComponents {
  /** The slice of `meta` that `createConsensus` will be given. */
  readonly store: KeyValue
  readonly random: Random
  readonly authority: Signer
}

/**
 * Configuration 0 of a new mesh: this node votes alone. Makes the node's lease store, since the configuration names its
 * incarnation, and returns the signed record's bytes. Called by whoever makes the mesh and by nobody else, once; called
 * again (a start that was cut off in between) it names the same store.
 */
export async function foundVoters(components: FirstVoterComponents, init: { self: NodeId }): Promise<Uint8Array> {
  const disk = new VoterDisk({ store: components.store })
  let incarnation = await disk.incarnation()
  if (incarnation === undefined) {
    incarnation = Buffer.from(components.random.bytes(16)).toString('hex')
    await disk.reset(incarnation, [])
  }
  return encodeConfigRecord(firstConfig(components.authority, { node: init.self, incarnation }))
}
