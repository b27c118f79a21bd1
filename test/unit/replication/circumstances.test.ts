import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { Circumstances } from '../../../src/replication/circumstances.js'
import type { BlobView, NodeView } from '../../../src/storage-policy/index.js'
import { MeshView, storageCost } from '../../../src/storage-policy/index.js'

const [a, b, c] = ['a', 'b', 'c'].map((name) => name as NodeId) as [NodeId, NodeId, NodeId]
const rebalance = { graceMs: 100_000, urgentAfterMs: 10_000 }

function node(name: NodeId, more: Partial<NodeView> = {}): NodeView {
  return { node: name, state: 'up', silentMs: 0, region: '', segment: '', power: 'mains', reliability: 1, maxBytes: 1e6, freeBytes: 1e6, ownFreeBytes: 1e6, accepting: true, repairing: true, trusted: true, ...more }
}

function blob(more: Partial<BlobView> = {}): BlobView {
  return { cid: 'x', bytes: 1000, priority: 'normal', owner: a, wanted: 3, holders: [a, b], ...more }
}

describe('replication: which nodes count otherwise than before', () => {
  it('who came, went, fell silent for long enough, is believed no more, or repairs no more; and nobody for what it has room for', () => {
    const circumstances = new Circumstances()
    const look = (...nodes: NodeView[]): NodeId[] => [...circumstances.standingOtherwise(nodes, rebalance)]
    assert.deepEqual(look(node(a), node(b)), [a, b])
    assert.deepEqual(look(node(a), node(b, { freeBytes: 1, reliability: 0.5, accepting: false })), [])
    const cases: Partial<NodeView>[] = [
      { state: 'suspect', silentMs: 9_999 }, { state: 'suspect', silentMs: 10_000 }, { state: 'suspect', silentMs: 100_001 }, { state: 'gone', silentMs: 100_001 },
      { trusted: false }, { repairing: false },
    ]
    for (const one of cases) {
      assert.deepEqual(look(node(a), node(b, one)), [b], JSON.stringify(one))
      assert.deepEqual(look(node(a), node(b, { ...one, freeBytes: 5 })), [])
    }
    assert.deepEqual(look(node(a)), [b])
    assert.deepEqual(look(node(a), node(c)), [c])
  })
})

describe('replication: whether there is a place for what waits', () => {
  const cost = storageCost(1000)

  /** `blobs` wait, with the nodes as they are in `then`; whether there is a place when they are as in `now`, at so many ms. */
  class Waiting {
    readonly #circumstances = new Circumstances()

    constructor(then: NodeView[], blobs: BlobView[], isShort = true) {
      this.#circumstances.standingOtherwise(then, rebalance)
      for (const one of blobs) this.#circumstances.waits(one, isShort, new MeshView(then))
    }

    isPlaceFound(now: NodeView[], nowMs = 0, copied = 0): boolean {
      this.#circumstances.standingOtherwise(now, rebalance)
      return this.#circumstances.isPlaceFound(now, nowMs, copied)
    }

    isAwaited(name: NodeId): boolean {
      return this.#circumstances.isAwaited(name)
    }
  }

  const full = (freeBytes: number, more: Partial<NodeView> = {}): NodeView[] => [node(a), node(b), node(c, { freeBytes, ...more })]

  it('a node that was full has one when it has room for the smallest that waits, and not before', () => {
    const waiting = new Waiting(full(cost - 1), [blob({ bytes: 5000, cid: 'y' }), blob()])
    assert.equal(waiting.isPlaceFound(full(0)), false)
    assert.equal(waiting.isPlaceFound(full(cost - 1)), false)
    assert.equal(waiting.isPlaceFound(full(cost)), true)
    assert.deepEqual([waiting.isAwaited(a), waiting.isAwaited(c)], [false, true])
  })

  it('a holder is no place, however much room it has', () => {
    const waiting = new Waiting([node(a), node(b, { freeBytes: 0 })], [blob()])
    assert.equal(waiting.isPlaceFound([node(a), node(b)]), false)
    assert.equal(waiting.isAwaited(b), false)
  })

  it('nor is who had room already, and was passed over by the plan for another reason', () => {
    assert.equal(new Waiting(full(cost), [blob()]).isPlaceFound(full(2 * cost)), false)
  })

  it('a node that was away, did not accept, or was not believed is one as soon as it is, does and is', () => {
    for (const then of [{ state: 'suspect' as const }, { accepting: false }, { trusted: false }]) {
      const waiting = new Waiting(full(1e6, then), [blob()])
      assert.equal(waiting.isPlaceFound(full(1e6, then)), false)
      assert.equal(waiting.isPlaceFound(full(1e6)), true, JSON.stringify(then))
    }
  })

  it('what it could evict counts for who matters more', () => {
    const evictable = { evictableBytes: { high: cost } }
    assert.equal(new Waiting(full(0), [blob({ priority: 'normal' })]).isPlaceFound(full(0, evictable)), false)
    assert.equal(new Waiting(full(0), [blob({ priority: 'high' })]).isPlaceFound(full(0, evictable)), true)
  })

  it('a newcomer is one if anything waits', () => {
    const two = [node(a), node(b)]
    assert.equal(new Waiting(two, []).isPlaceFound(full(1e6)), false)
    assert.equal(new Waiting(two, [blob()]).isPlaceFound(full(1e6)), true)
    const waiting = new Waiting(two, [blob()])
    assert.equal(waiting.isAwaited(c), true)
    assert.equal(waiting.isPlaceFound(full(0)), false)
    assert.equal(waiting.isPlaceFound(full(1e6)), true)
  })

  it('the owner\'s own copy waits for its owner alone', () => {
    const owned = blob({ priority: 'critical', owner: c, wanted: 2 })
    const waiting = new Waiting([node(a), node(b), node(c, { ownFreeBytes: cost - 1, accepting: false })], [owned], false)
    assert.equal(waiting.isPlaceFound([node(a), node(b), node(c, { ownFreeBytes: cost - 1 })]), false)
    assert.equal(waiting.isPlaceFound([node(a), node(b), node(c, { ownFreeBytes: cost, accepting: false })]), true)
  })

  it('who was looked to in vain is looked to later each time, and soon again when it took something', () => {
    const waiting = new Waiting(full(0), [blob()])
    const found: number[] = []
    for (let ms = 0; ms <= 3600_000; ms += 1000) if (waiting.isPlaceFound(full(1e6), ms, 7)) found.push(ms / 1000)
    assert.deepEqual(found.slice(0, 6), [0, 2, 6, 14, 30, 62])
    assert.ok(found.length >= 15 && found.length <= 20, `${String(found.length)} times in an hour`)
    const lastMs = (found.at(-1) ?? 0) * 1000
    assert.equal(waiting.isPlaceFound(full(1e6), lastMs + 300_000, 8), true)
    assert.equal(waiting.isPlaceFound(full(1e6), lastMs + 302_000, 9), true)
  })
})
