import type { CID } from 'multiformats/cid'
import { messageOf, spareMemory, withDeadline, type Bulk, type ByteStream, type Clock, type NodeId } from '../base/index.js'
import type { ByteBudget } from './byte-budget.js'
import { FramingError, frameTaker } from './frames.js'
import { isWhatItSays } from './hashing.js'
import { decodeAnswer, encodeRequest, Status, wantsPerMessageMax } from './messages.js'
import { blobProtocolId, wantsInFlightMax } from './responder.js'
import { blockBytesMax } from './settings.js'

/** How one want ended, other than with its block. */
export type Refusal =
  /** The holder does not have it, or cannot read it. */
  | 'lacking'
  /** The bytes were not what the CID says. */
  | 'corrupt'
  /** The stream broke, never opened, or nothing came for too long. */
  | 'unreachable'
  /** The holder broke the protocol. */
  | 'broken'
  | 'cancelled'

export class RefusedError extends Error {
  override name = 'RefusedError'
  readonly refusal: Refusal

  constructor(refusal: Refusal, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.refusal = refusal
  }
}

export interface WantHandle {
  /** Resolves with `deliver`'s outcome, rejects with a RefusedError, or with what `deliver` threw. */
  readonly done: Promise<void>
  /** Not wanted any more. If the block comes all the same it is thrown away. */
  cancel(): void
}

interface Pending {
  cid: CID
  deliver: (bytes: Uint8Array) => Promise<void>
  resolve: () => void
  reject: (error: unknown) => void
  cancelled: boolean
}

export interface ChannelComponents {
  bulk: Bulk
  clock: Clock
  /** Bytes received and not delivered yet, of all channels. */
  budget: ByteBudget
}

export interface ChannelInit {
  peer: NodeId
  openMs: number
  stallMs: number
  onClosed: (refusal: Refusal, framing: boolean) => void
}

/**
 * The requester's side of one stream to one holder. Wants of everybody who asks in the same tick travel in one message,
 * which is what makes ten thousand small files as cheap as one large one. Each block is verified before anybody sees it.
 */
export class Channel {
  readonly #components: ChannelComponents
  readonly #init: ChannelInit
  readonly #pending = new Map<number, Pending>()
  #queued: { id: number; cid: CID }[] = []
  #cancels: number[] = []
  #nextId = 0
  #stream: ByteStream | undefined
  #sending = false
  #closed: RefusedError | undefined
  #progressMs: number
  /** While we ourselves hold back the stream (disk slower than the line) its silence is not the holder's. */
  #heldBack = 0
  readonly #stop = new AbortController()

  constructor(components: ChannelComponents, init: ChannelInit) {
    this.#components = components
    this.#init = init
    this.#progressMs = components.clock.monotonicMs()
    void this.#run()
  }

  get closed(): boolean {
    return this.#closed !== undefined
  }

  get idle(): boolean {
    return this.#pending.size === 0
  }

  /** Since when nothing was asked or answered. */
  get progressMs(): number {
    return this.#progressMs
  }

