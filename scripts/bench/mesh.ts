// Whole nodes as people run them: two or three processes of the built program, files in and out through the API, beside
// Helia, Hyperdrive and Syncthing between two processes on the same machine, in the same run; and what a node costs at
// rest and under a large file.
//   npm run bench -- mesh [--json] [--mib 256] [--files 10000] [--memory-gib 2] [--rest-files 10000]
//     [--rest-minutes 3] [--rest-restart] [--only fetch,small,rest,memory]
// Small files are put twice: on a node that nobody is connected to, which is how the peers put theirs; and on one of three,
// where the two others take in each file's record meanwhile, on the same processors.
// Rest: meshes of one, two and three nodes side by side, each with that many small files of which three copies are wanted; so
// all files of the first two are short of copies that nobody can take. What came of putting them (copies, the DHT) is over
// when no node has done much for half a minute, at most as long as is measured then. So with the files put it takes up to
// twice the minutes that are asked for, and with `--rest-restart`, which has all of them start again and be measured once
// more, up to four times.
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createCipheriv } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { World, eventually } from '../../test/e2e/harness.js'
import type { TestNode } from '../../test/e2e/harness.js'
import { warmPageCache } from './page-cache.js'

const mebibyte = 2 ** 20
const option = (name: string, otherwise: string): string => {
  const at = process.argv.findIndex((argument) => argument === `--${name}` || argument.startsWith(`--${name}=`))
  if (at < 0) return otherwise
  const [, inline] = (process.argv[at] ?? '').split('=')
  return inline ?? process.argv[at + 1] ?? otherwise
}
const json = process.argv.includes('--json')
const bytes = Number(option('mib', '256')) * mebibyte
const files = Number(option('files', '10000'))
const fileBytes = 10 * 1024
const memoryBytes = Number(option('memory-gib', '2')) * 2 ** 30
const restFiles = Number(option('rest-files', '10000'))
const restMs = Number(option('rest-minutes', '3')) * 60_000
const only = option('only', 'fetch,small,rest,memory').split(',')
const peersFolder = join(import.meta.dirname, 'peers')

function report(name: string, value: number, unit: string, peers: Record<string, number> = {}): void {
  const best = Object.values(peers).reduce((most, peer) => Math.max(most, peer), 0)
  const ratio = best === 0 ? undefined : value / best
  if (json) {
    console.log(JSON.stringify({ name, value, unit, peers, ratio: ratio ?? null }))
    return
  }
  const beside = Object.entries(peers).map(([peer, figure]) => `${peer} ${figure.toFixed(1)}`).join(', ')
  console.log(`${name.padEnd(56)} ${value.toFixed(1).padStart(9)} ${unit}${beside === '' ? '' : `   beside: ${beside}   (${(ratio ?? 0).toFixed(2)}x the best of them)`}`)
}

/** AES-CTR over zeros: cheap to make, impossible to compress, different for every seed. */
async function* content(length: number, seed: number): AsyncGenerator<Uint8Array> {
  const iv = Buffer.alloc(16)
  iv.writeUInt32BE(seed)
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32, seed & 0xff), iv)
  const zeros = Buffer.alloc(Math.min(length, mebibyte))
  for (let left = length; left > 0; left -= zeros.length) {
    await Promise.resolve()
    yield cipher.update(left >= zeros.length ? zeros : zeros.subarray(0, left))
  }
}

async function* smallFiles(count: number): AsyncGenerator<{ path: string; size: number; content: Uint8Array }> {
  for (let i = 0; i < count; i++) for await (const chunk of content(fileBytes, i + 2)) yield { path: `${String(i)}.bin`, size: fileBytes, content: chunk }
}

