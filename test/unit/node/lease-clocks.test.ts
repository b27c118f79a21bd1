import assert from 'node:assert/strict'
import type { Clock } from '../../../src/base/index.js'
import { systemClock } from '../../../src/base/index.js'
import { clockReader } from '../../../src/node/lease-clocks.js'

describe('the clocks that leases go by', () => {
  const machine = { hrtimeMs: 1000, wallMs: 5_000_000, uptimeMs: 9000, asked: 0 }
  const clock: Clock = { ...systemClock, monotonicMs: () => machine.hrtimeMs, wallMs: () => machine.wallMs }
  const pass = (ms: number, awake = true): void => {
    if (awake) machine.hrtimeMs += ms
    machine.wallMs += ms
    machine.uptimeMs += ms
  }

  it('the uptime is asked for seldom, and told as if it were always', () => {
    const read = clockReader(clock, () => {
      machine.asked++
      return machine.uptimeMs
    })
    for (let i = 0; i < 1000; i++) {
      pass(0.1)
      assert.ok(Math.abs(read().uptimeMs - machine.uptimeMs) < 1e-6)
    }
    assert.ok(machine.asked <= 11, String(machine.asked))
  })

  it('a sleep shows at once, however soon it is asked after', () => {
    const read = clockReader(clock, () => machine.uptimeMs)
    read()
    pass(1)
    read()
    pass(3_600_000, false)
    pass(0.01)
    assert.ok(Math.abs(read().uptimeMs - machine.uptimeMs) < 1e-6)
    // Also one that is hardly longer than a blink, and the other way round a wall clock that somebody has set.
    pass(5, false)
    assert.ok(Math.abs(read().uptimeMs - machine.uptimeMs) < 1e-6)
    machine.wallMs -= 86_400_000
    pass(1)
    assert.ok(Math.abs(read().uptimeMs - machine.uptimeMs) < 1e-6)
  })
})
