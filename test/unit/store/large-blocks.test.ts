import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { AppendFiles } from '../../../src/store/append-log.js'
import { BlockLog } from '../../../src/store/block-log.js'
import type { BlockPlace } from '../../../src/store/block-log.js'
import { Database } from '../../../src/store/database.js'
import { isWholeBlock } from '../../../src/store/hashing.js'
import { blockKey } from '../../../src/store/records.js'
import type { Block } from './support.js'
import { block } from './support.js'
import { TornDisk } from './torn-disk.js'

describe('store: large blocks', function () {
  this.timeout(30_000)

  it('of which a sync told are there after a loss of power, and the mark is above none that may be lost', async () => {
    const home = await mkdtemp(join(tmpdir(), 'mesh-large-'))
    const database = new Database({ clock: systemClock, log: silentLog }, { folder: join(home, 'blocks'), compression: false, writeBufferBytes: 2 ** 22, fileBytes: 2 ** 22, cacheBytes: 2 ** 20, reopenFreeBytes: 0 })
    await database.open()
    try {
      const first = Number(process.env['SEED'] ?? systemRandom.below(2 ** 30))
      for (let seed = first; seed < first + 20; seed++) {
        const random = seededRandom(seed)
        const disk = new TornDisk(random)
        const open = async (): Promise<AppendFiles> =>
          AppendFiles.open({ random, log: silentLog, folder: disk.folder(), admit: async () => Promise.resolve(() => undefined) }, { isWhole: isWholeBlock })
        const log = new BlockLog(
          { clock: systemClock, database, files: await open() },
          { sequenceNext: (seed - first) * 1e9 + 1, mappedBytesMax: 2 ** 26, queuedBytesMax: 2 ** 26, groupBytesMax: 2 ** 22, onActive: () => undefined },
        )
        const all: { place: BlockPlace; one: Block }[] = []
        const synced: { place: BlockPlace; one: Block }[] = []
        const put = async (): Promise<{ place: BlockPlace; one: Block }> => {
          const one = block(random.below(12), random.below(3) === 0 ? 1000 : 140_000)
          const { place, written } = log.append(0x55, one.cid.multihash.bytes, one.bytes)
          await written
          log.indexed(place.sequence)
          all.push({ place, one })
          return { place, one }
        }
        let mark = 0
        for (let round = 0; round < 3; round++) {
          const some = await Promise.all(Array.from({ length: 1 + random.below(6) }, put))
          await log.sync()
          synced.push(...some)
          if (random.below(3) === 0) await log.flush()
          await Promise.all(Array.from({ length: random.below(3) }, put))
          mark = log.mark
        }
        disk.losePower()
        const files = await open()
        // A start looks at nothing that is not above the mark.
        for (const { place, one } of all) {
          if (one.bytes.length < 2 ** 17 || (place.sequence > mark && !synced.some((other) => other.place === place))) continue
          const found = await files.get(blockKey(place.sequence, place.codec, place.multihash))
          assert.ok(found !== undefined && Buffer.compare(found, one.bytes) === 0, `seed ${String(seed)}: block ${String(place.sequence)} of ${String(mark)}`)
        }
        await files.close()
      }
    } finally {
      await database.close()
      await rm(home, { recursive: true, force: true })
    }
  })
})
