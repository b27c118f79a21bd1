import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import type { Clock } from '../../../src/base/index.js'
import { systemClock } from '../../../src/base/index.js'
import { PowerWatch, readPower } from '../../../src/node/power.js'

type Supplies = Record<string, Record<string, string>>

describe('power', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mesh-power-'))
  })
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  const supply = (supplies: Supplies): void => {
    for (const [name, files] of Object.entries(supplies)) {
      mkdirSync(join(folder, name), { recursive: true })
      for (const [file, value] of Object.entries(files)) writeFileSync(join(folder, name, file), `${value}\n`)
    }
  }
  const charger = (online: 0 | 1): Supplies => ({ AC: { type: 'Mains', online: String(online) } })
  const battery = (status: string, capacity: number): Supplies => ({ BAT0: { type: 'Battery', status, capacity: String(capacity) } })

  it('is read as Linux tells it', () => {
    assert.deepEqual(readPower(join(folder, 'none')), { source: 'unknown', charge: undefined })
    assert.deepEqual(readPower(folder), { source: 'unknown', charge: undefined })
    supply({ ...charger(1), ...battery('Charging', 40) })
    assert.deepEqual(readPower(folder), { source: 'mains', charge: 0.4 })
    supply({ ...charger(0), ...battery('Discharging', 39) })
    assert.deepEqual(readPower(folder), { source: 'battery', charge: 0.39 })
    supply({ mouse: { type: 'Battery', scope: 'Device', status: 'Discharging', capacity: '3' } })
    assert.deepEqual(readPower(folder), { source: 'battery', charge: 0.39 })
    supply({ BAT1: { type: 'Battery', status: 'Unknown', capacity: '61' } })
    assert.equal(readPower(folder).charge, 0.5)
  })

  it('is not the battery of a mouse', () => {
    supply({ mouse: { type: 'Battery', scope: 'Device', status: 'Discharging', capacity: '3' } })
    assert.deepEqual(readPower(folder), { source: 'unknown', charge: undefined })
  })

  it('keeps a laptop from working for others below half, and lets it again on a charger', () => {
    let nowMs = 0
    const clock: Clock = { ...systemClock, monotonicMs: () => nowMs }
    const watch = new PowerWatch({ clock }, { power: 'auto', metered: false, folder })
    assert.equal(watch.mayRepair(), true)
    supply({ ...charger(0), ...battery('Discharging', 49) })
    assert.equal(watch.mayRepair(), true, 'not asked again at once')
    nowMs += 60_000
    assert.equal(watch.mayRepair(), false)
    assert.match(watch.reason() ?? '', /battery/)
    supply(battery('Discharging', 50))
    nowMs += 60_000
    assert.equal(watch.mayRepair(), true)
    supply({ ...charger(1), ...battery('Charging', 5) })
    nowMs += 60_000
    assert.equal(watch.mayRepair(), true)
    assert.equal(watch.reason(), undefined)
  })

  it('is what the settings say, where they say', () => {
    supply({ ...charger(1), ...battery('Full', 100) })
    assert.equal(new PowerWatch({ clock: systemClock }, { power: 'battery', metered: false, folder }).now().source, 'battery')
    const without = join(folder, 'none')
    assert.equal(new PowerWatch({ clock: systemClock }, { power: 'battery', metered: false, folder: without }).mayRepair(), false)
    assert.equal(new PowerWatch({ clock: systemClock }, { power: 'mains', metered: false, folder: without }).mayRepair(), true)
    assert.equal(new PowerWatch({ clock: systemClock }, { power: 'mains', metered: true, folder: without }).mayRepair(), false)
  })

  it('never fails, whatever stands in the files', () => {
    fc.assert(fc.property(fc.array(fc.record({ type: fc.constantFrom('Battery', 'Mains', 'USB', '', 'x'), status: fc.string(), capacity: fc.string(), online: fc.string() }), { maxLength: 3 }), (supplies) => {
      supply(Object.fromEntries(supplies.map((files, i) => [`S${String(i)}`, files])))
      const { source, charge } = readPower(folder)
      assert.ok(['mains', 'battery', 'unknown'].includes(source))
      assert.ok(charge === undefined || (charge >= 0 && charge <= 1))
    }), { numRuns: 30 })
  })
})
