import { setMaxListeners } from 'node:events'
import type { Clock, Log, NodeId, Random, Rpc, RpcMethod } from '../../base/index.js'
import { CommonError, messageOf } from '../../base/index.js'
import type { Frame } from '../frames.js'
import { decodeFrame, encodeFrame, frameMessagesMax } from '../frames.js'
import type { PeerMessage, Reply, Request } from '../messages.js'
import { ConsensusError } from '../types.js'
import { Parcels } from './parcels.js'

/** What the mesh's rpc carries at most. A larger frame (a snapshot of some 10⁴ scopes) goes as a parcel. */
const frameBytesMax = 2 * 1024 * 1024
/** Frames of one peer that are served at once: each waits for at most two syncs. */
const framesInFlightMax = 64
/** Longer than any try: a late answer is worth nothing. */
const frameDeadlineMs = 5000
/** A frame that carries or asks for a snapshot: fetched in pieces, decoded, and on disk before the answer. */
const snapshotDeadlineMs = 60_000
/** Messages that wait for one peer. More, and the oldest are dropped, as a network would. */
const queueMax = 4096

export interface TransportHandlers {
  /** Requests of one peer; resolves with their replies once all of these are durable. */
  readonly requests: (requests: readonly Request[]) => Promise<Reply[]>
  readonly replies: (replies: readonly Reply[]) => void
  readonly peer: (from: NodeId, message: PeerMessage) => void
}

interface Outbox {
  requests: Request[]
  peers: PeerMessage[]
  scheduled: boolean
}

/**
 * Frames over rpc: what is sent to one peer within a tick travels together, so that one write, one read and one synced
 * batch serve it all. What is lost is lost: the rounds try again by themselves.
 */
export class Transport {
  readonly #rpc: Rpc
  readonly #log: Log
  readonly #self: NodeId
  readonly #handlers: TransportHandlers
  readonly #parcels: Parcels
  readonly #outboxes = new Map<NodeId, Outbox>()
  #signal: AbortSignal | undefined

  constructor(components: { rpc: Rpc; clock: Clock; random: Random; log: Log }, init: { self: NodeId; handlers: TransportHandlers }) {
    this.#rpc = components.rpc
    this.#log = components.log
    this.#self = init.self
    this.#handlers = init.handlers
    this.#parcels = new Parcels(components)
    this.#rpc.register(this.#method())
  }

  start(signal: AbortSignal): void {
    const stopping = new AbortController()
    // Every frame under way listens, and goes when it ends: to peers that stand still that is many at once, and no leak. A
    // signal of our own, so that the one that was given still tells of others'.
    setMaxListeners(0, stopping.signal)
    this.#signal = stopping.signal
    signal.addEventListener('abort', () => {
      stopping.abort(signal.reason)
      this.#parcels.stop()
    }, { once: true })
  }

  request(to: NodeId, request: Request): void {
    const outbox = this.#outbox(to)
    if (outbox.requests.length >= queueMax) outbox.requests.shift()
    outbox.requests.push(request)
  }

  peer(to: NodeId, message: PeerMessage): void {
    const outbox = this.#outbox(to)
    if (outbox.peers.length >= queueMax) outbox.peers.shift()
    outbox.peers.push(message)
  }

