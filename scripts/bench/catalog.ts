/**
 * Two catalogs over LevelDB in one process, joined in memory: how long 100,000 entries take from one to an empty other,
 * what it costs when nothing or one thing changed, how long opening and listing take, and how many puts a second.
 * `node --import=tsx scripts/bench/catalog.ts [--json] [entries]`
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { CID } from 'multiformats/cid'
import { create as digestOf } from 'multiformats/hashes/digest'
import type { Connections, KeyRange, KeyValue, NodeId, PeerEvents, RpcMethod, WriteOperation } from '../../src/base/index.js'
import { createSigner, Emitter, silentLog, systemClock, systemRandom } from '../../src/base/index.js'
import type { Catalog, Edit } from '../../src/catalog/index.js'
import { openCatalog } from '../../src/catalog/index.js'

const json = process.argv.includes('--json')
const entries = Number(process.argv.slice(2).find((argument) => /^\d+$/.test(argument)) ?? 100_000)
const home = mkdtempSync(join(tmpdir(), 'mesh-bench-catalog-'))

type Level = ClassicLevel<Uint8Array, Uint8Array>

class LevelKeyValue implements KeyValue {
  readonly #level: Level
  readonly #prefix: Buffer

  constructor(level: Level, prefix = Buffer.alloc(0)) {
    this.#level = level
    this.#prefix = prefix
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#level.get(this.#full(key))
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#level.getMany(keys.map((key) => this.#full(key)))
  }

  async *entries(range: KeyRange = {}): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    const end = Buffer.from(this.#prefix)
    if (end.length > 0) end[end.length - 1] = (end.at(-1) ?? 0) + 1
    const bounds = {
      ...(range.gt !== undefined ? { gt: this.#full(range.gt) } : { gte: this.#full(range.gte ?? new Uint8Array(0)) }),
      ...(range.lt !== undefined ? { lt: this.#full(range.lt) } : range.lte !== undefined ? { lte: this.#full(range.lte) } : { lt: end }),
    }
    const iterator = this.#level.iterator(bounds)
    try {
      for (;;) {
        const some = await iterator.nextv(500)
        if (some.length === 0) return
        for (const [key, value] of some) yield [key.subarray(this.#prefix.length), value] as const
      }
    } finally {
      await iterator.close()
    }
  }

  put(key: Uint8Array, value: Uint8Array): WriteOperation {
    return { type: 'put', key: this.#full(key), value }
  }

  del(key: Uint8Array): WriteOperation {
    return { type: 'del', key: this.#full(key) }
  }

  async write(operations: readonly WriteOperation[], { durable }: { durable: boolean }): Promise<void> {
    await this.#level.batch([...operations], { sync: durable })
  }

  slice(prefix: string): KeyValue {
    return new LevelKeyValue(this.#level, Buffer.concat([this.#prefix, Buffer.from(prefix)]))
  }

  #full(key: Uint8Array): Uint8Array {
    return Buffer.concat([this.#prefix, key])
  }
}

const methods = new Map<NodeId, Map<string, RpcMethod>>()
const traffic = { requests: 0, bytes: 0 }
const events = new Map<NodeId, Emitter<PeerEvents>>()
const up = new Set<NodeId>()
const stop = new AbortController()

async function open(name: string): Promise<{ id: NodeId; catalog: Catalog; level: Level }> {
  const signer = createSigner(createHash('sha256').update(name).digest())
  const level: Level = new ClassicLevel(join(home, name), { keyEncoding: 'view', valueEncoding: 'view' })
  await level.open()
  const catalog = await openCatalog(
    { meta: new LevelKeyValue(level), signer, clock: systemClock, random: systemRandom, log: silentLog, isMember: () => true },
    { antiEntropyIntervalMs: 2000 },
  )
  return { id: signer.nodeId, catalog, level }
}

function run(id: NodeId, catalog: Catalog): Promise<void> {
  const mine = new Map<string, RpcMethod>()
  methods.set(id, mine)
  const emitter = new Emitter<PeerEvents>()
  events.set(id, emitter)
  const connections: Connections = {
    self: id,
    connected: () => [...up].filter((other) => other !== id && up.has(id)),
    isConnected: (peer) => up.has(peer) && up.has(id),
    rttMs: () => 1,
    on: (event, listener) => emitter.on(event, listener),
  }
  return catalog.run(
    {
      connections,
      gossip: { topic: () => ({ publish: async () => undefined, subscribe: () => () => undefined }) },
      rpc: {
        register: (method) => void mine.set(method.name, method),
        async request(peer, name, body) {
          const response = await methods.get(peer)!.get(name)!.handle(body, { from: id, signal: stop.signal })
          traffic.requests++
          traffic.bytes += body.length + response.length
          return response
        },
      },
    },
    stop.signal,
  )
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await systemClock.sleep(20)
}

function show(name: string, value: number, unit: string): void {
  if (json) console.log(JSON.stringify({ name, value, unit, peers: {}, ratio: null }))
  else console.log(`${name.padEnd(48)} ${value.toFixed(value < 100 ? 1 : 0).padStart(10)} ${unit}`)
}

const cid = (name: string): string => CID.createV1(0x55, digestOf(0x12, createHash('sha256').update(name).digest())).toString()
const edit = (i: number, version = 0): Edit => ({ path: `/photos/${i % 97}/album ${i % 1009}/image-${i}.jpg`, content: { cid: cid(`${i} ${version}`), size: 1000 + i } })

try {
  const a = await open('a')
  let started = performance.now()
  for (let at = 0; at < entries; at += 1000) {
    await a.catalog.apply(Array.from({ length: Math.min(1000, entries - at) }, (_, i) => edit(at + i)))
  }
  show('put, 1000 a batch', (entries / (performance.now() - started)) * 1000, 'records/s')
  started = performance.now()
  await Promise.all(Array.from({ length: 2000 }, async (_, i) => a.catalog.apply([edit(i, 1)])))
  show('change, one by one, many at once, each synced', (2000 / (performance.now() - started)) * 1000, 'records/s')

  const b = await open('b')
  const running = [run(a.id, a.catalog), run(b.id, b.catalog)]
  const memory = process.memoryUsage().rss
  started = performance.now()
  const cpu = process.cpuUsage()
  up.add(a.id).add(b.id)
  events.get(b.id)!.emit('connected', a.id)
  await until(() => b.catalog.stats().files === entries)
  show(`first sync of ${entries} entries`, (performance.now() - started) / 1000, 's')
  const used = process.cpuUsage(cpu)
  show('… of the processor, both nodes', (used.user + used.system) / 1e6, 's')
  show('… over the network', traffic.bytes / entries, 'B/entry')
  show('… requests', traffic.requests, '')
  show('… more memory, both nodes', (process.memoryUsage().rss - memory) / 2 ** 20, 'MiB')
  await until(() => b.catalog.stats().lastSyncMs !== undefined)

  await systemClock.sleep(3000)
  Object.assign(traffic, { requests: 0, bytes: 0 })
  const idle = process.cpuUsage()
  await systemClock.sleep(10_000)
  const idleUsed = process.cpuUsage(idle)
  show('nothing changed: bytes an exchange', traffic.bytes / traffic.requests, 'B')
  show('nothing changed: processor an exchange', (idleUsed.user + idleUsed.system) / 1000 / traffic.requests, 'ms')

  Object.assign(traffic, { requests: 0, bytes: 0 })
  const before = b.catalog.stats().received.accepted
  await a.catalog.apply([edit(0, 2)])
  await until(() => b.catalog.stats().received.accepted > before)
  show('one entry changed: bytes', traffic.bytes, 'B')

  started = performance.now()
  let listed = 0
  for await (const record of b.catalog.list('/')) listed += record.path.length > 0 ? 1 : 0
  show(`list ${listed} entries`, performance.now() - started, 'ms')
  started = performance.now()
  let children = 0
  for await (const child of b.catalog.children('/photos')) children += 'folder' in child ? 1 : 0
  show(`the ${children} folders of a folder with all of them`, performance.now() - started, 'ms')

  stop.abort(new Error('done'))
  await Promise.all(running)
  await a.level.close()
  await b.level.close()
  started = performance.now()
  const again = await open('b')
  show('open', performance.now() - started, 'ms')
  await again.level.close()
} finally {
  rmSync(home, { recursive: true, force: true })
}
