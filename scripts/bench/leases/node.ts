// One node of the benchmark in a process of its own: store (LevelDB, synced), net (libp2p over TLS), consensus and
// leases, without files and API around them. Does what its parent orders, one line of JSON an order.
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createSigner, HlcClock, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import type { Facts, Log, NodeId } from '../../../src/base/index.js'
import { createConsensus, createSeals, decodeConfigRecord, foundVoters, SlottedMemoryFile } from '../../../src/consensus/index.js'
import type { Consensus, MemoryFile } from '../../../src/consensus/index.js'
import { createLeases } from '../../../src/leases/index.js'
import type { LeaseService } from '../../../src/leases/index.js'
import * as wire from '../../../src/consensus/wire/lease.js'
import '../../../src/net/node20.js'
import { clockKind, clockReader } from '../../../src/node/lease-clocks.js'
import { openStore } from '../../../src/store/index.js'
import { FakeMesh, seedOf, startNode } from '../../../test/unit/net/fixture.js'
import { many } from './workers.js'

const number = Number(process.argv[2])
const folder = process.argv[3] ?? ''
const mesh = new FakeMesh('lease bench')
const authority = createSigner(seedOf('lease authority'))
const signer = createSigner(seedOf(number))

mkdirSync(folder, { recursive: true })
const store = await openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home: folder, limitBytes: 1e9 })
const net = await startNode(mesh, number, { meta: store.meta('network') })
const meta = store.meta('lease-registers')
const voters: typeof meta = {
  get: async (key) => meta.get(key),
  getMany: async (keys) => meta.getMany(keys),
  entries: (range) => meta.entries(range),
  put: (key, value) => meta.put(key, value),
  del: (key) => meta.del(key),
  write: async (operations, options) => timed('database', async () => meta.write(operations, options)),
  slice: (prefix) => meta.slice(prefix),
}
/** What the consensus said of the last change of voters. */
let change: Facts = {}
const log: Log = { ...silentLog, info: (message, facts = {}) => { if (message === 'the voters were changed') change = facts } }
let beating = true
let consensus: Consensus
let leases: LeaseService
const readings = clockReader(systemClock)
const frames = { count: 0, bytes: 0 }
/** Where the time goes: what each part of a round took, in ms, since somebody last asked. */
const spans = new Map<string, number[]>()
async function timed<T>(name: string, act: () => Promise<T>): Promise<T> {
  const atMs = performance.now()
  const result = await act()
  const times = spans.get(name)
  if (times === undefined) spans.set(name, [performance.now() - atMs])
  else times.push(performance.now() - atMs)
  return result
}

type Order = { id: number; name: keyof typeof orders; args: Record<string, unknown> }

function bytesUnder(path: string): number {
  let sum = 0
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const name = join(path, entry.name)
    sum += entry.isDirectory() ? bytesUnder(name) : statSync(name).blocks * 512
  }
  return sum
}

const quantiles = (times: number[]): { p50: number; p99: number; max: number; count: number } => {
  times.sort((a, b) => a - b)
  const at = (q: number): number => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), max: at(1), count: times.length }
}

