import assert from 'node:assert/strict'
import { eventually, World } from './harness.js'
import type { TestNode } from './harness.js'
import { fiveVoters } from './lease-storm.js'

/** The voters' grace, until a node is taken for silent before it, looks every 5 s, and a busy machine. */
const replacedMsMax = 120_000

describe('voters', function () {
  this.timeout(300_000)
  const world = new World()
  let mesh: TestNode[] = []
  after(async () => world.close())

  it('become one, three and five by themselves as nodes come', async () => {
    mesh = await fiveVoters(world)
  })

  it('are as many as was set, and a dead one is replaced by a node that lives', async () => {
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
