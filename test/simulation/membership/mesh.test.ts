import assert from 'node:assert/strict'
import { membershipSettings, joinMesh, createMesh } from '../../../src/membership/index.js'
import { World, hourMs } from '../../unit/membership/fixtures.js'
import type { SimulatedNode } from './network.js'
import { SimulatedMesh } from './network.js'

/** Shorter than the default of a day, to save time of ours; all else is as with it. */
const graceMs = 3 * hourMs

async function meshOf(count: number, options: { seed?: number; graceMs?: number } = {}): Promise<{ world: World; mesh: SimulatedMesh; nodes: SimulatedNode[] }> {
  const world = new World(options.seed ?? 1, membershipSettings(options.graceMs ?? graceMs))
  const mesh = new SimulatedMesh(world)
  const home = world.home({ authority: world.authority })
  await createMesh(home, world.authority)
  const founder = await mesh.start(home, 'n0')
  const nodes = [founder]
  for (let i = 1; i < count; i++) nodes.push(await joinThrough(world, mesh, nodes[i % 2 === 0 ? i - 1 : 0]!, `n${String(i)}`, founder))
  return { world, mesh, nodes }
}

/** The invite names `contact`, whoever made it. */
async function joinThrough(world: World, mesh: SimulatedMesh, contact: SimulatedNode, name: string, admin: SimulatedNode): Promise<SimulatedNode> {
  const guest = world.home()
  const { token } = await admin.service.invite({ expiresMs: hourMs, addresses: [contact.address] })
  await joinMesh(guest, token)
  return mesh.start(guest, name)
}

const allUp = (nodes: SimulatedNode[]) => Object.fromEntries(nodes.map((node) => [node.name, 'up']).sort() as [string, string][])

