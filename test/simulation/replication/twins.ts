/** In-memory twins of the rooms that replication works with: enough of each to be worked with, with the same rules. */
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import type { KeyRange, KeyValue, NodeId, Rpc, RpcMethod, WriteOperation } from '../../../src/base/index.js'
import { Emitter } from '../../../src/base/index.js'
import type { BlobRef, FetchOptions, HeldBlob } from '../../../src/blobs/index.js'
import { BlobError } from '../../../src/blobs/index.js'
import type { CatalogChange, FileRecord, Priority } from '../../../src/catalog/index.js'
import type { Member, MembershipEvents } from '../../../src/membership/index.js'
import type { ReplicationComponents } from '../../../src/replication/index.js'
import type { StoreUsage } from '../../../src/store/index.js'
import type { VirtualClock } from '../net-clock.js'
import type { SimulatedNetwork, SimulatedNode } from '../net-twin.js'

export function cidOf(name: string): CID {
  return CID.create(1, raw.code, createDigest(0x12, createHash('sha256').update(name).digest()))
}

/** Content that is a function of the blob and the place in it, so that nobody has to keep it. */
export function contentOf(cid: CID, offset: number, length: number): Uint8Array {
  // Rows of 32 bytes: the digest, each byte changed by the row's number. By words, since proofs are made of megabytes of it.
  const firstRow = offset >>> 5
  const words = new Uint32Array((((offset + length + 31) >>> 5) - firstRow) * 8)
  const seed = new Uint32Array(8)
  new Uint8Array(seed.buffer).set(cid.multihash.digest.subarray(0, 32))
  for (let i = 0; i < words.length; i++) words[i] = (seed[i & 7] ?? 0) ^ (((firstRow + (i >>> 3)) & 0xff) * 0x01010101)
  return new Uint8Array(words.buffer, offset & 31, length)
}

export class MemoryKeyValue implements KeyValue {
  readonly #map: Map<string, Uint8Array>
  readonly #prefix: string

