import type { Bulk, ByteStream, Clock, Log, NodeId } from '../../base/index.js'
import { CommonError, messageOf, readFrames } from '../../base/index.js'
import type * as wire from '../wire/volume.js'
import { answerLimits, appendProtocol, decodeAnswer, encodeAppend, joined } from './append-frames.js'
import type { Append } from './append-frames.js'

/** Content under way to one replica, of all streams: what a fast disk takes while an answer comes back over a WAN. */
const bytesInFlightMax = 8 * 1024 * 1024
/** A slow link needs some seconds for a full message; a replica that is silent is the flush's business before. */
const silenceMsMax = 15_000

interface LinkComponents {
  readonly bulk: Bulk
  readonly clock: Clock
  readonly log: Log
}

interface Pending {
  readonly resolve: (answer: wire.AppendAnswer) => void
  readonly reject: (error: Error) => void
}

/** This node's streams of bytes to the replicas of what it holds: one for each node, opened when it is needed. */
export class ReplicaLinks {
  readonly #components: LinkComponents
  readonly #links = new Map<NodeId, ReplicaLink>()
  #signal: AbortSignal | undefined

  constructor(components: LinkComponents) {
    this.#components = components
  }

  /** From here on `signal` ends what is open. */
  start(signal: AbortSignal): void {
    this.#signal = signal
    signal.addEventListener('abort', () => { for (const link of this.#links.values()) link.close() }, { once: true })
  }

  to(node: NodeId): ReplicaLink {
    let link = this.#links.get(node)
    if (link === undefined) this.#links.set(node, (link = new ReplicaLink(this.#components, { node, signal: () => this.#signal })))
    return link
  }
}

/**
 * Entries of all streams to one replica over one bulk stream, many messages at a time: a message leaves when it is there,
 * and not when the one before it was answered. What waits in the muxer is bounded by the stream's `send`, what is under
 * way in all by `reserve`. Whatever breaks the stream fails everything under way: senders know where to go on.
 *
 * Road not taken: a bulk stream for each segment. They would not stand in each other's way, but a volume has thousands,
 * and what several segments have to say in one moment would leave in as many pieces.
 */
export class ReplicaLink {
  readonly #components: LinkComponents
  readonly #node: NodeId
  readonly #signal: () => AbortSignal | undefined
  #number = 0
  readonly #pending = new Map<number, Pending>()
  #queue: Uint8Array[] = []
  #stream: ByteStream | undefined
  #running = false
  #reservedBytes = 0
  readonly #waiting: { readonly bytes: number; readonly enter: () => void }[] = []
  #soon: (() => void)[] = []
  #heardMs = 0
  #isWatched = false

  constructor(components: LinkComponents, init: { node: NodeId; signal: () => AbortSignal | undefined }) {
    this.#components = components
    this.#node = init.node
    this.#signal = init.signal
  }

  /** Calls back after `ms` or less, together with whatever else waits for this replica. */
  soon(ms: number, run: () => void): void {
    this.#soon.push(run)
    if (this.#soon.length > 1) return
    this.#components.clock.setTimer(ms, () => {
      const due = this.#soon
      this.#soon = []
      for (const one of due) one()
    })
  }

  /** Undefined, or resolves when so many bytes may be under way, too; `release` gives them back. */
  reserve(bytes: number): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#hasRoom(bytes)) {
      this.#reservedBytes += bytes
      return undefined
    }
    return new Promise<void>((enter) => this.#waiting.push({ bytes, enter }))
  }

  release(bytes: number): void {
    this.#reservedBytes -= bytes
    for (let first = this.#waiting[0]; first !== undefined && this.#hasRoom(first.bytes); first = this.#waiting[0]) {
      this.#waiting.shift()
      this.#reservedBytes += first.bytes
      first.enter()
    }
  }

  #hasRoom(bytes: number): boolean {
    return this.#reservedBytes === 0 || this.#reservedBytes + bytes <= bytesInFlightMax
  }

  /** In the order of the calls. Rejects when the stream breaks before the answer. */
  append(append: Append): Promise<wire.AppendAnswer> {
    const number = ++this.#number
    return new Promise((resolve, reject) => {
      if (this.#pending.size === 0) this.#heardMs = this.#components.clock.monotonicMs()
      this.#pending.set(number, { resolve, reject })
      this.#queue.push(...encodeAppend(number, append))
      this.#watch()
      if (!this.#running) void this.#run()
    })
  }

  close(): void {
    this.#break(new CommonError('ABORTED', 'the engine ends'))
  }

  /** Sends what is queued; all that was queued in one turn leaves as one. */
  async #run(): Promise<void> {
    this.#running = true
    try {
      await Promise.resolve()
      while (this.#queue.length > 0) {
        const stream = this.#stream ?? (await this.#open())
        const parts = joined(this.#queue)
        this.#queue = []
        await stream.send(parts)
      }
    } catch (error) {
      this.#break(error)
    } finally {
      this.#running = false
    }
  }

  async #open(): Promise<ByteStream> {
    const signal = this.#signal()
    const stream = await this.#components.bulk.open(this.#node, appendProtocol, signal === undefined ? {} : { signal })
    this.#stream = stream
    void this.#listen(stream)
    return stream
  }

  async #listen(stream: ByteStream): Promise<void> {
    let ended: unknown = new CommonError('UNAVAILABLE', 'the replica closed the stream')
    try {
      for await (const frame of readFrames(stream.received, answerLimits)) {
        const { number, answer } = decodeAnswer(frame)
        const pending = this.#pending.get(number)
        this.#pending.delete(number)
        this.#heardMs = this.#components.clock.monotonicMs()
        if (answer === undefined) pending?.reject(new CommonError('UNAVAILABLE', 'the replica failed'))
        else pending?.resolve(answer)
      }
    } catch (error) {
      ended = error
    }
    if (this.#stream === stream) this.#break(ended)
  }

  #watch(): void {
    if (this.#isWatched) return
    this.#isWatched = true
    const { clock } = this.#components
    clock.setTimer(Math.max(1, this.#heardMs + silenceMsMax - clock.monotonicMs()), () => {
      this.#isWatched = false
      if (this.#pending.size === 0) return
      if (clock.monotonicMs() - this.#heardMs >= silenceMsMax) this.#break(new CommonError('DEADLINE', 'the replica does not answer'))
      else this.#watch()
    })
  }

  #break(cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(messageOf(cause))
    const stream = this.#stream
    this.#stream = undefined
    this.#queue = []
    const failed = [...this.#pending.values()]
    this.#pending.clear()
    stream?.abort(error)
    if (failed.length > 0) this.#components.log.debug('a stream to a replica broke', { node: this.#node, error: error.message })
    for (const pending of failed) pending.reject(error)
  }
}
