import assert from 'node:assert/strict'
import { createSigner } from '../../../src/base/index.js'
import { createMesh, joinMesh, membershipSettings } from '../../../src/membership/index.js'
import { makeAnnouncement } from '../../../src/membership/announcement.js'
import { encodeAnnouncementMessage, encodeBeat, encodeRevocationMessage } from '../../../src/membership/messages.js'
import { makeRevocation } from '../../../src/membership/revocation.js'
import { AnnouncementBody, MembersGossip } from '../../../src/membership/wire/members.js'
import { World, graceMs, hourMs } from '../../unit/membership/fixtures.js'
import type { SimulatedNode } from './network.js'
import { SimulatedMesh } from './network.js'

async function three(): Promise<{ world: World; mesh: SimulatedMesh; a: SimulatedNode; b: SimulatedNode; c: SimulatedNode }> {
  const world = new World()
  const mesh = new SimulatedMesh(world)
  const home = world.home({ authority: world.authority })
  await createMesh(home, world.authority)
  const a = await mesh.start(home, 'a')
  const { token } = await a.service.invite({ expiresMs: hourMs, addresses: [a.address] })
  const rest: SimulatedNode[] = []
  for (const name of ['b', 'c']) {
    const guest = world.home()
    await joinMesh(guest, token)
    rest.push(await mesh.start(guest, name))
  }
  await world.clock.advance(20_000)
  return { world, mesh, a, b: rest[0]!, c: rest[1]! }
}

