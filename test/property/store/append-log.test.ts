import assert from 'node:assert/strict'
import type { KeyRange, Random } from '../../../src/base/index.js'
import { codeOf, seededRandom, silentLog } from '../../../src/base/index.js'
import { AppendFiles } from '../../../src/store/append-log.js'
import { TornDisk } from '../../unit/store/torn-disk.js'

/**
 * Random calls, many at once, on a disk that is full now and then, fails to sync and loses power, against a model that only
 * knows what was asked for: batches in their order, and which of them a sync has covered.
 */
const rowsPerUnit = 65_536
const keyBytes = 28
const pool = Buffer.from(seededRandom(99).bytes(256 * 1024))

interface Row {
  readonly key: Buffer
  readonly position: number
  readonly value: Buffer
}

/** Rows of one unit that were written together. */
interface Batch {
  rows: Row[]
  /** `failed`, or nobody heard of its end: it may be there, and come back, until something is written over it. */
  state: 'writing' | 'failed' | 'written' | 'synced'
  readonly unit: number
  /** Some of its rows were being erased. */
  isTorn: boolean
}

/** Says by itself whether it is all there: which bytes follow from the key and the length. */
function valueOf(key: Uint8Array, length: number): Buffer {
  const at = (Buffer.from(key).readUInt32BE(24) * 7919) % (pool.length - 80_000)
  return pool.subarray(at, at + length)
}

function isWhole(key: Uint8Array, value: Uint8Array): boolean {
  return Buffer.compare(value, valueOf(key, value.length)) === 0
}

function positionOf(key: Uint8Array): number {
  return Number(Buffer.from(key).readBigUInt64BE(0))
}

function keyOf(position: number, serial = 0): Buffer {
  const key = Buffer.alloc(keyBytes)
  key.writeBigUInt64BE(BigInt(position))
  key.writeUInt32BE(serial, 24)
  return key
}

function textOf(key: Uint8Array): string {
  const position = positionOf(key)
  return `${String(Math.floor(position / rowsPerUnit))}/${String(position % rowsPerUnit)}`
}

function nameOf(key: Uint8Array | undefined): string {
  return Buffer.from(key ?? []).toString('latin1')
}

