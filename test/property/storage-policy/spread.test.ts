import assert from 'node:assert/strict'
import fc from 'fast-check'
import { factorDefaults, minimumReplicas, spreadOver, storageCost } from '../../../src/storage-policy/index.js'
import { mib, nodeIds, nodeView } from './world.js'

const ids = nodeIds(8)
const self = ids[0]!

/** Gives each blob's copies, one blob after another, to the emptiest nodes: the dumb way, which is the best one. */
function fits(slots: number[], blobs: number, copies: number): boolean {
  const left = [...slots]
  for (let blob = 0; blob < blobs; blob++) {
    const order = left.map((_, i) => i).sort((a, b) => (left[b] ?? 0) - (left[a] ?? 0)).slice(0, copies)
    if (order.length < copies) return false
    for (const i of order) {
      if ((left[i] ?? 0) === 0) return false
      left[i]!--
    }
  }
  return true
}

describe('storage policy: files larger than their node', () => {
  it('fit exactly where giving out their blobs one by one comes out even; need and room are told where they do not', () => {
    let fitted = 0
    let refused = 0
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 2, maxLength: 7 }),
        fc.integer({ min: 30, max: 200 }),
        fc.integer({ min: 20, max: 900 }),
        fc.integer({ min: 1, max: 3 }),
        (free, own, size, replicas) => {
          const nodes = free.map((mebibytes, i) => nodeView(ids[i + 1]!, { freeBytes: mebibytes * mib }))
          const file = { bytes: size * mib, replicas }
          const fit = spreadOver(file, { self, ownFreeBytes: own * mib, nodes, factors: factorDefaults })
          const minimum = minimumReplicas(replicas, factorDefaults)
          assert.equal(fit.needBytes, minimum * file.bytes)
          assert.ok(fit.blobBytes >= 4 * mib && Number.isInteger(Math.log2(fit.blobBytes)))
          const cost = storageCost(fit.blobBytes + 64 * 1024)
          const slots = [Math.max(0, Math.floor((own * mib - 18 * mib) / cost) - 1), ...free.map((mebibytes) => Math.floor((mebibytes * mib) / cost))]
          const blobs = Math.ceil(file.bytes / fit.blobBytes)
          const canMove = own * mib >= 18 * mib + 2 * cost
          for (let copies = minimum; copies <= replicas; copies++) {
            assert.equal(fit.copies >= copies, canMove && fits(slots, blobs, copies), `${String(copies)} copies of ${String(blobs)} blobs in ${slots.join()}`)
          }
          if (fit.copies > 0) fitted++
          else {
            refused++
            assert.match(fit.message, /the file has .* this node has room for .* the whole mesh for/)
          }
        },
      ),
      { numRuns: 500 },
    )
    assert.ok(fitted > 50 && refused > 50, `${String(fitted)} fitted, ${String(refused)} refused`)
  })

  it('6 GiB over nodes of 3 GiB are cut in parts of 256 MiB', () => {
    const nodes = ids.slice(1, 5).map((id) => nodeView(id, { freeBytes: 2.8 * 2 ** 30 }))
    const fit = spreadOver({ bytes: 6 * 2 ** 30, replicas: 2 }, { self, ownFreeBytes: 2.8 * 2 ** 30, nodes, factors: factorDefaults })
    assert.deepEqual([fit.blobBytes, fit.copies], [256 * mib, 2])
  })

  it('nodes that are away, do not share or are not trusted are no room', () => {
    const [b, c, d] = [ids[1]!, ids[2]!, ids[3]!]
    const freeBytes = 1000 * mib
    const nodes = [nodeView(b, { freeBytes, state: 'suspect' }), nodeView(c, { freeBytes, accepting: false }), nodeView(d, { freeBytes, trusted: false })]
    assert.equal(spreadOver({ bytes: 200 * mib, replicas: 1 }, { self, ownFreeBytes: 100 * mib, nodes, factors: factorDefaults }).copies, 0)
  })
})
