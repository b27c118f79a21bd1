import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { shellWord } from '../../../src/base/index.js'

describe('a word for a shell', () => {
  it('is as it was where nothing in it is special', () => {
    assert.equal(shellWord('/home/ann/.local/share/mesh-node', false), '/home/ann/.local/share/mesh-node')
    assert.equal(shellWord('/home/ann/my disk', false), '\'/home/ann/my disk\'')
    assert.equal(shellWord('C:\\Users\\ann', true), 'C:\\Users\\ann')
    assert.equal(shellWord('C:\\Users\\ann b', true), '"C:\\Users\\ann b"')
  })

  it('comes out as it went in', function () {
    if (process.platform === 'win32') this.skip()
    this.timeout(20_000)
    const texts = fc.array(fc.constantFrom('a', ' ', '\'', '"', '$', '`', '\\', '\n', '*', '~', 'é', '-', '#', ';'), { maxLength: 12 }).map((parts) => parts.join(''))
    fc.assert(fc.property(fc.array(texts, { minLength: 1, maxLength: 20 }), (words) => {
      const shown = execFileSync('sh', ['-c', `printf '%s\\0' ${words.map((word) => shellWord(word, false)).join(' ')}`]).toString('utf8')
      assert.deepEqual(shown.split('\0').slice(0, -1), words)
    }), { numRuns: 30 })
  })
})
