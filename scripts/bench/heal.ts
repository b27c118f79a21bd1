// Healing: a node dies that held a copy of every blob; how long until another node has them all. Three processes of the
// built program; beside it what a bare stream of libp2p does on this machine, and Syncthing, where a third device gets the
// same files from one that has them indexed: the same job for the disk and the line, in the same run. Then (`probe`) the
// one that got them dies, too, and while a fourth node gets them all, somebody puts small files at the one that sends:
// what they wait, at rest and meanwhile, and how much longer the copying takes since it steps back for them.
//   npm run bench -- heal [--json] [--blobs 1000] [--kib 1024] [--grace 3] [--only heal,peers,probe]
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once as firstEvent } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, someBytes, World } from '../../test/e2e/harness.js'
import type { TestNode } from '../../test/e2e/harness.js'

const mebibyte = 2 ** 20
const text = (name: string): string | undefined => {
  const at = process.argv.findIndex((argument) => argument === `--${name}` || argument.startsWith(`--${name}=`))
  if (at < 0) return undefined
  const [, inline] = (process.argv[at] ?? '').split('=')
  return inline ?? process.argv[at + 1]
}
const json = process.argv.includes('--json')
const blobs = Number(text('blobs') ?? 1000)
const blobBytes = Number(text('kib') ?? 1024) * 1024
const graceSeconds = Number(text('grace') ?? 3)
const only = (text('only') ?? 'heal,peers,probe').split(',')
const putsAtOnce = 8
const probeBytes = 64 * 1024

function report(name: string, value: number, unit: string, peers: Record<string, number> = {}): void {
  const [first] = Object.values(peers)
  const ratio = first === undefined ? null : value / first
  if (json) console.log(JSON.stringify({ name, value, unit, peers, ratio }))
  else console.log(`${name.padEnd(62)} ${value.toFixed(1).padStart(8)} ${unit}${Object.entries(peers).map(([peer, figure]) => `   ${peer}: ${figure.toFixed(1)} (${(value / figure).toFixed(2)}x)`).join('')}`)
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  await Promise.resolve()
  yield bytes
}

/** MiB/s of one stream of libp2p over TLS between two processes: nothing hashed, nothing stored. */
async function transportSpeed(): Promise<number> {
  const output = spawnSync(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'net.ts'), '--json', '--only', 'raw', '--mib', '256'], { encoding: 'utf8' })
  const line = output.stdout.split('\n').find((one) => one.startsWith('{')) ?? '{}'
  return (JSON.parse(line) as { value?: number }).value ?? Number.NaN
}

