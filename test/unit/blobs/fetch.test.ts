import assert from 'node:assert/strict'
import { CarReader } from '@ipld/car'
import { encode } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { identity } from 'multiformats/hashes/identity'
import { create as createDigest } from 'multiformats/hashes/digest'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { systemClock } from '../../../src/base/index.js'
import type { Imported } from '../../../src/blobs/index.js'
import { MemoryNetwork, type Faults } from '../../simulation/blobs/twins.js'
import { all, bytesOf, collect, gate, makeNode, pieces, quick, until, type TestNode } from '../../simulation/blobs/world.js'

async function put(node: TestNode, bytes: Uint8Array): Promise<Imported> {
  return node.blobs.import(pieces(bytes, 5000))
}

async function fetchAll(node: TestNode, imported: Imported, holders: TestNode[]): Promise<void> {
  for (const ref of imported.blobs) await node.blobs.fetch(ref, { holders: holders.map(({ id }) => id) })
}

describe('blobs: fetch', () => {
  it('brings a file over, blob by blob, through one stream, and announces it', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const bytes = bytesOf(70_000)
    const imported = await put(a, bytes)
    await fetchAll(b, imported, [a])
    for (const { cid } of imported.blobs) {
      assert.deepEqual({ ...(await b.blobs.held(cid)), heldSinceMs: 0 }, { ...(await a.blobs.held(cid)), heldSinceMs: 0 })
    }
    assert.ok((await collect(b.blobs.read(imported.cid))).equals(bytes))
    assert.equal(network.streams, 1)
    assert.equal(network.lookups, 0)
    await until(() => network.providers.get(imported.cid.toString())?.has(b.id) === true)
    assert.equal(b.blocks.draftBlocks.size, 0)
    assert.equal(b.blobs.stats().inFlightBytesNow, 0)
  })

  it('lends the content of a blob of one block to who fetches it, and to who watches it being sent', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const bytes = bytesOf(900)
    const small = await put(a, bytes)
    const large = await put(a, bytesOf(3000))
    const came: Buffer[] = []
    const went: Buffer[] = []
    const stops = [small, large].map(({ cid }) => a.blobs.whenServed(cid, (content) => { went.push(Buffer.from(content)) }))
    const fetched = async (ref: { cid: CID; kind: 'dag' | 'spine' }): Promise<void> => {
      await b.blobs.fetch(ref, { holders: [a.id], onContent: (content) => { came.push(Buffer.from(content)) } })
    }
    for (const { blobs } of [small, large]) for (const ref of blobs) await fetched(ref)
    assert.deepEqual([came, went], [[bytes], [bytes]].map((all) => all.map((one) => Buffer.from(one))))
    // What is here does not come in again, and nobody is told any more.
    await fetched({ cid: small.cid, kind: 'dag' })
    for (const stop of stops) stop()
    await b.blobs.drop(small.cid)
    await fetched({ cid: small.cid, kind: 'dag' })
    assert.deepEqual([came.length, went.length], [2, 1])
  })

  it('finds holders in the DHT when it is given none', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const imported = await put(a, bytesOf(3000))
    await until(() => network.providers.size > 0)
    await fetchAll(b, imported, [])
    assert.ok(network.lookups > 0)
  })

  it('says NO_HOLDERS when nobody has it, whoever is asked', async () => {
    const network = new MemoryNetwork()
    const [a, b, c] = [makeNode(network, 1), makeNode(network, 2), makeNode(network, 3)]
    const { cid } = await put(c, bytesOf(3000))
    network.providers.clear()
    await assert.rejects(b.blobs.fetch({ cid, kind: 'dag' }), { code: 'NO_HOLDERS' })
    await assert.rejects(b.blobs.fetch({ cid, kind: 'dag' }, { holders: [a.id, b.id] }), { code: 'NO_HOLDERS' })
    await assert.rejects(collect(b.blobs.read(cid)), { code: 'NO_HOLDERS' })
    assert.equal(b.blocks.draftBlocks.size, 0)
  })

  it('says HOLDERS_UNREACHABLE when holders do not answer: no stream, silence, broken off', async () => {
    for (const fault of [
      { unreachable: true },
      { sending: () => new Promise<never>(() => undefined) },
      { sending: () => Promise.reject(new Error('gone')) },
    ] satisfies Faults[]) {
      const network = new MemoryNetwork()
      const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
      const { cid } = await put(a, bytesOf(3000))
      network.faults.set(a.id, fault)
      await assert.rejects(b.blobs.fetch({ cid, kind: 'dag' }), { code: 'HOLDERS_UNREACHABLE' })
      assert.equal(b.blobs.stats().inFlightBytesNow, 0)
    }
  })

  it('what has rotted at one holder comes from another, though each of them has something that has', async () => {
    const network = new MemoryNetwork()
    const [a, b, me, other] = [makeNode(network, 1), makeNode(network, 2), makeNode(network, 3), makeNode(network, 4)]
    const bytes = bytesOf(3500)
    const imported = await put(a, bytes)
    await put(b, bytes)
    assert.equal(imported.blobs.length, 1)
    const leaves = [...a.blocks.bytes.keys()].map((key) => CID.parse(key)).filter((cid) => cid.code === raw.code)
    const [first, second] = [leaves[0]!, leaves.at(-1)!]
    a.blocks.flip(first)
    b.blocks.flip(second)
    await fetchAll(me, imported, [a, b])
    assert.ok((await collect(me.blobs.read(imported.cid))).equals(bytes))
    // What is rotten everywhere is told as such.
    me.blocks.flip(first)
    b.blocks.flip(first)
    await assert.rejects(fetchAll(other, imported, [a, b, me]), { code: 'CORRUPT' })
  })

  it('never writes a corrupt block, says CORRUPT, and asks that holder last from then on', async () => {
    const network = new MemoryNetwork()
    const [a, b, c] = [makeNode(network, 1), makeNode(network, 2), makeNode(network, 3)]
    const bytes = bytesOf(3500)
    const imported = await put(a, bytes)
    const leaf = [...a.blocks.bytes.keys()].map((key) => CID.parse(key)).find((cid) => cid.code === raw.code)!
    a.blocks.flip(leaf)
    await assert.rejects(b.blobs.fetch(imported.blobs[0]!), { code: 'CORRUPT' })
    assert.equal(await b.blocks.has(leaf), false)
    assert.equal(b.blobs.stats().corruptReceived, 1)
    assert.equal(b.blobs.stats().avoidedNow, 1)
    // The good part was kept, and a good holder ends it.
    assert.ok(b.blocks.bytes.size > 0)
    await put(c, bytes)
    const before = b.blobs.stats().fetchedBlocks
    await b.blobs.fetch(imported.blobs[0]!, { holders: [a.id, c.id] })
    assert.ok((await collect(b.blobs.read(imported.cid))).equals(bytes))
    assert.ok(b.blobs.stats().fetchedBlocks - before < 5, 'what was here was not fetched again')
    assert.equal(b.blobs.stats().corruptReceived, 1)
  })

  it('closes the stream of a holder that breaks framing, and counts it', async () => {
    for (const garble of [
      (parts: Uint8Array[]) => [Buffer.alloc(8, 0xff), ...parts],
      (parts: Uint8Array[]) => [Buffer.from([0, 0, 0, 3, 0, 0, 0, 0, 1, 2, 3]), ...parts],
      () => [Buffer.from([0, 0, 0, 2, 0, 0, 0, 0, 8, 99])],
    ]) {
      const network = new MemoryNetwork()
      const [a, b, c] = [makeNode(network, 1), makeNode(network, 2), makeNode(network, 3)]
      const bytes = bytesOf(9000)
      const imported = await put(a, bytes)
      network.faults.set(a.id, { sending: async (parts) => garble(parts) })
      await assert.rejects(b.blobs.fetch(imported.blobs[0]!), { code: 'HOLDERS_UNREACHABLE' })
      assert.equal(b.blobs.stats().framingErrors, 1)
      assert.equal(b.blobs.stats().avoidedNow, 1)
      assert.equal(b.blobs.stats().inFlightBytesNow, 0)
      await put(c, bytes)
      await fetchAll(b, imported, [a, c])
    }
  })

  it('goes on where it was after a break, even after a restart', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const imported = await put(a, bytesOf(4096))
    const ref = imported.blobs[0]!
    let total = 0
    network.faults.set(a.id, {
      sending: async (parts) => {
        for (const part of parts) total += part.length
        if (total > 3000) throw new Error('gone')
        return parts
      },
    })
    await assert.rejects(b.blobs.fetch(ref), { code: 'HOLDERS_UNREACHABLE' })
    const kept = b.blocks.bytes.size
    assert.ok(kept > 0)
    network.faults.clear()
    b.blocks.restart()
    const after = makeNode(network, 2, quick, b)
    const held = await after.blobs.fetch(ref)
    assert.equal(held.blocks, 5)
    assert.equal(after.blobs.stats().fetchedBlocks, 5 - kept)
  })

  it('waits for a holder whose connection went in the middle, and goes on when it is back', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2, { ...quick, returnMs: 5_000 })]
    const bytes = bytesOf(8192)
    const imported = await put(a, bytes)
    let total = 0
    network.faults.set(a.id, {
      sending: async (parts) => {
        for (const part of parts) total += part.length
        if (total > 3000) network.cut(a.id)
        return parts
      },
    })
    const fetched = fetchAll(b, imported, [a])
    let hasEnded = false
    const ended = (): void => { hasEnded = true }
    fetched.then(ended, ended)
    // Whoever else has it was asked for, in vain: without the wait this is the end.
    await until(() => network.lookups > 0)
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(hasEnded, false)
    network.mend(a.id)
    await fetched
    assert.ok((await collect(b.blobs.read(imported.cid))).equals(bytes))
  })

  it('does not wait for ever for a holder whose connection went', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2, { ...quick, returnMs: 100 })]
    const first = await put(a, bytesOf(5000))
    const second = await put(a, bytesOf(6000))
    await fetchAll(b, first, [a])
    network.cut(a.id)
    await assert.rejects(fetchAll(b, second, [a]), { code: 'HOLDERS_UNREACHABLE' })
    assert.equal(b.blobs.stats().inFlightBytesNow, 0)
  })

  it('does not wait at all for one that never answered', async () => {
    const network = new MemoryNetwork()
    // The test's own time limit comes before this.
    const [a, b] = [makeNode(network, 1), makeNode(network, 2, { ...quick, returnMs: 3_600_000 })]
    const imported = await put(a, bytesOf(2000))
    network.cut(a.id)
    await assert.rejects(fetchAll(b, imported, [a]), { code: 'HOLDERS_UNREACHABLE' })
  })

  it('is not held up by a slow holder, and takes most from the fast one', async () => {
    const network = new MemoryNetwork()
    const wide = { ...quick, profile: { chunkBytes: 1024, linksMax: 200 }, wantedBytesMax: 16_384, stallMs: 20_000 }
    const [slow, fast, b] = [makeNode(network, 1, wide), makeNode(network, 2, wide), makeNode(network, 3, wide)]
    const bytes = bytesOf(200 * 1024)
    const imported = await put(slow, bytes)
    await put(fast, bytes)
    network.faults.set(slow.id, {
      sending: async (parts) => {
        await new Promise((resolve) => setTimeout(resolve, 300))
        return parts
      },
    })
    const startMs = performance.now()
    await b.blobs.fetch(imported.blobs[0]!, { holders: [slow.id, fast.id] })
    const elapsedMs = performance.now() - startMs
    assert.ok(elapsedMs < 3000, `${elapsedMs} ms; alone the slow one takes 15 s`)
    assert.ok(fast.blobs.stats().servedBlocks > 150)
    assert.ok((await collect(b.blobs.read(imported.cid))).equals(bytes))
  })

  it('asks two good holders for disjoint parts', async () => {
    const network = new MemoryNetwork()
    const wide = { ...quick, profile: { chunkBytes: 1024, linksMax: 400 }, wantedBytesMax: 16_384 }
    const [a, c, b] = [makeNode(network, 1, wide), makeNode(network, 2, wide), makeNode(network, 3, wide)]
    const bytes = bytesOf(400 * 1024)
    const imported = await put(a, bytes)
    await put(c, bytes)
    for (const { id } of [a, c]) {
      network.faults.set(id, {
        sending: async (parts) => {
          await new Promise((resolve) => setTimeout(resolve, 2))
          return parts
        },
      })
    }
    await b.blobs.fetch(imported.blobs[0]!, { holders: [a.id, c.id] })
    const served = [a, c].map((node) => node.blobs.stats().servedBlocks)
    assert.ok(Math.min(...served) > 50, String(served))
    assert.ok(served[0]! + served[1]! < 401 + 40, `few blocks twice: ${String(served)}`)
  })

  it('leaves a second holder alone while the first brings more than a line carries', async () => {
    const bytes = bytesOf(20 * 2 ** 20)
    /** Blocks that the second of two holders is asked for, at so many ms a block of 256 KiB. */
    const askedOfSecond = async (msPerBlock: number): Promise<number> => {
      const network = new MemoryNetwork()
      const wide = { ...quick, profile: { chunkBytes: 2 ** 18, linksMax: 1024 }, wantedBytesMax: 2 ** 20, fetchBytesInFlightMax: 2 ** 21 }
      let nowMs = 0
      // Time goes by with what is sent, and with nothing else: on any machine the same.
      const clock = { ...systemClock, monotonicMs: () => nowMs }
      const [a, c, b] = [makeNode(network, 1, wide), makeNode(network, 2, wide), makeNode(network, 3, wide, undefined, clock)]
      const imported = await put(a, bytes)
      await put(c, bytes)
      for (const { id } of [a, c]) {
        network.faults.set(id, {
          sending: async (parts) => {
            nowMs += (msPerBlock * parts.reduce((sum, part) => sum + part.length, 0)) / 2 ** 18
            return parts
          },
        })
      }
      await b.blobs.fetch(imported.blobs[0]!, { holders: [a.id, c.id] })
      return Math.min(...[a, c].map((node) => node.blobs.stats().servedBlocks))
    }
    assert.equal(await askedOfSecond(2), 0)
    assert.ok((await askedOfSecond(4)) > 5)
  })

  it('runs many small fetches through one stream, each blob once', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const files = await Promise.all(Array.from({ length: 500 }, (_, i) => put(a, bytesOf(100 + i, i))))
    const both = [...files, ...files]
    await Promise.all(both.map(({ blobs }) => b.blobs.fetch(blobs[0]!, { holders: [a.id] })))
    assert.equal(network.streams, 1)
    assert.equal(a.blobs.stats().servedBlocks, 500)
  })

  it('ends when the last caller has gone, and not before', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const imported = await put(a, bytesOf(4000))
    const hold = gate()
    network.faults.set(a.id, {
      sending: async (parts) => {
        await hold.opened
        return parts
      },
    })
    const [one, two] = [new AbortController(), new AbortController()]
    const first = b.blobs.fetch(imported.blobs[0]!, { signal: one.signal })
    const second = b.blobs.fetch(imported.blobs[0]!, { signal: two.signal })
    await until(() => network.streams === 1)
    one.abort()
    await assert.rejects(first, { code: 'ABORTED' })
    hold.open()
    assert.equal((await second).blocks, 5)
    await b.blobs.drop(imported.cid)
    const never = gate()
    network.faults.set(a.id, { sending: () => never.opened.then(() => []) })
    const third = b.blobs.fetch(imported.blobs[0]!, { signal: two.signal })
    two.abort()
    await assert.rejects(third, { code: 'ABORTED' })
    // The next one starts anew, after the abandoned one has ended.
    network.faults.clear()
    await b.blobs.fetch(imported.blobs[0]!)
  })

  it('refuses names it cannot trust', async () => {
    const { blobs } = makeNode(new MemoryNetwork(), 1)
    const digest = await sha256.digest(bytesOf(5))
    const bad = [
      CID.createV1(raw.code, identity.digest(bytesOf(5))),
      CID.createV1(0x71, digest),
      CID.createV1(raw.code, await sha512.digest(bytesOf(5))),
      CID.createV0(digest),
    ]
    for (const cid of bad) {
      for (const ask of [
        () => blobs.fetch({ cid, kind: 'dag' }),
        () => collect(blobs.read(cid)),
        () => blobs.blobsOf(cid),
        () => all(blobs.readFolder(cid)),
        () => blobs.drop(cid),
        () => collect(blobs.exportCar(cid)),
        () => all(blobs.verify(cid)),
      ]) {
        await assert.rejects(ask, { code: 'BAD_CID' }, cid.toString())
      }
    }
  })

  it('refuses DAGs that lie or are too large, and keeps nothing of them', async () => {
    const network = new MemoryNetwork()
    const [evil, b] = [makeNode(network, 1), makeNode(network, 2)]
    const draft = await evil.blocks.draft('evil')
    const add = async (code: number, bytes: Uint8Array): Promise<CID> => {
      const cid = CID.createV1(code, await sha256.digest(bytes))
      await draft.put(cid, bytes)
      return cid
    }
    const node = async (children: CID[], sizes: bigint[]): Promise<CID> =>
      add(0x70, encode({ Data: new UnixFS({ type: 'file', blockSizes: sizes }).marshal(), Links: children.map((Hash) => ({ Hash, Name: '', Tsize: 1 })) }))
    const leaf = await add(raw.code, bytesOf(100))
    const holders = [evil.id]
    // 2^40 paths over 40 blocks: walked once each, and too deep.
    let bomb = leaf
    for (let i = 0; i < 40; i++) bomb = await node([bomb, bomb], [0n, 0n])
    // More bytes below than a blob may have, and it says there are fewer.
    const many: CID[] = []
    for (let i = 0; i < 10; i++) many.push(await add(raw.code, bytesOf(2 ** 20, i)))
    const large = await node(many, many.map(() => 10n))
    const notUnixfs = await add(0x70, encode({ Data: bytesOf(9), Links: [] }))
    const notDagPb = await add(0x70, Buffer.from([255, 255, 255]))
    const identityLink = await node([CID.createV1(raw.code, identity.digest(bytesOf(5)))], [5n])
    const sizes = await node([leaf], [100n, 100n])
    for (const cid of [bomb, large, notUnixfs, notDagPb, identityLink, sizes]) {
      await assert.rejects(b.blobs.fetch({ cid, kind: 'dag' }, { holders }), { code: 'BAD_CID' }, cid.toString())
    }
    const liar = await node([leaf, leaf], [50n, 150n])
    await assert.rejects(collect(b.blobs.read(liar, { holders })), { code: 'CORRUPT' })
    await assert.rejects(collect(b.blobs.read(liar, { holders, offset: 60, length: 10 })), { code: 'CORRUPT' })
    await assert.rejects(b.blobs.fetch({ cid: liar, kind: 'spine' }, { holders }), { code: 'BAD_CID' })
    await b.blobs.drop(liar)
    assert.equal(b.blocks.bytes.size, 0)
    assert.equal(b.blocks.draftBlocks.size, 0)
  })
})

