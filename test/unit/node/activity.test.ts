import assert from 'node:assert/strict'
import { systemClock } from '../../../src/base/index.js'
import { Activity } from '../../../src/node/activity.js'

describe('node: activity', () => {
  it('lasts while something is put or read, and a moment longer', async () => {
    let nowMs = 0
    const activity = new Activity({ clock: { ...systemClock, monotonicMs: () => nowMs } })
    assert.equal(activity.isBusy, false)
    await activity.during(async () => {
      assert.equal(activity.isBusy, true)
      nowMs += 10_000
    })
    assert.equal(activity.isBusy, true)
    nowMs += 1000
    assert.equal(activity.isBusy, false)
    // A reader that leaves half-way is gone, too.
    for await (const item of activity.while(letters())) {
      nowMs += 1000
      assert.equal(activity.isBusy, true, item)
      if (item === 'b') break
    }
    nowMs += 1000
    assert.equal(activity.isBusy, false)
  })
})

async function* letters(): AsyncIterable<string> {
  await Promise.resolve()
  yield* ['a', 'b', 'c']
}
