import { crc32 } from 'node:zlib'
import { base32 } from 'multiformats/bases/base32'
import { multiaddr } from '@multiformats/multiaddr'
import { asNodeId, verifySignature } from '../base/index.js'
import type { MeshId, NodeId, Signer } from '../base/index.js'
import type { Genesis } from './genesis.js'
import { verifyGenesis } from './genesis.js'
import { copied, keyOf, meshIdOf, nodeOf, signerOf } from './keys.js'
import { bootstrapAddressesMax, bootstrapPeersMax, dateMsMax, genesisBytesMax, inviteBytesMax } from './limits.js'
import type { Grant } from './record.js'
import { grantLayout } from './record.js'
import { badInvite } from './sentences.js'
import { InvitePayload } from './wire/admission.js'

/**
 * An invite as text that people mail, paste and read out:
 *
 *   mesh1          kind and version
 *   base32         RFC 4648, lower case, no padding, of
 *     n bytes      protobuf InvitePayload
 *     4 bytes      CRC-32 (big-endian) of `mesh1` and the payload
 *
 * Base32, because it survives being spoken, upper-cased and double-clicked; base58 would be a sixth shorter. The checksum
 * is for accidents and the signature for malice, and they are told apart: whoever mistyped should read that, and not be
 * told of a forgery. A CRC-32 finds *every* run of up to 32 wrong bits, so any six neighbouring characters, where a cut
 * hash of the same size finds almost every one.
 */
const prefix = 'mesh1'
const checksumBytes = 4
const alphabet = /^[a-z2-7]*$/

/** What an invite says once it has been checked. The key in it is a secret. */
export interface DecodedInvite {
  readonly meshId: MeshId
  readonly grant: Grant
  readonly inviteKey: Signer
  /** Multiaddrs to knock at, with `/p2p/…` where the invite names one. */
  readonly bootstrap: readonly string[]
  readonly genesis?: Genesis
}

export interface InviteInit {
  readonly authority: Signer
  readonly inviteSeed: Uint8Array
  readonly madeMs: number
  readonly expiresMs: number
  readonly addresses: readonly string[]
  readonly genesis?: Genesis
}

/** Throws BAD_INVITE for an address that is no multiaddr. Addresses past the limits are left out, the last first. */
export function encodeInvite(init: InviteInit): string {
  const { authority, inviteSeed, madeMs, expiresMs } = init
  const layout = grantLayout(authority.nodeId, signerOf(inviteSeed).nodeId, madeMs, expiresMs)
  const payload = InvitePayload.encode({
    mesh: keyOf(authority.nodeId),
    inviteSeed,
    madeMs,
    expiresMs,
    signature: authority.sign('mesh-node invite 1', layout),
    bootstrap: grouped(init.addresses),
    ...(init.genesis === undefined ? {} : { genesis: init.genesis }),
  })
  return inviteText(payload)
}

/** The token of any payload: apart, so that tests can make wrong ones. */
export function inviteText(payload: Uint8Array): string {
  const bytes = new Uint8Array(payload.length + checksumBytes)
  bytes.set(payload)
  new DataView(bytes.buffer).setUint32(payload.length, checksum(payload))
  return prefix + base32.baseEncode(bytes)
}

