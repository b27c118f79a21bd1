import assert from 'node:assert/strict'
import type { Priority } from '../../../src/catalog/index.js'
import { replicationDefaults } from '../../../src/replication/index.js'
import { Mesh } from './mesh.js'

const mib = 2 ** 20

describe('replication: a mesh over twins', function () {
  this.timeout(60_000)

  it('puts the wanted copies where they belong, and says when they are there', async () => {
    const mesh = new Mesh({ seed: 1, nodes: 5, maxBytes: 300 * mib })
    await mesh.clock.advance(20_000)
    const [host] = mesh.hosts
    const { path, cid } = mesh.put(host!, { bytes: 5 * mib, replicas: 3 })
    const started = mesh.clock.monotonicMs()
    const seen: number[] = []
    const count = await mesh.clock.outcome(host!.replication.wait(path, new AbortController().signal, (one) => seen.push(one.have)), 30_000)
    assert.equal(count.have, 3)
    assert.equal(count.holders.length, 3)
    assert.deepEqual(seen, [...seen].sort())
    assert.equal(mesh.copies(cid).length, 3)
    console.log(`      three copies of 5 MiB acknowledged after ${String(Math.round(mesh.clock.monotonicMs() - started))} virtual ms`)
    // Others know too, from gossip, and nobody makes a fourth.
    await mesh.clock.advance(60_000)
    for (const other of mesh.hosts) assert.equal((await mesh.clock.outcome(other.replication.replicasOf(path))).have, 3)
    assert.equal(mesh.copies(cid).length, 3)
    await mesh.end()
  })

  it('copies all that a dead node had in one go, and not in portions, one a sweep', async () => {
    // Ten plans' worth, with the ten seconds between sweeps that a node has whose grace is a day.
    const mesh = new Mesh({ seed: 3, nodes: 2, maxBytes: 10_000 * mib, graceMs: 60_000, settings: {
      sweepIntervalMs: 10_000,
      rebalance: { ...replicationDefaults.rebalance, graceMs: 3_000, urgentAfterMs: 3_000, actionsMax: 20 },
    } })
    mesh.world.bytesPerSecond = 1e9
    await mesh.clock.advance(20_000)
    const [a, b] = [mesh.hosts[0]!, mesh.hosts[1]!]
    const files = Array.from({ length: 200 }, () => mesh.put(a, { bytes: mib, replicas: 2 }))
    const all = (copies: number) => (): boolean => files.every(({ cid }) => mesh.copies(cid).length >= copies)
    await mesh.until(all(2), 5_000, 'second copies')
    const c = mesh.add()
    await mesh.clock.advance(30_000)
    mesh.kill(b)
    await mesh.until(() => c.disk.held.size > 0, 120_000, 'the first copy')
    const started = mesh.clock.monotonicMs()
    await mesh.until(() => c.disk.held.size >= files.length, 5_000, 'the last copy')
    console.log(`      200 blobs, 20 to a plan, copied in ${String(Math.round(mesh.clock.monotonicMs() - started))} virtual ms`)
    await mesh.end()
  })

  it('copies between nodes that are all busy and ask each other, without waiting for each other', async () => {
    const mesh = new Mesh({ seed: 4, nodes: 3, maxBytes: 1000 * mib, busy: true })
    await mesh.clock.advance(20_000)
    // More than have places at a node that steps back, of each size, from everybody to everybody.
    const files = mesh.hosts.flatMap((host) => Array.from({ length: 60 }, (_, i) => mesh.put(host, { bytes: i % 4 === 0 ? mib : 10_000, replicas: 3 })))
    await mesh.until(() => files.every(({ cid }) => mesh.copies(cid).length === 3), 30_000, 'three copies of each')
    await mesh.end()
  })

  for (const seed of [11, 12, 13]) {
    it(`heals after kills, a partition and restarts, with lost and doubled messages (seed ${String(seed)})`, async () => {
      const mesh = new Mesh({ seed, nodes: 8, maxBytes: 400 * mib, network: { lossRatio: 0.02, duplicateRatio: 0.02 } })
      await mesh.clock.advance(20_000)
      const files: { path: string; cid: string; replicas: number }[] = []
      const kinds: [Priority, number][] = [['critical', 4], ['high', 3], ['normal', 2], ['normal', 3], ['low', 2]]
      for (let i = 0; i < 60; i++) {
        const [priority, replicas] = kinds[i % kinds.length]!
        const owner = mesh.hosts[mesh.random.below(8)]!
        files.push({ ...mesh.put(owner, { bytes: 100_000 + mesh.random.below(8 * mib), priority, replicas }), replicas })
        await mesh.clock.advance(mesh.random.below(500))
      }
      const whole = (): boolean => files.every((file) => mesh.copies(file.cid).length >= file.replicas)
      await mesh.until(whole, 300_000, 'the first copies')

      mesh.kill(mesh.hosts[3]!)
      for (const file of files) assert.ok(mesh.copies(file.cid).length > 0)
      await mesh.until(whole, 600_000, 'healing after one death')

      const ids = mesh.living.map((host) => host.id)
      mesh.network.partition([ids.slice(0, 3), ids.slice(3)])
      await mesh.clock.advance(30_000)
      for (let i = 0; i < 6; i++) files.push({ ...mesh.put(mesh.living[i]!, { bytes: mib, priority: 'normal', replicas: 2 }), replicas: 2 })
      mesh.crash(mesh.hosts[5]!)
      await mesh.clock.advance(100_000)
      mesh.restart(mesh.hosts[5]!)
      mesh.network.heal()
      await mesh.until(whole, 600_000, 'healing after the partition')
      mesh.kill(mesh.hosts[6]!)
      await mesh.until(whole, 600_000, 'healing after the second death')

      // What was copied on both sides of the partition is trimmed, late, and never below what is wanted.
      const surplus = (): number => files.reduce((sum, file) => sum + Math.max(0, mesh.copies(file.cid).length - file.replicas), 0)
      const before = surplus()
      for (let i = 0; i < 40; i++) {
        await mesh.clock.advance(30_000)
        assert.ok(whole(), 'trimmed below the wanted count')
      }
      console.log(`      ${String(files.length)} files; surplus ${String(before)} → ${String(surplus())}`)
      assert.ok(surplus() <= before / 4)
      await mesh.end()
    })
  }
})
