import assert from 'node:assert/strict'
import { HlcClock } from '../../../src/base/index.js'
import type { WriteOperation } from '../../../src/base/index.js'
import { History } from '../../../src/leases/history.js'
import { ManualClock, MemoryKeyValue } from '../membership/fixtures.js'

class Counted extends MemoryKeyValue {
  writes = 0
  isBroken = false

  override async write(operations: readonly WriteOperation[]): Promise<void> {
    this.writes++
    if (this.isBroken) throw new Error('the disk is full')
    await super.write(operations)
  }
}

describe('lease history: when it is written', () => {
  const begin = (): { store: Counted; clock: ManualClock; history: History; failed: number[]; tell: (leaseId: string) => void } => {
    const store = new Counted()
    const clock = new ManualClock()
    const failed: number[] = []
    const history = new History({ store, hlc: new HlcClock(clock), clock, failed: (_error, count) => failed.push(count) })
    const tell = (leaseId: string): void => { history.add({ leaseId, scope: 's', agent: 'a', from: 'pending', to: 'active', token: 1, reason: 'granted' }) }
    return { store, clock, history, failed, tell }
  }

  it('what comes within a moment in one write, and not before', async () => {
    const { store, clock, history, tell } = begin()
    for (const leaseId of ['a', 'b', 'c']) tell(leaseId)
    assert.equal(store.writes, 0)
    await clock.advance(100)
    await history.flush()
    assert.equal(store.writes, 1)
    assert.deepEqual((await history.query()).map((one) => one.leaseId), ['a', 'b', 'c'])
  })

  it('before it is asked, and at the end; afterwards at once', async () => {
    const { store, history, tell } = begin()
    tell('a')
    assert.equal((await history.query()).length, 1)
    tell('b')
    await history.close()
    tell('c')
    await history.flush()
    assert.equal(store.writes, 3)
    assert.equal((await history.query()).length, 3)
  })

  it('a thousand are not kept waiting, and what fails is told', async () => {
    const { store, history, failed, tell } = begin()
    store.isBroken = true
    for (let i = 0; i < 1000; i++) tell(String(i))
    assert.equal(store.writes, 1)
    await history.flush()
    assert.deepEqual(failed, [1000])
    store.isBroken = false
    tell('after')
    assert.equal((await history.query()).length, 1)
  })
})
