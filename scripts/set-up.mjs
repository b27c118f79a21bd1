// Brings a checkout into the state in which it runs: packages as the lock file says, dist/ as the sources say. Does
// nothing, in a few milliseconds, when all is well. Everything it prints goes to stderr: stdout belongs to the program.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'

export const root = resolve(import.meta.dirname, '..')
const modules = join(root, 'node_modules')
const dist = join(root, 'dist')
const stampFile = join(dist, '.build-stamp')
/** A build of the whole takes some 20 s on a small machine; one that takes this long has died. */
const lockMsMax = 5 * 60_000

export async function setUp() {
  if (modulesAreRight() && buildIsFresh()) return
  await withLock(async () => {
    if (!modulesAreRight()) await install()
    if (!buildIsFresh()) await build()
  })
}

/** Compares the lock file with npm's own record of what it has installed; both are npm's format 3. */
function modulesAreRight() {
  // A linked folder is somebody else's to keep.
  if (existsSync(modules) && lstatSync(modules).isSymbolicLink()) return true
  let wanted
  let have
  try {
    wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
    have = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8')).packages
  } catch {
    return false
  }
  return Object.entries(wanted).every(([path, entry]) => path === '' || entry.optional === true || entry.peer === true || have[path]?.version === entry.version)
}

async function install() {
  say('installing packages (npm ci)')
  // Development packages too, whatever NODE_ENV says: the compiler is one of them.
  await run(process.platform === 'win32' ? 'npm.cmd' : 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'])
}

function buildIsFresh() {
  let stamp
  try {
    stamp = JSON.parse(readFileSync(stampFile, 'utf8'))
  } catch {
    return false
  }
  const inputs = inputFiles()
  // Times are enough almost always, and cheaper than contents; contents settle it after a checkout or a copy.
  if (inputs.length === stamp.count && inputs.every((path) => statSync(path).mtimeMs < stamp.startedMs)) return true
  return inputs.length === stamp.count && digestOf(inputs) === stamp.digest
}

async function build() {
  say('building')
  const startedMs = Date.now()
  const inputs = inputFiles()
  const digest = digestOf(inputs)
  removeOrphans()
  await run(process.execPath, [join(modules, 'typescript', 'bin', 'tsc'), '-p', join(root, 'src')])
  const web = join('gateways', 'http', 'web')
  cpSync(join(root, 'src', web), join(dist, web), { recursive: true })
  writeFileSync(stampFile, JSON.stringify({ count: inputs.length, digest, startedMs }))
}

function inputFiles() {
  const files = [join(root, 'package.json'), join(root, 'package-lock.json'), join(root, 'tsconfig.json')]
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (!entry.name.endsWith('.md')) files.push(path)
    }
  }
  walk(join(root, 'src'))
  return files.sort()
}

function digestOf(files) {
  const hash = createHash('sha256')
  for (const path of files) hash.update(relative(root, path).split(sep).join('/')).update('\0').update(readFileSync(path)).update('\0')
  return hash.digest('hex')
}

/** What was built from a source that is gone would still be found by an import. */
function removeOrphans() {
  const walk = (folder) => {
    if (!existsSync(folder)) return
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (/\.(js|d\.ts|js\.map)$/.test(entry.name)) {
        const source = join(root, 'src', relative(dist, path).replace(/\.(js\.map|d\.ts|js)$/, ''))
        if (!existsSync(`${source}.ts`) && !existsSync(`${source}.js`)) rmSync(path)
      }
    }
  }
  walk(dist)
}

/** Two starts at once must not build over each other: the second waits for the first, and then finds all done. */
async function withLock(work) {
  const lock = join(root, '.cache', 'set-up.lock')
  mkdirSync(dirname(lock), { recursive: true })
  const deadline = Date.now() + lockMsMax
  for (;;) {
    try {
      mkdirSync(lock)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const owner = ownerOf(lock)
    if ((owner !== undefined && !isAlive(owner)) || Date.now() > deadline) rmSync(lock, { recursive: true, force: true })
    else await new Promise((resolve) => setTimeout(resolve, 200))
  }
  writeFileSync(join(lock, 'pid'), String(process.pid))
  try {
    return await work()
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
}

function ownerOf(lock) {
  try {
    return Number(readFileSync(join(lock, 'pid'), 'utf8'))
  } catch {
    return undefined
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell: command.endsWith('.cmd') })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`${command} ${args.join(' ')} ended with ${signal ?? code}`))
    })
  })
}

function say(text) {
  console.error(`mesh-node: ${text} ...`)
}