/** Throws BAD_INVITE with what is wrong. Whether it has expired is the caller's to ask. White space and case are forgiven. */
export function decodeInvite(text: string): DecodedInvite {
  const payload = payloadOf(text)
  let wire: InvitePayload
  try {
    wire = InvitePayload.decode(payload)
  } catch (error) {
    throw badInvite('this invite is garbled, though it was not mistyped: ask for a new one', error)
  }
  const authority = nodeOf(wire.mesh)
  if (authority === undefined || wire.inviteSeed.length !== 32) throw badInvite('this invite lacks a key: ask for a new one')
  for (const ms of [wire.madeMs, wire.expiresMs]) {
    if (!Number.isSafeInteger(ms) || ms < 0 || ms > dateMsMax) throw badInvite('this invite has an impossible date: ask for a new one')
  }
  const inviteKey = signerOf(copied(wire.inviteSeed))
  const grant: Grant = {
    inviteKey: inviteKey.nodeId,
    madeMs: wire.madeMs,
    expiresMs: wire.expiresMs,
    signature: copied(wire.signature),
  }
  const layout = grantLayout(authority, grant.inviteKey, grant.madeMs, grant.expiresMs)
  if (!verifySignature(authority, 'mesh-node invite 1', layout, grant.signature)) {
    throw badInvite('this invite was not made by the mesh that it names: its signature is wrong. Do not use it')
  }
  let genesis: Genesis | undefined
  if (wire.genesis !== undefined) {
    if (wire.genesis.body.length > genesisBytesMax || !verifyGenesis(authority, wire.genesis)) {
      throw badInvite('this invite was tampered with: the first configuration in it is not signed by its mesh. Do not use it')
    }
    genesis = { body: copied(wire.genesis.body), signature: copied(wire.genesis.signature) }
  }
  return { meshId: meshIdOf(authority), grant, inviteKey, bootstrap: flattened(wire), ...(genesis === undefined ? {} : { genesis }) }
}

function payloadOf(text: string): Uint8Array {
  // Mail and terminals break long words: what they put between is not a typo. Bounded before anything is copied.
  if (text.length > inviteBytesMax * 4) throw badInvite('this is too long to be an invite')
  const token = text.replace(/\s+/g, '').toLowerCase()
  if (!token.startsWith(prefix)) {
    if (/^mesh[2-9]/.test(token)) throw badInvite('this invite is mistyped, or made by a newer mesh-node: update this one')
    throw badInvite('this is not an invite: invites begin with `mesh1`')
  }
  const body = token.slice(prefix.length)
  if (!alphabet.test(body)) {
    const at = prefix.length + body.search(/[^a-z2-7]/)
    throw badInvite(`this invite is mistyped: character ${at + 1} is one that no invite has`)
  }
  let bytes: Uint8Array
  try {
    bytes = base32.baseDecode(body)
  } catch (error) {
    throw badInvite('this invite is mistyped or cut off: copy all of it again', error)
  }
  if (bytes.length > inviteBytesMax) throw badInvite('this is too long to be an invite')
  const end = bytes.length - checksumBytes
  if (end <= 0 || new DataView(bytes.buffer, bytes.byteOffset).getUint32(end) !== checksum(bytes.subarray(0, end))) {
    throw badInvite('this invite is mistyped or cut off (its checksum does not fit): copy all of it again')
  }
  return bytes.subarray(0, end)
}

function checksum(payload: Uint8Array): number {
  return crc32(payload, crc32(prefix))
}

/** Code of `/p2p/` in multiaddrs. */
const p2pCode = 421

/** Addresses by the node they end at, whose 40 bytes are then said once. */
function grouped(addresses: readonly string[]): InvitePayload['bootstrap'] {
  const groups = new Map<NodeId | undefined, Uint8Array[]>()
  for (const text of addresses) {
    let parsed
    try {
      parsed = multiaddr(text)
    } catch (error) {
      throw badInvite(`not an address that can be put into an invite: ${text}`, error)
    }
    const peer = asNodeId(/\/p2p\/([^/]+)$/.exec(text)?.[1] ?? '')
    const group = groups.get(peer) ?? []
    if (groups.size === bootstrapPeersMax && !groups.has(peer)) continue
    groups.set(peer, group)
    if (group.length < bootstrapAddressesMax) group.push(peer === undefined ? parsed.bytes : parsed.decapsulateCode(p2pCode).bytes)
  }
  return [...groups].map(([peer, group]) => ({ ...(peer === undefined ? {} : { peer: keyOf(peer) }), addresses: group }))
}

/** Addresses of kinds this version does not know are passed over: others may do. */
function flattened(wire: InvitePayload): string[] {
  return wire.bootstrap.flatMap(({ peer, addresses }) => {
    const suffix = peer === undefined ? '' : `/p2p/${nodeOf(peer) ?? ''}`
    return addresses.flatMap((bytes) => {
      try {
        const text = multiaddr(copied(bytes)).toString()
        return text.length > 1 && !suffix.endsWith('/') ? [text + suffix] : []
      } catch {
        return []
      }
    })
  })
}
