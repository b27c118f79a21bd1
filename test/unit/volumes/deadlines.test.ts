import assert from 'node:assert/strict'
import { Deadlines } from '../../../src/volumes/engine/deadlines.js'
import { VirtualClock } from '../../simulation/net-clock.js'

describe('volumes: deadlines of operations', () => {
  const deadlineMs = 1600

  /** Resolves to when, from its start, the operation was told to end. */
  async function until(clock: VirtualClock, deadlines: Deadlines): Promise<number> {
    const startMs = clock.monotonicMs()
    await deadlines.run((deadline) => new Promise<void>((resolve) => { deadline.addEventListener('abort', () => { resolve() }) }))
    return clock.monotonicMs() - startMs
  }

  it('each operation has its time, and at most a sixteenth more, whoever began before it', async () => {
    const clock = new VirtualClock()
    const deadlines = new Deadlines({ clock }, { deadlineMs })
    const all: Promise<number>[] = []
    for (let i = 0; i < 40; i++) {
      all.push(until(clock, deadlines))
      await clock.advance(37)
    }
    await clock.advance(2 * deadlineMs)
    for (const ms of await Promise.all(all)) assert.ok(ms >= deadlineMs && ms <= deadlineMs * (17 / 16), String(ms))
  })

  it('what was done in time is not disturbed, and closing leaves no timer behind', async () => {
    const clock = new VirtualClock()
    let timers = 0
    const counting = {
      wallMs: () => clock.wallMs(),
      monotonicMs: () => clock.monotonicMs(),
      sleep: async (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal),
      setTimer: (ms: number, run: () => void) => {
        timers++
        const cancel = clock.setTimer(ms, run)
        return () => {
          timers--
          cancel()
        }
      },
    }
    const deadlines = new Deadlines({ clock: counting }, { deadlineMs })
    for (let i = 0; i < 40; i++) {
      assert.equal(await deadlines.run(async (deadline) => deadline.aborted), false)
      await clock.advance(50)
    }
    let end = (): void => undefined
    const running = deadlines.run((deadline) => new Promise<boolean>((resolve) => { end = () => { resolve(deadline.aborted) } }))
    deadlines.close()
    assert.equal(timers, 1, 'what runs keeps its deadline')
    end()
    assert.equal(await running, false)
    assert.equal(timers, 0)
  })
})
