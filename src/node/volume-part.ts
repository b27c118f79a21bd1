import { messageOf } from '../base/index.js'
import type { Clock, Log, NodeId, Random } from '../base/index.js'
import type { DoctorCheck, VolumeHeat } from '../client/index.js'
import type { Consensus } from '../consensus/index.js'
import type { NodeFigures } from '../gateways/http/index.js'
import { Latencies, latencyBoundsMs } from '../gateways/nbd/index.js'
import { createHeat } from '../heat/index.js'
import type { Heat } from '../heat/index.js'
import type { Membership } from '../membership/index.js'
import type { Net } from '../net/index.js'
import type { Replication } from '../replication/index.js'
import type { Store } from '../store/index.js'
import { createEngine, createGovernor, createReplicaDisk, isWholeRow, segmentBlocks, VolumeRegistry, VolumeService } from '../volumes/index.js'
import type { VolumeEngine } from '../volumes/index.js'
import type { Config } from './config/index.js'
import { replicationSettings } from './contribution.js'
import type { Lifecycle } from './lifecycle.js'
import { heatSettings, migrationSettings, withDecisions } from './migration-settings.js'
import { NodeVolumes } from './node-volumes.js'
import { optimizeSooner } from './optimizing.js'
import { SegmentPlacement } from './segment-places.js'
import { VolumeExports } from './volume-exports.js'

export interface VolumePartComponents {
  readonly store: Store
  readonly membership: Membership
  readonly net: Net
  readonly consensus: Consensus
  /** For the history of leases. Never rejects. */
  readonly noteRange: (entry: { scope: string; reason: string; error?: string }) => void
  readonly replication: Replication
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Clients get this long to finish what they have under way; then unflushed writes go to the disk. */
const exportsMs = 15_000
const engineMs = 15_000
/** The index of the disk is written out, so that the next start has nothing to replay. */
const diskMs = 15_000

/**
 * Volumes of a running node, put together: disk, data path, names, exports; and what it tells of them. Nothing in here
 * stops the node if it fails: files need no volumes.
 */
export class VolumePart {
  readonly api: NodeVolumes
  readonly #components: VolumePartComponents
  readonly #engine: VolumeEngine
  readonly #service: VolumeService
  readonly #exports: VolumeExports
  readonly #latencies = new Latencies()
  readonly #heat: Heat
  readonly #closeDisk: () => Promise<void>
  readonly #runDisk: (signal: AbortSignal) => Promise<void>
  readonly #stopping = new AbortController()
  #trouble: string | undefined

  /** Opens the disk, and replays what a crash left behind. */
  static async open(components: VolumePartComponents, init: { config: Config }): Promise<VolumePart> {
    const { store, clock, log } = components
    const disk = await createReplicaDisk({ log: await store.appendLog('volume-log', { isWhole: isWholeRow }), meta: store.meta('volumes'), clock, journal: log, onUsed: optimizeSooner })
    return new VolumePart(components, { ...init, disk })
  }

