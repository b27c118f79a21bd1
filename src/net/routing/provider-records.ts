import { peerIdFromString } from '@libp2p/peer-id'
import { Key } from 'interface-datastore'
import type { Datastore, KeyQuery, Pair, Query } from 'interface-datastore'
import { base32 } from 'multiformats/bases/base32'
import { varint } from 'multiformats'
import type { Clock, KeyValue, NodeId, WriteOperation } from '../../base/index.js'

export interface ProviderRecordsInit {
  /** After this time without being renewed a record counts as gone. */
  validityMs: number
  /** Records of all nodes together that are kept; more are not taken. */
  recordsMax: number
  /** Peers seen whose addresses and keys are kept in memory. */
  memoryEntriesMax: number
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
/** Where kad-dht puts provider records: `/dht/provider/<multihash in base32>/<PeerId>` → varint of unix ms. */
const providerPrefix = '/dht/provider/'
/** Where libp2p's peer store puts what it knows of a peer: `/peers/<PeerId as a CID>`. */
const peersPrefix = '/peers/'
/** A peer with all its addresses is 1 to 2 KiB; a public key less. */
const memoryValueBytesMax = 16 * 1024
/** 4 MiB at the most. */
const foreignEntriesMax = 256
/** Entries that are looked at in one go when the lapsed are removed: a fraction of a millisecond's work each. */
const sweepBatch = 256

/**
 * The store behind kad-dht. Provider records, which may be millions, are in the node's database under their own key
 * order, so that a look-up is one range read (libp2p's own memory store walks through everything it has each time) and
 * a restart forgets none; they lapse on reading. The rest (peers seen, their keys) is small, is learnt anew within
 * seconds, and stays in memory.
 */
export class ProviderRecords implements Datastore {
  readonly #records: KeyValue
  readonly #clock: Clock
  readonly #init: ProviderRecordsInit
  readonly #memory = new Map<string, Uint8Array>()
  /** Values that members put into the DHT, of which this mesh makes no use: apart, so that they push out no peer. */
  readonly #foreign = new Map<string, Uint8Array>()
  /** As of the last sweep, and those taken since: never less than there are. */
  #count = 0

  constructor(components: { meta: KeyValue; clock: Clock }, init: ProviderRecordsInit) {
    this.#records = components.meta.slice('records/')
    this.#clock = components.clock
    this.#init = init
  }

  /** An upper bound. */
  get count(): number {
    return this.#count
  }

  /** This node's own record, so that whoever asks it is told of it too. */
  putOwn(multihash: Uint8Array, self: NodeId): WriteOperation {
    return this.#records.put(keyOf(multihash, self), varintOf(this.#clock.wallMs()))
  }

  deleteOwn(multihash: Uint8Array, self: NodeId): WriteOperation {
    return this.#records.del(keyOf(multihash, self))
  }

