/**
 * Errors are facts with a code. Every room has one class that extends `CodedError` and one union of codes; callers
 * switch on `code`, never on the message, which is a sentence for people.
 */
export type Facts = Record<string, string | number | boolean | null | readonly string[]>

export class CodedError<Code extends string = string> extends Error {
  readonly code: Code
  /** Machine-readable particulars, passed on as they are in JSON answers. */
  readonly facts: Facts

  constructor(code: Code, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(message, options)
    this.name = new.target.name
    this.code = code
    this.facts = facts
  }
}

/** Codes that any exchange between nodes may answer with, whatever the room. */
export type CommonCode =
  | 'ABORTED'
  | 'BAD_INPUT'
  | 'DEADLINE'
  | 'FORBIDDEN'
  | 'INTERNAL'
  | 'NOT_FOUND'
  | 'NO_SPACE'
  | 'OVERLOADED'
  | 'UNAVAILABLE'

export class CommonError extends CodedError<CommonCode> {}

/** The code of anything thrown: ours, Node's (`ENOSPC`), or undefined. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? code : undefined
}

/** The sentence of anything thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replace(/\s*\n\s*/g, ' ')
}

/** For what cannot be: a failure here is a bug of ours, never of the input. */
export function invariant(condition: unknown, what: string): asserts condition {
  if (condition === false || condition === undefined || condition === null || condition === 0 || condition === '') {
    throw new CommonError('INTERNAL', `invariant broken: ${what}`)
  }
}
