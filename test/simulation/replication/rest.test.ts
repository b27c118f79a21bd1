import assert from 'node:assert/strict'
import { CID } from 'multiformats/cid'
import { replicationDefaults } from '../../../src/replication/index.js'
import { KeepRequest, KeepResponse } from '../../../src/replication/wire/replication.js'
import type { Host } from './mesh.js'
import { Mesh } from './mesh.js'
import { Stranger } from './stranger.js'
import { cidOf, usageOf } from './twins.js'

const mib = 2 ** 20
const second = 1000
const minute = 60 * second
const never = new AbortController().signal

describe('replication: when a sweep rests', function () {
  this.timeout(60_000)
  /** What reading the disk takes. */
  const sweepMs = 540
  /** For each blob; the host of these tests holds one. */
  const restMs = 100 * second

  /** When each sweep of `host` began, from now on. */
  function sweepsOf(mesh: Mesh, host: Host): number[] {
    const began: number[] = []
    host.blobs.list = async function* () {
      began.push(mesh.clock.monotonicMs())
      await mesh.clock.sleep(sweepMs)
      yield* [...host.disk.held.values()]
    }
    return began
  }
  const gapsOf = (times: number[]): number[] => times.slice(1).map((time, i) => time - (times[i] ?? 0))

  async function calmMesh(nodes: number): Promise<{ mesh: Mesh; host: Host; began: number[] }> {
    const mesh = new Mesh({ seed: 81, nodes, maxBytes: 300 * mib, graceMs: minute, settings: { balanceIntervalMs: 3600 * second, vitalsMinMs: 5 * minute, sweepRestPerBlobMs: restMs } })
    const [host] = mesh.hosts as [Host]
    const file = mesh.put(host, { bytes: mib, replicas: Math.min(2, nodes) })
    await mesh.until(() => mesh.copies(file.cid).length === Math.min(2, nodes), minute, 'the copies')
    const began = sweepsOf(mesh, host)
    // Past the first minute, and past the look for moves.
    await mesh.clock.advance(5 * minute)
    return { mesh, host, began }
  }

  it('for as long as its blobs are many', async () => {
    const { mesh, began } = await calmMesh(3)
    began.length = 0
    await mesh.clock.advance(20 * minute)
    assert.ok(began.length >= 8, `${String(began.length)} sweeps`)
    for (const gap of gapsOf(began)) assert.ok(gap >= restMs && gap < restMs + 15 * second, `${String(gap)} ms from one to the next`)
    await mesh.end()
  })

  it('no less while a node is away and a blob is short, and what is put meanwhile is copied at once', async () => {
    const { mesh, host, began } = await calmMesh(3)
    while (mesh.clock.monotonicMs() - (began.at(-1) ?? 0) > restMs / 4) await mesh.clock.advance(5 * second)
    const sweeps = began.length
    const file = mesh.put(host, { bytes: mib, replicas: 3 })
    await mesh.until(() => mesh.copies(file.cid).length === 3, 5 * second, 'three copies')
    await mesh.clock.advance(second)
    assert.ok(began.length <= sweeps + 1)
    // A third of the nodes falls silent, and then there is nowhere for a third copy: short for as long as that lasts.
    mesh.crash(mesh.hosts[2]!)
    await mesh.clock.advance(2 * minute)
    began.length = 0
    await mesh.clock.advance(10 * minute)
    for (const gap of gapsOf(began)) assert.ok(gap >= restMs, `${String(gap)} ms from one to the next`)
    assert.equal(host.replication.status().underReplicated, 1)
    mesh.restart(mesh.hosts[2]!)
    await mesh.until(() => host.replication.status().underReplicated === 0, 20 * second, 'it to count again')
    await mesh.end()
  })

  it('not in the first minute, nor while there are moves towards balance', async () => {
    const mesh = new Mesh({ seed: 83, nodes: 3, maxBytes: 300 * mib, graceMs: minute, settings: { balanceIntervalMs: 3600 * second, sweepRestPerBlobMs: restMs } })
    const [host] = mesh.hosts as [Host]
    const stranger = await Stranger.in(mesh, 2)
    stranger.refuses('store')
    await stranger.says({ maxBytes: 0, freeForOthersBytes: 0 })
    const began = sweepsOf(mesh, host)
    for (let i = 0; i < 20; i++) mesh.put(mesh.hosts[1]!, { bytes: 5 * mib, replicas: 2 })
    await mesh.clock.advance(50 * second)
    assert.ok(began.length >= 4, `${String(began.length)} sweeps`)
    await mesh.clock.advance(10 * minute)
    // It is empty, it says, and takes nothing: that is tried a few times, and then an hour later.
    stranger.saysAgain(5 * second, () => ({ maxBytes: 300 * mib, freeForOthersBytes: 290 * mib }))
    await mesh.clock.advance(10 * second)
    began.length = 0
    host.replication.rebalance()
    await mesh.clock.advance(15 * minute)
    assert.ok(stranger.count('store') > 0, 'it was asked')
    assert.ok(began.length >= 3 && began.length <= 7, `${String(began.length)} sweeps`)
    await mesh.end()
  })

  it('what another program takes of the disk is noticed between two sweeps', async () => {
    const { mesh, host, began } = await calmMesh(4)
    host.replication.configure({ quota: { maxBytes: 300 * mib, reservedBytes: 0, shareExcess: true, minFreeDiskBytes: 10 * mib } })
    await mesh.clock.advance(2 * restMs)
    const [file] = [...host.disk.held.keys()] as [string]
    while (mesh.clock.monotonicMs() - (began.at(-1) ?? 0) > restMs / 4) await mesh.clock.advance(5 * second)
    host.freeBytes = 9 * mib
    await mesh.until(() => !host.disk.held.has(file), restMs / 2, 'the copy to go elsewhere')
    assert.equal(mesh.copies(file).length, 2)
    await mesh.end()
  })

  it('a copy that is missed between two sweeps is made at once, wherever it was lost', async () => {
    const { mesh, host, began } = await calmMesh(4)
    const [file] = [...host.disk.held.keys()] as [string]
    const holder = mesh.copies(file).find((one) => one !== host)!
    while (mesh.clock.monotonicMs() - (began.at(-1) ?? 0) > restMs / 4) await mesh.clock.advance(5 * second)
    const sweeps = began.length
    // The other holder finds that its copy is gone, and says so.
    holder.disk.held.delete(file)
    holder.replication.heldChanged()
    await mesh.until(() => mesh.copies(file).length === 2, 20 * second, 'a second copy again')
    assert.ok(began.length <= sweeps + 1, 'without a sweep of the one that made it')
    await mesh.end()
  })
})

