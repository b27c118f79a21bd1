import type { CID } from 'multiformats/cid'
import type { BlockStore } from '../store/index.js'
import { abortReason, codeOf, messageOf, withDeadline, type BulkProtocol, type ByteStream, type Clock, type Log } from '../base/index.js'
import { ByteBudget } from './byte-budget.js'
import { keyOf } from './cids.js'
import { FramingError, readFrames } from './frames.js'
import { decodeRequest, encodeAnswer, Status } from './messages.js'
import { blockBytesMax } from './settings.js'
import type { Withheld } from './withheld.js'

/**
 * The holder's side of /mesh/blob/1: names in, blocks out, in the order they were asked for. It knows no DAGs: which
 * blocks, and in which order, is the requester's business, so a hostile DAG costs the holder nothing.
 *
 * Bounds: wants that wait per stream, streams per peer, blocks in memory per stream and on all streams. A requester
 * that does not read stops its own stream only, and is hung up on after a while; sixteen to thirty-two such streams are all that is in
 * memory, and others wait that long.
 */
export const blobProtocolId = '/mesh/blob/1'

/** One in use and one that is just being closed or opened again. */
const streamsPerPeerMax = 2
/** The requester keeps fewer in flight; more breaks the protocol. */
export const wantsInFlightMax = 1024
/** Read from disk at once for one stream: about this much, while as much again is being sent. */
const batchBytes = 2 * 2 ** 20
const batchBlocksMax = 32
const batchBlocksFirst = 2
/** In memory for all streams. Others wait: disks and lines do not get faster by more. */
const batchesBytesMax = 64 * 2 ** 20
/** For a batch to leave: 2 MiB in a minute is a line of 0.3 Mbit/s. Slower, and it would keep others from being served. */
const sendMs = 60_000
/**
 * So long a requester waits for what is withheld, mostly milliseconds, and then for nothing: its stream ends. To it that is a
 * holder which did not answer in time, to be asked again or not; that nobody has the block would be wrong. Half of what
 * makes a holder late.
 */
const withheldMs = 10_000

export interface ResponderComponents {
  blocks: BlockStore
  clock: Clock
  log: Log
  /** Here, and not to be sent at the moment. */
  withheld: Withheld
  onServed: (blocks: number, bytes: number) => void
  /** A block of ours could not be read. */
  onUnreadable: (cid: CID) => void
}

interface Want {
  id: number
  /** Undefined for a name that is no CID of this mesh. */
  cid: CID | undefined
  cancelled?: boolean
  /** When it was found to be withheld first; elapsed time. */
  withheldAtMs?: number
}

/** Answers as they go out. */
interface Batch {
  readonly parts: Uint8Array[]
  /** Of the blocks in it, how many they are, and how large one was. */
  readonly bytes: number
  readonly served: number
  readonly blockBytes: number
}

/** A block; or none, since it cannot be read, is not here, or was not its turn. */
type Found = Uint8Array | 'failed' | 'unread' | undefined

export class Responder {
  readonly #components: ResponderComponents
  readonly #budget = new ByteBudget(batchesBytesMax)
  /** As many as this node makes copies at once. */
  readonly #watched = new Map<string, Set<(bytes: Uint8Array) => void>>()

  constructor(components: ResponderComponents) {
    this.#components = components
  }

