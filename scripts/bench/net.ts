/**
 * The network beside raw libp2p, between two processes on this machine:
 *
 *   npx tsx scripts/bench/net.ts [--json] [--mib 512]
 *
 * Figures: bulk throughput beside a raw libp2p stream over TLS; an rpc round trip of 100 B beside an echo on an open raw
 * stream; the p99 of that round trip while a bulk transfer runs between the same two; records announced per second.
 * The child process is this script itself with `--serve raw|net`.
 */
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Libp2p, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { multiaddr } from '@multiformats/multiaddr'
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { FakeMesh, startNode } from '../../test/unit/net/fixture.js'
import '../../src/net/node20.js'
import type { NodeId } from '../../src/base/index.js'
import type { Net } from '../../src/net/index.js'

const argument = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`)
  return at === -1 ? undefined : process.argv[at + 1]
}
const json = process.argv.includes('--json')
const mib = Number(argument('mib') ?? 512)
const echoes = 3000
const chunk = new Uint8Array(1024 * 1024)
const small = new Uint8Array(100)

const sinkId = '/bench/sink/1'
const echoId = '/bench/echo/1'

async function rawNode(): Promise<Libp2p> {
  const { createLibp2p } = await import('libp2p')
  return createLibp2p({ addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] }, transports: [tcp()], connectionEncrypters: [tls()], streamMuxers: [yamux()], connectionMonitor: { enabled: false } })
}

async function drainRaw(stream: Stream): Promise<number> {
  let bytes = 0
  for await (const list of stream.source) bytes += list.byteLength
  return bytes
}

async function serveRaw(): Promise<string> {
  const node = await rawNode()
  await node.handle(sinkId, ({ stream }) => {
    drainRaw(stream).then((bytes) => stream.sink([new TextEncoder().encode(String(bytes))])).catch(() => undefined)
  })
  await node.handle(echoId, ({ stream }) => void stream.sink(stream.source).catch(() => undefined))
  return node.getMultiaddrs()[0]!.toString()
}

const mesh = new FakeMesh('bench')

async function serveNet(): Promise<string> {
  const net = await startNode(mesh, 'server')
  net.rpc.register({ name: 'bench.echo', requestBytesMax: 1000, responseBytesMax: 1000, inFlightMax: 64, handle: async (body) => body })
  net.bulk.register({ id: sinkId, inboundMax: 8, handle: async (stream) => {
    let bytes = 0
    for await (const part of stream.received) bytes += part.length
    await stream.send(new TextEncoder().encode(String(bytes)))
  } })
  net.bulk.register({ id: '/bench/source/1', inboundMax: 8, handle: async (stream) => {
    for (let i = 0; i < mib; i++) await stream.send(chunk)
  } })
  return net.addresses()[0]!
}

const children: ChildProcess[] = []

async function spawn(kind: 'raw' | 'net'): Promise<string> {
  const child = fork(fileURLToPath(import.meta.url), ['--serve', kind, '--mib', String(mib)], { execArgv: ['--import', 'tsx'] })
  children.push(child)
  const [address] = (await once(child, 'message')) as [string]
  return address
}

function report(name: string, value: number, unit: string, peers: Record<string, number> = {}): void {
  const first = Object.values(peers)[0]
  const ratio = first === undefined ? undefined : value / first
  if (json) console.log(JSON.stringify({ name, value: round(value), unit, peers: Object.fromEntries(Object.entries(peers).map(([peer, figure]) => [peer, round(figure)])), ratio: ratio === undefined ? undefined : round(ratio) }))
  else console.log(`${name.padEnd(42)} ${round(value)} ${unit}${Object.entries(peers).map(([peer, figure]) => `   ${peer}: ${round(figure)}`).join('')}${ratio === undefined ? '' : `   ratio ${round(ratio)}`}`)
}
const round = (value: number): number => Number(value.toPrecision(4))

async function rawBulk(node: Libp2p, address: string): Promise<number> {
  const stream = await node.dialProtocol(multiaddr(address), sinkId)
  const startMs = performance.now()
  const sending = stream.sink((async function* () {
    for (let i = 0; i < mib; i++) yield chunk
  })())
  await stream.source.next()
  await sending
  return mib / ((performance.now() - startMs) / 1000)
}

async function netBulk(net: Net, peer: NodeId): Promise<number> {
  const stream = await net.bulk.open(peer, sinkId, {})
  const startMs = performance.now()
  for (let i = 0; i < mib; i++) await stream.send(chunk)
  await stream.closeSend()
  for await (const part of stream.received) if (part.length === 0) break
  return mib / ((performance.now() - startMs) / 1000)
}

async function netBulkDown(net: Net, peer: NodeId): Promise<number> {
  const startMs = performance.now()
  const stream = await net.bulk.open(peer, '/bench/source/1', {})
  await stream.closeSend()
  let bytes = 0
  for await (const part of stream.received) bytes += part.length
  return bytes / 2 ** 20 / ((performance.now() - startMs) / 1000)
}

async function rawEcho(node: Libp2p, address: string): Promise<number[]> {
  const stream = await node.dialProtocol(multiaddr(address), echoId)
  let give: (() => void) | undefined
  void stream.sink((async function* () {
    for (;;) {
      await new Promise<void>((resolve) => (give = resolve))
      yield small
    }
  })()).catch(() => undefined)
  const times: number[] = []
  const source = stream.source
  for (let i = 0; i < echoes; i++) {
    while (give === undefined) await new Promise((resolve) => setImmediate(resolve))
    const startMs = performance.now()
    give()
    give = undefined
    for (let got = 0; got < small.length; ) {
      const result: IteratorResult<{ byteLength: number }, unknown> = await source.next()
      got += result.done === true ? small.length : result.value.byteLength
    }
    times.push(performance.now() - startMs)
  }
  stream.abort(new Error('done'))
  return times
}

async function netEcho(net: Net, peer: NodeId, count = echoes, signal?: AbortSignal): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count && signal?.aborted !== true; i++) {
    const startMs = performance.now()
    await net.rpc.request(peer, 'bench.echo', small, { deadlineMs: 10_000 })
    times.push(performance.now() - startMs)
  }
  return times
}

function quantile(times: readonly number[], q: number): number {
  const sorted = [...times].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

async function underLoad(net: Net, peer: NodeId, load: () => Promise<number>): Promise<{ times: number[]; speed: number }> {
  const controller = new AbortController()
  const loading = load().finally(() => controller.abort())
  const times: number[] = []
  while (!controller.signal.aborted) {
    times.push(...(await netEcho(net, peer, 1)))
    // As a person's requests come: not back to back.
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  return { times, speed: await loading }
}

async function main(): Promise<void> {
  const [rawAddress, netAddress] = [await spawn('raw'), await spawn('net')]
  const raw = await rawNode()
  const net = await startNode(mesh, 'client', { listen: [] })
  const peer = await net.dial(netAddress)

  const speeds = { raw: [] as number[], net: [] as number[], down: [] as number[] }
  for (let i = 0; i < 3; i++) {
    speeds.raw.push(await rawBulk(raw, rawAddress))
    if (argument('only') === 'raw') continue
    speeds.net.push(await netBulk(net, peer))
    speeds.down.push(await netBulkDown(net, peer))
  }
  if (argument('only') === 'raw') {
    report('bulk, raw libp2p TLS stream', quantile(speeds.raw, 0.5), 'MiB/s')
    await net.stop()
    await raw.stop()
    for (const child of children) child.kill('SIGKILL')
    return
  }
  report('bulk, this node sends', quantile(speeds.net, 0.5), 'MiB/s', { 'raw libp2p TLS stream': quantile(speeds.raw, 0.5) })
  report('bulk, this node receives', quantile(speeds.down, 0.5), 'MiB/s', { 'raw libp2p TLS stream': quantile(speeds.raw, 0.5) })

  await rawEcho(raw, rawAddress)
  await netEcho(net, peer)
  const [rawTimes, netTimes] = [await rawEcho(raw, rawAddress), await netEcho(net, peer)]
  report('rpc, round trip of 100 B, median', quantile(netTimes, 0.5), 'ms', { 'echo on an open raw stream': quantile(rawTimes, 0.5) })
  report('rpc, round trip of 100 B, p99', quantile(netTimes, 0.99), 'ms', { 'echo on an open raw stream': quantile(rawTimes, 0.99) })

  const startMs = performance.now()
  const many = 20_000
  for (let i = 0; i < many; i += 200) await Promise.all(Array.from({ length: 200 }, () => net.rpc.request(peer, 'bench.echo', small, { deadlineMs: 10_000 })))
  report('rpc, 200 in flight', many / ((performance.now() - startMs) / 1000), 'requests/s')

  for (const [name, load] of [['sending', netBulk], ['receiving', netBulkDown]] as const) {
    const { times, speed } = await underLoad(net, peer, () => load(net, peer))
    report(`rpc p99 while ${name} in bulk`, quantile(times, 0.99), 'ms')
    report(`rpc median while ${name} in bulk`, quantile(times, 0.5), 'ms')
    report(`bulk ${name} meanwhile`, speed, 'MiB/s')
  }

  const records = 10_000
  const cids = Array.from({ length: records }, (_, i) => CID.createV1(0x55, createDigest(0x12, createHash('sha256').update(String(i)).digest())).toString())
  const cpu = process.cpuUsage()
  const provideMs = performance.now()
  await net.routing.provide(cids)
  while (net.counters().recordsAnnounced < records) await new Promise((resolve) => setTimeout(resolve, 20))
  const seconds = (performance.now() - provideMs) / 1000
  const used = process.cpuUsage(cpu)
  report('announcing 10,000 blobs to one node', records / seconds, 'records/s')
  report('announcing 10,000 blobs, share of a core', (used.user + used.system) / 1e6 / seconds, '')

  await net.stop()
  await raw.stop()
  for (const child of children) child.kill('SIGKILL')
}

const serve = argument('serve')
if (serve === undefined) await main()
else {
  // A child whose parent is gone has nobody to serve.
  process.on('disconnect', () => process.exit())
  process.send?.(serve === 'raw' ? await serveRaw() : await serveNet())
}
