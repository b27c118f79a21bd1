import assert from 'node:assert/strict'
import { withDeadline } from '../../../src/base/index.js'
import { blockBytes } from '../../../src/volumes/index.js'
import { decodeSegment } from '../../../src/volumes/engine/codec.js'
import type { Segment } from '../../../src/volumes/segment.js'
import { volumeId } from './machine.js'
import { Stage } from './stage.js'
import type { Name } from './stage.js'

async function drain(stage: Stage, name: Name): Promise<number> {
  stage.leaving.add(name)
  const engine = stage.machine(name).engine
  const { remaining } = await stage.clock.outcome(withDeadline(stage.clock, 30_000, undefined, async (signal) => engine?.drain(signal) ?? { remaining: -1 }))
  return remaining
}

/** Every value that the register has from here on. */
function values(stage: Stage): Segment[] {
  const seen: Segment[] = []
  const before = stage.registers.onChosen
  stage.registers.onChosen = (scope, value) => {
    seen.push(decodeSegment(value.payload))
    before(scope, value)
  }
  return seen
}

describe('simulation: volumes: leaving', () => {
  it('a node that leaves has all that it keeps and holds elsewhere before it is left out', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['A', 'B'] })
    await stage.write('A', 0, 1)
    await stage.write('A', 1, 2)
    await stage.flush('A')
    // Not flushed by anybody when it leaves.
    await stage.write('A', 1, 3)
    stage.places = ['C', 'B']
    const seen = values(stage)
    assert.equal(await drain(stage, 'A'), 0)
    assert.deepEqual(stage.inSync(), ['B', 'C'])
    assert.ok(seen.every((segment) => segment.replicas.length >= 2), 'there were fewer copies meanwhile')
    assert.equal(stage.holder(0), undefined, 'it has given back what it held')
    await stage.checkReplicas()
    for (const name of ['A', 'B'] as const) stage.kill(name, { power: true })
    assert.equal(await stage.read('D', 0), 1)
    assert.equal(await stage.read('D', 1), 3)
  })

  it('a node that keeps a copy of what another holds leaves too', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['A', 'B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.places = ['A', 'C']
    const seen = values(stage)
    assert.equal(await drain(stage, 'B'), 0)
    assert.deepEqual(stage.inSync(), ['A', 'C'])
    assert.ok(seen.every((segment) => segment.replicas.length >= 2), 'there were fewer copies meanwhile')
    stage.kill('B', { power: true })
    await stage.write('A', 0, 2)
    await stage.flush('A')
    await stage.checkReplicas()
    stage.kill('A', { power: true })
    assert.equal(await stage.read('D', 0), 2)
  })

  it('the only copy stays where it is while there is no place for another, and is told of', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['A'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    assert.equal(await drain(stage, 'A'), 1)
    assert.deepEqual(stage.inSync(), ['A'])
    assert.equal(await stage.read('D', 0), 1)
    stage.places = ['B']
    assert.equal(await drain(stage, 'A'), 0)
    assert.deepEqual(stage.inSync(), ['B'])
    stage.kill('A', { power: true })
    assert.equal(await stage.read('D', 0), 1)
  })

  it('a removed volume is an error for whoever has it open, at its holder and elsewhere, and is gone from every disk', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['B', 'C'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    assert.equal(await stage.read('D', 0), 1)
    await stage.clock.outcome(withDeadline(stage.clock, 10_000, undefined, async (signal) => stage.machine('E').engine?.retire(volumeId, signal)))
    await stage.clock.advance(100)
    const bytes = new Uint8Array(blockBytes)
    for (const name of ['A', 'D'] as const) {
      const { device } = stage.machine(name)
      assert.ok(device !== undefined)
      await assert.rejects(stage.clock.outcome(device.write(0, bytes)), { code: 'IO' })
      await assert.rejects(stage.clock.outcome(device.read(0, blockBytes)), { code: 'IO' })
      await assert.rejects(stage.clock.outcome(device.trim(0, blockBytes)), { code: 'IO' })
    }
    for (const name of ['A', 'B', 'C', 'D'] as const) {
      await stage.clock.outcome(stage.machine(name).engine?.dropLocal(volumeId) ?? Promise.resolve())
      assert.deepEqual(await stage.clock.outcome(stage.machine(name).engine?.volumesHere() ?? Promise.resolve(['?'])), [])
      // Also of a segment that nobody had written to: it is not begun again by who still has it open.
      const { device } = stage.machine(name)
      await assert.rejects(stage.clock.outcome((async () => device?.flush())()), { code: 'IO' })
    }
    assert.deepEqual(await stage.clock.outcome(stage.machine('E').engine?.leases(volumeId) ?? Promise.resolve([])), [])
  })
})
