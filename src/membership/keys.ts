import { base58btc } from 'multiformats/bases/base58'
import { asNodeId, createSigner, nodeIdOfPublicKey, publicKeyOf } from '../base/index.js'
import type { MeshId, NodeId, Random, Signer } from '../base/index.js'
import { keyBytes, membersMax } from './limits.js'
import { MembershipError } from './types.js'

/** libp2p's protobuf form of an Ed25519 public key: type = 1, then 32 bytes of data. */
const publicKeyHeader = Uint8Array.of(0x08, 0x01, 0x12, 0x20)

/** Raw key of a node. Throws BAD_CERTIFICATE for a name that holds none (not an Ed25519 PeerId). */
export function keyOf(node: NodeId): Uint8Array {
  const known = keys.get(node)
  if (known !== undefined) return known
  const key = publicKeyOf(node)
  if (key === undefined) throw new MembershipError('BAD_CERTIFICATE', `${node} is not the name of an Ed25519 key`, { peerId: node })
  if (keys.size >= keysMax) keys.clear()
  keys.set(node, key)
  return key
}

/** Base58 costs a fifth of a signature's check, and every digest asks for the keys of all members again. */
const keys = new Map<NodeId, Uint8Array>()
/** A full table, and as many invites. */
const keysMax = 2 * membersMax

/** The node a raw key names, or undefined if these are not 32 bytes. */
export function nodeOf(key: Uint8Array | undefined): NodeId | undefined {
  return key?.length === keyBytes ? asNodeId(nodeIdOfPublicKey(key)) : undefined
}

/** The authority's key, as the node it would be: what signatures are checked against. */
export function authorityOf(mesh: MeshId): NodeId {
  const bytes = meshBytes(mesh)
  const node = nodeOf(bytes)
  if (node === undefined) throw new MembershipError('BAD_CERTIFICATE', `${mesh} is not the name of a mesh`, { meshId: mesh })
  return node
}

export function meshIdOf(authority: NodeId): MeshId {
  const bytes = new Uint8Array(publicKeyHeader.length + keyBytes)
  bytes.set(publicKeyHeader)
  bytes.set(keyOf(authority), publicKeyHeader.length)
  return base58btc.encode(bytes) as MeshId
}

/** Undefined if `text` is not the name of a mesh. */
export function asMeshId(text: string): MeshId | undefined {
  return meshBytes(text)?.length === keyBytes ? (text as MeshId) : undefined
}

function meshBytes(text: string): Uint8Array | undefined {
  // The longest name is 52 characters; base58 takes quadratic time, so longer text is not even tried.
  if (text.length > 64) return undefined
  let bytes: Uint8Array
  try {
    bytes = base58btc.decode(text)
  } catch {
    return undefined
  }
  if (!publicKeyHeader.every((byte, i) => bytes[i] === byte)) return undefined
  return bytes.length === publicKeyHeader.length + keyBytes ? bytes.subarray(publicKeyHeader.length) : undefined
}

/** A new Ed25519 seed: of a mesh's authority, or of an invite. `random` must be the system's. */
export function newSeed(random: Random): Uint8Array {
  return random.bytes(keyBytes)
}

export function signerOf(seed: Uint8Array): Signer {
  if (seed.length !== keyBytes) {
    throw new MembershipError('BAD_INVITE', `a key's seed has ${keyBytes} bytes, this one ${seed.length}`)
  }
  return createSigner(seed)
}

/** Copies into bytes of their own: a decoded field is a view that would keep its whole message alive. */
export function copied(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes)
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** Order of bytes, shorter first where one begins the other. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** Fixed layouts under signatures: parts of known length one after the other, numbers as 8 bytes big-endian. */
export function laidOut(...parts: readonly (Uint8Array | number)[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce<number>((sum, part) => sum + (typeof part === 'number' ? 8 : part.length), 0))
  const view = new DataView(bytes.buffer)
  let offset = 0
  for (const part of parts) {
    if (typeof part === 'number') {
      view.setBigUint64(offset, BigInt(part))
      offset += 8
    } else {
      bytes.set(part, offset)
      offset += part.length
    }
  }
  return bytes
}
