import assert from 'node:assert/strict'
import fc from 'fast-check'
import { codeOf } from '../../../src/base/index.js'
import { RecordReader, RecordWriter } from '../../../src/volumes/disk/bytes.js'
import { entryOfRows, rowsOfEntry } from '../../../src/volumes/disk/entries.js'
import { decodeCuts, decodeOrigins, encodeCuts, encodeOrigins, Head } from '../../../src/volumes/disk/head.js'
import { contentCodes, Page, pageBlocks } from '../../../src/volumes/disk/page.js'
import type { PageContext } from '../../../src/volumes/disk/page.js'
import { decodeRow, decodeRowKey, encodedBytes, encodeRow, keyBytes, kinds, segmentKey } from '../../../src/volumes/disk/rows.js'
import type { Kind, Row } from '../../../src/volumes/disk/rows.js'
import { framed, unframed } from '../../../src/volumes/disk/segments.js'
import { blockBytes, segmentBlocks } from '../../../src/volumes/index.js'
import type { AppliedOrigin, LogEntry } from '../../../src/volumes/index.js'

/** What the disk of volumes writes: it comes back as it went, and damaged it is CORRUPT, or still something that can be used. */
const number = fc.oneof(fc.nat(300), fc.nat(), fc.constant(Number.MAX_SAFE_INTEGER))
const small = fc.integer({ min: 1, max: 60 })
const hex = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'))
const range = fc.tuple(fc.nat(segmentBlocks - 1), fc.integer({ min: 1, max: 600 })).map(([start, blocks]) => ({ start, blocks: Math.min(blocks, segmentBlocks - start) }))
const content = fc.constantFrom('data' as const, 'zeroes' as const, 'hole' as const)
const origin = fc.record({ client: fc.string({ minLength: 1, maxLength: 30, unit: 'grapheme' }), sequence: number }, { noNullPrototype: true })
const position = fc.record({ token: number, sequence: number }, { noNullPrototype: true })
const applied: fc.Arbitrary<AppliedOrigin> = fc.tuple(origin, range, position).map(([from, where, version]) => ({ ...where, origin: from, version }))
const id = fc.record({ volume: hex, segment: fc.nat(2 ** 24) }, { noNullPrototype: true })

const harm = fc.record({ flips: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 3 }), cut: fc.option(fc.nat(), { freq: 3 }), tail: fc.uint8Array({ maxLength: 4 }) })
function harmed(bytes: Uint8Array, { flips, cut, tail }: { flips: readonly (readonly [number, number])[]; cut: number | null; tail: Uint8Array }): Uint8Array {
  const changed = Buffer.concat([bytes.subarray(0, cut === null ? bytes.length : cut % (bytes.length + 1)), tail])
  for (const [at, by] of flips) if (changed.length > 0) changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ by
  return Uint8Array.from(changed)
}

function calm<T>(decode: () => T): T | undefined {
  try {
    return decode()
  } catch (error) {
    assert.equal(codeOf(error), 'CORRUPT', String(error))
    return undefined
  }
}

const head = fc.record({
  whole: fc.boolean(), doubt: number, pages: fc.array(fc.nat(63), { maxLength: 5 }),
  fences: fc.array(fc.record({ range, token: small, configuration: small, cuts: fc.array(fc.record({ token: small, sequence: small }), { maxLength: 3 }) }), { maxLength: 8 }),
  streams: fc.array(fc.record({ token: small, skip: fc.nat(5), entries: fc.array(small, { maxLength: 6 }), settled: fc.nat(12) }), { maxLength: 5 }),
  origins: fc.array(applied, { maxLength: 6 }),
}).map((parts) => {
  const made = new Head()
  made.whole = parts.whole
  made.doubt = parts.doubt
  for (const page of parts.pages) made.storedPages.add(page)
  for (const fence of parts.fences) made.raise({ ...fence.range, token: fence.token, configuration: fence.configuration, cuts: fence.cuts })
  let at = 1
  for (const { token, skip, entries, settled } of parts.streams) {
    const stream = made.openStream(token)
    if (skip > 0) stream.skipTo(skip)
    for (const gap of entries) stream.written(stream.end + 1, (at += gap))
    stream.settle(settled)
  }
  for (const one of parts.origins) made.addOrigin(one)
  return made
})

const context: PageContext = { isSettled: () => false, follows: () => true }
const page = fc.array(fc.record({ block: fc.nat(pageBlocks - 1), blocks: fc.integer({ min: 1, max: 20 }), position: number, token: small, sequence: small, kind: fc.constantFrom(contentCodes.data, contentCodes.zeroes, contentCodes.hole) }), { maxLength: 20 }).map((puts) => {
  const made = new Page(3, () => undefined)
  for (const { block, blocks, position: at, token, sequence, kind } of puts) {
    for (let i = 0; i < blocks && block + i < pageBlocks; i++) made.put(block + i, { position: at, skip: kind === contentCodes.data ? i : 0, token, sequence, info: kind }, context)
  }
  return made
})

function encoded(one: { encode: (writer: RecordWriter) => void }): Uint8Array {
  const writer = new RecordWriter()
  one.encode(writer)
  return writer.finish()
}

