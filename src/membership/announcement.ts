import { signatureBytes, verifySignature } from '../base/index.js'
import type { NodeId, Signer } from '../base/index.js'
import { copied, keyOf, nodeOf, sameBytes } from './keys.js'
import { addressBytesMax, addressesMax, announcementBytesMax, dateMsMax, labelBytesMax, startIdBytes } from './limits.js'
import { badCertificate } from './sentences.js'
import type { NodeDescription } from './types.js'
import { MembershipError } from './types.js'
import * as wire from './wire/members.js'

/**
 * A node's description of itself, signed by itself and not only by gossip, so that it can be handed on by anybody: a late
 * joiner has the whole mesh from the first member it meets. Its date is also proof of life: whoever gets an announcement
 * that is new to it knows that the author lived then, whoever brought it.
 */
export interface Announcement {
  readonly description: NodeDescription
  /** Wall clock of the author, yet always growing: the newest wins. */
  readonly madeMs: number
  /** The bytes that were signed, and the signature. */
  readonly body: Uint8Array
  readonly signature: Uint8Array
}

const powers = ['unknown', 'mains', 'battery'] as const

/** Throws BAD_DESCRIPTION for words that others would reject. Of the addresses the first sixteen that can be sent are taken. */
export function makeAnnouncement(authority: NodeId, signer: Signer, description: NodeDescription, madeMs: number): Announcement {
  const body = wire.AnnouncementBody.encode({
    mesh: keyOf(authority),
    peer: keyOf(signer.nodeId),
    startId: Uint8Array.from(Buffer.from(description.startId, 'hex')),
    madeMs,
    name: description.name,
    region: description.region,
    segment: description.segment,
    power: powers.indexOf(description.power),
    version: description.version,
    addresses: description.addresses.filter(isAddress).slice(0, addressesMax),
  })
  const signature = signer.sign('mesh-node description 1', body)
  try {
    return verifiedAnnouncement(authority, { body, signature })
  } catch (error) {
    throw new MembershipError('BAD_DESCRIPTION', `the name, region and segment of a node have at most ${labelBytesMax} bytes each and no control characters`, {}, { cause: error })
  }
}

/** Checks shape and signature. Throws BAD_CERTIFICATE. */
export function verifiedAnnouncement(authority: NodeId, message: wire.Announcement): Announcement {
  if (message.body.length > announcementBytesMax || message.signature.length !== signatureBytes) throw bad('its size is impossible')
  let decoded: wire.AnnouncementBody
  try {
    decoded = wire.AnnouncementBody.decode(message.body)
  } catch (error) {
    throw badCertificate('a description in it is garbled', error)
  }
  const peerId = nodeOf(decoded.peer)
  const power = powers[decoded.power]
  if (peerId === undefined || !sameBytes(decoded.mesh, keyOf(authority))) throw bad('it is of another mesh')
  if (decoded.startId.length !== startIdBytes) throw bad('its start id has the wrong length')
  if (!Number.isSafeInteger(decoded.madeMs) || decoded.madeMs < 0 || decoded.madeMs > dateMsMax) throw bad('its date is impossible')
  for (const label of [decoded.name, decoded.region, decoded.segment, decoded.version]) {
    if (!isLabel(label)) throw bad('a word in it is too long or has control characters')
  }
  for (const address of decoded.addresses) {
    if (!isAddress(address)) throw bad('an address in it is none')
  }
  if (!verifySignature(peerId, 'mesh-node description 1', message.body, message.signature)) throw bad('its signature is wrong')
  return {
    description: {
      peerId,
      name: decoded.name,
      region: decoded.region,
      segment: decoded.segment,
      // A kind of power that a later version knows.
      power: power ?? 'unknown',
      addresses: decoded.addresses,
      version: decoded.version,
      startId: Buffer.from(decoded.startId).toString('hex'),
    },
    madeMs: decoded.madeMs,
    body: copied(message.body),
    signature: copied(message.signature),
  }
}

/** Control characters would let a node's name rewrite the terminal of whoever lists members. */
function isLabel(text: string): boolean {
  return Buffer.byteLength(text) <= labelBytesMax && !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text)
}

/** The shape only: whether a multiaddr can be dialled is the network's business. */
function isAddress(text: string): boolean {
  return text.length <= addressBytesMax && /^\/[\x21-\x7e]+$/.test(text)
}

function bad(why: string): MembershipError {
  return badCertificate(`a description in it cannot be right: ${why}`)
}
