import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { root, setUp } from './set-up.mjs'

const args = process.argv.slice(2)
const scratch = mkdtempSync(join(tmpdir(), 'mesh-node-test-'))
const countsFile = join(scratch, 'counts.json')
let counts = { passed: 0, failed: 1, skipped: 0 }
let exitCode = 1
try {
  await setUp()
  // Files that are named replace the list of .mocharc.json, where mocha itself would add to it.
  const named = args.some((arg) => !arg.startsWith('-') && existsSync(resolve(root, arg)))
  const settings = named ? ['--no-config', '--extension', 'ts', '--timeout', '20000', '--forbid-only'] : []
  exitCode = await new Promise((done, fail) => {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', join(root, 'node_modules', 'mocha', 'lib', 'cli', 'cli.js'), ...settings, '--reporter', join(root, 'scripts', 'reporter.cjs'), ...args],
      { cwd: root, stdio: 'inherit', env: { ...process.env, MESH_NODE_TEST_COUNTS: countsFile } },
    )
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
    child.once('error', fail)
    child.once('exit', (code) => done(code ?? 1))
  })
  if (existsSync(countsFile)) counts = JSON.parse(readFileSync(countsFile, 'utf8'))
} catch (error) {
  console.error(`npm test: ${error.message}`)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
// A run that broke off is a failure, whatever had passed by then; one that found nothing to run is too.
if (exitCode !== 0 && counts.failed === 0) counts.failed = 1
if (counts.passed + counts.failed === 0) counts.failed = 1
console.log(`${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`)
process.exit(counts.failed === 0 ? 0 : 1)
