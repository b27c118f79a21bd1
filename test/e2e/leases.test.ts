import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
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
    assert.ok(lease.validForMs !== null && lease.validForMs > 0 && lease.validForMs <= 4800)
    assert.ok(lease.expiresInMs !== null && lease.expiresInMs > 50_000 && lease.expiresInMs <= 60_000)
    assert.match((await a.run('lease', 'get', lease.leaseId)).stdout, /expires in.*\n.*valid for/)
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
    for (const args of [['acquire', 's', '--ttl', '0s'], ['acquire', 's', '--ttl', '4000d'], ['acquire', ''], ['acquire', 'mesh:voters'], ['acquire', 'volume:v'], ['steal', 'segment:v/0'], ['acquire', 'x'.repeat(1025)], ['release', 'ffffffff'], ['config', 'set', 'nonsense', '1']]) {
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

  it('bad input on the command line: a word for each, and nothing happens', async () => {
    const held = await a.json<LeaseInfo>('lease', 'acquire', 'bad/held', '--ttl', '60s')
    const refused: [readonly string[], RegExp][] = [
      [['acquire', 'bad/a', '--ttl', '0'], /a TTL is 1 ms to 365 days/],
      [['acquire', 'bad/a', '--ttl=-5s'], /--ttl takes a duration/],
      [['acquire', 'bad/a', '--ttl', '3650d'], /a TTL is 1 ms to 365 days/],
      [['renew', held.leaseId, '--ttl', '3650d'], /a TTL is 1 ms to 365 days/],
      [['acquire', ''], /at least one byte/],
      [['acquire', 'é'.repeat(513)], /1 to 1024 bytes, and this has 1026/],
      [['acquire', 'bad/\ufffd'], /bytes that are none/],
      [['acquire', 'mesh:voters'], /kept for the mesh/],
      [['renew', 'nonsense'], /no active lease nonsense/],
      [['release', 'f'.repeat(32)], /no active lease/],
    ]
    await Promise.all(refused.map(async ([words, message]) => {
      const { code, stderr } = await a.run('lease', ...words)
      assert.equal(code, 2, `${words.join(' ')}: ${stderr}`)
      assert.match(stderr, message)
    }))
    const name = 'bad/ \n\t\u0001 é ☃ 😀 ../%2f?#&'
    const odd = await a.json<LeaseInfo>('lease', 'acquire', name)
    assert.equal((await a.client().leases({ scope: 'bad/' })).map(({ scope }) => scope).join('|'), `${name}|bad/held`)
    for (const { leaseId } of [held, odd]) assert.equal((await a.run('lease', 'release', leaseId)).code, 0)
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
    assert.deepEqual([seen.lease?.agent, seen.lease?.token, seen.lease?.expiresInMs, seen.lease?.validForMs], ['at-b', first.token, null, null])
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

  it('a file is written under a lease only while it holds, and carries its token', async () => {
    const file = world.path('content')
    writeFileSync(file, 'one')
    const lease = await a.client().acquireLease('file:/f', { agent: 'x', ttlMs: 60_000 })
    await a.json('put', file, '--as', '/f', '--lease', lease.leaseId.slice(0, 8))
    assert.equal((await a.client().stat('/f')).token, String(lease.token))
    assert.equal((await b.run('put', file, '--as', '/f', '--lease', lease.leaseId)).code, 2, 'another node\'s lease')
    await a.client().releaseLease(lease.leaseId)
    const next = await b.client().acquireLease('file:/f', { agent: 'y', ttlMs: 60_000 })
    writeFileSync(file, 'two')
    const late = await a.run('put', file, '--as', '/f', '--lease', lease.leaseId, '--json')
    assert.equal(late.code, 2)
    assert.equal((JSON.parse(late.stdout) as { error: { code: string } }).error.code, 'STALE_TOKEN')
    await b.json('put', file, '--as', '/f', '--lease', next.leaseId)
    assert.equal((await b.client().stat('/f')).token, String(next.token))
    // A lease that lapses while the content still comes: nothing is made of it.
    const short = await b.client().acquireLease('file:/slow', { agent: 'y', ttlMs: 300 })
    const slow = async function *(): AsyncIterable<Uint8Array> {
      yield Buffer.from('begun')
      await eventually(async () => (await b.client().lease(short.leaseId)).state === 'expired', 'the lease to run out')
      yield Buffer.from('ended')
    }
    await assert.rejects(b.client().put('/slow', slow(), { lease: short.leaseId }), { code: 'STALE_TOKEN' })
    await assert.rejects(b.client().stat('/slow'), { code: 'NOT_FOUND' })
    await b.client().releaseLease(next.leaseId)
  })

  it('readers of several nodes share; a writer waits for all of them', async () => {
    const first = await a.client().acquireLease('read', { agent: 'ra', mode: 'shared', ttlMs: 60_000 })
    const second = await b.client().acquireLease('read', { agent: 'rb', mode: 'shared', ttlMs: 60_000 })
    const third = await b.json<LeaseInfo>('lease', 'acquire', 'read', '--shared', '--agent', 'rb2')
    assert.deepEqual([second.token, third.token, second.mode], [first.token, first.token, 'shared'])
    assert.ok((second.validForMs ?? 0) > 0)
    await assert.rejects(c.client().acquireLease('read', { agent: 'w' }), { code: 'HELD' })
    const writer = c.client().acquireLease('read', { agent: 'w', ttlMs: 60_000, waitMs: 30_000 })
    await a.client().releaseLease(first.leaseId)
    await b.client().releaseLease(third.leaseId)
    assert.equal((await b.client().renewLease(second.leaseId)).state, 'active')
    await b.client().releaseLease(second.leaseId)
    const written = await writer
    assert.ok(written.token > first.token)
    await c.client().releaseLease(written.leaseId)
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

  it('a clean stop gives leases back, and ends what runs under them', async () => {
    const begun = world.path('stop-begun')
    const ended = world.path('stop-ended')
    const running = underLease(c, 'stopping', ['--ttl', '60s'], `trap 'touch ${ended}; exit 9' TERM; touch ${begun}; for i in 1 2 3 4 5 6 7 8 9; do sleep 1; done`)
    await eventually(() => existsSync(begun), 'the command to begin')
    const waiting = b.client().acquireLease('stopping', { agent: 'next', ttlMs: 60_000, waitMs: 30_000 }).then((lease) => {
      assert.equal(existsSync(ended), true, 'not before the command has ended')
      return lease
    })
    await c.stop()
    assert.ok((await waiting).token > 1)
    assert.equal((await running).code, 1)
  })
})
