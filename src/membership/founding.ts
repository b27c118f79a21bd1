import { silentLog } from '../base/index.js'
import type { Clock, KeyValue, MeshId, NodeId, Random, Signer } from '../base/index.js'
import { Archive } from './archive.js'
import type { MemberRow } from './archive.js'
import { makeGenesis } from './genesis.js'
import type { DecodedInvite } from './invite.js'
import { decodeInvite } from './invite.js'
import { authorityOf, meshIdOf, newSeed } from './keys.js'
import type { Admittance } from './record.js'
import { endorsed, makeRecord, mergeRecords } from './record.js'
import { badInvite, expired } from './sentences.js'
import { MembershipError } from './types.js'

/** How a home comes to belong to a mesh, once: by making one, or by an invite. Both only write into the room's slice. */
export interface FoundingComponents {
  /** The room's slice of the node's database. */
  meta: KeyValue
  /** The node's own key. */
  signer: Signer
  clock: Clock
}

/** 32 secret bytes: the authority of a new mesh. Kept by the caller in a file of its own (0600), see protocols/admission. */
export function newAuthoritySeed(random: Random): Uint8Array {
  return newSeed(random)
}

/** Which mesh this home belongs to, if to any. */
export async function meshOf(meta: KeyValue): Promise<MeshId | undefined> {
  return (await new Archive({ meta, log: silentLog }).mesh())?.meshId
}

/**
 * Makes this node the first member of the mesh that `authority` names. `genesis` is what is signed for everybody for ever
 * (the voters' first configuration): written together with the mesh, so that no mesh is ever without. Throws ALREADY_MEMBER.
 */
export async function createMesh(components: FoundingComponents, authority: Signer, genesis?: Uint8Array): Promise<MeshId> {
  const { signer, clock } = components
  const meshId = meshIdOf(authority.nodeId)
  const nowMs = wallMs(clock)
  const record = endorsed(authority.nodeId, makeRecord(authority.nodeId, signer, nowMs), authority, nowMs)
  await belong(components, { meshId, bootstrap: [], ...(genesis === undefined ? {} : { genesis: makeGenesis(authority, genesis) }) }, record)
  return meshId
}

export interface Joined {
  readonly meshId: MeshId
  /** False if the home was in this mesh already and the invite changed nothing. */
  readonly isNew: boolean
  /** Whom to dial first. */
  readonly bootstrap: readonly string[]
  readonly expiresAtMs: number
}

/**
 * Certifies this node with the invite's key and stores that: from now on `openMembership` works, and the node is in as
 * soon as it shows itself to any member before the invite expires. Throws BAD_INVITE, INVITE_EXPIRED; ALREADY_MEMBER if
 * the home belongs to another mesh.
 *
 * A home that is in this mesh takes a new invite, which is the way in for one whose first invite ran out before it met
 * anybody; with the one that it used, or one that is over, nothing is done, so that a start may name its invite every
 * time. Only a node that never got in is told that its invite is over.
 */
export async function joinMesh(components: FoundingComponents, token: string): Promise<Joined> {
  const { meta, signer, clock } = components
  const invite: DecodedInvite = decodeInvite(token)
  const nowMs = wallMs(clock)
  const { meshId, grant, genesis } = invite
  const bootstrap = invite.bootstrap.filter((address) => !address.endsWith(`/p2p/${signer.nodeId}`))
  const joined = { meshId, bootstrap, expiresAtMs: grant.expiresMs }
  const archive = new Archive({ meta, log: silentLog })
  const isSameMesh = (await archive.mesh())?.meshId === meshId
  if (isSameMesh && (await ownRow(archive, meshId, signer.nodeId))?.entry.record.grant?.inviteKey === grant.inviteKey && nowMs <= grant.expiresMs) {
    return { ...joined, isNew: false }
  }
  if (nowMs > grant.expiresMs) {
    if (isSameMesh && (await hasBeenIn(archive, meshId, signer.nodeId))) return { ...joined, isNew: false }
    throw expired(grant.expiresMs, nowMs)
  }
  if (bootstrap.length === 0) throw badInvite('this invite names no address to join at that this version understands: ask for a new one')
  const record = makeRecord(authorityOf(meshId), signer, nowMs, { grant, key: invite.inviteKey })
  await belong(components, { meshId, bootstrap, ...(genesis === undefined ? {} : { genesis }) }, record)
  return { ...joined, isNew: true }
}

/** Whether anybody ever let this node in: then somebody spoke for it, or it knows of others. */
async function hasBeenIn(archive: Archive, meshId: MeshId, self: NodeId): Promise<boolean> {
  for await (const { entry } of archive.members(meshId)) {
    if (entry.record.peer !== self || entry.record.endorsements.length > 0) return true
  }
  return false
}

async function belong(
  { meta, signer, clock }: FoundingComponents,
  mesh: Parameters<Archive['putMesh']>[0],
  record: Admittance,
): Promise<void> {
  const archive = new Archive({ meta, log: silentLog })
  const before = await archive.mesh()
  if (before !== undefined && before.meshId !== mesh.meshId) {
    throw new MembershipError(
      'ALREADY_MEMBER',
      `this home belongs to another mesh already (${before.meshId}); use another --home for ${mesh.meshId}`,
      { meshId: before.meshId },
    )
  }
  const known = before === undefined ? undefined : await ownRow(archive, mesh.meshId, signer.nodeId)
  const nowMs = wallMs(clock)
  const row = {
    entry: { ...known?.entry, record: known === undefined ? record : mergeRecords(authorityOf(mesh.meshId), known.entry.record, record) },
    presence: known?.presence ?? { state: 'up' as const, lastSeenMs: nowMs, days: [] },
  }
  const genesis = before?.genesis ?? mesh.genesis
  await archive.write(
    [archive.putMesh({ ...mesh, ...(genesis === undefined ? {} : { genesis }) }), archive.putMember(row)],
    true,
  )
}

async function ownRow(archive: Archive, meshId: MeshId, self: NodeId): Promise<MemberRow | undefined> {
  for await (const row of archive.members(meshId)) if (row.entry.record.peer === self) return row
  return undefined
}

function wallMs(clock: Clock): number {
  return Math.floor(clock.wallMs())
}