  /** Lends `listener` the block each time it is sent, until the returned function is called. */
  watch(cid: CID, listener: (bytes: Uint8Array) => void): () => void {
    const key = keyOf(cid)
    const listeners = this.#watched.get(key) ?? new Set()
    this.#watched.set(key, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#watched.get(key) === listeners) this.#watched.delete(key)
    }
  }

  protocol(): BulkProtocol {
    return { id: blobProtocolId, inboundMax: streamsPerPeerMax, handle: (stream, signal) => this.#serve(stream, signal) }
  }

  async #serve(stream: ByteStream, outer: AbortSignal): Promise<void> {
    const stop = new AbortController()
    const signal = AbortSignal.any([outer, stop.signal])
    const queue = new WantQueue()
    signal.addEventListener('abort', () => queue.end(), { once: true })
    const sending = this.#send(stream, queue, signal, (error) => stop.abort(error)).catch((error: unknown) => {
      stop.abort(error)
      // A requester that says nothing would hold the stream, and what is on its way to it, for as long as it likes.
      stream.abort(error instanceof Error ? error : new Error('ended'))
      throw error
    })
    sending.catch(() => undefined)
    try {
      for await (const frame of readFrames(stream.received, { payloadBytesMax: 0 })) {
        if (signal.aborted) throw abortReason(signal)
        const request = decodeRequest(frame.message)
        for (const id of request.cancels) queue.cancel(id)
        for (const want of request.wants) queue.add(want)
      }
      queue.end()
      await sending
      await stream.closeSend()
    } catch (error) {
      this.#components.log.debug('a blob stream ended early', { peer: stream.peer, reason: messageOf(error) })
      queue.end()
      stop.abort(error)
      stream.abort(error instanceof Error ? error : new Error('ended'))
      await sending.catch(() => undefined)
    }
  }

  /** While one batch is on its way the next is read, or the line would be idle for as long as the disk takes. */
  async #send(stream: ByteStream, queue: WantQueue, signal: AbortSignal, onFailed: (error: unknown) => void): Promise<void> {
    let batchSize = batchBlocksFirst
    let sending: Promise<void> = Promise.resolve()
    try {
      for (;;) {
        const { lifted } = this.#components.withheld
        const { wants, skipped } = await queue.take(batchSize, (want) => this.#isWithheld(want))
        if (signal.aborted) throw abortReason(signal)
        if (wants.length === 0) {
          if (skipped.length === 0) break
          await this.#untilSooner(skipped, Promise.race([lifted, queue.added()]), signal)
          continue
        }
        await this.#budget.take(batchBytes, signal)
        let batch: Batch
        try {
          batch = await this.#readBatch(queue, wants)
          // Small blocks: as many at once as make a batch. A guess, since sizes are known only once they are read.
          batchSize = Math.max(1, Math.min(batchBlocksMax, batchSize * 2, Math.floor(batchBytes / Math.max(1, batch.blockBytes))))
          await sending
        } catch (error) {
          this.#budget.release(batchBytes)
          throw error
        }
        sending = this.#sendBatch(stream, batch, signal).finally(() => {
          this.#budget.release(batchBytes)
        })
        // Awaited with the next batch, or at the end; the next want may never come.
        sending.catch(onFailed)
      }
    } finally {
      await sending
    }
  }

  #isWithheld(want: Want): boolean {
    const { withheld, clock } = this.#components
    if (want.cid === undefined || want.cancelled === true || !withheld.has(want.cid)) return false
    want.withheldAtMs ??= clock.monotonicMs()
    return true
  }

  /** Waits for `change`; throws when one of these has waited for too long. */
  async #untilSooner(wants: readonly Want[], change: Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock } = this.#components
    const sinceMs = Math.min(...wants.map((want) => want.withheldAtMs ?? clock.monotonicMs()))
    await withDeadline(clock, Math.max(0, sinceMs + withheldMs - clock.monotonicMs()), signal, () => change)
  }

  /** How many there are is a guess: what passes the size of a batch stays for the next one, and is not read before. */
  async #readBatch(queue: WantQueue, wants: readonly Want[]): Promise<Batch> {
    const blocks = await this.#read(wants)
    const parts: Uint8Array[] = []
    let bytes = 0
    let served = 0
    let readBytes = 0
    let read = 0
    const later: Want[] = []
    wants.forEach((want, i) => {
      const block = blocks[i]
      if (block === 'unread') {
        later.push(want)
        return
      }
      read++
      if (block instanceof Uint8Array) readBytes += block.length
      if (want.cancelled === true) parts.push(...encodeAnswer(want.id, Status.CANCELLED))
      else if (!(block instanceof Uint8Array)) parts.push(...encodeAnswer(want.id, block === 'failed' ? Status.FAILED : Status.NOT_FOUND))
      else if (block.length > blockBytesMax) parts.push(...encodeAnswer(want.id, Status.FAILED))
      else if (bytes > 0 && bytes + block.length > batchBytes) later.push(want)
      else {
        parts.push(...encodeAnswer(want.id, Status.OK, block))
        bytes += block.length
        served++
        this.#tell(want, block)
      }
    })
    queue.putBack(later)
    return { parts, bytes, served, blockBytes: readBytes / Math.max(1, read) }
  }

  #tell({ cid }: Want, block: Uint8Array): void {
    if (this.#watched.size === 0 || cid === undefined) return
    for (const listener of this.#watched.get(keyOf(cid)) ?? []) listener(block)
  }

  async #sendBatch(stream: ByteStream, { parts, bytes, served }: Batch, signal: AbortSignal): Promise<void> {
    await withDeadline(this.#components.clock, sendMs, signal, () => stream.send(joinedWhereSmall(parts)))
    this.#components.onServed(served, bytes)
  }

  async #read(wants: readonly Want[]): Promise<Found[]> {
    const cids = wants.flatMap((want) => (want.cancelled === true ? [] : want.cid ?? []))
    let found: Found[]
    try {
      found = await this.#components.blocks.getMany(cids, { bytesMax: batchBytes })
    } catch {
      // One bad block must not hide the others.
      found = await this.#readOneByOne(cids)
    }
    let next = 0
    return wants.map((want) => {
      if (want.cid === undefined || want.cancelled === true) return undefined
      return next < found.length ? found[next++] : 'unread'
    })
  }

  async #readOneByOne(cids: readonly CID[]): Promise<Found[]> {
    const found: Found[] = []
    let bytes = 0
    for (const cid of cids) {
      if (bytes >= batchBytes) break
      const block = await this.#readOne(cid)
      if (block instanceof Uint8Array) bytes += block.length
      found.push(block)
    }
    return found
  }

  async #readOne(cid: CID): Promise<Uint8Array | 'failed' | undefined> {
    try {
      return await this.#components.blocks.get(cid)
    } catch (error) {
      if (codeOf(error) === 'NOT_FOUND') return undefined
      this.#components.onUnreadable(cid)
      return 'failed'
    }
  }
}

