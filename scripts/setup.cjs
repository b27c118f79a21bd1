// What `npm start`, `npm test` and `scripts/mesh-node` do first: check Node, install, build; each only if it is due.
// CommonJS and old syntax on purpose: a Node too old to run this program must still be able to say so.
'use strict'
var fs = require('fs')
var path = require('path')
var crypto = require('crypto')
var spawnSync = require('child_process').spawnSync

var root = path.resolve(__dirname, '..')
var oldest = [20, 19]

function checkNode() {
  var parts = process.versions.node.split('.').map(Number)
  if (parts[0] > oldest[0] || (parts[0] === oldest[0] && parts[1] >= oldest[1])) return
  process.stderr.write(
    'mesh-node needs Node.js ' + oldest.join('.') + ' or newer; this is ' + process.versions.node + ' (' + process.execPath + ').\n' +
      'Install a newer one from https://nodejs.org, or with your version manager: nvm install 22\n'
  )
  process.exit(1)
}

function hashOf(files) {
  var hash = crypto.createHash('sha256')
  files.forEach(function (file) {
    hash.update(path.relative(root, file)).update('\0')
    hash.update(fs.readFileSync(file)).update('\0')
  })
  return hash.digest('hex')
}

function filesUnder(folder) {
  var found = []
  fs.readdirSync(folder, { withFileTypes: true })
    .sort(function (a, b) {
      return a.name < b.name ? -1 : 1
    })
    .forEach(function (entry) {
      var file = path.join(folder, entry.name)
      if (entry.isDirectory()) found = found.concat(filesUnder(file))
      else found.push(file)
    })
  return found
}

function stampIs(file, value) {
  try {
    return fs.readFileSync(file, 'utf8') === value
  } catch (error) {
    return false
  }
}

/** Runs a step with its output on stderr, so that what the program itself prints on stdout stays clean. */
function step(what, command, args) {
  process.stderr.write(what + '…\n')
  var result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', shell: process.platform === 'win32', maxBuffer: 1 << 28 })
  if (result.status === 0) return
  process.stderr.write(String(result.stdout || '') + String(result.stderr || '') + (result.error ? result.error.message + '\n' : ''))
  process.stderr.write(what + ' failed: ' + [command].concat(args).join(' ') + '\n')
  process.exit(1)
}

function isLink(file) {
  try {
    return fs.lstatSync(file).isSymbolicLink()
  } catch (error) {
    return false
  }
}

/** Installs what package-lock.json says, unless that is what is installed already. */
function install() {
  // A linked folder belongs to another checkout, which keeps it: installing here would empty it there.
  if (isLink(path.join(root, 'node_modules'))) return
  var stamp = path.join(root, 'node_modules', '.mesh-node-stamp')
  var wanted = hashOf([path.join(root, 'package.json'), path.join(root, 'package-lock.json')]) + ' node-' + process.versions.modules
  if (stampIs(stamp, wanted)) return
  // Native parts come as prebuilt binaries inside their packages; with no scripts run, installing runs no foreign code.
  step('Installing packages (about a minute, once)', 'npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'])
  // A platform that the package brings no binary for (node-gyp-build finds none) compiles LevelDB itself.
  if (spawnSync(process.execPath, ['-e', "require('classic-level')"], { cwd: root }).status !== 0) {
    step('Compiling LevelDB for this platform', 'npm', ['rebuild', 'classic-level', '--foreground-scripts', '--ignore-scripts=false'])
  }
  fs.writeFileSync(stamp, wanted)
}

/** Compiles src/ to dist/, unless dist/ was made from just these sources. */
function build() {
  var stamp = path.join(root, 'dist', '.stamp')
  var wanted = hashOf(filesUnder(path.join(root, 'src')).concat([path.join(root, 'tsconfig.json'), path.join(root, 'package-lock.json')]))
  if (stampIs(stamp, wanted)) return
  fs.rmSync(path.join(root, 'dist'), { recursive: true, force: true })
  step('Building', process.execPath, [path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', path.join(root, 'src')])
  copyAssets(path.join(root, 'src'), path.join(root, 'dist'))
  compileNative()
  fs.writeFileSync(stamp, wanted)
}

/**
 * A little C for Linux: what saves memory (src/cli/arenas.c) and gives it back (src/node/trim.c, program-pages.c),
 * LevelDB's checksums by the processor's own instruction (src/store/crc32c.c), reads of what is in memory without a wait
 * (src/store/page-cache.c), and hashes without a copy (src/blobs/sha256.c). Without a compiler the node works, rests larger, and takes more of the processor for a file.
 */
function compileNative() {
  if (process.platform !== 'linux') return
  // Undefined names are an error for the first two: another C library than glibc has no malloc_trim or mallopt, and gets no file.
  compile(path.join('cli', 'arenas'), ['-Wl,-z,defs'])
  compile(path.join('node', 'trim'), ['-Wl,-z,defs'])
  compile(path.join('node', 'program-pages'), [])
  compile(path.join('store', 'crc32c'), [])
  compile(path.join('store', 'page-cache'), [])
  compile(path.join('blobs', 'sha256'), [])
}

function compile(name, more) {
  var file = path.join(root, 'dist', name)
  spawnSync('cc', ['-O2', '-shared', '-fPIC'].concat(more, ['-o', file + '.node', file + '.c']), { stdio: 'ignore' })
}

/** The dashboard's page and the like: whatever in src/ is no TypeScript and no text about it. */
function copyAssets(from, to) {
  filesUnder(from).forEach(function (file) {
    if (/\.(ts|md|json)$/.test(file)) return
    var target = path.join(to, path.relative(from, file))
    fs.mkdirSync(path.dirname(target), { recursive: true })
    fs.copyFileSync(file, target)
  })
}

/** Two first starts at once must not install over each other: the second waits for the first. */
function locked(work) {
  var lock = path.join(root, '.setup-lock')
  var deadline = Date.now() + 10 * 60 * 1000
  for (;;) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') {
        // A checkout that cannot be written to, but may be installed and built already: go on, and see.
        work()
        return
      }
      if (!alive(lock) || Date.now() > deadline) {
        fs.rmSync(lock, { force: true })
        continue
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    }
  }
  try {
    work()
  } finally {
    fs.rmSync(lock, { force: true })
  }
}

function alive(lock) {
  try {
    process.kill(Number(fs.readFileSync(lock, 'utf8')), 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

module.exports = function setup() {
  checkNode()
  process.on('exit', function () {
    // `step` leaves by process.exit: the lock must not outlive this process.
    var lock = path.join(root, '.setup-lock')
    if (stampIs(lock, String(process.pid))) fs.rmSync(lock, { force: true })
  })
  locked(function () {
    install()
    build()
  })
  return root
}
module.exports.checkNode = checkNode