  /** Records of one node, in one write: those that are there already, and as many others as there is room for. */
  async putAll(multihashes: readonly Uint8Array[], provider: NodeId): Promise<void> {
    const keys = [...new Map(multihashes.map((multihash) => [base32.baseEncode(multihash), multihash])).values()].map((multihash) => keyOf(multihash, provider))
    const known = await this.#records.getMany(keys)
    const taken: Uint8Array[] = []
    for (const [i, key] of keys.entries()) {
      if (known[i] === undefined) {
        if (this.#count >= this.#init.recordsMax) continue
        this.#count++
      }
      taken.push(key)
    }
    if (taken.length === 0) return
    const now = varintOf(this.#clock.wallMs())
    await this.#records.write(taken.map((key) => this.#records.put(key, now)), { durable: false })
  }

  /** Removes lapsed records; resolves to how many are left. Yields to other work after every batch. */
  async sweep(signal: AbortSignal): Promise<number> {
    let left = 0
    let gt: Uint8Array | undefined
    for (;;) {
      signal.throwIfAborted()
      const lapsed: Uint8Array[] = []
      let seen = 0
      for await (const [key, value] of this.#records.entries(gt === undefined ? { limit: sweepBatch } : { gt, limit: sweepBatch })) {
        seen++
        gt = key
        if (this.#isLapsed(value)) lapsed.push(key)
        else left++
      }
      if (lapsed.length > 0) await this.#records.write(lapsed.map((key) => this.#records.del(key)), { durable: false })
      if (seen < sweepBatch) break
      await this.#clock.sleep(10, signal)
    }
    this.#count = left
    return left
  }

  async put(key: Key, value: Uint8Array): Promise<Key> {
    const name = key.toString()
    if (name.startsWith(providerPrefix)) {
      // Members only get here, but also a member's mistake must not fill a disk.
      if (this.#count >= this.#init.recordsMax) return key
      this.#count++
      await this.#records.write([this.#records.put(recordKey(name), value)], { durable: false })
    } else {
      // kad-dht checks no value whose key has fewer than two slashes, and takes it at 4 MiB from any member.
      if (value.length > memoryValueBytesMax) return key
      const [entries, entriesMax] = name.startsWith(peersPrefix) ? [this.#memory, this.#init.memoryEntriesMax] : [this.#foreign, foreignEntriesMax]
      // Written anew is last in line: what goes first is the peer longest unheard of.
      entries.delete(name)
      if (entries.size >= entriesMax) entries.delete(entries.keys().next().value ?? '')
      entries.set(name, value)
    }
    return key
  }

  async get(key: Key): Promise<Uint8Array> {
    const name = key.toString()
    const value = name.startsWith(providerPrefix) ? await this.#records.get(recordKey(name)) : (this.#memory.get(name) ?? this.#foreign.get(name))
    if (value === undefined) throw new NotFoundError()
    return value
  }

  async has(key: Key): Promise<boolean> {
    const name = key.toString()
    return name.startsWith(providerPrefix) ? (await this.#records.get(recordKey(name))) !== undefined : this.#memory.has(name) || this.#foreign.has(name)
  }

  async delete(key: Key): Promise<void> {
    const name = key.toString()
    if (name.startsWith(providerPrefix)) await this.#records.write([this.#records.del(recordKey(name))], { durable: false })
    else if (!this.#memory.delete(name)) this.#foreign.delete(name)
  }

  async *query(query: Query): AsyncGenerator<Pair> {
    let count = 0
    for await (const pair of this.#entries(query.prefix ?? '')) {
      if (query.filters?.every((filter) => filter(pair)) === false) continue
      yield pair
      if (query.limit !== undefined && ++count >= query.limit) return
    }
  }

  async *queryKeys(query: KeyQuery): AsyncGenerator<Key> {
    let count = 0
    for await (const { key } of this.#entries(query.prefix ?? '')) {
      if (query.filters?.every((filter) => filter(key)) === false) continue
      yield key
      if (query.limit !== undefined && ++count >= query.limit) return
    }
  }

  async *putMany(source: AsyncIterable<Pair> | Iterable<Pair>): AsyncGenerator<Key> {
    for await (const { key, value } of source) {
      await this.put(key, value)
      yield key
    }
  }

  async *getMany(source: AsyncIterable<Key> | Iterable<Key>): AsyncGenerator<Pair> {
    for await (const key of source) yield { key, value: await this.get(key) }
  }

  async *deleteMany(source: AsyncIterable<Key> | Iterable<Key>): AsyncGenerator<Key> {
    for await (const key of source) {
      await this.delete(key)
      yield key
    }
  }

  batch(): ReturnType<Datastore['batch']> {
    const work: (() => Promise<unknown>)[] = []
    return {
      put: (key, value) => {
        work.push(() => this.put(key, value))
      },
      delete: (key) => {
        work.push(() => this.delete(key))
      },
      commit: async () => {
        for (const one of work.splice(0)) await one()
      },
    }
  }

  async *#entries(prefix: string): AsyncGenerator<Pair> {
    if (prefix.startsWith(providerPrefix) && prefix.length > providerPrefix.length) {
      // Up to the last peer of this one multihash: `0` is what follows `/` in ASCII.
      const name = prefix.slice(providerPrefix.length).replace(/\/$/, '')
      for await (const [key, value] of this.#records.entries({ gte: encoder.encode(`${name}/`), lt: encoder.encode(`${name}0`) })) {
        const record = decoder.decode(key)
        if (!this.#isLapsed(value) && this.#isKnown(record.slice(name.length + 1))) yield { key: new Key(providerPrefix + record, false), value }
      }
      return
    }
    for (const [name, value] of [...this.#memory, ...this.#foreign]) if (name.startsWith(prefix)) yield { key: new Key(name, false), value }
  }

  /**
   * Records outlive a restart, the peers seen do not: and for a provider that the peer store does not know, kad-dht
   * answers the whole question with an error. It is named again as soon as it is connected.
   */
  #isKnown(provider: string): boolean {
    try {
      return this.#memory.has(peersPrefix + peerIdFromString(provider).toCID().toString())
    } catch {
      return false
    }
  }

  #isLapsed(value: Uint8Array): boolean {
    try {
      return this.#clock.wallMs() - varint.decode(value)[0] > this.#init.validityMs
    } catch {
      return true
    }
  }
}

/** The name that libp2p's own code looks for. */
class NotFoundError extends Error {
  readonly code = 'ERR_NOT_FOUND'
  override readonly name = 'NotFoundError'
  constructor() {
    super('not found')
  }
}

function recordKey(name: string): Uint8Array {
  return encoder.encode(name.slice(providerPrefix.length))
}

function keyOf(multihash: Uint8Array, provider: NodeId): Uint8Array {
  return encoder.encode(`${base32.baseEncode(multihash)}/${provider}`)
}

function varintOf(value: number): Uint8Array {
  const bytes = new Uint8Array(varint.encodingLength(value))
  varint.encodeTo(value, bytes)
  return bytes
}
