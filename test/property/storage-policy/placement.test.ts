import assert from 'node:assert/strict'
import fc from 'fast-check'
import { seededRandom, shuffled } from '../../../src/base/index.js'
import type { NodeId } from '../../../src/base/index.js'
import { explainPlacement, MeshView, place, placementDefaults, storageCost } from '../../../src/storage-policy/index.js'
import type { NodeView, PlacementRequest } from '../../../src/storage-policy/index.js'
import { anyNode, gib, mib, nodeIds, nodeView } from './world.js'

const ids = nodeIds(1001)
const steps = 50

/** The published formula, written again, without any of the production code: what a set of places is worth. */
function worth(set: readonly NodeView[], before: readonly NodeView[]): number {
  const { capacityWeight, diversityWeight, reliabilityWeight } = placementDefaults
  let sum = 0
  const seen = [...before]
  for (const node of set) {
    const isNew = (key: (one: NodeView) => string): number =>
      key(node) !== '' && !seen.some((other) => key(other) === key(node)) ? 1 : 0
    const novelty =
      isNew((one) => (one.segment === '' ? '' : `${one.region}/${one.segment}`)) +
      isNew((one) => one.region) +
      isNew((one) => (one.power === 'unknown' ? '' : one.power))
    const round = (share: number): number => Math.round(share * steps) / steps
    sum += capacityWeight * round(node.freeBytes / node.maxBytes) + reliabilityWeight * round(node.reliability) + (diversityWeight * novelty) / 3
    seen.push(node)
  }
  return sum
}

function* subsets<T>(items: readonly T[], size: number, from = 0): Generator<T[]> {
  if (size === 0) yield []
  else for (let i = from; i + size <= items.length; i++) for (const rest of subsets(items, size - 1, i + 1)) yield [items[i]!, ...rest]
}

function able(node: NodeView, request: PlacementRequest): boolean {
  return (
    node.state === 'up' && node.trusted && node.accepting && node.freeBytes >= storageCost(request.bytes) && !request.holders.includes(node.node)
  )
}

const scenario = fc.record({ seed: fc.integer(), nodes: fc.integer({ min: 1, max: 12 }), wanted: fc.integer({ min: 1, max: 5 }), held: fc.integer({ min: 0, max: 3 }), owned: fc.boolean() })

function build(drawn: { seed: number; nodes: number; wanted: number; held: number; owned: boolean }): { views: NodeView[]; request: PlacementRequest } {
  const random = seededRandom(drawn.seed)
  const views = ids.slice(0, drawn.nodes).map((id) => anyNode(id, random))
  const holders = shuffled(views, random).slice(0, Math.min(drawn.held, drawn.nodes)).map((view) => view.node)
  const owner = drawn.owned ? ids[random.below(drawn.nodes)] : undefined
  return {
    views,
    request: { cid: `bafy${String(drawn.seed)}`, bytes: random.below(8 * gib), wanted: drawn.wanted, owner, ownerMustHold: false, holders },
  }
}

