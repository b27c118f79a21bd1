import { createHash } from 'node:crypto'
import { signatureBytes, verifySignature } from '../base/index.js'
import type { NodeId, Signer } from '../base/index.js'
import { compareBytes, copied, keyOf, laidOut, nodeOf } from './keys.js'
import { dateMsMax, endorsementsMax } from './limits.js'
import { badCertificate } from './sentences.js'
import { MemberRecord } from './wire/admission.js'

/**
 * A record is what is known of one node's right to be here: the authority's grant of an invite key, that key's word for
 * the node, the node's own consent, and endorsements by those who met it in time. Records about the same node merge (a
 * join: order and repetition do not matter), so that they can travel by any road.
 *
 * Every signature is over a fixed layout that begins with the authority's key, so that nothing signed for one mesh
 * counts in another. `inviteKey` is 32 zero bytes where there is no grant.
 *
 *   grant         mesh 32 │ inviteKey 32 │ madeMs 8 │ expiresMs 8                   by the authority
 *   consent       mesh 32 │ inviteKey 32 │ peer 32 │ joinedMs 8                     by the invite key, and by the peer
 *   endorsement   mesh 32 │ inviteKey 32 │ peer 32 │ seenMs 8                       by the endorser
 *                 (an endorsement by the authority has 32 zero bytes for inviteKey: it is for the node, whatever its invite)
 */
export interface Grant {
  readonly inviteKey: NodeId
  readonly madeMs: number
  readonly expiresMs: number
  readonly signature: Uint8Array
}

export interface Endorsement {
  readonly endorser: NodeId
  /** When the endorser first met the node, by its own clock. */
  readonly seenMs: number
  readonly signature: Uint8Array
}

export interface Admittance {
  readonly peer: NodeId
  /** The peer's own word. */
  readonly joinedMs: number
  readonly grant?: Grant
  readonly inviteSignature?: Uint8Array
  readonly peerSignature: Uint8Array
  /** By endorser, ascending; the authority's alone if there is one. */
  readonly endorsements: readonly Endorsement[]
}

const noKey = new Uint8Array(32)

export function grantLayout(authority: NodeId, inviteKey: NodeId, madeMs: number, expiresMs: number): Uint8Array {
  return laidOut(keyOf(authority), keyOf(inviteKey), madeMs, expiresMs)
}

function consentLayout(authority: NodeId, inviteKey: NodeId | undefined, peer: NodeId, ms: number): Uint8Array {
  return laidOut(keyOf(authority), inviteKey === undefined ? noKey : keyOf(inviteKey), keyOf(peer), ms)
}

/** Certifies `signer` itself: with an invite's key, or without one (then only the authority's endorsement makes it good). */
export function makeRecord(
  authority: NodeId,
  signer: Signer,
  joinedMs: number,
  invite?: { readonly grant: Grant; readonly key: Signer },
): Admittance {
  const layout = consentLayout(authority, invite?.grant.inviteKey, signer.nodeId, joinedMs)
  return {
    peer: signer.nodeId,
    joinedMs,
    ...(invite === undefined ? {} : { grant: invite.grant, inviteSignature: invite.key.sign('mesh-node certificate 1', layout) }),
    peerSignature: signer.sign('mesh-node certificate 1', layout),
    endorsements: [],
  }
}

/** The record with one endorsement more. An endorser that is the authority speaks for the node for good. */
export function endorsed(authority: NodeId, record: Admittance, endorser: Signer, seenMs: number): Admittance {
  const inviteKey = endorser.nodeId === authority ? undefined : record.grant?.inviteKey
  const signature = endorser.sign('mesh-node endorsement 1', consentLayout(authority, inviteKey, record.peer, seenMs))
  return { ...record, endorsements: united(authority, [...record.endorsements, { endorser: endorser.nodeId, seenMs, signature }]) }
}

export function isConfirmed(authority: NodeId, record: Admittance): boolean {
  return record.endorsements.some(({ endorser }) => endorser === authority)
}

/** Whether all signatures are what they claim to be. Says nothing about dates, nor about whether endorsers are members. */
export function verifyRecord(authority: NodeId, record: Admittance): boolean {
  const { peer, grant } = record
  if (grant === undefined && !isConfirmed(authority, record)) return false
  const consent = consentLayout(authority, grant?.inviteKey, peer, record.joinedMs)
  if (!verifySignature(peer, 'mesh-node certificate 1', consent, record.peerSignature)) return false
  if (grant !== undefined) {
    const layout = grantLayout(authority, grant.inviteKey, grant.madeMs, grant.expiresMs)
    if (!verifySignature(authority, 'mesh-node invite 1', layout, grant.signature)) return false
    if (record.inviteSignature === undefined) return false
    if (!verifySignature(grant.inviteKey, 'mesh-node certificate 1', consent, record.inviteSignature)) return false
  }
  return record.endorsements.every(({ endorser, seenMs, signature }) => {
    const inviteKey = endorser === authority ? undefined : grant?.inviteKey
    return verifySignature(endorser, 'mesh-node endorsement 1', consentLayout(authority, inviteKey, peer, seenMs), signature)
  })
}

