import assert from 'node:assert/strict'
import { seededRandom, silentLog } from '../../../src/base/index.js'
import { AppendFiles } from '../../../src/store/append-log.js'
import type { LogFile, LogFolder } from '../../../src/store/log-folder.js'
import { TornDisk } from './torn-disk.js'

/** Lets calls of files wait, by what they are and of which file. */
class Held {
  readonly #held = new Map<string, (() => void)[]>()

  constructor(readonly disk: TornDisk) {}

  /** The next calls of this kind wait until they are let go. */
  hold(what: string): void {
    this.#held.set(what, [])
  }

  waiting(what: string): number {
    return this.#held.get(what)?.length ?? 0
  }

  letGo(what: string): void {
    const waiting = this.#held.get(what) ?? []
    this.#held.delete(what)
    for (const go of waiting) go()
  }

  async #pass(what: string): Promise<void> {
    const waiting = this.#held.get(what)
    if (waiting !== undefined) await new Promise<void>((resolve) => waiting.push(resolve))
  }

  folder(): LogFolder {
    const folder = this.disk.folder()
    return { ...folder, open: async (name, options) => this.#file(name.slice(11, 12), await folder.open(name, options)) }
  }

  #file(name: string, file: LogFile): LogFile {
    return {
      read: async (target, position) => file.read(target, position).then(async (bytes) => this.#pass(`read ${name}`).then(() => bytes)),
      readNow: () => false,
      write: async (bytes, position) => {
        const size = bytes instanceof Uint8Array ? bytes.length : bytes.reduce((sum, piece) => sum + piece.length, 0)
        await this.#pass(bytes instanceof Uint8Array && size === 256 * 1024 ? 'zeroes' : size > 256 * 1024 ? 'large' : `write ${name}`)
        await file.write(bytes, position)
      },
      sync: async () => {
        await this.#pass(`sync ${name}`)
        await file.sync()
      },
      truncate: async (bytes) => file.truncate(bytes), bytes: async () => file.bytes(), close: async () => file.close(),
    }
  }
}

function keyOf(unit: number, row: number): Buffer {
  const key = Buffer.alloc(28)
  key.writeBigUInt64BE(BigInt(unit * 65_536 + row))
  return key
}

async function turns(count = 500): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve()
}

