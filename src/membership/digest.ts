import { keyOf } from './keys.js'
import type { Announcement } from './announcement.js'
import { syncItemsBytesMax } from './limits.js'
import type { Admittance } from './record.js'
import { encodeRecord, recordVersion } from './record.js'
import type { Revocation } from './revocation.js'
import { encodeRevocation } from './revocation.js'
import type { Roster } from './roster.js'

/**
 * What two nodes tell each other to find out what to send. A flat list, 17 bytes an item:
 *
 *   offset  bytes
 *   0       1       kind: 1 record, 2 announcement, 3 revocation
 *   1       8       the first bytes of the peer's key
 *   9       8       version: of an announcement its date (big-endian), of the others eight bytes of a hash or the date
 *
 * 34 bytes a member: 1.7 KB for fifty, 34 KB for a thousand, once per new connection. A tree of hashes would save most of
 * that where nothing changed, but announcements are renewed all the time, so something nearly always has.
 */
export const digestItemBytes = 17
export const wantBytes = 9
const kinds = { record: 1, announcement: 2, revocation: 3 } as const

export type Item =
  | { readonly kind: 'record'; readonly record: Admittance }
  | { readonly kind: 'announcement'; readonly announcement: Announcement }
  | { readonly kind: 'revocation'; readonly revocation: Revocation }

interface Have {
  readonly item: Item
  readonly version: Uint8Array
}

/** Everything in the roster by its place in a digest. What is removed is left out but for its revocation. */
function held(roster: Roster): Map<string, Have> {
  const all = new Map<string, Have>()
  for (const revocation of roster.revocations()) {
    all.set(place(kinds.revocation, keyOf(revocation.peer)), { item: { kind: 'revocation', revocation }, version: dateVersion(revocation.revokedMs) })
  }
  for (const [peer, { record, announcement }] of roster.entries()) {
    if (roster.revocation(peer) !== undefined) continue
    const key = keyOf(peer)
    all.set(place(kinds.record, key), { item: { kind: 'record', record }, version: recordVersion(record) })
    if (announcement === undefined) continue
    all.set(place(kinds.announcement, key), { item: { kind: 'announcement', announcement }, version: dateVersion(announcement.madeMs) })
  }
  return all
}

export function digestOf(roster: Roster): Uint8Array {
  const all = held(roster)
  const bytes = new Uint8Array(all.size * digestItemBytes)
  let offset = 0
  for (const [at, { version }] of all) {
    bytes.set(Buffer.from(at, 'latin1'), offset)
    bytes.set(version, offset + wantBytes)
    offset += digestItemBytes
  }
  return bytes
}

export interface Difference {
  /** What the other lacks, revocations first; as much as fits one message. */
  readonly items: Item[]
  /** What this node lacks: `wantBytes` an item. */
  readonly wants: Uint8Array
  /** More would not fit. */
  readonly more: boolean
}

/** Compares a digest from elsewhere with what is here. Undefined for one that is no digest. */
export function difference(roster: Roster, theirs: Uint8Array): Difference | undefined {
  if (theirs.length % digestItemBytes !== 0) return undefined
  const mine = held(roster)
  const revoked = new Set([...roster.revocations()].map(({ peer }) => prefixOf(keyOf(peer))))
  const theirVersions = new Map<string, Uint8Array>()
  const wants: string[] = []
  for (let offset = 0; offset < theirs.length; offset += digestItemBytes) {
    const at = Buffer.from(theirs.subarray(offset, offset + wantBytes)).toString('latin1')
    const version = theirs.subarray(offset + wantBytes, offset + digestItemBytes)
    theirVersions.set(at, version)
    const have = mine.get(at)
    if (have === undefined ? isWanted(at, revoked) : theirsMayAdd(have, version)) wants.push(at)
  }
  const lacking: Item[] = []
  for (const [at, have] of mine) {
    const version = theirVersions.get(at)
    if (version === undefined || mineMayAdd(have, version)) lacking.push(have.item)
  }
  const { items, more } = fitting(lacking)
  return { items, wants: Uint8Array.from(Buffer.from(wants.join(''), 'latin1')), more }
}

/** The items that the other asked for, in messages that fit. What is not here (any more) is left out. */
export function wanted(roster: Roster, wants: Uint8Array): Item[] | undefined {
  if (wants.length % wantBytes !== 0) return undefined
  const mine = held(roster)
  const items: Item[] = []
  const asked = new Set<string>()
  for (let offset = 0; offset < wants.length; offset += wantBytes) {
    const at = Buffer.from(wants.subarray(offset, offset + wantBytes)).toString('latin1')
    const have = mine.get(at)
    if (have === undefined || asked.has(at)) continue
    asked.add(at)
    items.push(have.item)
  }
  return items
}

/** As many from the front as fit one message. */
export function fitting(items: readonly Item[]): { items: Item[]; more: boolean } {
  let bytes = 0
  const taken: Item[] = []
  for (const item of items) {
    bytes += itemBytes(item)
    if (bytes > syncItemsBytesMax && taken.length > 0) return { items: taken, more: true }
    taken.push(item)
  }
  return { items: taken, more: false }
}

function itemBytes(item: Item): number {
  // Eight for the field's tag and length.
  switch (item.kind) {
    case 'record':
      return encodeRecord(item.record).length + 8
    case 'announcement':
      return item.announcement.body.length + item.announcement.signature.length + 16
    case 'revocation':
      return encodeRevocation(item.revocation).length + 8
  }
}

/** A removed member's record is of no use, and an unknown kind is of a later version. */
function isWanted(at: string, revoked: ReadonlySet<string>): boolean {
  const kind = at.charCodeAt(0)
  return kind === kinds.revocation || ((kind === kinds.record || kind === kinds.announcement) && !revoked.has(at.slice(1)))
}

function theirsMayAdd({ item, version }: Have, theirs: Uint8Array): boolean {
  const order = Buffer.compare(theirs, version)
  // Records unite: each may have an endorsement that the other lacks. Announcements: the newest. Revocations: the earliest.
  return item.kind === 'record' ? order !== 0 : item.kind === 'announcement' ? order > 0 : order < 0
}

function mineMayAdd({ item, version }: Have, theirs: Uint8Array): boolean {
  const order = Buffer.compare(version, theirs)
  return item.kind === 'record' ? order !== 0 : item.kind === 'announcement' ? order > 0 : order < 0
}

function place(kind: number, key: Uint8Array): string {
  return String.fromCharCode(kind) + prefixOf(key)
}

function prefixOf(key: Uint8Array): string {
  return Buffer.from(key.subarray(0, 8)).toString('latin1')
}

function dateVersion(ms: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(ms))
  return bytes
}
