import { Emitter, verifySignature } from '../base/index.js'
import type { Clock, KeyValue, Log, MeshId, NodeId, Random, Signer } from '../base/index.js'
import type { Announcement } from './announcement.js'
import { makeAnnouncement } from './announcement.js'
import { Archive } from './archive.js'
import type { StoredMesh } from './archive.js'
import { decodeCertificate, encodeCertificate } from './certificate.js'
import type { Genesis } from './genesis.js'
import { makeGenesis, verifyGenesis } from './genesis.js'
import { encodeInvite } from './invite.js'
import { authorityOf, meshIdOf, newSeed, sameBytes } from './keys.js'
import { endorsementsMax, genesisBytesMax, membersMax, startIdBytes } from './limits.js'
import { Presence } from './presence.js'
import type { Admittance } from './record.js'
import { endorsed, isConfirmed, sameRecord, trimmed, verifyRecord } from './record.js'
import { dayMs, observedSpan } from './reliability.js'
import type { Revocation } from './revocation.js'
import { makeRevocation, verifyRevocation } from './revocation.js'
import type { Admitted } from './roster.js'
import { Roster } from './roster.js'
import { badCertificate, badInvite, dateOf, expired, notAdmin, otherMesh, removed } from './sentences.js'
import type { MembershipInit } from './settings.js'
import { livenessIn } from './settings.js'
import { Spreading } from './spreading.js'
import { chainOf, clockSkewMsMax } from './trust.js'
import type { Invite, Member, Membership, MembershipEvents, MembershipNetwork, NodeDescription } from './types.js'
import { MembershipError } from './types.js'

export interface MembershipComponents {
  /** The room's slice of the node's database. */
  meta: KeyValue
  /** The node's own key. */
  signer: Signer
  /** The mesh's authority, on the node that has its key: makes it an admin. */
  authority?: Signer
  clock: Clock
  random: Random
  log: Log
}

/** A year: longer is not an invitation but a password. */
const inviteMsMax = 366 * dayMs

/**
 * How long after a start a clock that stands before the last run is not believed. A machine whose clock battery died
 * starts in the past, where every old invite is good again, and is put right by NTP within minutes; a clock that was
 * wrongly in the future and has been corrected should not be held against the node for longer than that.
 */
const clockDoubtMs = 3600_000

/** Signs of life are written no oftener than this: losing them costs nothing but a few minutes of memory. */
const presenceFlushMs = 15 * 60_000

/**
 * Opens what `createMesh` or `joinMesh` wrote. Throws NOT_FOUND if this home belongs to no mesh; WRONG_MESH if the
 * authority's key is of another.
 */
export async function openMembership(components: MembershipComponents, init: MembershipInit): Promise<Membership> {
  return openService(components, init)
}

/** The same, with what only the room itself may see. */
export async function openService(components: MembershipComponents, init: MembershipInit): Promise<MembershipService> {
  const archive = new Archive({ meta: components.meta, log: components.log })
  const mesh = await archive.mesh()
  if (mesh === undefined) {
    throw new MembershipError('NOT_FOUND', 'this node is in no mesh yet: make one with `mesh-node init`, or `mesh-node join TOKEN`')
  }
  const { authority } = components
  if (authority !== undefined && meshIdOf(authority.nodeId) !== mesh.meshId) {
    const theirs = meshIdOf(authority.nodeId)
    throw new MembershipError('WRONG_MESH', `the authority key in this home is that of another mesh (${theirs}); this home belongs to ${mesh.meshId}`, {
      theirs,
      ours: mesh.meshId,
    })
  }
  const service = new MembershipService({ ...components, archive }, init, mesh)
  await service.load()
  return service
}

/**
 * The room's state and its rules: what comes in is checked here, whatever road it came by, and what changed is written
 * and told. Sending and receiving is `spreading.ts`.
 */
