import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configTemplate, editConfig, fromText, homeAt, isSettingName, loadConfig, prepareHome, requireSetting, settingNames, settingOf } from '../../node/index.js'
import type { SettingName } from '../../node/index.js'
import { CliError } from '../errors.js'
import type { Register } from '../register.js'

const none = (): void => undefined

/** The file of settings. Needs no running node; a running one reads it at its next start. */
export function configCommands(register: Register): void {
  register('config get [key]', 'a setting and where its value comes from, or all', none, async (context, [key]) => {
    const home = homeAt(context.home)
    const { config, origins } = loadConfig({ file: home.configFile, environment: process.env })
    if (key !== undefined) {
      const name = requireSetting(key)
      context.print({ key: name, value: config[name], origin: origins.get(name) ?? 'default' }, () => plain(name, config[name]))
      return
    }
    const rows = settingNames.map((name) => ({ key: name, value: config[name], origin: origins.get(name) ?? 'default' }))
    context.print(rows, () => rows.map((row) => `${row.key} = ${settingOf(row.key).kind.write(row.value)}${row.origin === 'default' ? '' : `  # ${row.origin}`}`).join('\n'))
  })

  register('config set <key> <value>', 'change a setting in config.toml, comments kept', none, async (context, [key = '', value = '']) => {
    const name = requireSetting(key)
    const parsed = fromText(name, value, name)
    const home = homeAt(context.home)
    prepareHome(home)
    const source = existsSync(home.configFile) ? readFileSync(home.configFile, 'utf8') : configTemplate()
    const edited = editConfig(source, home.configFile, name, parsed)
    // What would stop the next start is not written.
    checkEdited(home.configFile, edited)
    context.print({ key: name, value: parsed, file: home.configFile }, () => '')
    context.say(`${name} = ${settingOf(name).kind.write(parsed)}; takes effect at the next start`)
  })

  register('config check [file]', 'whether config.toml is right, all of it', none, async (context, [file]) => {
    const path = file ?? join(context.home, 'config.toml')
    if (file !== undefined && !existsSync(file)) throw new CliError('NOT_FOUND', `there is no file ${file}`, { file })
    const { origins, warnings } = loadConfig({ file: path, environment: process.env })
    const set = [...origins].filter(([, origin]) => origin === 'file').map(([name]) => name)
    context.print({ file: path, exists: existsSync(path), ok: true, settings: set, warnings }, () =>
      `${path} is right${existsSync(path) ? `; it sets ${String(set.length)} of ${String(settingNames.length)} settings` : ': it does not exist, so all is default'}`)
    for (const warning of warnings) context.say(warning)
  })
}

function plain(name: SettingName, value: unknown): string {
  return typeof value === 'string' ? value : isSettingName(name) ? settingOf(name).kind.write(value).replace(/^"|"$/g, '') : ''
}

function checkEdited(file: string, edited: string): void {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : undefined
  writeFileSync(file, edited, { mode: 0o600 })
  try {
    loadConfig({ file, environment: {} })
  } catch (error) {
    if (before !== undefined) writeFileSync(file, before)
    throw error
  }
}