  #outbox(to: NodeId): Outbox {
    let outbox = this.#outboxes.get(to)
    if (outbox === undefined) this.#outboxes.set(to, (outbox = { requests: [], peers: [], scheduled: false }))
    if (!outbox.scheduled) {
      outbox.scheduled = true
      this.#schedule(to, outbox)
    }
    return outbox
  }

  /** After everything that this turn of the event loop still does. */
  #schedule(to: NodeId, outbox: Outbox, isLate = false): void {
    setImmediate(() => {
      // Others first: a majority waits for the quickest of them, while this node's own voter has no way to go.
      if (to === this.#self && !isLate && [...this.#outboxes.values()].some((other) => other !== outbox && other.scheduled)) {
        this.#schedule(to, outbox, true)
        return
      }
      outbox.scheduled = false
      this.#flush(to, outbox)
    })
  }

  #flush(to: NodeId, outbox: Outbox): void {
    if (this.#signal === undefined || this.#signal.aborted) return
    // On their own: no renewal should wait until megabytes are copied.
    const large = outbox.requests.filter(hasSnapshot)
    const small = outbox.requests.filter((request) => !hasSnapshot(request))
    while (small.length > 0 || outbox.peers.length > 0) {
      const requests = small.splice(0, frameMessagesMax)
      const peers = outbox.peers.splice(0, frameMessagesMax)
      void (to === this.#self ? this.#toSelf(requests, peers) : this.#send(to, { requests, replies: [], peers }, frameDeadlineMs))
    }
    for (const request of large) void (to === this.#self ? this.#toSelf([request], []) : this.#send(to, { requests: [request], replies: [], peers: [] }, snapshotDeadlineMs))
    this.#outboxes.delete(to)
  }

  async #toSelf(requests: readonly Request[], peers: readonly PeerMessage[]): Promise<void> {
    for (const message of peers) this.#handlers.peer(this.#self, message)
    if (requests.length === 0) return
    await this.#handlers.requests(requests).then((replies) => { this.#handlers.replies(replies) }, (error: unknown) => {
      this.#log.warn('own voter did not answer', { error: messageOf(error) })
    })
  }

  async #send(to: NodeId, frame: Frame, deadlineMs: number): Promise<void> {
    const signal = this.#signal
    if (signal === undefined) return
    try {
      const answer = await this.#rpc.request(to, 'lease.frame', this.#packed(to, frame), { deadlineMs, signal })
      const { replies } = await this.#unpacked(to, answer, signal)
      this.#handlers.replies(replies)
    } catch (error) {
      this.#log.debug('a lease frame was not answered', { to, error: messageOf(error) })
    }
  }

  #packed(to: NodeId, frame: Frame): Uint8Array {
    const bytes = encodeFrame(frame)
    return bytes.length <= frameBytesMax ? bytes : encodeFrame({ requests: [], replies: [], peers: [], parcel: this.#parcels.offer(to, bytes) })
  }

  async #unpacked(from: NodeId, bytes: Uint8Array, signal: AbortSignal): Promise<Frame> {
    const frame = decodeFrame(bytes)
    if (frame.parcel === undefined) return frame
    const content = decodeFrame(await this.#parcels.fetch(from, frame.parcel, signal))
    if (content.parcel !== undefined) throw new ConsensusError('BAD_MESSAGE', 'a parcel within a parcel')
    return content
  }

  #method(): RpcMethod {
    return {
      name: 'lease.frame', requestBytesMax: frameBytesMax, responseBytesMax: frameBytesMax, inFlightMax: framesInFlightMax,
      handle: async (body, { from, signal }) => {
        const frame = await this.#unpacked(from, body, signal)
        if (this.#signal === undefined) throw new CommonError('UNAVAILABLE', 'this node is starting')
        // Nobody speaks under another's name; replies come only where they were asked for.
        if (frame.requests.some(({ sender }) => sender.node !== from)) throw new CommonError('FORBIDDEN', 'a request under another node\'s name')
        // Whoever asks for hundreds of chunks at once has this node hold all of them at once.
        if (frame.requests.length > 1 && frame.requests.some(isOfBase)) throw new ConsensusError('BAD_MESSAGE', 'what is of a base has a frame of its own')
        for (const message of frame.peers) this.#handlers.peer(from, message)
        const replies = frame.requests.length === 0 ? [] : await this.#handlers.requests(frame.requests)
        return this.#packed(from, { requests: [], replies, peers: [] })
      },
    }
  }
}

/** A page or a chunk: half a megabyte, asked for or brought. */
function isOfBase({ body }: Request): boolean {
  return body.kind === 'rows' || body.kind === 'base' || body.kind === 'base-chunk'
}

function hasSnapshot(request: Request): boolean {
  const { body } = request
  return isOfBase(request) || body.kind === 'stage' || body.kind === 'snapshot' || body.kind === 'fetch' || (body.kind === 'activate' && body.snapshot !== undefined)
}
