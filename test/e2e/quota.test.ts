import assert from 'node:assert/strict'
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { silentLog, systemClock, systemRandom } from '../../src/base/index.js'
import type { QuotaInfo } from '../../src/client/index.js'
import { openStore } from '../../src/store/index.js'
import { eventually, someBytes, World } from './harness.js'
import type { TestNode } from './harness.js'

const mebibyte = 2 ** 20
const maxBytes = 64 * mebibyte

/** What `du` says; files that go meanwhile count nothing. */
function diskBytes(folder: string): number {
  let bytes = 0
  for (const name of readdirSync(folder)) {
    try {
      const info = lstatSync(join(folder, name))
      bytes += info.isDirectory() ? diskBytes(join(folder, name)) : info.blocks * 512
    } catch {
      // LevelDB deleted it between the two calls.
    }
  }
  return bytes
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  await Promise.resolve()
  yield bytes
}

/** Counts all that is on the disk of a node that is not running, and compares it with the ledger it kept. */
async function recountOf(node: TestNode): Promise<{ agrees: boolean; clean: boolean; liveBytes: number; ledger: unknown; counted: unknown }> {
  const store = await openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home: node.home })
  try {
    const { agrees, ledger, counted } = await store.recount()
    return { agrees, clean: store.recovery.clean, liveBytes: counted.liveBytes, ledger, counted }
  } finally {
    await store.close()
  }
}

describe('a quota under hundreds of arrivals at once', function () {
  this.timeout(120_000)
  const world = new World()
  const env = { MESH_NODE_STORAGE_MIN_FREE_SPACE: '0', MESH_NODE_STORAGE_AUTO_EVICT: 'false' }
  const small = { args: ['--max-storage', '64MiB'], env }
  let a: TestNode
  let b: TestNode
  const passed: number[] = []
  let samples = 0
  let timer: NodeJS.Timeout

  before(async () => {
    b = await world.start('b', { args: ['--max-storage', '1GiB'], env })
    a = await world.join('a', b, small)
    timer = setInterval(() => {
      const bytes = diskBytes(a.home)
      samples++
      if (bytes > maxBytes) passed.push(bytes)
    }, 20)
  })
  after(async () => {
    clearInterval(timer)
    await world.close()
  })

  /** Half of them put at the node itself, half elsewhere with a copy wanted here: resolves when each has come or was refused. */
  async function arrivals(round: number, count: number): Promise<{ stored: number; refused: number; broken: number }> {
    const outcome = { stored: 0, refused: 0, broken: 0 }
    await Promise.all(Array.from({ length: count }, async (_, i) => {
      const bytes = someBytes(20_000 + ((i * 7919) % 700_000), round * 10_000 + i)
      try {
        await (i % 2 === 0 ? a : b).client().put(`/${String(round)}/${String(i)}`, once(bytes), { replicas: i % 2 === 0 ? 1 : 2, size: bytes.length })
        outcome.stored++
      } catch (error) {
        if ((error as { code?: string }).code === 'NO_SPACE') outcome.refused++
        else outcome.broken++
      }
    }))
    return outcome
  }

  it('the ledger agrees with the disk after kill -9 in the middle of them', async () => {
    const coming = arrivals(1, 200)
    await eventually(async () => diskBytes(a.home) > 8 * mebibyte, 'some of them to have come', 30_000)
    await a.kill()
    await coming
    const recount = await recountOf(a)
    assert.equal(recount.agrees, true, JSON.stringify(recount))
    assert.equal(recount.clean, false)
    assert.ok(recount.liveBytes > 0)
  })

  it('and again when it is full; and it never passed its limit by one byte', async () => {
    await a.start()
    const { stored, refused, broken } = await arrivals(2, 300)
    assert.ok(stored > 0 && refused > 0, `${String(stored)} stored, ${String(refused)} refused`)
    assert.equal(broken, 0)
    await a.kill()
    const recount = await recountOf(a)
    assert.equal(recount.agrees, true, JSON.stringify(recount))
    clearInterval(timer)
    console.log(`      ${String(stored)} stored, ${String(refused)} refused; ${String(samples)} looks at the disk`)
    assert.ok(samples > 50)
    assert.deepEqual(passed, [])
  })

  it('is written down when it is set; a flag that comes before it is named', async () => {
    await a.start()
    const set = await a.run('quota', 'set', '48MiB', '--reserved', '1MiB')
    assert.equal(set.code, 0, set.stderr)
    assert.match(set.stderr, /--max-storage, which comes before config\.toml/)
    assert.doesNotMatch(set.stderr, /reserved/)
    await a.stop()
    await a.start({ env: { MESH_NODE_STORAGE_MIN_FREE_SPACE: '0' } })
    const { maxBytes: now, reservedBytes } = await a.json<QuotaInfo>('quota', 'show')
    assert.deepEqual([now, reservedBytes], [48 * mebibyte, mebibyte])
    // The one setting that comes from the environment now.
    const other = await a.run('quota', 'set', '--min-free', '0')
    assert.match(other.stderr, /MESH_NODE_STORAGE_MIN_FREE_SPACE, which comes before/)
  })

  it('content is pinned by its CID where it is not: it comes, stays when its file is removed, and goes when it is let go', async () => {
    assert.equal((await a.run('quota', 'set', '128MiB')).code, 0)
    const bytes = someBytes(300_000, 77)
    const { cid } = await b.client().put('/pinned', once(bytes), { replicas: 1, size: bytes.length })
    assert.ok(cid !== null)
    const { peerId } = await a.status()
    assert.deepEqual(await a.json('pin', 'add', cid), { changed: 1 })
    await eventually(async () => (await a.run('stat', '/pinned')).code === 0, 'a to hear of the file', 20_000)
    assert.ok((await a.json<{ replicas: { holders: string[] } }>('stat', '/pinned')).replicas.holders.includes(peerId))
    assert.ok((await a.json<{ cid: string }[]>('pin', 'ls')).some((one) => one.cid === cid))
    await b.client().remove('/pinned')
    await eventually(async () => (await a.run('stat', '/pinned')).code !== 0, 'a to hear of the removal', 20_000)
    assert.equal((await a.json<{ pinned: boolean }>('stat', cid)).pinned, true)
    assert.deepEqual(await a.json('pin', 'rm', cid), { changed: 1 })
    const refused = await a.run('pin', 'add', 'nonsense')
    assert.equal(refused.code, 2)
  })
})
