import assert from 'node:assert/strict'
import { createSigner, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import type { NodeId } from '../../../src/base/index.js'
import { createMesh, joinMesh, membershipSettings, newAuthoritySeed, openMembership } from '../../../src/membership/index.js'
import type { Membership } from '../../../src/membership/index.js'
import { createNet } from '../../../src/net/index.js'
import type { Net } from '../../../src/net/index.js'
import { MemoryKeyValue } from './fixtures.js'

interface Node {
  readonly id: NodeId
  readonly net: Net
  readonly membership: Membership
  stop(): Promise<void>
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (holds()) return
    await systemClock.sleep(25)
  }
  assert.fail(`never came true: ${what}`)
}

/** A node as the roof makes one, but for the disk. */
async function start(name: string, found: (home: { meta: MemoryKeyValue; signer: ReturnType<typeof createSigner>; clock: typeof systemClock }) => Promise<unknown>, authority?: ReturnType<typeof createSigner>): Promise<Node> {
  const seed = systemRandom.bytes(32)
  const home = { meta: new MemoryKeyValue(), signer: createSigner(seed), clock: systemClock, random: systemRandom, log: silentLog }
  await found(home)
  const membership = await openMembership({ ...home, ...(authority === undefined ? {} : { authority }) }, membershipSettings(20_000))
  const net = await createNet(
    { admission: membership, meta: new MemoryKeyValue(), clock: systemClock, random: systemRandom, log: silentLog, seed },
    { meshId: membership.meshId, listen: ['/ip4/127.0.0.1/tcp/0'], announce: [], bootstrap: membership.bootstrap(), mdns: false },
  )
  await net.start()
  membership.describeSelf({ name, region: 'here', segment: '127.0.0.0/24', power: 'mains', version: '1', addresses: net.addresses() })
  const stop = new AbortController()
  const network = {
    connections: net,
    gossip: net.gossip,
    rpc: net.rpc,
    cut: async (peer: NodeId) => net.cut(peer),
    keep: (peer: NodeId, addresses: () => readonly string[]) => {
      net.keep(peer, addresses)
    },
    onWake: (listener: (sleptMs: number) => void) => net.onWake(listener),
  }
  const running = membership.run(network, stop.signal)
  return {
    id: home.signer.nodeId,
    net,
    membership,
    stop: async () => {
      stop.abort(new Error('stopped'))
      await running
      await net.stop()
    },
  }
}

describe('membership: over the real network', function () {
  this.timeout(30_000)

  it('three nodes find each other by one invite, an old one gets no further than the handshake, a removed one is cut', async () => {
    const authority = createSigner(newAuthoritySeed(systemRandom))
    const a = await start('a', async (home) => createMesh(home, authority), authority)
    const nodes = [a]
    try {
      const { token } = await a.membership.invite({ expiresMs: 3600_000, addresses: a.net.addresses() })
      const b = await start('b', async (home) => joinMesh(home, token))
      nodes.push(b)
      const c = await start('c', async (home) => joinMesh(home, token))
      nodes.push(c)
      const knows = (node: Node, names: string[]): boolean =>
        names.every((name) => node.membership.members().some((one) => one.name === name && one.state === 'up' && !one.revoked))
      await until('all know all', () => nodes.every((node) => knows(node, ['a', 'b', 'c'])))
      await until('b and c are connected, though the invite names a alone', () => b.net.isConnected(c.id))

      // Joined in time, and shown too late.
      const short = await a.membership.invite({ expiresMs: 200, addresses: a.net.addresses() })
      const late = await start('late', async (home) => {
        await joinMesh(home, short.token)
        await until('the invite is over', () => systemClock.wallMs() > short.expiresAtMs)
      })
      nodes.push(late)
      await assert.rejects(late.net.dial(a.net.addresses()[0]!), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'NOT_ADMITTED')
        assert.match(error.message, /this invite expired .* ago; ask for a new one with `mesh-node invite`/)
        return true
      })
      assert.ok(!knows(a, ['late']) && !a.net.isConnected(late.id))

      await a.membership.remove(c.id)
      await until('c is out at a and b', () => !a.net.isConnected(c.id) && !b.net.isConnected(c.id))
      await until('b knows', () => b.membership.isRevoked(c.id))
      // What c takes for a connection still is one whose end has not reached it yet: a dial would hand it out.
      await until('c sees it too', () => c.net.connected().length === 0)
      await assert.rejects(c.net.dial(b.net.addresses()[0]!), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'NOT_ADMITTED')
        return true
      })
      assert.ok(!b.net.isConnected(c.id))
    } finally {
      await Promise.all(nodes.map(async (node) => node.stop()))
    }
  })
})
