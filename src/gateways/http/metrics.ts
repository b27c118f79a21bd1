import type { Registry } from 'prom-client'
import type { NodeFigures } from './node-api.js'

/** Counted from the first request on; the library that prints them is loaded at the first scrape only, to spare an idle node its memory. */
export class RequestCounts {
  readonly #counts = new Map<string, { method: string; route: string; status: string; count: number; seconds: number }>()
  #bytesIn = 0

  /** `route` is the pattern, never the path: the number of series must not grow with the mesh. */
  record(method: string, route: string, status: number, seconds: number): void {
    const text = String(status)
    const key = `${method} ${route} ${text}`
    let entry = this.#counts.get(key)
    if (entry === undefined) this.#counts.set(key, (entry = { method, route, status: text, count: 0, seconds: 0 }))
    entry.count++
    entry.seconds += seconds
  }

  uploaded(bytes: number): void {
    this.#bytesIn += bytes
  }

  get uploadedBytes(): number {
    return this.#bytesIn
  }

  entries(): Iterable<{ method: string; route: string; status: string; count: number; seconds: number }> {
    return this.#counts.values()
  }
}

export class Metrics {
  readonly #requests: RequestCounts
  readonly #version: string
  #process: Promise<Registry> | undefined

  constructor(init: { requests: RequestCounts; version: string }) {
    this.#requests = init.requests
    this.#version = init.version
  }

