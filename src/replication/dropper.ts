/**
 * Lets go of blobs, by the exchange of `storage-policy/eviction-confirm.ts`: the core decides, this carries it out over
 * rpc and the disk, in the order that the core says.
 *
 * A promise to keep what one has not got is worth nothing, so each is followed by a question: who has promised proves, with
 * bytes chosen after the promise, that it has the blob. Only that is told to the core as a confirmation. What cannot be
 * checked here is none either: then the copy stays.
 */
import type { Clock, KeyValue, Log, NodeId, Random, Rpc } from '../base/index.js'
import { backoffMs, Limiter, messageOf } from '../base/index.js'
import type { AbandonReason, ConfirmEffect, KeepPromise, RefusalToKeep } from '../storage-policy/index.js'
import { confirmDefaults, ConfirmCore, keepMsMax } from '../storage-policy/index.js'
import { check, drawChallenge, prove } from './challenge.js'
import type { Inventory } from './inventory.js'
import { cidBytes, decode, decodeCid, parseCid } from './messages.js'
import type { ReplicationComponents } from './types.js'
import { ReplicationError } from './types.js'
import { Rate } from './rate.js'
import type { Challenge } from './wire/replication.js'
import { KeepRequest, KeepResponse, ProofRequest, ProofResponse, ReleaseRequest } from './wire/replication.js'

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
/** Reading 32 blocks from a slow disk that has other work, too. Readers of the blob here wait for as long. */
const proofDeadlineMs = 10_000
const slowProofMs = 2_000
const slowBackoff = { minMs: 60_000, maxMs: 3600_000 }
/** A holder that cannot be told at once that its promise has ended is told again, for about as long as the promise lasts. */
const releaseTriesMax = 8
const releaseBackoff = { minMs: 1000, maxMs: 30_000 }
/** Releases that wait for another try; beyond that a promise is left to lapse by itself. */
const releasesMax = 1024
/** Some 350 links take about as long as a block. */
const spineBytesPerRead = 16 * 1024
/** Reads of the disk that one asker's proofs may take: 256 large blobs in one go, and as much a second as it could fetch. */
const proofReads = { burst: 4096, perSecond: 256 }
/** At once: each keeps the names of up to a thousand blocks in memory, and readers waiting. */
const dropsMax = 64
const dropsWaitingMax = 100_000
const attemptBytes = 12
const attemptLengthMax = 64

export class Dropper {
  readonly #components: DropperComponents
  readonly #init: DropperInit
  #core: ConfirmCore
  readonly #waiting = new Map<string, (outcome: DropOutcome) => void>()
  /** By attempt: how the blob is lent out again, from the first question for a proof to the end. */
  readonly #withheld = new Map<string, Promise<() => void>>()
  /** Holders that let a question for a proof wait; elapsed time. */
  readonly #slow = new Map<NodeId, { untilMs: number; times: number }>()
  readonly #proofReads: Rate
  readonly #line = new Limiter({ concurrency: dropsMax, queueMax: dropsWaitingMax })
  #releasing = 0

  constructor(components: DropperComponents, init: DropperInit) {
    this.#components = components
    this.#proofReads = new Rate({ clock: components.clock }, proofReads)
    this.#init = init
    this.#core = new ConfirmCore({ self: init.self, ...confirmDefaults }, [])
  }

