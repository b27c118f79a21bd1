import type { KadDHT } from '@libp2p/kad-dht'
import { encode as lengthPrefixed } from 'it-length-prefixed'
import { pipe } from 'it-pipe'
import type { CID } from 'multiformats/cid'
import { multiaddr } from '@multiformats/multiaddr'
import { CommonError, abortReason, asNodeId, cidOfText, messageOf, withDeadline } from '../../base/index.js'
import type { Clock, ContentRouting, KeyValue, Log, NodeId, Random, Rpc } from '../../base/index.js'
import type { Links } from '../links.js'
import { peerIdOf } from '../links.js'
import { KadMessage, KadPeer } from '../wire/kad.js'
import { Announcer } from './announcer.js'
import type { AnnouncerInit } from './announcer.js'
import type { ProviderRecords } from './provider-records.js'
import type { ProvidingComponents } from './providing.js'
import { provideMethod, provideTo } from './providing.js'
import { ProvideSchedule } from './schedule.js'

export const kadProtocol = '/mesh/kad/1'

export interface RoutingInit extends AnnouncerInit {
  /** How often a random key is looked up, so that the routing table knows who came and went. */
  refreshMs: number
  sweepMs: number
}

/** A node that does not take a batch within this time is passed over until the next round. */
const sendDeadlineMs = 30_000
const refreshDeadlineMs = 30_000
/** Of our own addresses in a record: whoever asks is connected to most nodes anyway. */
const addressesMax = 8

export class DhtRouting implements ContentRouting {
  readonly #dht: KadDHT
  readonly #links: Links
  readonly #rpc: Rpc
  readonly #clock: Clock
  readonly #random: Random
  readonly #log: Log
  readonly #records: ProviderRecords
  readonly #schedule: ProvideSchedule
  readonly #announcer: Announcer
  readonly #addresses: () => readonly string[]
  readonly #init: RoutingInit

  constructor(
    components: { dht: KadDHT; links: Links; rpc: Rpc; clock: Clock; random: Random; log: Log; meta: KeyValue; records: ProviderRecords; addresses: () => readonly string[]; met: ProvidingComponents['met'] },
    init: RoutingInit,
  ) {
    this.#dht = components.dht
    this.#links = components.links
    this.#rpc = components.rpc
    this.#clock = components.clock
    this.#random = components.random
    this.#log = components.log
    this.#records = components.records
    this.#addresses = components.addresses
    this.#init = init
    this.#schedule = new ProvideSchedule(components, { self: components.links.self })
    this.#announcer = new Announcer(
      {
        schedule: this.#schedule,
        clock: components.clock,
        random: components.random,
        log: components.log,
        // Every node of this mesh serves the DHT.
        servers: () => this.#links.connected(),
        send: (peer, multihashes, signal) => withDeadline(this.#clock, sendDeadlineMs, signal, (bounded) => this.#send(peer, multihashes, bounded)),
      },
      init,
    )
    this.#links.on('connected', () => this.#announcer.notify())
    this.#rpc.register(provideMethod(components))
  }

  get lagMs(): number {
    return this.#announcer.lagMs
  }

  get announced(): number {
    return this.#announcer.announced
  }

  async provide(cids: readonly string[]): Promise<void> {
    if ((await this.#schedule.add(cids.map(parse))) > 0) this.#announcer.notify()
  }

  async unprovide(cids: readonly string[]): Promise<void> {
    await this.#schedule.remove(cids.map(parse))
  }

  async *findProviders(text: string, options: { signal: AbortSignal }): AsyncGenerator<NodeId> {
    const { signal } = options
    const cid = parse(text)
    signal.throwIfAborted()
    const seen = new Set<NodeId>([this.#links.self])
    try {
      for await (const event of this.#dht.findProviders(cid, { signal })) {
        if (event.name !== 'PROVIDER' && event.name !== 'PEER_RESPONSE') continue
        for (const provider of event.providers) {
          const node = asNodeId(provider.id.toString())
          if (node === undefined || seen.has(node)) continue
          seen.add(node)
          yield node
        }
      }
    } catch (error) {
      if (signal.aborted) throw abortReason(signal)
      this.#log.debug('a search in the DHT failed', { cid: text, error: messageOf(error) })
    }
  }

  /** Announces, keeps the routing table fresh and sweeps lapsed records, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#announcer.run(signal),
      this.#every(this.#init.refreshMs, signal, () => this.#refresh(signal)),
      this.#every(this.#init.sweepMs, signal, () => this.#records.sweep(signal)),
    ])
  }

  async #every(ms: number, signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
    while (!signal.aborted) {
      try {
        // Jitter: nodes started together should not work together for ever.
        await this.#clock.sleep(ms * (0.75 + 0.5 * this.#random.float()), signal)
        await work()
      } catch (error) {
        this.#log.debug('upkeep of the DHT failed', { error: messageOf(error) })
      }
    }
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    // With this few everybody knows everybody, without asking.
    if (this.#links.connected().length <= this.#init.copies) return
    await withDeadline(this.#clock, refreshDeadlineMs, signal, async (bounded) => {
      await exhaust(this.#dht.getClosestPeers(this.#random.bytes(32), { signal: bounded }))
    })
  }

  async #send(peer: NodeId, multihashes: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const multiaddrs = this.#ownAddresses()
    const taken = await provideTo(this.#rpc, peer, { multihashes, multiaddrs }, { deadlineMs: sendDeadlineMs, signal })
    if (!taken) await this.#sendByKad(peer, multihashes, multiaddrs, signal)
  }

  /** All records for one node on one stream. It answers nothing, but ends the stream when it has worked through them. */
  async #sendByKad(peer: NodeId, multihashes: readonly Uint8Array[], multiaddrs: Uint8Array[], signal: AbortSignal): Promise<void> {
    const provider = KadPeer.encode({ id: peerIdOf(this.#links.self).toMultihash().bytes, multiaddrs })
    const stream = await this.#links.openStream(peer, kadProtocol, signal)
    const onAbort = (): void => stream.abort(abortReason(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    try {
      await pipe(
        multihashes.map((key) => KadMessage.encode({ type: KadMessage.Type.ADD_PROVIDER, key, providers: [provider] })),
        (source) => lengthPrefixed(source),
        async (source) => stream.sink(source),
      )
      try {
        await exhaust(stream.source)
      } catch {
        // kad-dht resets a stream when it has read to its end.
      }
      signal.throwIfAborted()
      if (!this.#links.isConnected(peer)) throw new CommonError('UNAVAILABLE', 'the connection broke while records were sent')
    } finally {
      signal.removeEventListener('abort', onAbort)
      stream.abort(new CommonError('ABORTED', 'done'))
    }
  }

  #ownAddresses(): Uint8Array[] {
    const addresses = this.#addresses().slice(0, addressesMax)
    // kad-dht drops a provider without an address; a node that nobody can dial is still worth knowing by name.
    return (addresses.length > 0 ? addresses : [`/p2p/${this.#links.self}`]).map((address) => multiaddr(address).bytes)
  }
}

async function exhaust(source: AsyncIterable<unknown>): Promise<void> {
  const iterator = source[Symbol.asyncIterator]()
  while ((await iterator.next()).done !== true) continue
}

function parse(text: string): CID {
  try {
    return cidOfText(text)
  } catch (error) {
    throw new CommonError('BAD_INPUT', 'that is not a CID', {}, { cause: error })
  }
}
