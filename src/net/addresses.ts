import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { asNodeId, messageOf } from '../base/index.js'
import type { NodeId } from '../base/index.js'
import { notAdmitted, refusalIn } from './handshake/refusal.js'
import { NetError } from './types.js'

/** Multiaddrs are some dozen characters; a DNS name at its longest and two PeerIds still fit. */
const addressLengthMax = 1024

/** Throws BAD_ADDRESS with the text that is none. */
export function parseAddress(text: string): Multiaddr {
  try {
    if (text.length > addressLengthMax) throw new Error('too long')
    return multiaddr(text)
  } catch (error) {
    const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text
    throw new NetError('BAD_ADDRESS', `"${shown}" is not a multiaddr such as /ip4/192.0.2.1/tcp/4700: ${messageOf(error)}`, { address: shown }, { cause: error })
  }
}

/**
 * Addresses of one peer that can be dialled together: each with the peer's name at its end, those of others left out.
 * Without a name to expect, only the first address can be tried.
 */
export function dialable(texts: readonly string[], peer: NodeId | undefined, self: NodeId): Multiaddr[] {
  const found: Multiaddr[] = []
  for (const text of texts) {
    let address: Multiaddr
    try {
      address = parseAddress(text)
    } catch {
      // Gossiped by somebody: the rest may be right.
      continue
    }
    const named = peerNamedIn(address)
    if (named === self) continue
    if (peer === undefined) {
      found.push(address)
    } else if (named === undefined) {
      found.push(address.encapsulate(`/p2p/${peer}`))
    } else if (named === peer) {
      found.push(address)
    }
  }
  return found
}

/** The last `/p2p/…`: of a relayed address the node behind the relay. */
export function peerNamedIn(address: Multiaddr): string | undefined {
  return address
    .getComponents()
    .filter(({ name }) => name === 'p2p')
    .at(-1)?.value
}

/** An address that somebody has typed: the multiaddr library takes any letters for a peer's name. Throws BAD_ADDRESS. */
export function checkNamed(address: Multiaddr): void {
  const named = peerNamedIn(address)
  if (named !== undefined && asNodeId(named) === undefined) {
    throw new NetError('BAD_ADDRESS', `in "${address.toString().slice(0, 200)}" what follows /p2p/ is not the ID of a node`, { address: address.toString() })
  }
}

/** What libp2p threw at a dial, as ours. */
export function dialError(error: unknown, addresses: readonly string[]): NetError {
  if (error instanceof NetError) return error
  const refusal = refusalIn(error)
  if (refusal !== undefined) return notAdmitted(refusal)
  const facts = { addresses: addresses.slice(0, 8) }
  const text = messagesOf(error)
  if (/dial self|address of this node itself/i.test(text)) return new NetError('BAD_ADDRESS', 'that is the address of this node itself', facts, { cause: error })
  const name = error instanceof Error ? error.name : ''
  if (name === 'NoValidAddressesError') return new NetError('BAD_ADDRESS', 'none of the addresses can be dialled from here: /ip4/…/tcp/… and /dns/…/tcp/… can', facts, { cause: error })
  if (name === 'EncryptionFailedError') return new NetError('UNAVAILABLE', `whoever answers there is no node of a mesh, or hung up: ${text}`, facts, { cause: error })
  return new NetError('UNAVAILABLE', `nobody could be reached at ${addresses.slice(0, 3).join(', ')}: ${text}`, facts, { cause: error })
}

/** What libp2p threw at the start, as ours. */
export function startError(error: unknown, listen: readonly string[]): NetError {
  const text = messagesOf(error)
  const taken = /EADDRINUSE[^\n]*?(\S+:\d+)/.exec(text)
  if (taken !== null) {
    return new NetError('ADDRESS_IN_USE', `the address ${taken[1] ?? ''} is in use: another program, or another node, listens there`, { address: taken[1] ?? '' }, { cause: error })
  }
  const foreign = /EADDRNOTAVAIL[^\n]*?(\S+:\d+)/.exec(text)
  const forbidden = /EACCES[^\n]*?(\S+:\d+)/.exec(text)
  const why = foreign !== null ? `${foreign[1] ?? ''} is no address of its own` : forbidden !== null ? `${forbidden[1] ?? ''} needs more rights than this program has` : undefined
  if (why !== undefined) return new NetError('BAD_ADDRESS', `this machine cannot listen on ${listen.join(', ')}: ${why}`, { addresses: listen }, { cause: error })
  if (/EADDRNOTAVAIL|EACCES|UnsupportedListenAddress/.test(text) || (error instanceof Error && error.name === 'UnsupportedListenAddressesError')) {
    const told = /UnsupportedListenAddress/.test(text) ? 'a node listens at TCP, as in /ip4/0.0.0.0/tcp/4700' : text.slice(0, 300)
    return new NetError('BAD_ADDRESS', `this machine cannot listen on ${listen.join(', ')}: ${told}`, { addresses: listen }, { cause: error })
  }
  return new NetError('UNAVAILABLE', `the network could not be started: ${text.slice(0, 300)}`, {}, { cause: error })
}

function messagesOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map((one: unknown) => messageOf(one)).join('; ')
  return messageOf(error)
}
