// Leases beside etcd, three members each, everything synced to disk, in the same run:
//   npm run bench -- leases [--json] [--seconds 4] [--held 100000] [--scopes 100000,1000000 [--busy 16]] [--only latency,…]
// Two ways, each beside its like: within a node's process beside etcd over gRPC (what a program sees that links the
// library), and over the HTTP API beside etcd's JSON gateway, the same client and persistent connections for both.
// A node proposes from where it is, so "within" has no hop from the client to a member, and etcd's has one: that is how
// the two are used, and it is named here so that nobody takes it for a difference in consensus.
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readApiFile } from '../../src/client/index.js'
import { eventually, World } from '../../test/e2e/harness.js'
import type { TestNode } from '../../test/e2e/harness.js'
import { EtcdClient, EtcdCluster, etcdFile, EtcdGateway, callJson } from './leases/etcd.js'
import { many as work } from './leases/workers.js'

const option = (name: string, otherwise: string): string => {
  const at = process.argv.findIndex((argument) => argument === `--${name}` || argument.startsWith(`--${name}=`))
  if (at < 0) return otherwise
  return (process.argv[at] ?? '').split('=')[1] ?? process.argv[at + 1] ?? otherwise
}
const json = process.argv.includes('--json')
const seconds = Number(option('seconds', '4'))
const held = Number(option('held', '100000'))
const rounds = Number(option('rounds', '1000'))
const only = option('only', 'latency,distinct,contended,renewal,size,pause,death,api,replace').split(',')
const replaceScopes = option('scopes', '100000').split(',').map(Number)
/** Clients that take new scopes all the time while a voter is replaced. */
const busy = Number(option('busy', '0'))
const isMore = process.argv.includes('--more')
const clients = 64

const round = (value: number): number => Number(value.toPrecision(4))
/** `ratio`: how much better than etcd, whichever way better is. */
function report(name: string, value: number, unit: string, etcd: number | undefined, more: 'is better' | 'is worse'): void {
  const ratio = etcd === undefined ? undefined : more === 'is better' ? value / etcd : etcd / value
  if (json) console.log(JSON.stringify({ name, value: round(value), unit, peers: etcd === undefined ? {} : { etcd: round(etcd) }, ratio: ratio === undefined ? undefined : round(ratio) }))
  else console.log(`${name.padEnd(58)} ${String(round(value)).padStart(8)} ${unit.padEnd(10)}${etcd === undefined ? '' : `etcd ${String(round(etcd)).padStart(8)}   ${round(ratio ?? 0)} times as good`}`)
}

const quantile = (times: readonly number[], q: number): number => {
  const sorted = [...times].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}
const sleep = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const many = async (count: number, act: (worker: number, turn: number) => Promise<void>, forSeconds = seconds): ReturnType<typeof work> => work(count, forSeconds, act)

// ---- processes ----------------------------------------------------------------------------------------------------

interface Quantiles { p50: number; p99: number; max: number; count: number }

/** A node of ours: scripts/bench/leases/node.ts. */
class Member {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>()
  #id = 0

  constructor(number: number, folder: string) {
    this.#child = fork(join(import.meta.dirname, 'leases/node.ts'), [String(number), join(folder, String(number))], { execArgv: ['--import', 'tsx', '--expose-gc'] })
    this.#child.on('message', (message) => {
      const { id, result, error } = message as { id: number; result: unknown; error?: string }
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(result)
      else waiting?.reject(new Error(error))
    })
    this.#child.once('exit', () => { for (const { reject } of this.#waiting.values()) reject(new Error('the node ended')) })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  async order<T = Record<string, unknown>>(name: string, args: object = {}): Promise<T> {
    const id = ++this.#id
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: (result) => { resolve(result as T) }, reject })
      this.#child.send({ id, name, args })
    })
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await gone
  }
}

const folder = mkdtempSync(join(tmpdir(), 'mesh-bench-leases-'))
const members: Member[] = []
const ids: string[] = []

