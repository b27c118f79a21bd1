/**
 * Carries actions out, a bounded number at once. Each stands alone: one that fails is reported, its target left in peace
 * for a while, and the blob looked at again; the others do not notice.
 */
import { CID } from 'multiformats/cid'
import type { Clock, Log, NodeId, Random, Rpc } from '../base/index.js'
import { codeOf, Limiter, messageOf } from '../base/index.js'
import type { Action } from '../storage-policy/index.js'
import { check, drawChallenge, isProof, proofOf } from './challenge.js'
import type { DropOutcome } from './dropper.js'
import type { Holders } from './holders.js'
import type { Inventory } from './inventory.js'
import type { MeshNews } from './mesh-news.js'
import type { SteppingBack } from './stepping-back.js'
import { cidBytes, decode } from './messages.js'
import type { ReplicationComponents } from './types.js'
import { ReplicationError } from './types.js'
import { StoreRequest, StoreResponse } from './wire/replication.js'

export interface CarrierComponents {
  readonly blobs: ReplicationComponents['blobs']
  readonly rpc: Rpc
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly inventory: Inventory
  readonly holders: Holders
  readonly news: MeshNews
  readonly steppingBack: SteppingBack
}

export interface CarrierInit {
  readonly self: NodeId
  readonly copiesMax: number
  /** One of the files it is a part of, if it is. */
  readonly rootOf: (cid: string) => string | undefined
  /** By the exchange, with the floor that fits the action. */
  readonly drop: (action: Action, signal: AbortSignal) => Promise<DropOutcome>
  /** If no record names it yet: this node's word for it. */
  readonly voucherOf: (cid: string) => { wanted: number; priority: number } | undefined
  readonly acknowledged: (cid: string, to: NodeId) => void
  readonly lied: (peer: NodeId) => void
  readonly done: (action: Action) => void
  readonly failed: (action: Action, code: string, message: string) => void
}

/** What a slow uplink does, so that no blob's deadline is one that it cannot meet. */
const bytesPerSecondMin = 128 * 1024
const deadlineBaseMs = 60_000
const queueMax = 10_000
const holdersMax = 16

export class Carrier {
  readonly #components: CarrierComponents
  readonly #init: CarrierInit
  readonly #line: Limiter
  /** cid → targets on their way. */
  readonly #inFlight = new Map<string, Set<NodeId>>()
  readonly #leaving = new Set<string>()
  copied = 0
  copiedBytes = 0
  failures = 0

  constructor(components: CarrierComponents, init: CarrierInit) {
    this.#components = components
    this.#init = init
    this.#line = new Limiter({ concurrency: init.copiesMax, queueMax })
  }

  get copying(): number {
    return this.#line.running
  }

  get queued(): number {
    return this.#line.waiting
  }