  /** Promises of before the restart bind this node still. */
  async load(): Promise<void> {
    const promises: KeepPromise[] = []
    for await (const [key, value] of this.#components.meta.entries()) {
      const [cid, to, attempt] = new TextDecoder().decode(key).split(' ')
      const untilMs = Number(new TextDecoder().decode(value))
      // A row that is damaged binds nobody, and none for longer than what may be asked for.
      if (cid !== undefined && to !== undefined && attempt !== undefined && parseCid(cid) !== undefined && Number.isFinite(untilMs)) {
        promises.push({ cid, to: to as NodeId, attempt, untilMs: Math.min(untilMs, this.#components.clock.wallMs() + keepMsMax) })
      }
    }
    this.#core = new ConfirmCore({ self: this.#init.self, ...confirmDefaults }, promises)
  }

  isBound(cid: string): boolean {
    return this.#core.isBound(cid, this.#components.clock.wallMs())
  }

  /** Asks `holders`, and deletes if `floor` of them keep theirs and prove it. Never rejects. */
  async drop(cid: string, holders: readonly NodeId[], floor: number, signal: AbortSignal): Promise<DropOutcome> {
    try {
      return await this.#line.run(() => this.#dropInTurn(cid, holders, floor, signal), signal)
    } catch (error) {
      this.#components.log.debug('a deletion did not come about', { cid, error: messageOf(error) })
      return { dropped: false, reason: 'failed' }
    }
  }

  async #dropInTurn(cid: string, holders: readonly NodeId[], floor: number, signal: AbortSignal): Promise<DropOutcome> {
    const { random, clock } = this.#components
    const attempt = Buffer.from(random.bytes(attemptBytes)).toString('hex')
    const outcome = new Promise<DropOutcome>((resolve) => {
      this.#waiting.set(attempt, resolve)
    })
    const asked = holders.filter((holder) => !this.#isSlow(holder))
    try {
      await this.#perform(this.#core.step({ type: 'dropWanted', cid, attempt, holders: asked, floor, nowMs: clock.wallMs() }), signal)
      return await outcome
    } finally {
      this.#waiting.delete(attempt)
      const lifting = this.#withheld.get(attempt)
      this.#withheld.delete(attempt)
      void lifting?.then((lift) => lift(), () => undefined)
    }
  }

  /** Called now and then: lapsed promises and slow tries. */
  async tick(signal: AbortSignal): Promise<void> {
    await this.#perform(this.#core.step({ type: 'tick', nowMs: this.#components.clock.wallMs() }), signal)
  }

  /** `replication.confirmKeep` */
  async confirmKeep(body: Uint8Array, from: NodeId, signal: AbortSignal): Promise<Uint8Array> {
    const request = decode(KeepRequest, body)
    const cid = decodeCid(request.cid).toString()
    if (!isAttempt(request.attempt)) throw new ReplicationError('BAD_INPUT', 'not the name of an attempt')
    // The disk is asked, and not the inventory: it may be behind by what another way of deleting has just done.
    const held = await this.#components.blobs.held(decodeCid(request.cid))
    if (held !== undefined && !(await this.#init.wants(cid))) return refusal('wants to drop it too')
    if (this.#init.isGoing(cid)) return refusal('wants to drop it too')
    // Asked again without a pause before the step: this node's own deletion may have gone through since the disk was asked,
    // and the inventory forgets a blob before its intent ends.
    const holds = held !== undefined && this.#components.inventory.get(cid) !== undefined
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
    return KeepResponse.encode({ keeps: answer?.keeps ?? false, reason: answer?.reason ?? '' })
  }

  /** `replication.proveKept`: that what was promised to be kept is here. Of nothing else, so that nobody is kept busy with it. */
  async proveKept(body: Uint8Array, from: NodeId, signal: AbortSignal): Promise<Uint8Array> {
    const { cid: bytes, attempt, challenge } = decode(ProofRequest, body)
    const cid = decodeCid(bytes).toString()
    if (challenge === undefined) throw new ReplicationError('BAD_INPUT', 'it is not said what is to be proven')
    if (!this.#core.isPromised(cid, from, attempt, this.#components.clock.wallMs())) {
      throw new ReplicationError('NOT_FOUND', 'no promise of this name stands', { cid })
    }
    if (!this.#proofReads.allow(from, this.#readsOf(cid, challenge))) {
      throw new ReplicationError('OVERLOADED', 'more proofs than this node makes for one peer in so short a time')
    }
    const proof = await prove(this.#components.blobs, cid, challenge, 'giving up', this.#init.self, signal)
    return ProofResponse.encode({ proof: proof ?? new Uint8Array(0) })
  }

  /** A spine is read as a whole, and what takes the time is taking it apart. */
  #readsOf(cid: string, challenge: Challenge): number {
    const entry = this.#components.inventory.get(cid)
    if (entry?.kind !== 'spine') return Math.max(1, challenge.offsets.length)
    return Math.min(proofReads.burst, Math.ceil(entry.bytes / spineBytesPerRead))
  }

  /** `replication.release` */
  async release(body: Uint8Array, from: NodeId, signal: AbortSignal): Promise<Uint8Array> {
    const request = decode(ReleaseRequest, body)
    const cid = decodeCid(request.cid).toString()
    if (!isAttempt(request.attempt)) throw new ReplicationError('BAD_INPUT', 'not the name of an attempt')
    await this.#perform(this.#core.step({ type: 'keepReleased', cid, attempt: request.attempt, from, nowMs: this.#components.clock.wallMs() }), signal)
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
    let promised = false
    let keeps = false
    try {
      promised = await this.#askToKeep(effect, signal)
      keeps = promised && (await this.#askForProof(effect, signal))
    } catch (error) {
      // Silence is not a promise. It counts as a refusal, so that the try ends before its time is up.
      this.#components.log.debug('a holder did not confirm', { cid, peer: to, error: messageOf(error) })
    }
    // It binds a node that nobody relies on.
    if (promised && !keeps) void this.#release({ type: 'release', to, cid, attempt })
    try {
      await this.#perform(this.#core.step({ type: 'keepAnswered', cid, attempt, from: to, keeps, nowMs: this.#components.clock.wallMs() }), signal)
    } catch (error) {
      this.#components.log.warn('a deletion went wrong', { cid, error: messageOf(error) })
    }
  }

  async #askToKeep({ cid, attempt, to, keepMs }: Extract<ConfirmEffect, { type: 'ask' }>, signal: AbortSignal): Promise<boolean> {
    const request = KeepRequest.encode({ cid: cidBytes(cid), attempt, keepMs })
    const { keeps, reason } = decode(KeepResponse, await this.#components.rpc.request(to, 'replication.confirmKeep', request, { deadlineMs: askDeadlineMs, signal }))
    if (!keeps && reason === 'not held') this.#init.learned(cid, to, false, false)
    return keeps
  }

  /**
   * Whether it has what it promised to keep: chosen only now, when it can no longer choose what to promise. And nobody gets
   * it from here meanwhile, or it could have it fetched to answer.
   */
  async #askForProof({ cid, attempt, to }: Extract<ConfirmEffect, { type: 'ask' }>, signal: AbortSignal): Promise<boolean> {
    const { blobs, inventory, random, rpc, clock } = this.#components
    const entry = inventory.get(cid)
    if (entry === undefined || !this.#waiting.has(attempt)) return false
    let withheld = this.#withheld.get(attempt)
    if (withheld === undefined) this.#withheld.set(attempt, (withheld = blobs.withhold(decodeCid(cidBytes(cid)))))
    await withheld
    const challenge = await drawChallenge(blobs, entry, 'giving up', random, signal)
    if (challenge === undefined) return false
    const startMs = clock.monotonicMs()
    let proven: boolean | undefined
    try {
      const request = ProofRequest.encode({ cid: cidBytes(cid), attempt, challenge })
      const { proof } = decode(ProofResponse, await rpc.request(to, 'replication.proveKept', request, { deadlineMs: proofDeadlineMs, signal }))
      // It says itself that it cannot read it: no lie, and no copy.
      if (proof.length === 0) this.#init.learned(cid, to, false, false)
      else proven = await check(blobs, cid, challenge, 'giving up', to, proof, signal)
      if (proven !== undefined) this.#init.learned(cid, to, proven, !proven)
    } finally {
      if (proven === true) this.#slow.delete(to)
      else if (clock.monotonicMs() - startMs > slowProofMs) this.#leaveInPeace(to)
    }
    return proven === true
  }

  /** Whoever waits for a proof keeps readers waiting too: who let it happen for nothing is asked again later each time. */
  #leaveInPeace(peer: NodeId): void {
    const times = (this.#slow.get(peer)?.times ?? 0) + 1
    this.#slow.set(peer, { times, untilMs: this.#components.clock.monotonicMs() + backoffMs(times, slowBackoff, this.#components.random) })
  }

  #isSlow(peer: NodeId): boolean {
    return (this.#slow.get(peer)?.untilMs ?? 0) > this.#components.clock.monotonicMs()
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
  return KeepResponse.encode({ keeps: false, reason })
}

/** It becomes a part of a key on the disk. */
function isAttempt(name: string): boolean {
  return name.length <= attemptLengthMax && /^[\w-]+$/.test(name)
}

function keyOf(promise: KeepPromise): Uint8Array {
  return new TextEncoder().encode(`${promise.cid} ${promise.to} ${promise.attempt}`)
}
