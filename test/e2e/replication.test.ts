import assert from 'node:assert/strict'
import { readdirSync, lstatSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ActionPlan, EvictionResult, ListEntry, PlacementInfo, Priority, QuotaInfo } from '../../src/client/index.js'
import { eventually, runCommand, someBytes, World } from './harness.js'
import type { TestNode } from './harness.js'

const mebibyte = 2 ** 20
/** With their copies about a third of what five small nodes take. */
const filesMany = Number(process.env.MESH_NODE_TEST_REPLICATION_FILES ?? 200)
/** Long enough that a busy machine's late heartbeats are hardly ever a death; a surplus goes after twice as long. */
const graceMs = 4_000
/** Where nobody dies. What is to be let go of is looked for eight times as often: with the usual grace, every 10 s. */
const calmGraceMs = 16_000

/** What `du` says of a folder; files that go meanwhile count nothing. */
function diskBytes(folder: string): number {
  let bytes = 0
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    try {
      const info = lstatSync(path)
      bytes += info.isDirectory() ? diskBytes(path) : info.blocks * 512
    } catch {
      // LevelDB deleted it between the two calls.
    }
  }
  return bytes
}

/** Looks at the disk of every node, four times a second, until `end`. */
class Sampler {
  readonly #timer: NodeJS.Timeout
  readonly passed: string[] = []
  samples = 0
  mostBytes = 0

  constructor(nodes: readonly TestNode[], maxBytes: number) {
    this.#timer = setInterval(() => {
      for (const node of nodes) {
        const bytes = diskBytes(node.home)
        this.samples++
        this.mostBytes = Math.max(this.mostBytes, bytes)
        if (bytes > maxBytes) this.passed.push(`${node.name}: ${String(bytes)} of ${String(maxBytes)}`)
      }
    }, 250)
  }

  end(): void {
    clearInterval(this.#timer)
  }
}

async function contentOf(node: TestNode, target: string): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const chunk of (await node.client().get(target)).bytes) parts.push(chunk)
  return Buffer.concat(parts)
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

async function filesOf(node: TestNode): Promise<ListEntry[]> {
  return (await node.client().list('/', { recursive: true })).filter((entry) => entry.type === 'file')
}

function counts(files: readonly ListEntry[]): string {
  return files.map(({ path, replicas }) => `${path} ${String(replicas.have)}/${String(replicas.wanted)}`).join(', ')
}

