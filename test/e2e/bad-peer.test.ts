import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { codeOf, createSigner, publicKeyOf, silentLog, systemClock, systemRandom } from '../../src/base/index.js'
import type { NodeId } from '../../src/base/index.js'
import { encodeFrame as blobFrame } from '../../src/blobs/frames.js'
import { joinMesh, membershipSettings, openMembership } from '../../src/membership/index.js'
import type { Membership } from '../../src/membership/index.js'
import { createHost } from '../../src/net/host.js'
import { createNet } from '../../src/net/index.js'
import type { Net } from '../../src/net/index.js'
import { ProviderRecords } from '../../src/net/routing/provider-records.js'
import { encodeFrame as rpcFrame } from '../../src/net/rpc/frames.js'
import { defaultLimits } from '../../src/net/settings.js'
import { messageBytes, schemas } from '../proto.js'
import type { Known } from '../proto.js'
import { MemoryKeyValue } from '../unit/membership/fixtures.js'
import { eventually, someBytes, World } from './harness.js'
import type { TestNode } from './harness.js'

/**
 * A member that has gone wrong, or means harm, and a real node: whatever it sends over any protocol, the node refuses in
 * one of our words, logs no bug, takes no more memory, goes on serving, and can read its own disk at the next start.
 */
const schemaOf = schemas()

/** What nodes ask of each other, by the schema of the request. A name that the node does not know fails the test. */
const methods: readonly (readonly [method: string, file: string, message: string])[] = [
  ['catalog.digest', 'catalog/catalog', 'DigestRequest'], ['catalog.bucket', 'catalog/catalog', 'BucketRequest'], ['catalog.records', 'catalog/catalog', 'RecordsRequest'],
  ['lease.frame', 'lease/lease', 'Frame'], ['lease.frame', 'lease/lease', 'Request'], ['lease.parcel', 'lease/lease', 'Parcel'], ['lease.token-max', 'lease/lease', 'Chain'],
  ['lease.share', 'lease/share', 'ShareRequest'], ['lease.force-release', 'lease/share', 'ForceReleaseRequest'],
  ['membership.sync', 'members/members', 'Sync'],
  ['replication.store', 'replication/replication', 'StoreRequest'], ['replication.confirmKeep', 'replication/replication', 'KeepRequest'], ['replication.release', 'replication/replication', 'ReleaseRequest'],
  ['replication.challenge', 'replication/replication', 'ChallengeRequest'], ['replication.have', 'replication/replication', 'HaveRequest'], ['replication.vouched', 'replication/replication', 'VouchedRequest'],
  ['replication.inventory', 'replication/replication', 'InventoryRequest'], ['replication.vitals', 'replication/replication', 'Vitals'],
  ['volume-registry.changed', 'volume-registry/volume-registry', 'VolumeChanged'],
  ['volume.access', 'volume/volume', 'AccessRequest'], ['volume.copy', 'volume/volume', 'CopyRequest'], ['volume.fence', 'volume/volume', 'FenceRequest'],
  ['volume.fetch', 'volume/volume', 'FetchRequest'], ['volume.news', 'volume/volume', 'News'], ['volume.offer', 'volume/volume', 'OfferRequest'],
  ['net.ping', 'rpc/rpc', 'RpcFrame'],
]
const runsPerMethod = 10
const topics = [['quota', 'Vitals', 'replication/replication'], ['heat', 'HeatNews', 'heat/heat'], ['catalog', 'CatalogNews', 'catalog/catalog'], ['members', 'MembersGossip', 'members/members']] as const
/** Long enough for an answer; a request that is right and waits for something is given up. */
const answerMs = 1_000
/** A dial that is given up and made again: the node takes so many of one host in a second. */
const dialMs = 3_000
/** For what takes a moment on a machine that has time. */
const patienceMs = 60_000
const residentBytesMax = 300 * 2 ** 20

interface Member {
  readonly self: NodeId
  readonly seed: Uint8Array
  readonly membership: Membership
}

