import assert from 'node:assert/strict'
import { yamux } from '@chainsafe/libp2p-yamux'
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { ConnectionEncrypter, Libp2p } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { createLibp2p } from 'libp2p'
import { codeOf, createSigner, systemClock, systemRandom } from '../../../src/base/index.js'
import type { Facts, Log, NodeId } from '../../../src/base/index.js'
import type { Admission } from '../../../src/membership/index.js'
import { certificateBytesMax } from '../../../src/membership/limits.js'
import { HandshakeChannel } from '../../../src/net/handshake/channel.js'
import type { ByteDuplex } from '../../../src/net/handshake/channel.js'
import { AdmissionEncrypter } from '../../../src/net/handshake/encrypter.js'
import { shakeHands } from '../../../src/net/handshake/handshake.js'
import { AdmissionRefusedError, refusalIn } from '../../../src/net/handshake/refusal.js'
import { transcriptOf } from '../../../src/net/handshake/transcript.js'
import { defaultLimits } from '../../../src/net/settings.js'
import { HandshakeHello, HandshakeProof } from '../../../src/net/wire/handshake.js'
import type { Net, NetError } from '../../../src/net/index.js'
import { FakeMesh, addressOf, makeNode, seedOf, startNode, stopAll, until } from './fixture.js'

const init = { deadlineMs: 2000, lingerMs: 200 }
const clock = systemClock
const random = systemRandom