  want(cid: CID, deliver: (bytes: Uint8Array) => Promise<void>): WantHandle {
    if (this.#closed !== undefined) return { done: Promise.reject(this.#closed), cancel: () => undefined }
    if (this.idle) this.#progressMs = this.#components.clock.monotonicMs()
    const id = this.#nextId
    // Ids may run out on a stream that lives for years; it starts over, the oldest are long answered.
    this.#nextId = (this.#nextId + 1) % 2 ** 31
    const done = new Promise<void>((resolve, reject) => {
      this.#pending.set(id, { cid, deliver, resolve, reject, cancelled: false })
    })
    done.catch(() => undefined)
    this.#queued.push({ id, cid })
    void this.#send()
    return { done, cancel: () => this.#cancel(id) }
  }

  close(reason: RefusedError, framing = false): void {
    if (this.#closed !== undefined) return
    this.#closed = reason
    this.#stop.abort(reason)
    this.#stream?.abort(reason)
    for (const pending of this.#pending.values()) pending.reject(reason)
    this.#pending.clear()
    this.#queued = []
    this.#init.onClosed(reason.refusal, framing)
  }

  #cancel(id: number): void {
    const pending = this.#pending.get(id)
    if (pending === undefined || pending.cancelled) return
    pending.cancelled = true
    pending.reject(new RefusedError('cancelled', 'no longer wanted'))
    const queued = this.#queued.findIndex((want) => want.id === id)
    if (queued >= 0) {
      this.#queued.splice(queued, 1)
      this.#pending.delete(id)
      return
    }
    this.#cancels.push(id)
    void this.#send()
  }

  async #run(): Promise<void> {
    const { bulk, clock } = this.#components
    const { peer, openMs, stallMs } = this.#init
    try {
      this.#stream = await withDeadline(clock, openMs, this.#stop.signal, (signal) => bulk.open(peer, blobProtocolId, { signal }))
    } catch (error) {
      this.close(new RefusedError('unreachable', `no stream to ${peer}: ${messageOf(error)}`, { cause: error }))
      return
    }
    if (this.closed) {
      this.#stream.abort(new Error('no longer wanted'))
      return
    }
    void this.#send()
    this.#watch(stallMs)
    try {
      await this.#receive(this.#stream)
      this.close(new RefusedError('unreachable', `${peer} ended the stream`))
    } catch (error) {
      const framing = error instanceof FramingError
      this.close(new RefusedError(framing ? 'broken' : 'unreachable', `${peer}: ${messageOf(error)}`, { cause: error }), framing)
    }
  }

  async #receive(stream: ByteStream): Promise<void> {
    const { budget, clock } = this.#components
    let taken = 0
    let isOver = false
    const giveBack = (): void => {
      if (taken > 0) budget.release(taken)
      taken = 0
    }
    const frames = frameTaker({
      payloadBytesMax: blockBytesMax,
      beforePayload: (bytes) => {
        if (budget.tryTake(bytes)) {
          taken = bytes
          return undefined
        }
        return this.#waitForBudget(bytes).then(() => {
          taken = bytes
          // Granted when nobody waits for it any more.
          if (isOver) giveBack()
        })
      },
      allocate: (bytes) => spareMemory.take(bytes),
      onFrame: ({ message, payload }) => {
        const bytes = taken
        taken = 0
        const pending = this.#answered(decodeAnswer(message), payload.length)
        if (pending !== undefined) {
          void this.#deliver(pending, payload).finally(() => budget.release(bytes))
          return
        }
        budget.release(bytes)
        spareMemory.release(payload)
      },
    })
    const take = (piece: Uint8Array): Promise<void> | undefined => {
      this.#progressMs = clock.monotonicMs()
      return frames.take(piece)
    }
    try {
      if (stream.receive !== undefined) await stream.receive(take)
      else for await (const piece of stream.received) await take(piece)
      frames.end()
    } finally {
      // What was taken for a payload that never came whole.
      isOver = true
      giveBack()
    }
  }

  async #waitForBudget(bytes: number): Promise<void> {
    this.#heldBack++
    try {
      await this.#components.budget.take(bytes, this.#stop.signal)
    } finally {
      this.#heldBack--
      this.#progressMs = this.#components.clock.monotonicMs()
    }
  }

  /** The want whose block is in the frame, or undefined if it was refused or is no longer wanted. */
  #answered({ id, status }: { id: number; status: Status }, payloadBytes: number): Pending | undefined {
    const pending = this.#pending.get(id)
    if (pending === undefined) throw new FramingError('an answer nobody asked for')
    if (payloadBytes > 0 && status !== Status.OK) throw new FramingError('a payload with a refusal')
    this.#pending.delete(id)
    if (this.#queued.length > 0) void this.#send()
    if (pending.cancelled) return undefined
    if (status === Status.OK) return pending
    pending.reject(new RefusedError('lacking', `${this.#init.peer} does not have ${pending.cid.toString()}`))
    return undefined
  }

  async #deliver(pending: Pending, bytes: Uint8Array): Promise<void> {
    try {
      if (!(await isWhatItSays(pending.cid, bytes))) {
        throw new RefusedError('corrupt', `${this.#init.peer} sent ${pending.cid.toString()} with other bytes`)
      }
      await pending.deliver(bytes)
      pending.resolve()
    } catch (error) {
      pending.reject(error)
    }
  }

  async #send(): Promise<void> {
    if (this.#sending || this.#stream === undefined) return
    this.#sending = true
    try {
      // One turn, so that all who ask in this tick are in the same message.
      await Promise.resolve()
      while (!this.closed) {
        // What was sent and is not answered yet has a bound, which the holder holds us to.
        const room = wantsInFlightMax - (this.#pending.size - this.#queued.length)
        const wants = this.#queued.splice(0, Math.min(room, wantsPerMessageMax))
        if (wants.length === 0 && this.#cancels.length === 0) break
        const cancels = this.#cancels.splice(0, wantsPerMessageMax)
        await this.#stream.send(this.#messages(wants, cancels))
      }
    } catch (error) {
      this.close(new RefusedError('unreachable', `${this.#init.peer}: ${messageOf(error)}`, { cause: error }))
    } finally {
      this.#sending = false
    }
  }

  /** Ids run on within a message; where a cancelled want left a gap a new one begins. */
  #messages(wants: readonly { id: number; cid: CID }[], cancels: readonly number[]): Uint8Array[] {
    const frames: Uint8Array[] = []
    let from = 0
    for (let i = 1; i <= wants.length; i++) {
      const first = wants[from]
      if (first === undefined || (i < wants.length && wants[i]?.id === first.id + (i - from))) continue
      frames.push(...encodeRequest(first.id, wants.slice(from, i).map((want) => want.cid), []))
      from = i
    }
    if (cancels.length > 0) frames.push(...encodeRequest(0, [], cancels))
    return frames
  }

  #watch(stallMs: number): void {
    const { clock } = this.#components
    const check = (): void => {
      if (this.closed) return
      if (!this.idle && this.#heldBack === 0 && clock.monotonicMs() - this.#progressMs > stallMs) {
        this.close(new RefusedError('unreachable', `${this.#init.peer} sent nothing for ${stallMs} ms`))
        return
      }
      clock.setTimer(stallMs / 4, check)
    }
    clock.setTimer(stallMs / 4, check)
  }
}
