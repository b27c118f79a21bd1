import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { FileInfo } from '../../src/client/index.js'
import { eventually, Fatal, someBytes, World } from './harness.js'
import type { TestNode } from './harness.js'

const mebibyte = 2 ** 20
const maxBytes = 64 * mebibyte
/** Larger than what any node gives, and than what two of them have room for (28 MiB of each are LevelDB's to move things). */
const fileBytes = 72 * mebibyte

/** Nobody dies here. What is to be let go of is looked for eight times as often: with the usual grace, every 10 s. */
const graceMs = 16_000

/** Larger than what one has room for. */
const folderBytes = 48 * mebibyte

/** What `du` says of a folder; files that go meanwhile count nothing. */
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

/** A file of so many bytes, never all in memory. `given` tells how much of it was taken. */
async function* streamOf(bytes: number, seed: number, given: { bytes: number } = { bytes: 0 }): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes; at += mebibyte) {
    const chunk = someBytes(Math.min(mebibyte, bytes - at), seed + at / mebibyte)
    given.bytes += chunk.length
    yield chunk
    await Promise.resolve()
  }
}

async function hashOf(content: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of content) hash.update(chunk)
  return hash.digest('hex')
}

describe('a file that is larger than what any node gives', function () {
  this.timeout(300_000)
  const world = new World()
  const nodes: TestNode[] = []
  const passed: string[] = []
  let most = 0
  let timer: NodeJS.Timeout
  const options = { args: ['--max-storage', '64MiB'], env: { MESH_NODE_STORAGE_MIN_FREE_SPACE: '0', MESH_NODE_STORAGE_KEEP_REMOVED: '1s', MESH_NODE_STORAGE_REPLICATION_GRACE: `${String(graceMs / 1000)}s` } }
  const node = (which: number): TestNode => {
    const found = nodes[which]
    assert.ok(found)
    return found
  }
  const othersBytes = async (one: TestNode): Promise<number> => (await one.status()).storage.othersBytes

  before(async () => {
    nodes.push(await world.start('a', options))
    nodes.push(...(await Promise.all(['b', 'c', 'd'].map(async (name) => world.join(name, node(0), options)))))
    for (const one of nodes) {
      await eventually(async () => {
        const peers = await one.client().peers()
        return peers.filter((peer) => peer.connected && peer.storage?.maxBytes === maxBytes).length === nodes.length - 1
      }, `${one.name} to know what the others give`, 60_000)
    }
    timer = setInterval(() => {
      for (const one of nodes) {
        const bytes = diskBytes(one.home)
        most = Math.max(most, bytes)
        if (bytes > maxBytes) passed.push(`${one.name}: ${String(bytes)}`)
      }
    }, 100)
  })
  after(async () => {
    clearInterval(timer)
    await world.close()
  })

  it('is spread over them while it is put, and read back from any of them', async () => {
    const put = await node(0).client().put('/large', streamOf(fileBytes, 1), { replicas: 1, size: fileBytes })
    assert.ok(put.blobs > 10, String(put.blobs))
    const wanted = await hashOf(streamOf(fileBytes, 1))
    for (const reader of [node(0), node(3)]) {
      const answer = await reader.client().get('/large')
      assert.equal(await hashOf(answer.bytes), wanted, `read from ${reader.name}`)
    }
    const part = await node(2).client().get('/large', { range: { from: 50 * mebibyte, to: 50 * mebibyte + 99 } })
    assert.equal(await hashOf(part.bytes), await hashOf((async function* () {
      yield someBytes(mebibyte, 1 + 50).subarray(0, 100)
    })()))
    assert.deepEqual(passed, [])
    assert.ok((await Promise.all(nodes.map(othersBytes))).filter((bytes) => bytes > 0).length >= 2)
  })

  it('has its parts counted like other files', async () => {
    await eventually(async () => {
      const { replicas } = await node(0).json<FileInfo>('stat', '/large')
      return replicas.have >= 1
    }, 'a copy of each part to be known', 30_000)
  })

  it('gives its room back everywhere when it is removed', async () => {
    await node(1).client().remove('/large')
    for (const one of nodes) await eventually(async () => (await one.status()).blobs === 0, `${one.name} to have let go of it`, 120_000)
  })

  it('is spread in a folder, too, where one that fits nowhere keeps no other out', async () => {
    async function* folder(): AsyncIterable<{ path: string; size: number; content: Uint8Array | AsyncIterable<Uint8Array> }> {
      yield { path: 'first', size: 5, content: Buffer.from('first') }
      yield { path: 'huge', size: 300 * mebibyte, content: streamOf(300 * mebibyte, 6) }
      yield { path: 'large', size: folderBytes, content: streamOf(folderBytes, 7) }
      yield { path: 'last', size: 4, content: Buffer.from('last') }
      await Promise.resolve()
    }
    const put = await node(0).client().putFolder('/folder', folder(), { replicas: 1 })
    assert.deepEqual(put.failed?.map(({ path, code }) => [path, code]), [['/folder/huge', 'NO_SPACE']], JSON.stringify(put.failed))
    assert.deepEqual(put.entries.map(({ path }) => path).sort(), ['/folder/first', '/folder/large', '/folder/last'])
    assert.equal(await hashOf((await node(1).client().get('/folder/large')).bytes), await hashOf(streamOf(folderBytes, 7)))
    await node(0).client().remove('/folder', { recursive: true })
    for (const one of nodes) await eventually(async () => (await one.status()).blobs === 0, `${one.name} to have let go of it`, 120_000)
    assert.deepEqual(passed, [])
  })

  it('is refused, with what it needs and what there is, if the mesh has no room for it', async () => {
    const given = { bytes: 0 }
    await assert.rejects(node(0).client().put('/huge', streamOf(400 * mebibyte, 2, given), { replicas: 1, size: 400 * mebibyte }), (error: Error & { code?: string; facts?: Record<string, unknown> }) => {
      assert.equal(error.code, 'NO_SPACE')
      assert.match(error.message, /the file has 419 MB .* this node has room for .* the whole mesh for/)
      return true
    })
    assert.equal((await node(0).status()).blobs, 0)
    assert.deepEqual(passed, [])
    console.log(`      ${(most / mebibyte).toFixed(1)} MiB of 64 were used at most`)
  })

  it('is spread from a pipe, too, of which nothing stays if it breaks off', async () => {
    async function* broken(): AsyncIterable<Uint8Array> {
      yield* streamOf(folderBytes, 8)
      // Only if it was spread there is anything elsewhere that must go.
      await eventually(async () => (await Promise.all(nodes.map(othersBytes))).some((bytes) => bytes > 0), 'parts of it elsewhere', 30_000)
      throw new Error('the pipe broke')
    }
    await assert.rejects(node(1).client().put('/piped', broken(), { replicas: 1 }), /the pipe broke/)
    for (const one of nodes) await eventually(async () => (await one.status()).blobs === 0, `${one.name} to have let go of it`, 120_000)
    assert.deepEqual(await node(1).client().list('/'), [])

    const put = await node(1).client().put('/piped', streamOf(folderBytes, 9), { replicas: 1 })
    assert.ok(put.blobs > 3, String(put.blobs))
    assert.equal(await hashOf((await node(2).client().get('/piped')).bytes), await hashOf(streamOf(folderBytes, 9)))
    await node(1).client().remove('/piped')
    assert.deepEqual(passed, [])
  })

  // A minute of waiting for a restart and for others to let go: `MESH_NODE_TEST_LONG=1 npx mocha test/e2e/spread.test.ts`.
  if (process.env.MESH_NODE_TEST_LONG === '1') it('leaves nothing behind when its node is killed in the middle', async () => {
    const [a, ...others] = nodes
    assert.ok(a)
    let over = ''
    const putting = a.client().put('/cut', streamOf(fileBytes, 3), { replicas: 1, size: fileBytes }).then(() => 'put', (error: unknown) => (over = `failed: ${String(error)}`))
    await eventually(async () => {
      if (over !== '') throw new Fatal(over)
      return (await Promise.all(others.map(othersBytes))).reduce((sum, bytes) => sum + bytes, 0) >= 8 * mebibyte
    }, 'parts of it elsewhere', 120_000)
    await a.kill()
    assert.match(await putting, /^failed/)
    await a.start()
    for (const one of nodes) await eventually(async () => (await one.status()).blobs === 0, `${one.name} to have let go of it`, 120_000)
    assert.equal((await a.client().list('/')).length, 0)
    assert.deepEqual(passed, [])
  })
})
