import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root, setUp } from './set-up.mjs'

export async function runCli(args) {
  try {
    await setUp()
  } catch (error) {
    console.error(`mesh-node: this checkout could not be made ready: ${error.message}`)
    process.exit(1)
  }
  // npm runs scripts in the package's folder; relative paths are meant from where the person stood.
  const { INIT_CWD, npm_lifecycle_event: event } = process.env
  if (event === 'start' && INIT_CWD !== undefined) process.chdir(INIT_CWD)
  const main = join(root, 'dist', 'cli', 'main.js')
  process.argv = [process.argv[0], main, ...args]
  await import(pathToFileURL(main).href)
}
