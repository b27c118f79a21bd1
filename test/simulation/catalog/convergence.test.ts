import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { seededRandom } from '../../../src/base/index.js'
import { join, viewOf } from '../../../src/catalog/merge.js'
import type { Version } from '../../../src/catalog/merge.js'
import { conflictPath } from '../../../src/catalog/path.js'
import { decodeRecord, decodeVersions } from '../../../src/catalog/record.js'
import { collect, TestNode, World } from '../../unit/catalog/world.js'

/** Every version that was ever written to the disk of any node, by path. */
class Witness {
  readonly versions = new Map<string, Map<string, Version>>()

  watch(node: TestNode): void {
    const write = node.meta.write.bind(node.meta)
    node.meta.write = async (operations) => {
      for (const operation of operations) {
        if (operation.type !== 'put' || Buffer.from(operation.key).toString('latin1', 0, 2) !== 'v/') continue
        for (const { bytes } of decodeVersions(operation.value)) {
          const version = decodeRecord(Uint8Array.from(bytes))
          const { path } = version.record
          const all = this.versions.get(path) ?? new Map<string, Version>()
          all.set(Buffer.from(version.hash).toString('hex'), version)
          this.versions.set(path, all)
        }
      }
      await write(operations)
    }
  }

  /** The listing that a naive merge of everything gives. */
  listing(): string[] {
    const lines = []
    for (const [path, all] of this.versions) {
      const { winner, copies } = viewOf(join([...all.values()], []))
      if (winner?.record.content !== undefined) lines.push(`${path} ${winner.record.content.cid}`)
      for (const { record } of copies) lines.push(`${conflictPath(path, record)} ${record.content?.cid ?? ''}`)
    }
    return lines.sort()
  }
}

async function world(seed: number, steps: number): Promise<void> {
  const random = seededRandom(seed)
  const sim = new World(seed)
  sim.lossOfGossip = 0.3
  const witness = new Witness()
  const nodes: TestNode[] = []
  for (const name of ['a', 'b', 'c', 'd']) {
    const node = new TestNode(sim, name, { antiEntropyIntervalMs: 10_000 })
    witness.watch(node)
    await node.start()
    node.clockOffset = random.below(4000) - 2000
    nodes.push(node)
  }
  const any = <T>(items: readonly T[]): T => items[random.below(items.length)]!
  const path = (): string => any(['/a', '/a/b', '/a b', '/c/d/e', '/c/d/f.txt', '/c/d', '/x.tar.gz'])
  let puts = 0
  const expected = new Set(['NOT_FOUND', 'STALE_TOKEN', 'CHANGED', 'EXISTS', 'CLOCK_AHEAD'])
  const tolerate = (error: unknown): void => {
    if (!expected.has((error as { code: string }).code)) throw error
  }
  const background: Promise<void>[] = []
  for (let step = 0; step < steps; step++) {
    const node = any(nodes)
    try {
      switch (random.below(12)) {
        case 0:
        case 1:
        case 2:
        case 3:
          {
            const putting = node.put(path(), `content ${random.below(4) === 0 ? 'same' : puts++}`, random.below(10) === 0 ? { token: BigInt(random.below(4)) } : {})
            // Half of them run while other things go on, at the same path maybe.
            if (random.below(2) === 0) background.push(putting.then(() => undefined, tolerate))
            else await putting
          }
          break
        case 4:
          await node.rm(path())
          break
        case 5:
          await node.catalog.apply([{ path: path(), content: { replicas: 1 + random.below(5), pinned: random.below(2) === 0 } }])
          break
        case 6: {
          // Something is done to a conflict copy, if there is one.
          const copy = (await collect(node.catalog.list('/'))).find((record) => record.conflictOf !== undefined)
          if (copy !== undefined) {
            const content = any([{ content: 'deleted' }, { content: { replicas: 3 } }, { content: { ...copy.content } }] as const)
            await node.catalog.apply([{ path: copy.path, ...content }])
          }
          break
        }
        case 7: {
          const [from, to] = [path(), path()]
          const record = await node.catalog.get(from)
          if (record?.content !== undefined && from !== to) {
            await node.catalog.apply([
              { path: to, content: { ...record.content } },
              { path: from, content: 'deleted' },
            ])
          }
          break
        }
        case 8:
          sim.link(node.id, any(nodes).id, random.below(3) > 0)
          break
        case 9:
          if (random.below(3) === 0) {
            await Promise.all(background.splice(0))
            if (node.isRunning) await node.stop()
            await node.start()
          } else if (random.below(3) === 0) node.clockOffset = -random.below(86_400_000)
          break
        default:
          await sim.time.advance(random.below(8000))
      }
    } catch (error) {
      tolerate(error)
    }
  }
  await Promise.all(background)
  for (const node of nodes) {
    if (!node.isRunning) await node.start()
    for (const other of nodes) sim.link(node.id, other.id, true)
    // A clock a day behind refuses what the others write as from the future, and takes it once it is right again.
    node.clockOffset = 0
  }
  await sim.time.advance(11 * 60_000)
  const wanted = witness.listing()
  for (const node of nodes) {
    assert.deepEqual((await node.listing()).sort(), wanted, `node ${node.name}`)
    // What every table says follows from the versions: two nodes that have the same have the same in all of them.
    const tables = (of: TestNode): string[] => of.meta.dump().filter((line) => /^[vbci]\//.test(line))
    assert.deepEqual(tables(node), tables(nodes[0]!))
  }
  // And nobody asks for more than the root once all is the same.
  sim.requests = []
  await sim.time.advance(60_000)
  assert.ok(sim.requests.length > 0 && sim.requests.every(({ method }) => method === 'catalog.digest'))
  // Counts kept along the way agree with a scan.
  for (const node of nodes) {
    const { files, conflicts, tombstones } = node.catalog.stats()
    await node.stop()
    await node.open()
    const scanned = node.catalog.stats()
    assert.deepEqual([files, conflicts, tombstones], [scanned.files, scanned.conflicts, scanned.tombstones])
  }
}

describe('catalog: worlds', function () {
  this.timeout(60_000)
  const only = process.env['CATALOG_SEED']
  const seeds = only === undefined ? Array.from({ length: 12 }, (_, i) => i + 1) : [Number(only)]
  for (const seed of seeds) {
    it(`converges to the naive merge of all that was written (CATALOG_SEED=${seed})`, async () => world(seed, 150))
  }
})
