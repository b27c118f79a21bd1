import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { seededRandom } from '../../../src/base/index.js'
import { bestStaticMs, MigrationWorld } from './migration-world.js'

const triangle = (d: number): number[][] => [[0, d, d], [d, 0, d], [d, d, 0]]
const pair = (d: number): number[][] => [[0, d], [d, 0]]

describe('migration: whole runs of the policy', function () {
  this.timeout(60_000)

  it('moves at most once in 1,000 uniform accesses from three regions, whatever the distance and the pace', async () => {
    let worst = 0
    let runs = 0
    let total = 0
    for (const policy of ['adaptive', 'basic'] as const) {
      for (const d of [20, 110, 200, 400]) {
        for (const everyMs of [20, 300]) {
          for (let seed = 1; seed <= 2; seed++) {
            const random = seededRandom(seed * 1000 + d + everyMs)
            const world = new MigrationWorld({ rtts: triangle(d), policy })
            world.write(0)
            for (let i = 0; i < 1000; i++) {
              await world.pass(everyMs * 2 * random.float())
              world.write(random.below(3))
            }
            worst = Math.max(worst, world.moves)
            total += world.moves
            runs++
            assert.ok(world.moves <= 1, `${String(world.moves)} moves: ${policy}, ${String(d)} ms, every ${String(everyMs)} ms, seed ${String(seed)}`)
          }
        }
      }
    }
    console.log(`      uniform: ${String(total)} moves in ${String(runs)} runs of 1,000 accesses, ${String(worst)} in the worst`)
  })

  it('two writers who take turns, of any length, lose at most a tenth against the best single place', async () => {
    let worst = Number.POSITIVE_INFINITY
    let worstRun = ''
    const run = async (policy: 'adaptive' | 'basic', d: number, everyMs: number, turnMs: number | undefined): Promise<void> => {
      const random = seededRandom(d + everyMs + (turnMs ?? 0))
      const world = new MigrationWorld({ rtts: pair(d), policy })
      const [startMs, writers] = [world.nowMs, [0]]
      world.write(0)
      while (world.nowMs - startMs < 3_600_000 && writers.length < (turnMs === undefined ? 1000 : 3600)) {
        await world.pass(everyMs * 2 * random.float())
        const turn = turnMs === undefined ? writers.length : Math.floor((world.nowMs - startMs) / turnMs)
        writers.push(turn % 2)
        world.write(turn % 2)
      }
      const share = bestStaticMs(world, writers) / world.totalMs
      if (share < worst) [worst, worstRun] = [share, `${policy}, ${String(d)} ms, every ${String(everyMs)} ms, turns of ${turnMs === undefined ? 'one write' : `${String(turnMs)} ms`}, ${String(world.moves)} moves`]
    }
    for (const policy of ['adaptive', 'basic'] as const) {
      for (const everyMs of [50, 1000]) await run(policy, 200, everyMs, undefined)
      // Against a window of 300 s these are the worst; shorter ones blur, longer ones are worth a move.
      for (const turnS of policy === 'basic' ? [310] : [30, 100, 200, 280, 350, 400]) await run(policy, 200, 1000, turnS * 1000)
    }
    console.log(`      taking turns: ${(worst * 100).toFixed(1)} % of the best single place in the worst run (${worstRun})`)
    assert.ok(worst >= 0.9, `${(worst * 100).toFixed(1)} % in: ${worstRun}`)
  })

  it('goes to who writes alone, after no more slow writes than were promised, and stays while it is used', async () => {
    for (const [policy, rtt, slowWrites] of [
      ['adaptive', 200, 1], ['adaptive', 20, 2], ['adaptive', 6, 3], ['adaptive', 3, 5], ['adaptive', 0.5, 10],
      ['basic', 200, 3], ['basic', 20, 3], ['basic', 6, 5], ['basic', 3, 10],
    ] as const) {
      const world = new MigrationWorld({ rtts: pair(rtt), policy })
      const seen: number[] = []
      for (let i = 0; i < 50; i++) {
        await world.pass(1000)
        world.write(1, undefined, 0)
        if (world.moves === 1) seen.push(i + 1)
      }
      assert.equal(seen[0], slowWrites + 1, `${policy} at ${String(rtt)} ms: the write after ${String(slowWrites)} slow ones asks`)
      assert.equal(world.moves, 1)
      assert.equal(world.holder, 1)
    }
  })

  it('a long run from afar takes few moves, and leaves alone what the holder uses', () => {
    const world = new MigrationWorld({ rtts: pair(200) })
    for (let i = 0; i < 50; i++) world.write(0, { start: 9000, blocks: 100 })
    // The world has one holder for all blocks: what moved is kept here, and is always all that lies before.
    const moved: { start: number; blocks: number }[] = []
    let remote = 0
    for (let start = 0; start < 8192; start += 16) {
      if (moved.some((one) => one.start <= start && start < one.start + one.blocks)) continue
      remote++
      const decision = world.write(1, { start, blocks: 16 }, 0, { start, blocks: 16_384 - start })
      world.holder = 0
      if (decision?.type === 'move') moved.push(decision.range)
    }
    console.log(`      a run of 512 writes: ${String(remote)} of them slow, ${String(moved.length)} moves`)
    assert.ok(remote <= 40 && moved.length <= 20)
    assert.ok(moved.every((one) => one.start + one.blocks <= 9000))
  })

  it('goes to a third place between the writers when that is better for all', async () => {
    // Two far ends and a middle: a — 200 — c, b in between at 60 each (as the crow does not fly).
    const world = new MigrationWorld({ rtts: [[0, 60, 200], [60, 0, 60], [200, 60, 0]] })
    world.write(0)
    for (let i = 0; i < 200; i++) {
      await world.pass(500)
      world.write(i % 2 === 0 ? 0 : 2)
    }
    assert.equal(world.holder, 1, world.decisions.at(-1)?.explanation)
    assert.equal(world.moves, 1)
  })
})
