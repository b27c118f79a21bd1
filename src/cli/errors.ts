import { CommanderError } from 'commander'
import { codeOf, CodedError, messageOf } from '../base/index.js'
import { ClientError } from '../client/index.js'
import { asTyped } from './command-name.js'
import { clean } from './table.js'

export type CliCode =
  /** Arguments that make no sense. */
  | 'USAGE'
  | 'NOT_FOUND'
  | 'BAD_NAME'
  | 'CHANGED'
  | 'CANNOT_READ'
  | 'CANNOT_WRITE'
  | 'CORRUPT'
  /** Blobs that are needed here could not be handed on. */
  | 'REMAINING'
  | 'AMBIGUOUS'
  /** Some files of a folder. */
  | 'NOT_ALL'
  /** The lease that a command ran under. */
  | 'LEASE_LOST'
  | 'CANNOT_RUN'

export class CliError extends CodedError<CliCode> {}

/** Another program ran for us, and this is how it ended: nothing more is said, the code is passed on. */
export class ExitWith extends Error {
  readonly exitCode: number

  constructor(exitCode: number) {
    super(`ended with ${String(exitCode)}`)
    this.exitCode = exitCode
  }
}

/** Errors whose document has been printed. */
const told = new WeakSet<object>()

/** A result of which a part failed is still one document: with `error` in it, which is then not printed once more. */
export function withError<T extends object>(result: T, error: CliError | undefined): T & { error?: Record<string, unknown> } {
  if (error === undefined) return result
  told.add(error)
  return { ...result, ...errorDocument(error) }
}

export function wasTold(error: unknown): boolean {
  return typeof error === 'object' && error !== null && told.has(error)
}

/** 0 done; 1 failed; 2 wrong usage, or the API said no; 62 timed out; 125 cancelled. */
export const exitCodes = { done: 0, failed: 1, refused: 2, timedOut: 62, cancelled: 125 } as const

/** Codes of what happens on this machine, outside a node, through nobody's wrong typing. */
const failures = new Set(['NOT_RUNNING', 'CONNECTION', 'BAD_ANSWER', 'PORT_IN_USE', 'BAD_HOME', 'CHANGED', 'CANNOT_READ', 'CANNOT_WRITE', 'CORRUPT', 'REMAINING', 'NOT_ALL', 'LEASE_LOST', 'CANNOT_RUN', 'INTERNAL'])

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.refused
  const code = codeOf(error)
  if (code === 'DEADLINE' || code === 'TIMED_OUT') return exitCodes.timedOut
  if (code === 'ABORTED' || code === 'CANCELLED' || code === 'ABORT_ERR') return exitCodes.cancelled
  if (error instanceof ClientError && error.status !== undefined) {
    return error.status < 500 || error.status === 507 ? exitCodes.refused : exitCodes.failed
  }
  return error instanceof CodedError && !failures.has(code ?? '') ? exitCodes.refused : exitCodes.failed
}

export function errorDocument(error: unknown): { error: Record<string, unknown> } {
  if (error instanceof CommanderError && error.message === '(outputHelp)') return { error: { code: 'USAGE', message: 'no command was given; `mesh-node --help` lists them' } }
  if (error instanceof CommanderError) return { error: { code: 'USAGE', message: error.message.replace(/^error: /, '') } }
  if (error instanceof CodedError) return { error: { ...error.facts, code: error.code as string, message: error.message } }
  return { error: { code: codeOf(error) ?? 'INTERNAL', message: messageOf(error) } }
}

export function errorSentence(error: unknown): string {
  // A file's name in it, or another node's words, may come from other people.
  return `mesh-node: ${asTyped(clean(messageOf(error)))}`
}
