// A volume over NBD, as programs use it: fio's own NBD engine against a running node, beside nbdkit's file plugin,
// qemu-nbd and nbd-server on a file on the same disk, in the same run; and the same volume with two copies on loopback,
// beside nbdkit on GlusterFS replica 2 where that can be started (see gluster.ts).
//   npm run bench -- volumes [--json] [--seconds 5] [--mib 512] [--folder DIR] [--only qd1,qd16,flush,sequential] [--rounds 3]
// A peer or fio itself that is not installed is said and left out. The medians of the rounds are told; within a round the
// servers take turns, since disks of rented machines vary.
import { execFile, spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { parseArgs, promisify } from 'node:util'
import { Level } from 'level'
import { World, eventually } from '../../test/e2e/harness.js'
import type { TestNode } from '../../test/e2e/harness.js'
import { startGluster } from './gluster.js'
import type { Gluster } from './gluster.js'

const { values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '5' },
    mib: { type: 'string', default: '512' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: 'qd1,qd16,flush,sequential' },
    folder: { type: 'string' },
  },
})
if (flags.folder !== undefined) process.env.TMPDIR = flags.folder
const seconds = Number(flags.seconds)
const mib = Number(flags.mib)
const rounds = Number(flags.rounds)
const execute = promisify(execFile)

interface Job {
  group: string
  name: string
  args: string[]
  direction: 'read' | 'write'
  figure: 'iops' | 'MiB/s'
}
const jobs: Job[] = [
  { group: 'qd1', name: '4 KiB random write, queue depth 1', args: ['--rw=randwrite', '--bs=4k', '--iodepth=1'], direction: 'write', figure: 'iops' },
  { group: 'qd1', name: '4 KiB random read, queue depth 1', args: ['--rw=randread', '--bs=4k', '--iodepth=1'], direction: 'read', figure: 'iops' },
  { group: 'qd16', name: '4 KiB random write, queue depth 16', args: ['--rw=randwrite', '--bs=4k', '--iodepth=16'], direction: 'write', figure: 'iops' },
  { group: 'qd16', name: '4 KiB random read, queue depth 16', args: ['--rw=randread', '--bs=4k', '--iodepth=16'], direction: 'read', figure: 'iops' },
  { group: 'flush', name: '4 KiB write, flush every 32, queue depth 16', args: ['--rw=randwrite', '--bs=4k', '--iodepth=16', '--fsync=32'], direction: 'write', figure: 'iops' },
  { group: 'flush', name: '4 KiB write and flush in turn', args: ['--rw=randwrite', '--bs=4k', '--iodepth=1', '--fsync=1'], direction: 'write', figure: 'iops' },
  { group: 'sequential', name: 'sequential write of 1 MiB', args: ['--rw=write', '--bs=1m', '--iodepth=4'], direction: 'write', figure: 'MiB/s' },
  { group: 'sequential', name: 'sequential read of 1 MiB', args: ['--rw=read', '--bs=1m', '--iodepth=4'], direction: 'read', figure: 'MiB/s' },
]
const wanted = flags.only.split(',')

interface Server {
  name: string
  uri: string
}
interface Result {
  value: number
  p50Ms: number
}

function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}

function say(text: string): void {
  if (!flags.json) console.log(text)
}

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => { resolve(port) })
    })
  })
}

async function fio(server: Server, job: Job, runSeconds: number): Promise<Result> {
  const { stdout } = await execute('fio', [
    '--name=job', '--ioengine=nbd', `--uri=${server.uri}`, `--size=${String(mib)}m`, '--time_based', `--runtime=${String(runSeconds)}`, '--randrepeat=0', '--output-format=json', ...job.args,
  ], { maxBuffer: 16 * 2 ** 20, timeout: (runSeconds + 60) * 1000 })
  const document = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: Record<'read' | 'write', { iops: number; bw_bytes: number; clat_ns: { percentile?: Record<string, number> } }>[] }
  const part = document.jobs[0]?.[job.direction]
  if (part === undefined) throw new Error(`fio told nothing of ${job.name}`)
  return { value: job.figure === 'iops' ? part.iops : part.bw_bytes / 2 ** 20, p50Ms: (part.clat_ns.percentile?.['50.000000'] ?? 0) / 1e6 }
}

