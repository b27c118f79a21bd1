import type { CircuitRelayTransportComponents } from '@libp2p/circuit-relay-v2'
import type { PeerDiscovery, PeerInfo } from '@libp2p/interface'
import { createHash } from 'node:crypto'
import type { Libp2pOptions } from 'libp2p'
import type { MeshId } from '../base/index.js'
import type { NetInit } from './settings.js'

/** Ways to others, and for others to us, besides an address that somebody typed. Each is loaded only where it is wanted. */
type DiscoveryFactory = NonNullable<Libp2pOptions['peerDiscovery']>[number]

export async function mdnsDiscovery(meshId: MeshId, onDiscovered: (peer: PeerInfo) => void): Promise<DiscoveryFactory> {
  const { mdns } = await import('@libp2p/mdns')
  return (libp2p): PeerDiscovery => {
    const discovery = mdns({ serviceTag: serviceTagOf(meshId) })(libp2p)
    discovery.addEventListener('peer', (event) => onDiscovered(event.detail))
    return discovery
  }
}

/** Members find each other by it; others see only a hash, at most 15 characters long (RFC 6763 §7.2). */
export function serviceTagOf(meshId: MeshId): string {
  return `_m${createHash('sha256').update(`mesh-node mdns ${meshId}`).digest('hex').slice(0, 13)}._udp.local`
}

export interface Reach {
  listen: string[]
  transports: NonNullable<Libp2pOptions['transports']>
  services: NonNullable<Libp2pOptions['services']>
}

/**
 * Looking for carriers, libp2p walks the DHT at random for as long as it has none: in a mesh of few nodes a walk ends at
 * once, and the next begins, so that it does nothing else (seen: a core, and no timer ever fires). Members are connected
 * to anyway, and each that carries says so when it is.
 */
function withoutWalks(components: CircuitRelayTransportComponents): CircuitRelayTransportComponents {
  const randomWalk: CircuitRelayTransportComponents['randomWalk'] = {
    async *walk() {
      // Nobody is found by walking.
    },
  }
  return new Proxy(components, { get: (target, name): unknown => (name === 'randomWalk' ? randomWalk : Reflect.get(target, name)) })
}

/** Members that one relay takes in: as many as a household and its friends have; each is one idle connection. */
const reservationsMax = 128

export async function reachOf(init: Pick<NetInit, 'upnp' | 'relay'>): Promise<Reach> {
  const reach: Reach = { listen: [], transports: [], services: {} }
  if (init.upnp === true) {
    const { uPnPNAT } = await import('@libp2p/upnp-nat')
    // What the router says is believed: a wrong address costs others one vain dial, and there is no AutoNAT service here to
    // ask (without this, libp2p refuses to start).
    reach.services.upnp = uPnPNAT({ autoConfirmAddress: true })
  }
  if (init.relay === true) {
    const { circuitRelayServer, circuitRelayTransport } = await import('@libp2p/circuit-relay-v2')
    reach.transports.push((components: CircuitRelayTransportComponents) => circuitRelayTransport()(withoutWalks(components)))
    // Members carry for members: libp2p's limits of 128 KiB and two minutes are meant for strangers on their way to a hole.
    reach.services.relay = circuitRelayServer({ reservations: { applyDefaultLimit: false, maxReservations: reservationsMax } })
    // Looks for carriers among the members that this node is connected to, and reserves a place with one.
    reach.listen.push('/p2p-circuit')
  }
  return reach
}
