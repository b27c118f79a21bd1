import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inPlaceSha256, sha256, sha256Many } from '../../../src/blobs/hashing.js'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const expected = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe('blobs: hashing', () => {
  let folder = ''
  let library = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mesh-hashing-'))
    library = join(folder, 'sha256.node')
    const source = join(import.meta.dirname, '../../../src/blobs/sha256.c')
    if (process.platform === 'linux') spawnSync('cc', ['-O2', '-shared', '-fPIC', '-o', library, source])
  })
  after(async () => rm(folder, { recursive: true, force: true }))

  it('is that of the bytes, of whatever size, many at once', async () => {
    // Where there is no compiler, or no Linux, WebCrypto does it; so it does in the second round.
    const inPlace = inPlaceSha256(library)
    assert.equal(inPlace !== undefined, existsSync(library))
    const whole = randomBytes(2 ** 20)
    const parts = [0, 1, 63, 64, 65_535, 65_536, 300_001, whole.length].map((size) => whole.subarray(whole.length - size))
    for (const hashed of [inPlace?.sha256 ?? sha256, sha256]) {
      const digests = await Promise.all(parts.map(async (part) => hashed(part)))
      assert.deepEqual(digests.map(hex), parts.map(expected))
    }
    for (const list of [parts, parts.slice(0, 3), []]) {
      const inARow = await inPlace?.sha256Many(list)
      if (inARow !== undefined) assert.equal(hex(inARow), list.map(expected).join(''))
      assert.deepEqual((await sha256Many(list)).map(hex), list.map(expected))
    }
  })

  it('holds on to the bytes while it is at work', async () => {
    const inPlace = inPlaceSha256(library)
    const hashed = inPlace?.sha256 ?? sha256
    const hashedMany = inPlace?.sha256Many ?? (async (list: readonly Uint8Array[]) => Buffer.concat(await sha256Many(list)))
    const at = Array.from({ length: 64 }, (_, i) => i)
    // Nobody else has these: only the hash keeps them from being collected.
    const digests = await Promise.all(at.map(async (i) => hashed(new Uint8Array(2 ** 18).fill(i))))
    assert.deepEqual(digests.map(hex), at.map((i) => expected(new Uint8Array(2 ** 18).fill(i))))
    const lists = await Promise.all(at.map(async (i) => hashedMany([i, i + 1].map((one) => new Uint8Array(2 ** 17).fill(one)))))
    assert.deepEqual(lists.map(hex), at.map((i) => [i, i + 1].map((one) => expected(new Uint8Array(2 ** 17).fill(one))).join('')))
  })

  it('refuses what is no bytes', async () => {
    const inPlace = inPlaceSha256(library)
    if (inPlace === undefined) return
    for (const what of [undefined, 'text', [1, 2], new ArrayBuffer(8), new Uint16Array(8)]) {
      await assert.rejects(async () => inPlace.sha256(what as never), TypeError)
      await assert.rejects(async () => inPlace.sha256Many([new Uint8Array(8), what as never]), TypeError)
    }
    await assert.rejects(async () => inPlace.sha256([new Uint8Array(8)] as never), TypeError)
    for (const what of [undefined, 'text', new Uint8Array(8)]) await assert.rejects(async () => inPlace.sha256Many(what as never), TypeError)
  })

  it('does without a library that is not there, or is none', async () => {
    assert.equal(inPlaceSha256(join(folder, 'nowhere.node')), undefined)
    const rubbish = join(folder, 'rubbish.node')
    await writeFile(rubbish, 'not a library')
    assert.equal(inPlaceSha256(rubbish), undefined)
  })
})