async function fill(server: Server): Promise<void> {
  await execute('fio', ['--name=fill', '--ioengine=nbd', `--uri=${server.uri}`, '--rw=write', '--bs=1m', '--iodepth=4', `--size=${String(mib)}m`, '--end_fsync=1', '--output-format=json'], { timeout: 600_000 })
}

function median(values: readonly number[]): number {
  return [...values].sort((x, y) => x - y)[Math.floor(values.length / 2)] ?? 0
}

function report(name: string, value: number, unit: string, peers: Record<string, number>, lowerIsBetter = false): void {
  const all = Object.values(peers)
  const best = all.length === 0 ? undefined : lowerIsBetter ? Math.min(...all) : Math.max(...all)
  const ratio = best === undefined || best === 0 ? null : value / best
  if (flags.json) {
    console.log(JSON.stringify({ name, value, unit, peers, ratio }))
    return
  }
  const digits = unit === 'ms' ? 3 : 0
  const beside = Object.entries(peers).map(([peer, figure]) => `${peer} ${figure.toFixed(digits)}`).join(', ')
  console.log(`${name.padEnd(58)} ${value.toFixed(digits).padStart(8)} ${unit.padEnd(6)}${beside === '' ? '' : ` beside: ${beside}   (${(ratio ?? 0).toFixed(2)}x the best)`}`)
}

const pidFile = 'nbd-server.pid'

/** The peers that are installed, each with a thin file of its own. */
async function startPeers(world: World, children: ChildProcess[]): Promise<Server[]> {
  const servers: Server[] = []
  const begin = async (name: string, program: string, args: (port: number, file: string) => string[], uriName = ''): Promise<void> => {
    if (!has(program)) {
      say(`${name} is not installed here: left out`)
      return
    }
    const file = world.path(`${name}.img`)
    writeFileSync(file, '')
    truncateSync(file, mib * 2 ** 20)
    const port = await freePort()
    children.push(spawn(program, args(port, file), { stdio: 'ignore' }))
    const server = { name, uri: `nbd://127.0.0.1:${String(port)}/${uriName}` }
    await eventually(async () => {
      await execute('nbdinfo', ['--size', server.uri])
      return true
    }, `${name} to serve`)
    servers.push(server)
  }
  await begin('nbdkit file', 'nbdkit', (port, file) => ['-f', '-i', '127.0.0.1', '-p', String(port), 'file', file])
  await begin('qemu-nbd', 'qemu-nbd', (port, file) => ['-f', 'raw', '-t', '-e', '16', '-b', '127.0.0.1', '-p', String(port), '-x', 'v', file], 'v')
  // It goes into the background by itself, and says in a file who it is.
  await begin('nbd-server', 'nbd-server', (port, file) => {
    const config = world.path('nbd-server.conf')
    writeFileSync(config, `[generic]\n  listenaddr = 127.0.0.1\n  port = ${String(port)}\n[v]\n  exportname = ${file}\n  flush = true\n  fua = true\n`)
    return ['-C', config, '-p', world.path(pidFile)]
  }, 'v')
  return servers
}

/**
 * What LevelDB itself takes here: rows of a mebibyte, one after the other, with the buffers that a node's log of volumes
 * has, as many bytes as the benchmark writes. Nothing is read from a socket, summed or indexed.
 */
async function levelMibPerSecond(world: World): Promise<number> {
  const folder = world.path('level')
  const level = new Level<Uint8Array, Uint8Array>(folder, { keyEncoding: 'view', valueEncoding: 'view', compression: false, writeBufferSize: 8 * 2 ** 20, maxFileSize: 8 * 2 ** 20 })
  await level.open()
  const rows = Array.from({ length: 4 }, () => randomFillSync(new Uint8Array(2 ** 20)))
  const startMs = performance.now()
  let count = 0
  for (; count < mib && performance.now() - startMs < seconds * 1000; count++) {
    const key = Buffer.alloc(8)
    key.writeUInt32BE(count)
    await level.put(key, rows[count % rows.length] as Uint8Array)
  }
  const perSecond = count / ((performance.now() - startMs) / 1000)
  await level.close()
  rmSync(folder, { recursive: true, force: true })
  return perSecond
}

/** Of the requests between two looks at the node's own histogram: what the device took, without client and socket. */
async function buckets(node: TestNode, kind: string): Promise<Map<number, number>> {
  const found = new Map<number, number>()
  for (const [, le = '', count = ''] of (await node.client().text('/metrics')).matchAll(new RegExp(`^mesh_node_nbd_request_seconds_bucket\\{kind="${kind}",le="([^"]+)"\\} (\\d+)`, 'gm'))) {
    found.set(le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le) * 1000, Number(count))
  }
  return found
}

