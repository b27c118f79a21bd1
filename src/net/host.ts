import './node20.js'
import { gossipsub } from '@chainsafe/libp2p-gossipsub'
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Identify } from '@libp2p/identify'
import type { ConnectionEncrypter, Libp2p, PeerInfo } from '@libp2p/interface'
import { kadDHT } from '@libp2p/kad-dht'
import type { KadDHT } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import type { Ping } from '@libp2p/ping'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Libp2pOptions } from 'libp2p'
import type { Clock, Log, NodeId, Random } from '../base/index.js'
import type { Admission } from '../membership/index.js'
import { gossipSettings } from './gossip.js'
import type { GossipService } from './gossip.js'
import { AdmissionEncrypter } from './handshake/encrypter.js'
import type { Refusal } from './handshake/refusal.js'
import { mdnsDiscovery, reachOf } from './reach.js'
import { kadProtocol } from './routing/index.js'
import type { ProviderRecords } from './routing/provider-records.js'
import type { NetInit, NetLimits } from './settings.js'
import { fairYamux } from './transport/muxer.js'
import { nativeTls } from './transport/native-tls.js'
import { tappedTcp } from './transport/sockets.js'

export interface HostComponents {
  admission: Admission
  clock: Clock
  random: Random
  log: Log
  records: ProviderRecords
  onRefused: (peer: NodeId, refusal: Refusal) => void
  /** Somebody of this mesh on the local network. */
  onDiscovered: (peer: PeerInfo) => void
}

export type HostServices = {
  identify: Identify
  ping: Ping
  dht: KadDHT
  pubsub: GossipService
}
export type Host = Libp2p<HostServices>

/** The wait of a refusing side for the refused to read why. A round trip, generously. */
const lingerMs = 2_000
/** A socket that has not closed by itself after this is destroyed: stopping must not take longer than a second. */
const socketCloseMs = 250

/**
 * kad-dht leaves out of its answers whoever has no address: a node in its first second, whose own are published with a
 * delay, and one that nobody can dial. Both are connected to those who ask, and a name is all that these need. Private
 * addresses, which the library's own mapper drops, are all that a LAN has.
 */
function named(info: PeerInfo): PeerInfo {
  return info.multiaddrs.length > 0 ? info : { id: info.id, multiaddrs: [multiaddr(`/p2p/${info.id.toString()}`)] }
}

/** libp2p, assembled and not started: one TCP transport, encrypters that admit, a fair muxer, and what stands on them. */
export async function createHost(components: HostComponents, init: NetInit & { self: NodeId; seed: Uint8Array }, limits: NetLimits): Promise<Host> {
  const encrypter =
    <Needs>(inner: (needs: Needs) => ConnectionEncrypter, protocol: string) =>
    (needs: Needs): ConnectionEncrypter =>
      new AdmissionEncrypter(
        { ...components, inner: inner(needs) },
        { protocol, self: init.self, deadlineMs: limits.handshakeDeadlineMs, lingerMs, onRefused: components.onRefused, delayMs: init.delayMs },
      )
  const overTls = encrypter(nativeTls(), '/mesh/tls/1')
  const overNoise = encrypter(noise(), '/mesh/noise/1')
  const options: Libp2pOptions<HostServices> = {
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', init.seed),
    nodeInfo: { name: 'mesh-node', version: '1' },
    addresses: { listen: [...init.listen], announce: [...init.announce] },
    datastore: components.records,
    // By default a peer's addresses are forgotten after an hour, however long it stays connected, and kad-dht names no
    // provider without addresses: records that hold for a day would be found for an hour. Identify replaces what changed.
    peerStore: { maxAddressAge: Number.POSITIVE_INFINITY, maxPeerAge: Number.POSITIVE_INFINITY },
    // TLS first: 1.4 times Noise's throughput, measured. Where connections may be carried by a relay, Noise: over a relayed
    // stream libp2p's TLS stands still in its handshake (seen with 2.2.7).
    connectionEncrypters: init.relay === true ? [overNoise, overTls] : [overTls, overNoise],
    transports: [tappedTcp({ socketCloseTimeout: socketCloseMs, dialOpts: { noDelay: true, keepAlive: true }, listenOpts: { noDelay: true, keepAlive: true } })],
    streamMuxers: [
      fairYamux({ initialStreamWindowBytes: 256 * 1024, streamWindowBytesMax: limits.streamWindowBytesMax, streamsMax: limits.streamsPerConnectionMax }),
    ],
    connectionManager: {
      maxConnections: limits.connectionsMax,
      inboundConnectionThreshold: limits.inboundPerHostPerSecond,
      maxIncomingPendingConnections: limits.inboundPendingMax,
      inboundUpgradeTimeout: limits.handshakeDeadlineMs + lingerMs,
      dialTimeout: limits.dialDeadlineMs,
      // The redialler is ours; libp2p's own gives up after five attempts.
      reconnectRetries: 0,
    },
    // By default libp2p refuses to dial private addresses in some set-ups; a mesh of households is made of them.
    connectionGater: { denyDialMultiaddr: () => false },
    // Liveness is measured on the rpc stream, without opening a stream every few seconds.
    connectionMonitor: { enabled: false },
    services: {
      identify: identify({ protocolPrefix: 'mesh', runOnConnectionOpen: true }),
      ping: ping({ protocolPrefix: 'mesh' }),
      dht: kadDHT({
        protocol: kadProtocol,
        peerInfoMapper: named,
        clientMode: false,
        allowQueryWithZeroPeers: true,
        // Announcing again and sweeping are done by `routing/`: as rarely as a timer can.
        reprovide: { interval: 2 ** 31 - 1 },
        maxInboundStreams: 1024,
        maxOutboundStreams: 1024,
      }),
      pubsub: gossipsub(gossipSettings(init.meshId, limits.gossipMessageBytesMax)),
    },
  }
  const discovery = init.mdns ? [await mdnsDiscovery(init.meshId, components.onDiscovered)] : []
  const reach = await reachOf(init)
  return createLibp2p({
    ...options,
    addresses: { ...options.addresses, listen: [...init.listen, ...reach.listen] },
    peerDiscovery: discovery,
    transports: [...(options.transports ?? []), ...reach.transports],
    services: { ...options.services, ...reach.services } as NonNullable<typeof options.services>,
  })
}
