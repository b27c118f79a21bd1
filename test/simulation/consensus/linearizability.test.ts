import assert from 'node:assert/strict'
import fc from 'fast-check'
import { checkLinearizable, initialVersion, rank } from './linearizability.js'
import type { Read, Version, Write } from './linearizability.js'

const version = (token: number, free = false): Version => ({ token, free })
const op = (token: number, beganMs: number, endedMs: number, name = `op${token}`): Write => ({ version: version(token), op: name, beganMs, endedMs })
const throws = (writes: Write[], reads: Read[]): void => {
  assert.throws(() => { checkLinearizable('s', writes, reads) }, /linearizable/)
}

/** The dumb one: tries every order that real time allows. */
function naive(writes: readonly Write[], reads: readonly Read[]): boolean {
  const all = [...writes.map((write) => ({ ...write, isWrite: true })), ...reads.map((read) => ({ ...read, isWrite: false }))]
  const go = (left: typeof all, at: Version): boolean => {
    if (left.every((one) => one.isWrite && one.endedMs === Infinity)) return true
    return left.some((one) => {
      if (left.some((other) => other !== one && other.endedMs < one.beganMs)) return false
      if (one.isWrite ? rank(one.version) <= rank(at) : rank(one.version) !== rank(at)) return false
      return go(left.filter((other) => other !== one), one.version)
    })
  }
  return go(all, initialVersion)
}

describe('linearizability checker', () => {
  it('accepts what is right', () => {
    checkLinearizable('s', [op(1, 0, 10), op(2, 20, Infinity)], [op(1, 5, 8), op(1, 12, 15), op(2, 30, 40)])
  })

  it('finds a stale read', () => { throws([op(1, 0, 10), op(2, 20, 30)], [op(1, 40, 50)]) })
  it('finds a read from the future', () => { throws([op(1, 0, 10), op(2, 60, 70)], [op(2, 40, 50)]) })
  it('finds a token given twice', () => { throws([op(1, 0, 10), op(1, 20, 30, 'other')], []) })
  it('finds two reads that turn time back', () => { throws([op(1, 0, 10), op(2, 0, Infinity)], [op(2, 20, 30), op(1, 40, 50)]) })
  it('finds a write that was lost', () => { throws([op(1, 0, 10)], [{ version: initialVersion, op: '', beganMs: 20, endedMs: 30 }]) })
  it('finds a value that nobody wrote', () => { throws([op(1, 0, 10)], [op(3, 20, 30)]) })
  it('finds writes in an order that time forbids', () => { throws([op(2, 0, 10), op(1, 20, 30)], []) })

  it('agrees with trying every order', () => {
    const time = fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 6 }))
    const some = fc.record({ writes: fc.array(fc.record({ time, open: fc.boolean() }), { maxLength: 4 }), reads: fc.array(fc.record({ time, token: fc.integer({ min: 0, max: 4 }) }), { maxLength: 3 }) })
    let right = 0
    fc.assert(fc.property(some, ({ writes, reads }) => {
      const written = writes.map(({ time: [at, long], open }, i) => op(i + 1, at, open ? Infinity : at + long))
      const read = reads.flatMap(({ time: [at, long], token }) => {
        if (token === 0) return [{ version: initialVersion, op: '', beganMs: at, endedMs: at + long }]
        return token <= written.length ? [op(token, at, at + long)] : []
      })
      // What is in a history and open was seen by somebody.
      const seen = written.filter((write) => write.endedMs !== Infinity || read.some((one) => one.op === write.op))
      let clever = true
      try {
        checkLinearizable('s', seen, read)
      } catch {
        clever = false
      }
      if (clever) right++
      assert.equal(clever, naive(seen, read))
    }), { numRuns: 3000 })
    assert.ok(right > 300)
  })

  it('is quick on long histories', () => {
    const writes = Array.from({ length: 60_000 }, (_, i) => op(i + 1, i, i + 1))
    const reads = Array.from({ length: 60_000 }, (_, i) => op(i + 1, i + 0.2, i + 1.5))
    const startedMs = performance.now()
    checkLinearizable('s', writes, reads)
    assert.ok(performance.now() - startedMs < 5000)
  })
})
