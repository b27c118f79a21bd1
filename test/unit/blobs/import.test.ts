import assert from 'node:assert/strict'
import { CarReader } from '@ipld/car'
import { MemoryBlockstore } from 'blockstore-core/memory'
import { importBytes, importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import type { BlobProfile } from '../../../src/blobs/index.js'
import { MemoryNetwork } from '../../simulation/blobs/twins.js'
import { all, bytesOf, collect, gate, makeNode, pieces, quick, smallProfile } from '../../simulation/blobs/world.js'

const realProfile = { chunkBytes: 2 ** 20, linksMax: 1024 }

async function known(bytes: Uint8Array, profile: BlobProfile): Promise<string> {
  const { cid } = await importBytes(bytes, new MemoryBlockstore(), {
    cidVersion: 1,
    rawLeaves: true,
    chunker: fixedSize({ chunkSize: profile.chunkBytes }),
    layout: balanced({ maxChildrenPerNode: profile.linksMax }),
  })
  return cid.toString()
}

describe('blobs: import', () => {
  it('names the empty file as everybody does', async () => {
    const { blobs } = makeNode(new MemoryNetwork(), 1, {})
    const imported = await blobs.import(pieces(new Uint8Array(0)))
    assert.equal(imported.cid.toString(), 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')
    assert.equal(imported.size, 0)
    assert.equal((await collect(blobs.read(imported.cid))).length, 0)
  })

  for (const size of [1, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, 3 * 2 ** 20 + 5]) {
    it(`gives the importer's CID with the real profile, ${size} bytes`, async () => {
      const { blobs } = makeNode(new MemoryNetwork(), 1, {})
      const bytes = bytesOf(size)
      const imported = await blobs.import(pieces(bytes, 65_536))
      assert.equal(imported.cid.toString(), await known(bytes, realProfile))
      assert.deepEqual(imported.blobs.map(({ kind }) => kind), ['dag'])
      const read = await collect(blobs.read(imported.cid))
      assert.ok(read.equals(bytes))
    })
  }

  // Leaves: fewer than a node's links, exactly, one more; two levels; three levels with a lone child at the right edge.
  for (const leaves of [3, 4, 5, 16, 17, 20, 64, 65, 69]) {
    it(`cuts ${leaves} leaves into blobs and spine with the importer's CID`, async () => {
      const { blobs, blocks } = makeNode(new MemoryNetwork(), 1)
      const bytes = bytesOf(leaves * 1024 - 7)
      const imported = await blobs.import(pieces(bytes))
      assert.equal(imported.cid.toString(), await known(bytes, smallProfile))
      const dags = imported.blobs.filter(({ kind }) => kind === 'dag')
      assert.equal(dags.length, Math.ceil(leaves / 4))
      assert.equal(imported.blobs.length, dags.length + (leaves > 4 ? 1 : 0))
      const again = await blobs.blobsOf(imported.cid)
      assert.deepEqual(again.map(String), imported.blobs.map(String))
      assert.deepEqual(
        again.map(({ cid, kind }) => `${kind} ${cid.toString()}`),
        imported.blobs.map(({ cid, kind }) => `${kind} ${cid.toString()}`),
      )
      let heldBlocks = 0
      for (const { cid, kind } of imported.blobs) {
        const held = await blobs.held(cid)
        assert.ok(held)
        assert.equal(held.kind, kind)
        heldBlocks += held.blocks
      }
      assert.equal(heldBlocks, blocks.bytes.size, 'every block is in exactly one blob')
      assert.equal(blocks.draftBlocks.size, 0)
      assert.ok((await collect(blobs.read(imported.cid))).equals(bytes))
      for (const { cid } of imported.blobs) await blobs.drop(cid)
      assert.equal(blocks.bytes.size, 0, 'nothing is left')
      assert.equal(blocks.references.size, 0)
    })
  }

  it('keeps equal blobs once and lets each file go on its own', async () => {
    const { blobs, blocks } = makeNode(new MemoryNetwork(), 1)
    const zeros = new Uint8Array(40 * 1024)
    const imported = await blobs.import(pieces(zeros))
    assert.equal(imported.cid.toString(), await known(zeros, smallProfile))
    assert.equal(imported.blobs.length, 2)
    await blobs.import(pieces(zeros))
    assert.ok((await collect(blobs.read(imported.cid))).equals(zeros))
    for (const { cid } of imported.blobs) await blobs.drop(cid)
    assert.equal(blocks.bytes.size, 0)
  })

  it('writes the caller\'s operations with the last blob, and nothing if they fail', async () => {
    const { blobs, blocks, meta } = makeNode(new MemoryNetwork(), 1)
    const key = Buffer.from('zz')
    const bytes = bytesOf(30_000)
    await blobs.import(pieces(bytes), {
      operations: async (imported) => {
        assert.equal(imported.size, 30_000)
        assert.equal(await meta.get(key), undefined)
        return [meta.put(key, Buffer.from(imported.cid.toString()))]
      },
    })
    assert.ok((await meta.get(key)) !== undefined)
    const before = blocks.bytes.size
    await assert.rejects(
      blobs.import(pieces(bytesOf(30_000, 2)), { operations: () => Promise.reject(new Error('no')) }),
      /^Error: no$/,
    )
    assert.equal(blocks.bytes.size, before)
    assert.equal(blocks.draftBlocks.size, 0)
    for await (const held of blobs.list()) assert.ok(held.blocks > 0)
  })

  it('gives up without a trace when the content breaks off, the caller cancels, or the disk is full', async () => {
    const { blobs, blocks } = makeNode(new MemoryNetwork(), 1)
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* pieces(bytesOf(20_000))
      throw new Error('the line broke')
    }
    await assert.rejects(blobs.import(broken()), /the line broke/)
    const abort = new AbortController()
    async function* cancelled(): AsyncGenerator<Uint8Array> {
      yield* pieces(bytesOf(20_000))
      abort.abort()
      yield* pieces(bytesOf(20_000, 2))
    }
    await assert.rejects(blobs.import(cancelled(), { signal: abort.signal }), { code: 'ABORTED' })
    blocks.bytesMax = 10_000
    await assert.rejects(blobs.import(pieces(bytesOf(20_000))), { code: 'NO_SPACE' })
    assert.equal(blocks.bytes.size, 0)
    assert.equal(blocks.draftBlocks.size, 0)
    for await (const held of blobs.list()) assert.fail(held.cid.toString())
  })

  it('does not let go of a blob that another import leans on', async () => {
    const { blobs, blocks } = makeNode(new MemoryNetwork(), 1)
    const start = bytesOf(4096)
    const done = gate()
    const at = gate()
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield* pieces(Buffer.concat([start, start, bytesOf(9000, 3)]))
      at.open()
      await done.opened
      yield* pieces(bytesOf(4096, 4))
    }
    const importing = blobs.import(slow())
    await at.opened
    const same = await blobs.import(pieces(start))
    await blobs.drop(same.cid)
    done.open()
    const imported = await importing
    assert.equal((await collect(blobs.read(imported.cid))).length, 4096 * 3 + 9000)
    assert.ok((await blobs.held(same.cid)) !== undefined)
    for (const { cid } of imported.blobs) await blobs.drop(cid)
    assert.equal(blocks.bytes.size, 0)
  })

  it('clears up at the next start what a crash left of an import', async () => {
    const network = new MemoryNetwork()
    const node = makeNode(network, 1)
    const never = gate()
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield* pieces(bytesOf(15_000))
      await never.opened
    }
    void node.blobs.import(endless()).catch(() => undefined)
    const held = async (): Promise<number> => (await all(node.blobs.list())).length
    for (let i = 0; (await held()) < 2 && i < 1000; i++) await new Promise((resolve) => setImmediate(resolve))
    assert.ok((await held()) >= 2)
    node.blocks.restart()
    const after = makeNode(network, 1, quick, node)
    const stop = new AbortController()
    const running = after.blobs.run(stop.signal)
    for (let i = 0; node.blocks.bytes.size > 0 && i < 1000; i++) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(node.blocks.bytes.size, 0)
    stop.abort()
    await running
  })
})

