import assert from 'node:assert/strict'
import { eventually, World } from './harness.js'
import type { TestNode } from './harness.js'
import { demandOneAtATime, FencedCounters, fiveVoters, storm } from './lease-storm.js'
import type { Belief } from './lease-storm.js'

/** The voters' grace, until a node is taken for silent before it, looks every 5 s, and a busy machine. */
const replacedMsMax = 120_000

/** One node stopped and another killed at the same time; `npm run soak -- --processes --minutes 10` for longer. */
const shortMs = 1

describe('voters of five processes, and leases while they are killed and stopped', function () {
  this.timeout(300_000)
  const world = new World()
  let mesh: TestNode[] = []
  after(async () => world.close())

  it('the checks can fail', () => {
    const store = new FencedCounters()
    assert.equal(store.read('s', 1, 'a'), 0)
    assert.equal(store.read('s', 2, 'b'), 0)
    assert.equal(store.write('s', 1, 'a', 1), false)
    assert.throws(() => store.read('s', 2, 'a'), /is b's and a's/)
    assert.equal(store.write('s', 2, 'b', 1), true)
    assert.throws(() => store.write('s', 2, 'b', 1), /an increment was lost/)
    const belief = (token: number, fromMs: number, untilMs: number, scope = 's'): Belief => ({ scope, token, client: `c${String(token)}`, fromMs, untilMs })
    demandOneAtATime([belief(1, 0, 10), belief(2, 10, 20), belief(3, 5, 8, 't')])
    assert.throws(() => { demandOneAtATime([belief(1, 0, 30), belief(2, 5, 6), belief(3, 29, 40)]) }, /could rely on it/)
  })

  it('voters become one, three and five by themselves as nodes come', async () => {
    mesh = await fiveVoters(world)
  })

  it('no two hold one lease, no increment is lost, all go on, and whoever slept on a lease knows that it is gone', async () => {
    const result = await storm({ mesh, forMs: shortMs })
    assert.ok(result.kills > 0 && result.stops > 0 && result.sleepersAsked > 0 && result.increments > 5, JSON.stringify(result))
  })

  it('voters are as many as was set, and a dead one is replaced by a node that lives', async () => {
    const [first] = mesh
    assert.ok(first)
    await eventually(async () => (await first.run('voters', 'set', '3')).code === 0, 'the number of voters to be set')
    const named = async (node: TestNode): Promise<string[]> => (await node.json<{ voters: { name: string }[] }>('voters', 'ls')).voters.map(({ name }) => name)
    await eventually(async () => (await named(first)).length === 3, 'three voters', replacedMsMax)
    const before = await named(first)
    const dead = mesh.find(({ name }) => name === before[0])
    const asked = mesh.find((node) => node !== dead)
    assert.ok(dead !== undefined && asked !== undefined)
    await dead.kill()
    await eventually(async () => {
      const now = await named(asked)
      return now.length === 3 && !now.includes(dead.name)
    }, 'the dead voter to be replaced', replacedMsMax)
    // They vote: a scope that nobody has ever had needs a majority of them.
    await eventually(async () => (await asked.client().acquireLease('after', { agent: 'x' })).state === 'active', 'a lease by the new voters')
  })
})