describe('blobs: what is below a root', () => {
  it('follows blocks and not paths: a few that lead to each other thousands of times are soon done', async function () {
    this.timeout(20_000)
    const { blobs, blocks } = makeNode(new MemoryNetwork(), 1)
    const draft = await blocks.draft('crafted')
    const add = async (code: number, bytes: Uint8Array): Promise<CID> => {
      const cid = CID.createV1(code, await sha256.digest(bytes))
      await draft.put(cid, bytes)
      return cid
    }
    const claimed = 2n ** 40n
    const file = async (children: CID[], size: bigint): Promise<CID> =>
      add(0x70, encode({ Data: new UnixFS({ type: 'file', blockSizes: children.map(() => size) }).marshal(), Links: children.map((Hash) => ({ Hash, Name: '', Tsize: 1 })) }))
    const leaf = await add(raw.code, bytesOf(100))
    // 500^10 paths over ten nodes, all of them above blobs, as they say.
    let spine = await file([leaf], 100n)
    for (let i = 0; i < 10; i++) spine = await file(Array.from({ length: 500 }, () => spine), claimed)
    const shard = async (child: CID, slots: number): Promise<CID> =>
      add(0x70, encode({ Data: new UnixFS({ type: 'hamt-sharded-directory', fanout: 256n, hashType: 0x22n }).marshal(), Links: Array.from({ length: slots }, (_, i) => ({ Hash: child, Name: i.toString(16).toUpperCase().padStart(2, '0'), Tsize: 1 })) }))
    let folder = await add(0x70, encode({ Data: new UnixFS({ type: 'hamt-sharded-directory', fanout: 256n, hashType: 0x22n }).marshal(), Links: [{ Hash: leaf, Name: '00a', Tsize: 100 }] }))
    for (let i = 0; i < 10; i++) folder = await shard(folder, 256)
    // And one that is only long: more parts than any file has.
    const parts = await Promise.all(Array.from({ length: 40 }, async (_, i) => file(Array.from({ length: 7000 }, (_, k) => CID.createV1(raw.code, createDigest(sha256.code, Buffer.from((i * 7000 + k).toString().padStart(32, '0'))))), 1n)))
    const long = await file(parts, claimed)
    await draft.commit([])
    assert.equal((await blobs.blobsOf(spine)).length, 2)
    for (const cid of [folder, long]) await assert.rejects(blobs.blobsOf(cid), { code: cid === folder ? 'CORRUPT' : 'BAD_CID' })
    await assert.rejects(all(blobs.readFolder(folder)), { code: 'CORRUPT' })
  })
})

