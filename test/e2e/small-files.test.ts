import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually, World } from './harness.js'
import type { TestNode } from './harness.js'

/** Small files of which many go into one write; a few share their content. */
const filesInFolder = 150
const lives = 2

function contentOf(name: string): Buffer {
  const number = Number(/\d+$/.exec(name)?.[0] ?? 0)
  const seed = createHash('sha256').update(number % 17 === 0 ? 'the same' : name).digest()
  return Buffer.concat(Array.from({ length: 1 + (number % 60) }, (_, i) => createHash('sha256').update(seed).update(String(i)).digest()))
}

async function* folder(name: string): AsyncGenerator<{ path: string; size: number; content: Uint8Array }> {
  for (let i = 0; i < filesInFolder; i++) {
    await Promise.resolve()
    const content = contentOf(`${name}/${String(i)}`)
    yield { path: String(i), size: content.length, content }
  }
}

/** Everything below the root, by path, as it is read. Fails for a file that is not what was put there. */
async function allOf(node: TestNode): Promise<Set<string>> {
  const paths = new Set<string>()
  for await (const { path, content } of node.client().getFolder('/')) {
    const chunks = []
    for await (const chunk of content) chunks.push(chunk)
    assert.ok(Buffer.concat(chunks).equals(contentOf(path)), `${path} is not what was put there`)
    paths.add(path)
  }
  return paths
}

describe('many small files', function () {
  this.timeout(120_000)
  const world = new World()
  after(async () => world.close())

  it('are all there or not, whenever the node is killed; and what was acknowledged is, on another node too', async () => {
    const a = await world.start('a')
    const whole = new Set<string>()
    let put = 0
    for (let life = 0; life < lives; life++) {
      const killer = { acts: false }
      const killing = delay(80 + 250 * life).then(async () => {
        killer.acts = true
        await a.kill()
      })
      for (;;) {
        const name = `f${String(put++)}`
        try {
          const result = await a.client().putFolder(`/${name}`, folder(name), { replicas: 1 })
          assert.deepEqual([result.files, result.failed], [filesInFolder, []])
          whole.add(name)
        } catch (error) {
          if (!killer.acts) throw error
          break
        }
      }
      await killing
      await a.start()
      const there = await allOf(a)
      for (const name of whole) for (let i = 0; i < filesInFolder; i++) assert.ok(there.has(`${name}/${String(i)}`), `${name}/${String(i)} was acknowledged and is gone`)
    }
    // What was cut off can be put again, over what of it is there.
    for (let number = 0; number < put; number++) await a.client().putFolder(`/f${String(number)}`, folder(`f${String(number)}`), { replicas: 1 })
    const { files } = await a.client().stat('/')
    assert.equal(files, put * filesInFolder)
    for await (const { ok } of a.client().verify()) assert.ok(ok)
    const b = await world.join('b', a)
    await eventually(async () => (await b.client().stat('/')).files === files, 'the catalog to spread')
    assert.equal((await allOf(b)).size, files)
  })
})
