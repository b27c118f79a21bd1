import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { codeOf } from '../../../src/base/index.js'
import { MeshClient, packFolder, readApiFile, unpackFolder } from '../../../src/client/index.js'
import { parseEvents } from '../../../src/client/sse.js'

async function* cut(whole: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (let i = 0; at < whole.length; i++) {
    const size = sizes[i % sizes.length] ?? 1
    yield whole.subarray(at, at + size)
    at += size
    await Promise.resolve()
  }
}

const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 })

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

describe('client: what it reads', () => {
  it('an api.json of any content is one that a client can be made of, or none', () => {
    const home = mkdtempSync(join(tmpdir(), 'mesh-client-'))
    try {
      const text = fc.oneof(fc.string(), fc.constantFrom('', 'x', 'http://', 'http://[', 'ftp://a', '//a', 'http://127.0.0.1:99999', 'http://127.0.0.1:4780', 'a\r\nb'))
      const value = fc.oneof(fc.json(), fc.string({ unit: 'binary' }), fc.record({ pid: fc.oneof(fc.integer(), fc.string()), url: text, token: text }, { requiredKeys: [] }).map((one) => JSON.stringify(one)))
      let read = 0
      fc.assert(fc.property(value, (content) => {
        writeFileSync(join(home, 'api.json'), content)
        const file = readApiFile(home)
        if (file === undefined) return
        read++
        new MeshClient(file).close()
      }), { numRuns: 60 })
      assert.ok(read > 0)
    } finally {
      rmSync(home, { recursive: true, force: true })
    }
  })

  it('events come out as they went in, however the stream is cut, and any bytes are some events or none', async () => {
    const event = fc.record({ name: fc.constantFrom('file', 'peer'), data: fc.json() }, { noNullPrototype: true })
    await fc.assert(fc.asyncProperty(fc.array(event, { maxLength: 4 }), cuts, async (events, sizes) => {
      const whole = Buffer.from(events.map(({ name, data }) => `: beat\n\nevent: ${name}\r\ndata: ${data}\n\n`).join(''))
      assert.deepEqual(await all(parseEvents(cut(whole, sizes))), events)
    }))
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), cuts, async (bytes, sizes) => {
      await all(parseEvents(cut(bytes, sizes)))
    }))
  })

  it('an event without an end is given up, in one line or in many', async () => {
    for (const line of [Buffer.alloc(60_000, 'x'), Buffer.from(`data: ${'x'.repeat(60_000)}\n`), Buffer.from('data\n'.repeat(20_000))]) {
      let sent = 0
      const endless = (async function* () {
        for (;;) {
          sent += line.length
          yield line
          await Promise.resolve()
        }
      })()
      await assert.rejects(all(parseEvents(endless)), (error) => codeOf(error) === 'BAD_ANSWER')
      assert.ok(sent < 10 * 2 ** 20, `${String(sent)} bytes were kept`)
    }
  })

  it('an archive comes out as it went in; a damaged one ends, with an error or without', async () => {
    const entry = fc.record({ path: fc.string({ unit: fc.constantFrom('a', 'é', '/', '.', ' '), minLength: 1, maxLength: 150 }).filter((path) => !path.endsWith('/')), bytes: fc.uint8Array({ maxLength: 700 }) })
    const packed = async (entries: readonly { path: string; bytes: Uint8Array }[]): Promise<Buffer> => Buffer.concat(await all(packFolder((async function* () {
      for (const { path, bytes } of entries) yield { path, size: bytes.length, content: bytes }
      await Promise.resolve()
    })())))
    const unpacked = async (whole: Uint8Array, sizes: readonly number[]): Promise<{ path: string; bytes: Buffer }[]> => {
      const found: { path: string; bytes: Buffer }[] = []
      for await (const { path, content } of unpackFolder(cut(whole, sizes.map((size) => size * 37)))) found.push({ path, bytes: Buffer.concat(await all(content)) })
      return found
    }
    await fc.assert(fc.asyncProperty(fc.array(entry, { maxLength: 3 }), cuts, async (entries, sizes) => {
      assert.deepEqual(await unpacked(await packed(entries), sizes), entries.map(({ path, bytes }) => ({ path, bytes: Buffer.from(bytes) })))
    }), { numRuns: 40 })
    await fc.assert(fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 3 }), cuts, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }), fc.option(fc.nat()), async (entries, sizes, changes, end) => {
      const whole = await packed(entries)
      for (const [at, value] of changes) whole[at % Math.min(whole.length, 512)] = value
      await unpacked(end === null ? whole : whole.subarray(0, end % whole.length), sizes).catch((error: unknown) => {
        assert.ok(error instanceof Error)
      })
    }), { numRuns: 100 })
  })
})