  /** The text exposition of everything there is. */
  async expose(figures: NodeFigures): Promise<{ contentType: string; text: string }> {
    const { Counter, Gauge, Registry, collectDefaultMetrics } = await import('prom-client')
    this.#process ??= Promise.resolve().then(() => {
      const registry = new Registry()
      collectDefaultMetrics({ register: registry, prefix: 'mesh_node_' })
      return registry
    })
    const processRegistry = await this.#process
    const registry = new Registry()
    const gauge = (name: string, help: string, value: number): void => {
      new Gauge({ name: `mesh_node_${name}`, help, registers: [registry] }).set(value)
    }
    const labelled = (name: string, help: string, label: string, values: Record<string, number>): void => {
      const metric = new Gauge({ name: `mesh_node_${name}`, help, labelNames: [label], registers: [registry] })
      for (const [key, value] of Object.entries(values)) metric.set({ [label]: key }, value)
    }
    new Gauge({ name: 'mesh_node_build_info', help: 'Always 1.', labelNames: ['version'], registers: [registry] }).set({ version: this.#version }, 1)
    gauge('ready', '1 while the node takes requests.', figures.ready ? 1 : 0)
    gauge('uptime_seconds', 'Since the process started.', figures.uptimeSeconds)
    gauge('peers_connected', 'Members with a connection now.', figures.peersConnected)
    labelled('members', 'Known members by what is thought of them.', 'state', figures.members)
    gauge('files', 'Files in the catalog.', figures.files)
    gauge('catalog_tombstones', 'Deletions still remembered.', figures.tombstones)
    gauge('catalog_conflicts', 'Conflict copies kept.', figures.conflicts)
    gauge('blobs', 'Blobs held here, whole and verified.', figures.blobs)
    gauge('blocks', 'Blocks on disk.', figures.blocks)
    gauge('blocks_quarantined', 'Blocks found corrupt and not healed yet.', figures.quarantinedBlocks)
    labelled('storage_bytes', 'Bytes on disk by what they are for; limit and disk_free beside them.', 'kind', {
      limit: figures.storageBytes.limit,
      used: figures.storageBytes.used,
      live: figures.storageBytes.live,
      draft: figures.storageBytes.draft,
      reclaimable: figures.storageBytes.reclaimable,
      volumes: figures.storageBytes.volumes,
      metadata: figures.storageBytes.metadata,
      disk_free: figures.storageBytes.diskFree,
    })
    if (figures.leases !== undefined) {
      const { held, ...counts } = figures.leases
      gauge('leases_held', 'Active leases of this node\'s agents.', held)
      const total = new Counter({ name: 'mesh_node_lease_events_total', help: 'What happened to leases at this node.', labelNames: ['event'], registers: [registry] })
      for (const [event, value] of Object.entries(counts)) total.inc({ event }, value)
    }
    if (figures.volumes !== undefined) {
      const { exports, connections, counters, latencies } = figures.volumes
      // A histogram by its parts, since this library's own can only be filled by observing.
      const bucket = new Counter({ name: 'mesh_node_nbd_request_seconds_bucket', help: 'Requests of NBD clients by the time they took inside the node.', labelNames: ['kind', 'le'], registers: [registry] })
      const total = new Counter({ name: 'mesh_node_nbd_request_seconds_count', help: 'All of them.', labelNames: ['kind'], registers: [registry] })
      const seconds = new Counter({ name: 'mesh_node_nbd_request_seconds_sum', help: 'Time they took together.', labelNames: ['kind'], registers: [registry] })
      for (const { kind, boundsMs, counts, count, sumMs } of latencies) {
        let sum = 0
        for (const [i, bound] of boundsMs.entries()) bucket.inc({ kind, le: String(bound / 1000) }, sum += counts[i] ?? 0)
        bucket.inc({ kind, le: '+Inf' }, count)
        total.inc({ kind }, count)
        seconds.inc({ kind }, sumMs / 1000)
      }
      gauge('volume_exports', 'Volumes that clients can reach here over NBD.', exports)
      gauge('volume_connections', 'NBD connections.', connections)
      for (const [name, value] of Object.entries(counters)) {
        // What is counted is named by the data path: `bytesWritten` is mesh_node_volume_bytes_written_total.
        const text = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
        new Counter({ name: `mesh_node_volume_${text}_total`, help: 'Counted by the data path of volumes since the node started.', registers: [registry] }).inc(value)
      }
    }
    gauge('provide_lag_seconds', 'How late the oldest due provider record is.', figures.provideLagSeconds)
    const gossipLabels = ['topic', 'direction']
    const gossipBytes = new Counter({ name: 'mesh_node_gossip_bytes_total', help: 'Gossip as it goes over the line, before encryption; control: what gossip says of itself.', labelNames: gossipLabels, registers: [registry] })
    const gossipMessages = new Counter({ name: 'mesh_node_gossip_messages_total', help: 'Its messages, those passed on and those heard again, too.', labelNames: gossipLabels, registers: [registry] })
    for (const [topic, count] of Object.entries(figures.gossip)) {
      for (const direction of ['sent', 'received'] as const) {
        gossipBytes.inc({ topic, direction }, count[`${direction}Bytes`])
        gossipMessages.inc({ topic, direction }, count[`${direction}Messages`])
      }
    }
    const { replication } = figures
    gauge('blobs_under_replicated', 'Blobs held here that have fewer copies than wanted.', replication.underReplicated)
    gauge('blobs_below_minimum', 'Blobs held here that have fewer live copies than the minimum.', replication.belowMinimum)
    gauge('replication_copies_running', 'Copies being made from here now.', replication.copying)
    gauge('replication_copies_queued', 'Copies that wait their turn.', replication.queued)
    gauge('replication_stores_running', 'Blobs being fetched for others now.', replication.storing)
    gauge('replication_peers_untrusted', 'Members that were caught claiming what they do not have.', replication.untrusted)
    const counter = (name: string, help: string, value: number): void => {
      new Counter({ name: `mesh_node_${name}`, help, registers: [registry] }).inc(value)
    }
    counter('replication_copies_total', 'Copies made from here, acknowledged with a proof.', replication.copied)
    counter('replication_copied_bytes_total', 'Bytes of those.', replication.copiedBytes)
    counter('replication_dropped_total', 'Blobs let go of: evicted, trimmed, moved, or no longer wanted.', replication.dropped)
    counter('replication_dropped_bytes_total', 'Bytes of those.', replication.droppedBytes)
    counter('replication_failures_total', 'Copies and deletions that did not come about; they are tried again.', replication.failed)
    const labelNames = ['method', 'route', 'status']
    const requests = new Counter({ name: 'mesh_node_http_requests_total', help: 'Answered requests.', labelNames, registers: [registry] })
    const seconds = new Counter({ name: 'mesh_node_http_request_seconds_total', help: 'Time spent on them.', labelNames, registers: [registry] })
    for (const { count, seconds: spent, ...labels } of this.#requests.entries()) {
      requests.inc(labels, count)
      seconds.inc(labels, spent)
    }
    new Counter({ name: 'mesh_node_http_uploaded_bytes_total', help: 'Bytes of bodies taken in.', registers: [registry] }).inc(this.#requests.uploadedBytes)
    return { contentType: registry.contentType, text: `${await registry.metrics()}\n${await processRegistry.metrics()}` }
  }
}
