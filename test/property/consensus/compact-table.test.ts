import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { NodeId } from '../../../src/base/index.js'
import { compareScopes, justBelow, lastCharacter } from '../../../src/consensus/scope-order.js'
import type { SessionId } from '../../../src/consensus/types.js'
import type { Register } from '../../../src/consensus/value.js'
import { CompactTable } from '../../../src/consensus/voter/compact-table.js'
import { MapTable } from '../../../src/consensus/voter/table.js'

const session: fc.Arbitrary<SessionId> = fc.record({
  node: fc.constantFrom('12D3KooWa', '12D3KooWb', 'n').map((node) => node as NodeId),
  incarnation: fc.constantFrom('00'.repeat(16), 'ff'.repeat(16)),
  epoch: fc.oneof(fc.nat(300), fc.nat(2 ** 50)),
})
const ballot = fc.tuple(session, fc.nat(2 ** 40), fc.nat(2 ** 50)).map(([one, config, round]) => ({ ...one, config, round }))
const op = fc.oneof(fc.string(), fc.tuple(session, fc.nat()).map(([{ node, epoch }, count]) => `${node}.${String(epoch)}.${String(count)}`), fc.constantFrom('12D3KooWa.01.2', 'n.1.2.3', 'stranger.1.2', 'n.-1.2'))
const payload = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 200, maxLength: 3000 }), fc.constant(new Uint8Array(0)))
const value = fc.record({ holder: fc.option(session), token: fc.nat(2 ** 52), op, payload })
const register: fc.Arbitrary<Register> = fc.oneof(
  ballot.map((promised) => ({ promised })),
  fc.record({ promised: ballot, accepted: fc.record({ ballot, value }) }),
  // As nearly all are: one session in all its parts.
  fc.tuple(session, value).map(([one, made]) => ({ promised: { config: 1, round: 3, ...one }, accepted: { ballot: { config: 1, round: 2, ...one }, value: { ...made, holder: one } } })),
)
const scope = fc.oneof(fc.constantFrom('a', 'b', 'ab', 'é', '\ue000', '\uffff', '😀', '😀/x', 'a\u0000', 'segment:v/0'), fc.string({ minLength: 1, unit: 'grapheme' }))

/** As the values are, whatever kinds of arrays they are in. */
function plain(found: unknown): unknown {
  const isBuffer = (part: unknown): part is { data: number[] } => typeof part === 'object' && part !== null && 'type' in part && part.type === 'Buffer'
  return JSON.parse(JSON.stringify(found ?? null, (_key, part: unknown) => {
    if (part instanceof Uint8Array) return Buffer.from(part).toString('hex')
    return isBuffer(part) ? Buffer.from(part.data).toString('hex') : part
  }))
}

describe('a voter\'s compact table', () => {
  it('gives back what a map does, in the same order', () => {
    fc.assert(fc.property(fc.array(fc.tuple(scope, register), { maxLength: 120 }), scope, fc.nat(20), (sets, after, limit) => {
      const compact = new CompactTable()
      const map = new MapTable()
      for (const [one, content] of sets) {
        compact.set(one, content)
        map.set(one, content)
      }
      assert.equal(compact.size, map.size)
      assert.equal(compact.free, map.free)
      assert.deepEqual(plain(compact.from(after, limit)), plain(map.from(after, limit)))
      assert.deepEqual(plain(compact.from('', 1000)), plain(map.from('', 1000)))
      for (const [one] of sets) assert.deepEqual(plain(compact.get(one)), plain(map.get(one)))
      assert.equal(compact.get('never there'), undefined)
      assert.deepEqual(plain([...compact.entries()].sort(([a], [b]) => compareScopes(a, b))), plain(map.from('', 1000)))
    }), { numRuns: 300 })
  })

  it('with many scopes that grow, shrink and move: nothing is lost, and waste is given up', () => {
    const compact = new CompactTable()
    const map = new MapTable()
    let state = 7
    const below = (limit: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return (state >>> 4) % limit
    }
    const node = 'n' as NodeId
    for (let i = 0; i < 20_000; i++) {
      const one = { node, incarnation: '00', epoch: below(3) }
      const content: Register = { promised: { config: 0, round: i, ...one }, accepted: { ballot: { config: 0, round: i, ...one }, value: { holder: below(4) === 0 ? null : one, token: i, op: `n.${String(one.epoch)}.${String(i)}`, payload: Buffer.alloc(below(10) === 0 ? below(8000) : below(60), i) } } }
      const scope = `s/${String(below(6000))}`
      compact.set(scope, content)
      map.set(scope, content)
      if (i % 5000 === 0) assert.deepEqual(plain(compact.from('s/2', 50)), plain(map.from('s/2', 50)))
    }
    assert.deepEqual(plain(compact.from('', 10_000)), plain(map.from('', 10_000)))
    assert.deepEqual([compact.size, compact.free], [map.size, map.free])
    const living = [...compact.entries()].reduce((sum, [scope, { accepted }]) => sum + scope.length + 60 + (accepted?.value.payload.length ?? 0), 0)
    assert.ok(compact.bytes < 3 * living + 2 ** 20, `${String(compact.bytes)} bytes for ${String(living)}`)
    compact.clear()
    assert.deepEqual([compact.size, compact.free, compact.from('', 10)], [0, 0, []])
  })

  it('orders scopes as their UTF-8 is, and knows what is just below a beginning', () => {
    fc.assert(fc.property(scope, scope, (a, b) => {
      assert.equal(Math.sign(compareScopes(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)))
      assert.ok(compareScopes(justBelow(a), a) < 0)
      if (compareScopes(b, a) < 0) assert.ok(compareScopes(b, justBelow(a)) <= 0 || b.startsWith(justBelow(a)), `${b} is between ${justBelow(a)} and ${a}`)
      if (b.startsWith(a)) assert.ok(compareScopes(b, a + lastCharacter) < 0 || b.startsWith(a + lastCharacter))
    }))
  })
})
