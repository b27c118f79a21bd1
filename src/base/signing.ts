import { createPrivateKey, createPublicKey, sign as cryptoSign, verify as cryptoVerify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'
import type { NodeId } from './ids.js'

/**
 * Ed25519 signatures by nodes. A node's name *is* its key: a libp2p PeerId is the identity multihash of the public key in
 * libp2p's protobuf form, so whoever knows the name can verify without asking anybody.
 *
 *   offset  bytes
 *   0       00 24          multihash: identity, 36 bytes
 *   2       08 01 12 20    protobuf: field 1 (type) = Ed25519, field 2 (data) = 32 bytes
 *   6       32 bytes       the raw public key
 */
const peerIdHeader = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)
const publicKeyBytes = 32
/** RFC 8410: what stands before the 32 raw bytes in DER, since Node's crypto takes no raw keys. */
const spkiHeader = Buffer.from('302a300506032b6570032100', 'hex')
const pkcs8Header = Buffer.from('302e020100300506032b657004220420', 'hex')

export const signatureBytes = 64

/**
 * What a signature is for. It is signed along, so that bytes signed for one purpose never pass for another's, even if
 * somebody gets us to sign bytes of their choosing.
 */
export type SigningPurpose =
  | 'mesh-node admission proof 1'
  | 'mesh-node invite 1'
  | 'mesh-node certificate 1'
  | 'mesh-node endorsement 1'
  | 'mesh-node genesis 1'
  | 'mesh-node description 1'
  | 'mesh-node revocation 1'
  | 'mesh-node catalog record 1'
  | 'mesh-node catalog records 1'
  | 'mesh-node voter configuration 1'

export interface Signer {
  readonly nodeId: NodeId
  /** 64 bytes. */
  sign(purpose: SigningPurpose, message: Uint8Array): Uint8Array
}

/** `seed`: the 32 secret bytes of RFC 8032. */
export function createSigner(seed: Uint8Array): Signer {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Header, seed]), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const nodeId = nodeIdOfPublicKey(spki.subarray(spkiHeader.length))
  return { nodeId, sign: (purpose, message) => cryptoSign(null, withPurpose(purpose, message), key) }
}

/** False for a wrong signature and for a name that is no Ed25519 PeerId. */
export function verifySignature(signer: NodeId, purpose: SigningPurpose, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== signatureBytes) return false
  const key = keyObjectOf(signer)
  return key !== undefined && cryptoVerify(null, withPurpose(purpose, message), key, signature)
}

/** `verifySignature` in the thread pool: for those who have thousands to verify and a main thread to keep free. */
export async function verifySignatureInPool(
  signer: NodeId,
  purpose: SigningPurpose,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const key = signature.length === signatureBytes ? keyObjectOf(signer) : undefined
  if (key === undefined) return false
  return new Promise((resolve, reject) => {
    cryptoVerify(null, withPurpose(purpose, message), key, signature, (error, ok) => {
      if (error === null) resolve(ok)
      else reject(error)
    })
  })
}

/** The raw 32 bytes, or undefined if `nodeId` is no Ed25519 PeerId. */
export function publicKeyOf(nodeId: NodeId): Uint8Array | undefined {
  let bytes: Uint8Array
  try {
    bytes = base58btc.baseDecode(nodeId)
  } catch {
    return undefined
  }
  if (bytes.length !== peerIdHeader.length + publicKeyBytes) return undefined
  if (!peerIdHeader.every((byte, i) => bytes[i] === byte)) return undefined
  return bytes.subarray(peerIdHeader.length)
}

export function nodeIdOfPublicKey(raw: Uint8Array): NodeId {
  const bytes = new Uint8Array(peerIdHeader.length + publicKeyBytes)
  bytes.set(peerIdHeader)
  bytes.set(raw, peerIdHeader.length)
  return base58btc.baseEncode(bytes) as NodeId
}

function withPurpose(purpose: SigningPurpose, message: Uint8Array): Buffer {
  // The NUL ends the purpose, which has none: no two (purpose, message) pairs give the same bytes.
  return Buffer.concat([Buffer.from(purpose), Buffer.of(0), message])
}

/** Making a KeyObject costs as much as a verification; a mesh has few writers, so a small memory of them is enough. */
const keyObjects = new Map<NodeId, KeyObject>()
const keyObjectsMax = 1024

function keyObjectOf(nodeId: NodeId): KeyObject | undefined {
  const known = keyObjects.get(nodeId)
  if (known !== undefined) return known
  const raw = publicKeyOf(nodeId)
  if (raw === undefined) return undefined
  const key = createPublicKey({ key: Buffer.concat([spkiHeader, raw]), format: 'der', type: 'spki' })
  if (keyObjects.size >= keyObjectsMax) keyObjects.clear()
  keyObjects.set(nodeId, key)
  return key
}
