import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { NodeId } from '../../../src/base/index.js'
import { segmentBlocks } from '../../../src/volumes/geometry.js'
import {
  addJoining, claim, emptySegment, move, promote, rangesMax, release, inherit, removeReplica, sameHolding, sameSession, settle,
} from '../../../src/volumes/segment.js'
import type { Change, Segment, Session } from '../../../src/volumes/segment.js'

const node = (i: number): NodeId => `12D3KooWnode${String(i)}` as NodeId
const session = (i: number, epoch = 1): Session => ({ node: node(i), incarnation: 'aa', epoch })
const range = fc.tuple(fc.nat(segmentBlocks - 1), fc.integer({ min: 1, max: 3000 })).map(([start, blocks]) => ({ start, blocks: Math.min(blocks, segmentBlocks - start) }))
const operation = fc.record({
  kind: fc.constantFrom('claim', 'move', 'move', 'release', 'inherit', 'settle'),
  range,
  from: fc.nat(3),
  to: fc.nat(3),
})

/** Who holds each block at which token: the naive picture of the map. */
function picture(segment: Segment): (string | undefined)[] {
  const blocks = new Array<string | undefined>(segmentBlocks).fill(undefined)
  for (const { start, blocks: length, value } of segment.ranges.entries) blocks.fill(`${value.session.node}/${String(value.token)}`, start, start + length)
  return blocks
}

