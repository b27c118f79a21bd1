import { createServer } from 'node:net'
import { createSigner, systemClock, systemRandom } from '../base/index.js'
import type { Clock, Log, Random, Signer } from '../base/index.js'
import { createBlobs } from '../blobs/index.js'
import { createFiles, openCatalog } from '../catalog/index.js'
import { startHttpGateway } from '../gateways/http/index.js'
import type { HttpGateway } from '../gateways/http/index.js'
import { membershipSettings, openMembership } from '../membership/index.js'
import type { Membership } from '../membership/index.js'
import { createNet } from '../net/index.js'
import type { Net } from '../net/index.js'
import { createReplication } from '../replication/index.js'
import type { Replication } from '../replication/index.js'
import type { Store } from '../store/index.js'
import { openStore } from '../store/index.js'
import { NodeService } from './api.js'
import { splitHostPort } from './config/index.js'
import type { Config, LoadedConfig } from './config/index.js'
import { ContributionApi } from './contribution-api.js'
import { Contribution, garbageTimes, replicationSettings } from './contribution.js'
import { DiskSpace } from './disk.js'
import { NodeError } from './errors.js'
import { Tallies } from './figures.js'
import { found, identityOf, join, openHomeStore } from './founding.js'
import { removeApiFile, writeApiFile } from './home.js'
import type { Home } from './home.js'
import { readKey } from './keys.js'
import { FolderNames } from './folder-names.js'
import { Intake } from './intake.js'
import { boundHeap, releaseIdleMemory } from './idle-memory.js'
import { clockStepMs } from './lease-clocks.js'
import { LeasePart } from './lease-part.js'
import { Lifecycle } from './lifecycle.js'
import { Activity } from './activity.js'
import { ApiFiles } from './node-files.js'
import { PowerWatch } from './power.js'
import { segmentOf } from './segment.js'
import { testDelay } from './test-delay.js'
import { packageVersion } from './version.js'
import { VolumePart } from './volume-part.js'
import { codeOf, messageOf } from '../base/index.js'
import { meshOf } from '../membership/index.js'

export interface NodeComponents {
  log: Log
  clock?: Clock
  random?: Random
}

export interface NodeInit {
  home: Home
  config: Config
  /** Where the settings come from. */
  origins: LoadedConfig['origins']
  /** Joins this mesh if the home belongs to none. */
  joinToken?: string | undefined
  /** Words for the operator. */
  say: (text: string) => void
  /** Somebody asked the node to stop (the API), or a part of it failed. */
  onStop: (error?: unknown) => void
}

export interface RunningNode {
  readonly service: NodeService
  readonly url: string
  readonly token: string
  /** Answers "not ready" at once, lets requests under way finish, and takes everything down. */
  stop(): Promise<void>
}

/** Requests under way get this long at a stop: half of what `stop` waits for. */
const drainMs = 10_000
/** LevelDB finishes the compaction that it is in. */
const storeMs = 30_000
const apiTokenBytes = 32
/** Addresses change when interfaces come and go; members hear of it within so long. */
const describeAgainMs = 30_000

/**
 * Builds a node out of its rooms: the only place that knows all of them. Upward: store, identity, mesh, network, content,
 * API; each part is on the lifecycle's list before the next begins, so that whatever fails half-way is taken down.
 */
export async function startNode(components: NodeComponents, init: NodeInit): Promise<RunningNode> {
  const { log } = components
  const lifecycle = new Lifecycle({ log, clock: components.clock ?? systemClock })
  try {
    return await assemble({ ...components, lifecycle }, init)
  } catch (error) {
    await lifecycle.stop()
    throw error
  }
}

