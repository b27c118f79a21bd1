import type { Command } from 'commander'
import type { Context } from './context.js'

/** `syntax` as commander has it: `put <file>`. `run` gets the arguments in order and the command's own options. */
export type Register = (
  syntax: string,
  summary: string,
  configure: (command: Command) => void,
  run: (context: Context, args: string[], options: never) => Promise<void>,
) => Command
