import { parse, TomlError } from 'smol-toml'
import { ConfigError } from './errors.js'
import { nearestName, resolveName } from './names.js'
import { sections, settingOf } from './settings.js'
import type { SettingName } from './settings.js'

/** A config file is a page or two; anything larger is some other file. */
export const fileBytesMax = 1024 * 1024

export interface FileValue {
  value: unknown
  /** As it stands in the file. */
  key: string
  line: number | undefined
}

/**
 * The settings that a file gives, checked one by one. Throws `ConfigError` with the line, the key and the nearest right
 * one. `file` is for messages only.
 */
export function parseConfigFile(source: string, file: string): Map<SettingName, FileValue> {
  if (source.length > fileBytesMax) throw new ConfigError('BAD_CONFIG', `${file} is larger than ${String(fileBytesMax)} bytes: it is no config file`, { file })
  const table = parseToml(source, file)
  const lines = keyLines(source)
  const values = new Map<SettingName, FileValue>()
  for (const [key, raw] of leaves(table, '')) {
    const line = lines.get(key)
    const where = line === undefined ? file : `${file}:${String(line)}`
    const facts = { file, key, ...(line === undefined ? {} : { line }) }
    const resolved = resolveName(key)
    if (resolved === undefined && key in sections) {
      throw new ConfigError('BAD_CONFIG', `${where}: ${key} is a section: [${key}] on a line of its own, and its settings below`, facts)
    }
    if (resolved === undefined) {
      const nearest = nearestName(key)
      throw new ConfigError('UNKNOWN_SETTING', `${where}: there is no setting "${key}"${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`, {
        ...facts,
        ...(nearest === undefined ? {} : { nearest }),
      })
    }
    const { kind } = settingOf(resolved.name)
    const value = resolved.scale === undefined ? kind.read(raw) : scaled(raw, resolved.scale, kind.read, settingOf(resolved.name).unit)
    if (value === undefined) {
      const expected = resolved.scale === undefined ? kind.expected : 'a number (its unit is in the name)'
      throw new ConfigError('BAD_CONFIG', `${where}: ${key} must be ${expected}, not ${shown(raw)}`, facts)
    }
    const other = values.get(resolved.name)
    if (other !== undefined) {
      throw new ConfigError('BAD_CONFIG', `${where}: ${key} and ${other.key}${other.line === undefined ? '' : ` (line ${String(other.line)})`} are the same setting; keep one`, facts)
    }
    values.set(resolved.name, { value, key, line })
  }
  return values
}

function parseToml(source: string, file: string): Record<string, unknown> {
  try {
    return parse(source)
  } catch (error) {
    if (error instanceof TomlError) {
      const reason = (error.message.split('\n')[0] ?? '').replace(/^Invalid TOML document: /, '')
      throw new ConfigError('BAD_CONFIG', `${file}:${String(error.line)}: this is not TOML: ${reason}`, { file, line: error.line, column: error.column })
    }
    // Nesting deeper than the parser's stack.
    throw new ConfigError('BAD_CONFIG', `${file}: this is not a config file`, { file }, { cause: error })
  }
}

function scaled(raw: unknown, scale: number, read: (value: unknown) => unknown, unit: 'size' | 'duration' | undefined): unknown {
  if (typeof raw !== 'number' || raw < 0) return undefined
  const value = raw * scale
  if (unit === 'size') return read(Math.round(value))
  return unit === 'duration' ? (Number.isSafeInteger(Math.round(value)) ? Math.round(value) : undefined) : read(value)
}

/** Settings sit at most this deep: `storage.replication.grace`. */
const depthMax = 3

function* leaves(table: Record<string, unknown>, prefix: string): Iterable<readonly [string, unknown]> {
  for (const [name, value] of Object.entries(table)) {
    const key = `${prefix}${name}`
    const isTable = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
    if (isTable && key.split('.').length < depthMax && (Object.keys(value).length > 0 || key in sections)) {
      yield* leaves(value as Record<string, unknown>, `${key}.`)
    } else {
      yield [key, value]
    }
  }
}

/** Which line each key stands on. For messages only, so that odd spellings that it misses cost a line number and no more. */
function keyLines(source: string): Map<string, number> {
  const lines = new Map<string, number>()
  let section = ''
  for (const [index, line] of source.split('\n').entries()) {
    const header = /^\s*\[\s*([^[\]#]+?)\s*\]/.exec(line)
    if (header !== null) {
      section = `${plainKey(header[1] ?? '')}.`
      if (!lines.has(section.slice(0, -1))) lines.set(section.slice(0, -1), index + 1)
      continue
    }
    const key = /^\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=/.exec(line)
    if (key !== null) {
      const name = section + plainKey(key[1] ?? '')
      if (!lines.has(name)) lines.set(name, index + 1)
    }
  }
  return lines
}

function plainKey(text: string): string {
  return text.split('.').map((part) => part.trim().replace(/^["']|["']$/g, '')).join('.')
}

function shown(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) as string | undefined) ?? typeof value
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
