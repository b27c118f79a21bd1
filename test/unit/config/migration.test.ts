import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '../../../src/base/index.js'
import type { NodeId } from '../../../src/base/index.js'
import { defaultHeatSettings } from '../../../src/heat/index.js'
import { ConfigError, loadConfig } from '../../../src/node/config/index.js'
import type { Config } from '../../../src/node/config/index.js'
import { heatSettings, migrationSettings, withDecisions } from '../../../src/node/migration-settings.js'
import { testDelay } from '../../../src/node/test-delay.js'
import { defaultMigrationSettings } from '../../../src/volumes/index.js'

describe('config: when ranges move, and long links for tests', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mesh-config-'))
  })
  after(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  const load = (source: string, environment: NodeJS.ProcessEnv = {}): Config => {
    const file = join(folder, 'config.toml')
    writeFileSync(file, source)
    return loadConfig({ file, environment }).config
  }

  it('without a file the settings are the defaults of their rooms', () => {
    const config = load('')
    assert.deepEqual(migrationSettings(config), defaultMigrationSettings)
    assert.deepEqual(heatSettings(config), defaultHeatSettings)
  })

  it('takes steps in any order, one cooldown under two names, and refuses what is no step', () => {
    const config = load('[migration]\nmigration_cooldown_ms = 5000\nslow_write_threshold = 4\n[volumes.migration]\nadaptive_slow_writes = ["0:3", "20:1"]\nmove_rate = "1MB"')
    const settings = migrationSettings(config)
    assert.deepEqual(settings.adaptiveSteps, [{ factor: 20, slowWrites: 1 }, { factor: 0, slowWrites: 3 }])
    assert.deepEqual(settings.basicSteps[0], { factor: 10, slowWrites: 4 })
    assert.equal(settings.cooldownMs, 5000)
    assert.equal(settings.bytesPerSecond, 1e6)
    assert.throws(() => load('[migration]\nmigration_cooldown_ms = 1\n[lease_optimization]\nsteal_cooldown_ms = 2'), ConfigError)
    for (const bad of ['50', '50:0', ':1', '50:1:1', '-1:2', 'x:1']) assert.throws(() => load(`[volumes.migration]\nadaptive_slow_writes = ["${bad}"]`), ConfigError, bad)
  })

  it('shows each range with the newest decision about it', () => {
    const entry = { start: 16_384 + 100, blocks: 50, writes: 1, reads: 0, lastWrite: null, regions: {} }
    const note = (at: number, segment: number, start: number) => ({ volume: 'v', segment, start, blocks: 10, at, decision: { type: 'stay' as const, reason: 'COOLDOWN' as const, explanation: `at ${String(at)}`, figures: { restMs: 5 } } })
    const [first, second] = withDecisions([entry, { ...entry, start: 0 }], [note(9, 0, 120), note(8, 1, 90), note(7, 1, 145), note(6, 1, 100)])
    assert.deepEqual(first?.decision, { at: 7, type: 'stay', reason: 'COOLDOWN', to: null, explanation: 'at 7', figures: { restMs: 5 } })
    assert.equal(second?.decision, null)
  })

  it('refuses a delay unless the environment allows it, by name, and one that cannot be read', () => {
    const source = '[network]\ntest_delay = ["sydney/new-york=100ms"]'
    assert.throws(() => load(source), /makes this node slow on purpose.*MESH_NODE_TEST_DELAY_ALLOWED=1/)
    assert.throws(() => load(source, { MESH_NODE_TEST_DELAY_ALLOWED: 'yes' }), ConfigError)
    assert.deepEqual(load(source, { MESH_NODE_TEST_DELAY_ALLOWED: '1' })['network.test_delay'], ['sydney/new-york=100ms'])
    for (const bad of ['sydney', '=5ms', 'a/b/c=5ms', 'a=5', 'a=6s', 'a/=5ms']) {
      assert.throws(() => load(`[network]\ntest_delay = ["${bad}"]`, { MESH_NODE_TEST_DELAY_ALLOWED: '1' }), /must be a list of delays/, bad)
    }
  })

  it('delays by pairs of regions either way round, by node, and by star; says so loudly', () => {
    const config = load('[node]\nregion = "sydney"\n[network]\ntest_delay = ["12D3KooNode=5ms", "new-york/sydney=100ms", "london/new-york=40ms", "*=20ms"]', { MESH_NODE_TEST_DELAY_ALLOWED: '1' })
    const warnings: string[] = []
    const log = { ...silentLog, warn: (message: string) => warnings.push(message) }
    const regions: Record<string, string> = { n: 'new-york', s: 'sydney', l: 'london', '12D3KooNode': 'new-york' }
    const { delayMs } = testDelay(config, (peer) => regions[peer], log)
    assert.deepEqual(['n', 's', 'l', '12D3KooNode', 'unknown'].map((peer) => delayMs?.(peer as NodeId)), [100, 0, 20, 5, 0])
    assert.match(warnings[0] ?? '', /SLOW ON PURPOSE/)
    assert.deepEqual(testDelay(load(''), () => undefined, log), {})
    assert.equal(warnings.length, 1)
  })
})
