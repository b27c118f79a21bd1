// npm run bench -- [NAME…] [--json and other flags]: the benchmarks of scripts/bench/, one after the other, each beside its peers.
'use strict'
var fs = require('fs')
var path = require('path')
var spawnSync = require('child_process').spawnSync
var root = require('./setup.cjs')()

var folder = path.join(root, 'scripts', 'bench')
var peers = path.join(folder, 'peers')
if (!fs.existsSync(path.join(peers, 'node_modules'))) {
  process.stderr.write('Installing the peers (Helia, Hyperdrive; once)…\n')
  var installed = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: peers, stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' })
  if (installed.status !== 0) process.stderr.write('The peers could not be installed: they are left out.\n')
}
var args = process.argv.slice(2)
// Names come first; from the first flag on, all is the benchmark's own.
var firstFlag = args.findIndex(function (arg) {
  return arg[0] === '-'
})
var flags = firstFlag < 0 ? [] : args.slice(firstFlag)
var names = firstFlag < 0 ? args : args.slice(0, firstFlag)
var known = fs
  .readdirSync(folder)
  .filter(function (file) {
    return /^[a-z-]+\.ts$/.test(file)
  })
  .map(function (file) {
    return file.replace(/\.ts$/, '')
  })
names.forEach(function (name) {
  if (known.indexOf(name) >= 0) return
  process.stderr.write('There is no benchmark "' + name + '"; there are: ' + known.join(', ') + '\n')
  process.exit(2)
})
var failed = 0
known
  .filter(function (name) {
    return names.length === 0 || names.indexOf(name) >= 0
  })
  .forEach(function (name) {
    if (flags.indexOf('--json') < 0) process.stdout.write('\n# ' + name + '\n')
    var run = spawnSync(process.execPath, ['--import', 'tsx', path.join(folder, name + '.ts')].concat(flags), { cwd: root, stdio: 'inherit' })
    if (run.status !== 0) failed++
  })
process.exit(failed === 0 ? 0 : 1)
