import { signatureBytes, verifySignature } from '../base/index.js'
import type { NodeId, Signer } from '../base/index.js'
import { copied, keyOf, laidOut, nodeOf } from './keys.js'
import { dateMsMax } from './limits.js'
import { badCertificate } from './sentences.js'
import * as wire from './wire/admission.js'

/** The authority's word that a node, or whoever else comes by an invite key (then `peer` is that), is out, for good. Signed over `mesh 32 │ peer 32 │ revokedMs 8`. */
export interface Revocation {
  readonly peer: NodeId
  readonly revokedMs: number
  readonly signature: Uint8Array
}

export function makeRevocation(authority: Signer, peer: NodeId, revokedMs: number): Revocation {
  const layout = laidOut(keyOf(authority.nodeId), keyOf(peer), revokedMs)
  return { peer, revokedMs, signature: authority.sign('mesh-node revocation 1', layout) }
}

export function verifyRevocation(authority: NodeId, { peer, revokedMs, signature }: Revocation): boolean {
  return verifySignature(authority, 'mesh-node revocation 1', laidOut(keyOf(authority), keyOf(peer), revokedMs), signature)
}

export function encodeRevocation({ peer, revokedMs, signature }: Revocation): Uint8Array {
  return wire.Revocation.encode({ peer: keyOf(peer), revokedMs, signature })
}

/** Shapes only. Throws BAD_CERTIFICATE. */
export function decodeRevocation(bytes: Uint8Array): Revocation {
  let decoded: wire.Revocation
  try {
    decoded = wire.Revocation.decode(bytes)
  } catch (error) {
    throw badCertificate('a revocation in it is garbled', error)
  }
  const peer = nodeOf(decoded.peer)
  const { revokedMs, signature } = decoded
  if (peer === undefined || signature.length !== signatureBytes || !Number.isSafeInteger(revokedMs) || revokedMs < 0 || revokedMs > dateMsMax) {
    throw badCertificate('a revocation in it has impossible values')
  }
  return { peer, revokedMs, signature: copied(signature) }
}
