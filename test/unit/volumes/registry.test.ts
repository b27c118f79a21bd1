import assert from 'node:assert/strict'
import { codeOf, CommonError, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import type { Connections, NodeId, Rpc, RpcMethod } from '../../../src/base/index.js'
import { VolumeRegistry, VolumeService } from '../../../src/volumes/index.js'
import type { VolumeSettings } from '../../../src/volumes/index.js'
import { TestMesh, until } from '../consensus/mesh.js'
import type { TestNode } from '../consensus/mesh.js'
import { MemoryEngine } from './memory-engine.js'

const defaults: VolumeSettings = { durability: 'flush', replicas: 3, policy: 'adaptive' }
const GiB = 2 ** 30

class Here {
  readonly registry: VolumeRegistry
  readonly service: VolumeService
  readonly engine = new MemoryEngine()
  readonly #controller = new AbortController()
  #running: Promise<void> | undefined

  constructor(node: TestNode, network: Map<NodeId, Map<string, RpcMethod>>, init: { lookEveryMs?: number; graceMs?: number } = {}) {
    const methods = new Map<string, RpcMethod>()
    network.set(node.id, methods)
    const rpc: Rpc = {
      register: (method) => methods.set(method.name, method),
      request: async (peer, name, body) => {
        const method = network.get(peer)?.get(name)
        if (method === undefined) throw new CommonError('UNAVAILABLE', 'no way there')
        return method.handle(body, { from: node.id, signal: new AbortController().signal })
      },
    }
    const connections: Connections = {
      self: node.id, connected: () => [...network.keys()].filter((id) => id !== node.id), isConnected: () => true, rttMs: () => 1, on: () => () => undefined,
    }
    this.registry = new VolumeRegistry({ registers: node.consensus, clock: systemClock, random: systemRandom })
    this.service = new VolumeService(
      { registry: this.registry, engine: this.engine, rpc, connections, onSession: (listener) => node.consensus.on('ready', listener), clock: systemClock, random: systemRandom, log: silentLog },
      { defaults, ...init },
    )
  }

  start(): this {
    this.#running = this.service.run(this.#controller.signal)
    return this
  }

  async stop(): Promise<void> {
    this.#controller.abort()
    await this.#running
  }
}

async function code(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => undefined, codeOf)
}

