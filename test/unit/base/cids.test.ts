import assert from 'node:assert/strict'
import fc from 'fast-check'
import { base58btc } from 'multiformats/bases/base58'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { cidOfText, textOfCid, textOfNewCid, usualTextOf } from '../../../src/base/index.js'

const cidOf = (i: number): CID => {
  const digest = Buffer.alloc(32)
  digest.writeUInt32BE(i)
  return CID.createV1(0x55, Digest.create(0x12, Uint8Array.from(digest)))
}

describe('base: CIDs and their texts', () => {
  it('are those of the library, the first time and the next, however many there are', () => {
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 5000; i++) {
        const cid = cidOf(i)
        const text = cid.toString()
        assert.equal(textOfCid(cid.bytes), text)
        assert.ok(cidOfText(text).equals(cid))
        assert.equal(cidOfText(text).toString(), text)
      }
    }
  })

  it('are those of the library for one that was just made', () => {
    for (let i = 0; i < 5000; i++) {
      const cid = cidOf(100_000 + (i % 3000))
      const text = cid.toString()
      assert.equal(textOfNewCid(cid), text)
      assert.equal(cidOfText(text).toString(), text)
      assert.equal(textOfCid(cid.bytes), text)
      assert.equal(usualTextOf(text), text)
    }
  })

  it('have the usual form, whatever form they came in', () => {
    const cid = cidOf(1)
    const v0 = CID.createV0(CID.createV1(0x70, cid.multihash).multihash as Parameters<typeof CID.createV0>[0])
    for (const text of [cid.toString(base58btc), `${cid.toString()}=`]) {
      for (let round = 0; round < 2; round++) {
        assert.equal(cidOfText(text).toString(), cid.toString(), text)
        assert.equal(usualTextOf(text), cid.toString(), text)
      }
    }
    assert.throws(() => usualTextOf('bafy'))
    assert.equal(cidOfText(v0.toString()).toString(), v0.toString())
    assert.equal(textOfCid(v0.bytes), v0.toString())
  })

  it('stay what they are when the bytes that they came in are written over', () => {
    const page = Buffer.concat([Buffer.alloc(10), cidOf(70_000).bytes, Buffer.alloc(10)])
    const text = textOfCid(page.subarray(10, -10))
    page.fill(7)
    assert.ok(cidOfText(text).equals(cidOf(70_000)))
    assert.equal(textOfCid(cidOf(70_000).bytes), text)
  })

  it('are refused where the library refuses them', () => {
    const outcome = <T>(run: () => T): T | string => {
      try {
        return run()
      } catch {
        return 'refused'
      }
    }
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.tuple(fc.nat(), fc.nat(39), fc.nat(255)).map(([i, at, value]) => {
        const bytes = Uint8Array.from(cidOf(i % 1000).bytes)
        if (at < bytes.length) bytes[at] = value
        return bytes
      })), (bytes) => {
        for (let round = 0; round < 2; round++) assert.equal(outcome(() => textOfCid(bytes)), outcome(() => CID.decode(bytes).toString()))
      }),
    )
    fc.assert(fc.property(fc.string(), (text) => assert.equal(outcome(() => cidOfText(text).toString()), outcome(() => CID.decode(CID.parse(text).bytes).toString()))))
  })
})
