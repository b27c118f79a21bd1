import assert from 'node:assert/strict'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { BlobRecords } from '../../../src/blobs/records.js'
import type { HeldBlob } from '../../../src/blobs/index.js'
import { MemoryKeyValue } from '../../unit/catalog/memory-key-value.js'
import { cidOf } from '../../unit/catalog/world.js'

const cids = ['a', 'b', 'c'].map((name) => CID.parse(cidOf(name)))
const held = (cid: CID): HeldBlob => ({ cid, kind: 'dag', bytes: 1000, blocks: 2, heldSinceMs: 1.7e12 })
/** The rows by their first letter, and a look at each that must not throw. */
const tables = ['h', 'p', 'd', 's'] as const

async function all(records: BlobRecords): Promise<string[]> {
  const found = []
  for await (const one of records.list()) {
    assert.ok(Number.isSafeInteger(one.bytes) && Number.isSafeInteger(one.heldSinceMs))
    found.push(one.cid.toString())
  }
  return found
}

describe('blobs: rows that are damaged on the disk', () => {
  it('are as good as none, and the others are what they were', async () => {
    const change = fc.record({ table: fc.constantFrom(...tables), inKey: fc.boolean(), kind: fc.constantFrom('set', 'cut', 'be'), at: fc.nat(), bytes: fc.uint8Array({ minLength: 1, maxLength: 50 }) })
    await fc.assert(
      fc.asyncProperty(change, async ({ table, inKey, kind, at, bytes }) => {
        const meta = new MemoryKeyValue()
        const records = new BlobRecords(meta)
        await records.write(cids.flatMap((cid) => [records.putHeld(held(cid)), records.putProvisional(cid), records.putDropping({ ref: { cid, kind: 'dag' }, released: 7 })]))
        await records.setScrubbedTo(cids[0]!)
        const rows: (readonly [Uint8Array, Uint8Array])[] = []
        for await (const [key, value] of meta.entries()) if (String.fromCharCode(key[0] ?? 0) === table) rows.push([Uint8Array.from(key), value])
        const [key, value] = rows[0]!
        // The letter is what finds the row at all.
        const old = inKey ? key.subarray(1) : value
        const harmed = kind === 'be' ? bytes : kind === 'cut' ? old.subarray(0, at % (old.length + 1)) : Uint8Array.from(old, (byte, i) => (i === at % old.length ? (bytes[0] ?? 0) : byte))
        await meta.write([meta.del(key), inKey ? meta.put(Buffer.concat([key.subarray(0, 1), harmed]), value) : meta.put(key, harmed)])

        const sound = cids.map(String).filter((cid) => table === 's' || !Buffer.from(CID.parse(cid).bytes).equals(Buffer.from(key.subarray(1))))
        const [listed, provisional, dropping] = [await all(records), (await records.provisional()).map(String), (await records.allDropping()).map(({ ref }) => ref.cid.toString())]
        for (const cid of sound) {
          assert.ok(listed.includes(cid) && provisional.includes(cid) && dropping.includes(cid))
          assert.deepEqual(await records.held(CID.parse(cid)), held(CID.parse(cid)))
        }
        for (const cid of cids) {
          await records.held(cid)
          await records.dropping(cid)
        }
        await records.scrubbedTo()
        // Held anew, it is there again.
        await records.write(cids.map((cid) => records.putHeld(held(cid))))
        for (const cid of cids) assert.deepEqual(await records.held(cid), held(cid))
      }),
      { numRuns: 500 },
    )
  })
})
