import type { Cancel, Clock, NodeId, Random, Rpc } from '../base/index.js'
import { codeOf } from '../base/index.js'

export interface PulseInit {
  pingMs: number
  deadlineMs: number
}

/** Pings in a row that may stay without an answer: one is a lost minute of a busy machine, two are a dead connection. */
const missesMax = 2
/** After a wake-up every connection is suspect, and those alive answer at once. */
const wakeDeadlineMs = 3_000

const method = 'net.ping'
const nothing = new Uint8Array(0)

/**
 * Asks every connected peer for nothing now and then: measures the round trip as requests see it, and finds connections
 * whose other end is gone without having said so (a pulled cable, a router that forgot the mapping, a machine asleep),
 * which TCP alone would notice after a quarter of an hour.
 */
export class Pulse {
  readonly #rpc: Rpc
  readonly #clock: Clock
  readonly #random: Random
  readonly #measured: (peer: NodeId, rttMs: number) => void
  readonly #giveUp: (peer: NodeId) => void
  readonly #init: PulseInit
  readonly #peers = new Map<NodeId, { misses: number; cancel: Cancel }>()
  #stopped = false

  constructor(
    components: { rpc: Rpc; clock: Clock; random: Random; measured: (peer: NodeId, rttMs: number) => void; giveUp: (peer: NodeId) => void },
    init: PulseInit,
  ) {
    this.#rpc = components.rpc
    this.#clock = components.clock
    this.#random = components.random
    this.#measured = components.measured
    this.#giveUp = components.giveUp
    this.#init = init
    this.#rpc.register({ name: method, requestBytesMax: 0, responseBytesMax: 0, inFlightMax: 4, handle: async () => nothing })
  }

  add(peer: NodeId): void {
    if (this.#stopped || this.#peers.has(peer)) return
    this.#peers.set(peer, { misses: 0, cancel: () => undefined })
    void this.#ping(peer, this.#init.deadlineMs, missesMax)
  }

  remove(peer: NodeId): void {
    this.#peers.get(peer)?.cancel()
    this.#peers.delete(peer)
  }

  /** Right after a wake-up: who does not answer soon is cut loose, so that it can be redialled. */
  async checkAll(): Promise<void> {
    await Promise.all(
      [...this.#peers].map(([peer, state]) => {
        state.cancel()
        return this.#ping(peer, wakeDeadlineMs, 1)
      }),
    )
  }

  stop(): void {
    this.#stopped = true
    for (const peer of [...this.#peers.keys()]) this.remove(peer)
  }

  async #ping(peer: NodeId, deadlineMs: number, misses: number): Promise<void> {
    const state = this.#peers.get(peer)
    if (state === undefined) return
    const startMs = this.#clock.monotonicMs()
    try {
      await this.#rpc.request(peer, method, nothing, { deadlineMs })
      state.misses = 0
      this.#measured(peer, this.#clock.monotonicMs() - startMs)
    } catch (error) {
      // An error that the peer sent is an answer too.
      if (codeOf(error) === 'DEADLINE') state.misses++
      else state.misses = 0
    }
    if (this.#stopped || this.#peers.get(peer) !== state) return
    if (state.misses >= misses) {
      this.#giveUp(peer)
      return
    }
    state.cancel = this.#clock.setTimer(this.#init.pingMs * (0.75 + 0.5 * this.#random.float()), () => void this.#ping(peer, this.#init.deadlineMs, missesMax))
  }
}
