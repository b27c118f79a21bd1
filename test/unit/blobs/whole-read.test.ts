import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { Arrivals } from '../../../src/blobs/fetching.js'
import { BlockSource } from '../../../src/blobs/block-source.js'
import { WholeRead } from '../../../src/blobs/whole-read.js'
import { silentLog } from '../../../src/base/index.js'
import type { BlockStore } from '../../../src/store/index.js'

const blockOf = (text: string): { cid: CID; bytes: Uint8Array } => {
  const bytes = Buffer.from(text)
  return { cid: CID.createV1(0x55, createDigest(0x12, createHash('sha256').update(bytes).digest())), bytes }
}

describe('blobs: reading behind a fetch', () => {
  const root = blockOf('root').cid

  /** A reader behind a fetch whose end is `finish`, and what it looked for in the store. */
  const reading = async (held: ReadonlyMap<string, Uint8Array>): Promise<{ whole: WholeRead; arrivals: Arrivals; looked: string[]; finish: () => void }> => {
    const looked: string[] = []
    const blocks: Pick<BlockStore, 'get'> = {
      get: async (cid) => {
        looked.push(cid.toString())
        const bytes = held.get(cid.toString())
        if (bytes === undefined) throw Object.assign(new Error('not here'), { code: 'NOT_FOUND' })
        return bytes
      },
    }
    const source = new BlockSource({ blocks: blocks as BlockStore, log: silentLog, pool: () => { throw new Error('nobody is asked') } }, { holders: [], signal: undefined })
    const arrivals = new Arrivals()
    let finish: () => void = () => undefined
    const done = new Promise<void>((resolve) => { finish = resolve })
    const whole = new WholeRead({ source, fetch: async () => ({ arrivals, done }), blobs: async () => [{ cid: root, kind: 'dag' }] }, { spine: undefined, signal: undefined })
    await new Promise((resolve) => setImmediate(resolve))
    return { whole, arrivals, looked, finish: () => { arrivals.end(); finish() } }
  }

  it('looks for no block that is about to come, and takes it from memory', async () => {
    const { whole, arrivals, looked, finish } = await reading(new Map())
    const { cid, bytes } = blockOf('one')
    arrivals.expect([{ cid, expectedBytes: bytes.length }])
    assert.ok(arrivals.isDue(cid))
    const got = whole.get(cid, bytes.length, root)
    await new Promise((resolve) => setImmediate(resolve))
    arrivals.arrived(cid, bytes)
    assert.ok(!arrivals.isDue(cid))
    assert.deepEqual(Buffer.from(await got), Buffer.from(bytes))
    assert.deepEqual(looked, [])
    finish()
    await whole.finished()
  })

  it('looks for one that has come before, and for one that was here already', async () => {
    const [before, here] = [blockOf('two'), blockOf('three')]
    const { whole, arrivals, looked, finish } = await reading(new Map([before, here].map(({ cid, bytes }) => [cid.toString(), bytes])))
    arrivals.expect([before, here].map(({ cid, bytes }) => ({ cid, expectedBytes: bytes.length })))
    arrivals.arrived(before.cid, before.bytes)
    assert.deepEqual(Buffer.from(await whole.get(before.cid, before.bytes.length, root)), Buffer.from(before.bytes))
    const got = whole.get(here.cid, here.bytes.length, root)
    await new Promise((resolve) => setImmediate(resolve))
    // Taken over from the store: no bytes come along.
    arrivals.arrived(here.cid)
    assert.deepEqual(Buffer.from(await got), Buffer.from(here.bytes))
    assert.deepEqual(looked, [before.cid.toString(), here.cid.toString()])
    finish()
    await whole.finished()
  })

  it('looks for those that never came once the fetch has ended', async () => {
    const { cid, bytes } = blockOf('four')
    const { whole, arrivals, looked, finish } = await reading(new Map([[cid.toString(), bytes]]))
    arrivals.expect([{ cid, expectedBytes: bytes.length }])
    const got = whole.get(cid, bytes.length, root)
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(looked, [])
    finish()
    assert.deepEqual(Buffer.from(await got), Buffer.from(bytes))
    assert.deepEqual(looked, [cid.toString()])
  })
})
