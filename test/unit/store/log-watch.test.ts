import assert from 'node:assert/strict'
import { appendFile, mkdtemp, open, rm } from 'node:fs/promises'
import { readlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { LogWatch } from '../../../src/store/log-watch.js'

describe('store: log watch', () => {
  let folder = ''
  let watch: LogWatch
  const synced: string[] = []
  let restore = (): void => undefined

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mesh-watch-'))
    watch = new LogWatch(folder)
    synced.length = 0
    const probe = await open(folder, 'r')
    const handles = Object.getPrototypeOf(probe) as { datasync: (this: { fd: number }) => Promise<void> }
    await probe.close()
    const { datasync } = handles
    handles.datasync = async function (this: { fd: number }): Promise<void> {
      synced.push(basename(readlinkSync(`/proc/self/fd/${String(this.fd)}`)))
      await datasync.call(this)
    }
    restore = () => (handles.datasync = datasync)
  })
  afterEach(async () => {
    restore()
    await watch.end()
    await rm(folder, { recursive: true })
  })
  const write = async (log: string): Promise<void> => appendFile(join(folder, log), 'record')

  it('syncs the log that was written, once, and nothing when nothing was', async () => {
    await write('000003.log')
    await watch.begin()
    await watch.sync()
    assert.deepEqual(synced, [])
    await write('000003.log')
    assert.equal(await watch.wrote(), false)
    await watch.sync()
    await watch.sync()
    assert.deepEqual(synced, ['000003.log'])
  })

  it('syncs older logs too when there is a new one, and any between', async () => {
    await write('000003.log')
    await watch.begin()
    await write('000003.log')
    assert.equal(await watch.wrote(), false)
    await write('000007.log')
    await write('000010.log')
    assert.equal(await watch.wrote(), true)
    await watch.sync()
    assert.deepEqual(synced.sort(), ['000003.log', '000007.log', '000010.log'])
    synced.length = 0
    await write('000010.log')
    assert.equal(await watch.wrote(), false)
    await watch.sync()
    assert.deepEqual(synced, ['000010.log'])
  })

  it('notices a new log when nothing but a key was written: an empty block', async () => {
    await write('000003.log')
    await watch.begin()
    await write('000004.log')
    assert.equal(await watch.wrote(0), true)
    await watch.sync()
    assert.deepEqual(synced.sort(), ['000003.log', '000004.log'])
  })

  it('notices that part of a write went into a new log', async () => {
    await write('000003.log')
    await watch.begin()
    await write('000003.log')
    await write('000004.log')
    assert.equal(await watch.wrote(2 * 'record'.length), true)
    await watch.sync()
    assert.deepEqual(synced.sort(), ['000003.log', '000004.log'])
  })

  it('a sync that begins while the new log is being opened does not stand for the next one', async () => {
    await write('000003.log')
    await watch.begin()
    await write('000004.log')
    const wrote = watch.wrote()
    await watch.sync()
    await wrote
    await watch.sync()
    assert.ok(synced.includes('000004.log'))
  })
})
