import assert from 'node:assert/strict'
import fc from 'fast-check'
import { createSigner, systemClock } from '../../../src/base/index.js'
import type { NodeId, Rpc, RpcMethod } from '../../../src/base/index.js'
import { makeAnnouncement } from '../../../src/membership/announcement.js'
import { difference, digestOf } from '../../../src/membership/digest.js'
import { Exchange, syncMethod } from '../../../src/membership/exchange.js'
import { decodeInvite } from '../../../src/membership/invite.js'
import { syncBytesMax } from '../../../src/membership/limits.js'
import { decodeSync, encodeSync } from '../../../src/membership/messages.js'
import { endorsed, makeRecord } from '../../../src/membership/record.js'
import { makeRevocation } from '../../../src/membership/revocation.js'
import type { MembershipService } from '../../../src/membership/service.js'
import type { Home } from '../../unit/membership/fixtures.js'
import { World, hourMs } from '../../unit/membership/fixtures.js'

interface Party {
  readonly home: Home
  readonly membership: MembershipService
}

/** Requests go straight to the other's row. */
class Wire {
  readonly rows = new Map<NodeId, RpcMethod>()
  readonly exchanges = new Map<NodeId, Exchange>()
  requests = 0

  add({ home, membership }: Party): void {
    const from = home.signer.nodeId
    const rpc: Rpc = {
      register: () => undefined,
      request: async (peer, method, body, { signal }) => {
        assert.equal(method, syncMethod)
        this.requests++
        assert.ok(body.length <= syncBytesMax)
        const answer = await this.rows.get(peer)!.handle(body, { from, signal: signal ?? new AbortController().signal })
        assert.ok(answer.length <= syncBytesMax)
        return answer
      },
    }
    const exchange = new Exchange({ service: membership, rpc, clock: systemClock })
    this.rows.set(from, exchange.row())
    this.exchanges.set(from, exchange)
  }

  async exchange(a: Party, b: Party): Promise<void> {
    await this.exchanges.get(a.home.signer.nodeId)!.with(b.home.signer.nodeId, { deadlineMs: 1000, signal: new AbortController().signal })
  }
}

const digestText = ({ membership }: Party): string[] => {
  const digest = digestOf(membership.roster)
  return Array.from({ length: digest.length / 17 }, (_, i) => Buffer.from(digest.subarray(i * 17, i * 17 + 17)).toString('hex')).sort()
}