const row: fc.Arbitrary<Row> = fc.record({
  kind: fc.constantFrom(...(Object.keys(kinds) as Kind[])), content, token: number, sequence: number, configuration: number, range, part: fc.nat(65_535), parts: fc.nat(65_535),
  entryStart: fc.nat(65_535), entryBlocks: fc.nat(65_535), origin: fc.option(origin, { nil: undefined }), fill: fc.nat(255),
}, { noNullPrototype: true }).map(({ range: { start, blocks }, fill, ...rest }) => ({ ...rest, start, blocks: Math.min(blocks, 2), bytes: new Uint8Array(rest.content === 'data' ? Math.min(blocks, 2) * blockBytes : 0).fill(fill) }))

function rowBytes(one: Row, place: { segment: Uint8Array; position: number; previous: number }): { key: Uint8Array; value: Uint8Array } {
  const memory = new Uint8Array(encodedBytes(one))
  const end = encodeRow(memory, new DataView(memory.buffer), 0, place, one)
  assert.equal(end, memory.length)
  return { key: memory.slice(0, keyBytes), value: memory.slice(keyBytes) }
}

describe('records of the disk of volumes', () => {
  it('rows come back as they went; damaged, they say what they are about, or are CORRUPT', () => {
    fc.assert(fc.property(row, id, number, number, harm, (one, about, at, previous, how) => {
      const { key, value } = rowBytes(one, { segment: segmentKey(about), position: at, previous })
      assert.deepEqual(decodeRowKey(key)?.id, about)
      assert.deepEqual(decodeRow(key, value), { ...one, previous, intact: true })
      const changed = harmed(value, how)
      const found = calm(() => decodeRow(key, changed))
      if (found === undefined) return
      // Whatever else is wrong with it: what it is about is what was written, and bytes that are not are known not to be.
      const { bytes, intact, previous: before, ...rest } = found
      const { bytes: bytesBefore, ...restBefore } = one
      assert.deepEqual(rest, restBefore)
      assert.equal(before, previous)
      if (intact) assert.equal(Buffer.compare(bytes, bytesBefore), 0)
    }), { numRuns: 400 })
  })

  it('an entry is the rows that it became, and is nothing if one of them is missing or another', () => {
    fc.assert(fc.property(range, content, position, number, fc.option(origin, { nil: undefined }), fc.nat(), (where, kind, version, configuration, from, which) => {
      const bytes = Buffer.alloc(kind === 'data' ? where.blocks * blockBytes : 0)
      for (let block = 0; block * blockBytes < bytes.length; block++) bytes.fill(block % 251, block * blockBytes, (block + 1) * blockBytes)
      const entry: LogEntry = { ...where, ...version, configuration, content: kind, bytes: Uint8Array.from(bytes), ...(from === undefined ? {} : { origin: from }) }
      const rows = rowsOfEntry(entry).map((one) => ({ ...one, previous: 0, intact: true }))
      const back = entryOfRows(rows)
      assert.deepEqual(back === undefined ? undefined : { ...back, bytes: Uint8Array.from(back.bytes) }, entry)
      const at = which % rows.length
      assert.equal(entryOfRows(rows.filter((_row, i) => i !== at)), undefined)
      assert.equal(entryOfRows(rows.map((one, i) => (i === at ? { ...one, part: one.part + 1 } : one))), undefined)
    }), { numRuns: 60 })
  })

  it('heads and pages come back as they went; damaged, they are CORRUPT or can be written again', () => {
    fc.assert(fc.property(head, harm, (one, how) => {
      const bytes = encoded(one)
      const back = new Head()
      const reader = new RecordReader(bytes, 'a head')
      back.decode(reader)
      assert.ok(reader.done)
      assert.deepEqual(encoded(back), bytes)
      assert.deepEqual([back.fences.entries, back.origins(), [...back.streams()]], [one.fences.entries, one.origins(), [...one.streams()]])
      const changed = new Head()
      if (calm(() => { changed.decode(new RecordReader(harmed(bytes, how), 'a head')); return true }) === true) encoded(changed)
    }), { numRuns: 300 })
    fc.assert(fc.property(page, harm, (one, how) => {
      const bytes = encoded(one)
      const back = new Page(3, () => undefined)
      const reader = new RecordReader(bytes, 'a page')
      back.decode(reader)
      assert.ok(reader.done)
      assert.deepEqual(encoded(back), bytes)
      for (let block = 0; block < pageBlocks; block++) assert.deepEqual(back.newest(block), one.newest(block))
      const changed = new Page(3, () => undefined)
      if (calm(() => { changed.decode(new RecordReader(harmed(bytes, how), 'a page')); return true }) === true) encoded(changed)
    }), { numRuns: 200 })
  })

  it('cuts, origins and frames come back as they went; a frame notices any damage', () => {
    fc.assert(fc.property(fc.array(position, { maxLength: 32 }), fc.array(applied, { maxLength: 8 }), number, harm, (cuts, origins, at, how) => {
      assert.deepEqual(decodeCuts(encodeCuts(cuts)), cuts)
      const writer = encodeOrigins(new RecordWriter(), origins)
      const bytes = writer.finish()
      assert.deepEqual(decodeOrigins(new RecordReader(bytes, 'origins')), origins)
      calm(() => decodeCuts(harmed(encodeCuts(cuts), how)))
      calm(() => decodeOrigins(new RecordReader(harmed(bytes, how), 'origins')))
      const frame = framed(at, writer)
      assert.equal(unframed(frame, 'a record').position, at)
      const changed = harmed(frame, how)
      if (Buffer.compare(changed, frame) !== 0) assert.throws(() => unframed(changed, 'a record'), (error) => codeOf(error) === 'CORRUPT')
    }), { numRuns: 300 })
  })
})