describe('bad input: a member that speaks nonsense to a real node', function () {
  this.timeout(120_000)
  const world = new World()
  let a: TestNode
  let id: NodeId
  let address: string
  let known: Known
  const bytes = someBytes(2_500_000)
  const closing: (() => Promise<void>)[] = []

  before(async () => {
    a = await world.start('a', { args: ['--max-storage', '256MiB'] })
    const client = a.client()
    const { cid } = await client.put('/kept.bin', source(bytes))
    await client.createVolume('vm', { sizeBytes: 4096 * 64 })
    const { leaseId, scope } = await client.acquireLease('file:/f', { agent: 'x' })
    const status = await a.status()
    id = status.peerId as NodeId
    const found = status.addresses.find((one) => one.includes('/127.0.0.1/'))
    assert.ok(found !== undefined && cid !== null)
    address = found
    const volume = await client.volume('vm')
    const kept = CID.parse(cid)
    known = {
      bytes: [kept.bytes, kept.multihash.bytes, Uint8Array.from(Buffer.from(volume.id, 'hex')), publicKeyOf(id) ?? new Uint8Array(32), Buffer.from('/kept.bin'), Buffer.from('/../x'), Buffer.from('/a\0b')],
      texts: [cid, id, leaseId, scope, 'vm', volume.id, `volume/${volume.id}/0`, 'file:/f', '/kept.bin', '12D3KooWBxHYUpPtbUUC1Ete9drgfPBXSXrS1N6a6ghjVCxPqwCh'],
    }
  })
  afterEach(async () => {
    await Promise.all(closing.splice(0).map(async (close) => close()))
  })
  after(async () => world.close())

  async function member(): Promise<Member> {
    const { token } = await a.client().invite(3_600_000)
    const seed = systemRandom.bytes(32)
    const home = { meta: new MemoryKeyValue(), signer: createSigner(seed), clock: systemClock, random: systemRandom, log: silentLog }
    await joinMesh(home, token)
    return { self: home.signer.nodeId, seed, membership: await openMembership(home, membershipSettings(20_000)) }
  }

  /** Connected to the node, and with nothing of its own behind its network. */
  async function net(): Promise<Net> {
    const { seed, membership } = await member()
    const made = await createNet(
      { admission: membership, meta: new MemoryKeyValue(), clock: systemClock, random: systemRandom, log: silentLog, seed },
      { meshId: membership.meshId, listen: ['/ip4/127.0.0.1/tcp/0'], announce: [], bootstrap: [], mdns: false },
    )
    await made.start()
    closing.push(async () => made.stop())
    await made.dial(address)
    return made
  }

  const isCalm = (): void => {
    assert.ok(a.isRunning, 'the node ended')
    assert.doesNotMatch(a.log, /nobody looked|handler failed|request failed|MaxListeners/)
  }

  it('whatever is asked is answered, or refused in our words', async () => {
    const codes = new Map<string, number>()
    const asking = await net()
    for (const [method, file, message] of methods) {
      const schema = schemaOf.get(file)
      assert.ok(schema !== undefined, file)
      await fc.assert(fc.asyncProperty(fc.oneof({ weight: 5, arbitrary: messageBytes(schema, message, known) }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) }), async (body) => {
        if (!asking.isConnected(id)) await asking.dial(address)
        const code = await asking.rpc.request(id, method, body, { deadlineMs: answerMs }).then(() => 'answered', (error: unknown) => {
          const told = (error as { facts?: { code?: unknown } }).facts?.code
          return typeof told === 'string' ? told : (codeOf(error) ?? String(error))
        })
        codes.set(code, (codes.get(code) ?? 0) + 1)
        assert.match(code, /^([A-Z][A-Z_]*|answered)$/, method)
        assert.ok(!['INTERNAL', 'UNKNOWN_METHOD'].includes(code), `${method}: ${code}`)
      }), { numRuns: runsPerMethod, endOnFailure: true })
      isCalm()
    }
    // Some of it is right, and goes all the way.
    assert.ok((codes.get('answered') ?? 0) > 10, JSON.stringify([...codes]))
  })

  it('whatever is said on a topic', async () => {
    for (const [topic, message, file] of topics) {
      const schema = schemaOf.get(file)
      assert.ok(schema !== undefined, file)
      const speaking = await net()
      const saying = speaking.gossip.topic(topic, { messageBytesMax: 16 * 1024 })
      await fc.assert(fc.asyncProperty(fc.oneof(messageBytes(schema, message, known), fc.uint8Array({ maxLength: 300 })), async (body) => {
        await saying.publish(body).catch((error: unknown) => {
          assert.ok(codeOf(error) !== undefined, String(error))
        })
      }), { numRuns: 60, endOnFailure: true })
      isCalm()
    }
  })

  it('whatever comes over a stream of any protocol that the node has', async () => {
    const { self, seed, membership } = await member()
    const records = new ProviderRecords({ meta: new MemoryKeyValue(), clock: systemClock }, { validityMs: 1e9, recordsMax: 1000, memoryEntriesMax: 1000 })
    const host = await createHost(
      { admission: membership, clock: systemClock, random: systemRandom, log: silentLog, records, onRefused: () => undefined, onDiscovered: () => undefined },
      { meshId: membership.meshId, listen: [], announce: [], bootstrap: [], mdns: false, self, seed },
      defaultLimits,
    )
    closing.push(async () => host.stop())
    await host.start()
    const remote = peerIdFromString(id)
    let protocols: string[] = []
    await eventually(async () => {
      const up = host.getConnections(remote)[0] ?? (await host.dial(multiaddr(address), { signal: AbortSignal.timeout(dialMs) }))
      ;({ protocols } = await host.services.identify.identify(up, { signal: AbortSignal.timeout(dialMs) }))
      return protocols.length > 5
    }, 'the node to say what it speaks', patienceMs)
    const rpc = schemaOf.get('rpc/rpc')
    const blob = schemaOf.get('blob/blob')
    const volume = schemaOf.get('volume/volume')
    const kad = schemaOf.get('kad/kad')
    assert.ok(rpc !== undefined && blob !== undefined && volume !== undefined && kad !== undefined)
    const plain = fc.uint8Array({ maxLength: 600 })
    const prefixed = (inner: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> => inner.map((one) => Buffer.concat([varint(one.length), one]))
    const good = rpcFrame({ kind: 'request', id: 1, method: 'catalog.digest', body: new Uint8Array(0), deadlineMs: 1000 }).subarray()
    const payload = fc.uint8Array({ maxLength: 100 })
    const by: Record<string, fc.Arbitrary<Uint8Array>> = {
      '/mesh/rpc/1': fc.oneof(prefixed(messageBytes(rpc, 'RpcFrame', known)), plain, fc.constant(good), fc.nat(good.length).map((end) => good.slice(0, end)), fc.constant(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1))),
      '/mesh/blob/1': fc.oneof(fc.tuple(messageBytes(blob, 'Request', known), payload).map(([one, more]) => Buffer.concat(blobFrame(one, more))), plain, fc.constant(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255))),
      '/mesh/volume/1': fc.oneof(fc.tuple(messageBytes(volume, 'StreamedAppend', known), payload).map(([one, more]) => Buffer.concat(blobFrame(one, more))), plain, fc.constant(Uint8Array.of(0, 16, 0, 0, 255, 255, 255, 255))),
      '/mesh/kad/1': fc.oneof(prefixed(messageBytes(kad, 'KadMessage', known)), plain),
    }
    for (const protocol of Object.keys(by)) assert.ok(protocols.includes(protocol), `${protocol} is not among ${protocols.join(', ')}`)
    for (const protocol of protocols) {
      await fc.assert(fc.asyncProperty(fc.array(by[protocol] ?? plain, { minLength: 1, maxLength: 3 }), async (parts) => {
        try {
          // Who breaks the framing is cut off: then he comes again, and not faster than he is let in.
          let [up] = host.getConnections(remote)
          await eventually(async () => {
            up ??= await host.dial(multiaddr(address), { signal: AbortSignal.timeout(dialMs) })
            return true
          }, 'the node to let the member in again', patienceMs)
          if (up === undefined) return
          const stream = await up.newStream(protocol, { signal: AbortSignal.timeout(10_000) })
          await Promise.race([
            Promise.allSettled([stream.sink(parts), (async () => {
              for await (const chunk of stream.source) if (chunk.byteLength > 2 ** 20) break
            })()]),
            new Promise((resolve) => setTimeout(resolve, 100)),
          ])
          stream.abort(new Error('done'))
        } catch (error) {
          // Cut off while it was sent, or before.
          assert.ok(error instanceof Error && !error.message.startsWith('waited'), String(error))
        }
      }), { numRuns: 25, endOnFailure: true })
      isCalm()
    }
  })

  it('and is then as it was, after a new start, too', async () => {
    const check = async (): Promise<void> => {
      const client = a.client()
      const back: Uint8Array[] = []
      for await (const chunk of (await client.get('/kept.bin')).bytes) back.push(chunk)
      assert.ok(Buffer.concat(back).equals(bytes))
      assert.deepEqual((await client.list('/')).map((entry) => entry.path), ['/kept.bin'])
      assert.equal((await client.volumes()).length, 1)
    }
    await check()
    if (process.platform === 'linux') {
      const resident = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${String(a.pid)}/status`, 'utf8'))?.[1]) * 1024
      assert.ok(resident < residentBytesMax, `${String(Math.round(resident / 2 ** 20))} MiB are resident`)
    }
    assert.equal(await a.stop(), 0)
    await a.start()
    const back: Uint8Array[] = []
    for await (const chunk of (await a.client().get('/kept.bin')).bytes) back.push(chunk)
    assert.ok(Buffer.concat(back).equals(bytes))
    assert.equal((await a.client().volumes()).length, 1)
    isCalm()
  })
})

async function* source(whole: Uint8Array): AsyncIterable<Uint8Array> {
  yield whole
  await Promise.resolve()
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let left = value
  for (; left > 127; left >>>= 7) bytes.push((left & 127) | 128)
  return Uint8Array.of(...bytes, left)
}
