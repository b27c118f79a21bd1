import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { codeOf, messageOf } from '../../base/index.js'
import { ConfigError } from './errors.js'
import { parseConfigFile } from './file.js'
import { editDistance, nearestName } from './names.js'
import { environmentName, settingNames, settingOf, twins } from './settings.js'
import type { Config, SettingName } from './settings.js'

export type Origin = 'flag' | 'environment' | 'file' | 'default'

export interface LoadedConfig {
  readonly config: Config
  readonly origins: ReadonlyMap<SettingName, Origin>
  /** Things to tell the operator that do not stop the start. */
  readonly warnings: readonly string[]
}

export interface ConfigSources {
  /** Path of config.toml; it need not exist. */
  file: string
  environment: NodeJS.ProcessEnv
  /** Values from flags, as typed. */
  flags?: Partial<Record<SettingName, string | readonly string[]>>
}

/** Variables that are not settings. */
const otherVariables = new Set(['MESH_NODE_HOME', 'MESH_NODE_URL', 'MESH_NODE_TOKEN'])

/** Nobody sets this by accident: a delay that was left in a file must not slow a node down for good. */
const delayAllowed = 'MESH_NODE_TEST_DELAY_ALLOWED'

/** flag > environment > file > default, each checked, then all of it together. Throws `ConfigError`. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const source = readSource(sources.file)
  const fromFile = parseConfigFile(source, sources.file)
  const values = new Map<SettingName, unknown>()
  const origins = new Map<SettingName, Origin>()
  for (const name of settingNames) {
    const variable = environmentName(name)
    const flagged = sources.flags?.[name]
    const exported = sources.environment[variable]
    const filed = fromFile.get(name)
    if (flagged !== undefined) {
      values.set(name, fromText(name, flagged, `--${flagName(name)}`))
      origins.set(name, 'flag')
    } else if (exported !== undefined && exported !== '') {
      values.set(name, fromText(name, exported, variable))
      origins.set(name, 'environment')
    } else if (filed !== undefined) {
      values.set(name, filed.value)
      origins.set(name, 'file')
    } else {
      values.set(name, settingOf(name).default)
      origins.set(name, 'default')
    }
  }
  settleTwins(values, origins)
  settleFactors(values, origins)
  const config = Object.fromEntries(values) as Config
  const at = (name: SettingName): string => where(name, origins, fromFile, sources.file)
  checkTogether(config, at)
  if (config['network.test_delay'].length > 0 && sources.environment[delayAllowed] !== '1') {
    throw new ConfigError('BAD_CONFIG', `${at('network.test_delay')} makes this node slow on purpose, for tests; it needs ${delayAllowed}=1 in the environment`, { key: 'network.test_delay' })
  }
  return {
    config: config['node.name'] === '' ? { ...config, 'node.name': hostname().slice(0, 64) } : config,
    origins,
    warnings: unknownVariables(sources.environment),
  }
}

function readSource(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    // Where a file is in place of the home, whoever makes the home says so.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return ''
    throw new ConfigError('BAD_CONFIG', `${file} cannot be read: ${messageOf(error)}`, { file }, { cause: error })
  }
}

/** Of what somebody has typed, in a sentence about it. */
const shownMax = 100

/** Text of one setting → its value; `origin` is how the person knows it. */
export function fromText(name: SettingName, typed: string | readonly string[], origin: string): unknown {
  const { kind } = settingOf(name)
  const value = typeof typed === 'string' ? kind.parse(typed) : kind.read(typed)
  if (value === undefined) {
    throw new ConfigError('BAD_CONFIG', `${origin} must be ${kind.expected}, not "${(typeof typed === 'string' ? typed : typed.join('", "')).slice(0, shownMax)}"`, { key: name })
  }
  return value
}

/** Where a setting's value comes from that `config.toml` cannot change: a flag or a variable, as typed; undefined if none. */
export function aheadOfFile(name: SettingName, origins: ReadonlyMap<SettingName, Origin>): string | undefined {
  const origin = origins.get(name)
  return origin === 'flag' ? `--${flagName(name)}` : origin === 'environment' ? environmentName(name) : undefined
}

function flagName(name: SettingName): string {
  const last = name.slice(name.lastIndexOf('.') + 1)
  return name === 'api.listen' ? 'api' : last.replaceAll('_', '-')
}