/** Four nodes, three of which vote. `filled`: so many registers are in the first one's store before it begins. */
async function startMembers(filled = 0): Promise<void> {
  let genesis = ''
  const addresses: string[] = []
  for (let i = 0; i < 4; i++) {
    const member = new Member(i, folder)
    members.push(member)
    const hello = await member.order<{ self: string; address: string; genesis: string }>('hello')
    genesis ||= hello.genesis
    if (i === 0 && filled > 0) await member.order('fill', { count: filled, genesis })
    await member.order('start', { genesis, addresses })
    addresses.push(hello.address)
    ids.push(hello.self)
  }
  await at(0).order('reconfigure', { nodes: ids.slice(0, 3) })
}

function at(index: number): Member {
  const member = members[index]
  if (member === undefined) throw new Error('no such member')
  return member
}

function cpuSecondsOf(pids: readonly number[]): number {
  let ticks = 0
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${String(pid)}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return ticks / 100
}

const residentOf = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1] ?? 0) * 1024

function bytesUnder(path: string): number {
  let sum = 0
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const name = join(path, entry.name)
    sum += entry.isDirectory() ? bytesUnder(name) : statSync(name).blocks * 512
  }
  return sum
}

// ---- figures --------------------------------------------------------------------------------------------------------

let cluster: EtcdCluster | undefined
let etcds: EtcdClient[] = []

function etcd(index: number): EtcdClient {
  const client = etcds[index]
  if (client === undefined) throw new Error('etcd does not run')
  return client
}

async function tellSpans(what: string): Promise<void> {
  if (!isMore) return
  for (const i of [0, 1]) console.error(`${what}, node ${String(i)}: ${JSON.stringify(await at(i).order('spans'))}`)
}

async function latency(): Promise<void> {
  const ours = async (fresh: boolean): Promise<{ acquire: Quantiles; both: Quantiles }> => at(1).order('latency', { count: rounds, fresh })
  await at(1).order('latency', { count: 200, fresh: true })
  await tellSpans('warm')
  const theirs = { acquire: [] as number[], both: [] as number[] }
  const lease = cluster === undefined ? 0n : await etcd(1).grant(600)
  const measureEtcd = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const key = `latency/${String(i)}`
      const atMs = performance.now()
      if (!(await etcd(1).acquire(key, lease))) throw new Error('etcd refused')
      theirs.acquire.push(performance.now() - atMs)
      await etcd(1).release(key)
      theirs.both.push(performance.now() - atMs)
    }
  }
  if (cluster !== undefined) {
    await measureEtcd(200)
    theirs.acquire = []
    theirs.both = []
    await measureEtcd(rounds)
  }
  const fresh = await ours(true)
  await tellSpans('fresh')
  const again = await ours(false)
  await tellSpans('again')
  const beside = (times: number[], q: number): number | undefined => (cluster === undefined ? undefined : quantile(times, q))
  report('acquire, a scope never seen before, median', fresh.acquire.p50, 'ms', beside(theirs.acquire, 0.5), 'is worse')
  report('acquire, a scope never seen before, p99', fresh.acquire.p99, 'ms', beside(theirs.acquire, 0.99), 'is worse')
  report('acquire + release, a scope never seen before, median', fresh.both.p50, 'ms', beside(theirs.both, 0.5), 'is worse')
  report('acquire, a scope this node had last, median', again.acquire.p50, 'ms', beside(theirs.acquire, 0.5), 'is worse')
  report('acquire + release, a scope this node had last, median', again.both.p50, 'ms', beside(theirs.both, 0.5), 'is worse')
  report('acquire + release, a scope this node had last, p99', again.both.p99, 'ms', beside(theirs.both, 0.99), 'is worse')
}

