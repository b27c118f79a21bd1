import assert from 'node:assert/strict'
import fc from 'fast-check'
import { createSigner } from '../../../src/base/index.js'
import { verifiedAnnouncement } from '../../../src/membership/announcement.js'
import { decodeCertificate, encodeCertificate } from '../../../src/membership/certificate.js'
import { difference, digestOf, wanted } from '../../../src/membership/digest.js'
import { decodeGossip, decodeSync, encodeAnnouncementMessage, encodeBeat, encodeRevocationMessage, encodeSync } from '../../../src/membership/messages.js'
import type { Admittance } from '../../../src/membership/record.js'
import { decodeRecord, encodeRecord, endorsed, mergeRecords, verifyRecord } from '../../../src/membership/record.js'
import { decodeRevocation, encodeRevocation, makeRevocation, verifyRevocation } from '../../../src/membership/revocation.js'
import { MembershipError } from '../../../src/membership/types.js'
import { World, hourMs, knock, meet, transcript } from '../../unit/membership/fixtures.js'

const ours = ['BAD_CERTIFICATE', 'WRONG_MESH', 'INVITE_EXPIRED', 'BAD_PROOF']

function isOurs(error: unknown): true {
  assert.ok(error instanceof MembershipError && ours.includes(error.code), String((error as Error).stack))
  return true
}

function survives(work: () => unknown): void {
  try {
    work()
  } catch (error) {
    isOurs(error)
  }
}

/** Everything one can do to bytes on their way. */
const mutation = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: fc.nat(), mask: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(), mask: fc.constant(0) }),
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(), mask: fc.integer({ min: 0, max: 255 }) }),
)

function mutated(bytes: Uint8Array, { kind, at, mask }: { kind: 'flip' | 'cut' | 'insert'; at: number; mask: number }): Uint8Array {
  const i = at % bytes.length
  if (kind === 'flip') return bytes.map((byte, j) => (j === i ? byte ^ mask : byte))
  if (kind === 'cut') return bytes.slice(0, i)
  return Uint8Array.from([...bytes.slice(0, i), mask, ...bytes.slice(i)])
}

