import assert from 'node:assert/strict'
import { createSigner, silentLog } from '../../../src/base/index.js'
import { createMesh, joinMesh, membershipSettings, meshOf, openMembership } from '../../../src/membership/index.js'
import { makeAnnouncement } from '../../../src/membership/announcement.js'
import { decodeCertificate, encodeCertificate } from '../../../src/membership/certificate.js'
import { decodeInvite } from '../../../src/membership/invite.js'
import { authorityOf } from '../../../src/membership/keys.js'
import { endorsed, makeRecord } from '../../../src/membership/record.js'
import { ManualClock, World, graceMs, hourMs, knock, meet, transcript } from './fixtures.js'

const refused = (code: string, words: RegExp) => (error: unknown) => {
  const { code: actual, message } = error as { code: string; message: string }
  assert.equal(actual, code, message)
  assert.match(message, words)
  return true
}

describe('membership: admission', () => {
  it('lets in who was invited, on both sides, and says what is wrong with a home that is in no mesh', async () => {
    const world = new World()
    const founder = await world.founder()
    const guest = await world.joined(await world.invite(founder.membership))
    assert.equal(guest.membership.meshId, founder.membership.meshId)
    assert.equal(await meshOf(guest.home.meta), founder.membership.meshId)
    assert.ok(founder.membership.isAdmin && !guest.membership.isAdmin)
    await meet(founder, guest)
    assert.deepEqual(founder.membership.members().map((one) => one.peerId).sort(), [founder, guest].map((one) => one.home.signer.nodeId).sort())
    await assert.rejects(world.open(world.home()), refused('NOT_FOUND', /mesh-node init/))
  })

  it('refuses an invite after its end, at joining and at the handshake, though the joiner dates itself back', async () => {
    const world = new World()
    const founder = await world.founder()
    const token = await world.invite(founder.membership, hourMs)
    const slow = new ManualClock(world.clock.wallMs())
    await world.clock.advance(4 * hourMs)
    await assert.rejects(joinMesh(world.home(), token), refused('INVITE_EXPIRED', /expired 3 hours ago; ask for a new one with `mesh-node invite`/))
    // The same token, by somebody whose clock stands still: the record is well made, and nobody met it in time.
    const thief = await world.joined(token, { clock: slow })
    await assert.rejects(knock(founder.membership, thief.membership, thief.home), refused('INVITE_EXPIRED', /expired 3 hours ago/))
    assert.equal(founder.membership.members().length, 1)
  })

  it('keeps a member for years once it was met in time, by the authority or by a mere member', async () => {
    const world = new World()
    const founder = await world.founder()
    const token = await world.invite(founder.membership)
    const [a, b, c] = [await world.joined(token), await world.joined(token), await world.joined(token)]
    await meet(founder, a) // a is confirmed at the founder, but has not heard of it yet
    await meet(a, b) // b knows only a
    await world.clock.advance(3 * 365 * 24 * hourMs)
    await meet(founder, a)
    await meet(a, b)
    // c never showed itself to anybody.
    await assert.rejects(knock(a.membership, c.membership, c.home), refused('INVITE_EXPIRED', /expired 1094 days ago|expired 1095 days ago/))
  })

  it('believes the word of a member about a third, up to the authority, and not that of a removed one', async () => {
    const world = new World()
    const founder = await world.founder()
    const token = await world.invite(founder.membership)
    const a = await world.joined(token)
    const b = await world.joined(token)
    await meet(founder, a)
    await meet(a, b)
    // What exchanges would bring: a its confirmation by the authority, b the word of a.
    const confirmed = decodeCertificate(founder.membership.certificate())
    assert.equal(confirmed.endorsers.length, 0)
    const { roster } = founder.membership
    const recordOfA = roster.entry(a.home.signer.nodeId)!.record
    const rosterOfA = a.membership.roster
    const recordOfB = rosterOfA.entry(b.home.signer.nodeId)!.record
    assert.deepEqual(recordOfB.endorsements.map((one) => one.endorser), [a.home.signer.nodeId])
    await world.clock.advance(48 * hourMs)
    const shown = encodeCertificate(founder.membership.meshId, [recordOfB, recordOfA])

    // A newcomer knows nobody but the authority: the chain convinces it; without its second link it does not.
    const newcomer = await world.joined(await world.invite(founder.membership))
    await assert.rejects(
      knock(newcomer.membership, b.membership, b.home, encodeCertificate(founder.membership.meshId, [recordOfB])),
      refused('INVITE_EXPIRED', /./),
    )
    await knock(newcomer.membership, b.membership, b.home, shown)

    // After a's removal its word is worth nothing to those who have not met b themselves.
    const another = await world.joined(await world.invite(founder.membership))
    await founder.membership.remove(a.home.signer.nodeId)
    const { roster: rosterOfAnother } = another.membership
    rosterOfAnother.revoke(roster.revocation(a.home.signer.nodeId)!)
    await assert.rejects(knock(another.membership, b.membership, b.home, shown), refused('INVITE_EXPIRED', /./))
  })

  it('refuses another mesh, another node, another handshake, no certificate and garbage', async () => {
    const world = new World()
    const founder = await world.founder()
    const guest = await world.joined(await world.invite(founder.membership))
    const strangers = new World(2)
    const stranger = await strangers.founder()
    const { meshId } = stranger.membership
    await assert.rejects(knock(founder.membership, stranger.membership, stranger.home), refused('WRONG_MESH', new RegExp(`another mesh \\(${meshId}\\)`)))
    const proof = await guest.membership.prove(transcript)
    const peer = guest.home.signer.nodeId
    const certificate = guest.membership.certificate()
    const otherwise = new TextEncoder().encode('another handshake')
    await assert.rejects(founder.membership.check(peer, certificate, otherwise, proof), refused('BAD_PROOF', /handshake/))
    await assert.rejects(founder.membership.check(founder.home.signer.nodeId, certificate, transcript, proof), refused('BAD_CERTIFICATE', /another node/))
    await assert.rejects(founder.membership.check(peer, new Uint8Array(), transcript, proof), refused('BAD_CERTIFICATE', /there is none/))
    await assert.rejects(founder.membership.check(peer, new Uint8Array(20_000), transcript, proof), refused('BAD_CERTIFICATE', /too long/))
  })

  it('refuses a stranger that writes its own grant, or a record without one', async () => {
    const world = new World()
    const founder = await world.founder()
    const guest = await world.joined(await world.invite(founder.membership))
    const authority = authorityOf(founder.membership.meshId)
    const bare = encodeCertificate(founder.membership.meshId, [makeRecord(authority, guest.home.signer, world.clock.wallMs())])
    await assert.rejects(knock(founder.membership, guest.membership, guest.home, bare), refused('BAD_CERTIFICATE', /signature/))
    const invite = decodeInvite(await world.invite(founder.membership))
    const forged = makeRecord(authority, guest.home.signer, world.clock.wallMs(), {
      grant: { ...invite.grant, expiresMs: invite.grant.expiresMs + hourMs },
      key: invite.inviteKey,
    })
    await assert.rejects(
      knock(founder.membership, guest.membership, guest.home, encodeCertificate(founder.membership.meshId, [forged])),
      refused('BAD_CERTIFICATE', /signature/),
    )
  })

  it('keeps the endorsements of members, however many made-up ones come along', async () => {
    const world = new World()
    const founder = await world.founder()
    const token = await world.invite(founder.membership)
    const [a, b, asked] = [await world.joined(token), await world.joined(token), await world.joined(token)]
    await meet(a, b)
    await meet(a, asked)
    const recordOfB = a.membership.roster.entry(b.home.signer.nodeId)!.record
    const authority = authorityOf(founder.membership.meshId)
    for (let round = 0; round < 8; round++) {
      let crowded = recordOfB
      // Of many made-up names the least: those that come first wherever names are put in order.
      const names = Array.from({ length: 30 }, () => createSigner(world.random.bytes(32))).sort((x, y) => (x.nodeId < y.nodeId ? -1 : 1))
      crowded = { ...crowded, endorsements: [] }
      for (const stranger of names.slice(0, 4)) crowded = endorsed(authority, crowded, stranger, crowded.joinedMs)
      await knock(asked.membership, b.membership, b.home, encodeCertificate(founder.membership.meshId, [crowded]))
      await knock(asked.membership, b.membership, b.home, encodeCertificate(founder.membership.meshId, [recordOfB]))
      await knock(asked.membership, b.membership, b.home, encodeCertificate(founder.membership.meshId, [crowded]))
      const kept = asked.membership.roster.entry(b.home.signer.nodeId)!.record.endorsements.map((one) => one.endorser)
      assert.deepEqual(kept.sort(), [a.home.signer.nodeId, asked.home.signer.nodeId].sort())
    }
  })

  it('goes on after an announcement of its own that it has forgotten, however far ahead', async () => {
    const world = new World()
    const founder = await world.founder()
    const { membership, home } = founder
    membership.describeSelf({ name: 'f', region: 'r', segment: '', power: 'mains', addresses: [], version: '' })
    const { description } = membership.ownAnnouncement()!
    const ahead = world.clock.wallMs() + 1e9
    const forgotten = makeAnnouncement(world.authority.nodeId, home.signer, { ...description, name: 'old', startId: 'ab'.repeat(16) }, ahead)
    const { madeMs } = membership.ownAnnouncement()!
    membership.describeSelf({ version: '', addresses: [], power: 'mains', segment: '', region: 'r', name: 'f' })
    assert.equal(membership.ownAnnouncement()!.madeMs, madeMs, 'said again, it is the same')
    assert.ok(membership.takeAnnouncement(forgotten))
    assert.equal(membership.ownAnnouncement()?.madeMs, ahead + 1)
    assert.equal(membership.member(home.signer.nodeId)?.name, 'f')
    assert.throws(
      () => membership.describeSelf({ name: 'a\nb', region: '', segment: '', power: 'mains', addresses: [], version: '' }),
      refused('BAD_DESCRIPTION', /64 bytes/),
    )
  })

  it('nobody can be moved to an expired invite behind its back', async () => {
    const world = new World()
    const founder = await world.founder()
    const guest = await world.joined(await world.invite(founder.membership))
    const invite = decodeInvite(await world.invite(founder.membership))
    const authority = authorityOf(founder.membership.meshId)
    const thief = createSigner(world.random.bytes(32))
    const mine = makeRecord(authority, thief, world.clock.wallMs(), { grant: invite.grant, key: invite.inviteKey })
    const posed = encodeCertificate(founder.membership.meshId, [{ ...mine, peer: guest.home.signer.nodeId }])
    await assert.rejects(knock(founder.membership, guest.membership, guest.home, posed), refused('BAD_CERTIFICATE', /signature/))
  })

  it('a removed node does not come back with a new name by the invite that it still has; those who came by it before stay', async () => {
    const world = new World()
    const founder = await world.founder()
    const token = await world.invite(founder.membership, 48 * hourMs)
    const [bad, friend, late, backAgain, asked] = [await world.joined(token), await world.joined(token), await world.joined(token), await world.joined(token), await world.joined(await world.invite(founder.membership, 48 * hourMs))]
    await meet(founder, bad)
    await meet(founder, asked)
    await meet(asked, friend)
    await world.clock.advance(hourMs)
    await founder.membership.remove(bad.home.signer.nodeId)
    await world.clock.advance(hourMs)
    await assert.rejects(knock(founder.membership, backAgain.membership, backAgain.home), refused('BAD_CERTIFICATE', /taken back/))
    // A member that has not heard of it lets the newcomer in; when it does hear, and at everybody else, that is worth nothing.
    await meet(asked, late)
    const spoken = encodeCertificate(founder.membership.meshId, [asked.membership.roster.entry(late.home.signer.nodeId)!.record, asked.membership.roster.entry(asked.home.signer.nodeId)!.record])
    await assert.rejects(knock(founder.membership, late.membership, late.home, spoken), refused('BAD_CERTIFICATE', /taken back/))
    for (const revocation of founder.membership.roster.revocations()) await asked.membership.takeRevocation(revocation)
    assert.equal(asked.membership.isMember(late.home.signer.nodeId), false)
    assert.equal(asked.membership.isMember(friend.home.signer.nodeId), true)
    const vouched = encodeCertificate(founder.membership.meshId, [asked.membership.roster.entry(friend.home.signer.nodeId)!.record, asked.membership.roster.entry(asked.home.signer.nodeId)!.record])
    await knock(founder.membership, friend.membership, friend.home, vouched)
    assert.deepEqual(founder.membership.members().filter((one) => one.revoked).map((one) => one.peerId), [bad.home.signer.nodeId])
  })

  it('looks at no signature of what it knows already', async () => {
    const world = new World()
    const founder = await world.founder()
    const guest = await world.joined(await world.invite(founder.membership))
    await meet(founder, guest)
    await founder.membership.remove(guest.home.signer.nodeId)
    const revocation = founder.membership.roster.revocation(guest.home.signer.nodeId)!
    const forged = { ...revocation, signature: new Uint8Array(64) }
    assert.equal(await founder.membership.takeRevocation(forged), false)
    await assert.rejects(founder.membership.takeRevocation({ ...forged, revokedMs: revocation.revokedMs - 1 }), refused('BAD_CERTIFICATE', /not signed/))
    assert.equal(founder.membership.roster.revocation(guest.home.signer.nodeId), revocation)
  })

  it('removes for good: refused with the date, remembered over a restart, void with a new invite', async () => {
    const world = new World()
    const founder = await world.founder()
    const guest = await world.joined(await world.invite(founder.membership))
    await meet(founder, guest)
    const told: string[] = []
    founder.membership.on('revoked', (peer) => told.push(peer))
    await founder.membership.remove(guest.home.signer.nodeId)
    await founder.membership.remove(guest.home.signer.nodeId)
    const { inviteKey } = founder.membership.roster.entry(guest.home.signer.nodeId)!.record.grant!
    assert.deepEqual(told, [inviteKey, guest.home.signer.nodeId])
    await world.clock.advance(hourMs)
    const again = await world.open(founder.home)
    assert.ok(again.isRevoked(guest.home.signer.nodeId) && again.member(guest.home.signer.nodeId)?.revoked)
    await assert.rejects(knock(again, guest.membership, guest.home), refused('REVOKED', /removed from the mesh on 2026-11-01/))
    await joinMesh(guest.home, await world.invite(again))
    const rejoined = await world.open(guest.home)
    await assert.rejects(knock(again, rejoined, guest.home), refused('REVOKED', /new identity/))
  })

  it('lets only the admin invite and remove, and never its own node', async () => {
    const world = new World()
    const founder = await world.founder()
    const guest = await world.joined(await world.invite(founder.membership))
    await assert.rejects(guest.membership.invite({ expiresMs: hourMs, addresses: [] }), refused('NOT_ADMIN', /authority key/))
    await assert.rejects(guest.membership.remove(founder.home.signer.nodeId), refused('NOT_ADMIN', /authority key/))
    await assert.rejects(founder.membership.remove(founder.home.signer.nodeId), refused('OWN_NODE', /itself/))
    await assert.rejects(founder.membership.remove(world.home().signer.nodeId), refused('NOT_FOUND', /members ls/))
    for (const expiresMs of [0, -1, Number.NaN, 400 * 24 * hourMs]) {
      await assert.rejects(founder.membership.invite({ expiresMs, addresses: [] }), refused('BAD_INVITE', /a year at most/))
    }
    await assert.rejects(founder.membership.invite({ expiresMs: hourMs, addresses: ['example.org:1'] }), refused('BAD_INVITE', /example.org/))
  })

  it('moves the authority to another node by its key', async () => {
    const world = new World()
    const founder = await world.founder()
    const guest = await world.joined(await world.invite(founder.membership))
    await meet(founder, guest)
    const moved = await world.open({ ...guest.home, authority: world.authority })
    assert.ok(moved.isAdmin)
    await moved.remove(founder.home.signer.nodeId)
    await assert.rejects(knock(moved, founder.membership, founder.home), refused('REVOKED', /removed/))
    const other = createSigner(world.random.bytes(32))
    await assert.rejects(
      openMembership({ ...guest.home, authority: other, log: silentLog }, membershipSettings(graceMs)),
      refused('WRONG_MESH', /authority key/),
    )
  })

  it('does not judge newcomers by a clock that stands before the last run, and believes it after an hour', async () => {
    const world = new World()
    const founder = await world.founder()
    const token = await world.invite(founder.membership)
    const guest = await world.joined(token)
    const asked = await world.joined(token)
    await meet(founder, asked)
    await world.clock.advance(48 * hourMs)
    // Writes its mark as a run does at its end.
    await asked.membership.flush(true, true)
    world.clock.jump(-48 * hourMs)
    const restarted = await world.open(asked.home)
    await assert.rejects(knock(restarted, guest.membership, guest.home), refused('BAD_CERTIFICATE', /clock of the member/))
    await knock(restarted, founder.membership, founder.home)
    // An hour of running later the clock stands, and this invite has run out by it too.
    await world.clock.advance(hourMs + 1000)
    await assert.rejects(knock(restarted, guest.membership, guest.home), refused('INVITE_EXPIRED', /expired 1 second ago/))
  })

  it('admits nobody whom it could not write down', async () => {
    const world = new World()
    const founder = await world.founder()
    const guest = await world.joined(await world.invite(founder.membership))
    founder.home.meta.failure = new Error('disk full')
    await assert.rejects(knock(founder.membership, guest.membership, guest.home), /disk full/)
    await assert.rejects(knock(founder.membership, guest.membership, guest.home), /disk full/)
    founder.home.meta.failure = undefined
    await knock(founder.membership, guest.membership, guest.home)
    await world.clock.advance(2 * hourMs)
    await knock(await world.open(founder.home), guest.membership, guest.home)
  })

  it('joins once: another mesh is refused, the same again starts anew, its own addresses are left out', async () => {
    const world = new World()
    const founder = await world.founder()
    const guest = await world.joined(await world.invite(founder.membership))
    const other = await new World(3).founder()
    await assert.rejects(joinMesh(guest.home, await new World(4).invite(other.membership)), refused('ALREADY_MEMBER', /another --home/))
    await assert.rejects(createMesh(guest.home, createSigner(world.random.bytes(32))), refused('ALREADY_MEMBER', /another --home/))
    await world.clock.advance(2 * hourMs)
    await assert.rejects(knock(founder.membership, guest.membership, guest.home), refused('INVITE_EXPIRED', /1 hour ago/))
    const token = await world.invite(founder.membership)
    assert.ok((await joinMesh(guest.home, token)).isNew)
    assert.ok(!(await joinMesh(guest.home, token)).isNew)
    const back = await world.open(guest.home)
    await knock(founder.membership, back, guest.home)
    // A start that names its invite every time goes on working when that is over, once the node was in; not before.
    await world.clock.advance(2 * hourMs)
    await assert.rejects(joinMesh(guest.home, token), refused('INVITE_EXPIRED', /1 hour ago/))
    await knock(back, founder.membership, founder.home)
    assert.ok(!(await joinMesh(guest.home, token)).isNew)
  })

  it('says whose clock may be wrong when an invite comes from the future', async () => {
    const world = new World()
    const founder = await world.founder()
    const behind = new ManualClock(world.clock.wallMs() - 24 * hourMs)
    const asked = await world.joined(await world.invite(founder.membership), { clock: behind })
    const guest = await world.joined(await world.invite(founder.membership))
    await assert.rejects(knock(asked.membership, guest.membership, guest.home), refused('BAD_CERTIFICATE', /made in the future: the clock/))
    await knock(asked.membership, founder.membership, founder.home)
  })

  it('carries the first configuration in every invite, signed, one for good', async () => {
    const world = new World()
    const founder = await world.founder()
    const body = new TextEncoder().encode('voters: founder')
    assert.equal(founder.membership.genesis(), undefined)
    await founder.membership.setGenesis(body)
    await founder.membership.setGenesis(body)
    await assert.rejects(founder.membership.setGenesis(Uint8Array.of(1)), refused('GENESIS_EXISTS', /only one/))
    const guest = await world.joined(await world.invite(founder.membership))
    assert.deepEqual(guest.membership.genesis(), body)
    assert.deepEqual((await world.open(founder.home)).genesis(), body)
    await assert.rejects(guest.membership.setGenesis(body), refused('NOT_ADMIN', /first configuration/))
  })
})
