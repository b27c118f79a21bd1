/**
 * The side that is asked to store. A request is an invitation to fetch, and nothing more: this node decides whether it
 * wants to, reserves the room, fetches from whoever has it, verifies, stores, and only then says that it has it.
 *
 * Requests are idempotent: two coordinators that ask for the same blob wait for the same fetch, and who asks again is
 * told at once. A blob is taken only if the catalog here has a file that it belongs to, so nobody can fill a disk with
 * what no member has signed for.
 */
import type { CID } from 'multiformats/cid'
import type { Clock, Log, NodeId } from '../base/index.js'
import { codeOf, Limiter, messageOf } from '../base/index.js'
import type { Admission } from '../storage-policy/index.js'
import { proofOf, prove } from './challenge.js'
import { saltValue } from './fingerprint.js'
import type { HeldEntry, Inventory } from './inventory.js'
import { decode, decodeCid } from './messages.js'
import type { Space } from './space.js'
import type { SteppingBack } from './stepping-back.js'
import type { ReplicationComponents } from './types.js'
import { ReplicationError } from './types.js'
import type { Want } from './wants.js'
import type { Challenge } from './wire/replication.js'
import { StoreRequest, StoreResponse } from './wire/replication.js'

export interface TargetComponents {
  readonly blobs: ReplicationComponents['blobs']
  readonly clock: Clock
  readonly log: Log
  readonly inventory: Inventory
  readonly space: Space
  readonly steppingBack: SteppingBack
}

export interface TargetInit {
  readonly self: NodeId
  readonly storesMax: number
  /** Takes nothing at all, not even its owner's. */
  readonly leaving: () => boolean
  /** Why nothing of others is taken now, or undefined. */
  readonly closed: () => string | undefined
  /** `root`: the file that it is said to be a part of. */
  readonly wantOf: (cid: string, root?: string) => Promise<Want | undefined>
  /** Grows whenever `wantOf` may have come to say something else. */
  readonly wantsVersion: () => number
  /** The asker's word, taken before the blob is; throws OVERLOADED. And given back, when it did not come. */
  readonly vouched: (cid: string, by: NodeId, voucher: { wanted: number; priority: number }) => Promise<void>
  readonly unvouched: (cid: string, by: NodeId) => Promise<void>
  /** The file whose part the asker vouched for is there; false if not as far as is known here. */
  readonly settled: (cid: string, root: string, by: NodeId) => Promise<boolean>
  /** The blob is here, and a part of this file, which is in the catalog. */
  readonly partOf: (root: string, cid: string) => Promise<void>
  /** Whether there is room for one more list of parts of this owner's, so long, while others of so many bytes are coming. */
  readonly takesSpine: (bytes: number, comingBytes: number, want: Want) => boolean
  readonly takesMove: (bytes: number) => boolean
  /** Frees so many bytes for a blob of this want if it may; resolves to whether it is worth another try. */
  readonly makeRoom: (bytes: number, want: Want, signal: AbortSignal) => Promise<boolean>
  readonly stored: (entry: Pick<HeldEntry, 'cid' | 'kind' | 'bytes' | 'blocks' | 'heldSinceMs'>, from: NodeId) => Promise<void>
  /** The catalog may be a moment behind the request: resolves at its next change, or when the time is up. */
  readonly catalogChange: (waitMs: number, signal: AbortSignal) => Promise<void>
}

/** A blob is at most 1 GiB of content; the nodes above its leaves are within the rest. */
export const blobBytesMax = 2 ** 30 + 2 ** 24
/** What a fetch may bring beyond what was announced before it is stopped: a link or two. */
const slackBytes = 64 * 1024
/** Waiting behind those that are being fetched. */
const queueMax = 256
/** One asker's share of the places: whoever holds them up with fetches that get nowhere leaves some to the others. */
const askerShare = 3 / 4
/** How long a request waits for its file to show up in the catalog here. */
const recordWaitMs = 3000
const holdersMax = 64

/** What a fetch for somebody came to. */
interface Stored {
  readonly bytes: number
  /** The answer to the challenge of whoever asked first, made from the bytes as they came. */
  readonly answer?: { readonly challenge: Challenge; readonly proof: Uint8Array | undefined } | undefined
}

/** What `wantOf` said, and as of when. */
interface Asked {
  readonly want: Want
  readonly version: number
}

export class Target {
  readonly #components: TargetComponents
  readonly #init: TargetInit
  readonly #line: Limiter
  /** One for each who asks at this moment. */
  readonly #askers = new Map<NodeId, Limiter>()
  readonly #running = new Map<string, { done: Promise<Stored>; callers: number; stop: AbortController }>()

