import type { Cancel, Clock, NodeId, Random, Rpc } from '../base/index.js'
import { codeOf } from '../base/index.js'
import { RemoteError } from './types.js'

export interface PulseInit {
  pingMs: number
  deadlineMs: number
}

/** Pings in a row that may stay without an answer: one is a lost minute of a busy machine, two are a dead connection. */
const missesMax = 2
/** After a wake-up every connection is suspect, and those alive answer at once. */
const wakeDeadlineMs = 3_000
/**
 * So is the one there is when its peer connects once more. Mostly both have only dialled in the same moment, perhaps on busy
 * machines, so that is asked twice, and with more patience.
 */
const suspectDeadlineMs = 5_000

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
  readonly #heardMs: (peer: NodeId) => number | undefined
  readonly #init: PulseInit
  readonly #peers = new Map<NodeId, Watched>()
  #stopped = false

  constructor(
    components: {
      rpc: Rpc
      clock: Clock
      random: Random
      measured: (peer: NodeId, rttMs: number) => void
      giveUp: (peer: NodeId) => void
      /** When the peer last answered anything; elapsed time. */
      heardMs: (peer: NodeId) => number | undefined
    },
    init: PulseInit,
  ) {
    this.#rpc = components.rpc
    this.#clock = components.clock
    this.#random = components.random
    this.#measured = components.measured
    this.#giveUp = components.giveUp
    this.#heardMs = components.heardMs
    this.#init = init
    this.#rpc.register({ name: method, requestBytesMax: 0, responseBytesMax: 0, inFlightMax: 4, handle: async () => nothing })
  }

  add(peer: NodeId): void {
    if (this.#stopped || this.#peers.has(peer)) return
    this.#peers.set(peer, { sinceMs: this.#clock.monotonicMs(), misses: 0, asked: 0, isSuspect: false, cancel: () => undefined })
    void this.#ping(peer, this.#init.deadlineMs, missesMax)
  }

  remove(peer: NodeId): void {
    this.#peers.get(peer)?.cancel()
    this.#peers.delete(peer)
  }

  /** It has connected again while there is a connection: is anybody at the other end of that one? */
  suspect(peer: NodeId): void {
    const state = this.#peers.get(peer)
    if (this.#stopped || state === undefined || state.isSuspect) return
    state.isSuspect = true
    state.misses = 0
    void this.#ping(peer, suspectDeadlineMs, missesMax)
  }

  /** Right after a wake-up: who does not answer soon is cut loose, so that it can be redialled. */
  async checkAll(): Promise<void> {
    await Promise.all([...this.#peers.keys()].map((peer) => this.#ping(peer, wakeDeadlineMs, 1)))
  }

  stop(): void {
    this.#stopped = true
    for (const peer of [...this.#peers.keys()]) this.remove(peer)
  }

  async #ping(peer: NodeId, deadlineMs: number, misses: number): Promise<void> {
    const state = this.#peers.get(peer)
    if (state === undefined) return
    state.cancel()
    const asked = ++state.asked
    const startMs = this.#clock.monotonicMs()
    let missed = false
    try {
      await this.#rpc.request(peer, method, nothing, { deadlineMs })
      this.#measured(peer, this.#clock.monotonicMs() - startMs)
    } catch (error) {
      missed = codeOf(error) === 'DEADLINE' || (!(error instanceof RemoteError) && this.#isSilent(peer, state))
    }
    // Asked once more meanwhile: that one's answer counts, and goes on.
    if (this.#stopped || this.#peers.get(peer) !== state || state.asked !== asked) return
    state.misses = missed ? state.misses + 1 : 0
    if (!missed) state.isSuspect = false
    if (state.misses >= misses) {
      state.misses = 0
      state.isSuspect = false
      this.#giveUp(peer)
      // It may take a moment until that is seen.
      if (this.#peers.get(peer) !== state) return
    }
    const waitMs = state.isSuspect ? 0 : this.#init.pingMs * (0.75 + 0.5 * this.#random.float())
    state.cancel = this.#clock.setTimer(waitMs, () => void this.#ping(peer, state.isSuspect ? suspectDeadlineMs : this.#init.deadlineMs, missesMax))
  }

  /**
   * A question that did not leave this node says nothing by itself: so much may be under way to a busy peer that there is no
   * place for one more. To a dead one as much is under way, and nothing comes back.
   */
  #isSilent(peer: NodeId, { sinceMs }: Watched): boolean {
    return this.#clock.monotonicMs() - Math.max(sinceMs, this.#heardMs(peer) ?? 0) >= this.#init.deadlineMs
  }
}

interface Watched {
  /** When it connected; elapsed time. */
  readonly sinceMs: number
  /** Pings in a row without an answer. */
  misses: number
  /** Pings so far: only the last one says how it goes on. */
  asked: number
  isSuspect: boolean
  cancel: Cancel
}