class World {
  readonly random: Random
  readonly disk: TornDisk
  readonly trace: string[] = []
  files!: AppendFiles
  batches: Batch[] = []
  /** Units of which an erasure has begun, and rows from a position on. */
  doomedUnits = new Set<number>()
  doomedFrom = Number.POSITIVE_INFINITY
  /** Gone for good. */
  readonly erased = new Set<string>()
  pending = new Set<Promise<unknown>>()
  /** A sync may have failed in this life: what it was about may be damaged in memory. */
  maySyncFail = false
  next = 0
  serial = 0
  admitted = 0
  /** Of all ends of all lives. */
  found = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
    this.disk = new TornDisk(this.random)
  }

  chance(percent: number): boolean {
    return this.random.below(100) < percent
  }

  note(text: string): void {
    this.trace.push(text)
  }

  async open(): Promise<void> {
    const log = silentLog
    const admit = async (bytes: number): Promise<() => void> => {
      this.admitted += bytes
      return () => { this.admitted -= bytes }
    }
    this.disk.weather = { full: 0, syncs: 0, evicts: false, removals: 0 }
    this.files = await AppendFiles.open({ folder: this.disk.folder(), random: this.random, log, admit }, { isWhole })
    this.maySyncFail = false
    this.admitted = 0
    this.pending = new Set()
  }

  /** After a start: what is there has to be what was promised. */
  async check({ powerLost }: { powerLost: boolean }): Promise<void> {
    const found = new Map<number, Uint8Array>()
    for await (const [key, value] of this.files.entries()) {
      assert.ok(isWhole(key, value), `row ${textOf(key)} is torn`)
      assert.ok(!found.has(positionOf(key)), `row ${textOf(key)} is there twice`)
      assert.ok(!this.erased.has(nameOf(key)), `row ${textOf(key)} was erased`)
      found.set(positionOf(key), key)
    }
    const known = new Set<string>()
    const kept: Batch[] = []
    const gapIn = new Set<number>()
    for (const batch of this.batches) {
      const isDoomed = this.doomedUnits.has(batch.unit) || batch.isTorn
      const rows = batch.rows.filter((row) => nameOf(found.get(row.position)) === nameOf(row.key))
      for (const row of rows) known.add(nameOf(row.key))
      const survived = rows.filter((row) => row.position < this.doomedFrom)
      const expected = batch.rows.filter((row) => row.position < this.doomedFrom)
      const name = `batch ${textOf(batch.rows[0]!.key)}+${String(batch.rows.length)} (${batch.state})`
      if (!isDoomed) {
        assert.ok(survived.length === 0 || survived.length === expected.length, `${name} is there in part`)
        // Cut in its middle, and then the power went.
        const isCut = survived.length === 0 && expected.length < batch.rows.length
        if (batch.state === 'synced' && !isCut) assert.equal(survived.length, expected.length, `${name} was synced and is gone`)
        if (batch.state === 'written' && !isCut && survived.length < expected.length) {
          assert.ok(powerLost || this.maySyncFail, `${name} was written and is gone`)
          gapIn.add(batch.unit)
        } else if (survived.length > 0) assert.ok(!gapIn.has(batch.unit), `${name} is there, and one before it is not`)
      }
      if (rows.length > 0) kept.push({ ...batch, rows, state: 'synced', isTorn: false })
      else if (batch.state === 'failed' || batch.state === 'writing') kept.push({ ...batch, state: 'failed' })
    }
    for (const key of found.values()) assert.ok(known.has(nameOf(key)), `row ${textOf(key)} was never written, or is another's`)
    this.batches = kept
    this.doomedUnits = new Set()
    this.doomedFrom = Number.POSITIVE_INFINITY
    this.found += found.size
    const last = Math.max(-1, ...found.keys())
    this.next = (Math.floor(last / rowsPerUnit) + 1) * rowsPerUnit
    assert.equal(this.files.fileBytes, this.disk.bytes, 'bytes of the files')
    this.checkDisk()
  }

  checkDisk(): void {
    assert.deepEqual(this.disk.violations, [])
  }

  async step(): Promise<void> {
    const kind = this.random.below(100)
    if (kind < 45) this.later(this.write())
    else if (kind < 60) this.later(this.sync())
    else if (kind < 68) this.later(this.get())
    else if (kind < 74) this.later(this.entries())
    else if (kind < 79) this.later(this.erase())
    else if (kind < 84) this.changeWeather()
    else if (kind < 88) await this.quiet()
    else if (kind < 92) await this.restart('close')
    else if (kind < 96) await this.restart('crash')
    else await this.restart('power')
    if (this.chance(50)) for (let turns = this.random.below(60); turns > 0; turns--) await Promise.resolve()
    if (this.chance(25)) await this.quiet()
  }

  changeWeather(): void {
    const { random } = this
    this.disk.weather = this.chance(40) ? { full: random.below(400), syncs: random.below(500), evicts: this.chance(50), removals: random.below(300) } : { full: 0, syncs: 0, evicts: false, removals: 0 }
    // Also of files that are completed in the background, and at the end.
    this.maySyncFail ||= this.disk.weather.syncs > 0
  }

  later(work: Promise<void>): void {
    const { life } = this
    const pending = work.catch((error: unknown) => {
      if (life === this.life) this.failure ??= error
    }).finally(() => this.pending.delete(pending))
    this.pending.add(pending)
  }

  failure: unknown
  /** What a process that died hears afterwards is not looked at. */
  life = 0

  async quiet(): Promise<void> {
    await Promise.all(this.pending)
    if (this.failure !== undefined) throw this.failure instanceof Error ? this.failure : new Error('failed')
  }

  async restart(how: 'close' | 'crash' | 'power'): Promise<void> {
    if (how === 'close') {
      await this.quiet()
      await this.files.close()
      this.note('close')
      assert.equal(this.disk.openFiles, 0, 'files open after a close')
    } else {
      for (let turns = this.random.below(40); turns > 0; turns--) await Promise.resolve()
      this.note(how)
      this.life++
      if (how === 'crash') this.disk.crash()
      else this.disk.losePower()
    }
    if (this.failure !== undefined) throw this.failure instanceof Error ? this.failure : new Error('failed')
    const mightFail = this.maySyncFail
    await this.open()
    this.maySyncFail = mightFail
    await this.check({ powerLost: how === 'power' })
    this.maySyncFail = false
    // As a replay does that finds the log to end early.
    if (this.chance(15)) await this.cut()
    // What a start has found does not go away with the power any more.
    if (this.chance(20)) {
      this.note('power at once')
      this.life++
      this.disk.losePower()
      await this.open()
      await this.check({ powerLost: true })
    }
  }

  rows(): Row[] {
    const isLarge = this.chance(4)
    const size = (): number => isLarge ? 50_000 + this.random.below(20_000) : [0, this.random.below(40), this.random.below(600), this.random.below(5000), this.random.below(70_000)][this.random.below(this.chance(10) ? 5 : 4)] ?? 0
    return Array.from({ length: 1 + this.random.below(isLarge ? 8 : 4) }, () => {
      if (this.chance(12)) this.next = (Math.floor(this.next / rowsPerUnit) + 1) * rowsPerUnit
      const position = this.next++
      const key = keyOf(position, ++this.serial)
      return { key, position, value: Buffer.from(valueOf(key, size())) }
    })
  }

  async write(): Promise<void> {
    const rows = this.rows()
    const units = [...new Set(rows.map(({ position }) => Math.floor(position / rowsPerUnit)))]
    const batches = units.map((unit): Batch => ({ rows: rows.filter(({ position }) => Math.floor(position / rowsPerUnit) === unit), state: 'writing', unit, isTorn: false }))
    this.batches.push(...batches)
    this.note(`write ${rows.map(({ key, value }) => `${textOf(key)}:${String(value.length)}`).join(' ')}`)
    const name = textOf(rows[0]!.key)
    try {
      await this.files.write(rows.map(({ key, value }) => this.files.put(key, value)), { freesSpace: this.chance(50) })
      for (const batch of batches) batch.state = 'written'
      this.note(`  written ${name}`)
    } catch (error) {
      assert.ok(['NO_SPACE', 'DISK'].includes(codeOf(error) ?? ''), String(error))
      for (const batch of batches) batch.state = 'failed'
      this.note(`  failed ${name}`)
    }
    // They may be used again.
    for (const { value } of rows) value.fill(0xee)
  }

  async sync(): Promise<void> {
    const covered = this.batches.filter(({ state }) => state === 'written')
    const number = ++this.serial
    this.note(`sync ${String(number)}`)
    try {
      await this.files.sync()
      this.note(`  synced ${String(number)}`)
      for (const batch of covered) batch.state = 'synced'
    } catch (error) {
      assert.ok(['NO_SPACE', 'DISK'].includes(codeOf(error) ?? ''), String(error))
      this.note(`  not synced ${String(number)}`)
    }
  }

  isThere(batch: Batch): boolean {
    return (batch.state === 'written' || batch.state === 'synced') && !this.doomedUnits.has(batch.unit) && !this.erased.has(nameOf(batch.rows[0]!.key))
  }

  async get(): Promise<void> {
    const batches = this.batches.filter((batch) => this.isThere(batch))
    const wanted = Array.from({ length: Math.min(batches.length, 1 + this.random.below(8)) }, () => batches[this.random.below(batches.length)]!).map((batch) => ({ batch, row: batch.rows[this.random.below(batch.rows.length)]! }))
    const never = keyOf(this.next + 1000 + this.random.below(100_000), 1)
    const { life } = this
    const keys = [...wanted.map(({ row }) => row.key), never]
    const values = this.chance(50) ? await this.files.getMany(keys) : await Promise.all(keys.map(async (key) => (this.chance(50) ? this.files.now(key) : undefined) ?? this.files.get(key)))
    if (life !== this.life) return
    assert.equal(values.at(-1), undefined)
    for (const [i, { batch, row }] of wanted.entries()) {
      const value = values[i]
      // It was erased meanwhile, or a failed sync has left the kernel without it.
      if (!this.isThere(batch) || (this.mayBeDamaged() && (value === undefined || !isWhole(row.key, value)))) continue
      assert.ok(value !== undefined, `row ${textOf(row.key)} is not found`)
      assert.ok(isWhole(row.key, value) && value.length === this.lengthOf(row), `row ${textOf(row.key)} is read wrong`)
    }
    const wrong = wanted[0]?.row
    if (wrong === undefined || this.mayBeDamaged()) return
    const found = await this.files.get(keyOf(wrong.position, 1_000_000_000))
    assert.ok(found === undefined || this.mayBeDamaged() || life !== this.life, 'the key of another')
  }

  lengthOf(row: Row): number {
    return row.value.length
  }

  mayBeDamaged(): boolean {
    return this.maySyncFail
  }

  async entries(): Promise<void> {
    const before = this.batches.filter((batch) => this.isThere(batch)).flatMap((batch) => batch.rows.map((row) => ({ batch, row })))
    const edge = (): Buffer => keyOf((before[this.random.below(Math.max(1, before.length))]?.row.position ?? 0) + this.random.below(2), this.chance(50) ? 0 : 0xffffffff)
    const reverse = this.chance(30)
    const limit = reverse ? 1 : this.chance(20) ? this.random.below(4) : undefined
    const range: KeyRange = { reverse, ...(limit === undefined ? {} : { limit }), ...(this.chance(30) ? { gte: edge() } : this.chance(30) ? { gt: edge() } : {}), ...(this.chance(30) ? { lt: edge() } : this.chance(30) ? { lte: edge() } : {}) }
    const isIn = (key: Buffer): boolean =>
      (range.gte === undefined || Buffer.compare(key, range.gte) >= 0) && (range.gt === undefined || Buffer.compare(key, range.gt) > 0) &&
      (range.lt === undefined || Buffer.compare(key, range.lt) < 0) && (range.lte === undefined || Buffer.compare(key, range.lte) <= 0)
    const found = new Set<string>()
    let last: Uint8Array | undefined
    const { life } = this
    for await (const [key, value] of this.files.entries(range)) {
      if (life !== this.life) return
      assert.ok(isIn(Buffer.from(key)), 'out of its bounds')
      assert.ok(last === undefined || Buffer.compare(last, key) < 0, 'out of order')
      assert.ok(this.mayBeDamaged() || isWhole(key, value), `row ${textOf(key)} is read wrong`)
      last = key
      found.add(nameOf(key))
      if (this.chance(2)) break
      if (this.chance(10)) for (let turns = this.random.below(30); turns > 0; turns--) await Promise.resolve()
    }
    const known = new Map(this.batches.flatMap((batch) => batch.rows.map((row) => [nameOf(row.key), batch] as const)))
    for (const key of found) assert.ok(known.has(key) || this.erased.has(key), 'a row that was never written')
    assert.ok(limit === undefined || found.size <= limit)
    if (limit !== undefined || this.mayBeDamaged() || last === undefined) return
    const end = last
    for (const { batch, row } of before) {
      if (isIn(row.key) && this.isThere(batch) && Buffer.compare(row.key, end) < 0) assert.ok(found.has(nameOf(row.key)), `row ${textOf(row.key)} is left out`)
    }
  }

  /** Whole units below the one that is written to. */
  async erase(): Promise<void> {
    const units = [...new Set(this.batches.map(({ unit }) => unit))].filter((unit) => unit < Math.floor(this.next / rowsPerUnit) && this.batches.every((batch) => batch.unit !== unit || batch.state !== 'writing')).sort((a, b) => a - b)
    const first = units[this.random.below(units.length)]
    if (first === undefined) return
    const count = units.includes(first + 1) && this.chance(30) ? 2 : 1
    const gone = Array.from({ length: count }, (_, i) => first + i)
    const { life } = this
    for (const unit of gone) this.doomedUnits.add(unit)
    this.note(`erase ${gone.join(' ')}`)
    for (let tries = 0; tries < 3; tries++) {
      try {
        await this.files.erase(keyOf(first * rowsPerUnit).subarray(0, 8), keyOf((first + count) * rowsPerUnit).subarray(0, 8))
        if (life !== this.life) return
        this.note(`  erased ${gone.join(' ')}`)
        for (const batch of this.batches) if (gone.includes(batch.unit)) for (const row of batch.rows) this.erased.add(nameOf(row.key))
        this.batches = this.batches.filter(({ unit }) => !gone.includes(unit))
        for (const unit of gone) this.doomedUnits.delete(unit)
        return
      } catch (error) {
        assert.equal(codeOf(error), 'DISK')
        this.note(`  not erased ${gone.join(' ')}`)
      }
    }
  }

  /** All from a row on, at a start, before anything is written. */
  async cut(): Promise<void> {
    const rows = this.batches.filter((batch) => this.isThere(batch)).flatMap((batch) => batch.rows)
    const from = rows[rows.length - 1 - this.random.below(Math.min(rows.length, 12))]?.position
    if (from === undefined) return
    this.doomedFrom = from
    this.note(`cut from ${textOf(keyOf(from))}`)
    const end = Buffer.concat([keyOf(Math.max(...rows.map(({ position }) => position))).subarray(0, 8), Buffer.alloc(20, 0xff)])
    const cutting = this.files.erase(keyOf(from).subarray(0, 8), end)
    if (this.chance(30)) {
      for (let turns = this.random.below(60); turns > 0; turns--) await Promise.resolve()
      this.note('power in a cut')
      this.life++
      this.disk.losePower()
      await this.open()
      await this.check({ powerLost: true })
      return
    }
    await cutting
    this.note('  cut')
    for (const batch of this.batches) {
      for (const row of batch.rows) if (row.position >= from) this.erased.add(nameOf(row.key))
      batch.rows = batch.rows.filter(({ position }) => position < from)
    }
    this.batches = this.batches.filter((batch) => batch.rows.length > 0)
    this.doomedFrom = Number.POSITIVE_INFINITY
    this.next = Math.max(this.next, (Math.floor(from / rowsPerUnit) + 1) * rowsPerUnit)
    assert.equal(this.files.fileBytes, this.disk.bytes, 'bytes of the files after a cut')
  }
}

async function run(seed: number, steps: number): Promise<World> {
  const world = new World(seed)
  try {
    await world.open()
    for (let step = 0; step < steps; step++) await world.step()
    for (const how of ['close', 'power'] as const) await world.restart(how)
    await world.files.close()
    assert.equal(world.disk.openFiles, 0)
    world.checkDisk()
  } catch (error) {
    throw new Error(`seed ${String(seed)}: ${error instanceof Error ? error.message : String(error)}\n${world.trace.slice(-Number(process.env['TRACE'] ?? 60)).join('\n')}`, { cause: error })
  }
  return world
}

describe('the log in files, on a disk that loses power', () => {
  it('has what was synced, batches as a whole and in their order, and nothing else', async function () {
    this.timeout(600_000)
    const first = Number(process.env['SEED'] ?? 1)
    const count = Number(process.env['SEEDS'] ?? 500)
    let found = 0
    for (let seed = first; seed < first + count; seed++) found += (await run(seed, seed % 25 === 0 ? 200 : 24)).found
    if (count >= 500) assert.ok(found > 10 * count, `${String(found)} rows were found by starts`)
  })
})