  private constructor(components: VolumePartComponents, init: { config: Config; disk: Awaited<ReturnType<typeof createReplicaDisk>> }) {
    this.#components = components
    const { store, membership, net, consensus, replication, clock, random, log } = components
    const { config, disk } = init
    const regionOf = (node: NodeId): string | undefined => (node === net.self ? config['node.region'] : membership.member(node)?.region)
    this.#closeDisk = async () => disk.close()
    this.#runDisk = async (signal) => disk.run(signal)
    this.#heat = createHeat({ gossip: net.gossip, connections: net, clock, random, log, regionOf }, { segmentBlocks, settings: heatSettings(config) })
    const governor = createGovernor(
      {
        heat: this.#heat, clock, log,
        told: ({ volume, segment, start, blocks, decision }, outcome) => components.noteRange({
          scope: `segment:${volume}/${String(segment)}`,
          reason: `blocks ${String(start)} to ${String(start + blocks - 1)}: ${decision.explanation}`,
          ...(outcome === 'failed' ? { error: 'the hand-off failed' } : {}),
        }),
      },
      migrationSettings(config),
    )
    this.#engine = createEngine(
      {
        disk, consensus, rpc: net.rpc, bulk: net.bulk, connections: net, heat: this.#heat, regionOf, clock, random, log: log.child('volumes'),
        policy: governor,
        places: new SegmentPlacement(
          { membership, replication, quota: async () => replication.quota() },
          { self: net.self, placement: replicationSettings(config).placement },
        ),
        settingsOf: async (id) => this.#service.settingsOf(id),
      },
    )
    const registry = new VolumeRegistry({ registers: consensus, clock, random })
    this.#service = new VolumeService(
      { registry, engine: this.#engine, rpc: net.rpc, connections: net, onSession: (listener) => consensus.on('ready', listener), clock, random, log: log.child('volumes') },
      { defaults: { durability: 'flush', replicas: config['volumes.replicas'], policy: 'adaptive' } },
    )
    this.#exports = new VolumeExports(
      { volumes: this.#service, store: store.meta('settings').slice('exports/'), clock, random, log, latencies: this.#latencies },
      { listen: config['volumes.nbd_listen'], remote: config['volumes.nbd_remote'] },
    )
    this.api = new NodeVolumes({
      volumes: this.#service, exports: this.#exports, consensus, clock, stopping: this.#stopping.signal,
      nameOf: (node) => membership.member(node)?.name ?? '',
      heatOf: (id): readonly VolumeHeat[] => withDecisions(this.#heat.of(id), governor.notes(id)),
    })
  }

  /**
   * Upward: disk, data path, names, exports. Downward, then: clients are let finish and disconnected, what they wrote is
   * flushed as far as the mesh allows and is on this disk in any case, and the disk closes. Ranges stay this node's own:
   * whoever wants them asks, or finds that its session is over.
   */
  start(lifecycle: Lifecycle): void {
    const failed = (error: unknown): void => {
      this.#trouble = `volumes do not work on this node: ${messageOf(error)}; its log says more`
    }
    lifecycle.add('disk of volumes', this.#closeDisk, diskMs)
    lifecycle.run('upkeep of the volumes\' disk', this.#runDisk, failed)
    lifecycle.run('heat', async (signal) => this.#heat.run(signal), failed)
    lifecycle.run('data path of volumes', async (signal) => this.#engine.run(signal), failed, engineMs)
    lifecycle.run('volumes', async (signal) => this.#service.run(signal), failed)
    lifecycle.add('exports', async () => this.#exports.stop(), exportsMs)
    lifecycle.run('remembered exports', async (signal) => this.#exports.run(signal), failed)
  }

  /** Ends what waits for the voters, so that it does not hold up a stop. */
  endWaits(): void {
    this.#stopping.abort()
  }

  /** Sentences for `status`. */
  problems(): string[] {
    return [...(this.#trouble === undefined ? [] : [this.#trouble]), ...this.#exports.problems()]
  }

  /** For `doctor`. */
  check(): DoctorCheck {
    const [problem] = this.problems()
    if (problem !== undefined) return { name: 'volumes', state: 'warning', message: problem, advice: 'the log says more; `mesh-node volume stat NAME` shows an export' }
    const { count, connections } = this.#exports
    return { name: 'volumes', state: 'ok', message: count === 0 ? 'none is exported here' : `${String(count)} exported here, ${String(connections)} connections` }
  }

  figures(): NonNullable<NodeFigures['volumes']> {
    const latencies = (['read', 'write', 'flush'] as const).map((kind) => ({ kind, ...this.#latencies.of(kind) }))
    return {
      exports: this.#exports.count, connections: this.#exports.connections, counters: this.#engine.figures(),
      latencies: latencies.map(({ kind, counts, count, sumMs }) => ({ kind, boundsMs: latencyBoundsMs, counts, count, sumMs })),
    }
  }

  /** Segments that had to stay, for want of another node that takes them. */
  async drain(signal: AbortSignal): Promise<{ remaining: number }> {
    return this.#engine.drain(signal)
  }
}
