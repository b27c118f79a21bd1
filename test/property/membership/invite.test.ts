import assert from 'node:assert/strict'
import fc from 'fast-check'
import { createSigner, seededRandom } from '../../../src/base/index.js'
import { decodeInvite, encodeInvite } from '../../../src/membership/index.js'
import { makeGenesis } from '../../../src/membership/genesis.js'
import { inviteText } from '../../../src/membership/invite.js'
import { meshIdOf } from '../../../src/membership/keys.js'
import { MembershipError } from '../../../src/membership/types.js'
import { InvitePayload } from '../../../src/membership/wire/admission.js'

const random = seededRandom(7)
const authority = createSigner(random.bytes(32))
const peer = createSigner(random.bytes(32)).nodeId
const other = createSigner(random.bytes(32)).nodeId
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

const addressArbitrary = fc.oneof(
  fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65535 }), fc.constantFrom('', `/p2p/${peer}`, `/p2p/${other}`)).map(([ip, port, end]) => `/ip4/${ip}/tcp/${String(port)}${end}`),
  fc.constantFrom(`/dns4/home.example.org/tcp/4700/p2p/${peer}`, `/ip4/1.2.3.4/tcp/4700/p2p/${other}/p2p-circuit/p2p/${peer}`, '/ip6/2001:db8::1/tcp/4700'),
)
const initArbitrary = fc.record({
  seed: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  madeMs: fc.integer({ min: 0, max: 4e12 }),
  lastsMs: fc.integer({ min: 1, max: 1e11 }),
  addresses: fc.uniqueArray(addressArbitrary, { maxLength: 6 }),
  genesis: fc.option(fc.uint8Array({ maxLength: 200 }), { nil: undefined }),
})

function tokenOf({ seed, madeMs, lastsMs, addresses, genesis }: typeof initArbitrary extends fc.Arbitrary<infer T> ? T : never): string {
  return encodeInvite({
    authority,
    inviteSeed: seed,
    madeMs,
    expiresMs: madeMs + lastsMs,
    addresses,
    ...(genesis === undefined ? {} : { genesis: makeGenesis(authority, genesis) }),
  })
}

/** Runs `work`; only the room's own coded error may come out. */
function onlyOurs(work: () => unknown, codes: readonly string[]): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    assert.ok(error instanceof MembershipError && codes.includes(error.code), String(error))
    return error.message
  }
}

describe('membership: invites', () => {
  it('come back as they went, with spaces, line breaks and capitals', () => {
    fc.assert(
      fc.property(initArbitrary, fc.integer({ min: 1, max: 80 }), (init, width) => {
        const token = tokenOf(init)
        assert.match(token, /^mesh1[a-z2-7]+$/)
        const broken = ` ${token.toUpperCase().replace(new RegExp(`.{${String(width)}}`, 'g'), '$&\r\n ')}\t`
        const decoded = decodeInvite(broken)
        assert.equal(decoded.meshId, meshIdOf(authority.nodeId))
        assert.equal(decoded.grant.expiresMs, init.madeMs + init.lastsMs)
        assert.equal(decoded.inviteKey.nodeId, createSigner(init.seed).nodeId)
        assert.deepEqual([...decoded.bootstrap].sort(), [...init.addresses].sort())
        assert.deepEqual(decoded.genesis?.body, init.genesis)
      }),
      { numRuns: 60 },
    )
  })

  it('are short: two addresses fit 340 characters', () => {
    const token = tokenOf({ seed: new Uint8Array(random.bytes(32)), madeMs: 1.8e12, lastsMs: 1e8, addresses: [`/ip4/192.168.1.5/tcp/4700/p2p/${peer}`, `/ip4/81.2.69.142/tcp/4700/p2p/${peer}`], genesis: undefined })
    assert.ok(token.length <= 340, String(token.length))
  })

  it('find every wrong, missing, doubled or swapped character, and say that it is a typo', () => {
    const token = tokenOf({ seed: new Uint8Array(random.bytes(32)), madeMs: 1.8e12, lastsMs: 1e8, addresses: [`/ip4/192.168.1.5/tcp/4700/p2p/${peer}`], genesis: undefined })
    const wrong: string[] = []
    for (let i = 0; i < token.length; i++) {
      for (const character of `${alphabet}018`) if (character !== token[i]) wrong.push(token.slice(0, i) + character + token.slice(i + 1))
      wrong.push(token.slice(0, i) + token.slice(i + 1), token.slice(0, i) + token.charAt(i) + token.slice(i))
      if (i > 0 && token[i] !== token[i - 1]) wrong.push(token.slice(0, i - 1) + token.charAt(i) + token.charAt(i - 1) + token.slice(i + 1))
      if (i > 0) wrong.push(token.slice(0, i))
    }
    for (const text of wrong) {
      // Doubling a letter in a run of it gives the same text whichever is doubled, never the right one.
      const said = onlyOurs(() => decodeInvite(text), ['BAD_INVITE'])
      assert.match(said ?? 'accepted', /mistyped|not an invite/, text)
    }
  })

  it('tell a forgery from a typo: any signed field changed, and a new checksum', () => {
    const token = tokenOf({ seed: new Uint8Array(random.bytes(32)), madeMs: 1.8e12, lastsMs: 1e8, addresses: [`/ip4/1.2.3.4/tcp/1/p2p/${peer}`], genesis: Uint8Array.of(1, 2) })
    const { grant } = decodeInvite(token)
    const good = { mesh: new Uint8Array(32), inviteSeed: random.bytes(32), madeMs: grant.madeMs, expiresMs: grant.expiresMs, signature: grant.signature, bootstrap: [] }
    const authorityKey = Uint8Array.from(Buffer.from(good.mesh))
    for (const changed of [good, { ...good, mesh: authorityKey, expiresMs: good.expiresMs + 1 }, { ...good, signature: random.bytes(64) }, { ...good, signature: new Uint8Array() }]) {
      assert.match(onlyOurs(() => decodeInvite(inviteText(InvitePayload.encode(changed))), ['BAD_INVITE']) ?? 'accepted', /not made by the mesh|lacks a key/)
    }
  })

  it('survive any text and any payload with a coded error', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      onlyOurs(() => decodeInvite(text), ['BAD_INVITE'])
      onlyOurs(() => decodeInvite(`mesh1${text}`), ['BAD_INVITE'])
    }))
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (payload) => {
      assert.ok(onlyOurs(() => decodeInvite(inviteText(payload)), ['BAD_INVITE']) !== undefined)
    }))
    onlyOurs(() => decodeInvite('mesh1' + 'a'.repeat(10_000_000)), ['BAD_INVITE'])
  })
})
