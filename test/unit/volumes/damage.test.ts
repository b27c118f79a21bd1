import assert from 'node:assert/strict'
import { codeOf, seededRandom } from '../../../src/base/index.js'
import { blockBytes, segmentBytes } from '../../../src/volumes/index.js'
import { decodeSegment } from '../../../src/volumes/engine/codec.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { SimulatedNetwork } from '../../simulation/net-twin.js'
import { Machine, volumeId } from '../../simulation/volumes/machine.js'
import { RegisterTwin } from '../../simulation/volumes/register-twin.js'

const id = { volume: volumeId, segment: 0 }

class World {
  readonly clock = new VirtualClock()
  readonly random = seededRandom(7)
  readonly network = new SimulatedNetwork({ clock: this.clock, random: this.random }, { delayMs: [1, 3], noticeMs: 200, redialMs: 10 })
  readonly registers = new RegisterTwin(this.clock, this.random, [1, 3])
  readonly machines: Machine[] = []

  async begin(count: number, replicas: number): Promise<Machine[]> {
    for (let number = 0; number < count; number++) {
      this.machines.push(new Machine(this, {
        number, replicas, sizeBytes: 2 * segmentBytes, engine: { keepEveryMs: 500, replicaDeadlineMs: 900, inSyncMin: 1 },
        places: (wanted, not) => this.machines.map((machine) => machine.id).filter((node) => !not.includes(node)).slice(0, wanted),
      }))
    }
    for (const machine of this.machines) await this.run(machine.start())
    await this.clock.advance(100)
    return this.machines
  }

  async run<T>(promise: Promise<T>, limitMs = 120_000): Promise<T> {
    return this.clock.outcome(promise, limitMs)
  }

  /** Bounded by the virtual clock: costs no time of the test's. */
  async until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    for (let look = 0; look < 200; look++) {
      if (await this.run(isSo())) return
      await this.clock.advance(500)
    }
    assert.fail(`waited in vain for ${what}`)
  }

  /** The process dies, a row of the segment loses its header at both ends, and the process is started again. */
  async damageAndRestart(machine: Machine): Promise<void> {
    machine.crash(false)
    await this.clock.advance(5_000)
    const found = [...machine.database.rows].find(([key, value]) => key.startsWith(Buffer.from('log').toString('hex')) && value.length > blockBytes && key.endsWith('00000000'))
    assert.ok(found !== undefined)
    const [, value] = found
    for (const at of [20, value.length - 20]) value[at] = (value[at] ?? 0) ^ 1
    machine.database.synced = new Map(machine.database.rows)
    await this.run(machine.start())
  }
}

function filled(byte: number, blocks: number): Uint8Array {
  return new Uint8Array(blocks * blockBytes).fill(byte)
}

async function isWhole(machine: Machine): Promise<boolean> {
  try {
    return (await machine.disk?.isWhole(id)) === true
  } catch (error) {
    assert.equal(codeOf(error), 'CORRUPT')
    return false
  }
}

async function contentOf(machine: Machine): Promise<number[]> {
  const runs = await machine.disk?.read(id, { start: 0, blocks: 40 }) ?? []
  return runs.flatMap((run) => Array.from({ length: run.blocks }, (_, i) => run.bytes[i * blockBytes] ?? -1))
}

const expected = [...new Array<number>(10).fill(1), ...new Array<number>(20).fill(2), ...new Array<number>(10).fill(3)]

/** What all tests begin with: a segment written in pieces and flushed. */
async function written(a: Machine, world: World): Promise<void> {
  for (const [byte, start, blocks] of [[1, 0, 20], [2, 10, 20], [3, 30, 10]] as const) await world.run(a.device!.write(start * blockBytes, filled(byte, blocks)))
  await world.run(a.device!.write(segmentBytes, filled(9, 1)))
  await world.run(a.device!.flush())
}

describe('volumes: a damaged copy of a segment', () => {
  it('of a replica is made anew from another one, while the holder goes on', async () => {
    const world = new World()
    const [a, b] = (await world.begin(2, 2)) as [Machine, Machine]
    await written(a, world)
    await world.damageAndRestart(b)
    await assert.rejects(b.disk!.read(id, { start: 0, blocks: 1 }), (error) => codeOf(error) === 'CORRUPT')
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    await world.until('the replica to be whole again', () => isWhole(b))
    assert.deepEqual(await world.run(contentOf(b)), expected)
    await world.until('it to count again', async () => replicasOf(world) === 2)
  })

  it('of the holder itself is made anew: it serves all the same, from the other replica', async () => {
    const world = new World()
    const [a, b] = (await world.begin(2, 2)) as [Machine, Machine]
    await written(a, world)
    await world.damageAndRestart(a)
    const read = await world.run(a.device!.read(0, 40 * blockBytes))
    assert.deepEqual(Array.from({ length: 40 }, (_, i) => read[i * blockBytes]), expected)
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    await world.until('the copy to be whole again', () => isWhole(a))
    assert.deepEqual(await world.run(contentOf(a)), expected)
    assert.deepEqual(await world.run(contentOf(b)), expected)
    await world.until('it to count again', async () => replicasOf(world) === 2)
  })

  it('that is the only one is an error for its segment, and stays on the disk', async () => {
    const world = new World()
    const [a] = (await world.begin(1, 1)) as [Machine]
    await written(a, world)
    await world.damageAndRestart(a)
    await assert.rejects(world.run(a.device!.read(0, blockBytes)), (error) => codeOf(error) === 'IO')
    assert.equal((await world.run(a.device!.read(segmentBytes, blockBytes)))[0], 9)
    const usage = await a.disk!.usage()
    assert.ok(usage.diskBytes > 30 * blockBytes)
  })
})

function replicasOf(world: World): number {
  const value = world.registers.registers.get(`segment:${volumeId}/0`)?.value
  return value === undefined ? 0 : decodeSegment(value.payload).replicas.length
}
