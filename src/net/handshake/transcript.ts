import { createHash } from 'node:crypto'
import type { MeshId, NodeId } from '../../base/index.js'

export type HandshakeRole = 'initiator' | 'responder'

export interface HandshakeSide {
  readonly peerId: NodeId
  readonly nonce: Uint8Array
  readonly certificate: Uint8Array
}

/** Part of the wire format. Another version of the handshake gets another purpose. */
const purpose = 'mesh-node admission handshake 1'

/**
 * What a side signs: the sha-256 of everything that makes this handshake this one. Both nonces are in it, so a recorded
 * proof fits no second handshake; both PeerIds, so a proof shown to one peer cannot be passed on to another by someone
 * in the middle (the inner handshake has bound the channel to them); the prover's role, so that it cannot be reflected;
 * both certificates and the mesh, so that both sides agree on what they judge.
 *
 * Every field is preceded by its length as 4 bytes, big-endian: no two different handshakes give the same bytes.
 */
export function transcriptOf(meshId: MeshId, prover: HandshakeRole, initiator: HandshakeSide, responder: HandshakeSide): Uint8Array {
  const hash = createHash('sha256')
  const text = new TextEncoder()
  const fields = [
    text.encode(purpose),
    text.encode(prover),
    text.encode(meshId),
    text.encode(initiator.peerId),
    text.encode(responder.peerId),
    initiator.nonce,
    responder.nonce,
    initiator.certificate,
    responder.certificate,
  ]
  const length = new Uint8Array(4)
  for (const field of fields) {
    new DataView(length.buffer).setUint32(0, field.length)
    hash.update(length).update(field)
  }
  return new Uint8Array(hash.digest())
}
