import assert from 'node:assert/strict'
import { exporter } from 'ipfs-unixfs-exporter'
import type { BlobRef, HeldBlob, SpreadImport } from '../../../src/blobs/index.js'
import { MemoryNetwork } from '../../simulation/blobs/twins.js'
import { all, bytesOf, collect, makeNode, pieces } from '../../simulation/blobs/world.js'

/** Two leaves of 1 KiB a blob, where four are usual. */
function spreadIn(blobs: HeldBlob[], more: Partial<SpreadImport> = {}): SpreadImport {
  return {
    blobBytes: 2048,
    onBlob: async (blob) => {
      blobs.push(blob)
    },
    beforeEnd: async () => undefined,
    ...more,
  }
}

describe('blobs: a file that is spread while it comes in', () => {
  for (const bytes of [3 * 1024, 4 * 1024 + 1, 20 * 1024 - 7, 300 * 1024]) {
    it(`of ${String(bytes)} bytes has small blobs under one root, and reads as any file does, here, elsewhere and with other tools`, async () => {
      const network = new MemoryNetwork()
      const { blobs, blocks } = makeNode(network, 1)
      const far = makeNode(network, 2)
      const content = bytesOf(bytes)
      const done: HeldBlob[] = []
      const imported = await blobs.import(pieces(content), { spread: spreadIn(done) })
      assert.equal(imported.blobs.filter(({ kind }) => kind === 'dag').length, Math.ceil(bytes / 2048))
      assert.deepEqual(imported.blobs.at(-1)?.kind, 'spine')
      assert.deepEqual(done.map(({ cid }) => cid.toString()), imported.blobs.slice(0, -1).map(({ cid }) => cid.toString()))
      const names = (refs: readonly BlobRef[]): string[] => refs.map(({ cid, kind }) => `${kind} ${cid.toString()}`)
      assert.deepEqual(names(await far.blobs.blobsOf(imported.cid)), names(imported.blobs))
      assert.ok((await collect(blobs.read(imported.cid))).equals(content))
      const from = Math.floor(bytes / 3)
      assert.ok((await collect(far.blobs.read(imported.cid, { offset: from, length: 1500 }))).equals(content.subarray(from, from + 1500)))
      assert.ok((await collect(far.blobs.read(imported.cid))).equals(content))
      assert.deepEqual((await all(far.blobs.list())).length, imported.blobs.length, 'a whole read keeps all of it')
      const entry = await exporter(imported.cid, { get: async (cid) => blocks.get(cid) })
      assert.ok(entry.type === 'file')
      assert.ok((await collect(entry.content())).equals(content))
      for (const { cid } of imported.blobs) await blobs.drop(cid)
      assert.deepEqual(await all(blobs.list()), [])
    })
  }

  it('is whole although its blobs were dropped here before the end; the record is asked for after that', async () => {
    const network = new MemoryNetwork()
    const near = makeNode(network, 1)
    const far = makeNode(network, 2)
    const content = bytesOf(30 * 1024)
    const order: string[] = []
    const done: HeldBlob[] = []
    const imported = await near.blobs.import(pieces(content), {
      spread: spreadIn(done, {
        onBlob: async (blob) => {
          await far.blobs.fetch(blob)
          await near.blobs.drop(blob.cid)
        },
        beforeEnd: async (refs) => {
          order.push(`${String(refs.length)} blobs`)
        },
      }),
      operations: async () => {
        order.push('record')
        return []
      },
    })
    assert.deepEqual(order, ['16 blobs', 'record'])
    // The last is complete together with the file.
    assert.ok((await all(near.blobs.list())).length <= 2)
    assert.ok((await collect(near.blobs.read(imported.cid))).equals(content))
  })

  for (const [before, bytes] of [[0, 9], [1, 9], [3, 10], [4, 9], [6, 30], [9, 31], [40, 41]] as const) {
    it(`of ${String(bytes)} KiB, which turns out to be too large after ${String(before)}, ends the blob it is at, and is told of those before`, async () => {
      const network = new MemoryNetwork()
      const { blobs } = makeNode(network, 1)
      const far = makeNode(network, 2)
      const content = bytesOf(bytes * 1024)
      const done: HeldBlob[] = []
      let passed = 0
      const spread = spreadIn(done, {
        onBlob: async (blob) => {
          done.push(blob)
          // Each may go at once.
          await far.blobs.fetch(blob)
          await blobs.drop(blob.cid)
        },
      })
      let from: number | undefined
      const source = async function* (): AsyncIterable<Uint8Array> {
        for (; passed < bytes; passed++) {
          if (passed >= before) from ??= passed
          yield content.subarray(passed * 1024, (passed + 1) * 1024)
          await new Promise((resolve) => setImmediate(resolve))
        }
      }
      const imported = await blobs.import(source(), { spread: () => (from === undefined ? undefined : spread) })
      assert.ok((await collect(blobs.read(imported.cid))).equals(content))
      const names = (refs: readonly BlobRef[]): string[] => refs.map(({ cid, kind }) => `${kind} ${cid.toString()}`)
      assert.deepEqual(names(await far.blobs.blobsOf(imported.cid)), names(imported.blobs))
      assert.equal(imported.blobs.at(-1)?.kind, 'spine')
      assert.deepEqual(done.map(({ cid }) => cid.toString()), imported.blobs.slice(0, -1).map(({ cid }) => cid.toString()))
      assert.ok(done.slice(0, -1).every((blob) => blob.bytes <= 5 * 1024))
      // Nothing is left that would be leaned on for ever.
      for (const { cid } of imported.blobs) await blobs.drop(cid)
      assert.deepEqual(await all(blobs.list()), [])
    })
  }

  it('that turns out to be too large leaves nothing here when it breaks off after that', async () => {
    const { blobs } = makeNode(new MemoryNetwork(), 1)
    let late = false
    const source = async function* (): AsyncIterable<Uint8Array> {
      yield bytesOf(9 * 1024)
      await new Promise((resolve) => setImmediate(resolve))
      late = true
      yield bytesOf(9 * 1024, 2)
      throw Object.assign(new Error('gone'), { code: 'NOT_FOUND' })
    }
    const spread = spreadIn([])
    await assert.rejects(blobs.import(source(), { spread: () => (late ? spread : undefined) }))
    assert.deepEqual(await all(blobs.list()), [])
  })

  it('leaves nothing here when it breaks off, or when it is found at the end that something was lost', async () => {
    for (const which of ['onBlob', 'beforeEnd'] as const) {
      const { blobs } = makeNode(new MemoryNetwork(), 1)
      let calls = 0
      const fail = async (): Promise<void> => {
        if (which === 'beforeEnd' || ++calls === 4) throw Object.assign(new Error('lost'), { code: 'NOT_FOUND' })
      }
      await assert.rejects(blobs.import(pieces(bytesOf(30 * 1024)), { spread: spreadIn([], { [which]: fail }) }), { code: 'NOT_FOUND' })
      assert.deepEqual(await all(blobs.list()), [])
    }
  })
})
