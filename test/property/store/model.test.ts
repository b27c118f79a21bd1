import assert from 'node:assert/strict'
import type { Random } from '../../../src/base/index.js'
import { seededRandom, systemRandom } from '../../../src/base/index.js'
import type { BlockDraft, Store } from '../../../src/store/index.js'
import type { Block } from '../../unit/store/support.js'
import { block, collect, Home } from '../../unit/store/support.js'

/**
 * The store against the simplest thing that could be one: references as numbers in a map, drafts as sets. Steps are
 * made in rounds; those of a round run at once, on blocks of their own, so that the outcome does not depend on their
 * order while their batches mix.
 */
const runs = Number(process.env['MESH_TEST_RUNS'] ?? 5)
const rounds = 25
const poolBlocks = 24
/** Parts of the pool, one for each step of a round. */
const parts = 4

/** Small ones and such as have files of their own. */
const blockOf = (n: number): Block => block(n, n % 3 === 2 ? 140_000 : 1000)

interface Model {
  references: Map<number, number>
  drafts: Map<string, Set<number>>
  records: Map<string, string>
}

class World {
  readonly model: Model = { references: new Map(), drafts: new Map(), records: new Map() }
  readonly #open = new Map<string, BlockDraft>()
  readonly #random: Random
  #again = 0
  store: Store

  constructor(store: Store, random: Random) {
    this.store = store
    this.#random = random
  }