describe('volumes by name', () => {
  let mesh: TestMesh
  let a: TestNode
  let b: TestNode
  const network = new Map<NodeId, Map<string, RpcMethod>>()
  const all: Here[] = []
  const on = (node: TestNode, init?: { lookEveryMs?: number; graceMs?: number }): Here => {
    const here = new Here(node, network, init)
    all.push(here)
    return here
  }

  beforeEach(async () => {
    mesh = new TestMesh()
    a = await mesh.add()
    b = await mesh.add()
    for (const node of mesh.nodes) await until(() => node.consensus.session !== undefined)
  })
  afterEach(async () => {
    for (const here of all.splice(0)) await here.stop()
    network.clear()
    await mesh.stopAll()
  })

  it('makes, lists, grows and removes; what one node does the other sees', async () => {
    const [here, there] = [on(a), on(b)]
    const made = await here.service.create('vm1', 1024 * GiB)
    assert.match(made.id, /^[0-9a-f]{32}$/)
    assert.deepEqual({ ...made, id: '' }, { name: 'vm1', id: '', sizeBytes: 2 ** 40, blockSize: 4096, segments: 16_384, usedBytes: 0, ...defaults })
    await there.service.create('a.disk', 5000, { durability: 'writethrough', replicas: 1, policy: 'basic' })
    assert.deepEqual((await here.service.list()).map(({ name, sizeBytes, replicas }) => [name, sizeBytes, replicas]), [['a.disk', 8192, 1], ['vm1', 2 ** 40, 3]])
    assert.equal((await there.service.resize('vm1', 2 ** 40 + 1)).sizeBytes, 2 ** 40 + 4096)
    assert.equal((await here.service.stat('vm1')).sizeBytes, 2 ** 40 + 4096)
    await there.service.remove('vm1')
    assert.equal(await code(here.service.stat('vm1')), 'NOT_FOUND')
    assert.deepEqual((await here.service.list()).map(({ name }) => name), ['a.disk'])
    const again = await here.service.create('vm1', 4096)
    assert.notEqual(again.id, made.id, 'a volume made again is another')
  })

  it('says what is wrong, and changes nothing', async () => {
    const { service } = on(a)
    await service.create('vm1', GiB)
    assert.equal(await code(service.create('vm1', GiB)), 'EXISTS')
    for (const size of [0, -1, 2 ** 63, 1.5, Number.NaN]) assert.equal(await code(service.create('other', size)), 'BAD_SIZE', String(size))
    for (const name of ['', '-x', 'a/b', 'ü', 'x'.repeat(65), '../x', 'a b']) assert.equal(await code(service.create(name, GiB)), 'BAD_NAME', name)
    for (const replicas of [0, 17, 1.5]) assert.equal(await code(service.create('other', GiB, { replicas })), 'BAD_SETTING')
    assert.equal(await code(service.resize('vm1', GiB - 4096)), 'BAD_SIZE')
    assert.equal(await code(service.resize('none', GiB)), 'NOT_FOUND')
    assert.equal(await code(service.remove('none')), 'NOT_FOUND')
    assert.equal(await code(service.open('none')), 'NOT_FOUND')
    assert.deepEqual((await service.list()).map(({ name, sizeBytes }) => [name, sizeBytes]), [['vm1', GiB]])
  })

  it('of two nodes that make one name at once, one does', async () => {
    const [here, there] = [on(a), on(b)]
    const results = await Promise.allSettled([here.service.create('vm', GiB), there.service.create('vm', 2 * GiB)])
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    const winner = results.find((result) => result.status === 'fulfilled')
    assert.equal((await here.service.stat('vm')).id, winner?.value.id)
  })

  it('is not removed while somebody has it open, here or elsewhere, and is when all have closed it', async () => {
    const [here, there] = [on(a).start(), on(b).start()]
    await here.service.create('vm', 2 ** 20)
    const first = await there.service.open('vm')
    const second = await there.service.open('vm')
    await assert.rejects(here.service.remove('vm'), (error: { code: string; facts: { nodes: string[] } }) => error.code === 'IN_USE' && error.facts.nodes[0] === b.id)
    assert.equal(await code(there.service.remove('vm')), 'IN_USE')
    await first.close()
    assert.equal(await code(here.service.remove('vm')), 'IN_USE')
    await second.close()
    await second.close()
    assert.equal(there.engine.closed, 2)
    await until(async () => (await here.service.openOn('vm')).length === 0)
    await here.service.remove('vm')
    // The other had something of it on its disk, and hears of it at once.
    await until(() => there.engine.dropped.length === 1)
    assert.equal(here.engine.retired.length > 0, true)
  })

  it('an opening that fails leaves no mark', async () => {
    const here = on(a).start()
    await here.service.create('vm', 2 ** 20)
    here.engine.failOpen = new CommonError('UNAVAILABLE', 'no')
    assert.equal(await code(here.service.open('vm')), 'UNAVAILABLE')
    await until(async () => (await here.service.openOn('vm')).length === 0)
    await here.service.remove('vm')
  })

  it('a dead session does not keep a volume: not before the voters say so', async () => {
    const [here, there] = [on(a).start(), on(b)]
    await here.service.create('vm', 2 ** 20)
    await there.service.open('vm')
    await b.stop()
    assert.equal(await code(here.service.remove('vm')), 'IN_USE')
    await until(async () => (await code(here.service.remove('vm'))) === undefined)
  })

  it('a node that lost its session and has a new one still has its volumes open', async () => {
    const [here, there] = [on(a).start(), on(b).start()]
    await here.service.create('vm', 2 ** 20)
    await there.service.open('vm')
    const before = b.consensus.session?.epoch ?? 0
    // Long enough out of reach for the voters to count it as over, and for somebody to act on that.
    mesh.cuts.add(`${b.id}>${a.id}`)
    await here.service.create('other', 2 ** 20)
    const record = await here.registry.get('vm')
    await until(async () => {
      const { answer } = await a.consensus.change('nothing', ({ evicted }) => ({ kind: 'keep', answer: evicted }), { evict: record.openings[0]! })
      return answer
    })
    mesh.cuts.clear()
    await until(() => (b.consensus.session?.epoch ?? 0) > before)
    await until(async () => (await here.registry.get('vm')).openings.some(({ epoch }) => epoch === b.consensus.session?.epoch))
    assert.equal(await code(here.service.remove('vm')), 'IN_USE')
  })

  it('a node that was away when a volume was removed drops it after the grace, and only what is gone', async () => {
    const here = on(a)
    const { id } = await here.service.create('kept', 2 ** 20)
    const away = on(b, { lookEveryMs: 20, graceMs: 100 })
    away.engine.here.add(id)
    away.engine.here.add('00'.repeat(16))
    away.start()
    await until(() => away.engine.dropped.length > 0)
    assert.deepEqual(away.engine.dropped, ['00'.repeat(16)])
    assert.deepEqual([...away.engine.here], [id])
  })

  it('an open volume grows where it is open', async () => {
    const [here, there] = [on(a).start(), on(b).start()]
    const { id } = await here.service.create('vm', 2 ** 20)
    await there.service.open('vm')
    await here.service.resize('vm', 2 ** 21)
    await until(() => there.engine.sizes.get(id) === 2 ** 21)
  })
})
