// Copies: how long from a node's death until every blob has its copies again, and how fast copies are made, beside what a
// plain TCP stream does on the same machine in the same run. Four processes of the built program.
//   npm run bench -- replication [--json] [--blobs 200] [--grace 3]
import { createServer, connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { eventually, someBytes, World } from '../../test/e2e/harness.js'
import type { TestNode } from '../../test/e2e/harness.js'

const mebibyte = 2 ** 20
const option = (name: string, otherwise: number): number => {
  const at = process.argv.findIndex((argument) => argument === `--${name}` || argument.startsWith(`--${name}=`))
  if (at < 0) return otherwise
  const [, inline] = (process.argv[at] ?? '').split('=')
  return Number(inline ?? process.argv[at + 1] ?? otherwise)
}
const json = process.argv.includes('--json')
const blobs = option('blobs', 200)
const graceSeconds = option('grace', 3)

function report(name: string, value: number, unit: string, peers: Record<string, number> = {}): void {
  const best = Math.max(0, ...Object.values(peers))
  const ratio = best === 0 ? null : value / best
  if (json) console.log(JSON.stringify({ name, value, unit, peers, ratio }))
  else console.log(`${name.padEnd(56)} ${value.toFixed(1).padStart(9)} ${unit}${ratio === null ? '' : `   beside: ${Object.entries(peers).map(([peer, figure]) => `${peer} ${figure.toFixed(1)}`).join(', ')}   (${ratio.toFixed(2)}x)`}`)
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  await Promise.resolve()
  yield bytes
}

/** MiB/s of one TCP stream over loopback, nothing done with the bytes: no encryption, no hash, no disk. */
async function tcpSpeed(): Promise<number> {
  const total = 512 * mebibyte
  const server = createServer((socket) => {
    const chunk = Buffer.alloc(mebibyte)
    let left = total
    const more = (): void => {
      while (left > 0) {
        left -= chunk.length
        if (!socket.write(chunk)) {
          socket.once('drain', more)
          return
        }
      }
      socket.end()
    }
    more()
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const start = performance.now()
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  let bytes = 0
  for await (const chunk of socket) bytes += (chunk as Buffer).length
  const seconds = (performance.now() - start) / 1000
  server.close()
  return bytes / mebibyte / seconds
}

async function short(node: TestNode): Promise<number> {
  return (await node.client().list('/', { recursive: true })).filter(({ replicas }) => replicas.have < replicas.wanted).length
}

const world = new World()
try {
  const options = { env: { MESH_NODE_STORAGE_REPLICATION_GRACE: `${String(graceSeconds)}s`, MESH_NODE_STORAGE_MIN_FREE_SPACE: '0' } }
  const a = await world.start('a', options)
  const others = await Promise.all(['b', 'c', 'd'].map(async (name) => world.join(name, a, options)))
  await eventually(async () => (await a.client().peers()).filter((peer) => peer.storage !== null).length === 3, 'a to know the others', 60_000)
  const tcp = await tcpSpeed()

  const putStart = performance.now()
  for (let i = 0; i < blobs; i++) await a.client().put(`/${String(i)}`, once(someBytes(mebibyte, i + 1)), { replicas: 3, size: mebibyte })
  await eventually(async () => (await short(a)) === 0, 'all copies', 600_000)
  const putSeconds = (performance.now() - putStart) / 1000
  report(`put ${String(blobs)} blobs of 1 MiB until each is on three nodes`, putSeconds, 's')
  report('copies made while putting', (2 * blobs) / putSeconds, 'MiB/s', { 'tcp, bare': tcp })

  const dead = others[2]
  if (dead === undefined) throw new Error('no fourth node')
  const { blobs: lost } = await dead.status()
  await dead.kill()
  const died = performance.now()
  await eventually(async () => (await a.client().peers()).some((peer) => peer.state === 'gone'), 'the dead node to be given up', 120_000)
  const givenUp = performance.now()
  await eventually(async () => (await short(a)) === 0, 'all copies again', 600_000)
  const healed = performance.now()
  report(`a node with ${String(lost)} blobs dies: until all have their copies`, (healed - died) / 1000, 's')
  report(`of that, until it is given up (grace ${String(graceSeconds)} s)`, (givenUp - died) / 1000, 's')
  report('repair, from then on', lost / Math.max(0.05, (healed - givenUp) / 1000), 'MiB/s', { 'tcp, bare': tcp })
} finally {
  await world.close()
}
