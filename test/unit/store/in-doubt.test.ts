import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { AppendFiles } from '../../../src/store/append-log.js'
import { BlockLog } from '../../../src/store/block-log.js'
import { mapKey } from '../../../src/store/bytes.js'
import { Database } from '../../../src/store/database.js'
import { StoredDraft } from '../../../src/store/draft.js'
import { HeldBlocks } from '../../../src/store/held.js'
import { openLogFolder } from '../../../src/store/log-folder.js'
import { Lookups } from '../../../src/store/lookups.js'
import { decodeGarbage } from '../../../src/store/records.js'
import { recover, within } from '../../../src/store/recovery.js'
import { rows, Transactions } from '../../../src/store/transactions.js'
import { StoreError } from '../../../src/store/index.js'
import { block } from './support.js'

interface Parts {
  readonly meta: Database
  readonly log: BlockLog
  readonly transactions: Transactions
  readonly draft: StoredDraft
}

/** A store in its parts, with one draft, so that each can be spoilt. */
async function inParts(work: (parts: Parts) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'mesh-store-'))
  const settings = { compression: false, writeBufferBytes: 4 * 2 ** 20, fileBytes: 4 * 2 ** 20, cacheBytes: 2 ** 20, reopenFreeBytes: 0 }
  const blocks = new Database({ clock: systemClock, log: silentLog }, { ...settings, folder: join(home, 'blocks') })
  const meta = new Database({ clock: systemClock, log: silentLog }, { ...settings, folder: join(home, 'meta') })
  let files: AppendFiles | undefined
  try {
    await meta.open()
    await blocks.open()
    files = await AppendFiles.open({ random: systemRandom, log: silentLog, folder: await openLogFolder({ clock: systemClock }, join(home, 'logs')), admit: async () => Promise.resolve(() => undefined) }, { isWhole: () => true })
    const { ledger } = await recover({ blocks, files, meta, log: silentLog })
    const log = new BlockLog({ clock: systemClock, database: blocks, files }, { sequenceNext: ledger.sequenceNext, mappedBytesMax: 2 ** 26, queuedBytesMax: 2 ** 24, groupBytesMax: 2 ** 22, onActive: () => undefined })
    const transactions = new Transactions({ database: meta, log, lookups: new Lookups({ database: meta }) }, { ledger })
    const held = new HeldBlocks()
    const draft = new StoredDraft(
      { database: meta, log, held, transactions, admit: async () => () => undefined },
      { id: 'd', marked: false, memoryBlocksMax: 100, memoryBlocksOfAllMax: 100, onEnd: () => undefined },
    )
    await work({ meta, log, transactions, draft })
  } finally {
    await files?.close()
    await blocks.close()
    await meta.close()
    await rm(home, { recursive: true, force: true })
  }
}

describe('store: a batch that failed and is on the disk all the same', () => {
  it('does not make garbage of what it put there, when its draft is given up', async () => {
    await inParts(async ({ meta, transactions, draft }) => {
      await draft.put(block(1).cid, block(1).bytes)
      const write = meta.writeDurably.bind(meta)
      meta.writeDurably = async (work) => {
        meta.writeDurably = write
        await write(work)
        throw new StoreError('DISK', 'fdatasync: input/output error')
      }
      await assert.rejects(draft.commit([]), { code: 'DISK' })
      await draft.abort()
      const key = mapKey(block(1).cid.multihash.bytes)
      const entry = (await transactions.readEntries([key])).get(key)
      assert.equal(entry?.references, 1)
      const garbage = await meta.read(async (level) => level.iterator(within(rows.garbage)).all())
      assert.deepEqual(garbage.map(([at, value]) => decodeGarbage(at.slice(rows.garbage.length), value).sequence), [])

      // The same for bytes that a failed call leaves behind as an orphan.
      transactions.orphan({ sequence: entry.sequence, size: entry.size, codec: 0x55, multihash: block(1).cid.multihash.bytes })
      await transactions.run({ durable: true, operations: [] })
      assert.equal((await meta.read(async (level) => level.iterator(within(rows.garbage)).all())).length, 0)
    })
  })
})

describe('store: what is put while a draft is flushed', () => {
  for (const size of [1000, 300_000]) {
    it(`is synced before it is said to be committed: blocks of ${String(size)} bytes`, async () => {
      await inParts(async ({ log, transactions, draft }) => {
        const [first, second] = [block(1, size), block(2, size)]
        const secondKey = mapKey(second.cid.multihash.bytes)
        await draft.put(first.cid, first.bytes)
        const sync = log.sync.bind(log)
        let isSecondWritten = false
        let isSecondSynced = false
        log.sync = async () => {
          const covers = isSecondWritten
          await sync()
          // The disk takes its time, and the next block comes meanwhile.
          if (!isSecondWritten) await draft.put(second.cid, second.bytes)
          isSecondWritten = true
          isSecondSynced ||= covers
        }
        await draft.flush()
        assert.equal(isSecondWritten, true)
        assert.equal((await transactions.readEntries([secondKey])).has(secondKey), isSecondSynced)
        await draft.commit([])
        assert.equal((await transactions.readEntries([secondKey])).get(secondKey)?.references, 1)
        assert.equal(isSecondSynced, true)
      })
    })
  }
})
