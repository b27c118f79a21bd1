#!/usr/bin/env node
/**
 * The command line. A thin thing: arguments in, one call of the client (or, for `start`, `init`, `join`, of the node)
 * and words out.
 */
import { limitArenas } from './arenas.js'
import { collectAlone, optimizeLater } from './optimizing.js'

limitArenas()
optimizeLater()
collectAlone()
// All else is loaded after it.
const [{ ClientError }, { exitCodes }, { runCli }] = await Promise.all([import('../client/index.js'), import('./errors.js'), import('./program.js')])

const controller = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // The first asks; whoever asks twice does not want to wait.
    if (controller.signal.aborted) process.exit(exitCodes.cancelled)
    controller.abort(new ClientError('ABORTED', `stopped by ${signal}`, { signal }))
  })
}
// Words beside the result, and a node's log: that they cannot be written (the disk is full, whoever read them has gone) is
// no reason to end, and nobody is left to be told.
process.stderr.on('error', () => undefined)
// `mesh-node ls | head` closes the pipe early, which is nobody's mistake.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done)
  process.stderr.write(`mesh-node: the output cannot be written: ${error.code === 'ENOSPC' ? 'the disk is full' : error.message}\n`)
  process.exit(exitCodes.failed)
})

const code = await runCli(process.argv.slice(2), { stdout: process.stdout, stderr: process.stderr, signal: controller.signal })
if (code !== 0) process.exitCode = code
/** All is done and said. What still keeps the process alive by then (a socket of a library that lingers) is nothing to wait for. */
const lingerMs = 1_000
setTimeout(function leave() {
  // Unless it is a reader of our output who takes his time.
  if (process.stdout.writableLength > 0 || process.stderr.writableLength > 0) setTimeout(leave, lingerMs).unref()
  else process.exit()
}, lingerMs).unref()