describe('copies of five small nodes', function () {
  this.timeout(300_000)
  const world = new World()
  const maxBytes = 96 * mebibyte
  const nodes: TestNode[] = []
  const options = {
    args: ['--max-storage', '96MiB'],
    env: { MESH_NODE_STORAGE_REPLICATION_GRACE: `${String(graceMs / 1000)}s`, MESH_NODE_STORAGE_MIN_FREE_SPACE: '0' },
  }
  const put = new Map<string, { bytes: Buffer; owner: TestNode; priority: Priority }>()
  let sampler: Sampler | undefined

  before(async () => {
    const first = await world.start('a', options)
    nodes.push(first, ...(await Promise.all(['b', 'c', 'd', 'e'].map(async (name) => world.join(name, first, options)))))
    for (const node of nodes) {
      await eventually(async () => {
        const peers = await node.client().peers()
        return peers.filter((peer) => peer.connected && peer.storage !== null && peer.storage.maxBytes === maxBytes).length === 4
      }, `${node.name} to know what the others give`, 60_000)
    }
    sampler = new Sampler(nodes, maxBytes)
  })
  after(async () => {
    sampler?.end()
    await world.close()
  })

  it('are made by themselves, as many as the priority stands for', async () => {
    const priorities: Priority[] = ['normal', 'high', 'normal', 'low', 'critical', 'expendable']
    await Promise.all(nodes.map(async (node, which) => {
      for (let i = which; i < filesMany; i += nodes.length) {
        const priority = priorities[i % priorities.length] ?? 'normal'
        const bytes = someBytes(20_000 + 3_001 * (i % 50), i + 1)
        // Five copies of a critical file need five nodes; three will be left.
        await node.client().put(`/many/${String(i)}`, once(bytes), { priority, size: bytes.length, ...(priority === 'critical' ? { replicas: 3 } : {}) })
        put.set(`/many/${String(i)}`, { bytes, owner: node, priority })
      }
    }))
    const [a] = nodes
    assert.ok(a)
    await eventually(async () => (await filesOf(a)).length === filesMany, 'a to hear of all files', 90_000)
    let last = ''
    await eventually(async () => {
      const short = (await filesOf(a)).filter(({ replicas }) => replicas.have < replicas.wanted)
      last = counts(short)
      return short.length === 0
    }, 'every file to have its copies', 120_000).catch((error: unknown) => {
      throw new Error(`still short: ${last}`, { cause: error })
    })
    const wanted = new Map((await filesOf(a)).map((file) => [file.priority, file.replicas.wanted]))
    assert.deepEqual(Object.fromEntries(wanted), { normal: 3, high: 3, low: 1, critical: 3, expendable: 1 })
  })

  it('answer `put --wait` when they are there, and say where and why', async () => {
    const [, b] = nodes
    assert.ok(b)
    const { stdout, code, stderr } = await runCommand(['put', '-', '--as', '/waited', '--wait', '--json', '--home', b.home], { input: 'waited for' })
    assert.equal(code, 0, stderr + stdout)
    const { replicas } = JSON.parse(stdout) as { replicas: { wanted: number; have: number; holders: string[] } }
    assert.ok(replicas.have >= replicas.wanted, stdout)
    const explained = await b.json<PlacementInfo & Record<string, unknown>>('placement', 'explain', '/waited')
    assert.ok(explained.chosen.length >= replicas.wanted)
    assert.equal(explained.nodes.length, 5)
    assert.ok(explained.nodes.every(({ terms }) => ['capacity', 'diversity', 'reliability'].every((term) => term in terms)))
    assert.ok(replicas.holders.every((holder) => explained.chosen.includes(holder)))
  })

  it('survive two nodes that die at once: all is readable at once, and copied again untold', async () => {
    const [a, b, c, d, e] = nodes
    assert.ok(a !== undefined && b !== undefined && c !== undefined && d !== undefined && e !== undefined)
    await Promise.all([d.kill(), e.kill()])
    const dead = new Set([d, e])
    const safe = [...put].filter(([, { owner, priority }]) => !dead.has(owner) || !['low', 'expendable'].includes(priority))
    for (const [i, [path, { bytes }]] of safe.entries()) {
      const reader = [a, b, c][i % 3]
      // By range: a whole read would leave a copy behind, and it is the mesh that is to make it.
      const { bytes: chunks } = await (reader ?? a).client().get(path, { range: { from: 0, to: bytes.length - 1 } })
      const parts: Uint8Array[] = []
      for await (const chunk of chunks) parts.push(chunk)
      assert.ok(Buffer.concat(parts).equals(bytes), path)
    }
    const paths = new Set(safe.map(([path]) => path))
    // Until the grace is over the dead count: so first they must be gone, and then all must be well without them.
    await eventually(async () => (await a.client().peers()).filter((peer) => peer.state === 'gone').length === 2, 'two to be given up', 90_000)
    let last = ''
    await eventually(async () => {
      const short = (await filesOf(a)).filter(({ path, replicas }) => paths.has(path) && replicas.have < replicas.wanted)
      last = counts(short)
      return short.length === 0
    }, 'every file to have its copies again', 120_000).catch((error: unknown) => {
      throw new Error(`still short: ${last}`, { cause: error })
    })
  })

  it('lose a surplus when a node comes back that was given up', async () => {
    const [a, , , d] = nodes
    assert.ok(a !== undefined && d !== undefined)
    await d.start()
    const surplus = async (): Promise<ListEntry[]> => (await filesOf(a)).filter(({ replicas }) => replicas.have > replicas.wanted)
    await eventually(async () => (await surplus()).length > 0, 'its copies to count again', 90_000)
    await eventually(async () => (await surplus()).length === 0, 'the surplus to go', 120_000)
    assert.deepEqual((await filesOf(a)).filter(({ replicas }) => replicas.have === 0 && replicas.wanted > 1), [])
  })

  it('leave a node that drains', async () => {
    const [a, b, c, d] = nodes
    assert.ok(a !== undefined && b !== undefined && c !== undefined && d !== undefined)
    const { remaining } = await c.json<{ moved: number; remaining: number }>('drain')
    assert.equal(remaining, 0)
    assert.ok((await c.status()).problems.some((problem) => problem.includes('leaving')))
    // It would go with the node.
    await assert.rejects(c.client().put('/too-late', once(Buffer.from('too late'))), { code: 'NOT_ACCEPTING' })
    await c.stop()
    for (const [path, { bytes, owner, priority }] of put) {
      if (['low', 'expendable'].includes(priority) && owner !== a && owner !== b && owner !== c && owner !== d) continue
      assert.ok((await contentOf(a, path)).equals(bytes), path)
    }
  })

  it('never took more than was given, at any moment that was looked at', () => {
    sampler?.end()
    assert.ok((sampler?.samples ?? 0) > 50)
    assert.deepEqual(sampler?.passed, [])
    assert.ok(statSync(world.path('a')).isDirectory())
  })
})