/** Two ends of a pipe; what is written at one comes out at the other. */
function pair(): [ByteDuplex, ByteDuplex] {
  const make = (): { source: AsyncGenerator<Uint8Array>; sink: ByteDuplex['sink'] } => {
    const queue: Uint8Array[] = []
    const state = { ended: false }
    let wake: (() => void) | undefined
    return {
      source: (async function* () {
        for (;;) {
          const next = queue.shift()
          if (next !== undefined) yield next
          else if (state.ended) return
          else await new Promise<void>((resolve) => (wake = resolve))
        }
      })(),
      sink: async (source) => {
        for await (const chunk of source) {
          queue.push(chunk instanceof Uint8Array ? chunk : chunk.subarray())
          wake?.()
        }
        state.ended = true
        wake?.()
      },
    }
  }
  const [ab, ba] = [make(), make()]
  return [{ source: ba.source, sink: ab.sink }, { source: ab.source, sink: ba.sink }]
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const idOfSeed = (name: string): NodeId => createSigner(seedOf(name)).nodeId

describe('net: admission handshake on a pipe', () => {
  const mesh = new FakeMesh('one')
  const run = (left: Admission, right: Admission, names: [NodeId, NodeId] = [idOfSeed('left'), idOfSeed('right')]) => {
    const [a, b] = pair()
    return Promise.allSettled([
      shakeHands(a, { role: 'initiator', self: names[0], remote: names[1] }, { admission: left, clock, random }, init),
      shakeHands(b, { role: 'responder', self: names[1], remote: names[0] }, { admission: right, clock, random }, init),
    ])
  }
  const reasonOf = (result: PromiseSettledResult<unknown>): AdmissionRefusedError => {
    assert.ok(result.status === 'rejected' && result.reason instanceof AdmissionRefusedError, JSON.stringify(result))
    return result.reason
  }

  it('lets two members through, and the bytes behind it', async () => {
    const [a, b] = await run(mesh.admission(seedOf('left')), mesh.admission(seedOf('right')))
    assert.ok(a.status === 'fulfilled' && b.status === 'fulfilled')
    void a.value.sink(only(new Uint8Array([1, 2, 3])))
    const first: IteratorResult<Uint8Array | { subarray(): Uint8Array }, unknown> = await b.value.source.next()
    assert.ok(first.done !== true)
    assert.deepEqual([...first.value.subarray()], [1, 2, 3])
  })

  it('takes the longest certificate that membership makes', async () => {
    const long = new Uint8Array(certificateBytesMax).fill(1)
    const [a, b] = await run(mesh.admission(seedOf('left'), { certificate: () => long, check: async () => undefined }), mesh.admission(seedOf('right'), { certificate: () => long, check: async () => undefined }))
    assert.deepEqual([a.status, b.status], ['fulfilled', 'fulfilled'])
  })

  it('one host that dials and says nothing cannot fill the places of all', () => {
    const { inboundPendingMax, inboundPerHostPerSecond, handshakeDeadlineMs } = defaultLimits
    assert.ok(inboundPendingMax > inboundPerHostPerSecond * (handshakeDeadlineMs / 1000 + 2))
  })

  it('tells nobody of our own troubles', async () => {
    const [a] = await run(mesh.admission(seedOf('left')), mesh.admission(seedOf('right'), { check: async () => {
      throw new Error('EIO: cannot write /home/ann/.local/meta')
    } }))
    assert.equal(reasonOf(a).refusal.by, 'them')
    assert.doesNotMatch(reasonOf(a).refusal.reason, /ann|EIO/)
  })

  it('another mesh: both read why', async () => {
    const [a, b] = await run(new FakeMesh('two').admission(seedOf('left')), mesh.admission(seedOf('right')))
    assert.equal(reasonOf(a).refusal.code, 'WRONG_MESH')
    assert.equal(reasonOf(b).refusal.code, 'WRONG_MESH')
  })

  it('no certificate: the one without reads why', async () => {
    const [a] = await run(mesh.admission(seedOf('left'), { certificate: () => new Uint8Array(0), check: async () => undefined }), mesh.admission(seedOf('right')))
    assert.deepEqual([reasonOf(a).refusal.by, reasonOf(a).refusal.code], ['them', 'BAD_CERTIFICATE'])
  })

  it("another's certificate", async () => {
    const stolen = mesh.certificateFor(idOfSeed('right'))
    const [a] = await run(mesh.admission(seedOf('left'), { certificate: () => stolen }), mesh.admission(seedOf('right')))
    assert.equal(reasonOf(a).refusal.code, 'WRONG_MESH')
  })

  it('a proof recorded in an earlier handshake', async () => {
    let recorded: Uint8Array | undefined
    const honest = mesh.admission(seedOf('left'))
    const recording = mesh.admission(seedOf('left'), { prove: async (transcript) => (recorded = await honest.prove(transcript)) })
    const [first] = await run(recording, mesh.admission(seedOf('right')))
    assert.equal(first.status, 'fulfilled')
    const [a] = await run(mesh.admission(seedOf('left'), { prove: async () => recorded ?? new Uint8Array(64) }), mesh.admission(seedOf('right')))
    assert.deepEqual([reasonOf(a).refusal.by, reasonOf(a).refusal.code], ['them', 'BAD_PROOF'])
  })

  it("our own proof sent back to us, and one made for somebody else's channel", async () => {
    let sent: Uint8Array | undefined
    const right = mesh.admission(seedOf('right'))
    const honest = mesh.admission(seedOf('right'), { prove: async (transcript) => (sent = await right.prove(transcript)) })
    const mirror: Admission = { ...mesh.admission(seedOf('left')), prove: async () => {
      await until(() => sent !== undefined, 'their proof')
      return sent ?? new Uint8Array(64)
    } }
    const [a] = await run(mirror, honest)
    assert.equal(reasonOf(a).refusal.code, 'BAD_PROOF')
    // A member in the middle passes on a proof: the channel ends in another PeerId than the one it was made for.
    const [b] = await run(mesh.admission(seedOf('left')), mesh.admission(seedOf('right')), [idOfSeed('left'), idOfSeed('middle')])
    assert.equal(b.status, 'rejected')
  })

  it('is over in time with somebody who says nothing', async () => {
    const [a] = pair()
    await assert.rejects(
      shakeHands(a, { role: 'initiator', self: idOfSeed('left'), remote: idOfSeed('right') }, { admission: mesh.admission(seedOf('left')), clock, random }, { deadlineMs: 100, lingerMs: 50 }),
      (error) => codeOf(error) === 'DEADLINE',
    )
  })

  it('every part of the transcript matters', () => {
    const side = (name: string): { peerId: NodeId; nonce: Uint8Array; certificate: Uint8Array } => ({ peerId: idOfSeed(name), nonce: seedOf(`nonce ${name}`), certificate: seedOf(`certificate ${name}`) })
    const [x, y] = [side('x'), side('y')]
    const all = [
      transcriptOf(mesh.meshId, 'initiator', x, y),
      transcriptOf(mesh.meshId, 'responder', x, y),
      transcriptOf(mesh.meshId, 'initiator', y, x),
      transcriptOf(new FakeMesh('two').meshId, 'initiator', x, y),
      transcriptOf(mesh.meshId, 'initiator', { ...x, nonce: y.nonce }, y),
      transcriptOf(mesh.meshId, 'initiator', { ...x, certificate: y.certificate }, y),
      transcriptOf(mesh.meshId, 'initiator', x, { ...y, nonce: x.nonce }),
      transcriptOf(mesh.meshId, 'initiator', x, { ...y, certificate: x.certificate }),
      transcriptOf(mesh.meshId, 'initiator', x, { ...y, peerId: idOfSeed('z') }),
    ]
    assert.equal(new Set(all.map((bytes) => Buffer.from(bytes).toString('hex'))).size, all.length)
  })

  it('any bytes instead of frames give one of our codes', async () => {
    const valid = Buffer.concat([HandshakeHello.encode({ nonce: new Uint8Array(32), certificate: new Uint8Array(100) })].flatMap((frame) => [Buffer.of(0, frame.length), Buffer.from(frame)]).concat([HandshakeProof.encode({ signature: new Uint8Array(64) })].flatMap((frame) => [Buffer.of(0, frame.length), Buffer.from(frame)])))
    const mutated = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 8 }).map((changes) => {
      const copy = new Uint8Array(valid)
      for (const [at, byte] of changes) copy[at] = byte
      return copy
    })
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 8192 }), mutated), async (bytes) => {
        const [a, b] = pair()
        void b.sink(only(bytes))
        const error = await shakeHands(a, { role: 'initiator', self: idOfSeed('left'), remote: idOfSeed('right') }, { admission: mesh.admission(seedOf('left')), clock, random }, { deadlineMs: 1000, lingerMs: 20 }).then(
          () => undefined,
          (error: unknown) => error,
        )
        assert.ok(error instanceof AdmissionRefusedError || ['BAD_FRAME', 'UNAVAILABLE', 'DEADLINE'].includes(codeOf(error) ?? ''), String(error))
      }),
      { numRuns: 100 },
    )
  })

  it('frames longer than allowed are refused before they are read', async () => {
    const [a, b] = pair()
    void b.sink(only(new Uint8Array([0xff, 0xff, 1, 2, 3])))
    await assert.rejects(new HandshakeChannel(a, { frameBytesMax: 4096 }).read(), (error) => codeOf(error) === 'BAD_FRAME')
  })

  it('a refusal keeps its code and sentence through libp2p, and nothing else', () => {
    const error = new AdmissionRefusedError({ by: 'them', code: 'REVOKED', reason: 'gone' })
    assert.deepEqual(refusalIn(new Error(`Encryption failed: ${error.message}`)), { by: 'them', code: 'REVOKED', reason: 'gone' })
    assert.deepEqual(refusalIn(new AggregateError([new Error('x'), error])), { by: 'them', code: 'REVOKED', reason: 'gone' })
    assert.equal(refusalIn(new Error('mesh admission refused')), undefined)
  })
})

