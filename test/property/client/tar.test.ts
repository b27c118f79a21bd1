import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import fc from 'fast-check'
import { extract, pack } from 'tar-stream'
import { packFolder, unpackFolder } from '../../../src/client/index.js'
import type { FolderSource } from '../../../src/client/index.js'

type HeaderArgument = Parameters<ReturnType<typeof pack>['entry']>[0]

interface Found {
  files: { path: string; modifiedMs: number; bytes: Buffer }[]
  failed: boolean
}

const path = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', ' '), minLength: 1, maxLength: 300 }),
  fc.string({ unit: fc.constantFrom('a', 'é', '/', '\n', '=', '\u0001', '😀'), minLength: 1, maxLength: 200 }),
  fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 20, maxLength: 90, size: 'max' }), { minLength: 2, maxLength: 4 }).map((names) => names.join('/')),
  fc.nat(99_999).map((n) => `${String(n)}.bin`),
)
const modifiedMs = fc.nat(4e9).map((seconds) => seconds * 1000)
const size = fc.oneof({ weight: 9, arbitrary: fc.nat(1500) }, { weight: 1, arbitrary: fc.integer({ min: 262_000, max: 263_000 }) })
const file = fc.record({ path, modifiedMs, size, inParts: fc.boolean() })
type File = typeof file extends fc.Arbitrary<infer T> ? T : never
/** Steps through an archive that no two readers could take for the same. */
const pieces = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 })

describe('client: archives', () => {
  it('what is packed here, tar-stream and this reads as it was, however it is cut', async () => {
    await fc.assert(fc.asyncProperty(fc.array(file, { maxLength: 4 }), pieces, async (files, sizes) => {
      const whole = await packed(files)
      const expected = files.map((one) => ({ path: one.path, modifiedMs: one.modifiedMs, bytes: contentOf(one) }))
      assert.deepEqual(await reference(whole), { files: expected, failed: false })
      assert.deepEqual(await ours(cut(whole, sizes)), { files: expected, failed: false })
    }), { numRuns: 100 })
  })

  it('a name of any length is packed, whether it fits into a header or not', async () => {
    const lengths = [1, 99, 100, 101, 154, 155, 156, 170, 300]
    const files = lengths.flatMap((folder) => lengths.map((name): File => ({ path: `${'f'.repeat(folder)}/${'n'.repeat(name)}`, modifiedMs: 0, size: 1, inParts: false })))
    const whole = await packed(files)
    const expected = { files: files.map((one) => ({ path: one.path, modifiedMs: 0, bytes: contentOf(one) })), failed: false }
    assert.deepEqual(await reference(whole), expected)
    assert.deepEqual(await ours(cut(whole, [1000])), expected)
  })

  it('any archive is read as tar-stream reads it: others\' kinds, damaged ones, cut off ones', async () => {
    const entry = fc.oneof(
      fc.record({ foreign: fc.constant(false), file }),
      fc.record({
        foreign: fc.constant(true), file,
        type: fc.constantFrom('file', 'directory', 'contiguous-file', 'symlink', 'fifo'),
        pax: fc.option(fc.dictionary(fc.constantFrom('path', 'size', 'comment', 'mtime'), fc.constantFrom('1', 'x/y', '700'), { maxKeys: 2 }), { nil: undefined }),
      }),
      fc.record({ zeros: fc.integer({ min: 1, max: 3 }) }),
    )
    const change = fc.record({ at: fc.nat(), value: fc.oneof(fc.nat(255), fc.constantFrom(0, 0x20, 0x2f, 0x30, 0x37, 0x38)), sumAgain: fc.boolean() })
    await fc.assert(fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 4 }), fc.array(change, { maxLength: 3 }), fc.option(fc.nat()), pieces, async (entries, changes, end, sizes) => {
      const parts: Buffer[] = []
      const headers: number[] = []
      let length = 0
      for (const one of entries) {
        let made: Buffer
        if ('zeros' in one) made = Buffer.alloc(one.zeros * 512)
        else if ('type' in one) made = await packedByLibrary(one.file, one.type as 'file', one.pax)
        else made = (await packed([one.file])).subarray(0, -1024)
        headers.push(length, length + Math.max(0, made.length - 1024 - (made.length % 512)))
        parts.push(made)
        length += made.length
      }
      const all = Buffer.concat([...parts, Buffer.alloc(1024)])
      for (const { at, value, sumAgain } of changes) {
        const header = headers[at % headers.length] ?? 0
        all[header + (Math.floor(at / 16) % 512)] = value
        if (sumAgain) sum(all.subarray(header, header + 512))
      }
      const whole = end === null ? all : all.subarray(0, end % all.length)
      const [expected, found] = [await reference(whole), await ours(cut(whole, sizes))]
      assert.equal(found.failed, expected.failed)
      // Where it breaks off, one of the two may have seen a file more.
      const count = expected.failed ? Math.min(found.files.length, expected.files.length) : expected.files.length
      assert.ok(expected.failed || found.files.length === count)
      assert.deepEqual(found.files.slice(0, count), expected.files.slice(0, count))
    }), { numRuns: 1000 })
  })

  it('who leaves a large file in the middle gets the next one all the same', async () => {
    const files = [1, 2, 3].map((n): File => ({ path: String(n), modifiedMs: 1000, size: 700_000 * n, inParts: true }))
    const seen: string[] = []
    for await (const { path: name, content } of unpackFolder(cut(await packed(files), [100_000]))) {
      seen.push(name)
      for await (const part of content) if (part.length > 0) break
    }
    assert.deepEqual(seen, ['1', '2', '3'])
  })

  it('who reads a large file ahead gets no byte of what follows it', async () => {
    const files = [1, 2].map((n): File => ({ path: String(n), modifiedMs: 1000, size: 300_000 * n, inParts: false }))
    const whole = await packed(files)
    const slow = (async function* () {
      for (let at = 0; at < whole.length; at += 50_000) {
        await new Promise((resolve) => setTimeout(resolve, 1))
        yield whole.subarray(at, at + 50_000)
      }
    })()
    const found: Buffer[] = []
    for await (const { content } of unpackFolder(slow)) {
      const iterator = content[Symbol.asyncIterator]()
      const parts = await Promise.all(Array.from({ length: 30 }, async () => iterator.next()))
      found.push(Buffer.concat(parts.flatMap(({ done, value }) => (done === true ? [] : [value]))))
    }
    assert.deepEqual(found, files.map(contentOf))
  })

  it('a source that fails in a large file tells both who reads the file and who waits for the next', async () => {
    const whole = await packed([{ path: 'a', modifiedMs: 0, size: 700_000, inParts: false }])
    const failing = (async function* () {
      yield whole.subarray(0, 300_000)
      await Promise.resolve()
      throw new Error('the line broke')
    })()
    const entries = unpackFolder(failing)[Symbol.asyncIterator]()
    const first = await entries.next()
    const next = entries.next()
    next.catch(() => undefined)
    assert.ok(first.done !== true)
    await assert.rejects(all(first.value.content), /the line broke/)
    await assert.rejects(next, /the line broke/)
  })

  it('content of another size than was said is not packed', async () => {
    for (const parts of [[], [10], [5, 6]]) {
      const content = (async function* () {
        for (const part of parts) yield Buffer.alloc(part)
        await Promise.resolve()
      })()
      await assert.rejects(all(packFolder(each([{ path: 'a', size: 9, content }]))), /9 bytes/)
    }
  })

  it('a reader that leaves lets go of the source', async () => {
    let ended = false
    const whole = await packed([{ path: 'a', modifiedMs: 0, size: 3, inParts: false }, { path: 'b', modifiedMs: 0, size: 3, inParts: false }])
    const source = (async function* () {
      try {
        yield whole.subarray(0, 1024)
        yield whole.subarray(1024)
      } finally {
        ended = true
      }
    })()
    for await (const { path: name } of unpackFolder(source)) if (name === 'a') break
    assert.ok(ended)
  })
})

