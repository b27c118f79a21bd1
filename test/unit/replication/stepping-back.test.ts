import assert from 'node:assert/strict'
import { SteppingBack } from '../../../src/replication/stepping-back.js'

const never = new AbortController().signal

async function mostAtOnce(steps: SteppingBack, bytes: number, works: number): Promise<number> {
  let now = 0
  let most = 0
  await Promise.all(Array.from({ length: works }, async () => steps.run(bytes, async () => {
    most = Math.max(most, ++now)
    await new Promise((resolve) => setImmediate(resolve))
    now--
  }, never)))
  return most
}

describe('replication: stepping back', () => {
  it('narrows copying while somebody works here, large blobs more than small ones, and stops none', async () => {
    let busy = true
    const steps = new SteppingBack({ isBusy: () => busy })
    assert.equal(await mostAtOnce(steps, 2 ** 20, 24), 2)
    assert.equal(await mostAtOnce(steps, 10_000, 24), 8)
    busy = false
    assert.equal(await mostAtOnce(steps, 2 ** 20, 24), 24)
  })
})
