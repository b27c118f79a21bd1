import assert from 'node:assert/strict'
import type { LineInit } from './line-world.js'
import { LineWorld } from './line-world.js'

interface Line {
  readonly perSecond: number
  readonly longestMs: number
  readonly fewest: number
  readonly most: number
}

async function run(init: LineInit, forMs: number): Promise<Line> {
  const world = new LineWorld(init)
  await world.run(forMs)
  const turns = [...world.turns].sort((a, b) => a.token - b.token)
  for (const [i, { token, gotMs }] of turns.entries()) {
    const before = turns[i - 1]
    if (before !== undefined) assert.ok(before.token < token && before.endedMs <= gotMs, `${before.agent} and ${turns[i]?.agent ?? ''} have it together`)
  }
  const counts = new Map<string, number>()
  for (const { agent } of turns) counts.set(agent, (counts.get(agent) ?? 0) + 1)
  assert.equal(counts.size, 3 * init.agentsPerNode, 'everybody has had a turn')
  return {
    perSecond: turns.length / forMs * 1000, longestMs: Math.max(...turns.map(({ gotMs, askedMs }) => gotMs - askedMs)),
    fewest: Math.min(...counts.values()), most: Math.max(...counts.values()),
  }
}

describe('a line for one scope over three nodes, simulated', function () {
  this.timeout(60_000)

  it('who waits elsewhere gets a turn in order: nobody waits for longer than the line is', async () => {
    const agents = 18
    const { perSecond, longestMs, fewest, most } = await run({ seed: 1, agentsPerNode: agents / 3, delayMs: 0.5, holdMs: 2 }, 3000)
    // A line's length of turns, what came together before it, and once a wish that was lost on the way.
    const lineMs = agents / perSecond * 1000
    assert.ok(longestMs <= 2 * lineMs + 50 + 200, `${String(longestMs)} ms, at ${String(perSecond)} turns a second`)
    assert.ok(fewest >= 0.7 * most, `${String(fewest)} to ${String(most)} turns`)
    // Turn, round, and a hand-off now and then.
    assert.ok(perSecond > 200, String(perSecond))
  })

  it('and gets it all the same where every twentieth frame is lost', async () => {
    const { longestMs } = await run({ seed: 2, agentsPerNode: 2, delayMs: 0.5, holdMs: 20, loss: 0.05 }, 3000)
    // A try that hears nothing takes a second; one and the other may come one after another.
    assert.ok(longestMs < 4000, `${String(longestMs)} ms`)
  })
})
