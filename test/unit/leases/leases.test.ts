import assert from 'node:assert/strict'
import type { Clock } from '../../../src/base/index.js'
import { HlcClock, codeOf, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { LeaseError } from '../../../src/leases/index.js'
import { LeaseService } from '../../../src/leases/service.js'
import type { LeaseServiceInit } from '../../../src/leases/service.js'
import { MemoryKeyValue } from '../catalog/memory-key-value.js'
import { ManualClock } from '../membership/fixtures.js'
import { TestMesh, timing, until } from '../consensus/mesh.js'
import type { TestNode } from '../consensus/mesh.js'

const readings = () => ({ hrtimeMs: performance.now(), uptimeMs: performance.now(), wallMs: Date.now() })

function leasesOf(node: TestNode, init: Partial<LeaseServiceInit> = {}, clock: Clock = systemClock): LeaseService {
  return new LeaseService(
    { consensus: node.consensus, store: new MemoryKeyValue(), rpc: node.rpc, connections: node.connections, hlc: new HlcClock(systemClock), clock, random: systemRandom, log: silentLog },
    { self: node.id, readings, timing, ...init },
  )
}

async function code(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => undefined, codeOf)
}

/** Counts how often the service went back to waiting for its next look. */
class LookingClock extends ManualClock {
  looks = 0

  override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms > 5_000) this.looks++
    return super.sleep(ms, signal)
  }
}