describe('volumes: segment register', () => {
  it('whatever the rounds do: tokens only grow, nobody loses a block but to the round that took it, 64 ranges at most', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 150 }), (operations) => {
        let segment = emptySegment([node(0), node(1)])
        for (const op of operations) {
          const before = picture(segment)
          const held = segment.ranges.at(op.range.start)
          // Of what nobody holds only a move can be tried, from whom it says.
          const kind = held === undefined && op.kind !== 'claim' ? 'move' : op.kind
          const change: Change =
            op.kind === 'claim' ? claim(segment, op.range, session(op.to))
            : op.kind === 'move' && held !== undefined ? move(segment, op.range, held.session, held.token, session(op.to))
            : op.kind === 'release' && held !== undefined ? release(segment, op.range, held.session, held.token)
            : op.kind === 'inherit' && held !== undefined ? inherit(segment, held.session, held.token, session(op.to))
            : op.kind === 'settle' && held !== undefined ? settle(segment, held.session, held.token, held.unsettled.map((token) => ({ token, sequence: 9 })))
            : move(segment, op.range, session(op.from), segment.token, session(op.to))
          if (change.type === 'unchanged') continue
          const after = picture(change.segment)
          assert.ok(change.segment.ranges.size <= rangesMax)
          assert.equal(change.segment.version, segment.version + 1)
          if (kind === 'inherit') assert.ok(!change.segment.ranges.entries.some((entry) => entry.value.token === held?.token))
          const took = change.taken.length > 0
          assert.equal(change.segment.token, segment.token + (took ? 1 : 0))
          for (let block = 0; block < segmentBlocks; block++) {
            if (after[block] === before[block]) continue
            if (kind === 'release') {
              assert.equal(after[block], undefined)
              assert.equal(before[block], `${String(held?.session.node)}/${String(held?.token)}`)
            } else {
              assert.equal(after[block], `${session(op.to).node}/${String(segment.token + 1)}`)
              // A claim takes only what is free; a move only the named holder's, at the named token.
              if (kind === 'claim') assert.equal(before[block], undefined)
            }
          }
          if (took) for (let i = op.range.start; kind === 'claim' && i < op.range.start + op.range.blocks; i += 97) assert.ok(after[i] !== undefined)
          segment = change.segment
        }
      }),
      { numRuns: 60 },
    )
  })

  it('the first writer of a free segment has all of it, the second what is left free', () => {
    const first = claim(emptySegment([node(0)]), { start: 100, blocks: 1 }, session(0))
    assert.ok(first.type === 'changed')
    assert.deepEqual(first.taken.map(({ start, blocks }) => [start, blocks]), [[0, segmentBlocks]])
    assert.equal(claim(first.segment, { start: 5, blocks: 2 }, session(1)).type, 'unchanged')
    const freed = release(first.segment, { start: 1000, blocks: 500 }, session(0), 1)
    assert.ok(freed.type === 'changed')
    const second = claim(freed.segment, { start: 1200, blocks: 1 }, session(1))
    assert.ok(second.type === 'changed')
    assert.deepEqual(second.taken.map(({ start, blocks }) => [start, blocks]), [[1000, 500]])
  })

  it('a round that would pass 64 ranges takes the whole range it touches', () => {
    let segment = emptySegment([node(0)])
    const whole = claim(segment, { start: 0, blocks: 1 }, session(0))
    assert.ok(whole.type === 'changed')
    segment = whole.segment
    for (let i = 0; i < 200; i++) {
      const at = (i * 7919) % (segmentBlocks - 4)
      const held = segment.ranges.at(at)
      assert.ok(held !== undefined)
      const change = move(segment, { start: at, blocks: 2 }, held.session, held.token, session(1 + (i % 3)))
      if (change.type === 'changed') segment = change.segment
      assert.ok(segment.ranges.size <= rangesMax)
    }
    assert.ok(segment.ranges.size > rangesMax - 4, `only ${String(segment.ranges.size)} ranges`)
  })

  it('nothing moves on a stale token, a stale session or a third party in between', () => {
    const first = claim(emptySegment([node(0)]), { start: 0, blocks: 1 }, session(0))
    assert.ok(first.type === 'changed')
    const whole = { start: 0, blocks: segmentBlocks }
    assert.deepEqual(move(first.segment, whole, session(0), 0, session(1)), { type: 'unchanged', reason: 'STALE_TOKEN' })
    assert.deepEqual(move(first.segment, whole, session(0, 2), 1, session(1)), { type: 'unchanged', reason: 'NOT_HOLDER' })
    const moved = move(first.segment, { start: 10, blocks: 10 }, session(0), 1, session(1))
    assert.ok(moved.type === 'changed')
    assert.deepEqual(move(moved.segment, whole, session(0), 1, session(2)), { type: 'unchanged', reason: 'HELD' })
    assert.equal(release(moved.segment, whole, session(0), 2).type, 'unchanged')
  })

  it('replica sets: joining before in sync, only under the same configuration, never without a last copy, only by a holder', () => {
    const claimed = claim(emptySegment([node(0)]), { start: 0, blocks: 1 }, session(0))
    assert.ok(claimed.type === 'changed')
    assert.equal(addJoining(claimed.segment, node(1), session(1), 1).type, 'unchanged')
    const joining = addJoining(claimed.segment, node(1), session(0), 1)
    assert.ok(joining.type === 'changed')
    assert.deepEqual([joining.segment.replicas, joining.segment.joining, joining.segment.configuration], [[node(0)], [node(1)], 1])
    assert.deepEqual(promote(joining.segment, node(1), session(0), 1, 0), { type: 'unchanged', reason: 'STALE_CONFIGURATION' })
    assert.deepEqual(removeReplica(joining.segment, node(0), session(0), 1), { type: 'unchanged', reason: 'LAST_REPLICA' })
    const inSync = promote(joining.segment, node(1), session(0), 1, 1)
    assert.ok(inSync.type === 'changed')
    assert.deepEqual(inSync.segment.replicas, [node(0), node(1)])
    const removed = removeReplica(inSync.segment, node(0), session(0), 1)
    assert.ok(removed.type === 'changed')
    assert.deepEqual([removed.segment.replicas, removed.segment.configuration], [[node(1)], 3])
  })

  it('what is inherited from the dead stays unsettled from taker to taker, until one settles all of it', () => {
    const claimed = claim(emptySegment([node(0), node(1)]), { start: 0, blocks: 1 }, session(0))
    assert.ok(claimed.type === 'changed')
    const moved = move(claimed.segment, { start: 10, blocks: 10 }, session(0), 1, session(1))
    assert.ok(moved.type === 'changed')
    const joining = addJoining(moved.segment, node(2), session(1), 2)
    assert.ok(joining.type === 'changed')
    const first = inherit(joining.segment, session(0), 1, session(2))
    assert.ok(first.type === 'changed')
    // Both parts of the stream, and who was joining begins again.
    assert.deepEqual(first.taken.map(({ start, blocks }) => [start, blocks]), [[0, 10], [20, segmentBlocks - 20]])
    assert.deepEqual([first.segment.joining, first.segment.configuration], [[], 2])
    // Nobody joins before the dead stream has its end: what they would copy may lack some of it.
    assert.deepEqual(addJoining(first.segment, node(2), session(1), 2), { type: 'unchanged', reason: 'UNSETTLED' })
    const second = inherit(first.segment, session(2), 3, session(3))
    assert.ok(second.type === 'changed')
    assert.deepEqual(second.segment.ranges.at(0)?.unsettled, [3, 1])
    assert.equal(settle(second.segment, session(2), 3, []).type, 'unchanged')
    const settled = settle(second.segment, session(3), 4, [{ token: 3, sequence: 0 }, { token: 1, sequence: 7 }])
    assert.ok(settled.type === 'changed')
    assert.deepEqual(settled.segment.ranges.at(0)?.unsettled, [])
    assert.deepEqual(settled.segment.cuts, [{ token: 1, sequence: 7 }, { token: 3, sequence: 0 }])
    assert.equal(addJoining(settled.segment, node(2), session(1), 2).type, 'changed')
  })

  it('neighbours join only if holder, incarnation, epoch, token and what is unsettled agree', () => {
    const base = { session: session(0), token: 3, unsettled: [] }
    assert.ok(sameHolding(base, { ...base, session: { ...base.session } }))
    assert.ok(!sameHolding(base, { ...base, token: 4 }))
    assert.ok(!sameHolding(base, { ...base, session: session(0, 2) }))
    assert.ok(!sameHolding(base, { ...base, unsettled: [1] }))
    assert.ok(!sameSession(session(0), { ...session(0), incarnation: 'bb' }))
  })
})
