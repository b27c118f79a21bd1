import type { NodeId } from '../base/index.js'
import type { Membership } from '../membership/index.js'
import type { Replication } from '../replication/index.js'
import type { QuotaReport } from '../storage-policy/index.js'
import { MeshView, place } from '../storage-policy/index.js'
import type { NodeView, PlacementSettings } from '../storage-policy/index.js'
import { blockBytes, segmentBytes } from '../volumes/index.js'
import type { SegmentId } from '../volumes/index.js'

export interface SegmentPlacesComponents {
  readonly membership: Pick<Membership, 'members'>
  readonly replication: Pick<Replication, 'storageOf' | 'isLeaving'>
  /** This node's own room. */
  readonly quota: () => Promise<Pick<QuotaReport, 'maxBytes' | 'freeForOthersBytes' | 'freeForOwnBytes'>>
}

/**
 * Where copies of a segment go: the placement of blobs, by the same weights, over the same news of the nodes. A segment
 * is thin, so that nobody knows what it will have in the end: a node should have room for all of it, but where too few
 * have, any room will do.
 */
export class SegmentPlacement {
  readonly #components: SegmentPlacesComponents
  readonly #self: NodeId
  readonly #settings: PlacementSettings

  constructor(components: SegmentPlacesComponents, init: { self: NodeId; placement: PlacementSettings }) {
    this.#components = components
    this.#self = init.self
    this.#settings = init.placement
  }

  /** Up to `count` nodes, the best first, none of `not`; this node may be among them. */
  async choose(id: SegmentId, count: number, not: readonly NodeId[]): Promise<NodeId[]> {
    const views = await this.#views()
    const chosen: NodeId[] = []
    for (const bytes of [segmentBytes, blockBytes]) {
      const holders = [...not, ...chosen]
      // Those it is kept away from count as places taken, so that the new ones are somewhere else.
      const counted = holders.filter((node) => views.some((view) => view.node === node && view.state !== 'gone')).length
      const wanted = count - chosen.length
      if (wanted <= 0) break
      const request = { cid: `${id.volume}/${String(id.segment)}`, bytes, wanted: counted + wanted, owner: undefined, ownerMustHold: false, holders }
      chosen.push(...place(request, new MeshView(views), this.#settings).chosen)
    }
    return chosen.slice(0, count)
  }

  /** Nodes that keep copies now: no volume can have more. */
  nodes(): number {
    const { membership } = this.#components
    return membership.members().filter((member) => !member.revoked && !this.isLeaving(member.peerId) && (member.peerId === this.#self || (member.state === 'up' && this.#lends(member.peerId)))).length
  }

  isLeaving(node: NodeId): boolean {
    return this.#components.replication.isLeaving(node)
  }

  #lends(node: NodeId): boolean {
    return this.#components.replication.storageOf(node)?.shareExcess ?? true
  }

  async #views(): Promise<NodeView[]> {
    const { membership, replication, quota } = this.#components
    const own = await quota()
    const views: NodeView[] = []
    for (const member of membership.members()) {
      if (member.revoked) continue
      const isSelf = member.peerId === this.#self
      const storage = isSelf ? { maxBytes: own.maxBytes, freeForOthersBytes: own.freeForOwnBytes, shareExcess: true } : replication.storageOf(member.peerId)
      // A node that has not told of itself yet may still be asked: it knows best what it takes.
      const freeBytes = storage?.freeForOthersBytes ?? segmentBytes
      views.push({
        node: member.peerId, region: member.region, segment: member.segment, power: member.power, reliability: member.reliability,
        state: isSelf ? 'up' : member.state, silentMs: 0, maxBytes: storage?.maxBytes ?? 0, freeBytes, ownFreeBytes: freeBytes,
        accepting: !replication.isLeaving(member.peerId) && (storage?.shareExcess ?? true), repairing: true, trusted: true,
      })
    }
    return views
  }
}
