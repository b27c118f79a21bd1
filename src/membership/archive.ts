import { codeOf, messageOf } from '../base/index.js'
import type { KeyValue, Log, MeshId, NodeId, WriteOperation } from '../base/index.js'
import { verifiedAnnouncement } from './announcement.js'
import type { Genesis } from './genesis.js'
import { authorityOf, copied, keyOf, meshIdOf, nodeOf } from './keys.js'
import type { PresenceEntry } from './presence.js'
import { decodeRecord, encodeRecord } from './record.js'
import type { Revocation } from './revocation.js'
import { decodeRevocation, encodeRevocation, verifyRevocation } from './revocation.js'
import type { RosterEntry } from './roster.js'
import * as wire from './wire/members.js'
import { Genesis as GenesisWire } from './wire/admission.js'

/**
 * The room's slice of the node's database.
 *
 *   key               value
 *   01                StoredMesh: which mesh this home belongs to
 *   02                8 bytes: wall clock (ms, big-endian) when last written, see `believedMs` in service.ts
 *   03 peer (32)      StoredMember
 *   04 peer (32)      Revocation
 */
const kinds = { mesh: 1, mark: 2, member: 3, revocation: 4 } as const

export interface StoredMesh {
  readonly meshId: MeshId
  readonly bootstrap: readonly string[]
  readonly genesis?: Genesis
}

export interface MemberRow {
  readonly entry: RosterEntry
  readonly presence: PresenceEntry
}

const states = ['up', 'suspect', 'gone'] as const

export class Archive {
  readonly #meta: KeyValue
  readonly #log: Log

  constructor(components: { meta: KeyValue; log: Log }) {
    this.#meta = components.meta
    this.#log = components.log
  }

  async mesh(): Promise<StoredMesh | undefined> {
    const bytes = await this.#meta.get(Uint8Array.of(kinds.mesh))
    if (bytes === undefined) return undefined
    const stored = wire.StoredMesh.decode(bytes)
    const authority = nodeOf(stored.mesh)
    if (authority === undefined) return undefined
    const genesis = stored.genesis === undefined ? undefined : GenesisWire.decode(stored.genesis)
    return {
      meshId: meshIdOf(authority),
      bootstrap: stored.bootstrap,
      ...(genesis === undefined ? {} : { genesis: { body: copied(genesis.body), signature: copied(genesis.signature) } }),
    }
  }

  putMesh({ meshId, bootstrap, genesis }: StoredMesh): WriteOperation {
    const value = wire.StoredMesh.encode({
      mesh: keyOf(authorityOf(meshId)),
      bootstrap: [...bootstrap],
      ...(genesis === undefined ? {} : { genesis: GenesisWire.encode(genesis) }),
    })
    return this.#meta.put(Uint8Array.of(kinds.mesh), value)
  }

  async markMs(): Promise<number | undefined> {
    const bytes = await this.#meta.get(Uint8Array.of(kinds.mark))
    if (bytes?.length !== 8) return undefined
    return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0))
  }

  putMark(ms: number): WriteOperation {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(Math.max(0, Math.floor(ms))))
    return this.#meta.put(Uint8Array.of(kinds.mark), bytes)
  }

  putMember({ entry, presence }: MemberRow): WriteOperation {
    const { record, metMs, announcement } = entry
    const value = wire.StoredMember.encode({
      record: encodeRecord(record),
      ...(metMs === undefined ? {} : { metMs }),
      ...(announcement === undefined ? {} : { announcement: { body: announcement.body, signature: announcement.signature } }),
      lastSeenMs: Math.max(0, Math.floor(presence.lastSeenMs)),
      state: states.indexOf(presence.state),
      days: presence.days.map(({ day, observedMs, upMs }) => ({ day, observedMs: Math.round(observedMs), upMs: Math.round(upMs) })),
    })
    return this.#meta.put(keyed(kinds.member, record.peer), value)
  }

  putRevocation(revocation: Revocation): WriteOperation {
    return this.#meta.put(keyed(kinds.revocation, revocation.peer), encodeRevocation(revocation))
  }

  async write(operations: readonly WriteOperation[], durable: boolean): Promise<void> {
    if (operations.length > 0) await this.#meta.write(operations, { durable })
  }

  /** Rows that cannot be read are passed over with a word in the log: other members have them too. */
  async *members(mesh: MeshId): AsyncIterable<MemberRow> {
    const authority = authorityOf(mesh)
    for await (const [, value] of this.#rows(kinds.member)) {
      const row = this.#readable('member', () => {
        const stored = wire.StoredMember.decode(value)
        const { metMs, announcement } = stored
        return {
          entry: {
            record: decodeRecord(stored.record),
            ...(metMs === undefined ? {} : { metMs }),
            ...(announcement === undefined ? {} : { announcement: verifiedAnnouncement(authority, announcement) }),
          },
          presence: { state: states[stored.state] ?? 'suspect', lastSeenMs: stored.lastSeenMs, days: stored.days },
        }
      })
      if (row !== undefined) yield row
    }
  }

  async *revocations(mesh: MeshId): AsyncIterable<Revocation> {
    const authority = authorityOf(mesh)
    for await (const [, value] of this.#rows(kinds.revocation)) {
      const revocation = this.#readable('revocation', () => decodeRevocation(value))
      if (revocation !== undefined && verifyRevocation(authority, revocation)) yield revocation
    }
  }

  #rows(kind: number): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    return this.#meta.entries({ gte: Uint8Array.of(kind), lt: Uint8Array.of(kind + 1) })
  }

  #readable<T>(what: string, read: () => T): T | undefined {
    try {
      return read()
    } catch (error) {
      this.#log.error(`a stored ${what} cannot be read and is passed over`, { code: codeOf(error) ?? 'UNKNOWN', reason: messageOf(error) })
      return undefined
    }
  }
}

function keyed(kind: number, peer: NodeId): Uint8Array {
  const key = keyOf(peer)
  const bytes = new Uint8Array(1 + key.length)
  bytes[0] = kind
  bytes.set(key, 1)
  return bytes
}
