import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import type { LeaseInfo, NodeEvent } from '../../src/client/index.js'
import { eventually, runCommand, World } from './harness.js'
import type { RunResult, TestNode } from './harness.js'

/** The voters keep a dead node's session for 6 s; a waiter looks again every 1.5 s; the rest is a busy machine. */
const takeOverMsMax = 20_000

async function underLease(node: TestNode, scope: string, flags: readonly string[], script: string): Promise<RunResult> {
  return runCommand(['--home', node.home, 'lease', 'run', scope, ...flags, '--', 'sh', '-c', script])
}

describe('leases', function () {
  this.timeout(120_000)
  const world = new World()
  let a: TestNode
  let b: TestNode
  let c: TestNode
  before(async () => {
    a = await world.start('a')
  })
  after(async () => world.close())

  it('one node alone: acquire, look, renew, release, with a token that grows', async () => {
    const lease = await a.json<LeaseInfo>('lease', 'acquire', 'file:/a', '--ttl', '60s', '--agent', 'x', '--max-renewals', '1')
    assert.deepEqual([lease.scope, lease.mode, lease.agent, lease.token, lease.state, lease.renewals, lease.maxRenewals, lease.ttlMs], ['file:/a', 'exclusive', 'x', 1, 'active', 0, 1, 60_000])
    assert.equal(lease.holder, (await a.status()).peerId)
    assert.ok(lease.expiresInMs !== null && lease.expiresInMs > 0 && lease.expiresInMs <= 4800)
    const refused = await a.run('lease', 'acquire', 'file:/a', '--agent', 'y', '--json')
    assert.equal(refused.code, 2)
    assert.equal((JSON.parse(refused.stdout) as { error: { code: string } }).error.code, 'HELD')
    const late = await a.run('lease', 'acquire', 'file:/a', '--agent', 'y', '--wait', '100ms')
    assert.equal(late.code, 62, late.stderr)
    assert.deepEqual((await a.client().leases({ scope: 'file:' })).map((one) => one.leaseId), [lease.leaseId])
    assert.equal((await a.client().renewLease(lease.leaseId)).renewals, 1)
    assert.equal((await a.run('lease', 'renew', lease.leaseId)).code, 2)
    assert.equal((await a.client().leaseLocked('file:/a')).locked, true)
    const got = await a.json<LeaseInfo>('lease', 'get', lease.leaseId.slice(0, 8))
    assert.deepEqual(got.history?.map(({ to }) => to), ['pending', 'active', 'active'])
    assert.equal((await a.run('lease', 'release', lease.leaseId)).code, 0)
    assert.deepEqual(await a.json('lease', 'locked', 'file:/a'), { scope: 'file:/a', locked: false, lease: null })
    assert.equal((await a.client().acquireLease('file:/a', { agent: 'y', ttlMs: 300 })).token, 2)
    await eventually(async () => !(await a.client().leaseLocked('file:/a')).locked, 'the lease to run out')
    const voters = await a.json<{ epoch: number; target: number; voters: { peerId: string; name: string; up: boolean }[] }>('voters', 'ls')
    assert.deepEqual([voters.epoch, voters.target, voters.voters.map(({ name, up }) => [name, up])], [0, 1, [['a', true]]])
    for (const args of [['acquire', 's', '--ttl', '0s'], ['acquire', 's', '--ttl', '4000d'], ['acquire', ''], ['acquire', 'mesh:voters'], ['release', 'ffffffff'], ['config', 'set', 'nonsense', '1']]) {
      assert.equal((await a.run('lease', ...args)).code, 2, args.join(' '))
    }
  })

  it('run passes the exit code and the token on, and ends the command when the lease is taken away', async () => {
    const out = world.path('token')
    const done = await underLease(a, 'job', ['--ttl', '30s'], `echo $MESH_LEASE_TOKEN > ${out}; exit 7`)
    assert.equal(done.code, 7, done.stderr)
    assert.equal(readFileSync(out, 'utf8'), '1\n')
    assert.equal((await a.client().leaseLocked('job')).locked, false)
    // Longer than any one answer is good for: it must have asked again, and renewed.
    const long = underLease(a, 'long', ['--ttl', '2s'], 'sleep 5.5; exit 3')
    const begun = world.path('begun')
    const survived = world.path('survived')
    const running = underLease(a, 'job', ['--agent', 'doomed'], `touch ${begun}; sleep 60; touch ${survived}`)
    await eventually(() => existsSync(begun), 'the command to begin')
    assert.deepEqual(await a.client().forceReleaseLeases('doomed'), { released: 1 })
    const { code, stderr } = await running
    assert.equal(code, 1)
    assert.match(stderr, /lease of job was lost.*force-released/)
    assert.equal(existsSync(survived), false)
    const { code: passedOn, stderr: words } = await long
    assert.equal(passedOn, 3, words)
  })

  it('a wait that is interrupted leaves nothing behind', async () => {
    const held = await a.client().acquireLease('w', { agent: 'x' })
    const controller = new AbortController()
    const waiting = a.client().acquireLease('w', { agent: 'gone', waitMs: 60_000 }, { signal: controller.signal })
    await eventually(async () => (await a.client().leaseHistory({ agent: 'gone' })).some(({ to }) => to === 'pending'), 'the wait to begin')
    controller.abort()
    await assert.rejects(waiting)
    await eventually(async () => (await a.client().leaseHistory({ agent: 'gone' })).some(({ to, error }) => to === 'failed' && error === 'CANCELLED'), 'the wait to end')
    await a.client().releaseLease(held.leaseId)
    assert.equal((await a.client().leaseLocked('w')).locked, false)
  })

  it('three nodes: one at a time, the waiter next, with a higher token', async () => {
    ;[b, c] = await Promise.all([world.join('b', a), world.join('c', a)])
    const first = await b.client().acquireLease('shared/thing', { agent: 'at-b', ttlMs: 60_000 })
    await assert.rejects(c.client().acquireLease('shared/thing', { agent: 'at-c' }), { code: 'HELD' })
    const seen = await c.client().leaseLocked('shared/thing')
    assert.deepEqual([seen.lease?.agent, seen.lease?.token, seen.lease?.expiresInMs], ['at-b', first.token, null])
    const events: NodeEvent[] = []
    const listening = new AbortController()
    const listener = (async () => {
      for await (const event of c.client().events({ signal: listening.signal })) events.push(event)
    })().catch(() => undefined)
    const waiting = c.client().acquireLease('shared/thing', { agent: 'at-c', ttlMs: 60_000, waitMs: 15_000 })
    await eventually(async () => (await c.client().text('/metrics')).includes('mesh_node_lease_events_total{event="waits"} 1'), 'c to wait')
    await b.client().releaseLease(first.leaseId)
    const second = await waiting
    assert.ok(second.token > first.token)
    await assert.rejects(b.client().renewLease(first.leaseId), { code: 'NOT_ACTIVE' })
    await eventually(() => events.some((event) => event.type === 'lease' && event.to === 'active' && event.token === second.token), 'the event')
    listening.abort()
    await listener
    await c.client().releaseLease(second.leaseId)
  })

  it('three voters by themselves; one that holds a lease is killed, and another takes it over in bounded time', async () => {
    await eventually(async () => (await a.status()).voters.length === 3, 'three voters', 30_000)
    const held = await b.client().acquireLease('victim', { agent: 'at-b', ttlMs: 600_000 })
    await b.kill()
    const next = await c.client().acquireLease('victim', { agent: 'at-c', ttlMs: 60_000, waitMs: takeOverMsMax })
    assert.ok(next.token > held.token)
    await b.start()
    await eventually(async () => (await b.client().leaseLocked('victim')).lease?.agent === 'at-c', 'b to know who has it')
    await assert.rejects(b.client().renewLease(held.leaseId), { code: 'NOT_FOUND' })
  })
})
