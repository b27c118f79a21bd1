import type { NodeId } from '../base/index.js'
import type { Announcement } from './announcement.js'
import { verifiedAnnouncement } from './announcement.js'
import type { DecodedCertificate } from './certificate.js'
import { decodeCertificate } from './certificate.js'
import type { Item } from './digest.js'
import type { Genesis } from './genesis.js'
import { copied } from './keys.js'
import { genesisBytesMax, gossipBytesMax, startIdBytes, syncBytesMax } from './limits.js'
import type { Admittance } from './record.js'
import { decodeRecord, encodeRecord } from './record.js'
import type { Revocation } from './revocation.js'
import { decodeRevocation, encodeRevocation } from './revocation.js'
import { badCertificate } from './sentences.js'
import { Genesis as GenesisWire } from './wire/admission.js'
import * as wire from './wire/members.js'

/** The room's messages between bytes and values: protocols/members. Everything that decodes throws BAD_CERTIFICATE only. */

export type GossipMessage =
  | { readonly kind: 'announcement'; readonly announcement: Announcement; readonly certificate: DecodedCertificate }
  | { readonly kind: 'beat'; readonly startId: string; readonly announcedMs: number; readonly count: number }
  | { readonly kind: 'revocation'; readonly revocation: Revocation }
  /** Of a later version. */
  | { readonly kind: 'unknown' }

export function encodeAnnouncementMessage({ body, signature }: Announcement, certificate: Uint8Array): Uint8Array {
  return wire.MembersGossip.encode({ announcement: { body, signature }, certificate })
}

export function encodeBeat(startId: string, announcedMs: number, count: number): Uint8Array {
  return wire.MembersGossip.encode({ beat: { startId: Uint8Array.from(Buffer.from(startId, 'hex')), announcedMs, count } })
}

export function encodeRevocationMessage(revocation: Revocation): Uint8Array {
  return wire.MembersGossip.encode({ revocation: encodeRevocation(revocation) })
}

export function decodeGossip(authority: NodeId, bytes: Uint8Array): GossipMessage {
  if (bytes.length > gossipBytesMax) throw badCertificate('the message is too long')
  const { announcement, certificate, beat, revocation } = decoded(() => wire.MembersGossip.decode(bytes))
  if (announcement !== undefined) {
    if (certificate === undefined) throw badCertificate('an announcement comes without one')
    return { kind: 'announcement', announcement: verifiedAnnouncement(authority, announcement), certificate: decodeCertificate(certificate) }
  }
  if (beat !== undefined) {
    if (beat.startId.length !== startIdBytes || !Number.isSafeInteger(beat.announcedMs) || !Number.isSafeInteger(beat.count)) {
      throw badCertificate('a beat has impossible values')
    }
    return { kind: 'beat', startId: Buffer.from(beat.startId).toString('hex'), announcedMs: beat.announcedMs, count: beat.count }
  }
  if (revocation !== undefined) return { kind: 'revocation', revocation: decodeRevocation(revocation) }
  return { kind: 'unknown' }
}

export interface SyncMessage {
  readonly digest?: Uint8Array
  readonly revocations: readonly Revocation[]
  readonly records: readonly Admittance[]
  /** Unchecked until `verifiedAnnouncement`: a signature each is too much work for one go. */
  readonly announcements: readonly wire.Announcement[]
  readonly wants: Uint8Array
  readonly more: boolean
  readonly genesis?: Genesis
}

export interface OutgoingSync {
  readonly digest?: Uint8Array
  readonly items?: readonly Item[]
  readonly wants?: Uint8Array
  readonly more?: boolean
  readonly genesis?: Genesis | undefined
}

export function encodeSync({ digest, items = [], wants, more = false, genesis }: OutgoingSync): Uint8Array {
  return wire.Sync.encode({
    ...(digest === undefined ? {} : { digest }),
    revocations: items.flatMap((item) => (item.kind === 'revocation' ? [encodeRevocation(item.revocation)] : [])),
    records: items.flatMap((item) => (item.kind === 'record' ? [encodeRecord(item.record)] : [])),
    announcements: items.flatMap((item) =>
      item.kind === 'announcement' ? [{ body: item.announcement.body, signature: item.announcement.signature }] : [],
    ),
    ...(wants === undefined || wants.length === 0 ? {} : { wants }),
    more,
    ...(genesis === undefined ? {} : { genesis: GenesisWire.encode(genesis) }),
  })
}

export function decodeSync(bytes: Uint8Array): SyncMessage {
  if (bytes.length > syncBytesMax) throw badCertificate('the message is too long')
  const message = decoded(() => wire.Sync.decode(bytes))
  const genesis = message.genesis === undefined ? undefined : decoded(() => GenesisWire.decode(message.genesis ?? new Uint8Array()))
  if (genesis !== undefined && genesis.body.length > genesisBytesMax) throw badCertificate('the first configuration in it is too long')
  return {
    ...(message.digest === undefined ? {} : { digest: message.digest }),
    revocations: message.revocations.map(decodeRevocation),
    records: message.records.map(decodeRecord),
    announcements: message.announcements,
    wants: message.wants ?? new Uint8Array(),
    more: message.more,
    ...(genesis === undefined ? {} : { genesis: { body: copied(genesis.body), signature: copied(genesis.signature) } }),
  }
}

function decoded<T>(decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    throw badCertificate('a message is garbled', error)
  }
}
