// Import and fetch of files, large and small, through the real store and network, beside what they are made of, in the
// same run: sha-256, sequential LevelDB writes, a raw libp2p stream.
//   node --import tsx scripts/bench/blobs.ts [--json] [--mib 1024] [--files 10000] [--only import,small,fetch]
import { fork, type ChildProcess } from 'node:child_process'
import { createCipheriv, createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { yamux } from '@chainsafe/libp2p-yamux'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { forEachLimit, seededRandom, silentLog, systemClock, systemRandom, type BulkProtocol } from '../../src/base/index.js'
import { createBlobs, type BlobRef, type BlobService } from '../../src/blobs/index.js'
import type { Net } from '../../src/net/index.js'
import { openStore, type Store } from '../../src/store/index.js'
import { FakeMesh, startNode, stopAll } from '../../test/unit/net/fixture.js'
import { warmPageCache } from './page-cache.js'

const mebibyte = 2 ** 20
const smallBytes = 10 * 1024
const option = (name: string, otherwise: string): string => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? otherwise : (process.argv[at + 1] ?? otherwise)
}
const json = process.argv.includes('--json')
const size = Number(option('mib', '1024')) * mebibyte
const files = Number(option('files', '10000'))
const rawBytes = Math.min(size, 2 ** 31)
const only = option('only', 'import,small,fetch').split(',')
const mesh = new FakeMesh('bench')

/** The same bytes for the same seed: AES-CTR over zeros, cheap to make and impossible to compress. */
function* contentOf(bytes: number, seed: number): Generator<Uint8Array> {
  const iv = Buffer.alloc(16)
  iv.writeUInt32BE(seed)
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32, seed & 0xff), iv)
  const zeros = Buffer.alloc(Math.min(bytes, mebibyte))
  for (let left = bytes; left > 0; left -= zeros.length) yield cipher.update(left >= zeros.length ? zeros : zeros.subarray(0, left))
}

async function* content(bytes: number, seed: number): AsyncGenerator<Uint8Array> {
  for (const chunk of contentOf(bytes, seed)) {
    await Promise.resolve()
    yield chunk
  }
}

interface Node {
  net: Net
  store: Store
  blobs: BlobService
  stop: () => Promise<void>
}

async function node(number: number): Promise<Node> {
  const home = await mkdtemp(join(tmpdir(), 'mesh-bench-'))
  const components = { clock: systemClock, random: systemRandom, log: silentLog }
  const store = await openStore(components, { home })
  const net = await startNode(mesh, number)
  const { bulk, routing } = net
  const blobs = createBlobs({ ...components, blocks: store.blocks, meta: store.meta('blobs'), bulk, routing, connections: net })
  net.bulk.register(raw)
  const stop = async (): Promise<void> => {
    await stopAll()
    await store.close()
    await rm(home, { recursive: true, force: true })
  }
  return { net, store, blobs, stop }
}

/** The stream alone: as many bytes as the other side names in its first four. */
const raw: BulkProtocol = {
  id: '/mesh/bench-raw/1',
  inboundMax: 4,
  handle: async (stream) => {
    let asked = 0
    for await (const piece of stream.received) {
      asked = Buffer.from(piece).readUInt32BE(0)
      break
    }
    const block = seededRandom(1).bytes(mebibyte)
    for (let sent = 0; sent < asked; sent += block.length) await stream.send(block)
    await stream.closeSend()
  },
}

const stockProtocol = '/bench-raw/1'

/** libp2p as it comes, with TLS and yamux: what a stream of it carries is what others build upon. */
async function stockNode(): Promise<Libp2p> {
  const host = await createLibp2p({ addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] }, transports: [tcp()], connectionEncrypters: [tls()], streamMuxers: [yamux()] })
  await host.handle(stockProtocol, async ({ stream }) => {
    const block = seededRandom(1).bytes(mebibyte)
    await stream.sink((function* () {
      for (let sent = 0; sent < rawBytes; sent += block.length) yield block
    })())
  })
  return host
}

async function stockRate(address: string): Promise<number> {
  const host = await stockNode()
  try {
    const stream = await host.dialProtocol(multiaddr(address), stockProtocol)
    const seconds = await secondsOf(async () => {
      let bytes = 0
      for await (const piece of stream.source) bytes += piece.byteLength
      if (bytes < rawBytes) throw new Error('the stock stream ended early')
    })
    return rawBytes / mebibyte / seconds
  } finally {
    await host.stop()
  }
}