describe('a full node', function () {
  this.timeout(120_000)
  const world = new World()
  const maxBytes = 64 * mebibyte
  const nodes: TestNode[] = []
  const options = {
    args: ['--max-storage', '64MiB'],
    env: { MESH_NODE_STORAGE_MIN_FREE_SPACE: '0', MESH_NODE_STORAGE_KEEP_REMOVED: process.env.MESH_NODE_STORAGE_KEEP_REMOVED ?? '2s', MESH_NODE_STORAGE_REPLICATION_GRACE: `${String(calmGraceMs / 1000)}s` },
  }
  let sampler: Sampler | undefined

  before(async () => {
    const a = await world.start('a', options)
    nodes.push(a, await world.join('b', a, options), await world.join('c', a, options))
    sampler = new Sampler(nodes, maxBytes)
  })
  after(async () => {
    sampler?.end()
    await world.close()
  })

  it('lets go of what matters less and is elsewhere, to take what is new', async () => {
    const [a] = nodes
    assert.ok(a)
    const old = [1, 2, 3, 4, 5].map((seed) => someBytes(4 * mebibyte, seed))
    for (const [i, bytes] of old.entries()) {
      await a.client().put(`/old/${String(i)}`, once(bytes), { priority: 'low', replicas: 3, size: bytes.length, wait: true })
    }
    await a.client().update('/old', { replicas: 1 })
    const before = await a.json<QuotaInfo>('quota', 'show')
    assert.ok(before.ownBytes >= 20 * mebibyte)
    const large = someBytes(Math.max(before.freeForOwnBytes + 3 * mebibyte, 8 * mebibyte), 99)
    const dry = await a.json<EvictionResult>('evict', '--bytes', '6MiB', '--dry-run')
    assert.ok(dry.actions.length >= 2 && dry.actions.every((action) => action.kind === 'evict' && action.to === null), JSON.stringify(dry))
    assert.equal(dry.freedBytes, 0)
    await a.client().put('/new', once(large), { priority: 'high', replicas: 1, size: large.length })
    assert.ok((await contentOf(a, '/new')).equals(large))
    const { peerId } = await a.status()
    const gone = (await Promise.all(old.map(async (_, i) => a.client().stat(`/old/${String(i)}`)))).filter(({ replicas }) => !replicas.holders.includes(peerId))
    assert.ok(gone.length >= 1, 'nothing was let go of')
    for (const [i, bytes] of old.entries()) assert.ok((await contentOf(nodes[1] ?? a, `/old/${String(i)}`)).equals(bytes))
  })

  it('says that it is full when nothing may go', async () => {
    const [a] = nodes
    assert.ok(a)
    const much = someBytes(60 * mebibyte, 5)
    const { code, stdout } = await runCommand(['put', '-', '--as', '/much', '--json', '--home', a.home], { input: much })
    assert.equal(code, 2)
    assert.equal((JSON.parse(stdout) as { error: { code: string } }).error.code, 'NO_SPACE')
    assert.ok(!(await filesOf(a)).some(({ path }) => path === '/much'))
  })

  it('gives less when it is told to, and lets go politely', async () => {
    const [a] = nodes
    assert.ok(a)
    const plan = await a.json<ActionPlan>('rebalance', '--dry-run')
    assert.ok(Array.isArray(plan.actions) && plan.bytes >= 0)
    const set = await a.json<QuotaInfo & { persisted: boolean }>('quota', 'set', '60MiB', '--reserved', '1MiB')
    assert.deepEqual([set.maxBytes, set.reservedBytes, set.persisted], [60 * mebibyte, mebibyte, true])
    assert.equal((await a.status()).storage.maxBytes, 60 * mebibyte)
    assert.equal((await a.json<{ value: number }>('config', 'get', 'storage.max_storage')).value, 60 * mebibyte)
    const refused = await a.run('quota', 'set', '60MiB', '--reserved', '70MiB')
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /more is reserved/)
  })

  it('gets its space back when files are removed, everywhere: on the disk, too', async () => {
    const [a, b, c] = nodes
    assert.ok(a !== undefined && b !== undefined && c !== undefined)
    const before = await Promise.all(nodes.map(async (node) => (await node.client().quota()).usedBytes))
    assert.ok(before.every((bytes) => bytes > 20 * mebibyte), String(before))
    await a.client().remove('/old', { recursive: true })
    await b.client().remove('/new')
    for (const node of nodes) {
      await eventually(async () => (await node.status()).blobs === 0, `${node.name} to let go of all blobs`, 60_000)
      let last = ''
      await eventually(async () => {
        const { usedBytes, reclaimableBytes } = await node.client().quota()
        last = `${String(usedBytes)} bytes used, ${String(reclaimableBytes)} of them to be reclaimed, ${String(diskBytes(node.home))} on disk`
        return usedBytes < 20 * mebibyte && diskBytes(node.home) < 24 * mebibyte
      }, `${node.name} to have its space back`, 60_000).catch((error: unknown) => {
        throw new Error(last, { cause: error })
      })
    }
  })

  it('shrinks below what it has used, politely: all stays readable', async () => {
    const [a, b] = nodes
    assert.ok(a !== undefined && b !== undefined)
    const files = [11, 12, 13, 14].map((seed) => someBytes(3 * mebibyte, seed))
    for (const [i, bytes] of files.entries()) await a.client().put(`/own/${String(i)}`, once(bytes), { replicas: 1, size: bytes.length })
    const { usedBytes, reclaimableBytes } = await a.json<QuotaInfo>('quota', 'show')
    // So low that even its own files have to move.
    const set = await a.json<QuotaInfo>('quota', 'set', String(usedBytes - reclaimableBytes - 5 * mebibyte))
    assert.ok(set.overBytes > 4 * mebibyte, JSON.stringify(set))
    await eventually(async () => (await a.client().quota()).overBytes === 0, 'a to be within its new limit', 60_000)
    const { peerId } = await a.status()
    const stats = await Promise.all(files.map(async (_, i) => a.client().stat(`/own/${String(i)}`)))
    assert.ok(stats.filter(({ replicas }) => !replicas.holders.includes(peerId)).length >= 2, 'nothing was moved')
    for (const [i, bytes] of files.entries()) assert.ok((await contentOf(b, `/own/${String(i)}`)).equals(bytes))
  })

  it('never passed its quota', () => {
    sampler?.end()
    assert.deepEqual(sampler?.passed, [])
  })
})
