import assert from 'node:assert/strict'
import fc from 'fast-check'
import { codeOf, messageOf, seededRandom } from '../../../src/base/index.js'
import { BlobError } from '../../../src/blobs/index.js'
import { MemoryNetwork, type Faults } from './twins.js'
import { bytesOf, collect, gate, makeNode, pieces, quick, until } from './world.js'

const kinds = ['good', 'slow', 'lossy', 'corrupt', 'truncated', 'silent', 'unreachable', 'partial', 'garbled'] as const
type Kind = (typeof kinds)[number]

/** What a holder of this kind does to what it sends; chance from the seed alone. */
function faultOf(kind: Kind, seed: number): Faults {
  const random = seededRandom(seed)
  const never = gate()
  switch (kind) {
    case 'slow':
      return { sending: async (parts) => (await new Promise((resolve) => setTimeout(resolve, random.below(30))), parts) }
    case 'lossy':
      return { sending: async (parts) => (random.float() < 0.3 ? Promise.reject(new Error('the connection was lost')) : parts) }
    case 'corrupt':
      return { sending: async (parts) => parts.map((part) => (part.length > 100 && random.float() < 0.3 ? flipped(part, random.below(part.length - 60) + 60) : part)) }
    case 'truncated':
      return {
        sending: async (parts) => {
          const cut = random.float() < 0.3 ? random.below(parts.length) : parts.length
          if (cut < parts.length) throw new Error('the connection was lost in the middle')
          return parts
        },
      }
    case 'silent':
      return { sending: async (parts, sent) => (sent > 1500 ? never.opened.then(() => []) : parts) }
    case 'unreachable':
      return { unreachable: true }
    case 'garbled':
      return { sending: async (parts) => (random.float() < 0.2 ? [random.bytes(20), ...parts] : parts) }
    case 'good':
    case 'partial':
      return {}
  }
}

function flipped(part: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(part)
  copy[at] = (copy[at] ?? 0) ^ 0x10
  return copy
}

describe('blobs: fetch among faulty holders', () => {
  it('ends in the right data or the right error, and leaves nothing wrong behind', async function () {
    this.timeout(60_000)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 4 }), fc.nat(), fc.integer({ min: 1, max: 12_000 }), async (holders, seed, size) => {
        const network = new MemoryNetwork()
        const init = { ...quick, stallMs: 150, findMs: 150, openMs: 150 }
        const me = makeNode(network, 99, init)
        const bytes = bytesOf(size, seed)
        const nodes = holders.map((_, i) => makeNode(network, i, init))
        let imported
        for (const [i, node] of nodes.entries()) {
          imported = await node.blobs.import(pieces(bytes))
          const kind = holders[i] ?? 'good'
          network.faults.set(node.id, faultOf(kind, seed + i))
          // Says it has all of it and lacks some.
          if (kind === 'partial') for (const key of [...node.blocks.bytes.keys()].slice(0, 1 + (seed % 4))) node.blocks.bytes.delete(key)
        }
        assert.ok(imported !== undefined)
        let failure: unknown
        try {
          for (const ref of imported.blobs) await me.blobs.fetch(ref, { holders: nodes.map(({ id }) => id) })
        } catch (error) {
          failure = error
        }
        // Whatever happened: only good blocks are here, and nothing is under way.
        for await (const { cid } of me.blocks.list()) assert.ok(await me.blocks.verify(cid))
        await until(() => me.blobs.stats().inFlightBytesNow === 0)
        if (failure === undefined) {
          assert.ok((await collect(me.blobs.read(imported.cid))).equals(bytes))
          return
        }
        assert.ok(failure instanceof BlobError, messageOf(failure))
        assert.ok(!holders.includes('good') && !holders.includes('slow'), `one holder was good: ${failure.message}`)
        const expected = new Set<string>()
        if (holders.some((kind) => kind === 'corrupt')) expected.add('CORRUPT')
        if (holders.some((kind) => kind !== 'partial')) expected.add('HOLDERS_UNREACHABLE')
        if (holders.some((kind) => kind === 'partial')) expected.add('NO_HOLDERS')
        assert.ok(expected.has(codeOf(failure) ?? ''), `${String(codeOf(failure))} among ${holders.join()}`)
        // With a good holder the same fetch ends well, from where it was.
        const good = makeNode(network, 50, init)
        await good.blobs.import(pieces(bytes))
        assert.ok((await collect(me.blobs.read(imported.cid, { holders: [good.id] }))).equals(bytes))
      }),
      { numRuns: 40, examples: kinds.map((kind): [Kind[], number, number] => [[kind], 7, 9000]) },
    )
  })
})