/** Processor seconds of this process in the last measurement, all threads: tells a busy machine from slow code. */
let cpuSeconds = 0
let systemSeconds = 0

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now()
  const cpu = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(cpu)
  cpuSeconds = (user + system) / 1e6
  systemSeconds = system / 1e6
  return (performance.now() - startMs) / 1000
}

function report(name: string, value: number, unit: string, peers: Record<string, number>): void {
  if (process.argv.includes('--cpu')) process.stderr.write(`${name}: ${cpuSeconds.toFixed(2)} s of processor time (${systemSeconds.toFixed(2)} of it the system)\n`)
  const slowest = Math.min(...Object.values(peers))
  const ratio = Number.isFinite(slowest) ? value / slowest : null
  const round = (number: number): number => Number(number.toPrecision(4))
  const rounded = Object.fromEntries(Object.entries(peers).map(([key, number]) => [key, round(number)]))
  if (json) console.log(JSON.stringify({ name, value: round(value), unit, peers: rounded, ratio: ratio === null ? null : round(ratio) }))
  else console.log(`${name.padEnd(24)} ${String(round(value)).padStart(8)} ${unit.padEnd(8)} ${ratio === null ? '' : `${(ratio * 100).toFixed(0)} % of the slowest of`} ${JSON.stringify(rounded)}`)
}

async function sha256Rate(): Promise<number> {
  const chunks = [...contentOf(64 * mebibyte, 1)]
  const seconds = await secondsOf(async () => {
    for (let i = 0; i < 4; i++) for (const chunk of chunks) createHash('sha256').update(chunk).digest()
  })
  return 256 / seconds
}

/** LevelDB as it comes, in a process of its own: in ours it has been given another function for its checksums. */
async function levelRate(bytes: number): Promise<number> {
  const child = fork(import.meta.filename, ['--level', String(bytes), ...(process.argv.includes('--cpu') ? ['--cpu'] : [])], { execArgv: ['--import', 'tsx'] })
  return new Promise<number>((resolve, reject) => {
    child.once('message', (rate) => resolve(Number(rate)))
    child.once('exit', (code) => reject(new Error(`the process with LevelDB ended with ${String(code)}`)))
  })
}

async function levelRateHere(bytes: number): Promise<number> {
  await warmPageCache(2 * bytes)
  const folder = await mkdtemp(join(tmpdir(), 'mesh-bench-level-'))
  const level = new ClassicLevel<Buffer, Uint8Array>(folder, { keyEncoding: 'buffer', valueEncoding: 'view', compression: false, writeBufferSize: 64 * mebibyte })
  await level.open()
  const seconds = await secondsOf(async () => {
    let sequence = 0
    await forEachLimit(contentOf(bytes, 9), 4, async (chunk: Uint8Array) => {
      const key = Buffer.alloc(8)
      key.writeBigUInt64BE(BigInt(sequence++))
      await level.put(key, chunk)
    })
    await level.put(Buffer.from('end'), new Uint8Array(1), { sync: true })
  })
  if (process.argv.includes('--cpu')) process.stderr.write(`LevelDB: ${cpuSeconds.toFixed(2)} s of processor time (${systemSeconds.toFixed(2)} of it the system)\n`)
  await level.close()
  await rm(folder, { recursive: true, force: true })
  return bytes / mebibyte / seconds
}

interface Reply {
  address: string
  stock: string
  large: string
  small: string[]
}

/** Another process that holds the files. */
async function holder(number: number): Promise<{ child: ChildProcess; reply: Reply }> {
  const child = fork(import.meta.filename, ['--holder', String(number), '--mib', String(size / mebibyte), '--files', String(files), '--only', only.join()], {
    execArgv: ['--import', 'tsx'],
  })
  const reply = await new Promise<Reply>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Reply))
    child.once('exit', (code) => reject(new Error(`the holder ended with ${String(code)}`)))
  })
  return { child, reply }
}

async function hold(number: number): Promise<void> {
  const { net, blobs, stop } = await node(number)
  const large = only.includes('fetch') ? await blobs.import(content(size, 1)) : undefined
  const small: string[] = []
  if (only.includes('small')) await forEachLimit(seeds(), 64, async (seed) => {
      small.push((await blobs.import(content(smallBytes, seed))).cid.toString())
    })
  // Announcements of what was just put are another benchmark's business.
  while (net.provideLagMs() > 0) await systemClock.sleep(100)
  const stock = await stockNode()
  const reply: Reply = { address: net.addresses()[0] ?? '', stock: stock.getMultiaddrs()[0]?.toString() ?? '', large: large?.cid.toString() ?? '', small }
  process.send?.(reply)
  await new Promise((resolve) => process.once('message', resolve))
  await stock.stop()
  await stop()
  process.disconnect()
}

