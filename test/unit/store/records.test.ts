import assert from 'node:assert/strict'
import fc from 'fast-check'
import { decodeLedger, emptyLedger, encodeLedger } from '../../../src/store/ledger.js'
import type { IndexEntry } from '../../../src/store/records.js'
import { blockKey, decodeBlockKey, decodeEntry, decodeGarbage, decodeTail, encodeEntry, encodeGarbage, encodeTail } from '../../../src/store/records.js'
import { afterPrefix, mapKey, bytesOfMapKey } from '../../../src/store/bytes.js'
import { StoreError } from '../../../src/store/index.js'
import { block } from './support.js'

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const sequence = fc.maxSafeNat()
const { bytes: multihash } = block(1).cid.multihash

describe('store: records', () => {
  it('come back as they were', () => {
    const flags = fc.constantFrom({ quarantined: false, missing: false }, { quarantined: true, missing: false }, { quarantined: true, missing: true })
    fc.assert(fc.property(flags, sequence, u32, u32, u32, u32, (flag, seq, size, references, drafts, codec) => {
      const entry: IndexEntry = { ...flag, sequence: seq, size, references, drafts, codec }
      assert.deepEqual(decodeEntry(encodeEntry(entry)), entry)
      const place = { sequence: seq, codec: codec >>> 1, multihash }
      assert.deepEqual(decodeBlockKey(blockKey(seq, place.codec, multihash)), place)
      const { key, value } = encodeGarbage({ ...place, size })
      assert.deepEqual(decodeGarbage(key, value), { ...place, size })
      assert.deepEqual(decodeTail(encodeTail([place, place])), [{ sequence: seq, multihash }, { sequence: seq, multihash }])
      const ledger = { ...emptyLedger, liveBytes: seq, blocks: size, mark: drafts, clean: size % 2 === 0 }
      assert.deepEqual(decodeLedger(encodeLedger(ledger)), ledger)
    }))
  })

  it('keys sort as their sequence numbers do', () => {
    fc.assert(fc.property(sequence, sequence, (a, b) => {
      const order = Math.sign(Buffer.compare(blockKey(a, 0x55, multihash), blockKey(b, 0x55, multihash)))
      assert.equal(order, Math.sign(a - b))
    }))
  })

  it('any bytes are read, or refused as CORRUPT', () => {
    const decoders = [decodeEntry, decodeBlockKey, decodeTail, decodeLedger, (bytes: Uint8Array) => decodeGarbage(bytes.subarray(0, 8), bytes.subarray(8))]
    const valid = [
      encodeEntry({ quarantined: true, missing: false, sequence: 5, size: 6, references: 7, drafts: 8, codec: 9 }),
      blockKey(1, 0x55, multihash),
      encodeTail([{ sequence: 1, multihash }]),
      encodeLedger(emptyLedger),
    ]
    const mutated = fc.tuple(fc.constantFrom(...valid), fc.nat(80), fc.nat(255), fc.nat(80)).map(([bytes, at, value, end]) => {
      const copy = bytes.slice(0, end)
      if (at < copy.length) copy[at] = value
      return copy
    })
    fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), fc.constantFrom(...decoders), (bytes, decode) => {
      try {
        decode(bytes)
      } catch (error) {
        assert.ok(error instanceof StoreError && error.code === 'CORRUPT', String(error))
      }
    }), { numRuns: 3000 })
  })

  it('byte strings as map keys, and the end of a prefix', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 5 }), (prefix, rest) => {
      assert.deepEqual(Buffer.from(bytesOfMapKey(mapKey(prefix))), Buffer.from(prefix))
      const end = afterPrefix(prefix)
      const key = Buffer.concat([prefix, rest])
      if (end === undefined) assert.ok(prefix.every((byte) => byte === 0xff))
      else {
        assert.ok(Buffer.compare(key, end) < 0)
        assert.ok(Buffer.compare(end, prefix) > 0)
      }
    }))
  })
})
