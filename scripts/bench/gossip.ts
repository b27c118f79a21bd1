// What a mesh at rest costs: bytes a node and hour that it sends and receives, by gossip topic (quota: room, state and what
// changed in the inventory; members: who is up, region, segment, power; heat: distances) and in all, over TCP connections between the
// processes of N nodes; from that, by formula, what a mesh of 1,000 costs. And how large an inventory of 10⁶ blobs is.
//   npm run bench -- gossip [--json] [--nodes 3,8] [--minutes 2] [--blobs 10000] [--only inventory,idle]
// With --blobs the first mesh holds that many small files, with two copies each.
import { execFileSync } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { replicationDefaults } from '../../src/replication/settings.js'
import { Inventory } from '../../src/replication/inventory.js'
import { InventoryPull } from '../../src/replication/peer-inventory.js'
import { saltOf } from '../../src/replication/fingerprint.js'
import { InventoryResponse } from '../../src/replication/wire/replication.js'
import { defaultHeatSettings } from '../../src/heat/index.js'
import { membershipSettings, scaled } from '../../src/membership/settings.js'
import { neighboursOf } from '../../src/membership/neighbours.js'
import { createSigner } from '../../src/base/index.js'
import { eventually, World } from '../../test/e2e/harness.js'
import type { TestNode } from '../../test/e2e/harness.js'

const option = (name: string, otherwise: string): string => {
  const at = process.argv.findIndex((argument) => argument === `--${name}` || argument.startsWith(`--${name}=`))
  if (at < 0) return otherwise
  const [, inline] = (process.argv[at] ?? '').split('=')
  return inline ?? process.argv[at + 1] ?? otherwise
}
const json = process.argv.includes('--json')
const meshes = option('nodes', '3,8').split(',').map(Number)
const measureMs = Number(option('minutes', '2')) * 60_000
const blobs = Number(option('blobs', '10000'))
const only = option('only', 'inventory,idle').split(',')
/** Starting, meeting and the first exchanges are over by then, and coordinates of the network are settled. */
const settleMs = 150_000
/** After the last copy was acknowledged: who has what is told. */
const filledMs = 30_000
const sampleMs = 5_000
/** An IPv4 header and TCP's with its timestamps. */
const headerBytes = 52
const hourMs = 3_600_000

function report(name: string, value: number, unit: string): void {
  if (json) console.log(JSON.stringify({ name, value, unit, peers: {}, ratio: null }))
  else console.log(`${name.padEnd(74)} ${(value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1)).padStart(12)} ${unit}`)
}

// --- the inventory ---------------------------------------------------------------------------------------------------

/** As a newcomer reads it, page by page. */
function inventoryBytes(entries: number): { bytes: number; pages: number; read: number } {
  const salt = randomFillSync(new BigUint64Array(1))[0] ?? 1n
  const inventory = new Inventory(saltOf(salt))
  const name = Buffer.alloc(32)
  for (let i = 0; i < entries; i++) inventory.add({ cid: `bafkrei${randomFillSync(name).toString('hex').slice(0, 52)}`, kind: 'dag', bytes: 1, blocks: 1, heldSinceMs: 0 })
  const pull = new InventoryPull(2 ** 20)
  let bytes = 0
  let pages = 0
  do {
    const page = InventoryResponse.encode(inventory.answer({ salt: 0n, version: 0, after: pull.after }))
    bytes += page.length
    pages++
    pull.take(InventoryResponse.decode(page))
  } while (!pull.done)
  return { bytes, pages, read: pull.inventory().size }
}

function inventories(): void {
  for (const entries of [3000, 10_000, 1_000_000]) {
    const { bytes, pages, read } = inventoryBytes(entries)
    report(`inventory of ${entries.toLocaleString('en')} blobs, ${String(pages)} page${pages === 1 ? '' : 's'}, read back ${read.toLocaleString('en')}`, bytes, 'bytes')
    report('  a blob', (bytes * 8) / entries, 'bits')
    // Chance that a blob which is not there seems to be, and what a Bloom filter with that chance takes: 1.44 log2(1/chance).
    report('  a Bloom filter that errs as seldom', (entries * 1.4427 * Math.log2(2 ** 40 / entries)) / 8, 'bytes')
    report('  a list of CIDs', entries * 36, 'bytes')
  }
}

// --- at rest ---------------------------------------------------------------------------------------------------------

const topics = ['quota', 'members', 'catalog', 'heat', 'control'] as const
type Counts = Record<(typeof topics)[number], { sent: number; received: number; sentMessages: number; receivedMessages: number }>

