import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBlobs } from '../../../src/blobs/index.js'
import { seededRandom, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { openStore } from '../../../src/store/index.js'
import { MemoryNetwork, nodeId } from '../../simulation/blobs/twins.js'
import { bytesOf, collect, gate, makeNode, pieces, quick, until } from '../../simulation/blobs/world.js'

/** Blobs are 4 KiB. */
const blobBytes = 4096

describe('blobs: what was acknowledged stays', () => {
  it('putting a file again makes a damaged copy of it whole', async () => {
    const home = await mkdtemp(join(tmpdir(), 'mesh-blobs-'))
    const open = async () => {
      const store = await openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home, writeBufferBytes: 4 * 2 ** 20 })
      const network = new MemoryNetwork()
      const id = nodeId(1)
      const blobs = createBlobs(
        { blocks: store.blocks, meta: store.meta('blobs'), bulk: network.bulk(id), routing: network.routing(id), connections: network.connections(id), clock: systemClock, random: seededRandom(1), log: silentLog },
        quick,
      )
      return { store, blobs }
    }
    try {
      const bytes = bytesOf(3000)
      const first = await open()
      const { cid } = await first.blobs.import(pieces(bytes))
      await first.store.close()
      const folder = join(home, 'blocks')
      for (const name of await readdir(folder)) {
        const file = await readFile(join(folder, name))
        const at = file.indexOf(bytes.subarray(1024, 1100))
        if (at < 0) continue
        file[at + 10] = (file[at + 10] ?? 0) ^ 1
        await writeFile(join(folder, name), file)
      }
      const { store, blobs } = await open()
      await assert.rejects(collect(blobs.read(cid)))
      assert.equal((await store.usage()).quarantined, 1)
      await blobs.import(pieces(bytes))
      assert.ok((await collect(blobs.read(cid))).equals(bytes))
      assert.equal((await store.usage()).quarantined, 0)
      assert.ok((await store.recount()).agrees)
      for (const held of await Promise.all([blobs.held(cid)])) if (held !== undefined) await blobs.drop(held.cid)
      assert.equal((await store.usage()).blocks, 0)
      await store.close()
    } finally {
      await rm(home, { recursive: true, force: true })
    }
  })

  it('a blob that an import brought and somebody asked for stays when the import fails', async () => {
    const { blobs } = makeNode(new MemoryNetwork(), 1)
    const bytes = bytesOf(3 * blobBytes)
    const part = (await makeNode(new MemoryNetwork(), 2).blobs.import(pieces(bytes.subarray(0, blobBytes)))).cid
    const { opened, open } = gate()
    const failing = blobs.import((async function* () {
      yield* pieces(bytes)
      await opened
      throw new Error('the source broke off')
    })())
    failing.catch(() => undefined)
    await until(async () => (await blobs.held(part)) !== undefined)
    await blobs.fetch({ cid: part, kind: 'dag' })
    open()
    await assert.rejects(failing)
    assert.ok(await blobs.held(part))
  })

  it('a file that is put while the start clears up after an import that was cut off stays', async () => {
    const network = new MemoryNetwork()
    const before = makeNode(network, 1)
    const bytes = bytesOf(4 * blobBytes)
    const parts = []
    for (let i = 0; i < 2; i++) parts.push((await makeNode(new MemoryNetwork(), 2 + i).blobs.import(pieces(bytes.subarray(i * blobBytes, (i + 1) * blobBytes)))).cid)
    const stuck = before.blobs.import((async function* () {
      yield* pieces(bytes)
      await new Promise(() => undefined)
    })())
    stuck.catch(() => undefined)
    for (const cid of parts) await until(async () => (await before.blobs.held(cid)) !== undefined)

    before.blocks.restart()
    const { blobs } = makeNode(new MemoryNetwork(), 1, quick, before)
    const reached = gate()
    const go = gate()
    const get = before.blocks.get.bind(before.blocks)
    let first: string | undefined
    before.blocks.get = async (cid) => {
      first ??= cid.toString()
      reached.open()
      await go.opened
      return get(cid)
    }
    const stop = new AbortController()
    const running = blobs.run(stop.signal)
    await reached.opened
    const at = parts.findIndex((cid) => cid.toString() !== first)
    const kept = await blobs.import(pieces(bytes.subarray(at * blobBytes, (at + 1) * blobBytes)))
    go.open()
    const other = parts[1 - at]
    assert.ok(other)
    await until(async () => (await blobs.held(other)) === undefined)
    await until(async () => (await before.blocks.drafts()).length === 0)
    stop.abort()
    await running
    assert.ok(await blobs.held(kept.cid))
  })

  it('one part of an import that was cut off that cannot be dropped keeps no other from going', async () => {
    const before = makeNode(new MemoryNetwork(), 1)
    const bytes = bytesOf(5 * blobBytes)
    const stuck = before.blobs.import((async function* () {
      yield* pieces(bytes)
      await new Promise(() => undefined)
    })())
    stuck.catch(() => undefined)
    const held = async (): Promise<string[]> => {
      const cids = []
      for await (const { cid } of before.blobs.list()) cids.push(cid.toString())
      return cids
    }
    await until(async () => (await held()).length >= 3)
    const [first] = await held()
    assert.ok(first !== undefined)
    before.blocks.restart()
    // Its upper node is damaged, so nobody knows what is below.
    before.blocks.bytes.delete(first)
    const { blobs } = makeNode(new MemoryNetwork(), 1, quick, before)
    const stop = new AbortController()
    const running = blobs.run(stop.signal)
    await until(async () => (await held()).length === 1)
    assert.deepEqual(await held(), [first])
    stop.abort()
    await running
  })

  it('a part that is dropped in the moment in which its file is done stays, also over a restart', async () => {
    const on = makeNode(new MemoryNetwork(), 1)
    const bytes = bytesOf(3 * blobBytes)
    const written = gate()
    const go = gate()
    const draft = on.blocks.draft.bind(on.blocks)
    /** The last blob's, then the spine's. */
    let commitsLeft = Number.POSITIVE_INFINITY
    on.blocks.draft = async (id) => {
      const opened = await draft(id)
      const commit = opened.commit.bind(opened)
      return Object.assign(opened, {
        commit: async (operations: Parameters<typeof commit>[0]) => {
          await commit(operations)
          if (--commitsLeft > 0) return
          written.open()
          await go.opened
        },
      })
    }
    const importing = on.blobs.import(pieces(bytes), {
      operations: async () => {
        commitsLeft = 2
        return []
      },
    })
    await written.opened
    const parts = []
    for await (const held of on.blobs.list()) parts.push(held.cid)
    assert.ok(parts.length >= 3)
    const dropping = parts.map((cid) => on.blobs.drop(cid, { stillUnwanted: async () => true }))
    await new Promise((resolve) => setImmediate(resolve))
    go.open()
    const { blobs: all } = await importing
    await Promise.all(dropping)
    on.blocks.restart()
    const { blobs } = makeNode(new MemoryNetwork(), 1, quick, on)
    const stop = new AbortController()
    const running = blobs.run(stop.signal)
    stop.abort()
    await running
    for (const { cid, kind } of all.slice(0, 2)) assert.ok(await blobs.held(cid), `${kind} ${cid.toString()} is gone`)
  })
})
