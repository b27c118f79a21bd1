import type { Command } from 'commander'
import { parseDuration } from '../base/index.js'
import { ClientError, defaultHome, MeshClient, notRunning, readApiFile } from '../client/index.js'
import { asTyped } from './command-name.js'
import { CliError } from './errors.js'

/** What a command is given: where the home is, where words go, how to reach the node, and when to stop. */
export interface Context {
  readonly home: string
  readonly json: boolean
  /** Whether the node is named by the environment (MESH_NODE_URL and MESH_NODE_TOKEN) and not by its home. */
  readonly isRemote: boolean
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  /** The result: a JSON document with `--json`, else what `human` makes of it. */
  print(document: unknown, human: () => string): void
  /** Plain text on stdout, whatever the mode. */
  write(text: string): void
  /** Words beside the result: to stderr, and not at all with `--json`. */
  say(text: string): void
  /** A client of the running node; NOT_RUNNING if there is none. */
  client(): MeshClient
}

export interface CommonOptions {
  home?: string
  json?: boolean
  timeout?: string
}

export interface Streams {
  stdout: NodeJS.WritableStream
  stderr: NodeJS.WritableStream
}

/** Every command takes these, before its name or after. */
export function withCommonOptions(command: Command): Command {
  return command
    .option('--home <folder>', 'the node\'s folder [MESH_NODE_HOME, or the platform\'s data folder]')
    .option('--json', 'print one JSON document')
    .option('--timeout <duration>', 'give up waiting for the node after this long, e.g. 30s')
}

export function createContext(options: CommonOptions, streams: Streams, signal: AbortSignal, closing: (close: () => void) => void): Context {
  // `--home "$unset"` would otherwise make a node of whatever folder one is in.
  if (options.home === '') throw new CliError('USAGE', '--home takes a folder, and this is empty: is a variable not set?')
  const home = options.home ?? defaultHome()
  const json = options.json === true
  const timeoutMs = options.timeout === undefined ? undefined : durationOf(options.timeout, '--timeout')
  const { MESH_NODE_URL: url, MESH_NODE_TOKEN: token } = process.env
  const remote = url !== undefined && token !== undefined && options.home === undefined ? { url, token } : undefined
  let client: MeshClient | undefined
  return {
    home,
    json,
    isRemote: remote !== undefined,
    signal,
    print(document, human) {
      const text = json ? JSON.stringify(document) : asTyped(human())
      if (text !== '') streams.stdout.write(`${text}\n`)
    },
    write(text) {
      streams.stdout.write(text)
    },
    say(text) {
      if (!json) streams.stderr.write(`${asTyped(text)}\n`)
    },
    client() {
      if (client !== undefined) return client
      const timeout = timeoutMs === undefined ? {} : { timeoutMs }
      client = remote === undefined ? MeshClient.ofHome(home, timeout) : new MeshClient({ ...checkedRemote(remote), ...timeout })
      const opened = client
      closing(() => {
        opened.close()
      })
      return client
    },
  }
}

/** What would only fail later, in the words of a library. */
function checkedRemote(remote: { url: string; token: string }): { url: string; token: string } {
  if (!URL.canParse(remote.url) || new URL(remote.url).protocol !== 'http:') throw new CliError('USAGE', `MESH_NODE_URL is the address of a node's API, such as http://127.0.0.1:4780, not "${remote.url}"`)
  if (!/^[\x21-\x7e]+$/.test(remote.token)) throw new CliError('USAGE', 'MESH_NODE_TOKEN is the token in api.json in the node\'s home, and this is none')
  return remote
}

/**
 * An api.json that a killed node left is no running node. Nobody answers at its address, or another node does that has
 * come to listen there since, and does not know the token: to whoever named the home both are NOT_RUNNING.
 */
export function explained(error: unknown, { home, isRemote }: Pick<Context, 'home' | 'isRemote'>): unknown {
  if (!(error instanceof ClientError) || isRemote || error.facts.home !== undefined) return error
  if (error.code !== 'NOT_RUNNING' && error.code !== 'UNAUTHORIZED') return error
  return readApiFile(home) === undefined ? error : notRunning(home, error)
}

export function durationOf(text: string, option: string): number {
  const ms = parseDuration(text)
  if (ms === undefined) throw new CliError('USAGE', `${option} takes a duration such as 30s or 24h, not "${text}"`)
  return ms
}
