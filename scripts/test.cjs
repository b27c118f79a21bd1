// npm test -- [FILES] [MOCHA OPTIONS]: everything a fresh clone needs, then the tests; the last line counts them.
'use strict'
var fs = require('fs')
var os = require('os')
var path = require('path')
var spawn = require('child_process').spawn
var root = require('./setup.cjs')()

var args = process.argv.slice(2)
var named = args.some(function (arg) {
  return /\.test\.ts$/.test(arg) || /^test\b/.test(arg)
})
var report = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'mesh-test-')), 'report.json')
var command = [path.join(root, 'node_modules', 'mocha', 'bin', 'mocha.js'), '--reporter', path.join(root, 'scripts', 'reporter.cjs'), '--reporter-option', 'report=' + report]
var child = spawn(process.execPath, command.concat(args, named ? [] : ['test/**/*.test.ts']), { cwd: root, stdio: 'inherit' })
;['SIGINT', 'SIGTERM'].forEach(function (signal) {
  process.on(signal, function () {
    child.kill(signal)
  })
})
child.on('exit', function (code, signal) {
  var counts
  try {
    counts = JSON.parse(fs.readFileSync(report, 'utf8'))
  } catch (error) {
    // mocha ended before its report: it could not load a file, or was killed.
    counts = { passed: 0, failed: 1, skipped: 0 }
  }
  fs.rmSync(path.dirname(report), { recursive: true, force: true })
  var failed = counts.failed + (code !== 0 && counts.failed === 0 ? 1 : 0) + (counts.passed === 0 && counts.failed === 0 && code === 0 ? 1 : 0)
  if (signal) process.stdout.write('stopped by ' + signal + '\n')
  process.stdout.write(counts.passed + ' passed, ' + failed + ' failed' + (counts.skipped > 0 ? ', ' + counts.skipped + ' skipped' : '') + '\n')
  process.exit(failed === 0 ? 0 : 1)
})
