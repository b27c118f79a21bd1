import { parse } from 'smol-toml'
import { ConfigError } from './errors.js'
import { parseConfigFile } from './file.js'
import { sections, settingNames, settingOf } from './settings.js'
import type { SettingName } from './settings.js'

/** The file that a first start writes: every setting with its meaning and default, commented out, so that a later version's better defaults come through. */
export function configTemplate(values: ReadonlyMap<SettingName, unknown> = new Map()): string {
  const lines = [
    '# mesh-node. Every setting there is, with its default. Take the # away to change one, or use',
    '# `mesh-node config set KEY VALUE`. The environment (MESH_NODE_STORAGE_MAX_STORAGE=50GB) comes before this file, and a',
    '# flag (--max-storage 50GB) before both. Sizes: 100GB is 10^9 bytes each, 100GiB 2^30. Durations: 250ms, 30s, 5m, 24h, 7d.',
    '# A key that is not known, or a value that cannot be, stops the start and says on which line.',
  ]
  for (const [section, meaning] of Object.entries(sections)) {
    lines.push('', `# ${meaning}`, `[${section}]`)
    for (const name of settingNames) {
      if (sectionOf(name) !== section) continue
      const { kind, default: initial, meaning: what } = settingOf(name)
      const isSet = values.has(name)
      lines.push(`# ${what}`, `${isSet ? '' : '#'}${keyOf(name)} = ${kind.write(isSet ? values.get(name) : initial)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

/**
 * `source` with one setting changed and every comment kept: its line is replaced, else the line it is commented out on is
 * brought to life, else it is added at the end of its section. The result is parsed and compared before it is handed
 * back: if this way of editing ever meets a file it does not understand, it says so and changes nothing.
 */
export function editConfig(source: string, file: string, name: SettingName, value: unknown): string {
  const before = parseConfigFile(source, file)
  const current = before.get(name)
  const written = `${keyOf(name)} = ${settingOf(name).kind.write(value)}`
  const edited = current === undefined ? inserted(source, name, written) : replaced(source, current.line, current.key, written)
  const after = edited === undefined ? undefined : parsed(edited, file)
  const same = (key: SettingName): boolean => JSON.stringify(after?.get(key)?.value) === JSON.stringify(key === name ? value : before.get(key)?.value)
  if (edited === undefined || after === undefined || !settingNames.every(same)) {
    throw new ConfigError('BAD_CONFIG', `${file} is written in a way that cannot be edited from here; set "${name}" in it by hand`, { file, key: name })
  }
  return edited
}

function parsed(source: string, file: string): ReturnType<typeof parseConfigFile> | undefined {
  try {
    return parseConfigFile(source, file)
  } catch {
    return undefined
  }
}

function replaced(source: string, line: number | undefined, key: string, written: string): string | undefined {
  if (line === undefined) return undefined
  const lines = source.split('\n')
  const start = line - 1
  const end = endOfValue(lines, start)
  if (end === undefined) return undefined
  const first = lines[start] ?? ''
  const indent = /^\s*/.exec(first)?.[0] ?? ''
  // `storage.max_storage = 1` under no section stays where it is, with its dots.
  const left = first.slice(0, first.indexOf('=')).trim()
  const name = left.includes('.') ? left.replace(/[^.]+$/, '') + written : written
  const comment = start === end ? trailingComment(first) : ''
  return key === '' ? undefined : [...lines.slice(0, start), `${indent}${name}${comment}`, ...lines.slice(end + 1)].join('\n')
}

/** A value may go over several lines (a list): the shortest run of lines that is TOML by itself. */
function endOfValue(lines: readonly string[], start: number): number | undefined {
  for (let end = start; end < lines.length; end++) {
    try {
      parse(lines.slice(start, end + 1).join('\n'))
      return end
    } catch {
      // Not whole yet.
    }
  }
  return undefined
}

function trailingComment(line: string): string {
  const match = /^[^"'#]*(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^"'#])*?(\s*#.*)$/.exec(line)
  return match?.[1]?.replace(/\r$/, '') ?? ''
}

function inserted(source: string, name: SettingName, written: string): string {
  const lines = source.split('\n')
  const section = sectionOf(name)
  const header = lines.findIndex((line) => new RegExp(`^\\s*\\[\\s*${section.replaceAll('.', '\\s*\\.\\s*')}\\s*\\]\\s*(#.*)?\\r?$`).test(line))
  if (header === -1) {
    const gap = source === '' || source.endsWith('\n\n') ? '' : source.endsWith('\n') ? '\n' : '\n\n'
    return `${source}${gap}[${section}]\n${written}\n`
  }
  let end = header + 1
  while (end < lines.length && !/^\s*\[/.test(lines[end] ?? '')) end++
  const dormant = lines.findIndex((line, index) => index > header && index < end && new RegExp(`^\\s*#\\s*${keyOf(name)}\\s*=`).test(line))
  if (dormant !== -1) return [...lines.slice(0, dormant), written, ...lines.slice(dormant + 1)].join('\n')
  // Behind the last line of the section that says something; what follows may be the next section's comment.
  let at = end
  while (at > header + 1 && /^\s*(#.*)?$/.test(lines[at - 1] ?? '')) at--
  return [...lines.slice(0, at), written, ...lines.slice(at)].join('\n')
}

function sectionOf(name: SettingName): string {
  return name.slice(0, name.lastIndexOf('.'))
}

function keyOf(name: SettingName): string {
  return name.slice(name.lastIndexOf('.') + 1)
}
