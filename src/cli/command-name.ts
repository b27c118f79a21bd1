import { existsSync } from 'node:fs'
import { basename, join, relative, sep } from 'node:path'
import { shellWord } from '../base/index.js'

const script = join(import.meta.dirname, '..', '..', 'scripts', 'mesh-node')

/**
 * What to type to call this command line again: `mesh-node` where it is installed under that name, else the checkout's
 * script, named from where the person stands. `invoked`: the file that Node.js was told to run.
 */
export function commandName(invoked = process.argv[1] ?? '', folder = process.cwd()): string {
  if (basename(invoked) === 'mesh-node' || !existsSync(script)) return 'mesh-node'
  const path = relative(folder, script)
  if (path.startsWith('..')) return shellWord(script)
  // A shell looks for a bare name elsewhere.
  return shellWord(path.includes(sep) ? path : `.${sep}${path}`)
}

/** What to type on another machine, which has mesh-node as this one has: installed, or as a checkout. */
export function thereName(name = commandName()): string {
  return name === 'mesh-node' ? name : 'scripts/mesh-node'
}

/** Advice names commands as `mesh-node COMMAND`: as the person would have to type them here. */
export function asTyped(text: string, name = commandName()): string {
  return text.replaceAll('`mesh-node ', () => `\`${name} `)
}
