import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { codeOf } from '../base/index.js'
import { ClientError } from '../client/index.js'
import { asTyped } from './command-name.js'
import { completionCommand } from './commands/completion.js'
import { configCommands } from './commands/config.js'
import { contributionCommands } from './commands/contribution.js'
import { doctorCommand } from './commands/doctor.js'
import { fileCommands } from './commands/files.js'
import { getCommand } from './commands/get.js'
import { homeCommands } from './commands/home.js'
import { leaseCommands } from './commands/leases.js'
import { meshCommands } from './commands/mesh.js'
import { putCommand } from './commands/put.js'
import { runUnderLeaseCommand } from './commands/run-under-lease.js'
import { startCommand } from './commands/start.js'
import { volumeCommands } from './commands/volumes.js'
import { voterCommands } from './commands/voters.js'
import { createContext, explained, withCommonOptions } from './context.js'
import type { CommonOptions, Context, Streams } from './context.js'
import { errorDocument, errorSentence, ExitWith, exitCodeOf, wasTold } from './errors.js'
import type { Register } from './register.js'

export interface RunOptions extends Streams {
  signal: AbortSignal
}

export function versionOfPackage(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  return version
}

/** Parses, runs, and resolves to the exit code. Never rejects; what went wrong has been said by then. */
export async function runCli(args: readonly string[], run: RunOptions): Promise<number> {
  const wantsJson = args.includes('--json')
  const closers: (() => void)[] = []
  const program = withCommonOptions(new Command('mesh-node'))
    .description('Storage that you and your friends give each other: one private mesh of your machines.')
    .version(versionOfPackage(), '-V, --version')
    .showHelpAfterError(asTyped('(`mesh-node COMMAND --help` says more)'))
    // Else `--` of `lease run SCOPE -- CMD -x` would be taken away before `run` sees it.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => run.stdout.write(text),
      writeErr: (text) => run.stderr.write(text),
      outputError: (text, write) => {
        if (!wantsJson) write(text.replace(/^error: /, 'mesh-node: '))
      },
    })
  const failure: { context: Context | undefined } = { context: undefined }

  const register: Register = (syntax, summary, configure, work) => {
    const words = syntax.split(' ')
    const firstArgument = words.findIndex((word) => /^[<[]/.test(word))
    const names = firstArgument === -1 ? words : words.slice(0, firstArgument)
    const parent = names.slice(0, -1).reduce<Command>((command, name) => command.commands.find((child) => child.name() === name) ?? group(command, name), program)
    const command = withCommonOptions(parent.command([names.at(-1), ...words.slice(names.length)].join(' ')).description(summary))
    configure(command)
    command.action(async () => {
      const options: CommonOptions = command.optsWithGlobals()
      const context = createContext(options, run, run.signal, (close) => closers.push(close))
      failure.context = context
      await work(context, command.args, options as never)
    })
    return command
  }

  startCommand(register)
  homeCommands(register)
  meshCommands(register)
  putCommand(register)
  getCommand(register)
  fileCommands(register)
  leaseCommands(register)
  runUnderLeaseCommand(register)
  voterCommands(register)
  volumeCommands(register)
  contributionCommands(register)
  configCommands(register)
  doctorCommand(register)
  register('version', 'which version this is', () => undefined, async (context) => {
    const version = versionOfPackage()
    context.print({ version, node: process.versions.node, platform: process.platform, arch: process.arch }, () => `mesh-node ${version} (Node ${process.versions.node}, ${process.platform} ${process.arch})`)
  })
  completionCommand(register, () => program)

  try {
    await program.parseAsync([...args], { from: 'user' })
    return 0
  } catch (thrown) {
    if (thrown instanceof ExitWith) return thrown.exitCode
    const error = run.signal.aborted && !(thrown instanceof CommanderError) && isCancellation(thrown, run.signal) ? cancelled() : failure.context === undefined ? thrown : explained(thrown, failure.context)
    const code = exitCodeOf(error)
    if (code === 0) return 0
    if (wantsJson) {
      if (!wasTold(error)) run.stdout.write(`${JSON.stringify(errorDocument(error))}\n`)
    }
    // Commander has printed its own errors by now.
    else if (!(error instanceof CommanderError)) run.stderr.write(`${errorSentence(error)}\n`)
    return code
  } finally {
    for (const close of closers) close()
  }
}

const groupSummaries: Record<string, string> = {
  members: 'who is in the mesh',
  pin: 'what is never evicted',
  priority: 'how much files matter',
  replicas: 'how many copies there are and should be',
  placement: 'where copies go',
  quota: 'what this node gives',
  config: 'settings',
  lease: 'who may: locks with a time limit and a token',
  voters: 'which nodes decide who has what',
  volume: 'virtual disks, used over NBD',
}

function group(parent: Command, name: string): Command {
  return withCommonOptions(parent.command(name).description(groupSummaries[name] ?? '').enablePositionalOptions())
}

function cancelled(): ClientError {
  return new ClientError('ABORTED', 'cancelled')
}

function isCancellation(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || codeOf(error) === 'ABORTED' || codeOf(error) === 'ABORT_ERR' || codeOf(error) === 'CONNECTION'
}