/**
 * The join of two verified records about one peer. Only the peer itself can make another record about itself, by joining
 * again: the one whose invite lasts longer wins. Endorsements of both are united where they speak of the same invite.
 */
export function mergeRecords(authority: NodeId, a: Admittance, b: Admittance): Admittance {
  const [winner, loser] = compareRecords(a, b) >= 0 ? [a, b] : [b, a]
  const sameInvite = winner.grant?.inviteKey === loser.grant?.inviteKey
  const kept = sameInvite ? loser.endorsements : loser.endorsements.filter(({ endorser }) => endorser === authority)
  return { ...winner, endorsements: united(authority, [...winner.endorsements, ...kept]) }
}

/**
 * The record with as many endorsements as may be stored and sent, of endorsers that `counts`. Who counts is asked first:
 * else anybody could crowd out the good ones with signatures by keys made up for it.
 */
export function trimmed(record: Admittance, counts: (endorser: NodeId) => boolean): Admittance {
  return { ...record, endorsements: record.endorsements.filter(({ endorser }) => counts(endorser)).slice(0, endorsementsMax) }
}

function compareRecords(a: Admittance, b: Admittance): number {
  const difference = (a.grant?.expiresMs ?? 0) - (b.grant?.expiresMs ?? 0)
  if (difference !== 0) return difference
  const keys = compareText(a.grant?.inviteKey ?? '', b.grant?.inviteKey ?? '')
  if (keys !== 0) return keys
  // The same invite used twice by the same node: the earlier is as good.
  if (a.joinedMs !== b.joinedMs) return b.joinedMs - a.joinedMs
  // Ed25519 lets a signer who wants to sign one thing in many ways; even then all nodes must end with the same one.
  return compareBytes(a.peerSignature, b.peerSignature)
}

/**
 * One per endorser (its earliest), in the order of their names, the same whatever order they came in. With the
 * authority's word no other is needed, and the record stays as small as it can be.
 */
function united(authority: NodeId, all: readonly Endorsement[]): Endorsement[] {
  const best = new Map<NodeId, Endorsement>()
  for (const one of all) {
    const known = best.get(one.endorser)
    if (known === undefined || one.seenMs < known.seenMs) best.set(one.endorser, one)
  }
  const confirmation = best.get(authority)
  if (confirmation !== undefined) return [confirmation]
  return [...best.values()].sort((a, b) => compareText(a.endorser, b.endorser))
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

export function toWire(record: Admittance): MemberRecord {
  return {
    peer: keyOf(record.peer),
    joinedMs: record.joinedMs,
    ...(record.grant === undefined ? {} : { grant: { ...record.grant, inviteKey: keyOf(record.grant.inviteKey) } }),
    ...(record.inviteSignature === undefined ? {} : { inviteSignature: record.inviteSignature }),
    peerSignature: record.peerSignature,
    endorsements: record.endorsements.map((one) => ({ ...one, endorser: keyOf(one.endorser) })),
  }
}

/** Shapes only: lengths and dates. Throws BAD_CERTIFICATE. */
export function fromWire(wire: MemberRecord): Admittance {
  const { grant } = wire
  return {
    peer: node(wire.peer),
    joinedMs: date(wire.joinedMs),
    ...(grant === undefined
      ? {}
      : {
          grant: {
            inviteKey: node(grant.inviteKey),
            madeMs: date(grant.madeMs),
            expiresMs: date(grant.expiresMs),
            signature: signature(grant.signature),
          },
        }),
    ...(wire.inviteSignature === undefined ? {} : { inviteSignature: signature(wire.inviteSignature) }),
    peerSignature: signature(wire.peerSignature),
    endorsements: wire.endorsements.map((one) => ({
      endorser: node(one.endorser),
      seenMs: date(one.seenMs),
      signature: signature(one.signature),
    })),
  }
}

export function encodeRecord(record: Admittance): Uint8Array {
  return MemberRecord.encode(toWire(record))
}

/** Throws BAD_CERTIFICATE. */
export function decodeRecord(bytes: Uint8Array): Admittance {
  let wire: MemberRecord
  try {
    wire = MemberRecord.decode(bytes)
  } catch (error) {
    throw badCertificate('its bytes are garbled', error)
  }
  return fromWire(wire)
}

/** Eight bytes that differ when anything in the record does. */
export function recordVersion(record: Admittance): Uint8Array {
  return createHash('sha256').update(encodeRecord(record)).digest().subarray(0, 8)
}

export function sameRecord(a: Admittance, b: Admittance): boolean {
  return compareBytes(encodeRecord(a), encodeRecord(b)) === 0
}

function node(bytes: Uint8Array): NodeId {
  const id = nodeOf(bytes)
  if (id === undefined) throw badCertificate('a key in it has the wrong length')
  return id
}

function date(ms: number): number {
  if (!Number.isSafeInteger(ms) || ms < 0 || ms > dateMsMax) throw badCertificate('a date in it is impossible')
  return ms
}

function signature(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== signatureBytes) throw badCertificate('a signature in it has the wrong length')
  return copied(bytes)
}
