import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { filesBelow } from '../../../src/cli/folder-files.js'

describe('files of a folder that is put', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-folder-'))
  after(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  const found = async (): Promise<{ files: string[]; told: string[] }> => {
    const files: string[] = []
    const told: string[] = []
    for await (const one of filesBelow(folder)) {
      if ('skipped' in one) told.push(`${one.full.slice(folder.length + 1)}: ${one.skipped}`)
      else if ('why' in one) told.push(`${one.path}: ${one.why}`)
      else files.push(one.path)
    }
    return { files, told }
  }

  it('of two whose names differ in their form of Unicode only, one is told and not put over the other', async () => {
    mkdirSync(join(folder, 'deep'))
    writeFileSync(join(folder, 'deep', '\u00e9'), 'one')
    writeFileSync(join(folder, 'deep', 'e\u0301'), 'the other')
    writeFileSync(join(folder, 'deep', 'e'), 'a third')
    symlinkSync('/', join(folder, 'all'))
    const { files, told } = await found()
    // Some disks keep one form only, and have one file.
    const isTwo = readdirSync(join(folder, 'deep')).length === 3
    assert.equal(files.length, 2)
    assert.deepEqual(told, ['all: a symbolic link', ...(isTwo ? ['deep/\u00e9: another file beside it has the same name, written in another form of Unicode'] : [])])
  })

  it('a folder by a name that is no UTF-8 keeps nothing else from being found', async function () {
    try {
      mkdirSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff])]))
    } catch {
      // Other systems than Linux have no such names.
      return
    }
    const { files, told } = await found()
    assert.equal(files.length, 2)
    assert.ok(told.some((line) => line.endsWith('its name is no UTF-8')), told.join())
  })
})