/** Of two names for one switch the one that somebody has set counts for both; if both are set they must agree. */
function settleTwins(values: Map<SettingName, unknown>, origins: Map<SettingName, Origin>): void {
  for (const [left, right] of twins) {
    const leftSet = origins.get(left) !== 'default'
    const rightSet = origins.get(right) !== 'default'
    if (leftSet && rightSet && values.get(left) !== values.get(right)) {
      throw new ConfigError('BAD_CONFIG', `${left} and ${right} are two names for one setting and contradict each other; keep one`, { key: left })
    }
    if (leftSet) values.set(right, values.get(left))
    else if (rightSet) values.set(left, values.get(right))
  }
}

/** Somebody who asks for one copy of everything need not know of the other two numbers: a default gives way to what is set. */
function settleFactors(values: Map<SettingName, unknown>, origins: ReadonlyMap<SettingName, Origin>): void {
  const factor = values.get('storage.replication.default_factor') as number
  const least = values.get('storage.replication.min_factor') as number
  const most = values.get('storage.replication.high_priority_factor') as number
  const isDefault = (name: SettingName): boolean => origins.get(name) === 'default'
  const [leastFree, mostFree] = [isDefault('storage.replication.min_factor'), isDefault('storage.replication.high_priority_factor')]
  // The one in the middle first, between those that are set; then the outer ones give way to it.
  const settled = isDefault('storage.replication.default_factor') ? Math.max(mostFree ? factor : Math.min(factor, most), leastFree ? 1 : least) : factor
  values.set('storage.replication.default_factor', settled)
  if (leastFree) values.set('storage.replication.min_factor', Math.min(least, settled))
  if (mostFree) values.set('storage.replication.high_priority_factor', Math.max(most, settled))
}

function where(name: SettingName, origins: ReadonlyMap<SettingName, Origin>, file: ReturnType<typeof parseConfigFile>, path: string): string {
  const line = file.get(name)?.line
  switch (origins.get(name)) {
    case 'flag':
      return `--${flagName(name)}`
    case 'environment':
      return environmentName(name)
    case 'file':
      return `${path}${line === undefined ? '' : `:${String(line)}`}: ${name}`
    default:
      return `${name} (default)`
  }
}

function checkTogether(config: Config, at: (name: SettingName) => string): void {
  const refuse = (name: SettingName, other: SettingName, why: string): never => {
    throw new ConfigError('BAD_CONFIG', `${at(name)} and ${at(other)} contradict each other: ${why}`, { key: name, other })
  }
  if (config['storage.reserved'] > config['storage.max_storage']) {
    refuse('storage.reserved', 'storage.max_storage', 'more is reserved than the node may use in all')
  }
  if (config['storage.replication.min_factor'] > config['storage.replication.high_priority_factor']) {
    refuse('storage.replication.min_factor', 'storage.replication.high_priority_factor', 'the minimum of any file is above what critical ones get')
  }
  if (config['storage.replication.min_factor'] > config['storage.replication.default_factor']) {
    refuse('storage.replication.min_factor', 'storage.replication.default_factor', 'the minimum is above what is wanted')
  }
  if (config['storage.replication.default_factor'] > config['storage.replication.high_priority_factor']) {
    refuse('storage.replication.default_factor', 'storage.replication.high_priority_factor', 'normal files would have more copies than critical ones')
  }
  const weights = ['storage.placement.capacity_weight', 'storage.placement.diversity_weight', 'storage.placement.reliability_weight'] as const
  if (weights.every((name) => config[name] === 0)) refuse(weights[0], weights[2], 'at least one of the weights must be above 0')
}

/** A misspelt variable changes nothing and says nothing, which is worse than an error; but others may own the prefix too, so it is a warning. */
function unknownVariables(environment: NodeJS.ProcessEnv): string[] {
  const known = new Map(settingNames.map((name) => [environmentName(name), name]))
  return Object.keys(environment)
    .filter((variable) => variable.startsWith('MESH_NODE_') && !known.has(variable) && !otherVariables.has(variable) && !variable.startsWith('MESH_NODE_TEST_'))
    .map((variable) => {
      const nearest = [...known.keys()].map((name) => ({ name, distance: editDistance(name, variable) })).sort((a, b) => a.distance - b.distance)[0]
      const hint = nearest !== undefined && nearest.distance <= 4 ? `; did you mean ${nearest.name}?` : ''
      return `${variable} is set but is no setting${hint}`
    })
}

/** For `config get|set KEY`. */
export function requireSetting(key: string): SettingName {
  const exact = settingNames.find((name) => name === key)
  if (exact !== undefined) return exact
  const nearest = nearestName(key)
  throw new ConfigError('UNKNOWN_SETTING', `there is no setting "${key}"${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`, {
    key,
    ...(nearest === undefined ? {} : { nearest }),
  })
}
