import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { LeaseInfo, VotersRecovered } from '../../src/client/index.js'
import { eventually, mainFile, World } from './harness.js'
import type { TestNode } from './harness.js'

const cooldownMs = 4000

describe('leases: who decides, who takes', function () {
  this.timeout(150_000)
  const world = new World()
  const env = { MESH_NODE_LEASE_OPTIMIZATION_STEAL_COOLDOWN_MS: String(cooldownMs) }
  let a: TestNode
  let b: TestNode
  let c: TestNode
  before(async () => {
    a = await world.start('a', { env })
    ;[b, c] = await Promise.all([world.join('b', a, { env }), world.join('c', a, { env })])
    await eventually(async () => (await a.status()).voters.length === 3, 'three voters', 40_000)
  })
  after(async () => world.close())

  it('steal: refused within the cooldown of config.toml, granted after it; the loser\'s lease is revoked', async () => {
    const held = await b.client().acquireLease('range', { agent: 'x', ttlMs: 60_000 })
    const refused = await c.run('lease', 'steal', 'range', '--agent', 'y', '--json')
    assert.equal(refused.code, 2)
    const { error } = JSON.parse(refused.stdout) as { error: { code: string; message: string } }
    assert.equal(error.code, 'REFUSED')
    assert.match(error.message, /in use/)
    const taken: LeaseInfo[] = []
    await eventually(async () => { taken.push(await c.json<LeaseInfo>('lease', 'steal', 'range', '--agent', 'y', '--wait', '10s')); return true }, 'the cooldown to be over', 30_000)
    assert.ok(taken[0]!.token > held.token)
    assert.equal((await b.client().lease(held.leaseId)).state, 'revoked')
    assert.equal((await b.client().leaseHistory({ scope: 'range' })).at(-1)?.reason, 'taken by another node')
    await c.client().releaseLease(taken[0]!.leaseId)
  })

  it('settings for the whole mesh, and a wait on the command line that Ctrl-C ends without a trace', async () => {
    await a.json('lease', 'config', 'set', 'default_ttl_seconds', '77')
    assert.deepEqual(await c.json('lease', 'config', 'get', 'default_ttl_seconds'), { default_ttl_seconds: 77 })
    assert.equal((await a.run('lease', 'config', 'set', 'default_ttl_seconds', '0')).code, 2)
    const held = await a.client().acquireLease('w', { agent: 'x' })
    assert.equal(held.ttlMs, 77_000)
    const child = spawn(process.execPath, [mainFile, '--home', b.home, 'lease', 'acquire', 'w', '--agent', 'gone', '--wait', '60s'], { stdio: 'ignore' })
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    await eventually(async () => (await b.client().leaseHistory({ agent: 'gone' })).some(({ to }) => to === 'pending'), 'the wait to begin')
    child.kill('SIGINT')
    assert.equal(await ended, 125)
    await eventually(async () => (await b.client().leaseHistory({ agent: 'gone' })).some(({ to, error }) => to === 'failed' && error === 'CANCELLED'), 'the wait to end')
    await a.client().releaseLease(held.leaseId)
    assert.equal((await b.client().leaseLocked('w')).locked, false)
  })

  it('voters set: as many as are said, or by the mesh again', async () => {
    const { voters } = await a.client().voters()
    const { peerId } = await a.status()
    assert.equal((await a.run('voters', 'set', '2')).code, 2)
    await a.json('voters', 'set', peerId)
    assert.deepEqual((await a.client().voters()).voters.map((voter) => voter.peerId), [peerId])
    const lease = await c.client().acquireLease('after', { agent: 'x' })
    await a.json('voters', 'set', ...voters.map((voter) => voter.peerId))
    await eventually(async () => (await c.status()).voters.length === 3, 'three again', 40_000)
    assert.equal((await c.client().renewLease(lease.leaseId)).state, 'active')
    await c.client().releaseLease(lease.leaseId)
  })

  it('a majority lost for good: refused, then recovered by force, with tokens above all', async () => {
    const before = await a.client().acquireLease('kept', { agent: 'x', ttlMs: 600_000 })
    assert.equal((await a.run('voters', 'recover')).code, 2, 'nothing is lost yet')
    await Promise.all([b.kill(), c.kill()])
    await eventually(async () => (await a.client().lease(before.leaseId)).validForMs === 0, 'a to know that it is alone')
    const told = await a.json<VotersRecovered>('voters', 'recover')
    assert.deepEqual([told.lost.length, told.reached.length, told.floor], [2, 1, 0])
    const done = await a.json<VotersRecovered>('voters', 'recover', '--force')
    assert.ok(done.floor >= 2 ** 32)
    assert.deepEqual((await a.client().voters()).voters.map(({ name }) => name), ['a'])
    await eventually(async () => (await a.client().lease(before.leaseId)).state === 'revoked', 'what was held before to be over')
    const next = await a.client().acquireLease('kept', { agent: 'x', waitMs: 20_000 })
    assert.ok(next.token > done.floor)
    // One of the lost comes back after all: it has no say, hears of it, and takes part.
    await b.start()
    await eventually(async () => (await b.client().leaseLocked('kept')).lease?.token === next.token, 'b to follow', 60_000)
    assert.equal((await b.run('voters', 'recover', '--force')).code, 2, 'only with the authority\'s key')
  })
})