describe('membership: a mesh in simulated time', function () {
  this.timeout(60_000)

  it('within seconds everybody knows everybody, connected to all, and all are confirmed', async () => {
    const { mesh, world, nodes } = await meshOf(7)
    await world.clock.advance(15_000)
    for (const node of nodes) {
      assert.deepEqual(node.view(), allUp(nodes), node.name)
      assert.equal(node.peers.size, nodes.length - 1)
    }
    await world.clock.advance(10 * 60_000)
    for (const node of nodes) {
      for (const [, { record }] of node.service.roster.entries()) {
        assert.deepEqual(record.endorsements.map((one) => one.endorser), [world.authority.nodeId], `${node.name} about ${record.peer}`)
      }
    }
    assert.equal(mesh.verdicts.reject, 0)
    await Promise.all(nodes.map(async (node) => node.stop()))
  })

  it('members admitted while the authority was away stay in for years, and a newcomer believes them', async () => {
    const { mesh, world, nodes } = await meshOf(3)
    const [founder, a, b] = nodes as [SimulatedNode, SimulatedNode, SimulatedNode]
    await world.clock.advance(15_000)
    const late = world.home()
    const { token } = await founder.service.invite({ expiresMs: hourMs, addresses: [a.address] })
    await founder.stop()
    await joinMesh(late, token)
    const d = await mesh.start(late, 'd')
    await world.clock.advance(20_000)
    assert.equal(a.view().d, 'up')
    await world.clock.advance(3 * hourMs)
    // Its invite is over. It restarts, and is let in on what others said of it.
    await d.stop()
    await d.start()
    await world.clock.advance(20_000)
    assert.deepEqual([...d.peers].sort(), [a.id, b.id].sort())
    assert.deepEqual(
      d.service.roster.entry(d.id)!.record.endorsements.map((one) => one.endorser).sort(),
      [a.id, b.id].sort(),
    )
    // The authority was away all the time, comes back, and confirms it on the word of the others.
    await founder.start()
    await world.clock.advance(10 * 60_000)
    assert.equal(d.service.roster.entry(d.id)!.record.endorsements[0]!.endorser, world.authority.nodeId)
    await Promise.all([founder, a, b, d].map(async (node) => node.stop()))
  })

  it('a removal reaches everybody, through others too, and cuts; who slept through it learns on waking', async () => {
    const { mesh, world, nodes } = await meshOf(5)
    await world.clock.advance(15_000)
    const [founder, victim, , , sleeper] = nodes as [SimulatedNode, SimulatedNode, SimulatedNode, SimulatedNode, SimulatedNode]
    await sleeper.stop()
    await founder.service.remove(victim.id)
    await world.clock.advance(5000)
    for (const node of nodes.slice(2, 4)) {
      assert.ok(node.service.isRevoked(victim.id))
      assert.ok(!node.peers.has(victim.id) && !node.kept.has(victim.id))
      assert.equal(node.view().n1, 'removed')
    }
    assert.equal(victim.peers.size, 0)
    assert.ok(victim.service.isRevoked(victim.id), 'it is told before it is cut')
    // The sleeper still trusts it, until it has met anyone else.
    await sleeper.start()
    await world.clock.advance(20_000)
    assert.ok(sleeper.service.isRevoked(victim.id))
    assert.ok(!sleeper.peers.has(victim.id))
    await Promise.all(nodes.map(async (node) => node.stop()))
    assert.equal(mesh.verdicts.reject, 0)
  })

  it('with a removed member goes who was a member by its word alone, also where it is connected', async () => {
    const { mesh, world, nodes } = await meshOf(2)
    const [founder, voucher] = nodes as [SimulatedNode, SimulatedNode]
    await world.clock.advance(15_000)
    const homes = [world.home(), world.home()]
    for (const home of homes) await joinMesh(home, (await founder.service.invite({ expiresMs: hourMs, addresses: [voucher.address] })).token)
    await founder.stop()
    // One of them meets the voucher in time; the other comes when that one's invite is over, and has the voucher's word alone.
    const early = await mesh.start(homes[0]!, 'early')
    await world.clock.advance(20_000)
    await early.stop()
    const late = await mesh.start(homes[1]!, 'late')
    await world.clock.advance(20_000)
    await late.stop()
    await world.clock.advance(2 * hourMs)
    await early.start()
    await late.start()
    await world.clock.advance(20_000)
    assert.ok(early.peers.has(late.id) && early.service.isMember(late.id))
    await founder.service.remove(voucher.id)
    const known = founder.service.roster.revocation(voucher.id)
    assert.ok(known !== undefined)
    await early.service.takeRevocation(known)
    await world.clock.advance(1000)
    assert.ok(!early.service.isMember(late.id))
    assert.ok(!early.peers.has(late.id), 'cut, though its connection was good')
    await Promise.all([voucher, early, late].map(async (node) => node.stop()))
  })

  it('silence makes suspect and then gone, not before its time; a sign of life brings back', async () => {
    const { world, nodes } = await meshOf(4)
    await world.clock.advance(60_000)
    const [a, , , dead] = nodes as [SimulatedNode, SimulatedNode, SimulatedNode, SimulatedNode]
    dead.freeze() // connections stay, as with a machine whose cable was pulled
    await world.clock.advance(20_000)
    assert.equal(a.view().n3, 'up')
    await world.clock.advance(60_000)
    assert.equal(a.view().n3, 'suspect')
    await world.clock.advance(graceMs - 3 * 60_000)
    assert.equal(a.view().n3, 'suspect')
    await world.clock.advance(3 * 60_000)
    assert.equal(a.view().n3, 'gone')
    assert.ok(a.service.member(dead.id)!.reliability < 0.05)
    assert.ok(a.service.member(nodes[1]!.id)!.reliability > 0.999)
    dead.thaw(graceMs)
    await world.clock.advance(20_000)
    assert.deepEqual(a.view(), allUp(nodes))
    await Promise.all(nodes.map(async (node) => node.stop()))
  })

  it('a machine that slept for days judges nobody until it has redialled, and the dead by what the others know', async () => {
    const { world, nodes } = await meshOf(4)
    await world.clock.advance(60_000)
    const [sleeper, , , dead] = nodes as [SimulatedNode, SimulatedNode, SimulatedNode, SimulatedNode]
    const judgedGone: string[] = []
    sleeper.service.on('changed', (member) => {
      if (member.state !== 'up') judgedGone.push(`${member.name} ${member.state}`)
    })
    await sleeper.stop()
    await dead.stop()
    await world.clock.advance(3 * graceMs)
    await sleeper.start()
    sleeper.service.on('changed', (member) => {
      if (member.state === 'gone') judgedGone.push(`${member.name} ${member.state}`)
    })
    await world.clock.advance(10_000)
    assert.deepEqual(judgedGone, [])
    await world.clock.advance(120_000)
    assert.deepEqual(sleeper.view(), { n0: 'up', n1: 'up', n2: 'up', n3: 'gone' })
    assert.deepEqual(judgedGone, ['n3 gone'])
    // Alone from the start, it has no news of anybody, and waits out the whole grace.
    await sleeper.stop()
    for (const node of nodes.slice(1, 3)) await node.stop()
    await world.clock.advance(3 * graceMs)
    await sleeper.start()
    await world.clock.advance(graceMs - 60_000)
    assert.deepEqual(sleeper.view(), { n0: 'up', n1: 'suspect', n2: 'suspect', n3: 'gone' })
    await world.clock.advance(120_000)
    assert.deepEqual(sleeper.view(), { n0: 'up', n1: 'gone', n2: 'gone', n3: 'gone' })
    await sleeper.stop()
  })

  it('comes together under loss of gossip and requests, and with a wall between some', async () => {
    for (const seed of [1, 2, 3]) {
      const { world, mesh, nodes } = await meshOf(6, { seed })
      mesh.gossipLoss = 0.5
      mesh.rpcLoss = 0.2
      // Not those whom the invites name: there a newcomer has nobody else to ask.
      mesh.wall(nodes[1]!.id, nodes[4]!.id, true)
      mesh.wall(nodes[2]!.id, nodes[3]!.id, true)
      await world.clock.advance(10 * 60_000)
      for (const node of nodes) assert.deepEqual(node.view(), allUp(nodes), `seed ${String(seed)} ${node.name}`)
      assert.equal(mesh.verdicts.reject, 0)
      await Promise.all(nodes.map(async (node) => node.stop()))
    }
  })

  it('is quick where the grace is seconds', async () => {
    const { world, nodes } = await meshOf(4, { graceMs: 5000 })
    await world.clock.advance(10_000)
    assert.deepEqual(nodes[0]!.view(), allUp(nodes))
    nodes[3]!.freeze()
    await world.clock.advance(8000)
    assert.equal(nodes[0]!.view().n3, 'gone')
    await Promise.all(nodes.map(async (node) => node.stop()))
  })

  it('a restart is seen as one, with its new description', async () => {
    const { world, nodes } = await meshOf(3)
    await world.clock.advance(15_000)
    const before = nodes[0]!.service.member(nodes[2]!.id)!.startId
    await nodes[2]!.stop()
    await nodes[2]!.start()
    await world.clock.advance(15_000)
    assert.notEqual(nodes[0]!.service.member(nodes[2]!.id)!.startId, before)
    nodes[2]!.service.describeSelf({ name: 'renamed', region: 'there', segment: 's', power: 'battery', addresses: [nodes[2]!.address], version: '2' })
    await world.clock.advance(40_000)
    assert.equal(nodes[0]!.service.member(nodes[2]!.id)!.name, 'renamed')
    await Promise.all(nodes.map(async (node) => node.stop()))
  })

  it('costs little when nothing happens (prints bytes per node and hour)', async () => {
    const { world, mesh, nodes } = await meshOf(8)
    await world.clock.advance(10 * 60_000)
    mesh.gossipBytes = mesh.rpcBytes = 0
    await world.clock.advance(hourMs)
    const perNode = (mesh.gossipBytes + mesh.rpcBytes) / nodes.length
    console.log(`      8 nodes idle: ${String(Math.round(mesh.gossipBytes / 8))} B gossip, ${String(Math.round(mesh.rpcBytes / 8))} B sync, per node and hour`)
    assert.ok(perNode < 300_000)
    await Promise.all(nodes.map(async (node) => node.stop()))
  })
})