function medianOf(before: Map<number, number>, after: Map<number, number>): number {
  const all = (after.get(Number.POSITIVE_INFINITY) ?? 0) - (before.get(Number.POSITIVE_INFINITY) ?? 0)
  let lower = 0
  let below = 0
  for (const [bound, count] of [...after].sort(([x], [y]) => x - y)) {
    const upTo = count - (before.get(bound) ?? 0)
    if (upTo >= all / 2) return bound === Number.POSITIVE_INFINITY ? lower : lower + (bound - lower) * ((all / 2 - below) / Math.max(1, upTo - below))
    lower = bound
    below = upTo
  }
  return lower
}

if (!has('fio') || !has('nbdinfo')) {
  console.error('this benchmark needs fio with its NBD engine, and nbdinfo (Debian: fio, libnbd-bin)')
  process.exit(1)
}
const world = new World()
const children: ChildProcess[] = []
let gluster: Gluster | undefined
try {
  const options = { env: { MESH_NODE_VOLUMES_NBD_LISTEN: '127.0.0.1:0', MESH_NODE_STORAGE_MAX_STORAGE: '100GB' } }
  const alone = await world.start('alone', options)
  const first = await world.start('first', options)
  await world.join('second', first, options)
  const exported = async (node: TestNode, replicas: string): Promise<string> => {
    await node.json('volume', 'create', 'bench', '--size', `${String(mib)}MiB`, '--replicas', replicas)
    return (await node.json<{ uri: string }>('volume', 'export', 'bench', '--detach')).uri
  }
  const ours: Server = { name: 'mesh-node', uri: await exported(alone, '1') }
  const twoCopies: Server = { name: 'mesh-node, two copies', uri: await exported(first, '2') }
  const peers = await startPeers(world, children)
  const started = await startGluster(world.path('gluster'), mib * 2 ** 20, await freePort(), eventually)
  if (typeof started === 'string') say(`GlusterFS is left out: ${started}`)
  else gluster = started
  const replicated: Server[] = gluster === undefined ? [] : [{ name: 'nbdkit on GlusterFS replica 2', uri: gluster.uri }]
  for (const server of [ours, twoCopies, ...replicated, ...peers]) await fill(server)
  for (const job of jobs) {
    if (!wanted.includes(job.group)) continue
    const results = new Map<string, Result[]>()
    const inside: number[] = []
    const limits: number[] = []
    const writesInOrder = job.group === 'sequential' && job.direction === 'write'
    for (let round = 0; round < rounds; round++) {
      if (writesInOrder) limits.push(await levelMibPerSecond(world))
      for (const server of [ours, twoCopies, ...replicated, ...peers]) {
        const before = server === ours ? await buckets(alone, job.direction) : undefined
        const result = await fio(server, job, seconds)
        if (before !== undefined) inside.push(medianOf(before, await buckets(alone, job.direction)))
        results.set(server.name, [...(results.get(server.name) ?? []), result])
      }
    }
    const of = (server: Server, what: (result: Result) => number): number => median((results.get(server.name) ?? []).map(what))
    const beside = (what: (result: Result) => number): Record<string, number> => Object.fromEntries(peers.map((peer) => [peer.name, of(peer, what)]))
    const value = (result: Result): number => result.value
    const p50 = (result: Result): number => result.p50Ms
    report(job.name, of(ours, value), job.figure, beside(value))
    const besideTwo = replicated.length === 0 ? peers : replicated
    report(`${job.name}, two copies`, of(twoCopies, value), job.figure, Object.fromEntries(besideTwo.map((peer) => [peer.name, of(peer, value)])))
    if (writesInOrder) report(`${job.name}, beside LevelDB alone`, of(ours, value), job.figure, { LevelDB: median(limits) })
    if (job.group !== 'qd1') continue
    report(`${job.name}, p50 at the client`, of(ours, p50), 'ms', beside(p50), true)
    report(`${job.name}, p50 inside the node`, median(inside), 'ms', {})
  }
} finally {
  for (const child of children) child.kill()
  await gluster?.stop()
  if (existsSync(world.path(pidFile))) process.kill(Number(readFileSync(world.path(pidFile), 'utf8')))
  await world.close()
}