/** Clients spread over the three members, each with its own scope. */
async function distinct(): Promise<void> {
  const ours = async (fresh: boolean): Promise<{ perSecond: number; batches: number; changes: number; cpu: number }[]> =>
    Promise.all([0, 1, 2].map(async (i) => at(i).order<{ perSecond: number; batches: number; changes: number; cpu: number }>('distinct', { clients: Math.ceil((clients - i) / 3), seconds, fresh })))
  await ours(true)
  let theirs: number | undefined
  if (cluster !== undefined) {
    const leases = await Promise.all(etcds.map(async (client) => client.grant(600)))
    const run = async (): Promise<number> => (await many(clients, async (worker) => {
      const i = worker % 3
      await etcd(i).acquire(`distinct/${String(worker)}`, leases[i] ?? 0n)
      await etcd(i).release(`distinct/${String(worker)}`)
    })).perSecond
    await run()
    theirs = await run()
  }
  const [again, fresh] = [await ours(false), await ours(true)]
  const sum = (parts: { perSecond: number }[]): number => parts.reduce((all, { perSecond }) => all + perSecond, 0)
  report('64 clients, a scope of their own each', sum(again), 'locks/s', theirs, 'is better')
  report('64 clients, a new scope every time', sum(fresh), 'locks/s', theirs, 'is better')
  if (isMore) console.log(JSON.stringify({ again, fresh }))
}

async function contended(): Promise<void> {
  let theirs: { perSecond: number; times: number[] } | undefined
  if (cluster !== undefined) {
    // A session a client: etcd's lock belongs to the session's lease.
    const leases = await Promise.all(Array.from({ length: clients }, async (_, i) => etcd(i % 3).grant(600)))
    theirs = await many(clients, async (worker) => {
      const key = await etcd(worker % 3).lock('contended', leases[worker] ?? 0n)
      await etcd(worker % 3).unlock(key)
    })
  }
  const one = await at(1).order<{ perSecond: number; times: Quantiles }>('contended', { clients, seconds, scope: 'contended/one' })
  const all = await Promise.all([0, 1, 2].map(async (i) => at(i).order<{ perSecond: number; times: Quantiles }>('contended', { clients: Math.ceil((clients - i) / 3), seconds, scope: 'contended/all' })))
  report('64 clients of one node, one scope', one.perSecond, 'locks/s', theirs?.perSecond, 'is better')
  report('64 clients of three nodes, one scope', all.reduce((sum, { perSecond }) => sum + perSecond, 0), 'locks/s', theirs?.perSecond, 'is better')
  report('64 clients of three nodes, one scope, longest wait', Math.max(...all.map(({ times }) => times.max)), 'ms', theirs === undefined ? undefined : Math.max(...theirs.times), 'is worse')
}

interface Idle { frames: number; bytes: number; cpuMs: number; held: number }

