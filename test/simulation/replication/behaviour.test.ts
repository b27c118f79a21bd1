import assert from 'node:assert/strict'
import { CID } from 'multiformats/cid'
import { replicationDefaults } from '../../../src/replication/index.js'
import type { Host } from './mesh.js'
import { Mesh } from './mesh.js'
import { cidOf, usageOf } from './twins.js'

const mib = 2 ** 20
const never = new AbortController().signal

async function meshOf(nodes: number, maxBytes: number, rest: Partial<ConstructorParameters<typeof Mesh>[0]> = {}): Promise<Mesh> {
  const mesh = new Mesh({ seed: 77, nodes, maxBytes, ...rest })
  await mesh.clock.advance(20_000)
  return mesh
}
const holds = (mesh: Mesh, cid: string, count: number) => (): boolean => mesh.copies(cid).length === count

describe('replication: what it does', function () {
  this.timeout(60_000)

  it('a file removed, a count raised and lowered, a priority changed: all within seconds', async () => {
    const mesh = await meshOf(5, 200 * mib)
    const host = mesh.hosts[0]!
    const { path, cid } = mesh.put(host, { bytes: mib, replicas: 2 })
    await mesh.until(holds(mesh, cid, 2), 20_000, 'two copies')
    mesh.change(host, path, { cid, size: mib, priority: 'high', replicas: 4 })
    await mesh.until(holds(mesh, cid, 4), 20_000, 'four copies')
    mesh.change(host, path, { cid, size: mib, priority: 'high', replicas: 2 })
    await mesh.until(holds(mesh, cid, 2), 30 * 60_000, 'two again')
    assert.ok(mesh.copies(cid).includes(host), 'its owner keeps it')
    mesh.change(host, path, undefined)
    await mesh.until(holds(mesh, cid, 0), 60_000, 'none')
    await mesh.end()
  })

  it('makes copies while it cannot be found out whether what nobody names is wanted after all', async () => {
    let asked = 0
    const mesh = await meshOf(3, 300 * mib, { mayBeWanted: async (_cid, signal) => {
      asked++
      // The list of some large file is at a node that does not answer.
      await mesh.clock.sleep(15_000, signal)
      throw new Error('nobody has it')
    } })
    const host = mesh.hosts[0]!
    const removed = Array.from({ length: 40 }, () => mesh.put(host, { bytes: 10_000, replicas: 2 }))
    await mesh.until(() => removed.every(({ cid }) => mesh.copies(cid).length === 2), 20_000, 'two copies')
    for (const { path } of removed) mesh.change(host, path, undefined)
    await mesh.until(() => asked > 8, 60_000, 'somebody to look at them')
    for (let i = 0; i < 5; i++) {
      const { cid } = mesh.put(host, { bytes: mib, replicas: 3 })
      await mesh.until(holds(mesh, cid, 3), 5_000, 'three copies')
      await mesh.clock.advance(7_000)
    }
    await mesh.end()
  })

  it('a file larger than any one quota is spread, blob by blob', async () => {
    const mesh = await meshOf(6, 130 * mib)
    // The owner's node has room for all of it, and gives nothing to others.
    const owner = mesh.add(400 * mib)
    await mesh.clock.advance(20_000)
    const { path, cid } = mesh.put(owner, { bytes: 30 * mib, parts: 8, replicas: 2 })
    const count = await mesh.clock.outcome(owner.replication.wait(path, never), 120_000)
    assert.deepEqual([count.have, count.blobs], [2, 9])
    for (const part of mesh.world.parts.get(cid)!) assert.equal(mesh.copies(part).length, 2)
    assert.ok(mesh.hosts.filter((host) => host !== owner && host.disk.held.size > 0).length >= 2)
    // The owner dies: what is left of each part makes itself whole again, though no other node has all of them.
    mesh.kill(owner)
    await mesh.until(() => mesh.world.parts.get(cid)!.every((part) => mesh.copies(part).length >= 2), 10 * 60_000, 'every part twice')
    await mesh.end()
  })

  it('a full node makes room for what matters more, out of what matters less or is there too often, and never the last', async () => {
    const mesh = await meshOf(3, 100 * mib, { settings: { evictionStrategy: 'priority' } })
    const [a, b, c] = mesh.hosts as [Host, Host, Host]
    const lows = Array.from({ length: 9 }, () => mesh.put(a, { bytes: 8 * mib, priority: 'low', replicas: 3 }))
    await mesh.until(() => lows.every((file) => mesh.copies(file.cid).length === 3), 60_000, 'three copies of low')
    const single = mesh.put(b, { bytes: 8 * mib, priority: 'expendable', replicas: 1 })
    // Past the hour in which what has only just come is left alone.
    await mesh.clock.advance(3700_000)
    const high = mesh.put(c, { bytes: 20 * mib, priority: 'high', replicas: 3 })
    await mesh.until(holds(mesh, high.cid, 3), 5 * 60_000, 'three copies of high')
    for (const file of lows) assert.ok(mesh.copies(file.cid).length >= 2, 'no less than the minimum')
    assert.equal(mesh.copies(single.cid).length, 1)
    await mesh.end()
  })

  it('a node full of what others need makes room for its owner\'s file: their copies move to who has room, or stay', async () => {
    const mesh = await meshOf(3, 100 * mib)
    const [a, b] = mesh.hosts as [Host, Host, Host]
    const files = Array.from({ length: 9 }, () => mesh.put(a, { bytes: 10 * mib, replicas: 3 }))
    const whole = (): boolean => files.every((file) => mesh.copies(file.cid).length === 3)
    await mesh.until(whole, 60_000, 'three copies')
    // Nobody has room, and nothing has been here for the hour after which it may be evicted: then nothing goes.
    await assert.rejects(mesh.clock.outcome(b.replication.reserve(30 * mib)), { code: 'NO_SPACE' })
    assert.ok(whole())
    const newcomer = mesh.add(60 * mib)
    await mesh.clock.advance(20_000)
    await assert.rejects(mesh.clock.outcome(b.replication.reserve(90 * mib)), { code: 'NO_SPACE' })
    const came = (): number => newcomer.disk.held.size
    assert.equal(came(), 0, 'nor if it would not be enough')
    const room = await mesh.clock.outcome(b.replication.reserve(30 * mib), 60_000)
    assert.ok(came() >= 3)
    assert.ok(whole())
    await mesh.clock.outcome(room.release())
    await mesh.end()
  })

  it('evict: a dry run tells, the real one asks first; two holders at the same instant never drop the last two', async () => {
    const mesh = await meshOf(4, 300 * mib)
    const file = mesh.put(mesh.hosts[0]!, { bytes: 4 * mib, priority: 'low', replicas: 2 })
    const pinned = mesh.put(mesh.hosts[0]!, { bytes: 4 * mib, priority: 'low', replicas: 2, pinned: true })
    await mesh.until(() => mesh.copies(file.cid).length === 2 && mesh.copies(pinned.cid).length === 2, 20_000, 'two copies')
    await mesh.clock.advance(3700_000)
    for (const host of mesh.hosts) host.replication.configure({ factors: { ...replicationDefaults.factors, minFactor: 1 }, sweepIntervalMs: 3600_000 })
    const [a, b] = mesh.copies(file.cid) as [Host, Host]
    const dry = await mesh.clock.outcome(a.replication.evict({ bytes: mib, dryRun: true }))
    assert.deepEqual([dry.actions.map((action) => [action.kind, action.cid, action.to]), dry.bytes, dry.freedBytes], [[['evict', file.cid, null]], 4 * mib, 0])
    const both = await mesh.clock.outcome(Promise.all([a, b].map((host) => host.replication.evict({ bytes: mib, dryRun: false }))))
    assert.ok(both[0]!.freedBytes + both[1]!.freedBytes <= 4 * mib)
    assert.ok(mesh.copies(file.cid).length >= 1)
    assert.equal(mesh.copies(pinned.cid).length, 2)
    await mesh.end()
  })

  it('drains: everything it must keep is elsewhere before it says so, and it takes nothing more', async () => {
    const mesh = await meshOf(5, 300 * mib)
    const leaver = mesh.hosts[2]!
    const files = Array.from({ length: 30 }, (_, i) => mesh.put(mesh.hosts[i % 5]!, { bytes: 2 * mib, replicas: 2, priority: i % 3 === 0 ? 'high' : 'normal' }))
    await mesh.until(() => files.every((file) => mesh.copies(file.cid).length >= 2), 60_000, 'two copies')
    const outcome = await mesh.clock.outcome(leaver.replication.drain(never), 600_000)
    assert.equal(outcome.remaining, 0)
    assert.ok(outcome.moved > 0)
    assert.equal(leaver.disk.held.size, 0)
    for (const file of files) assert.ok(mesh.copies(file.cid).length >= 2)
    await mesh.clock.advance(60_000)
    assert.equal(leaver.disk.held.size, 0)
    await mesh.end()
  })

  it('drains honestly: with nobody to take it, it says what is left', async () => {
    const mesh = await meshOf(1, 300 * mib)
    mesh.put(mesh.hosts[0]!, { bytes: mib, replicas: 1 })
    await mesh.clock.advance(1000)
    const outcome = await mesh.clock.outcome(mesh.hosts[0]!.replication.drain(never), 600_000)
    assert.deepEqual([outcome.remaining, outcome.problems.length], [1, 1])
    await mesh.end()
  })

  it('a limit lowered below what is used is reached by moving, and no copy is lost on the way', async () => {
    const mesh = await meshOf(4, 300 * mib)
    const host = mesh.hosts[1]!
    const files = Array.from({ length: 40 }, (_, i) => mesh.put(mesh.hosts[i % 4]!, { bytes: 4 * mib, replicas: 2, priority: 'low' }))
    await mesh.until(() => files.every((file) => mesh.copies(file.cid).length >= 2), 60_000, 'two copies')
    const limit = Math.floor(usageOf(host.disk).totalBytes / 2)
    const quota = { maxBytes: limit, reservedBytes: 0, shareExcess: true, minFreeDiskBytes: 0 }
    host.replication.configure({ quota })
    await mesh.until(() => usageOf(host.disk).totalBytes <= limit, 30 * 60_000, 'below the new limit')
    for (const file of files) assert.ok(mesh.copies(file.cid).length >= 2)
    await mesh.end()
  })

  it('on battery it leaves repair and storing to others, goes on counting, and resumes', async () => {
    const mesh = await meshOf(4, 300 * mib)
    mesh.hosts[3]!.replication.configure({ quota: { maxBytes: 300 * mib, reservedBytes: 0, shareExcess: false, minFreeDiskBytes: 0 } })
    mesh.hosts[0]!.replication.pause()
    await mesh.clock.advance(5_000)
    const file = mesh.put(mesh.hosts[0]!, { bytes: mib, replicas: 3 })
    await mesh.clock.advance(60_000)
    assert.equal(mesh.copies(file.cid).length, 1)
    assert.equal(mesh.hosts[0]!.replication.status().state, 'paused')
    mesh.hosts[0]!.replication.resume()
    await mesh.until(holds(mesh, file.cid, 3), 30_000, 'three copies')
    assert.ok(!mesh.hosts[3]!.disk.held.has(file.cid), 'it does not share')
    await mesh.end()
  })

  it('who acknowledges what it has not got is caught by the proof, is not counted, and gets nothing more', async () => {
    const mesh = await meshOf(5, 300 * mib)
    const liar = mesh.hosts[4]!
    mesh.world.liars.add(liar.id)
    const files = Array.from({ length: 12 }, () => mesh.put(mesh.hosts[0]!, { bytes: mib, replicas: 3 }))
    await mesh.until(() => files.every((file) => mesh.copies(file.cid).length >= 3), 120_000, 'three true copies')
    for (let i = 0; i < 12 && mesh.hosts[0]!.replication.status().untrusted.length === 0; i++) {
      await mesh.clock.advance(60_000)
      files.push(mesh.put(mesh.hosts[0]!, { bytes: mib, replicas: 3 }))
    }
    assert.deepEqual(mesh.hosts[0]!.replication.status().untrusted, [liar.id])
    await mesh.until(() => files.every((file) => mesh.copies(file.cid).length >= 3), 120_000, 'three true copies')
    for (const file of files) {
      const count = await mesh.clock.outcome(mesh.hosts[0]!.replication.replicasOf(file.path))
      assert.ok(!count.holders.includes(liar.id))
    }
    await mesh.end()
  })

  it('who lists what it has thrown away is caught by spot checks', async () => {
    const mesh = await meshOf(3, 300 * mib, { settings: { spotCheckIntervalMs: 30_000 } })
    const files = Array.from({ length: 6 }, () => mesh.put(mesh.hosts[0]!, { bytes: mib, replicas: 2 }))
    await mesh.until(() => files.every((file) => mesh.copies(file.cid).length >= 2), 60_000, 'two copies')
    const cheat = mesh.hosts.find((host) => host !== mesh.hosts[0] && host.disk.held.size > 0)!
    mesh.world.liars.add(cheat.id)
    // Its inventory goes on listing them: the disk is emptied behind the back of its room, which is asked in vain.
    cheat.disk.held.clear()
    await mesh.until(() => mesh.hosts[0]!.replication.status().untrusted.includes(cheat.id), 3600_000, 'caught')
    await mesh.until(() => files.every((file) => mesh.copies(file.cid).length >= 2), 600_000, 'copies elsewhere')
    await mesh.end()
  })

  it('who cannot read what it holds is no liar, whoever finds out and in whatever way', async () => {
    const mesh = await meshOf(3, 300 * mib, { settings: { spotCheckIntervalMs: 30_000 } })
    const [owner] = mesh.hosts
    const files = Array.from({ length: 6 }, () => mesh.put(owner!, { bytes: mib, replicas: 2 }))
    const whole = (): boolean => files.every((file) => mesh.copies(file.cid).length >= 2)
    await mesh.until(whole, 60_000, 'two copies')
    // Rots at the holders, which are asked by lot; and at the owner, which then has nothing to compare with.
    for (const host of mesh.hosts) {
      for (const cid of host.disk.held.keys()) host.disk.rotten.add(cid)
      await mesh.until(() => host.disk.rotten.size === 0, 3600_000, 'all of it to be found')
      for (const other of mesh.hosts) assert.deepEqual([...other.disk.meta.keys()].filter((key) => key.includes('trust/')), [])
    }
    await mesh.until(whole, 600_000, 'two copies again')
    await mesh.end()
  })

  it('hundreds of arrivals at once never pass the limit by one byte', async () => {
    const mesh = await meshOf(3, 60 * mib, { settings: { autoEvict: false, storesMax: 64, copiesMax: 64 } })
    const tight = mesh.add(40 * mib)
    await mesh.clock.advance(20_000)
    // Without headroom, so that nothing but the reservations stands between it and the limit.
    tight.replication.configure({ quota: { maxBytes: 40 * mib, reservedBytes: 0, shareExcess: true, minFreeDiskBytes: 0, headroomBytes: 0 } })
    const big = mesh.add(2000 * mib)
    await mesh.clock.advance(20_000)
    for (let i = 0; i < 300; i++) mesh.put(big, { bytes: 100_000 + mesh.random.below(2 * mib), replicas: 5 })
    await mesh.clock.advance(120_000)
    const used = usageOf(tight.disk).totalBytes
    assert.ok(used > 20 * mib, 'it took what it could')
    assert.ok(used <= 40 * mib)
    // end() checks that nobody was above its limit at any of the samples.
    await mesh.end()
  })

  it('forgets a node that is never coming back, without waiting for the grace; and counts it again when it does', async () => {
    const mesh = await meshOf(5, 300 * mib, { graceMs: 24 * 3600_000 })
    const file = mesh.put(mesh.hosts[0]!, { bytes: mib, replicas: 3 })
    await mesh.until(holds(mesh, file.cid, 3), 30_000, 'three copies')
    await mesh.clock.outcome(mesh.hosts[0]!.replication.wait(file.path, never))
    await mesh.clock.advance(20_000)
    const gone = mesh.copies(file.cid).find((host) => host !== mesh.hosts[0])!
    mesh.crash(gone)
    await mesh.clock.advance(300_000)
    assert.equal(mesh.copies(file.cid).length, 3, 'within the grace it counts')
    for (const host of mesh.living) if (host !== gone) await mesh.clock.outcome(host.replication.forget(gone.id))
    await mesh.until(() => mesh.copies(file.cid).length === 4, 60_000, 'a fourth')
    mesh.restart(gone)
    await mesh.until(holds(mesh, file.cid, 3), 3600_000, 'trimmed')
    await mesh.end()
  })

  it('keeps what is pinned here though no file refers to it, and lets go when it is told that nobody needs it', async () => {
    const mesh = await meshOf(3, 200 * mib, { settings: { orphanAfterMs: 60_000 } })
    const [a, b] = [mesh.hosts[0]!, mesh.hosts[1]!]
    const { path, cid } = mesh.put(a, { bytes: mib, replicas: 3 })
    await mesh.until(holds(mesh, cid, 3), 20_000, 'three copies')
    b.kept.add(cid)
    mesh.change(a, path, undefined)
    await mesh.until(holds(mesh, cid, 1), 60_000, 'the pinned one alone')
    // A restart forgets that a file was removed; later it is nobody's all the same.
    mesh.crash(b)
    mesh.restart(b)
    await mesh.clock.advance(5 * 60_000)
    assert.deepEqual(mesh.copies(cid).map(({ id }) => id), [b.id])
    b.kept.delete(cid)
    b.replication.unneeded(cid)
    await mesh.until(holds(mesh, cid, 0), 60_000, 'none')
    await mesh.end()
  })

  it('notices a removal while it still works with an answer from before it', async () => {
    const mesh = await meshOf(2, 200 * mib)
    const host = mesh.hosts[0]!
    const { path, cid } = mesh.put(host, { bytes: mib, replicas: 1 })
    await mesh.clock.advance(20_000)
    const ask = host.catalog.byCid.bind(host.catalog)
    host.catalog.byCid = async (asked) => {
      const answer = await ask(asked)
      await mesh.clock.sleep(200)
      return answer
    }
    mesh.change(host, path, { cid, size: mib, priority: 'high', replicas: 1 })
    await mesh.clock.advance(100)
    mesh.change(host, path, undefined)
    await mesh.until(holds(mesh, cid, 0), 60_000, 'none')
    await mesh.end()
  })

  it('takes nothing that no file refers to', async () => {
    const mesh = await meshOf(2, 300 * mib)
    const stray = cidOf('stray')
    mesh.hosts[0]!.blobs.put(stray, mib)
    mesh.hosts[0]!.replication.heldChanged()
    await mesh.clock.advance(60_000)
    assert.equal(mesh.copies(stray.toString()).length, 1)
    const { StoreRequest } = await import('../../../src/replication/wire/replication.js')
    const body = StoreRequest.encode({ cid: stray.bytes, spine: false, bytes: mib, holders: [], move: false })
    await assert.rejects(mesh.clock.outcome(mesh.hosts[0]!.net.rpc.request(mesh.hosts[1]!.id, 'replication.store', body, { deadlineMs: 60_000 })), { code: 'NOT_FOUND' })
    await mesh.end()
  })

  it('lets nobody rely on a copy that no file wants any more', async () => {
    const mesh = await meshOf(2, 300 * mib)
    const [a, b] = [mesh.hosts[0]!, mesh.hosts[1]!]
    const wanted = mesh.put(a, { bytes: mib, replicas: 2 })
    const stray = cidOf('stray')
    a.blobs.put(stray, mib)
    a.replication.heldChanged()
    await mesh.clock.advance(20_000)
    const { KeepRequest, KeepResponse } = await import('../../../src/replication/wire/replication.js')
    const ask = async (cid: string): Promise<{ keeps: boolean; reason: string }> => {
      const body = KeepRequest.encode({ cid: CID.parse(cid).bytes, attempt: 'one', keepMs: 60_000 })
      return KeepResponse.decode(await mesh.clock.outcome(b.net.rpc.request(a.id, 'replication.confirmKeep', body, { deadlineMs: 60_000 })))
    }
    assert.equal((await ask(wanted.cid)).keeps, true)
    const { keeps, reason } = await ask(stray.toString())
    assert.deepEqual([keeps, reason], [false, 'wants to drop it too'])
    await mesh.end()
  })
})