/** Parts up to this size are copied into one: a trip through the stream costs more than copying 32 KiB. */
const joinedPartMax = 32 * 1024
/** And so many bytes together: what the streams beneath cut larger things into anyway. */
const joinedBytesMax = 256 * 1024

function joinedWhereSmall(parts: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = []
  let small: Uint8Array[] = []
  let bytes = 0
  const flush = (): void => {
    if (small.length > 0) joined.push(small.length === 1 && small[0] !== undefined ? small[0] : Buffer.concat(small, bytes))
    small = []
    bytes = 0
  }
  for (const part of parts) {
    if (part.length > joinedPartMax || bytes + part.length > joinedBytesMax) flush()
    if (part.length > joinedPartMax) joined.push(part)
    else {
      small.push(part)
      bytes += part.length
    }
  }
  flush()
  return joined
}

/** Wants in the order they came. */
class WantQueue {
  #wants = new Map<number, Want>()
  #ended = false
  #wake: (() => void) | undefined
  #wakeOther: (() => void) | undefined

  add(want: Want): void {
    if (this.#wants.size >= wantsInFlightMax) throw new FramingError(`more than ${wantsInFlightMax} blocks wanted at once`)
    if (this.#wants.has(want.id)) throw new FramingError('the same id twice')
    this.#wants.set(want.id, want)
    this.#wake?.()
    this.#wakeOther?.()
  }

  /** Resolves when another want comes. */
  added(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeOther = resolve
    })
  }

  putBack(wants: readonly Want[]): void {
    if (wants.length > 0) this.#wants = new Map([...wants.map((want) => [want.id, want] as const), ...this.#wants])
  }

  /** It is answered in its turn, without its block. Too late is no error: then the block has been sent. */
  cancel(id: number): void {
    const want = this.#wants.get(id)
    if (want !== undefined) want.cancelled = true
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /** At most `count`, past those to be skipped; none, and none skipped, once all have been taken and no more will come. */
  async take(count: number, isSkipped: (want: Want) => boolean): Promise<{ wants: Want[]; skipped: Want[] }> {
    while (this.#wants.size === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    const wants: Want[] = []
    const skipped: Want[] = []
    for (const [id, want] of this.#wants) {
      if (wants.length >= count) break
      if (isSkipped(want)) {
        skipped.push(want)
        continue
      }
      this.#wants.delete(id)
      wants.push(want)
    }
    return { wants, skipped }
  }
}
