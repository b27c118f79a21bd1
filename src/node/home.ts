import { accessSync, chmodSync, constants, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { codeOf, messageOf } from '../base/index.js'
import type { ApiFile } from '../client/index.js'
import { configTemplate } from './config/index.js'
import type { SettingName } from './config/index.js'
import { NodeError } from './errors.js'
import { isExposed } from './keys.js'
import { writePrivately } from './private-file.js'

/** One node's folder: everything it knows and keeps. Nothing is ever written outside it. */
export interface Home {
  readonly path: string
  readonly configFile: string
  /** Who the node is. */
  readonly identityFile: string
  /** Only at the mesh's first node, unless moved: the right to invite and remove. */
  readonly authorityFile: string
  /** How far this node's voter had got: beside the database, since what loses the one must not lose the other. */
  readonly voterFile: string
  /** How to reach the running node. */
  readonly apiFile: string
}

export function homeAt(path: string): Home {
  const absolute = resolve(path)
  return {
    path: absolute,
    configFile: join(absolute, 'config.toml'),
    identityFile: join(absolute, 'identity.key'),
    authorityFile: join(absolute, 'authority.key'),
    voterFile: join(absolute, 'voter.seq'),
    apiFile: join(absolute, 'api.json'),
  }
}

/** Makes the folder, for its owner's eyes only, and writes config.toml if there is none. */
export function prepareHome(home: Home, initial: ReadonlyMap<SettingName, unknown> = new Map()): void {
  try {
    mkdirSync(home.path, { recursive: true, mode: 0o700 })
    // One that is there already is made no more, and what is wrong with it would be told in the words of the database.
    accessSync(home.path, constants.W_OK)
    // The home may have been there before, open to all; what people put into the mesh is in these, and is not for all.
    for (const folder of ['blocks', 'logs', 'meta']) {
      mkdirSync(join(home.path, folder), { recursive: true, mode: 0o700 })
      if (isExposed(join(home.path, folder))) chmodSync(join(home.path, folder), 0o700)
    }
    if (!existsSync(home.configFile)) writeFileSync(home.configFile, configTemplate(initial), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    const code = codeOf(error) === 'ENOENT' ? whyNotIn(home.path) : codeOf(error)
    const why = code === 'ENOSPC' ? 'the disk is full' : code === 'EACCES' || code === 'EROFS' ? 'it may not be written to' : code === 'ENOTDIR' || code === 'EEXIST' ? 'a file is in the way' : messageOf(error)
    throw new NodeError('BAD_HOME', `${home.path} cannot be used as a home: ${why}; choose another with --home`, { home: home.path }, { cause: error })
  }
}

/** Node.js says of a file system that may not be written to that there is no such folder; the nearest one that there is knows better. */
function whyNotIn(path: string): string | undefined {
  let folder = path
  while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder)
  try {
    accessSync(folder, constants.W_OK)
    return undefined
  } catch (error) {
    return codeOf(error)
  }
}

/** Readable by the owner alone: the token in it is the key to the node. Replaced in one step, so that nobody reads half of it. */
export function writeApiFile(home: Home, api: ApiFile): void {
  writePrivately(home.apiFile, `${JSON.stringify(api)}\n`)
}

export function removeApiFile(home: Home): void {
  rmSync(home.apiFile, { force: true })
}

/** Whether a process of that ID runs, whoever's it is. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}
