// A file that is larger than what any node gives: four nodes give half of its size each; it is put at one of them, read at
// another, and compared by sha-256. Meanwhile the disk use of every node is sampled: it may never pass what it gives.
//   npm run bench -- spread [--json] [--gib 1] [--nodes 4] [--replicas 1] [--unknown]
// `--gib 6` has nodes that give 3 GiB each; needs some twice the file's size of free disk. `--unknown`: as from a pipe, its
// size is not said.
import { createCipheriv, createHash } from 'node:crypto'
import { lstatSync, readdirSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, World } from '../../test/e2e/harness.js'
import type { TestNode } from '../../test/e2e/harness.js'

const option = (name: string, otherwise: string): string => {
  const at = process.argv.findIndex((argument) => argument === `--${name}` || argument.startsWith(`--${name}=`))
  if (at < 0) return otherwise
  const [, inline] = (process.argv[at] ?? '').split('=')
  return inline ?? process.argv[at + 1] ?? otherwise
}
const mebibyte = 2 ** 20
const json = process.argv.includes('--json')
const fileBytes = Math.round(Number(option('gib', '1')) * 1024) * mebibyte
const count = Number(option('nodes', '4'))
const replicas = Number(option('replicas', '1'))
const isSaid = !process.argv.includes('--unknown')
const maxBytes = fileBytes / 2
const sampleMs = 200
const readsMax = 4

function report(name: string, value: number, unit: string): void {
  if (json) console.log(JSON.stringify({ name, value, unit, peers: {}, ratio: null }))
  else console.log(`${name.padEnd(70)} ${(value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1)).padStart(8)} ${unit}`)
}

/** What `du` says of a folder; files that go meanwhile count nothing. */
function diskBytes(folder: string): number {
  let bytes = 0
  let names: string[] = []
  try {
    names = readdirSync(folder)
  } catch {
    return 0
  }
  for (const name of names) {
    try {
      const info = lstatSync(join(folder, name))
      bytes += info.isDirectory() ? diskBytes(join(folder, name)) : info.blocks * 512
    } catch {
      // LevelDB deleted it between the two calls.
    }
  }
  return bytes
}

/** AES-CTR over zeros: cheap to make, impossible to compress. */
async function* content(length: number, hash: ReturnType<typeof createHash>): AsyncGenerator<Uint8Array> {
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32, 7), Buffer.alloc(16))
  const zeros = Buffer.alloc(mebibyte)
  for (let left = length; left > 0; left -= zeros.length) {
    await Promise.resolve()
    const chunk = cipher.update(left >= zeros.length ? zeros : zeros.subarray(0, left))
    hash.update(chunk)
    yield chunk
  }
}

const free = statfsSync(tmpdir())
if (free.bavail * free.bsize < 2.2 * fileBytes * replicas) {
  console.error(`there is too little room in ${tmpdir()} for this: some ${((2.2 * fileBytes * replicas) / 2 ** 30).toFixed(0)} GiB are needed`)
  process.exit(1)
}
const world = new World()
let failed = false
const nodes: TestNode[] = []
const samples = { taken: 0, most: 0, passed: [] as string[] }
try {
  const options = { args: ['--max-storage', `${String(maxBytes / mebibyte)}MiB`], env: { MESH_NODE_STORAGE_MIN_FREE_SPACE: '0', MESH_NODE_STORAGE_KEEP_REMOVED: '1s' } }
  const first = await world.start('n0', options)
  nodes.push(first)
  while (nodes.length < count) nodes.push(await world.join(`n${String(nodes.length)}`, first, options))
  for (const node of nodes) {
    await eventually(async () => (await node.client().peers()).filter((peer) => peer.connected && peer.storage?.maxBytes === maxBytes).length === count - 1, `${node.name} to know what the others give`, 60_000)
  }
  const timer = setInterval(() => {
    for (const node of nodes) {
      const bytes = diskBytes(node.home)
      samples.taken++
      samples.most = Math.max(samples.most, bytes)
      if (bytes > maxBytes) samples.passed.push(`${node.name}: ${String(bytes)}`)
    }
  }, sampleMs)
  try {
    const sent = createHash('sha256')
    const putStart = performance.now()
    const put = await first.client().put('/large', content(fileBytes, sent), { replicas, ...(isSaid ? { size: fileBytes } : {}) })
    report(`put ${String(fileBytes / mebibyte)} MiB over ${String(count)} nodes that give ${String(maxBytes / mebibyte)} MiB each`, fileBytes / mebibyte / ((performance.now() - putStart) / 1000), 'MiB/s')
    report('  blobs', put.blobs, '')
    for (const node of nodes) report(`  of others at ${node.name}, of its own files besides`, (await node.status()).storage.othersBytes / mebibyte, 'MiB')
    const far = nodes[count - 1] ?? first
    let got = createHash('sha256')
    let getStart = performance.now()
    let length = 0
    for (let tries = 1; ; tries++) {
      try {
        for await (const chunk of (await far.client().get('/large')).bytes) {
          got.update(chunk)
          length += chunk.length
        }
        break
      } catch (error) {
        // A machine that was asleep loses all its connections at once, and with them the reads that were under way.
        if (tries === readsMax) throw error
        console.error(`the read broke off after ${String(length / mebibyte)} MiB, and is begun again: ${String(error)}`)
        got = createHash('sha256')
        getStart = performance.now()
        length = 0
      }
    }
    report(`get it at ${far.name}`, fileBytes / mebibyte / ((performance.now() - getStart) / 1000), 'MiB/s')
    const [there, here] = [sent.digest('hex'), got.digest('hex')]
    failed = there !== here || length !== fileBytes
    console.log(`sha-256 ${failed ? `DIFFERS: ${there} was put, ${here} came` : `is the same at both ends: ${here}`}`)
    if (replicas > 1) await eventually(async () => (await first.client().stat('/large')).replicas.have >= replicas, 'all copies', 600_000)
    await first.client().remove('/large')
    const removed = performance.now()
    for (const node of nodes) await eventually(async () => (await node.status()).blobs === 0, `${node.name} to have let go of it`, 120_000)
    report('removed: until no node has a blob of it', (performance.now() - removed) / 1000, 's')
  } finally {
    clearInterval(timer)
  }
  report(`most on the disk of any node, of ${String(maxBytes / mebibyte)} MiB, in ${samples.taken.toLocaleString('en')} samples`, samples.most / mebibyte, 'MiB')
  if (samples.passed.length > 0) {
    failed = true
    console.log(`${String(samples.passed.length)} samples were above what the node gives, for example ${samples.passed.slice(0, 3).join(', ')}`)
  }
} catch (error) {
  failed = true
  console.error(error)
  for (const node of nodes) console.error(`--- ${node.name} said at last:\n${node.log.slice(-4000)}`)
} finally {
  await world.close()
}
process.exit(failed ? 1 : 0)
