/**
 * A file larger than the room here, spread while it comes in.
 *
 * Intuition. Its blobs are made like any others, only smaller, and the usual rounds copy each to the next best nodes as
 * soon as it is complete. When the stream needs room, the oldest blobs here go: each is first brought to as many other
 * nodes as copies must never be fewer than, and then let go of by the exchange that every deletion goes through. The
 * stream waits meanwhile; it ends with NO_SPACE only when nothing more can be moved for half a minute.
 *
 * Only copies that were acknowledged *with the voucher of this put* count: another node may hold the same bytes for a file
 * that is removed tomorrow. At the end all are asked once more whether they have what they took; then the record is
 * written, and they are told what file it is a part of.
 */
import type { Clock, Log, NodeId, Rpc } from '../base/index.js'
import { messageOf, withDeadline, withSignals } from '../base/index.js'
import type { BlobRef, HeldBlob } from '../blobs/index.js'
import type { MeshView, Priority, SpreadFit } from '../storage-policy/index.js'
import { minimumReplicas, place, spreadOver } from '../storage-policy/index.js'
import type { Carrier } from './carrier.js'
import type { Holders } from './holders.js'
import type { Inventory } from './inventory.js'
import type { MeshNews } from './mesh-news.js'
import { cidBytes, decode } from './messages.js'
import type { Pauses } from './pausing.js'
import type { Shedding } from './shedding.js'
import type { Space } from './space.js'
import type { Stock } from './stock.js'
import type { Telling } from './telling.js'
import type { FileSpread, ReplicationComponents, ReplicationSettings } from './types.js'
import { ReplicationError } from './types.js'
import type { Vouchers } from './vouchers.js'
import type { Wants } from './wants.js'
import { HaveRequest, HaveResponse } from './wire/replication.js'

export interface SpreadingComponents {
  readonly blobs: ReplicationComponents['blobs']
  readonly rpc: Rpc
  readonly clock: Clock
  readonly log: Log
  readonly space: Space
  readonly news: MeshNews
  readonly holders: Holders
  readonly inventory: Inventory
  readonly carrier: Carrier
  readonly shedding: Shedding
  readonly stock: Stock
  readonly wants: Wants
  readonly vouchers: Vouchers
  readonly telling: Telling
  /** Woken when the copies of anything change. */
  readonly changes: Pauses
  readonly reclaim: ReplicationComponents['reclaim']
}

export interface SpreadingInit {
  readonly self: NodeId
  readonly settings: () => ReplicationSettings
  readonly stopped: AbortSignal
  readonly rescan: () => void
}

/** Blobs that leave at once to make room: two are on the line while two others are confirmed. */
const leavingMax = 4
/**
 * So often, and for so long, nothing could be moved: there is no room. Vitals take seconds to come round; and both, so that
 * a machine that was asleep meanwhile is not out of patience when it wakes up.
 */
const looksMax = 60
const patienceMs = 30_000
const lookAgainMs = 500
/** For room that is about to come back before a file is refused. */
const roomWaitMs = 30_000
/** Different targets for one blob in one go. */
const targetsMax = 6
/** Asking and telling others at the end. */
const askDeadlineMs = 15_000
const tellMs = 20_000
/** `replication.have` takes so many. */
const askedMax = 1024

/** Begins to spread a file of so many bytes. Throws NO_SPACE if the mesh has no room for it. */
export async function beginSpread(
  components: SpreadingComponents,
  init: SpreadingInit,
  file: { bytes: number; priority: Priority; replicas: number; isSaid: boolean; heldBytes?: number; blobBytesMax?: number },
  signal: AbortSignal,
): Promise<FileSpread> {
  const { heldBytes = 0, blobBytesMax = Number.POSITIVE_INFINITY } = file
  const { space, news, clock, changes } = components
  const { factors } = init.settings()
  const untilMs = clock.monotonicMs() + roomWaitMs
  let plan: SpreadFit
  for (;;) {
    signal.throwIfAborted()
    const quota = await space.report()
    const nodes = news.views()
    plan = spreadOver(file, { self: init.self, ownFreeBytes: quota.roomForOwnBytes + heldBytes, nodes, factors })
    if (plan.copies > 0 || clock.monotonicMs() >= untilMs) break
    // Space of what was just removed comes back, and is told of, within seconds: worth waiting for where it could be enough.
    const empty = nodes.map((node) => ({ ...node, freeBytes: node.maxBytes }))
    if (spreadOver(file, { self: init.self, ownFreeBytes: quota.maxBytes, nodes: empty, factors }).copies === 0) break
    await changes.wait(lookAgainMs, signal)
  }
  if (plan.copies === 0) throw new ReplicationError('NO_SPACE', plan.message, { reason: 'MESH', needBytes: plan.needBytes, roomBytes: plan.roomBytes })
  return new Spreading(components, init, {
    ...plan,
    blobBytes: Math.min(plan.blobBytes, blobBytesMax),
    priority: file.priority,
    replicas: file.isSaid ? file.replicas : plan.copies,
    fileBytes: heldBytes === 0 ? file.bytes : undefined,
    minimum: minimumReplicas(plan.copies, init.settings().factors),
  })
}