describe('the log in files', () => {
  let held: Held
  let files: AppendFiles
  let admit: (bytes: number) => Promise<() => void>

  async function open(): Promise<void> {
    files = await AppendFiles.open({ folder: held.folder(), random: seededRandom(1), log: silentLog, admit: async (bytes) => admit(bytes) }, { isWhole: () => true })
  }

  async function write(unit: number, row: number, bytes = 100): Promise<void> {
    await files.write([files.put(keyOf(unit, row), Buffer.alloc(bytes, row + 1))])
  }

  async function check(unit: number, row: number, bytes = 100): Promise<void> {
    const value = await files.get(keyOf(unit, row))
    assert.ok(value !== undefined && Buffer.alloc(bytes, row + 1).equals(value), `row ${String(row)}`)
  }

  /** So many small syncs that zeroes are written behind the one that is under way. */
  async function nearlyPrepared(): Promise<{ synced: Promise<void> }> {
    for (let row = 0; row < 7; row++) {
      await write(0, row)
      await files.sync()
    }
    await write(0, 7)
    held.hold('sync 0')
    const synced = files.sync()
    await turns()
    return { synced }
  }

  beforeEach(async () => {
    held = new Held(new TornDisk(seededRandom(1)))
    admit = async () => () => undefined
    await open()
  })

  it('syncs what came to a file after its last sync began, also when another one is written to by then', async () => {
    await write(0, 0)
    held.hold('sync 0')
    const first = files.sync()
    await turns()
    await write(0, 1)
    await write(1, 0)
    held.letGo('sync 0')
    held.hold('sync 0')
    await first
    let isDone = false
    const second = files.sync().then(() => {
      isDone = true
    })
    await turns()
    assert.equal(isDone, false)
    held.letGo('sync 0')
    await second
    await files.close()
  })

  it('has no more files open than it should, however many are read at once', async () => {
    for (let unit = 0; unit < 160; unit++) await write(unit, 0)
    await files.close()
    await open()
    const keys = Array.from({ length: 160 }, (_, unit) => keyOf(unit, 0))
    for (let time = 0; time < 2; time++) {
      assert.ok((await files.getMany(keys)).every((value) => value?.length === 100))
      await turns(2000)
      assert.ok(held.disk.openFiles <= 130, `${String(held.disk.openFiles)} files are open`)
    }
    await files.close()
    assert.equal(held.disk.openFiles, 0)
    assert.deepEqual(held.disk.violations, [])
  })

  it('waits with closing for who reads', async () => {
    await write(0, 0)
    held.hold('read 0')
    const reading = files.get(keyOf(0, 0))
    await turns()
    let isClosed = false
    const closing = files.close().then(() => {
      isClosed = true
    })
    await turns()
    assert.equal(isClosed, false)
    held.letGo('read 0')
    assert.equal((await reading)?.length, 100)
    await closing
    assert.deepEqual(held.disk.violations, [])
    await assert.rejects(files.get(keyOf(0, 0)))
    assert.equal(held.disk.openFiles, 0)
  })

  it('never writes zeroes ahead of the rows over rows', async () => {
    const { synced } = await nearlyPrepared()
    held.hold('large')
    held.hold('zeroes')
    const large = write(0, 8, 900 * 1024)
    await turns()
    held.letGo('sync 0')
    await synced
    await turns()
    assert.equal(held.waiting('zeroes'), 1, 'they are written beside it')
    held.letGo('large')
    await large
    held.letGo('zeroes')
    await turns(3000)
    await check(0, 8, 900 * 1024)
    // And rows do not come to where zeroes are being written.
    let row = 9
    for (; row < 60 && held.waiting('zeroes') === 0; row++) {
      held.hold('zeroes')
      await write(0, row, 100 * 1024)
      await files.sync()
      await turns()
    }
    assert.equal(held.waiting('zeroes'), 1)
    const rows = Array.from({ length: 12 }, async (_, i) => write(0, row + i, 100 * 1024))
    await turns(3000)
    held.letGo('zeroes')
    await Promise.all(rows)
    for (let one = 9; one < row + 12; one++) await check(0, one, 100 * 1024)
    await files.close()
  })

  it('does not wait for room that waits for it', async () => {
    let admitted = 0
    const waiting: (() => void)[] = []
    admit = async (bytes) => {
      // As a store does that is nearly full: until nothing is on its way any more.
      if (bytes >= 1024 * 1024) while (admitted > 0) await new Promise<void>((resolve) => waiting.push(resolve))
      admitted++
      return () => {
        admitted--
        for (const wake of waiting.splice(0)) wake()
      }
    }
    const { synced } = await nearlyPrepared()
    held.hold('write 0')
    const slow = write(0, 8)
    await turns()
    held.letGo('sync 0')
    await synced
    await turns()
    assert.equal(waiting.length, 1, 'room for zeroes is waited for')
    const large = write(0, 9, 600 * 1024)
    await turns()
    held.letGo('write 0')
    await Promise.all([slow, large])
    await check(0, 9, 600 * 1024)
    await files.close()
  })

  it('keeps what is appended behind a batch that was cut in its middle, after a kill and a loss of power', async () => {
    const rows = async (...numbers: number[]): Promise<void> => files.write(numbers.map((row) => files.put(keyOf(0, row), Buffer.alloc(100, row + 1))))
    for (let seed = 1; seed <= 16; seed++) {
      held = new Held(new TornDisk(seededRandom(seed)))
      await open()
      await rows(0, 1, 2, 3)
      await files.sync()
      await files.erase(keyOf(0, 2).subarray(0, 8), keyOf(1, 0).subarray(0, 8))
      await rows(5, 6, 7)
      await rows(8)
      await files.sync()
      if (seed > 1) held.disk.losePower()
      else held.disk.crash()
      await open()
      for (const row of [0, 1, 5, 6, 7, 8]) await check(0, row)
      assert.equal(await files.get(keyOf(0, 2)), undefined)
      assert.deepEqual(held.disk.violations, [])
      await files.close()
    }
  })
})
