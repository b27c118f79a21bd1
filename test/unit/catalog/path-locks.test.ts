import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { PathLocks } from '../../../src/catalog/path-locks.js'

describe('catalog: locks of paths', () => {
  it('are held by one at a time, whoever wants which, and everybody gets them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.constantFrom('/a', '/b', '/c', '/d'), { maxLength: 6 }), { maxLength: 12 }), fc.array(fc.nat(5), { maxLength: 12 }), async (wanted, waits) => {
        const locks = new PathLocks()
        const held = new Set<string>()
        let done = 0
        await Promise.all(wanted.map(async (paths, i) => {
          const release = await locks.acquire(paths)
          const mine = new Set(paths)
          for (const path of mine) {
            assert.ok(!held.has(path), path)
            held.add(path)
          }
          for (let turn = waits[i] ?? 0; turn > 0; turn--) await Promise.resolve()
          for (const path of mine) held.delete(path)
          release()
          release()
          done++
        }))
        assert.equal(done, wanted.length)
      }),
    )
  })

  it('that were given back twice are not taken from who has them since', async () => {
    const locks = new PathLocks()
    const first = await locks.acquire(['/a', '/b'])
    first()
    const second = await locks.acquire(['/b'])
    first()
    let third = false
    const waiting = locks.acquire(['/a', '/b']).then((release) => {
      third = true
      release()
    })
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(third, false)
    second()
    await waiting
  })
})