  async step(part: number): Promise<void> {
    const { model } = this
    const mine = (n: number): boolean => n % parts === part
    const some = this.#some(part)
    const own = [...model.references].filter(([n, count]) => mine(n) && count > 0).map(([n]) => n)
    const id = `draft ${String(part)} ${String(this.#random.below(2))}`
    const name = `${String(part)} ${String(this.#random.below(4))}`
    const slice = this.store.meta('blobs')
    const put = slice.put(Buffer.from(name), Buffer.from(some.join()))
    switch (this.#random.below(9)) {
      case 0:
      case 1:
      case 2: {
        const draft = await this.#draft(id)
        const set = model.drafts.get(id) ?? new Set()
        model.drafts.set(id, set)
        const isTogether = this.#random.below(2) === 0
        if (isTogether) {
          await draft.putMany([...some, ...some.slice(0, 1)].map((n) => ({ cid: blockOf(n).cid, bytes: this.#bytes(n).bytes })))
          for (const n of some) set.add(n)
        }
        for (const n of isTogether ? [] : some) {
          if (this.#random.below(3) === 0) {
            const there = this.#alive(n)
            assert.equal(await draft.adopt(blockOf(n).cid), there, `adopt ${String(n)}`)
            if (there) set.add(n)
          } else {
            await draft.put(blockOf(n).cid, this.#bytes(n).bytes)
            set.add(n)
          }
        }
        break
      }
      case 3:
        await (await this.#draft(id)).flush()
        model.drafts.set(id, model.drafts.get(id) ?? new Set())
        break
      case 4:
      case 5: {
        await (await this.#draft(id)).commit([put])
        for (const n of model.drafts.get(id) ?? []) model.references.set(n, (model.references.get(n) ?? 0) + 1)
        this.#ended(id)
        model.records.set(name, some.join())
        break
      }
      case 6:
        await (await this.#draft(id)).abort()
        this.#ended(id)
        break
      case 7: {
        const chosen = own.filter(() => this.#random.below(2) === 0)
        const again = await this.store.blocks.draft(`again ${String(++this.#again)}`)
        for (const n of chosen) assert.ok(await again.adopt(blockOf(n).cid), `adopt ${String(n)}`)
        await again.commit([put])
        for (const n of chosen) model.references.set(n, (model.references.get(n) ?? 0) + 1)
        model.records.set(name, some.join())
        break
      }
      default: {
        const chosen = own.filter(() => this.#random.below(3) > 0)
        await this.store.blocks.release(chosen.map((n) => blockOf(n).cid), [slice.del(Buffer.from(name))])
        for (const n of chosen) model.references.set(n, (model.references.get(n) ?? 0) - 1)
        model.records.delete(name)
      }
    }
  }

  /** The store was closed: drafts are what they hold, and are opened again. */
  reopened(store: Store): void {
    this.store = store
    this.#open.clear()
    for (const [id, set] of this.model.drafts) if (set.size === 0) this.model.drafts.delete(id)
  }

  async check(): Promise<void> {
    const { blocks } = this.store
    for (let n = 0; n < poolBlocks; n++) {
      const alive = this.#alive(n)
      const { cid, bytes } = this.#bytes(n)
      assert.equal(await blocks.has(cid), alive, `has ${String(n)}`)
      assert.equal(await blocks.size(cid), alive ? bytes.length : undefined)
      const [read] = await blocks.getMany([cid])
      assert.deepEqual(read, alive ? Buffer.from(bytes) : undefined)
    }
    assert.deepEqual(await blocks.drafts(), [...this.model.drafts.keys()].sort())
    const records = await collect(this.store.meta('blobs').entries())
    assert.deepEqual(new Map(records.map(([key, value]) => [Buffer.from(key).toString(), Buffer.from(value).toString()])), new Map([...this.model.records].sort()))
    const usage = await this.store.usage()
    let live = 0
    let draft = 0
    for (let n = 0; n < poolBlocks; n++) {
      const size = this.#bytes(n).bytes.length
      if ((this.model.references.get(n) ?? 0) > 0) live += size
      else if (this.#alive(n)) draft += size
    }
    assert.deepEqual([usage.liveBytes, usage.draftBytes, usage.quarantined], [live, draft, 0])
    assert.equal(usage.totalBytes, usage.liveBytes + usage.draftBytes + usage.reclaimableBytes + usage.logBytes + usage.metadataBytes)
    const { ledger, counted } = await this.store.recount()
    assert.deepEqual(ledger, counted)
  }

  #alive(n: number): boolean {
    return (this.model.references.get(n) ?? 0) > 0 || [...this.model.drafts.values()].some((set) => set.has(n))
  }

  #bytes(n: number): Block {
    return blockOf(n)
  }

  #some(part: number): number[] {
    const all = Array.from({ length: poolBlocks / parts }, (_, i) => i * parts + part)
    return all.filter(() => this.#random.below(2) === 0)
  }

  async #draft(id: string): Promise<BlockDraft> {
    const open = this.#open.get(id) ?? (await this.store.blocks.draft(id))
    this.#open.set(id, open)
    if (!this.model.drafts.has(id)) this.model.drafts.set(id, new Set())
    return open
  }

  #ended(id: string): void {
    this.#open.delete(id)
    this.model.drafts.delete(id)
  }
}

describe('store: against a naive model', function () {
  this.timeout(60_000)
  const home = new Home()
  beforeEach(async () => home.make())
  afterEach(async () => home.remove())

  const first = Number(process.env['MESH_TEST_SEED'] ?? systemRandom.below(2 ** 31))
  it(`does what it does, whatever is done in whatever order (MESH_TEST_SEED=${String(first)})`, async () => {
    for (let run = 0; run < runs; run++) {
      const random = seededRandom(first + run)
      const init = { quietMs: random.below(2) === 0 ? 1 : 60_000, draftBlocksInMemoryMax: 1 + random.below(6), writeBufferBytes: 64 * 1024 }
      const path = `${home.path}/${String(run)}`
      const open = async (): Promise<Store> => home.openAt(path, init)
      const world = new World(await open(), random)
      try {
        for (let round = 0; round < rounds; round++) {
          await Promise.all(Array.from({ length: parts }, async (_, part) => world.step(part)))
          if (random.below(8) === 0) {
            await world.store.close()
            world.reopened(await open())
            assert.equal(world.store.recovery.clean, true)
          }
          if (random.below(6) === 0) await world.store.reclaim()
          if (random.below(3) === 0) await world.check()
        }
        await world.check()
      } catch (error) {
        throw new Error(`seed ${String(first + run)}: ${String(error)}`, { cause: error })
      } finally {
        await world.store.close()
      }
    }
  })
})