describe('blobs: read', () => {
  it('reads ranges of a remote file, fetching only what they need and keeping nothing', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const bytes = bytesOf(300_000)
    const { cid } = await put(a, bytes)
    const before = a.blobs.stats().servedBlocks
    const part = await collect(b.blobs.read(cid, { holders: [a.id], offset: 150_000, length: 2000 }))
    assert.ok(part.equals(bytes.subarray(150_000, 152_000)))
    assert.ok(a.blobs.stats().servedBlocks - before <= 10, String(a.blobs.stats().servedBlocks - before))
    assert.equal(b.blocks.bytes.size, 0)
    // Holders of each blob are found by that blob's name.
    assert.ok((await collect(b.blobs.read(cid, { offset: 299_999 }))).equals(bytes.subarray(299_999)))
  })

  it('keeps what it fetches for a whole read, and streams it as it comes', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const bytes = bytesOf(100_000)
    const imported = await put(a, bytes)
    assert.ok((await collect(b.blobs.read(imported.cid))).equals(bytes))
    for (const { cid } of imported.blobs) assert.ok((await b.blobs.held(cid)) !== undefined)
    const small = await put(a, bytesOf(200))
    await collect(b.blobs.read(small.cid))
    assert.ok((await b.blobs.held(small.cid)) !== undefined)
    assert.equal(b.blocks.draftBlocks.size, 0)
  })

  it('reads through a full disk, keeping nothing', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const bytes = bytesOf(50_000)
    const imported = await put(a, bytes)
    b.blocks.bytesMax = 6000
    assert.ok((await collect(b.blobs.read(imported.cid))).equals(bytes))
    const small = await put(a, bytesOf(900, 7))
    b.blocks.bytesMax = b.blocks.total()
    assert.equal((await collect(b.blobs.read(small.cid))).length, 900)
    await assert.rejects(b.blobs.fetch(small.blobs[0]!), { code: 'NO_SPACE' })
  })

  it('stops fetching when the reader leaves', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const imported = await put(a, bytesOf(100_000))
    const never = gate()
    network.faults.set(a.id, {
      sending: async (parts, sent) => {
        if (sent > 20_000) await never.opened
        return parts
      },
    })
    for await (const part of b.blobs.read(imported.cid)) {
      assert.ok(part.length > 0)
      break
    }
    assert.ok(a.blobs.stats().servedBytes < 80_000, String(a.blobs.stats().servedBytes))
    assert.equal(await b.blobs.held(imported.cid), undefined)
    // What was being verified when the reader left is let go a turn later.
    await until(() => b.blobs.stats().inFlightBytesNow === 0)
  })

  it('a reader that keeps up is given what comes from memory, and nothing is read back from the disk', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const bytes = bytesOf(100_000)
    const imported = await put(a, bytes)
    const readBefore = b.blocks.reads
    assert.ok((await collect(b.blobs.read(imported.cid))).equals(bytes))
    assert.ok(b.blocks.reads - readBefore < 40, `${b.blocks.reads - readBefore} blocks were read from the disk`)
  })

  it('refuses ranges that are none', async () => {
    const { blobs } = makeNode(new MemoryNetwork(), 1)
    const { cid } = await blobs.import(pieces(bytesOf(100)))
    for (const range of [{ offset: -1 }, { offset: 101 }, { offset: 0.5 }, { length: -1 }, { offset: Number.NaN }]) {
      await assert.rejects(collect(blobs.read(cid, range)), { code: 'BAD_RANGE' }, JSON.stringify(range))
    }
    assert.equal((await collect(blobs.read(cid, { offset: 100 }))).length, 0)
    assert.equal((await collect(blobs.read(cid, { offset: 90, length: 1000 }))).length, 10)
    assert.equal((await collect(blobs.read(cid, { length: 0 }))).length, 0)
    const folder = await blobs.importFolder([{ path: 'a', cid }])
    await assert.rejects(collect(blobs.read(folder.cid)), { code: 'BAD_CID' })
  })

  it('exports a CAR that its own reader reads back, from here and from afar', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const file = await put(a, bytesOf(20_000))
    const folder = await a.blobs.importFolder([{ path: 'x/a', cid: file.cid }, { path: 'b', cid: file.cid }])
    const far = await collect(b.blobs.exportCar(folder.cid))
    const near = await collect(a.blobs.exportCar(folder.cid))
    assert.ok(far.equals(near))
    const reader = await CarReader.fromBytes(near)
    assert.deepEqual((await reader.getRoots()).map(String), [folder.cid.toString()])
    const blocks = await all(reader.blocks())
    assert.equal(blocks.length, a.blocks.bytes.size)
    for (const { cid, bytes } of blocks) assert.deepEqual(Buffer.from((await sha256.digest(bytes)).digest), Buffer.from(cid.multihash.digest))
    for await (const part of a.blobs.exportCar(folder.cid)) {
      assert.ok(part.length > 0)
      break
    }
    network.providers.clear()
    const c = makeNode(network, 3)
    await assert.rejects(collect(c.blobs.exportCar(folder.cid)), { code: 'NO_HOLDERS' })
    await assert.rejects(c.blobs.exportCar(folder.cid)[Symbol.asyncIterator]().next(), { code: 'NO_HOLDERS' }, 'before a single byte')
  })
})

