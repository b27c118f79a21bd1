import assert from 'node:assert/strict'
import type { Host } from './mesh.js'
import { Mesh } from './mesh.js'

const second = 1000

describe('replication: while somebody works at the node', function () {
  this.timeout(60_000)

  /** When anything was told of the copies of each blob. */
  function tellingsOf(mesh: Mesh, host: Host): Map<string, number> {
    const told = new Map<string, number>()
    host.replication.on('replicas', ({ cid }) => {
      if (!told.has(cid)) told.set(cid, mesh.clock.monotonicMs())
    })
    return told
  }

  it('sweeps that nobody asked for wait, and not for ever', async () => {
    const mesh = new Mesh({ seed: 91, nodes: 1, maxBytes: 1e9, busy: true })
    const [host] = mesh.hosts as [Host]
    await mesh.clock.advance(second)
    const began: number[] = [mesh.clock.monotonicMs()]
    host.blobs.list = async function* () {
      began.push(mesh.clock.monotonicMs())
      yield* [...host.disk.held.values()]
    }
    await mesh.clock.advance(200 * second)
    assert.ok(began.length >= 3, `${String(began.length - 1)} sweeps`)
    for (const [i, at] of began.slice(1).entries()) assert.ok(at - began[i]! > 40 * second && at - began[i]! <= 75 * second, `${String(at - began[i]!)} ms from one to the next`)
    host.replication.heldChanged()
    await mesh.clock.advance(second)
    assert.ok(mesh.clock.monotonicMs() - began.at(-1)! <= second, 'what is asked for does not wait')
    await mesh.end()
  })

  it('what comes in a stream is planned together, and within a second', async () => {
    const mesh = new Mesh({ seed: 92, nodes: 1, maxBytes: 1e9, busy: true })
    const [host] = mesh.hosts as [Host]
    await mesh.clock.advance(5 * second)
    const told = tellingsOf(mesh, host)
    const put = new Map<string, number>()
    for (let i = 0; i < 300; i++) {
      for (let j = 0; j < 10; j++) put.set(mesh.put(host, { bytes: 1000, replicas: 1 }).cid, mesh.clock.monotonicMs())
      await mesh.clock.advance(10)
    }
    await mesh.clock.advance(second)
    for (const [cid, atMs] of put) assert.ok(told.get(cid)! - atMs < second, `${String(told.get(cid)! - atMs)} ms`)
    const rounds = new Set(told.values()).size
    assert.ok(rounds <= 12, `${String(rounds)} plans in three seconds`)
    await mesh.end()
  })

  it('a single file is planned at once all the same, and copied', async () => {
    const mesh = new Mesh({ seed: 93, nodes: 2, maxBytes: 1e9, busy: true })
    const [host] = mesh.hosts as [Host]
    await mesh.clock.advance(20 * second)
    const told = tellingsOf(mesh, host)
    const { cid } = mesh.put(host, { bytes: 1000, replicas: 2 })
    const atMs = mesh.clock.monotonicMs()
    await mesh.until(() => mesh.copies(cid).length === 2, second, 'a second copy')
    assert.ok(told.get(cid)! - atMs < 100, `${String(told.get(cid)! - atMs)} ms`)
    await mesh.end()
  })

  it('files that are put in one write are looked for on the disk together', async () => {
    const mesh = new Mesh({ seed: 94, nodes: 1, maxBytes: 1e9 })
    const [host] = mesh.hosts as [Host]
    await mesh.clock.advance(5 * second)
    const asked: number[] = []
    const heldMany = host.blobs.heldMany.bind(host.blobs)
    host.blobs.heldMany = async (cids) => {
      asked.push(cids.length)
      return heldMany(cids)
    }
    for (let i = 0; i < 64; i++) mesh.put(host, { bytes: 1000, replicas: 1 })
    await mesh.clock.advance(100)
    assert.deepEqual(asked, [64])
    assert.equal(host.replication.status().blobs, 64)
    await mesh.end()
  })
})
