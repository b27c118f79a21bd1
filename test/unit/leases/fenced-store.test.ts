import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FencedStore } from '../../../scripts/fenced-store.js'

describe('the fenced store of the examples', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-fenced-'))
  after(() => { rmSync(folder, { recursive: true }) })

  it('takes equal and higher tokens, refuses lower ones, and remembers over a restart', async () => {
    const store = new FencedStore({ folder })
    assert.equal(store.get('a/b'), undefined)
    await store.put('a/b', 5, () => 'five')
    await store.put('a/b', 5, (before) => `${before?.value ?? ''} again`)
    await assert.rejects(store.put('a/b', 4, () => 'late'), { code: 'STALE_TOKEN', current: 5 })
    const reopened = new FencedStore({ folder })
    assert.deepEqual(reopened.get('a/b'), { token: 5, value: 'five again' })
    await assert.rejects(reopened.put('a/b', 1, () => 'late'), { code: 'STALE_TOKEN' })
    await reopened.put('a/b', 9, () => 'nine')
    assert.deepEqual(store.get('a/b'), { token: 9, value: 'nine' })
  })

  it('two holders that both believe in it: nothing of the older one counts once the newer has written', async () => {
    const [old, young] = [new FencedStore({ folder }), new FencedStore({ folder })]
    const written = await Promise.allSettled(Array.from({ length: 40 }, async (_, i) => {
      const isOld = i % 2 === 0
      await (isOld ? old : young).put('count', isOld ? 1 : 2, (before) => String(Number(before?.value ?? 0) + 1))
      return isOld
    }))
    const count = written.filter(({ status }) => status === 'fulfilled').length
    assert.deepEqual(old.get('count'), { token: 2, value: String(count) })
    await assert.rejects(old.put('count', 1, () => 'late'), { code: 'STALE_TOKEN' })
  })
})