describe('blobs: verify and scrub', () => {
  it('finds a flipped bit anywhere and heals it from another holder', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const bytes = bytesOf(30_000)
    const imported = await put(a, bytes)
    await fetchAll(b, imported, [a])
    assert.ok((await all(a.blobs.verify(undefined))).every(({ ok }) => ok))
    for (const key of [...a.blocks.bytes.keys()]) a.blocks.flip(CID.parse(key))
    const results = await all(a.blobs.verify(undefined))
    assert.ok(results.every(({ ok, healed }) => !ok && healed), JSON.stringify(results.find(({ healed }) => !healed)))
    assert.ok((await collect(a.blobs.read(imported.cid))).equals(bytes))
    assert.equal((await a.blocks.quarantined()).length, 0)
  })

  it('tells what it cannot heal', async () => {
    const network = new MemoryNetwork()
    const a = makeNode(network, 1)
    const imported = await put(a, bytesOf(3000))
    a.blocks.flip(CID.parse([...a.blocks.bytes.keys()][0]!))
    const results = await all(a.blobs.verify(imported.cid))
    const bad = results.filter(({ ok }) => !ok)
    assert.equal(bad.length, 1)
    assert.match(bad[0]!.error ?? '', /changed.*nobody/)
    assert.equal(bad[0]!.healed, false)
  })

  it('never hands out a flipped bit: a read is healed on the way, or fails', async () => {
    const network = new MemoryNetwork()
    const [a, b] = [makeNode(network, 1), makeNode(network, 2)]
    const bytes = bytesOf(9000)
    const imported = await put(a, bytes)
    await fetchAll(b, imported, [a])
    const leaf = [...a.blocks.bytes.keys()].map((key) => CID.parse(key)).find((cid) => cid.code === raw.code)!
    a.blocks.flip(leaf)
    assert.ok((await collect(a.blobs.read(imported.cid))).equals(bytes))
    assert.equal(await a.blocks.verify(leaf), true)
    network.providers.clear()
    a.blocks.flip(leaf)
    await assert.rejects(collect(a.blobs.read(imported.cid)), { code: 'NO_HOLDERS' })
  })

  it('scrubs in passes, pauses, and goes on where it was', async () => {
    const network = new MemoryNetwork()
    const settings = { ...quick, scrubRestMs: 10, scrubBytesPerSecond: 1e7 }
    const [a, b] = [makeNode(network, 1, settings), makeNode(network, 2)]
    const imported = await put(a, bytesOf(30_000))
    await fetchAll(b, imported, [a])
    a.blocks.flip(CID.parse([...a.blocks.bytes.keys()][3]!))
    a.blobs.scrub.pause()
    const stop = new AbortController()
    const running = a.blobs.run(stop.signal)
    await until(() => a.blobs.scrub.status().state === 'paused')
    assert.equal(a.blobs.scrub.status().blocks, 0)
    a.blobs.scrub.resume()
    await until(() => a.blobs.scrub.status().passes >= 2)
    assert.equal(a.blobs.scrub.status().corrupt, 1)
    assert.equal(a.blobs.scrub.status().healed, 1)
    stop.abort()
    await running
    assert.ok((await all(a.blobs.verify(undefined))).every(({ ok }) => ok))
  })
})
