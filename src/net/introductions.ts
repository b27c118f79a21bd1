import type { Log, NodeId } from '../base/index.js'
import { messageOf } from '../base/index.js'

export interface IntroductionsComponents {
  /** Asks a connected peer what it speaks; gossip and DHT hear the answer from libp2p. Bounded in time. */
  readonly identify: (peer: NodeId) => Promise<unknown>
  readonly log: Log
}

/**
 * libp2p asks a peer what it speaks once, when the connection is made, for 5 s. Where that fails (a machine that was busy
 * for a moment) gossip and DHT do not know the peer for as long as the connection lasts, which may be weeks. So whoever
 * answers a ping and has not been introduced by then is asked again.
 */
export class Introductions {
  readonly #components: IntroductionsComponents
  readonly #identified = new Set<NodeId>()
  /** Connected, and it has answered before: the question that libp2p asked has had its time. */
  readonly #answered = new Set<NodeId>()
  readonly #asking = new Set<NodeId>()

  constructor(components: IntroductionsComponents) {
    this.#components = components
  }

  identified(peer: NodeId): void {
    this.#identified.add(peer)
  }

  disconnected(peer: NodeId): void {
    this.#identified.delete(peer)
    this.#answered.delete(peer)
  }

  /** It has answered a ping. */
  answered(peer: NodeId): void {
    const before = this.#answered.has(peer)
    this.#answered.add(peer)
    if (!before || this.#identified.has(peer) || this.#asking.has(peer)) return
    this.#asking.add(peer)
    const { identify, log } = this.#components
    identify(peer)
      .catch((error: unknown) => { log.debug('a peer does not say what it speaks', { peer, error: messageOf(error) }) })
      .finally(() => { this.#asking.delete(peer) })
  }
}
