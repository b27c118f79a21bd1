/**
 * The network, over libp2p, which is used nowhere else. A node listens on TCP; whoever connects goes through TLS (or
 * Noise) and, inside of it, through admission, so that everything above sees members only: requests over one long-lived
 * stream per peer (`rpc`), bytes in bulk over streams of their own (`bulk`), gossip, provider records in a DHT
 * (`routing`), and connections that are dialled again for as long as somebody wants them kept.
 *
 * @example
 * const net = await createNet({ admission, meta, clock, random, log, seed }, { meshId, listen: ['/ip4/0.0.0.0/tcp/4700'], announce: [], bootstrap: [], mdns: true })
 * net.rpc.register({ name: 'demo.echo', requestBytesMax: 100, responseBytesMax: 100, inFlightMax: 16, handle: async (body) => body })
 * await net.start()
 * const peer = await net.dial('/ip4/192.0.2.7/tcp/4700')
 * await net.rpc.request(peer, 'demo.echo', bytes, { deadlineMs: 1000 })
 */
export { createNet } from './net.js'
export type { NetComponents } from './net.js'
export { defaultLimits } from './settings.js'
export type { NetInit, NetLimits } from './settings.js'
export { NetError, RemoteError } from './types.js'
export type { Net, NetCode, NetCounters } from './types.js'