describe('membership: exchange', () => {
  it('makes all tables equal, whoever began with what and in whatever order they meet', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 2 ** 30 }),
        fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 4, maxLength: 25 }),
        fc.array(fc.nat(), { maxLength: 2 }),
        async (seed, meetings, removals) => {
          const world = new World(seed)
          const wire = new Wire()
          const founder = await world.founder()
          await founder.membership.setGenesis(Uint8Array.of(1, 2, 3))
          const token = await world.invite(founder.membership)
          const parties: Party[] = [founder]
          for (let i = 0; i < 4; i++) parties.push(await world.joined(token))
          for (const [i, party] of parties.entries()) {
            wire.add(party)
            party.membership.describeSelf({ name: `n${String(i)}`, region: '', segment: '', power: 'mains', addresses: [], version: '' })
          }
          const pick = (i: number): Party => parties[i % parties.length]!
          for (const [a, b] of meetings.slice(0, meetings.length / 2)) if (pick(a) !== pick(b)) await wire.exchange(pick(a), pick(b))
          for (const i of removals) {
            const victim = pick(i).home.signer.nodeId
            if (victim !== founder.home.signer.nodeId && founder.membership.roster.entry(victim) !== undefined) await founder.membership.remove(victim)
          }
          for (const [a, b] of meetings.slice(meetings.length / 2)) if (pick(a) !== pick(b)) await wire.exchange(pick(a), pick(b))
          // Twice around a line is enough for everything to reach everybody.
          for (let round = 0; round < 2; round++) {
            for (let i = 0; i + 1 < parties.length; i++) await wire.exchange(parties[i]!, parties[i + 1]!)
            for (let i = parties.length - 1; i > 0; i--) await wire.exchange(parties[i]!, parties[i - 1]!)
          }
          // With a removed node goes the invite that it came by: who had met nobody by then is not in either.
          const { roster } = founder.membership
          const removed = new Set(parties.map((party) => party.home.signer.nodeId).filter((peer) => roster.revocation(peer) !== undefined || roster.entry(peer) === undefined))
          // One who was removed does not take in what follows about itself, and is not asked.
          const expected = digestText(founder)
          for (const party of parties) {
            if (removed.has(party.home.signer.nodeId)) continue
            assert.deepEqual(digestText(party), expected)
            assert.deepEqual(party.membership.genesis(), Uint8Array.of(1, 2, 3))
            for (const [peer, { record }] of party.membership.roster.entries()) {
              if (!removed.has(peer)) assert.equal(record.endorsements[0]?.endorser, world.authority.nodeId)
            }
          }
          // And then there is nothing left to say: one request.
          wire.requests = 0
          await wire.exchange(parties[0]!, parties.find((one) => one !== founder && !removed.has(one.home.signer.nodeId)) ?? parties[0]!)
          assert.equal(wire.requests, 1)
        },
      ),
      { numRuns: 12 },
    )
  }).timeout(60_000)

  it('brings a table of 1,000 members over in messages within bounds', async () => {
    const world = new World()
    const wire = new Wire()
    const founder = await world.founder()
    const newcomer = await world.joined(await world.invite(founder.membership))
    wire.add(founder)
    wire.add(newcomer)
    const { grant, inviteKey } = decodeInvite(await world.invite(founder.membership))
    const authority = world.authority.nodeId
    const addresses = ['/ip4/192.168.100.200/tcp/4700', '/ip4/203.0.113.200/tcp/4700', '/ip6/2001:db8:1:2:3:4:5:6/tcp/4700']
    for (let i = 0; i < 1000; i++) {
      const signer = createSigner(world.random.bytes(32))
      const record = endorsed(authority, makeRecord(authority, signer, grant.madeMs, { grant, key: inviteKey }), world.authority, grant.madeMs)
      const description = { peerId: signer.nodeId, name: `a node called ${String(i)}`, region: 'sydney', segment: '203.0.113.0/24', power: 'mains' as const, addresses, version: '0.1.0', startId: '00'.repeat(16) }
      founder.membership.roster.restore({ record, announcement: makeAnnouncement(authority, signer, description, grant.madeMs + i) })
    }
    const started = performance.now()
    await wire.exchange(newcomer, founder)
    console.log(`      1,001 members in ${String(wire.requests)} requests, ${String(Math.round(performance.now() - started))} ms for both sides, digest ${String(digestOf(founder.membership.roster).length)} B`)
    assert.equal(newcomer.membership.members().length, 1002)
    assert.deepEqual(digestText(newcomer), digestText(founder))
    assert.ok(wire.requests >= 3 && wire.requests <= 10)
  }).timeout(60_000)

  it('offers and wants only what is of use', async () => {
    const world = new World()
    const founder = await world.founder()
    const token = await world.invite(founder.membership)
    const a = await world.joined(token)
    const wire = new Wire()
    wire.add(founder)
    wire.add(a)
    await wire.exchange(a, founder)
    const all = difference(founder.membership.roster, new Uint8Array())!
    assert.deepEqual(all.items.map((item) => item.kind).sort(), ['record', 'record'])
    await founder.membership.remove(a.home.signer.nodeId)
    const after = difference(founder.membership.roster, digestOf(a.membership.roster))!
    assert.deepEqual(after.items.map((item) => item.kind), ['revocation', 'revocation'], 'of the node and of its invite; what is removed is spoken of no more')
    assert.equal(after.wants.length, 0)
    assert.equal(difference(founder.membership.roster, new Uint8Array(5)), undefined)
  })

  it('refuses garbage with a code, and a wrong signature without a trace', async () => {
    const world = new World()
    const founder = await world.founder()
    const wire = new Wire()
    wire.add(founder)
    const guest = await world.joined(await world.invite(founder.membership))
    const row = wire.rows.get(founder.home.signer.nodeId)!
    const context = { from: guest.home.signer.nodeId, signal: new AbortController().signal }
    const record = guest.membership.roster.entry(guest.home.signer.nodeId)!.record
    const stranger = createSigner(world.random.bytes(32))
    for (const body of [
      new Uint8Array(syncBytesMax + 1),
      Uint8Array.of(255, 255, 255),
      encodeSync({ digest: new Uint8Array(3) }),
      encodeSync({ items: [{ kind: 'record', record: { ...record, joinedMs: 1 } }] }),
      encodeSync({ items: [{ kind: 'revocation', revocation: makeRevocation(stranger, founder.home.signer.nodeId, 1) }] }),
      encodeSync({ genesis: { body: Uint8Array.of(1), signature: world.random.bytes(64) } }),
    ]) {
      await assert.rejects(row.handle(body, context), { code: 'BAD_CERTIFICATE' })
    }
    assert.equal(founder.membership.roster.size, 1)
    assert.equal(founder.membership.genesis(), undefined)
    // Unknown to it, but invited: taken. A probe gets nothing, in an answer that is none the less one.
    await row.handle(encodeSync({ items: [{ kind: 'record', record }] }), context)
    assert.equal(founder.membership.roster.size, 2)
    assert.deepEqual(decodeSync(await row.handle(encodeSync({}), context)).records, [])
    await world.clock.advance(2 * hourMs)
    const late = await world.joined(await world.invite(founder.membership))
    await world.clock.advance(2 * hourMs)
    const expired = late.membership.roster.entry(late.home.signer.nodeId)!.record
    await row.handle(encodeSync({ items: [{ kind: 'record', record: expired }] }), context)
    assert.equal(founder.membership.roster.size, 2, 'a member cannot bring in by hearsay whose invite is over')
  })
})
