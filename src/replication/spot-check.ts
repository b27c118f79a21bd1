/**
 * Asks holders to prove what they say, in two ways: for each claim once, soon after it is new (`claims.ts`); and, since who
 * has it now may throw it away later, for ever after by lot.
 *
 * Asks one holder at a time, drawn by lot, to prove that it has one blob, drawn by lot among those held here too.
 *
 * A wrong proof is a strike. "I do not have it" may be honest, when its inventory is a moment behind; so it is asked
 * again after its vitals must have come round, and struck if it still lists what it says it has not. No answer may be a
 * slow disk: only when a second one does not come either, a minute later, is the claim that it was asked for not counted,
 * until it is proven. (The road not taken: a strike. A node whose disk is busy for minutes would be given up for a week.)
 */
import type { Clock, Connections, Log, NodeId, Random, Rpc } from '../base/index.js'
import { messageOf } from '../base/index.js'
import { check, drawChallenge } from './challenge.js'
import type { Claims } from './claims.js'
import type { Holders } from './holders.js'
import type { HeldEntry, Inventory } from './inventory.js'
import { cidBytes, decode } from './messages.js'
import { isOver, Pauses } from './pausing.js'
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
  readonly claims: Claims
}

export interface SpotCheckInit {
  readonly lied: (peer: NodeId) => void
  /** A claim counts no more, or counts again. */
  readonly changed: (cid: string) => void
  readonly intervalMs: () => number
  /** Not on battery, nor while paused. */
  readonly mayAsk: () => boolean
}

/** An honest answer takes a read and a round trip; who has to fetch the range first may not make it. */
const deadlineMs = 10_000
/** Twice the longest that vitals take. */
const askAgainMs = 10 * 60_000
const deniedMax = 1000
/**
 * So many new claims are asked for in the time of one by lot: one every 2 s, 3,000 blobs with two other holders each in three
 * hours and a half, and nothing at rest.
 */
const claimsPerSpot = 150
/** How soon it is looked whether what was not answered is due again: half a minute. */
const laterShare = 1 / 10
/** Unanswered so often, a claim is not counted. */
const triesMax = 2

export class SpotCheck {
  readonly #components: SpotCheckComponents
  readonly #init: SpotCheckInit
  readonly #pauses: Pauses
  readonly #denied: { cid: string; peer: NodeId; atMs: number }[] = []

  constructor(components: SpotCheckComponents, init: SpotCheckInit) {
    this.#components = components
    this.#init = init
    this.#pauses = new Pauses(components.clock)
  }

  /** A claim was made. */
  wake(): void {
    this.#pauses.wake()
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#repeat(() => this.once(signal), () => this.#init.intervalMs(), signal),
      this.#repeat(() => this.nextClaim(signal), () => this.#init.intervalMs() / claimsPerSpot, signal),
    ])
  }

  async #repeat(work: () => Promise<unknown>, intervalMs: () => number, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#components
    while (!signal.aborted) {
      try {
        await clock.sleep(intervalMs() * (0.5 + random.float()), signal)
        if (this.#init.mayAsk()) await work()
      } catch (error) {
        if (isOver(signal)) return
        log.debug('a spot check went wrong', { error: messageOf(error) })
      }
    }
  }

  /** Asks for one claim. Undefined if there is none to be asked for, or no answer; else whether the holder passed. */
  async nextClaim(signal: AbortSignal): Promise<boolean | undefined> {
    const { claims, connections, clock, inventory, holders } = this.#components
    const claim = claims.next((peer) => connections.isConnected(peer), clock.monotonicMs())
    if (claim === undefined) {
      // Those that are left are asked for later, or their peers are away.
      await this.#pauses.wait(claims.size === 0 ? this.#init.intervalMs() : this.#init.intervalMs() * laterShare, signal)
      return undefined
    }
    const { cid, peer } = claim
    const entry = inventory.get(cid)
    if (entry === undefined) {
      claims.settled(cid, peer)
      return undefined
    }
    const outcome = await this.#ask(entry, peer, false, signal)
    signal.throwIfAborted()
    switch (outcome) {
      case 'passed':
        // It was not counted since it had not answered: now it is.
        if (claim.tries < triesMax) return true
        holders.show(cid, peer, true)
        this.#init.changed(cid)
        return true
      case 'silent':
        // Whose connection went was no liar.
        if (!connections.isConnected(peer) || claims.unanswered(cid, peer, clock.monotonicMs()) < triesMax) return undefined
        holders.doubt(cid, peer)
        this.#init.changed(cid)
        return undefined
      case 'failed':
        return false
      case 'not asked':
        claims.settled(cid, peer)
        return undefined
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
      return isPassed(await this.#ask(entry, old.peer, true, signal))
    }
    const entry = nth(inventory.entries(), random.below(Math.max(1, inventory.size)))
    if (entry === undefined) return undefined
    const claimants = holders.of(entry.cid).filter((peer) => peer !== connections.self && connections.isConnected(peer))
    const peer = claimants[random.below(Math.max(1, claimants.length))]
    return peer === undefined ? undefined : isPassed(await this.#ask(entry, peer, false, signal))
  }

  async #ask(entry: HeldEntry, peer: NodeId, again: boolean, signal: AbortSignal): Promise<Outcome> {
    const { blobs, rpc, random, clock, holders, claims } = this.#components
    // What cannot be read here is no question to others; the scrub finds it and heals it.
    const challenge = await drawChallenge(blobs, entry, 'spot', random, signal).catch(() => undefined)
    if (challenge === undefined) return 'not asked'
    let response: ChallengeResponse
    try {
      const body = ChallengeRequest.encode({ cid: cidBytes(entry.cid), challenge })
      response = decode(ChallengeResponse, await rpc.request(peer, 'replication.challenge', body, { deadlineMs, signal }))
    } catch {
      return 'silent'
    }
    if (response.held) {
      const passed = await check(blobs, entry.cid, challenge, 'spot', peer, response.proof, signal)
      if (passed === undefined) return 'not asked'
      claims.settled(entry.cid, peer)
      if (passed) return 'passed'
      holders.show(entry.cid, peer, false)
      this.#init.lied(peer)
      this.#init.changed(entry.cid)
      return 'failed'
    }
    holders.show(entry.cid, peer, false)
    this.#init.changed(entry.cid)
    if (again) this.#init.lied(peer)
    else if (this.#denied.length < deniedMax) this.#denied.push({ cid: entry.cid, peer, atMs: clock.monotonicMs() })
    return 'failed'
  }
}

type Outcome = 'passed' | 'failed' | 'silent' | 'not asked'

function isPassed(outcome: Outcome): boolean | undefined {
  return outcome === 'passed' || outcome === 'failed' ? outcome === 'passed' : undefined
}

function nth<T>(items: Iterable<T>, index: number): T | undefined {
  let i = 0
  for (const item of items) if (i++ === index) return item
  return undefined
}
