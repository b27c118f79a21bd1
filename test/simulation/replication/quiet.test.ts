import assert from 'node:assert/strict'
import { CID } from 'multiformats/cid'
import { replicationDefaults } from '../../../src/replication/index.js'
import { StoreRequest } from '../../../src/replication/wire/replication.js'
import type { Host, MeshInit } from './mesh.js'
import { Mesh } from './mesh.js'
import { Stranger } from './stranger.js'

const mib = 2 ** 20
const second = 1000
const minute = 60 * second

describe('replication: when nothing changes', function () {
  this.timeout(60_000)
  const many = 100
  const blobBytes = 1000

  const looks = (hosts: readonly Host[]): number => hosts.reduce((sum, host) => sum + host.replication.status().looked, 0)

  /** A mesh whose sweeps are hours apart once it has come to rest: what happens sooner, happens for a reason. */
  function meshOf(init: Partial<MeshInit> & { nodes: number }): Mesh {
    const { settings, ...rest } = init
    return new Mesh({ seed: 130, maxBytes: 300 * mib, graceMs: minute, settings: { balanceIntervalMs: 1000 * 3600 * second, sweepRestPerBlobMs: 15 * minute, ...settings }, ...rest })
  }

  /** So many small files of the first host's, and past the first minutes, in which sweeps do not rest. */
  async function atRest(mesh: Mesh, replicas: number, copies: number): Promise<string[]> {
    await mesh.clock.advance(20 * second)
    const cids = Array.from({ length: many }, () => mesh.put(mesh.hosts[0]!, { bytes: blobBytes, replicas }).cid)
    await mesh.until(() => cids.every((cid) => mesh.copies(cid).length === copies), minute, 'the copies')
    await mesh.clock.advance(20 * minute)
    return cids
  }

  const all = (mesh: Mesh, cids: readonly string[], copies: number) => (): boolean => cids.every((cid) => mesh.copies(cid).length === copies)

  it('and a copy of everything is short, with nobody to take it: each blob is looked at by the sweeps alone', async () => {
    const mesh = meshOf({ nodes: 2 })
    await atRest(mesh, 3, 2)
    // Other programs write to both disks meanwhile, so that what the nodes say of their room is never the same twice.
    for (let i = 0; i < 5; i++) {
      for (const host of mesh.hosts) host.disk.draftBytes = 1000 * (i % 7)
      const before = looks(mesh.hosts)
      await mesh.clock.advance(12 * minute)
      // At most one sweep of each node in a quarter of an hour.
      assert.ok(looks(mesh.hosts) - before <= 2 * many, `${String(looks(mesh.hosts) - before)} looks`)
    }
    assert.equal(mesh.hosts[0]!.replication.status().underReplicated, many)
    await mesh.end()
  })

  it('nor is anything looked at for a full node whose room goes up and down by less than it would take', async () => {
    const mesh = meshOf({ nodes: 2, settings: { vitalsMinMs: 10 * second, sweepIntervalMs: 7 * minute } })
    const full = mesh.add(10 * mib)
    await mesh.clock.advance(20 * second)
    full.replication.configure({ quota: { maxBytes: 2000, reservedBytes: 0, shareExcess: true, minFreeDiskBytes: 0, headroomBytes: 0 } })
    // A copy of one of these takes 2,536 bytes of a quota.
    const cids = await atRest(mesh, 3, 2)
    let lookedMost = 0
    for (let i = 0; i < 60; i++) {
      full.replication.configure({ quota: { maxBytes: 2000 + 100 * (i % 5), reservedBytes: 0, shareExcess: true, minFreeDiskBytes: 0, headroomBytes: 0 } })
      const before = looks(mesh.hosts.slice(0, 2))
      await mesh.clock.advance(10 * second)
      lookedMost += looks(mesh.hosts.slice(0, 2)) - before
    }
    assert.ok(lookedMost <= 2 * many, `${String(lookedMost)} looks`)
    // It has room: everything comes within seconds, though the next sweep is minutes away.
    full.replication.configure({ quota: { maxBytes: 10 * mib, reservedBytes: 0, shareExcess: true, minFreeDiskBytes: 0 } })
    await mesh.until(() => full.disk.held.size > 0, 5 * second, 'the first copy')
    await mesh.until(all(mesh, cids, 3), 10 * second, 'all copies')
    await mesh.until(() => mesh.hosts.every((host) => host.replication.status().underReplicated === 0), 10 * second, 'all to know')
    await mesh.end()
  })

  it('a newcomer gets what is short within seconds, and the counts are right without a sweep', async () => {
    const mesh = meshOf({ nodes: 2 })
    const cids = await atRest(mesh, 3, 2)
    const newcomer = mesh.add()
    await mesh.until(() => newcomer.disk.held.size > 0, 5 * second, 'the first copy')
    await mesh.until(all(mesh, cids, 3), 10 * second, 'all copies')
    await mesh.until(() => mesh.hosts.every((host) => host.replication.status().underReplicated === 0), 10 * second, 'all to know')
    await mesh.end()
  })

  it('a node that returns gets it, too', async () => {
    const mesh = meshOf({ nodes: 3 })
    await mesh.clock.advance(20 * second)
    const away = mesh.hosts[2]!
    mesh.crash(away)
    const cids = await atRest(mesh, 3, 2)
    mesh.restart(away)
    await mesh.until(() => away.disk.held.size > 0, 10 * second, 'the first copy')
    await mesh.until(all(mesh, cids, 3), 10 * second, 'all copies')
    await mesh.end()
  })

  it('what a node that died held is copied as soon as it counts no more, and only that is looked at', async () => {
    const mesh = meshOf({ nodes: 6 })
    const cids = await atRest(mesh, 2, 2)
    const dead = mesh.hosts[1]!
    const lost = cids.filter((cid) => mesh.copies(cid).includes(dead))
    const kept = cids.length - lost.length
    assert.ok(lost.length > 10 && kept > 10, `${String(lost.length)} lost`)
    const before = looks([mesh.hosts[0]!])
    mesh.kill(dead)
    await mesh.until(() => lost.every((cid) => mesh.copies(cid).length === 2), minute + replicationDefaults.sweepIntervalMs + 15 * second, 'second copies')
    // When it fell silent, when that was long enough, and when a copy is there.
    const looked = looks([mesh.hosts[0]!]) - before
    assert.ok(looked <= 4 * lost.length, `${String(looked)} looks for ${String(lost.length)} blobs`)
    await mesh.end()
  })

  it('a file comes: it is looked at, and nothing else', async () => {
    const mesh = meshOf({ nodes: 3 })
    await atRest(mesh, 2, 2)
    const before = looks(mesh.hosts)
    const file = mesh.put(mesh.hosts[0]!, { bytes: blobBytes, replicas: 3 })
    await mesh.until(() => mesh.copies(file.cid).length === 3, 2 * second, 'its copies')
    await mesh.clock.advance(30 * second)
    assert.ok(looks(mesh.hosts) - before <= 40, `${String(looks(mesh.hosts) - before)} looks`)
    await mesh.end()
  })

  it('a node that says it has room, and refuses, is asked ever more rarely', async () => {
    const mesh = meshOf({ nodes: 3 })
    await mesh.clock.advance(20 * second)
    const stranger = await Stranger.in(mesh, 2)
    stranger.refuses('store')
    stranger.saysAgain(5 * second)
    await atRest(mesh, 3, 2)
    const before = looks(mesh.hosts.slice(0, 2))
    await mesh.clock.advance(3600 * second)
    const looked = looks(mesh.hosts.slice(0, 2)) - before
    // Each of two nodes: four sweeps, a look of everything in five minutes, and as many again for those that are refused.
    assert.ok(looked <= 2 * many * 25, `${String(looked)} looks`)
    // And somebody else who has room is none the worse for it.
    const newcomer = mesh.add()
    await mesh.until(() => newcomer.disk.held.size === many, 20 * second, 'all copies')
    await mesh.end()
  })

  it('a copy that is left to another is made after all when that one does not make it', async () => {
    const mesh = meshOf({ nodes: 4 })
    await atRest(mesh, 2, 2)
    const [a, b] = mesh.hosts as [Host, Host]
    // It asks for one copy of three, and for no other.
    a.replication.pause()
    const { cid } = mesh.put(a, { bytes: blobBytes, replicas: 4 })
    await mesh.clock.advance(second)
    const body = StoreRequest.encode({ cid: CID.parse(cid).bytes, spine: false, bytes: blobBytes, holders: [], move: false })
    await mesh.clock.outcome(a.net.rpc.request(b.id, 'replication.store', body, { deadlineMs: minute }))
    await mesh.clock.advance(10 * second)
    assert.equal(mesh.copies(cid).length, 2)
    await mesh.until(() => mesh.copies(cid).length === 4, 5 * second + 2 * replicationDefaults.sweepIntervalMs, 'all four')
    await mesh.end()
  })

  it('a surplus goes when it has lasted long enough, and not because of a sweep', async () => {
    const mesh = meshOf({ nodes: 3 })
    const cids = await atRest(mesh, 3, 3)
    const owner = mesh.hosts[0]!
    const began = looks(mesh.hosts)
    for (const record of owner.catalog.all()) mesh.change(owner, record.path, { ...record.content!, replicas: 2 })
    // Five minutes it has to last here.
    await mesh.clock.advance(4 * minute)
    assert.ok(all(mesh, cids, 3)())
    await mesh.until(() => cids.filter((cid) => mesh.copies(cid).length === 2).length > many * 0.9, 2 * minute, 'the trims')
    assert.ok(looks(mesh.hosts) - began <= 3 * many * 12)
    await mesh.end()
  })

  it('on battery nobody repairs, and what waited is made when that is over', async () => {
    const mesh = meshOf({ nodes: 2 })
    const cids = await atRest(mesh, 3, 2)
    for (const host of mesh.hosts) host.replication.pause()
    const newcomer = mesh.add()
    await mesh.clock.advance(2 * minute)
    assert.equal(newcomer.disk.held.size, 0)
    for (const host of mesh.hosts) host.replication.resume()
    await mesh.until(all(mesh, cids, 3), 10 * second, 'all copies')
    await mesh.end()
  })
})
