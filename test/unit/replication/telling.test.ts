import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import type { HeldBlob } from '../../../src/blobs/index.js'
import type { NodeId, Rpc } from '../../../src/base/index.js'
import { CommonError, silentLog } from '../../../src/base/index.js'
import { rates } from '../../../src/replication/methods.js'
import { Rate } from '../../../src/replication/rate.js'
import { Telling } from '../../../src/replication/telling.js'
import { cidOf, VirtualTime } from '../catalog/world.js'
import { CID } from 'multiformats/cid'

const [near, far] = ['near', 'far'] as [NodeId, NodeId]
const never = new AbortController().signal
const root = cidOf('root')
const blobs = Array.from({ length: 4000 }, (_, i): HeldBlob => ({ cid: CID.parse(cidOf(`part ${String(i)}`)), kind: 'dag', bytes: 4 * 2 ** 20, blocks: 4, heldSinceMs: 0 }))

function setUp(): { time: VirtualTime; telling: Telling; heard: Map<NodeId, number>; refused: () => number } {
  const time = new VirtualTime()
  const clock = time.clock()
  // As `registerMethods` has it.
  const rate = new Rate({ clock }, rates.store)
  const heard = new Map<NodeId, number>()
  let refused = 0
  const rpc: Rpc = {
    register: () => undefined,
    request: async (to) => {
      await Promise.resolve()
      if (!rate.allow(to)) {
        refused++
        throw new CommonError('OVERLOADED', 'more requests than this node answers one peer in so short a time')
      }
      heard.set(to, (heard.get(to) ?? 0) + 1)
      return new Uint8Array(0)
    },
  }
  return { time, telling: new Telling({ rpc, clock, log: silentLog }), heard, refused: () => refused }
}

describe('replication: telling nodes what file the parts that they took belong to', () => {
  it('asks none of them faster than it answers, with several large files at once, and tells them of all', async () => {
    const { time, telling, heard, refused } = setUp()
    const told = blobs.flatMap((blob, i) => (i % 10 === 0 ? [{ blob, to: near }, { blob, to: far }] : [{ blob, to: near }]))
    const all = Promise.all([root, cidOf('other root')].map(async (one) => telling.tell(one, told, never)))
    await time.advance(1)
    // Who has been asked less has heard of all by now.
    assert.equal(heard.get(far), 800)
    assert.ok((heard.get(near) ?? 0) < 4000)
    await time.advance(19_000)
    await all
    assert.deepEqual([heard.get(near), heard.get(far), refused()], [8000, 800, 0])
  })

  it('ends when it is told to', async () => {
    const { time, telling, heard } = setUp()
    const stop = new AbortController()
    const all = assert.rejects(telling.tell(root, [...blobs, ...blobs].map((blob) => ({ blob, to: near })), stop.signal), { message: 'stopped' })
    await time.advance(500)
    stop.abort(new Error('stopped'))
    await all
    const then = heard.get(near) ?? 0
    assert.ok(then > 0 && then < 8000)
    await time.advance(10_000)
    assert.equal(heard.get(near), then)
  })
})