function* seeds(): Generator<number> {
  for (let i = 0; i < files; i++) yield 1000 + i
}

let residentMax = 0
let residentBefore = 0
async function withResident<T>(work: () => Promise<T>): Promise<T> {
  residentBefore = process.memoryUsage().rss
  residentMax = 0
  const timer = setInterval(() => (residentMax = Math.max(residentMax, process.memoryUsage().rss)), 100)
  try {
    return await work()
  } finally {
    clearInterval(timer)
  }
}

async function benchImport(peers: Record<string, number>): Promise<void> {
  const { blobs, stop } = await node(1)
  await warmPageCache(2 * size)
  const seconds = await withResident(() => secondsOf(() => blobs.import(content(size, 1))))
  report('import', size / mebibyte / seconds, 'MiB/s', peers)
  report('import, resident', residentMax / mebibyte, 'MiB', {})
  report('before it, resident', residentBefore / mebibyte, 'MiB', {})
  await stop()
}

async function benchSmallPut(): Promise<void> {
  const { blobs, stop } = await node(1)
  const seconds = await secondsOf(() => forEachLimit(seeds(), 64, async (seed) => {
      await blobs.import(content(smallBytes, seed))
    }),
  )
  report('put, 10 KiB files', files / seconds, 'files/s', {})
  await stop()
}

async function benchFetch(peers: Record<string, number>): Promise<void> {
  const holders = [await holder(2), await holder(3)]
  const { net, store, blobs, stop } = await node(1)
  try {
    const ids = []
    for (const { reply } of holders) ids.push(await net.dial(reply.address))
    const [first] = ids
    if (first === undefined) throw new Error('no holder')
    if (only.includes('fetch')) {
      const seconds = await secondsOf(async () => {
        const stream = await net.bulk.open(first, raw.id, {})
        const ask = Buffer.alloc(4)
        ask.writeUInt32BE(rawBytes)
        await stream.send(ask)
        let bytes = 0
        for await (const piece of stream.received) bytes += piece.length
        if (bytes < rawBytes) throw new Error('the stream ended early')
        await stream.closeSend()
      })
      if (process.argv.includes('--cpu')) process.stderr.write(`raw stream: ${cpuSeconds.toFixed(2)} s of processor time\n`)
      const all = { ...peers, 'raw libp2p stream': await stockRate(holders[0]?.reply.stock ?? '') }
      report('our raw stream', rawBytes / mebibyte / seconds, 'MiB/s', { 'raw libp2p stream': all['raw libp2p stream'] })
      const root = CID.parse(holders[0]?.reply.large ?? '')
      for (const count of [1, 2]) {
        const asked = ids.slice(0, count)
        const refs = await blobs.blobsOf(root, { holders: asked })
        const fetching = async (): Promise<void> => {
          for (const ref of refs) await blobs.fetch(ref, { holders: asked })
        }
        await warmPageCache(2 * size)
        const took = await withResident(() => secondsOf(fetching))
        report(`fetch, ${count} holder${count > 1 ? 's' : ''}`, size / mebibyte / took, 'MiB/s', all)
        report(`fetch, ${count}, resident`, residentMax / mebibyte, 'MiB', {})
        for (const ref of refs) await blobs.drop(ref.cid)
        // Or giving back the space of this one would be measured with the next.
        await store.reclaim()
      }
    }
    if (only.includes('small')) {
      const refs = (holders[0]?.reply.small ?? []).map((text): BlobRef => ({ cid: CID.parse(text), kind: 'dag' }))
      const took = await secondsOf(() => forEachLimit(refs, 256, async (ref) => {
          await blobs.fetch(ref, { holders: [first] })
        }),
      )
      report('fetch, 10 KiB files', files / took, 'files/s', {})
    }
  } finally {
    for (const { child } of holders) child.send('stop')
    await stop()
  }
}

const holderNumber = option('holder', '')
const levelBytes = option('level', '')
if (levelBytes !== '') process.send?.(await levelRateHere(Number(levelBytes)))
else if (holderNumber !== '') await hold(Number(holderNumber))
else {
  // `--alone`: without the peers, whose memory would be counted with ours.
  const alone = process.argv.includes('--alone')
  const peers: Record<string, number> = alone ? {} : { 'sha-256': await sha256Rate(), 'LevelDB, sequential': await levelRate(Math.min(size, 1024 * mebibyte)) }
  if (only.includes('import')) await benchImport(peers)
  if (only.includes('small')) await benchSmallPut()
  if (only.includes('fetch') || only.includes('small')) await benchFetch(peers)
}
