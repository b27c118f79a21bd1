/**
 * A mesh over a year, through the production policy code: laptops that sleep every night, servers with outages, nodes
 * that die for good and newcomers that take their place, owners that lower a quota, transfers that break, confirmations
 * that get lost, news that is a tick old. Only the network and the disks are made up; what is copied, where to, what is
 * trimmed and evicted is decided by `planRebalance`, `planEviction` and `planRelief`.
 */
import type { NodeId, Random } from '../../../src/base/index.js'
import { seededRandom } from '../../../src/base/index.js'
import type { Action, BlobView, NodeView, Priority, RebalancePolicy } from '../../../src/storage-policy/index.js'
import { factorDefaults, MeshView, minimumReplicas, place, placementDefaults, planEviction, planRebalance, planRelief, priorities, rebalanceDefaults, standingOf, storageCost, victimOf, wantedReplicas } from '../../../src/storage-policy/index.js'
import { gib, mib, nodeIds } from '../../property/storage-policy/world.js'

const hour = 3600_000
const day = 24 * hour

export interface YearInit {
  readonly seed: number
  readonly nodes: number
  readonly blobs: number
  readonly days: number
  readonly tickMs: number
  /** Share of the nodes that die for good in 30 days. */
  readonly deathsPerMonth: number
  readonly laptops: number
  /** Chance that a transfer breaks, and that a confirmation is lost. */
  readonly faults: number
  /** Bytes a second that one node sends. */
  readonly uplink: number
  /** A wrong policy, to see the check fail. */
  readonly broken?: 'no repair' | 'deletes unconfirmed' | undefined
}

export interface YearReport {
  deaths: number
  puts: number
  removed: number
  /** Lost although a live copy had been there for long enough to copy it: must be 0. */
  lostByPolicy: string[]
  /** All copies were lost within less time than one copy takes. */
  lostByCoincidence: number
  /** Put with one copy, by its owner's choice, on a node that died. */
  lostSingles: number
  overQuota: number
  storedBytes: number
  deadBytes: number
  urgentBytes: number
  repairBytes: number
  movedBytes: number
  trimmedBytes: number
  evictedBytes: number
  /** Share of the blob-hours with fewer counted copies than wanted, and with fewer live ones than the minimum. */
  belowWanted: number
  belowMinimum: number
  /** Standard deviation of the fill over the nodes, in points, averaged over the days. */
  imbalance: number
}

interface Blob {
  readonly cid: string
  readonly bytes: number
  readonly priority: Priority
  readonly wanted: number
  readonly owner: NodeId
  holders: Host[]
  putAtMs: number
  surplusSinceMs: number | undefined
  /** How long, in all, a last copy has been on a node that is up. */
  lonelyUpMs: number
  lonelySinceMs: number | undefined
  inFlight: number
  below: boolean
}

interface Host {
  readonly id: NodeId
  readonly laptop: boolean
  readonly region: string
  readonly segment: string
  readonly zone: number
  readonly reliability: number
  maxBytes: number
  used: number
  incoming: number
  up: boolean
  dead: boolean
  silentSinceMs: number
  /** For servers. */
  outageUntilMs: number
  busyUntilMs: number
  readonly blobs: Set<Blob>
}

interface Transfer {
  readonly action: Action
  readonly blob: Blob
  readonly from: Host
  readonly to: Host
  readonly endsAtMs: number
  /** Both ends have stayed up so far. */
  broken: boolean
}

const policy: RebalancePolicy = { placement: placementDefaults, rebalance: { ...rebalanceDefaults, backgroundBytesMax: 8 * gib }, factors: factorDefaults }

