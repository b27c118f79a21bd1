import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { confirmDefaults, ConfirmCore, keepMsMax } from '../../../src/storage-policy/index.js'
import type { ConfirmEffect } from '../../../src/storage-policy/index.js'
import { idOf } from '../../simulation/net-twin.js'

const self = idOf(1)
const { keepMs, intentsMax, promisesMax } = confirmDefaults

class Holder {
  readonly core = new ConfirmCore({ self, ...confirmDefaults }, [])
  nowMs = 0
  #attempt = 0

  /** What it says to a fresh question. */
  ask(from: NodeId, cid: string, forMs: number = keepMs, attempt = `try${String(this.#attempt++)}`): { reason: string | null; attempt: string; effects: ConfirmEffect[] } {
    const effects = this.core.step({ type: 'keepAsked', cid, attempt, from, keepMs: forMs, holds: true, nowMs: this.nowMs })
    const answer = effects.find((effect) => effect.type === 'answer')
    assert.ok(answer?.type === 'answer')
    return { reason: answer.reason, attempt, effects }
  }

  release(from: NodeId, cid: string, attempt: string): void {
    this.core.step({ type: 'keepReleased', cid, attempt, from, nowMs: this.nowMs })
  }

  /** Asks for different blobs until it is refused; how many were promised. */
  flood(from: NodeId, forMs?: number): number {
    for (let count = 0; ; count++) if (this.ask(from, `${from} ${String(count)} ${String(this.nowMs)}`, forMs).reason === 'too many promises') return count
  }

  pass(ms: number): void {
    this.nowMs += ms
    this.core.step({ type: 'tick', nowMs: this.nowMs })
  }
}

describe('storage-policy: shares of promises', () => {
  it('whoever releases nothing has a thousand for two minutes, or a few dozen for an hour, and a handful from then on', () => {
    const holder = new Holder()
    assert.equal(holder.flood(idOf(2)), intentsMax)
    assert.equal(holder.flood(idOf(3), keepMsMax), Math.floor((intentsMax * keepMs) / keepMsMax))
    // An hour longer does not help either.
    assert.equal(holder.flood(idOf(4), Number.MAX_SAFE_INTEGER), Math.floor((intentsMax * keepMs) / keepMsMax))
    let most = 0
    for (let i = 0; i < 360; i++) {
      holder.pass(10_000)
      holder.flood(idOf(2))
      if (i > 30) most = Math.max(most, holder.core.promises)
    }
    assert.ok(most <= 17 + 2 * 34, `${String(most)} at one time`)
    assert.equal(holder.ask(idOf(5), 'another').reason, null)
    // What has been quiet for long has as much again.
    holder.pass(3 * 3600_000)
    assert.equal(holder.flood(idOf(2)), intentsMax)
  })

  it('whoever releases has as many as it likes, one after the other', () => {
    const holder = new Holder()
    for (let i = 0; i < 5_000; i++) {
      const { reason, attempt } = holder.ask(idOf(2), `blob${String(i)}`)
      assert.equal(reason, null)
      holder.nowMs += 10
      holder.release(idOf(2), `blob${String(i)}`, attempt)
    }
    assert.equal(holder.core.promises, 0)
    // Asked twice for one try, as a doubled message does: paid for once.
    const one = holder.ask(idOf(2), 'twice', keepMs, 'same')
    for (let i = 0; i < 2000; i++) assert.equal(holder.ask(idOf(2), 'twice', keepMs, 'same').reason, null)
    assert.deepEqual([one.reason, holder.core.promises], [null, 1])
    // But each more time is.
    for (let i = 0; i < 1000; i++) {
      assert.equal(holder.ask(idOf(2), 'twice', keepMs, 'same').reason, null, 'one blob is within what anybody may keep bound')
      holder.nowMs += 60_000
    }
  })

  it('however many flood it, the next one is promised some', () => {
    const holder = new Holder()
    // Each leaves fifteen sixteenths of what it finds to those after it.
    for (let i = 0; i < 150; i++) {
      const had = holder.flood(idOf(100 + i))
      assert.ok(had >= 1, `number ${String(i)} had ${String(had)}`)
    }
    assert.ok(holder.core.promises < promisesMax && holder.core.promises > promisesMax / 2)
  })

  it('what stood before a restart counts, and binds', () => {
    const promises = Array.from({ length: intentsMax }, (_, i) => ({ cid: `blob${String(i)}`, to: idOf(2), attempt: 'a', untilMs: keepMs }))
    const core = new ConfirmCore({ self, ...confirmDefaults }, [...promises, ...promises])
    assert.equal(core.promises, intentsMax)
    assert.ok(core.isBound('blob7', 0) && core.isPromised('blob7', idOf(2), 'a', 0) && !core.isPromised('blob7', idOf(2), 'b', 0))
    const ask = (from: NodeId): ConfirmEffect[] => core.step({ type: 'keepAsked', cid: 'more', attempt: 'a', from, keepMs, holds: true, nowMs: 0 })
    const reasonOf = (effects: ConfirmEffect[]): string | null | undefined => effects.map((effect) => (effect.type === 'answer' ? effect.reason : undefined)).find((one) => one !== undefined)
    assert.equal(reasonOf(ask(idOf(2))), 'too many promises')
    assert.equal(reasonOf(ask(idOf(3))), null)
  })

  it('nobody who has had its share ends a deletion here', () => {
    const holder = new Holder()
    const asker = idOf(2)
    holder.flood(asker)
    let gaveWay = 0
    for (let i = 0; i < 50; i++) {
      holder.core.step({ type: 'dropWanted', cid: `mine${String(i)}`, attempt: `own${String(i)}`, holders: [asker, idOf(3)], floor: 1, nowMs: holder.nowMs })
      if (holder.ask(asker, `mine${String(i)}`).effects.some((effect) => effect.type === 'abandoned')) gaveWay++
    }
    assert.equal(gaveWay, 0)
    // Who has not outranks it for some of the blobs, as ever.
    for (let i = 0; i < 50; i++) if (holder.ask(idOf(4), `mine${String(i)}`).effects.some((effect) => effect.type === 'abandoned')) gaveWay++
    assert.ok(gaveWay > 5 && gaveWay < 45, String(gaveWay))
  })

  it('a flood of releases makes nobody else\'s forgotten', () => {
    const holder = new Holder()
    holder.release(idOf(2), 'blob', 'one')
    for (let i = 0; i < 5_000; i++) holder.release(idOf(3), `blob${String(i)}`, 'x')
    assert.equal(holder.ask(idOf(2), 'blob', keepMs, 'one').reason, 'asked no longer')
    // Nor do those of a thousand others grow without end: the one that released longest ago is forgotten.
    for (let i = 0; i < 1100; i++) holder.release(idOf(1000 + i), 'blob', 'x')
    assert.equal(holder.ask(idOf(2), 'blob', keepMs, 'one').reason, null)
  })
})