export class MembershipService implements Membership {
  readonly meshId: MeshId
  readonly isAdmin: boolean
  readonly roster: Roster
  readonly presence = new Presence()
  readonly startId: string
  readonly #components: MembershipComponents & { archive: Archive }
  readonly #init: MembershipInit
  readonly #authorityId: NodeId
  readonly #emitter = new Emitter<MembershipEvents>()
  /** Rows whose record, announcement or state changed since they were last written. */
  readonly #dirty = new Set<NodeId>()
  readonly #openedMonotonicMs: number
  #mesh: StoredMesh
  #markMs: number | undefined
  #awakeSinceMonotonicMs: number
  #isFresh = false
  #lastPresenceFlushMonotonicMs: number
  /** The durable write under way, or the last: a second connection of a newcomer waits for what the first has to write. */
  #written: Promise<void> = Promise.resolve()

  constructor(components: MembershipComponents & { archive: Archive }, init: MembershipInit, mesh: StoredMesh) {
    this.#components = components
    this.#init = init
    this.#mesh = mesh
    this.meshId = mesh.meshId
    this.#authorityId = authorityOf(mesh.meshId)
    this.isAdmin = components.authority !== undefined
    this.roster = new Roster(this.#authorityId)
    this.startId = Buffer.from(components.random.bytes(startIdBytes)).toString('hex')
    this.#openedMonotonicMs = this.#awakeSinceMonotonicMs = this.#lastPresenceFlushMonotonicMs = components.clock.monotonicMs()
  }

  get self(): NodeId {
    return this.#components.signer.nodeId
  }

  get authorityId(): NodeId {
    return this.#authorityId
  }

  async load(): Promise<void> {
    const { archive, log } = this.#components
    for await (const { entry, presence } of archive.members(this.meshId)) {
      this.roster.restore(entry)
      this.presence.restore(entry.record.peer, presence)
    }
    for await (const revocation of archive.revocations(this.meshId)) this.roster.revoke(revocation)
    const own = this.roster.entry(this.self)
    if (own === undefined) {
      throw new MembershipError('NOT_FOUND', "this node's membership is missing from its home, or is that of another identity: join again with a new invite")
    }
    this.#markMs = await archive.markMs()
    const nowMs = this.wallMs()
    if (this.believedMs() === undefined) {
      log.warn('the clock stands before the last run of this node: newcomers are not judged until it is right', { nowMs, lastMs: this.#markMs ?? 0 })
    }
    // What a node knows of itself: from its last sign of life until now it was off.
    const before = this.presence.entry(this.self)
    const days = before === undefined ? [] : observedSpan(before.days, Math.min(before.lastSeenMs, nowMs), nowMs, false)
    this.presence.restore(this.self, { state: 'up', lastSeenMs: nowMs, days })
    this.#endorse([...this.roster.entries()].map(([peer]) => peer))
    await this.flush(true)
  }

  // Admission -------------------------------------------------------------------------------------------------------

  certificate(): Uint8Array {
    return encodeCertificate(this.meshId, chainOf(this.#ownRecord(), this.roster.view(this.believedMs())))
  }

  async prove(transcript: Uint8Array): Promise<Uint8Array> {
    return this.#components.signer.sign('mesh-node admission proof 1', transcript)
  }

  async check(peer: NodeId, certificate: Uint8Array, transcript: Uint8Array, proof: Uint8Array): Promise<void> {
    const { meshId, own, endorsers } = decodeCertificate(certificate)
    if (meshId !== this.meshId) throw otherMesh(meshId, this.meshId)
    if (own.peer !== peer) throw badCertificate('it belongs to another node')
    if (!verifySignature(peer, 'mesh-node admission proof 1', transcript, proof)) {
      throw new MembershipError('BAD_PROOF', 'the proof of identity is not for this handshake', { peerId: peer })
    }
    const revocation = this.roster.revocation(peer)
    if (revocation !== undefined) throw removed(peer, revocation.revokedMs)
    const records = [own, ...endorsers]
    this.verifyRecords(records)
    const admitted = this.#admit(records)
    if (!admitted.some((one) => one.peer === peer)) throw this.#whyNot(own)
    // On disk before the peer is in: that it was met in time must survive a crash.
    await (this.#dirty.size > 0 ? this.flush(true) : this.#written)
  }

  /** Why a node with a well-signed record is not believed to be a member. */
  #whyNot({ peer, grant }: Admittance): MembershipError {
    const believedMs = this.believedMs()
    if (this.roster.size >= membersMax && this.roster.entry(peer) === undefined) return badCertificate(`this mesh has ${membersMax} members, and no room for more`)
    if (grant === undefined) return badCertificate('the authority of the mesh does not vouch for it')
    if (this.roster.revocation(grant.inviteKey) !== undefined) {
      return badCertificate('its invite was taken back, since a node that came by it was removed; ask for a new one with `mesh-node invite`')
    }
    if (believedMs === undefined) {
      return badCertificate(
        `whether its invite is still good cannot be told, since the clock of the member that was asked stands at ${dateOf(this.wallMs())}, before its last run; try again later or at another member`,
      )
    }
    if (believedMs > grant.expiresMs) return expired(grant.expiresMs, believedMs)
    return badCertificate('its invite was made in the future: the clock of one of the two nodes is wrong')
  }

  // Administration --------------------------------------------------------------------------------------------------

  async invite({ expiresMs, addresses }: { expiresMs: number; addresses: readonly string[] }): Promise<Invite> {
    const { authority, random } = this.#components
    if (authority === undefined) throw notAdmin('invite others')
    if (!(expiresMs > 0) || expiresMs > inviteMsMax) throw badInvite('an invite lasts longer than nothing and a year at most: `mesh-node invite --expires 24h`')
    const madeMs = this.wallMs()
    const expiresAtMs = madeMs + Math.floor(expiresMs)
    const genesis = this.#mesh.genesis
    const token = encodeInvite({
      authority,
      inviteSeed: newSeed(random),
      madeMs,
      expiresMs: expiresAtMs,
      addresses,
      ...(genesis === undefined ? {} : { genesis }),
    })
    return { token, meshId: this.meshId, expiresAtMs }
  }

  async remove(peer: NodeId): Promise<void> {
    const { authority } = this.#components
    if (authority === undefined) throw notAdmin('remove members')
    if (peer === this.self) {
      throw new MembershipError(
        'OWN_NODE',
        "this node holds the mesh's authority key, so it cannot remove itself: move authority.key to another member and remove it from there",
      )
    }
    if (this.roster.revocation(peer) !== undefined) return
    const entry = this.roster.entry(peer)
    if (entry === undefined) {
      throw new MembershipError('NOT_FOUND', `no member ${peer}; see \`mesh-node members ls\``, { peerId: peer })
    }
    const nowMs = this.wallMs()
    const { grant } = entry.record
    // First, so that a crash in between leaves something to do again. An invite that is over needs no word.
    if (grant !== undefined && grant.expiresMs >= nowMs && this.roster.revocation(grant.inviteKey) === undefined) {
      await this.takeRevocation(makeRevocation(authority, grant.inviteKey, nowMs))
    }
    await this.takeRevocation(makeRevocation(authority, peer, nowMs))
  }

  genesis(): Uint8Array | undefined {
    return this.#mesh.genesis?.body
  }

  async setGenesis(body: Uint8Array): Promise<void> {
    const { authority } = this.#components
    if (authority === undefined) throw notAdmin('make the first configuration')
    if (body.length > genesisBytesMax) {
      throw new MembershipError('BAD_DESCRIPTION', `a first configuration has at most ${genesisBytesMax} bytes, this one ${body.length}`)
    }
    const known = this.genesis()
    if (known !== undefined && !sameBytes(known, body)) {
      throw new MembershipError('GENESIS_EXISTS', 'this mesh has its first configuration already; there is only one')
    }
    if (known === undefined) await this.takeGenesis(makeGenesis(authority, Uint8Array.from(body)))
  }

  // Questions -------------------------------------------------------------------------------------------------------

  isRevoked(peer: NodeId): boolean {
    return this.roster.revocation(peer) !== undefined
  }

  isMember(peer: NodeId): boolean {
    return peer === this.self ? !this.isRevoked(peer) : this.roster.trust(peer, this.believedMs()) !== undefined
  }

  isOrWasMember(peer: NodeId): boolean {
    return this.roster.entry(peer) !== undefined && (this.isRevoked(peer) || this.isMember(peer))
  }

  member(peer: NodeId): Member | undefined {
    const entry = this.roster.entry(peer)
    if (entry === undefined || !this.isOrWasMember(peer)) return undefined
    const revoked = this.isRevoked(peer)
    const { record, announcement } = entry
    const nowMs = this.wallMs()
    const presence = this.presence.entry(peer)
    return {
      ...(announcement?.description ?? undescribed(peer)),
      state: peer === this.self ? 'up' : (presence?.state ?? 'suspect'),
      lastSeenMs: peer === this.self ? nowMs : (presence?.lastSeenMs ?? 0),
      reliability: this.presence.reliability(peer, nowMs),
      joinedMs: Math.min(record.joinedMs, nowMs),
      revoked,
    }
  }

  members(): Member[] {
    return [...this.roster.entries()].flatMap(([peer]) => this.member(peer) ?? [])
  }

  addressesOf(peer: NodeId): readonly string[] {
    const announced = this.roster.entry(peer)?.announcement?.description.addresses ?? []
    const invited = this.#mesh.bootstrap.filter((address) => address.endsWith(`/p2p/${peer}`))
    return [...new Set([...announced, ...invited])]
  }

  bootstrap(): readonly string[] {
    return this.#mesh.bootstrap
  }

  describeSelf(description: Omit<NodeDescription, 'peerId' | 'startId'>): void {
    const whole: NodeDescription = { ...description, peerId: this.self, startId: this.startId }
    const current = this.ownAnnouncement()?.description
    // The roof may call as often as it likes: what is the same is not sent again before its time.
    if (current === undefined || !sameDescription(current, whole)) this.#announceSelf(whole)
  }

  on<Name extends keyof MembershipEvents>(name: Name, listener: (event: MembershipEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener)
  }

  async run(network: MembershipNetwork, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#components
    this.woke()
    await new Spreading({ service: this, network, clock, random, log }, this.#init).run(signal)
    await this.flush(true, true)
  }

  // For spreading.ts: what came in, and the clock's ticks -------------------------------------------------------------

  wallMs(): number {
    return Math.floor(this.#components.clock.wallMs())
  }

  /** Wall time to judge newcomers by, or undefined while it is not to be believed, see `clockDoubtMs`. */
  believedMs(): number | undefined {
    const nowMs = this.wallMs()
    const isBehind = this.#markMs !== undefined && nowMs < this.#markMs - clockSkewMsMax
    return isBehind && this.#components.clock.monotonicMs() - this.#openedMonotonicMs < clockDoubtMs ? undefined : nowMs
  }

  /** The signed genesis, to be handed on. */
  signedGenesis(): Genesis | undefined {
    return this.#mesh.genesis
  }

  async takeGenesis(genesis: Genesis): Promise<void> {
    const { archive, log } = this.#components
    if (!verifyGenesis(this.#authorityId, genesis)) throw badCertificate('the first configuration in it is not signed by the mesh')
    const known = this.#mesh.genesis
    if (known !== undefined) {
      if (!sameBytes(known.body, genesis.body)) log.error('the authority of this mesh has signed two first configurations; the one known before is kept')
      return
    }
    this.#mesh = { ...this.#mesh, genesis }
    await archive.write([archive.putMesh(this.#mesh)], true)
  }

  /** Throws BAD_CERTIFICATE if a signature is wrong. */
  verifyRecords(records: readonly Admittance[]): void {
    if (!records.every((record) => this.#isVerified(record))) throw badCertificate('a signature in it is wrong')
  }

  /** Admits what can be trusted, after `verifyRecords`. */
  takeVerifiedRecords(records: readonly Admittance[]): void {
    this.#admit(records)
  }

  /** True if it was new. Its signature has been checked. */
  takeAnnouncement(announcement: Announcement): boolean {
    const { peerId } = announcement.description
    if (peerId === this.self) return this.#takeOwnAnnouncement(announcement)
    if (!this.isMember(peerId)) return false
    const before = this.roster.entry(peerId)?.announcement?.description
    if (!this.roster.announce(announcement)) return false
    this.#dirty.add(peerId)
    // A date signed by the author is a proof that it lived then, whoever brought it here.
    const changed = this.#heardAt(peerId, announcement.madeMs)
    if (changed || before === undefined || !sameDescription(before, announcement.description)) this.#tell(peerId)
    return true
  }

  /** Our own, from before a lost disk or a clock set back: go on from there, or nobody will hear our next. */
  #takeOwnAnnouncement(announcement: Announcement): boolean {
    const current = this.ownAnnouncement()
    if (!this.roster.announce(announcement)) return false
    if (current !== undefined) this.#announceSelf(current.description)
    return true
  }

  /** Throws BAD_CERTIFICATE if it is not the authority's. True if it was new. */
  async takeRevocation(revocation: Revocation): Promise<boolean> {
    const { archive, log } = this.#components
    // Known already: no signature is looked at, or one message with the same thing four thousand times would keep us busy.
    const known = this.roster.revocation(revocation.peer)
    if (known !== undefined && known.revokedMs <= revocation.revokedMs) return false
    if (!verifyRevocation(this.#authorityId, revocation)) throw badCertificate('a revocation in it is not signed by the mesh')
    const outcome = this.roster.revoke(revocation)
    if (outcome === 'known' || outcome === 'full') {
      if (outcome === 'full') log.error('too many removed members to remember another', { peerId: revocation.peer })
      return false
    }
    await archive.write([archive.putRevocation(revocation)], true)
    if (outcome === 'earlier') return true
    if (revocation.peer === this.self) log.error('this node was removed from the mesh', { onMs: revocation.revokedMs })
    // Those for whom the removed node spoke need somebody else's word now.
    this.#endorse([...this.roster.entries()].map(([peer]) => peer))
    this.#emitter.emit('revoked', revocation.peer)
    this.#tell(revocation.peer)
    return true
  }

  heard(peer: NodeId): void {
    if (this.#heardAt(peer, this.wallMs())) this.#tell(peer)
  }

  /** Announcements were exchanged with a member: what it knows of everyone, we know. */
  exchanged(): void {
    this.#isFresh = true
  }

  /** The machine slept, or its clock jumped: nobody is judged until we are settled again. */
  woke(): void {
    this.#awakeSinceMonotonicMs = this.#components.clock.monotonicMs()
    this.#isFresh = false
  }

  tick(): void {
    const { clock } = this.#components
    const nowMs = this.wallMs()
    const liveness = livenessIn(this.#init, this.roster.size)
    this.presence.heard(this.self, nowMs, nowMs, liveness)
    const awakeForMs = clock.monotonicMs() - this.#awakeSinceMonotonicMs
    for (const peer of this.presence.tick(liveness, { nowMs, awakeForMs, isFresh: this.#isFresh })) {
      this.#dirty.add(peer)
      this.#tell(peer)
    }
  }

  /** Signs the current description anew, with a new date. Undefined before `describeSelf`. */
  renewAnnouncement(): Announcement | undefined {
    const current = this.ownAnnouncement()
    return current === undefined ? undefined : this.#announceSelf(current.description)
  }

  /** Undefined before `describeSelf`: what an earlier run said is not ours to repeat. */
  ownAnnouncement(): Announcement | undefined {
    const announcement = this.roster.entry(this.self)?.announcement
    return announcement?.description.startId === this.startId ? announcement : undefined
  }

  /** Writes what changed; with `withPresence`, or when it is time, also everybody's signs of life. */
  async flush(durable: boolean, withPresence = false): Promise<void> {
    const { archive, clock } = this.#components
    const monotonicMs = clock.monotonicMs()
    const all = withPresence || monotonicMs - this.#lastPresenceFlushMonotonicMs >= presenceFlushMs
    const peers = all ? [...this.roster.entries()].map(([peer]) => peer) : [...this.#dirty]
    const operations = peers.flatMap((peer) => {
      const entry = this.roster.entry(peer)
      const presence = this.presence.entry(peer) ?? { state: 'suspect' as const, lastSeenMs: 0, days: [] }
      return entry === undefined ? [] : [archive.putMember({ entry, presence })]
    })
    const believedMs = this.believedMs()
    if (all && believedMs !== undefined) operations.push(archive.putMark(believedMs))
    this.#dirty.clear()
    if (all) this.#lastPresenceFlushMonotonicMs = monotonicMs
    const written = archive.write(operations, durable)
    if (durable) this.#written = written
    try {
      await written
    } catch (error) {
      for (const peer of peers) this.#dirty.add(peer)
      throw error
    }
  }

  // Inside ----------------------------------------------------------------------------------------------------------

  #ownRecord(): Admittance {
    const entry = this.roster.entry(this.self)
    if (entry === undefined) throw new MembershipError('NOT_FOUND', 'this node has no membership')
    return entry.record
  }

  /** What is known has been checked; records come again with every connection, and signatures cost the most. */
  #isVerified(record: Admittance): boolean {
    const known = this.roster.entry(record.peer)?.record
    return (known !== undefined && sameRecord(known, record)) || verifyRecord(this.#authorityId, record)
  }

  #admit(records: readonly Admittance[]): Admitted[] {
    const admitted = this.roster.admit(records, this.believedMs())
    for (const { peer, isChanged } of admitted) if (isChanged) this.#dirty.add(peer)
    this.#endorse(admitted.map(({ peer }) => peer))
    for (const { peer, isNew } of admitted) {
      // Known from now on, but not seen: all that its record proves is that it lived when it joined.
      if (isNew && this.presence.entry(peer) === undefined) {
        const joinedMs = this.roster.entry(peer)?.record.joinedMs ?? 0
        this.presence.restore(peer, { state: 'suspect', lastSeenMs: Math.min(joinedMs, this.wallMs()), days: [] })
      }
      if (isNew) this.#tell(peer)
    }
    return admitted
  }

  /** Speaks for those that this node met in time; as the authority, for every member, which is final. */
  #endorse(peers: readonly NodeId[]): void {
    const { authority, signer } = this.#components
    for (const peer of peers) {
      const record = this.roster.entry(peer)?.record
      if (record === undefined || this.isRevoked(peer) || isConfirmed(this.#authorityId, record)) continue
      if (authority !== undefined) {
        if (!this.isMember(peer)) continue
        this.roster.replaceRecord(endorsed(this.#authorityId, record, authority, this.wallMs()))
        this.#dirty.add(peer)
        continue
      }
      const metMs = this.roster.lacksEndorsement(peer, this.self, endorsementsMax)
      if (metMs === undefined) continue
      const clean = trimmed(record, (endorser) => !this.isRevoked(endorser))
      this.roster.replaceRecord(endorsed(this.#authorityId, clean, signer, metMs))
      this.#dirty.add(peer)
    }
  }

  #announceSelf(description: NodeDescription): Announcement {
    const last = this.roster.entry(this.self)?.announcement?.madeMs ?? 0
    const announcement = makeAnnouncement(this.#authorityId, this.#components.signer, description, Math.max(this.wallMs(), last + 1))
    this.roster.announce(announcement)
    this.#dirty.add(this.self)
    return announcement
  }

  #heardAt(peer: NodeId, atMs: number): boolean {
    if (this.roster.entry(peer) === undefined || this.isRevoked(peer)) return false
    const changed = this.presence.heard(peer, atMs, this.wallMs(), livenessIn(this.#init, this.roster.size))
    if (changed) this.#dirty.add(peer)
    return changed
  }

  #tell(peer: NodeId): void {
    const member = this.member(peer)
    if (member !== undefined) this.#emitter.emit('changed', member)
  }
}

function undescribed(peerId: NodeId): NodeDescription {
  return { peerId, name: '', region: '', segment: '', power: 'unknown', addresses: [], version: '', startId: '' }
}

function sameDescription(a: NodeDescription, b: NodeDescription): boolean {
  return contentOf(a) === contentOf(b)
}

function contentOf({ peerId, name, region, segment, power, addresses, version, startId }: NodeDescription): string {
  return JSON.stringify([peerId, name, region, segment, power, addresses, version, startId])
}
