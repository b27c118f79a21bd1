import assert from 'node:assert/strict'
import type { Random } from '../../../src/base/index.js'
import { codeOf, seededRandom, silentLog } from '../../../src/base/index.js'
import {
  decodeEnd, decodeFrameHead, decodeHead, decodeTable, encodeEnd, encodeFrame, encodeHead, entryOf, headBytes, nameOf, sumOfSalt, valueFor,
} from '../../../src/store/append-frames.js'
import { AppendFiles } from '../../../src/store/append-log.js'
import { pageBytes, TornDisk } from '../../unit/store/torn-disk.js'

const rowsPerUnit = 65_536
const units = 3

interface Row {
  readonly key: Buffer
  readonly value: Buffer
  readonly unit: number
  /** In its file. */
  readonly from: number
  readonly to: number
}

function isWhole(key: Uint8Array, value: Uint8Array): boolean {
  return value.every((byte) => byte === (key[7] ?? 0) + 1)
}

async function open(disk: TornDisk, random: Random): Promise<AppendFiles> {
  return AppendFiles.open({ folder: disk.folder(), random, log: silentLog, admit: async () => () => undefined }, { isWhole })
}

/** Three files; `isSealed`: the last one, too. */
async function filled(random: Random, isSealed: boolean): Promise<{ disk: TornDisk; rows: Row[] }> {
  const disk = new TornDisk(random)
  const files = await open(disk, random)
  const rows: Row[] = []
  for (let unit = 0; unit < units; unit++) {
    let at = headBytes
    for (let row = 0; row < 20; ) {
      const batch = Array.from({ length: 1 + random.below(3) }, () => {
        const key = Buffer.alloc(28, 7)
        key.writeBigUInt64BE(BigInt(unit * rowsPerUnit + row))
        const value = Buffer.alloc([0, 30, 300, 3000][random.below(4)] ?? 0, row + 1)
        row++
        const from = at
        at += 2 * (16 + key.length) + value.length
        return { key, value, unit, from, to: at }
      })
      rows.push(...batch)
      await files.write(batch.map(({ key, value }) => files.put(key, value)))
    }
  }
  await files.sync()
  if (isSealed) await files.close()
  disk.crash()
  return { disk, rows }
}

/** What the start finds, looked at in all ways. `mustBe`: rows that the damage does not excuse. */
async function checkFound(files: AppendFiles, rows: readonly Row[], mustBe: (row: Row) => boolean): Promise<void> {
  const byKey = new Map(rows.map((row) => [row.key.toString('hex'), row]))
  const found = new Set<Row>()
  let last = -1
  for await (const [key, value] of files.entries()) {
    const row = byKey.get(Buffer.from(key).toString('hex'))
    assert.ok(row !== undefined, 'a key that was never written')
    assert.ok(Number(row.key.readBigUInt64BE(0)) > last)
    last = Number(row.key.readBigUInt64BE(0))
    assert.equal(value.length, row.value.length)
    if (mustBe(row)) assert.ok(row.value.equals(value))
    found.add(row)
  }
  for (const row of rows) {
    const [value] = await files.getMany([row.key])
    const now = files.now(row.key)
    if (!mustBe(row)) {
      for (const one of [value, now]) assert.ok(one === undefined || one.length === row.value.length)
      continue
    }
    assert.ok(found.has(row), `row ${row.key.toString('hex')} of file ${String(row.unit)} is left out`)
    assert.ok(value !== undefined && row.value.equals(value))
    assert.ok(now === undefined || row.value.equals(now))
    const wrong = Buffer.from(row.key)
    wrong[20] = 1
    assert.equal(await files.get(wrong), undefined)
  }
}

