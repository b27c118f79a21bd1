import assert from 'node:assert/strict'
import { CommonError, seededRandom, silentLog } from '../../../src/base/index.js'
import { DraftBook } from '../../../src/blobs/draft-book.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { MemoryBlockStore, MemoryKeyValue, MemoryNetwork } from '../../simulation/blobs/twins.js'
import { bytesOf, collect, makeNode, pieces } from '../../simulation/blobs/world.js'

describe('blobs: drafts on a full disk', () => {
  it('a fetch that could not even give up what it had can be made again when there is room', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const bytes = bytesOf(3000)
    const { cid, blobs: [ref] } = await a.blobs.import(pieces(bytes))
    assert.ok(ref !== undefined)
    b.blocks.bytesMax = 0
    b.blocks.abortFails = true
    for (let again = 0; again < 2; again++) await assert.rejects(b.blobs.fetch(ref, { holders: [a.id] }), { code: 'NO_SPACE' })
    b.blocks.bytesMax = Number.POSITIVE_INFINITY
    b.blocks.abortFails = false
    await b.blobs.fetch(ref, { holders: [a.id] })
    assert.deepEqual(await collect(b.blobs.read(cid)), Buffer.from(bytes))
    assert.equal(b.blocks.draftBlocks.size, 0)
  })

  it('what could not be given up is tried again within a minute or so', async () => {
    const clock = new VirtualClock()
    const blocks = new MemoryBlockStore(new MemoryKeyValue())
    const book = new DraftBook({ blocks, clock, log: silentLog })
    const stop = new AbortController()
    const run = book.run(stop.signal, 24 * 3_600_000)
    const draft = await book.openImport(seededRandom(1))
    blocks.abortFails = true
    await book.abort(draft)
    await clock.advance(90_000)
    assert.equal((await blocks.drafts()).length, 1)
    blocks.abortFails = false
    await clock.advance(90_000)
    assert.deepEqual(await blocks.drafts(), [])
    stop.abort()
    await clock.outcome(run)
  })

  it('an old draft that cannot be opened now is given up later, and the others are in their time', async () => {
    const clock = new VirtualClock()
    const blocks = new MemoryBlockStore(new MemoryKeyValue())
    const ids = ['fetch/dag/a', 'fetch/dag/b']
    for (const id of ids) await blocks.draft(id)
    blocks.restart()
    const book = new DraftBook({ blocks, clock, log: silentLog })
    const stop = new AbortController()
    const run = book.run(stop.signal, 3_600_000)
    await clock.advance(60_000)
    const draft = blocks.draft.bind(blocks)
    blocks.draft = async (id) => {
      if (id === ids[0]) throw new CommonError('OVERLOADED', 'too many drafts are open')
      return draft(id)
    }
    await clock.advance(3_660_000)
    assert.deepEqual(await blocks.drafts(), [ids[0]])
    blocks.draft = draft
    await clock.advance(120_000)
    assert.deepEqual(await blocks.drafts(), [])
    stop.abort()
    await clock.outcome(run)
  })
})
