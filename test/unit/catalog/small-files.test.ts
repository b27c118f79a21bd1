import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { silentLog } from '../../../src/base/index.js'
import type { Files, FolderItem, FolderItemPut, PutFolderOptions } from '../../../src/catalog/index.js'
import { createFiles } from '../../../src/catalog/index.js'
import { bytesOf, MemoryBlobs, rawCid } from './memory-blobs.js'
import { collect, TestNode, World } from './world.js'

async function setUp(): Promise<{ node: TestNode; blobs: MemoryBlobs; files: Files }> {
  const world = new World()
  const node = await new TestNode(world, 'a').open()
  const blobs = new MemoryBlobs(node.meta)
  return { node, blobs, files: createFiles({ catalog: node.catalog, blobs, meta: node.meta.slice('f/'), clock: world.time.clock(), log: silentLog }) }
}

function item(relativePath: string, text = relativePath): FolderItem {
  return { relativePath, bytes: Buffer.from(text), content: bytesOf(text) }
}

async function put(files: Files, items: readonly FolderItem[], options: PutFolderOptions = {}): Promise<Map<string, FolderItemPut>> {
  async function* all(): AsyncGenerator<FolderItem> {
    yield* items
  }
  const outcomes = await collect(files.putFolder('/d', all(), options))
  assert.equal(outcomes.length, items.length)
  return new Map(outcomes.map((outcome) => [outcome.relativePath, outcome]))
}

describe('files: small ones of a folder', () => {
  it('are put many in one write, each with its own record and content', async () => {
    const { files, blobs, node } = await setUp()
    const names = Array.from({ length: 200 }, (_, i) => `${String(i % 7)}/${String(i)}`)
    const writes = node.meta.writes
    const outcomes = await put(files, names.map((name) => item(name)), { priority: 'high', pinned: true })
    assert.ok(node.meta.writes - writes <= 20, `${String(node.meta.writes - writes)} writes`)
    assert.ok(blobs.groups.every((count) => count <= 64))
    for (const name of names) {
      const one = outcomes.get(name)?.put
      assert.deepEqual([one?.cid, one?.size, one?.path, one?.priority, one?.replicas], [rawCid(Buffer.from(name)).toString(), name.length, `/d/${name}`, 'high', 3])
      const { record, cid } = await files.resolve(`/d/${name}`)
      assert.equal(cid.toString(), one?.cid)
      assert.equal(record?.content?.pinned, true)
      assert.deepEqual(one?.record, record)
    }
    assert.equal(node.catalog.stats().files, 200)
  })

  it('put again keep what is said of them, and those that are in the way say so', async () => {
    const { files } = await setUp()
    await files.put('/d/x', bytesOf('x'), { priority: 'critical' })
    await files.put('/d/folder/y', bytesOf('y'))
    const outcomes = await put(files, ['first', 'x', 'folder', 'x/below', '../out', 'folder/y'].map((name) => item(name, `new ${name}`)))
    assert.deepEqual([...outcomes].flatMap(([name, { error }]) => (error === undefined ? [] : [`${name} ${error.code}`])).sort(), ['../out BAD_PATH', 'folder IS_FOLDER', 'x/below IS_FILE'])
    assert.deepEqual([outcomes.get('x')?.put?.priority, outcomes.get('x')?.put?.replicas], ['critical', 5])
    assert.equal((await files.resolve('/d/folder/y')).cid.toString(), rawCid(Buffer.from('new folder/y')).toString())
    const said = await put(files, ['first', 'second', 'x'].map((name) => item(name, `newer ${name}`)), { priority: 'low' })
    assert.deepEqual([...said.values()].map((outcome) => [outcome.put?.priority, outcome.put?.replicas]), Array.from({ length: 3 }, () => ['low', 1]))
  })

  it('are in each other’s way as if they came one by one', async () => {
    for (const names of [['0', 'a/b', 'a'], ['0', 'a', 'a/b'], ['0', 'a/b/c', 'a/b', 'a']]) {
      const { files } = await setUp()
      const outcomes = await put(files, names.map((name) => item(name)))
      const there = await collect(files.ls('/d', { recursive: true }))
      for (const [i, { path }] of there.entries()) assert.ok(!there.some((other, j) => j !== i && other.path.startsWith(`${path}/`)), `${names.join()}: ${path} is a file and a folder`)
      assert.equal(there.length, [...outcomes.values()].filter((outcome) => outcome.put !== undefined).length)
    }
    const { files } = await setUp()
    await put(files, [item('0'), item('same', 'one'), item('same', 'two')].map((one, i) => ({ ...one, relativePath: i === 0 ? '0' : 'same' }))).catch(() => undefined)
    assert.equal((await files.resolve('/d/same')).cid.toString(), rawCid(Buffer.from('two')).toString())
  })

  it('that are there already are refused if they are to be new, and the others are put', async () => {
    const { files } = await setUp()
    await files.put('/d/x', bytesOf('x'))
    const outcomes = await put(files, ['0', '1', 'x', '2'].map((name) => item(name)), { ifAbsent: true })
    assert.deepEqual([...outcomes].flatMap(([name, { error }]) => (error === undefined ? [] : [`${name} ${error.code}`])), ['x EXISTS'])
  })

  it('each tell what is wrong where a group cannot be stored', async () => {
    const { files, blobs, node } = await setUp()
    let room = 0
    let left = 0
    const options: PutFolderOptions = {
      room: async (bytes) => {
        room += bytes
        left += bytes
        return { release: async () => void (left -= bytes) }
      },
    }
    blobs.beforeCommit = async () => {
      if (blobs.committing > 1) throw Object.assign(new Error('the disk is full'), { code: 'NO_SPACE' })
    }
    const outcomes = await put(files, ['0', '1', '2', '3'].map((name) => item(name)), options)
    assert.ok([...outcomes.values()].every((outcome) => outcome.put !== undefined))
    assert.equal(node.catalog.stats().files, 4)
    assert.deepEqual([room, left], [3, 0])
    blobs.beforeCommit = async () => {
      throw Object.assign(new Error('the disk is full'), { code: 'NO_SPACE' })
    }
    const failed = await put(files, ['5', '6', '7'].map((name) => item(name)), options)
    assert.ok([...failed.values()].every(({ error }) => error?.code === 'NO_SPACE'))
    assert.equal(node.catalog.stats().files, 4)
    assert.equal(left, 0)
  })

  it('written under a lease that ends meanwhile are told as doubtful, each of them', async () => {
    const { files, blobs } = await setUp()
    let holds = true
    blobs.beforeCommit = async () => {
      if (blobs.committing > 1) holds = false
    }
    const token = (): bigint => {
      if (!holds) throw Object.assign(new Error('the lease is over'), { code: 'STALE_TOKEN' })
      return 7n
    }
    const outcomes = await put(files, ['0', '1', '2'].map((name) => item(name)), { token })
    assert.deepEqual([...outcomes].map(([name, { error }]) => `${name} ${error?.code ?? 'put'}`).sort(), ['0 put', '1 STALE_TOKEN', '2 STALE_TOKEN'])
    assert.match(outcomes.get('1')?.error?.message ?? '', /was written/)
    assert.equal((await files.resolve('/d/1')).record?.token, 7n)
  })
})
