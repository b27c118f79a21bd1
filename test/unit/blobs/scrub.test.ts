import assert from 'node:assert/strict'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import { CodedError } from '../../../src/base/index.js'
import { BlobRecords } from '../../../src/blobs/records.js'
import { MemoryKeyValue, MemoryNetwork } from '../../simulation/blobs/twins.js'
import { all, bytesOf, makeNode, pieces, quick, until, type TestNode } from '../../simulation/blobs/world.js'
import { VirtualClock } from '../../simulation/net-clock.js'

describe('blobs: the scrub, and what changes while it runs', () => {
  it('what is dropped while it scrubs is not amiss, and is not looked for elsewhere', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1, { ...quick, scrubRestMs: 10, scrubBytesPerSecond: 1e7 }), makeNode(network, 2)]
    for (let seed = 1; seed <= 4; seed++) {
      const { blobs } = await a.blobs.import(pieces(bytesOf(3000, seed)))
      for (const ref of blobs) await b.blobs.fetch(ref, { holders: [a.id] })
    }
    a.blobs.scrub.pause()
    const stop = new AbortController()
    const running = a.blobs.run(stop.signal)
    await until(() => a.blobs.scrub.status().state === 'paused')
    const { streams } = network
    for (const { cid } of await all(a.blobs.list())) await a.blobs.drop(cid)
    a.blobs.scrub.resume()
    await until(() => a.blobs.scrub.status().passes >= 1)
    assert.deepEqual([a.blobs.scrub.status().corrupt, network.streams - streams], [0, 0])
    stop.abort()
    await running
  })

  it('one blob of which it cannot even be told how large it is keeps it from no other', async () => {
    const a = makeNode(new MemoryNetwork(), 1, { ...quick, scrubBytesPerSecond: 1e7 })
    for (let seed = 1; seed <= 4; seed++) await a.blobs.import(pieces(bytesOf(900, seed)))
    const [bad, , , last] = await all(a.blobs.list())
    assert.ok(bad !== undefined && last !== undefined)
    const verify = a.blocks.verify.bind(a.blocks)
    const size = a.blocks.size.bind(a.blocks)
    const damaged = async <T>(cid: CID, other: (cid: CID) => Promise<T>): Promise<T> => {
      if (cid.equals(bad.cid)) throw new CodedError('CORRUPT', 'an index entry in the store cannot be read')
      return other(cid)
    }
    a.blocks.size = async (cid) => damaged(cid, size)
    a.blocks.verify = async (cid) => damaged(cid, verify)
    a.blocks.flip(last.cid)
    assert.deepEqual((await all(a.blobs.verify(undefined))).map(({ ok }) => ok), [false, true, true, false])
    // Nor does one that goes in the middle of it.
    const tree = await a.blobs.import(pieces(bytesOf(3000, 9)))
    const get = a.blocks.get.bind(a.blocks)
    a.blocks.get = async (cid) => {
      if (cid.equals(tree.cid)) throw new CodedError('NOT_FOUND', 'it was dropped')
      return get(cid)
    }
    const stop = new AbortController()
    const running = a.blobs.run(stop.signal)
    await until(() => a.blobs.scrub.status().passes >= 1)
    assert.equal(a.blobs.scrub.status().blocks, 4)
    stop.abort()
    await running
  })

  it('rests between two passes as long as it should, over a restart too, and whatever the clock says', async () => {
    const clock = new VirtualClock()
    const week = 7 * 24 * 3_600_000
    const settings = { ...quick, scrubRestMs: week, scrubBytesPerSecond: 1e9 }
    const on = makeNode(new MemoryNetwork(), 1, settings, undefined, clock)
    await on.blobs.import(pieces(bytesOf(900)))
    const start = async (): Promise<{ node: TestNode; stop: () => Promise<void> }> => {
      const ending = new AbortController()
      const node = makeNode(new MemoryNetwork(), 1, settings, on, clock)
      const running = node.blobs.run(ending.signal)
      await clock.advance(1000)
      return {
        node,
        stop: async () => {
          ending.abort()
          await clock.outcome(running)
        },
      }
    }
    const first = await start()
    assert.equal(first.node.blobs.scrub.status().passes, 1)
    await first.stop()
    const second = await start()
    await clock.advance(week / 2)
    assert.equal(second.node.blobs.scrub.status().passes, 0)
    await clock.advance(week / 2)
    assert.equal(second.node.blobs.scrub.status().passes, 1)
    await second.stop()
    await on.meta.write([on.meta.put(Buffer.from('e'), Buffer.from('00ffffffffffff00', 'hex'))])
    const third = await start()
    assert.equal(third.node.blobs.scrub.status().passes, 1)
    await third.stop()
  })

  it('lists what is held in pages: no iterator is open while somebody takes his time over one', async () => {
    const meta = new MemoryKeyValue()
    const records = new BlobRecords(meta)
    const cids = Array.from({ length: 2500 }, (_, i) => CID.createV1(raw.code, createDigest(0x12, bytesOf(32, i))))
    await records.write(cids.map((cid) => records.putHeld({ cid, kind: 'dag', bytes: 1, blocks: 1, heldSinceMs: 0 })))
    let open = 0
    const entries = meta.entries.bind(meta)
    meta.entries = async function* (range) {
      open++
      try {
        yield* entries(range)
      } finally {
        open--
      }
    }
    const listed: string[] = []
    for await (const { cid } of records.list()) {
      assert.equal(open, 0)
      listed.push(cid.toString())
    }
    const sorted = cids.sort((x, y) => Buffer.compare(x.bytes, y.bytes)).map(String)
    assert.deepEqual(listed, sorted)
    const after = await all(records.list(cids[1023]))
    assert.deepEqual(after.map(({ cid }) => cid.toString()), sorted.slice(1024))
  })
})