describe('storage-policy: placement', () => {
  it('finds the best set there is, as a search through all sets does', () => {
    let searched = 0
    fc.assert(
      fc.property(scenario, (drawn) => {
        const { views, request } = build({ ...drawn, owned: false })
        const { chosen } = place(request, new MeshView(views), placementDefaults)
        const before = views.filter((view) => request.holders.includes(view.node) && view.state !== 'gone' && view.trusted)
        const candidates = views.filter((view) => able(view, request))
        const size = Math.min(candidates.length, Math.max(0, request.wanted - before.length))
        assert.equal(chosen.length, size)
        let best = 0
        for (const set of subsets(candidates, size)) {
          searched++
          best = Math.max(best, worth(set, before))
        }
        const mine = worth(chosen.map((id) => views.find((view) => view.node === id)!), before)
        assert.ok(Math.abs(mine - best) < 1e-9, `${String(mine)} instead of ${String(best)}`)
      }),
      { numRuns: 2000 },
    )
    assert.ok(searched > 10_000, `only ${String(searched)} sets were compared`)
  })

  it('never puts two copies on one node, passes no quota, and puts the owner first if it can', () => {
    fc.assert(
      fc.property(scenario, (drawn) => {
        const { views, request } = build(drawn)
        const { chosen, warnings } = place(request, new MeshView(views), placementDefaults)
        const all = [...request.holders, ...chosen]
        assert.equal(new Set(all).size, all.length)
        for (const id of chosen) {
          const view = views.find((one) => one.node === id)!
          const room = id === request.owner ? Math.max(view.ownFreeBytes, view.freeBytes) : view.freeBytes
          assert.ok(room >= storageCost(request.bytes))
          assert.equal(view.state, 'up')
        }
        const counted = views.filter((view) => request.holders.includes(view.node) && view.state !== 'gone' && view.trusted).length
        const owner = views.find((one) => one.node === request.owner)
        if (owner !== undefined && owner.state === 'up' && owner.ownFreeBytes >= storageCost(request.bytes) && !request.holders.includes(owner.node) && counted < request.wanted) {
          assert.equal(chosen[0], owner.node)
        }
        assert.equal(warnings.some((line) => line.startsWith('fewer than two')), counted + chosen.length < 2)
      }),
      { numRuns: 2000 },
    )
  })

  it('gives the same answer whatever order the nodes were heard of in, and explains every node', () => {
    fc.assert(
      fc.property(scenario, (drawn) => {
        const { views, request } = build(drawn)
        const one = explainPlacement(request, new MeshView(views), placementDefaults)
        const other = explainPlacement(request, new MeshView(shuffled(views, seededRandom(drawn.seed + 1))), placementDefaults)
        assert.deepEqual(one, other)
        assert.equal(new Set(one.nodes.map((node) => node.peerId)).size, views.length)
        for (const node of one.nodes) {
          const { capacity, diversity, reliability } = node.terms
          assert.ok(Math.abs(node.score - capacity - diversity - reliability) < 1e-12)
          if (one.chosen.includes(node.peerId)) assert.equal(node.rejected, null)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('is exact in a pool of 24 with 5 copies too, and quick', function () {
    this.timeout(60_000)
    const random = seededRandom(7)
    let slowest = 0
    for (let round = 0; round < 40; round++) {
      const views = ids.slice(0, 24).map((id) => ({ ...anyNode(id, random), state: 'up' as const, trusted: true, accepting: true, freeBytes: Math.floor(10 * gib * random.float()) + gib }))
      const request = { cid: `exact${String(round)}`, bytes: mib, wanted: 5, owner: undefined, ownerMustHold: false, holders: [] }
      const started = performance.now()
      const { chosen } = place(request, new MeshView(views), placementDefaults)
      slowest = Math.max(slowest, performance.now() - started)
      let best = 0
      if (round < 4) for (const set of subsets(views, 5)) best = Math.max(best, worth(set, []))
      const mine = worth(chosen.map((id) => views.find((view) => view.node === id)!), [])
      assert.ok(mine > best - 1e-9)
    }
    assert.ok(slowest < 500, `${String(slowest)} ms`)
  })
})

describe('storage-policy: balance over 1,000 nodes', () => {
  const places = 1000
  const regions = ['sydney', 'london', 'nyc', 'tokyo']
  function mesh(count: number): NodeView[] {
    const random = seededRandom(3)
    return ids.slice(0, count).map((id, i) => {
      return nodeView(id, {
        region: regions[i % regions.length] ?? '',
        segment: `net${String(i)}`,
        power: i % 2 === 0 ? 'mains' : 'battery',
        reliability: 0.98,
        maxBytes: (10 + random.below(91)) * gib,
      })
    })
  }

  /** Fills to about `fill` with news of free space that is refreshed only every `refresh` blobs. */
  function filled(views: NodeView[], fill: number, refresh: number): { used: Map<NodeId, number>; max: number; mean: number; deviation: number; worst: number } {
    const used = new Map<NodeId, number>(views.map((view) => [view.node, 0]))
    const total = views.reduce((sum, view) => sum + view.maxBytes, 0)
    const bytes = 256 * mib
    const blobs = Math.floor((total * fill) / (3 * bytes))
    let known = new MeshView(views)
    for (let i = 0; i < blobs; i++) {
      if (i % refresh === 0) known = new MeshView(views.map((view) => ({ ...view, freeBytes: view.maxBytes - (used.get(view.node) ?? 0) })))
      const { chosen } = place({ cid: `blob ${String(i)}`, bytes, wanted: 3, owner: undefined, ownerMustHold: false, holders: [] }, known, placementDefaults)
      for (const id of chosen) used.set(id, (used.get(id) ?? 0) + bytes)
    }
    const fills = views.map((view) => (used.get(view.node) ?? 0) / view.maxBytes)
    const mean = [...used.values()].reduce((sum, one) => sum + one, 0) / total
    const deviation = Math.sqrt(fills.reduce((sum, one) => sum + (one - mean) ** 2, 0) / fills.length)
    return { used, max: Math.max(...fills), mean, deviation, worst: Math.max(...fills.map((one) => Math.abs(one - mean))) }
  }

  it('fills them evenly, on news that is 500 blobs old', function () {
    this.timeout(120_000)
    const views = mesh(places)
    const started = performance.now()
    const { mean, max, deviation, worst } = filled(views, 0.5, 500)
    console.log(`      mean ${(100 * mean).toFixed(1)} %, standard deviation ${(100 * deviation).toFixed(2)} points, fullest ${(100 * max).toFixed(1)} %, farthest from the mean ${(100 * worst).toFixed(1)} points, ${(performance.now() - started).toFixed(0)} ms`)
    assert.ok(deviation < 0.03, `standard deviation ${String(deviation)}`)
    assert.ok(worst < 0.1, `worst ${String(worst)}`)
  })
})
