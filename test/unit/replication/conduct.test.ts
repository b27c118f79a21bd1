import assert from 'node:assert/strict'
import { Conduct } from '../../../src/replication/conduct.js'
import { Rate } from '../../../src/replication/rate.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { idOf } from '../../simulation/net-twin.js'

const minute = 60_000
const [a, b] = [idOf(1), idOf(2)]

describe('replication: conduct', () => {
  it('a few offences make a node less reliable, many keep new copies away, and both wear off', async () => {
    const clock = new VirtualClock()
    const conduct = new Conduct({ clock })
    assert.equal(conduct.reliabilityShare(a), 1)
    for (let i = 0; i < 4; i++) conduct.offended(a, 'no room')
    assert.equal(conduct.reliabilityShare(a), 0.5)
    assert.equal(conduct.isShunned(a), false)
    for (let i = 0; i < 4; i++) conduct.offended(a, 'garbage')
    assert.equal(conduct.isShunned(a), true)
    assert.deepEqual([conduct.isShunned(b), conduct.reliabilityShare(b)], [false, 1], 'each for itself')
    assert.ok(conduct.sentences()[0]!.includes(a))
    // Not back at once: a node that goes on would be let in and thrown out in turn.
    await clock.advance(19 * minute)
    assert.equal(conduct.isShunned(a), true)
    await clock.advance(2 * minute)
    assert.equal(conduct.isShunned(a), false)
    assert.deepEqual(conduct.sentences(), [])
    await clock.advance(100 * minute)
    assert.ok(conduct.reliabilityShare(a) > 0.99)
  })

  it('whatever it did, it may come back after six half-lives', async () => {
    const clock = new VirtualClock()
    const conduct = new Conduct({ clock })
    for (let i = 0; i < 100_000; i++) conduct.offended(a, 'inventory')
    await clock.advance(59 * minute)
    assert.equal(conduct.isShunned(a), true)
    await clock.advance(2 * minute)
    assert.equal(conduct.isShunned(a), false)
  })
})

describe('replication: rates', () => {
  it('a burst, then so many a second, each peer its own', async () => {
    const clock = new VirtualClock()
    const rate = new Rate({ clock }, { burst: 10, perSecond: 2 })
    const allowed = (peer: typeof a): number => Array.from({ length: 100 }, () => rate.allow(peer)).filter((yes) => yes).length
    assert.deepEqual([allowed(a), allowed(a), allowed(b)], [10, 0, 10])
    await clock.advance(3000)
    assert.equal(allowed(a), 6)
    await clock.advance(3600_000)
    assert.equal(allowed(a), 10)
  })

  it('remembers so many peers, and who made them all up gains nothing for another', () => {
    const rate = new Rate({ clock: new VirtualClock() }, { burst: 1, perSecond: 1 })
    for (let i = 0; i < 10_000; i++) assert.equal(rate.allow(idOf(i)), true)
    assert.equal(rate.allow(idOf(9_999)), false)
    assert.equal(rate.allow(idOf(10_000)), true)
    assert.equal(rate.allow(idOf(9_999)), false, 'the newest are remembered')
  })
})