async function drained(source: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0
  for await (const chunk of source) length += chunk.length
  return length
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** A node, or a peer's process. */
type Process = Pick<TestNode, 'pid'>
const residentOf = (node: Process): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(node.pid)}/status`, 'utf8'))?.[1] ?? 0) / 1024
/** The most it ever had, MiB. */
const peakOf = (node: TestNode): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${String(node.pid)}/status`, 'utf8'))?.[1] ?? 0) / 1024
const ticksOf = (node: Process): number => {
  const fields = readFileSync(`/proc/${String(node.pid)}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}

/** A peer program that speaks lines of JSON (see peers/). */
class Peer {
  readonly #child: ChildProcess
  readonly #home = mkdtempSync(join(tmpdir(), 'mesh-bench-peer-'))
  #rest = ''
  #answer: ((line: string) => void) | undefined

  constructor(program: string, role?: string) {
    this.#child = spawn(process.execPath, [join(peersFolder, program), ...(role === undefined ? [] : [role]), this.#home], { stdio: ['pipe', 'pipe', 'ignore'] })
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#rest += chunk.toString()
      const end = this.#rest.indexOf('\n')
      if (end < 0) return
      const line = this.#rest.slice(0, end)
      this.#rest = this.#rest.slice(end + 1)
      this.#answer?.(line)
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  async ask(order: object): Promise<{ ms: number; cids: string[]; address: unknown }> {
    const line = await new Promise<string>((resolve, reject) => {
      this.#answer = resolve
      this.#child.once('exit', () => {
        reject(new Error('the peer program ended'))
      })
      this.#child.stdin?.write(`${JSON.stringify(order)}\n`)
    })
    return JSON.parse(line) as { ms: number; cids: string[]; address: unknown }
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.stdin?.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
    await ended
    clearTimeout(timer)
    rmSync(this.#home, { recursive: true, force: true })
  }
}

interface PeerFigures {
  put: Record<string, number>
  fetch: Record<string, number>
}

/** `amount` per second of each peer that is installed. A peer that fails is left out, with a word. */
async function peersDo(order: object, amount: number, amountBytes = 0): Promise<PeerFigures> {
  const figures: PeerFigures = { put: {}, fetch: {} }
  for (const [name, program] of [['Helia', 'helia.mjs'], ['Hyperdrive', 'hyperdrive.mjs']] as const) {
    if (!existsSync(join(peersFolder, 'node_modules'))) continue
    await warmPageCache(3 * amountBytes)
    const [source, sink] = [new Peer(program, 'serve'), new Peer(program, 'fetch')]
    try {
      const put = await source.ask(order)
      const fetched = await sink.ask({ address: put.address, cids: put.cids })
      figures.put[name] = (amount / put.ms) * 1000
      figures.fetch[name] = (amount / fetched.ms) * 1000
    } catch (error) {
      console.error(`${name} was left out: ${String(error)}`)
    }
    await Promise.all([source.end(), sink.end()])
  }
  if (spawnSync('syncthing', ['--version']).status === 0) {
    await warmPageCache(3 * amountBytes)
    const both = new Peer('syncthing.mjs')
    try {
      figures.fetch['Syncthing (scan and sync)'] = (amount / (await both.ask(order)).ms) * 1000
    } catch (error) {
      console.error(`Syncthing was left out: ${String(error)}`)
    }
    await both.end()
  } else console.error('Syncthing is not installed: left out')
  return figures
}

const sleep = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Less of a core than this is rest, if it lasts: some hundred times what it takes to be there. */
const restShareMax = 0.03
const restStepMs = 5_000
/** As long as a node takes to see that it has nothing to do, and give back memory (it looks every 15 s). */
const restSteps = 6

/** Resolves when all have been at rest for a while, or when that has not come about within `limitMs`. */
async function untilAtRest(nodes: readonly Process[], limitMs: number): Promise<void> {
  let calm = 0
  for (const start = performance.now(); calm < restSteps && performance.now() - start < limitMs;) {
    const before = nodes.map(ticksOf)
    await sleep(restStepMs)
    // A tick is 10 ms.
    const isCalm = nodes.every((node, i) => (ticksOf(node) - (before[i] ?? 0)) * 10 < restShareMax * restStepMs)
    calm = isCalm ? calm + 1 : 0
  }
}

/** Percent of a core of each, over `ms`. */
async function sharesOf(nodes: readonly Process[], ms: number): Promise<number[]> {
  const before = nodes.map(ticksOf)
  await sleep(ms)
  return nodes.map((node, i) => ((ticksOf(node) - (before[i] ?? 0)) * 10 * 100) / ms)
}

async function meshOf(world: World, name: string, count: number): Promise<[TestNode, ...TestNode[]]> {
  const first = await world.start(`${name}1`)
  const mesh: [TestNode, ...TestNode[]] = [first]
  for (let i = 2; i <= count; i++) mesh.push(await world.join(`${name}${String(i)}`, first))
  for (const node of mesh) await eventually(async () => (await node.status()).peers === count - 1, `${String(count)} nodes to meet`)
  return mesh
}

async function measureRest(world: World): Promise<void> {
  const idle = await world.start('idle')
  const meshes: [TestNode, ...TestNode[]][] = []
  for (const count of [1, 2, 3]) {
    const mesh = await meshOf(world, `of${String(count)}-`, count)
    await mesh[0].client().putFolder('/rest', smallFiles(restFiles), { replicas: 3 })
    for (const node of mesh) await eventually(async () => (await node.status()).blobs >= restFiles, 'the copies', 300_000)
    meshes.push(mesh)
  }
  const helia = existsSync(join(peersFolder, 'node_modules')) ? new Peer('helia.mjs', 'serve') : undefined
  await helia?.ask({ files: restFiles, fileBytes })
  const nodes = meshes.flat()
  const measure = async (how: string, others: Process[]): Promise<number[]> => {
    await untilAtRest(nodes, restMs)
    const shares = await sharesOf([...nodes, ...others], restMs)
    const shareOf = (node: Process): number => shares[[...nodes, ...others].indexOf(node)] ?? 0
    for (const mesh of meshes) {
      const beside = (figure: () => number): Record<string, number> => (helia === undefined || mesh.length > 1 || others.length === 0 ? {} : { Helia: figure() })
      report(`${mesh.length === 1 ? 'one node' : `each of ${String(mesh.length)} nodes`}, ${String(restFiles)} files${how}: resident`, Math.max(...mesh.map(residentOf)), 'MiB', beside(() => residentOf(helia ?? idle)))
      report('  processor', Math.max(...mesh.map(shareOf)), '% of a core', beside(() => shareOf(helia ?? idle)))
    }
    return others.map(shareOf)
  }
  const [idleShare = 0] = await measure('', [idle, ...(helia === undefined ? [] : [helia])])
  report('an empty node alone, at rest: resident', residentOf(idle), 'MiB')
  report('  processor', idleShare, '% of a core')
  await helia?.end()
  if (!process.argv.includes('--rest-restart')) return
  for (const node of nodes) await node.stop()
  for (const node of nodes) await node.start()
  await measure(', started again', [])
}

const world = new World()
try {
  if (only.includes('rest') && process.platform === 'linux') await measureRest(world)
  const [a, b, c] = only.includes('fetch') || only.includes('small') ? await meshOf(world, 'node', 3) : []

  // One copy wanted: else copies made in the background would be measured along, or stand in for a fetch.
  if (only.includes('fetch') && a !== undefined && b !== undefined && c !== undefined) {
    await warmPageCache(3 * bytes)
    const putMs = await timed(async () => a.client().put('/big', content(bytes, 1), { size: bytes, replicas: 1 }))
    await eventually(async () => (await b.client().list('/')).length === 1 && (await c.client().list('/')).length === 1, 'the catalog to spread')
    await warmPageCache(3 * bytes)
    const fetchMs = await timed(async () => drained((await b.client().get('/big')).bytes))
    await warmPageCache(3 * bytes)
    const twoMs = await timed(async () => drained((await c.client().get('/big')).bytes))
    const peers = await peersDo({ bytes }, bytes / mebibyte, bytes)
    report('put a large file, durable', (bytes / mebibyte / putMs) * 1000, 'MiB/s', peers.put)
    report('get it on another node, cold, kept there', (bytes / mebibyte / fetchMs) * 1000, 'MiB/s', peers.fetch)
    report('the same from two holders', (bytes / mebibyte / twoMs) * 1000, 'MiB/s', { 'one holder': (bytes / mebibyte / fetchMs) * 1000 })
  }

  if (only.includes('small') && a !== undefined && b !== undefined) {
    const alone = await world.start('alone')
    const aloneMs = await timed(async () => alone.client().putFolder('/small', smallFiles(files), { replicas: 1 }))
    await alone.stop()
    const putMs = await timed(async () => a.client().putFolder('/small', smallFiles(files), { replicas: 1 }))
    await eventually(async () => ((await b.client().stat('/small')).files ?? 0) === files, 'the catalog to spread', 60_000)
    let fetched = 0
    const fetchMs = await timed(async () => {
      for await (const entry of b.client().getFolder('/small')) if ((await drained(entry.content)) === fileBytes) fetched++
    })
    if (fetched !== files) throw new Error(`${String(fetched)} of ${String(files)} small files came`)
    const peers = await peersDo({ files, fileBytes }, files)
    report(`put ${String(files)} files of 10 KiB, durable`, (files / aloneMs) * 1000, 'files/s', peers.put)
    report('the same while two other nodes hear of each', (files / putMs) * 1000, 'files/s')
    report('get them on another node, cold, kept there', (files / fetchMs) * 1000, 'files/s', peers.fetch)
  }

  if (only.includes('memory') && process.platform === 'linux') {
    const large = await world.start('large')
    const sink = await world.join('sink', large)
    await eventually(async () => (await sink.status()).peers === 1, 'two nodes to meet')
    const putMs = await timed(async () => large.client().put('/large', content(memoryBytes, 9), { size: memoryBytes, replicas: 1 }))
    report(`put ${String(memoryBytes / 2 ** 30)} GiB: most resident`, peakOf(large), 'MiB')
    report('  at', (memoryBytes / mebibyte / putMs) * 1000, 'MiB/s')
    await eventually(async () => (await sink.client().list('/')).length === 1, 'the catalog to spread')
    const getMs = await timed(async () => drained((await sink.client().get('/large')).bytes))
    report('get it elsewhere: most resident there', peakOf(sink), 'MiB')
    report('  and at the holder', peakOf(large), 'MiB')
    report('  at', (memoryBytes / mebibyte / getMs) * 1000, 'MiB/s')
  }
} finally {
  await world.close()
}
process.exit(0)
