import assert from 'node:assert/strict'
import { simulate } from './simulation.js'

/** Fewer than there are worth running: `npm run soak:volumes` has as many as wanted. */
const seeds = Number(process.env.VOLUME_SEEDS ?? 24)

describe('simulation: volumes', () => {
  it('whatever dies, is cut off or moves: what was flushed stays, nobody reads what was overtaken, and all comes right', async function () {
    this.timeout(120_000)
    let operations = 0
    for (let seed = 1; seed <= seeds; seed++) {
      const result = await simulate(seed)
      operations += result.operations
      assert.equal(result.violation, undefined, `seed ${seed} (npm run soak:volumes -- --seed ${seed} --log 1): ${result.violation?.message ?? ''}`)
    }
    assert.ok(operations > seeds * 100, `only ${operations} operations were checked`)
  })
})
