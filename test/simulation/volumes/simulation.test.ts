import assert from 'node:assert/strict'
import { simulate } from './simulation.js'

/** Fewer than there are worth running: `npm run soak:volumes` has as many as wanted. */
const seeds = Number(process.env.VOLUME_SEEDS ?? 30)

/** Seeds that once broke something, in the weather that they broke it in. What they reach changes with the code. */
const kept = [
  { seed: 520, weather: { machines: 3, crashes: true, power: true, partitions: true, deafness: true, clockErrorMs: 0, delayMaxMs: 12, faultMs: 1_500, handOffs: true } },
  { seed: 23, weather: {} },
  { seed: 41, weather: {} },
  { seed: 48, weather: {} },
  { seed: 96, weather: {} },
  { seed: 100, weather: {} },
]

describe('simulation: volumes', () => {
  it('whatever dies, is cut off or moves: what was flushed stays, nobody reads what was overtaken, and all comes right', async function () {
    this.timeout(180_000)
    let operations = 0
    const all = [...kept, ...Array.from({ length: seeds }, (_, i) => ({ seed: i + 1, weather: {} }))]
    for (const { seed, weather } of all) {
      const result = await simulate(seed, weather)
      operations += result.operations
      assert.equal(result.violation, undefined, `seed ${seed} (npm run soak:volumes -- --seed ${seed} --log 1): ${result.violation?.message ?? ''}`)
    }
    assert.ok(operations > all.length * 100, `only ${operations} operations were checked`)
  })
})
