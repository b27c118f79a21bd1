import assert from 'node:assert/strict'
import fc from 'fast-check'
import { decodePayload, encodePayload, mayHaveReaders } from '../../../src/leases/payload.js'
import {
  decodeForceRelease, decodeForceReleased, decodeShareReply, decodeShareRequest, encodeForceRelease, encodeShareReply, encodeShareRequest,
} from '../../../src/leases/sharing-frames.js'
import { LeaseError } from '../../../src/leases/types.js'

const token = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const scope = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' })
const item = fc.record({ kind: fc.constantFrom('admit' as const, 'renew' as const, 'return' as const), scope, token }, { noNullPrototype: true })
const start = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'))
const answer = fc.oneof(
  fc.integer({ min: 0, max: 1e6 }).map((validMs) => ({ validMs })),
  fc.constantFrom('not-holder' as const, 'writer-waits' as const, 'recalled' as const, 'not-now' as const, 'full' as const).map((refused) => ({ refused })),
)

function onlyBadInput(decode: () => unknown): void {
  try {
    decode()
  } catch (error) {
    assert.ok(error instanceof LeaseError && error.code === 'BAD_INPUT', String(error))
  }
}

describe('messages about shared leases', () => {
  it('come out as they went in', () => {
    fc.assert(fc.property(fc.record({ start, sequence: token, items: fc.array(item, { maxLength: 20 }) }, { noNullPrototype: true }), (request) => {
      assert.deepEqual(decodeShareRequest(encodeShareRequest(request)), request)
    }))
    fc.assert(fc.property(fc.array(answer, { maxLength: 20 }), (answers) => { assert.deepEqual(decodeShareReply(encodeShareReply(answers)), answers) }))
    fc.assert(fc.property(scope, (agent) => { assert.equal(decodeForceRelease(encodeForceRelease(agent)), agent) }))
  })

  it('any bytes are one of them or BAD_INPUT', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const decode of [decodeShareRequest, decodeShareReply, decodeForceRelease, decodeForceReleased]) onlyBadInput(() => decode(bytes))
      decodePayload(bytes)
      mayHaveReaders(bytes)
    }), { numRuns: 500 })
    fc.assert(fc.property(fc.record({ start, sequence: token, items: fc.array(item, { maxLength: 5 }) }), fc.nat(), fc.nat(255), (request, at, value) => {
      const bytes = encodeShareRequest(request)
      bytes[at % bytes.length] = value
      onlyBadInput(() => decodeShareRequest(bytes))
    }), { numRuns: 500 })
    onlyBadInput(() => decodeShareRequest(encodeShareRequest({ start: '00'.repeat(16), sequence: 1, items: Array.from({ length: 300 }, () => ({ kind: 'renew' as const, scope: 's', token: 1 })) })))
  })

  it('payloads: what a value says of its readers is what decides, whatever else is in it', () => {
    fc.assert(fc.property(fc.constantFrom('shared' as const, 'exclusive' as const), fc.boolean(), (mode, settle) => {
      const bytes = encodePayload({ leaseId: 'x', agent: 'y', mode, priority: 0, sinceMs: 0, ...(settle ? { settle } : {}) })
      assert.equal(mayHaveReaders(bytes), mode === 'shared' || settle)
    }))
    fc.assert(fc.property(fc.json(), (json) => { decodePayload(Buffer.from(json)) }))
  })
})
