import assert from 'node:assert/strict'
import { SharingWorld } from './sharing-world.js'
import type { Faults } from './sharing-world.js'
import { seededRandom } from '../../../src/base/index.js'

const calm: Faults = { loss: 0, delayMsMax: 20, crashes: false, pauses: false, revocations: false, shareDelayMsMax: 20, cuts: false, diskMsMax: 0 }
const simulatedMs = 12_000
/** So many worlds of faults; more with SHARING_SEEDS, as the mutants' script does. */
const seeds = Number(process.env.SHARING_SEEDS ?? 8)

async function run(seed: number, faults: Faults): Promise<SharingWorld> {
  const world = new SharingWorld(seededRandom(seed), faults)
  await world.run(simulatedMs)
  assert.deepEqual(world.violations.slice(0, 5), [], `seed ${String(seed)}`)
  return world
}

describe('shared leases over nodes, simulated', function () {
  this.timeout(60_000 * Math.max(1, seeds / 8))

  it('readers of several nodes read at the same time, writers get their turn', async () => {
    const { counts } = await run(1, calm)
    assert.ok(counts.readTogetherOnTwo > 100 && counts.written > 10 && counts.read > 20, JSON.stringify(counts))
  })

  it('a holder that crashes and is back at once: writers wait for the readers that it had let in', async () => {
    // A seed in which one that does not wait writes beside them.
    const { counts } = await run(12, { ...calm, crashes: true })
    assert.ok(counts.crashes > 0 && counts.readTogetherOnTwo > 100, JSON.stringify(counts))
  })

  it('no writer overlaps anybody: loss, delay, crashes with quick restarts, machines that stand still, revocations', async () => {
    const total = { readTogetherOnTwo: 0, written: 0, crashes: 0, upgraded: 0 }
    for (let seed = 100; seed < 100 + seeds; seed++) {
      const { counts } = await run(seed, {
        loss: (seed % 4) * 0.05, delayMsMax: 20 + (seed % 3) * 30, shareDelayMsMax: (seed % 3) * 450, crashes: seed % 2 === 0, pauses: seed % 3 === 0,
        revocations: seed % 4 === 1, cuts: seed % 4 >= 2, diskMsMax: seed % 5 === 4 ? 5 : 0,
      })
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += counts[key]
    }
    assert.ok(total.readTogetherOnTwo > 100 && total.written > 40 && total.crashes > 3, JSON.stringify(total))
  })
})
