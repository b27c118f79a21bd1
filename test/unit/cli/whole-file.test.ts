import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeWhole } from '../../../src/cli/whole-file.js'

async function* bytesOf(...parts: string[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield Buffer.from(part)
}

async function* broken(): AsyncIterable<Uint8Array> {
  yield Buffer.from('half')
  throw new Error('the connection broke')
}

describe('a file that is written whole', () => {
  let folder: string
  let target: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mesh-whole-'))
    target = join(folder, 'target')
  })
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  it('takes the place of what was there only when it is whole', async () => {
    writeFileSync(target, 'old')
    await assert.rejects(writeWhole(target, broken(), undefined), /the connection broke/)
    await assert.rejects(writeWhole(target, bytesOf('new'), 4), { code: 'CORRUPT' })
    assert.equal(readFileSync(target, 'utf8'), 'old')
    assert.equal(await writeWhole(target, bytesOf('n', 'ew'), 3), 3)
    assert.equal(readFileSync(target, 'utf8'), 'new')
    assert.deepEqual(readdirSync(folder), ['target'])
  })

  it('goes where a link leads, with the permissions of what was there', async function () {
    if (process.platform === 'win32') this.skip()
    writeFileSync(target, 'old', { mode: 0o600 })
    const link = join(folder, 'link')
    symlinkSync('target', link)
    await writeWhole(link, bytesOf('new'), undefined)
    assert.ok(lstatSync(link).isSymbolicLink())
    assert.equal(readFileSync(target, 'utf8'), 'new')
    assert.equal(statSync(target).mode & 0o777, 0o600)
    chmodSync(target, 0o444)
    await writeWhole(target, bytesOf('newer'), undefined)
    assert.equal(statSync(target).mode & 0o777, 0o444)
  })

  it('leaves a pipe or a device what it is', async function () {
    if (process.platform === 'win32') this.skip()
    execFileSync('mkfifo', [target])
    const reader = spawn('cat', [target], { stdio: ['ignore', 'pipe', 'inherit'] })
    let read = ''
    reader.stdout.on('data', (chunk: Buffer) => (read += chunk.toString('utf8')))
    assert.equal(await writeWhole(target, bytesOf('through ', 'it'), undefined), 10)
    await new Promise((resolve) => reader.once('close', resolve))
    assert.equal(read, 'through it')
    assert.ok(lstatSync(target).isFIFO())
    assert.deepEqual(readdirSync(folder), ['target'])
    assert.equal(await writeWhole('/dev/null', bytesOf('nothing'), undefined), 7)
    assert.ok(statSync('/dev/null').isCharacterDevice())
  })

  it('says in words where it cannot be', async () => {
    mkdirSync(target)
    await assert.rejects(writeWhole(target, bytesOf('x'), undefined), { code: 'CANNOT_WRITE', message: `${target} is a folder` })
    writeFileSync(join(folder, 'file'), '')
    const below = join(folder, 'file', 'below')
    await assert.rejects(writeWhole(below, bytesOf('x'), undefined), { code: 'CANNOT_WRITE', message: `${below} cannot be written: a part of the way there is a file and no folder` })
    const long = join(folder, 'x'.repeat(300))
    await assert.rejects(writeWhole(long, bytesOf('x'), undefined), { code: 'CANNOT_WRITE', message: `${long} cannot be written: the name is too long for this disk` })
    assert.deepEqual(readdirSync(folder).sort(), ['file', 'target'])
  })
})