describe('membership: certificates', () => {
  it('with any field changed are refused, by a node that knows the authority alone', async () => {
    const world = new World()
    const founder = await world.founder()
    const token = await world.invite(founder.membership)
    const [a, b] = [await world.joined(token), await world.joined(token)]
    const laterToken = await world.invite(founder.membership, 24 * hourMs)
    await meet(founder, a)
    await meet(a, b)
    await world.clock.advance(2 * hourMs)
    const recordOfB = a.membership.roster.entry(b.home.signer.nodeId)!.record
    const recordOfA = founder.membership.roster.entry(a.home.signer.nodeId)!.record
    const { meshId } = founder.membership
    const fields: ((record: Admittance) => Admittance)[] = [
      (record) => ({ ...record, joinedMs: record.joinedMs + 1 }),
      (record) => ({ ...record, peer: founder.home.signer.nodeId }),
      (record) => ({ ...record, peerSignature: world.random.bytes(64) }),
      (record) => ({ ...record, inviteSignature: world.random.bytes(64) }),
      (record) => ({ ...record, grant: { ...record.grant!, expiresMs: record.grant!.expiresMs + 1e9 } }),
      (record) => ({ ...record, grant: { ...record.grant!, madeMs: record.grant!.madeMs + 1 } }),
      (record) => ({ ...record, grant: { ...record.grant!, inviteKey: a.home.signer.nodeId } }),
      (record) => ({ ...record, grant: { ...record.grant!, signature: world.random.bytes(64) } }),
      (record) => ({ ...record, endorsements: [] }),
      (record) => ({ ...record, endorsements: record.endorsements.map((one) => ({ ...one, seenMs: one.seenMs - 1 })) }),
      (record) => ({ ...record, endorsements: record.endorsements.map((one) => ({ ...one, endorser: b.home.signer.nodeId })) }),
      (record) => ({ ...record, endorsements: record.endorsements.map((one) => ({ ...one, signature: world.random.bytes(64) })) }),
      // Well signed, but too late, by somebody who is a member.
      (record) => endorsed(world.authority.nodeId, { ...record, endorsements: [] }, a.home.signer, record.grant!.expiresMs + 1),
      // By itself, and by a stranger.
      (record) => endorsed(world.authority.nodeId, { ...record, endorsements: [] }, b.home.signer, record.joinedMs),
      (record) => endorsed(world.authority.nodeId, { ...record, endorsements: [] }, createSigner(world.random.bytes(32)), record.joinedMs),
    ]
    for (const [i, change] of fields.entries()) {
      const asked = await world.joined(laterToken)
      await assert.rejects(knock(asked.membership, b.membership, b.home, encodeCertificate(meshId, [change(recordOfB), recordOfA])), isOurs, `field ${String(i)}`)
      assert.ok(!asked.membership.isMember(b.home.signer.nodeId))
      if (i < 12) {
        const asked = await world.joined(laterToken)
        await assert.rejects(knock(asked.membership, b.membership, b.home, encodeCertificate(meshId, [recordOfB, change(recordOfA)])), isOurs, `endorser's field ${String(i)}`)
      }
    }
    const asked = await world.joined(laterToken)
    await knock(asked.membership, b.membership, b.home, encodeCertificate(meshId, [recordOfB, recordOfA]))
  })

  it('with any byte changed, cut or added are refused, or say the same', async () => {
    const world = new World()
    const founder = await world.founder()
    const guest = await world.joined(await world.invite(founder.membership))
    const certificate = guest.membership.certificate()
    const proof = await guest.membership.prove(transcript)
    const asked = await world.joined(await world.invite(founder.membership))
    await fc.assert(
      fc.asyncProperty(mutation, async (change) => {
        const bytes = mutated(certificate, change)
        try {
          await asked.membership.check(guest.home.signer.nodeId, bytes, transcript, proof)
        } catch (error) {
          return isOurs(error)
        }
        // Accepted: then only in what protobuf ignores (an unknown field), never in what is signed.
        const { meshId, own } = decodeCertificate(bytes)
        assert.deepEqual(Buffer.from(encodeCertificate(meshId, [own])), Buffer.from(certificate))
        return true
      }),
      { numRuns: 400 },
    )
  })

  it('every decoder of the room survives any bytes and any damage', async () => {
    const world = new World()
    const founder = await world.founder()
    const guest = await world.joined(await world.invite(founder.membership))
    await meet(founder, guest)
    founder.membership.describeSelf({ name: 'f', region: 'r', segment: 's', power: 'mains', addresses: ['/ip4/1.2.3.4/tcp/1'], version: '1' })
    await founder.membership.setGenesis(Uint8Array.of(1, 2, 3))
    const { roster } = founder.membership
    const authority = world.authority.nodeId
    const announcement = founder.membership.ownAnnouncement()!
    const revocation = makeRevocation(world.authority, guest.home.signer.nodeId, world.clock.wallMs())
    const items = difference(roster, new Uint8Array())!.items
    const gossip = [
      encodeAnnouncementMessage(announcement, founder.membership.certificate()),
      encodeBeat(founder.membership.startId, announcement.madeMs, 3),
      encodeRevocationMessage(revocation),
    ]
    const sync = encodeSync({ digest: digestOf(roster), items, wants: new Uint8Array(9), more: true, genesis: founder.membership.signedGenesis() })
    const readers: ((bytes: Uint8Array) => unknown)[] = [
      (bytes) => decodeGossip(authority, bytes),
      (bytes) => decodeSync(bytes).announcements.map((one) => verifiedAnnouncement(authority, one)),
      decodeCertificate,
      decodeRecord,
      decodeRevocation,
      (bytes) => difference(roster, bytes),
      (bytes) => wanted(roster, bytes),
    ]
    for (const message of gossip) decodeGossip(authority, message)
    assert.equal(decodeSync(sync).announcements.length, 1)
    const valid = [...gossip, sync, founder.membership.certificate(), encodeRecord(roster.entry(guest.home.signer.nodeId)!.record), encodeRevocation(revocation)]
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 500 }), fc.tuple(fc.constantFrom(...valid), mutation, mutation).map(([bytes, first, second]) => mutated(mutated(bytes, first).length === 0 ? bytes : mutated(bytes, first), second))), (bytes) => {
        for (const read of readers) survives(() => read(bytes))
      }),
      { numRuns: 600 },
    )
    for (const read of readers) survives(() => read(new Uint8Array(2_000_000)))
    fc.assert(fc.property(mutation, (change) => {
      const bytes = mutated(encodeRevocation(revocation), change)
      survives(() => {
        const decoded = decodeRevocation(bytes)
        if (verifyRevocation(authority, decoded)) assert.equal(decoded.peer, revocation.peer)
      })
    }))
  })

  it('merge whatever the order and however often', async () => {
    const world = new World()
    const founder = await world.founder()
    const authority = world.authority.nodeId
    const guest = await world.joined(await world.invite(founder.membership))
    const base = guest.membership.roster.entry(guest.home.signer.nodeId)!.record
    const endorsers = Array.from({ length: 5 }, () => createSigner(world.random.bytes(32)))
    const versions = [
      ...endorsers.map((one, i) => endorsed(authority, base, one, base.joinedMs + i)),
      endorsed(authority, base, endorsers[0]!, base.joinedMs + 9),
    ]
    const all = versions.reduce((a, b) => mergeRecords(authority, a, b))
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...versions), { minLength: 1, maxLength: 12 }), (some) => {
        const merged = [...some, ...versions].reduce((a, b) => mergeRecords(authority, a, b))
        assert.deepEqual(merged, all)
        assert.deepEqual(mergeRecords(authority, merged, some[0]!), mergeRecords(authority, some[0]!, merged))
        assert.ok(verifyRecord(authority, merged))
      }),
      { numRuns: 50 },
    )
    const confirmed = endorsed(authority, all, world.authority, base.joinedMs)
    assert.equal(mergeRecords(authority, all, confirmed).endorsements.length, 1)
  })
})
