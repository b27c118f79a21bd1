import type { Clock, NodeId } from '../base/index.js'
import { MeshView } from '../storage-policy/index.js'
import type { NodeView, Priority, QuotaReport } from '../storage-policy/index.js'
import type { Conduct } from './conduct.js'
import type { PeerBook } from './peer-book.js'
import type { Trust } from './trust.js'
import type { ReplicationComponents, StorageOf } from './types.js'
import type { Vitals } from './wire/replication.js'

/** Who has refused what it said it had room for is asked again after this, twice as long each time… */
const fullMs = 1000
/** …up to this. */
const fullMsMax = 10 * 60_000

/** Bits of `Vitals.flags`. */
export const vitalsFlags = { accepting: 1, repairing: 2, sharing: 4, leaving: 8 } as const

export interface OwnState {
  readonly quota: QuotaReport | undefined
  readonly accepting: boolean
  readonly repairing: boolean
}

/** The order of `Vitals.evictableBytes`: what matters least first. */
export const prioritiesRising: readonly Priority[] = ['expendable', 'low', 'normal', 'high', 'critical']

function evictableOf(vitals: Vitals): Partial<Record<Priority, number>> {
  return Object.fromEntries(prioritiesRising.map((priority, i) => [priority, Math.min(vitals.evictableBytes[i] ?? 0, vitals.maxBytes)]))
}

/** The nodes as a plan needs them: who is up, by membership; what they have room for, by their vitals; who is believed. */
export class MeshNews {
  readonly #membership: ReplicationComponents['membership']
  readonly #book: PeerBook
  readonly #trust: Trust
  readonly #clock: Clock
  readonly #self: NodeId
  readonly #own: () => OwnState
  /** Not to be asked before then; elapsed time. */
  readonly #avoided = new Map<NodeId, { untilMs: number; failures: number }>()
  /** Said no for want of room: believed until it says something newer of itself. */
  readonly #full = new Map<NodeId, Vitals | undefined>()
  readonly #conduct: Conduct
  readonly forgotten = new Set<NodeId>()

  constructor(
    components: { membership: ReplicationComponents['membership']; book: PeerBook; trust: Trust; conduct: Conduct; clock: Clock },
    init: { self: NodeId; own: () => OwnState },
  ) {
    this.#membership = components.membership
    this.#book = components.book
    this.#trust = components.trust
    this.#conduct = components.conduct
    this.#clock = components.clock
    this.#self = init.self
    this.#own = init.own
  }

  mesh(): MeshView {
    return new MeshView(this.views())
  }

  views(): NodeView[] {
    const wallMs = this.#clock.wallMs()
    const nowMs = this.#clock.monotonicMs()
    return this.#membership.members().flatMap((member): NodeView[] => {
      if (member.revoked) return []
      const place = {
        node: member.peerId,
        region: member.region,
        segment: member.segment,
        power: member.power,
        reliability: member.reliability,
      }
      if (member.peerId === this.#self) {
        const { quota, accepting, repairing } = this.#own()
        return [
          {
            ...place,
            state: 'up',
            silentMs: 0,
            maxBytes: quota?.maxBytes ?? 0,
            freeBytes: quota?.roomForOthersBytes ?? 0,
            ownFreeBytes: quota?.roomForOwnBytes ?? 0,
            accepting,
            repairing,
            trusted: true,
          },
        ]
      }
      const vitals = this.#book.vitalsOf(member.peerId)
      const state = this.forgotten.has(member.peerId) && member.state !== 'up' ? 'gone' : member.state
      const trusts = this.#trust.trusts(member.peerId, wallMs)
      const full = this.#isFull(member.peerId) || this.#conduct.isShunned(member.peerId) || !trusts
      const avoided = (this.#avoided.get(member.peerId)?.untilMs ?? 0) > nowMs
      const flags = vitals?.flags ?? 0
      const leaving = (flags & vitalsFlags.leaving) !== 0
      return [
        {
          ...place,
          reliability: member.reliability * this.#conduct.reliabilityShare(member.peerId),
          state,
          silentMs: state === 'up' ? 0 : Math.max(0, wallMs - member.lastSeenMs),
          maxBytes: vitals?.maxBytes ?? 0,
          freeBytes: vitals === undefined || full || avoided ? 0 : Math.min(vitals.freeForOthersBytes, vitals.maxBytes),
          ...(vitals === undefined || full || avoided ? {} : { evictableBytes: evictableOf(vitals) }),
          ownFreeBytes: vitals === undefined || full || avoided || leaving ? 0 : Math.min(vitals.freeForOwnBytes, vitals.maxBytes),
          // Nor does the room of one that is not believed count for how full the mesh is.
          accepting: (flags & vitalsFlags.accepting) !== 0 && !avoided && !this.#conduct.isShunned(member.peerId) && trusts,
          repairing: (flags & vitalsFlags.repairing) !== 0,
          // One that leaves holds what it holds for a moment only.
          trusted: trusts && !leaving,
        },
      ]
    })
  }

  /** What a node says of its storage; this one's own as it is. */
  storageOf(peer: NodeId, ownSharing: boolean): StorageOf | undefined {
    const quota = peer === this.#self ? this.#own().quota : undefined
    if (quota !== undefined) return { maxBytes: quota.maxBytes, usedBytes: quota.usedBytes, freeForOthersBytes: quota.roomForOthersBytes, shareExcess: ownSharing }
    const vitals = this.#book.vitalsOf(peer)
    if (vitals === undefined) return undefined
    return { maxBytes: vitals.maxBytes, usedBytes: vitals.usedBytes, freeForOthersBytes: vitals.freeForOthersBytes, shareExcess: (vitals.flags & vitalsFlags.sharing) !== 0 }
  }

  isLeaving(peer: NodeId): boolean {
    return ((this.#book.vitalsOf(peer)?.flags ?? 0) & vitalsFlags.leaving) !== 0
  }

  /** Elapsed `ms`, longer each time in a row. */
  avoid(node: NodeId, ms: number, msMax: number): void {
    const failures = (this.#avoided.get(node)?.failures ?? 0) + 1
    this.#avoided.set(node, { untilMs: this.#clock.monotonicMs() + Math.min(msMax, ms * 2 ** Math.min(10, failures - 1)), failures })
  }

  /** It refused so many bytes for want of room. `balance`: of a move, which it may refuse with room. */
  full(node: NodeId, bytes: number, balance: boolean): void {
    const vitals = this.#book.vitalsOf(node)
    // Others that asked at the same time were told the same: that is one offence.
    if (vitals !== undefined && !this.#isFull(node)) {
      const had = Math.min(vitals.freeForOthersBytes, vitals.maxBytes) >= 2 * bytes
      if (had && !balance) {
        this.#conduct.offended(node, 'no room')
        // Its next message may say the same: so it is asked again later each time.
        this.avoid(node, fullMs, fullMsMax)
      } else if (had || Math.max(0, ...vitals.evictableBytes) >= 2 * bytes) this.#conduct.offended(node, 'less room')
    }
    this.#full.set(node, vitals)
  }

  /** What happened since the plan was made: whether it is still worth asking. */
  mayAsk(node: NodeId): boolean {
    return !this.#isFull(node) && !this.#conduct.isShunned(node) && (this.#avoided.get(node)?.untilMs ?? 0) <= this.#clock.monotonicMs()
  }

  #isFull(node: NodeId): boolean {
    return this.#full.has(node) && this.#full.get(node) === this.#book.vitalsOf(node)
  }

  succeeded(node: NodeId): void {
    this.#avoided.delete(node)
  }
}
