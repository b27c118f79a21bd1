import { backoffMs, codeOf, messageOf } from '../base/index.js'
import type { Cancel, Clock, Log, NodeId, Random } from '../base/index.js'
import type { NetCode } from './types.js'

export interface RedialInit {
  /** First wait after a failed dial. */
  backoffMsMin: number
  /** No peer is left alone for longer than this, however long it has been away: laptops come back. */
  backoffMsMax: number
  /** One attempt over all addresses of a peer. */
  dialDeadlineMs: number
  dialsMax: number
}

export interface RedialComponents {
  clock: Clock
  random: Random
  log: Log
  isConnected: (peer: NodeId) => boolean
  /** Tries the addresses in order; resolves to who answered. Rejects with a `NetError`. */
  dial: (addresses: readonly string[], signal: AbortSignal) => Promise<NodeId>
}

type TargetState =
  | { readonly name: 'connected' }
  | { readonly name: 'waiting'; readonly cancel: Cancel }
  | { readonly name: 'dialling'; readonly controller: AbortController }
  /** Due, but as many dials as are allowed are under way; the lowest number is next. */
  | { readonly name: 'queued'; readonly turn: number }

interface Target {
  readonly key: string
  /** Unknown for a bootstrap address without a PeerId until somebody answered there. */
  peer: NodeId | undefined
  readonly addresses: () => readonly string[]
  attempt: number
  /** When it was last seen to be connected; elapsed time. */
  connectedMs: number
  state: TargetState
  /** The last reason that was logged: the same one again is not news. */
  lastFailure: string | undefined
}

/**
 * Keeps connections to bootstrap addresses and kept peers for as long as they are targets: dials, and dials again with
 * jittered backoff, without ever giving up. libp2p has no dialler of this kind in this line: its own forgets a peer
 * after five attempts, so that a laptop that slept over lunch is alone.
 */
export class Redialler {
  readonly #components: RedialComponents
  readonly #init: RedialInit
  readonly #targets = new Map<string, Target>()
  #dialling = 0
  #running = false
  #turns = 0

  constructor(components: RedialComponents, init: RedialInit) {
    this.#components = components
    this.#init = init
  }