  #spineBytesComing = 0

  constructor(components: TargetComponents, init: TargetInit) {
    this.#components = components
    this.#init = init
    this.#line = new Limiter({ concurrency: init.storesMax, queueMax })
  }

  get storing(): number {
    return this.#running.size
  }

  isStoring(cid: string): boolean {
    return this.#running.has(cid)
  }

  /** `replication.store` */
  async store(body: Uint8Array, from: NodeId, signal: AbortSignal): Promise<Uint8Array> {
    const request = decode(StoreRequest, body, { holders: holdersMax })
    const cid = decodeCid(request.cid)
    const name = cid.toString()
    if (request.bytes > blobBytesMax) throw new ReplicationError('BAD_INPUT', 'larger than a blob may be', { bytes: request.bytes, blobBytesMax })
    const root = request.root === undefined ? undefined : decodeCid(request.root).toString()
    const held = await this.#components.blobs.held(cid)
    let stored: Stored
    if (request.voucher !== undefined && !this.#init.leaving()) await this.#init.vouched(name, from, request.voucher)
    if (held !== undefined) {
      stored = { bytes: held.bytes }
      if (root !== undefined && (await this.#wantOf(root, undefined, signal)) !== undefined) {
        await this.#init.partOf(root, name)
        if (request.voucher === undefined) await this.#init.settled(name, root, from)
      }
      await this.#init.stored({ cid: name, kind: held.kind, bytes: held.bytes, blocks: held.blocks, heldSinceMs: held.heldSinceMs }, from)
    } else {
      try {
        stored = await this.#join(cid, root, request, from, signal)
      } catch (error) {
        if (request.voucher !== undefined) await this.#init.unvouched(name, from)
        throw error
      }
    }
    const { bytes, answer } = stored
    let proof = answer?.challenge === request.challenge ? answer?.proof : undefined
    if (proof === undefined && request.challenge !== undefined) {
      proof = await prove(this.#components.blobs, name, request.challenge, 'spot', this.#init.self, signal)
      // It says that it has it, and cannot read it: no acknowledgement, and no false one either, which would cost it its good name.
      if (proof === undefined) throw new ReplicationError('NOT_FOUND', 'it is here and cannot be read', { cid: name })
    }
    const { inventory } = this.#components
    return StoreResponse.encode({
      bytes,
      already: held !== undefined,
      proof: proof ?? new Uint8Array(0),
      inventorySalt: saltValue(inventory.salt),
      inventoryVersion: inventory.version,
    })
  }

  /** The fetch stops only when the last of those who wait for it is gone. */
  async #join(cid: CID, root: string | undefined, request: StoreRequest, from: NodeId, signal: AbortSignal): Promise<Stored> {
    const name = cid.toString()
    let job = this.#running.get(name)
    // Nobody waits for that one any more, and it is about to end: whoever asks now (its connection was made anew) is told of
    // no failure that is another's, but begins after it.
    while (job?.stop.signal.aborted === true) {
      await job.done.catch(() => undefined)
      job = this.#running.get(name)
    }
    // It may have gone while this was found out: then nobody would ever be told that it has.
    signal.throwIfAborted()
    if (job === undefined) {
      const closed = this.#init.closed()
      const stop = new AbortController()
      const done = this.#storeInTurn(cid, root, request, from, closed, stop.signal).finally(() => {
        this.#running.delete(name)
      })
      job = { done, callers: 0, stop }
      this.#running.set(name, job)
    }
    const joined = job
    joined.callers++
    const leave = (): void => {
      joined.callers--
      if (joined.callers === 0) joined.stop.abort(new ReplicationError('ABORTED', 'nobody waits for it any more'))
    }
    signal.addEventListener('abort', leave, { once: true })
    try {
      return await joined.done
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  async #storeInTurn(cid: CID, root: string | undefined, request: StoreRequest, from: NodeId, closed: string | undefined, signal: AbortSignal): Promise<Stored> {
    // Outside of the line: else whoever asks for what no file has would keep a place for the whole wait.
    const asked = await this.#wantOf(cid.toString(), root, signal)
    if (asked === undefined) throw unwanted(cid)
    const store = async (): Promise<Stored> => {
      return this.#components.steppingBack.run(request.bytes, () => this.#store(cid, root, asked, request, from, closed, signal), signal)
    }
    let asker = this.#askers.get(from)
    if (asker === undefined) this.#askers.set(from, (asker = new Limiter({ concurrency: Math.ceil(this.#init.storesMax * askerShare), queueMax })))
    const own = asker
    try {
      return await own.run(() => this.#line.run(store, signal), signal)
    } finally {
      if (own.running === 0 && own.waiting === 0 && this.#askers.get(from) === own) this.#askers.delete(from)
    }
  }

  async #store(cid: CID, root: string | undefined, asked: Asked, request: StoreRequest, from: NodeId, closed: string | undefined, signal: AbortSignal): Promise<Stored> {
    const name = cid.toString()
    // Asked anew where it may have changed: its file may have been removed while it waited for its turn.
    const want = asked.version === this.#init.wantsVersion() ? asked.want : await this.#init.wantOf(name, root)
    if (want === undefined) throw unwanted(cid)
    if (this.#init.leaving() || (closed !== undefined && !want.own)) throw new ReplicationError('NOT_ACCEPTING', closed ?? 'this node is leaving')
    if (request.move && !this.#init.takesMove(request.bytes)) {
      throw new ReplicationError('NO_SPACE', 'this node is as full as the others', { reason: 'BALANCE' })
    }
    // Counted as at least what is let in: whoever says less may bring the slack.
    const spineBytes = request.spine ? Math.max(request.bytes, slackBytes) : 0
    if (request.spine && !this.#init.takesSpine(spineBytes, this.#spineBytesComing, want)) {
      throw new ReplicationError('OVERLOADED', 'the lists of parts of its owner\'s large files take up their share here', { owner: want.owner })
    }
    const admission = await this.#admit(request.bytes, want, signal)
    if (!admission.admitted) {
      throw new ReplicationError('NO_SPACE', admission.message, { reason: admission.reason, shortBytes: admission.shortBytes })
    }
    this.#spineBytesComing += spineBytes
    const tooMuch = new AbortController()
    const fetchSignal = AbortSignal.any([signal, tooMuch.signal])
    const { challenge } = request
    let proof: Uint8Array | undefined
    try {
      const held = await this.#components.blobs.fetch(
        { cid, kind: request.spine ? 'spine' : 'dag' },
        {
          signal: fetchSignal,
          holders: [from, ...request.holders.filter((holder): holder is NodeId => holder !== from && holder !== this.#init.self)],
          onProgress: (progress) => {
            this.#components.space.extend(admission.reservation.id)
            if (progress.bytes > request.bytes + slackBytes) {
              tooMuch.abort(new ReplicationError('BAD_INPUT', 'the blob is larger than was announced', { bytes: request.bytes }))
            }
          },
          // It is acknowledged only once it is on the disk; but it need not be read back from there to be hashed.
          onContent: (content) => {
            if (challenge !== undefined) proof = proofOf(content, challenge, this.#init.self)
          },
        },
      )
      if (root !== undefined) await this.#init.partOf(root, name)
      await this.#init.stored({ cid: name, kind: held.kind, bytes: held.bytes, blocks: held.blocks, heldSinceMs: held.heldSinceMs }, from)
      return { bytes: held.bytes, answer: challenge === undefined ? undefined : { challenge, proof } }
    } catch (error) {
      this.#components.log.debug('a blob could not be stored', { cid: name, from, code: codeOf(error) ?? '', error: messageOf(error) })
      throw error
    } finally {
      this.#spineBytesComing -= spineBytes
      await this.#components.space.settle(admission.reservation.id)
    }
  }

  async #admit(bytes: number, want: Want, signal: AbortSignal): Promise<Admission> {
    const first = await this.#components.space.reserve(bytes, want.own, signal)
    if (first.admitted || first.shortBytes === 0 || first.reason === 'NOT_SHARED') return first
    if (!(await this.#init.makeRoom(first.shortBytes, want, signal))) return first
    return this.#components.space.reserve(bytes, want.own, signal)
  }

  async #wantOf(cid: string, root: string | undefined, signal: AbortSignal): Promise<Asked | undefined> {
    const untilMs = this.#components.clock.monotonicMs() + recordWaitMs
    for (;;) {
      // Whoever asked may be gone: then no wait below takes any time, and this would spin until the time is up.
      signal.throwIfAborted()
      const version = this.#init.wantsVersion()
      const want = await this.#init.wantOf(cid, root)
      const leftMs = untilMs - this.#components.clock.monotonicMs()
      if (want !== undefined) return { want, version }
      if (leftMs <= 0) return undefined
      await this.#init.catalogChange(leftMs, signal)
    }
  }
}

function unwanted(cid: CID): ReplicationError {
  return new ReplicationError('NOT_FOUND', 'no file that is known here has it', { cid: cid.toString() })
}