  constructor(map = new Map<string, Uint8Array>(), prefix = '') {
    this.#map = map
    this.#prefix = prefix
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#map.get(this.#full(key))
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key)))
  }

  async *entries(range: KeyRange = {}): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
    if (Object.keys(range).length > 0) throw new Error('the twin reads whole slices only')
    for (const key of [...this.#map.keys()].filter((one) => one.startsWith(this.#prefix)).sort()) {
      yield [Buffer.from(key.slice(this.#prefix.length), 'latin1'), this.#map.get(key)!]
    }
  }

  put(key: Uint8Array, value: Uint8Array): WriteOperation {
    return { type: 'put', key: Buffer.from(this.#full(key), 'latin1'), value }
  }

  del(key: Uint8Array): WriteOperation {
    return { type: 'del', key: Buffer.from(this.#full(key), 'latin1') }
  }

  async write(operations: readonly WriteOperation[]): Promise<void> {
    for (const operation of operations) {
      const key = Buffer.from(operation.key).toString('latin1')
      if (operation.type === 'put') this.#map.set(key, operation.value)
      else this.#map.delete(key)
    }
  }

  slice(prefix: string): KeyValue {
    return new MemoryKeyValue(this.#map, this.#prefix + prefix)
  }

  #full(key: Uint8Array): string {
    return this.#prefix + Buffer.from(key).toString('latin1')
  }
}

/** The disk of one node: what survives a restart. */
export interface Disk {
  readonly held: Map<string, HeldBlob>
  draftBytes: number
  garbageBytes: number
  readonly meta: Map<string, Uint8Array>
  readonly records: Map<string, FileRecord>
  /** Held, and not to be read; seconds after somebody tried it is mended, as the scrub does. */
  readonly rotten: Set<string>
}

export const newDisk = (): Disk => ({ held: new Map(), rotten: new Set(), draftBytes: 0, garbageBytes: 0, meta: new Map(), records: new Map() })

const recordBytes = 300

export function usageOf(disk: Disk): StoreUsage {
  const liveBytes = [...disk.held.values()].reduce((sum, one) => sum + one.bytes, 0)
  const metadataBytes = recordBytes * disk.held.size
  return { totalBytes: liveBytes + disk.draftBytes + disk.garbageBytes + metadataBytes, liveBytes, draftBytes: disk.draftBytes, reclaimableBytes: disk.garbageBytes, logBytes: 0, metadataBytes, blocks: disk.held.size, quarantined: 0 }
}

export interface BlobWorld {
  readonly clock: VirtualClock
  readonly network: SimulatedNetwork
  readonly disks: Map<NodeId, Disk>
  readonly sizes: Map<string, number>
  /** For files of several blobs. */
  readonly parts: Map<string, string[]>
  bytesPerSecond: number
  /** Who says it has stored, and has not. */
  readonly liars: Set<NodeId>
  /** node and blob → how many withhold it there: nobody gets it from there then. */
  readonly withheld: Map<string, number>
  /** node and blob → who is told when it is sent from there. */
  readonly served: Map<string, Set<(content: Uint8Array) => void>>
}

const smallBytes = 256 * 1024

export class TwinBlobs implements Pick<ReplicationComponents['blobs'], 'fetch' | 'held' | 'list' | 'drop' | 'read' | 'describe' | 'blobsOf' | 'withhold' | 'whenServed'> {
  readonly #world: BlobWorld
  readonly #self: NodeId
  readonly #disk: Disk

  constructor(world: BlobWorld, self: NodeId, disk: Disk) {
    this.#world = world
    this.#self = self
    this.#disk = disk
  }

  put(cid: CID, bytes: number, kind: 'dag' | 'spine' = 'dag'): void {
    this.#world.sizes.set(cid.toString(), bytes)
    this.#disk.held.set(cid.toString(), { cid, kind, bytes, blocks: Math.ceil(bytes / 2 ** 20), heldSinceMs: this.#world.clock.wallMs() })
  }

  async fetch(blob: BlobRef, options: FetchOptions = {}): Promise<HeldBlob> {
    const key = blob.cid.toString()
    const bytes = this.#world.sizes.get(key)
    if (bytes === undefined) throw new BlobError('NO_HOLDERS', 'nobody has it')
    if (this.#world.liars.has(this.#self)) return { ...blob, bytes, blocks: 1, heldSinceMs: this.#world.clock.wallMs() }
    const parts = 4
    let drafted = 0
    try {
      for (let i = 0; i < parts; i++) {
        await this.#world.clock.sleep((1000 * bytes) / parts / this.#world.bytesPerSecond, options.signal)
        const from = (options.holders ?? []).find((id) => this.#world.network.canReach(this.#self, id) && this.servesFrom(id, key))
        if (from === undefined) throw new BlobError('HOLDERS_UNREACHABLE', 'no holder answers')
        const part = i === parts - 1 ? bytes - drafted : Math.floor(bytes / parts)
        this.#disk.draftBytes += part
        drafted += part
        options.onProgress?.({ bytes: drafted, total: bytes })
      }
    } catch (error) {
      this.#disk.garbageBytes += drafted
      this.#disk.draftBytes -= drafted
      throw error
    }
    this.#disk.draftBytes -= drafted
    const held: HeldBlob = { ...blob, bytes, blocks: Math.ceil(bytes / 2 ** 20), heldSinceMs: this.#world.clock.wallMs() }
    this.#disk.held.set(key, held)
    const from = (options.holders ?? []).find((id) => this.servesFrom(id, key))
    const listeners = this.#world.served.get(`${from ?? ''} ${key}`)
    // Small ones only: what a simulated blob consists of is made up byte by byte.
    if (blob.kind === 'dag' && bytes <= smallBytes && (listeners !== undefined || options.onContent !== undefined)) {
      const content = contentOf(blob.cid, 0, bytes)
      for (const listener of listeners ?? []) listener(content)
      options.onContent?.(content)
    }
    return held
  }

  whenServed(cid: CID, listener: (content: Uint8Array) => void): () => void {
    const key = `${this.#self} ${cid.toString()}`
    const { served } = this.#world
    const listeners = served.get(key) ?? new Set()
    served.set(key, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) served.delete(key)
    }
  }

  async held(cid: CID): Promise<HeldBlob | undefined> {
    const found = this.#disk.held.get(cid.toString())
    if (found === undefined && this.#world.liars.has(this.#self)) {
      const bytes = this.#world.sizes.get(cid.toString())
      return bytes === undefined ? undefined : { cid, kind: 'dag', bytes, blocks: 1, heldSinceMs: 0 }
    }
    return found
  }

  async heldMany(cids: readonly CID[]): Promise<(HeldBlob | undefined)[]> {
    return Promise.all(cids.map(async (cid) => this.held(cid)))
  }

  async *list(): AsyncGenerator<HeldBlob> {
    yield* [...this.#disk.held.values()]
  }

  async drop(cid: CID, options: { stillUnwanted?: () => Promise<boolean> } = {}): Promise<void> {
    const held = this.#disk.held.get(cid.toString())
    // As on a real disk: between the decision and the deed there is a wait.
    await this.#world.clock.sleep(5)
    if ((await options.stillUnwanted?.()) === false) return
    if (held !== undefined && this.#disk.held.delete(cid.toString())) this.#disk.garbageBytes += held.bytes
  }

  async *read(root: CID, options: FetchOptions & { offset?: number; length?: number } = {}): AsyncGenerator<Uint8Array> {
    if (!this.#disk.held.has(root.toString())) {
      if (this.#world.liars.has(this.#self)) {
        yield new Uint8Array(options.length ?? 1)
        return
      }
      throw new BlobError('NO_HOLDERS', 'not here')
    }
    const name = root.toString()
    if (this.#disk.rotten.has(name)) {
      this.#world.clock.setTimer(5_000, () => this.#disk.rotten.delete(name))
      throw new BlobError('CORRUPT', 'rotten')
    }
    yield contentOf(root, options.offset ?? 0, options.length ?? 1)
  }

  /** What another node would get from there at this moment. */
  servesFrom(id: NodeId, cid: string): boolean {
    return this.#world.disks.get(id)?.held.has(cid) === true && !this.#world.withheld.has(`${id} ${cid}`)
  }

  async withhold(cid: CID): Promise<() => void> {
    const key = `${this.#self} ${cid.toString()}`
    const { withheld } = this.#world
    withheld.set(key, (withheld.get(key) ?? 0) + 1)
    return () => {
      const left = (withheld.get(key) ?? 1) - 1
      if (left > 0) withheld.set(key, left)
      else withheld.delete(key)
    }
  }

  async describe(root: CID): Promise<{ type: 'file' | 'folder'; size: number }> {
    if (!this.#disk.held.has(root.toString())) throw new BlobError('NO_HOLDERS', 'not here')
    const below = this.#world.parts.get(root.toString()) ?? [root.toString()]
    return { type: 'file', size: below.reduce((sum, cid) => sum + (this.#world.sizes.get(cid) ?? 0), 0) }
  }

  async blobsOf(root: CID): Promise<BlobRef[]> {
    const parts = this.#world.parts.get(root.toString())
    if (parts === undefined) return [{ cid: root, kind: 'dag' }]
    return [...parts.map((part): BlobRef => ({ cid: CID.parse(part), kind: 'dag' })), { cid: root, kind: 'spine' }]
  }
}

/** Paths with the newest version winning; told to others by and by. */
export class TwinCatalog implements Pick<ReplicationComponents['catalog'], 'get' | 'byCid' | 'byCids' | 'on'> {
  readonly #records: Map<string, FileRecord>
  readonly #events = new Emitter<{ change: CatalogChange }>()

  constructor(records: Map<string, FileRecord>) {
    this.#records = records
  }

  async get(path: string): Promise<FileRecord | undefined> {
    const record = this.#records.get(path)
    return record?.content === undefined ? undefined : record
  }

  async byCid(cid: string): Promise<FileRecord[]> {
    return [...this.#records.values()].filter((record) => record.content?.cid === cid)
  }

  async byCids(cids: readonly string[]): Promise<Map<string, FileRecord[]>> {
    return new Map(await Promise.all(cids.map(async (cid) => [cid, await this.byCid(cid)] as const)))
  }

  on(name: 'change', listener: (change: CatalogChange) => void): () => void {
    return this.#events.on(name, listener)
  }

  take(record: FileRecord, local: boolean): boolean {
    const previous = this.#records.get(record.path)
    if (previous !== undefined && previous.modified >= record.modified) return false
    this.#records.set(record.path, record)
    const only = record.content !== undefined && this.all().filter(({ content }) => content?.cid === record.content?.cid).length === 1
    this.#events.emit('change', { path: record.path, previous, current: record, local, only })
    return true
  }

  all(): FileRecord[] {
    return [...this.#records.values()]
  }
}

export function recordOf(path: string, owner: NodeId, modified: number, content: { cid: string; size: number; priority: Priority; replicas: number; pinned?: boolean } | undefined): FileRecord {
  return { path, owner, writer: owner, modified: BigInt(Math.round(modified * 1000)), token: 0n, basis: { modified: 1n, writer: owner }, lineage: [], content: content === undefined ? undefined : { pinned: false, ...content } }
}

/** Who is up, by the connections of the one that looks. */
export class TwinMembership implements Pick<ReplicationComponents['membership'], 'members' | 'isRevoked' | 'on'> {
  readonly #world: SimulatedNetwork
  readonly #node: SimulatedNode
  readonly #events = new Emitter<MembershipEvents>()
  readonly #lastSeen = new Map<NodeId, number>()
  readonly goneAfterMs: number
  readonly places: (id: NodeId) => { region: string; segment: string; power: 'mains' | 'battery' }

  constructor(world: SimulatedNetwork, node: SimulatedNode, goneAfterMs: number, places: (id: NodeId) => { region: string; segment: string; power: 'mains' | 'battery' }) {
    this.#world = world
    this.#node = node
    this.goneAfterMs = goneAfterMs
    this.places = places
    const note = (peer: NodeId): void => {
      this.#lastSeen.set(peer, world.clock.wallMs())
      const member = this.members().find((one) => one.peerId === peer)
      if (member !== undefined) this.#events.emit('changed', member)
    }
    node.on('connected', note)
    node.on('disconnected', note)
  }

  members(): Member[] {
    const nowMs = this.#world.clock.wallMs()
    return [...this.#world.nodes.keys()].map((peerId) => {
      const up = peerId === this.#node.self || this.#node.isConnected(peerId)
      const lastSeenMs = up ? nowMs : (this.#lastSeen.get(peerId) ?? nowMs)
      const state = up ? 'up' : nowMs - lastSeenMs > this.goneAfterMs ? 'gone' : 'suspect'
      return { peerId, name: peerId.slice(-4), ...this.places(peerId), addresses: [], version: '1', startId: '00', state, lastSeenMs, reliability: 1, joinedMs: 0, revoked: false }
    })
  }

  isRevoked(): boolean {
    return false
  }

  on<Name extends keyof MembershipEvents>(name: Name, listener: (event: MembershipEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }
}

/** The network keeps the rows of a node that restarts: they pass on to whoever registered last. */
export class RestartableRpc implements Rpc {
  readonly #rpc: Rpc
  readonly #rows = new Map<string, RpcMethod>()

  constructor(rpc: Rpc) {
    this.#rpc = rpc
  }

  register(method: RpcMethod): void {
    const known = this.#rows.has(method.name)
    this.#rows.set(method.name, method)
    if (!known) this.#rpc.register({ ...method, handle: (body, context) => this.#rows.get(method.name)!.handle(body, context) })
  }

  request(...args: Parameters<Rpc['request']>): Promise<Uint8Array> {
    return this.#rpc.request(...args)
  }
}