describe('membership: what gossip is taken', () => {
  it('rejects what no honest node sends, ignores what is merely old or not for us to judge', async () => {
    const { world, a, b, c } = await three()
    const authority = world.authority.nodeId
    const hear = async (message: Uint8Array, from: SimulatedNode['id']): Promise<string> => (await a.handler?.(message, from)) ?? 'nobody listens'
    const described = b.service.ownAnnouncement()!
    const certificate = b.service.certificate()
    const announce = (madeMs: number, name = 'b2'): Uint8Array =>
      encodeAnnouncementMessage(makeAnnouncement(authority, b.home.signer, { ...described.description, name }, madeMs), certificate)

    assert.equal(await hear(new Uint8Array([1, 2, 3]), b.id), 'reject')
    assert.equal(await hear(new Uint8Array(100_000), b.id), 'reject')
    assert.equal(await hear(encodeAnnouncementMessage(described, certificate), b.id), 'ignore', 'known')
    assert.equal(await hear(announce(described.madeMs - 1), b.id), 'ignore', 'older')
    assert.equal(await hear(announce(described.madeMs + 1), c.id), 'reject', 'said by another')
    assert.equal(await hear(encodeAnnouncementMessage(described, c.service.certificate()), b.id), 'reject', "another's certificate")
    assert.equal(await hear(announce(described.madeMs + 1), b.id), 'accept')
    assert.equal(a.service.member(b.id)!.name, 'b2')

    // A name that would write on the terminal of whoever lists members; too many addresses; a lie about who it is.
    const body = AnnouncementBody.decode(described.body)
    for (const changed of [
      { ...body, madeMs: body.madeMs + 5, name: 'evil\u001b[2J' },
      { ...body, madeMs: body.madeMs + 5, name: 'x'.repeat(65) },
      { ...body, madeMs: body.madeMs + 5, addresses: ['not an address'] },
      { ...body, madeMs: body.madeMs + 5, startId: new Uint8Array(3) },
      { ...body, madeMs: body.madeMs + 5, mesh: new Uint8Array(32) },
    ]) {
      const bytes = AnnouncementBody.encode(changed)
      const signature = b.home.signer.sign('mesh-node description 1', bytes)
      assert.equal(await hear(MembersGossip.encode({ announcement: { body: bytes, signature }, certificate }), b.id), 'reject', JSON.stringify(changed.name))
    }
    assert.equal(await hear(MembersGossip.encode({ announcement: { body: described.body, signature: new Uint8Array(64) }, certificate }), b.id), 'reject')

    // Beats: each counts once; of a start before the announced one, never; of somebody unknown, not.
    const { madeMs } = a.service.roster.entry(b.id)!.announcement!
    assert.equal(await hear(encodeBeat(b.service.startId, madeMs, 1000), b.id), 'accept')
    assert.equal(await hear(encodeBeat(b.service.startId, madeMs, 1000), b.id), 'ignore')
    assert.equal(await hear(encodeBeat(b.service.startId, madeMs, 999), b.id), 'ignore')
    assert.equal(await hear(encodeBeat('ab'.repeat(16), madeMs, 2000), b.id), 'ignore')
    assert.equal(await hear(encodeBeat('ab'.repeat(16), madeMs, 1), createSigner(world.random.bytes(32)).nodeId), 'ignore')
    assert.equal(await hear(MembersGossip.encode({ beat: { startId: new Uint8Array(2), announcedMs: 0, count: 0 } }), b.id), 'reject')

    // Removal: only the authority's word, once; and then nothing of the removed is heard.
    assert.equal(await hear(encodeRevocationMessage(makeRevocation(c.home.signer, b.id, a.service.wallMs())), c.id), 'reject')
    const revocation = makeRevocation(world.authority, b.id, a.service.wallMs())
    assert.equal(await hear(encodeRevocationMessage(revocation), c.id), 'accept')
    assert.equal(await hear(encodeRevocationMessage(revocation), c.id), 'ignore')
    assert.equal(await hear(announce(madeMs + 10), b.id), 'ignore')
    await Promise.all([a, b, c].map(async (node) => node.stop()))
  })

  it('does not take in a stranger that a member relays, with a certificate that is over or forged', async () => {
    const { world, a, b, c } = await three()
    const authority = world.authority.nodeId
    const { token } = await a.service.invite({ expiresMs: hourMs, addresses: [a.address] })
    const stranger = await world.joined(token)
    await world.clock.advance(2 * hourMs)
    stranger.membership.describeSelf({ name: 's', region: '', segment: '', power: 'unknown', addresses: [], version: '' })
    const message = encodeAnnouncementMessage(stranger.membership.ownAnnouncement()!, stranger.membership.certificate())
    assert.equal(await a.handler!(message, stranger.home.signer.nodeId), 'ignore')
    const other = await new World(9).founder()
    other.membership.describeSelf({ name: 's', region: '', segment: '', power: 'unknown', addresses: [], version: '' })
    const forged = makeAnnouncement(authority, other.home.signer, other.membership.ownAnnouncement()!.description, 1)
    assert.equal(await a.handler!(encodeAnnouncementMessage(forged, other.membership.certificate()), other.home.signer.nodeId), 'reject')
    assert.equal(a.service.members().length, 3)
    await Promise.all([a, b, c].map(async (node) => node.stop()))
  })

  it('keeps a bounded number of connections in a large mesh, and yet everybody knows everybody', async () => {
    const world = new World(1, { ...membershipSettings(graceMs), everybodyMax: 4, chosenMax: 2 })
    const mesh = new SimulatedMesh(world)
    const home = world.home({ authority: world.authority })
    await createMesh(home, world.authority)
    const founder = await mesh.start(home, 'n00')
    const nodes = [founder]
    const { token } = await founder.service.invite({ expiresMs: hourMs, addresses: [founder.address] })
    for (let i = 1; i < 16; i++) {
      const guest = world.home()
      await joinMesh(guest, token)
      nodes.push(await mesh.start(guest, `n${String(i).padStart(2, '0')}`))
      await world.clock.advance(2000)
    }
    await world.clock.advance(120_000)
    for (const node of nodes) {
      assert.equal(node.service.members().filter((one) => one.state === 'up').length, nodes.length, node.name)
      // Its own choice, the next in the ring, and the one that its invite names.
      assert.ok(node.kept.size <= 4, `${node.name} keeps ${String(node.kept.size)}`)
    }
    // What the founder says reaches those it is not connected to.
    await nodes[3]!.stop()
    await founder.service.remove(nodes[5]!.id)
    await world.clock.advance(60_000)
    for (const node of nodes) if (node !== nodes[3] && node !== nodes[5]) assert.ok(node.service.isRevoked(nodes[5]!.id), node.name)
    await Promise.all(nodes.filter((node) => node !== nodes[3]).map(async (node) => node.stop()))
  }).timeout(60_000)
})
