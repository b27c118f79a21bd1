import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { seededRandom, silentLog, systemClock } from '../../../src/base/index.js'
import { importOldLog } from '../../../src/store/append-import.js'
import { AppendFiles } from '../../../src/store/append-log.js'
import type { LogFolder } from '../../../src/store/log-folder.js'
import { blockBytes, createReplicaDisk, isWholeRow } from '../../../src/volumes/index.js'
import type { ClosableReplicaDisk } from '../../../src/volumes/index.js'
import { MemoryDatabase, MemorySlice } from '../volumes/disk-store.js'
import { components, openHome } from './support.js'
import { TornDisk } from './torn-disk.js'

const prefix = Uint8Array.from(Buffer.from('v:'))
const id = (segment: number): { volume: string; segment: number } => ({ volume: '00112233445566778899aabbccddeeff', segment })

async function writeLevel(folder: string, rows: Iterable<readonly [Uint8Array, Uint8Array]>): Promise<void> {
  const level = new Level<Uint8Array, Uint8Array>(folder, { keyEncoding: 'view', valueEncoding: 'view', compression: false })
  for (const [key, value] of rows) await level.put(Buffer.concat([prefix, key]), value)
  await level.put(Buffer.from('w:other'), Buffer.from('is of nobody'))
  await level.close()
}

async function write(disk: ClosableReplicaDisk, first: number, last: number): Promise<void> {
  for (let sequence = first; sequence <= last; sequence++) {
    for (const segment of [0, 1]) {
      const bytes = new Uint8Array(2 * blockBytes).fill(sequence + segment)
      assert.equal(await disk.append(id(segment), [{ start: 2 * sequence, blocks: 2, token: 1, sequence, configuration: 1, content: 'data', bytes }]), undefined)
    }
  }
}

async function check(disk: ClosableReplicaDisk, last: number): Promise<void> {
  for (const segment of [0, 1]) {
    assert.equal(await disk.streamEnd(id(segment), 1), last)
    for (const data of await disk.read(id(segment), { start: 2, blocks: 2 * last })) {
      for (let i = 0; i < data.blocks; i++) {
        const expected = Math.floor((data.start + i) / 2) + segment
        assert.ok(data.bytes.subarray(i * blockBytes, (i + 1) * blockBytes).every((byte) => byte === expected))
      }
    }
  }
}

describe('the log of volumes as it was in LevelDB', () => {
  let home = ''

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'mesh-import-'))
  })

  afterEach(async () => {
    await rm(home, { recursive: true, force: true })
  })

  it('is there in the files, with all volumes\' content, and is gone itself', async function () {
    this.timeout(30_000)
    const before = await openHome(home)
    const log = new MemoryDatabase()
    const settings = { unitBytesMax: 100_000 }
    const written = await createReplicaDisk({ log: new MemorySlice(log), meta: before.meta('volumes'), clock: systemClock, journal: silentLog }, settings)
    await write(written, 1, 20)
    await written.checkpoint()
    await write(written, 21, 40)
    await written.sync()
    await before.close()
    await writeLevel(join(home, 'appended'), [...log.rows].map(([key, value]) => [Buffer.from(key, 'hex'), value] as const))
    for (const last of [40, 41]) {
      const store = await openHome(home)
      const disk = await createReplicaDisk({ log: await store.appendLog('volume-log', { isWhole: isWholeRow }), meta: store.meta('volumes'), clock: systemClock, journal: silentLog }, settings)
      if (last > 40) await write(disk, last, last)
      await check(disk, last)
      await disk.close()
      await store.close()
      assert.ok(!existsSync(join(home, 'appended')) && !existsSync(join(home, 'appended.done')))
    }
  })

  it('begins anew, or is done, wherever it is ended', async function () {
    this.timeout(60_000)
    const made = join(home, 'made')
    const rows = Array.from({ length: 60 }, (_, i) => {
      const key = Buffer.alloc(28, 3)
      key.writeBigUInt64BE(BigInt(Math.floor(i / 20) * 65_536 + (i % 20)))
      return [key, Buffer.alloc(30_000, i + 1)] as const
    })
    await writeLevel(made, rows)
    for (let calls = 1; calls < 40; calls += 3) {
      const random = seededRandom(calls)
      const torn = new TornDisk(random)
      const init = (folder: LogFolder): Parameters<typeof importOldLog>[1] => ({
        home, prefix, folder,
        open: async () => AppendFiles.open({ folder, random, log: silentLog, admit: async () => () => undefined }, { isWhole: () => true }),
      })
      await cp(made, join(home, 'appended'), { recursive: true })
      await importOldLog(components, init(endingAfter(torn.folder(), calls))).catch((error: unknown) => {
        assert.ok(error instanceof Error && error.message === 'it ended')
      })
      if (calls % 2 === 0) torn.crash()
      else torn.losePower()
      const folder = torn.folder()
      await importOldLog(components, init(folder))
      assert.ok(!existsSync(join(home, 'appended')) && !existsSync(join(home, 'appended.done')))
      torn.losePower()
      const files = await init(torn.folder()).open()
      let count = 0
      for await (const [key, value] of files.entries()) {
        assert.deepEqual([Buffer.from(key), Buffer.from(value)], rows[count])
        count++
      }
      assert.equal(count, rows.length, `ended after ${String(calls)} calls`)
      await files.close()
    }
  })
})

/** As many calls of the folder and its files as this; from then on none is done. */
function endingAfter(folder: LogFolder, calls: number): LogFolder {
  let left = calls
  const counted = <Target extends object>(target: Target): Target => new Proxy(target, {
    get(on, name): unknown {
      const found: unknown = Reflect.get(on, name)
      if (typeof found !== 'function' || name === 'close') return typeof found === 'function' ? (...parts: unknown[]): unknown => Reflect.apply(found, on, parts) : found
      return (...parts: unknown[]): unknown => {
        if (left-- <= 0) throw new Error('it ended')
        const result: unknown = Reflect.apply(found, on, parts)
        return name === 'open' ? (result as Promise<object>).then(counted) : result
      }
    },
  })
  return counted(folder)
}
