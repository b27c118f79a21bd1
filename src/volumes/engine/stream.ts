import { setMaxListeners } from 'node:events'
import type { Clock, Connections, Log, NodeId, Random, Rpc } from '../../base/index.js'
import { invariant, spareMemory } from '../../base/index.js'
import type { BlockRange } from '../geometry.js'
import type { AppendRefusal, Content, LogEntry, Origin, ReplicaDisk, SegmentId } from '../replica-types.js'
import type { Segment } from '../segment.js'
import { entriesPerFrameMax } from './append-frames.js'
import type { Replica } from './replica.js'
import type { ReplicaLinks } from './replica-links.js'
import { Room } from './room.js'
import { Sender } from './sender.js'
import { TailMemory } from './tail-memory.js'
import { messageContentBytes } from './verbs.js'

/** What a stream's entry is made of; its place in the stream is the stream's business. */
export interface Piece extends BlockRange {
  readonly content: Content
  readonly bytes: Uint8Array
  readonly origin?: Origin
}

/** Entries kept in memory for replicas that are close behind; who is further behind is served from the disk. */
const tailBytesMax = 32 * 1024 * 1024
/**
 * From here on a writer waits for the replicas. Enough to keep both disks busy beside what clients have under way, and a
 * link of 1 Gbit/s with the round trip of the farthest replica.
 */
const lagBytes = { min: 4 * 1024 * 1024, max: 16 * 1024 * 1024, perMs: 128 * 1024 }
/** After so many writes in a row that were each flushed alone, the next one's sync begins with the write. */
const rhythmMin = 3
/** What an entry costs beside its bytes: trims of nothing are not free either. */
export const entryOverheadBytes = 128

export interface StreamComponents {
  readonly disk: ReplicaDisk
  readonly replica: Replica
  readonly rpc: Rpc
  readonly links: ReplicaLinks
  readonly connections: Pick<Connections, 'rttMs'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface StreamInit {
  readonly id: SegmentId
  readonly token: number
  readonly self: NodeId
  /** The end of the stream on this disk. */
  readonly end: number
  readonly view: () => Segment | undefined
  /** Somebody knows a newer value of the register. */
  readonly outdated: () => Promise<void>
  /** A replica lacks entries that are settled and gone: it has to leave, and to be brought up anew. Never rejects. */
  readonly lacking: (node: NodeId) => Promise<void>
}

/**
 * The writes of one holder under one token of one segment: numbered, appended to this node's disk, and sent in order to
 * each replica, by a sender of its own, so that a slow one does not hold up the others.
 */
export class Stream {
  readonly token: number
  readonly #components: StreamComponents
  readonly #init: StreamInit
  /** Entries after `#tailBase`, in order; those past `#end` are not on the disk yet. */
  #tail: LogEntry[] = []
  #tailBase: number
  #tailBytes = 0
  readonly #tailMemory = new TailMemory()
  /** Up to here it is on this node's disk, and may be sent. */
  #end: number
  #next: number
  #inFlight = 0
  #broken: Promise<void> | undefined
  #mend: (() => void) | undefined
  #drained: (() => void) | undefined
  #settled = 0
  #configuration = -1
  #unflushedBytes = 0
  readonly #room: Room
  /** Flushes in a row that had one entry to cover, and where the last one stood. */
  #rhythm = 0
  #flushed: number
  /** A flush up to here is expected: the replicas have been told, or, if there are none, this disk's sync has begun. */
  #foreseen: { readonly through: number; readonly synced: Promise<void> | undefined } | undefined
  readonly #senders = new Map<NodeId, Sender>()
  readonly #stop = new AbortController()