describe('replication: what a restart must not forget', function () {
  this.timeout(60_000)

  it('a promise to keep: on disk before it is said, so a node that is killed right after keeps it', async () => {
    const mesh = new Mesh({ seed: 82, nodes: 3, maxBytes: 300 * mib, settings: { factors: { ...replicationDefaults.factors, minFactor: 1 } } })
    await mesh.clock.advance(20 * second)
    const [a] = mesh.hosts as [Host]
    const file = mesh.put(a, { bytes: mib, priority: 'low', replicas: 2 })
    await mesh.until(() => mesh.copies(file.cid).length === 2, minute, 'two copies')
    await mesh.clock.advance(3700 * second)
    const asker = mesh.copies(file.cid).find((host) => host !== a)!
    const body = KeepRequest.encode({ cid: CID.parse(file.cid).bytes, attempt: 'one', keepMs: 30 * minute })
    const answer = KeepResponse.decode(await mesh.clock.outcome(asker.net.rpc.request(a.id, 'replication.confirmKeep', body, { deadlineMs: minute })))
    assert.equal(answer.keeps, true)
    mesh.crash(a)
    await mesh.clock.advance(5 * second)
    mesh.restart(a)
    await mesh.clock.advance(20 * second)
    const bound = await mesh.clock.outcome(a.replication.evict({ bytes: mib, dryRun: false }))
    assert.deepEqual([bound.freedBytes, mesh.copies(file.cid).length], [0, 2])
    // It binds for as long as was asked, and no longer.
    await mesh.clock.advance(31 * minute)
    const free = await mesh.clock.outcome(a.replication.evict({ bytes: mib, dryRun: false }))
    assert.deepEqual([free.freedBytes, mesh.copies(file.cid).length], [mib, 1])
    await mesh.end()
  })
})

describe('replication: a promise and a removal at the same moment', function () {
  this.timeout(60_000)

  it('nobody promises to keep what it is just letting go of, though it be wanted again', async () => {
    const mesh = new Mesh({ seed: 85, nodes: 2, maxBytes: 300 * mib })
    const [a, b] = mesh.hosts as [Host, Host]
    await mesh.clock.advance(20 * second)
    const file = mesh.put(a, { bytes: mib, replicas: 2 })
    await mesh.until(() => mesh.copies(file.cid).length === 2, minute, 'two copies')
    // The disk takes a while between the last look and the deed; in that while the file comes back.
    const drop = a.blobs.drop.bind(a.blobs)
    let going = false
    a.blobs.drop = async (cid: CID, options?: { stillUnwanted?: () => Promise<boolean> }) => drop(cid, {
      stillUnwanted: async () => {
        const yes = (await options?.stillUnwanted?.()) !== false
        going = yes
        if (yes) await mesh.clock.sleep(2 * second)
        return yes
      },
    })
    mesh.change(a, file.path, undefined)
    await mesh.until(() => going, minute, 'the removal')
    mesh.change(a, file.path, { cid: file.cid, size: mib, priority: 'normal', replicas: 2 })
    await mesh.clock.advance(500)
    const body = KeepRequest.encode({ cid: CID.parse(file.cid).bytes, attempt: 'one', keepMs: minute })
    const { keeps } = KeepResponse.decode(await mesh.clock.outcome(b.net.rpc.request(a.id, 'replication.confirmKeep', body, { deadlineMs: minute })))
    const heldThen = a.disk.held.has(file.cid)
    await mesh.clock.advance(3 * second)
    assert.ok(heldThen && !a.disk.held.has(file.cid), 'it was asked in the middle of it')
    assert.equal(keeps, false)
    await mesh.end()
  })
})

