import type { Cancel, Clock, Connections, KeyValue, Log, NodeId, Random, Rpc, RpcMethod } from '../base/index.js'
import { backoffMs, Limiter, messageOf } from '../base/index.js'
import { pull } from './anti-entropy.js'
import { antiEntropyMethods } from './anti-entropy-server.js'
import type { Records } from './records.js'

/** A pull is mostly waiting and writing; two keep a link busy, and a third would only fetch the same. */
const pullsAtOnce = 2
const pullsWaitingMax = 256
/** So that a peer that everybody just heard of is not asked by everybody in the same moment. */
const spreadMs = 500
/**
 * While many files come in the roots always differ, and each side that is asked would ask back, without end: both read much of
 * what they have each time. In larger pieces the same costs a part of it, and is seen elsewhere within seconds all the same.
 */
const restMs = 3000
/** A pull that brought so much is one of many. */
const muchAtOnce = 256
const retry = { minMs: 1000, maxMs: 30_000 }
/** After that, the timer's turn. */
const retriesMax = 5
/**
 * A node back from a long absence that finds only others like it: after an hour it stops waiting for one that stayed.
 */
const returningMsMax = 3600_000

export interface SynchronizerComponents {
  readonly records: Records
  /** Where the time of the last exchange is kept. */
  readonly meta: KeyValue
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface SynchronizerInit {
  readonly antiEntropyIntervalMs: number
  readonly tombstoneLifetimeMs: number
}

export interface SynchronizerNetwork {
  readonly rpc: Rpc
  readonly connections: Connections
}

const lastSyncKey = Buffer.from('lastSync')

/**
 * Decides with whom to exchange when: with every new peer, with one chosen by lot every minute or so, with whoever is
 * found to have something else.
 *
 * A node that was away for longer than tombstones live would bring back what others have deleted and forgotten. It is
 * recognized by the time of its last exchange. Until it has fetched from a node that stayed, others take nothing from
 * it; and of what it had then, it drops what that node does not know. What it wrote since is new, and kept. The bounds
 * of this: it trusts its own wall clock, and two nodes that were away together and met each other meanwhile do not know
 * that they were away.
 */
export class Synchronizer {
  readonly sent = { pulls: 0, pullsFailed: 0 }
  readonly #components: SynchronizerComponents
  readonly #init: SynchronizerInit
  readonly #limiter = new Limiter({ concurrency: pullsAtOnce, queueMax: pullsWaitingMax })
  /** Planned or waiting, not yet begun: one a peer is enough. */
  readonly #planned = new Map<NodeId, Cancel>()
  readonly #running = new Set<Promise<void>>()
  readonly #pulling = new Set<NodeId>()
  readonly #again = new Set<NodeId>()
  readonly #failures = new Map<NodeId, number>()
  /** Not to be asked again before, elapsed time. */
  readonly #restUntilMs = new Map<NodeId, number>()
  /** The root of each peer when we last fetched all that it had. */
  readonly #fetched = new Map<NodeId, Uint8Array>()
  #network: SynchronizerNetwork | undefined
  #signal: AbortSignal | undefined
  #lastSyncMs: number | undefined
  #storedSyncMs = 0
  /** Unix ms of the last exchange before the absence. */
  #awaySinceMs: number | undefined
  #metReturningMs: number | undefined
  #onNews: () => void = () => undefined
  #isRedating = false
  #isToldAhead = false

  constructor(components: SynchronizerComponents, init: SynchronizerInit) {
    this.#components = components
    this.#init = init
  }

  get lastSyncMs(): number | undefined {
    return this.#lastSyncMs
  }

  get isReturning(): boolean {
    return this.#awaySinceMs !== undefined
  }

  async load(): Promise<void> {
    const value = await this.#components.meta.get(lastSyncKey)
    if (value === undefined) return
    this.#lastSyncMs = Number(Buffer.from(value).readBigUInt64BE())
    this.#storedSyncMs = this.#lastSyncMs
    this.#checkAbsence()
  }