export function runYear(init: YearInit): YearReport {
  const random: Random = seededRandom(init.seed)
  const ids = nodeIds(init.nodes + Math.ceil(init.nodes * init.deathsPerMonth * (init.days / 30) * 1.5) + 20, init.seed + 1)
  const regions = ['sydney', 'london', 'nyc', 'tokyo', 'berlin', 'lima']
  const hosts: Host[] = []
  const byId = new Map<NodeId, Host>()
  const blobs = new Set<Blob>()
  let transfers: Transfer[] = []
  let nowMs = 0
  let belowCount = 0
  let lonelyCount = 0
  const out: YearReport = { deaths: 0, puts: 0, removed: 0, lostByPolicy: [], lostByCoincidence: 0, lostSingles: 0, overQuota: 0, storedBytes: 0, deadBytes: 0, urgentBytes: 0, repairBytes: 0, movedBytes: 0, trimmedBytes: 0, evictedBytes: 0, belowWanted: 0, belowMinimum: 0, imbalance: 0 }
  /** Blobs to look at, by when. */
  const due = new Map<number, Set<Blob>>()
  const look = (blob: Blob, atMs: number): void => {
    const tick = Math.max(Math.ceil(atMs / init.tickMs), Math.floor(nowMs / init.tickMs) + 1)
    let set = due.get(tick)
    if (set === undefined) due.set(tick, (set = new Set()))
    set.add(blob)
  }

  const join = (): Host => {
    const zone = random.below(regions.length)
    const laptop = random.float() < init.laptops
    const id = ids[hosts.length]
    if (id === undefined) throw new Error('out of names')
    const host: Host = { id, laptop, region: regions[zone] ?? '', segment: `net${String(random.below(Math.ceil(init.nodes / 3)))}`, zone, reliability: laptop ? 0.66 : 0.995, maxBytes: (laptop ? 5 + random.below(20) : 20 + random.below(100)) * gib, used: 0, incoming: 0, up: true, dead: false, silentSinceMs: 0, outageUntilMs: 0, busyUntilMs: 0, blobs: new Set() }
    hosts.push(host)
    byId.set(id, host)
    return host
  }
  const viewOf = (host: Host): NodeView => {
    const silentMs = host.up ? 0 : nowMs - host.silentSinceMs
    const free = Math.max(0, host.maxBytes - host.used - host.incoming)
    return { node: host.id, state: host.up ? 'up' : silentMs > policy.rebalance.graceMs ? 'gone' : 'suspect', silentMs, region: host.region, segment: host.segment, power: host.laptop ? 'battery' : 'mains', reliability: host.reliability, maxBytes: host.maxBytes, freeBytes: free, ownFreeBytes: free, accepting: true, repairing: true, trusted: true }
  }
  // The dead are indistinguishable from the silent; after ten graces they are forgotten.
  const meshNow = (): MeshView => new MeshView(hosts.filter((host) => host.up || nowMs - host.silentSinceMs < 10 * policy.rebalance.graceMs).map(viewOf))
  const blobView = (blob: Blob): BlobView => ({ cid: blob.cid, bytes: blob.bytes, priority: blob.priority, owner: blob.owner, wanted: blob.wanted, holders: blob.holders.map((host) => host.id), surplusSinceMs: blob.surplusSinceMs })

  const lonely = (blob: Blob): void => {
    const alive = blob.holders.length
    const up = alive === 1 && (blob.holders[0]?.up ?? false)
    if (up && blob.lonelySinceMs === undefined) blob.lonelySinceMs = nowMs
    if (!up && blob.lonelySinceMs !== undefined) {
      blob.lonelyUpMs += nowMs - blob.lonelySinceMs
      blob.lonelySinceMs = undefined
    }
    if (alive > 1) blob.lonelyUpMs = 0
  }
  const add = (blob: Blob, host: Host): void => {
    blob.holders.push(host)
    host.blobs.add(blob)
    host.used += storageCost(blob.bytes)
    if (host.used > host.maxBytes) out.overQuota++
    lonely(blob)
  }
  const remove = (blob: Blob, host: Host): void => {
    blob.holders = blob.holders.filter((one) => one !== host)
    host.blobs.delete(blob)
    host.used -= storageCost(blob.bytes)
  }
  const forget = (blob: Blob): void => {
    for (const host of [...blob.holders]) remove(blob, host)
    blobs.delete(blob)
    if (blob.below) belowCount--
  }
  const lost = (blob: Blob): void => {
    if (blob.lonelySinceMs !== undefined) blob.lonelyUpMs += nowMs - blob.lonelySinceMs
    // Noticed at the next tick, planned, sent behind two others of its size, and once more if it broke.
    const repairMs = 3 * init.tickMs + 6 * ((1000 * blob.bytes) / init.uplink)
    if (blob.wanted === 1) out.lostSingles++
    else if (blob.lonelyUpMs > repairMs) out.lostByPolicy.push(`${blob.cid}: its last copy was up for ${(blob.lonelyUpMs / hour).toFixed(1)} h`)
    else out.lostByCoincidence++
    forget(blob)
  }

  const put = (): void => {
    const up = hosts.filter((host) => host.up)
    const owner = up[random.below(up.length)]
    if (owner === undefined) return
    const dice = random.float()
    const priority: Priority = dice < 0.03 ? 'critical' : dice < 0.15 ? 'high' : dice < 0.85 ? 'normal' : dice < 0.95 ? 'low' : 'expendable'
    const blob: Blob = { cid: `${String(init.seed)}.${String(out.puts++)}`, bytes: Math.floor(mib * 2 ** (random.float() * 10)), priority, wanted: wantedReplicas(priority, undefined, factorDefaults, 0.4), owner: owner.id, holders: [], putAtMs: nowMs, surplusSinceMs: undefined, lonelyUpMs: 0, lonelySinceMs: undefined, inFlight: 0, below: false }
    if (owner.maxBytes - owner.used - owner.incoming < storageCost(blob.bytes)) return
    blobs.add(blob)
    add(blob, owner)
    look(blob, nowMs)
  }

  const start = (action: Action, blob: Blob): void => {
    const from = action.from === null ? undefined : byId.get(action.from)
    const to = action.to === null ? undefined : byId.get(action.to)
    if (from === undefined || to === undefined || !to.up || !from.up || blob.holders.includes(to)) return
    // The target's own admission, whatever the news said.
    const cost = storageCost(blob.bytes)
    if (to.used + to.incoming + cost > to.maxBytes) {
      look(blob, nowMs)
      return
    }
    to.incoming += cost
    blob.inFlight++
    from.busyUntilMs = Math.max(nowMs, from.busyUntilMs) + (1000 * blob.bytes) / init.uplink
    transfers.push({ action, blob, from, to, endsAtMs: from.busyUntilMs, broken: random.float() < init.faults })
  }
  /** The exchange of `eviction-confirm.ts` in brief: truth from those who are up, and some answers are lost. */
  const confirmed = (blob: Blob, self: Host, floor: number): boolean =>
    init.broken === 'deletes unconfirmed' || blob.holders.filter((host) => host !== self && host.up && random.float() >= init.faults).length >= floor
  const finish = (transfer: Transfer): void => {
    const { blob, from, to, action } = transfer
    blob.inFlight--
    to.incoming -= storageCost(blob.bytes)
    if (!blobs.has(blob)) return
    look(blob, nowMs)
    if (transfer.broken || !to.up || to.dead || blob.holders.includes(to)) return
    add(blob, to)
    if (action.kind === 'move') {
      out.movedBytes += blob.bytes
      if (blob.holders.includes(from) && from.up && confirmed(blob, from, blob.wanted)) remove(blob, from)
    } else if (action.urgent === true) out.urgentBytes += blob.bytes
    else out.repairBytes += blob.bytes
  }

  const down = (host: Host, dead: boolean): void => {
    if (host.up) host.silentSinceMs = nowMs
    host.up = false
    for (const transfer of transfers) if (transfer.from === host || transfer.to === host) transfer.broken = true
    for (const blob of [...host.blobs]) {
      if (dead) remove(blob, host)
      if (blob.holders.length === 0) {
        lost(blob)
        continue
      }
      lonely(blob)
      look(blob, nowMs + policy.rebalance.urgentAfterMs)
      look(blob, host.silentSinceMs + policy.rebalance.graceMs + init.tickMs)
    }
    if (dead) host.dead = true
  }
  const wake = (host: Host): void => {
    host.up = true
    for (const blob of host.blobs) {
      lonely(blob)
      look(blob, nowMs)
    }
  }

  /** Looks at blobs as their holders would, and starts what the plans say. */
  const plan = (looked: Iterable<Blob>, mesh: MeshView): void => {
    const byPlanner = new Map<Host, Blob[]>()
    for (const blob of looked) {
      if (!blobs.has(blob) || blob.inFlight > 0) continue
      const view = blobView(blob)
      const standing = standingOf(view, mesh, policy)
      const below = standing.counted < blob.wanted
      if (below !== blob.below) belowCount += below ? 1 : -1
      blob.below = below
      if (standing.surplus > 0) {
        blob.surplusSinceMs ??= nowMs
        look(blob, blob.surplusSinceMs + policy.rebalance.trimAfterMs)
      } else blob.surplusSinceMs = undefined
      const planner = standing.missing > 0 ? standing.actor : standing.surplus > 0 ? victimOf(view, mesh, policy.placement)?.view.node : undefined
      const host = planner === undefined ? undefined : byId.get(planner)
      if (standing.missing > 0 && host === undefined) look(blob, nowMs + hour)
      if (host?.up !== true) continue
      const list = byPlanner.get(host)
      if (list === undefined) byPlanner.set(host, [blob])
      else list.push(blob)
    }
    if (init.broken === 'no repair') return
    for (const [host, list] of byPlanner) {
      const named = new Map(list.map((blob) => [blob.cid, blob]))
      const { actions } = planRebalance(host.id, list.map(blobView), mesh, policy, nowMs)
      for (const action of actions) {
        const blob = named.get(action.cid)
        if (blob === undefined) continue
        named.delete(action.cid)
        if (action.kind === 'trim') {
          if (confirmed(blob, host, blob.wanted)) {
            remove(blob, host)
            out.trimmedBytes += blob.bytes
            blob.surplusSinceMs = undefined
          }
          look(blob, nowMs + hour)
        } else start(action, blob)
      }
      // What the budget or the room did not allow is looked at again.
      for (const blob of list) if (blob.inFlight === 0) look(blob, nowMs + 4 * init.tickMs)
    }
  }

  /** An owner lowers the limit: evict what may go, move the rest. */
  const squeeze = (host: Host, mesh: MeshView): void => {
    const short = host.used - host.maxBytes
    if (short <= 0 || !host.up) return
    const held = [...host.blobs].filter((blob) => blob.inFlight === 0)
    const candidates = held.map((blob) => ({ cid: blob.cid, bytes: blob.bytes, priority: blob.priority, copies: blob.holders.filter((one) => one.up).length, wanted: blob.wanted, minimum: minimumReplicas(blob.wanted, factorDefaults), pinned: false, inUse: false, ownerMustHold: priorities[blob.priority].ownerMustHold && blob.owner === host.id, promised: false, heldSinceMs: blob.putAtMs, lastUsedMs: blob.putAtMs }))
    const evictions = planEviction(candidates, { self: host.id, strategy: 'hybrid', bytes: short, nowMs, seed: 1 })
    const named = new Map(held.map((blob) => [blob.cid, blob]))
    for (const action of evictions.actions) {
      const blob = named.get(action.cid)
      if (blob === undefined || !confirmed(blob, host, minimumReplicas(blob.wanted, factorDefaults))) continue
      remove(blob, host)
      named.delete(action.cid)
      out.evictedBytes += blob.bytes
      lonely(blob)
      look(blob, nowMs)
    }
    for (const action of planRelief(host.id, [...named.values()].map(blobView), host.used - host.maxBytes, mesh, policy).actions) {
      const blob = named.get(action.cid)
      if (blob !== undefined) start(action, blob)
    }
  }

  for (let i = 0; i < init.nodes; i++) join()
  // The first blobs are there, whole, at the start; puts and removals keep their number about the same from then on.
  {
    const mesh = meshNow()
    while (blobs.size < init.blobs && out.puts < 3 * init.blobs) put()
    for (const blob of blobs) {
      const first = blob.holders[0]
      if (first === undefined) continue
      mesh.assign(first.id, storageCost(blob.bytes))
      for (const id of place({ ...blobView(blob), ownerMustHold: false }, mesh, policy.placement).chosen) {
        const host = byId.get(id)
        if (host === undefined || host.used + storageCost(blob.bytes) > host.maxBytes) continue
        add(blob, host)
        mesh.assign(id, storageCost(blob.bytes))
      }
    }
  }

  const ticksPerDay = Math.round(day / init.tickMs)
  const deathChance = (init.deathsPerMonth / 30 / ticksPerDay) * 1
  let samples = 0
  let blobTicks = 0
  let news = meshNow()
  const squeezed = new Set<Host>()
  for (let tick = 1; tick <= init.days * ticksPerDay; tick++) {
    nowMs = tick * init.tickMs
    const hourOfDay = (nowMs % day) / hour
    for (const host of [...hosts]) {
      if (host.dead) continue
      if (random.float() < deathChance) {
        out.deaths++
        out.deadBytes += host.used
        down(host, true)
        squeezed.delete(host)
        join()
        continue
      }
      if (host.laptop) {
        const local = (hourOfDay + host.zone * 4 + 24) % 24
        const asleep = local < 8
        // Most, not all, sleep on a given night, and not at the stroke of the hour.
        if (asleep && host.up && random.float() < 0.2) down(host, false)
        else if (!asleep && !host.up && random.float() < 0.3) wake(host)
      } else if (host.up) {
        // A restart a month, and twice a year something that takes a day or three.
        if (random.float() < 1 / (30 * ticksPerDay)) {
          host.outageUntilMs = nowMs + (random.below(6) === 0 ? day * (0.5 + 2.5 * random.float()) : 20 * 60_000)
          down(host, false)
        }
      } else if (nowMs >= host.outageUntilMs) wake(host)
    }
    const ended = transfers.filter((transfer) => transfer.endsAtMs <= nowMs)
    transfers = transfers.filter((transfer) => transfer.endsAtMs > nowMs)
    for (const transfer of ended) finish(transfer)
    for (let i = (init.blobs * 0.005) / ticksPerDay; i > random.float(); i--) {
      put()
      const [oldest] = blobs
      if (blobs.size > init.blobs && oldest !== undefined && oldest.inFlight === 0) {
        forget(oldest)
        out.removed++
      }
    }
    if (random.float() < init.nodes / 2 / 365 / ticksPerDay) {
      const host = hosts[random.below(hosts.length)]
      if (host !== undefined && !host.dead) {
        host.maxBytes = Math.floor(host.maxBytes * (random.below(2) === 0 ? 0.6 : 1.5))
        squeezed.add(host)
      }
    }
    const looked = due.get(tick)
    due.delete(tick)
    // What is decided now is decided on the news of the last tick; states are the exception, since a dial tells at once.
    if (looked !== undefined && looked.size > 0) plan(looked, news)
    for (const host of squeezed) {
      if (host.used <= host.maxBytes) squeezed.delete(host)
      else if (tick % 4 === 0) squeeze(host, news)
    }
    news = meshNow()
    blobTicks += blobs.size
    out.belowWanted += belowCount
    if (tick % (ticksPerDay / 4) === 0) {
      lonelyCount = 0
      for (const blob of blobs) if (blob.holders.filter((host) => host.up).length < minimumReplicas(blob.wanted, factorDefaults)) lonelyCount++
      out.belowMinimum += lonelyCount / blobs.size
      const living = hosts.filter((host) => !host.dead)
      const mean = living.reduce((sum, host) => sum + host.used, 0) / living.reduce((sum, host) => sum + host.maxBytes, 0)
      out.imbalance += Math.sqrt(living.reduce((sum, host) => sum + (host.used / host.maxBytes - mean) ** 2, 0) / living.length) * 100
      samples++
    }
  }
  out.belowWanted /= Math.max(1, blobTicks)
  out.belowMinimum /= Math.max(1, samples)
  out.imbalance /= Math.max(1, samples)
  for (const blob of blobs) out.storedBytes += blob.bytes * blob.holders.length
  return out
}
