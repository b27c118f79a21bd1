/** Questions about the copies of a file or a blob, and where they belong. */
import type { Clock, NodeId } from '../base/index.js'
import { CommonError } from '../base/index.js'
import type { MeshView, PlacementExplanation, Priority } from '../storage-policy/index.js'
import { explainPlacement, priorities } from '../storage-policy/index.js'
import type { Holders } from './holders.js'
import type { Inventory } from './inventory.js'
import type { MeshNews } from './mesh-news.js'
import { parseCid } from './messages.js'
import type { Pauses } from './pausing.js'
import type { ReplicaCount, ReplicationComponents, ReplicationSettings } from './types.js'
import { ReplicationError } from './types.js'
import type { Wants } from './wants.js'

export interface AnswersComponents {
  readonly blobs: ReplicationComponents['blobs']
  readonly clock: Clock
  readonly catalog: ReplicationComponents['catalog']
  readonly inventory: Inventory
  readonly holders: Holders
  readonly wants: Wants
  readonly news: MeshNews
  /** Woken when the copies of anything change. */
  readonly changes: Pauses
}

export interface AnswersInit {
  readonly settings: () => ReplicationSettings
  readonly stopped: AbortSignal
}

/** What wakes `wait` may be missed where it happens at another node: then it looks again after this long. */
const pollMs = 1_000
/** A listing asks for thousands of files in a row: the nodes are looked at once for all of them. */
const glanceMs = 250
/** A file of at most one leaf has no spine, so nobody need be asked what it consists of. */
const leafBytes = 2 ** 20

interface Resolved {
  readonly root: string
  readonly wanted: number
  readonly priority: Priority
  readonly owner: NodeId | undefined
}

export class Answers {
  readonly #components: AnswersComponents
  readonly #init: AnswersInit
  #glance: { atMs: number; mesh: MeshView } | undefined

  constructor(components: AnswersComponents, init: AnswersInit) {
    this.#components = components
    this.#init = init
  }

  async replicasOf(target: string): Promise<ReplicaCount> {
    const { holders, news } = this.#components
    const { root, wanted } = await this.#resolve(target)
    const blobs = await this.#blobsOf(root)
    const mesh = news.mesh()
    let have = Number.POSITIVE_INFINITY
    let all: Set<NodeId> | undefined
    for (const cid of blobs) {
      const counted = holders.counted(cid, mesh, this.#init.settings().rebalance.graceMs)
      have = Math.min(have, counted.length)
      const before: ReadonlySet<NodeId> | undefined = all
      all = new Set(before === undefined ? counted : counted.filter((holder) => before.has(holder)))
    }
    return { wanted, have: Number.isFinite(have) ? have : 0, holders: [...(all ?? [])].sort(), blobs: blobs.length }
  }

  /** For listings: of thousands of files in a row, without waiting for anything. */
  copiesAtHand(root: string): NodeId[] {
    const { clock, holders, news, wants } = this.#components
    const nowMs = clock.monotonicMs()
    if (this.#glance === undefined || nowMs - this.#glance.atMs > glanceMs) this.#glance = { atMs: nowMs, mesh: news.mesh() }
    const { mesh } = this.#glance
    const { graceMs } = this.#init.settings().rebalance
    let all: Set<NodeId> | undefined
    for (const cid of [root, ...wants.partsOf(root)]) {
      const counted = holders.counted(cid, mesh, graceMs)
      const before: ReadonlySet<NodeId> | undefined = all
      all = new Set(before === undefined ? counted : counted.filter((holder) => before.has(holder)))
    }
    return [...(all ?? [])]
  }

  async wait(target: string, signal: AbortSignal, onProgress?: (count: ReplicaCount) => void): Promise<ReplicaCount> {
    let last = -1
    for (;;) {
      signal.throwIfAborted()
      const count = await this.replicasOf(target)
      if (count.have !== last) onProgress?.(count)
      last = count.have
      if (count.have >= count.wanted) return count
      if (this.#init.stopped.aborted) throw new CommonError('UNAVAILABLE', 'the node is stopping')
      await this.#components.changes.wait(pollMs, signal)
    }
  }

  async explain(target: string): Promise<PlacementExplanation> {
    const { holders, inventory, news } = this.#components
    const { root, wanted, priority, owner } = await this.#resolve(target)
    const [cid] = await this.#blobsOf(root)
    if (cid === undefined) throw new ReplicationError('NOT_FOUND', 'there is nothing in it')
    const bytes = inventory.get(cid)?.bytes ?? (await this.#sizeOf(root))
    return explainPlacement(
      { cid, bytes, wanted, owner, ownerMustHold: priorities[priority].ownerMustHold, holders: holders.of(cid) },
      news.mesh(),
      this.#init.settings().placement,
    )
  }

  async #resolve(target: string): Promise<Resolved> {
    const { catalog, wants, holders } = this.#components
    if (target.startsWith('/')) {
      const record = await catalog.get(target)
      if (record?.content === undefined) throw new ReplicationError('NOT_FOUND', 'there is no such file; the files of a folder are placed one by one', { path: target })
      const { cid, replicas, priority } = record.content
      return { root: cid, wanted: Math.max(1, replicas), priority, owner: record.owner }
    }
    const cid = parseCid(target)?.toString()
    if (cid === undefined) throw new ReplicationError('NOT_FOUND', `"${target}" is no CID; a path begins with a slash`, { target })
    const want = await wants.ask(cid)
    if (want !== undefined) return { root: cid, wanted: want.wanted, priority: want.priority, owner: want.owner }
    if (holders.of(cid).length === 0) throw new ReplicationError('NOT_FOUND', 'no file is known to have it, and no node to hold it', { cid })
    return { root: cid, wanted: 1, priority: 'normal', owner: undefined }
  }

  async #sizeOf(root: string): Promise<number> {
    const [record] = await this.#components.catalog.byCid(root)
    return record?.content?.size ?? 0
  }

  /** The blobs under a root. Most files are one; only a larger one, or a folder, has a spine to be read. */
  async #blobsOf(root: string): Promise<string[]> {
    const { inventory, holders, blobs } = this.#components
    const entry = inventory.get(root)
    if (entry?.kind === 'dag') return [root]
    if (entry === undefined && (await this.#sizeOf(root)) <= leafBytes) return [root]
    const cid = parseCid(root)
    if (cid === undefined) return []
    const found = await blobs.blobsOf(cid, { signal: this.#init.stopped, holders: holders.of(root) })
    return found.length === 0 ? [root] : found.map((blob) => blob.cid.toString())
  }
}