/** And bytes a lease, since it is filled for this anyway. */
async function renewalAndSize(): Promise<void> {
  const idle = async (): Promise<Idle[]> => Promise.all([0, 1, 2].map(async (i) => at(i).order<Idle>('idle', { seconds: 5 })))
  const sum = (parts: Idle[], field: keyof Idle): number => parts.reduce((all, part) => all + part[field], 0)
  const size = async (): Promise<{ rss: number; heap: number; disk: number; registers: number }> => at(0).order('sizes')
  await at(1).order('hold', { count: 10, prefix: 'few' })
  let lease = 0n
  let end = (): void => undefined
  const pids = cluster?.pids() ?? []
  const etcdIdle = async (): Promise<number | undefined> => {
    if (cluster === undefined) return undefined
    const before = cpuSecondsOf(pids)
    await sleep(5000)
    return (cpuSecondsOf(pids) - before) / 5 * 1000
  }
  if (cluster !== undefined) {
    // One lease for all keys of the holder, which is the cheapest that etcd can; renewed as often as a session of ours.
    lease = await etcd(1).grant(6)
    end = etcd(1).keepAlive(lease, 1200).end
    await etcd(1).fill(Array.from({ length: 10 }, (_, i) => `few/${String(i)}`), lease)
  }
  const etcdFew = await etcdIdle()
  const few = await idle()
  const before = await size()
  const theirsBefore = cluster === undefined ? undefined : { rss: residentOf(cluster.pid(0)), disk: bytesUnder(join(cluster.folder, 'a')) }
  const { perSecond } = await at(1).order<{ perSecond: number }>('hold', { count: held, prefix: `held/${'x'.repeat(20)}` })
  for (let i = 0; cluster !== undefined && i < held; i += 100) {
    await etcd(1).fill(Array.from({ length: 100 }, (_, k) => `held/${'x'.repeat(20)}/${String(i + k)}`), lease)
  }
  await sleep(2000)
  const etcdMany = await etcdIdle()
  const after = await size()
  const theirsAfter = cluster === undefined ? undefined : { rss: residentOf(cluster.pid(0)), disk: bytesUnder(join(cluster.folder, 'a')) }
  const lots = await idle()
  let keepAlives: number | undefined
  if (cluster !== undefined) {
    const busy = cpuSecondsOf(pids)
    const own = etcd(1).keepAlive(await etcd(1).grant(60), 0)
    await sleep(2000)
    own.end()
    keepAlives = (cpuSecondsOf(pids) - busy) / Math.max(1, own.answers()) * 1000
  }
  report('filling, acquires in parallel', perSecond, 'leases/s', undefined, 'is better')
  report('renewal with 10 leases held, frames sent by all', sum(few, 'frames'), '/s', undefined, 'is worse')
  report(`renewal with ${String(held)} leases held, frames sent by all`, sum(lots, 'frames'), '/s', undefined, 'is worse')
  report('renewal with 10 leases held, CPU of all three', sum(few, 'cpuMs'), 'ms/s', etcdFew, 'is worse')
  report(`renewal with ${String(held)} leases held, CPU of all three`, sum(lots, 'cpuMs'), 'ms/s', etcdMany, 'is worse')
  if (keepAlives !== undefined) report(`as many etcd leases of 6 s, one a lock, CPU by one's cost`, sum(lots, 'cpuMs'), 'ms/s', keepAlives * held / 2, 'is worse')
  const count = after.registers - before.registers
  report(`${String(held)} scopes, memory a lease on a voter (RSS)`, (after.rss - before.rss) / count, 'B', theirsAfter === undefined || theirsBefore === undefined ? undefined : (theirsAfter.rss - theirsBefore.rss) / held, 'is worse')
  report(`${String(held)} scopes, memory a lease on a voter (heap)`, (after.heap - before.heap) / count, 'B', undefined, 'is worse')
  report(`${String(held)} scopes, disk a lease on a voter`, (after.disk - before.disk) / count, 'B', theirsAfter === undefined || theirsBefore === undefined ? undefined : (theirsAfter.disk - theirsBefore.disk) / held, 'is worse')
  end()
}

/** How long nobody gets a lock while the voters change: one of three is replaced, with as many registers as there are. */
async function pause(): Promise<void> {
  const beats = [1, 2].map(async (i) => at(i).order<Quantiles>('beat', { seconds: 5 }))
  await sleep(1500)
  const { ms, pausedMs } = await at(1).order<{ ms: number; pausedMs: number }>('reconfigure', { nodes: [ids[1], ids[2], ids[3]] })
  const worst = Math.max(...(await Promise.all(beats)).map(({ max }) => max))
  const sizes = await at(1).order<{ registers: number }>('sizes')
  let theirs: number | undefined
  if (cluster !== undefined) {
    const statuses = await Promise.all(etcds.map(async (client) => client.status()))
    const leader = statuses.findIndex(({ member, leader: led }) => member === led)
    const [gone, stays] = [0, 1, 2].filter((i) => i !== leader)
    const lease = await etcd(leader).grant(600)
    const beat = many(1, async (_worker, turn) => {
      await etcd(leader).acquire(`beat/${String(turn % 10)}`, lease)
      await etcd(leader).release(`beat/${String(turn % 10)}`)
    }, 4)
    await sleep(1500)
    await etcd(stays ?? 0).removeMember(statuses[gone ?? 0]?.member ?? 0n)
    theirs = Math.max(...(await beat).times)
  }
  report(`a voter replaced, ${String(sizes.registers)} registers: longest acquire + release`, worst, 'ms', theirs, 'is worse')
  report('a voter replaced, from the seal until a majority has begun', pausedMs, 'ms', undefined, 'is worse')
  report('a voter replaced, from the order to its end', ms, 'ms', undefined, 'is worse')
}

