import '../../../src/net/node20.js'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, ConnectionEncrypter, MultiaddrConnection, SecurableStream, SecureConnectionOptions, Upgrader } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Libp2p } from 'libp2p'
import { hasNativeTls, nativeTls } from '../../../src/net/transport/native-tls.js'
import { socketOf, tappedTcp } from '../../../src/net/transport/sockets.js'

const echo = '/echo/1'

describe('net: TLS on the socket itself', () => {
  const hosts: Libp2p[] = []
  afterEach(async () => {
    await Promise.all(hosts.splice(0).map(async (host) => host.stop()))
  })

  /** Notes for each connection whether its socket was known. */
  const host = async (kind: 'ours' | 'stock' | 'no socket', known: boolean[] = []): Promise<Libp2p> => {
    const encrypter = (components: Parameters<ReturnType<typeof nativeTls>>[0]): ConnectionEncrypter => {
      const inner = kind === 'stock' ? tls()(components) : nativeTls()(components)
      const seen = <Stream extends SecurableStream>(connection: Stream): Stream => {
        known.push(socketOf(connection) !== undefined)
        return connection
      }
      return {
        protocol: '/tls/1.0.0',
        secureInbound: async (connection: SecurableStream, options?: SecureConnectionOptions) => inner.secureInbound(seen(connection), options),
        secureOutbound: async (connection: SecurableStream, options?: SecureConnectionOptions) => inner.secureOutbound(seen(connection), options),
      } as ConnectionEncrypter
    }
    const made = await createLibp2p({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [kind === 'ours' ? tappedTcp({}) : tcp()],
      connectionEncrypters: [encrypter, noise()],
      streamMuxers: [yamux()],
      connectionManager: { inboundConnectionThreshold: 100 },
    })
    await made.handle(echo, ({ stream }) => {
      void stream.sink(stream.source).catch(() => undefined)
    })
    hosts.push(made)
    return made
  }

  /** What comes back of `bytes` from the other's echo. */
  const echoed = async (from: Libp2p, to: Libp2p, bytes: Uint8Array): Promise<Buffer> => {
    const stream = await from.dialProtocol(to.getMultiaddrs(), echo)
    void stream.sink([bytes])
    const back: Uint8Array[] = []
    for await (const piece of stream.source) back.push(piece.subarray())
    return Buffer.concat(back)
  }

  it('finds what it needs in the installed library', async () => {
    assert.equal(await hasNativeTls(), true, 'the TLS library has other insides: connections work, but slowly')
  })

  it('knows the socket on both sides, and carries bytes', async () => {
    const [dials, accepts]: [boolean[], boolean[]] = [[], []]
    const [one, two] = [await host('ours', dials), await host('ours', accepts)]
    const bytes = randomBytes(3_000_001)
    assert.ok((await echoed(one, two, bytes)).equals(bytes))
    assert.deepEqual([dials, accepts], [[true], [true]])
  })

  it('speaks with the library, whoever dials', async () => {
    const bytes = randomBytes(300_001)
    assert.ok((await echoed(await host('ours'), await host('stock'), bytes)).equals(bytes))
    assert.ok((await echoed(await host('stock'), await host('ours'), bytes)).equals(bytes))
  })

  it('works without a socket, the library\'s way', async () => {
    const known: boolean[] = []
    const [one, two] = [await host('no socket', known), await host('ours')]
    const bytes = randomBytes(300_001)
    assert.ok((await echoed(one, two, bytes)).equals(bytes))
    assert.deepEqual(known, [false])
  })

  it('many at once each get their own', async () => {
    const server = await host('ours')
    const clients = await Promise.all(Array.from({ length: 8 }, async () => host('ours')))
    await Promise.all(clients.map(async (client) => {
      const bytes = randomBytes(100_003)
      assert.ok((await echoed(client, server, bytes)).equals(bytes))
      assert.ok((await echoed(server, client, bytes)).equals(bytes))
    }))
  })

  it('names the other side by its key, on both sides', async () => {
    const [one, two] = [await host('ours'), await host('ours')]
    const opened = new Promise<Connection>((resolve) => { two.addEventListener('connection:open', ({ detail }) => { resolve(detail) }) })
    const connection = await one.dial(two.getMultiaddrs())
    assert.ok(connection.remotePeer.equals(two.peerId))
    assert.ok((await opened).remotePeer.equals(one.peerId))
  })

  it('sees the other side go, and does not keep the process', async () => {
    const [one, two] = [await host('ours'), await host('ours')]
    const connection = await one.dial(two.getMultiaddrs())
    const closed = new Promise<void>((resolve) => { one.addEventListener('connection:close', () => { resolve() }) })
    await two.stop()
    await closed
    assert.notEqual(connection.status, 'open')
  })

  it('fails at once when the socket goes while the negotiation is still being written', async () => {
    const held: Socket[] = []
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.pause()
      held.push(socket)
    })
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
    try {
      const { port } = server.address() as AddressInfo
      const logger = defaultLogger()
      const privateKey = await generateKeyPair('Ed25519')
      const encrypter = nativeTls()({ logger, privateKey, upgrader: { getStreamMuxers: () => new Map() } } as unknown as Parameters<ReturnType<typeof nativeTls>>[0])
      const transport = tappedTcp({})({ logger })
      const connected = async (): Promise<MultiaddrConnection> => new Promise((resolve, reject) => {
        const upgrader = { upgradeOutbound: (made: MultiaddrConnection) => { resolve(made) } } as unknown as Upgrader
        transport.dial(multiaddr(`/ip4/127.0.0.1/tcp/${String(port)}`), { upgrader, signal: new AbortController().signal }).catch(reject)
      })
      // Makes the key, so that nothing else is waited for below.
      await assert.rejects(encrypter.secureOutbound(await connected(), { signal: AbortSignal.abort(new Error('enough')) }), { message: 'enough' })
      for (const secure of ['secureOutbound', 'secureInbound'] as const) {
        const connection = await connected()
        const socket = socketOf(connection)
        assert.ok(socket !== undefined)
        // More than the kernel takes where nobody reads.
        socket.write(new Uint8Array(32 * 2 ** 20))
        const stop = new AbortController()
        const refused = assert.rejects(encrypter[secure](connection, { signal: stop.signal }), { message: /hung up before the handshake/ })
        await turns(8)
        socket.destroy()
        await turns(100)
        stop.abort()
        await refused
      }
    } finally {
      for (const socket of held) socket.destroy()
      server.close()
    }
  })
})

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}