describe('leases', () => {
  let mesh: TestMesh
  let a: LeaseService
  let b: LeaseService
  let nodes: TestNode[]
  beforeEach(async () => {
    mesh = new TestMesh()
    nodes = [await mesh.add(), await mesh.add()]
    for (const node of nodes) await until(() => node.consensus.session !== undefined)
    a = leasesOf(nodes[0]!)
    b = leasesOf(nodes[1]!)
  })
  afterEach(async () => { await mesh.stopAll() })

  it('are granted once, with a token that grows', async () => {
    const lease = await a.acquire('s', { agent: 'x', ttlMs: 60_000 })
    assert.equal(lease.state, 'active')
    assert.equal(lease.token, 1)
    // No longer than this node's session is good for, whatever the TTL says.
    assert.ok(lease.validForMs! > 0 && lease.validForMs! <= 850)
    assert.ok(lease.expiresInMs! > 59_000 && lease.expiresInMs! <= 60_000)
    assert.equal(await code(a.acquire('s', { agent: 'y' })), 'HELD')
    assert.equal(await code(b.acquire('s', { agent: 'y' })), 'HELD')
    assert.deepEqual((await b.isLocked('s')).lease?.agent, 'x')
    assert.equal(await b.hasAgentLease('s', 'x'), true)
    const [seen] = await b.listByAgent('x')
    assert.deepEqual([seen?.expiresInMs, seen?.validForMs], [null, null])
    assert.deepEqual(a.vouch(lease.leaseId), { scope: 's', token: 1 })
    await a.release(lease.leaseId)
    assert.equal(a.get(lease.leaseId).state, 'released')
    assert.throws(() => a.vouch(lease.leaseId), { code: 'STALE_TOKEN' })
    assert.equal(await code(a.release(lease.leaseId)), 'NOT_ACTIVE')
    assert.equal((await b.acquire('s', { agent: 'y' })).token, 2)
  })

  it('expire, and count their renewals', async () => {
    const lease = await a.acquire('s', { agent: 'x', ttlMs: 40, maxRenewals: 1 })
    a.renew(lease.leaseId)
    assert.throws(() => a.renew(lease.leaseId), { code: 'TOO_MANY_RENEWALS' })
    const ended: string[] = []
    a.on('ended', ({ state }) => { ended.push(state) })
    await until(() => a.get(lease.leaseId).state === 'expired')
    assert.deepEqual(ended, ['expired'])
    assert.throws(() => a.renew(lease.leaseId), { code: 'NOT_ACTIVE' })
    await until(async () => !(await b.isLocked('s')).locked)
    const history = (await a.history.query({ scope: 's' })).map(({ to }) => to)
    assert.deepEqual(history, ['pending', 'active', 'active', 'expired'])
  })

  it('go to the waiting in order, priority first, across nodes', async () => {
    const first = await a.acquire('s', { agent: 'first', ttlMs: 60_000 })
    const order: string[] = []
    const wait = async (service: LeaseService, agent: string, priority = 0): Promise<void> => {
      const lease = await service.acquire('s', { agent, ttlMs: 60_000, waitMs: 8000, priority })
      order.push(agent)
      await service.release(lease.leaseId)
    }
    const waiting = [wait(a, 'local')]
    await until(() => a.counters.waits === 1)
    // The line is by milliseconds: the next one comes in a later one.
    const atMs = Date.now()
    await until(() => Date.now() > atMs + 1)
    waiting.push(wait(b, 'remote'))
    await until(() => b.counters.waits === 1)
    waiting.push(wait(a, 'urgent', 5))
    await until(() => a.counters.waits === 2)
    // The remote wish has to be in line before the first one lets go.
    await until(async () => { await new Promise((resolve) => { setTimeout(resolve, 50) }); return true })
    await a.release(first.leaseId)
    await Promise.all(waiting)
    assert.deepEqual(order, ['urgent', 'local', 'remote'])
  })

  it('give up a wait without leaving anything behind', async () => {
    const held = await a.acquire('s', { agent: 'x', ttlMs: 60_000 })
    const controller = new AbortController()
    const local = code(a.acquire('s', { agent: 'y', waitMs: 5000, signal: controller.signal }))
    const remote = code(b.acquire('s', { agent: 'z', waitMs: 5000, signal: controller.signal }))
    await until(() => a.counters.waits === 1 && b.counters.waits === 1)
    controller.abort()
    assert.deepEqual([await local, await remote], ['CANCELLED', 'CANCELLED'])
    assert.equal(await code(b.acquire('s', { agent: 'z', waitMs: 100 })), 'TIMED_OUT')
    await a.release(held.leaseId)
    assert.equal(await code(b.acquire('s', { agent: 'z', waitMs: 4000 })), undefined)
  })

  it('are shared by readers of a node, not by writers; the last reader may upgrade', async () => {
    const one = await a.acquire('s', { agent: 'x', mode: 'shared', ttlMs: 60_000 })
    const two = await a.acquire('s', { agent: 'y', mode: 'shared', ttlMs: 60_000 })
    assert.equal(one.token, two.token)
    assert.equal(await code(a.acquire('s', { agent: 'z' })), 'HELD')
    assert.equal(await code(a.upgrade(one.leaseId)), 'HELD')
    await a.release(two.leaseId)
    const upgraded = await a.upgrade(one.leaseId)
    assert.equal(upgraded.mode, 'exclusive')
    assert.equal(upgraded.token, one.token + 1)
    assert.equal(await code(a.acquire('s', { agent: 'y', mode: 'shared' })), 'HELD')
  })

  it('are taken by force: one agent\'s everywhere, one scope if the governor agrees', async () => {
    const own = await a.acquire('own', { agent: 'x', ttlMs: 60_000 })
    await b.acquire('other', { agent: 'x', ttlMs: 60_000 })
    const kept = await b.acquire('kept', { agent: 'y', ttlMs: 60_000 })
    assert.equal(await a.forceRelease('x'), 2)
    assert.equal(a.get(own.leaseId).state, 'revoked')
    await until(() => b.counters.revoked === 1)
    await until(async () => !(await a.isLocked('other')).locked)
    // In use for less than the cooldown: refused.
    assert.equal(await code(a.steal('kept', { agent: 'z', waitMs: 3000 })), 'REFUSED')
    assert.equal(b.get(kept.leaseId).state, 'active')
  })

  it('are revoked when the node loses its session, and the agent hears of it', async () => {
    const lease = await b.acquire('s', { agent: 'x', ttlMs: 60_000 })
    const ended: string[] = []
    b.on('ended', ({ leaseId }) => { ended.push(leaseId) })
    mesh.cuts.add(`${nodes[1]!.id}>${nodes[0]!.id}`)
    await until(() => { try { b.vouch(lease.leaseId); return false } catch (error) { return codeOf(error) === 'STALE_TOKEN' } })
    assert.equal(b.get(lease.leaseId).validForMs, 0)
    assert.ok(b.get(lease.leaseId).expiresInMs! > 40_000)
    await until(async () => (await code(a.acquire('s', { agent: 'y', waitMs: 2000 }))) === undefined)
    mesh.cuts.clear()
    await until(() => ended.includes(lease.leaseId))
    assert.equal(b.get(lease.leaseId).state, 'revoked')
  })

  it('of a dead node are taken at once, without a wait, when the voters call it dead', async () => {
    const lease = await b.acquire('s', { agent: 'x', ttlMs: 60_000 })
    await nodes[1]!.stop()
    const refusal = await a.acquire('s', { agent: 'y' }).catch((error: unknown) => error as LeaseError)
    assert.ok(refusal instanceof LeaseError)
    assert.deepEqual([refusal.code, refusal.facts.agent, refusal.facts.holder], ['HELD', 'x', nodes[1]!.id])
    // Voters count it as dead some time after its last renewal. From then on the first who asks has it.
    let code: string | undefined
    await until(async () => { code = await a.acquire('s', { agent: 'y' }).then(() => undefined, codeOf); return code !== 'HELD' })
    assert.equal(code, undefined)
    assert.ok((await a.isLocked('s')).lease!.token > lease.token)
  })

  it('are given back at a stop: others have them at once, but not while an agent may still act', async () => {
    const old = await a.acquire('old', { agent: 'x', ttlMs: 60_000 })
    const fresh = await a.acquire('fresh', { agent: 'x', ttlMs: 60_000 })
    await until(() => performance.now() > 0 && a.get(fresh.leaseId).validForMs! > 500)
    const told = performance.now()
    const validForMs = a.get(fresh.leaseId).validForMs!
    a.get(old.leaseId)
    const ended: string[] = []
    a.on('ended', ({ leaseId, reason }) => {
      ended.push(reason)
      // What an agent does that has heard.
      if (leaseId === old.leaseId) void a.release(leaseId).catch(() => undefined)
    })
    const stopping = a.giveAllBack()
    const first = await b.acquire('old', { agent: 'y', waitMs: 2000 })
    assert.ok(performance.now() - told < validForMs, 'at once')
    assert.equal(first.token, old.token + 1)
    await b.acquire('fresh', { agent: 'y', waitMs: 4000 })
    assert.ok(performance.now() - told >= validForMs, 'not before its agent must have stopped')
    await stopping
    assert.deepEqual(ended, ['the node is stopping', 'the node is stopping'])
    assert.equal(await code(a.acquire('more', { agent: 'x' })), 'UNAVAILABLE')
  })

  it('have settings for the whole mesh', async () => {
    await a.settings.set({ default_ttl_seconds: 7, blocking_mode_enabled: false })
    assert.equal((await b.settings.refresh()).default_ttl_seconds, 7)
    assert.equal((await b.acquire('s', { agent: 'x' })).ttlMs, 7000)
    assert.equal(await code(a.acquire('s', { agent: 'y', waitMs: 10_000 })), 'HELD')
    for (const bad of [{ default_ttl_seconds: 0 }, { default_ttl_seconds: 'x' }, { nonsense: 1 }, { keep_history: 3 }]) {
      assert.equal(await code(a.settings.set(bad)), 'BAD_INPUT')
    }
  })

  it('end, are renewed and remembered as the settings say', async () => {
    await a.settings.set({ auto_expire_enabled: false, max_renewals: 1 })
    const lease = await a.acquire('s', { agent: 'x', ttlMs: 30 })
    let ended = 0
    a.on('ended', () => { ended++ })
    a.renew(lease.leaseId)
    assert.throws(() => a.renew(lease.leaseId), { code: 'TOO_MANY_RENEWALS' })
    // No timer ends it, and whoever looks, or clears away, does.
    const fromMs = performance.now()
    await until(() => performance.now() > fromMs + 100)
    assert.equal(ended, 0)
    assert.equal(await a.cleanUp(), 1)
    assert.equal(ended, 1)
    assert.equal(await a.cleanUp(), 0)
    assert.equal(a.get(lease.leaseId).state, 'expired')
    assert.deepEqual((await a.history.query({ scope: 's' })).map(({ to }) => to), ['pending', 'active', 'active', 'expired'])
    await a.settings.set({ keep_history: false })
    await a.release((await a.acquire('t', { agent: 'x' })).leaseId)
    assert.deepEqual(await a.history.query({ scope: 't' }), [])
    assert.equal((await a.history.query()).length, 4, 'what was there stays')
    await a.settings.set({ keep_history: true, history_retention_days: 0 })
    const nowMs = Date.now()
    await until(() => Date.now() > nowMs)
    await a.cleanUp()
    assert.deepEqual(await a.history.query(), [])
  })

  it('that do not end by themselves end when they are cleared away, as often as the settings say', async () => {
    const clock = new LookingClock()
    let laterMs = 0
    const later = () => ({ hrtimeMs: performance.now() + laterMs, uptimeMs: performance.now() + laterMs, wallMs: Date.now() + laterMs })
    const service = leasesOf(nodes[0]!, { readings: later }, clock)
    await service.settings.set({ auto_expire_enabled: false, cleanup_interval_seconds: 300 })
    const stop = new AbortController()
    const running = service.run(stop.signal)
    let ended = 0
    service.on('ended', () => { ended++ })
    // Its longest pause; what it asks the voters then takes real time.
    const look = async (): Promise<void> => {
      const { looks } = clock
      await clock.advance(12_500)
      await until(() => clock.looks > looks)
    }
    try {
      // It has cleared away once, and waits for the next time.
      await until(() => clock.looks > 0)
      const { leaseId } = await service.acquire('s', { agent: 'x', ttlMs: 60_000 })
      laterMs = 61_000
      for (let i = 0; i < 15; i++) await look()
      assert.equal(ended, 0)
      for (let i = 0; i < 20; i++) await look()
      assert.equal(ended, 1)
      assert.equal(service.get(leaseId).state, 'expired')
    } finally {
      stop.abort()
      await running
    }
  })

  it('are listed without paging through volumes, their segments, and what is free', async () => {
    const { consensus } = nodes[0]!
    const many = Array.from({ length: 2600 }, (_, i) => `${i % 2 === 0 ? 'segment:v/' : 'k-free/'}${String(i).padStart(5, '0')}`)
    const made = many.map(async (scope) => consensus.change(scope, ({ token }) => ({ kind: 'set', answer: null, value: { holder: null, token: token + 1, op: `made-${scope}`, payload: new Uint8Array(0) } })))
    await Promise.all(made)
    const leases = await Promise.all(['b', 'mesh', 'mesh;', 'segment', 'z'].map(async (scope) => a.acquire(scope, { agent: 'x' })))
    const before = mesh.sent.get('lease.frame') ?? 0
    assert.deepEqual((await b.listByScope('')).map(({ leaseId }) => leaseId), leases.map(({ leaseId }) => leaseId))
    const frames = (mesh.sent.get('lease.frame') ?? 0) - before
    // 2,600 registers are six pages; renewals go on beside.
    assert.ok(frames <= 8, `${String(frames)} frames`)
    assert.deepEqual((await b.listByScope('', { limit: 2 })).map(({ scope }) => scope), ['b', 'mesh'])
    assert.deepEqual((await b.listByScope('mes')).map(({ scope }) => scope), ['mesh', 'mesh;'])
    assert.equal((await consensus.list('k-free/', 10_000)).length, 1300)
    assert.equal((await consensus.list('k-free/', 700)).length, 700)
    assert.equal((await consensus.list('segment:', 10_000, { heldOnly: true })).length, 0)
  })

  it('wait as long as the mesh says, if nobody says how long, and end with a word', async () => {
    await a.settings.set({ acquisition_timeout_ms: 150 })
    await b.settings.refresh()
    await a.acquire('s', { agent: 'x' })
    for (const service of [a, b]) {
      const startMs = performance.now()
      await assert.rejects(service.acquire('s', { agent: 'y', wait: true }), { code: 'TIMED_OUT', message: 's was not to be had in time' })
      assert.ok(performance.now() - startMs >= 140)
    }
    assert.equal(await code(a.acquire('s', { agent: 'y' })), 'HELD')
    assert.equal(a.waitMsOf({ wait: true, waitMs: 7 }), 7)
    await a.settings.set({ blocking_mode_enabled: false })
    assert.equal(await code(a.acquire('s', { agent: 'y', wait: true })), 'HELD')
  })

  it('refuse bad input by name', async () => {
    for (const options of [{ ttlMs: 0 }, { ttlMs: -1 }, { ttlMs: 10 * 366 * 86_400_000 }, { ttlMs: Number.NaN }, { maxRenewals: -2 }, { waitMs: -1 }]) {
      assert.equal(await code(a.acquire('s', { agent: 'x', ...options })), 'BAD_INPUT')
    }
    assert.equal(await code(a.acquire('', { agent: 'x' })), 'BAD_INPUT')
    assert.equal(await code(a.acquire('s', { agent: '' })), 'BAD_INPUT')
    assert.throws(() => a.renew('nonsense'), { code: 'NOT_FOUND' })
    assert.equal(await code(a.acquire('\u0000 ünï/😀', { agent: 'x' })), undefined)
  })
})