async function assemble(components: NodeComponents & { lifecycle: Lifecycle }, init: NodeInit): Promise<RunningNode> {
  const { log, lifecycle, clock = systemClock, random = systemRandom } = components
  const { home, config } = init
  const disk = new DiskSpace({ clock }, { path: home.path, leaveBytes: config['storage.min_free_space'] })
  const store = await openHomeStore(home, async () =>
    openStore({ clock, random, log }, { home: home.path, limitBytes: config['storage.max_storage'], admit: (bytes) => disk.admit(bytes) }))
  lifecycle.add('store', async () => store.close(), storeMs)
  // A node that was killed left it; whoever reads it now would knock at a dead door, or at somebody else's.
  removeApiFile(home)

  await checkApiAddress(config)
  const { seed, signer } = identityOf(home)
  await belong(store, signer, init)
  const membership = await membershipOf(store, signer, home, config, { clock, random, log })
  const net = await createNet(
    { admission: membership, meta: store.meta('provider-records'), clock, random, log, seed },
    {
      meshId: membership.meshId,
      listen: config['network.listen'],
      announce: config['network.announce'],
      bootstrap: [...new Set([...config['network.bootstrap'], ...membership.bootstrap()])],
      mdns: config['network.mdns'],
      upnp: config['network.upnp'],
      relay: config['network.relay'],
      ...testDelay(config, (peer) => membership.member(peer)?.region, log),
    },
  )
  lifecycle.add('network', async () => net.stop())
  const blobs = createBlobs({ blocks: store.blocks, meta: store.meta('blobs'), bulk: net.bulk, routing: net.routing, connections: net, clock, random, log })
  const catalog = await openCatalog({ meta: store.meta('catalog'), signer, clock, random, log, isMember: (writer) => membership.isOrWasMember(writer) })
  const activity = new Activity({ clock })
  const power = new PowerWatch({ clock }, { power: config['node.power'], metered: config['node.metered'] })
  const files = createFiles(
    {
      catalog, meta: store.meta('catalog').slice('f/'), clock, log,
      // The catalog's room says what no file needs any more; replication alone deletes, since it knows who counts on a copy.
      blobs: {
        import: blobs.import.bind(blobs), importMany: blobs.importMany.bind(blobs), blobsOf: blobs.blobsOf.bind(blobs), held: blobs.held.bind(blobs),
        drop: async (cid) => {
          replication.unneeded(cid.toString())
        },
      },
    },
    { defaultReplicas: (priority) => replication.defaultReplicas(priority), ...garbageTimes(config) },
  )
  const replication = createReplication(
    {
      blobs, catalog, membership, rpc: net.rpc, gossip: net.gossip, connections: net, meta: store.meta('replication'), clock, random, log: log.child('replication'),
      usage: async () => store.usage(),
      freeDisk: async () => disk.freeBytes(),
      reclaim: async (signal) => store.reclaim(signal),
      mayRepair: () => power.mayRepair(),
      isBusy: () => activity.isBusy,
      isKept: async (cid) => files.isNeeded(cid),
      mayBeWanted: async (cid, signal) => files.mayBeWanted(cid, signal),
    },
    replicationSettings(config),
  )
  const contribution = new Contribution({ replication, store, disk, log }, { home, config, origins: init.origins })
  await startListening(net)

  const failed = (error: unknown): void => {
    init.onStop(error)
  }
  const describe = (): void => {
    describeNode(membership, net, config, power)
  }
  describe()
  lifecycle.run('membership', async (signal) => membership.run(membershipNetwork(net), signal), failed)
  lifecycle.run('description', async (signal) => {
    for (;;) {
      await clock.sleep(describeAgainMs, signal)
      describe()
    }
  }, failed)
  lifecycle.run('blobs', async (signal) => blobs.run(signal), failed)
  lifecycle.run('catalog', async (signal) => catalog.run({ gossip: net.gossip, rpc: net.rpc, connections: net }, signal), failed)
  lifecycle.run('heap', async (signal) => boundHeap({ clock, log }, signal), failed)
  lifecycle.run('idle memory', async (signal) => releaseIdleMemory({ clock, log, store }, signal), failed)
  lifecycle.run('replication', async (signal) => replicate(replication, log, signal), failed)
  lifecycle.run('files', async (signal) => files.run(signal), failed)

  const leases = new LeasePart(
    { store, membership, net, signer, clock, random, log },
    { home, name: config['node.name'], clockStepMs: await clockStepMs(clock), config },
  )
  leases.start(lifecycle)
  const volumes = await VolumePart.open({ store, membership, net, consensus: leases.consensus, noteRange: (entry) => { leases.noteRange(entry) }, replication, clock, random, log }, { config })
  volumes.start(lifecycle)

  const nodesUp = (): number => 1 + membership.members().filter((member) => member.peerId !== net.self && !member.revoked && member.state === 'up').length
  const tallies = new Tallies({ catalog, blobs, clock, self: net.self, copiesOf: (cid) => replication.copiesAtHand(cid).length })
  const service = new NodeService(
    {
      membership, net, store, blobs, catalog, leases, volumes, disk, clock, replication, contribution, power,
      files: new ApiFiles({ self: net.self, files, catalog, blobs, replication, activity, intake: new Intake({ replication }), folders: new FolderNames({ catalog, blobs }), clock, nodesUp, writerUnder: async (leaseId, options) => leases.api.writerUnder(leaseId, options) }),
      contributionApi: new ContributionApi({ replication, contribution, membership, tallies, volumes }, { config }),
      tallies,
    },
    { config, version: packageVersion(), home: home.path },
  )
  const token = Buffer.from(random.bytes(apiTokenBytes)).toString('base64url')
  const gateway = await openGateway({ service, clock, random, log }, config, token)
  lifecycle.add('API', async () => gateway.close(drainMs), 2 * drainMs)
  writeApiFile(home, { pid: process.pid, url: gateway.url, token })
  lifecycle.add('api.json', async () => {
    removeApiFile(home)
  })
  service.ready(gateway.url, () => {
    init.onStop()
  })
  return {
    service,
    url: gateway.url,
    token,
    async stop() {
      service.stopping()
      await leases.giveBack()
      await lifecycle.stop()
    },
  }
}

