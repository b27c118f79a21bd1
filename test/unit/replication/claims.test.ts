import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { Claims, claimsMax } from '../../../src/replication/claims.js'
import { idOf } from '../../simulation/net-twin.js'

const [one, two] = [idOf(1), idOf(2)]
const everybody = (): boolean => true

describe('replication: claims', () => {
  it('come newest first, each peer in its turn, and once', () => {
    let noted = 0
    const claims = new Claims({ onNote: () => noted++ })
    for (const cid of ['a', 'b', 'c', 'b']) claims.note(cid, one)
    claims.note('a', two)
    assert.deepEqual([noted, claims.size], [4, 4])
    const order: string[] = []
    for (let claim = claims.next(everybody, 0); claim !== undefined; claim = claims.next(everybody, 0)) {
      order.push(`${claim.cid} ${claim.peer === one ? 'one' : 'two'}`)
      claims.settled(claim.cid, claim.peer)
    }
    assert.deepEqual(order, ['c one', 'a two', 'b one', 'a one'])
    assert.equal(claims.size, 0)
  })

  it('that were not answered come again after a minute, and then later; who may not be asked is passed over', () => {
    const claims = new Claims({ onNote: () => undefined })
    claims.note('a', one)
    assert.equal(claims.unanswered('a', one, 1000), 1)
    assert.equal(claims.next(everybody, 60_000), undefined)
    assert.deepEqual(claims.next(everybody, 61_000), { cid: 'a', peer: one, tries: 1 })
    assert.equal(claims.unanswered('a', one, 61_000), 2)
    assert.equal(claims.next(everybody, 600_000), undefined)
    assert.ok(claims.next(everybody, 661_000))
    assert.equal(claims.next((peer: NodeId) => peer !== one, 661_000), undefined)
    // Said again: still the same one.
    claims.note('a', one)
    assert.equal(claims.next(everybody, 661_000)?.tries, 2)
    claims.forget(one)
    assert.deepEqual([claims.size, claims.unanswered('a', one, 0)], [0, 0])
  })

  it('of which most are settled before their turn leave no trace, and the rest come in their order', () => {
    const claims = new Claims({ onNote: () => undefined })
    const left: string[] = []
    for (let i = 0; i < 5000; i++) {
      claims.note(`blob${String(i)}`, one)
      if (i % 50 === 0) left.unshift(`blob${String(i)}`)
      else claims.settled(`blob${String(i)}`, one)
    }
    // One of them was asked for in vain: its turn is when it is due again, before all older ones.
    const [silent = '', ...others] = left
    claims.unanswered(silent, one, 0)
    for (const cid of others.slice(0, 10)) {
      assert.equal(claims.next(everybody, 1000)?.cid, cid)
      claims.settled(cid, one)
    }
    assert.deepEqual(claims.next(everybody, 60_000), { cid: silent, peer: one, tries: 1 })
    claims.settled(silent, one)
    // Said again after it was settled: new again.
    claims.note(silent, one)
    for (const cid of [silent, ...others.slice(10)]) {
      assert.equal(claims.next(everybody, 60_000)?.cid, cid)
      claims.settled(cid, one)
    }
    assert.deepEqual([claims.next(everybody, 1e9), claims.size], [undefined, 0])
  })

  it('of a peer that claims everything take no place from others', () => {
    const claims = new Claims({ onNote: () => undefined })
    for (let i = 0; i < 100; i++) claims.note(`own${String(i)}`, two)
    for (let i = 0; i < claimsMax + 1000; i++) claims.note(`blob${String(i)}`, one)
    assert.equal(claims.size, claimsMax)
    let ofTwo = 0
    for (let i = 0; i < 200; i++) {
      const { cid, peer } = claims.next(everybody, 0)!
      if (peer === two) ofTwo++
      claims.settled(cid, peer)
    }
    assert.equal(ofTwo, 100)
  })
})