describe('files of a log that are damaged', () => {
  it('miss what was damaged at most, and a start always finds the rest', async function () {
    this.timeout(60_000)
    const count = Number(process.env['SEEDS'] ?? 150)
    for (let seed = 1; seed <= count; seed++) {
      const random = seededRandom(seed)
      const isSealed = random.below(2) === 0
      const { disk, rows } = await filled(random, isSealed)
      const unit = random.below(units)
      let [from, to] = [0, 0]
      disk.spoil(nameOf(unit), (bytes) => {
        from = [random.below(bytes.length), random.below(headBytes), bytes.length - 1 - random.below(Math.min(bytes.length, 200))][random.below(3)] ?? 0
        to = Math.min(bytes.length, from + ([1, 1, 40, 512, 4096][random.below(5)] ?? 1))
        const how = random.below(4)
        if (how === 0) bytes.fill(0, from, to)
        else if (how === 1) for (let at = from; at < to; at++) bytes[at] = (bytes[at] ?? 0) ^ (1 + random.below(255))
        else if (how === 2) bytes.set(random.bytes(to - from), from)
        else {
          to = Number.POSITIVE_INFINITY
          return random.below(2) === 0 ? bytes.subarray(0, from) : Buffer.concat([bytes.subarray(0, from), random.bytes(random.below(6000))])
        }
        return bytes
      })
      const isOpen = !isSealed && unit === units - 1
      const mustBe = (row: Row): boolean => {
        if (row.unit !== unit || row.to <= from) return row.unit !== unit || !isOpen || from >= headBytes
        // What was not known to be complete counts up to the damage; a batch that is hit, not at all.
        return !isOpen && row.from >= to
      }
      // Batches of a file without a sound end count as a whole.
      const loose = (row: Row): boolean => mustBe(row) && (row.unit !== unit || row.to <= from - 20_000 || (!isOpen && to < Number.POSITIVE_INFINITY && rows.some((other) => other.unit === unit && other.from >= to)))
      try {
        for (let starts = 0; starts < 2; starts++) {
          const files = await open(disk, random)
          await checkFound(files, rows, loose)
          const next = Buffer.alloc(28, 7)
          next.writeBigUInt64BE(BigInt((units + starts) * rowsPerUnit))
          await files.write([files.put(next, Buffer.alloc(50, 1))])
          await files.sync()
          rows.push({ key: next, value: Buffer.alloc(50, 1), unit: units + starts, from: 0, to: 1 })
          assert.ok((await files.get(next)) !== undefined)
          await files.close()
          assert.deepEqual([disk.openFiles, disk.violations], [0, []])
        }
      } catch (error) {
        throw new Error(`seed ${String(seed)}: file ${String(unit)}${isSealed ? '' : ' (the last is open)'}, bytes ${String(from)} to ${String(to)}`, { cause: error })
      }
    }
  })

  it('are read as far as the disk can, and a start fails only where it cannot know what is there', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = seededRandom(seed)
      const { disk, rows } = await filled(random, true)
      const files = await open(disk, random)
      const page = random.below(3)
      disk.breakPage(nameOf(1), page)
      await checkFound(files, rows, (row) => row.unit !== 1 || row.to <= page * pageBytes || row.from >= (page + 1) * pageBytes)
      await files.close()
    }
    const { disk } = await filled(seededRandom(1), true)
    for (let page = 0; page < 20; page++) disk.breakPage(nameOf(1), page)
    const before = disk.names()
    await assert.rejects(open(disk, seededRandom(1)), (error) => codeOf(error) === 'DISK')
    assert.deepEqual(disk.names(), before, 'nothing is taken away')
    assert.equal(disk.openFiles <= 2 * units, true)
  })

  it('may have any bytes: they are read, or they are not', () => {
    const random = seededRandom(5)
    const salt = random.bytes(8)
    const sum = sumOfSalt(salt)
    for (let i = 0; i < 20_000; i++) {
      const bytes = Buffer.from(random.bytes(random.below(400)))
      if (random.below(3) === 0 && bytes.length >= 4) bytes.write('row!', random.below(bytes.length - 3), 'latin1')
      const at = random.below(bytes.length + 2) - 1
      assert.equal(decodeFrameHead(bytes, at, sum), undefined)
      assert.equal(entryOf(bytes, sum), undefined)
      assert.equal(decodeHead(bytes, 1), undefined)
      assert.equal(decodeEnd(bytes, 1), undefined)
      assert.equal(decodeTable(bytes, random.below(200), 1, 1000), undefined)
      const value = valueFor(bytes, random.bytes(28), sum)
      assert.ok(value === undefined || value.length <= bytes.length)
    }
  })

  it('one changed byte of a row, a head or an end is noticed', () => {
    const random = seededRandom(6)
    const salt = random.bytes(8)
    const put = { type: 'put' as const, key: random.bytes(28), value: random.bytes(60) }
    const frame = Buffer.alloc(2 * 44 + 60)
    encodeFrame(frame, 0, sumOfSalt(salt), put, 3)
    const end = Buffer.from(encodeEnd(9, salt, Uint32Array.from([64, 100, 200]), 2))
    const head = Buffer.from(encodeHead(9, salt))
    for (let at = 0; at < frame.length; at++) {
      for (const bit of [1, 128]) {
        const bytes = Buffer.from(frame)
        bytes[at] = (bytes[at] ?? 0) ^ bit
        assert.deepEqual(Buffer.from(entryOf(bytes, sumOfSalt(salt))?.key ?? []), Buffer.from(put.key))
        const other = Buffer.from(put.key)
        other[20] = (other[20] ?? 0) ^ 4
        assert.equal(valueFor(bytes, other, sumOfSalt(salt)), undefined)
        if (at < 44) assert.equal(decodeFrameHead(bytes, 0, sumOfSalt(salt)), undefined)
      }
    }
    assert.equal(decodeFrameHead(frame, 0, sumOfSalt(random.bytes(8))), undefined, 'of another file')
    for (let at = 0; at < end.length - 4; at++) {
      const bytes = Buffer.from(end)
      bytes[at] = (bytes[at] ?? 0) ^ 1
      const decoded = decodeEnd(bytes, 9)
      if (at >= 12) assert.equal(decoded, undefined)
      else assert.equal(decodeTable(bytes.subarray(0, 12), 2, decoded?.tableSum ?? 0, 1000), undefined)
    }
    for (let at = 0; at < head.length; at++) {
      const bytes = Buffer.from(head)
      bytes[at] = (bytes[at] ?? 0) ^ 1
      assert.deepEqual(Buffer.from(decodeHead(bytes, 9) ?? []), Buffer.from(salt), 'the other copy')
      assert.equal(decodeHead(bytes, 8), undefined)
    }
  })
})
