// npm test -- [FILES] [MOCHA OPTIONS]: everything a fresh clone needs, then the tests; the last line counts them.
//
// Without FILES the tests run in three processes side by side: those with real nodes, which mostly wait; those in simulated
// time, and all others, which compute, at a lower priority. What these two print is shown when all are done.
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
var folder = fs.mkdtempSync(path.join(os.tmpdir(), 'mesh-test-'))
var groups = named ? [[]] : [
  ['test/e2e/**/*.test.ts'],
  ['test/**/*.test.ts', '--ignore', 'test/e2e/**', '--ignore', 'test/simulation/**'],
  ['test/simulation/**/*.test.ts']
]
/** Not more: who gets next to nothing of the processor for a while is out of time. */
var politeness = 5
var running = groups.map(function (specs, i) {
  var report = path.join(folder, 'report' + i + '.json')
  var shown = i === 0 ? 'inherit' : fs.openSync(path.join(folder, 'output' + i), 'w')
  var command = [path.join(root, 'node_modules', 'mocha', 'bin', 'mocha.js'), '--reporter', path.join(root, 'scripts', 'reporter.cjs'), '--reporter-option', 'report=' + report]
  var child = spawn(process.execPath, command.concat(args, specs), { cwd: root, stdio: ['ignore', shown, shown] })
  if (i > 0) {
    try {
      os.setPriority(child.pid, politeness)
    } catch (error) {
      // It has ended already, or may not: then both are alike.
    }
  }
  return { child: child, report: report, output: i === 0 ? undefined : path.join(folder, 'output' + i), ended: undefined }
})
;['SIGINT', 'SIGTERM'].forEach(function (signal) {
  process.on(signal, function () {
    running.forEach(function (group) {
      group.child.kill(signal)
    })
  })
})
running.forEach(function (group) {
  group.child.on('exit', function (code, signal) {
    group.ended = { code: code, signal: signal }
    if (running.every(function (one) { return one.ended !== undefined })) finish()
  })
})

function countsOf(group) {
  var counts
  try {
    counts = JSON.parse(fs.readFileSync(group.report, 'utf8'))
  } catch (error) {
    // mocha ended before its report: it could not load a file, or was killed.
    counts = { passed: 0, failed: 1, skipped: 0 }
  }
  var silent = counts.failed === 0 && group.ended.code !== 0
  return { passed: counts.passed, failed: counts.failed + (silent ? 1 : 0), skipped: counts.skipped }
}

function finish() {
  var sum = { passed: 0, failed: 0, skipped: 0 }
  running.forEach(function (group) {
    if (group.output !== undefined) process.stdout.write(fs.readFileSync(group.output))
    if (group.ended.signal) process.stdout.write('stopped by ' + group.ended.signal + '\n')
    var counts = countsOf(group)
    sum.passed += counts.passed
    sum.failed += counts.failed
    sum.skipped += counts.skipped
  })
  fs.rmSync(folder, { recursive: true, force: true })
  // Nothing that was asked for exists.
  if (sum.passed === 0 && sum.failed === 0) sum.failed = 1
  process.stdout.write(sum.passed + ' passed, ' + sum.failed + ' failed' + (sum.skipped > 0 ? ', ' + sum.skipped + ' skipped' : '') + '\n')
  process.exitCode = sum.failed === 0 ? 0 : 1
}
