/** In-memory twins of the store and the network, honest about order and references, with faults to switch on. */
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import {
  BoundedQueue,
  CodedError,
  Emitter,
  nodeIdOfPublicKey,
  type Bulk,
  type BulkProtocol,
  type ByteStream,
  type Connections,
  type ContentRouting,
  type KeyRange,
  type KeyValue,
  type NodeId,
  type WriteOperation,
} from '../../../src/base/index.js'
import type { BlockDraft, BlockStore } from '../../../src/store/types.js'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

export class MemoryKeyValue implements KeyValue {
  constructor(
    readonly map = new Map<string, Uint8Array>(),
    readonly prefix = '',
  ) {}
  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.map.get(this.prefix + hex(key))
  }
  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key)))
  }
  async *entries(range: KeyRange = {}): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
    const inside = (key: string): boolean =>
      (range.gte === undefined || key >= hex(range.gte)) &&
      (range.gt === undefined || key > hex(range.gt)) &&
      (range.lt === undefined || key < hex(range.lt)) &&
      (range.lte === undefined || key <= hex(range.lte))
    const found = [...this.map]
      .filter(([key]) => key.startsWith(this.prefix))
      .map(([key, value]) => [key.slice(this.prefix.length), value] as const)
      .filter(([key]) => inside(key))
      .sort(([a], [b]) => (a < b ? -1 : 1))
    if (range.reverse === true) found.reverse()
    for (const [key, value] of found.slice(0, range.limit)) yield [Buffer.from(key, 'hex'), value]
  }
  put(key: Uint8Array, value: Uint8Array): WriteOperation {
    return { type: 'put', key: Buffer.from(this.prefix + hex(key), 'hex'), value }
  }
  del(key: Uint8Array): WriteOperation {
    return { type: 'del', key: Buffer.from(this.prefix + hex(key), 'hex') }
  }
  async write(operations: readonly WriteOperation[]): Promise<void> {
    this.apply(operations)
  }
  apply(operations: readonly WriteOperation[]): void {
    for (const operation of operations) {
      if (operation.type === 'put') this.map.set(hex(operation.key), operation.value)
      else this.map.delete(hex(operation.key))
    }
  }
  slice(prefix: string): KeyValue {
    return new MemoryKeyValue(this.map, this.prefix + hex(Buffer.from(prefix)))
  }
}

const missing = (cid: CID): CodedError => new CodedError('NOT_FOUND', `no block ${cid.toString()}`)

/** References are counted; what a crash would lose is lost by `crash()`. */
export class MemoryBlockStore implements BlockStore {
  readonly bytes = new Map<string, Uint8Array>()
  readonly references = new Map<string, number>()
  readonly draftBlocks = new Map<string, Set<string>>()
  readonly #quarantine = new Set<string>()
  /** Fails puts once it would hold more. */
  bytesMax = Number.POSITIVE_INFINITY
  /** The disk is so full that a draft cannot even be given up. */
  abortFails = false
  reads = 0

  constructor(readonly meta: MemoryKeyValue) {}

