import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Clock } from '../../../src/base/index.js'
import { HlcClock, codeOf, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { createGovernor, LeaseService } from '../../../src/leases/index.js'
import type { LeaseServiceInit, StealWish } from '../../../src/leases/index.js'
import { Waiters } from '../../../src/leases/waiters.js'
import { MemoryKeyValue } from '../catalog/memory-key-value.js'
import { TestMesh, timing, until } from '../consensus/mesh.js'
import type { TestNode } from '../consensus/mesh.js'

async function code(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => undefined, codeOf)
}

const day = 86_400_000

describe('leases, who gives up what', () => {
  let mesh: TestMesh
  let nodes: TestNode[]
  const clock: Clock = { ...systemClock, wallMs: () => mesh.readings().wallMs }
  function leasesOf(node: TestNode, init: Partial<LeaseServiceInit> = {}): LeaseService {
    return new LeaseService(
      { consensus: node.consensus, store: new MemoryKeyValue(), rpc: node.rpc, connections: node.connections, hlc: new HlcClock(clock), clock, random: systemRandom, log: silentLog },
      { self: node.id, readings: () => mesh.readings(), timing, ...init },
    )
  }
  beforeEach(async () => {
    mesh = new TestMesh()
    nodes = [await mesh.add(), await mesh.add(), await mesh.add()]
    for (const node of nodes) await until(() => node.consensus.session !== undefined)
  })
  afterEach(async () => { await mesh.stopAll() })

  it('the governor: cooldown, fairness, and what a move would bring', () => {
    const governor = createGovernor({ cooldownMs: 1000, starvationMs: 5000, improvementRatioMin: 2 })
    const wish = { scope: 's', asker: nodes[0]!.id, agent: 'x', heldForMs: 500, waitedMs: 0 }
    const report = (writes: number): NonNullable<StealWish['ours']> => ({ region: 'r', windowMs: 1000, reads: 0, writes, slowWrites: 0, latencyMs: 10 })
    assert.deepEqual(governor(wish).give, false)
    assert.deepEqual(governor({ ...wish, waitedMs: 5000 }), { give: true }, 'who has starved gets it, cooldown or not')
    assert.deepEqual(governor({ ...wish, heldForMs: 1000 }), { give: true })
    assert.equal(governor({ ...wish, heldForMs: 1000, theirs: report(15), ours: report(10) }).give, false)
    assert.equal(governor({ ...wish, heldForMs: 1000, theirs: report(20), ours: report(10) }).give, true)
  })

  it('steal: refused within the cooldown, granted after it, and the agent that loses it hears before', async () => {
    const asked: StealWish[] = []
    const governor = createGovernor({ cooldownMs: 300, starvationMs: 60_000, improvementRatioMin: 1 })
    const heat = { region: 'here', windowMs: 1000, reads: 1, writes: 2, slowWrites: 3, latencyMs: 4 }
    const a = leasesOf(nodes[0]!, { governor: (wish) => { asked.push(wish); return governor(wish) }, heat: () => ({ ...heat, writes: 1 }) })
    const b = leasesOf(nodes[1]!, { heat: () => heat })
    const lease = await a.acquire('s', { agent: 'x', ttlMs: 60_000 })
    assert.equal(await code(b.steal('s', { agent: 'y' })), 'REFUSED')
    assert.deepEqual([asked[0]?.agent, asked[0]?.theirs, asked[0]?.ours?.writes], ['y', heat, 1])
    const cooledMs = performance.now() + 300
    await until(() => performance.now() >= cooledMs)
    const ended: string[] = []
    a.on('ended', ({ leaseId, reason }) => { ended.push(reason); void a.release(leaseId).catch(() => undefined) })
    const stolen = await b.steal('s', { agent: 'y', ttlMs: 60_000 })
    assert.deepEqual([stolen.token, ended, a.get(lease.leaseId).state], [lease.token + 1, ['taken by another node'], 'revoked'])
    assert.equal((await a.history.query({ scope: 's' })).at(-1)?.reason, 'taken by another node')
    // Of an agent of the same node by the same rule.
    const c = leasesOf(nodes[2]!, { governor: ({ heldForMs }) => (heldForMs < 0 ? { give: true } : { give: false, reason: 'mine' }) })
    await c.acquire('t', { agent: 'x', ttlMs: 60_000 })
    assert.equal(await code(c.steal('t', { agent: 'z' })), 'REFUSED')
    assert.equal((await c.isLocked('t')).lease?.agent, 'x')
    // Free: no question.
    assert.equal((await c.steal('free', { agent: 'z' })).token, 1)
  })

  it('nobody starves: neither by priorities nor by turns of the node\'s own agents', async () => {
    const line = new Waiters<{ key: string; priority: number; sinceMs: number; until: undefined }>({ max: 10, starvationMs: 1000 })
    line.put({ key: 'low', priority: 0, sinceMs: 5, until: undefined }, 0)
    line.put({ key: 'high', priority: 9, sinceMs: 9, until: undefined }, 500)
    assert.equal(line.first(999)?.key, 'high')
    assert.equal(line.first(1000)?.key, 'low')
    assert.equal(line.first(1000, ({ key }) => key === 'high')?.key, 'high')
    const a = leasesOf(nodes[0]!, { turnsMax: 3 })
    const b = leasesOf(nodes[1]!)
    const order: string[] = []
    const turn = async (service: LeaseService, agent: string, priority: number): Promise<void> => {
      const lease = await service.acquire('s', { agent, ttlMs: 60_000, waitMs: 8000, priority })
      order.push(agent)
      await service.release(lease.leaseId)
    }
    const first = await a.acquire('s', { agent: 'first', ttlMs: 60_000 })
    const remote = turn(b, 'remote', 0)
    await until(() => b.counters.waits === 1)
    const local = Promise.all(Array.from({ length: 6 }, async (_, i) => turn(a, `local-${String(i)}`, 5)))
    await until(async () => { await new Promise((resolve) => { setTimeout(resolve, 50) }); return a.counters.waits === 6 })
    await a.release(first.leaseId)
    await Promise.all([remote, local])
    assert.ok(order.indexOf('remote') <= 3, order.join(' '))
  })

  it('nobody starves: not by a node whose agents take turns faster than a word of it gets about', async () => {
    mesh.delayMs = 15
    const [a, b] = [leasesOf(nodes[0]!), leasesOf(nodes[1]!)]
    let turns = 0
    let isOver = false
    const taking = ['one', 'two'].map(async (agent) => {
      while (!isOver) {
        const lease = await a.acquire('s', { agent, ttlMs: 60_000, waitMs: 8000 })
        turns++
        await a.release(lease.leaseId)
      }
    })
    try {
      await until(() => turns > 20)
      const lease = await b.acquire('s', { agent: 'remote', ttlMs: 60_000, waitMs: 15_000 })
      await b.release(lease.leaseId)
    } finally {
      isOver = true
      await Promise.all(taking)
    }
  }).timeout(30_000)

  it('readers of several nodes: a writer waits for all; the last reader may upgrade, wherever it is', async () => {
    const [a, b, c] = nodes.map((node) => leasesOf(node)) as [LeaseService, LeaseService, LeaseService]
    const running = new AbortController()
    const runs = [a, b, c].map(async (service) => service.run(running.signal))
    const one = await a.acquire('s', { agent: 'a', mode: 'shared', ttlMs: 60_000 })
    const two = await b.acquire('s', { agent: 'b', mode: 'shared', ttlMs: 60_000 })
    const three = await c.acquire('s', { agent: 'c', mode: 'shared', ttlMs: 60_000 })
    assert.deepEqual([two.token, three.token], [one.token, one.token])
    assert.ok(two.validForMs! > 0 && two.validForMs! <= 850)
    assert.throws(() => b.vouch(two.leaseId), { code: 'STALE_TOKEN' }, 'nothing is written under a shared lease')
    assert.equal(await code(b.acquire('s', { agent: 'w' })), 'HELD')
    assert.equal(await code(b.upgrade(two.leaseId)), 'HELD')
    await a.release(one.leaseId)
    assert.equal(await code(a.acquire('s', { agent: 'w' })), 'HELD', 'readers elsewhere are enough')
    // Renewed with the holder, longer than any one grant lasts.
    const stays = performance.now() + 1500
    await until(() => b.renew(two.leaseId).state === 'active' && performance.now() > stays)
    await c.release(three.leaseId)
    let upgraded: Awaited<ReturnType<LeaseService['upgrade']>> | undefined
    await until(async () => { upgraded = await b.upgrade(two.leaseId).catch(() => undefined); return upgraded !== undefined })
    assert.deepEqual([upgraded?.mode, upgraded?.token, b.vouch(two.leaseId).token], ['exclusive', one.token + 1, one.token + 1])
    assert.equal(await code(c.acquire('s', { agent: 'c', mode: 'shared' })), 'HELD')
    await b.release(two.leaseId)
    assert.equal((await c.acquire('s', { agent: 'c', mode: 'shared', waitMs: 2000 })).mode, 'shared')
    running.abort()
    await Promise.all(runs)
  })

  it('a clock that is set back or forward a day ends nobody\'s lease', async () => {
    const a = leasesOf(nodes[0]!)
    const lease = await a.acquire('s', { agent: 'x', ttlMs: 60_000 })
    for (const jump of [-day, 2 * day, -day]) {
      mesh.wallOffsetMs += jump
      // Forward: it might have slept. Not sure until the voters say so, and then as before.
      await until(() => a.get(lease.leaseId).validForMs! > 0)
      assert.equal(a.renew(lease.leaseId).state, 'active')
      assert.equal(a.vouch(lease.leaseId).token, lease.token)
      const { expiresInMs } = a.get(lease.leaseId)
      assert.ok(expiresInMs! > 50_000 && expiresInMs! <= 60_000, String(expiresInMs))
      await a.cleanUp()
    }
    const hlcs = (await a.history.query({ scope: 's' })).map(({ hlc }) => hlc)
    assert.ok(hlcs.length >= 5 && hlcs.every((hlc, i) => i === 0 || hlc > hlcs[i - 1]!), 'the history keeps its order')
    assert.equal(await code(leasesOf(nodes[1]!).acquire('s', { agent: 'y' })), 'HELD')
  })

  it('bad input: scopes of any bytes and length, names that are kept, what one does not hold', async () => {
    const [a, b] = nodes.map((node) => leasesOf(node)) as [LeaseService, LeaseService]
    for (const scope of ['mesh:x', 'volume:v', 'segment:v/0']) {
      await assert.rejects(a.acquire(scope, { agent: 'x' }), { code: 'BAD_INPUT', message: /are kept for/ })
      await assert.rejects(a.steal(scope, { agent: 'x' }), { code: 'BAD_INPUT' })
    }
    for (const scope of ['', 'x'.repeat(1025), 'é'.repeat(513), 'half \ud83d']) assert.equal(await code(a.acquire(scope, { agent: 'x' })), 'BAD_INPUT')
    await fc.assert(fc.asyncProperty(fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }), async (scope) => {
      if (/^(mesh|volume|segment):/.test(scope)) return
      const lease = await a.acquire(scope, { agent: 'x', ttlMs: 60_000 })
      assert.equal((await b.isLocked(scope)).lease?.scope, scope)
      await a.release(lease.leaseId)
    }), { numRuns: 40 })
    const held = await b.acquire('s', { agent: 'y', ttlMs: 60_000 })
    for (const leaseId of ['', 'nonsense', held.leaseId]) {
      assert.throws(() => a.renew(leaseId), { code: 'NOT_FOUND' })
      assert.throws(() => a.vouch(leaseId), { code: 'NOT_FOUND' })
      assert.equal(await code(a.release(leaseId)), 'NOT_FOUND')
      assert.equal(await code(a.upgrade(leaseId)), 'NOT_FOUND')
    }
    assert.equal(await code(b.upgrade(held.leaseId)), 'NOT_ACTIVE', 'not shared')
    for (const ttlMs of [0, -1, 10 * 366 * day, Number.NaN, Number.POSITIVE_INFINITY]) assert.throws(() => b.renew(held.leaseId, ttlMs), { code: 'BAD_INPUT' })
    assert.equal(b.get(held.leaseId).state, 'active')
  })
})
