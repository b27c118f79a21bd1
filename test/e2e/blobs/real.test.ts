import assert from 'node:assert/strict'
import { open, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encode } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import { systemClock, systemRandom, silentLog } from '../../../src/base/index.js'
import { createBlobs, type BlobService, type BlobsInit } from '../../../src/blobs/index.js'
import type { Net } from '../../../src/net/index.js'
import { openStore, type Store } from '../../../src/store/index.js'
import { FakeMesh, startNode, stopAll } from '../../unit/net/fixture.js'
import { all, bytesOf, collect, pieces, until } from '../../simulation/blobs/world.js'

const mebibyte = 2 ** 20

/** Blobs over the store on disk and the network over TCP and TLS. */
class RealNode {
  constructor(
    readonly home: string,
    readonly net: Net,
    public store: Store,
    public blobs: BlobService,
  ) {}

  static async start(mesh: FakeMesh, number: number, init: BlobsInit = {}): Promise<RealNode> {
    const home = await mkdtemp(join(tmpdir(), 'mesh-blobs-'))
    const net = await startNode(mesh, number)
    const store = await RealNode.open(home)
    return new RealNode(home, net, store, RealNode.blobs(store, net.bulk, net, init))
  }

  static open(home: string): Promise<Store> {
    return openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home, writeBufferBytes: 4 * mebibyte })
  }

  static blobs(store: Store, bulk: Net['bulk'], net: Net, init: BlobsInit): BlobService {
    const components = { clock: systemClock, random: systemRandom, log: silentLog, routing: net.routing, connections: net, bulk }
    return createBlobs({ ...components, blocks: store.blocks, meta: store.meta('blobs') }, init)
  }

  async reopen(between: () => Promise<void>, init: BlobsInit = {}): Promise<void> {
    await this.store.close()
    await between()
    this.store = await RealNode.open(this.home)
    // The stream protocol is registered with this process's network already, for the store that was closed.
    this.blobs = RealNode.blobs(this.store, { open: (...args) => this.net.bulk.open(...args), register: () => undefined }, this.net, init)
  }
}

