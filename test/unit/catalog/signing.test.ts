import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { decodeVersions, signedParts } from '../../../src/catalog/record.js'
import type { Signed } from '../../../src/catalog/signing.js'
import { isProof, rootOf, SigningGroup, signTogether, Verifier } from '../../../src/catalog/signing.js'
import { cidOf, signerOf, TestNode, World } from './world.js'

const signer = signerOf('a')
const bodiesOf = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => Buffer.from(`body ${String(i)}`))
const isSigned = async (signed: Signed, writer = signer.nodeId): Promise<boolean> => new Verifier().isSigned(writer, signed)

describe('catalog: signatures of many records', () => {
  it('prove each body by itself, however many were signed with it', async () => {
    for (const count of [1, 2, 3, 5, 8, 13, 16, 33, 256]) {
      const signed = signTogether(bodiesOf(count), signer)
      assert.equal(new Set(signed.map(({ signature }) => Buffer.from(signature).toString('hex'))).size, 1)
      for (const one of [signed[0], signed.at(-1), signed[count >> 1]]) {
        assert.ok(one !== undefined && (await isSigned(one)), String(count))
        assert.equal(one.proof === undefined, count === 1)
        assert.ok(one.proof === undefined || isProof(one.proof))
      }
    }
  })

  it('prove bodies of any length', async () => {
    for (const length of [0, 1, 2046, 2047, 2048, 5000]) {
      const signed = signTogether([Buffer.alloc(length, 1), Buffer.alloc(length, 2)], signer)
      for (const one of signed) {
        assert.ok(await isSigned(one), String(length))
        assert.equal(await isSigned({ ...one, body: Buffer.concat([one.body, Buffer.of(0)]) }), false, String(length))
      }
    }
  })

  it('prove nothing else: no other body, writer, place or way, and no root or inner hash as a body', async () => {
    const bodies = bodiesOf(5)
    const signed = signTogether(bodies, signer)
    const [first, second] = signed
    assert.ok(first?.proof !== undefined && second?.proof !== undefined)
    assert.ok(await isSigned(first))
    assert.equal(await isSigned({ ...first, body: Buffer.from('another') }), false)
    assert.equal(await isSigned({ ...first, body: second.body }), false)
    assert.equal(await isSigned({ ...first, proof: second.proof }), false)
    assert.equal(await isSigned(first, signerOf('b').nodeId), false)
    for (let at = 0; at < first.proof.length; at++) {
      const proof: Uint8Array = Uint8Array.from(first.proof)
      proof[at] = (proof[at] ?? 0) ^ 1
      assert.equal(await isSigned({ ...first, proof }), false, String(at))
    }
    const root = rootOf(first.body, first.proof)
    assert.equal(await isSigned({ body: root, signature: first.signature }), false)
    // What the first two are hashed to, with the rest of the way from there.
    const pair = Buffer.concat([Buffer.of(1), rootOf(first.body, first.proof.subarray(0, 1)), first.proof.subarray(1, 33)])
    const above = Buffer.concat([Buffer.of(0), first.proof.subarray(33)])
    assert.equal(await isSigned({ body: pair, signature: first.signature, proof: above }), false)
    assert.equal(await isSigned({ body: pair.subarray(1), signature: first.signature, proof: above }), false)
  })

  it('have one form: a proof with bits or bytes to spare is none', () => {
    const [one] = signTogether(bodiesOf(3), signer)
    assert.ok(one?.proof !== undefined && isProof(one.proof))
    assert.equal(isProof(Buffer.concat([one.proof, Buffer.of(0)])), false)
    assert.equal(isProof(one.proof.subarray(0, 1)), false)
    assert.equal(isProof(new Uint8Array(0)), false)
    assert.equal(isProof(new Uint8Array(1 + 9 * 32)), false)
    assert.equal(isProof(Buffer.concat([Buffer.of(0b100), one.proof.subarray(1)])), false)
  })

  it('are made when the first is asked for; who comes later is signed with others', async () => {
    const group = new SigningGroup(signer)
    const early = bodiesOf(2).map((body) => group.add(body))
    const [first, second] = early.map((signed) => signed())
    const late = group.add(Buffer.from('late'))()
    assert.deepEqual(first?.signature, second?.signature)
    assert.equal(late.proof, undefined)
    assert.ok(await isSigned(late))
    const many = bodiesOf(40).map((body) => group.add(body)).map((signed) => signed())
    assert.equal(new Set(many.map(({ signature }) => Buffer.from(signature).toString('hex'))).size, 3)
    for (const one of many) assert.ok(await isSigned(one))
  })

  it('that are wrong are not taken for right ones of the same root', async () => {
    const verifier = new Verifier()
    const [one, two] = signTogether(bodiesOf(2), signer)
    assert.ok(one !== undefined && two !== undefined)
    const signature = Uint8Array.from(one.signature)
    signature[5] = (signature[5] ?? 0) ^ 1
    for (let round = 0; round < 2; round++) {
      assert.equal(await verifier.isSigned(signer.nodeId, { ...one, signature }), false)
      assert.ok(await verifier.isSigned(signer.nodeId, one))
      assert.equal(await verifier.isSigned(signer.nodeId, { ...two, signature }), false)
      assert.ok(await verifier.isSigned(signer.nodeId, two))
    }
  })

  it('of one batch of edits are one, and other nodes take each of its records alone', async () => {
    const world = new World()
    const [a, b] = [await new TestNode(world, 'a').start(), await new TestNode(world, 'b').start()]
    const signatures = async (node: TestNode): Promise<Map<string, number>> => {
      const counts = new Map<string, number>()
      for await (const [, value] of node.meta.slice('v/').entries()) {
        for (const { bytes } of decodeVersions(value)) {
          const { signature } = signedParts(bytes)
          const name = Buffer.from(signature).toString('hex')
          counts.set(name, (counts.get(name) ?? 0) + 1)
        }
      }
      return counts
    }
    await a.catalog.apply(Array.from({ length: 20 }, (_, i) => ({ path: `/f/${String(i)}`, content: { cid: cidOf(String(i)), size: 1 } })))
    await a.put('/f/alone', 'alone')
    await world.time.advance(5_000)
    assert.deepEqual([...(await signatures(b)).values()].sort(), [1, 16, 4].sort())
    assert.deepEqual(await signatures(b), await signatures(a))
    assert.deepEqual(await b.listing(), await a.listing())
    assert.equal(b.catalog.stats().received.badSignature, 0)
    for (const node of [a, b]) await node.stop()
  })
})
