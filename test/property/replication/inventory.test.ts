import assert from 'node:assert/strict'
import fc from 'fast-check'
import { seededRandom } from '../../../src/base/index.js'
import { decodeFingerprints, encodeFingerprints, fingerprint, fingerprintsMax, saltOf } from '../../../src/replication/fingerprint.js'
import { decodeRising, encodeRising, riceParameter } from '../../../src/replication/golomb.js'
import { Inventory } from '../../../src/replication/inventory.js'
import { decode, decodeCid, decodeVitals } from '../../../src/replication/messages.js'
import { InventoryPull, PeerInventory } from '../../../src/replication/peer-inventory.js'
import * as wire from '../../../src/replication/wire/replication.js'
import { hashName } from '../../../src/storage-policy/index.js'

const entry = (cid: string): Parameters<Inventory['add']>[0] => ({ cid, kind: 'dag', bytes: 1, blocks: 1, heldSinceMs: 0 })
const rising = fc.uniqueArray(fc.integer({ min: 0, max: fingerprintsMax - 1 }), { maxLength: 300 }).map((values) => values.sort((a, b) => a - b))

/** Pulls all there is, page by page. */
function pull(inventory: Inventory): { peer: PeerInventory; bytes: number } {
  const made = new InventoryPull(2 ** 20)
  let bytes = 0
  do {
    const encoded = wire.InventoryResponse.encode(inventory.answer({ salt: 0n, version: 0, after: made.after }))
    bytes += encoded.length
    made.take(wire.InventoryResponse.decode(encoded))
  } while (!made.done)
  return { peer: made.inventory(), bytes }
}

