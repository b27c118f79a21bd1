import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomFillSync } from 'node:crypto'
import { silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { openStore } from '../../../src/store/index.js'
import type { Store } from '../../../src/store/index.js'
import { blockBytes, createReplicaDisk, isWholeRow } from '../../../src/volumes/index.js'
import type { ClosableReplicaDisk } from '../../../src/volumes/index.js'

const mebibyte = 2 ** 20
const kept = { volume: '00112233445566778899aabbccddeeff', segment: 0 }
const removed = { volume: 'ffeeddccbbaa99887766554433221100', segment: 0 }
const none = new Uint8Array(0)

describe('the disk of a replica, on files', function () {
  this.timeout(60_000)
  let home: string
  let store: Store
  let disk: ClosableReplicaDisk
  const sequences = new Map<string, number>()

  async function write(id: typeof kept, start: number, blocks: number, content: 'data' | 'hole'): Promise<void> {
    const sequence = (sequences.get(id.volume) ?? 0) + 1
    sequences.set(id.volume, sequence)
    const bytes = content === 'data' ? randomFillSync(new Uint8Array(blocks * blockBytes)) : none
    assert.equal(await disk.append(id, [{ token: 1, sequence, configuration: 1, start, blocks, content, bytes }]), undefined)
  }

  function mibOnDisk(): number {
    const folder = join(home, 'logs', 'volume-log')
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0) / mebibyte
  }

  /** What a node does by itself, second by second. */
  async function quiet(): Promise<void> {
    for (const [volume, sequence] of sequences) await disk.settled({ volume, segment: 0 }, 1, sequence)
    await disk.checkpoint()
    for (let n = 0; n < 40 && (await disk.compact()); n++);
  }

  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'mesh-disk-space-'))
    store = await openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home })
    disk = await createReplicaDisk({ log: await store.appendLog('volume-log', { isWhole: isWholeRow }), meta: store.meta('volumes'), clock: systemClock, journal: silentLog }, { unitBytesMax: 2 * mebibyte, bytesPerSecond: 1e12 })
  })

  after(async () => {
    await disk.close()
    await store.close()
    rmSync(home, { recursive: true, force: true })
  })

  it('gives back what was trimmed, and what a removed volume had', async () => {
    for (let n = 0; n < 24; n++) {
      await write(kept, n * 256, 256, 'data')
      await write(removed, n * 256, 256, 'data')
    }
    await quiet()
    assert.ok(mibOnDisk() >= 48, `${String(mibOnDisk())} MiB`)
    const { logBytes, metadataBytes, totalBytes } = await store.usage()
    assert.ok(logBytes >= 48 * mebibyte && metadataBytes < mebibyte && logBytes + metadataBytes === totalBytes, `${String(logBytes)} bytes of volumes, ${String(metadataBytes)} of metadata`)
    await write(kept, 4 * 256, 20 * 256, 'hole')
    await quiet()
    assert.equal((await disk.usage()).contentBytes, 28 * mebibyte)
    assert.ok(mibOnDisk() < 28 * 1.5 + 4, `${String(mibOnDisk())} MiB after the trim`)
    await disk.drop(removed)
    await quiet()
    assert.equal((await disk.usage()).contentBytes, 4 * mebibyte)
    assert.ok(mibOnDisk() < 12, `${String(mibOnDisk())} MiB after the removal`)
    assert.equal((await disk.read(kept, { start: 0, blocks: 16 }))[0]?.content, 'data')
    assert.equal((await disk.versions(kept, { start: 4 * 256, blocks: 20 * 256 }))[0]?.content, 'hole')
  })
})