const orders = {
  async hello(): Promise<object> {
    const genesis = number === 0 ? Buffer.from(await foundVoters({ store: voters, random: systemRandom, authority }, { self: net.self })).toString('base64') : ''
    return { self: net.self, address: net.addresses()[0], genesis }
  },
  async start({ genesis, addresses }: { genesis: string; addresses: string[] }): Promise<object> {
    for (const address of addresses) await net.dial(address)
    const counted: typeof net.rpc = {
      register: (method) => { net.rpc.register(method) },
      request: async (peer, method, body, options) => {
        frames.count++
        frames.bytes += body.length
        return timed(`rpc ${method}`, async () => net.rpc.request(peer, method, body, options))
      },
    }
    const file = new SlottedMemoryFile({ path: join(folder, 'voter.seq') })
    const memoryFile: MemoryFile = { read: async () => file.read(), put: async (sequence, batch) => timed('second file', async () => file.put(sequence, batch)), close: async () => file.close() }
    consensus = createConsensus(
      { store: voters, memoryFile, rpc: counted, connections: net, clock: systemClock, random: systemRandom, log, seals: createSeals(signer, authority.nodeId) },
      { clockKind, readings, chain: [decodeConfigRecord(Buffer.from(genesis, 'base64'))] },
    )
    const never = new AbortController().signal
    const ready = new Promise((resolve) => consensus.on('ready', resolve))
    void consensus.run(never)
    await ready
    leases = createLeases({ consensus, store: store.meta('lease-history'), rpc: counted, connections: net, hlc: new HlcClock(systemClock), clock: systemClock, random: systemRandom, log: silentLog }, { self: net.self, readings })
    void leases.run(never)
    return {}
  },
  async reconfigure({ nodes }: { nodes: NodeId[] }): Promise<object> {
    const startMs = performance.now()
    for (let tries = 0; ; tries++) {
      try {
        await consensus.reconfigure(nodes, {})
        return { ms: performance.now() - startMs, tries: tries + 1, ...change }
      } catch (error) {
        if (tries > 20) throw error
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
    }
  },
  /** Times of acquiring, and of acquiring and releasing; fresh scopes, or the same again and again. */
  async latency({ count, fresh }: { count: number; fresh: boolean }): Promise<object> {
    const acquire: number[] = []
    const both: number[] = []
    for (let i = 0; i < count; i++) {
      const scope = fresh ? `latency/${String(number)}/${String(performance.now())}/${String(i)}` : 'latency'
      const atMs = performance.now()
      const { token } = await consensus.acquire(scope)
      acquire.push(performance.now() - atMs)
      await consensus.release(scope, token)
      both.push(performance.now() - atMs)
    }
    return { acquire: quantiles(acquire), both: quantiles(both) }
  },
  async distinct({ clients, seconds, fresh }: { clients: number; seconds: number; fresh: boolean }): Promise<object> {
    const before = { ...consensus.counters }
    const cpu = process.cpuUsage()
    const { perSecond, times } = await many(clients, seconds, async (worker, turn) => {
      const scope = `distinct/${String(number)}/${String(worker)}${fresh ? `/${String(turn)}` : ''}`
      const { token } = await consensus.acquire(scope)
      await consensus.release(scope, token)
    })
    const used = process.cpuUsage(cpu)
    const { batches, batchChanges } = consensus.counters
    return { perSecond, times: quantiles(times), batches: batches - before.batches, changes: batchChanges - before.batchChanges, cpu: (used.user + used.system) / 1e6 / seconds }
  },
  /** Agents of this node that wait in line for one scope; others do the same elsewhere. */
  async contended({ clients, seconds, scope }: { clients: number; seconds: number; scope: string }): Promise<object> {
    const { perSecond, times } = await many(clients, seconds, async (worker) => {
      const lease = await leases.acquire(scope, { agent: `agent ${String(worker)}`, ttlMs: 60_000, waitMs: 60_000 })
      await leases.release(lease.leaseId)
    })
    return { perSecond, times: quantiles(times) }
  },
  async hold({ count, prefix }: { count: number; prefix: string }): Promise<object> {
    let next = 0
    const startMs = performance.now()
    await Promise.all(Array.from({ length: Math.min(512, count) }, async () => {
      while (next < count) await consensus.acquire(`${prefix}/${String(next++)}`, { payload: new Uint8Array(60) })
    }))
    return { perSecond: count / ((performance.now() - startMs) / 1000) }
  },
  async letGo({ prefix, count }: { count: number; prefix: string }): Promise<object> {
    let next = 0
    await Promise.all(Array.from({ length: 256 }, async () => {
      while (next < count) {
        const scope = `${prefix}/${String(next++)}`
        const value = consensus.holding(scope)
        if (value !== undefined) await consensus.release(scope, value.token)
      }
    }))
    return {}
  },
  /** What goes out and what is computed in some seconds of doing nothing. */
  async idle({ seconds }: { seconds: number }): Promise<object> {
    const before = { ...frames }
    const cpu = process.cpuUsage()
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
    const used = process.cpuUsage(cpu)
    return { frames: (frames.count - before.count) / seconds, bytes: (frames.bytes - before.bytes) / seconds, cpuMs: (used.user + used.system) / 1000 / seconds, held: consensus.held().length }
  },
  /** Before the start: registers that somebody holds who is long gone. */
  async fill({ count, genesis }: { count: number; genesis: string }): Promise<object> {
    const session = { node: net.self, incarnation: new Uint8Array(16).fill(7), epoch: 1 }
    const ballot = { config: 0, round: 2 ** 32 + 1, session }
    const value = { holder: session, token: 1, op: 'fill.1.1', payload: new Uint8Array(60) }
    const bytes = wire.RegisterRecord.encode({ promised: ballot, accepted: { ballot, value } })
    // A voter that begins to vote deletes what is there; this one votes already.
    await voters.write([
      voters.put(Buffer.from('v'), wire.VoterRecord.encode({ configPlusOne: 1, sealed: false, sealedFor: [], floor: 0 })),
      voters.put(Buffer.from('c'), wire.Chain.encode({ records: [wire.ConfigRecord.decode(Buffer.from(genesis, 'base64'))] })),
    ], { durable: false })
    for (let i = 0; i < count; i += 10_000) {
      const rows = Array.from({ length: Math.min(10_000, count - i) }, (_, k) => voters.put(Buffer.from(`r:held/${'x'.repeat(20)}/${String(i + k)}`), bytes))
      await voters.write(rows, { durable: i + 10_000 >= count })
    }
    return {}
  },
  /** The most memory that this process ever had, MiB; what it has now. */
  async memory(): Promise<object> {
    const status = readFileSync('/proc/self/status', 'utf8')
    const of = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024
    return { peakMiB: of('VmHWM'), nowMiB: of('VmRSS'), registers: consensus.registers, votesIn: consensus.votesIn }
  },
  async sizes(): Promise<object> {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 200))
    globalThis.gc?.()
    const { rss, heapUsed, external } = process.memoryUsage()
    return { rss, heap: heapUsed + external, disk: bytesUnder(folder), registers: consensus.registers }
  },
  async spans(): Promise<object> {
    const found = Object.fromEntries([...spans].map(([name, times]) => [name, quantiles(times)]))
    spans.clear()
    return found
  },
  async take({ scope }: { scope: string }): Promise<object> {
    const lease = await leases.acquire(scope, { agent: `node ${String(number)}`, ttlMs: 3_600_000, waitMs: 60_000 })
    return { atMs: Date.now(), token: lease.token }
  },
  /** Acquires and releases without end until told; the longest it ever took. */
  async beat({ seconds }: { seconds: number }): Promise<object> {
    const { times } = await many(1, seconds, async (_worker, turn) => {
      const scope = `beat/${String(number)}/${String(turn % 10)}`
      for (;;) {
        try {
          const { token } = await consensus.acquire(scope)
          await consensus.release(scope, token)
          return
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
      }
    })
    return quantiles(times)
  },
  /** As `beat`, until `stopBeat`. */
  async beatOn(): Promise<object> {
    const times: number[] = []
    beating = true
    for (let turn = 0; beating; turn++) {
      const atMs = performance.now()
      await orders.once({ scope: `beat/${String(number)}/${String(turn % 10)}` })
      times.push(performance.now() - atMs)
    }
    return quantiles(times)
  },
  /** New scopes, by so many clients, until `stopBeat`. */
  async distinctOn({ clients }: { clients: number }): Promise<object> {
    await Promise.all(Array.from({ length: clients }, async (_, worker) => {
      for (let turn = 0; beating; turn++) await orders.once({ scope: `busy/${String(worker)}/${String(turn)}` })
    }))
    return {}
  },
  async stopBeat(): Promise<object> {
    beating = false
    return {}
  },
  async once({ scope }: { scope: string }): Promise<object> {
    for (;;) {
      try {
        const { token } = await consensus.acquire(scope)
        await consensus.release(scope, token)
        return {}
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
  },
}

process.on('message', (message) => {
  const { id, name, args } = message as Order
  // By name from another process: each takes what that one gives it.
  const act = orders as { [Name in keyof typeof orders]: (args: never) => Promise<object> }
  const result = act[name](args as never)
  result.then((answer) => process.send?.({ id, result: answer }), (error: unknown) => process.send?.({ id, error: String(error) }))
})
process.on('disconnect', () => process.exit())
