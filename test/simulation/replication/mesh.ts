import assert from 'node:assert/strict'
import type { NodeId, Random } from '../../../src/base/index.js'
import { seededRandom, silentLog } from '../../../src/base/index.js'
import type { Priority } from '../../../src/catalog/index.js'
import { createReplication, replicationDefaults } from '../../../src/replication/index.js'
import type { Replication, ReplicationSettings } from '../../../src/replication/index.js'
import { VirtualClock } from '../net-clock.js'
import { idOf, SimulatedNetwork } from '../net-twin.js'
import type { SimulatedNetworkInit, SimulatedNode } from '../net-twin.js'
import { cidOf, MemoryKeyValue, newDisk, recordOf, RestartableRpc, TwinBlobs, TwinCatalog, TwinMembership, usageOf } from './twins.js'
import type { BlobWorld, Disk } from './twins.js'

export interface Host {
  readonly id: NodeId
  readonly net: SimulatedNode
  readonly rpc: RestartableRpc
  readonly disk: Disk
  readonly membership: TwinMembership
  blobs: TwinBlobs
  catalog: TwinCatalog
  replication: Replication
  stop: AbortController
  running: Promise<void>
  dead: boolean
  settings: Partial<ReplicationSettings>
  /** Pinned by CID, or being imported. */
  readonly kept: Set<string>
  /** What other programs leave free on its disk. */
  freeBytes: number
}

export interface MeshInit {
  readonly seed: number
  readonly nodes: number
  readonly maxBytes: number
  readonly network?: Partial<SimulatedNetworkInit>
  readonly graceMs?: number
  readonly settings?: Partial<ReplicationSettings>
  /** Somebody works at every node all the time. */
  readonly busy?: boolean
  /** What else may want a blob that no file names. */
  readonly mayBeWanted?: (cid: string, signal: AbortSignal) => Promise<boolean>
}

/** Many nodes, each with the real replication room over twins of all the others, on one virtual clock. */
export class Mesh {
  readonly clock = new VirtualClock()
  readonly random: Random
  readonly network: SimulatedNetwork
  readonly world: BlobWorld
  readonly hosts: Host[] = []
  readonly init: MeshInit
  /** The highest that any node was above its limit; 0 if none was. */
  overBytes = 0
  #files = 0

  constructor(init: MeshInit) {
    this.init = init
    this.random = seededRandom(init.seed)
    this.network = new SimulatedNetwork({ clock: this.clock, random: seededRandom(init.seed + 1) }, init.network)
    this.world = { clock: this.clock, network: this.network, disks: new Map(), sizes: new Map(), parts: new Map(), bytesPerSecond: 50e6, liars: new Set(), withheld: new Map(), served: new Map() }
    for (let i = 0; i < init.nodes; i++) this.add()
    this.#watch()
  }

  add(maxBytes = this.init.maxBytes): Host {
    const id = idOf(this.init.seed * 1000 + this.hosts.length)
    const net = this.network.node(id)
    const disk = newDisk()
    this.world.disks.set(id, disk)
    const index = this.hosts.length
    const graceMs = this.init.graceMs ?? 60_000
    const membership = new TwinMembership(this.network, net, graceMs, (other) => {
      const at = this.hosts.findIndex((host) => host.id === other)
      return { region: ['sydney', 'london', 'nyc'][at % 3] ?? '', segment: `net${String(at)}`, power: at % 2 === 0 ? 'mains' : 'battery' }
    })
    const settings: Partial<ReplicationSettings> = {
      quota: { maxBytes, reservedBytes: 0, shareExcess: true, minFreeDiskBytes: 0 },
      rebalance: { ...replicationDefaults.rebalance, graceMs, urgentAfterMs: 5_000, trimAfterMs: 5 * 60_000 },
      ...this.init.settings,
    }
    const host = { id, net, rpc: new RestartableRpc(net.rpc), disk, membership, dead: false, settings, index, kept: new Set<string>(), freeBytes: 1e15 } as unknown as Host
    this.hosts.push(host)
    this.start(host)
    return host
  }

