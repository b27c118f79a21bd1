import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { systemClock } from '../../../src/base/index.js'
import { saltOf } from '../../../src/replication/fingerprint.js'
import { Inventory } from '../../../src/replication/inventory.js'
import { Views } from '../../../src/replication/views.js'
import type { BlobView, NodeView } from '../../../src/storage-policy/index.js'
import { factorDefaults, MeshView, placementDefaults, rebalanceDefaults } from '../../../src/storage-policy/index.js'

const minute = 60_000
const nodes = ['a', 'b', 'c'].map((name) => name as NodeId)
const [owner = '' as NodeId] = nodes

const inventory = new Inventory(saltOf(1n))
inventory.add({ cid: 'x', kind: 'dag', bytes: 1, blocks: 1, heldSinceMs: 0 })

/** A blob with three live copies of which two are wanted; `away` are silent for so long. */
class Seen {
  nowMs = 1_000_000 * minute
  wanted = 2
  readonly #views = new Views(
    {
      clock: { ...systemClock, wallMs: () => this.nowMs },
      inventory,
      holders: { of: () => nodes, counted: () => nodes },
      wants: { of: async () => this.#want, last: () => this.#want },
      stock: { wanted: () => undefined },
      carrier: { targetsOf: () => [] },
    },
    { policy: () => policy, hasBegun: () => false, told: () => undefined },
  )

  get #want() {
    return { priority: 'normal', wanted: this.wanted, pinned: false, own: false, owner } as const
  }

  /** Looks as if `away` had been silent for so long; resolves to since when there has been a surplus, in ms before now. */
  async look(awayMs?: number, state: NodeView['state'] = 'suspect'): Promise<number | undefined> {
    const mesh = new MeshView(nodes.map((node): NodeView => ({
      node, region: 'r', segment: 's', power: 'mains', reliability: 1, maxBytes: 100, freeBytes: 50, ownFreeBytes: 50, accepting: true, repairing: true, trusted: true,
      ...(node === 'c' && awayMs !== undefined ? { state, silentMs: awayMs } : { state: 'up', silentMs: 0 }),
    })))
    this.#views.watch(await this.#views.all(), mesh)
    const [view]: BlobView[] = await this.#views.all()
    return view?.surplusSinceMs === undefined ? undefined : this.nowMs - view.surplusSinceMs
  }
}

const policy = { placement: placementDefaults, factors: factorDefaults, rebalance: rebalanceDefaults }

describe('replication: since when there are too many copies', () => {
  it('a holder that is late for less than a minute does not begin the time anew', async () => {
    const seen = new Seen()
    assert.equal(await seen.look(), 0)
    seen.nowMs += 10 * minute
    assert.equal(await seen.look(5_000), 10 * minute)
    seen.nowMs += 50_000
    assert.equal(await seen.look(55_000), 10 * minute + 50_000)
    seen.nowMs += 5_000
    assert.equal(await seen.look(), 10 * minute + 55_000)
    // The next one is a break of its own.
    seen.nowMs += 55_000
    assert.equal(await seen.look(5_000), 11 * minute + 50_000)
    seen.nowMs += 50_000
    assert.notEqual(await seen.look(55_000), undefined)
  })

  it('a longer break does, and so does a count that is another', async () => {
    const seen = new Seen()
    await seen.look()
    seen.nowMs += 10 * minute
    await seen.look(minute)
    seen.nowMs += minute
    assert.equal(await seen.look(2 * minute), undefined)
    assert.equal(await seen.look(), 0)
    seen.nowMs += 10 * minute
    seen.wanted = 3
    assert.equal(await seen.look(), undefined)
    seen.wanted = 2
    assert.equal(await seen.look(), 0)
    seen.nowMs += minute
    assert.equal(await seen.look(30 * 3600_000, 'gone'), undefined)
  })
})

describe('replication: which blobs nobody wants', () => {
  it('what comes in while others are asked about is not taken for one of them', async () => {
    const coming = new Inventory(saltOf(1n))
    coming.add({ cid: 'here', kind: 'dag', bytes: 1, blocks: 1, heldSinceMs: 0 })
    const unwanted: string[] = []
    const views = new Views(
      {
        clock: systemClock, inventory: coming, holders: { of: () => nodes, counted: () => nodes },
        wants: {
          of: async () => {
            coming.add({ cid: 'new', kind: 'dag', bytes: 1, blocks: 1, heldSinceMs: 0 })
            return Promise.resolve({ priority: 'normal', wanted: 2, pinned: false, own: false, owner } as const)
          },
          last: () => undefined,
        },
        stock: { wanted: (cid, isWanted) => { if (!isWanted) unwanted.push(cid) } }, carrier: { targetsOf: () => [] },
      },
      { policy: () => policy, hasBegun: () => false, told: () => undefined },
    )
    // It is not here yet when they are asked about side by side.
    assert.deepEqual((await views.of(['new', 'here'])).map(({ cid }) => cid), ['here'])
    assert.deepEqual(unwanted, [])
    assert.deepEqual((await views.of(['new', 'here'])).map(({ cid }) => cid), ['new', 'here'])
  })
})
