/**
 * Asks one holder at a time, drawn by lot, to prove that it has one blob, drawn by lot among those held here too.
 *
 * A wrong proof is a strike. "I do not have it" may be honest, when its inventory is a moment behind; so it is asked
 * again after its vitals must have come round, and struck if it still lists what it says it has not.
 */
import type { Clock, Connections, Log, NodeId, Random, Rpc } from '../base/index.js'
import { messageOf } from '../base/index.js'
import { check, drawChallenge } from './challenge.js'
import type { Holders } from './holders.js'
import type { HeldEntry, Inventory } from './inventory.js'
import { cidBytes, decode } from './messages.js'
import { isOver } from './pausing.js'
import type { PeerBook } from './peer-book.js'
import type { ReplicationComponents } from './types.js'
import { ChallengeRequest, ChallengeResponse } from './wire/replication.js'

export interface SpotCheckComponents {
  readonly blobs: ReplicationComponents['blobs']
  readonly rpc: Rpc
  readonly connections: Connections
  readonly clock: Clock
  readonly random: Random
  readonly inventory: Inventory
  readonly holders: Holders
  readonly book: PeerBook
  readonly log: Log
}

export interface SpotCheckInit {
  readonly lied: (cid: string, peer: NodeId) => void
  readonly intervalMs: () => number
  /** Not on battery, nor while paused. */
  readonly mayAsk: () => boolean
}

/** An honest answer takes a read and a round trip; who has to fetch the range first may not make it. */
const deadlineMs = 10_000
/** Twice the longest that vitals take. */
const askAgainMs = 10 * 60_000
const deniedMax = 1000

export class SpotCheck {
  readonly #components: SpotCheckComponents
  readonly #init: SpotCheckInit
  readonly #denied: { cid: string; peer: NodeId; atMs: number }[] = []

  constructor(components: SpotCheckComponents, init: SpotCheckInit) {
    this.#components = components
    this.#init = init
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#components
    while (!signal.aborted) {
      try {
        await clock.sleep(this.#init.intervalMs() * (0.5 + random.float()), signal)
        if (this.#init.mayAsk()) await this.once(signal)
      } catch (error) {
        if (isOver(signal)) return
        log.debug('a spot check went wrong', { error: messageOf(error) })
      }
    }
  }

  /** One question. Undefined if there was nobody to ask or no answer; else whether the holder passed. */
  async once(signal: AbortSignal): Promise<boolean | undefined> {
    const { inventory, random, clock, connections, holders, book } = this.#components
    const old = this.#denied[0]
    if (old !== undefined && clock.monotonicMs() - old.atMs >= askAgainMs) {
      this.#denied.shift()
      const entry = inventory.get(old.cid)
      if (entry === undefined || book.inventoryOf(old.peer)?.has(entry.hash) !== true) return undefined
      return this.#ask(entry, old.peer, true, signal)
    }
    const entry = nth(inventory.entries(), random.below(Math.max(1, inventory.size)))
    if (entry === undefined) return undefined
    const claimants = holders.of(entry.cid).filter((peer) => peer !== connections.self && connections.isConnected(peer))
    const peer = claimants[random.below(Math.max(1, claimants.length))]
    return peer === undefined ? undefined : this.#ask(entry, peer, false, signal)
  }

  async #ask(entry: HeldEntry, peer: NodeId, again: boolean, signal: AbortSignal): Promise<boolean | undefined> {
    const { blobs, rpc, random, clock, holders } = this.#components
    const challenge = await drawChallenge(blobs, entry, 'spot', random, signal)
    if (challenge === undefined) return undefined
    let response: ChallengeResponse
    try {
      const body = ChallengeRequest.encode({ cid: cidBytes(entry.cid), challenge })
      response = decode(ChallengeResponse, await rpc.request(peer, 'replication.challenge', body, { deadlineMs, signal }))
    } catch {
      return undefined
    }
    if (response.held) {
      const passed = await check(blobs, entry.cid, challenge, 'spot', peer, response.proof, signal)
      if (passed === false) {
        holders.show(entry.cid, peer, false)
        this.#init.lied(entry.cid, peer)
      }
      return passed
    }
    holders.show(entry.cid, peer, false)
    if (again) this.#init.lied(entry.cid, peer)
    else if (this.#denied.length < deniedMax) this.#denied.push({ cid: entry.cid, peer, atMs: clock.monotonicMs() })
    return false
  }
}

function nth<T>(items: Iterable<T>, index: number): T | undefined {
  let i = 0
  for (const item of items) if (i++ === index) return item
  return undefined
}