describe('replication: inventories', () => {
  it('rising numbers come back as they went, and from arbitrary bytes nothing but rising numbers', () => {
    fc.assert(
      fc.property(rising, fc.integer({ min: 0, max: 40 }), (values, extra) => {
        const parameter = Math.max(extra, riceParameter(values.length, fingerprintsMax) - 4)
        assert.deepEqual(decodeRising(encodeRising(values, -1, parameter), values.length, -1, parameter), values)
      }),
      { numRuns: 300 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(100_000), fc.integer({ min: -5, max: 60 }), (bytes, entries, parameter) => {
        const values = decodeRising(bytes, entries, -1, parameter)
        if (values === undefined) return
        assert.equal(values.length, entries)
        values.forEach((value, i) => assert.ok(value < fingerprintsMax && value > (values[i - 1] ?? -1)))
      }),
      { numRuns: 3000 },
    )
  })

  it('fingerprints come back as they went, spread evenly, and differ by salt', () => {
    fc.assert(fc.property(rising, (values) => assert.deepEqual(decodeFingerprints(encodeFingerprints(values)), values)))
    assert.equal(decodeFingerprints(new Uint8Array(7)), undefined)
    const buckets = new Array<number>(64).fill(0)
    const seen = new Set<number>()
    for (let i = 0; i < 64_000; i++) {
      const value = fingerprint(hashName(`blob ${String(i)}`), saltOf(7n))
      seen.add(value)
      buckets[Math.floor((value / fingerprintsMax) * 64)]!++
    }
    assert.equal(seen.size, 64_000)
    for (const count of buckets) assert.ok(count > 850 && count < 1150, `${String(count)} in a bucket of 1000`)
    assert.notEqual(fingerprint(hashName('a'), saltOf(1n)), fingerprint(hashName('a'), saltOf(2n)))
  })

  it('a peer that follows by deltas and pulls knows what one knows who asks the inventory itself', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = seededRandom(seed)
        const mine = new Inventory(saltOf(BigInt(random.below(2 ** 31))))
        let theirs = pull(mine).peer
        const names = Array.from({ length: 60 }, (_, i) => `b${String(i)}`)
        for (let i = 0; i < 80; i++) {
          const before = mine.version
          for (let j = random.below(4); j > 0; j--) {
            const name = names[random.below(60)]!
            if (random.below(2) === 0) mine.add(entry(name))
            else mine.remove(name)
          }
          const dice = random.below(10)
          if (dice < 6) {
            const delta = mine.delta(before, 1000)!
            // One that was lost leaves a gap, which the next does not bridge: then it is pulled.
            if (theirs.apply(delta, mine.version) === undefined) theirs = pull(mine).peer
          } else if (dice === 6) theirs = pull(mine).peer
          else if (dice === 7) {
            const answer = mine.answer({ salt: theirs.saltValue, version: theirs.version, after: 0 })
            if (answer.delta !== undefined) theirs.apply(answer.delta, answer.version)
          }
          if (theirs.version === mine.version) for (const name of names) assert.equal(theirs.has(hashName(name)), mine.get(name) !== undefined)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('3,000 blobs take 11 KB, a million 2.9 MB in pages; 1,000 nodes mistake one of 10⁵ blobs', function () {
    this.timeout(60_000)
    const sizes: string[] = []
    for (const count of [3000, 100_000]) {
      const inventory = new Inventory(saltOf(99n))
      for (let i = 0; i < count; i++) inventory.add(entry(`b${String(i)}`))
      const started = performance.now()
      const { peer, bytes } = pull(inventory)
      sizes.push(`${String(count)} blobs: ${String(bytes)} bytes, ${((8 * bytes) / count).toFixed(1)} bits each, ${(performance.now() - started).toFixed(0)} ms`)
      for (let i = 0; i < count; i += 7) assert.ok(peer.has(hashName(`b${String(i)}`)))
      let mistaken = 0
      for (let i = 0; i < 100_000; i++) if (peer.has(hashName(`other ${String(i)}`))) mistaken++
      assert.ok(mistaken <= 1)
      if (count === 3000) assert.ok(bytes < 12_000)
    }
    console.log(`      ${sizes.join('; ')}`)
  })

  it('refuses pages that are not what they say, and more entries than it takes', () => {
    const inventory = new Inventory(saltOf(3n))
    for (let i = 0; i < 500; i++) inventory.add(entry(`b${String(i)}`))
    const page = inventory.answer({ salt: 0n, version: 0, after: 0 })
    assert.throws(() => new InventoryPull(499).take(page), { code: 'BAD_INPUT' })
    assert.throws(() => new InventoryPull(9999).take({ salt: 1n, version: 1 }), { code: 'BAD_INPUT' })
    assert.throws(() => new InventoryPull(9999).take({ ...page, page: { ...page.page!, entries: 2 ** 30 } }), { code: 'BAD_INPUT' })
    assert.throws(() => new InventoryPull(9999).take({ ...page, page: { ...page.page!, entries: 0, last: false } }), { code: 'BAD_INPUT' })
    const peer = PeerInventory.of(1n, 0, [], 10)
    assert.throws(() => peer.apply({ fromVersion: 0, added: encodeFingerprints(Array.from({ length: 11 }, (_, i) => i)), removed: new Uint8Array(0) }, 1), { code: 'BAD_INPUT' })
    assert.throws(() => peer.apply({ fromVersion: 0, added: new Uint8Array(3), removed: new Uint8Array(0) }, 1), { code: 'BAD_INPUT' })
  })
})

describe('replication: messages', () => {
  const codecs = [wire.Vitals, wire.InventoryRequest, wire.InventoryResponse, wire.StoreRequest, wire.StoreResponse, wire.ChallengeRequest, wire.ChallengeResponse, wire.KeepRequest, wire.KeepResponse, wire.ProofRequest, wire.ProofResponse, wire.ReleaseRequest, wire.HaveRequest, wire.HaveResponse, wire.VouchedRequest, wire.VouchedResponse]
  const onlyBadInput = (work: () => unknown): void => {
    try {
      work()
    } catch (error) {
      assert.equal((error as { code?: unknown }).code, 'BAD_INPUT')
    }
  }

  it('from arbitrary bytes, and from mutated valid ones, only BAD_INPUT comes out', () => {
    const valid = [
      wire.Vitals.encode({ boot: 1, sequence: 2, maxBytes: 3, usedBytes: 4, freeForOthersBytes: 5, freeForOwnBytes: 6, flags: 7, inventorySalt: 8n, inventoryVersion: 9, inventoryEntries: 10, delta: { fromVersion: 1, added: new Uint8Array(10), removed: new Uint8Array(5) }, evictableBytes: [1, 2, 3, 4, 5] }),
      wire.StoreRequest.encode({ cid: new Uint8Array(36), spine: false, bytes: 5, holders: ['x', 'y'], move: true, challenge: { nonce: new Uint8Array(16), offsets: [1, 2 ** 40], length: 2 } }),
      wire.KeepRequest.encode({ cid: new Uint8Array(36), attempt: 'abc', keepMs: 5 }),
      wire.ProofRequest.encode({ cid: new Uint8Array(36), attempt: 'abc', challenge: { nonce: new Uint8Array(16), offsets: Array.from({ length: 16 }, (_, i) => i * 2 ** 30), length: 65_536 } }),
    ]
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.tuple(fc.constantFrom(...valid), fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 6 })).map(([bytes, edits]) => {
        const copy = Uint8Array.from(bytes)
        for (const [at, value] of edits) if (at < copy.length) copy[at] = value
        return copy
      })), (bytes) => {
        for (const codec of codecs) onlyBadInput(() => decode<unknown>(codec, bytes, { holders: 64, cids: 1024, evictableBytes: 5 }))
        onlyBadInput(() => decodeVitals(bytes))
        onlyBadInput(() => decodeCid(bytes))
      }),
      { numRuns: 3000 },
    )
  })

  it('lists are bounded while they are read', () => {
    const many = wire.StoreRequest.encode({ cid: new Uint8Array(36), spine: false, bytes: 1, holders: Array.from({ length: 100 }, () => 'x'), move: false })
    assert.throws(() => decode(wire.StoreRequest, many, { holders: 64 }), { code: 'BAD_INPUT' })
  })
})