  async get(cid: CID): Promise<Uint8Array> {
    await Promise.resolve()
    const bytes = this.bytes.get(cid.toString())
    if (bytes === undefined) throw missing(cid)
    this.reads++
    return bytes
  }
  async getMany(cids: readonly CID[]): Promise<(Uint8Array | undefined)[]> {
    this.reads += cids.length
    return cids.map((cid) => this.bytes.get(cid.toString()))
  }
  async has(cid: CID): Promise<boolean> {
    return this.bytes.has(cid.toString())
  }
  async size(cid: CID): Promise<number | undefined> {
    return this.bytes.get(cid.toString())?.length
  }
  async draft(id: string): Promise<BlockDraft> {
    if (this.draftBlocks.has(`open ${id}`)) throw new Error(`draft ${id} is open already`)
    const own = this.draftBlocks.get(id) ?? new Set<string>()
    this.draftBlocks.set(id, own)
    this.draftBlocks.set(`open ${id}`, own)
    const close = (): void => {
      if (!this.draftBlocks.delete(`open ${id}`)) throw new Error(`draft ${id} is closed`)
      this.draftBlocks.delete(id)
    }
    const put = async (cid: CID, bytes: Uint8Array): Promise<void> => {
      await Promise.resolve()
      if (this.total() + bytes.length > this.bytesMax) throw new CodedError('NO_SPACE', 'the disk is full')
      own.add(cid.toString())
      this.bytes.set(cid.toString(), Uint8Array.from(bytes))
    }
    return {
      id,
      put,
      putMany: async (blocks) => {
        for (const { cid, bytes } of blocks) await put(cid, bytes)
      },
      adopt: async (cid) => {
        if (!this.bytes.has(cid.toString())) return false
        own.add(cid.toString())
        return true
      },
      flush: async () => undefined,
      commit: async (operations) => {
        await Promise.resolve()
        for (const key of own) this.references.set(key, (this.references.get(key) ?? 0) + 1)
        close()
        this.meta.apply(operations)
      },
      abort: async () => {
        if (this.abortFails) throw new CodedError('NO_SPACE', 'the disk is full')
        close()
        this.#sweep(own)
      },
    }
  }
  async drafts(): Promise<string[]> {
    return [...this.draftBlocks.keys()].filter((id) => !id.startsWith('open '))
  }
  async retain(cids: readonly CID[], operations: readonly WriteOperation[]): Promise<void> {
    for (const cid of cids) this.references.set(cid.toString(), (this.references.get(cid.toString()) ?? 0) + 1)
    this.meta.apply(operations)
  }
  async release(cids: readonly CID[], operations: readonly WriteOperation[]): Promise<void> {
    for (const cid of cids) {
      const left = (this.references.get(cid.toString()) ?? 0) - 1
      if (left < 0) throw new Error(`released once too often: ${cid.toString()}`)
      if (left === 0) this.references.delete(cid.toString())
      else this.references.set(cid.toString(), left)
    }
    this.#sweep(cids.map((cid) => cid.toString()))
    this.meta.apply(operations)
  }
  async verify(cid: CID): Promise<boolean> {
    const key = cid.toString()
    const bytes = this.bytes.get(key)
    if (bytes === undefined) {
      if (this.#quarantine.has(key)) return false
      throw missing(cid)
    }
    const digest = await sha256.digest(bytes)
    if (Buffer.compare(digest.digest, cid.multihash.digest) === 0) return true
    this.bytes.delete(key)
    this.#quarantine.add(key)
    return false
  }
  async quarantined(): Promise<CID[]> {
    return [...this.#quarantine].map((key) => CID.parse(key))
  }
  async heal(cid: CID, bytes: Uint8Array): Promise<void> {
    if (!this.#quarantine.delete(cid.toString())) throw missing(cid)
    this.bytes.set(cid.toString(), Uint8Array.from(bytes))
  }
  async *list(): AsyncGenerator<{ cid: CID; size: number }> {
    for (const [key, bytes] of this.bytes) yield { cid: CID.parse(key), size: bytes.length }
  }
  total(): number {
    let sum = 0
    for (const bytes of this.bytes.values()) sum += bytes.length
    return sum
  }
  /** A restart: drafts are left behind, nobody has them open. */
  restart(): void {
    for (const id of [...this.draftBlocks.keys()]) if (id.startsWith('open ')) this.draftBlocks.delete(id)
  }
  flip(cid: CID): void {
    const bytes = this.bytes.get(cid.toString())
    if (bytes === undefined) throw missing(cid)
    const changed = Uint8Array.from(bytes)
    changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1
    this.bytes.set(cid.toString(), changed)
  }
  #sweep(keys: Iterable<string>): void {
    for (const key of keys) {
      if (this.references.has(key)) continue
      if ([...this.draftBlocks.values()].some((set) => set.has(key))) continue
      this.bytes.delete(key)
      this.#quarantine.delete(key)
    }
  }
}

export interface Faults {
  /** Called for every list of bytes the node sends on a stream it was asked on; may wait, change, or throw to break off. */
  sending?: (parts: Uint8Array[], sent: number) => Promise<Uint8Array[]>
  /** Nobody can open a stream to it. */
  unreachable?: boolean
}

/** Streams between nodes in one process, each direction a queue of a few pieces. */
export class MemoryNetwork {
  readonly #cut = new Set<NodeId>()
  readonly #returns = new Emitter<{ connected: NodeId }>()
  readonly #protocols = new Map<NodeId, Map<string, BulkProtocol>>()
  readonly faults = new Map<NodeId, Faults>()
  readonly providers = new Map<string, Set<NodeId>>()
  lookups = 0
  streams = 0

  bulk(self: NodeId): Bulk {
    const protocols = new Map<string, BulkProtocol>()
    this.#protocols.set(self, protocols)
    return {
      register: (protocol) => {
        protocols.set(protocol.id, protocol)
      },
      open: async (peer, id, { signal }) => {
        signal?.throwIfAborted()
        await Promise.resolve()
        const protocol = this.#protocols.get(peer)?.get(id)
        if (protocol === undefined || this.faults.get(peer)?.unreachable === true) throw new CodedError('UNAVAILABLE', `${peer} cannot be reached`)
        this.streams++
        const there = new BoundedQueue<Uint8Array>(64)
        const back = new BoundedQueue<Uint8Array>(64)
        const stop = new AbortController()
        const abort = (error: Error): void => {
          there.fail(error)
          back.fail(error)
          stop.abort(error)
        }
        let sent = 0
        const remote: ByteStream = {
          peer: self,
          send: async (bytes) => {
            let parts = bytes instanceof Uint8Array ? [bytes] : [...bytes]
            const fault = this.faults.get(peer)?.sending
            if (fault !== undefined) {
              try {
                parts = await fault(parts, sent)
              } catch (error) {
                abort(error as Error)
                throw error
              }
            }
            for (const part of parts) {
              sent += part.length
              await back.push(part, stop.signal)
            }
          },
          received: there,
          closeSend: async () => back.end(),
          abort,
        }
        void protocol.handle(remote, stop.signal).catch(abort)
        return {
          peer,
          send: async (bytes) => {
            for (const part of bytes instanceof Uint8Array ? [bytes] : bytes) await there.push(part, stop.signal)
          },
          received: back,
          closeSend: async () => there.end(),
          abort,
        }
      },
    }
  }

  routing(self: NodeId): ContentRouting {
    return {
      provide: async (cids) => {
        for (const cid of cids) this.providers.set(cid, (this.providers.get(cid) ?? new Set()).add(self))
      },
      unprovide: async (cids) => {
        for (const cid of cids) this.providers.get(cid)?.delete(self)
      },
      findProviders: (cid) => this.#find(cid, self),
    }
  }

  async *#find(cid: string, self: NodeId): AsyncGenerator<NodeId> {
    this.lookups++
    for (const peer of this.providers.get(cid) ?? []) if (peer !== self) yield peer
  }

  /** All connections to the peer go; nobody gets there until it is mended. */
  cut(peer: NodeId): void {
    this.#cut.add(peer)
    this.faults.set(peer, { unreachable: true, sending: () => Promise.reject(new Error('the connection is gone')) })
  }

  mend(peer: NodeId): void {
    this.#cut.delete(peer)
    this.faults.delete(peer)
    this.#returns.emit('connected', peer)
  }

  connections(self: NodeId): Connections {
    return {
      self,
      connected: () => [...this.#protocols.keys()].filter((peer) => !this.#cut.has(peer)),
      isConnected: (peer) => this.#protocols.has(peer) && !this.#cut.has(peer),
      rttMs: () => 1,
      on: (name, listener) => (name === 'connected' ? this.#returns.on('connected', listener) : () => undefined),
    }
  }
}

export function nodeId(number: number): NodeId {
  const raw = new Uint8Array(32)
  new DataView(raw.buffer).setUint32(0, number + 1)
  return nodeIdOfPublicKey(raw)
}
