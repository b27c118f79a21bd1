import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually, listenArgs, someBytes, World } from './harness.js'
import type { TestNode } from './harness.js'

/** For so long files come, go and move while nodes are killed. */
const tormentMs = 9_000
/** Between a node being ready and its being killed. */
const lifeMsMax = 900

/** One content has one number; the same comes under many paths, so that what one path lets go of another still needs. */
const sizes = [5, 10, 3_000, 70_000, 262_145, 1_048_576, 1_048_577, 2_500_000]
const contents = [Buffer.alloc(0), ...Array.from({ length: 16 }, (_, i) => someBytes(sizes[i % sizes.length] ?? 5, i + 1))]
type Content = number | 'nothing'

/** Always the same numbers, for the same seed. */
class Dice {
  #state: number
  constructor(seed: number) {
    this.#state = seed
  }
  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) >>> 0
    return (this.#state >>> 8) % limit
  }
}

/** What somebody who works on one node knows of its folder: what was acknowledged, and what may be either way. */
class Worker {
  readonly #node: TestNode
  readonly #dice: Dice
  readonly #folder: string
  readonly known = new Map<string, Content>()
  /** Of calls that broke off: all may be as in one of these, and as in no other. */
  readonly open: { paths: string[]; before: Content[]; after: Content[] }[] = []
  acknowledged = 0
  #made = 0

  constructor(node: TestNode, number: number) {
    this.#node = node
    this.#dice = new Dice(number + 1)
    this.#folder = `/${node.name}/${String(number)}`
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (await this.#step()) continue
      // The node is down: until it is back, there is nothing to do.
      await delay(50)
    }
  }

  async #step(): Promise<boolean> {
    const there = [...this.known].filter(([, content]) => content !== 'nothing').map(([path]) => path)
    const some = there[this.#dice.below(there.length)]
    const what = this.#dice.below(10)
    const client = this.#node.client()
    if (some === undefined || what < 5) {
      const content = this.#dice.below(contents.length)
      const path = some !== undefined && what === 0 ? some : `${this.#folder}/file ${String(this.#made++)}`
      return this.#change([path], [content], async () => client.put(path, chunksOf(contents[content] ?? Buffer.alloc(0))))
    }
    const content = this.known.get(some) ?? 'nothing'
    if (what < 7) return this.#change([some], ['nothing'], async () => client.remove(some))
    if (what < 9) {
      const target = `${this.#folder}/moved ${String(this.#made++)}`
      return this.#change([some, target], ['nothing', content], async () => client.move(some, target))
    }
    try {
      assert.equal(await read(this.#node, some), content, some)
      return true
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      return false
    }
  }

  async #change(paths: string[], after: Content[], call: () => Promise<unknown>): Promise<boolean> {
    const before = paths.map((path) => this.known.get(path) ?? 'nothing')
    try {
      await call()
      this.acknowledged++
      paths.forEach((path, i) => this.known.set(path, after[i] ?? 'nothing'))
      return true
    } catch {
      this.open.push({ paths, before, after })
      // Nobody touches them again, so that it stays clear what they may be.
      for (const path of paths) this.known.delete(path)
      return false
    }
  }
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000)
}

/** The number of the content at a path. Throws if it is none of them. */
async function read(node: TestNode, path: string): Promise<number> {
  const content = await node.client().get(path)
  const parts: Uint8Array[] = []
  for await (const part of content.bytes) parts.push(part)
  const bytes = Buffer.concat(parts)
  const found = contents.findIndex((one) => one.equals(bytes))
  assert.notEqual(found, -1, `${path} has ${String(bytes.length)} bytes that nobody put`)
  return found
}

describe('nodes that are killed while files come, go and move', function () {
  this.timeout(90_000)
  const world = new World()
  after(async () => world.close())

  it('keep every file that was acknowledged, and nothing else', async () => {
    const a = await world.start('a', { args: await listenArgs() })
    const b = await world.join('b', a, { args: await listenArgs() })
    const workers = [a, b].flatMap((node) => [0, 1, 2].map((number) => new Worker(node, number)))
    const stop = new AbortController()
    const working = Promise.all(workers.map(async (worker) => worker.run(stop.signal)))
    const dice = new Dice(7)
    const end = performance.now() + tormentMs
    let kills = 0
    try {
      for (; performance.now() < end; kills++) {
        const victim = kills % 2 === 0 ? b : a
        await Promise.race([working, delay(dice.below(lifeMsMax))])
        await victim.kill()
        await victim.start()
      }
    } finally {
      stop.abort()
    }
    await working
    const acknowledged = workers.reduce((sum, worker) => sum + worker.acknowledged, 0)
    assert.ok(kills >= 2 && acknowledged > 20, `${String(kills)} kills, ${String(acknowledged)} acknowledged`)

    const listing = async (node: TestNode): Promise<Map<string, string | null>> =>
      new Map((await node.client().list('/', { recursive: true })).map(({ path, cid }) => [path, cid]))
    await eventually(async () => {
      assert.deepEqual(await listing(a), await listing(b))
      return true
    }, 'both to list the same', 30_000)

    const found = new Map<string, Content>()
    for (const path of (await listing(a)).keys()) {
      // Each is read where it was not put: over the network, verified.
      found.set(path, await read(path.startsWith('/a/') ? b : a, path))
    }
    for (const worker of workers) {
      for (const [path, content] of worker.known) {
        assert.equal(found.get(path) ?? 'nothing', content, path)
        found.delete(path)
      }
      for (const { paths, before, after } of worker.open) {
        const now = paths.map((path) => found.get(path) ?? 'nothing')
        const isOneOf = [before, after].some((state) => JSON.stringify(state) === JSON.stringify(now))
        assert.ok(isOneOf, `${paths.join(' → ')}: ${String(now)}, neither ${String(before)} nor ${String(after)}`)
        for (const path of paths) found.delete(path)
      }
    }
    assert.deepEqual([...found.keys()], [], 'files that nobody put')
    for (const node of [a, b]) {
      for await (const { cid, ok } of node.client().verify()) assert.ok(ok, `${cid} on ${node.name}`)
    }
  })
})