  constructor(components: StreamComponents, init: StreamInit) {
    this.#components = components
    this.#init = init
    this.token = init.token
    this.#end = init.end
    this.#next = init.end + 1
    this.#tailBase = init.end
    this.#flushed = init.end
    this.#room = new Room(components, { isFull: () => !this.stopped && this.#tailBytes > this.#lagBytesMax() })
    // One listener for each sender and its request.
    setMaxListeners(0, this.#stop.signal)
  }

  /** The last entry that is on this disk. */
  get end(): number {
    return this.#end
  }

  /** Every replica has synced up to here. */
  get settled(): number {
    return this.#settled
  }

  get unflushedBytes(): number {
    return this.#unflushedBytes
  }

  get stopped(): boolean {
    return this.#stop.signal.aborted
  }

  /** The token is not this node's any more. */
  stop(): void {
    this.#stop.abort()
    this.#room.look(false)
    for (const sender of this.#senders.values()) sender.wake()
  }

  /**
   * Resolves with the number of the last piece when all are on this disk; `fenced` when the disk takes nothing under this
   * token or configuration any more. Rejects with the disk's error: then none of them counts.
   */
  append(pieces: readonly Piece[]): Promise<number | 'fenced'> {
    if (this.#isBroken()) return this.#appendMended(pieces)
    // Another may number under this token by now.
    if (this.stopped) return Promise.resolve('fenced')
    const configuration = this.#init.view()?.configuration ?? 0
    const entries: LogEntry[] = []
    for (const { start, blocks, content, bytes, origin } of pieces) {
      const entry = { start, blocks, content, bytes, token: this.token, sequence: this.#next++, configuration }
      entries.push(this.#keep(origin === undefined ? entry : { ...entry, origin }))
    }
    const last = this.#next - 1
    this.#inFlight++
    return this.#components.replica.appendOwn(this.#init.id, entries).then(
      (refusal) => {
        if (refusal !== undefined || this.#isBroken()) return this.#refused(refusal, last)
        this.#inFlight--
        invariant(last >= this.#end, 'entries reach the disk in order')
        this.#end = last
        if (!this.#foresee()) for (const sender of this.#senders.values()) sender.wake()
        if (this.#inFlight === 0) this.#drained?.()
        return last
      },
      async (error: unknown) => {
        this.#break()
        await this.#ended()
        throw error
      },
    )
  }

  async #appendMended(pieces: readonly Piece[]): Promise<number | 'fenced'> {
    while (this.#isBroken()) await this.#broken
    return this.append(pieces)
  }

  /** An append that the disk refused, or one that was taken while another one failed. */
  async #refused(refusal: AppendRefusal | undefined, last: number): Promise<number | 'fenced'> {
    if (refusal !== undefined) this.#break()
    await this.#ended()
    if (refusal?.type === 'gap') throw new Error(`the stream has a gap: ${String(refusal.next)} is needed`)
    return refusal === undefined ? last : 'fenced'
  }

  /** Of an append, while the stream is broken. */
  async #ended(): Promise<void> {
    this.#inFlight--
    if (this.#isBroken() && this.#inFlight === 0) await this.#repair()
    if (this.#inFlight === 0) this.#drained?.()
  }

  /** After `stop`: resolves when nothing of it is on its way to the disk any more. */
  async drained(): Promise<void> {
    if (this.#inFlight > 0) await new Promise<void>((resolve) => { this.#drained = resolve })
  }

  /** What this node's senders should be: one for each other replica, in sync or joining. */
  adjust(): void {
    if (this.stopped) return
    const segment = this.#init.view()
    const wanted = new Set([...(segment?.replicas ?? []), ...(segment?.joining ?? [])])
    wanted.delete(this.#init.self)
    const isNewSet = segment !== undefined && segment.configuration !== this.#configuration
    this.#configuration = segment?.configuration ?? this.#configuration
    for (const [node, sender] of this.#senders) {
      if (wanted.has(node)) {
        if (isNewSet) sender.doubt()
        continue
      }
      sender.stop()
      this.#senders.delete(node)
    }
    if (wanted.size === 0) this.#forget()
    for (const node of wanted) {
      if (this.#senders.has(node)) continue
      const sender = new Sender(this.#components, { ...this.#init, node, stream: this, signal: this.#stop.signal })
      this.#senders.set(node, sender)
      sender.start()
    }
  }

  /** Resolves true when the replica has synced the stream up to `through`; false when the signal aborts first, or it is none. */
  synced(node: NodeId, through: number, signal: AbortSignal): Promise<boolean> {
    return this.#senders.get(node)?.synced(through, signal) ?? Promise.resolve(false)
  }

  /**
   * A flush of everything up to now has come: this disk's sync. Who flushes each write (a database's log, a file system
   * that is mounted so) is foreseen: then it has been under way since the write, at the replicas, or here if there are none.
   */
  async sync(): Promise<void> {
    const foreseen = this.#foreseen
    this.#foreseen = undefined
    if (this.#end > this.#flushed) this.#rhythm = this.#end === this.#flushed + 1 ? this.#rhythm + 1 : 0
    this.#flushed = this.#end
    const synced = foreseen?.through === this.#end ? foreseen.synced : undefined
    return synced ?? this.#components.disk.sync()
  }

  /** False: no flush is expected of what has just reached this disk. */
  #foresee(): boolean {
    // Another write came where a flush was expected.
    if (this.#foreseen !== undefined) this.#rhythm = 0
    this.#foreseen = undefined
    if (this.#rhythm < rhythmMin || this.#inFlight > 0 || this.#end !== this.#flushed + 1) return false
    for (const sender of this.#senders.values()) sender.foresee(this.#end)
    // Where there are replicas, theirs is the longer way: this disk's sync would only be in it, and waits for the flush.
    const synced = this.#senders.size === 0 ? this.#components.disk.sync() : undefined
    synced?.catch(() => undefined)
    this.#foreseen = { through: this.#end, synced }
    return true
  }

  /** A flush covered everything up to here. */
  settle(through: number, bytes: number): void {
    this.#settled = Math.max(this.#settled, through)
    this.#unflushedBytes = Math.max(0, this.#unflushedBytes - bytes)
    this.trim()
  }

  /** Replicas that have not heard what is settled, and are sent nothing else, hear it. */
  tell(): void {
    for (const sender of this.#senders.values()) sender.tell()
  }

  /** Of the replicas, so far that `room` may say something. */
  get isAhead(): boolean {
    return this.#tailBytes > lagBytes.min
  }

  /** Undefined, or resolves when the replicas have come closer, or do not. */
  room(): Promise<void> | undefined {
    return this.isAhead ? this.#room.wait() : undefined
  }

  /** About a message's worth of entries after `after`, of those that are on the disk. For the caller to release. */
  batch(after: number): LogEntry[] | Promise<LogEntry[]> {
    if (after >= this.#end) return []
    if (after < this.#tailBase) return this.#components.disk.entries(this.#init.id, this.token, after, messageContentBytes)
    const batch: LogEntry[] = []
    let bytes = 0
    for (let i = after - this.#tailBase; i < this.#tail.length; i++) {
      const entry = this.#tail[i] as LogEntry
      bytes += entry.bytes.length
      if (entry.sequence > this.#end || (batch.length > 0 && bytes > messageContentBytes) || batch.length >= entriesPerFrameMax) break
      batch.push(entry)
      spareMemory.share(entry.bytes)
    }
    return batch
  }

  /** Whether as many bytes wait behind `after`. Looks at no more entries than it needs to. */
  hasAfter(after: number, bytes: number): boolean {
    if (after < this.#tailBase) return true
    let found = 0
    for (let i = after - this.#tailBase; i < this.#tail.length && found < bytes; i++) {
      const entry = this.#tail[i] as LogEntry
      if (entry.sequence > this.#end) break
      found += entry.bytes.length + entryOverheadBytes
    }
    return found >= bytes
  }

  /** Lets go of what no sender needs from memory. */
  trim(): void {
    let needed = this.#end
    for (const sender of this.#senders.values()) needed = Math.min(needed, sender.position)
    let drop = 0
    while (drop < this.#tail.length) {
      const entry = this.#tail[drop] as LogEntry
      if (entry.sequence > this.#end || (entry.sequence > needed && this.#tailBytes <= tailBytesMax)) break
      this.#tailBytes -= entry.bytes.length
      spareMemory.release(entry.bytes)
      drop++
    }
    // In large steps: taking from the front of a long list moves the rest of it.
    if (drop === this.#tail.length) {
      this.#tail = []
      this.#tailMemory.letGo()
    } else if (drop > 0) this.#tail.splice(0, drop)
    this.#tailBase += drop
    // What is missing in memory makes the tail look short.
    this.#room.look(needed >= this.#tailBase && this.#tailBytes <= lagBytes.min)
  }

  #lagBytesMax(): number {
    let most = 0
    for (const node of this.#senders.keys()) most = Math.max(most, this.#components.connections.rttMs(node) ?? 0)
    return Math.min(lagBytes.max, Math.max(lagBytes.min, most * lagBytes.perMs))
  }

  /** With nobody to send to it is not kept: its bytes are the caller's again when it is on the disk. */
  #keep(entry: LogEntry): LogEntry {
    this.#unflushedBytes += entry.bytes.length + entryOverheadBytes
    if (this.#senders.size === 0) {
      this.#tailBase = entry.sequence
      return entry
    }
    const kept = { ...entry, bytes: this.#tailMemory.copyOf(entry.bytes) }
    this.#tail.push(kept)
    this.#tailBytes += kept.bytes.length
    if (this.#tailBytes > tailBytesMax) this.trim()
    return kept
  }

  /** Lets go of all of the tail: whoever comes is served from the disk. */
  #forget(): void {
    for (const entry of this.#tail) if (entry.sequence <= this.#end) spareMemory.release(entry.bytes)
    this.#tail = []
    this.#tailBytes = 0
    this.#tailBase = this.#next - 1
    this.#tailMemory.letGo()
    this.#room.look(true)
  }

  #isBroken(): boolean {
    return this.#broken !== undefined
  }

  #break(): void {
    this.#broken ??= new Promise((resolve) => { this.#mend = resolve })
  }

  /** After an append that failed, once nothing is under way: the disk says where the stream goes on. */
  async #repair(): Promise<void> {
    const end = await this.#components.disk.streamEnd(this.#init.id, this.token)
    if (this.#inFlight > 0) return
    this.#end = Math.max(this.#end, end)
    this.#next = this.#end + 1
    this.#tail = []
    this.#tailBytes = 0
    this.#tailBase = this.#end
    this.#broken = undefined
    this.#mend?.()
    for (const sender of this.#senders.values()) sender.wake()
  }
}
