/**
 * Names of things as branded strings, so that a node's name cannot be handed in where a CID is asked for. All of them
 * travel as text inside the process and in JSON; bytes are for the wire.
 */
declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** A node: its libp2p PeerId (Ed25519) in base58btc, `12D3Koo…`. */
export type NodeId = Branded<'NodeId'>

/** A mesh: the multibase (base58btc, `z…`) of its authority's Ed25519 public key in libp2p protobuf form. */
export type MeshId = Branded<'MeshId'>

const nodeIdPattern = /^12D3Koo[1-9A-HJ-NP-Za-km-z]{45}$/

/** Checks the shape only; whether somebody owns the key is the handshake's business. */
export function asNodeId(text: string): NodeId | undefined {
  return nodeIdPattern.test(text) ? (text as NodeId) : undefined
}