  /** Adds a target, or gives a known one new addresses to ask for. */
  add(key: string, peer: NodeId | undefined, addresses: () => readonly string[]): void {
    const known = this.#targets.get(key)
    if (known !== undefined && known.addresses === addresses) return
    if (known !== undefined) this.remove(key)
    const target: Target = { key, peer, addresses, attempt: 0, connectedMs: Number.NEGATIVE_INFINITY, state: this.#queued(), lastFailure: undefined }
    this.#targets.set(key, target)
    if (this.#running) this.#consider(target)
  }

  remove(key: string): void {
    const target = this.#targets.get(key)
    if (target === undefined) return
    this.#targets.delete(key)
    this.#leave(target, 'removed')
  }

  removePeer(peer: NodeId): void {
    for (const target of [...this.#targets.values()]) if (target.peer === peer) this.remove(target.key)
  }

  start(): void {
    this.#running = true
    for (const target of this.#targets.values()) this.#consider(target)
  }

  stop(): void {
    this.#running = false
    for (const target of this.#targets.values()) this.#leave(target, 'stopped')
  }

  /**
   * After a wake-up, or a change of network: all waits end, all backoff is forgotten, and dials of before, which may have gone
   * out by a way that is gone, keep no place. Who was connected last comes first: members that have been off for months let
   * a dial run out each, and who is there need not wait for that.
   */
  redialAll(): void {
    if (!this.#running) return
    const targets = [...this.#targets.values()].sort((a, b) => (a.connectedMs === b.connectedMs ? 0 : b.connectedMs - a.connectedMs))
    const ended = targets.filter(({ state }) => state.name === 'dialling')
    for (const target of targets) {
      target.attempt = 0
      if (target.state.name === 'dialling') continue
      this.#leave(target, 'redial')
      this.#consider(target)
    }
    for (const { state } of ended) if (state.name === 'dialling') state.controller.abort(new Error('redial'))
  }

  peerConnected(peer: NodeId): void {
    for (const target of this.#targets.values()) {
      if (target.peer !== peer || target.state.name === 'dialling') continue
      this.#leave(target, 'connected')
      this.#connected(target)
    }
  }

  peerDisconnected(peer: NodeId): void {
    for (const target of this.#targets.values()) {
      if (target.peer !== peer || target.state.name !== 'connected') continue
      target.connectedMs = this.#components.clock.monotonicMs()
      // Both sides see the connection go at the same moment: not both should dial in that moment.
      this.#wait(target)
    }
  }

  /** any -> dialling | queued | connected */
  #consider(target: Target): void {
    if (!this.#running || !this.#targets.has(target.key)) return
    if (target.peer !== undefined && this.#components.isConnected(target.peer)) {
      this.#connected(target)
      return
    }
    if (this.#dialling >= this.#init.dialsMax) {
      target.state = this.#queued()
      return
    }
    void this.#dial(target)
  }

  async #dial(target: Target): Promise<void> {
    const { clock, log, dial } = this.#components
    const controller = new AbortController()
    target.state = { name: 'dialling', controller }
    this.#dialling++
    const cancel = clock.setTimer(this.#init.dialDeadlineMs, () => controller.abort(new Error('nobody answered in time')))
    let failure: unknown
    try {
      const addresses = target.addresses()
      if (addresses.length === 0) throw new Error('no address is known')
      target.peer = await dial(addresses, controller.signal)
    } catch (error) {
      failure = error
    } finally {
      cancel()
      this.#dialling--
    }
    if (!this.#running) return
    this.#next()
    if (this.#targets.get(target.key) !== target) return
    if (failure === undefined && target.peer !== undefined && this.#components.isConnected(target.peer)) {
      log.debug('connected', { peer: target.peer })
      this.#connected(target)
    } else {
      this.#logFailure(target, failure)
      this.#wait(target)
    }
  }

  /** A place among the running dials is free. */
  #next(): void {
    // Whoever has waited longest: in the order of the list, those at its end would never have their turn while enough of those
    // before them are away and come back for another try.
    let next: Target | undefined
    let least = Number.POSITIVE_INFINITY
    for (const target of this.#targets.values()) {
      if (target.state.name !== 'queued' || target.state.turn >= least) continue
      next = target
      least = target.state.turn
    }
    if (next !== undefined) this.#consider(next)
  }

  #queued(): TargetState {
    return { name: 'queued', turn: this.#turns++ }
  }

  #connected(target: Target): void {
    target.state = { name: 'connected' }
    target.connectedMs = this.#components.clock.monotonicMs()
    target.attempt = 0
    target.lastFailure = undefined
  }

  /** dialling | connected -> waiting */
  #wait(target: Target): void {
    const ms = backoffMs(target.attempt, { minMs: this.#init.backoffMsMin, maxMs: this.#init.backoffMsMax }, this.#components.random)
    target.attempt++
    const cancel = this.#components.clock.setTimer(ms, () => this.#consider(target))
    target.state = { name: 'waiting', cancel }
  }

  #leave(target: Target, why: string): void {
    if (target.state.name === 'waiting') target.state.cancel()
    if (target.state.name === 'dialling') target.state.controller.abort(new Error(why))
    target.state = this.#queued()
  }

  #logFailure(target: Target, failure: unknown): void {
    const reason = failure === undefined ? 'the connection did not last' : messageOf(failure)
    // Who is refused should read it; a peer that is merely away is no news after the first time.
    const code = codeOf(failure) as NetCode | undefined
    if (target.lastFailure === reason) return
    target.lastFailure = reason
    const facts = { target: target.key, reason }
    if (code === 'NOT_ADMITTED') this.#components.log.warn('not admitted', facts)
    else this.#components.log.debug('could not connect', facts)
  }
}
