import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { confirmDefaults, ConfirmCore } from '../../../src/storage-policy/index.js'
import { nodeIds } from '../../property/storage-policy/world.js'
import { runConfirmWorld } from './confirm-world.js'
import type { ConfirmWorldInit } from './confirm-world.js'

const base = { nodes: 4, blobs: 2, steps: 500, loss: 0.15 }

function sweep(seeds: number, init: Omit<ConfirmWorldInit, 'seed'>): { deletions: number; attempts: number; crashes: number; promisesLeft: number; violations: string[] } {
  const sum = { deletions: 0, attempts: 0, crashes: 0, promisesLeft: 0, violations: [] as string[] }
  for (let seed = 1; seed <= seeds; seed++) {
    const outcome = runConfirmWorld({ ...init, seed })
    sum.deletions += outcome.deletions
    sum.attempts += outcome.attempts
    sum.crashes += outcome.crashes
    sum.promisesLeft += outcome.promisesLeft
    if (outcome.violation !== undefined) sum.violations.push(outcome.violation)
  }
  return sum
}

describe('storage-policy: confirm before delete', function () {
  this.timeout(60_000)
  const seeds = Number(process.env['MESH_CONFIRM_SEEDS'] ?? 3000)

  for (const floor of [1, 2]) {
    it(`never leaves fewer than ${String(floor)} under loss, delay, doubling, crashes and clock jumps`, () => {
      const sum = sweep(seeds, { ...base, floor })
      console.log(`      ${String(seeds)} seeds: ${String(sum.attempts)} tries, ${String(sum.deletions)} deletions, ${String(sum.crashes)} crashes`)
      assert.deepEqual(sum.violations, [])
      // It must also let go: nearly everything that may go does, in the end.
      assert.ok(sum.deletions > seeds * base.blobs * (base.nodes - floor) * 0.6, `only ${String(sum.deletions)} deletions`)
    })
  }

  it('two holders of the last two copies, at the same instant: one of them keeps it', () => {
    const sum = sweep(seeds, { nodes: 2, blobs: 3, steps: 150, loss: 0.1, floor: 1 })
    assert.deepEqual(sum.violations, [])
    assert.ok(sum.deletions > seeds)
  })

  it('a promise ends with the deletion that it was asked for, however late and doubled the messages are', () => {
    for (const floor of [1, 2]) {
      const sum = sweep(Math.ceil(seeds / 4), { ...base, loss: 0, calm: true, floor })
      assert.deepEqual(sum.violations, [])
      assert.ok(sum.deletions > 0)
      assert.equal(sum.promisesLeft, 0)
    }
    assert.ok(sweep(20, { ...base, loss: 0, calm: true, floor: 1, broken: 'releases nobody' }).promisesLeft > 0)
  })

  it('a release that overtakes its question is remembered, and an answer that comes too late is let go of', () => {
    const [asker, holder] = nodeIds(2, 9) as [NodeId, NodeId]
    const late = new ConfirmCore({ self: holder, ...confirmDefaults }, [])
    const question = { cid: 'blob', attempt: 'one', from: asker }
    late.step({ type: 'keepReleased', ...question, nowMs: 0 })
    const [answer] = late.step({ type: 'keepAsked', ...question, keepMs: 60_000, holds: true, nowMs: 0 })
    assert.equal(answer?.type === 'answer' && answer.reason, 'asked no longer')
    assert.equal(late.isBound('blob', 1), false)
    // It binds who answered, and was not waited for.
    const effects = new ConfirmCore({ self: asker, ...confirmDefaults }, []).step({ type: 'keepAnswered', cid: 'blob', attempt: 'one', from: holder, keeps: true, nowMs: 0 })
    assert.deepEqual(effects, [{ type: 'release', to: holder, cid: 'blob', attempt: 'one' }])
  })

  it('the check can fail: without asking, and with holders that confirm while they want to drop it too', () => {
    assert.ok(sweep(20, { ...base, floor: 1, broken: 'no asking' }).violations.length > 0)
    assert.ok(sweep(300, { ...base, nodes: 2, floor: 1, broken: 'confirms with an intent' }).violations.length > 0)
  })
})
