import assert from 'node:assert/strict'
import type { CID } from 'multiformats/cid'
import { silentLog } from '../../../src/base/index.js'
import { saltOf } from '../../../src/replication/fingerprint.js'
import { Inventory } from '../../../src/replication/inventory.js'
import { Space } from '../../../src/replication/space.js'
import { SteppingBack } from '../../../src/replication/stepping-back.js'
import { Target } from '../../../src/replication/target.js'
import { StoreRequest, StoreResponse } from '../../../src/replication/wire/replication.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { idOf } from '../../simulation/net-twin.js'
import { cidOf } from '../../simulation/replication/twins.js'

const bytes = 1000

function setUp() {
  const clock = new VirtualClock()
  const seen = { fetches: 0 }
  const space = new Space(
    {
      usage: async () => {
        await clock.sleep(50)
        return { totalBytes: 0, liveBytes: 0, draftBytes: 0, reclaimableBytes: 0, logBytes: 0, metadataBytes: 0, blocks: 0, quarantined: 0 }
      },
      freeDisk: async () => 1e15,
      clock,
    },
    { quota: () => ({ maxBytes: 1e9, reservedBytes: 0, shareExcess: true, minFreeDiskBytes: 0 }), shares: () => ({ ownBytes: 0, othersBytes: 0, pinnedBytes: 0 }) },
  )
  const unused = async (): Promise<never> => Promise.reject(new Error('not asked here'))
  const never = async function* (): AsyncGenerator<never> {
    yield* []
    await unused()
  }
  const target = new Target(
    {
      blobs: {
        held: async () => {
          await clock.sleep(10)
          return undefined
        },
        fetch: async (ref, options) => {
          seen.fetches++
          await clock.sleep(1000, options?.signal)
          return { ...ref, bytes, blocks: 1, heldSinceMs: 0 }
        },
        list: never, read: never, heldMany: unused, drop: unused, describe: unused, blobsOf: unused, withhold: unused,
      },
      clock, log: silentLog, inventory: new Inventory(saltOf(1n)), space, steppingBack: new SteppingBack({ isBusy: () => false }),
    },
    {
      self: idOf(1), storesMax: 4, leaving: () => false, closed: () => undefined, wantsVersion: () => 0,
      wantOf: async () => ({ wanted: 2, priority: 'normal', owner: idOf(2), pinned: false, own: false }),
      vouched: async () => undefined, unvouched: async () => undefined, settled: async () => true, partOf: async () => undefined,
      takesSpine: () => true, takesMove: () => true, makeRoom: async () => false, stored: async () => undefined, catalogChange: async () => undefined,
    },
  )
  const store = async (signal: AbortSignal, cid: CID = cidOf('x')): Promise<StoreResponse> => {
    const request = StoreRequest.encode({ cid: cid.bytes, spine: false, bytes, holders: [], move: false })
    return StoreResponse.decode(await target.store(request, idOf(2), signal))
  }
  return { clock, seen, space, store }
}

describe('replication: asked to store', () => {
  it('again by who has just gone, it begins anew and tells of no failure that was the other request\'s', async () => {
    const { clock, seen, space, store } = setUp()
    const first = new AbortController()
    const gone = assert.rejects(store(first.signal))
    await clock.advance(200)
    assert.equal(seen.fetches, 1)
    // What was reserved is given back when the measuring that is under way has ended.
    const report = space.report()
    first.abort(new Error('its connection went'))
    const again = store(new AbortController().signal)
    assert.equal((await clock.outcome(again, 5_000)).bytes, bytes)
    assert.equal(seen.fetches, 2)
    await clock.outcome(report)
    await gone
  })

  it('by who has gone before it could begin, it fetches nothing', async () => {
    const { clock, seen, store } = setUp()
    const controller = new AbortController()
    const stored = assert.rejects(store(controller.signal))
    await clock.advance(5)
    controller.abort(new Error('its connection went'))
    await clock.advance(5_000)
    await stored
    assert.equal(seen.fetches, 0)
  })
})
