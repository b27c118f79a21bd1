import assert from 'node:assert/strict'
import fc from 'fast-check'
import { createSigner } from '../../../src/base/index.js'
import { decodeChanged, decodeEntry, encodeChanged, encodeEntry, VolumeError } from '../../../src/volumes/index.js'
import type { VolumeEntry } from '../../../src/volumes/index.js'

const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'))
const nodes = [1, 2, 3].map((n) => createSigner(new Uint8Array(32).fill(n)).nodeId)
const opening = fc.record({ node: fc.constantFrom(...nodes), incarnation: id, epoch: fc.nat() }, { noNullPrototype: true })
const entry: fc.Arbitrary<VolumeEntry> = fc.oneof(
  fc.record({ type: fc.constant('removed' as const), id }, { noNullPrototype: true }),
  fc.record({
    type: fc.constant('volume' as const),
    record: fc.record({
      id, sizeBytes: fc.integer({ min: 1, max: 2 ** 38 }).map((blocks) => blocks * 4096), durability: fc.constantFrom('flush' as const, 'writethrough' as const),
      replicas: fc.integer({ min: 1, max: 16 }), policy: fc.constantFrom('adaptive' as const, 'basic' as const), createdMs: fc.nat(), openings: fc.array(opening, { maxLength: 64 }),
    }, { noNullPrototype: true }),
  }, { noNullPrototype: true }),
)

/** Either an entry, or DAMAGED: nothing else, whatever the bytes. */
function calm<T>(decode: () => T): T | undefined {
  try {
    return decode()
  } catch (error) {
    assert.ok(error instanceof VolumeError && error.code === 'DAMAGED', String(error))
    return undefined
  }
}

describe('the record of a volume', () => {
  it('comes back as it went', () => {
    fc.assert(fc.property(entry, (one) => {
      assert.deepEqual(decodeEntry(encodeEntry(one)), one)
    }))
    fc.assert(fc.property(id, fc.string({ maxLength: 64 }), (one, name) => {
      assert.deepEqual(decodeChanged(encodeChanged({ name, id: one })), { name, id: one })
    }))
    assert.equal(decodeEntry(new Uint8Array(0)), undefined)
  })

  it('any other bytes are told from it', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      calm(() => decodeEntry(bytes))
      calm(() => decodeChanged(bytes))
    }), { numRuns: 500 })
    fc.assert(fc.property(entry, fc.nat(), fc.integer({ min: 0, max: 255 }), (one, at, byte) => {
      const bytes = Uint8Array.from(encodeEntry(one))
      bytes[at % bytes.length] = byte
      const found = calm(() => decodeEntry(bytes))
      if (found?.type === 'volume') assert.ok(found.record.sizeBytes > 0 && found.record.sizeBytes % 4096 === 0 && found.record.replicas >= 1)
    }), { numRuns: 500 })
    assert.equal(calm(() => decodeEntry(new Uint8Array(20_000))), undefined)
  })
})