/** Seconds in which a second Syncthing has all files that the first has indexed. */
async function syncthing(): Promise<number | undefined> {
  if (spawnSync('syncthing', ['--version']).status !== 0) {
    console.error('Syncthing is not installed: left out')
    return undefined
  }
  const home = mkdtempSync(join(tmpdir(), 'mesh-bench-peer-'))
  const child = spawn(process.execPath, [join(import.meta.dirname, 'peers', 'syncthing.mjs'), home], { stdio: ['pipe', 'pipe', 'ignore'] })
  try {
    child.stdin.write(`${JSON.stringify({ files: blobs, fileBytes: blobBytes, known: true })}\n`)
    const [line] = (await Promise.race([firstEvent(child.stdout, 'data'), firstEvent(child, 'exit').then(() => { throw new Error('it ended') })])) as [Buffer]
    return (JSON.parse(line.toString()) as { ms: number }).ms / 1000
  } catch (error) {
    console.error(`Syncthing was left out: ${String(error)}`)
    return undefined
  } finally {
    child.stdin.end()
    await ended(child)
    rmSync(home, { recursive: true, force: true })
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await firstEvent(child, 'exit')
  clearTimeout(timer)
}

/** CPU seconds of a process so far. */
const cpuOf = (node: TestNode): number => {
  const fields = readFileSync(`/proc/${String(node.pid)}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

async function short(node: TestNode): Promise<number> {
  return (await node.client().list('/', { recursive: true })).filter(({ replicas }) => replicas.have < replicas.wanted).length
}

/** Milliseconds; `most`: what 95 in a hundred keep below. */
interface Waits {
  readonly count: number
  readonly median: number
  readonly most: number
}

/** Puts small files one after the other until told to stop: what somebody feels who works meanwhile. */
class Prober {
  readonly #times: number[] = []
  #going = true
  readonly #done: Promise<void>

  constructor(node: TestNode, folder: string) {
    this.#done = (async () => {
      for (let i = 0; this.#going; i++) {
        const start = performance.now()
        await node.client().put(`${folder}/${String(i)}`, once(someBytes(probeBytes, 1_000_000 + i)), { replicas: 1, size: probeBytes })
        this.#times.push(performance.now() - start)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    })()
  }

  async after(ms: number): Promise<Waits> {
    await new Promise((resolve) => setTimeout(resolve, ms))
    return this.end()
  }

  async end(): Promise<Waits> {
    this.#going = false
    await this.#done
    const sorted = this.#times.sort((a, b) => a - b)
    return { count: sorted.length, median: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN, most: sorted[Math.floor(sorted.length * 0.95)] ?? Number.NaN }
  }
}

interface Healed {
  /** From the death, until it is given up. */
  readonly givenUpSeconds: number
  /** From when it is given up. */
  readonly copySeconds: number
}

/** `dying` holds all, as `a` does; it dies, and `next` is there to get them. */
async function heal(a: TestNode, dying: TestNode, next: TestNode): Promise<Healed> {
  const goneBefore = (await a.client().peers()).filter((peer) => peer.state === 'gone').length
  const cpu = [cpuOf(a), cpuOf(next)] as const
  await dying.kill()
  const died = performance.now()
  await eventually(async () => (await a.client().peers()).filter((peer) => peer.state === 'gone').length > goneBefore, 'its death to be believed', 120_000)
  const givenUp = performance.now()
  // By what `a` has had acknowledged: the counts of `status` are made every few seconds only. And not asked for all the
  // time, since listing a thousand files takes the very node that sends.
  await eventually(async () => (await short(a)) > 0, 'a to miss the copies', 60_000)
  while ((await short(a)) > 0) {
    if (performance.now() - givenUp > 600_000) throw new Error(`${next.name} did not get them all`)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  const healed = performance.now()
  report(`a node dies that has all ${String(blobs)}: until another has them all`, (healed - died) / 1000, 's')
  report(`  of that, until it is given up (grace ${String(graceSeconds)} s)`, (givenUp - died) / 1000, 's')
  report('  CPU of the node that sends meanwhile', cpuOf(a) - cpu[0], 's')
  report('  CPU of the node that receives', cpuOf(next) - cpu[1], 's')
  return { givenUpSeconds: (givenUp - died) / 1000, copySeconds: (healed - givenUp) / 1000 }
}

async function deaths(peers: Record<string, number>): Promise<void> {
  const world = new World()
  try {
    const env = { MESH_NODE_STORAGE_REPLICATION_GRACE: `${String(graceSeconds)}s`, MESH_NODE_STORAGE_MIN_FREE_SPACE: '0' }
    const a = await world.start('a', { env })
    const joined = async (name: string): Promise<TestNode> => {
      const node = await world.join(name, a, { env })
      const { peerId } = await node.status()
      await eventually(async () => (await a.client().peers()).some((peer) => peer.peerId === peerId && peer.storage !== null), `a to know ${name}`, 60_000)
      return node
    }
    const b = await joined('b')
    const atRest = only.includes('probe') ? await new Prober(a, '/before').after(3000) : undefined

    const putStart = performance.now()
    const numbers = Array.from({ length: blobs }, (_, i) => i)[Symbol.iterator]()
    await Promise.all(Array.from({ length: putsAtOnce }, async () => {
      for (const i of numbers) await a.client().put(`/blobs/${String(i)}`, once(someBytes(blobBytes, i + 1)), { replicas: 2, size: blobBytes })
    }))
    await eventually(async () => (await short(a)) === 0, 'all copies', 600_000)
    report(`put ${String(blobs)} blobs, ${String(putsAtOnce)} at a time, until each has its second copy`, (performance.now() - putStart) / 1000, 's')

    const c = await joined('c')
    const { copySeconds } = await heal(a, b, c)
    report('copying, from when it is given up', mebibytes / copySeconds, 'MiB/s', peers)

    if (atRest === undefined) return
    const d = await joined('d')
    const prober = new Prober(a, '/meanwhile')
    const busy = await heal(a, c, d)
    const meanwhile = await prober.end()
    report('copying, while somebody puts at the node that sends', mebibytes / busy.copySeconds, 'MiB/s', { 'nobody does': mebibytes / copySeconds })
    report(`put of ${String(probeBytes / 1024)} KiB while copies are made, median of ${String(meanwhile.count)}`, meanwhile.median, 'ms', { 'at rest': atRest.median })
    report('  95 % are faster than', meanwhile.most, 'ms', { 'at rest': atRest.most })
  } finally {
    await world.close()
  }
}

const mebibytes = (blobs * blobBytes) / mebibyte
const peers: Record<string, number> = {}
if (only.includes('peers')) {
  peers['one libp2p stream, bare'] = await transportSpeed()
  const seconds = await syncthing()
  if (seconds !== undefined) peers['Syncthing, a device gets the same files'] = mebibytes / seconds
}
if (only.includes('heal') || only.includes('probe')) await deaths(peers)
else for (const [peer, figure] of Object.entries(peers)) report(peer, figure, 'MiB/s')
process.exit(0)