async function gossipOf(node: TestNode): Promise<Counts> {
  const text = await node.client().text('/metrics')
  const value = (what: string, topic: string, direction: string): number =>
    Number(new RegExp(`^mesh_node_gossip_${what}_total\\{topic="${topic}",direction="${direction}"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN)
  return Object.fromEntries(topics.map((topic) => [topic, {
    sent: value('bytes', topic, 'sent'), received: value('bytes', topic, 'received'), sentMessages: value('messages', topic, 'sent'), receivedMessages: value('messages', topic, 'received'),
  }])) as Counts
}

/** What TCP counts of every connection between nodes, by process; those that end in between are counted up to their last look. */
class Sockets {
  readonly #ports = new Set<string>()
  readonly #pids: ReadonlySet<number>
  readonly #first = new Map<string, readonly number[]>()
  readonly #last = new Map<string, readonly number[]>()

  constructor(nodes: readonly TestNode[], addresses: readonly string[]) {
    this.#pids = new Set(nodes.map(({ pid }) => pid))
    for (const address of addresses) {
      const port = /\/tcp\/(\d+)/.exec(address)?.[1]
      if (port !== undefined) this.#ports.add(port)
    }
  }

  look(): void {
    const lines = execFileSync('ss', ['-tinpH'], { encoding: 'utf8', maxBuffer: 2 ** 26 }).split('\n')
    const isFirst = this.#first.size === 0
    for (let i = 0; i + 1 < lines.length; i += 2) {
      const [, local = '', remote = '', pid = ''] = /^\S+\s+\d+\s+\d+\s+(\S+)\s+(\S+)\s+.*pid=(\d+)/.exec(lines[i] ?? '') ?? []
      const ports = [local, remote].map((end) => end.slice(end.lastIndexOf(':') + 1))
      if (!this.#pids.has(Number(pid)) || !ports.some((port) => this.#ports.has(port))) continue
      const figure = (name: string): number => Number(new RegExp(` ${name}:(\\d+)`).exec(lines[i + 1] ?? '')?.[1] ?? 0)
      const figures = [figure('bytes_sent'), figure('bytes_received'), figure('segs_out'), figure('segs_in')]
      this.#last.set(`${local} ${remote}`, figures)
      if (isFirst) this.#first.set(`${local} ${remote}`, figures)
    }
  }

  /** Sent, received, segments out and in, since the first look. */
  sums(): number[] {
    return [0, 1, 2, 3].map((which) => [...this.#last].reduce((sum, [key, figures]) => sum + (figures[which] ?? 0) - (this.#first.get(key)?.[which] ?? 0), 0))
  }
}

const hasSs = ((): boolean => {
  try {
    execFileSync('ss', ['-V'], { stdio: 'ignore' })
    return true
  } catch {
    console.error('there is no ss here: what all connections carry is not measured, only gossip')
    return false
  }
})()

async function fill(node: TestNode, files: number): Promise<void> {
  async function* entries(): AsyncGenerator<{ path: string; size: number; content: Uint8Array }> {
    for (let i = 0; i < files; i++) {
      await Promise.resolve()
      yield { path: String(i), size: 24, content: Buffer.from(`${String(i)} of the files at rest`.padEnd(24).slice(0, 24)) }
    }
  }
  await node.client().putFolder('/rest', entries(), { replicas: 2 })
  await eventually(async () => (await node.status()).underReplicated === 0, 'two copies of each', 600_000)
}

interface AtRest {
  /** Of one message on the line, by topic. */
  readonly messageBytes: Record<string, number>
}

async function atRest(count: number, files: number): Promise<AtRest> {
  const world = new World()
  try {
    const first = await world.start('n0')
    const nodes = [first]
    // Some at a time: a start is a second of processor.
    while (nodes.length < count) {
      const few = Array.from({ length: Math.min(2, count - nodes.length) }, (_, i) => `n${String(nodes.length + i)}`)
      nodes.push(...(await Promise.all(few.map(async (name) => world.join(name, first)))))
    }
    for (const node of nodes) await eventually(async () => (await node.client().peers()).filter((peer) => peer.connected && peer.storage !== null).length === Math.min(50, count) - 1, `${node.name} to know all`, 300_000)
    await new Promise((resolve) => setTimeout(resolve, settleMs))
    const empty = await measure(nodes, 0)
    if (files === 0) return empty
    await fill(first, files)
    await new Promise((resolve) => setTimeout(resolve, filledMs))
    return await measure(nodes, files)
  } finally {
    await world.close()
  }
}

async function measure(nodes: readonly TestNode[], files: number): Promise<AtRest> {
  const count = nodes.length
  const addresses = (await Promise.all(nodes.map(async (node) => (await node.status()).addresses))).flat()
  const sockets = hasSs ? new Sockets(nodes, addresses) : undefined
  const before = await Promise.all(nodes.map(gossipOf))
  sockets?.look()
  const start = performance.now()
  while (performance.now() - start < measureMs) {
    await new Promise((resolve) => setTimeout(resolve, sampleMs))
    sockets?.look()
  }
  const hours = (performance.now() - start) / hourMs
  const after = await Promise.all(nodes.map(gossipOf))
  const a = (field: keyof Counts['quota'], topic: (typeof topics)[number]): number =>
    after.reduce((sum, one, i) => sum + one[topic][field] - (before[i]?.[topic][field] ?? 0), 0) / count / hours
  const what = `${String(count)} nodes${files > 0 ? `, ${files.toLocaleString('en')} blobs twice` : ''}`
  if (!json) console.log(`${what}, ${(hours * 60).toFixed(1)} minutes at rest; a node and hour:`)
  const inAll = { sent: 0, received: 0 }
  const messageBytes: Record<string, number> = {}
  for (const topic of topics) {
    for (const direction of ['sent', 'received'] as const) {
      inAll[direction] += a(direction, topic)
      report(`${what}: gossip, ${topic}, ${direction}${topic === 'control' ? '' : ` (${a(`${direction}Messages`, topic).toFixed(0)} messages)`}`, a(direction, topic), 'bytes')
    }
    if (a('receivedMessages', topic) > 0) messageBytes[topic] = a('received', topic) / a('receivedMessages', topic)
  }
  for (const direction of ['sent', 'received'] as const) report(`${what}: gossip in all, ${direction}`, inAll[direction], 'bytes')
  if (sockets !== undefined) {
    const [sent = 0, received = 0, out = 0, into = 0] = sockets.sums().map((sum) => sum / count / hours)
    report(`${what}: everything (gossip, pings, leases, DHT, encryption), sent`, sent, 'bytes')
    report(`${what}: everything, received`, received, 'bytes')
    report(`${what}: with headers of TCP and IP, sent`, sent + out * headerBytes, 'bytes')
    report(`${what}: with headers of TCP and IP, received`, received + into * headerBytes, 'bytes')
  }
  return { messageBytes }
}

/**
 * A thousand nodes. Each topic has a rate at which the whole mesh speaks, which the settings keep below a bound; each
 * message goes through each node once, and over each of its `degree` links of the topic's mesh at most once each way. So a
 * node receives at most rate × bytes × (degree − 1 + what authors send straight to those they are connected to), and sends
 * as much. Once a second it tells `lazy` other nodes the names of the messages of the last three.
 */
function extrapolate(members: number, { messageBytes }: AtRest): void {
  const { vitalsPerMemberMs, vitalsMinMs, vitalsMaxMs } = replicationDefaults
  const { heartbeatMs, announceMs } = membershipSettings(24 * hourMs)
  const quotaPerSecond = (members * 1000) / Math.min(vitalsMaxMs, Math.max(vitalsMinMs, members * vitalsPerMemberMs))
  const membersPerSecond = (members * 1000) / (heartbeatMs * scaled(members)) + (members * 1000) / (announceMs * scaled(members))
  const { newsPerMemberMs, newsMsMin, newsMsMax, newsMsAtRest } = defaultHeatSettings
  const heatPerSecond = (members * 1000) / Math.max(newsMsAtRest, Math.min(newsMsMax, Math.max(newsMsMin, members * newsPerMemberMs)))
  const ids = Array.from({ length: members }, (_, i) => createSigner(Buffer.alloc(32, `${String(i)} `)).nodeId)
  const [self] = ids
  const chosen = self === undefined ? 0 : neighboursOf(self, ids, membershipSettings(24 * hourMs)).length
  // Those it chose, and those that chose it.
  const links = Math.min(members - 1, 2 * chosen)
  const degree = 6
  const idBytes = 2 + 46
  const lazy = Math.max(6, 0.25 * (links - degree))
  const flood = links / members
  const topicBytes = quotaPerSecond * (messageBytes.quota ?? 0) + membersPerSecond * (messageBytes.members ?? 0) + heatPerSecond * (messageBytes.heat ?? 0)
  const rate = quotaPerSecond + membersPerSecond + heatPerSecond
  report(`${members.toLocaleString('en')} nodes: messages of the whole mesh`, rate, 'a second')
  const each = topicBytes * (degree - 1 + flood)
  const control = rate * 3 * idBytes * lazy
  report(`${members.toLocaleString('en')} nodes: gossip of a node and hour, each way: messages`, each * 3600, 'bytes')
  report(`${members.toLocaleString('en')} nodes: gossip of a node and hour, each way: control`, control * 3600, 'bytes')
  report(`${members.toLocaleString('en')} nodes: that is, in all, each way`, ((each + control) * 8) / 1000, 'kbit/s')
}

if (only.includes('inventory')) inventories()
if (only.includes('idle')) {
  let last: AtRest | undefined
  for (const [i, count] of meshes.entries()) last = await atRest(count, i === 0 ? blobs : 0)
  if (last !== undefined) extrapolate(1000, last)
}
process.exit(0)
