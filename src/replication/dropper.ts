/**
 * Lets go of blobs, by the exchange of `storage-policy/eviction-confirm.ts`: the core decides, this carries it out over
 * rpc and the disk, in the order that the core says.
 */
import type { Clock, KeyValue, Log, NodeId, Random, Rpc } from '../base/index.js'
import { backoffMs, messageOf } from '../base/index.js'
import type { AbandonReason, ConfirmEffect, KeepPromise, RefusalToKeep } from '../storage-policy/index.js'
import { confirmDefaults, ConfirmCore, keepMsMax } from '../storage-policy/index.js'
import { check, drawChallenge, prove } from './challenge.js'
import type { Inventory } from './inventory.js'
import { cidBytes, decode, decodeCid } from './messages.js'
import type { ReplicationComponents } from './types.js'
import { ReplicationError } from './types.js'
import { KeepRequest, KeepResponse, ReleaseRequest } from './wire/replication.js'

export interface DropperComponents {
  readonly blobs: ReplicationComponents['blobs']
  readonly rpc: Rpc
  readonly meta: KeyValue
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly inventory: Inventory
}

export interface DropperInit {
  readonly self: NodeId
  /** The end of the room: who asked for a deletion may go away, and its promises are to be released all the same. */
  readonly stopped: AbortSignal
  /** Last look before the bytes go: pinned, in use, wanted again. */
  readonly mayDrop: (cid: string) => Promise<boolean>
  /** No file wanted it at the last look, and it is being deleted: whatever is wanted by now. */
  readonly isGoing: (cid: string) => boolean
  /** Whether this node would keep it anyway, as far as it knows: what no file wants goes soon, and is not to be relied on. */
  readonly wants: (cid: string) => Promise<boolean>
  readonly dropped: (cid: string) => Promise<void>
  /** What an answer has shown of a holder; `has` false with `lied` when its proof was wrong. */
  readonly learned: (cid: string, peer: NodeId, has: boolean, lied: boolean) => void
}

export type DropOutcome = { readonly dropped: true } | { readonly dropped: false; readonly reason: AbandonReason | 'wanted again' | 'not held' | 'failed' }

const askDeadlineMs = 15_000
/** A holder that cannot be told at once that its promise has ended is told again, for about as long as the promise lasts. */
const releaseTriesMax = 8
const releaseBackoff = { minMs: 1000, maxMs: 30_000 }
/** Releases that wait for another try; beyond that a promise is left to lapse by itself. */
const releasesMax = 1024
const attemptBytes = 12
const attemptLengthMax = 64

export class Dropper {
  readonly #components: DropperComponents
  readonly #init: DropperInit
  #core: ConfirmCore
  readonly #waiting = new Map<string, (outcome: DropOutcome) => void>()
  #releasing = 0

  constructor(components: DropperComponents, init: DropperInit) {
    this.#components = components
    this.#init = init
    this.#core = new ConfirmCore({ self: init.self, ...confirmDefaults }, [])
  }

  /** Promises of before the restart bind this node still. */
  async load(): Promise<void> {
    const promises: KeepPromise[] = []
    for await (const [key, value] of this.#components.meta.entries()) {
      const [cid, to, attempt] = new TextDecoder().decode(key).split(' ')
      const untilMs = Number(new TextDecoder().decode(value))
      if (cid !== undefined && to !== undefined && attempt !== undefined && Number.isFinite(untilMs)) {
        promises.push({ cid, to: to as NodeId, attempt, untilMs })
      }
    }
    this.#core = new ConfirmCore({ self: this.#init.self, ...confirmDefaults }, promises)
  }

  isBound(cid: string): boolean {
    return this.#core.isBound(cid, this.#components.clock.wallMs())
  }