interface SpreadPlan {
  readonly blobBytes: number
  /** What the record is to say. */
  readonly replicas: number
  /** What there is room for. */
  readonly copies: number
  readonly minimum: number
  readonly priority: Priority
  /** If that is known. */
  readonly fileBytes: number | undefined
}

class Spreading implements FileSpread {
  readonly blobBytes: number
  readonly replicas: number
  readonly #components: SpreadingComponents
  readonly #init: SpreadingInit
  readonly #plan: SpreadPlan
  /** In file order, each once. */
  readonly #blobs = new Map<string, HeldBlob>()
  readonly #leaving = new Set<string>()
  #movedBytes = 0

  constructor(components: SpreadingComponents, init: SpreadingInit, plan: SpreadPlan) {
    this.#components = components
    this.#init = init
    this.#plan = plan
    this.blobBytes = plan.blobBytes
    this.replicas = plan.replicas
  }

  async reserve(bytes: number, outer?: AbortSignal): Promise<{ release: () => Promise<void> }> {
    return withSignals([outer, this.#init.stopped], async (signal) => this.#reserve(bytes, signal))
  }

  async #reserve(bytes: number, signal: AbortSignal): Promise<{ release: () => Promise<void> }> {
    const { space, clock, changes, reclaim } = this.#components
    let stuckSinceMs = clock.monotonicMs()
    let looks = 0
    // Garbage may be all that stands in the way.
    let reclaimed = false
    for (;;) {
      signal.throwIfAborted()
      const admission = await space.reserve(bytes, true, signal)
      if (admission.admitted) return { release: () => space.settle(admission.reservation.id) }
      if (!reclaimed && (space.last()?.reclaimableBytes ?? 0) >= admission.shortBytes) {
        reclaimed = true
        await reclaim?.(signal)
        continue
      }
      reclaimed = false
      if (await this.#makeRoom(admission.shortBytes, signal)) {
        stuckSinceMs = clock.monotonicMs()
        looks = 0
      } else if (++looks > looksMax && clock.monotonicMs() - stuckSinceMs > patienceMs) throw this.#noSpace()
      else await changes.wait(lookAgainMs, signal)
    }
  }

  async onBlob(blob: HeldBlob): Promise<void> {
    const { vouchers, wants, stock } = this.#components
    const cid = blob.cid.toString()
    if (!this.#blobs.has(cid)) vouchers.open(cid, this.#plan.copies, this.#plan.priority)
    this.#blobs.set(cid, blob)
    wants.changed(cid)
    await stock.held({ cid, kind: blob.kind, bytes: blob.bytes, blocks: blob.blocks, heldSinceMs: blob.heldSinceMs })
  }

  async beforeEnd(refs: readonly BlobRef[]): Promise<void> {
    const { blobs, vouchers } = this.#components
    const away = new Set<string>()
    for (const { cid } of refs) if (this.#blobs.has(cid.toString()) && (await blobs.held(cid)) === undefined) away.add(cid.toString())
    if (away.size === 0) return
    const byNode = new Map<NodeId, string[]>()
    for (const cid of away) for (const node of vouchers.acknowledgedBy(cid) ?? []) byNode.set(node, [...(byNode.get(node) ?? []), cid])
    await Promise.all([...byNode].map(async ([node, cids]) => {
      for (const cid of await this.#heldBy(node, cids)) away.delete(cid)
    }))
    const [lost] = away
    if (lost !== undefined) {
      throw new ReplicationError('NOT_FOUND', `nodes that took parts of the file have gone: ${String(away.size)} parts cannot be found any more; put it again`, { cid: lost, parts: away.size })
    }
  }

  async settle(root: string): Promise<void> {
    const { wants, clock, log, vouchers, telling } = this.#components
    await wants.addParts(root, [...this.#blobs.keys()])
    try {
      const told = [...this.#blobs.values()].flatMap((blob) => [...(vouchers.acknowledgedBy(blob.cid.toString()) ?? [])].map((to) => ({ blob, to })))
      await withDeadline(clock, tellMs, this.#init.stopped, async (signal) => telling.tell(root, told, signal))
    } catch (error) {
      // They ask by themselves, and keep what they have until they know.
      log.debug('not all who took parts of a file could be told of it', { root, error: messageOf(error) })
    }
    this.#close()
  }

  async giveUp(): Promise<void> {
    this.#close()
  }

  #close(): void {
    const { vouchers, wants } = this.#components
    for (const cid of this.#blobs.keys()) {
      vouchers.close(cid)
      wants.changed(cid)
    }
    this.#blobs.clear()
    this.#init.rescan()
  }

  // --- making room -------------------------------------------------------------------------------------------------

  /** Resolves to whether anything has gone. */
  async #makeRoom(shortBytes: number, signal: AbortSignal): Promise<boolean> {
    const { inventory, shedding, reclaim, blobs } = this.#components
    const evicted = await shedding.makeRoomExactly(shortBytes, signal)
    if (evicted) return true
    const leaving: HeldBlob[] = []
    let bytes = 0
    for (const blob of this.#blobs.values()) {
      if (bytes >= shortBytes || leaving.length + this.#leaving.size >= leavingMax) break
      const cid = blob.cid.toString()
      if (this.#leaving.has(cid) || inventory.get(cid) === undefined || (await blobs.held(blob.cid)) === undefined) continue
      leaving.push(blob)
      bytes += blob.bytes
    }
    const gone = await Promise.all(leaving.map((blob) => this.#handOver(blob, signal)))
    if (!gone.includes(true)) return false
    await reclaim?.(signal)
    return true
  }

  /** Away from here, once enough others have it. */
  async #handOver(blob: HeldBlob, signal: AbortSignal): Promise<boolean> {
    const { carrier } = this.#components
    const cid = blob.cid.toString()
    this.#leaving.add(cid)
    try {
      const tried = new Set<NodeId>()
      while (tried.size < targetsMax) {
        const mesh = this.#components.news.mesh()
        const there = this.#there(cid, mesh)
        if (there.length >= this.#plan.minimum) {
          const gone = await carrier.carry({ kind: 'evict', cid, from: this.#init.self, to: null, bytes: blob.bytes, reason: 'the rest of its file needs the room' }, signal)
          if (gone) this.#movedBytes += blob.bytes
          return gone
        }
        const to = this.#nextTarget(cid, blob.bytes, there, tried, mesh)
        if (to === undefined) return false
        tried.add(to)
        await carrier.carry({ kind: 'copy', cid, from: this.#init.self, to, bytes: blob.bytes, reason: 'its file is larger than the room here', urgent: true }, signal)
      }
      return false
    } finally {
      this.#leaving.delete(cid)
    }
  }

  /** Live and trusted ones that took it for this file. */
  #there(cid: string, mesh: MeshView): NodeId[] {
    const { vouchers, holders } = this.#components
    const acknowledged = vouchers.acknowledgedBy(cid)
    return holders.live(cid, mesh).filter((node) => node !== this.#init.self && acknowledged?.has(node) === true)
  }

  #nextTarget(cid: string, bytes: number, there: readonly NodeId[], tried: ReadonlySet<NodeId>, mesh: MeshView): NodeId | undefined {
    const { holders } = this.#components
    // Who has it for another file need only be told that it is wanted for this one, too.
    const has = holders.live(cid, mesh).find((node) => node !== this.#init.self && !there.includes(node) && !tried.has(node))
    if (has !== undefined) return has
    return place(
      { cid, bytes, priority: this.#plan.priority, wanted: there.length + 1, owner: undefined, ownerMustHold: false, holders: there, excluded: [this.#init.self, ...tried] },
      mesh,
      this.#init.settings().placement,
    ).chosen[0]
  }

  #noSpace(): ReplicationError {
    const { fileBytes, minimum } = this.#plan
    const done = `${String(this.#movedBytes)} ${fileBytes === undefined ? 'bytes of it' : `of its ${String(fileBytes)} bytes`} had been brought to other nodes`
    return new ReplicationError('NO_SPACE', `the other nodes have no more room for the ${minimum === 1 ? 'copy' : `${String(minimum)} copies`} of each part that must be elsewhere; ${done}, and are given back`, {
      reason: 'MESH', ...(fileBytes === undefined ? {} : { needBytes: fileBytes * minimum }), movedBytes: this.#movedBytes,
    })
  }

  // --- the end -----------------------------------------------------------------------------------------------------

  async #heldBy(node: NodeId, cids: readonly string[]): Promise<string[]> {
    const found: string[] = []
    try {
      for (let at = 0; at < cids.length; at += askedMax) {
        const some = cids.slice(at, at + askedMax)
        const body = await this.#components.rpc.request(node, 'replication.have', HaveRequest.encode({ cids: some.map(cidBytes) }), { deadlineMs: askDeadlineMs, signal: this.#init.stopped })
        const { held } = decode(HaveResponse, body)
        found.push(...some.filter((_, i) => held[i] === 1))
      }
    } catch (error) {
      this.#components.log.debug('a node does not say whether it has its parts of a file', { peer: node, error: messageOf(error) })
    }
    return found
  }
}