  methods(): RpcMethod[] {
    return antiEntropyMethods({
      records: this.#components.records,
      clock: this.#components.clock,
      clocks: this.#components.records.clocks,
      isReturning: () => this.isReturning,
      onDifference: (peer, theirRoot, theyReturn) => {
        if (!theyReturn || this.isReturning) this.hear(peer, theirRoot)
      },
    })
  }

  /** Until the signal aborts. `onNews`: something came in that others may lack. */
  async run(network: SynchronizerNetwork, signal: AbortSignal, onNews: () => void): Promise<void> {
    const { clock, random } = this.#components
    const { connections } = network
    this.#network = network
    this.#signal = signal
    this.#onNews = onNews
    const stops = [
      connections.on('connected', (peer) => this.plan(peer)),
      connections.on('disconnected', (peer) => {
        this.#fetched.delete(peer)
        this.#restUntilMs.delete(peer)
      }),
    ]
    for (const peer of connections.connected()) this.plan(peer)
    while (!signal.aborted) {
      try {
        await clock.sleep(this.#init.antiEntropyIntervalMs * (0.5 + random.float()), signal)
      } catch {
        break
      }
      // A machine that slept for months is back as much as one that was off.
      this.#checkAbsence()
      const peers = connections.connected()
      const peer = peers[random.below(peers.length)]
      if (peer !== undefined) this.plan(peer)
    }
    for (const stop of stops) stop()
    for (const cancel of this.#planned.values()) cancel()
    this.#planned.clear()
    this.#network = undefined
    await Promise.all(this.#running)
  }

  /**
   * A peer has something else than we. Where we have fetched all of exactly this already, and could not take some of it
   * (its time has not come, its writer is unknown), asking again would only make it ask back, and so on: the timer will.
   */
  hear(peer: NodeId, theirRoot: Uint8Array | undefined): void {
    const known = this.#fetched.get(peer)
    if (theirRoot === undefined || known === undefined || Buffer.compare(known, theirRoot) !== 0) this.plan(peer)
  }

  /** Soon, once, with this peer; or if it is not connected, with any. */
  plan(peer: NodeId, waitMs = this.#components.random.float() * spreadMs): void {
    const network = this.#network
    if (network === undefined) return
    const connected = network.connections.connected()
    const other = network.connections.isConnected(peer) ? peer : connected[this.#components.random.below(connected.length)]
    if (other === undefined || this.#planned.has(other)) return
    if (this.#pulling.has(other)) {
      this.#again.add(other)
      return
    }
    const { clock } = this.#components
    const leftMs = (this.#restUntilMs.get(other) ?? Number.NEGATIVE_INFINITY) - clock.monotonicMs()
    this.#planned.set(
      other,
      clock.setTimer(Math.max(waitMs, leftMs), () => {
        const running = this.#pull(other).finally(() => {
          this.#running.delete(running)
        })
        this.#running.add(running)
      }),
    )
  }

  /** Never rejects. */
  async #pull(peer: NodeId): Promise<void> {
    const { log, random } = this.#components
    const signal = this.#signal
    try {
      await this.#limiter.run(async () => {
        this.#planned.delete(peer)
        if (this.#network === undefined || signal === undefined || !this.#network.connections.isConnected(peer)) return
        this.#pulling.add(peer)
        await this.#pullNow(peer, this.#network, signal)
        this.#failures.delete(peer)
      }, signal)
    } catch (error) {
      this.#planned.delete(peer)
      if (signal?.aborted === true) return
      this.sent.pullsFailed++
      log.debug('catalog exchange failed', { peer, error: messageOf(error) })
      const failures = this.#failures.get(peer) ?? 0
      this.#failures.set(peer, failures + 1)
      if (failures >= retriesMax) this.#failures.delete(peer)
      else {
        this.#pulling.delete(peer)
        if (this.#network?.connections.isConnected(peer) === true) this.plan(peer, backoffMs(failures, retry, random))
      }
    } finally {
      this.#pulling.delete(peer)
      if (this.#again.delete(peer)) this.plan(peer)
    }
  }

  async #pullNow(peer: NodeId, network: SynchronizerNetwork, signal: AbortSignal): Promise<void> {
    const { records, clock, log } = this.#components
    this.sent.pulls++
    const awaySinceMs = this.#awaySinceMs
    const started = clock.monotonicMs()
    const pulled = await pull({ records, rpc: network.rpc, clock, clocks: records.clocks, log }, peer, { signal, forgetUntilMs: awaySinceMs })
    await this.#redateIfDue(signal)
    // What differed brought nothing: it is the peer that lacks something, and it knows.
    const isInVain = pulled.peerRoot !== undefined && pulled.accepted + pulled.forgotten === 0
    if (pulled.accepted >= muchAtOnce || isInVain) this.#restUntilMs.set(peer, clock.monotonicMs() + restMs)
    else this.#restUntilMs.delete(peer)
    if (pulled.peerRoot === undefined || (pulled.peerReturning && awaySinceMs === undefined)) this.#fetched.delete(peer)
    else this.#fetched.set(peer, pulled.peerRoot)
    if (pulled.accepted > 0) {
      log.info('catalog: versions fetched', { peer, versions: pulled.accepted, elapsedMs: Math.round(clock.monotonicMs() - started) })
      this.#onNews()
    }
    if (awaySinceMs !== undefined) {
      const now = clock.wallMs()
      this.#metReturningMs ??= now
      if (pulled.peerReturning && now - this.#metReturningMs < returningMsMax) return
      this.#awaySinceMs = undefined
      log.warn('catalog: back after an absence longer than deletions are remembered', { awaySinceMs, forgotten: pulled.forgotten })
      // Now others may learn what was written here meanwhile: being asked makes them ask back.
      for (const other of network.connections.connected()) this.plan(other)
      this.#again.add(peer)
    } else if (pulled.peerReturning) return
    await this.#remember(clock.wallMs())
  }

  /** A clock that was ahead is right again: what was written meanwhile gets a date that others take. */
  async #redateIfDue(signal: AbortSignal): Promise<void> {
    const { records, log } = this.#components
    const ahead = records.clocks.aheadOf()
    if ((ahead !== undefined) !== this.#isToldAhead) {
      this.#isToldAhead = ahead !== undefined
      if (ahead === undefined) log.info('catalog: the clock agrees with those of other nodes again')
      else log.warn('catalog: the clock of this machine is ahead of those of most other nodes: changes made here are refused until it is set right', ahead)
    }
    if (this.#isRedating || !records.isAhead() || !records.clocks.isConfirmed()) return
    this.#isRedating = true
    try {
      const paths = await records.redate(signal)
      log.warn('catalog: the clock was ahead when these files were written here; they have been dated anew', { paths })
      if (paths > 0) this.#onNews()
    } finally {
      this.#isRedating = false
    }
  }

  async #remember(nowMs: number): Promise<void> {
    this.#lastSyncMs = nowMs
    // To the minute is enough for a lifetime of months.
    if (Math.abs(nowMs - this.#storedSyncMs) < 60_000) return
    this.#storedSyncMs = nowMs
    const value = Buffer.alloc(8)
    value.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(nowMs))))
    const { meta } = this.#components
    await meta.write([meta.put(lastSyncKey, value)], { durable: false })
  }

  #checkAbsence(): void {
    const last = this.#lastSyncMs
    if (this.#awaySinceMs !== undefined || last === undefined) return
    if (this.#components.clock.wallMs() - last <= this.#init.tombstoneLifetimeMs) return
    this.#awaySinceMs = last
    this.#metReturningMs = undefined
  }
}
