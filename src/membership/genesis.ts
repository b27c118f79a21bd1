import { verifySignature } from '../base/index.js'
import type { NodeId, Signer } from '../base/index.js'
import { keyOf, laidOut } from './keys.js'
import { genesisBytesMax } from './limits.js'

/**
 * What every member must agree on from the first day, opaque here: the first configuration of the voters. Signed by the
 * authority over `mesh 32 │ body`, apart from invites, so that a mesh older than its voters gets one too. There is one
 * per mesh for good: a node that has one never takes another.
 */
export interface Genesis {
  readonly body: Uint8Array
  readonly signature: Uint8Array
}

export function makeGenesis(authority: Signer, body: Uint8Array): Genesis {
  return { body, signature: authority.sign('mesh-node genesis 1', laidOut(keyOf(authority.nodeId), body)) }
}

export function verifyGenesis(authority: NodeId, genesis: Genesis): boolean {
  return (
    genesis.body.length <= genesisBytesMax &&
    verifySignature(authority, 'mesh-node genesis 1', laidOut(keyOf(authority), genesis.body), genesis.signature)
  )
}
