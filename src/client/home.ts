import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { shellWord } from '../base/index.js'
import { ClientError } from './error.js'

/** How to reach the running node of a home; written when its API is up, removed at a clean stop. */
export interface ApiFile {
  pid: number
  url: string
  token: string
}

/** The platform's own place for data: XDG on Linux, Application Support on macOS, LocalAppData on Windows. */
export function defaultHome(environment: NodeJS.ProcessEnv = process.env, platform: NodeJS.Platform = process.platform): string {
  const chosen = environment.MESH_NODE_HOME
  if (chosen !== undefined && chosen !== '') return chosen
  if (platform === 'win32') return join(environment.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'mesh-node')
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'mesh-node')
  const base = environment.XDG_DATA_HOME
  return join(base !== undefined && base.startsWith('/') ? base : join(homedir(), '.local', 'share'), 'mesh-node')
}

/** Undefined if there is none or it is not readable as one. Its node may be dead all the same: a killed node leaves it. */
export function readApiFile(home: string): ApiFile | undefined {
  let text: string
  try {
    text = readFileSync(join(home, 'api.json'), 'utf8')
  } catch {
    return undefined
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    const { pid, url, token } = value as Record<string, unknown>
    if (typeof pid !== 'number' || typeof url !== 'string' || typeof token !== 'string') return undefined
    // What is no address of a node would only fail later, in the words of a library.
    return new URL(url).protocol === 'http:' && /^[\x21-\x7e]+$/.test(token) ? { pid, url, token } : undefined
  } catch {
    return undefined
  }
}

export function notRunning(home: string, cause?: unknown): ClientError {
  return new ClientError(
    'NOT_RUNNING',
    `no node is running in ${home}; start it with \`mesh-node start --home ${shellWord(home)}\`, or name another home with --home`,
    { home },
    { cause },
  )
}