describe('blobs over the real store and network', function () {
  this.timeout(60_000)
  const nodes: RealNode[] = []
  const start = async (mesh: FakeMesh, number: number, init?: BlobsInit): Promise<RealNode> => {
    const node = await RealNode.start(mesh, number, init)
    nodes.push(node)
    return node
  }

  afterEach(async () => {
    await stopAll()
    for (const { store, home } of nodes.splice(0)) {
      await store.close()
      await rm(home, { recursive: true, force: true })
    }
  })

  it('puts, finds through the DHT, fetches, reads ranges, and gives the space back', async () => {
    const mesh = new FakeMesh('blobs')
    const [a, b] = [await start(mesh, 1), await start(mesh, 2)]
    await b.net.dial(a.net.addresses()[0]!)
    const bytes = bytesOf(9 * mebibyte + 77)
    const imported = await a.blobs.import(pieces(bytes, 200_000))
    const range = await collect(b.blobs.read(imported.cid, { holders: [a.net.self], offset: 5 * mebibyte - 3, length: 10 }))
    assert.ok(range.equals(bytes.subarray(5 * mebibyte - 3, 5 * mebibyte + 7)))
    const held = await b.blobs.fetch(imported.blobs[0]!)
    assert.equal(held.blocks, 11)
    assert.ok((await collect(b.blobs.read(imported.cid))).equals(bytes))
    // Small ones, many at once.
    const files = await Promise.all(Array.from({ length: 200 }, (_, i) => a.blobs.import(pieces(bytesOf(10_240, i + 100), 10_240))))
    await Promise.all(files.map((file) => b.blobs.fetch(file.blobs[0]!, { holders: [a.net.self] })))
    assert.equal(b.blobs.stats().corruptReceived + b.blobs.stats().framingErrors, 0)
    const folder = await a.blobs.importFolder(files.map(({ cid }, i) => ({ path: `x/${i}`, cid })))
    assert.equal((await all(b.blobs.readFolder(folder.cid, { holders: [a.net.self] }))).length, 201)
    for (const { cid } of [imported, ...files]) await b.blobs.drop(cid)
    await b.store.reclaim()
    assert.equal((await b.store.usage()).liveBytes, 0)
    assert.equal((await b.store.usage()).blocks, 0)
  })

  it('holds and lets go of bytes that are a leaf and a node at once', async () => {
    const [a, b] = [await start(new FakeMesh('blobs'), 1), await start(new FakeMesh('blobs'), 2)]
    await b.net.dial(a.net.addresses()[0]!)
    const add = async (code: number, bytes: Uint8Array): Promise<CID> => {
      const cid = CID.createV1(code, await sha256.digest(bytes))
      const draft = await a.store.blocks.draft(cid.toString())
      await draft.put(cid, bytes)
      await draft.commit([])
      return cid
    }
    const node = (children: CID[], sizes: number[]): Uint8Array =>
      encode({ Data: new UnixFS({ type: 'file', blockSizes: sizes.map(BigInt) }).marshal(), Links: children.map((Hash) => ({ Hash, Name: '', Tsize: 1 })) })
    const leaf = await add(0x55, bytesOf(100))
    const inner = node([leaf], [100])
    const root = await add(0x70, node([await add(0x70, inner), await add(0x55, inner)], [100, inner.length]))
    const held = await b.blobs.fetch({ cid: root, kind: 'dag' }, { holders: [a.net.self] })
    assert.equal(held.blocks, 3)
    assert.ok((await collect(b.blobs.read(root))).equals(Buffer.concat([bytesOf(100), inner])))
    await b.blobs.drop(root)
    assert.equal((await b.store.usage()).blocks, 0)
  })

  it('takes up a fetch after a restart where it broke off', async () => {
    const mesh = new FakeMesh('blobs')
    const [a, b] = [await start(mesh, 1), await start(mesh, 2, { wantedBytesMax: mebibyte })]
    await b.net.dial(a.net.addresses()[0]!)
    const imported = await a.blobs.import(pieces(bytesOf(24 * mebibyte), mebibyte))
    const stop = new AbortController()
    const onProgress = ({ bytes }: { bytes: number }): void => {
      if (bytes > 6 * mebibyte) stop.abort()
    }
    const options = { holders: [a.net.self] }
    await assert.rejects(b.blobs.fetch(imported.blobs[0]!, { ...options, signal: stop.signal, onProgress }), { code: 'ABORTED' })
    await b.reopen(async () => undefined)
    await b.blobs.fetch(imported.blobs[0]!, options)
    assert.ok(b.blobs.stats().fetchedBytes < 20 * mebibyte, String(b.blobs.stats().fetchedBytes))
    assert.ok((await collect(b.blobs.read(imported.cid))).equals(bytesOf(24 * mebibyte)))
  })

  it('finds a byte that was flipped on disk, and heals it from another node', async () => {
    const mesh = new FakeMesh('blobs')
    const settings = { scrubBytesPerSecond: 1e9, scrubRestMs: 50 }
    const [a, b] = [await start(mesh, 1), await start(mesh, 2, settings)]
    await b.net.dial(a.net.addresses()[0]!)
    const bytes = bytesOf(20 * mebibyte)
    const imported = await a.blobs.import(pieces(bytes, mebibyte))
    await b.blobs.fetch(imported.blobs[0]!, { holders: [a.net.self] })
    const found: number[] = []
    await b.reopen(async () => {
      // Two blocks: one by a bit in its middle, one by a bit near its end, wherever LevelDB has put them.
      for (const block of [3, 11]) if (await flipOnDisk(join(b.home, 'logs', 'blocks'), bytes.subarray(block * mebibyte + 4000, block * mebibyte + 4064))) found.push(block)
    }, settings)
    assert.ok(found.length > 0)
    const stop = new AbortController()
    const running = b.blobs.run(stop.signal)
    await until(() => b.blobs.scrub.status().passes >= 1, 20_000)
    stop.abort()
    await running
    assert.ok(b.blobs.scrub.status().corrupt >= found.length)
    assert.equal(b.blobs.scrub.status().healed, b.blobs.scrub.status().corrupt)
    assert.ok((await collect(b.blobs.read(imported.cid))).equals(bytes))
    assert.ok((await all(b.blobs.verify(undefined))).every(({ ok }) => ok))
    assert.equal((await b.store.blocks.quarantined()).length, 0)
  })
})

async function flipOnDisk(folder: string, pattern: Uint8Array): Promise<boolean> {
  for (const name of await readdir(folder)) {
    if (!/\.rows$/.test(name)) continue
    const at = (await readFile(join(folder, name))).indexOf(pattern)
    if (at < 0) continue
    const file = await open(join(folder, name), 'r+')
    await file.write(Uint8Array.of((pattern[0] ?? 0) ^ 1), 0, 1, at)
    await file.close()
    return true
  }
  return false
}