  targetsOf(cid: string): readonly NodeId[] {
    return [...(this.#inFlight.get(cid) ?? [])]
  }

  /** Whether anything is being done with the blob. */
  isBusy(cid: string): boolean {
    return this.#inFlight.has(cid) || this.#leaving.has(cid)
  }

  /** Resolves to whether it was done. Never rejects. `balance`: the target may say that it is full enough. */
  async carry(action: Action, signal: AbortSignal, options: { balance?: boolean } = {}): Promise<boolean> {
    const { cid, to } = action
    try {
      if (to !== null) {
        if (this.targetsOf(cid).includes(to)) return false
        const target = to
        await this.#whileOnItsWay(cid, target, () => this.#line.run(() => this.#copyInTurn(action, target, options.balance === true, signal), signal))
      }
      if (action.kind !== 'copy') {
        if (this.#leaving.has(cid)) return false
        this.#leaving.add(cid)
        try {
          const outcome = await this.#init.drop(action, signal)
          if (!outcome.dropped) throw new ReplicationError('ABORTED', `kept: ${outcome.reason}`)
        } finally {
          this.#leaving.delete(cid)
        }
      }
      this.#init.done(action)
      return true
    } catch (error) {
      if (signal.aborted) return false
      this.failures++
      this.#init.failed(action, codeOf(error) ?? 'INTERNAL', messageOf(error))
      return false
    }
  }

  async #whileOnItsWay(cid: string, to: NodeId, work: () => Promise<void>): Promise<void> {
    let targets = this.#inFlight.get(cid)
    if (targets === undefined) this.#inFlight.set(cid, (targets = new Set()))
    targets.add(to)
    try {
      await work()
    } finally {
      targets.delete(to)
      if (targets.size === 0) this.#inFlight.delete(cid)
    }
  }

  async #copyInTurn(action: Action, to: NodeId, balance: boolean, signal: AbortSignal): Promise<void> {
    // A put that waits for this copy is the work that others are to step back for.
    if (this.#init.voucherOf(action.cid) !== undefined) await this.#copy(action, to, balance, signal)
    else await this.#components.steppingBack.run(action.bytes, () => this.#copy(action, to, balance, signal), signal)
  }

  async #copy(action: Action, to: NodeId, balance: boolean, signal: AbortSignal): Promise<void> {
    const { inventory, random, news, holders } = this.#components
    const entry = inventory.get(action.cid)
    if (entry === undefined) throw new ReplicationError('NOT_FOUND', 'it is no longer here')
    // The plan is older than its turn: who has refused meanwhile is not asked for all the rest of it as well.
    if (!news.mayAsk(to) && !holders.of(action.cid).includes(to)) throw new ReplicationError('NOT_ACCEPTING', 'it has refused another copy meanwhile', { peer: to })
    const { blobs } = this.#components
    // What cannot be read here is asked for without a proof; whoever has a better copy may still serve it.
    const challenge = await drawChallenge(blobs, entry, 'spot', random, signal).catch(() => undefined)
    const root = this.#init.rootOf(action.cid)
    const voucher = this.#init.voucherOf(action.cid)
    const request = StoreRequest.encode({
      cid: cidBytes(action.cid),
      spine: entry.kind === 'spine',
      bytes: entry.bytes,
      ...(root === undefined ? {} : { root: cidBytes(root) }),
      holders: holders.of(action.cid).filter((holder) => holder !== this.#init.self && holder !== to).slice(0, holdersMax),
      move: balance,
      ...(challenge === undefined ? {} : { challenge }),
      ...(voucher === undefined ? {} : { voucher }),
    })
    const deadlineMs = deadlineBaseMs + (1000 * entry.bytes) / bytesPerSecondMin
    let response: StoreResponse
    // What it must answer is known as soon as it has got the bytes from here; reading them once more is for when it did not.
    let expected: Uint8Array | undefined
    const unwatch = challenge === undefined ? undefined : blobs.whenServed?.(CID.parse(action.cid), (content) => {
      expected = proofOf(content, challenge, to)
    })
    try {
      response = decode(StoreResponse, await this.#components.rpc.request(to, 'replication.store', request, { deadlineMs, signal }))
    } catch (error) {
      if (!signal.aborted) this.#leaveInPeace(to, codeOf(error), entry.bytes, balance)
      throw error
    } finally {
      unwatch?.()
    }
    if (!isProof(expected, response.proof) && (await check(blobs, action.cid, challenge, 'spot', to, response.proof, signal)) === false) {
      this.#init.lied(to)
      holders.show(action.cid, to, false)
      news.avoid(to, 60_000, 3600_000)
      throw new ReplicationError('BAD_INPUT', 'it was acknowledged without proof', { peer: to })
    }
    news.succeeded(to)
    if (voucher !== undefined) this.#init.acknowledged(action.cid, to)
    holders.show(action.cid, to, true, { salt: response.inventorySalt, version: response.inventoryVersion })
    this.copied++
    if (!response.already) this.copiedBytes += entry.bytes
  }

  /** How long a target that failed is not asked again, by what it said. */
  #leaveInPeace(to: NodeId, code: string | undefined, bytes: number, balance: boolean): void {
    const { news, random } = this.#components
    const jitter = 0.5 + random.float()
    switch (code) {
      case 'NO_SPACE':
        news.full(to, bytes, balance)
        return
      case 'NOT_ACCEPTING':
        news.full(to, Number.POSITIVE_INFINITY, balance)
        return
      case 'NOT_FOUND':
        // The file has not reached its catalog yet.
        news.avoid(to, 1000 * jitter, 10_000)
        return
      case 'OVERLOADED':
        news.avoid(to, 2000 * jitter, 30_000)
        return
      default:
        news.avoid(to, 5000 * jitter, 120_000)
    }
  }
}