  start(host: Host): void {
    host.blobs = new TwinBlobs(this.world, host.id, host.disk)
    host.catalog = new TwinCatalog(host.disk.records)
    host.stop = new AbortController()
    host.replication = createReplication(
      {
        blobs: host.blobs,
        catalog: host.catalog,
        membership: host.membership,
        rpc: host.rpc,
        gossip: host.net.gossip,
        connections: host.net,
        meta: new MemoryKeyValue(host.disk.meta),
        clock: this.clock,
        random: seededRandom(this.random.below(2 ** 31)),
        log: silentLog,
        usage: async () => usageOf(host.disk),
        freeDisk: async () => host.freeBytes,
        isBusy: () => this.init.busy === true,
        isKept: async (cid) => host.kept.has(cid),
        ...(this.init.mayBeWanted === undefined ? {} : { mayBeWanted: this.init.mayBeWanted }),
        reclaim: async () => {
          host.disk.garbageBytes = 0
        },
      },
      host.settings,
    )
    host.running = host.replication.run(host.stop.signal)
    // A failed run is a failed test, wherever it is at that moment.
    host.running.catch((error: unknown) => {
      throw error
    })
  }

  /** The process is killed: what is in memory is gone. */
  crash(host: Host): void {
    host.net.crash()
    this.network.rewire()
    host.stop.abort(new Error('killed'))
    host.disk.garbageBytes += host.disk.draftBytes
    host.disk.draftBytes = 0
  }

  restart(host: Host): void {
    host.net.restart()
    this.start(host)
  }

  /** For good, with its disk. */
  kill(host: Host): void {
    this.crash(host)
    host.dead = true
    this.world.disks.delete(host.id)
  }

  get living(): Host[] {
    return this.hosts.filter((host) => !host.dead)
  }

  /** A file that its owner's node has just stored. */
  put(host: Host, options: { bytes: number; priority?: Priority; replicas: number; pinned?: boolean; path?: string; parts?: number }): { path: string; cid: string } {
    const path = options.path ?? `/file${String(this.#files++)}`
    const cid = cidOf(`${String(this.init.seed)} ${path} ${String(this.#files++)}`)
    if (options.parts === undefined) host.blobs.put(cid, options.bytes)
    else {
      const parts = Array.from({ length: options.parts }, (_, i) => cidOf(`${cid.toString()} part ${String(i)}`))
      for (const part of parts) host.blobs.put(part, options.bytes)
      host.blobs.put(cid, 500, 'spine')
      this.world.parts.set(cid.toString(), parts.map((part) => part.toString()))
    }
    this.change(host, path, { cid: cid.toString(), size: options.bytes * (options.parts ?? 1), priority: options.priority ?? 'normal', replicas: options.replicas, pinned: options.pinned ?? false })
    return { path, cid: cid.toString() }
  }

  change(host: Host, path: string, content: Parameters<typeof recordOf>[3]): void {
    host.catalog.take(recordOf(path, host.id, this.clock.wallMs() + this.random.float(), content), true)
    this.#spread(host)
  }

  #spread(from: Host): void {
    for (const to of this.living) {
      if (to === from) continue
      for (const record of from.catalog.all()) {
        if (to.disk.records.get(record.path)?.modified === record.modified) continue
        this.clock.setTimer(20 + this.random.below(300), () => {
          if (!to.dead && this.network.canReach(from.id, to.id)) to.catalog.take(record, false)
        })
      }
    }
  }

  /** Catalogs that were apart meet again now and then, and quotas are looked at all the time. */
  #watch(): void {
    let round = 0
    const tick = (): void => {
      for (const host of this.living) {
        this.overBytes = Math.max(this.overBytes, usageOf(host.disk).totalBytes - (host.settings.quota?.maxBytes ?? 0))
      }
      if (round++ % 20 === 0) for (const host of this.living) if (host.net.up) this.#spread(host)
      this.clock.setTimer(250, tick)
    }
    this.clock.setTimer(250, tick)
  }

  copies(cid: string): Host[] {
    return this.living.filter((host) => host.disk.held.has(cid))
  }

  async until(condition: () => boolean, limitMs: number, what: string): Promise<void> {
    await this.clock.until(condition, limitMs, what)
  }

  async end(): Promise<void> {
    for (const host of this.living) host.stop.abort(new Error('over'))
    await this.clock.advance(1000)
    const ended = Promise.all(this.living.map((host) => host.running))
    await this.clock.outcome(ended, 60_000)
    assert.ok(this.overBytes <= 0, `a quota was passed by ${String(this.overBytes)} bytes`)
  }
}
