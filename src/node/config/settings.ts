import { choice, delays, duration, flag, hostNames, hostPort, integer, label, multiaddrs, number, pathInside, size, steps } from './kinds.js'
import type { Kind, Setting } from './kinds.js'

const setting = <T>(kind: Kind<T>, initial: T, meaning: string): Setting<T> => ({
  kind,
  default: initial,
  meaning,
  ...((kind as unknown) === size ? { unit: 'size' as const } : (kind as unknown) === duration ? { unit: 'duration' as const } : {}),
})

const hourMs = 3_600_000
const evictionStrategies = choice('lru', 'priority', 'redundant', 'hybrid', 'random')

/**
 * Every setting there is: name → kind, default, meaning. The file that a first start writes, the names in the
 * environment, `config get|set` and the checks are all made from this table. Settings of parts that this version does
 * not have yet are known too, so that a file written for a later one is not refused.
 */
export const settings = {
  'node.name': setting(label, '', 'What people call this node. Empty: the name of the machine.'),
  'node.region': setting(label, 'default', 'Where it stands, in your own words ("sydney"). Where writes come from is counted by region.'),
  'node.segment': setting(label, '', 'The network it sits in: copies of a file are spread over segments. Empty: its public /24 or /48.'),
  'node.power': setting(choice('auto', 'mains', 'battery'), 'auto', 'What it runs on; auto asks the system where it tells. On battery below half a node makes no copies for others.'),
  'node.metered': setting(flag, false, 'Whether its network is paid by the byte: then it makes no copies for others, and only serves reads.'),

  'network.listen': setting(multiaddrs, ['/ip4/0.0.0.0/tcp/4700', '/ip6/::/tcp/4700'], 'Where to listen for other nodes. Port 0 takes any free one.'),
  'network.announce': setting(multiaddrs, [], 'Addresses to tell others instead of those it listens at, when a router forwards a port.'),
  'network.bootstrap': setting(multiaddrs, [], 'Nodes to call first, besides those in the invite and those seen before.'),
  'network.mdns': setting(flag, true, 'Find members of the mesh on the local network.'),
  'network.upnp': setting(flag, false, 'Ask the router to forward a port.'),
  'network.relay': setting(flag, false, 'Pass traffic on for members who cannot reach each other directly, and be reached through those that do.'),
  'network.test_delay': setting(delays, [], 'For tests only: what this node sends to nodes of a region leaves so much later ("sydney/new-york=100ms", both ways if both have it). Needs MESH_NODE_TEST_DELAY_ALLOWED=1.'),

  'storage.enabled': setting(flag, true, 'Whether this node stores anything for others.'),
  'storage.max_storage': setting(size, 100e9, 'All that the node may use on disk, its own bookkeeping included.'),
  'storage.reserved': setting(size, 0, 'Part of max_storage kept for files put through this node.'),
  'storage.share_excess': setting(flag, true, 'Whether others may use what is not reserved.'),
  'storage.min_free_space': setting(size, 2 ** 30, 'Free space to leave on the disk itself, whatever max_storage says.'),
  'storage.auto_evict': setting(flag, true, 'Make room by itself when it is needed. Also known as storage.eviction.auto_evict.'),
  'storage.eviction_strategy': setting(evictionStrategies, 'hybrid', 'What goes first. Also known as storage.eviction.strategy.'),
  'storage.keep_removed': setting(duration, 20_000, 'How long the content of a removed file stays on disk before its space is given back.'),

  'storage.replication.default_factor': setting(integer(1, 1000), 3, 'Copies of a file of normal priority, where the mesh has room.'),
  'storage.replication.high_priority_factor': setting(integer(1, 1000), 5, 'Copies of a critical file.'),
  'storage.replication.min_factor': setting(integer(1, 1000), 2, 'Copies below which nothing is evicted and repair is urgent.'),
  'storage.replication.background_rate': setting(size, 128 * 2 ** 20, 'Bytes a second, at most, that this node copies in the background. Copies of new files and of what is in danger do not count.'),
  'storage.replication.grace': setting(duration, 24 * hourMs, 'How long a silent node counts as if it were coming back.'),

  'storage.placement.strategy': setting(choice('weighted', 'random'), 'weighted', 'How the nodes for a file are chosen.'),
  'storage.placement.capacity_weight': setting(number(0, 1000), 0.4, 'How much free space counts.'),
  'storage.placement.diversity_weight': setting(number(0, 1000), 0.3, 'How much a new segment, region and power source counts.'),
  'storage.placement.reliability_weight': setting(number(0, 1000), 0.3, 'How much measured reachability counts.'),

  'storage.eviction.strategy': setting(evictionStrategies, 'hybrid', 'What goes first when room is needed.'),
  'storage.eviction.auto_evict': setting(flag, true, 'Make room by itself when it is needed.'),
  'storage.eviction.rebalance_interval': setting(duration, hourMs, 'How often to look for copies that should be elsewhere.'),

  'lease.default_ttl_seconds': setting(integer(1, 31_536_000), 3600, 'How long a lease lasts if nobody says.'),
  'lease.max_renewals': setting(integer(-1, 1_000_000_000), -1, 'How often it may be renewed; -1 without limit.'),
  'lease.acquisition_timeout_ms': setting(integer(0, 86_400_000), 30_000, 'How long `--wait` without a duration waits for one.'),
  'lease.cleanup_interval_seconds': setting(integer(1, 86_400), 300, 'How often what has run out is cleared away, and old history.'),
  'lease.auto_expire_enabled': setting(flag, true, 'Whether leases end the moment they run out; else when they are cleared away, or somebody uses them.'),
  'lease.blocking_mode_enabled': setting(flag, true, 'Whether one may wait for a lease.'),
  'lease.keep_history': setting(flag, true, 'Whether transitions are recorded.'),
  'lease.history_retention_days': setting(integer(0, 36_500), 30, 'How long records are kept.'),
  'lease.voter_grace': setting(duration, 600_000, 'How long a voter may be silent before another node votes in its place: longer than a reboot or an update.'),

  'lease_optimization.min_improvement_ratio': setting(number(1, 1000), 1.5, 'How much better everybody must be off before a lease moves.'),
  'lease_optimization.steal_cooldown_ms': setting(integer(0, 86_400_000), 30_000, 'How long a range stays after a move. Also known as migration.migration_cooldown_ms.'),
  'lease_optimization.history_window_secs': setting(integer(1, 604_800), 300, 'How far back accesses count.'),
  'lease_optimization.predictive_positioning': setting(flag, true, 'Without effect: leases move when they are wanted, and not ahead of that.'),
  'lease_optimization.correlation_threshold': setting(number(0, 1), 0.8, 'Without effect: blocks move for what is done with them, not with others.'),

  'fairness.max_consecutive_ownership': setting(integer(1, 1_000_000), 100, 'Refusals in a row before a region that would be better served gets its turn.'),
  'fairness.starvation_timeout_ms': setting(integer(0, 86_400_000), 60_000, 'How long a region waits at most.'),

  'migration.min_latency_factor': setting(number(1, 1000), 2, 'How much slower a remote write must be before a lease moves for it.'),
  'migration.slow_write_threshold': setting(integer(1, 1_000_000), 3, 'How many slow writes it takes, policy basic, from 10 times slower on.'),
  'migration.migration_cooldown_ms': setting(integer(0, 86_400_000), 30_000, 'How long to rest after a move. Also known as lease_optimization.steal_cooldown_ms.'),
  'migration.max_concurrent_migrations': setting(integer(1, 100_000), 100, 'Moves at once.'),
  'migration.predictive_migration': setting(flag, true, 'Without effect: there are no predicted moves.'),

  'volumes.replicas': setting(integer(1, 16), 3, 'Copies of a new volume, where the mesh has as many nodes.'),
  'volumes.nbd_listen': setting(hostPort, '127.0.0.1:10809', 'Where volumes are exported if nobody says: an address of this machine. Port 0 takes any free one.'),
  'volumes.nbd_remote': setting(flag, false, 'Whether volumes may be exported to other machines. NBD has neither password nor encryption here: whoever reaches the port has the disk.'),

  'volumes.migration.adaptive_slow_writes': setting(steps, ['50:1', '10:2', '5:3', '2:5', '0:10'], 'One writer, policy adaptive: from FACTOR times slower than local on, a range moves after WRITES slow writes.'),
  'volumes.migration.basic_slow_writes': setting(steps, ['5:5', '0:10'], 'The same for policy basic, below 10 times; from 10 times on see migration.slow_write_threshold.'),
  'volumes.migration.local_latency_ms': setting(number(0.001, 10_000), 1, 'What a local write is taken to last at least.'),
  'volumes.migration.own_latency_ms': setting(number(0, 60_000), 100, 'Several writers: who waits no longer than this does not ask for a move.'),
  'volumes.migration.third_place_advantage': setting(number(1, 1000), 1.1, 'How much better than at any writer it must be at a third place.'),
  'volumes.migration.decay': setting(duration, 300_000, 'An access this long ago weighs 1/e of one now.'),
  'volumes.migration.hysteresis': setting(number(1, 1000), 32, 'Each recent move of a range multiplies what the next one must bring by this.'),
  'volumes.migration.hysteresis_window': setting(duration, 2_700_000, 'How long a move counts as recent.'),
  'volumes.migration.evidence': setting(number(0, 100), 3, 'Several writers: standard errors that the benefit must be above nothing.'),
  'volumes.migration.samples_min': setting(integer(1, 1_000_000), 10, 'Several writers: writes that it takes to judge.'),
  'volumes.migration.move_rate': setting(size, 10e6, 'Bytes a second that a move is taken to carry: what costs more than it saves stays.'),

  'api.listen': setting(hostPort, '127.0.0.1:4780', 'Where the API and the web page are. Keep it on loopback: the API speaks plain HTTP.'),
  'api.hosts': setting(hostNames, [], 'Other names that the API answers to, if something in front of it forwards them.'),

  'log.level': setting(choice('debug', 'info', 'warn', 'error'), 'info', 'From what weight on things are logged, to stderr.'),
  'log.format': setting(choice('text', 'json'), 'text', 'One line each, for people or for programs.'),
  'log.file': setting(pathInside, '', 'A file to log to as well. Relative to the home.'),
} satisfies Record<string, Setting<unknown>>

