import type { Bulk, Clock, NodeId } from '../base/index.js'
import { ByteBudget } from './byte-budget.js'
import { Channel, RefusedError } from './channel.js'

export interface ExchangeComponents {
  bulk: Bulk
  clock: Clock
}

export interface ExchangeInit {
  bytesInFlightMax: number
  openMs: number
  stallMs: number
  idleMs: number
  avoidMs: number
}

/** Avoided holders remembered; the oldest are forgotten first. A mesh has fewer members. */
const avoidedMax = 1024

/** One that has sent blocks so lately is expected back when its connection is gone: a machine that slept, a router that began anew. */
const lateMs = 10 * 60_000

/** One stream per holder for all who fetch, and the memory of who sent rubbish. */
export class Exchange {
  readonly #components: ExchangeComponents
  readonly #init: ExchangeInit
  readonly #channels = new Map<NodeId, Channel>()
  readonly #avoided = new Map<NodeId, number>()
  /** When a holder last sent a block. As many as there are members. */
  readonly #served = new Map<NodeId, number>()
  readonly #budget: ByteBudget
  framingErrors = 0
  corruptReceived = 0

  constructor(components: ExchangeComponents, init: ExchangeInit) {
    this.#components = components
    this.#init = init
    this.#budget = new ByteBudget(init.bytesInFlightMax)
  }

  get streams(): number {
    return this.#channels.size
  }

  get inFlightBytes(): number {
    return this.#budget.used
  }

  get avoided(): number {
    return this.#avoided.size
  }

  /** The open channel to a peer, or a new one that is being opened. */
  channel(peer: NodeId): Channel {
    const open = this.#channels.get(peer)
    if (open !== undefined && !open.closed) return open
    const { bulk, clock } = this.#components
    const { openMs, stallMs } = this.#init
    const channel: Channel = new Channel(
      { bulk, clock, budget: this.#budget },
      {
        peer,
        openMs,
        stallMs,
        onClosed: (_refusal, framing) => {
          if (this.#channels.get(peer) === channel) this.#channels.delete(peer)
          if (framing) {
            this.framingErrors++
            this.avoid(peer)
          }
        },
      },
    )
    if (!channel.closed) this.#channels.set(peer, channel)
    this.#closeWhenIdle(channel)
    return channel
  }

  corrupt(peer: NodeId): void {
    this.corruptReceived++
    this.avoid(peer)
  }

  avoid(peer: NodeId): void {
    this.#avoided.delete(peer)
    this.#avoided.set(peer, this.#components.clock.monotonicMs() + this.#init.avoidMs)
    for (const oldest of this.#avoided.keys()) {
      if (this.#avoided.size <= avoidedMax) break
      this.#avoided.delete(oldest)
    }
  }

  isAvoided(peer: NodeId): boolean {
    const until = this.#avoided.get(peer)
    if (until === undefined) return false
    if (this.#components.clock.monotonicMs() < until) return true
    this.#avoided.delete(peer)
    return false
  }

  served(peer: NodeId): void {
    this.#served.set(peer, this.#components.clock.monotonicMs())
  }

  hasServedLately(peer: NodeId): boolean {
    const atMs = this.#served.get(peer)
    return atMs !== undefined && this.#components.clock.monotonicMs() - atMs < lateMs
  }

  /** At a stop: everything under way ends. */
  close(): void {
    for (const channel of [...this.#channels.values()]) channel.close(new RefusedError('cancelled', 'this node is stopping'))
  }

  #closeWhenIdle(channel: Channel): void {
    const { clock } = this.#components
    const check = (): void => {
      if (channel.closed) return
      if (channel.idle && clock.monotonicMs() - channel.progressMs >= this.#init.idleMs) channel.close(new RefusedError('cancelled', 'idle'))
      else clock.setTimer(this.#init.idleMs, check)
    }
    clock.setTimer(this.#init.idleMs, check)
  }
}