/** A voter is replaced in a mesh with many scopes, while two nodes work on some of them. Members of its own. */
async function replaced(scopes: number): Promise<void> {
  for (const member of members.splice(0)) await member.kill()
  ids.length = 0
  rmSync(folder, { recursive: true, force: true })
  await startMembers(scopes)
  await sleep(3000)
  const memory = async (): Promise<{ peakMiB: number; nowMiB: number; registers: number }[]> => Promise.all([1, 2, 3].map(async (i) => at(i).order('memory')))
  const before = await memory()
  const beats = [1, 2].map(async (i) => at(i).order<Quantiles>('beatOn'))
  const others = busy === 0 ? undefined : at(2).order('distinctOn', { clients: busy })
  await sleep(2000)
  const { ms, pausedMs, copied, tries } = await at(1).order<{ ms: number; pausedMs: number; copied: number; tries: number }>('reconfigure', { nodes: [ids[1], ids[2], ids[3]] })
  await sleep(1000)
  await Promise.all([1, 2].map(async (i) => at(i).order('stopBeat')))
  const quantiles = await Promise.all(beats)
  await others
  const after = await memory()
  await sleep(10_000)
  const rested = await memory()
  const name = `voter replaced, ${Number.isInteger(Math.log10(scopes)) ? `10^${String(Math.log10(scopes))}` : String(scopes)} scopes${busy === 0 ? '' : `, ${String(busy)} clients take new ones`}`
  report(`${name}: pause`, pausedMs, 'ms', undefined, 'is worse')
  report(`${name}: longest acquire + release`, Math.max(...quantiles.map(({ max }) => max)), 'ms', undefined, 'is worse')
  report(`${name}: acquire + release meanwhile, p99`, Math.max(...quantiles.map(({ p99 }) => p99)), 'ms', undefined, 'is worse')
  report(`${name}: from the order to its end`, ms, 'ms', undefined, 'is worse')
  report(`${name}: registers copied after the seal`, copied, '', undefined, 'is worse')
  report(`${name}: tries`, tries, '', undefined, 'is worse')
  for (const [i, who] of ['a voter that stays', 'another', 'the new one'].entries()) {
    console.log(`  ${who}: ${String(after[i]?.registers)} registers; ${before[i]?.nowMiB.toFixed(0) ?? ''} MiB before, ${after[i]?.peakMiB.toFixed(0) ?? ''} MiB at most, ${rested[i]?.nowMiB.toFixed(0) ?? ''} MiB 10 s after`)
  }
}

/** The last figures: processes die. `cluster` is started anew, since `pause` took a member away. */
async function death(): Promise<void> {
  // Now 1, 2 and 3 vote, or 0, 1 and 2: node 2 in either case.
  const beat = at(1).order<Quantiles>('beat', { seconds: 4 })
  await sleep(1500)
  await at(2).order('take', { scope: 'victim' })
  await at(2).kill()
  const killedAtMs = Date.now()
  const taken = at(1).order<{ atMs: number }>('take', { scope: 'victim' })
  const { max } = await beat
  let theirBeat: number | undefined
  let theirs: number | undefined
  if (etcdFile !== undefined) {
    const fresh = new EtcdCluster()
    try {
      await fresh.start(etcdFile)
      const urls = fresh.urls.map((url) => new EtcdClient(url))
      const statuses = await Promise.all(urls.map(async (client) => client.status()))
      const leader = statuses.findIndex(({ member, leader: led }) => member === led)
      const other = urls[(leader + 1) % 3]
      const lease = await other?.grant(600) ?? 0n
      // A holder that dies: its lease of 6 s, the same promise as a session of ours, is renewed no more.
      const dying = await other?.grant(6) ?? 0n
      await other?.lock('victim', dying)
      const ended = { atMs: performance.now() }
      await other?.lock('victim', lease)
      theirs = performance.now() - ended.atMs
      const gaps = many(1, async (_worker, turn) => {
        for (;;) {
          try {
            await other?.acquire(`beat/${String(turn % 10)}`, lease, 200)
            await other?.release(`beat/${String(turn % 10)}`)
            return
          } catch {
            await sleep(1)
          }
        }
      }, 5)
      await sleep(1500)
      process.kill(fresh.pid(leader), 'SIGKILL')
      theirBeat = Math.max(...(await gaps).times)
      for (const client of urls) client.close()
    } finally {
      await fresh.stop()
    }
  }
  report('a voter killed (etcd: the leader): longest acquire + release', max, 'ms', theirBeat, 'is worse')
  report('a holder killed: until another has its lease', (await taken).atMs - killedAtMs, 'ms', theirs, 'is worse')
}

