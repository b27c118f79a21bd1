import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { cidOf, TestNode, World } from './world.js'

type Deed = (node: TestNode) => Promise<unknown>

const put = (content: string, token?: bigint): Deed => async (node) => node.put('/p', content, token === undefined ? {} : { token })
const rm: Deed = async (node) => node.rm('/p')
const pin: Deed = async (node) => node.catalog.apply([{ path: '/p', content: { pinned: true } }])
const unpin: Deed = async (node) => node.catalog.apply([{ path: '/p', content: { pinned: false, replicas: 4 } }])

/** Both begin with `base` at /p; each does its own, the first one earlier; then they meet. What is at /p, and what beside it. */
async function outcome(names: [string, string], first: readonly Deed[], second: readonly Deed[]): Promise<{ at: string | undefined; copies: string[] }> {
  const world = new World()
  const nodes = [await new TestNode(world, names[0]).start(), await new TestNode(world, names[1]).start()] as const
  await nodes[0].put('/p', 'base')
  await world.time.advance(2000)
  world.link(nodes[0].id, nodes[1].id, false)
  for (const deed of first) await deed(nodes[0])
  await world.time.advance(1000)
  for (const deed of second) await deed(nodes[1])
  world.link(nodes[0].id, nodes[1].id, true)
  await world.time.advance(3000)
  const listing = await nodes[0].listing()
  assert.deepEqual(await nodes[1].listing(), listing)
  for (const node of nodes) await node.stop()
  const at = listing.find((line) => line.startsWith('/p bafk'))
  return { at: at?.split(' ')[1], copies: listing.filter((line) => line !== at).map((line) => line.slice(line.lastIndexOf(' ') + 1)).sort() }
}

const table: [string, Deed[], Deed[], string | undefined, string[]][] = [
  ['two contents', [put('one')], [put('two')], 'two', ['one']],
  ['two contents, one edited twice: no copy of what its own writer superseded', [put('one'), put('two')], [put('three')], 'three', ['two']],
  ['the same content twice', [put('one')], [put('one')], 'one', []],
  ['content, and a later deletion of the older content', [put('one')], [rm], 'one', []],
  ['a deletion, and later content', [rm], [put('one')], 'one', []],
  ['two deletions', [rm], [rm], undefined, []],
  ['content, and a deletion of later content', [put('one')], [put('two'), rm], undefined, ['one']],
  ['content, and a later pin of the older content', [put('one')], [pin], 'one', []],
  ['a pin, and later content', [pin], [put('one')], 'one', []],
  ['a pin, and a deletion', [pin], [rm], undefined, []],
  ['a deletion, and a later pin', [rm], [pin], undefined, []],
  ['two changes of what is said about the file', [pin], [unpin], 'base', []],
  ['a higher token, and later content', [put('one', 5n)], [put('two')], 'one', ['two']],
  ['a higher token and deleted, and later content', [put('one', 5n), rm], [put('two')], undefined, ['two']],
  ['a deletion and new content, and an older edit', [rm, put('one')], [put('two')], 'two', ['one']],
]

describe('catalog: two edits that did not know of each other', () => {
  for (const [name, first, second, at, copies] of table) {
    it(name, async () => {
      // Whose name is higher must not matter.
      for (const names of [['a', 'b'], ['b', 'a']] as [string, string][]) {
        assert.deepEqual(await outcome(names, first, second), { at: at === undefined ? undefined : cidOf(at), copies: copies.map(cidOf).sort() }, names.join())
      }
    })
  }

  it('content that two kept, each in its own way, is not lost to a third', async () => {
    const world = new World()
    const [a, b, c] = [await new TestNode(world, 'a').start(), await new TestNode(world, 'b').start(), await new TestNode(world, 'c').start()]
    for (const node of [a, b]) world.link(c.id, node.id, false)
    await a.put('/p', 'base')
    await world.time.advance(2000)
    world.link(a.id, b.id, false)
    await pin(a)
    await unpin(b)
    await world.time.advance(1000)
    await c.put('/p', 'other')
    for (const node of [a, b]) world.link(c.id, node.id, true)
    world.link(a.id, b.id, true)
    await world.time.advance(5000)
    for (const node of [a, b, c]) {
      const listing = await node.listing()
      assert.equal(listing.length, 2)
      assert.ok(listing.some((line) => line === `/p ${cidOf('other')}`) && listing.some((line) => line.endsWith(` ${cidOf('base')}`)))
      await node.stop()
    }
  })
})