describe('blobs: folders', () => {
  async function knownFolder(files: { path: string; content: Uint8Array }[]): Promise<string> {
    let last = ''
    const source = files.map(({ path, content }) => ({ path, content }))
    const options = { wrapWithDirectory: true, cidVersion: 1, rawLeaves: true, chunker: fixedSize({ chunkSize: 1024 }), layout: balanced({ maxChildrenPerNode: 4 }) } as const
    for await (const entry of importer(source, new MemoryBlockstore(), options)) last = entry.cid.toString()
    return last
  }

  for (const [name, files] of [
    ['a flat one', ['a', 'b', 'c'].map((path, i) => ({ path, content: bytesOf(i * 3000, i + 1) }))],
    ['a nested one', ['x/y/a', 'x/b', 'c', 'x/y/d'].map((path, i) => ({ path, content: bytesOf(i * 3000 + 1, i + 1) }))],
    // 3500 names of 80 letters are past 256 KiB.
    ['a sharded one', Array.from({ length: 3500 }, (_, i) => ({ path: `${'n'.repeat(76)}${String(i).padStart(4, '0')}`, content: Buffer.from(String(i % 50)) }))],
  ] as const) {
    it(`gives the importer's CID for ${name}, and lists it`, async function () {
      this.timeout(30_000)
      const { blobs, blocks } = makeNode(new MemoryNetwork(), 1)
      const cids = new Map<string, string>()
      const entries: { path: string; cid: Awaited<ReturnType<typeof blobs.import>>['cid'] }[] = []
      for (const { path, content } of files) {
        const { cid } = await blobs.import(pieces(content))
        entries.push({ path, cid })
        cids.set(path, cid.toString())
      }
      const folder = await blobs.importFolder(entries)
      assert.equal(folder.cid.toString(), await knownFolder([...files]))
      assert.equal(folder.size, files.reduce((sum, { content }) => sum + content.length, 0))
      const listed = new Map<string, string>()
      for await (const item of blobs.readFolder(folder.cid)) {
        if (item.type === 'file') listed.set(item.path, item.cid.toString())
        const file = files.find(({ path }) => path === item.path)
        if (file !== undefined) assert.equal(item.size, file.content.length)
      }
      assert.deepEqual([...listed].sort(), [...cids].sort())
      const parts = await blobs.blobsOf(folder.cid)
      assert.equal(parts.at(-1)?.cid.toString(), folder.cid.toString())
      // The name alone, here, and on a node that has nothing of it but names and sizes.
      const sized = entries.map((entry, i) => ({ ...entry, size: files[i]?.content.length ?? 0 }))
      const elsewhere = makeNode(new MemoryNetwork(), 2)
      for (const node of [blobs, elsewhere.blobs]) {
        const named = await node.nameFolder(sized)
        assert.equal(named.cid.toString(), folder.cid.toString())
        assert.equal(named.folders.get('')?.toString(), folder.cid.toString())
      }
      for (const { cid } of parts) await blobs.drop(cid)
      assert.equal(blocks.bytes.size, 0)
    })
  }

  it('exports a folder that was only named, with the nodes made for it, and stores nothing', async () => {
    const { blobs, blocks } = makeNode(new MemoryNetwork(), 1)
    const files = await Promise.all(['x/y/a', 'x/b', 'c'].map(async (path, i) => {
      const { cid, size } = await blobs.import(pieces(bytesOf(i * 3000 + 1, i + 1)))
      return { path, cid, size }
    }))
    const before = blocks.bytes.size
    const named = await blobs.nameFolder(files)
    const reader = await CarReader.fromBytes(await collect(blobs.exportFolderCar(files)))
    assert.deepEqual((await reader.getRoots()).map(String), [named.cid.toString()])
    assert.deepEqual([...named.folders.keys()].sort(), ['', 'x', 'x/y'])
    for (const cid of [...named.folders.values(), ...files.map((file) => file.cid)]) assert.ok(await reader.has(cid), cid.toString())
    assert.equal(blocks.bytes.size, before)
    await assert.rejects(blobs.nameFolder([...files, { path: 'c/d', cid: named.cid, size: 1 }]), { code: 'BAD_CID' })
  })

  it('refuses names that are no names', async () => {
    const { blobs } = makeNode(new MemoryNetwork(), 1)
    const { cid } = await blobs.import(pieces(bytesOf(10)))
    for (const paths of [[''], ['/a'], ['a//b'], ['a/../b'], ['.'], ['a\0'], ['a', 'a'], ['a', 'a/b'], ['a/b', 'a']]) {
      await assert.rejects(blobs.importFolder(paths.map((path) => ({ path, cid }))), { code: 'BAD_CID' }, paths.join())
    }
    const empty = await blobs.importFolder([])
    assert.equal(empty.cid.toString(), 'bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354')
  })
})
