/**
 * The NBD door: volumes as block devices for nbdcopy, qemu, fio and the kernel. It speaks the protocol and knows nothing
 * of leases or replicas; what a request means is the `BlockDevice`'s business. Spec: protocols/nbd/README.md.
 *
 * @example
 * const server = new NbdServer({ clock: systemClock })
 * server.add('vm1', device)
 * const { uri } = await server.listen({ host: '127.0.0.1', port: 10809 })
 * // nbdinfo ${uri}/vm1
 * await server.stop()
 */
export { NbdServer } from './server.js'
export type { DeviceSource, NbdAddress, NbdServerComponents, NbdServerInit } from './server.js'
export { negotiate, payloadBytesMax } from './negotiation.js'
export type { Exports } from './negotiation.js'
export { Latencies, latencyBoundsMs } from './latencies.js'
export type { LatencyCounts, TimedKind } from './latencies.js'
