import assert from 'node:assert/strict'
import fc from 'fast-check'
import { createSigner, seededRandom } from '../../../src/base/index.js'
import type { NodeId } from '../../../src/base/index.js'
import type { Admittance } from '../../../src/membership/record.js'
import { isConfirmed } from '../../../src/membership/record.js'
import type { TrustView } from '../../../src/membership/trust.js'
import { chainOf, trustIn } from '../../../src/membership/trust.js'

const random = seededRandom(5)
const names = Array.from({ length: 12 }, () => createSigner(random.bytes(32)).nodeId)
const authority = createSigner(random.bytes(32)).nodeId
const signature = new Uint8Array(64)

/** Nodes by number: whose invite ends when, who speaks for whom and from when, who is met, confirmed or removed. */
const web = fc.record({
  expires: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 12, maxLength: 12 }),
  edges: fc.array(fc.tuple(fc.nat(11), fc.nat(11), fc.integer({ min: 0, max: 22 })), { maxLength: 30 }),
  met: fc.uniqueArray(fc.nat(11), { maxLength: 2 }),
  confirmed: fc.uniqueArray(fc.nat(11), { maxLength: 2 }),
  revoked: fc.uniqueArray(fc.nat(11), { maxLength: 3 }),
  nowMs: fc.option(fc.integer({ min: 10, max: 40 }), { nil: undefined }),
})

function viewOf({ expires, edges, met, confirmed, revoked, nowMs }: typeof web extends fc.Arbitrary<infer T> ? T : never): TrustView {
  const records = new Map<NodeId, Admittance>(
    names.map((peer, i) => [
      peer,
      {
        peer,
        joinedMs: 0,
        grant: { inviteKey: authority, madeMs: 0, expiresMs: expires[i]!, signature },
        peerSignature: signature,
        endorsements: [
          ...(confirmed.includes(i) ? [{ endorser: authority, seenMs: 0, signature }] : []),
          ...edges.filter(([to]) => to === i).map(([, by, seenMs]) => ({ endorser: names[by]!, seenMs, signature })),
        ],
      },
    ]),
  )
  return {
    authority,
    nowMs,
    record: (peer) => records.get(peer),
    isRevoked: (peer) => revoked.includes(names.indexOf(peer)),
    voidedMs: () => undefined,
    metInTime: (peer) => met.includes(names.indexOf(peer)),
  }
}

/** The rules read literally, again and again until nothing changes. */
function naive(view: TrustView): Set<NodeId> {
  const members = new Set<NodeId>()
  for (let changed = true; changed; ) {
    changed = false
    for (const peer of names) {
      const { grant, endorsements } = view.record(peer)!
      if (members.has(peer) || view.isRevoked(peer)) continue
      const isMember =
        endorsements.some(({ endorser }) => endorser === authority) ||
        view.metInTime(peer) ||
        (view.nowMs !== undefined && view.nowMs <= grant!.expiresMs) ||
        endorsements.some(({ endorser, seenMs }) => members.has(endorser) && seenMs <= grant!.expiresMs)
      if (isMember) {
        members.add(peer)
        changed = true
      }
    }
  }
  return members
}

describe('membership: trust', () => {
  it('is what the rules say when read literally', () => {
    fc.assert(
      fc.property(web, (one) => {
        const view = viewOf(one)
        const members = naive(view)
        for (const peer of names) assert.equal(trustIn(peer, view) !== undefined, members.has(peer))
      }),
      { numRuns: 1000 },
    )
  })

  it('a chain begins with its bearer, has no more than eight, and convinces one who knows the authority alone if any can', () => {
    fc.assert(
      fc.property(web, (one) => {
        const view = viewOf({ ...one, met: [], nowMs: undefined })
        for (const peer of names) {
          if (view.isRevoked(peer)) continue
          const chain = chainOf(view.record(peer)!, view)
          assert.equal(chain[0]!.peer, peer)
          assert.ok(chain.length <= 8 && new Set(chain).size === chain.length)
          const shown = new Map(chain.map((record) => [record.peer, record]))
          const stranger = { ...view, record: (other: NodeId) => shown.get(other) }
          const length = wayLength(peer, view)
          assert.equal(trustIn(peer, stranger) !== undefined, length !== undefined && length <= 8)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('does not lose itself in a web spun for the purpose', () => {
    const many = Array.from({ length: 1000 }, () => createSigner(random.bytes(32)).nodeId)
    const records = new Map(many.map((peer, i): [NodeId, Admittance] => [
      peer,
      {
        peer,
        joinedMs: 0,
        grant: { inviteKey: authority, madeMs: 0, expiresMs: 1, signature },
        peerSignature: signature,
        endorsements: [1, 2, 3, 4].map((step) => ({ endorser: many[(i * 7 + step * 131) % many.length]!, seenMs: 0, signature })),
      },
    ]))
    let reads = 0
    const view: TrustView = {
      authority,
      nowMs: 100,
      record: (peer) => {
        reads++
        return records.get(peer)
      },
      isRevoked: () => false,
      voidedMs: () => undefined,
      metInTime: () => false,
    }
    assert.equal(trustIn(many[0]!, view), undefined)
    assert.ok(reads <= many.length)
  })
})

/** Records on the shortest way from `peer` to one that is confirmed, both included. */
function wayLength(peer: NodeId, view: TrustView): number | undefined {
  let edge = [peer]
  const seen = new Set(edge)
  for (let length = 1; edge.length > 0; length++) {
    if (edge.some((one) => isConfirmed(authority, view.record(one)!))) return length
    const next: NodeId[] = []
    for (const one of edge) {
      const { grant, endorsements } = view.record(one)!
      for (const { endorser, seenMs } of endorsements) {
        if (seen.has(endorser) || view.isRevoked(endorser) || seenMs > grant!.expiresMs) continue
        seen.add(endorser)
        next.push(endorser)
      }
    }
    edge = next
  }
  return undefined
}
