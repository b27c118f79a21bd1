import assert from 'node:assert/strict'
import fc from 'fast-check'
import { HlcClock, systemClock } from '../../../src/base/index.js'
import { History } from '../../../src/leases/history.js'
import { MemoryKeyValue } from '../../unit/membership/fixtures.js'

describe('lease history: records on disk', () => {
  it('are told, whatever else stands among them', async () => {
    const strange = fc.tuple(fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((time) => Buffer.from(time.toString(16).padStart(16, '0')))), fc.oneof(fc.uint8Array({ maxLength: 50 }), fc.json().map((text) => Buffer.from(text)), fc.constant(Buffer.from('{"leaseId":1}'))))
    await fc.assert(fc.asyncProperty(fc.array(strange, { maxLength: 5 }), async (rows) => {
      const store = new MemoryKeyValue()
      const history = new History({ store, hlc: new HlcClock(systemClock), clock: systemClock, failed: (error) => { throw error } })
      history.add({ leaseId: 'l', scope: 's', agent: 'a', from: null, to: 'pending', token: 0, reason: 'asked' })
      await store.write(rows.map(([key, value]) => store.put(key, value)))
      const told = await history.query()
      assert.ok(told.some((one) => one.leaseId === 'l' && one.to === 'pending'))
      for (const one of told) assert.ok(Number.isFinite(one.at) && typeof one.scope === 'string')
    }), { numRuns: 100 })
  })
})