describe('net: admission over real TLS', () => {
  const mesh = new FakeMesh('real')
  const strangers: Libp2p[] = []
  let lines: { message: string; facts: Facts | undefined }[] = []
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (message, facts) => void lines.push({ message, facts }),
    error: (message, facts) => void lines.push({ message, facts }),
    child: () => log,
  }
  let member: Net

  beforeEach(async () => {
    lines = []
    member = await startNode(mesh, 'member', { log })
  })
  afterEach(async () => {
    await Promise.all(strangers.splice(0).map(async (node) => node.stop()))
    await stopAll()
  })

  const stranger = async (encrypters: ((components: Parameters<ReturnType<typeof tls>>[0]) => ConnectionEncrypter)[], seed = seedOf('stranger')): Promise<Libp2p> => {
    const node = await createLibp2p({
      privateKey: await generateKeyPairFromSeed('Ed25519', seed),
      transports: [tcp()], connectionEncrypters: encrypters, streamMuxers: [yamux()], connectionMonitor: { enabled: false },
    })
    strangers.push(node)
    return node
  }
  const refused = async (promise: Promise<unknown>): Promise<NetError> => {
    const error: unknown = await promise.then(() => undefined, (error: unknown) => error)
    assert.equal(codeOf(error), 'NOT_ADMITTED', String(error))
    return error as NetError
  }

  it('members connect, over TLS and over Noise', async () => {
    const other = await startNode(mesh, 'other')
    assert.equal(await other.dial(addressOf(member)), member.self)
    await until(() => member.isConnected(other.self), 'both know')
    const overNoise = await stranger([(components) => new AdmissionEncrypter(
      { admission: mesh.admission(seedOf('stranger')), clock, random, inner: noise()(components as Parameters<ReturnType<typeof noise>>[0]) },
      { protocol: '/mesh/noise/1', self: idOfSeed('stranger'), deadlineMs: 5000, lingerMs: 500, onRefused: () => undefined },
    )])
    const connection = await overNoise.dial(multiaddr(addressOf(member)))
    assert.equal(connection.encryption, '/mesh/noise/1')
  })

  it("a stranger's plain libp2p finds no protocol to speak", async () => {
    const node = await stranger([tls(), (components) => noise()(components as Parameters<ReturnType<typeof noise>>[0])])
    await assert.rejects(node.dial(multiaddr(addressOf(member))), /protocol selection failed|EncryptionFailed|could not be negotiated|ended/i)
    assert.deepEqual(member.connected(), [])
  })

  it('a stranger who wraps TLS in our protocol id but shakes no hands', async () => {
    const node = await stranger([(components) => {
      const inner = tls()(components)
      const bare: ConnectionEncrypter = {
        protocol: '/mesh/tls/1',
        secureInbound: (connection, options) => inner.secureInbound(connection, options),
        secureOutbound: (connection, options) => inner.secureOutbound(connection, options),
      }
      return bare
    }])
    const connection = await node.dial(multiaddr(addressOf(member))).catch(() => undefined)
    if (connection !== undefined) await assert.rejects(connection.newStream('/mesh/rpc/1', { signal: AbortSignal.timeout(3000) }))
    assert.deepEqual(member.connected(), [])
  })

  it('another mesh, no certificate, removed: refused with a reason on both sides', async () => {
    const foreign = await startNode(new FakeMesh('foreign'), 'foreigner')
    const wrong = await refused(foreign.dial(addressOf(member)))
    assert.equal(wrong.facts.reasonCode, 'WRONG_MESH')
    assert.match(wrong.message, /another mesh/)

    const bare = await makeNode(mesh, 'bare', { admission: { ...mesh.admission(seedOf('bare')), certificate: () => new Uint8Array(0) } })
    await bare.start()
    const none = await refused(bare.dial(addressOf(member)))
    assert.equal(none.facts.reasonCode, 'BAD_CERTIFICATE')
    assert.equal(none.facts.by, 'them')

    const removed = await startNode(mesh, 'removed')
    mesh.revoked.add(removed.self)
    try {
      const revoked = await refused(removed.dial(addressOf(member)))
      assert.equal(revoked.facts.reasonCode, 'REVOKED')
      assert.equal(revoked.facts.by, 'them')
    } finally {
      mesh.revoked.clear()
    }
    await until(() => lines.filter(({ message }) => message === 'a node was not let in').length >= 2, 'the refusing side says so')
    assert.equal(member.counters().admissionsRefused >= 3, true)
    assert.deepEqual(member.connected(), [])
  })

  it('cut: connections up are closed, and stay away', async () => {
    const other = await startNode(mesh, 'other')
    await other.dial(addressOf(member))
    await until(() => member.isConnected(other.self), 'connected')
    await member.cut(other.self)
    await until(() => !member.isConnected(other.self) && !other.isConnected(member.self), 'both see it')
    await other.dial(addressOf(member)).catch(() => undefined)
    await until(() => !other.isConnected(member.self), 'cut again')
    assert.equal(member.isConnected(other.self), false)
  })

  it('is named by its key', () => {
    assert.equal(member.self, createSigner(seedOf('member')).nodeId)
    assert.ok(addressOf(member).endsWith(`/p2p/${member.self}`))
  })

  it('says what is wrong with an address', async () => {
    await assert.rejects(makeNode(mesh, 'x', { listen: ['0.0.0.0:4700'] }), (error) => codeOf(error) === 'BAD_ADDRESS')
    const taken = /\/tcp\/(\d+)/.exec(addressOf(member))?.[1] ?? ''
    const second = await makeNode(mesh, 'second', { listen: [`/ip4/127.0.0.1/tcp/${taken}`] })
    await assert.rejects(second.start(), (error: NetError) => error.code === 'ADDRESS_IN_USE' && error.message.includes(taken))
    await assert.rejects(member.dial(addressOf(member)), (error) => codeOf(error) === 'BAD_ADDRESS')
    await assert.rejects(member.dial('/ip4/127.0.0.1/tcp/1'), (error) => codeOf(error) === 'UNAVAILABLE')
  })

  it('stops within a second', async () => {
    const other = await startNode(mesh, 'other')
    await other.dial(addressOf(member))
    const startMs = performance.now()
    await member.stop()
    await until(() => !other.isConnected(member.self), 'the other side sees it')
    // Twice the time: the machine may be busy.
    assert.ok(performance.now() - startMs < 2000)
  })
})