/** Makes a mesh, joins one, or finds that there is one already. */
async function belong(store: Store, signer: Signer, init: NodeInit): Promise<void> {
  if (init.joinToken !== undefined) {
    const { meshId, isNew } = await join(store, signer, init.joinToken)
    init.say(isNew ? `joined the mesh ${meshId}` : `already a member of the mesh ${meshId}`)
  } else if ((await meshOf(store.meta('membership'))) === undefined) {
    init.say(`made a new mesh: ${await found(init.home, store, signer)}`)
  }
}

async function membershipOf(store: Store, signer: Signer, home: Home, config: Config, system: { clock: Clock; random: Random; log: Log }): Promise<Membership> {
  const authority = readKey('authority', home.authorityFile)
  return openMembership(
    { meta: store.meta('membership'), signer, ...(authority === undefined ? {} : { authority: createSigner(authority) }), ...system },
    membershipSettings(config['storage.replication.grace']),
  )
}

function membershipNetwork(net: Net): Parameters<Membership['run']>[0] {
  return {
    connections: net,
    gossip: net.gossip,
    rpc: net.rpc,
    cut: async (peer) => net.cut(peer),
    keep: (peer, addresses) => {
      net.keep(peer, addresses)
    },
    onWake: (listener) => net.onWake(listener),
  }
}

async function startListening(net: Net): Promise<void> {
  try {
    await net.start()
  } catch (error) {
    if (codeOf(error) !== 'ADDRESS_IN_USE') throw error
    const message = error instanceof Error ? error.message : String(error)
    throw new NodeError('PORT_IN_USE', `${message}; choose another with --listen /ip4/0.0.0.0/tcp/PORT (0 takes any free one)`, {}, { cause: error })
  }
}

async function openGateway(components: { service: NodeService; clock: Clock; random: Random; log: Log }, config: Config, token: string): Promise<HttpGateway> {
  const { service, ...rest } = components
  return listeningAtApi(config, async (listen) => startHttpGateway({ node: service, ...rest }, { ...listen, token, hosts: config['api.hosts'], version: packageVersion() }))
}

/**
 * Listens where the API is going to be, and stops: whoever started a node there before, or mistyped the address, is told
 * before this home has an identity and a mesh that nobody wanted.
 */
async function checkApiAddress(config: Config): Promise<void> {
  await listeningAtApi(config, async ({ host, port }) => {
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, resolve)
    })
    await new Promise((resolve) => server.close(resolve))
  })
}

/** What goes wrong with the address, in words. Throws PORT_IN_USE, BAD_ADDRESS, and what `listen` throws otherwise. */
async function listeningAtApi<T>(config: Config, listen: (address: { host: string; port: number }) => Promise<T>): Promise<T> {
  const address = splitHostPort(config['api.listen'])
  if (address === undefined) throw new NodeError('BAD_ADDRESS', `api.listen is not HOST:PORT: ${config['api.listen']}`)
  const { host, port } = address
  try {
    return await listen(address)
  } catch (error) {
    const code = codeOf(error)
    const at = `${host}:${String(port)}`
    if (code === 'EADDRINUSE') throw new NodeError('PORT_IN_USE', `port ${String(port)}, where the API should be, is taken by another program; choose another with --api ${host}:PORT (0 takes any free one)`, { port }, { cause: error })
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EACCES') throw new NodeError('BAD_ADDRESS', `the API cannot listen at ${at} (${code}); choose another with --api`, { listen: at }, { cause: error })
    throw error
  }
}

/** Without it there are no new copies, but all that is here can still be read: no reason to stop the node. */
async function replicate(replication: Replication, log: Log, signal: AbortSignal): Promise<void> {
  try {
    await replication.run(signal)
  } catch (error) {
    if (!signal.aborted) log.error('replication has stopped; the node goes on without it', { error: messageOf(error) })
  }
}

function describeNode(membership: Membership, net: Net, config: Config, power: PowerWatch): void {
  const addresses = net.addresses()
  membership.describeSelf({
    name: config['node.name'],
    region: config['node.region'],
    segment: config['node.segment'] === '' ? segmentOf(addresses) : config['node.segment'],
    power: power.now().source,
    addresses,
    version: packageVersion(),
  })
}