/** Whole nodes, over HTTP: what a script sees. */
async function api(): Promise<void> {
  const world = new World()
  const agent = new Agent({ keepAlive: true, maxSockets: 256 })
  try {
    const a = await world.start('a')
    const nodes = [a, await world.join('b', a), await world.join('c', a)]
    await eventually(async () => (await a.status()).voters.length === 3, 'three voters', 60_000)
    const doors = nodes.map((node: TestNode) => {
      const file = readApiFile(node.home)
      if (file === undefined) throw new Error('no API')
      return { url: new URL(file.url), headers: { authorization: `Bearer ${file.token}` } }
    })
    const both = async (i: number, scope: string): Promise<void> => {
      const door = doors[i]
      if (door === undefined) return
      const { leaseId } = await callJson(agent, door.url, 'POST', '/api/v1/leases', { scope, agent: 'bench', ttlMs: 60_000 }, door.headers)
      await callJson(agent, door.url, 'DELETE', `/api/v1/leases/${String(leaseId)}`, undefined, door.headers)
    }
    const gateways = cluster === undefined ? [] : cluster.urls.map((url) => new EtcdGateway(url))
    const leases = await Promise.all(gateways.map(async (gateway) => gateway.grant(600)))
    const theirBoth = async (i: number, key: string): Promise<void> => {
      await gateways[i]?.acquire(key, leases[i] ?? '')
      await gateways[i]?.release(key)
    }
    const figures = async (act: (i: number, scope: string) => Promise<void>): Promise<{ times: number[]; perSecond: number }> => {
      // Both sides alike: a node that has just started runs code that is not compiled yet, and would be measured at that.
      await many(clients, async (worker) => act(worker % 3, `warm/${String(worker)}`), 8)
      const { times } = await many(1, async () => act(1, 'latency'))
      const { perSecond } = await many(clients, async (worker) => act(worker % 3, `distinct/${String(worker)}`))
      return { times, perSecond }
    }
    const theirs = cluster === undefined ? undefined : await figures(theirBoth)
    const ours = await figures(both)
    const beside = (q: number): number | undefined => (theirs === undefined ? undefined : quantile(theirs.times, q))
    report('over HTTP: acquire + release, median', quantile(ours.times, 0.5), 'ms', beside(0.5), 'is worse')
    report('over HTTP: acquire + release, p99', quantile(ours.times, 0.99), 'ms', beside(0.99), 'is worse')
    report('over HTTP: 64 clients, a scope of their own each', ours.perSecond, 'locks/s', theirs?.perSecond, 'is better')
    for (const gateway of gateways) gateway.close()
  } finally {
    agent.destroy()
    await world.close()
  }
}

async function end(): Promise<void> {
  for (const client of etcds) client.close()
  await cluster?.stop()
  for (const member of members) await member.kill()
  rmSync(folder, { recursive: true, force: true })
}
// What was started goes with this process, however it ends.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => { void end().finally(() => process.exit(1)) })

try {
  if (etcdFile === undefined) {
    console.error('etcd is not installed (Debian: etcd-server): ours alone.')
  } else {
    cluster = new EtcdCluster()
    await cluster.start(etcdFile)
    etcds = cluster.urls.map((url) => new EtcdClient(url))
  }
  if (only.some((name) => name !== 'api' && name !== 'replace')) await startMembers()
  if (only.includes('latency')) await latency()
  if (only.includes('distinct')) await distinct()
  if (only.includes('contended')) await contended()
  if (only.includes('api')) await api()
  if (only.includes('renewal') || only.includes('size')) await renewalAndSize()
  if (only.includes('pause')) await pause()
  if (only.includes('death')) await death()
  if (only.includes('replace')) for (const scopes of replaceScopes) await replaced(scopes)
} finally {
  await end()
}
process.exit(0)
