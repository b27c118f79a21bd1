import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { messageOf } from '../base/index.js'
import type { NodeStatus } from '../client/index.js'
import { loadConfig } from './config/index.js'
import type { SettingName } from './config/index.js'
import { NodeError } from './errors.js'
import { homeAt, prepareHome } from './home.js'
import { isExposed } from './keys.js'
import { createLog } from './log.js'

export interface ReadyNode {
  status: NodeStatus & { home: string }
  /** With the token in its fragment, which browsers do not send anywhere. */
  dashboardUrl: string
}

export interface RunInit {
  home: string
  flags: Partial<Record<SettingName, string | readonly string[]>>
  joinToken?: string | undefined
  /** Aborts when the person wants it stopped. */
  signal: AbortSignal
  onReady: (ready: ReadyNode) => void
  say: (text: string) => void
}

/** Runs a node until the signal aborts, somebody asks it over the API to stop, or a part of it fails (then it throws). */
export async function runNode(init: RunInit): Promise<void> {
  const home = homeAt(init.home)
  const { config, origins, warnings } = loadConfig({ file: home.configFile, environment: process.env, flags: init.flags })
  prepareHome(home)
  for (const warning of warnings) init.say(`warning: ${warning}`)
  for (const file of [home.identityFile, home.authorityFile]) {
    if (isExposed(file)) init.say(`warning: others on this machine can read ${file}; run chmod 600 on it`)
  }
  const log = createLog({
    level: config['log.level'],
    format: config['log.format'],
    ...(config['log.file'] === '' ? {} : { file: logFileIn(home.path, config['log.file']) }),
  })
  // A rejection that nobody waited for is a bug of ours or of a library; the store is safe from it, and a node that goes
  // on is worth more to its mesh than one that is gone.
  const onRejection = (reason: unknown): void => {
    log.error('a promise was rejected and nobody looked', { error: reason instanceof Error ? (reason.stack ?? reason.message) : String(reason) })
  }
  process.on('unhandledRejection', onRejection)
  const { startNode } = await import('./assemble.js')
  let stop: (outcome: { error?: unknown }) => void = () => undefined
  const stopped = new Promise<{ error?: unknown }>((resolve) => {
    stop = resolve
  })
  init.signal.throwIfAborted()
  const node = await startNode({ log }, {
    home,
    config,
    origins,
    joinToken: init.joinToken,
    say: init.say,
    onStop: (error) => {
      stop(error === undefined ? {} : { error })
    },
  })
  try {
    init.onReady({
      status: { ...(await node.service.status()), home: home.path },
      dashboardUrl: `${node.url}/#token=${node.token}`,
    })
    init.signal.addEventListener('abort', () => {
      stop({})
    }, { once: true })
    if (init.signal.aborted) stop({})
    const { error } = await stopped
    init.say('stopping')
    if (error !== undefined) throw error
  } finally {
    await node.stop()
    process.off('unhandledRejection', onRejection)
    init.say('stopped')
  }
}

/** With the folders that it is in: a log that is written nowhere would be missed when it is needed. */
function logFileIn(home: string, name: string): string {
  const file = join(home, name)
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new NodeError('BAD_HOME', `log.file cannot be ${name}: ${messageOf(error)}`, { file }, { cause: error })
  }
  return file
}
