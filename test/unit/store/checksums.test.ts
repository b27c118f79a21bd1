import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { accelerateChecksums } from '../../../src/store/checksums.js'

interface Written {
  log: string
  table: string
  calls?: number
}

describe('checksums by the processor', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mesh-checksums-'))
  })
  after(async () => rm(folder, { recursive: true, force: true }))

  /** What a process of its own writes, with the library or without. */
  async function written(name: string, library?: string): Promise<Written> {
    const home = join(folder, name)
    await mkdir(home)
    const writer = join(import.meta.dirname, 'checksums-writer.ts')
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', writer, home, ...(library === undefined ? [] : [library])])
    return JSON.parse(stdout) as Written
  }

  it('makes the very files that LevelDB makes by itself', async () => {
    const library = join(folder, 'crc32c.node')
    const source = join(import.meta.dirname, '../../../src/store/crc32c.c')
    // Where there is no compiler, or no Linux, LevelDB goes its own way in both.
    if (process.platform === 'linux') spawnSync('cc', ['-O2', '-shared', '-fPIC', '-o', library, source])
    const [alone, helped] = await Promise.all([written('alone'), written('helped', library)])
    assert.deepEqual([helped.log, helped.table], [alone.log, alone.table])
    assert.match(alone.log, /^1 /)
    assert.match(alone.table, /^1 /)
    const isFast = existsSync(library) && (process.arch === 'x64' || process.arch === 'arm64')
    assert.equal((helped.calls ?? 0) > 100, isFast, `LevelDB asked ${String(helped.calls)} times`)
  }).timeout(60_000)

  it('does without a library that is not there, or is none', async () => {
    assert.equal(accelerateChecksums(join(folder, 'nowhere.node')), undefined)
    const rubbish = join(folder, 'rubbish.node')
    await writeFile(rubbish, 'not a library')
    assert.equal(accelerateChecksums(rubbish), undefined)
  })
})
