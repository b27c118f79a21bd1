import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { messageBytes, schemas } from '../proto.js'

interface Codec {
  decode(bytes: Uint8Array): unknown
  encode(message: unknown): Uint8Array
}

const source = resolve(import.meta.dirname, '../../src')
const known = { bytes: [new Uint8Array(32)], texts: ['a'] }

/** Every generated codec, by the name of its message. Of two of one name (each in a schema of its own) both. */
async function codecs(): Promise<Map<string, Codec[]>> {
  const found = new Map<string, Codec[]>()
  for (const room of readdirSync(source)) {
    if (!readdirSync(source, { withFileTypes: true }).some((entry) => entry.name === room && entry.isDirectory())) continue
    if (!readdirSync(resolve(source, room)).includes('wire')) continue
    for (const file of readdirSync(resolve(source, room, 'wire'))) {
      const module = (await import(resolve(source, room, 'wire', file))) as Record<string, Partial<Codec>>
      for (const [name, codec] of Object.entries(module)) {
        if (typeof codec.decode === 'function') found.set(name, [...(found.get(name) ?? []), codec as Codec])
      }
    }
  }
  return found
}

describe('every message of every schema', () => {
  it('is read, or refused with an error; what was read can be written and read again; nothing is allocated on its word', async () => {
    const all = await codecs()
    let seen = 0
    for (const [file, schema] of schemas()) {
      for (const name of schema.messages.keys()) {
        const decoders = all.get(name)
        assert.ok(decoders !== undefined, `${file}: nothing reads ${name}`)
        let read = 0
        fc.assert(fc.property(messageBytes(schema, name, known), (bytes) => {
          for (const codec of decoders) {
            const before = process.memoryUsage().arrayBuffers
            let message: unknown
            try {
              message = codec.decode(bytes)
            } catch (error) {
              assert.ok(error instanceof Error)
              assert.ok(!(error instanceof TypeError) && !/stack|allocation/i.test(error.message), `${name}: ${String(error)}`)
              continue
            } finally {
              assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 2 ** 20, `${name} allocates what it is told to`)
            }
            read++
            codec.decode(codec.encode(message))
          }
        }), { numRuns: 40 })
        assert.ok(read > 0, `${file}: ${name} was read ${String(read)} times`)
        seen++
      }
    }
    assert.ok(seen > 100, String(seen))
  }).timeout(60_000)
})
