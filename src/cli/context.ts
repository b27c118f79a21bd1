import type { Command } from 'commander'
import { parseDuration } from '../base/index.js'
import { ClientError, defaultHome, MeshClient, notRunning, readApiFile } from '../client/index.js'
import { asTyped } from './command-name.js'
import { CliError } from './errors.js'

/** What a command is given: where the home is, where words go, how to reach the node, and when to stop. */
export interface Context {
  readonly home: string
  readonly json: boolean
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
  let client: MeshClient | undefined
  return {
    home,
    json,
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
      const url = process.env.MESH_NODE_URL
      const token = process.env.MESH_NODE_TOKEN
      const timeout = timeoutMs === undefined ? {} : { timeoutMs }
      if (url !== undefined && token !== undefined && options.home === undefined) client = new MeshClient({ url, token, ...timeout })
      else client = MeshClient.ofHome(home, timeout)
      const opened = client
      closing(() => {
        opened.close()
      })
      return client
    },
  }
}

/** NOT_RUNNING at an address is NOT_RUNNING of a home, to whoever named the home: an api.json that a killed node left is no running node. */
export function explained(error: unknown, home: string): unknown {
  if (!(error instanceof ClientError) || error.code !== 'NOT_RUNNING' || error.facts.home !== undefined) return error
  return readApiFile(home) === undefined ? error : notRunning(home, error)
}

export function durationOf(text: string, option: string): number {
  const ms = parseDuration(text)
  if (ms === undefined) throw new CliError('USAGE', `${option} takes a duration such as 30s or 24h, not "${text}"`)
  return ms
}