export type SettingName = keyof typeof settings
type ValueOf<S> = S extends Setting<infer T> ? T : never
/** Every setting by its full name, checked and with defaults filled in. */
export type Config = { readonly [Name in SettingName]: ValueOf<(typeof settings)[Name]> }

/** What each section is, for the file. */
export const sections: Record<string, string> = {
  node: 'This node.',
  network: 'How it reaches others, and they it.',
  storage: 'What it contributes.',
  'storage.replication': 'How many copies.',
  'storage.placement': 'Which nodes get them.',
  'storage.eviction': 'What goes when room is needed.',
  lease: 'The right to write.',
  lease_optimization: 'When the right to write moves.',
  fairness: 'So that nobody waits for ever.',
  migration: 'When data follows.',
  volumes: 'Virtual disks.',
  'volumes.migration': 'When ranges of volumes move: the finer points.',
  api: 'The API and the web page.',
  log: 'What it says while it runs.',
}

export const settingNames = Object.keys(settings) as SettingName[]

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settings, name)
}

/** The same switch under two names, as the published design has it: both may be given, if they agree. */
export const twins: readonly (readonly [SettingName, SettingName])[] = [
  ['storage.auto_evict', 'storage.eviction.auto_evict'],
  ['storage.eviction_strategy', 'storage.eviction.strategy'],
  ['lease_optimization.steal_cooldown_ms', 'migration.migration_cooldown_ms'],
]

/** `storage.max_storage` → `MESH_NODE_STORAGE_MAX_STORAGE`. */
export function environmentName(name: SettingName): string {
  return `MESH_NODE_${name.replaceAll('.', '_').toUpperCase()}`
}

/** Any setting erased to one shape, for code that walks the table. */
export function settingOf(name: SettingName): Setting<unknown> {
  return settings[name]
}
