import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import {
  HlcClock, asNodeId, createSigner, formatDuration, formatSize, hlcSkewMsMax, hlcToMs, parseDuration, parseSize, parseTypedSize, publicKeyOf, systemClock, verifySignature,
} from '../../../src/base/index.js'
import type { Clock } from '../../../src/base/index.js'

describe('base: sizes and durations', () => {
  it('reads what people write', () => {
    assert.equal(parseSize('100GB'), 100e9)
    assert.equal(parseSize('100GiB'), 100 * 2 ** 30)
    assert.equal(parseSize(' 1.5 MiB '), 1.5 * 2 ** 20)
    assert.equal(parseSize('42'), 42)
    assert.equal(parseDuration('30s'), 30_000)
    assert.equal(parseDuration('1h30m'), 5_400_000)
    assert.equal(parseDuration('250ms'), 250)
  })

  it('takes no small number without a unit for what somebody meant', () => {
    for (const text of ['1', '50', ' 500 ', '1048575']) assert.equal(parseTypedSize(text), undefined, text)
    for (const [text, bytes] of [['0', 0], ['50B', 50], ['1kB', 1000], ['1048576', 1_048_576], ['2GB', 2e9]] as const) assert.equal(parseTypedSize(text), bytes)
  })

  it('refuses what is not one', () => {
    for (const text of ['', 'GB', '-1', '1e9', '1 2', '10XB', 'NaN', '9'.repeat(40)]) assert.equal(parseSize(text), undefined, text)
    for (const text of ['', '30', 's', '-1s', '1y', '1h 30']) assert.equal(parseDuration(text), undefined, text)
  })

  it('never throws and never gives a number that is no safe integer', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const value of [parseSize(text), parseDuration(text)]) assert.ok(value === undefined || Number.isSafeInteger(value))
      }),
    )
  })

  it('prints for people', () => {
    assert.equal(formatSize(0), '0 B')
    assert.equal(formatSize(1536), '1.50 KiB')
    assert.equal(formatSize(100 * 2 ** 30), '100 GiB')
    assert.equal(formatDuration(7_500_000), '2h 5m')
    assert.equal(formatDuration(12), '12 ms')
  })
})

describe('base: hybrid logical clock', () => {
  it('only grows, whatever the wall clock does', () => {
    let wall = 1_000_000
    const clock: Clock = { ...systemClock, wallMs: () => wall }
    const hlc = new HlcClock(clock)
    let last = 0n
    for (const step of [0, 10, -500_000, 0, 0, 3, -1]) {
      wall += step
      const now = hlc.now()
      assert.ok(now > last)
      last = now
    }
  })

  it('follows others, but not into a far future', () => {
    const wall = 1_700_000_000_000
    const hlc = new HlcClock({ ...systemClock, wallMs: () => wall })
    const near = BigInt(wall + 1000) << 16n
    assert.ok(hlc.observe(near))
    assert.ok(hlc.now() > near)
    assert.equal(hlc.observe(BigInt(wall + hlcSkewMsMax + 1) << 16n), false)
    assert.ok(hlcToMs(hlc.now()) < wall + 2000)
  })
})

describe('base: signatures', () => {
  it('a name is the key: signs, verifies, and any change is seen', () => {
    const signer = createSigner(new Uint8Array(32).fill(9))
    assert.equal(asNodeId(signer.nodeId), signer.nodeId)
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), (message, where) => {
        const signature = signer.sign('mesh-node catalog record 1', message)
        assert.ok(verifySignature(signer.nodeId, 'mesh-node catalog record 1', message, signature))
        assert.equal(verifySignature(signer.nodeId, 'mesh-node certificate 1', message, signature), false)
        const changed = message.slice()
        changed[where % changed.length] = (changed[where % changed.length] ?? 0) ^ 1
        assert.equal(verifySignature(signer.nodeId, 'mesh-node catalog record 1', changed, signature), false)
        signature[where % 64] = (signature[where % 64] ?? 0) ^ 1
        assert.equal(verifySignature(signer.nodeId, 'mesh-node catalog record 1', message, signature), false)
      }),
      { numRuns: 40 },
    )
  })

  it("agrees with Node's own Ed25519", () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const seed = Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url')
    const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
    assert.deepEqual(Buffer.from(publicKeyOf(createSigner(seed).nodeId) ?? []), raw)
  })

  it('what is no name verifies nothing', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const id = text as ReturnType<typeof createSigner>['nodeId']
        assert.equal(publicKeyOf(id), undefined)
        assert.equal(verifySignature(id, 'mesh-node certificate 1', new Uint8Array(), new Uint8Array(64)), false)
      }),
    )
  })
})
