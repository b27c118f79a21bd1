import assert from 'node:assert/strict'
import { withDeadline } from '../../../src/base/index.js'
import { blockBytes } from '../../../src/volumes/index.js'
import { volumeId } from './machine.js'
import { Stage } from './stage.js'
import type { Name } from './stage.js'

const minuteMs = 60_000

async function here(stage: Stage, name: Name): Promise<readonly string[]> {
  return stage.clock.outcome(stage.machine(name).engine?.volumesHere() ?? Promise.resolve(['?']))
}

async function keptBytes(stage: Stage, name: Name): Promise<number> {
  return (await stage.clock.outcome(stage.machine(name).disk?.usage() ?? Promise.reject(new Error('it is down')))).contentBytes
}

describe('simulation: volumes: what is kept without a reason', () => {
  it('a copy that is not counted any more is dropped after a while, and may be made again', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['A', 'B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    await stage.cutOff('B')
    stage.places = ['A', 'C']
    await stage.write('A', 1, 2)
    await stage.flush('A')
    await stage.until(() => stage.inSync().join() === 'A,C', 'another copy')
    await stage.heal()
    await stage.clock.advance(5 * minuteMs)
    assert.deepEqual(await here(stage, 'B'), [volumeId], 'it may be wanted back')
    await stage.clock.advance(20 * minuteMs)
    assert.deepEqual(await here(stage, 'B'), [])
    assert.equal(await keptBytes(stage, 'B'), 0)
    for (const name of ['A', 'C'] as const) assert.deepEqual(await here(stage, name), [volumeId])
    stage.places = ['A', 'B']
    stage.kill('C', { power: true })
    await stage.write('A', 2, 3)
    await stage.flush('A')
    await stage.until(() => stage.inSync().join() === 'A,B', 'the copy again')
    await stage.checkReplicas()
    stage.kill('A', { power: true })
    for (const [block, value] of [[0, 1], [1, 2], [2, 3]] as const) assert.equal(await stage.read('D', block), value)
  })

  it('who holds what it keeps no copy of keeps what it wrote, and drops it some time after it gave it up', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    stage.gate('A', 'B', 'append')
    await stage.write('A', 1, 2)
    await stage.clock.advance(25 * minuteMs)
    assert.equal(await stage.read('A', 1), 2)
    stage.gate('A', 'B', 'append', 'pass')
    await stage.flush('A')
    assert.equal(await stage.handOver('A', 'D', 0, 16_384), true)
    await stage.clock.advance(5 * minuteMs)
    assert.deepEqual(await here(stage, 'A'), [volumeId])
    await stage.clock.advance(20 * minuteMs)
    assert.deepEqual(await here(stage, 'A'), [], 'although the volume is open there')
    assert.equal(await stage.read('A', 0), 1)
    await stage.write('A', 1, 3)
    await stage.flush('A')
    stage.kill('D', { power: true })
    assert.equal(await stage.read('C', 1), 3)
  })

  it('a volume is removed while its holder is cut off: the holder claims nothing any more, and keeps nothing', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['A', 'B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    await stage.write('A', 1, 2)
    const session = stage.machine('A').consensus?.session
    assert.ok(session !== undefined)
    await stage.cutOff('A')
    // As the registry of volumes does it: whoever has it open is over by word of the voters before it is removed.
    const over = await stage.clock.outcome(stage.machine('E').consensus?.change('volume:removed', ({ evicted }) => ({ kind: 'keep', answer: evicted }), { evict: session }) ?? Promise.reject(new Error('it is down')))
    assert.equal(over.answer, true)
    await stage.clock.outcome(withDeadline(stage.clock, 10_000, undefined, async (signal) => stage.machine('E').engine?.retire(volumeId, signal)))
    for (const name of ['B', 'C', 'D', 'E'] as const) await stage.clock.outcome(stage.machine(name).engine?.dropLocal(volumeId) ?? Promise.resolve())
    const { device } = stage.machine('A')
    assert.ok(device !== undefined)
    await assert.rejects(stage.clock.outcome(device.flush(), 60_000), { code: 'IO' })
    await stage.heal()
    await assert.rejects(stage.clock.outcome(device.write(0, new Uint8Array(blockBytes)), 60_000), { code: 'IO' })
    await assert.rejects(stage.clock.outcome(device.read(0, blockBytes), 60_000), { code: 'IO' })
    await assert.rejects(stage.clock.outcome(device.flush(), 60_000), { code: 'IO' })
    // Nobody tells it: it was away when all were told.
    await stage.clock.advance(25 * minuteMs)
    for (const name of ['A', 'B', 'C', 'D', 'E'] as const) assert.deepEqual(await here(stage, name), [], name)
    assert.equal(await keptBytes(stage, 'A'), 0)
  })
})
