import assert from 'node:assert/strict'
import { codeOf, createSigner } from '../../../src/base/index.js'
import { decodeTokenMax, encodeTokenMax } from '../../../src/consensus/driver/recovery.js'
import { TestMesh, until } from './mesh.js'
import type { TestNode } from './mesh.js'

async function code(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => undefined, codeOf)
}

describe('consensus, a majority lost for good', () => {
  const authority = createSigner(new Uint8Array(32).fill(99))
  let mesh: TestMesh
  let nodes: TestNode[]
  beforeEach(async () => {
    mesh = new TestMesh()
    for (let i = 0; i < 4; i++) await mesh.add()
    nodes = mesh.nodes
    for (const node of nodes) await until(() => node.consensus.session !== undefined)
    await nodes[0]!.consensus.reconfigure(nodes.slice(0, 3).map(({ id }) => id))
    await until(() => nodes.slice(0, 3).every((node) => node.consensus.votesIn === 1))
  })
  afterEach(async () => { await mesh.stopAll() })

  it('goes on with what is left, above every token seen, and everybody begins afresh', async () => {
    const [a, b, c, d] = nodes as [TestNode, TestNode, TestNode, TestNode]
    const held = await d.consensus.acquire('held')
    await b.consensus.acquire('other')
    const lost: string[] = []
    d.consensus.on('lost', ({ scope }) => { lost.push(scope) })
    assert.equal(await code(a.consensus.recover(authority, { force: true })), 'NOT_RECONFIGURED', 'all of them answer')
    await b.stop()
    await c.stop()
    const told = await a.consensus.recover(authority, { force: false })
    assert.deepEqual([[...told.lost].sort(), told.reached, told.floor, a.consensus.config?.number], [[b.id, c.id].sort(), [a.id], 0, 1])
    const done = await a.consensus.recover(authority, { force: true })
    assert.ok(done.floor >= held.token + 2 ** 32)
    assert.deepEqual(a.consensus.config?.members.map(({ node }) => node), [a.id])
    // The holder by the old voters' word hears of it, stops, and takes part again.
    await until(() => lost.includes('held') && d.consensus.session !== undefined && d.consensus.config?.number === done.epoch)
    assert.equal(d.consensus.mayAct('held'), undefined)
    await until(async () => (await code(a.consensus.acquire('held').catch(async () => a.consensus.stealDead('held', held)))) === undefined)
    assert.ok((a.consensus.holding('held')?.token ?? 0) > done.floor)
    assert.ok((await d.consensus.acquire('new')).token > done.floor)
    // One that was thought lost comes back: it has no say, and follows.
    mesh.start(c)
    await until(() => c.consensus.session !== undefined && c.consensus.config?.number === done.epoch)
    assert.equal(await code(c.consensus.acquire('new')), 'HELD')
    assert.equal(await a.consensus.reconfigure([a.id, c.id, d.id]), done.epoch + 1)
    mesh.start(b)
    await until(() => b.consensus.session !== undefined)
  })

  it('takes the authority\'s word only', async () => {
    const [a, b, c, d] = nodes as [TestNode, TestNode, TestNode, TestNode]
    await b.stop()
    await c.stop()
    assert.equal(await code(a.consensus.recover(createSigner(new Uint8Array(32).fill(98)), { force: true })), 'NOT_RECONFIGURED')
    assert.deepEqual([a.consensus.config?.number, d.consensus.config?.number], [1, 1])
    mesh.start(b)
    mesh.start(c)
    await until(() => b.consensus.session !== undefined && c.consensus.session !== undefined)
  })

  it('numbers of peers that make no sense count for nothing', () => {
    assert.equal(decodeTokenMax(encodeTokenMax(12_345)), 12_345)
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(7), Buffer.alloc(9, 1), Buffer.alloc(8, 0xff)]) assert.equal(decodeTokenMax(bytes), 0)
  })
})

describe('consensus, a disk that fails', () => {
  for (const what of ['database', 'second file'] as const) {
    it(`ends what waits for it at once, and promises nothing more: the ${what}`, async () => {
      const mesh = new TestMesh()
      const a = await mesh.add()
      const b = await mesh.add()
      for (const node of [a, b]) await until(() => node.consensus.session !== undefined)
      await a.consensus.acquire('before')
      // What the second file has is safe; the database is found out a moment later.
      if (what === 'database') {
        a.store.failWrites = true
        await a.consensus.acquire('r').catch(() => undefined)
        await until(() => a.consensus.mayAct('before') === undefined)
      } else a.memoryFile.fails = true
      const startedMs = performance.now()
      assert.equal(await code(a.consensus.acquire('s')), 'CLOSED')
      assert.equal(await code(a.consensus.acquire('t')), 'CLOSED')
      assert.equal(await code(a.consensus.read('before')), 'CLOSED')
      assert.ok(performance.now() - startedMs < 1000)
      // Its session is not renewed any more, so what it held lapses.
      await until(() => a.consensus.mayAct('before') === undefined)
      await assert.rejects(a.stop())
      await b.stop()
    })
  }
})
