import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { decode as decodeDigest } from 'multiformats/hashes/digest'
import { CommonError, codeOf, messageOf } from '../../base/index.js'
import type { NodeId, Rpc, RpcMethod } from '../../base/index.js'
import { ProvideRequest } from '../wire/kad.js'
import type { ProviderRecords } from './provider-records.js'

const name = 'kad.provide'
const limits = { multihashes: 1024, multiaddrs: 16 }
const requestBytesMax = 128 * 1024
/** The longest there are have 66. */
const multihashBytesMax = 128
/** A name, ports, and whatever relays it goes through; to read one of 120,000 bytes would take 40 ms. */
const multiaddrBytesMax = 1024

export interface ProvidingComponents {
  readonly records: Pick<ProviderRecords, 'putAll'>
  /** Somebody can be reached there. */
  readonly met: (peer: NodeId, addresses: readonly Multiaddr[]) => Promise<void>
}

/**
 * Takes provider records by the batch: who asks has these, and can be found at these addresses.
 *
 * kad-dht takes them one by one, and with each one reads, merges and writes what it knows of the node that sent it: a tenth
 * of a millisecond, at every node, for every small file that is put anywhere.
 */
export function provideMethod(components: ProvidingComponents): RpcMethod {
  return {
    name,
    requestBytesMax,
    responseBytesMax: 0,
    inFlightMax: 1,
    async handle(body, { from }) {
      const { multihashes, addresses } = decode(body)
      // First where the node is: a record of a node without an address would be one that kad-dht cannot name.
      await components.met(from, addresses)
      await components.records.putAll(multihashes, from)
      return new Uint8Array(0)
    },
  }
}

/** False: the peer is of a version that takes them over kad-dht's own protocol only. */
export async function provideTo(
  rpc: Pick<Rpc, 'request'>,
  peer: NodeId,
  request: { multihashes: readonly Uint8Array[]; multiaddrs: readonly Uint8Array[] },
  options: { deadlineMs: number; signal: AbortSignal },
): Promise<boolean> {
  try {
    await rpc.request(peer, name, ProvideRequest.encode({ multihashes: [...request.multihashes], multiaddrs: [...request.multiaddrs] }), options)
    return true
  } catch (error) {
    if (codeOf(error) === 'UNKNOWN_METHOD') return false
    throw error
  }
}

function decode(body: Uint8Array): { multihashes: readonly Uint8Array[]; addresses: readonly Multiaddr[] } {
  try {
    const { multihashes, multiaddrs } = ProvideRequest.decode(body, { limits })
    if (multiaddrs.length === 0) throw new Error('a provider without an address')
    for (const multihash of multihashes) {
      if (multihash.length > multihashBytesMax) throw new Error('a multihash is too long')
      decodeDigest(multihash)
    }
    for (const { length } of multiaddrs) if (length === 0 || length > multiaddrBytesMax) throw new Error('an address has a wrong length')
    return { multihashes, addresses: multiaddrs.map((bytes) => multiaddr(bytes)) }
  } catch (error) {
    throw new CommonError('BAD_INPUT', `not provider records: ${messageOf(error)}`)
  }
}