describe('replication: a file larger than its node, while it comes in', function () {
  this.timeout(60_000)
  const partBytes = 10 * mib
  const parts = 15

  async function meshWithSmall(): Promise<{ mesh: Mesh; small: Host }> {
    const mesh = new Mesh({ seed: 84, nodes: 4, maxBytes: 400 * mib, settings: { orphanAfterMs: 30 * second } })
    const small = mesh.add(80 * mib)
    await mesh.clock.advance(30 * second)
    return { mesh, small }
  }

  /** Brings parts in as an import does: room first, then the bytes, then it is told. */
  async function bringIn(mesh: Mesh, small: Host, count: number): Promise<{ spread: Awaited<ReturnType<Host['replication']['spread']>>; cids: CID[] }> {
    const spread = await mesh.clock.outcome(small.replication.spread({ bytes: parts * partBytes, priority: 'normal', replicas: 2 }))
    const cids: CID[] = []
    for (let i = 0; i < count; i++) {
      const cid = cidOf(`part ${String(i)}`)
      const room = await mesh.clock.outcome(spread.reserve(partBytes + mib))
      small.blobs.put(cid, partBytes)
      await mesh.clock.outcome(spread.onBlob(small.disk.held.get(cid.toString())!))
      await room.release()
      cids.push(cid)
      for (const earlier of cids) {
        const elsewhere = mesh.copies(earlier.toString()).filter((host) => host !== small).length
        assert.ok(small.disk.held.has(earlier.toString()) || elsewhere >= 2, 'it left before two others had it')
      }
    }
    return { spread, cids }
  }

  it('its parts leave when two others have them, the record makes them parts of a file, and all stay', async () => {
    const { mesh, small } = await meshWithSmall()
    const { spread, cids } = await bringIn(mesh, small, parts)
    assert.ok(cids.filter((cid) => !small.disk.held.has(cid.toString())).length >= parts / 2, 'most have left')
    await mesh.clock.outcome(spread.beforeEnd(cids.map((cid) => ({ cid, kind: 'dag' as const }))))
    const root = cidOf('root')
    small.blobs.put(root, 500, 'spine')
    mesh.world.parts.set(root.toString(), cids.map((cid) => cid.toString()))
    mesh.change(small, '/large', { cid: root.toString(), size: parts * partBytes, priority: 'normal', replicas: 2 })
    await mesh.clock.advance(second)
    await mesh.clock.outcome(spread.settle(root.toString()))
    const count = await mesh.clock.outcome(small.replication.wait('/large', never), 5 * minute)
    assert.deepEqual([count.have >= 2, count.blobs], [true, parts + 1])
    // Longer than any voucher stands, and than an orphan would stay.
    await mesh.clock.advance(62 * minute)
    for (const cid of cids) assert.ok(mesh.copies(cid.toString()).length >= 2)
    await mesh.end()
  })

  it('given up: everybody lets go of all of it', async () => {
    const { mesh, small } = await meshWithSmall()
    const { spread, cids } = await bringIn(mesh, small, 10)
    await spread.giveUp()
    small.disk.held.clear()
    small.replication.heldChanged()
    await mesh.until(() => cids.every((cid) => mesh.copies(cid.toString()).length === 0), 2 * minute, 'all to be gone')
    await mesh.clock.advance(minute)
    for (const host of mesh.hosts) assert.ok(usageOf(host.disk).liveBytes === 0)
    await mesh.end()
  })

  it('a part that all who took it have lost is found at the end, and the put fails', async () => {
    const { mesh, small } = await meshWithSmall()
    const { spread, cids } = await bringIn(mesh, small, parts)
    const lost = cids.find((cid) => !small.disk.held.has(cid.toString()))!
    for (const host of mesh.hosts) host.disk.held.delete(lost.toString())
    await assert.rejects(mesh.clock.outcome(spread.beforeEnd(cids.map((cid) => ({ cid, kind: 'dag' as const })))), { code: 'NOT_FOUND' })
    await spread.giveUp()
    await mesh.end()
  })
})