function contentOf({ size: length, path: seed }: File): Buffer {
  return Buffer.alloc(length, `${seed.slice(0, 7)}.`)
}

async function packed(files: readonly File[]): Promise<Buffer> {
  return Buffer.concat(await all(packFolder(each(files.map((one): FolderSource => {
    const bytes = contentOf(one)
    return { path: one.path, modifiedMs: one.modifiedMs, size: one.size, content: one.inParts ? cut(bytes, [100, 7000, 100_000]) : bytes }
  })))))
}

/** One entry, without the end of the archive. */
async function packedByLibrary(one: File, type: 'file', pax: Record<string, string> | undefined): Promise<Buffer> {
  const stream = pack()
  const isFile = (['file', 'contiguous-file'] as string[]).includes(type)
  const header: HeaderArgument = { name: one.path, type, mtime: new Date(one.modifiedMs), ...(pax === undefined ? {} : { pax }), ...((type as string) === 'symlink' ? { linkname: 'x' } : {}) }
  stream.entry(header, isFile ? contentOf(one) : Buffer.alloc(0), () => undefined)
  stream.finalize()
  return Buffer.concat(await all(stream as AsyncIterable<Uint8Array>)).subarray(0, -1024)
}

/** What tar-stream makes of it. */
async function reference(whole: Buffer): Promise<Found> {
  const files: Found['files'] = []
  const stream = extract()
  pipeline(Readable.from(cut(whole, [70_000]), { objectMode: false }), stream).catch((error: unknown) => stream.destroy(error as Error))
  try {
    for await (const entry of stream) {
      const { name, type, mtime } = entry.header
      if (type === 'directory') {
        entry.resume()
        continue
      }
      if (type !== 'file' && type !== 'contiguous-file') throw new Error('a link')
      files.push({ path: name, modifiedMs: mtime.getTime(), bytes: Buffer.concat(await all(entry as AsyncIterable<Uint8Array>)) })
    }
    return { files, failed: false }
  } catch {
    return { files, failed: true }
  }
}

async function ours(bytes: AsyncIterable<Uint8Array>): Promise<Found> {
  const files: Found['files'] = []
  try {
    for await (const { path: name, modifiedMs: when, content, bytes: whole, size: length } of unpackFolder(bytes)) {
      const read = Buffer.concat(await all(content))
      assert.equal(read.length, length)
      if (whole !== undefined) assert.deepEqual(Buffer.from(whole), read)
      files.push({ path: name, modifiedMs: when, bytes: read })
    }
    return { files, failed: false }
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error
    return { files, failed: true }
  }
}

/** The sum of a header, right again. */
function sum(header: Buffer): void {
  header.fill(0x20, 148, 156)
  header.write(`${header.reduce((all, byte) => all + byte, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  header[155] = 0
}

async function* cut(whole: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < whole.length; i++) {
    const next = at + (sizes[i % sizes.length] ?? 1)
    yield whole.subarray(at, next)
    at = next
    await Promise.resolve()
  }
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
  await Promise.resolve()
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}