  /** Asks `holders`, and deletes if `floor` of them keep theirs. Never rejects. */
  async drop(cid: string, holders: readonly NodeId[], floor: number, signal: AbortSignal): Promise<DropOutcome> {
    const attempt = Buffer.from(this.#components.random.bytes(attemptBytes)).toString('hex')
    const outcome = new Promise<DropOutcome>((resolve) => {
      this.#waiting.set(attempt, resolve)
    })
    await this.#perform(this.#core.step({ type: 'dropWanted', cid, attempt, holders, floor, nowMs: this.#components.clock.wallMs() }), signal)
    return outcome
  }

  /** Called now and then: lapsed promises and slow tries. */
  async tick(signal: AbortSignal): Promise<void> {
    await this.#perform(this.#core.step({ type: 'tick', nowMs: this.#components.clock.wallMs() }), signal)
  }

  /** `replication.confirmKeep` */
  async confirmKeep(body: Uint8Array, from: NodeId, signal: AbortSignal): Promise<Uint8Array> {
    const request = decode(KeepRequest, body)
    const cid = decodeCid(request.cid).toString()
    if (request.attempt.length === 0 || request.attempt.length > attemptLengthMax || !/^[\w-]+$/.test(request.attempt)) {
      throw new ReplicationError('BAD_INPUT', 'not the name of an attempt')
    }
    // The disk is asked, and not the inventory: it may be behind by what another way of deleting has just done.
    const held = await this.#components.blobs.held(decodeCid(request.cid))
    const proof =
      held === undefined || request.challenge === undefined
        ? undefined
        : await prove(this.#components.blobs, cid, request.challenge, this.#init.self, signal)
    if (held !== undefined && !(await this.#init.wants(cid))) return refusal('wants to drop it too')
    if (this.#init.isGoing(cid)) return refusal('wants to drop it too')
    // Asked again without a pause before the step: this node's own deletion may have gone through while the proof was made,
    // and the inventory forgets a blob before its intent ends.
    const holds = held !== undefined && this.#components.inventory.get(cid) !== undefined && (request.challenge === undefined || proof !== undefined)
    const effects = this.#core.step({
      type: 'keepAsked',
      cid,
      attempt: request.attempt,
      from,
      keepMs: Math.min(request.keepMs, keepMsMax),
      holds,
      nowMs: this.#components.clock.wallMs(),
    })
    const answer = effects.find((effect) => effect.type === 'answer')
    // All that comes before the answer is done, on disk if need be, before it is sent.
    await this.#perform(effects, signal)
    const keeps = answer?.keeps ?? false
    return KeepResponse.encode({ keeps, reason: answer?.reason ?? '', proof: (keeps ? proof : undefined) ?? new Uint8Array(0) })
  }

  /** `replication.release` */
  async release(body: Uint8Array, from: NodeId, signal: AbortSignal): Promise<Uint8Array> {
    const request = decode(ReleaseRequest, body)
    const cid = decodeCid(request.cid).toString()
    await this.#perform(this.#core.step({ type: 'keepReleased', cid, attempt: request.attempt, from }), signal)
    return new Uint8Array(0)
  }

  async #perform(effects: readonly ConfirmEffect[], signal: AbortSignal): Promise<void> {
    for (const effect of effects) {
      switch (effect.type) {
        case 'ask':
          // Its answer is an input of its own; nothing here waits for it.
          void this.#ask(effect, signal)
          break
        case 'persistPromise':
          await this.#components.meta.write([this.#components.meta.put(keyOf(effect.promise), new TextEncoder().encode(String(effect.promise.untilMs)))], { durable: true })
          break
        case 'forgetPromise':
          await this.#components.meta.write([this.#components.meta.del(keyOf(effect.promise))], { durable: false })
          break
        case 'delete':
          await this.#delete(effect, signal)
          break
        case 'abandoned':
          this.#settle(effect.attempt, { dropped: false, reason: effect.reason })
          break
        case 'release':
          void this.#release(effect)
          break
        case 'answer':
          break
      }
    }
  }

  async #ask(effect: Extract<ConfirmEffect, { type: 'ask' }>, signal: AbortSignal): Promise<void> {
    const { cid, attempt, to } = effect
    let keeps = false
    try {
      const entry = this.#components.inventory.get(cid)
      const challenge = entry === undefined ? undefined : drawChallenge(entry, this.#components.random)
      const request = { cid: cidBytes(cid), attempt, keepMs: effect.keepMs, ...(challenge === undefined ? {} : { challenge }) }
      const body = await this.#components.rpc.request(to, 'replication.confirmKeep', KeepRequest.encode(request), { deadlineMs: askDeadlineMs, signal })
      const response = decode(KeepResponse, body)
      const proven = response.keeps ? await check(this.#components.blobs, cid, challenge, to, response.proof, signal) : undefined
      keeps = response.keeps && proven !== false
      if (!response.keeps && response.reason === 'not held') this.#init.learned(cid, to, false, false)
      else if (response.keeps) this.#init.learned(cid, to, keeps, proven === false)
    } catch (error) {
      // Silence is not a promise. It counts as a refusal, so that the try ends before its time is up.
      this.#components.log.debug('a holder did not confirm', { cid, peer: to, error: messageOf(error) })
    }
    try {
      await this.#perform(this.#core.step({ type: 'keepAnswered', cid, attempt, from: to, keeps, nowMs: this.#components.clock.wallMs() }), signal)
    } catch (error) {
      this.#components.log.warn('a deletion went wrong', { cid, error: messageOf(error) })
    }
  }

  async #delete(effect: Extract<ConfirmEffect, { type: 'delete' }>, signal: AbortSignal): Promise<void> {
    const { cid, attempt } = effect
    let outcome: DropOutcome = { dropped: false, reason: 'failed' }
    try {
      const { blobs, clock } = this.#components
      const parsed = decodeCid(cidBytes(cid))
      let kept: 'wanted again' | 'no answer in time' | undefined
      // Looked at once more when nothing else can happen to the blob: a pin, a new file, or the end of the promises.
      const stillUnwanted = async (): Promise<boolean> => {
        if (!(await this.#init.mayDrop(cid))) kept = 'wanted again'
        else if (clock.wallMs() >= effect.notAfterMs) kept = 'no answer in time'
        return kept === undefined
      }
      await blobs.drop(parsed, { stillUnwanted })
      if ((await blobs.held(parsed)) === undefined) {
        await this.#init.dropped(cid)
        outcome = { dropped: true }
      } else outcome = { dropped: false, reason: kept ?? 'wanted again' }
    } catch (error) {
      this.#components.log.warn('a blob could not be dropped', { cid, error: messageOf(error) })
    }
    await this.#perform(this.#core.step({ type: 'deleteEnded', cid, attempt }), signal)
    this.#settle(attempt, outcome)
  }

  async #release(effect: Extract<ConfirmEffect, { type: 'release' }>): Promise<void> {
    const signal = this.#init.stopped
    const { rpc, clock, random } = this.#components
    const body = ReleaseRequest.encode({ cid: cidBytes(effect.cid), attempt: effect.attempt })
    const triesMax = this.#releasing < releasesMax ? releaseTriesMax : 1
    this.#releasing++
    try {
      for (let tries = 1; ; tries++) {
        try {
          await rpc.request(effect.to, 'replication.release', body, { deadlineMs: askDeadlineMs, signal })
          return
        } catch {
          // The promise lapses by itself, if later.
          if (tries >= triesMax || signal.aborted) return
          await clock.sleep(backoffMs(tries, releaseBackoff, random), signal)
        }
      }
    } catch {
      // The node stops.
    } finally {
      this.#releasing--
    }
  }

  #settle(attempt: string, outcome: DropOutcome): void {
    const resolve = this.#waiting.get(attempt)
    this.#waiting.delete(attempt)
    resolve?.(outcome)
  }
}

function refusal(reason: RefusalToKeep): Uint8Array {
  return KeepResponse.encode({ keeps: false, reason, proof: new Uint8Array(0) })
}

function keyOf(promise: KeepPromise): Uint8Array {
  return new TextEncoder().encode(`${promise.cid} ${promise.to} ${promise.attempt}`)
}
