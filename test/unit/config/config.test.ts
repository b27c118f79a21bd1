import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { CodedError } from '../../../src/base/index.js'
import {
  ConfigError, configTemplate, editConfig, editDistance, environmentName, loadConfig, parseConfigFile, requireSetting, settingNames,
  settingOf,
} from '../../../src/node/config/index.js'
import type { SettingName } from '../../../src/node/config/index.js'
import { twins } from '../../../src/node/config/settings.js'

describe('config', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mesh-config-'))
  })
  after(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  const load = (source: string, environment: NodeJS.ProcessEnv = {}, flags: Partial<Record<SettingName, string | string[]>> = {}) => {
    const file = join(folder, 'config.toml')
    writeFileSync(file, source)
    return loadConfig({ file, environment, flags })
  }
  const refusal = (source: string, environment: NodeJS.ProcessEnv = {}): ConfigError => {
    try {
      load(source, environment)
    } catch (error) {
      assert.ok(error instanceof ConfigError)
      return error
    }
    return assert.fail('it was accepted')
  }

  it('takes the flag over the environment over the file over the default', () => {
    const name = 'storage.max_storage'
    assert.equal(load('').config[name], 100e9)
    assert.equal(load('[storage]\nmax_storage = "1GB"').config[name], 1e9)
    const environment = { MESH_NODE_STORAGE_MAX_STORAGE: '2GiB' }
    assert.equal(load('[storage]\nmax_storage = "1GB"', environment).config[name], 2 * 2 ** 30)
    assert.equal(load('[storage]\nmax_storage = "1GB"', environment, { [name]: '3GB' }).config[name], 3e9)
    assert.equal(load('', { MESH_NODE_STORAGE_REPLICATION_GRACE: '5s' }).config['storage.replication.grace'], 5000)
    assert.deepEqual(load('', { MESH_NODE_NETWORK_LISTEN: '/ip4/1.2.3.4/tcp/1, /ip6/::/tcp/2' }).config['network.listen'], ['/ip4/1.2.3.4/tcp/1', '/ip6/::/tcp/2'])
  })

  it('reads the keys of the published design, with units in their names', () => {
    const { config } = load('[storage]\nmax_storage_gb = 100\nmin_free_space_gib = 2\n[storage.eviction]\nrebalance_interval_hours = 6\n[lease_optimization]\nsteal_cooldown_secs = 5\nhistory_window_ms = 60000')
    assert.equal(config['storage.max_storage'], 100e9)
    assert.equal(config['storage.min_free_space'], 2 * 2 ** 30)
    assert.equal(config['storage.eviction.rebalance_interval'], 6 * 3_600_000)
    assert.equal(config['lease_optimization.steal_cooldown_ms'], 5000)
    assert.equal(config['lease_optimization.history_window_secs'], 60)
  })

  it('says so where a section stands in place of a setting', () => {
    for (const source of ['storage = 5\n', '[[storage]]\nmax_storage = "1GB"\n', '[storage]\nplacement = "x"\n']) assert.match(refusal(source).message, /is a section: \[storage/, source)
  })

  it('names the line, the key and the nearest right one', () => {
    const error = refusal('# mine\n[storage]\nmax_storge = "1GB"\n')
    assert.equal(error.code, 'UNKNOWN_SETTING')
    assert.equal(error.facts.line, 3)
    assert.equal(error.facts.key, 'storage.max_storge')
    assert.equal(error.facts.nearest, 'storage.max_storage')
    assert.match(error.message, /config\.toml:3: .*"storage\.max_storge"; did you mean "storage\.max_storage"\?/)
    assert.equal(refusal('max_storage = "1GB"').facts.nearest, 'storage.max_storage')
    assert.equal(refusal('[storage.replicaton]\ngrace = "1s"').facts.nearest, 'storage.replication.grace')
    assert.equal(refusal('[utterly]\nunheard_of = 1').facts.nearest, undefined)
  })

  it('refuses wrong types with the line and what was expected', () => {
    const error = refusal('[storage]\n\nmax_storage = true')
    assert.equal(error.facts.line, 3)
    assert.match(error.message, /must be a size such as "100GB"/)
    assert.match(refusal('[storage.replication]\ngrace = 30').message, /a duration/)
    assert.match(refusal('[storage]\nmax_storage_gb = "100GB"').message, /unit is in the name/)
    assert.match(refusal('[storage.replication]\nmin_factor = 0').message, /from 1 to 1000/)
    assert.match(refusal('[node]\nname = "a\\nb"').message, /one line/)
    assert.match(refusal('[network]\nlisten = ["127.0.0.1:80"]').message, /addresses such as/)
    assert.match(refusal('', { MESH_NODE_API_LISTEN: 'here' }).message, /^MESH_NODE_API_LISTEN must be HOST:PORT/)
    assert.equal(refusal('[storage\n').facts.line, 1)
    assert.match(refusal('storage = 7').message, /:1: storage is a section: \[storage\]/)
  })

  it('refuses contradictions, and lets a default give way', () => {
    assert.match(refusal('[storage]\nmax_storage = "1GB"\nreserved = "2GB"').message, /:3: storage\.reserved and .*contradict/)
    assert.match(refusal('[storage]\nauto_evict = true\n[storage.eviction]\nauto_evict = false').message, /two names/)
    assert.match(refusal('[storage]\nmax_storage = "1GB"\nmax_storage_gb = 2').message, /same setting/)
    assert.match(refusal('[storage.replication]\nmin_factor = 4\ndefault_factor = 3').message, /contradict/)
    assert.match(refusal('[storage.placement]\ncapacity_weight = 0\ndiversity_weight = 0\nreliability_weight = 0').message, /weights/)
    assert.equal(load('[storage.replication]\ndefault_factor = 1').config['storage.replication.min_factor'], 1)
    assert.equal(load('[storage.replication]\nmin_factor = 4').config['storage.replication.default_factor'], 4)
    const raised = load('[storage.replication]\nmin_factor = 9').config
    assert.deepEqual([raised['storage.replication.min_factor'], raised['storage.replication.default_factor'], raised['storage.replication.high_priority_factor']], [9, 9, 9])
    const lowered = load('[storage.replication]\nhigh_priority_factor = 1').config
    assert.deepEqual([lowered['storage.replication.min_factor'], lowered['storage.replication.default_factor'], lowered['storage.replication.high_priority_factor']], [1, 1, 1])
    const both = refusal('[storage.replication]\nmin_factor = 3\nhigh_priority_factor = 2').message
    assert.match(both, /min_factor and .*high_priority_factor contradict/)
    assert.doesNotMatch(both, /default/)
    assert.equal(load('[storage.eviction]\nstrategy = "lru"').config['storage.eviction_strategy'], 'lru')
  })

  it('warns of a variable that is no setting', () => {
    assert.deepEqual(load('', { MESH_NODE_STORAGE_MAX_STORGE: '1GB', MESH_NODE_HOME: '/x', PATH: '/bin' }).warnings, [
      'MESH_NODE_STORAGE_MAX_STORGE is set but is no setting; did you mean MESH_NODE_STORAGE_MAX_STORAGE?',
    ])
  })

  it('writes a template that holds every setting and changes nothing', () => {
    const template = configTemplate()
    assert.equal(parseConfigFile(template, 'config.toml').size, 0)
    const alive = template.replace(/^#(?=[a-z_]+ = )/gm, '')
    const values = parseConfigFile(alive, 'config.toml')
    assert.equal(values.size, settingNames.length)
    for (const name of settingNames) assert.deepEqual(values.get(name)?.value, settingOf(name).default, name)
    assert.equal(load(configTemplate(new Map([['node.name', 'attic']]))).config['node.name'], 'attic')
  })

  it('sets a value and keeps every comment', () => {
    const source = configTemplate()
    const edited = editConfig(source, 'config.toml', 'storage.max_storage', 5e9)
    assert.match(edited, /^max_storage = "5GB"$/m)
    const comments = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('# '))
    assert.deepEqual(comments(edited), comments(source))
    const again = editConfig(edited.replace('"5GB"', '"5GB" # half the disk'), 'config.toml', 'storage.max_storage', 6e9)
    assert.match(again, /^max_storage = "6GB" # half the disk$/m)
    assert.equal(editConfig('', 'f', 'log.level', 'debug'), '[log]\nlevel = "debug"\n')
    assert.equal(editConfig('[log]\n# x\n[api]\n', 'f', 'log.level', 'debug'), '[log]\nlevel = "debug"\n# x\n[api]\n')
    assert.equal(
      editConfig('[network]\nlisten = [\n  "/ip4/1.1.1.1/tcp/1", # a\n  "/ip4/1.1.1.1/tcp/2",\n]\n# end\n', 'f', 'network.listen', ['/ip4/0.0.0.0/tcp/0']),
      '[network]\nlisten = ["/ip4/0.0.0.0/tcp/0"]\n# end\n',
    )
    assert.equal(editConfig('storage.max_storage_gb = 7\n', 'f', 'storage.max_storage', 8e9), 'storage.max_storage = "8GB"\n')
    assert.throws(() => editConfig('storage = { max_storage = 7 }\n', 'f', 'storage.max_storage', 8e9), /by hand/)
  })

  it('sets any setting of any file it can read, or refuses and says so', () => {
    const line = fc.constantFrom(
      '[storage]', '[log]', '[storage.replication]', 'max_storage = "1GB"', '#max_storage = 1', 'level = "info" # x', '# a comment', '',
      'grace = "1h"', 'min_factor = 1', '  ', 'network.listen = [\n  "/ip4/1.1.1.1/tcp/1",\n]', 'log.format = "json"',
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.constantFrom<SettingName>('storage.max_storage', 'log.level', 'network.listen', 'log.format'), (lines, name) => {
        const source = lines.join('\n')
        let before
        try {
          before = parseConfigFile(source, 'f')
        } catch {
          return
        }
        const value = { 'storage.max_storage': 123, 'log.level': 'warn', 'network.listen': ['/ip4/9.9.9.9/tcp/9'], 'log.format': 'text' }[name as string]
        let edited
        try {
          edited = editConfig(source, 'f', name, value)
        } catch (error) {
          // A section given by dotted keys cannot be opened again by a header.
          assert.match(String(error), /by hand/)
          assert.match(source, /network\.listen|log\.format/)
          return
        }
        const after = parseConfigFile(edited, 'f')
        assert.deepEqual(after.get(name)?.value, value)
        assert.equal(after.size, before.size + (before.has(name) ? 0 : 1))
      }),
      { numRuns: 500 },
    )
  })

  it('knows the nearest setting of every misspelling by one letter', () => {
    for (const name of settingNames) {
      const typo = `${name.slice(0, -2)}${name.slice(-1)}`
      if (settingNames.includes(typo as SettingName)) continue
      try {
        requireSetting(typo)
        assert.fail(typo)
      } catch (error) {
        assert.ok(error instanceof CodedError)
        const nearest = String(error.facts.nearest)
        assert.equal(editDistance(nearest.split('.').at(-1) ?? '', name.split('.').at(-1) ?? ''), 0, `${typo} → ${nearest}`)
      }
    }
  })

  it('has one variable for every setting', () => {
    const shared = settingNames.filter((name) => settingNames.some((other) => other !== name && environmentName(other) === environmentName(name)))
    assert.deepEqual(shared, ['storage.eviction_strategy', 'storage.eviction.strategy'], 'two names for one switch may share one; others may not')
  })

  it('never throws anything but its own error, whatever the file', () => {
    const source = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.tuple(fc.nat(), fc.string({ maxLength: 5 })).map(([at, text]) => {
        const template = configTemplate().replace(/^#(?=[a-z_]+ = )/gm, '')
        const position = at % template.length
        return template.slice(0, position) + text + template.slice(position + text.length)
      }),
      fc.integer({ min: 1, max: 20_000 }).map((depth) => `a = ${'['.repeat(depth)}`),
      fc.integer({ min: 1, max: 5_000 }).map((depth) => `${'a.'.repeat(depth)}b = 1`),
    )
    fc.assert(
      fc.property(source, (text) => {
        try {
          parseConfigFile(text, 'f')
        } catch (error) {
          assert.ok(error instanceof ConfigError, String(error))
        }
      }),
      { numRuns: 400 },
    )
  })

  it('every setting is asked for somewhere, or says that it has no effect', () => {
    const root = join(import.meta.dirname, '../../../src')
    const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.startsWith(join('node', 'config')))
      .map((file) => readFileSync(join(root, file), 'utf8')).join('\n')
    const isAskedFor = (name: string): boolean => sources.includes(`'${name}'`)
    const twinOf = new Map<string, string>(twins.flatMap(([a, b]) => [[a, b], [b, a]]))
    const idle = settingNames.filter((name) => !isAskedFor(name) && !isAskedFor(twinOf.get(name) ?? name))
    const told = settingNames.filter((name) => settingOf(name).meaning.startsWith('Without effect'))
    assert.deepEqual(idle.sort(), told.sort())
  })
})
