import type { Connections, GossipTopic } from '../base/index.js'
import type { Conduct } from './conduct.js'
import type { Herald } from './herald.js'
import type { Holders } from './holders.js'
import { decodeVitals } from './messages.js'
import type { Pauses } from './pausing.js'
import type { PeerBook } from './peer-book.js'
import type { Rounds } from './rounds.js'
import type { Stock } from './stock.js'
import type { ReplicationComponents } from './types.js'
import type { Vitals } from './wire/replication.js'

export interface Heard {
  /** Vitals of all nodes. */
  readonly topic: GossipTopic
  readonly catalog: ReplicationComponents['catalog']
  readonly connections: Connections
  readonly membership: ReplicationComponents['membership']
}

export interface Listeners {
  readonly conduct: Conduct
  readonly book: PeerBook
  readonly holders: Holders
  readonly stock: Stock
  readonly rounds: Rounds
  readonly herald: Herald
  /** Woken when a record changes. */
  readonly catalogChanges: Pauses
}

/** Hears what happens elsewhere, and sees to it that the rounds take it up; until the returned function is called. */
export function listen({ topic, catalog, connections, membership }: Heard, listeners: Listeners, signal: AbortSignal): () => void {
  const { conduct, book, holders, stock, rounds, herald, catalogChanges } = listeners
  const swap = (peer: Parameters<Herald['swap']>[0]): void => {
    void herald.swap(peer, signal).then(() => rounds.wake())
  }
  const stops = [
    topic.subscribe((message, from) => {
      let vitals: Vitals
      try {
        vitals = decodeVitals(message)
      } catch {
        conduct.offended(from, 'garbage')
        return 'reject'
      }
      return book.hear(from, vitals)
    }),
    catalog.on('change', (change) => {
      // Whoever asked for these did so by an older record.
      for (const cid of stock.catalogChanged(change)) rounds.take(cid)
      catalogChanges.wake()
    }),
    membership.on('changed', () => rounds.wake()),
    membership.on('revoked', (peer) => {
      book.forget(peer)
      holders.gone(peer)
      rounds.rescan()
    }),
    connections.on('connected', swap),
  ]
  for (const peer of connections.connected()) swap(peer)
  return () => {
    for (const stop of stops) stop()
  }
}
