import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { CID } from 'multiformats/cid'
import type { Random, WriteOperation } from '../../../src/base/index.js'
import { codeOf, seededRandom, silentLog } from '../../../src/base/index.js'
import { Records } from '../../../src/catalog/records.js'
import type { CatalogChange, Edit } from '../../../src/catalog/types.js'
import { Vouchers } from '../../../src/replication/vouchers.js'
import { Wants } from '../../../src/replication/wants.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { MemoryKeyValue as PlainKeyValue } from '../../simulation/replication/twins.js'
import { MemoryKeyValue } from '../../unit/catalog/memory-key-value.js'
import { cidOf, signerOf, VirtualTime } from '../../unit/catalog/world.js'

const [self, friend] = [signerOf('a'), signerOf('b')]
const time = new VirtualTime()
const paths = Array.from({ length: 6 }, (_, i) => `/d/${String(i)}`)
/** Some that many files have, and some that few do. */
const contents = Array.from({ length: 12 }, (_, i) => cidOf(`content ${String(i)}`))

/** Takes its time over writes, so that others come in between, and refuses some. */
class SlowDisk extends MemoryKeyValue {
  random: Random | undefined
  /** Says of some writes that they failed, though they are there. */
  isLying = false

  override async write(operations: readonly WriteOperation[]): Promise<void> {
    const { random } = this
    if (random === undefined) return super.write(operations)
    await turns(random.below(4))
    const luck = random.below(8)
    if (luck === 0) throw new Error('refused')
    await super.write(operations)
    await turns(random.below(4))
    if (luck === 1 && this.isLying) throw new Error('refused, and written')
  }

  rowsOf(cid: string): number {
    const prefix = `i/${Buffer.from(CID.parse(cid).bytes).toString('latin1')}`
    return this.dump().filter((row) => row.startsWith(prefix)).length
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

const open = async (meta: MemoryKeyValue, signer: typeof self): Promise<Records> =>
  Records.open({ meta, signer, clock: time.clock(), log: silentLog, isMember: () => true }, { tombstoneLifetimeMs: 1e15 })

interface Seen {
  only: number
  notOnly: number
}

/** What a node does and hears of in any order, much of it at once, over restarts. */
async function storm(random: Random, isLying: boolean, seen: Seen): Promise<void> {
  const disk = new SlowDisk()
  const theirs = await open(new MemoryKeyValue(), friend)
  const news: Uint8Array[] = []
  theirs.events.on('written', (versions) => news.push(...versions.map(({ bytes }) => bytes)))
  const some = <T>(items: readonly T[]): T => items[random.below(items.length)]!
  const editOf = (): Edit => {
    const path = some(paths)
    const cid = random.below(3) === 0 ? contents[0]! : some(contents)
    return random.below(4) === 0 ? { path, content: 'deleted' } : { path, content: { cid, size: 1, replicas: 1 + random.below(4), pinned: random.below(5) === 0 } }
  }
  const edits = (): Edit[] => [...new Map(Array.from({ length: 1 + random.below(3) }, editOf).map((edit) => [edit.path, edit])).values()]
  for (let start = 0; start < 3; start++) {
    disk.random = undefined
    const records = await open(disk, self)
    disk.random = random
    disk.isLying = isLying
    const held = new Set(contents.filter(() => random.below(2) === 0))
    const wants = new Wants(
      { catalog: { byCid: async (cid) => records.table.byCid(cid), byCids: async (cids) => records.table.byCids(cids), get: async (path) => records.table.get(path), on: () => () => undefined }, meta: new PlainKeyValue(), vouchers: new Vouchers({ meta: new PlainKeyValue(), clock: new VirtualClock() }) },
      { self: self.nodeId, isHeld: (cid) => held.has(cid) },
    )
    const hear = ({ previous, current, only }: CatalogChange): void => {
      const after = current.content?.cid
      if (only) {
        seen.only++
        assert.equal(after === undefined ? 0 : disk.rowsOf(after), 1, 'said to be the only one')
      } else seen.notOnly++
      for (const root of new Set([previous?.content?.cid, after])) if (root !== undefined) wants.changed(root, only && root === after ? current : undefined)
    }
    const failures: unknown[] = []
    records.events.on('change', (change) => {
      try {
        hear(change)
      } catch (error) {
        failures.push(error)
      }
    })
    const working: Promise<unknown>[] = []
    const begin = (work: () => Promise<unknown>): void => {
      working.push(work().catch((error: unknown) => {
        if (!['NOT_FOUND', 'CHANGED', undefined].includes(codeOf(error))) failures.push(error)
      }))
    }
    const deeds: (() => void)[] = [
      () => begin(async () => records.apply(edits())),
      () => begin(async () => records.apply(edits())),
      () => begin(async () => theirs.apply(edits())),
      () => begin(async () => records.ingest(news.filter(() => random.below(2) === 0))),
      () => begin(async () => (await records.prepare(edits())).abandon()),
      () => begin(async () => wants.of(some(contents))),
      () => begin(async () => wants.learn(contents)),
      () => begin(async () => wants.of(some(contents))),
      () => begin(async () => (random.below(6) === 0 ? wants.addParts(some(contents), [some(contents)]) : undefined)),
      () => {
        const cid = some(contents)
        if (held.delete(cid)) begin(async () => wants.forget(cid))
        else held.add(cid)
      },
    ]
    const learnAt = random.below(30)
    for (let step = 0; step < 60; step++) {
      if (step === learnAt) begin(async () => records.learnRoots(new AbortController().signal))
      some(deeds)()
      await turns(random.below(3))
    }
    await Promise.all(working)
    assert.deepEqual(failures, [])
    if (isLying) continue
    if (random.below(2) === 0) await wants.learn(contents)
    for (const [cid, told] of await records.table.byCids(contents)) assert.deepEqual(told, await records.table.byCid(cid))
    for (const cid of contents) assert.deepEqual(await wants.of(cid), await wants.ask(cid), 'what is remembered is what the disk says')
  }
}

describe('replication: what files want, told together with a change', () => {
  it('is what the disk would say, whatever happens at once; and a file said to be the only one with its content is that', async () => {
    const seen = { only: 0, notOnly: 0 }
    await fc.assert(fc.asyncProperty(fc.integer(), async (seed) => storm(seededRandom(seed), false, seen)), { numRuns: 30 })
    assert.ok(seen.only > 100 && seen.notOnly > 100, JSON.stringify(seen))
  })

  it('holds where a write is said to have failed, and has not', async () => {
    const seen = { only: 0, notOnly: 0 }
    await fc.assert(fc.asyncProperty(fc.integer(), async (seed) => storm(seededRandom(seed), true, seen)), { numRuns: 30 })
    assert.ok(seen.only > 100 && seen.notOnly > 100, JSON.stringify(seen))
  })
})
