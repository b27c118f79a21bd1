import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { seededRandom } from '../../../src/base/index.js'
import { blockBytes, segmentBytes } from '../../../src/volumes/index.js'
import type { MigrationAnswer } from '../../../src/volumes/index.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { SimulatedNetwork } from '../../simulation/net-twin.js'
import { Machine, volumeId } from '../../simulation/volumes/machine.js'
import { RegisterTwin } from '../../simulation/volumes/register-twin.js'

const sizeBytes = 3 * segmentBytes
const id = { volume: volumeId, segment: 0 }

class World {
  readonly clock = new VirtualClock()
  readonly random = seededRandom(1)
  readonly network = new SimulatedNetwork({ clock: this.clock, random: this.random }, { delayMs: [1, 3], noticeMs: 200, redialMs: 10 })
  readonly registers = new RegisterTwin(this.clock, this.random, [1, 3])
  readonly machines: Machine[] = []
  decide: (asker: NodeId, range: { start: number; blocks: number }) => MigrationAnswer = () => ({ type: 'stay', explanation: '' })

  async begin(count: number, replicas: number): Promise<Machine[]> {
    for (let number = 0; number < count; number++) {
      this.machines.push(new Machine(this, {
        number, replicas, sizeBytes, engine: { keepEveryMs: 500 },
        places: (wanted, not) => this.machines.filter((machine) => machine.up && !not.includes(machine.id)).map((machine) => machine.id).slice(0, wanted),
        decide: (asker, range) => this.decide(asker, range),
      }))
    }
    for (const machine of this.machines) await this.run(machine.start())
    await this.clock.advance(100)
    return this.machines
  }

  async run<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    return this.clock.outcome(promise, limitMs)
  }
}

function pattern(seed: number, length: number): Uint8Array {
  return seededRandom(seed).bytes(length)
}

describe('volumes: engine', () => {
  it('writes at the holder, flushes to both replicas, reads and writes through the holder from elsewhere', async () => {
    const world = new World()
    const [a, b] = (await world.begin(2, 2)) as [Machine, Machine]
    const first = pattern(1, 3 * blockBytes)
    await world.run(a.device!.write(5 * blockBytes, first))
    assert.deepEqual(await world.run(a.device!.read(5 * blockBytes, first.length)), first)
    await world.run(a.device!.flush())
    for (const machine of [a, b]) assert.deepEqual(Buffer.concat((await world.run(machine.disk!.read(id, { start: 5, blocks: 3 }))).map((run) => run.bytes)), Buffer.from(first))
    assert.deepEqual(await world.run(b.device!.read(5 * blockBytes, first.length)), first)
    // Unaligned, over a block's edge, by the other node.
    const patch = pattern(2, 100)
    await world.run(b.device!.write(6 * blockBytes - 50, patch))
    await world.run(b.device!.flush())
    const expected = first.slice()
    expected.set(patch, blockBytes - 50)
    assert.deepEqual(await world.run(a.device!.read(5 * blockBytes, first.length)), expected)
    assert.deepEqual(await world.run(a.device!.read(2 * segmentBytes, 10)), new Uint8Array(10))
    assert.equal(a.engine!.figures().writesLocal, 1)
    assert.equal(b.engine!.figures().writesProxied, 1)
    const leases = await world.run(a.engine!.leases(volumeId))
    assert.deepEqual(leases.map(({ start, blocks, holder }) => [start, blocks, holder]), [[0, 16_384, a.id]])
  })

  it('hands a range over, with what was written and not flushed', async () => {
    const world = new World()
    const [a, b] = (await world.begin(2, 1)) as [Machine, Machine]
    const bytes = pattern(3, 8 * blockBytes)
    await world.run(a.device!.write(0, bytes))
    assert.equal(await world.run(a.engine!.handOver(id, { start: 2, blocks: 4 }, b.id)), true)
    await world.run(b.device!.write(3 * blockBytes, pattern(4, blockBytes)))
    assert.equal(b.engine!.figures().writesLocal, 1)
    const expected = bytes.slice()
    expected.set(pattern(4, blockBytes), 3 * blockBytes)
    for (const machine of [a, b]) assert.deepEqual(await world.run(machine.device!.read(0, bytes.length)), expected)
    await world.run(b.device!.flush())
    await world.run(a.device!.flush())
  })

  it('a dead holder: what was flushed is there, and the next holder serves it', async () => {
    const world = new World()
    const [a, b] = (await world.begin(2, 2)) as [Machine, Machine]
    const bytes = pattern(5, 4 * blockBytes)
    await world.run(a.device!.write(0, bytes))
    await world.run(a.device!.flush())
    a.crash(true)
    const startedMs = world.clock.monotonicMs()
    assert.deepEqual(await world.run(b.device!.read(0, bytes.length)), bytes)
    assert.ok(world.clock.monotonicMs() - startedMs < 15_000)
    await world.run(b.device!.write(0, pattern(6, blockBytes)))
    assert.equal(b.engine!.figures().recoveries, 1)
    await world.run(a.start())
    await world.run(b.device!.flush())
    assert.deepEqual((await world.run(a.device!.read(0, blockBytes))), pattern(6, blockBytes))
  })
})
