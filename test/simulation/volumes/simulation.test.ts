import assert from 'node:assert/strict'
import { simulate } from './simulation.js'

/** Fewer than there are worth running: `npm run soak:volumes` has as many as wanted. */
const seeds = Number(process.env.VOLUME_SEEDS ?? 24)

/** Seeds that once broke something, in the weather that they broke it in. What they reach changes with the code. */
const kept = [
  { seed: 520, weather: { machines: 3, crashes: true, power: true, partitions: true, deafness: true, clockErrorMs: 0, delayMaxMs: 12, faultMs: 1_500, handOffs: true } },
  { seed: 23, weather: {} },
  { seed: 41, weather: {} },
  { seed: 48, weather: {} },
  { seed: 96, weather: {} },
  { seed: 100, weather: {} },
  { seed: 1_368, weather: {} },
  { seed: 1_388, weather: {} },
  { seed: 40_659, weather: {} },
]

describe('simulation: volumes', () => {
  it('whatever dies, is cut off or moves: what was flushed stays, nobody reads what was overtaken, and all comes right', async function () {
    this.timeout(300_000)
    let operations = 0
    const all = [...kept, ...Array.from({ length: seeds }, (_, i) => ({ seed: i + 1, weather: {} }))]
    for (const { seed, weather } of all) {
      const result = await simulate(seed, weather)
      operations += result.operations
      assert.equal(result.violation, undefined, `seed ${seed} (npm run soak:volumes -- --seed ${seed} --log 1): ${result.violation?.message ?? ''}`)
    }
    assert.ok(operations > all.length * 100, `only ${operations} operations were checked`)
  })

  it('the same over the consensus as it is', async function () {
    this.timeout(200_000)
    for (let seed = 1; seed <= 4; seed++) {
      const result = await simulate(seed, { realVoters: true, clockErrorMs: 0 })
      assert.equal(result.violation, undefined, `seed ${seed} (npm run soak:volumes -- --seed ${seed} --log 1 --weather '{"realVoters":true,"clockErrorMs":0}'): ${result.violation?.message ?? ''}`)
      assert.ok(result.operations > 30, `only ${result.operations} operations were checked`)
    }
  })
})
